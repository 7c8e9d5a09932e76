package ci

import (
	"bytes"
	"strings"
	"testing"
)

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		env      map[string]string
		override string
		want     string
	}{
		{nil, "", "plain"},
		{map[string]string{"CI": "true"}, "", "plain"},
		{map[string]string{"GITLAB_CI": "true", "CI": "true"}, "", "plain"},
		{map[string]string{"GITHUB_ACTIONS": "true"}, "", "github"},
		{map[string]string{"GITHUB_ACTIONS": "false"}, "", "plain"},
		{map[string]string{"GITHUB_ACTIONS": "true", "GITEA_ACTIONS": "true"}, "", "gitea"},
		{map[string]string{"GITHUB_ACTIONS": "true"}, "plain", "plain"},
		{nil, "gitea", "gitea"},
	} {
		h, err := Detect(func(k string) string { return c.env[k] }, new(bytes.Buffer), c.override)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name() != c.want {
			t.Errorf("env %v, override %q: %s, want %s", c.env, c.override, h.Name(), c.want)
		}
	}
	_, err := Detect(func(string) string { return "" }, new(bytes.Buffer), "jenkinz")
	if err == nil || !strings.Contains(err.Error(), `"jenkinz"`) || !strings.Contains(err.Error(), "gitea, github, plain") {
		t.Errorf("error %v", err)
	}
}

func TestPlain(t *testing.T) {
	var log bytes.Buffer
	h, err := Detect(func(string) string { return "" }, &log, "")
	if err != nil {
		t.Fatal(err)
	}
	h.Mask("sk-0123456789")
	end := h.Group("Claude\n\x1b[2JCode")
	release := h.Fence(&log)
	h.Annotate(Warning, "denied:\n\x1b[2JBash")
	release()
	end()
	if err := h.Output("a", "b"); err != nil {
		t.Error(err)
	}
	if err := h.Summary("c"); err != nil {
		t.Error(err)
	}
	if got, want := log.String(), ""; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}

func TestOutputDir(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"RUNNER_TEMP": "/r/t", "HOME": "/h"}, "/r/t/ccrun-7"},
		{map[string]string{"GITLAB_CI": "true", "CI_PROJECT_DIR": "/b/p", "HOME": "/h"}, "/b/p/.ccrun/7"},
		{map[string]string{"CI_PROJECT_DIR": "/b/p", "HOME": "/h"}, "/h/.local/state/ccrun/7"},
		{map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/ccrun/7"},
		{map[string]string{"XDG_STATE_HOME": "s", "HOME": "/h"}, "/h/.local/state/ccrun/7"},
		{map[string]string{"TMPDIR": "/t"}, "/t/ccrun-7"},
		{nil, "/tmp/ccrun-7"},
	} {
		if got := OutputDir(func(k string) string { return c.env[k] }, "7"); got != c.want {
			t.Errorf("env %v: %s, want %s", c.env, got, c.want)
		}
	}
}

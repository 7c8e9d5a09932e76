package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/runner/agent"
)

// TestClaude runs the scripts of testdata/claude with the real Claude Code at $REAL, each with a fresh home. The provider is
// that of upstream_test.go, with the tasks below.
func TestClaude(t *testing.T) {
	real := realClaude(t)
	runScripts(t, "claude", "CLAUDE_PATH="+real, "REAL="+real)
}

// realClaude is $CLAUDE_PATH or that of the cache folder; on CI it is installed for the test.
func realClaude(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CLAUDE_PATH"); path != "" {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	o := agent.FindOptions{Environ: os.Environ(), CacheDir: cache, Log: t.Output()}
	o.LookPath = func(name string) (string, error) {
		if name == "npm" && os.Getenv("CI") == "true" {
			return exec.LookPath(name)
		}
		return "", exec.ErrNotFound // the claude of the PATH is the fake one
	}
	exe, err := agent.Find(t.Context(), o)
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("Claude Code is missing: set CLAUDE_PATH")
	}
	if err != nil {
		t.Fatal(err)
	}
	return exe.Path
}

// realTasks are models that can work with the real client's tools. Their folder is named in the prompt: "work in DIR".
var realTasks = map[string]func(seen) reply{
	"m-coder":      code,
	"m-thinker":    think,
	"m-parent":     delegate,
	"m-structured": structure,
	"m-busy": func(seen) reply { // so long a wait that the client gives up at once
		return reply{status: http.StatusTooManyRequests, header: map[string]string{"Retry-After": "90"}, body: `{"error":{"message":"come back tomorrow"}}`}
	},
}

var workIn = regexp.MustCompile(`work in ([^\s"\\]+)`)

func folder(s seen) string {
	m := workIn.FindSubmatch(s.Body)
	if m == nil {
		return "/nowhere"
	}
	return string(m[1])
}

// answers are the tools' results so far, the newest last.
func answers(s seen) []string {
	var all []string
	for _, m := range s.get("messages").Array() {
		if m.Get("role").Str == "tool" {
			all = append(all, text(m.Get("content")))
		}
	}
	return all
}

// code mends a program: two files are read at once, one is edited, the test is run.
func code(s seen) reply {
	dir, done := folder(s), answers(s)
	switch len(done) {
	case 0:
		return reply{text: "I read both.", calls: []call{
			{"call_a", "Read", fmt.Sprintf(`{"file_path":%q}`, dir+"/add.sh")}, {"call_b", "Read", fmt.Sprintf(`{"file_path":%q}`, dir+"/test.sh")}}}
	case 2:
		if !strings.Contains(strings.Join(done, "\n"), "$1 - $2") {
			return reply{text: "the files were not read: " + strings.Join(done, "\n")}
		}
		return reply{calls: []call{{"call_c", "Edit", fmt.Sprintf(`{"file_path":%q,"old_string":"$1 - $2","new_string":"$1 + $2"}`, dir+"/add.sh")}}}
	case 3:
		return reply{text: "Now the test.", calls: []call{{"call_d", "Bash", `{"command":"sh test.sh","description":"Run the test"}`}}}
	}
	return reply{text: "The test says: " + done[len(done)-1]}
}

// think reasons before it reads, and tells whether its reasoning came back.
func think(s seen) reply {
	if len(answers(s)) == 0 {
		return reply{reasoning: "I should look at the file first.", text: "Let me look.",
			calls: []call{{"call_r", "Read", fmt.Sprintf(`{"file_path":%q}`, folder(s)+"/add.sh")}}}
	}
	kept := s.get(`messages.#(role=="assistant").reasoning_content`).Str
	return reply{reasoning: "That was all.", text: "reasoning was kept: " + kept}
}

// delegate hands the work to a subagent.
func delegate(s seen) reply {
	switch {
	case strings.HasPrefix(s.last(), "[SYSTEM NOTIFICATION") || strings.Contains(s.last(), "<task-notification>"):
		return reply{text: "the subagent is done"}
	case strings.Contains(s.last(), "count the lines") && !strings.Contains(s.last(), "work in"):
		return reply{text: "there are two lines"}
	case len(answers(s)) > 0:
		return reply{text: "the subagent is at work or done"}
	}
	return reply{calls: []call{{"call_s", "Agent", `{"description":"Count","prompt":"count the lines of add.sh","subagent_type":"general-purpose"}`}}}
}

func structure(s seen) reply {
	if len(answers(s)) > 0 {
		return reply{text: "done"}
	}
	if !s.get("tools").IsArray() || !strings.Contains(s.get("tools.#.function.name").Raw, "StructuredOutput") {
		return reply{text: "there is no tool for it: " + gjson.GetBytes(s.Body, "tools.#.function.name").Raw}
	}
	return reply{calls: []call{{"call_o", "StructuredOutput", `{"n":3}`}}}
}

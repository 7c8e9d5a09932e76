package agent

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "run the real Claude Code and write what it prints to testdata")

// scenario is a run of the real Claude Code against a scripted Messages API.
type scenario struct {
	name   string
	reason string
	script func(n int, r seen) reply
	run    Invocation
	env    []string
	signal os.Signal // sent when the first request has come
	down   bool      // nobody listens
	cut    bool      // every reply breaks off
}

func says(text string) func(int, seen) reply {
	return func(int, seen) reply { return reply{text: text} }
}

// fails answers every request with a status and asks that it be not tried again.
func fails(status int, errType, message string) func(int, seen) reply {
	return func(int, seen) reply {
		return reply{status: status, errType: errType, message: message, header: map[string]string{"x-should-retry": "false"}}
	}
}

// first answers the first request with one reply and all others with a text.
func first(p reply) func(int, seen) reply {
	return func(n int, r seen) reply {
		if n == 1 {
			return p
		}
		return reply{text: "All done."}
	}
}

var read = call{"toolu_1", "Read", `{"file_path":"a.txt"}`}

var scenarios = []scenario{
	{name: "ok", reason: ReasonOK, script: first(reply{text: "Let me look.", calls: []call{read}})},
	{name: "denied", reason: ReasonOK, script: first(reply{calls: []call{{"toolu_1", "Bash", `{"command":"KEY=x touch b.txt","description":"x"}`}}})},
	{name: "max-turns", reason: ReasonMaxTurns, run: Invocation{MaxTurns: 1}, script: first(reply{calls: []call{read}})},
	{name: "400", reason: ReasonAPI, script: fails(400, "invalid_request_error", "tools: bad schema")},
	{name: "401", reason: ReasonAuth, script: fails(401, "authentication_error", "invalid x-api-key")},
	{name: "402", reason: ReasonQuota, script: fails(402, "billing_error", "no money left")},
	{name: "403", reason: ReasonAuth, script: fails(403, "permission_error", "not for you")},
	{name: "404", reason: ReasonModel, script: fails(404, "not_found_error", "model: x")},
	{name: "413", reason: ReasonContext, script: fails(413, "request_too_large", "too large")},
	{name: "429", reason: ReasonRate, script: fails(429, "rate_limit_error", "slow down")},
	{name: "500", reason: ReasonOverloaded, script: fails(500, "api_error", "oops")},
	{name: "529", reason: ReasonOverloaded, script: fails(529, "overloaded_error", "busy")},
	{name: "down", reason: ReasonNetwork, script: says(""), env: []string{"CLAUDE_CODE_MAX_RETRIES=1"}, down: true},
	{name: "too-long", reason: ReasonContext, script: fails(400, "invalid_request_error", "prompt is too long: 300000 tokens > 200000 maximum")},
	{name: "refusal", reason: ReasonRefused, script: func(int, seen) reply { return reply{text: "I", stop: "refusal"} }},
	{name: "max-tokens", reason: ReasonFailed, script: func(int, seen) reply { return reply{text: "I go on and", stop: "max_tokens"} }},
	{name: "empty", reason: ReasonNoResult, script: says("")},
	{name: "stop-tool-use", reason: ReasonFailed, script: func(int, seen) reply { return reply{text: "now I", stop: "tool_use"} }},
	{name: "schema", reason: ReasonOK, run: Invocation{JSONSchema: `{"type":"object","properties":{"n":{"type":"integer"}}}`},
		script: first(reply{calls: []call{{"toolu_1", "StructuredOutput", `{"n":3}`}}})},
	{name: "schema-missing", reason: ReasonStructured, run: Invocation{JSONSchema: `{"type":"object"}`}, script: says("three")},
	{name: "background-agent", reason: ReasonOK, script: first(reply{calls: []call{{"toolu_1", "Agent", `{"description":"look","prompt":"look at a.txt"}`}}})},
	{name: "background-shell", reason: ReasonOK, run: Invocation{AllowedTools: []string{"Bash"}},
		script: first(reply{calls: []call{{"toolu_1", "Bash", `{"command":"sleep 1","run_in_background":true,"description":"x"}`}}})},
	{name: "agent-stopped", reason: ReasonOK, env: []string{"CLAUDE_CODE_PRINT_BG_WAIT_CEILING_MS=500"}, script: func(n int, r seen) reply {
		if r.class() == "subagent" {
			return reply{hang: true}
		}
		return first(reply{calls: []call{{"toolu_1", "Agent", `{"description":"look","prompt":"look at a.txt"}`}}})(n, r)
	}},
	{name: "retry", reason: ReasonOK, script: first(reply{status: 500, errType: "api_error", message: "oops"})},
	{name: "small-window", reason: ReasonContext, env: []string{"CLAUDE_CODE_MAX_CONTEXT_TOKENS=8000"}, script: says("hi")},
	{name: "bad-argument", reason: ReasonNoResult, run: Invocation{Extra: []string{"--no-such-flag"}}, script: says("hi")},
	{name: "no-session", reason: ReasonFailed, run: Invocation{Resume: "11111111-2222-4333-8444-555555555555"}, script: says("hi")},
	{name: "cut", reason: ReasonNetwork, cut: true, env: []string{"CLAUDE_CODE_MAX_RETRIES=1"}},
	{name: "interrupted", reason: ReasonCancelled, signal: os.Interrupt},
}

// TestClaude runs every scenario with the real client.
func TestClaude(t *testing.T) {
	claude := realClaude(t)
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			ran := s.start(t, claude)
			if v := ran.watcher.Verdict(ran.exit); v.Reason != s.reason {
				t.Errorf("reason %q, want %q: %s\n%s%s", v.Reason, s.reason, v.Message, ran.out, ran.exit.Stderr)
			}
			if *update {
				ran.save(t, s)
			}
		})
	}
}

type ran struct {
	watcher   *Watcher
	exit      Exit
	out       []byte
	dir, home string
	requests  []seen
}

func (s scenario) start(t *testing.T, claude string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	arrived := make(chan struct{}, 1)
	script := s.script
	if s.signal != nil {
		script = func(int, seen) reply {
			arrived <- struct{}{}
			<-ctx.Done()
			return reply{}
		}
	}
	if s.cut {
		script = func(int, seen) reply { return reply{text: "half a", cut: true} }
	}
	api := newMessages(t, script)
	if s.down {
		api.Close()
	}
	r := ran{dir: t.TempDir(), home: t.TempDir()}
	if err := os.WriteFile(filepath.Join(r.dir, "a.txt"), []byte("hello\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.run.Prompt = "Read a.txt"
	args, stdin, err := s.run.Args()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	r.watcher = NewWatcher(WatchOptions{Save: &out, Structured: s.run.JSONSchema != ""})
	cmd := exec.CommandContext(ctx, claude, args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = r.dir, bytes.NewReader(stdin), r.watcher, &errs
	cmd.Env = append(Env(EnvOptions{Environ: []string{"PATH=" + os.Getenv("PATH")}, Home: r.home, BaseURL: api.URL, Token: "run-token",
		ContextTokens: 200_000}), s.env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if s.signal != nil {
		<-arrived
		cmd.Process.Signal(s.signal)
	}
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	cancel()
	r.exit = Exit{Code: cmd.ProcessState.ExitCode(), Stderr: errs.String()}
	r.out, r.requests = out.Bytes(), api.requests()
	return r
}

// save writes what Claude Code printed, without this machine's paths, as a fixture of TestVerdicts.
func (r ran) save(t *testing.T, s scenario) {
	clean := strings.NewReplacer(r.dir, "/repo", strings.ReplaceAll(r.dir, "/", "-"), "-repo", r.home, "/home/user")
	exit := fmt.Appendf(nil, "%d\n%s", r.exit.Code, clean.Replace(r.exit.Stderr))
	a := &txtar.Archive{Files: []txtar.File{{Name: "exit", Data: exit}, {Name: "stdout", Data: []byte(clean.Replace(string(r.out)))}}}
	w, log := s.replay(a, false)
	a.Files = append(a.Files, txtar.File{Name: "verdict.json", Data: verdictJSON(t, w.Verdict(exitOf(a)))}, txtar.File{Name: "log", Data: log})
	if err := os.WriteFile(s.fixture(), txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s scenario) fixture() string { return filepath.Join("testdata", s.name+".txtar") }

// replay gives a fixture's output to a Watcher, at once or byte by byte.
func (s scenario) replay(a *txtar.Archive, bytewise bool) (*Watcher, []byte) {
	var log bytes.Buffer
	w := NewWatcher(WatchOptions{Log: &log, Structured: s.run.JSONSchema != ""})
	if !bytewise {
		w.Write(section(a, "stdout"))
		return w, log.Bytes()
	}
	for _, b := range section(a, "stdout") {
		w.Write([]byte{b})
	}
	return w, log.Bytes()
}

func section(a *txtar.Archive, name string) []byte {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func exitOf(a *txtar.Archive) (x Exit) {
	code, errs, _ := strings.Cut(string(section(a, "exit")), "\n")
	fmt.Sscan(code, &x.Code)
	x.Stderr = errs
	return x
}

func verdictJSON(t *testing.T, v Verdict) []byte {
	b, err := json.Marshal(v, jsontext.WithIndent("\t"), json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// realClaude is $CLAUDE_PATH, the one of PATH or, on CI, one installed for the test.
func realClaude(t *testing.T) string {
	t.Helper()
	if os.Getenv("CI") != "true" {
		path := os.Getenv("CLAUDE_PATH")
		if path == "" {
			path, _ = exec.LookPath("claude")
		}
		if path == "" {
			t.Skip("Claude Code is missing: set CLAUDE_PATH")
		}
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := Find(t.Context(), FindOptions{Environ: os.Environ(), CacheDir: cache, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	return exe.Path
}

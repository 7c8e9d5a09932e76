package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic/anthropictest"
)

// agentMain is the fake Claude Code. It takes the same arguments, talks to the router over HTTP as the real one does, and
// prints the same stream-json. Its prompt is a program: steps with ";" between them, each a word and its argument.
//
//	ask TEXT          a main request, with tools; tool calls are run and answered until there is none
//	ask:KIND TEXT     one of class auxiliary or subagent, or with haiku, think, search, long, whole (not streamed)
//	explicit P,M      a request for the model "P,M"
//	say TEXT          the result is TEXT
//	print TEXT        TEXT on standard output, as it is; complain TEXT on standard error
//	leak              tells the token of the run
//	env, args, stdin  dump them to env.txt, args.txt, stdin.txt in the working folder
//	touch FILE        makes FILE; hang waits for ever; stubborn ignores signals from here on
//	deny TOOL         a denied call; structured JSON; fail TEXT; end REASON; code N is the exit code of the end
//	die N             exits at once, without a result
//	grandchild        starts a process that keeps standard output open; linger stays after the result
//	forget            the next ask does not go on from the conversation; drop loses the next tool call and its answer
//	tools LIST        the tools that are offered from here on
//
// It ends by syscall.Exit, since the race detector makes os.Exit wait for a second.
func agentMain() {
	if slices.Equal(os.Args[1:], []string{"--version"}) {
		fmt.Println("2.1.330 (Claude Code)")
		syscall.Exit(0)
	}
	cwd, err := os.Getwd()
	must(err)
	a := &fakeAgent{cwd: cwd, offered: []string{"Bash", "Read", "Edit"}, result: map[string]any{
		"type": "result", "subtype": "success", "is_error": false, "terminal_reason": "completed", "stop_reason": "end_turn", "session_id": fakeSession,
	}}
	for i, arg := range os.Args {
		if arg == "-p" || arg == "--print" {
			a.prompt = os.Args[len(os.Args)-1]
		}
		if arg == "--resume" {
			a.result["session_id"] = os.Args[i+1]
		}
	}
	if !slices.Contains(os.Args, "--") {
		b, err := io.ReadAll(os.Stdin)
		must(err)
		a.prompt, a.stdin = string(b), b
	} else if a.stdin, err = io.ReadAll(os.Stdin); err != nil || len(a.stdin) > 0 {
		fmt.Fprintf(os.Stderr, "standard input is not empty: %q %v\n", a.stdin, err)
		syscall.Exit(9)
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	go a.interrupt(interrupted)
	a.emit(map[string]any{"type": "system", "subtype": "init", "cwd": cwd, "session_id": a.result["session_id"], "model": "ccrun", "tools": a.offered})
	for step := range strings.SplitSeq(a.prompt, ";") {
		word, arg, _ := strings.Cut(strings.TrimSpace(step), " ")
		a.step(word, arg)
	}
	a.end()
}

const fakeSession = "11111111-2222-4333-8444-555555555555"

type fakeAgent struct {
	cwd, prompt  string
	stdin        []byte
	offered      []string
	conversation []any
	drop         bool
	stubborn     bool
	linger       bool
	code         int
	turns        int
	denials      []any
	result       map[string]any
}

// interrupt is what Claude Code does on SIGINT: a result that says so, and exit code 0.
func (a *fakeAgent) interrupt(c <-chan os.Signal) {
	for range c {
		if a.linger { // its result was given
			syscall.Exit(0)
		}
		if !a.stubborn {
			a.emit(map[string]any{"type": "result", "subtype": "error_during_execution", "is_error": true, "terminal_reason": "aborted_streaming", "session_id": fakeSession})
			syscall.Exit(0)
		}
	}
}

func (a *fakeAgent) step(word, arg string) {
	switch word {
	case "say":
		a.result["result"] = arg
	case "print":
		fmt.Println(arg)
	case "complain":
		fmt.Fprintln(os.Stderr, arg)
	case "leak":
		fmt.Fprintln(os.Stderr, os.Getenv("ANTHROPIC_AUTH_TOKEN"))
		a.result["result"] = "my token is " + os.Getenv("ANTHROPIC_AUTH_TOKEN")
	case "env":
		a.dump("env.txt", strings.Join(os.Environ(), "\n"))
	case "args":
		a.dump("args.txt", strings.Join(os.Args[1:], "\n")+"\n")
	case "stdin":
		a.dump("stdin.txt", string(a.stdin))
	case "touch":
		a.dump(arg, "")
	case "hang":
		time.Sleep(time.Hour)
	case "stubborn":
		a.stubborn = true
		signal.Ignore(syscall.SIGTERM)
	case "linger":
		a.linger = true
	case "grandchild":
		c := exec.Command("sleep", "600")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		must(c.Start())
		a.dump("grandchild.pid", strconv.Itoa(c.Process.Pid))
	case "die":
		n, err := strconv.Atoi(arg)
		must(err)
		syscall.Exit(n)
	case "code":
		n, err := strconv.Atoi(arg)
		must(err)
		a.code = n
	case "deny":
		a.denials = append(a.denials, map[string]any{"tool_name": arg, "tool_use_id": fmt.Sprintf("toolu_%d", len(a.denials)), "tool_input": map[string]any{"command": "true"}})
	case "structured":
		a.result["structured_output"] = json.RawMessage(arg)
	case "fail":
		a.result["is_error"], a.result["result"], a.result["terminal_reason"] = true, arg, "image_error"
	case "end":
		a.result["is_error"], a.result["terminal_reason"] = true, arg
	case "refuse":
		a.result["is_error"], a.result["stop_reason"], a.result["result"] = true, "refusal", "I cannot help with that."
	case "forget":
		a.conversation = nil
	case "drop":
		a.drop = true
	case "tools":
		a.offered = strings.Split(arg, ",")
	case "explicit":
		a.ask("main", map[string]any{"model": arg}, "hello")
	default:
		if kind, ok := strings.CutPrefix(word, "ask:"); ok {
			a.askKind(kind, arg)
			return
		}
		a.ask("main", nil, strings.TrimPrefix(strings.TrimPrefix(word+" "+arg, "ask "), "ask"))
	}
}

func (a *fakeAgent) askKind(kind, text string) {
	a.conversation = nil
	switch kind {
	case "haiku":
		a.ask("main", map[string]any{"model": os.Getenv("ANTHROPIC_DEFAULT_HAIKU_MODEL")}, text)
	case "think":
		a.ask("main", map[string]any{"thinking": map[string]any{"type": "enabled", "budget_tokens": 4000}}, text)
	case "search":
		a.ask("main", map[string]any{"tools": []any{map[string]any{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}}}, text)
	case "long":
		a.ask("main", nil, text+strings.Repeat(" lorem ipsum dolor", 5000))
	case "whole":
		a.ask("main", map[string]any{"stream": false}, text)
	default:
		a.ask(kind, nil, text)
	}
	a.conversation = nil
}

// ask is the agent's loop: a request, the calls of its reply, another request, until a reply calls nothing.
func (a *fakeAgent) ask(class string, with map[string]any, text string) {
	a.conversation = append(a.conversation, map[string]any{"role": "user", "content": text})
	for range 10 {
		reply := a.request(class, with)
		a.turns++
		a.conversation = append(a.conversation, map[string]any{"role": "assistant", "content": json.RawMessage(gjson.GetBytes(reply, "content").Raw)})
		a.emit(map[string]any{"type": "assistant", "message": json.RawMessage(reply), "session_id": fakeSession})
		var answers []any
		for _, block := range gjson.GetBytes(reply, "content").Array() {
			switch block.Get("type").Str {
			case "text":
				a.result["result"] = block.Get("text").Str
			case "tool_use":
				answers = append(answers, map[string]any{"type": "tool_result", "tool_use_id": block.Get("id").Str, "content": a.call(block)})
			}
		}
		if len(answers) == 0 {
			return
		}
		if a.drop {
			a.conversation, answers, a.drop = nil, []any{map[string]any{"type": "text", "text": "go on"}}, false
		}
		a.conversation = append(a.conversation, map[string]any{"role": "user", "content": answers})
		a.emit(map[string]any{"type": "user", "message": map[string]any{"role": "user", "content": answers}, "session_id": fakeSession})
	}
}

func (a *fakeAgent) call(use gjson.Result) string {
	switch input := use.Get("input"); use.Get("name").Str {
	case "Read":
		b, err := os.ReadFile(input.Get("file_path").Str)
		if err != nil {
			return err.Error()
		}
		return string(b)
	case "Bash":
		out, _ := exec.Command("sh", "-c", input.Get("command").Str).CombinedOutput()
		return string(out)
	}
	return "no such tool"
}

func (a *fakeAgent) request(class string, with map[string]any) []byte {
	var tools []any
	for _, name := range a.offered {
		tools = append(tools, map[string]any{"name": name, "description": name, "input_schema": map[string]any{"type": "object"}})
	}
	body := map[string]any{
		"model": argument("--model"), "max_tokens": 32000, "stream": true, "messages": a.conversation, "tools": tools,
		"system":   []any{map[string]any{"type": "text", "text": "Working directory: " + a.cwd + "\nHome: " + os.Getenv("HOME")}},
		"thinking": map[string]any{"type": "adaptive", "display": "omitted"},
	}
	for k, v := range with {
		body[k] = v
	}
	b, err := json.Marshal(body)
	must(err)
	q, err := http.NewRequest(http.MethodPost, os.Getenv("ANTHROPIC_BASE_URL")+"/v1/messages?beta=true", bytes.NewReader(b))
	must(err)
	q.Header = http.Header{
		"Content-Type": {"application/json"}, "Authorization": {"Bearer " + os.Getenv("ANTHROPIC_AUTH_TOKEN")}, "X-Api-Key": {os.Getenv("ANTHROPIC_API_KEY")},
		"Anthropic-Version": {"2023-06-01"}, "X-Claude-Code-Session-Id": {fakeSession}, "X-Claude-Code-Request-Class": {class},
	}
	if class == "subagent" {
		q.Header.Set("X-Claude-Code-Agent-Id", "agent-1")
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		a.apiError(0, err.Error())
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(res.Body)
	switch {
	case res.StatusCode != http.StatusOK:
		a.apiError(res.StatusCode, gjson.GetBytes(reply, "error.message").Str)
	case err != nil:
		a.apiError(0, "connection lost mid-response: "+err.Error())
	case strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream"):
		if reply, err = anthropictest.Accumulate(reply); err != nil {
			a.apiError(0, err.Error())
		}
	}
	return reply
}

// apiError ends the run as an API error does there: a result whose subtype is "success".
func (a *fakeAgent) apiError(status int, message string) {
	a.result["is_error"], a.result["terminal_reason"] = true, "api_error"
	a.result["result"] = fmt.Sprintf("API Error: %d %s", status, message)
	if status != 0 {
		a.result["api_error_status"] = status
	} else {
		a.result["api_error"] = "connection_failed"
	}
	a.code = 1
	a.end()
}

func (a *fakeAgent) end() {
	a.result["num_turns"], a.result["permission_denials"] = a.turns, a.denials
	a.emit(a.result)
	if a.linger {
		time.Sleep(time.Hour)
	}
	syscall.Exit(a.code)
}

func (a *fakeAgent) emit(event map[string]any) {
	b, err := json.Marshal(event)
	must(err)
	fmt.Println(string(b))
}

func (a *fakeAgent) dump(name, text string) {
	must(os.WriteFile(filepath.Join(a.cwd, name), []byte(text), 0o644))
}

func argument(name string) string {
	if i := slices.Index(os.Args, name); i > 0 {
		return os.Args[i+1]
	}
	return ""
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake claude:", err)
		syscall.Exit(8)
	}
}

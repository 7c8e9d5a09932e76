package cassette

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/dialect"
)

var here = Folders{Cwd: "/tmp/work one", Home: "/home/me", Temp: "/tmp"}
var there = Folders{Cwd: `C:\other "place"`, Home: `C:\Users\you`, Temp: `C:\Temp`}

func frame(data string) string { return "data: " + data + "\n\n" }

func text(s string) string {
	return frame(`{"choices":[{"index":0,"delta":{"content":` + q(s) + `},"finish_reason":null}]}`)
}

func args(index int, s string) string {
	return frame(fmt.Sprintf(`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]},"finish_reason":null}]}`, index, q(s)))
}

func callStart(index int, id, name, first string) string {
	return frame(fmt.Sprintf(`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":%d,"id":%q,"type":"function","function":{"name":%q,"arguments":%s}}]},"finish_reason":null}]}`, index, id, name, q(first)))
}

func q(s string) string { return `"` + escape(s) + `"` }

const stop = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"

// ask makes a call through via, as the router does.
func ask(t *testing.T, via http.RoundTripper, url string, tag Tag, body string) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(With(context.Background(), tag), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer sk-very-secret-key")
	res, err := via.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	return res.StatusCode, string(out), err
}

// record runs an upstream of canned replies through a recorder, saves the tape and reads it back.
func record(t *testing.T, f Folders, class string, replies ...string) *Tape {
	t.Helper()
	n := 0
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, replies[n])
		n++
	}))
	defer up.Close()
	rec := NewRecorder(f, func(s string) string { return strings.ReplaceAll(s, "sk-very-secret-key", "***") })
	for i := range replies {
		if _, _, err := ask(t, rec.Via(http.DefaultTransport), up.URL, Tag{Request: i + 1, Attempt: 1, Class: class}, "{}"); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "tape.jsonl")
	if err := taped(t, rec, Header{Route: "a,b"}).Save(file); err != nil {
		t.Fatal(err)
	}
	tape, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return tape
}

func taped(t *testing.T, rec *Recorder, h Header) *Tape {
	t.Helper()
	tape, err := rec.Tape(h)
	if err != nil {
		t.Fatal(err)
	}
	return tape
}

func play(t *testing.T, tape *Tape, f Folders) (*Player, http.RoundTripper) {
	t.Helper()
	p, err := Play(tape, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, p.Via(http.DefaultTransport)
}

// joined puts the deltas of a stream together again: text, and the arguments of each call.
func joined(body, path string) string {
	var out strings.Builder
	for _, l := range strings.Split(body, "\n") {
		if data, ok := strings.CutPrefix(l, "data:"); ok {
			out.WriteString(getString(data, path))
		}
	}
	return out.String()
}

func TestPathsMoveWithTheRun(t *testing.T) {
	// A path arrives in pieces, in text and in a tool's arguments, and with two calls interleaved.
	reply := text("I read /tm") + text("p/work on") + text("e/a.go, then /tmp/work one-two and /home/me/x") +
		callStart(0, "c1", "Read", "") + args(0, `{"file_path":"/tmp/wo`) +
		callStart(1, "c2", "Read", `{"file_`) + args(0, `rk one/a.go"}`) + args(1, `path":"/tmp/z"}`) + stop
	tape := record(t, here, "main", reply)
	if raw := strings.Join(tape.Entries[0].Attempts[0].Lines, "\n"); strings.Contains(raw, "/home/me") || strings.Contains(raw, "/tmp") {
		t.Errorf("a path of the recording machine is in the tape:\n%s", raw)
	}
	for _, f := range []Folders{here, there} {
		_, via := play(t, tape, f)
		_, body, err := ask(t, via, "http://elsewhere.invalid/v1", Tag{Request: 1, Attempt: 1, Class: "main"}, `{"tools":[{"type":"function","function":{"name":"Read"}}]}`)
		if err != nil {
			t.Fatal(err)
		}
		want := "I read " + f.Cwd + "/a.go, then " + f.Temp + "/work one-two and " + f.Home + "/x"
		if got := joined(body, "choices.0.delta.content"); got != want {
			t.Errorf("text: got %q, want %q", got, want)
		}
		for i, path := range []string{f.Cwd + "/a.go", f.Temp + "/z"} {
			arguments := joined(body, fmt.Sprintf("choices.0.delta.tool_calls.#(index==%d).function.arguments", i))
			if got := getString(arguments, "file_path"); got != path {
				t.Errorf("call %d: got path %q, want %q in %s", i, got, path, arguments)
			}
		}
		if !strings.HasSuffix(strings.TrimSpace(body), "data: [DONE]") {
			t.Errorf("the end is missing: %q", body[max(0, len(body)-80):])
		}
	}
}

func TestSecretsAreNotRecorded(t *testing.T) {
	rec := NewRecorder(here, func(s string) string { return strings.ReplaceAll(s, "sk-very-secret-key", "***") })
	head := Header{Providers: []Provider{{Name: "x", Use: []dialect.Use{{Name: "y", Options: map[string]any{"key": "sk-very-secret-key"}}}}}}
	if got := taped(t, rec, head).Header.Providers[0].Use[0].Options["key"]; got != "***" {
		t.Errorf("the key of a transformer was recorded: %v", got)
	}
	tape := record(t, here, "main", text("the first key that came to mind is sk-very-")+text("secret-key")+stop)
	_, via := play(t, tape, here)
	_, body, err := ask(t, via, "http://x.invalid", Tag{Request: 1, Attempt: 1}, "{}")
	if err != nil {
		t.Fatal(err)
	}
	if got := joined(body, "choices.0.delta.content"); strings.Contains(got, "very") || !strings.Contains(got, "***") {
		t.Errorf("the key was recorded: %q", got)
	}
}

func TestReplayFollowsTheConversation(t *testing.T) {
	tape := record(t, here, "main", callStart(0, "call_1", "Bash", `{"command":"ls"}`)+stop, text("done")+stop)
	const tools = `"tools":[{"type":"function","function":{"name":"Bash"}}]`
	answered := func() int { return 1 }
	missing := func() int { return 0 }
	tests := []struct {
		name, first, second, third, want string
		answers                          func() int
	}{
		{"fits", `{` + tools + `}`, `{` + tools + `,"messages":[{"tool_call_id":"call_1"}]}`, "", "", answered},
		{"another tool's answer", `{` + tools + `}`, `{` + tools + `,"messages":[{"tool_call_id":"call_9"}]}`, "", "does not answer tool call call_1 of recorded request 1 (class main)", answered},
		{"a call without its answer", `{` + tools + `}`, `{` + tools + `,"messages":[{"tool_calls":[{"id":"call_1"}]}]}`, "", "answers 0 of 1 tool calls of recorded request 1", missing},
		{"a tool that is not offered", `{"tools":[{"type":"function","function":{"name":"Read"}}]}`, "", "", "recorded request 1 (class main) calls the tool Bash", answered},
		{"ran out", `{` + tools + `}`, `{"messages":[{"tool_call_id":"call_1"}]}`, "{}", "ran out: request 3", answered},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, via := play(t, tape, here)
			var last string
			for i, body := range []string{test.first, test.second, test.third} {
				if body == "" {
					break
				}
				status, reply, err := ask(t, via, "http://x.invalid", Tag{Request: i + 1, Attempt: 1, Class: "main", Answers: test.answers}, body)
				if err != nil {
					t.Fatal(err)
				}
				if last = ""; status != http.StatusOK {
					last = reply
				}
			}
			fault := fmt.Sprint(p.Fault())
			if test.want == "" && (last != "" || p.Fault() != nil || p.Left() != 0) {
				t.Errorf("reply %q, fault %s, left %d", last, fault, p.Left())
			}
			if test.want != "" && (!strings.Contains(last, test.want) || !strings.Contains(fault, test.want)) {
				t.Errorf("got reply %q and fault %q, want both with %q", last, fault, test.want)
			}
		})
	}
}

func TestClassesAreQueuesOfTheirOwn(t *testing.T) {
	prompt := func(s string) func() string { return func() string { return s } }
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, text(string(body))+stop)
	}))
	defer up.Close()
	rec := NewRecorder(here, identity)
	via := rec.Via(http.DefaultTransport)
	for i, q := range []struct {
		class, prompt, body string
	}{{"main", "", "m1"}, {"subagent", "look into /tmp/work one", "a1"}, {"subagent", "write", "b1"}, {"auxiliary", "", "x1"}, {"subagent", "look into /tmp/work one", "a2"}, {"main", "", "m2"}} {
		if _, _, err := ask(t, via, up.URL, Tag{Request: i + 1, Attempt: 1, Class: q.class, Prompt: prompt(q.prompt)}, q.body); err != nil {
			t.Fatal(err)
		}
	}
	_, via = play(t, taped(t, rec, Header{}), there)
	// Another order over the classes, and another folder in the prompt: each class goes on by itself.
	for i, q := range []struct{ class, prompt, want string }{
		{"auxiliary", "", "x1"}, {"subagent", "write", "b1"}, {"main", "", "m1"}, {"main", "", "m2"},
		{"subagent", "look into " + there.Cwd, "a1"}, {"subagent", "look into " + there.Cwd, "a2"},
	} {
		_, body, err := ask(t, via, "http://x.invalid", Tag{Request: i + 1, Attempt: 1, Class: q.class, Prompt: prompt(q.prompt)}, "{}")
		if err != nil {
			t.Fatal(err)
		}
		if got := joined(body, "choices.0.delta.content"); got != q.want {
			t.Errorf("%s %q: got %q, want %q", q.class, q.prompt, got, q.want)
		}
	}
}

func TestFailuresAreReplayed(t *testing.T) {
	n := 0
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch n++; n {
		case 1:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
			io.WriteString(w, `{"error":{"message":"slow down"}}`)
		case 2:
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, text("half"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case 3:
			panic(http.ErrAbortHandler)
		}
	}))
	defer up.Close()
	rec := NewRecorder(here, identity)
	type reply struct {
		status int
		body   string
		failed bool
	}
	run := func(via http.RoundTripper, url string) []reply {
		var out []reply
		for attempt := 1; attempt <= 3; attempt++ {
			status, body, err := ask(t, via, url, Tag{Request: 1, Attempt: attempt}, "{}")
			out = append(out, reply{status, joined(body, "choices.0.delta.content"), err != nil})
		}
		return out
	}
	want := run(rec.Via(http.DefaultTransport), up.URL)
	if want[0].status != 429 || want[1].body != "half" || !want[1].failed || !want[2].failed {
		t.Fatalf("the upstream did not fail as it should: %+v", want)
	}
	tape := taped(t, rec, Header{})
	if len(tape.Entries) != 1 || len(tape.Entries[0].Attempts) != 3 || tape.Entries[0].Attempts[0].Header["Retry-After"] != "7" {
		t.Fatalf("one entry with three attempts is wanted: %+v", tape.Entries)
	}
	_, via := play(t, tape, here)
	got := run(via, "http://x.invalid")
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("attempt %d: got %+v, want %+v", i+1, got[i], want[i])
		}
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	head := `{"schema":"` + Schema + `"}` + "\n"
	tests := []struct{ name, text, want string }{
		{"empty", "", "empty"},
		{"no cassette", "hello\n", "line 1: this is no cassette"},
		{"another version", `{"schema":"ccrun.cassette/9"}`, `"ccrun.cassette/9"`},
		{"broken entry", head + "{\"request\":", "line 2"},
		{"no attempts", head + "\n" + `{"request":4,"class":"main"}`, "line 3: request 4 has no attempts"},
	}
	for _, test := range tests {
		if _, err := Read(strings.NewReader(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestSaveLeavesNothingHalf(t *testing.T) {
	dir := t.TempDir()
	if err := (&Tape{Header: Header{Schema: Schema}}).Save(filepath.Join(dir, "no", "such", "folder")); err == nil {
		t.Error("no error for a folder that is not there")
	}
	file := filepath.Join(dir, "tape")
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (&Tape{Header: Header{Schema: Schema}}).Save(file); err == nil {
		t.Error("no error where a folder is in the way")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("files were left behind: %v %v", left, err)
	}
}

// A recording plays back what was said, wherever the upstream cut it, and whatever it says.
func FuzzPortable(f *testing.F) {
	f.Add("/tmp/work one/a and {{ccrun:cwd}} /home/me", uint8(3))
	f.Add("{{{{ccrun cwd}}}} /tmp/tmp é世界", uint8(1))
	f.Add("/tmp/work one/tmp/work one", uint8(200))
	f.Fuzz(func(t *testing.T, said string, size uint8) {
		said = strings.ToValidUTF8(said, "")
		if strings.Contains(said, markOpen) {
			return // a text that holds our own placeholder is not kept apart
		}
		var stream strings.Builder
		runes := []rune(said)
		for n := int(size)%40 + 1; len(runes) > 0; {
			n = min(n, len(runes))
			stream.WriteString(text(string(runes[:n])))
			runes = runes[n:]
		}
		var out strings.Builder
		for _, l := range here.portable(strings.Split(stream.String()+stop, "\n"), identity) {
			out.WriteString(here.fill(l) + "\n")
		}
		if got := joined(out.String(), "choices.0.delta.content"); got != said {
			t.Errorf("got %q, want %q", got, said)
		}
	})
}

func getString(doc, path string) string { return gjson.Get(doc, path).String() }

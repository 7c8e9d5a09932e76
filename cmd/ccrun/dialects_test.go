package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// strict is a provider that takes nothing but what its API documents, and its own thinking back, as it gave it.
type strict interface {
	entry() string                   // its entry in a configuration, with %q for its URL
	key(http.Header) string          // the key that came
	judge(body gjson.Result) string  // what is wrong with a request, in the provider's words; "" nothing
	refusal(message string) string   // the body of a 400
	results(gjson.Result) []string   // the tools' results in a request, the newest last
	say(t turn, model string) reply  // and keep in mind what it was
	spoilt(body string) []badRequest // requests that it must refuse, made of one that it takes
}

type badRequest struct{ name, body, want string }

// turn is what a model says, and what that cost. id sets it apart from the others.
type turn struct {
	id       string
	thinking string
	text     string
	calls    []call
	usage    tokens
}

type tokens struct{ input, output, reasoning, cacheRead, cacheWrite int }

// turnAfter is a model that mends a program in three turns with tools, after so many results of them, in the words of
// TestClaude's code. Each turn costs other numbers of tokens of each kind.
func turnAfter(results []string, who, dir string) turn {
	n := len(results)
	t := turn{id: fmt.Sprintf("%s_%d", who, n), usage: tokens{1000 + n, 60 + n, 20 + n, 400 + n, 200 + n}}
	read := func(id, file string) call {
		return call{t.id + id, "Read", fmt.Sprintf(`{"file_path":%q}`, dir+"/"+file)}
	}
	switch n {
	case 0:
		t.thinking, t.text = "Both files matter.\nI read \"them\".", "I read both."
		t.calls = []call{read("a", "add.sh"), read("b", "test.sh")}
	case 2:
		t.thinking = "Minus should be plus."
		t.calls = []call{{t.id + "c", "Edit", fmt.Sprintf(`{"file_path":%q,"old_string":"$1 - $2","new_string":"$1 + $2"}`, dir+"/add.sh")}}
	case 3:
		t.thinking, t.text = "Does it work?", "Now the test."
		t.calls = []call{{t.id + "d", "Bash", `{"command":"sh test.sh","description":"Run the test"}`}}
	default:
		t.text = "The test says: " + results[n-1]
	}
	return t
}

// stand is a provider at work: it refuses what it must, and fails from its request number fails on.
type stand struct {
	*fakeUpstream
	strict
	fails int // 0: never

	mu       sync.Mutex
	asked    int
	refused  []string
	accepted []seen
}

func newStand(t *testing.T, p strict, who, dir string) *stand {
	s := &stand{strict: p}
	s.fakeUpstream = newUpstream(nil, func(q seen) reply {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked++
		header := map[string]string{"Content-Type": "application/json"}
		body := gjson.ParseBytes(q.Body)
		wrong := p.judge(body)
		switch {
		case s.fails > 0 && s.asked >= s.fails:
			return reply{status: 500, header: header, body: `{"error":{"message":"something broke","type":"api_error"}}`}
		case p.key(q.Header) != scriptKey:
			return reply{status: 401, header: header, body: p.refusal("the key is wrong")}
		case wrong != "":
			s.refused = append(s.refused, wrong)
			return reply{status: 400, header: header, body: p.refusal(wrong)}
		}
		s.accepted = append(s.accepted, q)
		model := body.Get("model").Str
		return p.say(turnAfter(p.results(body), who, dir), model)
	})
	t.Cleanup(s.Close)
	return s
}

// The real Claude Code mends a program in three turns with tools and thinking, by each language that ccrun speaks, with
// providers that answer 400 to what they would not take. Where the first of two breaks in mid-conversation the second goes
// on, though the thinking so far is not its own.
func TestDialects(t *testing.T) {
	claude := realClaude(t)
	for _, c := range []struct {
		name  string
		chain []strict
	}{
		{"deepseek", []strict{newDeepseek()}},
		{"responses", []strict{newOpenAI()}},
		{"gemini", []strict{newGoogle()}},
		{"anthropic", []strict{newClaude()}},
		{"deepseek to anthropic", []strict{newDeepseek(), newClaude()}},
		{"deepseek to gemini", []strict{newDeepseek(), newGoogle()}},
		{"responses to anthropic", []strict{newOpenAI(), newClaude()}},
		{"gemini to deepseek", []strict{newGoogle(), newDeepseek()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dialectTask(t, claude, c.chain)
		})
	}
}

func dialectTask(t *testing.T, claude string, chain []strict) {
	dir := t.TempDir()
	repo := filepath.Join(dir, "repo")
	var entries, routes, who []string
	var stands []*stand
	for i, p := range chain {
		s := newStand(t, p, fmt.Sprintf("call%d", i), repo)
		entry := fmt.Sprintf(p.entry(), s.URL)
		name := gjson.Get(entry, "name").Str
		stands, entries, who = append(stands, s), append(entries, entry), append(who, name)
		routes = append(routes, fmt.Sprintf("%q", name+","+gjson.Get(entry, "models.0").Str))
	}
	if len(chain) > 1 {
		stands[0].fails = 3
	}
	writeAll(t, dir, map[string]string{
		"repo/add.sh": "echo $(($1 - $2))\n", "repo/test.sh": `[ "$(sh add.sh 2 3)" = 5 ] && echo ok` + "\n", "home/.keep": "",
		"config.json": `{"Providers":[` + strings.Join(entries, ",") + `],"Router":{"default":[` + strings.Join(routes, ",") + `]}}`,
	})
	cmd := exec.CommandContext(t.Context(), "ccrun", "run", "-c", filepath.Join(dir, "config.json"), "--cwd", repo,
		"-p", "Mend the program", "--allowed-tools", "Bash(sh test.sh)", "--output-dir", filepath.Join(dir, "out"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(dir, "home"), "CLAUDE_PATH=" + claude, "KEY=" + scriptKey}
	out, err := cmd.CombinedOutput()
	for i, s := range stands {
		for _, r := range s.refused {
			t.Errorf("%s refused a request: %s", who[i], r)
		}
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checkReport(t, filepath.Join(dir, "out", "report.json"), who)
	if got, err := os.ReadFile(filepath.Join(repo, "add.sh")); err != nil || string(got) != "echo $(($1 + $2))\n" {
		t.Errorf("the program is %q, %v", got, err)
	}
	for _, s := range stands {
		s.checkRefusals(t)
	}
}

// checkReport wants the tokens of the four turns, each once, and two turns of each provider where there are two.
func checkReport(t *testing.T, file string, who []string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	served := []string{who[0], who[0], who[len(who)-1], who[len(who)-1]}
	want := tokens{}
	for i, n := range []int{0, 2, 3, 4} {
		u := turnAfter(make([]string, n), "", "").usage
		if served[i] != "anthropic" { // alone in telling them apart here
			u.cacheWrite = 0
		}
		want = tokens{want.input + u.input, want.output + u.output, want.reasoning + u.reasoning, want.cacheRead + u.cacheRead, want.cacheWrite + u.cacheWrite}
	}
	report := gjson.ParseBytes(data)
	n := report.Get("totals.tokens")
	got := tokens{int(n.Get("input").Int()), int(n.Get("output").Int()), int(n.Get("reasoning").Int()), int(n.Get("cache_read").Int()), int(n.Get("cache_write").Int())}
	if got != want {
		t.Errorf("tokens are %+v, want %+v", got, want)
	}
	for path, want := range map[string]string{"reason": "ok", "result": "The test says: ok", "totals.requests": "4", "totals.unknown_usage": "0", "denied_tools": "[]"} {
		if got := strings.TrimSpace(report.Get(path).String()); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	var answered []string
	for _, c := range report.Get("calls").Array() {
		switch {
		case c.Get("fault").Str == "":
			answered = append(answered, c.Get("provider").Str)
		case c.Get("status").Int() != 500 || len(who) == 1:
			t.Errorf("a call failed: %s", c.Raw)
		}
	}
	if !slices.Equal(answered, served) {
		t.Errorf("answers came from %v, want %v", answered, served)
	}
}

// checkRefusals shows that the provider is as strict as it is meant to be: spoilt requests of this run would have been refused.
func (s *stand) checkRefusals(t *testing.T) {
	last := -1
	for i, q := range s.accepted {
		if len(s.results(gjson.ParseBytes(q.Body))) > 0 {
			last = i
		}
	}
	if last < 0 {
		t.Fatal("no request had a tool's result")
	}
	body := string(s.accepted[last].Body)
	more, err := sjson.Set(body, "x_unknown", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range append(s.spoilt(body), badRequest{"unknown key", more, "x_unknown"}) {
		if got := s.judge(gjson.Parse(bad.body)); !strings.Contains(got, bad.want) {
			t.Errorf("%s: the provider says %q, want %q", bad.name, got, bad.want)
		}
	}
}

func writeAll(t *testing.T, dir string, files map[string]string) {
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// stranger is the first key of an object that is not among those known, with where it stands; "" where there is none.
func stranger(v gjson.Result, where, known string) string {
	found := ""
	v.ForEach(func(k, _ gjson.Result) bool {
		if !slices.Contains(strings.Fields(known), k.Str) {
			found = strings.TrimPrefix(where+"."+k.Str, ".")
		}
		return found == ""
	})
	return found
}

// without is a body in which an array lacks some items.
func without(body, path string, drop func(gjson.Result) bool) string {
	kept := []string{}
	for _, item := range gjson.Get(body, path).Array() {
		if !drop(item) {
			kept = append(kept, item.Raw)
		}
	}
	out, err := sjson.SetRaw(body, path, "["+strings.Join(kept, ",")+"]")
	if err != nil {
		panic(err)
	}
	return out
}

// stream writes server-sent events, each named by its type where it has one.
func stream(events ...map[string]any) reply {
	var b strings.Builder
	for _, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		if kind, ok := e["type"].(string); ok {
			fmt.Fprintf(&b, "event: %s\n", kind)
		}
		fmt.Fprintf(&b, "data: %s\n\n", data)
	}
	return reply{header: map[string]string{"Content-Type": "text/event-stream"}, body: b.String()}
}

type object = map[string]any

package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy"
	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/upstream"
)

// picky is a provider that refuses what a rule says of a body, and answers hello to the others.
type picky struct {
	refuse func(r *http.Request, body string) (words string)
	mu     sync.Mutex
	bodies []string
}

func (p *picky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	p.bodies = append(p.bodies, string(b))
	p.mu.Unlock()
	if words := p.refuse(r, string(b)); words != "" {
		fails(400, "invalid_request_error", words)(w, r)
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(b)))
	hello(w, r)
}

func atMost(n int64) func(*http.Request, string) string {
	return func(_ *http.Request, body string) string {
		if got := gjson.Get(body, "max_tokens").Int(); got > n {
			return fmt.Sprintf("max_tokens: %d > %d, which is the maximum allowed number of output tokens for m", got, n)
		}
		return ""
	}
}

// A limit that a provider tells in its refusal is kept at once, and from then on asked for by nobody.
func TestLimitIsLearnt(t *testing.T) {
	each(t, func(t *testing.T, model string, stream bool) {
		up := &picky{refuse: atMost(60)}
		w := newWorld(t, up.ServeHTTP, worldOptions{})
		for i, want := range []int{2, 3} { // calls so far
			a := w.messages(model, stream)
			if a.status != 200 || !strings.Contains(a.body, "hel") {
				t.Fatalf("request %d: %d %s", i+1, a.status, a.body)
			}
			all := w.entries(want)
			if len(up.bodies) != want {
				t.Fatalf("%d calls for %d entries", len(up.bodies), want)
			}
			if last := all[want-1]; last.Status != 200 || last.Request != i+1 || last.Attempt != 2-i {
				t.Errorf("the last entry is %+v", last)
			}
		}
		if first := w.session.Ledger.Entries()[0]; first.Status != 400 || first.Attempt != 1 || first.Usage.Known {
			t.Errorf("the entry of the refusal is %+v", first)
		}
		for i, want := range []int64{100, 60, 60} {
			if got := gjson.Get(up.bodies[i], "max_tokens").Int(); got != want {
				t.Errorf("call %d asks for %d tokens, want %d", i+1, got, want)
			}
		}
		if model == "chat,m" {
			w.messages("chat,m-large", stream)
			if got := gjson.Get(up.bodies[3], "max_tokens").Int(); got != 100 {
				t.Errorf("the lesson is believed of another model: %d", got)
			}
		}
	})
}

// Parameters that are refused are left out, one after the other.
func TestParametersAreLearnt(t *testing.T) {
	up := &picky{refuse: func(_ *http.Request, body string) string {
		for _, name := range []string{"temperature", "stream_options"} {
			if gjson.Get(body, name).Exists() {
				return "Unsupported parameter: '" + name + "' is not supported with this model."
			}
		}
		return ""
	}}
	w := newWorld(t, up.ServeHTTP, worldOptions{})
	warm := strings.Replace(request("chat,m", true), `"stream"`, `"temperature":0.5,"stream"`, 1)
	for _, want := range []int{3, 4} {
		if a := w.ask("POST", "/v1/messages", warm); a.status != 200 {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		w.entries(want)
	}
}

// A refusal that teaches nothing new is the end: no loop, and the client gets the provider's words.
func TestLessonsAreNotRepeated(t *testing.T) {
	for name, c := range map[string]struct {
		words string
		calls int
	}{
		"the same again":      {"Unsupported parameter: 'temperature' is not supported with this model.", 2},
		"a limit that is met": {"max_tokens must be at most 100", 1},
		"no lesson":           {"bad request", 1},
	} {
		t.Run(name, func(t *testing.T) {
			up := &picky{refuse: func(*http.Request, string) string { return c.words }}
			w := newWorld(t, up.ServeHTTP, worldOptions{})
			a := w.messages("chat,m", true)
			wantError(t, a, 400, "invalid_request_error")
			if !strings.Contains(a.body, c.words) {
				t.Errorf("got %s", a.body)
			}
			w.entries(c.calls)
		})
	}
	each(t, func(t *testing.T, model string, stream bool) {
		n := 0
		up := &picky{refuse: func(*http.Request, string) string { n++; return fmt.Sprintf("max_tokens must be at most %d", 90-n) }}
		w := newWorld(t, up.ServeHTTP, worldOptions{})
		wantError(t, w.messages(model, stream), 400, "invalid_request_error")
		w.entries(4) // a provider that always wants less is not followed for ever
	})
}

// The answer that is asked for has room in the model's window.
func TestAnswerHasRoom(t *testing.T) {
	up := &picky{refuse: func(*http.Request, string) string { return "" }}
	provider := serveQuietly(t, up)
	w := newWorld(t, up.ServeHTTP, worldOptions{providers: []proxy.Provider{{
		Provider: upstream.Provider{Name: "small", BaseURL: provider.URL + "/v1/chat/completions", Keys: []string{upstreamKey}},
		Models:   []string{"m"}, Limits: map[string]dialect.Limits{"m": {Window: 8192}},
	}}})
	long := strings.Repeat("some words of a prompt ", 800) // about 4000 tokens
	body := strings.Replace(request("small,m", true), `"hi"`, `"`+long+`"`, 1)
	body = strings.Replace(body, `"max_tokens":100`, `"max_tokens":8000`, 1)
	if a := w.ask("POST", "/v1/messages", body); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if got := gjson.Get(up.bodies[0], "max_tokens").Int(); got < 3000 || got > 4200 {
		t.Errorf("%d tokens are asked for", got)
	}
}

package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// messages is a local Messages API that answers after a script.
type messages struct {
	*httptest.Server
	mu   sync.Mutex
	seen []seen
}

// seen is one request as it arrived.
type seen struct {
	Header http.Header
	Raw    []byte
	Body   struct {
		Model     string          `json:"model"`
		MaxTokens int             `json:"max_tokens"`
		Stream    bool            `json:"stream"`
		Thinking  json.RawMessage `json:"thinking"`
		Output    json.RawMessage `json:"output_config"`
		System    json.RawMessage `json:"system"`
		Tools     []struct {
			Name string `json:"name"`
		} `json:"tools"`
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
	}
}

func (s seen) class() string { return s.Header.Get("x-claude-code-request-class") }

// reply is what the script answers with: a message of texts and tool calls, or an error where status is set.
type reply struct {
	status  int
	header  map[string]string
	errType string
	message string

	text  string
	calls []call
	stop  string // default: tool_use where there is a call, else end_turn
	input int    // reported input tokens; default 100
	hang  bool   // nothing is answered until the client goes
	cut   bool   // the connection breaks in the first block
}

type call struct{ id, name, input string }

func newMessages(t *testing.T, script func(n int, r seen) reply) *messages {
	t.Helper()
	m := &messages{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/messages" {
			http.NotFound(w, r)
			return
		}
		s := seen{Header: r.Header}
		s.Raw, _ = io.ReadAll(r.Body)
		if err := json.Unmarshal(s.Raw, &s.Body); err != nil {
			t.Errorf("request body: %v", err)
		}
		m.mu.Lock()
		m.seen = append(m.seen, s)
		n := len(m.seen)
		m.mu.Unlock()
		answer := script(n, s)
		if answer.hang {
			<-r.Context().Done()
			return
		}
		answer.write(w, s, n)
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *messages) requests() []seen {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]seen(nil), m.seen...)
}

func (p reply) write(w http.ResponseWriter, s seen, n int) {
	for k, v := range p.header {
		w.Header().Set(k, v)
	}
	if p.status != 0 {
		w.Header().Set("content-type", "application/json")
		w.WriteHeader(p.status)
		fmt.Fprintf(w, `{"type":"error","error":{"type":%q,"message":%q}}`, p.errType, p.message)
		return
	}
	if p.input == 0 {
		p.input = 100
	}
	if p.stop == "" {
		p.stop = "end_turn"
		if len(p.calls) > 0 {
			p.stop = "tool_use"
		}
	}
	type m = map[string]any
	var content []m
	if p.text != "" {
		content = append(content, m{"type": "text", "text": p.text})
	}
	for _, c := range p.calls {
		content = append(content, m{"type": "tool_use", "id": c.id, "name": c.name, "input": json.RawMessage(c.input)})
	}
	usage := m{"input_tokens": p.input, "output_tokens": 7, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
	msg := m{"id": fmt.Sprintf("msg_%d", n), "type": "message", "role": "assistant", "model": s.Body.Model, "usage": usage}
	if !s.Body.Stream {
		if p.cut {
			panic(http.ErrAbortHandler)
		}
		msg["content"], msg["stop_reason"] = content, p.stop
		json.NewEncoder(w).Encode(msg)
		return
	}
	w.Header().Set("content-type", "text/event-stream")
	event := func(kind string, v m) {
		v["type"] = kind
		b, _ := json.Marshal(v)
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, b)
	}
	msg["content"], msg["stop_reason"] = []m{}, nil
	event("message_start", m{"message": msg})
	for i, c := range content {
		delta := m{"type": "text_delta", "text": c["text"]}
		start := m{"type": "text", "text": ""}
		if c["type"] == "tool_use" {
			delta = m{"type": "input_json_delta", "partial_json": string(c["input"].(json.RawMessage))}
			start = m{"type": "tool_use", "id": c["id"], "name": c["name"], "input": m{}}
		}
		event("content_block_start", m{"index": i, "content_block": start})
		event("content_block_delta", m{"index": i, "delta": delta})
		if p.cut {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		event("content_block_stop", m{"index": i})
	}
	event("message_delta", m{"delta": m{"stop_reason": p.stop}, "usage": m{"output_tokens": 7}})
	event("message_stop", m{})
}

func (s seen) has(text string) bool { return strings.Contains(string(s.Raw), text) }

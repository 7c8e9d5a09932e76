package anthropic_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

func parse(t testing.TB, body string) *anthropic.Request {
	t.Helper()
	r, err := anthropic.Parse([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r
}

func TestParseRefuses(t *testing.T) {
	for body, want := range map[string]string{
		``:                                       "empty",
		`{"model":`:                              "not valid JSON",
		`{"model":"m"} x`:                        "not valid JSON",
		`[]`:                                     "not a JSON object",
		`"x"`:                                    "not a JSON object",
		`{"messages":[]}`:                        "model:",
		`{"model":"","messages":[]}`:             "model:",
		`{"model":null,"messages":[]}`:           "model:",
		`{"model":5,"messages":[]}`:              "model:",
		`{"model":"m"}`:                          "messages:",
		`{"model":"m","messages":{}}`:            "messages:",
		`{"model":"m","messages":"hi"}`:          "messages:",
		`{"model":"m","messages":null}`:          "messages:",
		`{"model":"m","messages":[],"system":5}`: "system:",
		`{"model":"m","messages":[],"tools":{"name":"x"}}`: "tools:",
		`{"model":"m","messages":[],"max_tokens":"10"}`:    "max_tokens:",
		`{"model":"m","messages":[],"max_tokens":-1}`:      "max_tokens:",
		`{"model":"m","messages":[],"stream":"yes"}`:       "stream:",
	} {
		_, err := anthropic.Parse([]byte(body))
		var e *anthropic.Error
		if !errors.As(err, &e) || e.Status != 400 || e.Type != "invalid_request_error" || e.Fault != anthropic.FaultRequest || !strings.Contains(e.Message, want) {
			t.Errorf("%s: got %v, want a 400 that says %q", body, err, want)
		}
	}
}

func TestParseEnvelope(t *testing.T) {
	r := parse(t, `{"model":"deep\u0073eek,x","max_tokens":32000,"stream":true,"messages":[{"role":"user","content":"hi"}],
		"tool_choice":{"type":"tool","name":"Read","disable_parallel_tool_use":true},"thinking":{"type":"enabled","budget_tokens":31999,"display":"omitted"},
		"output_config":{"effort":"high","format":{"type":"json_schema","schema":{"b":1, "a":2}}},"temperature":1.0,"top_p":0.90,"top_k":40,
		"stop_sequences":["a\n","b",7],"metadata":{"user_id":"{\"session_id\":\"s\"}"},"tools":[{"name":"x"}],"context_management":{"edits":[]},"new":[{}]}`)
	got := []any{r.Model, r.MaxTokens, r.Stream, r.Choice, r.Thinking, r.Effort, r.Format, r.Temperature, r.TopP, r.TopK, r.Stop, r.User, r.HasTools}
	want := []any{"deepseek,x", int64(32000), true, anthropic.ToolChoice{Type: "tool", Name: "Read", NoParallel: true},
		anthropic.ThinkingConfig{Type: "enabled", Budget: 31999, Display: "omitted"}, "high", anthropic.Raw(`{"type":"json_schema","schema":{"b":1, "a":2}}`),
		anthropic.Raw("1.0"), anthropic.Raw("0.90"), anthropic.Raw("40"), []anthropic.Raw{`"a\n"`, `"b"`}, `{"session_id":"s"}`, true}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("field %d: %#v, want %#v", i, got[i], want[i])
		}
	}
	r = parse(t, `{"model":"m","messages":[],"tools":[],"system":null,"tool_choice":null,"temperature":null,"metadata":null}`)
	if r.HasTools || r.Stream || r.MaxTokens != 0 || r.Temperature != "" || r.User != "" || r.Thinking.Type != "" || r.System() != nil || r.Messages() != nil {
		t.Errorf("absent and null fields are not zero: %+v", r)
	}
}

func TestParseConversation(t *testing.T) {
	r := parse(t, `{"model":"m","system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"b"}],"messages":[
		{"role":"user","content":"h\u00e9"},
		{"role":"system","content":"mid"},
		{"role":"system","content":[],"output_config":{"effort":"medium"}},
		{"role":"system","content":[{"type":"text","text":"c"}]},
		{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"redacted_thinking","data":"d"},{"type":"tool_use","id":"u1","name":"Read","input":{"b":1.0, "a":2}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"u1","is_error":true,"content":[{"type":"tool_reference","tool_name":"WebFetch"},{"type":"text","text":"r"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]},
			{"type":"tool_result","tool_use_id":"u2","content":"plain"},{"type":"tool_result","tool_use_id":"u3"},
			{"type":"document","title":"T","context":"C","source":{"type":"url","url":"https://x"}},{"type":"new_block","x":1}]},
		{"role":"user","content":null}]}`)
	if s := r.System(); len(s) != 2 || s[0].Text != `"a"` || s[0].Cache != `{"type":"ephemeral"}` || s[1].Cache != "" {
		t.Errorf("system: %+v", s)
	}
	if s := parse(t, `{"model":"m","messages":[],"system":"one"}`).System(); len(s) != 1 || s[0].Type != "text" || s[0].Text != `"one"` {
		t.Errorf("system as a string: %+v", s)
	}
	m := r.Messages()
	if len(m) != 7 {
		t.Fatalf("%d messages, want 7", len(m))
	}
	for i, want := range []struct {
		role   string
		blocks int
	}{{"user", 1}, {"system", 1}, {"system", 0}, {"system", 1}, {"assistant", 3}, {"user", 5}, {"user", 0}} {
		if m[i].Role != want.role || len(m[i].Content) != want.blocks {
			t.Errorf("message %d: %s with %d blocks, want %+v", i, m[i].Role, len(m[i].Content), want)
		}
	}
	if b := m[0].Content[0]; b.Type != "text" || b.Text != `"h\u00e9"` || b.Text.Text() != "hé" || b.Text.Inner() != `h\u00e9` {
		t.Errorf("a string content: %+v", b)
	}
	a := m[4].Content
	if a[0].Signature != "s" || a[0].Text != `"t"` || a[1].Text != `"d"` || a[2].ID != "u1" || a[2].Name != "Read" || a[2].Input != `{"b":1.0, "a":2}` {
		t.Errorf("assistant: %+v", a)
	}
	u := m[5].Content
	if res := u[0]; res.ID != "u1" || !res.IsError || len(res.Content) != 3 || res.Content[0].Name != "WebFetch" ||
		!reflect.DeepEqual(res.Content[2].Source, anthropic.Source{Type: "base64", MediaType: "image/png", Data: `"aGk="`}) {
		t.Errorf("tool_result: %+v", res)
	}
	if len(u[1].Content) != 1 || u[1].Content[0].Text != `"plain"` || u[2].Content != nil {
		t.Errorf("tool_result as a string, and empty: %+v %+v", u[1], u[2])
	}
	if u[3].Title != `"T"` || u[3].Context != `"C"` || u[3].Source.URL != "https://x" || u[4].Type != "new_block" || u[4].Raw != `{"type":"new_block","x":1}` {
		t.Errorf("document and unknown block: %+v %+v", u[3], u[4])
	}
	if !r.HasToolID("u1") || r.HasToolID("u2") {
		t.Error("HasToolID: u1 is a call, u2 only a result")
	}
}

func TestParseTools(t *testing.T) {
	tools := parse(t, `{"model":"m","messages":[],"tools":[{"name":"Read","description":"d","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}},
		{"type":"custom","name":"X","defer_loading":true},{"type":"web_search_20250305","name":"web_search","max_uses":8}]}`).Tools()
	if len(tools) != 3 || tools[0].Server() || tools[0].Schema != `{"type":"object"}` || tools[0].Description != `"d"` || tools[0].Cache == "" {
		t.Fatalf("%+v", tools)
	}
	if tools[1].Server() || !tools[1].Deferred || !tools[2].Server() || !tools[2].WebSearch() || tools[2].Raw.Get("max_uses").Int() != 8 {
		t.Errorf("%+v", tools)
	}
}

func TestSplitModel(t *testing.T) {
	for _, c := range []struct{ body, model, want string }{
		{`{"model":"m","messages":[]}`, "other", `{"model":"other","messages":[]}`},
		{" {\"messages\" : [ ] ,\n\"x\":1.50,\"model\"\t: \"a\\u0062\" } ", "z-ai/glm:free", " {\"messages\" : [ ] ,\n\"x\":1.50,\"model\"\t: \"z-ai/glm:free\" } "},
		{`{"metadata":{"model":"no"},"model":"yes","messages":[{"model":"no"}]}`, `q"<é`, `{"metadata":{"model":"no"},"model":"q\"<é","messages":[{"model":"no"}]}`},
		{`{"model":"first","messages":[],"model":"last"}`, "n", `{"model":"first","messages":[],"model":"n"}`},
	} {
		r := parse(t, c.body)
		if got := withModel(r, c.model); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.body, got, c.want)
		}
		if r.Body() != c.body || r.Size() != len(c.body) {
			t.Errorf("the body changed: %s", r.Body())
		}
	}
}

// Whatever the body, Parse says why not, or the request can be read to its last block.
func FuzzParse(f *testing.F) {
	f.Add(`{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"text"}]}]}],"tools":[1,{}],"system":["x"]}`)
	f.Fuzz(func(t *testing.T, body string) {
		r, err := anthropic.Parse([]byte(body))
		if err != nil {
			if !errors.As(err, new(*anthropic.Error)) {
				t.Fatalf("not an *Error: %v", err)
			}
			return
		}
		r.System()
		r.Messages()
		r.Tools()
		if other := parse(t, withModel(r, "other")); other.Model != "other" {
			t.Fatalf("SplitModel: %s", other.Body())
		}
	})
}

func withModel(r *anthropic.Request, model string) string {
	head, rest := r.SplitModel(model)
	return string(head) + rest
}

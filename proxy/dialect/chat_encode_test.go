package dialect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/dialect/dialecttest"
)

func encoded(t testing.TB, row, model string, body []byte) dialect.Call {
	t.Helper()
	r, err := dialect.Select(row, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	req, err := anthropic.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	call, err := r.Dialect.Encode(req, dialect.Options{Model: model, NewID: func(p string) string { return p + "1" }})
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// OpenAI answers an unknown key with a 400. Its own client's types take every key that they know and drop the others, so a
// body that comes back from them as it was has none.
func TestOpenAITakesTheBody(t *testing.T) {
	files, err := filepath.Glob("testdata/chat/openai-*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			f, err := dialecttest.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			body := encoded(t, f.Spec.Row, f.Spec.Model, []byte(f.Request.Body())).Body
			var p openai.ChatCompletionNewParams
			if err := json.Unmarshal(body, &p); err != nil {
				t.Fatal(err)
			}
			back, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			var got, want map[string]any
			if err := json.Unmarshal(back, &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(body, &want); err != nil {
				t.Fatal(err)
			}
			delete(want, "stream")                                                // the client sets it beside the parameters
			if choice := gjson.GetBytes(body, "tool_choice"); choice.IsObject() { // its union of choices reads none back
				if choice.Raw != `{"type":"function","function":{"name":"Read"}}` {
					t.Errorf("tool_choice is %s", choice.Raw)
				}
				delete(want, "tool_choice")
				delete(got, "tool_choice")
			}
			for _, m := range want["messages"].([]any) {
				if m := m.(map[string]any); m["content"] == nil {
					delete(m, "content") // null and absent are one to it
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("OpenAI's types read\n%s\nof\n%s", back, body)
			}
		})
	}
}

// conversation has 2n messages behind the first, with calls, results, images and late system messages.
func conversation(n, size int) []string {
	text := strings.Repeat("a line of a file with \\\"quotes\\\"\\n", max(1, size/35))
	ms := []string{`{"role":"user","content":[{"type":"text","text":"begin"}]}`, `{"role":"system","content":"environment"}`}
	for i := range n {
		ms = append(ms, fmt.Sprintf(`{"role":"assistant","content":[{"type":"thinking","thinking":"thought %d","signature":"ccrun1:deepseek:"},{"type":"text","text":"step %d"},{"type":"tool_use","id":"call_%d_a","name":"Read","input":{"file_path":"/f%d"}},{"type":"tool_use","id":"call_%d_b_with_an_id_that_is_longer_than_forty_characters","name":"Bash","input":{"command":"ls"}}]}`, i, i, i, i, i),
			fmt.Sprintf(`{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_%d_b_with_an_id_that_is_longer_than_forty_characters","content":[{"type":"text","text":"%s"}]},{"type":"tool_result","tool_use_id":"call_%d_a","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]},{"type":"text","text":"go on"}]}`, i, text, i))
	}
	return ms
}

func requestOf(messages []string, tools int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":"claude-test","max_tokens":32000,"stream":true,"thinking":{"type":"adaptive"},"system":[{"type":"text","text":"x-anthropic-billing-header: a;"},{"type":"text","text":"You are Claude Code."}],"messages":[`)
	b.WriteString(strings.Join(messages, ",") + `],"tools":[`)
	for i := range tools {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"Tool%d","description":"%s","input_schema":{"type":"object","properties":{"a":{"type":"string","description":"an argument"}},"required":["a"]}}`, i, strings.Repeat("It does something. ", 60))
	}
	b.WriteString("]}")
	return b.Bytes()
}

// The messages of a turn are a prefix of those of the next: that is what a provider's prompt cache looks for.
func TestTurnsArePrefixes(t *testing.T) {
	all := conversation(6, 50)
	for _, row := range []struct{ row, model string }{
		{"openai", "gpt-5"}, {"openai", "gpt-4.1"}, {"deepseek", "deepseek-v4-pro"}, {"openrouter", "anthropic/claude-sonnet-4.5"},
		{"openrouter", "x/y"}, {"ollama", "qwen3:8b"}, {"mistral", "mistral-large"}, {"vllm", "m"}, {"moonshot", "kimi-k2.5"},
	} {
		last := ""
		for n := 2; n <= len(all); n += 2 {
			body := encoded(t, row.row, row.model, requestOf(all[:n], 3)).Body
			list := gjson.GetBytes(body, "messages").Raw
			if !strings.HasPrefix(list, strings.TrimSuffix(last, "]")) {
				t.Fatalf("%s: turn %d does not begin as the turn before it\n%s\n%s", row.row, n/2, last, list)
			}
			if !gjson.ValidBytes(body) {
				t.Fatalf("%s: not JSON: %s", row.row, body)
			}
			last = list
		}
	}
}

// Names and ids that are too long must lead back to what the client knows, and be the same in call and result.
func TestShortenedNamesComeBack(t *testing.T) {
	name := strings.Repeat("long.tool", 10)
	call := encoded(t, "openai", "m", []byte(`{"model":"m","max_tokens":1,"tools":[{"name":"`+name+`","input_schema":{"type":"object","properties":{}}}],"messages":[{"role":"user","content":"x"}]}`))
	sent := gjson.GetBytes(call.Body, "tools.0.function.name").Str
	if len(sent) > 64 || sent == name {
		t.Fatalf("sent %q", sent)
	}
	reply := `{"choices":[{"message":{"tool_calls":[{"id":"c","function":{"name":"` + sent + `","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`
	for e, err := range call.Decode(dialect.Reply{Status: 200, Body: strings.NewReader(reply)}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == anthropic.ToolUse && e.Name != name {
			t.Errorf("the client gets %q", e.Name)
		}
	}
}

func TestEveryRowEncodes(t *testing.T) {
	body := requestOf(conversation(2, 50), 2)
	for _, name := range dialect.Names() {
		r, err := dialect.Select(name, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, model := range []string{"m", "gpt-5.1", "gpt-oss-120b", "qwen3-32b", "glm-4.6", "deepseek-v4", "kimi-k2.5", "grok-4", "o3-mini"} {
			call := encoded(t, r.Name, model, body)
			b := append(call.Body, call.Rest...)
			if !gjson.ValidBytes(b) {
				t.Errorf("%s %s: not JSON: %s", name, model, b)
			}
			for _, leak := range []string{"cache_control", `"signature"`, `"thinking":"`, "billing-header"} {
				if !slices.Contains([]string{"anthropic", "bedrock", "vertex-claude"}, r.Name) && bytes.Contains(b, []byte(leak)) {
					t.Errorf("%s %s: %s is in the body", name, model, leak)
				}
			}
		}
	}
}

package dialect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"google.golang.org/genai"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/dialect/dialecttest"
)

const skipSignature = "skip_thought_signature_validator"

func encodedGemini(t testing.TB, row, model string, body []byte) dialect.Call {
	t.Helper()
	d, err := dialect.NewGemini(row, nil)
	if err != nil {
		t.Fatal(err)
	}
	req, err := anthropic.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	call, err := d.Encode(req, dialect.Options{Model: model, NewID: func(p string) string { return p + "1" }})
	if err != nil {
		t.Fatal(err)
	}
	return call
}

func geminiFixtures(t testing.TB) map[string]*dialecttest.Fixture {
	files, err := filepath.Glob("testdata/gemini/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	out := map[string]*dialecttest.Fixture{}
	for _, file := range files {
		f, err := dialecttest.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(file)] = f
	}
	return out
}

// geminiBody is a request as Google's own client types have it.
type geminiBody struct {
	Contents          []*genai.Content
	SystemInstruction *genai.Content
	Tools             []*genai.Tool
	ToolConfig        *genai.ToolConfig
	GenerationConfig  *genai.GenerationConfig
	SafetySettings    []*genai.SafetySetting
	Labels            map[string]string
}

// checkGemini judges a body as Google does: no unknown key, roles that take turns from user to user, parts that say one thing,
// behind a turn with calls one with a response for each in their order, and for Gemini 3 a signature on the first call.
func checkGemini(body []byte, major int) error {
	// The words go as they are, where the types have bytes.
	plain := bytes.ReplaceAll(body, []byte(`"thoughtSignature":"`+skipSignature+`"`), []byte(`"thoughtSignature":"c2tpcA=="`))
	var b geminiBody
	d := json.NewDecoder(bytes.NewReader(plain))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return err
	}
	var owed []*genai.FunctionCall
	for i, c := range b.Contents {
		if want := []string{"user", "model"}[i%2]; c.Role != want || len(c.Parts) == 0 {
			return fmt.Errorf("content %d has role %q and %d parts", i, c.Role, len(c.Parts))
		}
		if err := checkResponses(c, owed); err != nil {
			return fmt.Errorf("content %d: %w", i, err)
		}
		owed = nil
		for _, p := range c.Parts {
			if p.FunctionCall == nil {
				continue
			}
			if major >= 3 && len(owed) == 0 && p.ThoughtSignature == nil {
				return fmt.Errorf("content %d: the first call has no signature", i)
			}
			owed = append(owed, p.FunctionCall)
		}
	}
	if len(b.Contents)%2 == 0 {
		return fmt.Errorf("the last of %d contents is not the user's", len(b.Contents))
	}
	for _, t := range b.Tools {
		for _, f := range t.FunctionDeclarations {
			if f.Name == "" || f.Description == "" || f.ParametersJsonSchema != nil {
				return fmt.Errorf("function %+v", f)
			}
		}
	}
	list := gjson.GetBytes(body, "tools.#.functionDeclarations.#.parameters|@flatten").Array()
	for _, schema := range list {
		if err := checkSchema(schema.Raw, true); err != nil {
			return err
		}
	}
	return nil
}

func checkResponses(c *genai.Content, owed []*genai.FunctionCall) error {
	for i, p := range c.Parts {
		r := p.FunctionResponse
		if (r != nil) != (i < len(owed)) {
			return fmt.Errorf("%d calls, but part %d is %+v", len(owed), i, p)
		}
		if r != nil && (r.Name != owed[i].Name || r.ID != owed[i].ID || len(r.Response) != 1) {
			return fmt.Errorf("call %+v is answered by %+v", owed[i], r)
		}
	}
	if len(c.Parts) < len(owed) {
		return fmt.Errorf("%d calls, %d parts behind them", len(owed), len(c.Parts))
	}
	return nil
}

func majorOf(model string) int {
	if strings.Contains(model, "gemini-3") {
		return 3
	}
	return 2
}

func TestGeminiTakesTheBody(t *testing.T) {
	for name, f := range geminiFixtures(t) {
		d, err := geminiOf(f.Spec)
		if err != nil {
			t.Fatal(err)
		}
		call, err := d.Encode(f.Request, dialect.Options{Model: f.Spec.Model, NewID: func(p string) string { return p }})
		if name == "nothing.txtar" {
			continue
		}
		if err != nil {
			t.Fatal(name, err)
		}
		if err := checkGemini(call.Body, majorOf(f.Spec.Model)); err != nil {
			t.Errorf("%s: %v\n%s", name, err, call.Body)
		}
	}
}

// The contents of a turn are a prefix of those of the next, and so is all that stands before them.
func TestGeminiTurnsArePrefixes(t *testing.T) {
	all := conversation(6, 50)
	for _, model := range []string{"gemini-2.5-pro", "gemini-3-pro-preview"} {
		last := ""
		for n := 2; n <= len(all); n += 2 {
			body := string(encodedGemini(t, "gemini", model, requestOf(all[:n], 3)).Body)
			if err := checkGemini([]byte(body), majorOf(model)); err != nil {
				t.Fatalf("%v\n%s", err, body)
			}
			if !strings.HasPrefix(body, strings.TrimSuffix(last, "]}")) {
				t.Fatalf("%s: turn %d does not begin as the turn before it\n%s\n%s", model, n/2, last, body)
			}
			last = body
		}
	}
}

// What Gemini says comes back to it in the next turn with each signature on the part that had it, whether the answer came in
// one chunk or in one for each part, and whether the client took it as a stream or as JSON.
func TestGeminiSignaturesComeBack(t *testing.T) {
	for _, c := range []struct{ name, parts, want string }{
		{"a call", `{"functionCall":{"name":"Bash","args":{"command":"x"}},"thoughtSignature":"QQ=="}`, ""},
		{"a thought before it", `{"text":"hm","thought":true},{"functionCall":{"name":"Bash","args":{}},"thoughtSignature":"QQ=="}`,
			`{"functionCall":{"name":"Bash","args":{}},"thoughtSignature":"QQ=="}`},
		{"parallel calls", `{"functionCall":{"name":"Bash","args":{"a":1}},"thoughtSignature":"QQ=="},{"functionCall":{"name":"Read","args":{}}},{"functionCall":{"name":"Bash","args":{"a":2}}}`, ""},
		{"each signed", `{"functionCall":{"name":"Bash","args":{}},"thoughtSignature":"QQ=="},{"functionCall":{"name":"Read","args":{}},"thoughtSignature":"Qg=="}`, ""},
		{"text and call", `{"text":"I look.","thoughtSignature":"QQ=="},{"functionCall":{"name":"Bash","args":{}},"thoughtSignature":"Qg=="}`, ""},
		{"an empty text behind", `{"text":"I look."},{"text":"","thoughtSignature":"QQ=="},{"functionCall":{"name":"Bash","args":{}},"thoughtSignature":"Qg=="}`, ""},
		{"a signed thought", `{"thought":true,"text":"hm","thoughtSignature":"QQ=="},{"functionCall":{"name":"Bash","args":{}}}`,
			`{"thought":true,"text":"hm","thoughtSignature":"QQ=="},{"functionCall":{"name":"Bash","args":{}},"thoughtSignature":"` + skipSignature + `"}`},
		{"one text", `{"text":"Done.","thoughtSignature":"QQ=="}`, ""},
		{"a search beside functions", `{"toolCall":{"id":"s","args":{"queries":["q"]}},"thoughtSignature":"QQ=="},{"toolResponse":{"id":"s","response":{}}},{"text":"Found."}`, ""},
	} {
		want := c.want
		if want == "" {
			want = c.parts
		}
		for _, apart := range []bool{false, true} {
			call := encodedGemini(t, "vertex-gemini", "gemini-3-pro-preview", []byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}`))
			message := collected(t, call, geminiReply(c.parts, apart))
			if got := nextTurn(t, message); got != "["+want+"]" {
				t.Errorf("%s, apart: %v\n got %s\nwant [%s]", c.name, apart, got, want)
			}
		}
	}
}

func geminiReply(parts string, apart bool) string {
	list := gjson.Parse("[" + parts + "]").Array()
	var b strings.Builder
	for i, p := range list {
		switch {
		case apart:
			fmt.Fprintf(&b, `data: {"candidates":[{"content":{"parts":[%s]}}]}`+"\n\n", p.Raw)
		case i == 0:
			fmt.Fprintf(&b, `data: {"candidates":[{"content":{"parts":[%s]}}]}`+"\n\n", parts)
		}
	}
	return b.String() + `data: {"candidates":[{"finishReason":"STOP"}]}` + "\n\n"
}

// collected is the content that a client has of a reply.
func collected(t *testing.T, call dialect.Call, reply string) gjson.Result {
	t.Helper()
	n := 0
	r, err := anthropic.Collect(call.Decode(dialect.Reply{Status: 200, Body: strings.NewReader(reply)}),
		anthropic.Options{Model: "m", NewID: func(p string) string { n++; return fmt.Sprint(p, n) }})
	if err != nil {
		t.Fatal(err)
	}
	return gjson.GetBytes(r.JSON, "content")
}

// nextTurn sends an answer back, with results for its calls, and returns the parts that Gemini is sent of it.
func nextTurn(t *testing.T, content gjson.Result) string {
	t.Helper()
	user := `{"type":"text","text":"go on"}`
	for _, b := range content.Array() {
		if b.Get("type").Str == "tool_use" {
			user += `,{"type":"tool_result","tool_use_id":` + b.Get("id").Raw + `,"content":"ok"}`
		}
	}
	body := encodedGemini(t, "vertex-gemini", "gemini-3-pro-preview", []byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":`+
		content.Raw+`},{"role":"user","content":[`+user+`]}]}`)).Body
	if err := checkGemini(body, 3); err != nil {
		t.Error(err)
	}
	return gjson.GetBytes(body, "contents.1.parts").Raw
}

// An answer must not end with an empty thinking block: Claude Code takes the last block for the result.
func TestGeminiEndsWithItsText(t *testing.T) {
	call := encodedGemini(t, "gemini", "gemini-3-pro-preview", []byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}`))
	content := collected(t, call, geminiReply(`{"text":"hm","thought":true},{"text":"a"},{"text":"b","thoughtSignature":"QQ=="},{"text":"","thoughtSignature":"Qg=="}`, true))
	blocks := content.Array()
	if last := blocks[len(blocks)-1]; last.Get("type").Str != "text" || last.Get("text").Str != "ab" {
		t.Errorf("the answer is %s", content.Raw)
	}
}

func TestGeminiGenerations(t *testing.T) {
	body := []byte(`{"model":"m","max_tokens":100000,"thinking":{"type":"adaptive"},"output_config":{"effort":"max"},"messages":[{"role":"user","content":"x"}]}`)
	for model, want := range map[string]string{
		"gemini-2.5-pro":                `{"includeThoughts":true,"thinkingBudget":32768}`,
		"google/gemini-2.5-flash-09":    `{"includeThoughts":true,"thinkingBudget":24576}`,
		"gemini-2.5-flash-lite":         `{"includeThoughts":true,"thinkingBudget":24576}`,
		"gemini-2.5-flash-image":        ``,
		"gemini-3-pro":                  `{"includeThoughts":true,"thinkingLevel":"HIGH"}`,
		"gemini-3.1-pro-preview":        `{"includeThoughts":true,"thinkingLevel":"HIGH"}`,
		"Gemini-3-Flash":                `{"includeThoughts":true,"thinkingLevel":"HIGH"}`,
		"gemini-flash-latest":           `{"includeThoughts":true,"thinkingLevel":"HIGH"}`,
		"gemini-2.0-flash-thinking-exp": ``,
		"gemini-pro":                    ``,
		"gemma-3-27b-it":                ``,
	} {
		got := gjson.GetBytes(encodedGemini(t, "gemini", model, body).Body, "generationConfig.thinkingConfig").Raw
		if got != want {
			t.Errorf("%s: %s, want %s", model, got, want)
		}
	}
}

func TestGeminiOptions(t *testing.T) {
	for _, o := range []map[string]any{{"project": 5}, {"location": ""}, {"contents": []any{}}, {"model": "x"}} {
		if _, err := dialect.NewGemini("vertex-gemini", []dialect.Use{{Name: "vertex-gemini", Options: o}}); err == nil {
			t.Errorf("%v is taken", o)
		}
	}
}

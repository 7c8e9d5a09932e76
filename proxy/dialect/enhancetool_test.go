package dialect_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

// What a repair would have to guess is passed on as it came: the client tells the model of it.
func TestEnhanceToolRefuses(t *testing.T) {
	const tools = `{"name":"Write","input_schema":{"type":"object","properties":{"file_path":{"type":"string"},"content":{"type":"string"}},"required":["file_path","content"]}},` +
		`{"name":"mcp__files__patch","input_schema":{"type":"object","properties":{"edits":{"type":"array","items":{"type":"object","properties":{"new_string":{"type":"string"}}}}}}},` +
		`{"name":"Odd","input_schema":{"type":"object","properties":{"a":{"$ref":"https://example.org/schema.json"}}}},` +
		`{"name":"Grep","input_schema":{"type":"object","properties":{"pattern":{"type":"string"},"head_limit":{"type":"number"}},"required":["pattern"],"additionalProperties":false}}`
	row, err := dialect.Select("", "", []dialect.Use{{Name: "enhancetool"}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := anthropic.Parse([]byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[` + tools + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ tool, input, want, note string }{
		{"Write", "{\"file_path\":\"f\",\"content\":\"a\nb\"}", "", "content of a file"},
		{"Write", `{"file_path":"f","content":"\d"}`, "", "content of a file"},
		{"Write", `{'file_path':'f','content':'a'}`, "", "content of a file"},
		{"Write", `{"file_path":"f","content":"a`, "", "cannot be repaired"},
		{"Write", `{"file_path":"f","content":"'a' : \"b\",}",}`, `{"file_path":"f","content":"'a' : \"b\",}"}`, "was repaired: it had a comma too many"},
		{"mcp__files__patch", `{'edits':[]}`, "", "content of a file"},
		{"mcp__files__patch", `{"edits":[],}`, `{"edits":[]}`, "was repaired"},
		{"Grep", `{query: "a"}`, "", "does not match the tool's schema"},
		{"Grep", `{"pattern":"a","head_limit":"5",}`, "", "does not match the tool's schema"},
		{"Grep", `{"pattern":"a","head_limit":5,}`, `{"pattern":"a","head_limit":5}`, "was repaired"},
		{"Grep", `{"pattern":"a"`, `{"pattern":"a"}`, "a missing bracket"},
		{"Grep", `{"pattern":"a`, "", "cannot be repaired"},
		{"Odd", `{"a":1,}`, "", "does not match"},
		{"Other", `{a:1}`, "", "no such tool"},
		{"Grep", `["a"]`, "", "cannot be repaired"},
		{"Grep", ` {"query": 1} `, "", ""}, // it is JSON: what is wrong with it is the client's to say
		{"Grep", "", "", ""},
	} {
		var notes []string
		call, err := row.Dialect.Encode(req, dialect.Options{Model: "m", NewID: func(p string) string { return p }, Note: func(n string) { notes = append(notes, n) }})
		if err != nil {
			t.Fatal(err)
		}
		body := fmt.Sprintf(`{"choices":[{"message":{"tool_calls":[{"id":"c","function":{"name":%q,"arguments":%s}}]},"finish_reason":"tool_calls"}]}`,
			c.tool, anthropic.Quote(c.input))
		got := ""
		for e, err := range call.Decode(dialect.Reply{Status: 200, Body: bytes.NewReader([]byte(body))}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == anthropic.ToolInput {
				got += e.Text
			}
		}
		if want := c.want; want == "" && got != c.input || want != "" && got != want {
			t.Errorf("%s %q became %q, want %q", c.tool, c.input, got, want)
		}
		if all := strings.Join(notes, "\n"); (c.note == "") != (all == "") || !strings.Contains(all, c.note) {
			t.Errorf("%s %q: the notes are %q, want %q", c.tool, c.input, all, c.note)
		}
	}
}

package dialect_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

// sentBy is what a row sends for a model.
func sentBy(t *testing.T, row, model, request string) string {
	t.Helper()
	found, err := dialect.Select(row, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	req, err := anthropic.Parse([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	call, err := found.Dialect.Encode(req, dialect.Options{Model: model, NewID: func(p string) string { return p + "1" }})
	if err != nil {
		t.Fatal(err)
	}
	return string(call.Body) + call.Rest
}

// What is said of a row is what it does with a search, and with thinking that was its own.
func TestDescribe(t *testing.T) {
	ownModel := map[string]string{"gemini": "gemini-3-pro", "vertex": "gemini-3-pro", "vertex-gemini": "gemini-3-pro"}
	kind := map[string]string{"vertex": "vertex-gemini"}
	searches := regexp.MustCompile(`"googleSearch"|"plugins":\[|"type":"web_search|"web_search_options"`)
	for _, row := range dialect.Rows() {
		about, ok := dialect.Describe(row)
		if !ok {
			t.Errorf("row %s is not described", row)
			continue
		}
		model := ownModel[row]
		if model == "" {
			model = "a-model"
		}
		if about.Search == "search models" {
			model = "gpt-4o-search-preview"
		}
		body := sentBy(t, row, model, `{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"find"}],"tools":[{"type":"web_search_20250305","name":"web_search"}]}`)
		if got := searches.MatchString(body); got != (about.Search != "no") && row != "bedrock" { // a copy of the client's request
			t.Errorf("row %s: search is %q, but what is sent is %s", row, about.Search, body)
		}
		model = ownModel[row]
		signature := `EqQB`
		switch {
		case strings.Contains(about.Language, "gemini"):
			k := row
			if kind[row] != "" {
				k = kind[row]
			}
			signature = "ccrun1:" + k + ":t" + model + "|deep"
		case about.Language == "chat":
			signature, model = `ccrun1:`+row+`:[{\"type\":\"reasoning.text\",\"text\":\"deep\"}]`, "a-model"
		}
		body = sentBy(t, row, model, `{"model":"m","max_tokens":9000,"stream":true,"thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"find"},`+
			`{"role":"assistant","content":[{"type":"text","text":"I do."},{"type":"thinking","thinking":"deep","signature":"`+signature+`"},{"type":"tool_use","id":"a","name":"b","input":{}}]},`+
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"c"}]}],"tools":[{"name":"b","input_schema":{"type":"object"}}]}`)
		if got := strings.Contains(body, "deep"); got != (about.Thinking == "sent back") {
			t.Errorf("row %s: thinking is %q, but what is sent is %s", row, about.Thinking, body)
		}
	}
	if _, ok := dialect.Describe("nobody"); ok {
		t.Error("a row is described that there is none of")
	}
}

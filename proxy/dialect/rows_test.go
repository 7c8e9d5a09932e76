package dialect_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

// Tests of what all rows of a language have in common.

func parsed(t *testing.T, request string) *anthropic.Request {
	t.Helper()
	req, err := anthropic.Parse([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// Every row of chat tells cache reads apart from plain input, in each form in which providers report them.
func TestChatCacheUsage(t *testing.T) {
	forms := map[string]string{
		"details":      `{"prompt_tokens":1500,"completion_tokens":60,"prompt_tokens_details":{"cached_tokens":1400}}`,
		"hit and miss": `{"prompt_tokens":1500,"completion_tokens":60,"prompt_cache_hit_tokens":1400,"prompt_cache_miss_tokens":100}`,
		"top level":    `{"prompt_tokens":1500,"completion_tokens":60,"cached_tokens":1400}`,
	}
	rows := 0
	for _, row := range dialect.Rows() {
		about, _ := dialect.Describe(row)
		if about.Language != "chat" {
			continue
		}
		rows++
		found, err := dialect.Select(row, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		for form, usage := range forms {
			call, err := found.Dialect.Encode(parsed(t, `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`), dialect.Options{Model: "m", NewID: func(p string) string { return p + "1" }})
			if err != nil {
				t.Fatal(err)
			}
			body := `data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}` + "\n\n" + `data: {"choices":[],"usage":` + usage + "}\n\ndata: [DONE]\n\n"
			reply, err := anthropic.Collect(call.Decode(dialect.Reply{Status: 200, Header: map[string][]string{"Content-Type": {"text/event-stream"}}, Body: strings.NewReader(body)}),
				anthropic.Options{NewID: func(p string) string { return p + "1" }})
			if err != nil {
				t.Fatalf("%s: %v", row, err)
			}
			if u := reply.Usage; !u.Known || u.CacheRead != 1400 || u.Input != 100 || u.Output != 60 {
				t.Errorf("%s, %s: %+v", row, form, u)
			}
		}
	}
	if rows < 25 {
		t.Errorf("only %d rows speak chat", rows)
	}
}

const wholeTurn = `{"model":"m","max_tokens":900,"stream":true,"thinking":{"type":"adaptive"},"system":"Be brief.","messages":[` +
	`{"role":"user","content":[{"type":"text","text":"Look."},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]},` +
	`{"role":"assistant","content":[{"type":"text","text":"Two reads."},{"type":"tool_use","id":"toolu_1","name":"Read","input":{"file_path":"a"}},{"type":"tool_use","id":"toolu_2","name":"Read","input":{"file_path":"b"}}]},` +
	`{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_2","content":"B"},{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"A"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]}],` +
	`"tools":[{"name":"Read","description":"Reads.","input_schema":{"type":"object","properties":{"file_path":{"type":"string"}}}},{"type":"web_search_20250305","name":"web_search"}]}`

// What the Responses API is sent and what is read of it does not depend on who serves it: tools, parallel calls, images and
// the round trip of reasoning.
func TestResponsesRows(t *testing.T) {
	reply := strings.Join([]string{
		`data: {"type":"response.output_item.done","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"deep"}],"encrypted_content":"gAAAAA-own"}}`,
		`data: {"type":"response.output_item.done","output_index":1,"item":{"id":"fc_1","type":"function_call","call_id":"call_1","name":"Read","arguments":"{\"file_path\":\"c\"}"}}`,
		`data: {"type":"response.output_item.done","output_index":2,"item":{"id":"fc_2","type":"function_call","call_id":"call_2","name":"Read","arguments":"{\"file_path\":\"d\"}"}}`,
		`data: {"type":"response.completed","response":{"model":"gpt-5.1","status":"completed","usage":{"input_tokens":50,"input_tokens_details":{"cached_tokens":40},"output_tokens":9}}}`,
	}, "\n\n") + "\n\n"
	o := dialect.Options{Model: "gpt-5.1", NewID: func(p string) string { return p + "1" }}
	for _, row := range []string{"openai", "azure", "openrouter", "vllm"} {
		d, err := selectResponses(row, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		call, err := d.Encode(parsed(t, wholeTurn), o)
		if err != nil {
			t.Fatal(err)
		}
		var calls, results []string
		gjson.GetBytes(call.Body, "input").ForEach(func(_, item gjson.Result) bool {
			switch item.Get("type").Str {
			case "function_call":
				calls = append(calls, item.Get("call_id").Str)
			case "function_call_output":
				results = append(results, item.Get("call_id").Str)
			}
			return true
		})
		slices.Sort(results)
		if want := []string{"toolu_1", "toolu_2"}; !slices.Equal(calls, want) || !slices.Equal(results, want) {
			t.Errorf("%s: calls %v, results %v", row, calls, results)
		}
		if n := strings.Count(string(call.Body), `data:image/png;base64,iVBORw0KGgo=`); n != 2 {
			t.Errorf("%s: %d images in %s", row, n, call.Body)
		}
		if row != "vllm" && !strings.Contains(string(call.Body), `"web_search"`) && !strings.Contains(string(call.Body), `"plugins"`) {
			t.Errorf("%s: no search in %s", row, call.Body)
		}
		got, err := anthropic.Collect(call.Decode(dialect.Reply{Status: 200, Header: map[string][]string{"Content-Type": {"text/event-stream"}}, Body: strings.NewReader(reply)}),
			anthropic.Options{NewID: o.NewID})
		if err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		if got.Stop != "tool_use" || gjson.GetBytes(got.JSON, `content.#(type=="tool_use")#.id`).Raw != `["call_1","call_2"]` || got.Usage.CacheRead != 40 || got.Usage.Input != 10 {
			t.Errorf("%s: %s", row, got.JSON)
		}
		next := `{"model":"m","max_tokens":900,"thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"x"},{"role":"assistant","content":` + gjson.GetBytes(got.JSON, "content").Raw +
			`},{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":"C"},{"type":"tool_result","tool_use_id":"call_2","content":"D"}]}],"tools":[{"name":"Read","input_schema":{"type":"object"}}]}`
		again, err := d.Encode(parsed(t, next), o)
		if err != nil {
			t.Fatal(err)
		}
		body := string(again.Body)
		reasoning, first := strings.Index(body, `"encrypted_content":"gAAAAA-own"`), strings.Index(body, `"call_id":"call_1"`)
		if reasoning < 0 || first < reasoning {
			t.Errorf("%s: the reasoning does not stand before its call: %s", row, body)
		}
	}
}

// The clouds that serve Anthropic's models are sent the client's conversation and tools byte for byte: images, parallel calls
// and the search among them.
func TestCloudsCopyTheConversation(t *testing.T) {
	for row, model := range map[string]string{"bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0", "vertex-claude": "claude-sonnet-4-5@20250929"} {
		found, err := dialect.Select(row, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		call, err := found.Dialect.Encode(parsed(t, wholeTurn), dialect.Options{Model: model, NewID: func(p string) string { return p + "1" }})
		if err != nil {
			t.Fatal(err)
		}
		body := string(call.Body) + call.Rest
		for _, part := range []string{"messages", "tools", "system"} {
			if got, want := gjson.Get(body, part).Raw, gjson.Get(wholeTurn, part).Raw; got != want {
				t.Errorf("%s: %s is\n%s\nwant\n%s", row, part, got, want)
			}
		}
	}
}

// A level of thinking that a model is known not to have is never asked of it.
func TestEffortsOfTheModel(t *testing.T) {
	found, err := dialect.Select("openai", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		effort string
		limits dialect.Limits
		want   string
	}{
		{"high", dialect.Limits{}, "high"},
		{"xhigh", dialect.Limits{Efforts: []string{"low", "medium", "high"}}, "high"},
		{"medium", dialect.Limits{Efforts: []string{"low", "high", "max"}}, "high"},
		{"low", dialect.Limits{Efforts: []string{"medium"}}, "medium"},
		{"high", dialect.Limits{NoThinking: true}, "none"},
	} {
		call, err := found.Dialect.Encode(parsed(t, `{"model":"m","max_tokens":99,"thinking":{"type":"adaptive"},"output_config":{"effort":"`+c.effort+`"},"messages":[{"role":"user","content":"hi"}]}`),
			dialect.Options{Model: "gpt-5.1", Limits: c.limits, NewID: func(p string) string { return p + "1" }})
		if err != nil {
			t.Fatal(err)
		}
		if got := gjson.GetBytes(call.Body, "reasoning_effort").Str; got != c.want {
			t.Errorf("%s with %+v: %q, want %q", c.effort, c.limits, got, c.want)
		}
	}
}

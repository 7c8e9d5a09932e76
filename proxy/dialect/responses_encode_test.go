package dialect_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3/responses"
	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/dialect/dialecttest"
)

func encodedResponses(t testing.TB, provider, model string, body []byte) dialect.Call {
	t.Helper()
	d, err := selectResponses(provider, "", nil)
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

// OpenAI answers an unknown key with a 400. Its own client's types take every key that they know and drop the others, so a
// body that comes back from them as it was has none.
func TestOpenAITakesTheResponsesBody(t *testing.T) {
	files, err := filepath.Glob("testdata/responses/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	bodies := 0
	for _, file := range files {
		f, err := dialecttest.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := selectedResponses(f.Spec)
		if err != nil {
			t.Fatal(err)
		}
		call, err := d.Encode(f.Request, dialect.Options{Model: f.Spec.Model, Session: f.Spec.Session, NewID: func(p string) string { return p }})
		if err != nil || f.Spec.Row == "openrouter" {
			continue // nothing is sent; its own parameters
		}
		bodies++
		t.Run(filepath.Base(file), func(t *testing.T) { openAITakes(t, call.Body) })
	}
	if bodies < 10 {
		t.Errorf("only %d bodies", bodies)
	}
}

func openAITakes(t *testing.T, body []byte) {
	var p responses.ResponseNewParams
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatal(err)
	}
	back, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var got, want map[string]any
	if err := errors.Join(json.Unmarshal(back, &got), json.Unmarshal(body, &want)); err != nil {
		t.Fatal(err)
	}
	delete(want, "stream")                                                // the client sets it beside the parameters
	if choice := gjson.GetBytes(body, "tool_choice"); choice.IsObject() { // it takes this for another kind of choice
		var c responses.ToolChoiceFunctionParam
		if err := json.Unmarshal([]byte(choice.Raw), &c); err != nil {
			t.Fatal(err)
		}
		got["tool_choice"] = map[string]any{"type": string(c.Type), "name": c.Name}
	}
	for _, item := range got["input"].([]any) {
		if item := item.(map[string]any); item["type"] == "reasoning" && item["id"] == "" {
			delete(item, "id") // the client writes one that is absent as an empty one
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("OpenAI's types read\n%s\nof\n%s", back, body)
	}
}

// What the model reasoned comes back to it: as the client keeps it, before the call that followed, byte for byte what the item
// had at its end.
func TestResponsesReasoningReturns(t *testing.T) {
	f, err := dialecttest.Read("testdata/responses/openai-turns.txtar")
	if err != nil {
		t.Fatal(err)
	}
	d, err := selectedResponses(f.Spec)
	if err != nil {
		t.Fatal(err)
	}
	o := dialect.Options{Model: f.Spec.Model, NewID: func(p string) string { return p + "1" }}
	call, err := d.Encode(f.Request, o)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := anthropic.Collect(call.Decode(dialect.Reply{Status: 200, Body: strings.NewReader(string(f.Body))}), anthropic.Options{NewID: o.NewID})
	if err != nil {
		t.Fatal(err)
	}
	answer := `{"role":"assistant","content":` + gjson.GetBytes(reply.JSON, "content").Raw + `}`
	next := `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"},` + answer + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_3","content":"y"}]}]}`
	for model, want := range map[string]string{
		f.Spec.Model: `user reasoning assistant function_call function_call function_call_output function_call_output`,
		"gpt-5-mini": `user assistant function_call function_call function_call_output function_call_output`,
	} {
		req, err := anthropic.Parse([]byte(next))
		if err != nil {
			t.Fatal(err)
		}
		o.Model = model
		call, err := d.Encode(req, o)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		gjson.GetBytes(call.Body, "input").ForEach(func(_, item gjson.Result) bool {
			got = append(got, strings.TrimPrefix(item.Get("type").Str, "message")+item.Get("role").Str)
			return true
		})
		if strings.Join(got, " ") != want {
			t.Errorf("%s: sent %v, want %s", model, got, want)
		}
		item := gjson.GetBytes(call.Body, "input.1").Raw
		if model == f.Spec.Model && item != `{"type":"reasoning","summary":[{"type":"summary_text","text":"Look at the file."},{"type":"summary_text","text":"Then decide."}],"encrypted_content":"gAAAAA-final=="}` {
			t.Errorf("the reasoning is sent as %s", item)
		}
	}
}

// The input of a turn is a prefix of that of the next: that is what a provider's prompt cache looks for.
func TestResponsesTurnsArePrefixes(t *testing.T) {
	all := conversation(6, 50)
	for _, target := range []struct{ provider, model string }{{"openai", "gpt-5.1"}, {"openai", "gpt-4.1"}, {"azure", "gpt-5"}, {"openrouter", "x/y"}} {
		last := ""
		for n := 2; n <= len(all); n += 2 {
			body := encodedResponses(t, target.provider, target.model, requestOf(all[:n], 3)).Body
			if !gjson.ValidBytes(body) {
				t.Fatalf("%s: not JSON: %s", target.provider, body)
			}
			list := gjson.GetBytes(body, "input").Raw
			if !strings.HasPrefix(list, strings.TrimSuffix(last, "]")) {
				t.Fatalf("%s: turn %d does not begin as the turn before it\n%s\n%s", target.provider, n/2, last, list)
			}
			last = list
		}
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// deepseek is DeepSeek's chat completions in thinking mode.
type deepseek struct{ thought map[string]string } // by call

func newDeepseek() *deepseek { return &deepseek{map[string]string{}} }

func (*deepseek) entry() string {
	return `{"name":"deepseek","api_base_url":%q,"api_key":"$KEY","models":["deepseek-v4-pro"],"transformer":{"use":["deepseek"]}}`
}

func (*deepseek) key(h http.Header) string {
	return strings.TrimPrefix(h.Get("Authorization"), "Bearer ")
}

func (*deepseek) refusal(message string) string {
	return fmt.Sprintf(`{"error":{"message":%q,"type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`, message)
}

func (d *deepseek) judge(body gjson.Result) string {
	if k := stranger(body, "", "model messages thinking reasoning_effort max_tokens stream stream_options temperature top_p stop tools tool_choice response_format"); k != "" {
		return "Failed to deserialize the JSON body into the target type: unknown field `" + k + "`"
	}
	var open []string // calls that have no result yet
	for i, m := range body.Get("messages").Array() {
		role := m.Get("role").Str
		keys := map[string]string{"system": "role content name", "user": "role content name", "tool": "role content tool_call_id",
			"assistant": "role content name prefix reasoning_content tool_calls"}[role]
		if k := stranger(m, "", keys); k != "" {
			return fmt.Sprintf("Failed to deserialize the JSON body into the target type: messages[%d]: unknown field `%s`", i, k)
		}
		if m.Get("content").IsArray() {
			return fmt.Sprintf("Failed to deserialize the JSON body into the target type: messages[%d]: invalid type: sequence, expected a string", i)
		}
		if role == "tool" {
			id := m.Get("tool_call_id").Str
			if !slices.Contains(open, id) {
				return "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
			}
			open = slices.DeleteFunc(open, func(s string) bool { return s == id })
			continue
		}
		if len(open) > 0 {
			break
		}
		for _, c := range m.Get("tool_calls").Array() {
			id := c.Get("id").Str
			open = append(open, id)
			if r := m.Get("reasoning_content"); !r.Exists() || r.Str != d.thought[id] { // a call of another's is not known: ""
				return "The `reasoning_content` in the thinking mode must be passed back to the API."
			}
		}
	}
	if len(open) > 0 {
		return "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. (insufficient tool messages following tool_calls message)"
	}
	if body.Get("thinking.type").Str != "enabled" {
		return "this test wants thinking"
	}
	return ""
}

func (*deepseek) results(body gjson.Result) []string {
	var out []string
	for _, m := range body.Get("messages").Array() {
		if m.Get("role").Str == "tool" {
			out = append(out, m.Get("content").Str)
		}
	}
	return out
}

func (d *deepseek) say(t turn, _ string) reply {
	for _, c := range t.calls {
		d.thought[c.id] = t.thinking
	}
	u := t.usage
	return reply{reasoning: t.thinking, text: t.text, calls: t.calls, usage: fmt.Sprintf(
		`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_cache_hit_tokens":%d,"prompt_cache_miss_tokens":%d,"completion_tokens_details":{"reasoning_tokens":%d}}`,
		u.input+u.cacheRead, u.output, u.input+u.cacheRead+u.output, u.cacheRead, u.input, u.reasoning)}
}

var reasoningContent = regexp.MustCompile(`"reasoning_content":"(\\.|[^"\\])*",?`)

func (*deepseek) spoilt(body string) []badRequest {
	return []badRequest{
		{"no reasoning", reasoningContent.ReplaceAllString(body, ""), "must be passed back"},
		{"other reasoning", reasoningContent.ReplaceAllString(body, `"reasoning_content":"other",`), "must be passed back"},
		{"orphan result", without(body, "messages", func(m gjson.Result) bool { return m.Get("tool_calls").Exists() }), "must be a response to"},
		{"unanswered call", without(body, "messages", func(m gjson.Result) bool { return m.Get("role").Str == "tool" }), "must be followed by tool messages"},
	}
}

// openai is OpenAI's Responses API with a reasoning model that keeps nothing.
type openai struct {
	items  map[string]string // reasoning items as they were given, by their encrypted content
	before map[string]string // the encrypted content that a call stood behind, by call
	asked  bool              // for encrypted reasoning, by the last request
}

func newOpenAI() *openai { return &openai{items: map[string]string{}, before: map[string]string{}} }

func (*openai) entry() string {
	return `{"name":"openai","api_base_url":"%[1]s/v1","api_key":"$KEY","models":["gpt-5.1"],"transformer":{"use":["openai-responses"]}}`
}

func (*openai) key(h http.Header) string {
	return strings.TrimPrefix(h.Get("Authorization"), "Bearer ")
}

func (*openai) refusal(message string) string {
	return fmt.Sprintf(`{"error":{"message":%q,"type":"invalid_request_error","param":"input","code":null}}`, message)
}

// itemKeys are what an item of the input may have.
var itemKeys = map[string]string{
	"message": "type role content id status", "reasoning": "type id summary content encrypted_content status",
	"function_call": "type id call_id name arguments status", "function_call_output": "type id call_id output status",
}

func (o *openai) judge(body gjson.Result) string {
	if k := stranger(body, "", "model input instructions stream store max_output_tokens tool_choice tools reasoning include prompt_cache_key text parallel_tool_calls temperature top_p metadata"); k != "" {
		return "Unknown parameter: '" + k + "'."
	}
	for i, tool := range body.Get("tools").Array() {
		if k := stranger(tool, fmt.Sprintf("tools[%d]", i), "type name description parameters strict"); k != "" {
			return "Unknown parameter: '" + k + "'."
		}
	}
	if body.Get("temperature").Exists() || body.Get("top_p").Exists() {
		return "Unsupported parameter: 'temperature' is not supported with this model."
	}
	var calls, answered, reasoned []string
	for i, item := range body.Get("input").Array() {
		kind, id := item.Get("type").Str, item.Get("call_id").Str
		if k := stranger(item, fmt.Sprintf("input[%d]", i), itemKeys[kind]); k != "" {
			return "Unknown parameter: '" + k + "'."
		}
		switch kind {
		case "reasoning":
			sealed := item.Get("encrypted_content").Str
			if given := o.items[sealed]; given == "" || gjson.Get(given, "summary.#.text").Raw != item.Get("summary.#.text").Raw {
				return "The encrypted content " + sealed + " could not be verified. Reason: Encrypted content could not be decrypted or parsed."
			}
			reasoned = append(reasoned, sealed)
		case "function_call":
			calls = append(calls, id)
			if sealed := o.before[id]; sealed != "" && !slices.Contains(reasoned, sealed) {
				return fmt.Sprintf("Item 'fc_%s' of type 'function_call' was provided without its required 'reasoning' item: 'rs_%[1]s'.", id)
			}
		case "function_call_output":
			answered = append(answered, id)
			if !slices.Contains(calls, id) {
				return "No tool call found for function call output with call_id " + id + "."
			}
		}
	}
	for _, id := range calls {
		if !slices.Contains(answered, id) {
			return "No tool output found for function call " + id + "."
		}
	}
	o.asked = strings.Contains(body.Get("include").Raw, `"reasoning.encrypted_content"`) && body.Get("store").Raw == "false"
	return ""
}

func (*openai) results(body gjson.Result) []string {
	var out []string
	for _, item := range body.Get("input").Array() {
		if item.Get("type").Str == "function_call_output" {
			out = append(out, item.Get("output").Str)
		}
	}
	return out
}

func (o *openai) say(t turn, model string) reply {
	var events, output []object
	add := func(kind string, index int, more object) {
		more["type"], more["output_index"], more["sequence_number"] = kind, index, len(events)
		events = append(events, more)
	}
	item := func(whole object, deltas func(index int)) {
		index, empty := len(output), object{}
		for k, v := range whole {
			empty[k] = v
		}
		for _, k := range []string{"summary", "content"} {
			if empty[k] != nil {
				empty[k] = []object{}
			}
		}
		if empty["arguments"] != nil {
			empty["arguments"] = ""
		}
		add("response.output_item.added", index, object{"item": empty})
		deltas(index)
		add("response.output_item.done", index, object{"item": whole})
		output = append(output, whole)
	}
	response := func(status string, usage any) object {
		return object{"id": "resp_" + t.id, "object": "response", "status": status, "model": model, "output": output, "usage": usage}
	}
	add("response.created", 0, object{"response": response("in_progress", nil)})
	if t.thinking != "" {
		sealed := "gAAAA-" + t.id
		whole := object{"id": "rs_" + t.id, "type": "reasoning", "summary": []object{{"type": "summary_text", "text": t.thinking}}}
		if o.asked {
			whole["encrypted_content"] = sealed
		}
		kept, err := json.Marshal(whole)
		if err != nil {
			panic(err)
		}
		o.items[sealed] = string(kept)
		for _, c := range t.calls {
			o.before[c.id] = sealed
		}
		item(whole, func(index int) {
			for _, p := range inPieces(t.thinking) {
				add("response.reasoning_summary_text.delta", index, object{"item_id": "rs_" + t.id, "summary_index": 0, "delta": p})
			}
		})
	}
	if t.text != "" {
		part := object{"type": "output_text", "text": t.text, "annotations": []object{}}
		item(object{"id": "msg_" + t.id, "type": "message", "role": "assistant", "status": "completed", "content": []object{part}}, func(index int) {
			for _, p := range inPieces(t.text) {
				add("response.output_text.delta", index, object{"item_id": "msg_" + t.id, "content_index": 0, "delta": p})
			}
		})
	}
	for _, c := range t.calls {
		item(object{"id": "fc_" + c.id, "type": "function_call", "status": "completed", "call_id": c.id, "name": c.name, "arguments": c.args}, func(index int) {
			for _, p := range inPieces(c.args) {
				add("response.function_call_arguments.delta", index, object{"item_id": "fc_" + c.id, "delta": p})
			}
		})
	}
	u := t.usage
	add("response.completed", 0, object{"response": response("completed", object{
		"input_tokens": u.input + u.cacheRead, "input_tokens_details": object{"cached_tokens": u.cacheRead},
		"output_tokens": u.output, "output_tokens_details": object{"reasoning_tokens": u.reasoning}})})
	return stream(events...)
}

func (*openai) spoilt(body string) []badRequest {
	is := func(kind string) func(gjson.Result) bool {
		return func(item gjson.Result) bool { return item.Get("type").Str == kind }
	}
	return []badRequest{
		{"no reasoning", without(body, "input", is("reasoning")), "without its required 'reasoning' item"},
		{"foreign reasoning", strings.ReplaceAll(body, "gAAAA-", "gBBBB-"), "could not be verified"},
		{"orphan result", without(body, "input", is("function_call")), "No tool call found"},
		{"unanswered call", without(body, "input", is("function_call_output")), "No tool output found"},
	}
}

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

// google is the Gemini API with a model that signs its calls.
type google struct{ signs map[string]string } // by call, "" for one without

func newGoogle() *google { return &google{map[string]string{}} }

func (*google) entry() string {
	return `{"name":"gemini","api_base_url":"%[1]s/v1beta/models/","api_key":"$KEY","models":["gemini-3-pro-preview"],"transformer":{"use":["gemini"]}}`
}

func (*google) key(h http.Header) string { return h.Get("X-Goog-Api-Key") }

func (*google) refusal(message string) string {
	return fmt.Sprintf(`{"error":{"code":400,"message":%q,"status":"INVALID_ARGUMENT"}}`, message)
}

// schemaKeys are what a Schema of a function's parameters may have.
const schemaKeys = "type format title description nullable enum items minItems maxItems properties required propertyOrdering " +
	"minProperties maxProperties minimum maximum minLength maxLength pattern example default anyOf"

func (g *google) judge(body gjson.Result) string {
	k := stranger(body, "", "contents systemInstruction tools toolConfig generationConfig safetySettings cachedContent")
	for i, d := range body.Get("tools.0.functionDeclarations").Array() {
		at := fmt.Sprintf("tools[0].function_declarations[%d]", i)
		if k == "" {
			k = stranger(d, at, "name description parameters parametersJsonSchema")
		}
		if k == "" {
			k = badSchema(d.Get("parameters"), at+".parameters")
		}
	}
	var calls []gjson.Result // of the content before
	for i, c := range body.Get("contents").Array() {
		role := c.Get("role").Str
		if role != []string{"user", "model"}[i%2] {
			return "Please ensure that multiturn requests alternate between user and model."
		}
		if role == "user" {
			if wrong := paired(calls, c); wrong != "" {
				return wrong
			}
		}
		calls = nil
		for j, p := range c.Get("parts").Array() {
			if k == "" {
				k = stranger(p, fmt.Sprintf("contents[%d].parts[%d]", i, j), "text thought thoughtSignature functionCall functionResponse inlineData fileData")
			}
			call := p.Get("functionCall")
			if !call.Exists() {
				continue
			}
			want, own := g.signs[call.Get("id").Str]
			if !own && len(calls) == 0 {
				want = "skip_thought_signature_validator"
			}
			if p.Get("thoughtSignature").Str != want {
				return fmt.Sprintf("Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly. "+
					"Additional data, function call `default_api:%s`, position %d.", call.Get("name").Str, i)
			}
			calls = append(calls, call)
		}
	}
	if len(calls) > 0 {
		return "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
	}
	if k != "" {
		return `Invalid JSON payload received. Unknown name "` + k + `": Cannot find field.`
	}
	return ""
}

// paired tells what is wrong with the answers to calls.
func paired(calls []gjson.Result, user gjson.Result) string {
	var results []gjson.Result
	for _, p := range user.Get("parts").Array() {
		if r := p.Get("functionResponse"); r.Exists() {
			results = append(results, r)
			if !r.Get("response").IsObject() {
				return `Invalid value at 'function_response.response' (type.googleapis.com/google.protobuf.Struct)`
			}
		}
	}
	if len(results) != len(calls) {
		return "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
	}
	for i, c := range calls {
		if results[i].Get("name").Str != c.Get("name").Str || results[i].Get("id").Str != c.Get("id").Str {
			return "Please ensure that function response turn comes immediately after a function call turn."
		}
	}
	return ""
}

// badSchema is a key of a schema that Gemini does not know.
func badSchema(v gjson.Result, at string) string {
	found := stranger(v, at, schemaKeys)
	inner := append(v.Get("anyOf").Array(), v.Get("items"))
	v.Get("properties").ForEach(func(_, p gjson.Result) bool {
		inner = append(inner, p)
		return true
	})
	for _, p := range inner {
		if found == "" && p.Exists() {
			found = badSchema(p, at)
		}
	}
	return found
}

func (*google) results(body gjson.Result) []string {
	var out []string
	for _, c := range body.Get("contents").Array() {
		for _, p := range c.Get("parts").Array() {
			if r := p.Get("functionResponse.response"); r.Exists() {
				out = append(out, r.Get("result").Str+r.Get("error").Str)
			}
		}
	}
	return out
}

func (g *google) say(t turn, _ string) reply {
	var events []object
	u := t.usage
	chunk := func(finish any, part object) {
		c := object{"index": 0, "content": object{"role": "model", "parts": []object{part}}}
		if finish != nil {
			c["finishReason"] = finish
		}
		events = append(events, object{"candidates": []object{c}, "modelVersion": "gemini-3-pro-preview", "responseId": t.id, "usageMetadata": object{
			"promptTokenCount": u.input + u.cacheRead, "cachedContentTokenCount": u.cacheRead,
			"candidatesTokenCount": u.output - u.reasoning, "thoughtsTokenCount": u.reasoning}})
	}
	for _, p := range inPieces(t.thinking) {
		chunk(nil, object{"text": p, "thought": true})
	}
	for _, p := range inPieces(t.text) {
		chunk(nil, object{"text": p})
	}
	for i, c := range t.calls {
		var args any
		if err := json.Unmarshal([]byte(c.args), &args); err != nil {
			panic(err)
		}
		part := object{"functionCall": object{"id": c.id, "name": c.name, "args": args}}
		sign := ""
		if i == 0 { // of several calls only the first has one
			sign = "sign+" + c.id + "/=="
			part["thoughtSignature"] = sign
		}
		g.signs[c.id] = sign
		chunk(nil, part)
	}
	chunk("STOP", object{"text": ""})
	return stream(events...)
}

var thoughtSignature = regexp.MustCompile(`,?"thoughtSignature":"[^"]*"`)

func (*google) spoilt(body string) []badRequest {
	has := func(part string) func(gjson.Result) bool {
		return func(c gjson.Result) bool { return strings.Contains(c.Raw, `"`+part+`":{`) }
	}
	return []badRequest{
		{"no signature", thoughtSignature.ReplaceAllString(body, ""), "missing a thought_signature"},
		{"other signature", strings.ReplaceAll(body, "sign+", "sigh+"), "missing a thought_signature"},
		{"orphan response", without(body, "contents", has("functionCall")), "alternate"},
		{"unanswered call", without(body, "contents.2.parts", has("functionResponse")), "number of function response parts"},
	}
}

// claudeAPI is Anthropic's Messages API.
type claudeAPI struct {
	thought map[string]string // by signature
	signs   map[string]string // the signature that a call stood behind, by call
}

func newClaude() *claudeAPI { return &claudeAPI{map[string]string{}, map[string]string{}} }

func (*claudeAPI) entry() string {
	return `{"name":"anthropic","api_base_url":%q,"api_key":"$KEY","models":["claude-sonnet-5-5"],"transformer":{"use":["Anthropic"]}}`
}

func (*claudeAPI) key(h http.Header) string { return h.Get("X-Api-Key") }

func (*claudeAPI) refusal(message string) string {
	return fmt.Sprintf(`{"type":"error","error":{"type":"invalid_request_error","message":%q}}`, message)
}

var toolID = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

func (a *claudeAPI) judge(body gjson.Result) string {
	if k := stranger(body, "", "model messages system tools tool_choice metadata max_tokens thinking context_management output_config stream temperature top_p top_k stop_sequences service_tier"); k != "" {
		return k + ": Extra inputs are not permitted"
	}
	var open []string
	for i, m := range body.Get("messages").Array() {
		if m.Get("role").Str == "system" {
			continue
		}
		var calls, results []string
		first := ""
		for j, b := range m.Get("content").Array() {
			at := fmt.Sprintf("messages.%d.content.%d", i, j)
			id := b.Get("id").Str
			switch kind := b.Get("type").Str; kind {
			case "thinking":
				sign := b.Get("signature").Str
				if said, ok := a.thought[sign]; !ok || said != b.Get("thinking").Str {
					return at + ": Invalid `signature` in `thinking` block"
				}
				first = sign
			case "tool_use":
				calls = append(calls, id)
				if !toolID.MatchString(id) {
					return at + ".tool_use.id: String should match pattern '" + toolID.String() + "'"
				}
				if own := a.signs[id]; own != "" && own != first {
					return at + ".type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final `assistant` message must start with a thinking block."
				}
			case "tool_result":
				id = b.Get("tool_use_id").Str
				if !slices.Contains(open, id) {
					return at + ": unexpected `tool_use_id` found in `tool_result` blocks: " + id + ". Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
				}
				results = append(results, id)
			}
		}
		if len(results) != len(open) {
			break
		}
		open = calls
	}
	if len(open) > 0 {
		return "`tool_use` ids were found without `tool_result` blocks immediately after: " + strings.Join(open, ", ") + ". Each `tool_use` block must have a corresponding `tool_result` block in the next message."
	}
	return ""
}

func (*claudeAPI) results(body gjson.Result) []string {
	var out []string
	for _, m := range body.Get("messages").Array() {
		for _, b := range m.Get("content").Array() {
			if b.Get("type").Str == "tool_result" {
				out = append(out, text(b.Get("content")))
			}
		}
	}
	return out
}

func (a *claudeAPI) say(t turn, model string) reply {
	u := t.usage
	usage := object{"input_tokens": u.input, "cache_read_input_tokens": u.cacheRead, "cache_creation_input_tokens": u.cacheWrite, "output_tokens": 1}
	events := []object{{"type": "message_start", "message": object{"id": "msg_" + t.id, "type": "message", "role": "assistant", "model": model,
		"content": []object{}, "stop_reason": nil, "stop_sequence": nil, "usage": usage}}}
	blocks := 0
	block := func(start object, deltas ...object) {
		events = append(events, object{"type": "content_block_start", "index": blocks, "content_block": start})
		for _, d := range deltas {
			events = append(events, object{"type": "content_block_delta", "index": blocks, "delta": d})
		}
		events = append(events, object{"type": "content_block_stop", "index": blocks})
		blocks++
	}
	deltas := func(kind, key, s string) (out []object) {
		for _, p := range inPieces(s) {
			out = append(out, object{"type": kind, key: p})
		}
		return out
	}
	if t.thinking != "" {
		sign := "EqQB" + t.id
		a.thought[sign] = t.thinking
		for _, c := range t.calls {
			a.signs[c.id] = sign
		}
		block(object{"type": "thinking", "thinking": "", "signature": ""},
			append(deltas("thinking_delta", "thinking", t.thinking), object{"type": "signature_delta", "signature": sign})...)
	}
	if t.text != "" {
		block(object{"type": "text", "text": ""}, deltas("text_delta", "text", t.text)...)
	}
	stop := "end_turn"
	for _, c := range t.calls {
		stop = "tool_use"
		block(object{"type": "tool_use", "id": c.id, "name": c.name, "input": object{}}, deltas("input_json_delta", "partial_json", c.args)...)
	}
	events = append(events, object{"type": "message_delta", "delta": object{"stop_reason": stop, "stop_sequence": nil},
		"usage": object{"output_tokens": u.output, "output_tokens_details": object{"thinking_tokens": u.reasoning}}}, object{"type": "message_stop"})
	return stream(events...)
}

func (a *claudeAPI) spoilt(body string) []badRequest {
	all := []badRequest{
		{"orphan result", without(body, "messages", func(m gjson.Result) bool { return m.Get("role").Str == "assistant" }), "unexpected `tool_use_id`"},
		{"unanswered call", without(body, "messages", func(m gjson.Result) bool { return strings.Contains(m.Raw, `"type":"tool_result"`) }), "without `tool_result` blocks"},
	}
	if strings.Contains(body, `"signature"`) { // not where all thinking was another's
		all = append(all, badRequest{"foreign signature", strings.ReplaceAll(body, "EqQB", "ccrun1:deepseek:"), "Invalid `signature`"},
			badRequest{"no thinking", thoughtless(body), "Expected `thinking`"})
	}
	return all
}

// thoughtless is a body without its thinking.
func thoughtless(body string) string {
	for i, m := range gjson.Get(body, "messages").Array() {
		if m.Get("role").Str == "assistant" {
			body = without(body, fmt.Sprintf("messages.%d.content", i), func(b gjson.Result) bool { return b.Get("type").Str == "thinking" })
		}
	}
	return body
}

package anthropictest

import (
	"strings"
	"testing"
)

// stream makes frames of lines, each a type and the fields behind it.
func stream(lines ...string) []byte {
	var b strings.Builder
	for _, line := range lines {
		kind, fields, _ := strings.Cut(line, " ")
		b.WriteString("event: " + kind + "\ndata: {\"type\":\"" + kind + "\"" + fields + "}\n\n")
	}
	return []byte(b.String())
}

const (
	begin  = `message_start ,"message":{"id":"m","type":"message","role":"assistant","model":"x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}`
	open0  = `content_block_start ,"index":0,"content_block":{"type":"text","text":""}`
	delta0 = `content_block_delta ,"index":0,"delta":{"type":"text_delta","text":"a"}`
	close0 = `content_block_stop ,"index":0`
	call0  = `content_block_start ,"index":0,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}`
	input0 = `content_block_delta ,"index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}`
	tail   = `message_delta ,"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1}`
	cutEnd = `message_delta ,"delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"output_tokens":1}`
)

func TestCheck(t *testing.T) {
	for name, lines := range map[string][]string{
		"text":             {begin, "ping", open0, delta0, close0, "ping", tail, "message_stop"},
		"nothing":          {begin, tail, "message_stop"},
		"a call cut short": {begin, call0, input0, close0, cutEnd, "message_stop"},
		"an unknown block": {begin, `content_block_start ,"index":0,"content_block":{"type":"new"}`, `content_block_delta ,"index":0,"delta":{"type":"new_delta"}`, close0, tail, "message_stop"},
		"unknown reasons":  {begin, `message_delta ,"delta":{"stop_reason":"new"},"usage":{"output_tokens":1}`, "message_stop"},
	} {
		if err := Check(stream(lines...)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, lines := range map[string][]string{
		"no head":                      {open0, delta0, close0, tail, "message_stop"},
		"two heads":                    {begin, begin, tail, "message_stop"},
		"ping first":                   {"ping", begin, tail, "message_stop"},
		"no end":                       {begin, open0, delta0, close0, tail},
		"no message_delta":             {begin, open0, delta0, close0, "message_stop"},
		"two message_deltas":           {begin, tail, tail, "message_stop"},
		"a frame behind the end":       {begin, tail, "message_stop", "ping"},
		"an open block":                {begin, open0, delta0, tail, "message_stop"},
		"a block in a block":           {begin, open0, open0, close0, tail, "message_stop"},
		"a block behind message_delta": {begin, tail, open0, close0, "message_stop"},
		"a wrong index":                {begin, strings.Replace(open0, "0", "1", 1), tail, "message_stop"},
		"a delta of another block":     {begin, open0, strings.Replace(delta0, "0", "1", 1), close0, tail, "message_stop"},
		"a delta without a block":      {begin, delta0, tail, "message_stop"},
		"a stop without a block":       {begin, close0, tail, "message_stop"},
		"a delta of another type":      {begin, open0, input0, close0, tail, "message_stop"},
		"an input that is cut":         {begin, call0, input0, close0, tail, "message_stop"},
		"an input at the start":        {begin, strings.Replace(call0, "{}", `{"a":1}`, 1), close0, tail, "message_stop"},
		"an id twice":                  {begin, call0, close0, strings.Replace(call0, "0", "1", 1), strings.Replace(close0, "0", "1", 1), tail, "message_stop"},
		"a call without an id":         {begin, strings.Replace(call0, `"id":"t"`, `"id":""`, 1), close0, tail, "message_stop"},
		"tool_use without a call":      {begin, strings.Replace(tail, "end_turn", "tool_use", 1), "message_stop"},
		"a stop string too many":       {begin, strings.Replace(tail, `"stop_sequence":null`, `"stop_sequence":"E"`, 1), "message_stop"},
		"a stop string too few":        {begin, strings.Replace(tail, "end_turn", "stop_sequence", 1), "message_stop"},
		"no reason":                    {begin, strings.Replace(tail, `"end_turn"`, "null", 1), "message_stop"},
		"no usage":                     {begin, strings.Replace(tail, `{"output_tokens":1}`, "{}", 1), "message_stop"},
		"a count in quotes":            {begin, strings.Replace(tail, `"output_tokens":1`, `"output_tokens":"1"`, 1), "message_stop"},
		"a negative count":             {begin, strings.Replace(tail, `"output_tokens":1`, `"output_tokens":-1`, 1), "message_stop"},
		"a delta behind the signature": {begin, `content_block_start ,"index":0,"content_block":{"type":"thinking","thinking":"","signature":""}`,
			`content_block_delta ,"index":0,"delta":{"type":"signature_delta","signature":"s"}`, `content_block_delta ,"index":0,"delta":{"type":"thinking_delta","thinking":"h"}`, close0, tail, "message_stop"},
		"results without a search": {begin, `content_block_start ,"index":0,"content_block":{"type":"web_search_tool_result","tool_use_id":"s","content":[]}`, close0, tail, "message_stop"},
		"an error":                 {begin, `error ,"error":{"type":"api_error","message":"x"}`},
		"an unknown event":         {begin, "new_event", tail, "message_stop"},
	} {
		if err := Check(stream(lines...)); err == nil {
			t.Errorf("%s: taken for right", name)
		}
	}
	for name, raw := range map[string]string{
		"empty": "", "half a frame": string(stream(begin, tail, "message_stop")) + "data: {", "another event line": strings.Replace(string(stream(begin, tail, "message_stop")), "event: message_stop", "event: ping", 1),
		"no event line": strings.Replace(string(stream(begin, tail, "message_stop")), "event: message_stop\n", "", 1), "no JSON": "event: ping\ndata: x\n\n",
	} {
		if err := Check([]byte(raw)); err == nil {
			t.Errorf("%s: taken for right", name)
		}
	}
}

func TestSame(t *testing.T) {
	const message = `{"id":"other","type":"message","role":"assistant","model":"x","content":[{"type":"text","text":"a"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"output_tokens":1,"input_tokens":1}}`
	s := stream(begin, open0, delta0, close0, tail, "message_stop")
	if err := CheckMessage([]byte(message)); err != nil {
		t.Error(err)
	}
	if err := Same(s, []byte(message)); err != nil {
		t.Error(err)
	}
	for _, change := range []string{`"text":"a"`, `"end_turn"`, `"input_tokens":1`, `"model":"x"`} {
		other := strings.Replace(message, change, change[:len(change)-1]+`9`+change[len(change)-1:], 1)
		if err := Same(s, []byte(other)); err == nil {
			t.Errorf("%s: taken for the same", other)
		}
	}
	for _, bad := range []string{``, `{}`, strings.Replace(message, `"content":[`, `"content":[{"type":"tool_use","id":"t","name":"n","input":"{}"},`, 1), strings.Replace(message, `"end_turn"`, "null", 1)} {
		if err := CheckMessage([]byte(bad)); err == nil {
			t.Errorf("%s: taken for right", bad)
		}
	}
}

package dialect

import (
	"bufio"
	"io"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// maxReply is the longest reply that is read whole, in bytes.
const maxReply = 64 << 20

// readJSON reads a reply that is one JSON object.
func readJSON(r Reply, body *bufio.Reader) (gjson.Result, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxReply+1))
	switch {
	case err != nil:
		return gjson.Result{}, cutOff(err)
	case len(data) > maxReply:
		return gjson.Result{}, noReply("more than 64 MiB of JSON", data)
	case !gjson.ValidBytes(data) && strings.HasPrefix(strings.TrimSpace(string(data[:min(len(data), 100)])), "{"):
		return gjson.Result{}, ErrTruncated
	}
	doc := gjson.ParseBytes(data)
	switch {
	case !gjson.ValidBytes(data) || !doc.IsObject():
		return doc, noReply("no JSON object", data)
	case doc.Get("type").Str == "error" || doc.Get("error").IsObject():
		return doc, streamError(r, data)
	}
	return doc, nil
}

// decodeMessage reads a JSON message: as it is for a client that asked for it, as events for one that asked for a stream.
func decodeMessage(r Reply, body *bufio.Reader, stream bool, yield func(anthropic.Event, error) bool) {
	doc, err := readJSON(r, body)
	if err == nil && !doc.Get("content").IsArray() {
		err = noReply("JSON that is no message", []byte(doc.Raw))
	}
	if err != nil {
		yield(anthropic.Event{}, err)
		return
	}
	usage := nativeUsage(doc.Get("usage"))
	stop := anthropic.Event{Kind: anthropic.Stop, Text: doc.Get("stop_reason").Str, Name: doc.Get("stop_sequence").Str, Usage: usage}
	if !stream {
		stop.Raw = []byte{}
		whole := anthropic.Event{Kind: anthropic.Native, Text: "message", Name: doc.Get("model").Str, Raw: []byte(doc.Raw), Usage: usage}
		_ = yield(whole, nil) && yield(stop, nil)
		return
	}
	if !yield(anthropic.Event{Kind: anthropic.Start, Text: doc.Get("model").Str, Usage: usage}, nil) {
		return
	}
	for i, b := range doc.Get("content").Array() {
		events, err := blockEvents(i, b)
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(anthropic.Event{}, err)
			return
		}
	}
	yield(stop, nil)
}

// blockEvents makes events of the i-th content block.
func blockEvents(i int, b gjson.Result) ([]anthropic.Event, error) {
	switch kind, name := b.Get("type").Str, b.Get("name").Str; {
	case kind == "text":
		return []anthropic.Event{{Kind: anthropic.Text, Text: b.Get("text").Str}}, nil
	case kind == "thinking":
		return []anthropic.Event{
			{Kind: anthropic.Thinking, Text: b.Get("thinking").Str},
			{Kind: anthropic.Signature, Text: b.Get("signature").Str},
		}, nil
	case kind == "redacted_thinking":
		return []anthropic.Event{{Kind: anthropic.Redacted, Text: b.Get("data").Str}}, nil
	case kind == "tool_use":
		return []anthropic.Event{
			{Kind: anthropic.ToolUse, Call: i, ID: b.Get("id").Str, Name: name},
			{Kind: anthropic.ToolInput, Call: i, Text: b.Get("input").Raw},
		}, nil
	case kind == "server_tool_use" && name == "web_search":
		return []anthropic.Event{{Kind: anthropic.Search, ID: b.Get("id").Str, Text: b.Get("input.query").Str}}, nil
	case kind == "web_search_tool_result" && b.Get("content").IsArray():
		var out []anthropic.Event
		for _, hit := range b.Get("content").Array() {
			out = append(out, anthropic.Event{Kind: anthropic.SearchResult, ID: b.Get("tool_use_id").Str, Raw: []byte(hit.Raw)})
		}
		return out, nil
	}
	return nil, noReply("a whole message in place of a stream, with a block that does not fit into one", []byte(b.Raw))
}

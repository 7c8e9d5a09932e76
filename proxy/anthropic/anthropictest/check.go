// Package anthropictest judges what a client is sent: Check the grammar of an event stream, CheckMessage that of a JSON
// message, and Same whether the two say the same to anthropic-sdk-go. It is stricter than any client, and for tests alone.
package anthropictest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// deltas are the types of delta that a block of a type may have. A block of another type may have any.
var deltas = map[string][]string{
	"text":                   {"text_delta", "citations_delta"},
	"thinking":               {"thinking_delta", "signature_delta"},
	"redacted_thinking":      {},
	"tool_use":               {"input_json_delta"},
	"server_tool_use":        {"input_json_delta"},
	"web_search_tool_result": {},
}

// Check reads a whole event stream and returns the first breach of its grammar:
//
//	message_start ( content_block_start content_block_delta* content_block_stop )* message_delta message_stop
//
// with pings anywhere behind message_start.
func Check(stream []byte) error {
	var c checker
	frames := strings.Split(strings.ReplaceAll(string(stream), "\r\n", "\n"), "\n\n")
	if last := frames[len(frames)-1]; last != "" {
		return fmt.Errorf("the stream ends inside a frame: %q", last)
	}
	for i, frame := range frames[:len(frames)-1] {
		if err := c.frame(frame); err != nil {
			return fmt.Errorf("frame %d: %w: %s", i+1, err, frame)
		}
	}
	if !c.stopped {
		return errors.New("the stream ends without message_stop")
	}
	return nil
}

type checker struct {
	message, delta, stopped bool

	index  int64
	open   string // type of the open block
	signed bool   // the open block had its signature
	input  bytes.Buffer

	ids, searches map[string]bool
	calls         int
	badInput      string // an input that is no JSON object: only max_tokens explains that
}

func (c *checker) frame(frame string) error {
	var event, data string
	for line := range strings.SplitSeq(frame, "\n") {
		switch name, value, _ := strings.Cut(line, ":"); name {
		case "event":
			event = strings.TrimSpace(value)
		case "data":
			data += strings.TrimSpace(value)
		case "", "id", "retry":
		default:
			return fmt.Errorf("unknown field %q", name)
		}
	}
	if event == "" && data == "" {
		return nil // a comment
	}
	v := gjson.Parse(data)
	switch {
	case !gjson.Valid(data) || !v.IsObject():
		return errors.New("data is not a JSON object")
	case v.Get("type").Str != event:
		return errors.New("the event line differs from data.type")
	case c.stopped:
		return errors.New("a frame behind message_stop")
	case !c.message && event != "message_start":
		return errors.New("a frame before message_start")
	}
	return c.event(event, v)
}

func (c *checker) event(event string, v gjson.Result) error {
	switch event {
	case "ping":
		return nil
	case "message_start":
		return c.start(v.Get("message"))
	case "content_block_start":
		return c.blockStart(v)
	case "content_block_delta":
		return c.blockDelta(v)
	case "content_block_stop":
		return c.blockStop(v)
	case "message_delta":
		return c.messageDelta(v)
	case "message_stop":
		if !c.delta {
			return errors.New("message_stop without message_delta")
		}
		c.stopped = true
		return nil
	}
	return fmt.Errorf("unknown event %q", event)
}

func (c *checker) start(m gjson.Result) error {
	if c.message {
		return errors.New("a second message_start")
	}
	c.message, c.ids, c.searches = true, map[string]bool{}, map[string]bool{}
	if m.Get("content").Raw != "[]" || m.Get("stop_reason").Type != gjson.Null {
		return errors.New("message_start has content or a stop reason already")
	}
	return errors.Join(head(m), counts(m.Get("usage"), "input_tokens", "output_tokens"))
}

func (c *checker) blockStart(v gjson.Result) error {
	b := v.Get("content_block")
	kind := b.Get("type").Str
	switch {
	case c.delta:
		return errors.New("a block behind message_delta")
	case c.open != "":
		return fmt.Errorf("a block inside an open %s block", c.open)
	case kind == "":
		return errors.New("a block without a type")
	case v.Get("index").Raw != fmt.Sprint(c.index):
		return fmt.Errorf("index %s, expected %d", v.Get("index").Raw, c.index)
	}
	c.open, c.signed = kind, false
	c.input.Reset()
	return c.block(b, true)
}

// block checks one content block; opening tells that its text and input are still to come.
func (c *checker) block(b gjson.Result, opening bool) error {
	switch kind := b.Get("type").Str; kind {
	case "text":
		if b.Get("text").Type != gjson.String {
			return errors.New("a text block without text")
		}
	case "thinking":
		if b.Get("thinking").Type != gjson.String || b.Get("signature").Type != gjson.String {
			return errors.New("a thinking block without thinking or signature")
		}
	case "tool_use", "server_tool_use":
		id, input := b.Get("id").Str, b.Get("input")
		switch {
		case id == "" || b.Get("name").Str == "":
			return errors.New("a tool call without id or name")
		case c.ids[id]:
			return fmt.Errorf("the id %q is given twice", id)
		case opening && input.Raw != "{}":
			return errors.New("a tool call opens with an input: clients ignore it")
		case !input.IsObject():
			return errors.New("a tool's input is not an object")
		}
		c.ids[id] = true
		if kind == "tool_use" {
			c.calls++
		} else {
			c.searches[id] = true
		}
	case "web_search_tool_result":
		if !c.searches[b.Get("tool_use_id").Str] {
			return errors.New("a search result without its search")
		}
	}
	return nil
}

func (c *checker) blockDelta(v gjson.Result) error {
	kind := v.Get("delta.type").Str
	if err := c.inside(v); err != nil {
		return err
	}
	if known, ok := deltas[c.open]; ok && !slices.Contains(known, kind) {
		return fmt.Errorf("a %s in a %s block", kind, c.open)
	}
	if c.signed {
		return errors.New("a delta behind the signature")
	}
	c.signed = kind == "signature_delta"
	c.input.WriteString(v.Get("delta.partial_json").Str)
	return nil
}

func (c *checker) blockStop(v gjson.Result) error {
	if err := c.inside(v); err != nil {
		return err
	}
	if in := c.input.String(); in != "" && (!gjson.Valid(in) || !gjson.Parse(in).IsObject()) {
		c.badInput = in
	}
	c.open = ""
	c.index++
	return nil
}

func (c *checker) inside(v gjson.Result) error {
	if c.open == "" {
		return errors.New("no block is open")
	}
	if v.Get("index").Raw != fmt.Sprint(c.index) {
		return fmt.Errorf("index %s, open is %d", v.Get("index").Raw, c.index)
	}
	return nil
}

func (c *checker) messageDelta(v gjson.Result) error {
	if c.open != "" {
		return fmt.Errorf("message_delta inside a %s block", c.open)
	}
	if c.delta {
		return errors.New("a second message_delta")
	}
	c.delta = true
	return errors.Join(c.end(v.Get("delta")), counts(v.Get("usage"), "output_tokens"))
}

// end checks why the message ends against what is in it.
func (c *checker) end(v gjson.Result) error {
	reason, sequence := v.Get("stop_reason").Str, v.Get("stop_sequence")
	switch {
	case reason == "":
		return errors.New("no stop reason")
	case (reason == "stop_sequence") != (sequence.Type == gjson.String):
		return fmt.Errorf("stop_sequence is %s with stop reason %s", sequence.Raw, reason)
	case reason == "tool_use" && c.calls == 0:
		return errors.New("stop reason tool_use without a call")
	case c.badInput != "" && reason != "max_tokens":
		return fmt.Errorf("a tool's input is not a JSON object: %s", c.badInput)
	}
	return nil
}

// CheckMessage checks the JSON message of a client that asked for no stream.
func CheckMessage(message []byte) error {
	m := gjson.ParseBytes(message)
	if !gjson.ValidBytes(message) || !m.Get("content").IsArray() {
		return errors.New("not a JSON message")
	}
	c := checker{ids: map[string]bool{}, searches: map[string]bool{}}
	var errs []error
	m.Get("content").ForEach(func(_, b gjson.Result) bool {
		errs = append(errs, c.block(b, false))
		return true
	})
	return errors.Join(append(errs, head(m), c.end(m), counts(m.Get("usage"), "input_tokens", "output_tokens"))...)
}

func head(m gjson.Result) error {
	if m.Get("id").Str == "" || m.Get("type").Str != "message" || m.Get("role").Str != "assistant" || m.Get("model").Str == "" {
		return errors.New("not the head of an assistant's message")
	}
	return nil
}

// counts checks that the named counts are there, and that none is a string, a fraction or negative.
func counts(usage gjson.Result, names ...string) error {
	for _, n := range names {
		if !usage.Get(n).Exists() {
			return fmt.Errorf("usage has no %s", n)
		}
	}
	var err error
	usage.ForEach(func(k, v gjson.Result) bool {
		if strings.HasSuffix(k.Str, "_tokens") && v.Type != gjson.Null && (v.Type != gjson.Number || strings.Trim(v.Raw, "0123456789") != "") {
			err = fmt.Errorf("%s is %s", k.Str, v.Raw)
		}
		return err == nil
	})
	return err
}

package dialect

import (
	"bytes"
	"io"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/internal/sse"
)

// frames reads a native stream.
type frames struct {
	reply   Reply
	started bool
	usage   anthropic.Usage
	stop    string // reason
	stopped string // stop string
	named   []byte // a frame with its event line added
}

var deltaLine = []byte("event: content_block_delta\n")

func decodeFrames(r Reply, body io.Reader, yield func(anthropic.Event, error) bool) {
	s := frames{reply: r}
	in := sse.NewReader(body)
	for {
		if s.started { // most of a stream is deltas, which are only copied
			if run := in.Run(deltaLine); run != nil {
				if !yield(anthropic.Event{Kind: anthropic.Native, Text: "content_block_delta", Raw: run}, nil) {
					return
				}
			}
		}
		f, err := in.Next()
		if err == io.EOF {
			err = ErrTruncated
		} else if err != nil {
			err = cutOff(err)
		}
		var e anthropic.Event
		if err == nil {
			e, err = s.event(f)
		}
		if err != nil {
			yield(anthropic.Event{}, err)
			return
		}
		if e.Kind != 0 && (!yield(e, nil) || e.Kind == anthropic.Stop) {
			return
		}
	}
}

// event makes an event of a frame; Kind 0 is none.
func (s *frames) event(f sse.Frame) (anthropic.Event, error) {
	kind := frameType(f)
	if f.Cut && kind != "message_stop" && kind != "error" || f.Cut && !gjson.ValidBytes(f.Data) {
		return anthropic.Event{}, ErrTruncated
	}
	e := anthropic.Event{Kind: anthropic.Native, Text: kind, Raw: f.Raw}
	switch {
	case kind == "" && len(f.Data) == 0:
		e.Text = "ping" // a comment, a bare id: it says nothing, but keeps the connection alive
		return e, nil
	case kind == "" && string(f.Data) == "[DONE]":
		return anthropic.Event{}, nil // a habit of other APIs
	case kind == "error" || kind == "" && gjson.GetBytes(f.Data, "error").Exists():
		return e, streamError(s.reply, f.Data)
	case kind == "":
		return e, noReply("a frame without a type", f.Data)
	case !s.started && kind != "message_start" && kind != "ping":
		return e, noReply("a stream that begins with "+kind, f.Data)
	}
	s.read(&e, f)
	if len(f.Event) == 0 || f.Cut {
		s.named = append(append(append(s.named[:0], "event: "...), kind...), '\n')
		if f.Cut {
			s.named = append(append(append(s.named, "data: "...), f.Data...), "\n\n"...)
		} else {
			s.named = append(s.named, f.Raw...)
		}
		e.Raw = s.named
	}
	return e, nil
}

// read takes from a frame what the ledger needs.
func (s *frames) read(e *anthropic.Event, f sse.Frame) {
	switch e.Text {
	case "message_start":
		s.started = true
		m := gjson.GetBytes(f.Data, "message")
		e.Name, e.Usage = m.Get("model").Str, nativeUsage(m.Get("usage"))
	case "message_delta":
		doc := gjson.ParseBytes(f.Data)
		e.Usage = nativeUsage(doc.Get("usage"))
		if d := doc.Get("delta"); d.Get("stop_reason").Str != "" {
			s.stop, s.stopped = d.Get("stop_reason").Str, d.Get("stop_sequence").Str
		}
	case "message_stop":
		e.Kind, e.Text, e.Name, e.Usage = anthropic.Stop, s.stop, s.stopped, s.usage
	}
	s.usage = s.usage.Merge(e.Usage)
}

// frameType is a frame's type: its event line, or the data's type where a server leaves that line out. The usual ones cost no
// allocation.
func frameType(f sse.Frame) string {
	name := f.Event
	if len(name) == 0 {
		rest, ok := bytes.CutPrefix(f.Data, []byte(`{"type":"`))
		end := bytes.IndexByte(rest, '"')
		if !ok || end < 0 {
			return gjson.GetBytes(f.Data, "type").String()
		}
		name = rest[:end]
	}
	switch string(name) {
	case "content_block_delta":
		return "content_block_delta"
	case "content_block_start":
		return "content_block_start"
	case "content_block_stop":
		return "content_block_stop"
	case "ping":
		return "ping"
	}
	return string(name)
}

// nativeUsage reads a usage object. One in which every count is 0 is a placeholder: it reports nothing.
func nativeUsage(v gjson.Result) anthropic.Usage {
	u := anthropic.Usage{
		Input:        reported(v, "input_tokens"),
		Output:       reported(v, "output_tokens"),
		Reasoning:    reported(v, "output_tokens_details.thinking_tokens"),
		CacheRead:    reported(v, "cache_read_input_tokens"),
		CacheWrite:   reported(v, "cache_creation_input_tokens"),
		CacheWrite1h: reported(v, "cache_creation.ephemeral_1h_input_tokens"),
		Searches:     reported(v, "server_tool_use.web_search_requests"),
	}
	if u.CacheWrite == 0 {
		u.CacheWrite = reported(v, "cache_creation.ephemeral_5m_input_tokens") + u.CacheWrite1h
	}
	u.Known = u != anthropic.Usage{}
	u.Tier = v.Get("service_tier").Str
	return u
}

// reported is a number of tokens; what is negative is none.
func reported(v gjson.Result, path string) int64 { return max(v.Get(path).Int(), 0) }

package dialect

import (
	"bytes"
	"encoding/base64"
	"errors"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/internal/eventstream"
	"github.com/ccrun/ccrun/proxy/internal/sse"
)

// eventFrames reads AWS event-stream frames and gives out the events inside as server-sent ones.
type eventFrames struct {
	reply  Reply
	frames *eventstream.Reader
	raw    []byte // the last frame's event as a server-sent one
}

// decodeEventStream reads a stream of frames, of which each holds one event of the Messages API.
func decodeEventStream(r Reply, yield func(anthropic.Event, error) bool) {
	in := eventFrames{reply: r, frames: eventstream.NewReader(r.Body)}
	s := frames{reply: r}
	for {
		f, err := in.next()
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

// next gives the next event. Its error is final: the provider's own words, or ErrTruncated.
func (in *eventFrames) next() (sse.Frame, error) {
	m, err := in.frames.Next()
	if errors.Is(err, eventstream.ErrDamaged) {
		return sse.Frame{}, noReply("a damaged frame", []byte(err.Error()))
	} else if err != nil {
		return sse.Frame{}, cutOff(err)
	}
	switch string(m.Header(":message-type")) {
	case "event":
	case "error":
		return sse.Frame{}, bedrockError(in.reply, string(m.Header(":error-code")), string(m.Header(":error-message")))
	default:
		return sse.Frame{}, bedrockError(in.reply, string(m.Header(":exception-type")), bedrockWords(m.Payload))
	}
	encoded := gjson.GetBytes(m.Payload, "bytes")
	if encoded.Type != gjson.String { // an event that is not a part of the answer: it keeps the connection alive
		return sse.Frame{Raw: []byte(": " + string(m.Header(":event-type")) + "\n\n")}, nil
	}
	const field = "data: "
	in.raw = append(in.raw[:0], field...)
	if in.raw, err = base64.StdEncoding.AppendDecode(in.raw, []byte(encoded.Str)); err != nil {
		return sse.Frame{}, noReply("a frame whose bytes are not base64", m.Payload)
	}
	n := len(in.raw)
	for i := range n - len(field) { // between JSON values a line break is a space, and it would end the line
		if c := &in.raw[len(field)+i]; *c == '\n' || *c == '\r' {
			*c = ' '
		}
	}
	in.raw = append(in.raw, "\n\n"...)
	return sse.Frame{Data: in.raw[len(field):n], Raw: in.raw}, nil
}

// bedrockWords are what an error's body says: {"message":…} or {"Message":…}.
func bedrockWords(body []byte) string {
	if !gjson.ValidBytes(body) {
		return string(bytes.TrimSpace(body))
	}
	doc := gjson.ParseBytes(body)
	for _, key := range []string{"message", "Message"} {
		if v := doc.Get(key); v.Type == gjson.String {
			return v.Str
		}
	}
	return doc.Raw
}

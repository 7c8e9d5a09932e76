package anthropic

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
)

// Writer frames a reply as server-sent events. Whatever the order of the events it is given, the stream is right: one block
// open at a time, indexes in order, tool calls whole, their ids unique, message_start once.
//
// message_start is held back until the first content or Ping, so that a failure before it can still become an HTTP status,
// or another attempt: a second Start replaces the first. Frames gather in a buffer: Flush sends them; a caller flushes
// whenever it is about to wait for more.
//
// The first tool call streams. What comes while its input is not complete is kept, and written in turn behind it: a client
// takes one block at a time. Write and Flush are for one goroutine; Ping may be called from another.
type Writer struct {
	o  Options
	w  io.Writer
	mu sync.Mutex

	buf     []byte
	passed  bool // bytes were handed on that are not flushed
	start   Event
	opened  bool // message_start is in the stream
	started bool // content is in the stream
	stopped bool
	closed  bool
	raw     bool // a native reply: frames are copied
	usage   Usage
	ids     ids

	index  int // of the open block, or of the next one
	open   Kind
	call   *part   // the open call
	queue  []*part // what came behind the open call
	search *part   // the search whose results are gathered
}

// Options are what a Writer and a Collector must know.
type Options struct {
	NewID func(prefix string) string // "msg_…", "toolu_…"
	Taken func(toolID string) bool   // ids of earlier turns; nil: none
	Model string                     // named in message_start where the provider names none
}

// ErrStopped is returned for an event after the end of a reply.
var ErrStopped = errors.New("writing a reply: an event after its end")

// sendAt is how many bytes wait at most for a Flush.
const sendAt = 32 << 10

// NewWriter makes a Writer that sends to w; where w has a method Flush() or Flush() error, it is called by Flush.
func NewWriter(w io.Writer, o Options) *Writer { return &Writer{w: w, o: o, ids: ids{o: o}} }

// Started tells whether content was written: from then on there is no other attempt.
func (w *Writer) Started() bool { return w.started }

// Opened tells whether anything is in the stream, be it only message_start: from then on an HTTP status is too late.
func (w *Writer) Opened() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.opened
}

// Usage is what has been reported so far.
func (w *Writer) Usage() Usage { return w.usage }

// Write takes the next event. Its error is that of the connection to the client, ErrStopped, or an *Error for events that
// make no reply, such as input for a call that never began.
func (w *Writer) Write(e Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return ErrStopped
	}
	w.usage = w.usage.Merge(e.Usage)
	switch {
	case e.Kind == Start:
		if !w.started {
			w.start, w.usage, w.raw = e, e.Usage, false
		}
		return nil
	case e.Kind == Count || e.void():
		return nil
	case e.Raw != nil && e.Kind != SearchResult:
		if err := w.native(e); err != nil {
			return err
		}
	default:
		if e.Kind != Stop && e.Kind != ToolInput { // input is never the first content: its call is
			w.begin()
			w.started = true
		}
		if err := w.step(e); err != nil {
			return err
		}
	}
	if len(w.buf) > sendAt {
		return w.send()
	}
	return nil
}

// step writes an event, or keeps it until the open call is complete.
func (w *Writer) step(e Event) error {
	switch e.Kind {
	case ToolInput:
		return w.toolInput(e)
	case Stop:
		return w.finish(e)
	}
	if e.Kind != ToolUse && e.Kind != Search && w.open != ToolUse {
		return w.inline(e)
	}
	p := &part{Event: e}
	if e.Kind == ToolUse || e.Kind == Search {
		p.id = w.ids.unique(e.ID)
	}
	if w.open == ToolUse && !w.complete() {
		p.Raw = bytes.Clone(e.Raw)
		w.queue = append(w.queue, p)
		return nil
	}
	if err := w.settle(); err != nil {
		return err
	}
	return w.emit(p)
}

// toolInput adds to the latest call of that number.
func (w *Writer) toolInput(e Event) error {
	for i := len(w.queue) - 1; i >= 0; i-- {
		if p := w.queue[i]; p.Kind == ToolUse && p.Call == e.Call {
			p.input(e.Text)
			return nil
		}
	}
	if w.open == ToolUse && w.call.Call == e.Call {
		if w.call.input(e.Text) {
			w.delta("input_json_delta", "partial_json", e.Text)
		}
		return nil
	}
	if strings.TrimSpace(e.Text) == "" {
		return nil
	}
	return faulty("input for tool call %d, which is complete or never began", e.Call)
}

// complete tells whether the open call and those behind it have all their input: an object stays valid JSON only without
// another delta.
func (w *Writer) complete() bool {
	if !isObject(w.call.text) {
		return false
	}
	for _, p := range w.queue {
		if p.Kind == ToolUse && !isObject(p.text) {
			return false
		}
	}
	return true
}

// settle closes the open call and writes what was kept behind it.
func (w *Writer) settle() error {
	if w.open == ToolUse {
		w.close()
	}
	queue := w.queue
	w.queue = nil
	for _, p := range queue {
		if err := w.emit(p); err != nil {
			return err
		}
		if p.Kind == ToolUse {
			w.close()
		}
	}
	return nil
}

// emit writes one part of the answer. A call stays open for more input.
func (w *Writer) emit(p *part) error {
	switch p.Kind {
	case ToolUse:
		w.endSearch()
		w.startCall(ToolUse, p.id, p.Name)
		w.call = p
		if len(p.text) > 0 {
			w.delta("input_json_delta", "partial_json", string(p.text))
		}
	case Search:
		w.endSearch()
		w.startCall(Search, p.id, "web_search")
		w.delta("input_json_delta", "partial_json", string(p.appendQuery(nil)))
		w.close()
		w.search = p
	default:
		return w.inline(p.Event)
	}
	return nil
}

// inline writes an event that begins no call.
func (w *Writer) inline(e Event) error {
	if e.Kind == SearchResult {
		return w.search.result(e)
	}
	w.endSearch()
	switch e.Kind {
	case Text:
		w.block(Text, `{"type":"text","text":""}`)
		w.delta("text_delta", "text", e.Text)
	case Thinking:
		w.block(Thinking, emptyThinking)
		w.delta("thinking_delta", "thinking", e.Text)
	case Signature:
		w.block(Thinking, emptyThinking)
		w.delta("signature_delta", "signature", e.Text)
		w.close()
	case Redacted:
		w.whole((&part{Event: e}).appendRedacted)
	default:
		return faulty("an event of unknown kind %d", e.Kind)
	}
	return nil
}

const emptyThinking = `{"type":"thinking","thinking":"","signature":""}`

// endSearch writes the results of a search as one block, an empty one too: a search without its results is no valid history.
func (w *Writer) endSearch() {
	if p := w.search; p != nil {
		w.search = nil
		w.whole(p.appendResults)
	}
}

func (w *Writer) finish(e Event) error {
	w.begin()
	if err := w.settle(); err != nil {
		return err
	}
	w.endSearch()
	w.close()
	w.messageDelta(e)
	w.buf = append(w.buf, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...)
	w.stopped, w.started = true, true
	return nil
}

// native copies one frame of an Anthropic upstream. A message_start after one that is in the stream already (after a ping,
// or an attempt that failed before its content) is left out.
func (w *Writer) native(e Event) error {
	switch {
	case e.Kind == Native && e.Text == "message":
		return faulty("a whole message where frames are written")
	case e.Text == "message_start":
		if !w.started {
			w.usage = e.Usage
		}
		if !w.opened {
			w.start, w.raw = Event{Raw: bytes.Clone(e.Raw)}, true
		}
		return nil
	case !e.Content() && !w.opened:
		return nil // a ping before any content: ours will do
	}
	w.begin()
	w.started, w.stopped = w.started || e.Content(), e.Kind == Stop
	if e.Text == "message_delta" && !w.raw {
		// The head is ours and knew no usage: this is the last place to tell how long the prompt was.
		delta := gjson.ParseBytes(e.Raw[max(bytes.IndexByte(e.Raw, '{'), 0):]).Get("delta")
		w.messageDelta(Event{Text: delta.Get("stop_reason").Str, Name: delta.Get("stop_sequence").Str})
		return nil
	}
	if len(e.Raw) < direct {
		w.buf = append(w.buf, e.Raw...)
		return nil
	}
	if err := w.pass(w.buf); err != nil {
		return err
	}
	w.buf = w.buf[:0]
	return w.pass(e.Raw)
}

// direct is from how many bytes on a native run is not copied into the buffer.
const direct = 4 << 10

// begin puts message_start into the stream.
func (w *Writer) begin() {
	if w.opened {
		return
	}
	w.opened = true
	if w.raw {
		w.buf = append(w.buf, w.start.Raw...)
		return
	}
	w.messageStart()
}

// Ping opens the stream if it is not open, and sends a ping: bytes for a client or a proxy that cuts what is silent. After
// the end of the reply, and after Close, it is ErrStopped.
func (w *Writer) Ping() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.closed {
		return ErrStopped
	}
	w.begin()
	w.buf = append(w.buf, "event: ping\ndata: {\"type\":\"ping\"}\n\n"...)
	return w.send()
}

// Close sends what is in the buffer. From then on nothing is written, be it by a Ping that is under way.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if len(w.buf) == 0 && !w.passed {
		return nil
	}
	return w.send()
}

// Flush sends what is in the buffer.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buf) == 0 && !w.passed {
		return nil
	}
	return w.send()
}

// pass hands bytes on; they are sent by the next flush at the latest.
func (w *Writer) pass(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	w.passed = true
	_, err := w.w.Write(p)
	return err
}

func (w *Writer) send() error {
	err := w.pass(w.buf)
	w.buf, w.passed = w.buf[:0], false
	if err != nil {
		return err
	}
	switch f := w.w.(type) {
	case interface{ Flush() error }:
		return f.Flush()
	case interface{ Flush() }:
		f.Flush()
	}
	return nil
}

// Fail ends an open stream with an error event: for a failure that a repeat of the request would not mend. A failure that it
// may mend is told better by cutting the connection: Claude Code repeats a request that was cut, and gives up streaming
// for an error event.
func (w *Writer) Fail(e *Error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return ErrStopped
	}
	w.buf = append(w.buf, "event: error\ndata: "...)
	w.buf = append(w.buf, e.Envelope()...)
	w.buf = append(w.buf, "\n\n"...)
	w.stopped = true
	return w.send()
}

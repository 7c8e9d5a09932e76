package anthropic

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strings"
)

// Reply is a whole answer: the JSON message for a client that did not ask for a stream.
type Reply struct {
	JSON  []byte
	Model string // as served
	Stop  string // the stop reason
	Usage Usage
}

// Collector gathers a reply. It takes the events that a Writer takes, and comes to the message that a client makes of the
// Writer's stream.
type Collector struct {
	o        Options
	reply    Reply
	parts    []*part
	ids      ids
	sequence string // the stop string
	done     bool
}

// ErrInput is a tool call whose input is no JSON object, be it cut by max_tokens or a model's fault: a stream carries that, a
// JSON message cannot. The error of Reply wraps it.
var ErrInput = errors.New("the input of a tool call is not a JSON object")

// NewCollector makes an empty Collector.
func NewCollector(o Options) *Collector { return &Collector{o: o, ids: ids{o: o}} }

// Started is false until the reply is whole: nothing has left, so another attempt is possible.
func (c *Collector) Started() bool { return c.done }

// Reset forgets what a failed attempt brought.
func (c *Collector) Reset() { *c = *NewCollector(c.o) }

// Usage is what has been reported so far.
func (c *Collector) Usage() Usage { return c.reply.Usage }

// Write takes the next event. Its error is ErrStopped, or an *Error for events that make no reply.
func (c *Collector) Write(e Event) error {
	if c.done {
		return ErrStopped
	}
	c.reply.Usage = c.reply.Usage.Merge(e.Usage)
	switch {
	case e.Kind == Start:
		if len(c.parts) == 0 {
			c.reply.Model, c.reply.Usage = e.Text, e.Usage
		}
	case e.Kind == Count || e.void():
	case e.Kind == Native:
		if e.Text != "message" {
			return faulty("a frame of type %q where a whole message is collected", e.Text)
		}
		c.reply.JSON, c.reply.Model = bytes.Clone(e.Raw), e.Name
	case e.Kind == Stop:
		c.reply.Stop, c.sequence, c.done = e.Text, e.Name, true
	default:
		return c.step(e)
	}
	return nil
}

func (c *Collector) step(e Event) error {
	last := &part{}
	if n := len(c.parts); n > 0 {
		last = c.parts[n-1]
	}
	switch e.Kind {
	case Text, Thinking:
		if last.Kind != e.Kind || last.sig != "" {
			last = c.add(e)
		}
		last.text = append(last.text, e.Text...)
	case Signature:
		if last.Kind != Thinking || last.sig != "" {
			last = c.add(Event{Kind: Thinking})
		}
		last.sig = e.Text
	case ToolUse, Search:
		c.add(e).id = c.ids.unique(e.ID)
	case ToolInput:
		return c.toolInput(e)
	case SearchResult:
		return last.result(e)
	case Redacted:
		c.add(e)
	default:
		return faulty("an event of unknown kind %d", e.Kind)
	}
	return nil
}

func (c *Collector) add(e Event) *part {
	p := &part{Event: e}
	c.parts = append(c.parts, p)
	return p
}

// toolInput adds to the latest call of that number.
func (c *Collector) toolInput(e Event) error {
	for i := len(c.parts) - 1; i >= 0; i-- {
		if p := c.parts[i]; p.Kind == ToolUse && p.Call == e.Call {
			p.input(e.Text)
			return nil
		}
	}
	if strings.TrimSpace(e.Text) == "" {
		return nil
	}
	return faulty("input for tool call %d, which never began", e.Call)
}

// Reply is the message, once Stop was written.
func (c *Collector) Reply() (*Reply, error) {
	if !c.done {
		return nil, io.ErrUnexpectedEOF
	}
	if c.reply.JSON != nil {
		return &c.reply, nil
	}
	if c.reply.Model == "" {
		c.reply.Model = c.o.Model
	}
	b := append([]byte(nil), `{"id":`...)
	b = AppendQuote(b, c.o.NewID("msg_"))
	b = append(b, `,"type":"message","role":"assistant","model":`...)
	b = AppendQuote(b, c.reply.Model)
	b = append(b, `,"content":[`...)
	for i, p := range c.parts {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = p.append(b); err != nil {
			return nil, err
		}
	}
	b = append(b, "],"...)
	b = appendStop(b, c.reply.Stop, c.sequence)
	b = append(b, `,"usage":`...)
	c.reply.JSON = append(c.reply.Usage.append(b), '}')
	return &c.reply, nil
}

// append writes a part as a content block; a search as two, the call and its results.
func (p *part) append(b []byte) ([]byte, error) {
	switch p.Kind {
	case Text:
		b = append(b, `{"type":"text","text":`...)
		b = AppendQuote(b, string(p.text))
	case Thinking:
		b = append(b, `{"type":"thinking","thinking":`...)
		b = AppendQuote(b, string(p.text))
		b = append(b, `,"signature":`...)
		b = AppendQuote(b, p.sig)
	case Redacted:
		return p.appendRedacted(b), nil
	case ToolUse:
		input := p.text
		if len(input) == 0 {
			input = []byte("{}")
		}
		if !isObject(input) {
			e := faulty("tool call %q: %v", p.Name, ErrInput)
			e.Err = ErrInput
			return nil, e
		}
		b = append(appendCall(b, ToolUse, p.id, p.Name), `"input":`...)
		b = append(b, input...)
	case Search:
		b = append(appendCall(b, Search, p.id, "web_search"), `"input":`...)
		return p.appendResults(append(p.appendQuery(b), "},"...)), nil
	}
	return append(b, '}'), nil
}

// Collect reads a reply to its end. Its error is the reply's own, or io.ErrUnexpectedEOF where it has no end.
func Collect(events iter.Seq2[Event, error], o Options) (*Reply, error) {
	c := NewCollector(o)
	for e, err := range events {
		if err != nil {
			return nil, err
		}
		if err := c.Write(e); err != nil {
			return nil, err
		}
	}
	return c.Reply()
}

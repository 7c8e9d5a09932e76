package dialect

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// pattern is a chunk that was read and brought one delta and nothing else that could be different the next time. Most chunks
// of a stream are such a one with another text in the same place: they need not be read again to know what they say.
type pattern struct {
	before, after []byte // the chunk around the text, its quotes included
	kind          anthropic.Kind
	call          int
	misses        int
	scratch       []byte
}

// Where every chunk is different in more than its text, nothing is gained by looking on.
const mostMisses = 8

// learn keeps the chunk that was just read, if it is fit. The events that it brought are s.emitted-before.
func (s *stream) learn(data []byte, before int) {
	p, e := &s.pattern, s.last
	p.kind = 0
	if s.emitted != before+1 || !s.steady || s.literal == "" {
		return
	}
	if e.Kind != anthropic.Text && e.Kind != anthropic.Thinking && e.Kind != anthropic.ToolInput {
		return
	}
	if p.misses++; p.misses > mostMisses {
		return
	}
	at := bytes.Index(data, []byte(s.literal))
	if at < 0 || bytes.Count(data, []byte(s.literal)) != 1 {
		return
	}
	p.before = append(p.before[:0], data[:at+1]...)
	p.after = append(p.after[:0], data[at+len(s.literal)-1:]...)
	p.kind, p.call = e.Kind, e.Call
}

// repeated takes a chunk that is the one before with another text; false: it has to be read.
func (s *stream) repeated(data []byte) bool {
	p := &s.pattern
	if p.kind == 0 || len(data) < len(p.before)+len(p.after) || !bytes.HasPrefix(data, p.before) || !bytes.HasSuffix(data, p.after) {
		return false
	}
	from, to := len(p.before), len(data)-len(p.after)
	text, room, ok := literal(data[from-1:to+1], p.scratch)
	p.scratch = room
	if !ok {
		return false
	}
	p.misses = 0
	switch p.kind {
	case anthropic.Text:
		s.text(text)
	case anthropic.Thinking:
		s.think(text)
	case anthropic.ToolInput:
		s.addInput(p.call, text)
	}
	return true
}

// literal reads a JSON string that stands in quotes; false: it is none, or more than one. Nearly all of them have the short
// escapes alone, which are decoded in place: scratch is room for that.
func literal(quoted, scratch []byte) (text string, room []byte, ok bool) {
	inner := quoted[1 : len(quoted)-1]
	end := bytes.IndexByte(inner, '\\')
	if end < 0 {
		end = len(inner)
	}
	for _, c := range inner[:end] {
		if c < ' ' || c == '"' {
			return "", scratch, false
		}
	}
	if end == len(inner) {
		return string(inner), scratch, true
	}
	scratch = append(scratch[:0], inner[:end]...)
	for i := end; i < len(inner); i++ {
		c := inner[i]
		switch {
		case c < ' ' || c == '"':
			return "", scratch, false
		case c != '\\':
			scratch = append(scratch, c)
			continue
		}
		i++
		if i == len(inner) {
			return "", scratch, false
		}
		short := shortEscapes[inner[i]]
		if short == 0 {
			return longEscapes(quoted, scratch)
		}
		scratch = append(scratch, short)
	}
	return string(scratch), scratch, true
}

var shortEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func longEscapes(quoted, scratch []byte) (string, []byte, bool) {
	if !gjson.ValidBytes(quoted) {
		return "", scratch, false
	}
	return gjson.ParseBytes(quoted).Str, scratch, true
}

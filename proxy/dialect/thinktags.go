package dialect

import (
	"iter"
	"strings"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// thinkTags makes thinking of what stands between tags in the text of an answer. Text before and behind the tags, and text
// without any, stays what it is. Only the first pair counts: an answer may speak of the tags later.
type thinkTags struct {
	open, close string
	anywhere    bool   // text may stand before the tag; else it is the first thing in the answer
	kind        string // in the signature of the thinking, so that clients keep it
}

// thinkTag is the Transformer for <think>.
func thinkTag(where tags, kind string) Transformer {
	t := thinkTags{open: "<think>", close: "</think>", anywhere: where == tagsAnywhere, kind: kind}
	return func(*anthropic.Request, Options) (Layer, error) { return Layer{Reply: t.reply}, nil }
}

func (t thinkTags) reply(events iter.Seq2[anthropic.Event, error]) iter.Seq2[anthropic.Event, error] {
	return func(yield func(anthropic.Event, error) bool) {
		s := tagSplitter{thinkTags: t, yield: yield}
		for e, err := range events {
			switch {
			case err != nil || e.Kind == anthropic.Start || e.Kind == anthropic.Count:
			case e.Kind == anthropic.Text:
				s.text(e)
				if s.left {
					return
				}
				continue
			default:
				s.flush()
			}
			if s.left || !yield(e, err) {
				return
			}
		}
	}
}

// tagSplitter is the state of one answer.
type tagSplitter struct {
	thinkTags
	yield func(anthropic.Event, error) bool
	left  bool
	state tagState
	held  string // what may yet become a tag, or is only space so far
	last  byte   // of the text that was given out
	began bool   // there is thinking to be signed
}

type tagState uint8 // how far an answer is

const (
	tagsBefore  tagState = iota // of the tag nothing came
	tagsOpened                  // between the tags, and nothing but spaces came
	tagsInside                  // between the tags
	tagsTrimmed                 // behind them: spaces are left out
	tagsBehind                  // nothing is looked for any more
)

const spaces = " \t\r\n"

func (s *tagSplitter) emit(kind anthropic.Kind, text string) {
	if text != "" && !s.left {
		s.left = !s.yield(anthropic.Event{Kind: kind, Text: text}, nil)
	}
}

// text takes the next piece of the answer's text.
func (s *tagSplitter) text(e anthropic.Event) {
	if s.state == tagsBehind {
		s.left = !s.yield(e, nil)
		return
	}
	text := s.held + e.Text
	s.held = ""
	if s.state == tagsBefore {
		text = s.before(text)
	}
	if s.state == tagsOpened {
		if text = strings.TrimLeft(text, spaces); text != "" && !strings.HasPrefix(s.close, text) && !strings.HasPrefix(text, s.close) {
			s.state = tagsInside
		}
	}
	if s.state == tagsOpened || s.state == tagsInside {
		text = s.inside(text)
	}
	if s.state == tagsTrimmed {
		if text = strings.TrimLeft(text, spaces); text != "" {
			s.state = tagsBehind
		}
	}
	if s.state == tagsBehind {
		s.emit(anthropic.Text, text)
	}
}

// before looks for the opening tag, and returns what stands behind it.
func (s *tagSplitter) before(text string) string {
	if !s.anywhere {
		switch trimmed := strings.TrimLeft(text, spaces); {
		case strings.HasPrefix(trimmed, s.open):
			s.state = tagsOpened
			return trimmed[len(s.open):]
		case strings.HasPrefix(s.open, trimmed):
			s.held = text
			return ""
		}
		s.state = tagsBehind
		return text
	}
	for from := 0; ; {
		n := strings.Index(text[from:], s.open)
		if n < 0 {
			break
		}
		if at := from + n; !s.quoted(text, at) {
			s.say(text[:at])
			s.state = tagsOpened
			return text[at+len(s.open):]
		}
		from += n + len(s.open)
	}
	n := partOf(text, s.open)
	if s.last == 0 && strings.TrimLeft(text[:len(text)-n], spaces) == "" {
		n = len(text) // spaces before a tag are not an answer
	}
	s.say(text[:len(text)-n])
	s.held = text[len(text)-n:]
	return ""
}

// say gives out text that stands before the tag. Spaces alone are no text.
func (s *tagSplitter) say(text string) {
	if text == "" || s.last == 0 && strings.TrimLeft(text, spaces) == "" {
		return
	}
	s.last = text[len(text)-1]
	s.emit(anthropic.Text, text)
}

// quoted tells whether the tag at a place is spoken of: it stands in quotes or as code.
func (s *tagSplitter) quoted(text string, at int) bool {
	c := s.last
	if at > 0 {
		c = text[at-1]
	}
	return c == '`' || c == '"' || c == '\''
}

// inside looks for the closing tag, and returns what stands behind it.
func (s *tagSplitter) inside(text string) string {
	thought, behind, closed := strings.Cut(text, s.close)
	if !closed {
		n := partOf(thought, s.close)
		s.held = thought[len(thought)-n:]
		s.think(thought[:len(thought)-n])
		return ""
	}
	s.think(thought)
	s.sign()
	s.state = tagsTrimmed
	return behind
}

func (s *tagSplitter) think(text string) {
	s.began = s.began || text != ""
	s.emit(anthropic.Thinking, text)
}

func (s *tagSplitter) sign() {
	if s.began {
		s.emit(anthropic.Signature, mintSignature(s.kind, ""))
	}
}

// flush gives out what did not become a tag: something else than text follows.
func (s *tagSplitter) flush() {
	held := s.held
	s.held = ""
	switch s.state {
	case tagsBefore:
		s.emit(anthropic.Text, held)
		if strings.TrimLeft(held, spaces) != "" && !s.anywhere {
			s.state = tagsBehind
		}
	case tagsOpened, tagsInside:
		s.think(held)
		s.sign()
		s.state = tagsBehind
	}
}

// partOf is the length of the end of text with which tag begins.
func partOf(text, tag string) int {
	for n := min(len(text), len(tag)-1); n > 0; n-- {
		if strings.HasSuffix(text, tag[:n]) {
			return n
		}
	}
	return 0
}

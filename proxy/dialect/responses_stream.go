package dialect

import (
	"net/http"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// responsesStream is the state of a reply that is being read. Most of what a reply says it says again: a text in its deltas,
// in the event that ends it, in its item, and in the whole response at the end. Providers leave out any of these, so each is
// read, and what is known already is not given out twice.
type responsesStream struct {
	r      responsesReader
	header http.Header
	yield  func(anthropic.Event, error) bool
	left   bool // the consumer has gone
	ended  bool // the reply said how it ended

	model   string
	begun   bool // Start was given out
	content bool // so was content
	items   []*outputItem
	calls   int         // given out
	open    *outputItem // reasoning that waits for its signature
	spoken  *outputItem // the message whose text came last, if nothing came since
	refused bool

	links    []link
	queries  []string
	searches int64
	usage    anthropic.Usage
	tier     string
}

type itemKind string

const (
	itemMessage   itemKind = "message"
	itemReasoning itemKind = "reasoning"
	itemCall      itemKind = "function_call"
	itemSearch    itemKind = "web_search_call"
)

// outputItem is one item of the output.
type outputItem struct {
	kind  itemKind
	at    itemPlace
	added bool // its beginning was told
	done  bool // so was its end
	parts []outputPart

	// Of reasoning.
	shown  partKind // the texts that are shown; those of the other kind say the same
	last   int      // the part that came last
	signed bool     // its block is closed
	stated bool     // with the state that goes back

	// Of a call.
	callID, name string
	input        outputPart
	opened       bool // ToolUse was given out
	call         int  // the number that it has there
	given        int  // bytes of input that were given out
}

type partKind uint8

const (
	partText partKind = iota
	partSummary
	partReasoning
)

// outputPart is a text that grows.
type outputPart struct {
	kind  partKind
	index int64
	text  []byte
}

// part finds a part of the item, or begins it.
func (it *outputItem) part(kind partKind, index int64) (*outputPart, int) {
	for i := len(it.parts) - 1; i >= 0; i-- {
		if p := &it.parts[i]; p.kind == kind && p.index == index {
			return p, i
		}
	}
	it.parts = append(it.parts, outputPart{kind: kind, index: index})
	return &it.parts[len(it.parts)-1], len(it.parts) - 1
}

// grow adds a delta, or takes the whole text, and returns what is new in it. A whole text that does not begin with what came
// before is not believed: the client has that already.
func (p *outputPart) grow(text string, whole bool) string {
	if whole {
		if len(text) <= len(p.text) || text[:len(p.text)] != string(p.text) {
			return ""
		}
		text = text[len(p.text):]
	}
	p.text = append(p.text, text...)
	return text
}

// item finds the item of a kind at a place, or begins it. Ids that change from event to event are known, and so are indexes
// that are all 0: the id is looked for first, then the index. Where there is neither it is the latest of its kind.
func (s *responsesStream) item(at itemPlace, kind itemKind) *outputItem {
	if it := s.find(at, kind); it != nil {
		return it
	}
	it := &outputItem{kind: kind, at: at}
	s.items = append(s.items, it)
	return it
}

func (s *responsesStream) find(at itemPlace, kind itemKind) *outputItem {
	for i := len(s.items) - 1; i >= 0; i-- {
		it := s.items[i]
		if it.kind == kind && (at.id != "" && it.at.id == at.id || at.id == "" && !at.indexed && !it.done) {
			return it
		}
	}
	for i := len(s.items) - 1; i >= 0 && at.indexed; i-- {
		if it := s.items[i]; it.kind == kind && it.at.indexed && it.at.index == at.index {
			return it
		}
	}
	return nil
}

// match finds the item that the whole response has at a place.
func (s *responsesStream) match(v gjson.Result, at itemPlace, kind itemKind) *outputItem {
	if call := v.Get("call_id").Str; kind == itemCall && call != "" {
		for _, it := range s.items {
			if it.callID == call {
				return it
			}
		}
	}
	if it := s.find(at, kind); it != nil {
		return it
	}
	for _, it := range s.items {
		if it.kind == kind && !it.at.indexed && !it.done {
			return it
		}
	}
	return nil
}

func (s *responsesStream) added(e *responseEvent) {
	kind := itemKind(e.body.Get("type").Str)
	e.at.id = e.body.Get("id").Str
	it := s.find(e.at, kind)
	if it == nil || it.added {
		it = &outputItem{kind: kind, at: e.at}
		s.items = append(s.items, it)
	}
	it.added, it.at.id = true, e.at.id
	if kind == itemCall {
		s.callHead(it, e.body)
	}
}

func (s *responsesStream) done(e *responseEvent) {
	e.at.id = e.body.Get("id").Str
	it := s.item(e.at, itemKind(e.body.Get("type").Str))
	s.complete(it, e.body)
}

// complete takes a whole item.
func (s *responsesStream) complete(it *outputItem, v gjson.Result) {
	switch it.kind {
	case itemMessage:
		index := int64(0)
		v.Get("content").ForEach(func(_, p gjson.Result) bool {
			s.messagePart(it, index, p)
			index++
			return true
		})
	case itemReasoning:
		s.reasoned(it, v)
	case itemCall:
		s.callHead(it, v)
		s.arguments(it, v.Get("arguments"), true)
	case itemSearch:
		if !it.done {
			s.searched(v.Get("action"))
		}
	}
	it.done = true
}

func (s *responsesStream) contentPart(e *responseEvent) {
	if e.body.Get("type").Str == "reasoning_text" {
		s.think(s.item(e.at, itemReasoning), partReasoning, e.part, e.body.Get("text").Str, true)
		return
	}
	s.messagePart(s.item(e.at, itemMessage), e.part, e.body)
}

func (s *responsesStream) messagePart(it *outputItem, index int64, p gjson.Result) {
	switch p.Get("type").Str {
	case "output_text", "text":
		s.say(it, index, p.Get("text").Str, true)
		p.Get("annotations").ForEach(func(_, a gjson.Result) bool {
			s.cite(a)
			return true
		})
	case "refusal":
		s.refuse(it, index, p.Get("refusal").Str, true)
	}
}

// say gives out text. Messages that follow each other stand apart.
func (s *responsesStream) say(it *outputItem, index int64, text string, whole bool) {
	p, _ := it.part(partText, index)
	if text = p.grow(text, whole); text == "" {
		return
	}
	s.sign()
	if s.spoken != nil && s.spoken != it {
		text = "\n\n" + text
	}
	s.put(anthropic.Event{Kind: anthropic.Text, Text: text})
	s.spoken = it
}

func (s *responsesStream) refuse(it *outputItem, index int64, text string, whole bool) {
	s.refused = true
	s.say(it, index, text, whole)
}

// callHead gives out a call as soon as its name is known.
func (s *responsesStream) callHead(it *outputItem, v gjson.Result) {
	if it.callID == "" {
		it.callID = v.Get("call_id").Str
	}
	if it.name == "" {
		it.name = ownName(s.r.names, v.Get("name").Str)
	}
	if it.opened || it.name == "" {
		return
	}
	it.opened, it.call = true, s.calls
	s.calls++
	s.sign()
	id := clientID(it.callID)
	if id == "" {
		id = s.r.id + "_" + strconv.Itoa(it.call)
	}
	s.put(anthropic.Event{Kind: anthropic.ToolUse, Call: it.call, ID: id, Name: it.name})
	s.give(it, "")
}

// arguments adds to the input of a call. What comes before its name is known waits for it.
func (s *responsesStream) arguments(it *outputItem, v gjson.Result, whole bool) {
	text := v.Str
	if v.IsObject() {
		text = v.Raw
	}
	if it.done && !whole {
		return
	}
	if text = it.input.grow(text, whole); text != "" && it.opened {
		s.give(it, text)
	}
}

// give gives out the input that is known: text where it is all that is new.
func (s *responsesStream) give(it *outputItem, text string) {
	if text == "" {
		text = string(it.input.text[it.given:])
	}
	it.given = len(it.input.text)
	if text != "" {
		s.put(anthropic.Event{Kind: anthropic.ToolInput, Call: it.call, Text: text})
	}
}

// ownName is the client's name of a tool that the provider knows by another.
func ownName(names []alias, name string) string {
	for _, a := range names {
		if a.sent == name {
			return a.own
		}
	}
	return name
}

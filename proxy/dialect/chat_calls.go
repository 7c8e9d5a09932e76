package dialect

import (
	"net/http"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// toolCall is a call that is being read. Its number is its place in stream.calls; index is the provider's, which some give
// to every call alike.
type toolCall struct {
	index int
	id    string
	name  string
	input []byte
	open  bool // ToolUse was given out
}

func (s *stream) toolCalls(list gjson.Result) error {
	var err error
	place := 0
	list.ForEach(func(_, v gjson.Result) bool {
		var id, function gjson.Result
		index, indexed := place, false
		v.ForEach(func(k, v gjson.Result) bool {
			switch k.Str {
			case "index":
				if v.Type == gjson.Number {
					index, indexed = int(v.Int()), true
				}
			case "id":
				id = v
			case "function":
				function = v
			}
			return true
		})
		place++
		err = s.toolCall(function, id, index, indexed)
		return err == nil
	})
	return err
}

// toolCall takes a piece of one call.
func (s *stream) toolCall(function, id gjson.Result, index int, indexed bool) error {
	var name string
	var input gjson.Result
	function.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "name":
			name = v.Str
		case "arguments":
			input = v
		}
		return true
	})
	own := id.String()
	if own == "null" {
		own = ""
	}
	n := s.find(index, own, name, indexed)
	if n < 0 {
		if own == "" && name == "" && input.String() == "" {
			return nil // an empty entry, as some put into their last chunk
		}
		s.calls = append(s.calls, toolCall{index: index})
		n = len(s.calls) - 1
	}
	c := &s.calls[n]
	s.steady = s.steady && (own == c.id && own != "" || own == "" && name == "") // else find may decide otherwise the next time
	if c.id == "" {
		c.id = own
	}
	if c.name == "" {
		c.name = s.ownName(name)
	}
	s.input(n, input)
	return nil
}

// find looks for the call that a piece belongs to; -1: it begins a new one. A new id begins a new call under a known index
// when the one before is complete, or when a name comes with it; so does a name without id and index.
func (s *stream) find(index int, id, name string, indexed bool) int {
	for n := len(s.calls) - 1; n >= 0; n-- {
		c := &s.calls[n]
		if id != "" && c.id == id && (c.index == index || !indexed) {
			return n
		}
		if c.index != index {
			continue
		}
		switch {
		case id != "" && c.id != "" && (name != "" || gjson.ValidBytes(c.input)):
			return -1
		case id == "" && !indexed && name != "" && gjson.ValidBytes(c.input):
			return -1
		}
		return n
	}
	return -1
}

// input adds arguments, which are text, or an object already.
func (s *stream) input(n int, v gjson.Result) {
	c := &s.calls[n]
	text := ""
	switch {
	case v.Type == gjson.String:
		text, s.literal = v.Str, v.Raw
	case v.IsObject():
		text = v.Raw
	}
	if c.open {
		s.addInput(n, text)
		return
	}
	c.input = append(c.input, text...)
	if c.name != "" { // what comes before the name waits for it
		c.open = true
		s.sign()
		id := clientID(c.id)
		if id == "" {
			id = s.r.id + "_" + strconv.Itoa(n)
		}
		s.put(anthropic.Event{Kind: anthropic.ToolUse, Call: n, ID: id, Name: c.name})
		if len(c.input) > 0 {
			s.put(anthropic.Event{Kind: anthropic.ToolInput, Call: n, Text: string(c.input)})
		}
	}
}

func (s *stream) addInput(n int, text string) {
	if text != "" {
		s.calls[n].input = append(s.calls[n].input, text...)
		s.put(anthropic.Event{Kind: anthropic.ToolInput, Call: n, Text: text})
	}
}

// ownName is the client's name of a tool that the provider knows by another.
func (s *stream) ownName(name string) string {
	for _, a := range s.r.names {
		if a.sent == name {
			return a.own
		}
	}
	return name
}

// endCalls checks that every call has a name: without one it can be neither run nor left out.
func (s *stream) endCalls() error {
	for _, c := range s.calls {
		if c.name == "" {
			return anthropic.ForStatus(http.StatusBadGateway, "the upstream called a tool without naming it (id "+c.id+", arguments "+clip(string(c.input), 200)+")")
		}
	}
	return nil
}

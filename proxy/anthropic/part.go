package anthropic

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// part is a piece of an answer that is kept: by the Writer until its turn comes, by the Collector until the end.
type part struct {
	Event
	id   string // of a call or search, unique
	text []byte // the text, or the input of a call; the results of a search, joined by commas
	sig  string // of thinking
}

// input adds to the input of a call, and tells whether it did. White space before it is nothing: a call without arguments has
// no input at all.
func (p *part) input(text string) bool {
	if len(p.text) == 0 && strings.TrimSpace(text) == "" {
		return false
	}
	p.text = append(p.text, text...)
	return true
}

// result adds a result to a search: to the one that it follows directly, so that none goes to the wrong search.
func (p *part) result(e Event) error {
	if p == nil || p.Kind != Search || (e.ID != "" && e.ID != p.ID) {
		return faulty("a result of search %q, which is complete or never began", e.ID)
	}
	if len(p.text) > 0 {
		p.text = append(p.text, ',')
	}
	p.text = append(p.text, e.Raw...)
	return nil
}

func (p *part) appendRedacted(b []byte) []byte {
	b = append(b, `{"type":"redacted_thinking","data":`...)
	return append(AppendQuote(b, p.Text), '}')
}

func (p *part) appendQuery(b []byte) []byte {
	b = append(b, `{"query":`...)
	return append(AppendQuote(b, p.Text), '}')
}

func (p *part) appendResults(b []byte) []byte {
	b = append(b, `{"type":"web_search_tool_result","tool_use_id":`...)
	b = append(AppendQuote(b, p.id), `,"content":[`...)
	return append(append(b, p.text...), "]}"...)
}

// appendCall begins the block of a tool call or search; its input follows.
func appendCall(b []byte, k Kind, id, name string) []byte {
	if k == Search {
		b = append(b, `{"type":"server_tool_use","id":`...)
	} else {
		b = append(b, `{"type":"tool_use","id":`...)
	}
	b = append(AppendQuote(b, id), `,"name":`...)
	return append(AppendQuote(b, name), ',')
}

// ids gives tool calls ids that the conversation does not hold yet: a repeated one corrupts Claude Code's history.
type ids struct {
	o     Options
	given []string
}

func (i *ids) unique(id string) string {
	if id == "" {
		id = i.o.NewID("toolu_")
	}
	out := id
	for n := 2; i.taken(out); n++ {
		out = id + "_" + strconv.Itoa(n)
	}
	i.given = append(i.given, out)
	return out
}

func (i *ids) taken(id string) bool {
	for _, have := range i.given {
		if have == id {
			return true
		}
	}
	return i.o.Taken != nil && i.o.Taken(id)
}

// isObject tells whether the input of a tool call is complete: tools take an object.
func isObject(input []byte) bool {
	input = bytes.TrimSpace(input)
	return len(input) > 1 && input[0] == '{' && gjson.ValidBytes(input)
}

// faulty is the error of events that make no reply. They come from what a provider sent.
func faulty(format string, args ...any) *Error {
	e := Invalid("the upstream's reply makes no sense: "+format, args...)
	e.Status, e.Type, e.Fault = http.StatusBadGateway, "api_error", FaultNetwork
	return e
}

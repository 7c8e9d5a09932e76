package dialect

import (
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// detail is one entry of reasoning_details. A stream brings it in pieces; it goes back whole, with every field that it had.
type detail struct {
	raw   string // the first piece
	key   string // the field that grows: text, summary or data
	kind  string
	index string
	text  []byte // of that field
}

// reason takes reasoning_details. Their text is shown unless the chunk has it elsewhere, and all of it is kept where the
// provider wants it back.
func (s *stream) reason(list gjson.Result, shown string) {
	if shown == "" {
		list.ForEach(func(_, v gjson.Result) bool {
			shown += v.Get("text").Str + v.Get("summary").Str
			return true
		})
	}
	if s.r.q.replay == replayDetails {
		list.ForEach(func(_, v gjson.Result) bool {
			s.details = addDetail(s.details, v)
			return true
		})
	}
	s.think(shown)
}

func addDetail(list []detail, v gjson.Result) []detail {
	d := detail{raw: v.Raw}
	var text gjson.Result
	v.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "type":
			d.kind = v.Str
		case "index":
			d.index = v.Raw
		case "text", "summary", "data":
			if v.Type == gjson.String {
				d.key, text = k.Str, v
			}
		}
		return true
	})
	d.text = []byte(text.Str)
	if n := len(list) - 1; n >= 0 && list[n].kind == d.kind && list[n].index == d.index && d.kind != "reasoning.encrypted" {
		list[n].grow(d, v)
		return list
	}
	return append(list, d)
}

// grow adds the next piece: its text, and the fields that the pieces before did not have, such as the signature.
func (d *detail) grow(next detail, v gjson.Result) {
	d.text = append(d.text, next.text...)
	if d.key == "" {
		d.key = next.key
	}
	v.ForEach(func(k, v gjson.Result) bool {
		if k.Str == d.key || v.Type == gjson.Null {
			return true
		}
		if have := gjson.Get(d.raw, pathOf(k.Str)); !have.Exists() || have.Type == gjson.Null {
			if raw, err := sjson.SetRaw(d.raw, pathOf(k.Str), v.Raw); err == nil {
				d.raw = raw
			}
		}
		return true
	})
}

// joinDetails is the list to be sent back, as JSON; "" where there is none.
func joinDetails(list []detail) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	for i, d := range list {
		b.WriteByte("[,"[min(i, 1)])
		raw := d.raw
		if d.key != "" {
			if whole, err := sjson.SetRaw(raw, d.key, string(anthropic.Quote(string(d.text)))); err == nil {
				raw = whole
			}
		}
		b.WriteString(raw)
	}
	b.WriteByte(']')
	return b.String()
}

package dialect

import (
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

func (s *responsesStream) emit(e anthropic.Event) {
	if !s.left && !s.yield(e, nil) {
		s.left = true
	}
}

// head takes what every form of the response tells: who serves, and what it costs so far.
func (s *responsesStream) head(response gjson.Result) {
	response.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "model":
			if s.model == "" {
				s.model = v.Str
			}
		case "usage":
			if u, ok := readUsage(v, s.r.charged); ok {
				s.usage = s.usage.Merge(u)
			}
		case "service_tier":
			if v.Str != "" && v.Str != "auto" { // that is what was asked for, not what served
				s.tier = v.Str
			}
		}
		return true
	})
	if s.model != "" {
		s.begin()
	}
}

func (s *responsesStream) begin() {
	if !s.begun {
		s.begun = true
		s.emit(anthropic.Event{Kind: anthropic.Start, Text: s.model})
	}
}

// put gives out content.
func (s *responsesStream) put(e anthropic.Event) {
	s.begin()
	s.content, s.spoken = true, nil
	s.emit(e)
}

// think gives out reasoning: its summary, or the open models' own words. The parts of one item are one block, a blank line
// apart.
func (s *responsesStream) think(it *outputItem, kind partKind, index int64, text string, whole bool) {
	if text == "" || it.signed || (it.shown != partText && it.shown != kind) {
		return
	}
	p, n := it.part(kind, index)
	if text = p.grow(text, whole); text == "" {
		return
	}
	if s.open != it {
		s.sign()
		s.open = it
	}
	if it.shown != partText && it.last != n {
		text = "\n\n" + text
	}
	it.shown, it.last = kind, n
	s.put(anthropic.Event{Kind: anthropic.Thinking, Text: text})
}

// sign ends a thinking block whose state is not known.
func (s *responsesStream) sign() {
	if s.open != nil {
		s.open.signed, s.open = true, nil
		s.put(anthropic.Event{Kind: anthropic.Signature, Text: mintSignature(s.r.kind, "")})
	}
}

// reasoned takes a whole reasoning item. Its state is what the provider wants back: that of the item's end, since the one
// at its beginning is another.
func (s *responsesStream) reasoned(it *outputItem, v gjson.Result) {
	for _, list := range []struct {
		name string
		kind partKind
	}{{"summary", partSummary}, {"content", partReasoning}} {
		index := int64(0)
		v.Get(list.name).ForEach(func(_, p gjson.Result) bool {
			s.think(it, list.kind, index, p.Get("text").Str, true)
			index++
			return true
		})
	}
	encrypted := v.Get("encrypted_content")
	if it.stated || encrypted.Str == "" {
		if s.open == it {
			s.sign()
		}
		return
	}
	if s.open == it {
		s.open = nil
	}
	s.sign() // another one
	it.signed, it.stated = true, true
	s.put(anthropic.Event{Kind: anthropic.Signature, Text: mintSignature(s.r.kind, s.r.state(v, encrypted))})
}

// state is a reasoning item as it goes back. Its id stays behind where it can: what is not stored cannot be looked up, and some
// try. Azure's project endpoints demand it.
func (r responsesReader) state(v, encrypted gjson.Result) string {
	b := append(make([]byte, 0, len(v.Raw)+64), `{"type":"reasoning"`...)
	if id := v.Get("id"); r.keepID && id.Str != "" {
		b = append(append(b, `,"id":`...), id.Raw...)
	}
	b = append(b, `,"summary":[`...)
	first := true
	v.Get("summary").ForEach(func(_, p gjson.Result) bool {
		if text := p.Get("text"); text.Type == gjson.String {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(append(append(b, `{"type":"summary_text","text":`...), text.Raw...), '}')
		}
		return true
	})
	b = append(append(b, `],"encrypted_content":`...), encrypted.Raw...)
	return string(append(b, '}'))
}

// cite keeps a page that the answer cites, each once.
func (s *responsesStream) cite(v gjson.Result) {
	if v.Get("type").Str != "url_citation" {
		return
	}
	cited := v.Get("url_citation") // as in the chat API
	if !cited.IsObject() {
		cited = v
	}
	s.found(cited.Get("url").Str, cited.Get("title").Str)
}

// found keeps a page; a title that comes later is taken too.
func (s *responsesStream) found(url, title string) {
	for i := range s.links {
		if l := &s.links[i]; l.url == url {
			if l.title == "" {
				l.title = title
			}
			return
		}
	}
	if url != "" {
		s.links = append(s.links, link{url, title})
	}
}

// searched takes what the provider did on the web. To open a page is no search.
func (s *responsesStream) searched(action gjson.Result) {
	if kind := action.Get("type").Str; kind != "search" && kind != "" {
		return
	}
	s.searches++
	queries := action.Get("queries").Array()
	if len(queries) == 0 {
		queries = []gjson.Result{action.Get("query")}
	}
	for _, q := range queries {
		if q.Str != "" {
			s.queries = append(s.queries, q.Str)
		}
	}
	action.Get("sources").ForEach(func(_, v gjson.Result) bool {
		s.found(v.Get("url").Str, v.Get("title").Str)
		return true
	})
}

// search gives out the pages found as one search of the web.
func (s *responsesStream) search() {
	if len(s.links) == 0 && s.searches == 0 {
		return
	}
	id, query := "srv"+s.r.id, strings.Join(s.queries, "; ")
	if query == "" {
		query = s.r.query
	}
	s.put(anthropic.Event{Kind: anthropic.Search, ID: id, Text: query})
	for _, l := range s.links {
		s.put(anthropic.Event{Kind: anthropic.SearchResult, ID: id, Raw: l.result()})
	}
}

// result is the page as a search result.
func (l link) result() []byte {
	raw := append([]byte(nil), `{"type":"web_search_result","url":`...)
	raw = append(anthropic.AppendQuote(raw, l.url), `,"title":`...)
	return append(anthropic.AppendQuote(raw, l.title), `,"encrypted_content":"","page_age":null}`...)
}

// terminal takes the whole response. event is the type of the event that brought it, "" where there was none.
func (s *responsesStream) terminal(response gjson.Result, event string) error {
	s.head(response)
	status := response.Get("status").Str
	if _, ending, _ := strings.Cut(event, "."); status == "" || ending == "failed" || ending == "incomplete" || ending == "cancelled" {
		status = ending
	}
	switch status {
	case "failed", "cancelled":
		return s.failed(response, status)
	case "queued", "in_progress":
		return anthropic.ForStatus(http.StatusBadGateway, "the upstream's reply ended with the response still "+status)
	}
	late := s.content
	index := int64(0)
	response.Get("output").ForEach(func(_, v gjson.Result) bool {
		at, kind := itemPlace{index, true, v.Get("id").Str}, itemKind(v.Get("type").Str)
		index++
		it := s.match(v, at, kind)
		if kind == itemReasoning && late && (it == nil || it.signed) {
			return true // its place was before what is given out already
		}
		if it == nil {
			it = &outputItem{kind: kind, at: at}
			s.items = append(s.items, it)
		}
		s.complete(it, v)
		return true
	})
	for _, it := range s.items {
		if it.kind == itemCall && !it.opened {
			return anthropic.ForStatus(http.StatusBadGateway, "the upstream called a tool without naming it (id "+it.callID+", arguments "+clip(string(it.input.text), 200)+")")
		}
	}
	s.sign()
	s.search()
	s.begin()
	s.ended = true
	s.emit(anthropic.Event{Kind: anthropic.Stop, Text: s.reasonToStop(status, response.Get("incomplete_details.reason").Str), Usage: s.total()})
	return nil
}

func (s *responsesStream) failed(response gjson.Result, status string) error {
	if v := response.Get("error"); told(v) {
		return s.failure(v)
	}
	return anthropic.ForStatus(http.StatusBadGateway, "the upstream ended the response as "+status+" without saying why")
}

func (s *responsesStream) reasonToStop(status, why string) string {
	switch {
	case status == "incomplete" && why != "content_filter":
		return "max_tokens"
	case status == "incomplete" || s.refused:
		return "refusal"
	case s.calls > 0:
		return "tool_use"
	}
	return "end_turn"
}

// total is the usage of the reply.
func (s *responsesStream) total() anthropic.Usage {
	u := s.usage
	if u.Known {
		u.Tier, u.Searches = s.tier, s.searches
		if u.Searches == 0 && len(s.links) > 0 {
			u.Searches = 1
		}
	}
	return u
}

// count tells what was used of a reply that failed.
func (s *responsesStream) count() {
	if u := s.total(); u.Known || u.CostKnown {
		s.emit(anthropic.Event{Kind: anthropic.Count, Usage: u})
	}
}

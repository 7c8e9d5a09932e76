package dialect

import (
	"slices"
	"strings"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// part is a piece of a message's content: a text, or the data URL of an image or a file. Strings are as they stand between
// the quotes of a JSON string.
type part struct {
	inner string
	media string // "data:image/png;base64," in front of inner, or "url"; "" a text
	file  string // the file's name: inner is a file
	cache anthropic.Raw
}

// say writes a message, unless it is empty.
func (e *encoder) say(role string, parts []part) {
	if len(parts) == 0 {
		return
	}
	e.open(role)
	e.content(parts)
	e.b = append(e.b, '}')
}

// content writes parts: as one string where all are text, since every provider knows that; as a list where one is not, or
// where cache_control may have to stand at one.
func (e *encoder) content(parts []part) {
	list := e.q.cache
	for _, p := range parts {
		list = list || p.media != ""
	}
	if list && len(parts) > 0 {
		e.b = append(e.b, '[')
		for i, p := range parts {
			e.comma(i)
			e.part(p)
		}
		e.b = append(e.b, ']')
		return
	}
	e.b = append(e.b, '"')
	for i, p := range parts {
		if i > 0 {
			e.b = append(e.b, `\n`...)
		}
		e.b = append(e.b, p.inner...)
	}
	e.b = append(e.b, '"')
}

func (e *encoder) part(p part) {
	switch {
	case p.file != "":
		e.b = append(e.b, `{"type":"file","file":{"filename":"`...)
		e.b = append(append(e.b, p.file...), `","file_data":"`...)
		e.url(p)
		e.b = append(e.b, `"}`...)
	case p.media != "":
		e.b = append(e.b, `{"type":"image_url","image_url":{"url":"`...)
		e.url(p)
		e.b = append(e.b, `"}`...)
	default:
		e.b = append(e.b, `{"type":"text","text":"`...)
		e.b = append(append(e.b, p.inner...), '"')
	}
	if e.q.cache && p.cache != "" && p.cache != "null" {
		if e.skipMarks--; e.skipMarks < 0 {
			e.raw("cache_control", string(p.cache))
		}
	}
	e.b = append(e.b, '}')
}

func (e *encoder) url(p part) {
	if p.media != "url" && !strings.HasPrefix(p.inner, "data:") {
		e.b = append(e.b, p.media...)
	}
	e.b = append(e.b, p.inner...)
}

// marks counts the cache_controls that would be sent.
func (e *encoder) marks() int {
	if !e.q.cache {
		return 0
	}
	n := marksIn(e.req.System())
	for _, m := range e.req.Messages() {
		if m.Role != "assistant" {
			n += marksIn(m.Content)
		}
	}
	return n
}

// marksIn counts those of blocks, and of what stands in them.
func marksIn(blocks []anthropic.Block) int {
	n := 0
	for i := range blocks {
		b := &blocks[i]
		n += marksIn(b.Content) + marksIn(b.Source.Content)
		if b.Cache != "" && b.Cache != "null" {
			n++
		}
	}
	return n
}

// collect gathers what a user or system message says, without the results that answer calls.
func (e *encoder) collect(blocks []anthropic.Block, reminder bool) {
	for i := range blocks {
		b := &blocks[i]
		switch {
		case slices.Contains(e.answered, b):
		case b.Type == "tool_result":
			e.text("[The result of a tool call that is not in this conversation:]", "")
			e.collectResult(b, "this call")
			e.parts = append(e.parts, e.media...)
			e.media = e.media[:0]
		case reminder && b.Type == "text" && !b.Text.Empty():
			e.text(`<system-reminder>\n`+b.Text.Inner()+`\n</system-reminder>`, b.Cache)
		default:
			e.block(b)
		}
	}
}

// collectResult gathers what a tool returned: its texts as parts, its images and files as media, since a tool message holds
// text alone.
func (e *encoder) collectResult(r *anthropic.Block, what string) {
	first := len(e.parts)
	for i := range r.Content {
		e.block(&r.Content[i])
	}
	media := 0
	kept := e.parts[:first]
	for _, p := range e.parts[first:] {
		if p.media == "" {
			kept = append(kept, p)
			continue
		}
		if media++; media == 1 {
			e.media = append(e.media, part{inner: "[From the result of " + anthropic.Quote(what).Inner() + ":]"})
		}
		e.media = append(e.media, p)
	}
	e.parts = kept
	if len(kept) == first {
		p := part{}
		if media > 0 {
			p.inner = "[The result is an image or a file; it follows in the next message.]"
		}
		e.parts = append(e.parts, p)
	}
	p := &e.parts[first]
	if r.IsError && !strings.HasPrefix(p.inner, "Error") && !strings.HasPrefix(p.inner, "<") {
		p.inner = "Error: " + p.inner
	}
	if r.Cache != "" {
		e.parts[len(e.parts)-1].cache = r.Cache
	}
}

func (e *encoder) text(inner string, cache anthropic.Raw) {
	if inner != "" {
		e.parts = append(e.parts, part{inner: inner, cache: cache})
	}
}

func (e *encoder) block(b *anthropic.Block) {
	switch b.Type {
	case "text":
		e.text(b.Text.Inner(), b.Cache)
	case "image":
		e.image(b)
	case "document":
		e.document(b)
	case "search_result":
		e.heading(b.Title, b.Source.URL)
		for i := range b.Content {
			e.block(&b.Content[i])
		}
	case "tool_reference":
		e.text("Tool "+anthropic.Quote(toolName(b.Name)).Inner()+" is loaded and can be called now.", b.Cache)
	default:
		e.note("a block of type " + b.Type + " is left out: it has no form for " + e.q.name)
	}
}

func (e *encoder) image(b *anthropic.Block) {
	switch src := b.Source; {
	case e.q.blind || e.o.Limits.Blind:
		e.note("images are left out: model " + e.o.Model + " takes none")
		e.text("[An image is left out here: this model takes none.]", b.Cache)
	case src.Type == "url":
		e.parts = append(e.parts, part{inner: anthropic.Quote(src.URL).Inner(), media: "url", cache: b.Cache})
	case src.Type == "base64":
		media := "data:" + anthropic.Quote(src.MediaType).Inner() + ";base64,"
		e.parts = append(e.parts, part{inner: src.Data.Inner(), media: media, cache: b.Cache})
	default:
		e.note("an image is left out: its source is of type " + src.Type)
		e.text("[An image is left out here.]", b.Cache)
	}
}

func (e *encoder) document(b *anthropic.Block) {
	src := b.Source
	name := b.Title.Inner()
	if name == "" {
		name = "document.pdf"
	}
	switch {
	case src.Type == "text":
		e.heading(b.Title, "")
		e.context(b)
		e.text(src.Data.Inner(), b.Cache)
	case src.Type == "content":
		e.heading(b.Title, "")
		e.context(b)
		for i := range src.Content {
			e.block(&src.Content[i])
		}
	case src.Type == "base64" && e.q.files:
		e.context(b)
		media := "data:" + anthropic.Quote(src.MediaType).Inner() + ";base64,"
		e.parts = append(e.parts, part{inner: src.Data.Inner(), media: media, file: name, cache: b.Cache})
	default:
		e.note("a document is left out: " + e.q.name + " takes no files of this kind here")
		where := ""
		if src.Type == "url" {
			where = " It is at " + anthropic.Quote(src.URL).Inner() + "."
		}
		e.text("[A document ("+name+") is left out here: this model takes no such files."+where+"]", b.Cache)
	}
}

func (e *encoder) context(b *anthropic.Block) {
	if b.Context != "" {
		e.text(b.Context.Inner(), "")
	}
}

func (e *encoder) heading(title anthropic.Raw, source string) {
	h := title.Inner()
	if source != "" {
		h = strings.TrimSpace(h + " (" + anthropic.Quote(source).Inner() + ")")
	}
	if h != "" {
		e.text("# "+h, "")
	}
}

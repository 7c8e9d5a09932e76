package tokens

import (
	"strings"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// A kind says how a part of a prompt is counted.
type kind uint8

const (
	text     kind = iota + 1 // a JSON string, counted as what it says
	verbatim                 // counted as it is written: a name, a JSON object
	sealed                   // encrypted text in base64, such as a thinking block's signature
	image
	document
	frame // the marks around something: n tokens
)

// A part is what is counted by itself.
type part struct {
	kind   kind
	raw    string
	source anthropic.Source // of image and document
	n      int              // of frame
}

// fixed counts a part that needs no vocabulary.
func (p part) fixed() int {
	switch p.kind {
	case sealed:
		return sealedTokens(len(p.raw))
	case image:
		return imageTokens(p.source)
	case document:
		return documentTokens(p.source)
	}
	return p.n
}

// walk visits everything that a prompt is made of.
func walk(req *anthropic.Request, visit func(part)) {
	visit(part{kind: frame, n: perRequest})
	visit(part{kind: verbatim, raw: string(req.Format)})
	walkBlocks(req.System(), visit)
	for _, t := range req.Tools() {
		visit(part{kind: frame, n: perTool})
		if t.Server() {
			visit(part{kind: verbatim, raw: string(t.Raw)})
			continue
		}
		visit(part{kind: verbatim, raw: t.Name})
		visit(part{kind: text, raw: string(t.Description)})
		visit(part{kind: verbatim, raw: string(t.Schema)})
	}
	for _, m := range req.Messages() {
		visit(part{kind: frame, n: perMessage})
		walkBlocks(m.Content, visit)
	}
}

func walkBlocks(blocks []anthropic.Block, visit func(part)) {
	for i := range blocks {
		walkBlock(&blocks[i], visit)
	}
}

func walkBlock(b *anthropic.Block, visit func(part)) {
	switch b.Type {
	case "text":
		visit(part{kind: text, raw: string(b.Text)})
	case "thinking": // where its text is not shown, it is sealed in the signature
		if !b.Text.Empty() {
			visit(part{kind: text, raw: string(b.Text)})
		} else {
			visit(part{kind: sealed, raw: b.Signature})
		}
	case "redacted_thinking":
		visit(part{kind: sealed, raw: b.Text.Inner()})
	case "tool_use", "server_tool_use", "mcp_tool_use":
		visit(part{kind: verbatim, raw: b.Name})
		visit(part{kind: verbatim, raw: string(b.Input)})
	case "tool_result", "mcp_tool_result", "web_search_tool_result":
		walkBlocks(b.Content, visit)
	case "tool_reference":
		visit(part{kind: verbatim, raw: b.Name})
	case "web_search_result":
		visit(part{kind: text, raw: string(b.Title)})
		visit(part{kind: verbatim, raw: b.Raw.Get("url").Str})
		visit(part{kind: sealed, raw: b.Raw.Get("encrypted_content").Str})
	case "search_result":
		visit(part{kind: text, raw: string(b.Title)})
		visit(part{kind: verbatim, raw: b.Source.URL})
		walkBlocks(b.Content, visit)
	case "image":
		visit(part{kind: image, source: b.Source})
	case "document":
		visit(part{kind: text, raw: string(b.Title)})
		visit(part{kind: text, raw: string(b.Context)})
		switch b.Source.Type {
		case "text":
			visit(part{kind: text, raw: string(b.Source.Data)})
		case "content":
			walkBlocks(b.Source.Content, visit)
		default:
			visit(part{kind: document, source: b.Source})
		}
	default:
		visit(part{kind: verbatim, raw: string(b.Raw)})
	}
}

// unescaped is the least number of bytes that a JSON string can stand for: an escape of at most six bytes is one at least.
func unescaped(raw string) int {
	return max(0, len(raw)-2-5*strings.Count(raw, `\`))
}

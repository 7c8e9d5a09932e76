package dialect

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// instructions writes the system prompt.
func (e *responsesEncoder) instructions() {
	first := true
	for _, b := range e.req.System() {
		text := withoutBilling(b.Text.Inner())
		if text == "" {
			continue
		}
		if first {
			e.b = append(e.b, `,"instructions":"`...)
		} else {
			e.b = append(e.b, `\n`...)
		}
		first = false
		e.b = append(e.b, text...)
	}
	if !first {
		e.b = append(e.b, '"')
	}
}

// input writes the conversation, a turn at a time: what the assistant said and called, then everything up to its next words.
// What a turn is encoded to depends on nothing else.
func (e *responsesEncoder) input() {
	e.b = append(e.b, `,"input":[`...)
	for said, answers := range turns(e.req.Messages()) {
		e.inputTurn(said, answers)
	}
	e.b = append(e.b, ']')
}

// item begins an item of the conversation.
func (e *responsesEncoder) item(head string) {
	e.comma(e.sent)
	e.sent++
	e.b = append(e.b, head...)
}

// inputTurn writes the assistant's items in their order, then the output of each call, then the rest of the answers.
func (e *responsesEncoder) inputTurn(said, answers []anthropic.Message) {
	calls := e.said(said)
	e.answered = e.answered[:0]
	for _, c := range calls {
		e.output(c, findResult(answers, c.ID))
	}
	for _, m := range answers {
		role := "user"
		if m.Role == "system" { // in mid-conversation
			role = "developer"
		}
		e.parts = e.parts[:0]
		for i := range m.Content {
			e.heard(&m.Content[i])
		}
		if len(e.parts) > 0 {
			e.item(`{"type":"message","role":"` + role + `","content":`)
			e.partList()
			e.b = append(e.b, '}')
		}
	}
}

// said writes what the assistant said, thought and called, and returns its calls, each id once. Reasoning is written with
// what follows it: alone it would be refused.
func (e *responsesEncoder) said(said []anthropic.Message) []anthropic.Block {
	var calls []anthropic.Block
	e.states = e.states[:0]
	for _, m := range said {
		for i := range m.Content {
			b := &m.Content[i]
			switch {
			case b.Type == "thinking":
				if state, ok := e.ownState(*b); ok {
					e.states = append(e.states, state)
				}
			case b.Type == "tool_use" && !called(calls, b.ID):
				e.reasoned()
				e.functionCall(*b)
				calls = append(calls, *b)
			case b.Type != "tool_use":
				if text := spoken(b); text != "" {
					e.reasoned()
					e.item(`{"type":"message","role":"assistant","content":"`)
					e.b = append(append(e.b, text...), `"}`...)
				}
			}
		}
	}
	return calls
}

// ownState reads the reasoning item in a thinking block that this model gave out. Another's is dropped.
func (e *responsesEncoder) ownState(b anthropic.Block) (string, bool) {
	kind, state, ok := mintedSignature(b.Signature)
	if !ok || kind != e.kind || !gjson.Valid(state) || !gjson.Parse(state).IsObject() {
		return "", false
	}
	return state, true
}

func (e *responsesEncoder) reasoned() {
	for _, state := range e.states {
		e.item(state)
	}
	e.states = e.states[:0]
}

func (e *responsesEncoder) functionCall(c anthropic.Block) {
	e.item(`{"type":"function_call","call_id":`)
	e.b = anthropic.AppendQuote(e.b, e.q.callID(c.ID))
	e.b = append(e.b, `,"name":`...)
	e.b = anthropic.AppendQuote(e.b, toolName(c.Name))
	if c.Input.Empty() {
		c.Input = "{}"
	}
	e.b = append(e.b, `,"arguments":`...)
	e.b = append(anthropic.AppendQuote(e.b, string(c.Input)), '}')
}

// output writes the result of one call. A call without a result, as an interrupted run leaves it, gets one that says so:
// without it the provider would refuse the conversation for good.
func (e *responsesEncoder) output(c anthropic.Block, r *anthropic.Block) {
	e.parts = e.parts[:0]
	if r == nil {
		e.text("[No result: the call was interrupted.]", "")
	} else {
		e.answered = append(e.answered, r)
		e.returned(r)
	}
	e.item(`{"type":"function_call_output","call_id":`)
	e.b = anthropic.AppendQuote(e.b, e.q.callID(c.ID))
	e.b = append(e.b, `,"output":`...)
	if slices.ContainsFunc(e.parts, func(p part) bool { return p.media != "" }) {
		e.partList()
	} else {
		e.content(e.parts) // one string
	}
	e.b = append(e.b, '}')
}

// returned gathers what a tool returned: texts, images and files in their order.
func (e *responsesEncoder) returned(r *anthropic.Block) {
	first := len(e.parts)
	for i := range r.Content {
		e.piece(&r.Content[i])
	}
	if !r.IsError {
		return
	}
	switch {
	case len(e.parts) == first:
		e.text("Error", "")
	case e.parts[first].media != "":
		e.parts = slices.Insert(e.parts, first, part{inner: "Error:"})
	default:
		p := &e.parts[first]
		if !strings.HasPrefix(p.inner, "Error") && !strings.HasPrefix(p.inner, "<") {
			p.inner = "Error: " + p.inner
		}
	}
}

// heard gathers a block of a user or system message, unless it is a result that is written already.
func (e *responsesEncoder) heard(b *anthropic.Block) {
	switch {
	case slices.Contains(e.answered, b):
	case b.Type == "tool_result":
		e.text("[The result of a tool call that is not in this conversation:]", "")
		e.returned(b)
	default:
		e.piece(b)
	}
}

// piece gathers a block. A document that is only a URL is fetched by the provider.
func (e *responsesEncoder) piece(b *anthropic.Block) {
	if b.Type == "document" && b.Source.Type == "url" {
		e.context(b)
		e.parts = append(e.parts, part{inner: anthropic.Quote(b.Source.URL).Inner(), media: "url", file: "url"})
		return
	}
	e.block(b)
}

// partList writes the gathered parts as a list.
func (e *responsesEncoder) partList() {
	for i, p := range e.parts {
		e.b = append(e.b, "[,"[min(i, 1)])
		switch {
		case p.file != "" && p.media == "url":
			e.b = append(e.b, `{"type":"input_file","file_url":"`...)
		case p.file != "":
			e.b = append(e.b, `{"type":"input_file","filename":"`...)
			e.b = append(e.b, p.file...)
			if strings.HasPrefix(p.media, "data:application/pdf;") && !strings.HasSuffix(strings.ToLower(p.file), ".pdf") {
				e.b = append(e.b, ".pdf"...) // the kind of a file is read from its name
			}
			e.b = append(e.b, `","file_data":"`...)
		case p.media != "":
			e.b = append(e.b, `{"type":"input_image","detail":"auto","image_url":"`...)
		default:
			e.b = append(e.b, `{"type":"input_text","text":"`...)
		}
		e.url(p)
		e.b = append(e.b, `"}`...)
	}
	e.b = append(e.b, ']')
}

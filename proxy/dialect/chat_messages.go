package dialect

import (
	"iter"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// messages writes the conversation, a turn at a time: what the assistant said, then everything up to its next words. A tool
// result must stand right behind its call, so a turn is the least that can be put in order; what it is encoded to depends on
// nothing else.
func (e *encoder) messages() {
	e.skipMarks = e.marks() - 4
	e.b = append(e.b, `,"messages":[`...)
	e.system()
	for said, answers := range turns(e.req.Messages()) {
		e.turn(said, answers)
	}
	e.b = append(e.b, ']')
}

// turns cuts a conversation: what the assistant said, and everything up to its next words.
func turns(ms []anthropic.Message) iter.Seq2[[]anthropic.Message, []anthropic.Message] {
	return func(yield func(said, answers []anthropic.Message) bool) {
		for i := 0; i < len(ms); {
			from := i
			for i < len(ms) && ms[i].Role == "assistant" {
				i++
			}
			mid := i
			for i < len(ms) && ms[i].Role != "assistant" {
				i++
			}
			if !yield(ms[from:mid], ms[mid:i]) {
				return
			}
		}
	}
}

// open begins a message.
func (e *encoder) open(role string) {
	e.comma(e.sent)
	e.sent++
	e.b = append(append(append(e.b, `{"role":"`...), role...), `","content":`...)
}

func (e *encoder) system() {
	e.parts = e.parts[:0]
	for _, b := range e.req.System() {
		text := withoutBilling(b.Text.Inner())
		if text != "" {
			e.parts = append(e.parts, part{inner: text, cache: b.Cache})
		}
	}
	if schema := e.req.Format.Get("schema"); e.q.format == formatObject && schema.IsObject() {
		e.parts = append(e.parts, part{inner: anthropic.Quote("Answer with JSON alone, after this JSON schema:\n" + schema.Raw).Inner()})
	}
	e.say(e.systemRole(), e.parts)
}

func (e *encoder) systemRole() string {
	if e.q.system != "" {
		return e.q.system
	}
	return "system"
}

// withoutBilling takes Claude Code's billing header from a system text: it changes with every session, and no prefix that
// begins with it is ever found in a cache again.
func withoutBilling(inner string) string {
	if !strings.HasPrefix(inner, "x-anthropic-billing-header:") {
		return inner
	}
	_, rest, _ := strings.Cut(inner, `\n`)
	return rest
}

// turn writes the assistant's messages as one, then what answers them: first the result of each call, then the rest.
func (e *encoder) turn(said, answers []anthropic.Message) {
	calls := toolCalls(said)
	e.assistant(said, calls, len(answers) == 0)
	e.media, e.answered = e.media[:0], e.answered[:0]
	for _, c := range calls {
		e.result(c, findResult(answers, c.ID))
	}
	e.parts, e.media = append(e.parts[:0], e.media...), e.media[:0]
	behindTool := len(calls) > 0 && e.q.between
	flush := func(role string) {
		if len(e.parts) > 0 && behindTool {
			e.open("assistant")
			e.b = append(e.b, `"Understood."}`...)
			behindTool = false
		}
		e.say(role, e.parts)
		e.parts = e.parts[:0]
	}
	for _, m := range answers {
		system := m.Role == "system"
		if system && !e.q.strict {
			flush("user")
		}
		e.collect(m.Content, system && e.q.strict)
		switch {
		case system && !e.q.strict:
			flush(e.systemRole())
		case !e.q.strict:
			flush("user")
		}
	}
	flush("user")
}

// toolCalls are the calls in the assistant's words, each id once.
func toolCalls(said []anthropic.Message) []anthropic.Block {
	var out []anthropic.Block
	for _, m := range said {
		for _, b := range m.Content {
			if b.Type == "tool_use" && !called(out, b.ID) {
				out = append(out, b)
			}
		}
	}
	return out
}

func called(calls []anthropic.Block, id string) bool {
	for _, c := range calls {
		if c.ID == id {
			return true
		}
	}
	return false
}

func findResult(answers []anthropic.Message, id string) *anthropic.Block {
	for _, m := range answers {
		for i := range m.Content {
			if b := &m.Content[i]; b.Type == "tool_result" && b.ID == id {
				return b
			}
		}
	}
	return nil
}

// assistant writes what the assistant said; a message without text and calls is left out, as providers refuse it.
func (e *encoder) assistant(said []anthropic.Message, calls []anthropic.Block, last bool) {
	texts := 0
	for _, m := range said {
		for i := range m.Content {
			if spoken(&m.Content[i]) != "" {
				texts++
			}
		}
	}
	if texts+len(calls) == 0 {
		return
	}
	e.open("assistant")
	switch {
	case texts > 0:
		e.joinTexts(said)
	case e.q.blank:
		e.b = append(e.b, `""`...)
	default:
		e.b = append(e.b, "null"...)
	}
	e.replay(said)
	for i, c := range calls {
		if i == 0 {
			e.b = append(e.b, `,"tool_calls":[`...)
		}
		e.comma(i)
		e.call(c)
		if i == len(calls)-1 {
			e.b = append(e.b, ']')
		}
	}
	if last && len(calls) == 0 && e.q.prefix {
		e.b = append(e.b, `,"prefix":true`...)
	}
	e.b = append(e.b, '}')
}

func (e *encoder) joinTexts(said []anthropic.Message) {
	e.b = append(e.b, '"')
	first := true
	for _, m := range said {
		for i := range m.Content {
			text := spoken(&m.Content[i])
			if text == "" {
				continue
			}
			if !first {
				e.b = append(e.b, `\n`...)
			}
			first = false
			e.b = append(e.b, text...)
		}
	}
	e.b = append(e.b, '"')
}

func (e *encoder) call(c anthropic.Block) {
	e.b = append(e.b, `{"id":`...)
	e.b = anthropic.AppendQuote(e.b, e.q.callID(c.ID))
	e.b = append(e.b, `,"type":"function","function":{"name":`...)
	e.b = anthropic.AppendQuote(e.b, toolName(c.Name))
	e.b = append(e.b, `,"arguments":`...)
	if c.Input.Empty() {
		c.Input = "{}"
	}
	e.b = append(anthropic.AppendQuote(e.b, string(c.Input)), "}}"...)
}

// replay gives the provider its own thinking back, in the form in which it came. Another provider's is dropped.
func (e *encoder) replay(said []anthropic.Message) {
	switch e.q.replay {
	case replayContent:
		e.replayContent(said)
	case replayDetails:
		list := ""
		for _, m := range said {
			for _, b := range m.Content {
				if state, ok := e.own(b); ok && len(state) > 2 {
					list += "," + state[1:len(state)-1]
				}
			}
		}
		if list != "" {
			e.raw("reasoning_details", "["+list[1:]+"]")
		}
	}
}

func (e *encoder) replayContent(said []anthropic.Message) {
	if !e.thinks() {
		return
	}
	known := e.q.owed
	text := ""
	for _, m := range said {
		for _, b := range m.Content {
			if _, ok := e.own(b); ok {
				known = true
				text += b.Text.Inner()
			}
		}
	}
	if known {
		e.raw("reasoning_content", `"`+text+`"`)
	}
}

// own reads the state in a thinking block that came from this provider.
func (e *encoder) own(b anthropic.Block) (string, bool) {
	if b.Type != "thinking" {
		return "", false
	}
	kind, state, ok := mintedSignature(b.Signature)
	if !ok || kind != e.q.name || state != "" && !gjson.Valid(state) {
		return "", false
	}
	return state, true
}

// result writes the tool message of one call. A call without a result, as an interrupted run leaves it, gets one that says
// so: without it the provider would refuse the conversation for good.
func (e *encoder) result(c anthropic.Block, r *anthropic.Block) {
	e.parts = e.parts[:0]
	if r == nil {
		e.parts = append(e.parts, part{inner: "[No result: the call was interrupted.]"})
	} else {
		e.answered = append(e.answered, r)
		e.collectResult(r, `"`+c.Name+`"`)
	}
	e.open("tool")
	e.content(e.parts)
	e.b = append(e.b, `,"tool_call_id":`...)
	e.b = append(anthropic.AppendQuote(e.b, e.q.callID(c.ID)), '}')
}

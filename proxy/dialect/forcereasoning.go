package dialect

import (
	"strings"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// The transformer forcereasoning makes a model reason that has no such mode: it is asked to do so between tags, shown its
// earlier reasoning in the same form, and what it writes between the tags becomes thinking.
const forcePrompt = "Reason before you answer or call a tool. Write your reasoning first, between the tags <reasoning_content> and " +
	"</reasoning_content>, and nothing but your reasoning there; then go on with the answer or the call."

// mostThoughts is how many of the earlier thoughts are shown. They are let go ten at a time, so that in most turns the
// conversation begins as it did in the turn before, and is found in the provider's cache.
const mostThoughts = 10

func forceReasoning(kind string) Transformer {
	tags := thinkTags{open: "<reasoning_content>", close: "</reasoning_content>", anywhere: true, kind: kind}
	return func(req *anthropic.Request, _ Options) (Layer, error) {
		ms := req.Messages()
		thoughts := 0
		for _, m := range ms {
			for _, b := range m.Content {
				if isThought(b) {
					thoughts++
				}
			}
		}
		skip := (thoughts - 1) / mostThoughts * mostThoughts
		b := []byte{'['}
		last := lastUser(ms)
		for i, m := range ms {
			if i > 0 {
				b = append(b, ',')
			}
			b = forceMessage(b, m, &skip, i == last)
		}
		changed, err := edited(req, edit{"messages", string(append(b, ']'))})
		return Layer{Request: changed, Reply: tags.reply}, err
	}
}

func isThought(b anthropic.Block) bool { return b.Type == "thinking" && !b.Text.Empty() }

// lastUser is the place of the message that is to be answered; -1: there is none.
func lastUser(ms []anthropic.Message) int {
	for i := len(ms) - 1; i >= 0; i-- {
		switch ms[i].Role {
		case "user":
			return i
		case "assistant":
			return -1 // its beginning is given: it does not begin with reasoning
		}
	}
	return -1
}

// forceMessage writes a message with its thinking as text, and with the prompt where it is the last one: behind a list of
// blocks, before a text.
func forceMessage(b []byte, m anthropic.Message, skip *int, last bool) []byte {
	thinks := false
	for _, block := range m.Content {
		thinks = thinks || isThought(block)
	}
	if !thinks && !last {
		return append(b, m.Raw...)
	}
	b = append(b, `{"role":`...)
	b = append(anthropic.AppendQuote(b, m.Role), `,"content":[`...)
	first := true
	add := func(raw ...string) {
		if !first {
			b = append(b, ',')
		}
		first = false
		for _, r := range raw {
			b = append(b, r...)
		}
	}
	prompt := `{"type":"text","text":` + string(anthropic.Quote(forcePrompt)) + "}"
	asText := len(m.Content) == 1 && strings.HasPrefix(string(m.Content[0].Raw), `"`)
	if last && asText {
		add(prompt)
	}
	for _, block := range m.Content {
		switch {
		case isThought(block):
			if *skip--; *skip < 0 {
				add(`{"type":"text","text":"<reasoning_content>`, block.Text.Inner(), `</reasoning_content>"}`)
			}
		case asText:
			add(`{"type":"text","text":`, string(block.Raw), "}")
		default:
			add(string(block.Raw))
		}
	}
	if last && !asText {
		add(prompt)
	}
	return append(b, "]}"...)
}

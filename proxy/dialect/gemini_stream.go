package dialect

import (
	"fmt"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

func (s *geminiStream) emit(e anthropic.Event) {
	if !s.left && !s.yield(e, nil) {
		s.left = true
	}
}

func (s *geminiStream) begin() {
	if !s.begun {
		s.begun = true
		s.emit(anthropic.Event{Kind: anthropic.Start, Text: s.model, Usage: s.usage()})
	}
}

func (s *geminiStream) put(e anthropic.Event) {
	s.begin()
	s.emit(e)
}

// part takes one part of the answer: a thought, a text, a call.
func (s *geminiStream) part(v gjson.Result) error {
	var text, sign, other string
	var call gjson.Result
	thought, media := false, false
	v.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "text":
			text = v.Str
		case "thought":
			thought = v.Type == gjson.True
		case "thoughtSignature", "thought_signature":
			sign = v.Str
		case "functionCall":
			call = v
		case "toolCall", "toolResponse", "executableCode", "codeExecutionResult":
			other = k.Raw + ":" + v.Raw
		case "inlineData", "fileData":
			media = true
		}
		return true
	})
	switch {
	case call.IsObject():
		return s.call(call, sign)
	case other != "":
		if sign != "" {
			other += `,"thoughtSignature":` + string(anthropic.Quote(sign))
		}
		s.sign(wholePart, "{"+other+"}")
	case thought:
		s.think(text, sign)
	case media:
		s.text("[The model's answer has an image or a file here, which cannot be shown.]", sign)
	default:
		s.text(text, sign)
	}
	return nil
}

func (s *geminiStream) think(text, sign string) {
	if text != "" {
		s.flush()
		s.thinking, s.texting = true, false
		s.put(anthropic.Event{Kind: anthropic.Thinking, Text: text})
	}
	if sign != "" {
		s.sign(signsThought, sign)
	}
}

// text takes a text, which may be empty but for its signature. Claude Code takes an answer whose last block is no text for an
// answer without any: so a signature that comes behind the first words is kept back, and is lost if nothing follows. Gemini
// wants signatures of calls, and only likes those of texts.
func (s *geminiStream) text(text, sign string) {
	switch {
	case text == "" && sign == "":
		return
	case text == "" && s.texting:
		s.later = s.r.mintPart(signsEmpty, sign)
		return
	case text == "":
		s.sign(signsEmpty, sign)
		return
	case sign != "" && !s.texting:
		s.sign(signsText, sign)
	case sign != "":
		s.later = s.r.mintPart(signsBefore, sign)
	default:
		s.endThinking()
	}
	s.texting = true
	s.put(anthropic.Event{Kind: anthropic.Text, Text: text})
}

// call takes a call, which is always whole.
func (s *geminiStream) call(v gjson.Result, sign string) error {
	var id, name string
	args := "{}"
	v.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "id":
			id = v.Str
		case "name":
			name = v.Str
		case "args":
			if v.IsObject() {
				args = v.Raw
			}
		}
		return true
	})
	if name == "" {
		return anthropic.ForStatus(http.StatusBadGateway, "the upstream called a tool without naming it (id "+id+", arguments "+clip(args, 200)+")")
	}
	for _, a := range s.r.names {
		if a.sent == name {
			name = a.own
			break
		}
	}
	s.flush()
	if sign != "" {
		s.sign(signsCall, sign)
	}
	s.endThinking()
	s.put(anthropic.Event{Kind: anthropic.ToolUse, Call: s.calls, ID: s.callID(id), Name: name})
	s.put(anthropic.Event{Kind: anthropic.ToolInput, Call: s.calls, Text: args})
	s.calls++
	s.texting = false
	return nil
}

// sign ends the thinking block that is open, or makes an empty one, with a signature of something.
func (s *geminiStream) sign(where, sign string) {
	s.flush()
	s.put(anthropic.Event{Kind: anthropic.Signature, Text: s.r.mintPart(where, sign)})
	s.thinking, s.texting = false, false
}

// endThinking ends the thinking block that is open with a signature of nothing: clients keep only what is signed.
func (s *geminiStream) endThinking() {
	if s.thinking {
		s.sign(signsNothing, "")
	}
}

// flush gives out the signature of the text that is open, since more follows.
func (s *geminiStream) flush() {
	if s.later != "" {
		s.put(anthropic.Event{Kind: anthropic.Signature, Text: s.later})
		s.later = ""
	}
}

// end closes the reply.
func (s *geminiStream) end() error {
	if s.left {
		return nil
	}
	if s.finish == "" && !s.blocked {
		return fmt.Errorf("%w: it has no finishReason", ErrTruncated)
	}
	s.endThinking()
	reason := s.reason()
	if reason == "refusal" && !s.texting && s.message != "" {
		s.put(anthropic.Event{Kind: anthropic.Text, Text: s.message})
	}
	s.search()
	s.begin()
	s.emit(anthropic.Event{Kind: anthropic.Stop, Text: reason, Usage: s.usage()})
	return nil
}

func (s *geminiStream) reason() string {
	switch s.finish {
	case "MAX_TOKENS":
		return "max_tokens"
	case "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR":
		return "refusal"
	}
	switch {
	case s.blocked:
		return "refusal"
	case s.calls > 0:
		return "tool_use"
	}
	return "end_turn"
}

// search gives out the pages found as one search of the web.
func (s *geminiStream) search() {
	if len(s.queries)+len(s.links) == 0 {
		return
	}
	query := s.r.query
	if len(s.queries) > 0 {
		query = s.queries[0]
	}
	id := "srv" + s.r.id
	s.put(anthropic.Event{Kind: anthropic.Search, ID: id, Text: query})
	for _, l := range s.links {
		raw := append([]byte(nil), `{"type":"web_search_result","url":`...)
		raw = append(anthropic.AppendQuote(raw, l.url), `,"title":`...)
		raw = append(anthropic.AppendQuote(raw, l.title), `,"encrypted_content":"","page_age":null}`...)
		s.put(anthropic.Event{Kind: anthropic.SearchResult, ID: id, Raw: raw})
	}
}

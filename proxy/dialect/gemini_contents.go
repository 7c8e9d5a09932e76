package dialect

import (
	"path"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// goOn stands where Gemini demands a user's words and the client has none: before an assistant's first and behind its last.
const goOn = "Continue."

func (e *geminiEncoder) system() {
	e.parts = e.parts[:0]
	for _, b := range e.req.System() {
		e.text(withoutBilling(b.Text.Inner()), "")
	}
	if e.asText {
		schema := e.req.Format.Get("schema").Raw
		e.text(anthropic.Quote("Answer with JSON alone, after this JSON schema:\n"+schema).Inner(), "")
	}
	if len(e.parts) == 0 {
		return
	}
	e.field("systemInstruction")
	e.b = append(e.b, `{"parts":[`...)
	for i, p := range e.parts {
		e.comma(i)
		e.part(p)
	}
	e.b = append(e.b, "]}"...)
}

// contents writes the conversation, a turn at a time, so that the results of all calls stand in the one content behind them.
func (e *geminiEncoder) contents() error {
	e.field("contents")
	e.b = append(e.b, '[')
	ms := e.req.Messages()
	for i := 0; i < len(ms); {
		from := i
		for i < len(ms) && ms[i].Role == "assistant" {
			i++
		}
		mid := i
		for i < len(ms) && ms[i].Role != "assistant" {
			i++
		}
		e.turn(ms[from:mid], ms[mid:i])
	}
	if e.role == "" {
		return anthropic.Invalid("messages: there is nothing in them that can be sent")
	}
	if e.role == "model" {
		e.say("user", part{inner: goOn})
	}
	e.b = append(e.b, "]}]"...)
	return nil
}

// begin gets ready for the next part, in the open content if its role is the same: roles must alternate.
func (e *geminiEncoder) begin(role string) {
	switch {
	case e.role == role:
		e.b = append(e.b, ',')
		return
	case e.role == "" && role == "model":
		e.say("user", part{inner: goOn})
	}
	if e.role != "" {
		e.b = append(e.b, "]},"...)
	}
	e.role = role
	e.b = append(append(append(e.b, `{"role":"`...), role...), `","parts":[`...)
}

func (e *geminiEncoder) say(role string, p part) {
	e.begin(role)
	e.part(p)
}

func (e *geminiEncoder) turn(said, answers []anthropic.Message) {
	calls := toolCalls(said)
	e.assistant(said)
	e.media, e.answered = e.media[:0], e.answered[:0]
	for i := range calls {
		e.response(&calls[i], findResult(answers, calls[i].ID))
	}
	e.parts, e.media = append(e.parts[:0], e.media...), e.media[:0]
	for _, m := range answers {
		e.gather(m.Content, m.Role == "system")
	}
	for _, p := range e.parts {
		e.say("user", p)
	}
}

// saidSoFar is what the writing of an answer must remember.
type saidSoFar struct {
	calls      []string // ids of the calls that are written
	callSign   string   // the signature of the next call
	textSign   string   // and of the next text
	behindText bool     // the last part is a text without a signature
}

// assistant writes what the model said, and its signatures where they stood.
func (e *geminiEncoder) assistant(said []anthropic.Message) {
	var s saidSoFar
	for _, m := range said {
		for i := range m.Content {
			switch b := &m.Content[i]; b.Type {
			case "thinking":
				e.thought(&s, b)
			case "text":
				if b.Text.Empty() {
					continue
				}
				e.say("model", part{inner: b.Text.Inner()})
				s.behindText = s.textSign == ""
				e.sign(s.textSign)
				s.textSign = ""
			case "tool_use":
				e.call(&s, b)
			}
		}
	}
}

// sign puts a signature on the part that was just written.
func (e *geminiEncoder) sign(sign string) {
	if sign != "" {
		e.b = append(e.b[:len(e.b)-1], `,"thoughtSignature":`...)
		e.b = append(anthropic.AppendQuote(e.b, sign), '}')
	}
}

// thought takes the signature in a thinking block to its part. Thoughts without one are not sent: Gemini has no use for them.
func (e *geminiEncoder) thought(s *saidSoFar, b *anthropic.Block) {
	where, sign := e.signature(b)
	switch where {
	case signsNothing:
		return
	case signsCall:
		s.callSign = sign
	case signsText:
		s.textSign = sign
	case signsBefore:
		if s.behindText {
			e.sign(sign)
		}
	case signsEmpty:
		e.say("model", part{})
		e.sign(sign)
	case signsThought:
		e.begin("model")
		e.b = append(append(append(e.b, `{"thought":true,"text":"`...), b.Text.Inner()...), `"}`...)
		e.sign(sign)
	case wholePart:
		e.begin("model")
		e.b = append(e.b, sign...)
	}
	s.behindText = false
}

// foreignCall is the signature that Gemini 3 takes for a call that it did not make itself, or not this model; without any it
// answers 400. It goes as these words, not in base64.
const foreignCall = "skip_thought_signature_validator"

// call writes a call, each id once. Of several calls in one answer only the first is signed.
func (e *geminiEncoder) call(s *saidSoFar, b *anthropic.Block) {
	if slices.Contains(s.calls, b.ID) {
		return
	}
	sign, args := s.callSign, b.Input
	if sign == "" && len(s.calls) == 0 && e.g.major >= 3 {
		sign = foreignCall
	}
	if len(args) == 0 || args[0] != '{' {
		args = "{}"
	}
	e.begin("model")
	e.b = append(e.b, `{"functionCall":{`...)
	e.id(b.ID)
	e.set("name", string(anthropic.Quote(geminiName(b.Name))))
	e.set("args", string(args))
	e.b = append(e.b, "}}"...)
	e.sign(sign)
	s.calls = append(s.calls, b.ID)
	s.callSign, s.behindText = "", false
}

// id names a call and its response; Vertex refuses it in calls.
func (e *geminiEncoder) id(id string) {
	if !e.vertex {
		e.field("id")
		e.b = anthropic.AppendQuote(e.b, e.q.callID(id))
	}
}

// response writes the result of one call. A call without a result, as an interrupted run leaves it, gets one that says so:
// Gemini demands as many responses as calls.
func (e *geminiEncoder) response(c *anthropic.Block, r *anthropic.Block) {
	e.parts = e.parts[:0]
	key := "result"
	switch {
	case r == nil:
		key = "error"
		e.text("No result: the call was interrupted.", "")
	default:
		e.answered = append(e.answered, r)
		e.gather(r.Content, false)
		if r.IsError {
			key = "error"
		}
	}
	var media []part
	e.begin("user")
	e.b = append(e.b, `{"functionResponse":{`...)
	e.id(c.ID)
	e.set("name", string(anthropic.Quote(geminiName(c.Name))))
	e.b = append(append(append(e.b, `,"response":{"`...), key...), `":"`...)
	texts := 0
	for _, p := range e.parts {
		if p.media != "" {
			media = append(media, p)
			continue
		}
		if texts++; texts > 1 {
			e.b = append(e.b, `\n`...)
		}
		e.b = append(e.b, p.inner...)
	}
	if texts == 0 && len(media) > 0 {
		e.b = append(e.b, "The result is an image or a file; it is attached."...)
	}
	e.b = append(e.b, `"}`...)
	e.attach(c, media)
	e.b = append(e.b, "}}"...)
}

// attach writes the images and files of a result: inside its response where the model knows that, else behind all responses.
func (e *geminiEncoder) attach(c *anthropic.Block, media []part) {
	inside, behind := 0, 0
	for _, p := range media {
		if e.g.major < 3 || p.media == "url" {
			if behind++; behind == 1 {
				e.media = append(e.media, part{inner: "[From the result of " + anthropic.Quote(c.Name).Inner() + ":]"})
			}
			e.media = append(e.media, p)
			continue
		}
		if inside++; inside == 1 {
			e.b = append(e.b, `,"parts":[`...)
		}
		e.comma(inside - 1)
		e.part(p)
	}
	if inside > 0 {
		e.b = append(e.b, ']')
	}
}

// gather collects what blocks say, without the results that answer calls. It hands on to collect what Gemini takes as chat does.
func (e *geminiEncoder) gather(blocks []anthropic.Block, reminder bool) {
	for i := range blocks {
		b := &blocks[i]
		switch {
		case slices.Contains(e.answered, b):
		case b.Type == "tool_result":
			e.text("[The result of a tool call that is not in this conversation:]", "")
			e.gather(b.Content, false)
		case b.Type == "document" && b.Source.Type == "url":
			e.parts = append(e.parts, part{inner: anthropic.Quote(b.Source.URL).Inner(), media: "url", file: "application/pdf"})
		case b.Type == "image" && b.Source.MediaType == "image/gif" && !e.o.Limits.Blind:
			e.note("an image is left out: " + e.q.name + " takes no image/gif")
			e.text("[An image is left out here: this model takes no GIF.]", "")
		default:
			e.collect(blocks[i:i+1], reminder)
		}
	}
}

func (e *geminiEncoder) part(p part) {
	switch p.media {
	case "":
		e.b = append(append(append(e.b, `{"text":"`...), p.inner...), `"}`...)
	case "url":
		kind := p.file
		if kind == "" {
			kind = fileTypes[strings.ToLower(path.Ext(p.inner))]
		}
		e.b = append(e.b, `{"fileData":{`...)
		if kind != "" {
			e.set("mimeType", `"`+kind+`"`)
		}
		e.set("fileUri", `"`+p.inner+`"`)
		e.b = append(e.b, "}}"...)
	default:
		kind, data := p.media, p.inner
		if strings.HasPrefix(data, "data:") { // some clients send a whole data URL
			kind, data, _ = strings.Cut(data, ",")
		}
		kind, _, _ = strings.Cut(strings.TrimPrefix(kind, "data:"), ";")
		e.b = append(append(append(e.b, `{"inlineData":{"mimeType":"`...), kind...), `","data":"`...)
		e.b = append(append(e.b, data...), `"}}`...)
	}
}

var fileTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".heic": "image/heic", ".heif": "image/heif", ".pdf": "application/pdf",
}

// The signature of a part of Gemini's answer travels in that of a thinking block, behind one of these and the model's name.
// Signatures mean something to the model that made them alone.
const (
	signsNothing = ""
	signsCall    = "c" // the next call
	signsText    = "n" // the next text
	signsBefore  = "t" // the text before
	signsEmpty   = "e" // a text of its own that is empty
	signsThought = "h" // the thought itself
	wholePart    = "r" // no signature but a whole part, as JSON: a search that ran beside functions
)

// mintPart makes the signature of a thinking block.
func (r *geminiReader) mintPart(where, sign string) string {
	if where == signsNothing {
		return mintSignature(r.kind, "")
	}
	return mintSignature(r.kind, where+r.model+"|"+sign)
}

// signature reads it again; another model's or provider's is nothing.
func (e *geminiEncoder) signature(b *anthropic.Block) (where, sign string) {
	kind, payload, ok := mintedSignature(b.Signature)
	if !ok || kind != e.q.name || payload == "" {
		return signsNothing, ""
	}
	model, sign, ok := strings.Cut(payload[1:], "|")
	if !ok || model != e.model {
		return signsNothing, ""
	}
	where = payload[:1]
	if where == wholePart && !(gjson.Valid(sign) && gjson.Parse(sign).IsObject()) {
		return signsNothing, ""
	}
	return where, sign
}

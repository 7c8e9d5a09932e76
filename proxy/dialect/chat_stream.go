package dialect

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// stream is the state of a reply that is being read.
type stream struct {
	r      reader
	header http.Header
	yield  func(anthropic.Event, error) bool
	left   bool // the consumer has gone

	model    string
	begun    bool // Start was given out
	content  bool // so was content
	streamed bool // deltas came
	thinking bool // a thinking block is open: it waits for its signature
	details  []detail
	calls    []toolCall
	links    []link
	usage    anthropic.Usage
	tier     string

	pattern pattern
	emitted int             // events given out
	last    anthropic.Event // of them
	literal string          // the last delta as it stood in its chunk
	steady  bool            // the chunk would do the same if it came again

	finish     string // the finish_reason, in lower case
	stopString string
	refused    bool
}

func (s *stream) emit(e anthropic.Event) {
	s.emitted++
	s.last = e
	if !s.left && !s.yield(e, nil) {
		s.left = true
	}
}

// begin says which model serves; where the first chunks do not tell, content does not wait for it.
func (s *stream) begin() {
	if !s.begun && s.model != "" {
		s.begun = true
		s.emit(anthropic.Event{Kind: anthropic.Start, Text: s.model})
	}
}

func (s *stream) put(e anthropic.Event) {
	if !s.begun {
		s.begun = true
		s.emit(anthropic.Event{Kind: anthropic.Start, Text: s.model})
	}
	s.content = true
	s.emit(e)
}

// delta takes what a chunk adds, in the order in which it was thought: reasoning, text, calls.
func (s *stream) delta(d gjson.Result) error {
	var content, details, calls, function, links gjson.Result
	reasoning, rank, refusal := gjson.Result{}, 0, ""
	d.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "content":
			content = v
		case "reasoning_content":
			prefer(&reasoning, &rank, v, 3)
		case "reasoning":
			prefer(&reasoning, &rank, v, 2)
		case "reasoning_text":
			prefer(&reasoning, &rank, v, 1)
		case "reasoning_details":
			details = v
		case "refusal":
			refusal = v.Str
		case "tool_calls":
			calls = v
		case "function_call":
			function = v
		case "annotations":
			links = v
		}
		return true
	})
	if reasoning.Str != "" {
		s.literal = reasoning.Raw
	}
	if details.IsArray() {
		s.steady = false // each of them is kept
		s.reason(details, reasoning.Str)
	} else {
		s.think(reasoning.Str)
	}
	s.contents(content)
	if refusal != "" {
		s.refused = true
		s.text(refusal)
	}
	if links.IsArray() {
		s.link(links)
	}
	if calls.IsArray() {
		return s.toolCalls(calls)
	}
	if function.IsObject() {
		return s.toolCall(function, gjson.Result{}, 0, false)
	}
	return nil
}

// prefer keeps the reasoning of the field that ranks highest: some providers send the same text in two.
func prefer(best *gjson.Result, rank *int, v gjson.Result, r int) {
	if v.Type == gjson.String && v.Str != "" && r > *rank {
		*best, *rank = v, r
	}
}

// contents takes a content: a text, or Mistral's list of parts.
func (s *stream) contents(v gjson.Result) {
	if v.Type == gjson.String {
		if v.Str != "" {
			s.literal = v.Raw
			s.text(v.Str)
		}
		return
	}
	if !v.IsArray() {
		return
	}
	v.ForEach(func(_, p gjson.Result) bool {
		switch p.Get("type").Str {
		case "text":
			s.text(p.Get("text").Str)
		case "thinking":
			t := p.Get("thinking")
			if t.Type == gjson.String {
				s.think(t.Str)
			}
			t.ForEach(func(_, piece gjson.Result) bool {
				s.think(piece.Get("text").Str)
				return true
			})
		}
		return true
	})
}

func (s *stream) text(text string) {
	if text == "" {
		return
	}
	s.sign()
	s.put(anthropic.Event{Kind: anthropic.Text, Text: text})
}

func (s *stream) think(text string) {
	if text == "" {
		return
	}
	s.thinking = true
	s.put(anthropic.Event{Kind: anthropic.Thinking, Text: text})
}

// sign ends a thinking block with the state that the provider wants back.
func (s *stream) sign() {
	if !s.thinking && len(s.details) == 0 {
		return
	}
	state := joinDetails(s.details)
	s.thinking, s.details = false, s.details[:0]
	s.put(anthropic.Event{Kind: anthropic.Signature, Text: mintSignature(s.r.kind, state)})
}

// stopped takes vLLM's stop_reason: a stop string, if it is one that the client asked for.
func (s *stream) stopped(text string) {
	for _, want := range s.r.stop {
		if want.Text() == text {
			s.stopString = text
		}
	}
}

// finished remembers why the answer ends; the end itself waits for the usage.
func (s *stream) finished(reason string, doc gjson.Result) error {
	reason = strings.ToLower(reason)
	switch reason {
	case "error", "failed", "abort", "network_error", "insufficient_system_resource", "malformed_function_call":
		e := anthropic.ForStatus(http.StatusServiceUnavailable, "the upstream ended its answer with finish_reason "+reason)
		e.Code = reason
		if words := doc.Get("choices.0.error"); words.IsObject() {
			return s.failure(words)
		}
		return e
	}
	s.finish = reason
	return nil
}

// end closes the reply: done tells that the provider said it is over.
func (s *stream) end(done bool) error {
	if s.finish == "" && (!done || !s.content && len(s.calls) == 0) {
		return fmt.Errorf("%w: it has no finish_reason", ErrTruncated)
	}
	if err := s.endCalls(); err != nil {
		return err
	}
	s.sign()
	s.search()
	if !s.begun {
		s.begun = true
		s.emit(anthropic.Event{Kind: anthropic.Start, Text: s.model})
	}
	e := anthropic.Event{Kind: anthropic.Stop, Text: s.reasonToStop(), Usage: s.total()}
	if e.Text == "stop_sequence" {
		e.Name = s.stopString
	}
	s.emit(e)
	return nil
}

func (s *stream) reasonToStop() string {
	switch s.finish {
	case "length", "model_length", "max_tokens", "incomplete":
		return "max_tokens"
	case "content_filter", "safety", "prohibited_content", "blocklist", "spii", "recitation", "sensitive", "refusal":
		return "refusal"
	}
	switch {
	case s.refused:
		return "refusal"
	case len(s.calls) > 0:
		return "tool_use"
	case s.stopString != "":
		return "stop_sequence"
	}
	return "end_turn"
}

// count tells what was used of a reply that failed.
func (s *stream) count() {
	if u := s.total(); u.Known || u.CostKnown {
		s.emit(anthropic.Event{Kind: anthropic.Count, Usage: u})
	}
}

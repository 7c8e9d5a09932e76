package dialect

import (
	"iter"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// The transformer tooluse makes a model that likes to talk call tools: it must call one, and a tool of ours is the way to
// answer without another. Where the client offers no tools, or has chosen one itself, nothing is changed.
const (
	exitTool    = "ExitTool"
	exitTooling = `{"name":"` + exitTool + `","description":"Ends the work with tools. Call it when the task is done, or when no other tool can help. ` +
		`What you give as response is shown to the user as your answer.","input_schema":{"type":"object","properties":` +
		`{"response":{"type":"string","description":"The answer to the user, complete as it shall be read"}},"required":["response"]}}`
	exitReminder = "You work with tools: answer with a call of the one that fits the task best. " +
		"When the task is done, or no tool can help, call " + exitTool + " with your answer; a plain text cannot be sent."
)

func toolUse(req *anthropic.Request, _ Options) (Layer, error) {
	if req.Choice.Type != "" && req.Choice.Type != "auto" {
		return Layer{}, nil
	}
	offered := false
	for _, t := range req.Tools() {
		if t.Name == exitTool {
			return Layer{Notes: []string{"transformer tooluse does nothing: the client has a tool " + exitTool + " of its own"}}, nil
		}
		offered = offered || !t.Server()
	}
	if !offered {
		return Layer{}, nil
	}
	choice := `{"type":"any"}`
	if req.Choice.NoParallel {
		choice = `{"type":"any","disable_parallel_tool_use":true}`
	}
	changed, err := edited(req,
		edit{"tools.-1", exitTooling},
		edit{"tool_choice", choice},
		edit{"messages.-1", `{"role":"system","content":` + string(anthropic.Quote(exitReminder)) + `}`})
	return Layer{Request: changed, Reply: exitAsText}, err
}

// exitAsText makes text of the calls of ExitTool. An answer that called nothing else has ended its turn.
func exitAsText(events iter.Seq2[anthropic.Event, error]) iter.Seq2[anthropic.Event, error] {
	return func(yield func(anthropic.Event, error) bool) {
		var exits []heldCall
		others := false
		for e, err := range events {
			switch {
			case err != nil:
			case e.Kind == anthropic.ToolUse && e.Name == exitTool:
				exits = append(exits, heldCall{call: e.Call})
				continue
			case e.Kind == anthropic.ToolUse:
				others = true
			case e.Kind == anthropic.ToolInput:
				if c := heldOf(exits, e.Call); c != nil {
					c.input = append(c.input, e.Text...)
					if text := c.give(); text != "" && !yield(anthropic.Event{Kind: anthropic.Text, Text: text}, nil) {
						return
					}
					continue
				}
			case e.Kind == anthropic.Stop && len(exits) > 0:
				for i := range exits {
					if text := exits[i].rest(); text != "" && !yield(anthropic.Event{Kind: anthropic.Text, Text: text}, nil) {
						return
					}
				}
				if e.Text == "tool_use" && !others {
					e.Text = "end_turn"
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// heldCall is a tool call whose input is gathered.
type heldCall struct {
	call  int
	name  string
	input []byte
	given bool // it was given out as text
}

// heldOf finds the latest call of a number; nil: it is not held.
func heldOf(calls []heldCall, call int) *heldCall {
	for i := len(calls) - 1; i >= 0; i-- {
		if calls[i].call == call {
			return &calls[i]
		}
	}
	return nil
}

// give is the answer in the input, as soon as that is complete; "" before and after.
func (c *heldCall) give() string {
	if n := len(c.input); c.given || n == 0 || c.input[n-1] != '}' || !gjson.ValidBytes(c.input) {
		return ""
	}
	c.given = true
	return answerIn(c.input)
}

// rest is the answer in an input that ended before it was complete: as much of it as came.
func (c *heldCall) rest() string {
	if c.given || len(c.input) == 0 {
		return ""
	}
	c.given = true
	const longestEscape = len(`\u00e`)
	for cut := range min(len(c.input), longestEscape+1) {
		for _, end := range []string{`"}`, "}"} {
			if closed := string(c.input[:len(c.input)-cut]) + end; gjson.Valid(closed) {
				return answerIn([]byte(closed))
			}
		}
	}
	return string(c.input)
}

// answerIn reads the answer; an input of another shape is shown as it is, since nothing may be lost.
func answerIn(input []byte) string {
	switch answer := gjson.GetBytes(input, "response"); {
	case answer.Type == gjson.String:
		return answer.Str
	case answer.Exists():
		return answer.Raw
	case strings.TrimSpace(string(input)) == "{}":
		return ""
	}
	return string(input)
}

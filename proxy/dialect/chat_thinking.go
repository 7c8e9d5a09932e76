package dialect

import (
	"slices"
	"strconv"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// levels of effort, the lowest first. "default" is all that some providers have above none.
var levels = []string{"none", "minimal", "low", "medium", "high", "xhigh", "max", "default"}

// wanted is the effort that the client asks for: one of levels, "" where it asks for nothing.
func wanted(req *anthropic.Request) string {
	switch {
	case req.Thinking.Type == "disabled":
		return "none"
	case req.Effort != "":
		return req.Effort
	case req.Thinking.Type == "enabled" && req.Thinking.Budget > 0:
		return forBudget(req.Thinking.Budget)
	case req.Thinking.Type != "":
		return "high" // Anthropic's default
	}
	return ""
}

func forBudget(tokens int64) string {
	switch {
	case tokens <= 1024:
		return "low"
	case tokens <= 8192:
		return "medium"
	}
	return "high"
}

// level is the effort that the model knows, for the one that is wanted: the next higher, else its highest.
func (q *quirks) level(want string) string {
	if len(q.efforts) == 0 {
		return ""
	}
	rank := slices.Index(levels, want)
	for _, have := range q.efforts {
		if slices.Index(levels, have) >= rank {
			return have
		}
	}
	return q.efforts[len(q.efforts)-1]
}

// thinking writes what rules thinking. Where the client says nothing the provider's default stands.
func (e *encoder) thinking() {
	want := e.wanted()
	off := want == "none"
	if want == "" || e.o.refused("thinking") || (e.req.Thinking.Type == "" && !off && e.q.think != thinkEffort) {
		return // an effort alone, as Claude Code's web search has it, does not switch thinking on
	}
	switch e.q.think {
	case thinkEffort:
		e.effort(want)
	case thinkReasoning:
		e.reasoning(want)
	case thinkType:
		e.switchType(off)
		if !off {
			e.effort(want)
		}
	case thinkEnable:
		e.enable(off)
	case thinkBoth:
		e.switchType(off)
		e.enable(off)
	case thinkTemplate:
		if off {
			e.raw("chat_template_kwargs", `{"enable_thinking":false,"thinking":false}`)
		}
	case thinkDisable:
		if off {
			e.raw("disable_reasoning", "true")
		}
	}
}

// effort writes a level. A model that only knows "none" is left alone where it shall think.
func (e *encoder) effort(want string) {
	level := e.q.level(want)
	if level == "" || (level == "none" && want != "none") {
		return
	}
	e.str("reasoning_effort", level)
}

func (e *encoder) switchType(off bool) {
	if off {
		e.raw("thinking", `{"type":"disabled"}`)
		return
	}
	e.raw("thinking", `{"type":"enabled"}`)
}

func (e *encoder) enable(off bool) {
	e.raw("enable_thinking", strconv.FormatBool(!off))
	if n := e.req.Thinking.Budget; n > 0 && !off && e.req.Thinking.Type == "enabled" {
		e.raw("thinking_budget", strconv.FormatInt(min(max(n, 128), 32768), 10))
	}
}

// reasoning writes OpenRouter's object: a budget or an effort, not both.
func (e *encoder) reasoning(want string) {
	switch {
	case want == "none":
		e.raw("reasoning", `{"enabled":false}`)
	case e.req.Thinking.Type == "enabled" && e.req.Thinking.Budget > 0 && e.req.Effort == "":
		e.raw("reasoning", `{"max_tokens":`+strconv.FormatInt(e.req.Thinking.Budget, 10)+`}`)
	default:
		e.raw("reasoning", `{"effort":"`+e.q.level(want)+`"}`)
	}
}

// wanted is the effort for this request; a config may switch thinking off for all.
func (e *encoder) wanted() string {
	if e.q.noThink || e.o.Limits.NoThinking {
		return "none"
	}
	return e.o.Limits.effort(wanted(e.req))
}

var efforts = []string{"minimal", "low", "medium", "high", "xhigh", "max"}

// effort is the level that the model knows for the one that is wanted: the next higher, else its highest.
func (l Limits) effort(want string) string {
	at := slices.Index(efforts, want)
	if at < 0 || len(l.Efforts) == 0 { // "none", nothing, or nothing is known
		return want
	}
	for _, level := range l.Efforts {
		if slices.Index(efforts, level) >= at {
			return level
		}
	}
	return l.Efforts[len(l.Efforts)-1]
}

// thinks tells whether the provider thinks for this request.
func (e *encoder) thinks() bool { return e.wanted() != "none" }

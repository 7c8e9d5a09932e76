package dialecttest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

var kinds = map[anthropic.Kind]string{
	anthropic.Start: "start", anthropic.Text: "text", anthropic.Thinking: "thinking", anthropic.Signature: "signature",
	anthropic.Redacted: "redacted", anthropic.ToolUse: "tool_use", anthropic.ToolInput: "tool_input",
	anthropic.Search: "search", anthropic.SearchResult: "search_result", anthropic.Count: "count", anthropic.Stop: "stop",
	anthropic.Native: "native",
}

// Line is an event as it stands in want-events: the kind, the number of the call for a tool call, then what the event has
// of Text (quoted), id=, name=, raw= and its usage in braces.
func Line(e anthropic.Event) string {
	kind, ok := kinds[e.Kind]
	if !ok {
		kind = "kind" + strconv.Itoa(int(e.Kind))
	}
	b := []string{kind}
	if e.Kind == anthropic.ToolUse || e.Kind == anthropic.ToolInput {
		b = append(b, strconv.Itoa(e.Call))
	}
	if e.Text != "" || e.Kind == anthropic.Stop {
		b = append(b, strconv.Quote(e.Text))
	}
	if e.ID != "" {
		b = append(b, "id="+strconv.Quote(e.ID))
	}
	if e.Name != "" {
		b = append(b, "name="+strconv.Quote(e.Name))
	}
	if e.Raw != nil {
		b = append(b, "raw="+quoteRaw(e.Raw))
	}
	if e.Usage != (anthropic.Usage{}) {
		b = append(b, "{"+UsageLine(e.Usage)+"}")
	}
	return strings.Join(b, " ")
}

// quoteRaw quotes as a Go raw string where that is possible: JSON stays readable.
func quoteRaw(raw []byte) string {
	s := strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(string(raw))
	if strings.Contains(s, "`") {
		return strconv.Quote(string(raw))
	}
	return "`" + s + "`"
}

// UsageLine is a usage as it stands in want-usage: what is not zero, or "unknown".
func UsageLine(u anthropic.Usage) string {
	var b []string
	if !u.Known {
		b = append(b, "unknown")
	}
	for _, n := range []struct {
		name string
		n    int64
	}{
		{"input", u.Input}, {"output", u.Output}, {"reasoning", u.Reasoning}, {"cache_read", u.CacheRead},
		{"cache_write", u.CacheWrite}, {"cache_write_1h", u.CacheWrite1h}, {"searches", u.Searches},
	} {
		if n.n != 0 {
			b = append(b, fmt.Sprintf("%s=%d", n.name, n.n))
		}
	}
	if u.CostKnown {
		b = append(b, fmt.Sprintf("cost=%d", u.Cost))
	}
	if u.Tier != "" {
		b = append(b, "tier="+strconv.Quote(u.Tier))
	}
	if len(b) == 0 {
		return "zero"
	}
	return strings.Join(b, " ")
}

// ErrorLine is an error as it stands in want-error: "truncated", or an *anthropic.Error's status, type, fault, then code=
// and wait= where it has them, and its message; other errors are "error:" and their words.
func ErrorLine(err error) string {
	var e *anthropic.Error
	switch {
	case errors.As(err, &e):
		s := fmt.Sprintf("%d %s %s", e.Status, e.Type, e.Fault)
		if e.Code != "" {
			s += " code=" + strconv.Quote(e.Code)
		}
		if e.Wait != 0 {
			s += " wait=" + e.Wait.String()
		}
		return s + ": " + e.Message
	case errors.Is(err, dialect.ErrTruncated):
		return "truncated"
	}
	return "error: " + err.Error()
}

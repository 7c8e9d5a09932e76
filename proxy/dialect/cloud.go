package dialect

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// envelope is what a cloud puts around Anthropic's own language: the model stands in the path, the version in the body, and
// not every flag and field is taken. All else of a request is copied as it came.
type envelope struct {
	cloud   string // as in "Bedrock"
	version string // anthropic_version
	// betas are the flags of the header anthropic-beta that the cloud takes, and their names there. Any other one is a 400.
	betas map[string]string
	// inBody tells that the flags are sent as the list anthropic_beta of the body.
	inBody bool
}

// firstParty are the fields of a request that only Anthropic's own API takes: clouds answer "Extra inputs are not permitted".
var firstParty = map[string]bool{
	"container": true, "diagnostics": true, "fallbacks": true, "inference_geo": true, "mcp_servers": true, "service_tier": true, "speed": true,
}

// cloudBetas are the flags that all clouds take. The tool search has a name of its own outside of Anthropic's API.
var cloudBetas = map[string]string{
	"advanced-tool-use-2025-11-20":         "tool-search-tool-2025-10-19",
	"compact-2026-01-12":                   "compact-2026-01-12",
	"computer-use-2025-01-24":              "computer-use-2025-01-24",
	"computer-use-2025-11-24":              "computer-use-2025-11-24",
	"context-1m-2025-08-07":                "context-1m-2025-08-07",
	"context-management-2025-06-27":        "context-management-2025-06-27",
	"effort-2025-11-24":                    "effort-2025-11-24",
	"dangerous-tool-use-2026-09-03":        "dangerous-tool-use-2026-09-03",
	"interleaved-thinking-2025-05-14":      "interleaved-thinking-2025-05-14",
	"thinking-binding-controls-2026-08-01": "thinking-binding-controls-2026-08-01",
	"thinking-display-updates-2026-08-18":  "thinking-display-updates-2026-08-18",
	"tool-search-tool-2025-10-19":          "tool-search-tool-2025-10-19",
}

// flags are the beta flags that go to the cloud, each once and in the client's order, and those that do not.
func (v *envelope) flags(h http.Header) (sent, left []string) {
	seen := map[string]bool{}
	for _, line := range h.Values("Anthropic-Beta") {
		for flag := range strings.SplitSeq(line, ",") {
			flag = strings.TrimSpace(flag)
			name, ok := v.betas[flag]
			switch {
			case flag == "":
			case !ok:
				left = append(left, flag)
			case !seen[name]:
				seen[name] = true
				sent = append(sent, name)
			}
		}
	}
	return sent, left
}

// body is the request in the cloud's form, and what was left out, a sentence each. most is the longest answer that is asked
// for, in tokens; 0: any.
func (v *envelope) body(req *anthropic.Request, o Options, most int64) (body []byte, flags, notes []string) {
	flags, left := v.flags(req.Header)
	if len(left) > 0 {
		notes = append(notes, v.cloud+" does not take these beta flags: "+strings.Join(left, ", "))
	}
	values := shorter(req, o, most)
	if own := ownMessages(req); own != "" {
		values["messages"] = own
	}
	for _, key := range []string{"model", "stream", "anthropic_version", "anthropic_beta"} {
		values[key] = ""
	}
	if req.Stream && !v.inBody {
		values["stream"] = "true"
	}
	body = append(make([]byte, 0, req.Size()+512), `{"anthropic_version":"`+v.version+`"`...)
	if v.inBody && len(flags) > 0 {
		body = append(append(append(body, `,"anthropic_beta":["`...), strings.Join(flags, `","`)...), `"]`...)
	}
	gjson.Parse(req.Body()).ForEach(func(k, member gjson.Result) bool {
		raw := member.Raw
		if with, ok := values[k.Str]; ok {
			raw = with
		} else if firstParty[k.Str] || k.Str != "messages" && o.refused(k.Str) {
			raw = ""
			notes = append(notes, k.Str+" is left out: "+v.cloud+" does not take it")
		}
		if raw != "" {
			body = append(append(append(append(body, ','), k.Raw...), ':'), raw...)
		}
		return true
	})
	return append(body, '}'), flags, notes
}

// shorter are the members of a request to change where it asks for a longer answer than is known to be possible, most among
// what is known. Thinking must leave room for the answer, and is never less than 1024 tokens.
func shorter(req *anthropic.Request, o Options, most int64) map[string]string {
	o.Limits.Window = 0 // how long the prompt is, the upstream knows better
	values := map[string]string{}
	n := o.longest(req.MaxTokens, most)
	if req.MaxTokens == 0 || n >= req.MaxTokens {
		return values
	}
	values["max_tokens"] = strconv.FormatInt(n, 10)
	if req.Thinking.Budget >= n && n > 1024 {
		budget := strconv.FormatInt(max(n/2, 1024), 10)
		values["thinking"] = string(replaced(gjson.Get(req.Body(), "thinking").Raw, map[string]string{"budget_tokens": budget}))
	}
	return values
}

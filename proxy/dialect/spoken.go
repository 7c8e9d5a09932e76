package dialect

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// longestResult is how much is told of what a provider's own tool returned, in bytes.
const longestResult = 16 << 10

// spoken is what a block of the assistant says in words, as it stands between the quotes of a JSON string; "" for thinking and
// calls. A tool that another provider ran itself, above all its web search, is told in words: no other form of it is known
// everywhere.
func spoken(b *anthropic.Block) string {
	switch {
	case b.Type == "text":
		return b.Text.Inner()
	case b.Type == "server_tool_use" && b.Name == "web_search":
		return anthropic.Quote("[Searched the web for: " + b.Input.Get("query").String() + "]").Inner()
	case b.Type == "server_tool_use" || b.Type == "mcp_tool_use":
		return anthropic.Quote("[Used the tool " + b.Name + " with " + clip(string(b.Input), longestResult) + "]").Inner()
	case b.Type == "web_search_tool_result":
		return anthropic.Quote(searchFound(b.Raw.Get("content"))).Inner()
	case b.Type != "tool_result" && strings.HasSuffix(b.Type, "_tool_result"):
		return anthropic.Quote("[It returned " + clip(b.Raw.Get("content").Raw, longestResult) + "]").Inner()
	}
	return ""
}

// searchFound is a list of the pages that a search found.
func searchFound(content gjson.Result) string {
	if !content.IsArray() {
		return "[The search failed: " + content.Get("error_code").String() + "]"
	}
	out := "[The search found nothing]"
	content.ForEach(func(k, v gjson.Result) bool {
		if k.Int() == 0 {
			out = "[The search found:]"
		}
		out += "\n- " + v.Get("title").String() + ": " + v.Get("url").String()
		return true
	})
	return out
}

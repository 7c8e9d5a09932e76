package dialect

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// ownMessages are a request's messages without the thinking of other providers, whose signatures we minted: Anthropic's
// models refuse a signature that is not theirs. It is "" where there is none, which costs one search of a body with signatures.
func ownMessages(req *anthropic.Request) string {
	if !req.Signed || !strings.Contains(req.Body(), `"`+stateMark) {
		return ""
	}
	out, changed := []byte{'['}, false
	for _, m := range req.Messages() {
		raw := string(m.Raw)
		if kept, some := ownBlocks(m.Content); some {
			changed = true
			if kept == "[]" { // a turn of nothing but thinking: an empty one is refused
				continue
			}
			raw = string(replaced(raw, map[string]string{"content": kept}))
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, raw...)
	}
	if !changed {
		return ""
	}
	return string(append(out, ']'))
}

// ownBlocks is a content without thinking of others, as JSON; some tells whether there was any.
func ownBlocks(content []anthropic.Block) (kept string, some bool) {
	out := []byte{'['}
	for i := range content {
		b := &content[i]
		if _, _, minted := mintedSignature(b.Signature); minted && b.Type == "thinking" {
			some = true
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, b.Raw...)
	}
	return string(append(out, ']')), some
}

// replaced is a JSON object with other values for some of its members; every other byte is as it came.
func replaced(object string, values map[string]string) []byte {
	out, last := make([]byte, 0, len(object)+64), 0
	gjson.Parse(object).ForEach(func(k, v gjson.Result) bool {
		if with, ok := values[k.Str]; ok {
			out = append(append(out, object[last:v.Index]...), with...)
			last = v.Index + len(v.Raw)
		}
		return true
	})
	return append(out, object[last:]...)
}

package dialect

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// changes are the transformers that change a row: what they ask of a request is one more quirk of the provider. The names
// and options are those of claude-code-router.
var changes = map[string]func(q *quirks, o map[string]any) error{
	"maxtoken":            maxToken,
	"maxcompletiontokens": func(q *quirks, _ map[string]any) error { q.maxKey = completionTokens; return nil },
	"streamoptions":       func(q *quirks, _ map[string]any) error { q.noUsage = false; return nil },
	"sampling":            sampling,
	"customparams":        func(q *quirks, o map[string]any) (err error) { q.add, err = params(q.add, o); return },
	"cleancache":          func(q *quirks, _ map[string]any) error { q.noCache(); return nil },
	"reasoning":           reasoning,
	"extrathinktag":       func(q *quirks, _ map[string]any) error { q.tags = true; return nil },
}

// laterChanges are known and not built in: a request works without them, if not as well. The value says so.
var laterChanges = map[string]string{
	"tooluse":        "no model is told to call tools",
	"enhancetool":    "no JSON of tool calls is repaired",
	"forcereasoning": "no reasoning is asked for in the text",
}

// laterDialects are known and not built in: nothing works without them.
var laterDialects = map[string]bool{
	"gemini": true, "vertex-gemini": true, "vertex-claude": true, "vertex-openai": true,
}

// capped is native with the limit of maxtoken.
type capped struct {
	native
	maxOutput int64
}

// Encode is native's; max_tokens is lowered in place.
func (c capped) Encode(req *anthropic.Request, o Options) (Call, error) {
	call, err := c.native.Encode(req, o)
	if err != nil || req.MaxTokens <= c.maxOutput {
		return call, err
	}
	if call.Body, err = sjson.SetBytes(append(call.Body, call.Rest...), "max_tokens", c.maxOutput); err != nil {
		return Call{}, fmt.Errorf("lowering max_tokens: %w", err)
	}
	call.Rest = ""
	return call, nil
}

func maxToken(q *quirks, o map[string]any) error {
	n, err := tokenCount(o["max_tokens"])
	if err != nil {
		return fmt.Errorf("max_tokens: %w", err)
	}
	return q.lower(n)
}

// lower sets a limit that holds for every model of the row.
func (q *quirks) lower(n int64) error {
	row := q.model
	q.model = func(q *quirks, m string) {
		if row != nil {
			row(q, m)
		}
		if q.maxOutput == 0 || q.maxOutput > n {
			q.maxOutput = n
		}
	}
	if q.maxOutput == 0 || q.maxOutput > n {
		q.maxOutput = n
	}
	return nil
}

func (q *quirks) noCache() {
	row := q.model
	q.model = func(q *quirks, m string) {
		if row != nil {
			row(q, m)
		}
		q.cache = false
	}
}

func sampling(q *quirks, o map[string]any) error {
	set := map[string]any{}
	for k, v := range o {
		switch k {
		case "max_tokens":
			if err := maxToken(q, o); err != nil {
				return err
			}
		case "temperature", "top_p", "top_k", "repetition_penalty":
			set[k] = v
		default:
			return fmt.Errorf("option %q is not known: known are max_tokens, repetition_penalty, temperature, top_k, top_p", k)
		}
	}
	var err error
	q.set, err = params(q.set, set)
	return err
}

func reasoning(q *quirks, o map[string]any) error {
	enable, given := o["enable"].(bool)
	if !given && o["enable"] != nil {
		return fmt.Errorf("enable: expected true or false, got %v", o["enable"])
	}
	if given && !enable {
		q.set = append(slices.Clip(q.set), param{"thinking", `{"type":"disabled"}`}, param{"enable_thinking", "false"})
		return nil
	}
	row := q.model
	q.model = func(q *quirks, m string) {
		if row != nil {
			row(q, m)
		}
		q.think = thinkBoth
	}
	return nil
}

// options are those of a row's own name: Azure's api_version, else keys that are written over the body's.
func (q *quirks) options(o map[string]any) error {
	rest := maps.Clone(o)
	if v, ok := rest["api_version"].(string); ok && q.azure != "" {
		q.azure = v
		delete(rest, "api_version")
	}
	var err error
	q.set, err = params(q.set, rest)
	return err
}

// params appends options as JSON, sorted by key, so that a body is the same every time.
func params(list []param, o map[string]any) ([]param, error) {
	list = slices.Clip(list)
	for _, k := range slices.Sorted(maps.Keys(o)) {
		switch k {
		case "":
			return nil, errors.New("an option needs a name")
		case "messages", "input", "instructions", "tools", "model", "stream":
			return nil, fmt.Errorf("option %q: this part of a request cannot be configured", k)
		}
		raw, err := json.Marshal(o[k], json.Deterministic(true))
		if err != nil {
			return nil, fmt.Errorf("option %q: %w", k, err)
		}
		list = append(list, param{k, string(raw)})
	}
	return list, nil
}

func tokenCount(v any) (int64, error) {
	var n float64
	switch v := v.(type) {
	case float64:
		n = v
	case int:
		n = float64(v)
	case int64:
		n = float64(v)
	case uint64:
		n = float64(v)
	default:
		return 0, fmt.Errorf("expected a number of tokens, got %v", v)
	}
	if n < 1 || n != math.Trunc(n) || n > 1<<53 {
		return 0, fmt.Errorf("expected a number of tokens, got %v", v)
	}
	return int64(n), nil
}

// patch makes the configured changes on the parameters.
func (q *quirks) patch(head []byte) ([]byte, error) {
	var err error
	for _, p := range q.add {
		if head, err = addMissing(head, pathOf(p.key), gjson.Parse(p.raw)); err != nil {
			return nil, fmt.Errorf("adding the configured parameter %q: %w", p.key, err)
		}
	}
	for _, p := range q.set {
		if head, err = sjson.SetRawBytes(head, pathOf(p.key), []byte(p.raw)); err != nil {
			return nil, fmt.Errorf("setting the configured parameter %q: %w", p.key, err)
		}
	}
	return head, nil
}

// addMissing writes a value where there is none; where both are objects they are joined, and the configured keys win.
func addMissing(head []byte, path string, v gjson.Result) ([]byte, error) {
	have := gjson.GetBytes(head, path)
	if !have.Exists() {
		return sjson.SetRawBytes(head, path, []byte(v.Raw))
	}
	if !have.IsObject() || !v.IsObject() {
		return head, nil
	}
	var err error
	v.ForEach(func(k, v gjson.Result) bool {
		inner := path + "." + pathOf(k.Str)
		if v.IsObject() && gjson.GetBytes(head, inner).IsObject() {
			head, err = addMissing(head, inner, v)
		} else {
			head, err = sjson.SetRawBytes(head, inner, []byte(v.Raw))
		}
		return err == nil
	})
	return head, err
}

// pathOf makes a path of a key: what means something in paths is escaped, and a number is a key, not an index.
func pathOf(key string) string {
	escaped := strings.NewReplacer(`\`, `\\`, ".", `\.`, "*", `\*`, "?", `\?`, "|", `\|`, "#", `\#`, "@", `\@`, "!", `\!`, "{", `\{`, "[", `\[`).Replace(key)
	if escaped != "" && strings.Trim(escaped, "0123456789") == "" {
		return ":" + escaped
	}
	return escaped
}

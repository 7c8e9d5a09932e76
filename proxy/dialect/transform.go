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
	"extrathinktag":       func(q *quirks, _ map[string]any) error { q.tags = tagsAnywhere; return nil },
}

// layers are the transformers that stand around the dialect of a row. They take no options.
var layers = map[string]func(kind string) Transformer{
	"tooluse":        func(string) Transformer { return toolUse },
	"enhancetool":    func(string) Transformer { return enhanceTool },
	"forcereasoning": forceReasoning,
}

// borrowed are transformers that live on the login of another program. The value says what to use in their place.
var borrowed = map[string]string{
	"gemini-cli": `use the transformer "gemini" with an API key of Google AI Studio, or "vertex-gemini" with a service account`,
	"qwen-cli":   `use an API key of Alibaba Cloud Model Studio with api_base_url https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions, which needs no transformer`,
	"rovo-cli":   `use a provider that gives out API keys, such as openrouter`,
	"chutes-glm": `use an API key of chutes.ai with api_base_url https://llm.chutes.ai/v1/chat/completions and no transformer; its reasoning is read as it is`,
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
	row := q.model
	q.noThink = given && !enable
	q.model = func(q *quirks, m string) {
		if row != nil {
			row(q, m)
		}
		if q.think == thinkNone || !q.noThink {
			q.think = thinkBoth
		}
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

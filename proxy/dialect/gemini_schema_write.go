package dialect

import (
	"math"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// detail reads the keywords that are copied, if their value is one that Gemini takes.
func (s *merged) detail(key string, v gjson.Result) {
	keep := func(at *string, ok bool) {
		if ok && *at == "" {
			*at = v.Raw
		}
	}
	text := v.Type == gjson.String && v.Str != ""
	switch key {
	case "title":
		keep(&s.text.title, text)
	case "description":
		keep(&s.text.description, text)
	case "format":
		keep(&s.text.format, text)
	case "pattern":
		keep(&s.text.pattern, text)
	case "default":
		keep(&s.text.preset, v.Type == gjson.String || v.IsBool() || finite(v))
	case "example":
		keep(&s.text.example, v.Type == gjson.String || v.IsBool() || finite(v))
	case "minimum":
		keep(&s.limits.minimum, finite(v))
	case "maximum":
		keep(&s.limits.maximum, finite(v))
	case "minItems":
		keepCount(&s.limits.minItems, v)
	case "maxItems":
		keepCount(&s.limits.maxItems, v)
	case "minLength":
		keepCount(&s.limits.minLength, v)
	case "maxLength":
		keepCount(&s.limits.maxLength, v)
	case "minProperties":
		keepCount(&s.limits.minProperties, v)
	case "maxProperties":
		keepCount(&s.limits.maxProperties, v)
	}
}

func finite(v gjson.Result) bool {
	return v.Type == gjson.Number && !math.IsInf(v.Num, 0) && !math.IsNaN(v.Num)
}

func keepCount(at *string, v gjson.Result) {
	if finite(v) && v.Num >= 0 && v.Num <= 1<<53 && v.Num == math.Trunc(v.Num) && *at == "" {
		*at = strconv.FormatInt(int64(v.Num), 10)
	}
}

// handed is what a schema gives to a branch that is written in its place.
type handed struct {
	description string
	null        bool
}

// schema appends one schema.
func (c *cleaner) schema(b []byte, g group, h handed) []byte {
	if c.left <= 0 || c.depth >= mostDepth || len(b) > c.most {
		return append(b, cutOffSchema...)
	}
	c.depth++
	base := len(c.path)
	s := merged{base: base}
	for _, v := range g.all {
		c.gather(&s, v)
	}
	if s.choices == nil {
		s.choices = g.any
	}
	s.null = s.null || h.null
	s.text.description = joinText(h.description, s.text.description)
	b = c.write(b, &s)
	c.path = c.path[:base]
	c.depth--
	return b
}

// joinText joins two JSON strings, either of which may be absent.
func joinText(a, b string) string {
	switch {
	case a == "" || a == b:
		return b
	case b == "":
		return a
	}
	return a[:len(a)-1] + `\n` + b[1:]
}

func (c *cleaner) write(b []byte, s *merged) []byte {
	s.infer()
	if len(s.choices) > 0 {
		if len(s.types) == 0 {
			return c.choice(b, s)
		}
		if slices.Contains(s.types, "OBJECT") {
			c.unite(s)
		}
	}
	switch types := s.types; {
	case len(types) == 1:
		return c.typed(b, s, types[0])
	case len(types) > 1:
		return c.alternatives(b, s, types)
	case s.typed || s.null: // nothing but null
		s.null = true
		return c.typed(b, s, "STRING")
	}
	return c.alternatives(b, s, []string{"STRING", "NUMBER", "BOOLEAN"}) // anything
}

// infer finds the type of a schema that does not say it: Gemini demands one.
func (s *merged) infer() {
	kinds := []string(nil)
	for _, v := range s.enum {
		kind := kindOf(v)
		if kind == "" {
			s.null = true
		} else if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	l := s.limits
	switch {
	case s.typed:
	case len(kinds) > 0:
		s.types = kinds
	case len(s.props) > 0 || l.minProperties+l.maxProperties != "":
		s.types = []string{"OBJECT"}
	case s.items != nil || l.minItems+l.maxItems != "":
		s.types = []string{"ARRAY"}
	case len(s.choices) > 0:
	case s.text.pattern+l.minLength+l.maxLength != "":
		s.types = []string{"STRING"}
	case l.minimum+l.maximum != "":
		s.types = []string{"NUMBER"}
	}
}

// kindOf is the type of a value; "" for null.
func kindOf(v gjson.Result) string {
	switch {
	case v.Type == gjson.String:
		return "STRING"
	case v.Type == gjson.Number && !strings.ContainsAny(v.Raw, ".eE"):
		return "INTEGER"
	case v.Type == gjson.Number:
		return "NUMBER"
	case v.IsBool():
		return "BOOLEAN"
	case v.IsObject():
		return "OBJECT"
	case v.IsArray():
		return "ARRAY"
	}
	return ""
}

// choice appends one of several schemas. An anyOf may have no other key beside it, so its first branch takes the description
// and every branch takes null.
func (c *cleaner) choice(b []byte, s *merged) []byte {
	var real []group
	var values []gjson.Result
	words := true
	for _, g := range s.choices {
		switch {
		case g.isNull():
			s.null = true
			continue
		case g.isNever() || len(real) < 64 && slices.ContainsFunc(real, g.same):
			continue
		}
		list := g.words()
		words = words && list != nil
		values = append(values, list...)
		real = append(real, g)
	}
	h := handed{s.text.description, s.null}
	switch {
	case len(real) == 0:
		s.choices = nil
		return c.write(b, s)
	case words: // a choice of words is one enum
		s.enum = values
		return c.typed(b, s, "STRING")
	case len(real) == 1:
		return c.schema(b, real[0], h)
	}
	b = append(b, `{"anyOf":[`...)
	for i, g := range real {
		if i > 0 {
			b = append(b, ',')
		}
		b = c.schema(b, g, h)
		h.description = ""
	}
	return append(b, "]}"...)
}

func (g group) isNull() bool {
	if len(g.all) != 1 || g.any != nil {
		return false
	}
	v := g.all[0]
	return member(v, "type").Str == "null" || member(v, "const").Raw == "null"
}

func (g group) isNever() bool {
	return slices.ContainsFunc(g.all, func(v gjson.Result) bool { return v.Type == gjson.False })
}

// words are the values of a schema that is nothing but an enum of strings; nil: it is another.
func (g group) words() []gjson.Result {
	if len(g.all) != 1 || g.any != nil {
		return nil
	}
	var out []gjson.Result
	ok := true
	g.all[0].ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "const":
			out = append(out, v)
		case "enum":
			out = append(out, v.Array()...)
		case "type":
			ok = ok && v.Str == "string"
		case "description", "title":
		default:
			ok = false
		}
		return ok
	})
	if !ok || slices.ContainsFunc(out, func(v gjson.Result) bool { return v.Type != gjson.String || v.Str == "" }) {
		return nil
	}
	return out
}

// alternatives appends a schema that allows several types.
func (c *cleaner) alternatives(b []byte, s *merged, types []string) []byte {
	b = append(b, `{"anyOf":[`...)
	for i, t := range types {
		if i > 0 {
			b = append(b, ',')
		}
		b = c.typed(b, s, t)
		s.text.title, s.text.description = "", ""
	}
	return append(b, "]}"...)
}

// typed appends a schema of one type, with the keywords that this type has.
func (c *cleaner) typed(b []byte, s *merged, kind string) []byte {
	b = append(append(append(b, `{"type":"`...), kind...), '"')
	put := func(key, raw string) {
		if raw != "" {
			b = append(append(append(append(b, `,"`...), key...), `":`...), raw...)
		}
	}
	words, others := s.values(kind)
	put("title", s.text.title)
	put("description", joinText(s.text.description, others))
	if s.null {
		put("nullable", "true")
	}
	if slices.Contains(formats[kind], s.text.format) {
		put("format", s.text.format)
	}
	l := &s.limits
	switch kind {
	case "STRING":
		put("enum", words)
		put("minLength", l.minLength)
		put("maxLength", l.maxLength)
		if s.text.pattern != "" && isRE2(gjson.Parse(s.text.pattern).Str) {
			put("pattern", s.text.pattern)
		}
	case "NUMBER", "INTEGER":
		put("minimum", l.minimum)
		put("maximum", l.maximum)
	case "ARRAY":
		put("minItems", l.minItems)
		put("maxItems", l.maxItems)
		b = c.schema(append(b, `,"items":`...), s.item(), handed{})
	case "OBJECT":
		put("minProperties", l.minProperties)
		put("maxProperties", l.maxProperties)
		b = c.properties(b, s)
	}
	for _, v := range []struct{ key, raw string }{{"default", s.text.preset}, {"example", s.text.example}} {
		if have := kindOf(gjson.Parse(v.raw)); have == kind || have == "INTEGER" && kind == "NUMBER" {
			put(v.key, v.raw)
		}
	}
	return append(b, '}')
}

// isRE2 tells whether Google's own kind of regular expressions knows a pattern.
func isRE2(pattern string) bool {
	_, err := syntax.Parse(pattern, syntax.Perl)
	return err == nil
}

// formats are those that Gemini knows, as raw JSON.
var formats = map[string][]string{"STRING": {`"date-time"`}, "NUMBER": {`"float"`, `"double"`}, "INTEGER": {`"int32"`, `"int64"`}}

// values are those that a schema allows: strings as an enum, which Gemini knows for strings alone; others as words for the
// description.
func (s *merged) values(kind string) (enum, words string) {
	if len(s.enum) == 0 {
		return "", ""
	}
	var list []string
	seen := make(map[string]bool, len(s.enum))
	for _, v := range s.enum {
		k := kindOf(v)
		if k != kind && (k != "INTEGER" || kind != "NUMBER") || k == "OBJECT" || k == "ARRAY" || k == "STRING" && v.Str == "" || seen[v.String()] {
			continue
		}
		seen[v.String()] = true
		list = append(list, v.Raw)
	}
	switch {
	case len(list) == 0:
		return "", ""
	case kind == "STRING":
		return "[" + strings.Join(list, ",") + "]", ""
	}
	return "", `"One of: ` + strings.Join(list, ", ") + `."`
}

// item is the schema of an array's items. A tuple's are alternatives; Gemini demands a schema where there is none.
func (s *merged) item() group {
	switch {
	case len(s.items) == 0:
		return group{all: []gjson.Result{anyText}}
	case !s.tuple:
		return group{all: s.items}
	}
	var g group
	for _, v := range s.items {
		g.any = append(g.any, group{all: []gjson.Result{v}})
	}
	return g
}

var anyText = gjson.Parse(`{"type":"string"}`)

func (c *cleaner) properties(b []byte, s *merged) []byte {
	if s.prune(); len(s.props) == 0 {
		return b
	}
	have := make(map[string]bool, len(s.props))
	b = append(b, `,"properties":{`...)
	for i := range s.props {
		p := &s.props[i]
		if i > 0 {
			b = append(b, ',')
		}
		have[p.name] = true
		b = append(anthropic.AppendQuote(b, p.name), ':')
		b = c.schema(b, p.group, handed{})
	}
	b = append(b, '}')
	first := true
	for _, name := range s.required {
		if !have[name] {
			continue
		}
		have[name] = false // named once
		if first {
			b = append(b, `,"required":[`...)
		} else {
			b = append(b, ',')
		}
		first = false
		b = anthropic.AppendQuote(b, name)
	}
	if !first {
		b = append(b, ']')
	}
	return b
}

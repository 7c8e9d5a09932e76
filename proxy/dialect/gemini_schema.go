package dialect

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// Gemini takes parameters in a subset of OpenAPI's schema language, and answers 400 to any keyword beyond it. There is also
// parametersJsonSchema, which takes JSON Schema; what it does not know there differs from model to model and between Gemini
// and Vertex, and can be tested nowhere. The rules of parameters are written down, old models know it, and a checker of them
// (gemini_schema_test.go) accepts what is made here of any schema. What cannot be said in it is left out, so that
// the schema that is sent allows all that the client's own one does.

// geminiParameters appends the parameters of a function; ok is false for a function without any.
func geminiParameters(b []byte, schema anthropic.Raw) (out []byte, ok bool) {
	root := gjson.Parse(string(schema))
	c := cleaner{root: root, left: mostSchemas, most: len(b) + 8*len(schema) + 64<<10}
	s := merged{}
	c.gather(&s, root)
	c.unite(&s)
	if s.prune(); len(s.props) == 0 {
		return b, false
	}
	s.null, s.enum = false, nil
	return c.typed(b, &s, "OBJECT"), true
}

// What $refs may blow up: a schema deeper or larger than this is cut off at an object without properties.
const (
	mostSchemas = 4096
	mostDepth   = 24
)

const cutOffSchema = `{"type":"OBJECT"}`

type cleaner struct {
	root  gjson.Result
	refs  map[string]gjson.Result
	path  []string // the $refs that are being written, the innermost last
	left  int      // how many schemas may yet be read
	most  int      // how long the output may become
	depth int
}

// group is a schema put together: it says what each of all says, and what one of any says.
type group struct {
	all []gjson.Result
	any []group
}

type property struct {
	name  string
	union bool // one of the branches of a choice brought it
	group
}

// merged is what a schema says once its $ref and allOf are read into it. Strings are raw JSON, "" where absent; of what is
// said twice the first counts, and what stands beside a $ref is read before its target.
type merged struct {
	base     int      // of cleaner.path: what lies above was followed for this schema
	types    []string // in Gemini's words; nil: not said
	typed    bool
	null     bool
	enum     []gjson.Result
	choices  []group
	props    []property
	index    map[string]int // of props, where they are many
	required []string
	items    []gjson.Result
	tuple    bool // items are alternatives
	text     struct{ title, description, format, pattern, preset, example string }
	limits   struct{ minimum, maximum, minItems, maxItems, minLength, maxLength, minProperties, maxProperties string }
}

// gather reads one schema into s.
func (c *cleaner) gather(s *merged, v gjson.Result) {
	if c.left--; c.left < 0 || c.depth >= 2*mostDepth || !v.IsObject() {
		return
	}
	c.depth++
	defer func() { c.depth-- }()
	var ref, all gjson.Result
	v.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "$ref":
			ref = v
		case "allOf":
			all = v
		default:
			s.keyword(k.Str, v)
		}
		return true
	})
	if ref.Type == gjson.String {
		c.follow(s, ref.Str)
	}
	if all.IsArray() {
		all.ForEach(func(_, v gjson.Result) bool {
			c.gather(s, v)
			return true
		})
	}
}

// follow reads the target of a $ref into s. A target that this schema is a part of would have no end: it stays an object.
func (c *cleaner) follow(s *merged, ref string) {
	if at := slices.Index(c.path, ref); at >= s.base {
		return // read into s already
	} else if at >= 0 {
		s.addTypes([]string{"OBJECT"})
		return
	}
	target, ok := c.resolve(ref)
	if !ok {
		return
	}
	c.path = append(c.path, ref)
	c.gather(s, target)
}

func (c *cleaner) resolve(ref string) (gjson.Result, bool) {
	if c.refs == nil {
		c.refs = map[string]gjson.Result{"#": c.root}
		for _, key := range []string{"$defs", "definitions"} {
			member(c.root, key).ForEach(func(k, v gjson.Result) bool {
				c.refs["#/"+key+"/"+k.Str] = v
				return true
			})
		}
	}
	if v, ok := c.refs[ref]; ok {
		return v, v.Raw != ""
	}
	v := c.root
	pointer, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return gjson.Result{}, false
	}
	for _, step := range strings.Split(pointer, "/") {
		v = member(v, unescapePointer(step))
	}
	c.refs[ref] = v
	return v, v.Raw != ""
}

func unescapePointer(step string) string {
	if plain, err := url.PathUnescape(step); err == nil {
		step = plain
	}
	return strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
}

// member is the value of a key, or of an index.
func member(v gjson.Result, key string) gjson.Result {
	var out gjson.Result
	if n, err := strconv.Atoi(key); err == nil && n >= 0 && v.IsArray() {
		v.ForEach(func(_, item gjson.Result) bool {
			out = item
			n--
			return n >= 0
		})
		if n >= 0 {
			return gjson.Result{}
		}
	}
	if v.IsObject() {
		v.ForEach(func(k, v gjson.Result) bool {
			if k.Str == key {
				out = v
			}
			return out.Raw == ""
		})
	}
	return out
}

func (s *merged) keyword(key string, v gjson.Result) {
	switch key {
	case "type":
		s.setType(v)
	case "enum":
		if v.IsArray() && s.enum == nil {
			s.enum = v.Array()
		}
	case "const":
		if s.enum == nil {
			s.enum = []gjson.Result{v}
		}
	case "nullable":
		s.null = s.null || v.Type == gjson.True
	case "anyOf", "oneOf":
		if v.IsArray() && s.choices == nil {
			v.ForEach(func(_, v gjson.Result) bool {
				s.choices = append(s.choices, group{all: []gjson.Result{v}})
				return true
			})
		}
	case "properties":
		if v.IsObject() {
			v.ForEach(func(k, v gjson.Result) bool {
				s.property(k.Str, group{all: []gjson.Result{v}})
				return true
			})
		}
	case "required":
		if v.IsArray() {
			v.ForEach(func(_, v gjson.Result) bool {
				if v.Type == gjson.String {
					s.required = append(s.required, v.Str)
				}
				return true
			})
		}
	case "items", "prefixItems":
		s.setItems(v)
	default:
		s.detail(key, v)
	}
}

func (s *merged) setType(v gjson.Result) {
	var types []string
	add := func(v gjson.Result) {
		switch t := strings.ToUpper(v.Str); t {
		case "NULL":
			s.null = true
		case "STRING", "NUMBER", "INTEGER", "BOOLEAN", "OBJECT", "ARRAY":
			if !slices.Contains(types, t) {
				types = append(types, t)
			}
		default:
			return
		}
		s.typed = true
	}
	if v.Type == gjson.String {
		add(v)
	} else if v.IsArray() {
		v.ForEach(func(_, v gjson.Result) bool {
			add(v)
			return true
		})
	}
	if slices.Contains(types, "NUMBER") { // of which integers are a part
		types = slices.DeleteFunc(types, func(t string) bool { return t == "INTEGER" })
	}
	s.addTypes(types)
}

// addTypes keeps what both sides allow.
func (s *merged) addTypes(types []string) {
	if len(types) == 0 {
		return
	}
	s.typed = true
	if s.types == nil {
		s.types = types
		return
	}
	both := slices.DeleteFunc(slices.Clone(s.types), func(t string) bool { return !slices.Contains(types, t) })
	switch {
	case len(both) > 0:
		s.types = both
	case slices.Contains(s.types, "NUMBER") && slices.Contains(types, "INTEGER"):
		s.types = []string{"INTEGER"}
	}
}

func (s *merged) setItems(v gjson.Result) {
	switch {
	case v.IsArray():
		if s.items == nil || !s.tuple {
			s.items, s.tuple = v.Array(), true
		}
	case v.IsObject() && s.items == nil:
		s.items = []gjson.Result{v}
	}
}

// property adds what is said of a property: all of it holds.
func (s *merged) property(name string, g group) {
	if i := s.find(name); i >= 0 {
		s.props[i].all = append(s.props[i].all, g.all...)
		return
	}
	s.add(property{name: name, group: g})
}

func (s *merged) add(p property) {
	s.props = append(s.props, p)
	if s.index != nil {
		s.index[p.name] = len(s.props) - 1
	}
}

// prune drops the properties that no value can have.
func (s *merged) prune() {
	s.index = nil
	s.props = slices.DeleteFunc(s.props, func(p property) bool { return p.name == "" || p.isNever() })
}

func (s *merged) find(name string) int {
	if len(s.props) < 32 {
		return slices.IndexFunc(s.props, func(p property) bool { return p.name == name })
	}
	if s.index == nil {
		s.index = make(map[string]int, 2*len(s.props))
		for i, p := range s.props {
			s.index[p.name] = i
		}
	}
	if i, ok := s.index[name]; ok {
		return i
	}
	return -1
}

// unite makes one object of a choice between objects: it has the properties of all branches, and must have those that every
// branch must have.
func (c *cleaner) unite(s *merged) {
	choices := s.choices
	s.choices = nil
	var must []string // those of the first branch
	times := map[string]int{}
	branches := 0
	for _, g := range choices {
		t := merged{base: s.base}
		for _, v := range g.all {
			c.gather(&t, v)
		}
		c.unite(&t)
		if t.types != nil && !slices.Contains(t.types, "OBJECT") || t.null && t.types == nil {
			continue
		}
		if branches++; branches == 1 {
			must = t.required
		}
		for _, p := range t.props {
			s.unite(p)
		}
		for _, name := range slices.Compact(slices.Sorted(slices.Values(t.required))) {
			times[name]++
		}
	}
	for _, name := range must {
		if times[name] == branches {
			s.required = append(s.required, name)
		}
	}
}

// unite adds a property of a branch. Those of different branches are alternatives.
func (s *merged) unite(p property) {
	i := s.find(p.name)
	if i < 0 {
		s.add(property{name: p.name, union: true, group: group{any: []group{p.group}}})
		return
	}
	have := &s.props[i]
	if have.union && !slices.ContainsFunc(have.any, func(g group) bool { return g.same(p.group) }) {
		have.any = append(have.any, p.group)
	}
}

func (g group) same(h group) bool {
	return slices.EqualFunc(g.all, h.all, func(a, b gjson.Result) bool { return a.Raw == b.Raw }) && slices.EqualFunc(g.any, h.any, group.same)
}

package dialect_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/ccrun/ccrun/proxy/dialect"
)

// checkSchema judges a schema by the rules that Gemini has for the parameters of a function.
func checkSchema(text string, root bool) error {
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&v); err != nil {
		return err
	}
	if d.More() {
		return fmt.Errorf("something behind the schema")
	}
	if root {
		if o, _ := v.(map[string]any); o["type"] != "OBJECT" || o["properties"] == nil {
			return fmt.Errorf("parameters are no object with properties")
		}
	}
	return checkNode("$", v, 0)
}

var allowedFor = map[string][]string{
	"STRING":  {"format", "enum", "minLength", "maxLength", "pattern"},
	"NUMBER":  {"format", "minimum", "maximum"},
	"INTEGER": {"format", "minimum", "maximum"},
	"BOOLEAN": {},
	"ARRAY":   {"items", "minItems", "maxItems"},
	"OBJECT":  {"properties", "required", "minProperties", "maxProperties", "propertyOrdering"},
}

func checkNode(at string, v any, depth int) error {
	o, ok := v.(map[string]any)
	switch {
	case !ok:
		return fmt.Errorf("%s: %v is no schema", at, v)
	case depth > 30:
		return fmt.Errorf("%s: too deep", at)
	}
	if choices, ok := o["anyOf"]; ok {
		list, _ := choices.([]any)
		if len(list) < 2 || len(o) != 1 {
			return fmt.Errorf("%s: anyOf is not alone, or has no choice", at)
		}
		for i, v := range list {
			if err := checkNode(fmt.Sprintf("%s.anyOf[%d]", at, i), v, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	kind, _ := o["type"].(string)
	allowed, ok := allowedFor[kind]
	if !ok {
		return fmt.Errorf("%s: type %v", at, o["type"])
	}
	for key, v := range o {
		if err := checkKeyword(at, kind, key, v, allowed); err != nil {
			return err
		}
	}
	if kind == "ARRAY" {
		return checkNode(at+".items", o["items"], depth+1)
	}
	return checkProperties(at, o, depth)
}

func checkKeyword(at, kind, key string, v any, allowed []string) error {
	ok := slices.Contains(allowed, key)
	switch key {
	case "type", "items", "properties", "required":
		ok = ok || key == "type"
	case "title", "description":
		s, text := v.(string)
		ok = text && s != ""
	case "pattern":
		_, text := v.(string)
		ok = ok && text
	case "nullable":
		ok = v == true
	case "format":
		ok = ok && slices.Contains(map[string][]string{"STRING": {"date-time", "enum"}, "NUMBER": {"float", "double"}, "INTEGER": {"int32", "int64"}}[kind], v.(string))
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties":
		n, number := v.(float64)
		ok = ok && number && n >= 0 && n == math.Trunc(n) && n <= math.MaxInt64
	case "minimum", "maximum":
		_, number := v.(float64)
		ok = ok && number
	case "enum":
		ok = ok && words(v)
	case "default", "example":
		ok = kind == kindOf(v) || kind == "INTEGER" && kindOf(v) == "NUMBER"
	}
	if !ok {
		return fmt.Errorf("%s: %s: %v in a schema of type %s", at, key, v, kind)
	}
	return nil
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "STRING"
	case float64:
		return "NUMBER"
	case bool:
		return "BOOLEAN"
	case []any:
		return "ARRAY"
	case map[string]any:
		return "OBJECT"
	}
	return ""
}

// words tells whether an enum has strings that are not empty, each once.
func words(v any) bool {
	list, _ := v.([]any)
	seen := map[string]bool{}
	for _, v := range list {
		s, ok := v.(string)
		if !ok || s == "" || seen[s] {
			return false
		}
		seen[s] = true
	}
	return len(list) > 0
}

func checkProperties(at string, o map[string]any, depth int) error {
	properties, _ := o["properties"].(map[string]any)
	if _, given := o["properties"]; given && len(properties) == 0 {
		return fmt.Errorf("%s: properties are empty", at)
	}
	for name, v := range properties {
		if name == "" {
			return fmt.Errorf("%s: a property without a name", at)
		}
		if err := checkNode(at+"."+name, v, depth+1); err != nil {
			return err
		}
	}
	required, given := o["required"].([]any)
	if given && !words(o["required"]) {
		return fmt.Errorf("%s: required: %v", at, o["required"])
	}
	for _, name := range required {
		if _, ok := properties[name.(string)]; !ok {
			return fmt.Errorf("%s: required: there is no property %q", at, name)
		}
	}
	return nil
}

func TestGeminiSchema(t *testing.T) {
	for _, c := range []struct{ name, schema, want string }{
		{"plain", `{"$schema":"x","type":"object","properties":{"a":{"type":"string","description":"A"}},"required":["a"],"additionalProperties":false}`,
			`{"type":"OBJECT","properties":{"a":{"type":"STRING","description":"A"}},"required":["a"]}`},
		{"no properties", `{"type":"object","properties":{}}`, ``},
		{"not an object", `true`, ``},
		{"nullable", `{"type":"object","properties":{"a":{"type":["string","null"]},"b":{"anyOf":[{"type":"integer"},{"type":"null"}]}}}`,
			`{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true},"b":{"type":"INTEGER","nullable":true}}}`},
		{"several types", `{"type":"object","properties":{"a":{"type":["string","number"],"description":"A","minLength":2}}}`,
			`{"type":"OBJECT","properties":{"a":{"anyOf":[{"type":"STRING","description":"A","minLength":2},{"type":"NUMBER"}]}}}`},
		{"const and enum", `{"type":"object","properties":{"a":{"const":"x"},"b":{"enum":[1,2],"description":"B"},"c":{"type":"string","enum":["","y","y",null]},"d":{"const":true}}}`,
			`{"type":"OBJECT","properties":{"a":{"type":"STRING","enum":["x"]},"b":{"type":"INTEGER","description":"B\nOne of: 1, 2."},"c":{"type":"STRING","nullable":true,"enum":["y"]},"d":{"type":"BOOLEAN","description":"One of: true."}}}`},
		{"a choice of words", `{"type":"object","properties":{"a":{"oneOf":[{"const":"x","description":"X"},{"enum":["y"]}]}}}`,
			`{"type":"OBJECT","properties":{"a":{"type":"STRING","enum":["x","y"]}}}`},
		{"a choice", `{"type":"object","properties":{"a":{"description":"A","oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}},{"type":"null"}]}}}`,
			`{"type":"OBJECT","properties":{"a":{"anyOf":[{"type":"STRING","description":"A","nullable":true},{"type":"ARRAY","nullable":true,"items":{"type":"STRING"}}]}}}`},
		{"definitions", `{"type":"object","properties":{"a":{"$ref":"#/$defs/n","description":"mine"},"b":{"$ref":"#/properties/a"}},"$defs":{"n":{"type":"string","description":"its"}}}`,
			`{"type":"OBJECT","properties":{"a":{"type":"STRING","description":"mine"},"b":{"type":"STRING","description":"mine"}}}`},
		{"a cycle", `{"type":"object","properties":{"n":{"$ref":"#/definitions/node"}},"definitions":{"node":{"type":"object","properties":{"next":{"$ref":"#/definitions/node"},"list":{"type":"array","items":{"$ref":"#/definitions/node"}}}}}}`,
			`{"type":"OBJECT","properties":{"n":{"type":"OBJECT","properties":{"next":{"type":"OBJECT"},"list":{"type":"ARRAY","items":{"type":"OBJECT"}}}}}}`},
		{"all of", `{"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"number"},"a":{"maxLength":3}},"required":["b","zz"]}]}`,
			`{"type":"OBJECT","properties":{"a":{"type":"STRING","maxLength":3},"b":{"type":"NUMBER"}},"required":["a","b"]}`},
		{"a union at the root", `{"oneOf":[{"type":"object","properties":{"kind":{"const":"a"},"x":{"type":"string"}},"required":["kind","x"]},{"type":"object","properties":{"kind":{"const":"b"}},"required":["kind"]}]}`,
			`{"type":"OBJECT","properties":{"kind":{"type":"STRING","enum":["a","b"]},"x":{"type":"STRING"}},"required":["kind"]}`},
		{"conditions only", `{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"anyOf":[{"required":["a"]},{"required":["b"]}]}`,
			`{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{"type":"STRING"}}}`},
		{"names like keywords", `{"type":"object","properties":{"format":{"type":"string","format":"uri"},"default":{"type":"string","format":"date-time"},"$schema":{"type":"string"},"type":{"type":"integer","format":"int32"}},"required":["format","$schema"]}`,
			`{"type":"OBJECT","properties":{"format":{"type":"STRING"},"default":{"type":"STRING","format":"date-time"},"$schema":{"type":"STRING"},"type":{"type":"INTEGER","format":"int32"}},"required":["format","$schema"]}`},
		{"arrays", `{"type":"object","properties":{"a":{"type":"array"},"b":{"type":"array","items":[{"type":"string"},{"type":"number"}]},"c":{"prefixItems":[{"type":"string"}],"minItems":1},"d":{"items":true,"type":"array"}}}`,
			`{"type":"OBJECT","properties":{"a":{"type":"ARRAY","items":{"type":"STRING"}},"b":{"type":"ARRAY","items":{"anyOf":[{"type":"STRING"},{"type":"NUMBER"}]}},"c":{"type":"ARRAY","minItems":1,"items":{"type":"STRING"}},"d":{"type":"ARRAY","items":{"type":"STRING"}}}}`},
		{"limits", `{"type":"object","properties":{"a":{"type":"number","minimum":1,"exclusiveMaximum":5,"multipleOf":2,"default":3},"b":{"type":"string","minLength":1.0,"maxLength":-1,"pattern":"^(?=x)","default":null},"c":{"type":"string","pattern":"^x+$","default":7}}}`,
			`{"type":"OBJECT","properties":{"a":{"type":"NUMBER","minimum":1,"default":3},"b":{"type":"STRING","minLength":1},"c":{"type":"STRING","pattern":"^x+$"}}}`},
		{"anything", `{"type":"object","properties":{"a":{},"b":true,"c":false,"":{"type":"string"},"d":{"type":"null"},"e":{"$ref":"http://x"}},"required":["c"]}`,
			`{"type":"OBJECT","properties":{"a":{"anyOf":[{"type":"STRING"},{"type":"NUMBER"},{"type":"BOOLEAN"}]},"b":{"anyOf":[{"type":"STRING"},{"type":"NUMBER"},{"type":"BOOLEAN"}]},"d":{"type":"STRING","nullable":true},"e":{"anyOf":[{"type":"STRING"},{"type":"NUMBER"},{"type":"BOOLEAN"}]}}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := dialect.GeminiParameters(c.schema)
			if got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
			if got == "" {
				return
			}
			if err := checkSchema(got, true); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestGeminiSchemaBounded shows that $refs do not blow up.
func TestGeminiSchemaBounded(t *testing.T) {
	var defs []string
	for i := range 40 {
		defs = append(defs, fmt.Sprintf(`"d%d":{"type":"object","properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"}}}`, i, i+1, i+1))
	}
	got := dialect.GeminiParameters(`{"$ref":"#/$defs/d0","$defs":{` + strings.Join(defs, ",") + `}}`)
	if err := checkSchema(got, true); err != nil {
		t.Error(err)
	}
	if len(got) > 1<<20 {
		t.Errorf("%d bytes", len(got))
	}
	deep := strings.Repeat(`{"type":"object","properties":{"a":`, 5000) + "{}" + strings.Repeat("}}", 5000)
	if err := checkSchema(dialect.GeminiParameters(deep), true); err != nil {
		t.Error(err)
	}
}

// TestGeminiSchemaKeepsTools cleans the tools that the fixtures of all dialects send.
func TestGeminiSchemaKeepsTools(t *testing.T) {
	seen := 0
	for _, schema := range schemasOfFixtures(t) {
		got := dialect.GeminiParameters(schema)
		if got == "" {
			continue
		}
		seen++
		if err := checkSchema(got, true); err != nil {
			t.Errorf("%v\n%s\n%s", err, schema, got)
		}
	}
	if seen == 0 {
		t.Error("no schema was found")
	}
}

func schemasOfFixtures(t testing.TB) []string {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range txtar.Parse(data).Files {
			var body struct {
				Tools []struct {
					Schema json.RawMessage `json:"input_schema"`
				}
			}
			if f.Name != "request.json" || json.Unmarshal(f.Data, &body) != nil {
				continue
			}
			for _, tool := range body.Tools {
				if tool.Schema != nil {
					out = append(out, string(tool.Schema))
				}
			}
		}
	}
	return out
}

func FuzzGeminiSchema(f *testing.F) {
	for _, s := range schemasOfFixtures(f) {
		f.Add(s)
	}
	f.Add(`{"properties":{"a":{"anyOf":[{"$ref":"#"},{"const":1.5},{"enum":["a",2,null,{}]}],"type":["array","object"]}}}`)
	f.Add(`{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}],"$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"}]},"b":{"properties":{"x":{"items":[{"type":"null"}]}}}}}`)
	f.Add(`{"oneOf":[{"properties":{"t":{"const":"a","default":"a"}}},{"properties":{"t":{"type":"string"}}},{"type":"null"},false]}`)
	f.Add(`{"properties":{"~1":{"$ref":"#/properties/a~1b%20c"},"a/b c":{"type":"integer","minimum":1e400,"maxLength":1e3}}}`)
	f.Fuzz(func(t *testing.T, schema string) {
		if !json.Valid([]byte(schema)) { // then its bytes choose the words of one
			schema = (&schemaMaker{choices: schema}).schema(0)
		}
		got := dialect.GeminiParameters(schema)
		if got == "" {
			return
		}
		if err := checkSchema(got, true); err != nil {
			t.Errorf("%v\n%s", err, got)
		}
		if again := dialect.GeminiParameters(schema); again != got {
			t.Errorf("not the same twice:\n%s\n%s", got, again)
		}
	})
}

// schemaMaker writes a schema whose words are chosen by bytes.
type schemaMaker struct{ choices string }

func (m *schemaMaker) next(n int) int {
	if m.choices == "" {
		return 0
	}
	c := int(m.choices[0])
	m.choices = m.choices[1:]
	return c % n
}

func (m *schemaMaker) schema(depth int) string {
	if depth > 6 || m.choices == "" {
		return []string{"{}", "true", "false", `{"type":"null"}`, `{"type":"string"}`, `"x"`}[m.next(6)]
	}
	var keys []string
	for range m.next(6) {
		keys = append(keys, m.keyword(depth+1))
	}
	return "{" + strings.Join(keys, ",") + "}"
}

func (m *schemaMaker) list(depth int) string {
	var out []string
	for range m.next(4) {
		out = append(out, m.schema(depth))
	}
	return "[" + strings.Join(out, ",") + "]"
}

func (m *schemaMaker) values() string {
	all := []string{`"a"`, `""`, `"b\u0000"`, "1", "-2.5", "1e999", "null", "true", "{}", "[]", `"object"`, `"null"`, `["string","null"]`, `["a","$ref"]`}
	return all[m.next(len(all))]
}

func (m *schemaMaker) keyword(depth int) string {
	names := []string{"a", "", "type", "$ref", "properties", "b/c"}
	switch m.next(12) {
	case 0:
		return `"type":"` + []string{"object", "string", "array", "integer", "number", "boolean", "null", "file"}[m.next(8)] + `"`
	case 1:
		return `"properties":{"` + names[m.next(6)] + `":` + m.schema(depth) + `,"` + names[m.next(6)] + `":` + m.schema(depth) + `}`
	case 2:
		return `"` + []string{"anyOf", "oneOf", "allOf", "prefixItems", "items"}[m.next(5)] + `":` + m.list(depth)
	case 3:
		return `"$ref":"` + []string{"#", "#/$defs/a", "#/properties/a", "#/properties/b~1c", "#/anyOf/0", "#/items/1", "x", "#/$defs/b"}[m.next(8)] + `"`
	case 4:
		return `"$defs":{"a":` + m.schema(depth) + `,"b":` + m.schema(depth) + `}`
	case 5:
		return `"items":` + m.schema(depth)
	case 6:
		return `"required":["a","` + names[m.next(6)] + `","a"]`
	case 7:
		return `"enum":[` + m.values() + "," + m.values() + `]`
	case 8:
		return `"` + []string{"not", "if", "additionalProperties", "contains"}[m.next(4)] + `":` + m.schema(depth)
	}
	keys := []string{"const", "type", "format", "description", "title", "pattern", "default", "example", "minimum", "maxLength", "minItems", "maxProperties", "nullable", "enum", "required", "properties", "anyOf", "$ref", "propertyOrdering", "exclusiveMinimum"}
	return `"` + keys[m.next(len(keys))] + `":` + m.values()
}

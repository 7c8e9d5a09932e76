package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/titanous/json5"
	"gopkg.in/yaml.v3"
)

// parse makes a tree of nil, bool, float64, string, []any and map[string]any. The kind is told by the content where that is
// plain, else by the file's ending: a YAML parser takes JSON5's comments for values, so it is never given any.
func parse(data []byte, ext string) (any, []Fault) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return nil, []Fault{{Message: "it is not UTF-8 text"}}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, []Fault{{Message: "it is empty"}}
	}
	var doc any
	var faults []Fault
	if json := strings.HasPrefix(ext, ".json"); json || looksLikeJSON(data) {
		doc, faults = parseJSON5(data, json)
	} else {
		doc, faults = parseYAML(data)
	}
	if deeper(doc, maxDepth) {
		return nil, []Fault{{Message: fmt.Sprintf("it is nested more than %d deep", maxDepth)}}
	}
	return doc, faults
}

// maxDepth is how deep a file may be nested. A fault's path grows with the depth, so an endless one would fill the memory.
const maxDepth = 64

func deeper(v any, than int) bool {
	if than < 0 {
		return true
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if deeper(e, than-1) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if deeper(e, than-1) {
				return true
			}
		}
	}
	return false
}

func looksLikeJSON(data []byte) bool {
	data = bytes.TrimSpace(data)
	return data[0] == '{' || data[0] == '[' || bytes.HasPrefix(data, []byte("//")) || bytes.HasPrefix(data, []byte("/*"))
}

func parseJSON5(data []byte, named bool) (any, []Fault) {
	var doc any
	err := json5.Unmarshal(data, &doc)
	if err == nil {
		return doc, nil
	}
	var syntax *json5.SyntaxError
	if !errors.As(err, &syntax) {
		return nil, []Fault{{Message: "a number is out of range"}} // the only other fault of an untyped document
	}
	f := Fault{Place: position(data, int(syntax.Offset)), Message: syntax.Error()}
	if named && !looksLikeJSON(data) {
		f.Message += "; is it YAML? Then its name must end with .yaml"
	}
	return nil, []Fault{f}
}

// position is where the last of the first n bytes stands.
func position(data []byte, n int) string {
	before := data[:min(max(n-1, 0), len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("line %d, column %d", line, column)
}

func parseYAML(data []byte) (any, []Fault) {
	var doc any
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&doc); err == io.EOF {
		return nil, []Fault{{Message: "it is empty: it has only comments"}}
	} else if err != nil {
		return nil, yamlFaults(err)
	}
	if err := d.Decode(new(any)); err != io.EOF {
		if err != nil {
			return nil, yamlFaults(err)
		}
		return nil, []Fault{{Message: "it holds more than one YAML document"}}
	}
	return plain(doc), nil
}

var (
	yamlLine  = regexp.MustCompile(`^line (\d+): `)
	yamlValue = regexp.MustCompile("`[^`]*`|invalid map key: .*|unknown anchor '.*' referenced")
)

// yamlFaults takes the values out of the parser's messages: any of them may be a key.
func yamlFaults(err error) []Fault {
	messages := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	var typed *yaml.TypeError
	if errors.As(err, &typed) {
		messages = typed.Errors
	}
	var all []Fault
	for _, m := range messages {
		var f Fault
		if at := yamlLine.FindStringSubmatch(m); at != nil {
			f.Place, m = "line "+at[1], m[len(at[0]):]
		}
		f.Message = yamlValue.ReplaceAllStringFunc(m, func(s string) string {
			switch s[0] {
			case 'i':
				return "a key that is a list or an object"
			case 'u':
				return "unknown anchor; a value that begins with * needs quotes"
			}
			return "the value"
		})
		all = append(all, f)
	}
	return all
}

// plain turns what YAML alone has into what JSON has.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case map[any]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[fmt.Sprint(k)] = plain(e)
		}
		return m
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case time.Time: // an unquoted date, as in a model's name; its own spelling is lost
		return math.NaN()
	}
	return v
}

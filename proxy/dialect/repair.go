package dialect

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// repaired is JSON that a model wrote with faults, made right.
type repaired struct {
	json   string
	faults []string // what was wrong, each in a few words
	inside bool     // a fault was inside of a string: what it says was guessed, not only where it ends
}

// repair reads an object as a model meant it: with the freedoms of JSON5, with Python's words, in a fence of Markdown, with
// brackets or commas that are missing or too many. A string or a number that was cut off is not repaired, as what is missing
// cannot be known, nor are quotes inside of a string that nothing tells from its end. What comes out is a valid JSON object;
// false: nothing does.
func repair(text string) (repaired, bool) {
	if !utf8.ValidString(text) {
		return repaired{}, false
	}
	r := repairer{s: text}
	r.fence()
	ok := r.value()
	if ok {
		ok = r.end()
	}
	out := string(r.out)
	if inner := gjson.Parse(out); ok && inner.Type == gjson.String {
		return unpack(inner.Str, r)
	}
	if !ok || !strings.HasPrefix(out, "{") || !gjson.Valid(out) {
		return repaired{}, false
	}
	return repaired{out, r.faults, r.inside}, true
}

// unpack takes an object that was encoded twice. Only a right one is believed.
func unpack(text string, r repairer) (repaired, bool) {
	text = strings.TrimSpace(text)
	if r.inside || !strings.HasPrefix(text, "{") || !gjson.Valid(text) {
		return repaired{}, false
	}
	return repaired{text, append(r.faults, "JSON in a string"), false}, true
}

type repairer struct {
	s      string
	i      int
	out    []byte
	depth  int
	faults []string
	inside bool
}

const deepestRepair = 200

func (r *repairer) fault(what string) {
	if !slices.Contains(r.faults, what) {
		r.faults = append(r.faults, what)
	}
}

// peek is the next byte that means something; 0 at the end.
func (r *repairer) peek() byte {
	for r.i < len(r.s) {
		switch rest := r.s[r.i:]; {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			r.i++
		case strings.HasPrefix(rest, "\ufeff"):
			r.i += len("\ufeff")
		case strings.HasPrefix(rest, "//"):
			r.comment("\n")
		case strings.HasPrefix(rest, "/*"):
			r.comment("*/")
		default:
			return rest[0]
		}
	}
	return 0
}

func (r *repairer) comment(end string) {
	r.fault("a comment")
	n := strings.Index(r.s[r.i+2:], end)
	if n < 0 {
		r.i = len(r.s)
		return
	}
	r.i += 2 + n + len(end)
}

const fence = "```"

// fence passes over the first line of a Markdown fence.
func (r *repairer) fence() {
	r.peek()
	if !strings.HasPrefix(r.s[r.i:], fence) {
		return
	}
	r.fault("a code fence")
	r.i += len(fence)
	for r.i < len(r.s) && r.s[r.i] >= 'a' && r.s[r.i] <= 'z' {
		r.i++
	}
}

// end reads what stands behind the value: the end of a fence, brackets too many, or the value once more. An empty object
// that is followed by another one is a beginning that was not taken back.
func (r *repairer) end() bool {
	first := len(r.out)
	for {
		switch c := r.peek(); {
		case c == 0:
			return true
		case c == '}' || c == ']':
			r.fault("a bracket too many")
			r.i++
		case strings.HasPrefix(r.s[r.i:], fence):
			r.fault("a code fence")
			r.i += len(fence)
		case c == '{':
			r.fault("two objects")
			if !r.value() {
				return false
			}
			before, after := string(r.out[:first]), string(r.out[first:])
			if before != "{}" && before != after {
				return false
			}
			r.out = append(r.out[:0], after...)
			first = len(r.out)
		default:
			return false
		}
	}
}

// value reads the next value; false: it is none, or it was cut.
func (r *repairer) value() bool {
	switch c := r.peek(); {
	case c == '{':
		return r.list('}', r.member)
	case c == '[':
		return r.list(']', r.value)
	case c == '"' || c == '\'':
		return r.str()
	case c == '-' || c == '+' || c == '.' || c >= '0' && c <= '9':
		return r.number()
	}
	word := r.word()
	switch word {
	case "true", "false", "null":
	case "True", "False", "None":
		r.fault("a word of Python")
		word = map[string]string{"True": "true", "False": "false", "None": "null"}[word]
	default:
		return false
	}
	r.out = append(r.out, word...)
	return true
}

// list reads an object or an array up to its closing bracket, or to the end of the text.
func (r *repairer) list(closing byte, item func() bool) bool {
	if r.depth++; r.depth > deepestRepair {
		return false
	}
	defer func() { r.depth-- }()
	r.out = append(r.out, r.s[r.i])
	r.i++
	items, comma := 0, true
	for {
		switch c := r.peek(); {
		case c == 0 && comma: // more was to come
			return false
		case c == 0:
			r.fault("a missing bracket")
			r.out = append(r.out, closing)
			return true
		case c == closing:
			if items > 0 && comma {
				r.fault("a comma too many")
			}
			r.i++
			r.out = append(r.out, closing)
			return true
		case c == ',':
			if comma {
				r.fault("a comma too many")
			}
			comma = true
			r.i++
			continue
		}
		if items > 0 {
			if !comma {
				r.fault("a missing comma")
			}
			r.out = append(r.out, ',')
		}
		if !item() {
			return false
		}
		items, comma = items+1, false
	}
}

// member reads a key and its value.
func (r *repairer) member() bool {
	if c := r.peek(); c == '"' || c == '\'' {
		if !r.str() {
			return false
		}
	} else {
		key := r.word()
		if key == "" {
			return false
		}
		r.fault("a key without quotes")
		r.out = append(append(append(r.out, '"'), key...), '"')
	}
	if r.peek() != ':' {
		return false
	}
	r.i++
	r.out = append(r.out, ':')
	return r.value()
}

// word reads letters, digits, _ and $; the first is no digit.
func (r *repairer) word() string {
	start := r.i
	for r.i < len(r.s) {
		c := r.s[r.i]
		letter := c == '_' || c == '$' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9' || r.i == start) {
			break
		}
		r.i++
	}
	return r.s[start:r.i]
}

// number reads a number. One at the end of the text may have been cut.
func (r *repairer) number() bool {
	start := r.i
	for r.i < len(r.s) && strings.IndexByte("0123456789+-.eE", r.s[r.i]) >= 0 {
		r.i++
	}
	text := r.s[start:r.i]
	if r.i == len(r.s) {
		return false
	}
	if !gjson.Valid(text) {
		text = strings.TrimPrefix(text, "+")
		if sign, rest, ok := strings.Cut(text, "."); ok && strings.Trim(sign, "-") == "" {
			text = sign + "0." + rest
		}
		text = strings.TrimSuffix(text, ".")
		if !gjson.Valid(text) {
			return false
		}
		r.fault("a number of another language")
	}
	r.out = append(r.out, text...)
	return true
}

// str reads a string in either kind of quotes.
func (r *repairer) str() bool {
	quote := r.s[r.i]
	if quote == '\'' {
		r.fault("single quotes")
		r.inside = true
	}
	r.i++
	r.out = append(r.out, '"')
	for r.i < len(r.s) {
		c := r.s[r.i]
		switch {
		case c == quote:
			r.i++
			r.out = append(r.out, '"')
			return true
		case c == '\\':
			if !r.escape() {
				return false
			}
			continue
		case c == '"':
			r.out = append(r.out, `\"`...)
		case c < ' ':
			r.guess("a line break or tab in a string")
			r.out = append(r.out, controls(c)...)
		default:
			r.out = append(r.out, c)
		}
		r.i++
	}
	return false
}

func (r *repairer) guess(fault string) {
	r.fault(fault)
	r.inside = true
}

// escape reads a backslash and what it stands before. One that JSON does not know is a backslash that was meant, as in the
// regular expression \d.
func (r *repairer) escape() bool {
	rest := r.s[r.i+1:]
	switch {
	case rest == "":
		return false
	case strings.IndexByte(`"\/bfnrt`, rest[0]) >= 0:
		r.out = append(r.out, '\\', rest[0])
		r.i += 2
	case rest[0] == 'u' && len(rest) > 4 && gjson.Valid(`"\`+rest[:5]+`"`):
		r.out = append(append(r.out, '\\'), rest[:5]...)
		r.i += 6
	case rest[0] == '\'':
		r.guess("an escaped single quote")
		r.out = append(r.out, '\'')
		r.i += 2
	default:
		r.guess("a backslash that is no escape")
		r.out = append(r.out, `\\`...)
		r.i++
	}
	return true
}

func controls(c byte) string {
	switch c {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	const hex = "0123456789abcdef"
	return `\u00` + string(hex[c>>4]) + string(hex[c&15])
}

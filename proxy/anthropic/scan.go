package anthropic

import "strings"

// scanner walks JSON text once, and hands out its values as they stand. It checks the grammar of objects, lists and
// literals; of a string it looks for the end alone, so that most of a body is passed over at the speed of a byte search.
// What is wrong inside of a string is left to whoever decodes it.
type scanner struct {
	s     string
	i     int
	depth int
	bad   bool // from then on nothing is read

	signed bool // a member called signature was passed over
}

// maxDepth bounds the nesting of values: no client's request comes near it.
const maxDepth = 1000

func (p *scanner) fail() Raw {
	p.bad, p.i = true, len(p.s)
	return ""
}

// peek is the first byte of the next value; 0 at the end of the text.
func (p *scanner) peek() byte {
	for p.i < len(p.s) {
		switch c := p.s[p.i]; c {
		case ' ', '\n', '\t', '\r':
			p.i++
		default:
			return c
		}
	}
	return 0
}

// value passes over the next value, whatever it is.
func (p *scanner) value() Raw {
	switch p.peek() {
	case '"':
		return p.text()
	case '{':
		start := p.i
		p.object(nil)
		return p.since(start)
	case '[':
		start := p.i
		p.list(nil)
		return p.since(start)
	}
	return p.literal()
}

func (p *scanner) since(start int) Raw {
	if p.bad {
		return ""
	}
	return Raw(p.s[start:p.i])
}

// text reads a string literal, quotes included.
func (p *scanner) text() Raw {
	if p.peek() != '"' {
		return p.fail()
	}
	start := p.i
	s := p.s[start+1:]
	for j := 0; ; j++ {
		n := strings.IndexByte(s[j:], '"')
		if n < 0 {
			return p.fail()
		}
		j += n
		if j > 0 && s[j-1] == '\\' {
			k := j - 1
			for k > 0 && s[k-1] == '\\' {
				k--
			}
			if (j-k)%2 == 1 {
				continue // the quote is escaped
			}
		}
		p.i = start + j + 2
		return Raw(p.s[start:p.i])
	}
}

// literal reads a number, true, false or null.
func (p *scanner) literal() Raw {
	start := p.i
	for p.i < len(p.s) && strings.IndexByte(" \n\t\r,]}:", p.s[p.i]) < 0 {
		p.i++
	}
	switch lit := p.s[start:p.i]; {
	case lit == "true", lit == "false", lit == "null":
		return Raw(lit)
	case lit == "", strings.Trim(lit, "0123456789+-.eE") != "", lit[0] != '-' && (lit[0] < '0' || lit[0] > '9'):
		return p.fail()
	default:
		return Raw(lit)
	}
}

// object reads an object. member is called for each, with the scanner before its value, which member must read; nil passes
// over them.
func (p *scanner) object(member func(key string)) {
	if p.peek() != '{' || p.depth == maxDepth {
		p.fail()
		return
	}
	p.depth++
	defer func() { p.depth-- }()
	p.i++
	if p.peek() == '}' {
		p.i++
		return
	}
	for {
		key := p.text()
		if p.peek() != ':' {
			p.fail()
			return
		}
		p.i++
		if member == nil {
			p.signed = p.signed || key == `"signature"`
			p.value()
		} else {
			member(name(key))
		}
		switch p.peek() {
		case ',':
			p.i++
			p.peek()
		case '}':
			p.i++
			return
		default:
			p.fail()
			return
		}
	}
}

// name decodes a key, which hardly ever holds an escape.
func name(key Raw) string {
	if strings.IndexByte(string(key), '\\') >= 0 {
		return key.Text()
	}
	return key.Inner()
}

// list reads a list. item is called for each, with the scanner before it; nil passes over them.
func (p *scanner) list(item func()) {
	if p.peek() != '[' || p.depth == maxDepth {
		p.fail()
		return
	}
	p.depth++
	defer func() { p.depth-- }()
	p.i++
	if p.peek() == ']' {
		p.i++
		return
	}
	for {
		if item == nil {
			p.value()
		} else {
			item()
		}
		switch p.peek() {
		case ',':
			p.i++
		case ']':
			p.i++
			return
		default:
			p.fail()
			return
		}
	}
}

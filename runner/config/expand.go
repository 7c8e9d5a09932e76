package config

import (
	"errors"
	"regexp"
	"strings"
)

// variable is $NAME, ${NAME} or ${NAME:-default} at the start of a text.
var variable = regexp.MustCompile(`^\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})`)

// broken is the start of one that does not end as it should.
var broken = regexp.MustCompile(`^\$\{[A-Za-z_]`)

// secretName is the name of a variable or a header whose value is to be hidden wherever it comes up.
var secretName = regexp.MustCompile(`(?i)key|token|secret|passw|credential|authorization|cookie`)

// expanded is a text whose variables are filled in.
type expanded struct {
	text    string
	unset   []string // variables that are unset or empty: an unset secret of a CI service arrives as an empty variable
	secrets []string
}

// expand fills in the variables of s. "$$" is a dollar sign, and so is a "$" that no name follows. What is filled in is
// not looked at again.
func expand(s string, getenv func(string) string) (expanded, error) {
	var e expanded
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			e.text = b.String() + s
			return e, nil
		}
		b.WriteString(s[:i])
		s = s[i:]
		m := variable.FindStringSubmatch(s)
		if m == nil {
			if broken.MatchString(s) {
				return e, errors.New("a variable does not end: want ${NAME} or ${NAME:-default}; a dollar sign itself is $$")
			}
			b.WriteByte('$')
			s = strings.TrimPrefix(s[1:], "$")
			continue
		}
		name := m[1] + m[2]
		value := getenv(name)
		switch {
		case value != "":
			if secretName.MatchString(name) {
				e.secrets = append(e.secrets, strings.TrimSpace(value))
			}
		case strings.Contains(m[0], ":-"):
			value = m[3]
		default:
			e.unset = append(e.unset, name)
		}
		b.WriteString(value)
		s = s[len(m[0]):]
	}
}

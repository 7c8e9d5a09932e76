package report

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// escapes are the terminal's: colours and cursor moves, and titles up to their end.
var escapes = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?`)

// clean is text that does nothing: no escape sequence, no control character but newline and tab, no change of direction.
func clean(s string) string {
	s = strings.ReplaceAll(escapes.ReplaceAllString(s, ""), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			return '\n'
		case r < ' ' || r >= 0x7f && r < 0xa0, r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return -1
		}
		return r
	}, s)
}

// maxLine is the longest text in one line of a view for people, in bytes. The JSON has the whole.
const maxLine = 500

// line is clean text on one line.
func line(s string) string {
	s = strings.Join(strings.Fields(clean(head(s, 4*maxLine))), " ")
	if len(s) > maxLine {
		s = head(s, maxLine) + "…"
	}
	return s
}

// head is the first n bytes of s, less the part of a character at the end.
func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// code is a line as a Markdown code span: nothing in it is Markdown, HTML or a mention.
func code(s string) string {
	if s = line(s); s == "" {
		return "–"
	}
	fence := ticks(s, 1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// cell is code for a table, where even in code a pipe ends the cell unless a backslash is before it, and that one
// must not be escaped itself.
func cell(s string) string {
	return strings.NewReplacer(`\|`, `\ \|`, `|`, `\|`).Replace(code(s))
}

// block is a Markdown code block with a fence that the text does not hold.
func block(language, s string) string {
	s = strings.TrimRight(clean(s), "\n")
	fence := ticks(s, 3)
	return fence + language + "\n" + s + "\n" + fence + "\n"
}

// ticks is a run of backticks that is longer than any in s, and at least n.
func ticks(s string, n int) string {
	run := 0
	for i := range len(s) {
		if s[i] != '`' {
			run = 0
			continue
		}
		run++
		n = max(n, run+1)
	}
	return strings.Repeat("`", n)
}

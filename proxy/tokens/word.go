package tokens

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// class is what the vocabulary's pattern tells characters apart by.
type class uint8

const (
	none class = iota // the end of the text
	letter
	digit
	newline // \r and \n
	space   // other white space
	other
)

// wordEnd is the length of the first word of s: what the pattern of cl100k_base matches first, in the order of its
// alternatives, cut at maxWord. A token never reaches over the end of a word.
//
//	'(s|t|re|ve|m|ll|d) | [^\r\n\p{L}\p{N}]?\p{L}+ | \p{N}{1,3} | ?[^\s\p{L}\p{N}]+[\r\n]* | \s*[\r\n]+ | \s+(?!\S) | \s+
func wordEnd(s string) int {
	if n := contraction(s); n > 0 {
		return n
	}
	first, size := classify(s)
	second, _ := classify(s[size:])
	switch {
	case first == letter, second == letter && (first == space || first == other):
		return run(s, size, letter)
	case first == digit:
		for end, n := size, 1; ; n++ {
			c, size := classify(s[end:])
			if c != digit || n == 3 {
				return end
			}
			end += size
		}
	case first == other, s[0] == ' ' && second == other:
		return run(s, run(s, size, other), newline)
	}
	return spaces(s)
}

// run is where a run of one class that goes on at i ends, or the cut.
func run(s string, i int, c class) int {
	for i < len(s) {
		next, size := classify(s[i:])
		if next != c || i+size > maxWord {
			break
		}
		i += size
	}
	return i
}

// spaces is the length of the first word of s, which begins with white space: as far as the last line break of the run; else
// all but the last character, which belongs to what follows.
func spaces(s string) int {
	end, line, last := 0, 0, 0
	for end < len(s) {
		c, size := classify(s[end:])
		if c != space && c != newline || end+size > maxWord {
			break
		}
		last, end = end, end+size
		if c == newline {
			line = end
		}
	}
	switch {
	case line > 0:
		return line
	case end == len(s) || last == 0:
		return end
	}
	if c, _ := classify(s[end:]); c == space || c == newline { // cut
		return end
	}
	return last
}

func contraction(s string) int {
	if s[0] != '\'' {
		return 0
	}
	for _, suffix := range []string{"s", "t", "re", "ve", "m", "ll", "d"} {
		if n := 1 + len(suffix); len(s) >= n && strings.EqualFold(s[1:n], suffix) {
			return n
		}
	}
	return 0
}

func classify(s string) (class, int) {
	if s == "" {
		return none, 0
	}
	if b := s[0]; b < utf8.RuneSelf {
		switch {
		case 'a' <= b|0x20 && b|0x20 <= 'z':
			return letter, 1
		case '0' <= b && b <= '9':
			return digit, 1
		case b == '\n' || b == '\r':
			return newline, 1
		case b == ' ' || '\t' <= b && b <= '\r':
			return space, 1
		}
		return other, 1
	}
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case unicode.IsLetter(r):
		return letter, size
	case unicode.IsNumber(r):
		return digit, size
	case unicode.IsSpace(r):
		return space, size
	}
	return other, size
}

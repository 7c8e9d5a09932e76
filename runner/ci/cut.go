package ci

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Cut shortens Markdown to at most limit bytes. It ends at a line's edge, so that a table keeps whole rows, closes the
// code block and the <details> that it is in, and says so in a last line. Only a code block's line may end in the
// middle, between two characters. Markdown that fits is returned as it is; "" means that not even the last line fits.
func Cut(markdown string, limit int) string {
	if len(markdown) <= limit {
		return markdown
	}
	var at scan
	head, tail := "", at.closing(0, len(markdown))
	if len(tail) > limit {
		return ""
	}
	for end := 0; end < len(markdown); {
		line := markdown[end:]
		if i := strings.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		next := at
		next.read(line)
		closing := next.closing(end+len(line), len(markdown))
		if end+len(line)+len(closing) > limit {
			if part := at.part(line, limit-end-len(at.closing(limit, len(markdown)))); part != "" {
				head = markdown[:end] + part
				tail = at.closing(len(head), len(markdown))
			}
			break
		}
		end += len(line)
		at = next
		head, tail = markdown[:end], closing
	}
	return head + tail
}

// scan is what is open at a line's edge.
type scan struct {
	fence   string // the code block's fence; "": none
	details int
}

func (s *scan) read(line string) {
	run, info := fenceRun(line)
	switch {
	case s.fence == "" && run != "" && !(run[0] == '`' && strings.Contains(info, "`")):
		s.fence = run
	case s.fence == "":
		lower := strings.ToLower(strings.TrimLeft(line, " "))
		if !strings.HasPrefix(lower, "<details") && !strings.HasPrefix(lower, "</details") {
			return // elsewhere in a line it may be code
		}
		s.details = max(0, s.details+strings.Count(lower, "<details")-strings.Count(lower, "</details"))
	case run != "" && run[0] == s.fence[0] && len(run) >= len(s.fence) && strings.TrimSpace(info) == "":
		s.fence = ""
	}
}

// fenceRun is the run of ` or ~ that may open or close a code block, and what follows it on the line.
func fenceRun(line string) (run, rest string) {
	text := strings.TrimLeft(line, " ")
	if text == "" || len(line)-len(text) > 3 || text[0] != '`' && text[0] != '~' {
		return "", ""
	}
	rest = strings.TrimLeft(text, text[:1])
	if run = text[:len(text)-len(rest)]; len(run) < 3 {
		return "", ""
	}
	return run, rest
}

// closing ends what is open and says how much is shown.
func (s scan) closing(shown, all int) string {
	var b strings.Builder
	if s.fence != "" {
		b.WriteString(s.fence + "\n")
	}
	b.WriteString(strings.Repeat("\n</details>\n", s.details))
	fmt.Fprintf(&b, "\n_Cut here: %d of %d bytes are shown._\n", shown, all)
	return b.String()
}

// part is the beginning of a code block's line, a newline included at most size bytes; "" where it must not be broken.
func (s scan) part(line string, size int) string {
	if s.fence == "" || size <= 0 {
		return ""
	}
	size = min(size, len(line)) - 1
	for size > 0 && !utf8.RuneStart(line[size]) {
		size--
	}
	line = line[:size]
	if strings.Trim(line, s.fence[:1]+" \t\r\n") == "" {
		return "" // it could be read as the block's end
	}
	return line + "\n"
}

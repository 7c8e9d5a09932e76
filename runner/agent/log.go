package agent

import (
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// log writes what happens so that a person can follow it and no secret gets out: a tool's name with its target, a
// message's length. What was said and answered is for verbose only.
type log struct {
	w       io.Writer
	verbose bool
	cwd     string
}

// line writes one line. A subagent's is set in.
func (l *log) line(e event, format string, args ...any) {
	if l.w == nil {
		return
	}
	indent := ""
	if e.Parent != "" {
		indent = "  "
	}
	// A log that cannot be written to is no reason to lose the run.
	_, _ = io.WriteString(l.w, indent+oneLine(fmt.Sprintf(format, args...))+"\n")
}

func (l *log) block(e event, b block) {
	switch b.Type {
	case "tool_use", "server_tool_use":
		l.line(e, "%s", strings.TrimSpace(b.Name+" "+l.target(b)))
		if l.verbose {
			l.line(e, "  input: %s", b.Input)
		}
	case "text":
		l.line(e, "message: %d characters", utf8.RuneCountInString(b.Text))
		if l.verbose {
			l.lines(e, b.Text)
		}
	}
}

// answer is a tool's result.
func (l *log) answer(e event, b block) {
	if !l.verbose || b.Type != "tool_result" {
		return
	}
	word := "answer"
	if b.IsError {
		word = "error"
	}
	l.line(e, "  %s:", word)
	l.lines(e, text(b.Content))
}

func (l *log) system(e event) {
	if l.verbose {
		l.line(e, "%s", strings.TrimSpace("system "+e.Subtype+" "+text(e.Status)+" "+text(e.Error)))
	}
}

func (l *log) lines(e event, s string) {
	for line := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		l.line(e, "  | %s", line)
	}
}

// target is what a tool works on: a path, a host, the first word of a command. Never more of the input: it may hold a
// secret.
func (l *log) target(b block) string { return target(b.Name, b.Input, l.relative) }

// Detail is what the call was about: its path, or its command's first word.
func (d Denial) Detail() string {
	return target(d.Tool, d.Input, func(path string) string { return path })
}

func target(tool string, input jsontext.Value, relative func(string) string) string {
	var in struct {
		Command  string `json:"command"`
		File     string `json:"file_path"`
		Notebook string `json:"notebook_path"`
		Path     string `json:"path"`
		URL      string `json:"url"`
	}
	if json.Unmarshal(input, &in, tolerant) != nil {
		return ""
	}
	for _, path := range []string{in.File, in.Notebook, in.Path} {
		if path != "" {
			return short(relative(path), 200)
		}
	}
	if in.Command != "" && (tool == "Bash" || tool == "PowerShell") {
		return short(program(in.Command), 40)
	}
	if u, err := url.Parse(in.URL); err == nil && in.URL != "" {
		return short(u.Hostname(), 100)
	}
	return ""
}

func (l *log) relative(path string) string {
	if rel, err := filepath.Rel(l.cwd, path); l.cwd != "" && err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// program is the first word of a command that is not an assignment: those may hold a secret.
func program(command string) string {
	for word := range strings.FieldsSeq(command) {
		if name, _, ok := strings.Cut(word, "="); ok {
			if strings.ContainsAny(word, `'"$(`+"`") {
				return "" // the value may go on in the next words
			}
			if name != "" {
				continue
			}
		}
		return word
	}
	return ""
}

func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// oneLine replaces what would break a line or move the cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}

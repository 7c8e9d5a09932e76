package ci

import (
	"fmt"
	"regexp"
	"strings"
)

// This is the other side, after the rules of GitHub's own runner: how it reads a file of commands and a log.

// parseFileCommands reads GITHUB_OUTPUT: lines end with \n alone; name=value or name<<delimiter, whichever comes first.
func parseFileCommands(text string) (map[string]string, error) {
	values := map[string]string{}
	lines := strings.SplitAfter(text, "\n")
	for len(lines) > 0 {
		line := strings.TrimSuffix(lines[0], "\n")
		lines = lines[1:]
		if line == "" {
			continue
		}
		equals, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case equals >= 0 && (heredoc < 0 || equals < heredoc):
			values[line[:equals]] = line[equals+1:]
		case heredoc > 0 && line[heredoc+2:] != "":
			name, delimiter := line[:heredoc], line[heredoc+2:]
			var value strings.Builder
			for {
				if len(lines) == 0 {
					return nil, fmt.Errorf("matching delimiter not found: %q", delimiter)
				}
				next := lines[0]
				lines = lines[1:]
				if strings.TrimSuffix(next, "\n") == delimiter {
					break
				}
				value.WriteString(next)
			}
			values[name] = strings.TrimSuffix(value.String(), "\n")
		default:
			return nil, fmt.Errorf("invalid format: %q", line)
		}
	}
	return values, nil
}

// logged is what the runner makes of a log.
type logged struct {
	masks, annotations, others []string
	shown                      []string // lines that are no command
}

var (
	commandV2 = regexp.MustCompile(`^::([^ ]*?)(?: (.*?))?::(.*)$`)
	commandV1 = regexp.MustCompile(`##\[([^ \]]*)(?: ([^\]]*))?\](.*)$`)
)

// known are the commands that the runner acts upon; anything else is text.
var known = map[string]bool{
	"add-mask": true, "set-output": true, "set-env": true, "add-path": true, "save-state": true, "group": true, "endgroup": true,
	"notice": true, "warning": true, "error": true, "debug": true, "echo": true, "add-matcher": true, "remove-matcher": true, "stop-commands": true,
}

func isLineEnd(r rune) bool { return r == '\n' || r == '\r' }

// readLog reads commands as the runner does: ::name p=v::data after leading space, or ##[name p=v]data anywhere in a line.
func readLog(text string) (r logged) {
	token := ""
	unescape := strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%")
	for line := range strings.FieldsFuncSeq(text, isLineEnd) {
		if !strings.Contains(line, "::") && !strings.Contains(line, "##[") {
			r.shown = append(r.shown, line)
			continue
		}
		m := commandV2.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || !known[strings.ToLower(m[1])] && !strings.EqualFold(m[1], token) {
			m = commandV1.FindStringSubmatch(line)
		}
		switch {
		case m == nil:
			r.shown = append(r.shown, line)
		case token != "":
			if strings.EqualFold(m[1], token) {
				token = ""
			}
		case m[1] == "stop-commands":
			token = m[3]
		case !known[m[1]]:
		case m[1] == "add-mask":
			r.masks = append(r.masks, unescape.Replace(m[3]))
		case m[1] == "notice" || m[1] == "warning" || m[1] == "error":
			r.annotations = append(r.annotations, m[1]+" "+unescape.Replace(m[3]))
		case m[1] == "group" || m[1] == "endgroup":
		default:
			r.others = append(r.others, line)
		}
	}
	return r
}

package config

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Fault is one thing that is wrong, and where: a path such as Providers[1].api_key, a line, a flag or a variable.
type Fault struct{ Place, Message string }

func (f Fault) String() string {
	if f.Place == "" {
		return f.Message
	}
	return f.Place + ": " + f.Message
}

// Warning is one thing that is odd, and where.
type Warning Fault

func (w Warning) String() string { return Fault(w).String() }

// Error is all that is wrong with a configuration. It holds no secret.
type Error struct {
	File   string // "": there is none
	Faults []Fault
	// Warnings are said with the faults: a key that is misspelt is often why another one is missing.
	Warnings []Warning
}

func (e *Error) Error() string {
	head := "config"
	if e.File != "" {
		head += " " + e.File
	}
	if len(e.Faults) == 1 && len(e.Warnings) == 0 {
		return head + ": " + e.Faults[0].String()
	}
	var b strings.Builder
	if len(e.Faults) == 1 {
		b.WriteString(head + ": " + e.Faults[0].String())
	} else {
		fmt.Fprintf(&b, "%s: %d faults", head, len(e.Faults))
		for _, f := range e.Faults {
			b.WriteString("\n  " + f.String())
		}
	}
	for _, w := range e.Warnings {
		b.WriteString("\n  warning: " + w.String())
	}
	return b.String()
}

// meant is `; did you mean "x"?` with the name that is nearest to what was written, or "" where none is near.
func meant(written string, names []string) string {
	best, distance := "", (len(written)+2)/3+1
	for _, n := range names {
		if d := levenshtein.ComputeDistance(strings.ToLower(written), strings.ToLower(n)); d < distance {
			best, distance = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

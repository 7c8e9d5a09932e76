package ci

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// plain is a job of no known service: outputs and summary are the files of the output folder, so there is nothing to add.
type plain struct {
	name string
	mu   sync.Mutex
	out  io.Writer
}

func newPlain(name string, _ func(string) string, out io.Writer) Host {
	return &plain{name: name, out: out}
}

func (p *plain) Name() string { return p.name }

func (p *plain) Mask(string) {}

func (p *plain) Group(title string) (end func()) {
	p.print(title)
	return func() {}
}

func (p *plain) Fence(io.Writer) (release func()) { return func() {} }

// Annotate does nothing: there is no page beside the log, and the log says it already.
func (p *plain) Annotate(string, string) {}

func (p *plain) Output(string, string) error { return nil }

func (p *plain) Summary(string) error { return nil }

// print drops write errors: where the log is gone nobody is left to tell.
func (p *plain) print(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.out, strings.Map(printable, line))
}

// printable drops what could move a terminal's cursor or fake a line.
func printable(r rune) rune {
	switch {
	case r == '\n' || r == '\r' || r == '\t':
		return ' '
	case r < ' ' || r >= 0x7f && r < 0xa0:
		return -1
	}
	return r
}

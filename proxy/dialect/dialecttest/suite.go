package dialecttest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

var update = flag.Bool("update", false, "write the want-sections of the fixtures anew")

// Suite says what is tested.
type Suite struct {
	Dir string // the folder of fixtures
	New func(Spec) (dialect.Dialect, error)

	// ErrorFrame is a frame by which the provider tells of an error in a 200 stream, its end included.
	ErrorFrame string
	// Opaque are the keys of JSON objects that belong to the user, not to the protocol: a tool's arguments.
	Opaque []string

	// Wire makes what goes over the network of a reply with the content type WireType: such a reply is written as server-sent
	// events, for the reader, and comes in binary frames.
	Wire     func(text []byte) []byte
	WireType string
}

// Run tests a dialect over all its fixtures.
func Run(t *testing.T, s Suite) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixture in %s (%v)", s.Dir, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			f, err := Read(file)
			if err != nil {
				t.Fatal(err)
			}
			s.onWire(f)
			s.fixture(t, f)
			f.save(t)
		})
	}
}

// onWire puts the reply into the form in which it comes.
func (s Suite) onWire(f *Fixture) {
	f.text, f.wire = f.Body, func(text []byte) []byte { return text }
	if s.Wire != nil && f.Header.Get("Content-Type") == s.WireType {
		f.wire = s.Wire
	}
	f.Body = f.wire(f.text)
}

func (s Suite) fixture(t *testing.T, f *Fixture) {
	d, err := s.New(f.Spec)
	if err != nil {
		t.Fatal(err)
	}
	call, err := encode(d, f)
	sent := f.hasRequest && err == nil
	f.want(t, "want-refusal", fmt.Sprint(err), err != nil)
	f.want(t, "want-call", callText(call), sent)
	f.want(t, "want-body.json", string(call.Body)+call.Rest, sent)
	notes := func() {
		all := append(slices.Clip(call.Notes), f.notes...)
		f.want(t, "want-notes", strings.Join(all, "\n"), len(all) > 0)
	}
	if err != nil || !f.hasReply {
		notes()
		return
	}
	if f.Status < 200 || f.Status > 299 {
		notes()
		e := d.Error(f.reply(bytes.NewReader(f.Body)))
		f.want(t, "want-error", ErrorLine(e), true)
		return
	}
	whole := f.decode(t, call, bytes.NewReader(f.Body))
	notes()
	f.want(t, "want-events", strings.Join(whole.lines(), "\n"), len(whole.events) > 0)
	f.want(t, "want-usage", UsageLine(whole.usage()), true)
	f.want(t, "want-error", errorText(whole.err), whole.err != nil)
	s.reply(t, f, call, whole)
}

func encode(d dialect.Dialect, f *Fixture) (dialect.Call, error) {
	n := 0
	o := dialect.Options{
		Model: f.Spec.Model, Session: f.Spec.Session,
		Limits: dialect.Limits{MaxOutput: f.Spec.MaxOutput, Window: f.Spec.Window, Blind: f.Spec.Blind},
		Prompt: f.Spec.Prompt,
		NewID:  func(prefix string) string { n++; return fmt.Sprintf("%stest%d", prefix, n) },
		Note:   func(note string) { f.notes = append(f.notes, note) },
	}
	if f.Spec.Learnt > 0 {
		o.Lessons = append(o.Lessons, dialect.Lesson{MaxOutput: f.Spec.Learnt})
	}
	for _, name := range f.Spec.Refused {
		o.Lessons = append(o.Lessons, dialect.Lesson{Drop: name})
	}
	if o.Model == "" {
		o.Model = f.Request.Model
	}
	if !f.Spec.Count {
		return d.Encode(f.Request, o)
	}
	c, ok := d.(dialect.Counter)
	if !ok {
		return dialect.Call{}, errors.New("this dialect does not count")
	}
	return c.Count(f.Request, o)
}

func callText(c dialect.Call) string {
	method, path := c.Method, c.Path
	if method == "" {
		method = "POST"
	}
	if c.Query != "" {
		path += "?" + c.Query
	}
	out := []string{method + " " + path}
	for _, k := range slices.Sorted(maps.Keys(c.Header)) {
		for _, v := range c.Header[k] {
			out = append(out, k+": "+v)
		}
	}
	return strings.Join(out, "\n")
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return ErrorLine(err)
}

func (f *Fixture) reply(body io.Reader) dialect.Reply {
	return dialect.Reply{Status: f.Status, Header: f.Header.Clone(), Body: body}
}

// result is a decoded reply.
type result struct {
	events []anthropic.Event
	err    error
}

// decode reads a reply to its end and checks that the end is one: a Stop or an error, and nothing behind it.
func (f *Fixture) decode(t *testing.T, call dialect.Call, body io.Reader) result {
	t.Helper()
	var r result
	for e, err := range call.Decode(f.reply(body)) {
		if r.err != nil || r.stopped() {
			t.Fatalf("a step behind the last one: %s, %v", Line(e), err)
		}
		if err != nil {
			r.err = err
			continue
		}
		if e.Raw != nil {
			e.Raw = append([]byte{}, e.Raw...)
		}
		r.events = append(r.events, frames(e)...)
	}
	if r.err == nil && !r.stopped() {
		t.Fatalf("the reply ended with neither a Stop nor an error after %d events", len(r.events))
	}
	return r
}

// frames takes an event that holds several deltas of a native stream apart: how many come together is the network's chance.
func frames(e anthropic.Event) []anthropic.Event {
	if e.Kind != anthropic.Native || e.Text != "content_block_delta" {
		return []anthropic.Event{e}
	}
	var out []anthropic.Event
	for _, raw := range bytes.SplitAfter(e.Raw, []byte("\n\n")) {
		if len(raw) > 0 {
			one := e
			one.Raw = raw
			out = append(out, one)
		}
	}
	return out
}

func (r result) stopped() bool {
	return len(r.events) > 0 && r.events[len(r.events)-1].Kind == anthropic.Stop
}

func (r result) lines() []string {
	out := make([]string, len(r.events))
	for i, e := range r.events {
		out[i] = Line(e)
	}
	return out
}

func (r result) usage() anthropic.Usage {
	var u anthropic.Usage
	for _, e := range r.events {
		u = u.Merge(e.Usage)
	}
	return u
}

// content is what the reply says, with neighbouring deltas joined: a reply that was cut has a prefix of it.
func (r result) content(raw bool) string {
	var b strings.Builder
	last := ""
	for _, e := range r.events {
		if e.Kind == anthropic.Count || e.Kind == anthropic.Stop {
			continue
		}
		head := fmt.Sprintf("\n%s %d %s %s ", kinds[e.Kind], e.Call, e.ID, e.Name)
		joined := e.Kind == anthropic.Text || e.Kind == anthropic.Thinking || e.Kind == anthropic.ToolInput
		if !joined || head != last {
			b.WriteString(head)
		}
		last = head
		b.WriteString(e.Text)
		if raw {
			b.WriteString(strings.ReplaceAll(string(e.Raw), "\r\n", "\n"))
		}
	}
	return b.String()
}

package dialecttest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

// reply decodes a fixture's reply in every hard way that a network knows.
func (s Suite) reply(t *testing.T, f *Fixture, call dialect.Call, whole result) {
	binary := s.Wire != nil && f.Header.Get("Content-Type") == s.WireType
	sse := strings.HasPrefix(f.Header.Get("Content-Type"), "text/event-stream")
	t.Run("one byte at a time", func(t *testing.T) {
		got := f.decode(t, call, iotest.OneByteReader(bytes.NewReader(f.Body)))
		same(t, got.lines(), whole.lines())
		same(t, []string{errorText(got.err)}, []string{errorText(whole.err)})
	})
	if sse {
		t.Run("crlf", func(t *testing.T) {
			got := f.decode(t, call, bytes.NewReader(bytes.ReplaceAll(f.Body, []byte("\n"), []byte("\r\n"))))
			same(t, []string{got.content(true), errorText(got.err)}, []string{whole.content(true), errorText(whole.err)})
		})
	}
	t.Run("unknown fields", func(t *testing.T) {
		got := f.decode(t, call, bytes.NewReader(f.wire(s.unknownFields(f.text, sse || binary))))
		same(t, []string{got.content(false), UsageLine(got.usage())}, []string{whole.content(false), UsageLine(whole.usage())})
	})
	t.Run("leaves early", func(t *testing.T) { leaveEarly(f, call, len(whole.events)) })
	t.Run("breaks", func(t *testing.T) { f.broken(t, call, whole) })
	t.Run("cut", func(t *testing.T) { f.cut(t, call, whole) })
	if (sse || binary) && s.ErrorFrame != "" {
		t.Run("error frame", func(t *testing.T) { s.errorFrame(t, f, call, whole) })
	}
	if whole.stopped() {
		t.Run("written", func(t *testing.T) { written(t, f, whole) })
	}
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("not the same\n got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// leaveEarly stops to read after every number of events: an iterator that yields again panics.
func leaveEarly(f *Fixture, call dialect.Call, events int) {
	for n := 1; n <= events; n++ {
		left := n
		for range call.Decode(f.reply(bytes.NewReader(f.Body))) {
			if left--; left == 0 {
				break
			}
		}
	}
}

// broken reads from a connection that breaks in the middle: the cause must not be lost, nor an end made up.
func (f *Fixture) broken(t *testing.T, call dialect.Call, whole result) {
	cause := errors.New("connection reset by peer")
	for _, n := range []int{0, len(f.Body) / 2} {
		got := f.decode(t, call, io.MultiReader(bytes.NewReader(f.Body[:n]), iotest.ErrReader(cause)))
		if whole.stopped() && !got.stopped() && !errors.Is(got.err, cause) {
			t.Errorf("after %d bytes: the error %v does not hold its cause", n, got.err)
		}
		f.prefix(t, n, got, whole)
	}
}

// cut reads the reply up to every byte; of a long one, up to some 4,000 of them.
func (f *Fixture) cut(t *testing.T, call dialect.Call, whole result) {
	for n := 0; n < len(f.Body); n += 1 + len(f.Body)/4096 {
		got := f.decode(t, call, bytes.NewReader(f.Body[:n]))
		if got.err != nil && !errors.Is(got.err, dialect.ErrTruncated) && !errors.As(got.err, new(*anthropic.Error)) {
			t.Errorf("cut after %d bytes: neither ErrTruncated nor an *anthropic.Error: %v", n, got.err)
		}
		if !f.prefix(t, n, got, whole) {
			return
		}
	}
}

// prefix tells whether a part of a reply brought a part of its content, and a Stop only with all of it.
func (f *Fixture) prefix(t *testing.T, n int, got, whole result) bool {
	t.Helper()
	if !strings.HasPrefix(whole.content(false), got.content(false)) {
		t.Errorf("cut after %d bytes: not a prefix of the reply\n got:\n%s\nwant:\n%s", n, got.content(false), whole.content(false))
		return false
	}
	if !got.stopped() {
		return true
	}
	if !whole.stopped() || got.content(false) != whole.content(false) {
		t.Errorf("cut after %d bytes: a Stop, but not all of the reply:\n%s", n, strings.Join(got.lines(), "\n"))
		return false
	}
	a, b := got.events[len(got.events)-1], whole.events[len(whole.events)-1]
	if a.Text != b.Text || a.Name != b.Name {
		t.Errorf("cut after %d bytes: stop reason %q %q, of the whole reply %q %q", n, a.Text, a.Name, b.Text, b.Name)
		return false
	}
	return true
}

// errorFrame puts an error behind every frame: what came before stays, and the provider's words are the end. Only behind
// the frames that end the reply it may be too late for them.
func (s Suite) errorFrame(t *testing.T, f *Fixture, call dialect.Call, whole result) {
	for n := 0; n < len(f.text); {
		got := f.decode(t, call, bytes.NewReader(f.wire(append(f.text[:n:n], s.ErrorFrame...))))
		var e *anthropic.Error
		if !errors.As(got.err, &e) && errorText(got.err) != errorText(whole.err) {
			if !got.stopped() {
				t.Errorf("an error frame after %d bytes: no *anthropic.Error but %v", n, got.err)
			}
			f.prefix(t, n, got, whole)
		}
		end := bytes.Index(f.text[n:], []byte("\n\n"))
		if end < 0 {
			return
		}
		n += end + 2
	}
}

// unknownFields puts a field that no one knows into every JSON object of the reply.
func (s Suite) unknownFields(body []byte, sse bool) []byte {
	if !sse {
		if v := gjson.ParseBytes(body); gjson.ValidBytes(body) {
			return []byte(s.extend(v))
		}
		return body
	}
	lines := strings.Split(string(body), "\n")
	for i, line := range lines {
		data, ok := strings.CutPrefix(line, "data:")
		if v := strings.TrimSpace(data); ok && gjson.Valid(v) {
			lines[i] = "data: " + s.extend(gjson.Parse(v))
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

func (s Suite) extend(v gjson.Result) string {
	switch {
	case v.IsArray():
		var out []string
		v.ForEach(func(_, item gjson.Result) bool {
			out = append(out, s.extend(item))
			return true
		})
		return "[" + strings.Join(out, ",") + "]"
	case v.IsObject():
		out := []string{`"x_unknown":{"type":"x","text":["x"],"id":null}`}
		v.ForEach(func(k, item gjson.Result) bool {
			value := item.Raw
			if !slices.Contains(s.Opaque, k.Str) {
				value = s.extend(item)
			}
			out = append(out, k.Raw+":"+value)
			return true
		})
		return "{" + strings.Join(out, ",") + "}"
	}
	return v.Raw
}

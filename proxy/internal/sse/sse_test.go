package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// frame is a Frame that outlives the next call.
type frame struct {
	event, data, raw string
	cut              bool
}

func (f frame) String() string { return fmt.Sprintf("{%q %q %q %v}", f.event, f.data, f.raw, f.cut) }

func all(body io.Reader) ([]frame, error) {
	var out []frame
	r := NewReader(body)
	for {
		f, err := r.Next()
		if err != nil {
			return out, err
		}
		out = append(out, frame{string(f.Event), string(f.Data), string(f.Raw), f.Cut})
	}
}

func TestNext(t *testing.T) {
	long := strings.Repeat("x", 3*firstSize)
	for _, c := range []struct {
		name, body string
		want       []frame
	}{
		{"empty", "", nil},
		{"lf", "event: a\ndata: 1\n\ndata: 2\n\n", []frame{{"a", "1", "event: a\ndata: 1\n\n", false}, {"", "2", "data: 2\n\n", false}}},
		{"crlf", "event: a\r\ndata: 1\r\n\r\n", []frame{{"a", "1", "event: a\r\ndata: 1\r\n\r\n", false}}},
		{"mixed line ends", "data: 1\r\n\ndata: 2\n\r\n", []frame{{"", "1", "data: 1\r\n\n", false}, {"", "2", "data: 2\n\r\n", false}}},
		{"no space", "data:1\n\n", []frame{{"", "1", "data:1\n\n", false}}},
		{"only one space is taken", "data:  1 \n\n", []frame{{"", " 1 ", "data:  1 \n\n", false}}},
		{"several data lines", "data: 1\ndata:2\ndata\ndata: 4\n\n", []frame{{"", "1\n2\n\n4", "data: 1\ndata:2\ndata\ndata: 4\n\n", false}}},
		{"first data line empty", "data:\ndata:2\n\n", []frame{{"", "\n2", "data:\ndata:2\n\n", false}}},
		{"the last event line counts", "event: a\nevent: b\n\n", []frame{{"b", "", "event: a\nevent: b\n\n", false}}},
		{"comment", ": ping\n\ndata: 1\n\n", []frame{{"", "", ": ping\n\n", false}, {"", "1", "data: 1\n\n", false}}},
		{"id, retry, unknown", "id: 7\nretry: 10\nx: y\ndata: 1\n\n", []frame{{"", "1", "id: 7\nretry: 10\nx: y\ndata: 1\n\n", false}}},
		{"empty lines", "\n\r\ndata: 1\n\n", []frame{{"", "", "\n", false}, {"", "", "\r\n", false}, {"", "1", "data: 1\n\n", false}}},
		{"cut behind the line", "data: 1\n", []frame{{"", "1", "data: 1\n", true}}},
		{"cut in the line", "data: 1\n\ndata: [DO", []frame{{"", "1", "data: 1\n\n", false}, {"", "[DO", "data: [DO", true}}},
		{"cut behind CR", "data: 1\r", []frame{{"", "1", "data: 1\r", true}}},
		{"lone CR", "data: a\rb\n\n", []frame{{"", "a\rb", "data: a\rb\n\n", false}}},
		{"byte order mark", "\xef\xbb\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n", []frame{{"", "1", "data: 1\n\n", false}, {"", "", "\xef\xbb\xbfdata: 2\n\n", false}}},
		{"byte order mark alone", "\xef\xbb\xbf", nil},
		{"half a byte order mark", "\xef\xbb", []frame{{"", "", "\xef\xbb", true}}},
		{"long line", "data: " + long + "\n\ndata: 2\n\n", []frame{{"", long, "data: " + long + "\n\n", false}, {"", "2", "data: 2\n\n", false}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, body := range []io.Reader{strings.NewReader(c.body), iotest.OneByteReader(strings.NewReader(c.body)), iotest.DataErrReader(strings.NewReader(c.body))} {
				got, err := all(body)
				if err != io.EOF || !slices.Equal(got, c.want) {
					t.Errorf("got %v, %v\nwant %v", got, err, c.want)
				}
			}
		})
	}
}

// A caller flushes its client from within Read: what has come must have been given out by then.
func TestNextGivesOutBeforeItReads(t *testing.T) {
	given := 0
	reads := 0
	r := NewReader(readFunc(func(p []byte) (int, error) {
		if given != 3*reads {
			t.Errorf("read %d comes after %d frames, want %d", reads+1, given, 3*reads)
		}
		if reads++; reads > 4 {
			return 0, io.EOF
		}
		return copy(p, "data: 1\n\ndata: 2\n\ndata: 3\n\n"), nil
	}))
	for {
		if _, err := r.Next(); err != nil {
			break
		}
		given++
	}
	if given != 12 {
		t.Errorf("%d frames, want 12", given)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestNextErrors(t *testing.T) {
	reset := errors.New("connection reset")
	got, err := all(io.MultiReader(strings.NewReader("data: 1\n\ndata: half"), iotest.ErrReader(reset)))
	if len(got) != 1 || !errors.Is(err, reset) {
		t.Errorf("a broken body: %v, %v; want its whole frame, then its error", got, err)
	}
	endless := readFunc(func(p []byte) (int, error) { clear(p); return len(p), nil })
	if got, err := all(endless); len(got) != 0 || !errors.Is(err, ErrTooLong) {
		t.Errorf("an endless frame: %d frames, %v; want ErrTooLong", len(got), err)
	}
	if _, err := all(readFunc(func([]byte) (int, error) { return 0, nil })); err != io.ErrNoProgress {
		t.Errorf("a body that gives nothing: %v, want io.ErrNoProgress", err)
	}
}

func TestNextAllocates(t *testing.T) {
	body := strings.NewReader(strings.Repeat("event: a\ndata: 1\ndata: 2\n\n", 20_000))
	r := NewReader(body)
	next := func() {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	next() // makes the buffers
	if n := testing.AllocsPerRun(10_000, next); n != 0 {
		t.Errorf("%v allocations for a frame, want 0", n)
	}
}

// Wherever the network splits a body, the frames are the same, and together they are the body.
func FuzzNext(f *testing.F) {
	f.Add([]byte("event: a\r\ndata: 1\r\n\r\n: c\n\ndata: 2\ndata: 3\n\ndata: cut"), uint16(3), uint16(9))
	f.Add([]byte("\xef\xbb\xbfdata: 1\n\n\n\r\n"), uint16(1), uint16(2))
	f.Fuzz(func(t *testing.T, body []byte, a, b uint16) {
		want, err := all(bytes.NewReader(body))
		if err != io.EOF {
			t.Fatal(err)
		}
		i, j := min(int(a), len(body)), min(int(b), len(body))
		i, j = min(i, j), max(i, j)
		got, err := all(io.MultiReader(bytes.NewReader(body[:i]), bytes.NewReader(body[i:j]), bytes.NewReader(body[j:])))
		if err != io.EOF || !slices.Equal(got, want) {
			t.Fatalf("split at %d and %d: %v, %v\nwant %v", i, j, got, err, want)
		}
		if got, err := all(iotest.OneByteReader(bytes.NewReader(body))); err != io.EOF || !slices.Equal(got, want) {
			t.Fatalf("one byte at a time: %v, %v\nwant %v", got, err, want)
		}
		var raw strings.Builder
		for i, f := range want {
			raw.WriteString(f.raw)
			if f.cut != (i == len(want)-1 && !strings.HasSuffix(f.raw, "\n\n") && !strings.HasSuffix(f.raw, "\n\r\n") && f.raw != "\n" && f.raw != "\r\n") {
				t.Fatalf("frame %d of %d, %q: cut is %v", i, len(want), f.raw, f.cut)
			}
		}
		if raw.String() != strings.TrimPrefix(string(body), "\xef\xbb\xbf") {
			t.Fatalf("the frames together are not the body: %q", raw.String())
		}
	})
}

func BenchmarkNext(b *testing.B) {
	const frames = 1000
	body := []byte(strings.Repeat("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello there\"}}\n\n", frames))
	b.SetBytes(int64(len(body) / frames))
	b.ReportAllocs()
	src := bytes.NewReader(body)
	r := NewReader(readFunc(func(p []byte) (int, error) {
		if src.Len() == 0 {
			src.Reset(body)
		}
		return src.Read(p)
	}))
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

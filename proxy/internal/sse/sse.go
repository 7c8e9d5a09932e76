// Package sse reads server-sent events: it cuts a provider's reply into frames.
//
//	r := sse.NewReader(body)
//	for {
//		f, err := r.Next()
//		if err != nil { … } // io.EOF: the body is at its end
//		use(f.Event, f.Data)
//	}
//
// A frame is a view into the reader's buffer, valid until Next is called again; no frame costs an allocation. All frames
// that are in the buffer are given out before the body is read again, so a caller may do in the body's Read what should
// be done before waiting, such as to flush what it has written.
//
// Lines end with LF or CRLF, as every provider writes them; a lone CR is a part of its line. A frame ends with an empty
// line, or with the body: Frame.Cut tells. Comments and unknown fields are skipped; a frame that has neither an event nor
// data is a frame too, since a passthrough copies it.
package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxFrame is the longest frame that is read, in bytes.
const MaxFrame = 32 << 20

const firstSize = 32 << 10

// ErrTooLong is returned for a frame longer than MaxFrame.
var ErrTooLong = errors.New("reading server-sent events: a frame is longer than 32 MiB")

// Frame is one event of a stream.
type Frame struct {
	Event []byte // the event's name; empty where it has none
	Data  []byte // the data lines, joined by LF
	Raw   []byte // the frame as it came, its end included
	Cut   bool   // the body ended before the frame's empty line
}

// A Reader cuts a body into frames. It is for one goroutine.
type Reader struct {
	src        io.Reader
	buf        []byte
	start, end int    // of what is in buf and was not given out
	seen       int    // up to here no line is the end of the frame at start
	line       int    // start of the line at seen
	begun      bool   // bytes were read: a byte order mark is dropped only before
	err        error  // of src
	joined     []byte // data of several lines
}

// NewReader makes a Reader of body.
func NewReader(body io.Reader) *Reader { return &Reader{src: body} }

// Next gives the next frame. At the end of the body the error is io.EOF; an error of the body itself is given after all
// whole frames before it, and what it cut off is dropped.
func (r *Reader) Next() (Frame, error) {
	for {
		if n := r.scan(); n > 0 {
			return r.frame(n, false), nil
		}
		switch {
		case r.err == io.EOF && r.start < r.end:
			return r.frame(r.end, true), nil
		case r.err != nil:
			return Frame{}, r.err
		}
		r.err = r.fill()
	}
}

// Run gives out at once the whole frames at the front of the buffer that begin with prefix, which must be a whole line, as
// they came; nil where there is none. Nothing is read for it, and only lines that end with LF count. A caller that copies
// frames which it need not look into saves taking them one by one.
func (r *Reader) Run(prefix []byte) []byte {
	b, n := r.buf[r.start:r.end], 0
	for bytes.HasPrefix(b[n:], prefix) {
		i := bytes.Index(b[n:], blank)
		if i < 0 || bytes.IndexByte(b[n:n+i], '\r') >= 0 { // a CRLF may be an empty line before this one
			break
		}
		n += i + len(blank)
	}
	if n == 0 {
		return nil
	}
	r.start += n
	r.seen, r.line = r.start, r.start
	return b[:n:n]
}

var blank = []byte("\n\n")

// scan looks for the empty line that ends the frame at start and returns the place behind it; 0: it is not there yet.
func (r *Reader) scan() int {
	for {
		i := bytes.IndexByte(r.buf[r.seen:r.end], '\n')
		if i < 0 {
			r.seen = r.end
			return 0
		}
		at := r.seen + i
		empty := at == r.line || (at == r.line+1 && r.buf[r.line] == '\r')
		r.seen, r.line = at+1, at+1
		if empty {
			return r.seen
		}
	}
}

// frame gives out what is between start and to.
func (r *Reader) frame(to int, cut bool) Frame {
	f := Frame{Raw: r.buf[r.start:to:to], Cut: cut}
	r.start, r.seen, r.line = to, to, to
	parts := 0
	for rest := f.Raw; len(rest) > 0; {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		switch name, value := field(line); string(name) {
		case "event":
			f.Event = value
		case "data":
			f.Data = r.join(f.Data, value, parts)
			parts++
		}
	}
	return f
}

func field(line []byte) (name, value []byte) {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return line, nil
	}
	name, value = line[:i], line[i+1:]
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	return name, value
}

// join adds one more data line: the first stays where it is, further ones are copied together.
func (r *Reader) join(data, value []byte, parts int) []byte {
	switch parts {
	case 0:
		return value
	case 1:
		r.joined = append(r.joined[:0], data...)
	}
	r.joined = append(append(r.joined, '\n'), value...)
	return r.joined
}

// fill reads once from the body, behind what is in the buffer.
func (r *Reader) fill() error {
	if err := r.room(); err != nil {
		return err
	}
	for range 100 { // as io does: a Reader that gives neither bytes nor an error is broken
		n, err := r.src.Read(r.buf[r.end:])
		if n < 0 || n > len(r.buf)-r.end {
			return fmt.Errorf("reading server-sent events: the body's Read returned %d", n)
		}
		r.end += n
		r.mark(err)
		if n > 0 || err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// room makes place for more bytes: it moves what is left to the front, and doubles a buffer that is full of one frame.
func (r *Reader) room() error {
	if r.start > 0 {
		copy(r.buf, r.buf[r.start:r.end])
		r.end, r.seen, r.line, r.start = r.end-r.start, r.seen-r.start, r.line-r.start, 0
	}
	if r.end < len(r.buf) {
		return nil
	}
	if r.end >= MaxFrame {
		return ErrTooLong
	}
	grown := make([]byte, min(max(2*len(r.buf), firstSize), MaxFrame))
	copy(grown, r.buf)
	r.buf = grown
	return nil
}

var bom = []byte("\xef\xbb\xbf")

// mark drops a byte order mark from the front of the body.
func (r *Reader) mark(err error) {
	if r.begun || (r.end < len(bom) && err == nil && bytes.HasPrefix(bom, r.buf[:r.end])) {
		return
	}
	r.begun = true
	if bytes.HasPrefix(r.buf[:r.end], bom) {
		r.start, r.seen, r.line = len(bom), len(bom), len(bom)
	}
}

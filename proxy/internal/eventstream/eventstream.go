// Package eventstream reads AWS event-stream frames: the binary form in which Bedrock streams.
//
//	r := eventstream.NewReader(body)
//	f, err := r.Next() // io.EOF: the body is at its end
//
// A frame is a view into the reader's buffer, valid until Next is called again, and costs no allocation. Its form is that of
// application/vnd.amazon.eventstream: a prelude with the lengths and its own checksum, headers, a payload, a checksum of all.
// Both checksums are verified: a frame that does not fit is ErrDamaged, one that the body cuts off io.ErrUnexpectedEOF.
package eventstream

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// MaxFrame is the longest frame that is read, in bytes. AWS's own limit is 16 MiB of payload.
const MaxFrame = 24 << 20

// ErrDamaged is a frame whose lengths or checksums do not fit.
var ErrDamaged = errors.New("reading an event stream: a damaged frame")

// Frame is one message. Headers are those whose value is a string.
type Frame struct {
	Payload []byte
	headers []byte
}

// A Reader cuts a body into frames. It is for one goroutine.
type Reader struct {
	src *bufio.Reader
	buf []byte
}

// NewReader makes a Reader of body.
func NewReader(body io.Reader) *Reader { return &Reader{src: bufio.NewReaderSize(body, 32<<10)} }

const (
	prelude  = 12 // total length, headers' length, checksum of both
	checksum = 4
)

// Next gives the next frame. An error of the body is passed on as it is.
func (r *Reader) Next() (Frame, error) {
	var head [prelude]byte
	if _, err := io.ReadFull(r.src, head[:]); err != nil {
		return Frame{}, err // io.EOF only where no byte came
	}
	total, headers := binary.BigEndian.Uint32(head[:]), binary.BigEndian.Uint32(head[4:])
	switch {
	case crc32.ChecksumIEEE(head[:8]) != binary.BigEndian.Uint32(head[8:]):
		return Frame{}, fmt.Errorf("%w: the checksum of its lengths does not fit", ErrDamaged)
	case total < prelude+checksum || total > MaxFrame || headers > total-prelude-checksum:
		return Frame{}, fmt.Errorf("%w: a length of %d bytes, %d of them headers", ErrDamaged, total, headers)
	}
	if int(total) > cap(r.buf) {
		r.buf = make([]byte, max(int(total), 4096))
	}
	r.buf = r.buf[:total]
	copy(r.buf, head[:])
	if _, err := io.ReadFull(r.src, r.buf[prelude:]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	end := total - checksum
	if crc32.ChecksumIEEE(r.buf[:end]) != binary.BigEndian.Uint32(r.buf[end:]) {
		return Frame{}, fmt.Errorf("%w: its checksum does not fit", ErrDamaged)
	}
	return Frame{Payload: r.buf[prelude+headers : end], headers: r.buf[prelude : prelude+headers]}, nil
}

// sizes are the lengths of the values of each type, in bytes; the others have a length of two bytes before them.
var sizes = [...]int{0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 6: -1, 7: -1, 8: 8, 9: 16}

const text = 7

// Header is the value of a header, where that is a string; nil where there is none.
func (f Frame) Header(name string) []byte {
	for h := f.headers; len(h) > 0; {
		n := int(h[0])
		if len(h) < 1+n+1 || int(h[1+n]) >= len(sizes) {
			return nil // nothing behind it can be told apart
		}
		key, kind, rest := h[1:1+n], h[1+n], h[2+n:]
		size := sizes[kind]
		if size < 0 {
			if len(rest) < 2 {
				return nil
			}
			size, rest = int(binary.BigEndian.Uint16(rest)), rest[2:]
		}
		if len(rest) < size {
			return nil
		}
		if kind == text && string(key) == name {
			return rest[:size]
		}
		h = rest[size:]
	}
	return nil
}

// Package redact is an io.Writer that hides secrets.
//
//	set := redact.NewSet(keys)
//	log := set.Writer(os.Stderr) // as many as there are streams
//	…
//	err := log.Close()
//
// Hidden are the secrets themselves, as they are and as they look in JSON, in a URL and in base64, and whatever has the shape
// of a known kind of key. Each place, however long, becomes "***"; places that touch become one.
//
// What it promises:
//   - What comes out does not depend on how the text is cut into writes, up to Flush or Close.
//   - Only what may still become a secret is held back. No secret and no key holds a line break, so a line that has ended is out.
//   - A secret that is cut off by Flush or Close is hidden too, where at least half of it is there.
//
// A secret has at least MinLength bytes. Shorter ones are not hidden: "k" or "ollama" is in every text. A secret of several lines
// is hidden line by line. Hide values before they are encoded: in a report, a secret made of digits would match a number.
package redact

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// MinLength is that of the shortest secret, in bytes.
const MinLength = 8

const mask = "***"

// Set is what is to be hidden. It may be shared by any number of goroutines and Writers.
type Set struct {
	mu      sync.Mutex
	needles []needle
	matcher atomic.Pointer[matcher]
}

// NewSet makes a Set of the secrets, without those that Add would refuse, and of the known kinds of keys.
func NewSet(secrets []string) *Set {
	s := &Set{needles: keyShapes()}
	for _, secret := range secrets {
		s.needles = append(s.needles, needlesOf(secret)...)
	}
	s.matcher.Store(newMatcher(s.needles))
	return s
}

// Add hides one more secret, also from the Writers that are in use. It is false where nothing of it is long enough.
func (s *Set) Add(secret string) bool {
	more := needlesOf(secret)
	if len(more) == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.needles = append(s.needles, more...)
	s.matcher.Store(newMatcher(s.needles))
	return true
}

// String hides what is secret in a whole text.
func (s *Set) String(text string) string {
	m := s.matcher.Load()
	if !suspicious(m, text) {
		return text
	}
	sc := scanner{}
	return string(sc.feed(m, []byte(text), true))
}

// Bytes is String for bytes. It may return text itself, and does not change it.
func (s *Set) Bytes(text []byte) []byte {
	m := s.matcher.Load()
	if !suspicious(m, text) {
		return text
	}
	sc := scanner{}
	return sc.feed(m, text, true)
}

// Writer makes a writer to w that hides what is in the set.
func (s *Set) Writer(w io.Writer) *Writer { return &Writer{set: s, w: w} }

// New makes a Writer with a set of its own.
func New(w io.Writer, secrets []string) *Writer { return NewSet(secrets).Writer(w) }

// ErrClosed is returned for a Write after Close.
var ErrClosed = errors.New("writing redacted output: it is closed")

// Writer hides secrets in a stream. It may be used by several goroutines; each Write is then a piece of one text.
type Writer struct {
	set *Set
	w   io.Writer

	mu  sync.Mutex
	sc  scanner
	err error // of the writer below: nothing follows a gap
}

// pieceSize bounds what is kept in memory of one large Write.
const pieceSize = 64 << 10

// Write takes all of p, or returns the error of the writer below, and then always.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := p; len(rest) > 0 && w.err == nil; {
		n := min(len(rest), pieceSize)
		w.pass(rest[:n], false)
		rest = rest[n:]
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Flush ends the text: what is held back is written, and what comes later is another text.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.pass(nil, true)
	}
	return w.err
}

// Close flushes. It does not close the writer below.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(w.err, ErrClosed) {
		return nil
	}
	if w.err != nil {
		return w.err
	}
	w.pass(nil, true)
	err := w.err
	w.err = errors.Join(err, ErrClosed)
	return err
}

func (w *Writer) pass(p []byte, last bool) {
	out := w.sc.feed(w.set.matcher.Load(), p, last)
	if last {
		w.sc = scanner{}
	}
	if len(out) == 0 {
		return
	}
	n, err := w.w.Write(out)
	if err == nil && n < len(out) {
		err = io.ErrShortWrite
	}
	w.err = err
}

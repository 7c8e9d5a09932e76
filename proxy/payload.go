package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// payload is the body of a request. Its memory serves another request when the last one who reads it has let it go: the
// handler, and every call upstream that copies from it, which may end after the handler. Making and clearing it anew took
// a tenth of a request's time.
type payload struct {
	bytes   []byte
	readers atomic.Int32
	pool    *sync.Pool
}

// largestKept is the size up to which a body's memory is kept.
const largestKept = 1 << 20

func (p *payload) hold() { p.readers.Add(1) }

func (p *payload) release() {
	if p.readers.Add(-1) == 0 && cap(p.bytes) <= largestKept {
		p.pool.Put(p)
	}
}

// payload reads the body of a request, whole. The caller holds it.
func (s *Server) payload(w http.ResponseWriter, r *http.Request) (*payload, error) {
	p, _ := s.payloads.Get().(*payload)
	if p == nil {
		p = &payload{pool: &s.payloads}
	}
	p.readers.Store(1)
	src := http.MaxBytesReader(w, r.Body, MaxBody)
	var err error
	if n := r.ContentLength; n >= 0 && n <= MaxBody {
		if int64(cap(p.bytes)) < n {
			p.bytes = make([]byte, n)
		}
		p.bytes = p.bytes[:n]
		_, err = io.ReadFull(src, p.bytes)
	} else {
		p.bytes, err = io.ReadAll(src)
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) || r.ContentLength > MaxBody {
		return nil, anthropic.ForStatus(http.StatusRequestEntityTooLarge, fmt.Sprintf("the request is larger than %d MiB", MaxBody>>20))
	}
	if err != nil {
		return nil, anthropic.Invalid("reading the request: %v", err)
	}
	return p, nil
}

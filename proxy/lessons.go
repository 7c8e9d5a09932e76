package proxy

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/route"
)

// lessons are what providers refused of their models' requests, as long as the server lives.
type lessons struct {
	mu sync.RWMutex
	of map[string][]dialect.Lesson // a list is never changed: readers keep it
}

// mostLessons is how many one request may take at one target: each costs a call that is refused.
const mostLessons = 3

func lessonKey(t route.Target) string { return strings.ToLower(t.Provider) + "," + t.Model }

func (l *lessons) about(t route.Target) []dialect.Lesson {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.of[lessonKey(t)]
}

// add remembers a lesson; false: it was known, and the same call would be refused again.
func (l *lessons) add(t route.Target, n dialect.Lesson) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	have := l.of[lessonKey(t)]
	for _, old := range have {
		if n.Drop != "" && old.Drop == n.Drop || n.MaxOutput > 0 && old.MaxOutput > 0 && old.MaxOutput <= n.MaxOutput {
			return false
		}
	}
	if l.of == nil {
		l.of = map[string][]dialect.Lesson{}
	}
	l.of[lessonKey(t)] = append(slices.Clip(have), n)
	return true
}

// learn takes the lesson in a target's refusal, and tells whether the call is worth being sent again. A native upstream is
// sent the client's own parameters, so that there only the length of the answer can be changed.
func (s *Server) learn(t route.Target, x *exchange, err error) bool {
	var e *anthropic.Error
	if !errors.As(err, &e) || x.out.Started() {
		return false
	}
	lesson, ok := dialect.Learnt(e)
	if !ok || lesson.Drop != "" && s.Native(t.Provider, t.Model) || lesson.MaxOutput > 0 && x.req.MaxTokens > 0 && x.req.MaxTokens <= lesson.MaxOutput {
		return false
	}
	if !s.lessons.add(t, lesson) {
		return false
	}
	s.o.Log.Info("a request was refused and is sent again without what was refused", "provider", t.Provider, "model", t.Model,
		"longest_answer", lesson.MaxOutput, "parameter", lesson.Drop, "message", e.Message)
	return true
}

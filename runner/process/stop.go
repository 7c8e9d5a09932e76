package process

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Why a child was stopped, besides the cause of its context.
var (
	ErrOverstayed = errors.New("it gave its result and did not exit")
	ErrHurried    = errors.New("killed at once")
)

const (
	killWait   = 2 * time.Second // from SIGKILL until a process counts as stuck in the kernel
	sweepEvery = 10 * time.Millisecond
	reapEvery  = 10 * time.Second
)

// stage is how far the stopping of a child has gone.
type stage int

const (
	running     stage = iota
	interrupted       // SIGINT was sent
	terminated        // SIGTERM was sent, to all of the tree
	killed            // SIGKILL was sent, to all of the tree
	lost              // and it lives on
)

// supervisor brings one child to its end.
type supervisor struct {
	c      Command
	tree   *tree
	exited <-chan struct{}

	stage     stage
	stopped   error
	terminate time.Duration
	clock     *time.Timer // when the stage is over
	errs      errorSet
}

// run returns when the child has exited, or is lost.
func (s *supervisor) run(ctx context.Context) {
	s.terminate = s.c.Terminate
	s.clock = time.NewTimer(time.Hour)
	s.clock.Stop()
	defer s.clock.Stop()
	// A long run with many short-lived daemons would gather zombies up to the limit of processes of a small container.
	reap := time.NewTicker(reapEvery)
	defer reap.Stop()

	stop, done, hurry := ctx.Done(), s.c.Done, s.c.Hurry
	for s.stage != lost {
		select {
		case <-s.exited:
			return
		default: // a child that has exited was not stopped, whatever else happens in this moment
		}
		select {
		case <-s.exited:
			return
		case <-stop:
			stop = nil
			s.begin(context.Cause(ctx))
		case <-done:
			done = nil
			if s.stage == running {
				s.clock.Reset(s.c.DoneGrace)
			}
		case <-hurry:
			hurry = nil
			s.because(ErrHurried)
			s.kill()
		case <-s.clock.C:
			s.next()
		case <-reap.C:
			s.tree.reap()
		}
	}
}

// begin starts the schedule, unless it has been started.
func (s *supervisor) begin(cause error) {
	if s.stage != running {
		return
	}
	s.because(cause)
	interrupt, terminate := s.c.Interrupt, s.c.Terminate
	if s.c.Schedule != nil {
		interrupt, terminate = s.c.Schedule(cause)
	}
	s.stage, s.terminate = interrupted, terminate
	if !s.errs.add(s.tree.interrupt()) {
		interrupt = 0 // it cannot be asked (Windows without a console): do not wait for an answer
	}
	s.clock.Reset(interrupt)
}

func (s *supervisor) because(cause error) {
	if s.stopped == nil {
		s.stopped = cause
	}
}

// next goes on when the time of a stage is over.
func (s *supervisor) next() {
	switch s.stage {
	case running:
		s.begin(ErrOverstayed)
	case interrupted:
		s.stage = terminated
		s.errs.add(s.tree.terminate())
		s.clock.Reset(s.terminate)
	case terminated:
		s.kill()
	case killed:
		s.stage = lost
	}
}

func (s *supervisor) kill() {
	if s.stage < killed {
		s.stage = killed
		s.errs.add(s.tree.kill())
		s.clock.Reset(killWait)
	}
}

// sweep ends what has outlived the child: SIGTERM where that was not sent yet, and SIGKILL again and again until nothing is
// left. SIGTERM comes first because a git that is killed leaves its index.lock behind, and the next attempt fails on it.
func (s *supervisor) sweep(e *Exit) {
	var asked, seen []int
	now := time.Now()
	patience := now.Add(s.terminate)
	if s.stage >= terminated {
		patience = now
	}
	end := max(patience.Sub(now), 0) + killWait
	hurry, empty := s.c.Hurry, false
	for {
		left, err := s.tree.left()
		if !s.errs.add(err) && len(left) == 0 {
			s.errs.add(s.tree.kill()) // blind, it still reaches the group
		}
		for _, pid := range left {
			if !slices.Contains(seen, pid) {
				seen = append(seen, pid)
			}
		}
		e.Lingering = len(seen)
		if len(left) == 0 && empty {
			return
		}
		// A daemon whose parent dies while the list is read is missing in it once.
		if empty = len(left) == 0; empty {
			continue
		}
		if time.Since(now) >= end {
			e.Lingering -= len(left)
			e.Unkilled += len(left)
			return
		}
		if time.Now().Before(patience) {
			for _, pid := range left {
				if !slices.Contains(asked, pid) {
					asked = append(asked, pid)
					s.errs.add(s.tree.ask(pid))
				}
			}
		} else {
			s.errs.add(s.tree.kill())
		}
		select {
		case <-time.After(sweepEvery):
		case <-hurry:
			hurry, patience, end = nil, time.Now(), time.Since(now)+killWait
		}
	}
}

// errorSet keeps one error of each text: a process that may not be signalled says so every 10 ms.
type errorSet []error

// add tells whether err is nil.
func (s *errorSet) add(err error) bool {
	if err != nil && !slices.ContainsFunc(*s, func(e error) bool { return e.Error() == err.Error() }) {
		*s = append(*s, err)
	}
	return err == nil
}

func (s errorSet) join() error { return errors.Join(s...) }

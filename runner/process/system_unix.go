//go:build unix

package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// send sends a signal to a process, or to a group where pid is negative. One that is gone needs no signal.
func send(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("sending %s to process %d: %w", unix.SignalName(sig), max(pid, -pid), err)
	}
	return nil
}

// status counts a signal as shells do.
func status(s *os.ProcessState) (code int, name string) {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal()), unix.SignalName(w.Signal())
	}
	return s.ExitCode(), ""
}

func wrongFormat(err error) bool {
	const darwinBadArch = syscall.Errno(86) // EBADARCH, "bad CPU type in executable"
	return errors.Is(err, syscall.ENOEXEC) || runtime.GOOS == "darwin" && errors.Is(err, darwinBadArch)
}

// closedByReader tells whether the child did not read on.
func closedByReader(err error) bool { return errors.Is(err, syscall.EPIPE) }

package process

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func status(s *os.ProcessState) (code int, name string) { return s.ExitCode(), "" }

func wrongFormat(err error) bool {
	return errors.Is(err, windows.ERROR_BAD_EXE_FORMAT) || errors.Is(err, windows.ERROR_EXE_MACHINE_TYPE_MISMATCH)
}

// closedByReader tells whether the child did not read on.
func closedByReader(err error) bool {
	return errors.Is(err, windows.ERROR_BROKEN_PIPE) || errors.Is(err, windows.ERROR_NO_DATA)
}

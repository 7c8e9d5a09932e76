package ci

import (
	"errors"
	"os"
)

// span is what one call wrote to a file: [start, end).
type span struct{ start, end int64 }

// appendTo adds text to a file that others append to as well. text gets the size of what stands before it, always whole
// lines: an open last line is ended first. Where the file still ends with old, old is replaced. What cannot be written
// whole is taken back, for half a value would spoil all others in the file.
func appendTo(path string, old span, text func(size int64) string) (written span, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return old, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return old, err
	}
	size := info.Size()
	if old.end > old.start && old.end == size {
		size = old.start
		if err := f.Truncate(size); err != nil {
			return old, err
		}
	}
	prefix, err := openLine(f, size)
	if err != nil {
		return old, err
	}
	body := text(size + int64(len(prefix)))
	if body == "" {
		return span{size, size}, nil
	}
	n, err := f.WriteString(prefix + body)
	if err != nil {
		return span{size, size}, errors.Join(err, f.Truncate(size))
	}
	return span{size, size + int64(n)}, nil
}

// openLine is the newline that is missing at the file's end, or nothing.
func openLine(f *os.File, size int64) (string, error) {
	if size == 0 {
		return "", nil
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, size-1); err != nil {
		return "", err
	}
	if last[0] == '\n' {
		return "", nil
	}
	return "\n", nil
}

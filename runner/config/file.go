package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxFile is the largest file that is read, in bytes. Real ones are a few KB.
const maxFile = 1 << 20

// open finds and parses the file. Where there is none the document is empty.
func (l *loader) open() (any, error) {
	path := l.find()
	if path == "" {
		return map[string]any{}, nil
	}
	l.config.Path = path
	data, err := read(path)
	if err != nil {
		return nil, &Error{File: path, Faults: []Fault{{Message: err.Error()}}}
	}
	doc, faults := parse(data, strings.ToLower(filepath.Ext(path)))
	if len(faults) > 0 {
		return nil, &Error{File: path, Faults: faults}
	}
	if _, ok := doc.(map[string]any); !ok {
		return nil, &Error{File: path, Faults: []Fault{{Message: "want an object with Providers and Router, have " + kind(doc)}}}
	}
	return doc, nil
}

// find is the path of the file to read: the one that was asked for, be it there or not, else the first that is there.
func (l *loader) find() string {
	for _, asked := range []string{l.Path, l.Getenv("CCRUN_CONFIG")} {
		if asked != "" {
			return absolute(asked)
		}
	}
	for _, path := range l.places() {
		if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return path
		}
	}
	return ""
}

// places are where a file is looked for when none is asked for.
func (l *loader) places() []string {
	var all []string
	base := l.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(base) { // a relative one is to be ignored, says the XDG base directory specification
		base = ""
		if l.Home != "" {
			base = filepath.Join(l.Home, ".config")
		}
	}
	if base != "" {
		for _, ext := range []string{"json", "json5", "yaml", "yml"} {
			all = append(all, filepath.Join(base, "ccrun", "config."+ext))
		}
	}
	if l.Home != "" {
		all = append(all, filepath.Join(l.Home, ".claude-code-router", "config.json"))
	}
	return all
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path // the working directory is gone; opening says so
}

// readWait is how long a pipe, such as a shell's <(…), may take: one that nobody writes to must not hang a job.
const readWait = 30 * time.Second

func read(path string) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return readNow(path)
	}
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() { // left behind when it waits for ever: this process ends soon after
		data, err := readNow(path)
		done <- result{data, err}
	}()
	select {
	case got := <-done:
		return got.data, got.err
	case <-time.After(readWait):
		return nil, fmt.Errorf("cannot be read: it did not end within %s", readWait)
	}
}

func readNow(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cannot(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, cannot(err)
	}
	if info.IsDir() {
		return nil, errors.New("it is a folder; name the file in it")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, cannot(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("it is larger than %d KiB", maxFile>>10)
	}
	return data, nil
}

// cannot drops the path, which stands before it already.
func cannot(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// resolve makes a path of the file absolute: a relative one is meant from the file's own folder, "~/" from the home folder.
func (l *loader) resolve(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && l.Home != "" {
		return filepath.Join(l.Home, rest)
	}
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(l.config.Path), path)
}

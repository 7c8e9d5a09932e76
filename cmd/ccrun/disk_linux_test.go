package main

import (
	"os"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// disk DIR SIZE: a small disk of its own at the folder.
func disk(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]))
	ts.Defer(func() { ts.Check(syscall.Unmount(dir, syscall.MNT_DETACH)) })
}

// canMount tells whether this user can mount a small disk.
func canMount() bool {
	dir, err := os.MkdirTemp("", "ccrun-disk-")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16k") == nil && syscall.Unmount(dir, 0) == nil
}

// limited BLOCKS CODE PROGRAM ARGS: exits, where no file can get larger than so many blocks of 512 bytes.
func limited(ts *testscript.TestScript, neg bool, args []string) {
	quoted := make([]string, len(args)-2)
	for i, a := range args[2:] {
		quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	exits(ts, neg, []string{args[1], "sh", "-c", "ulimit -f " + args[0] + "; exec " + strings.Join(quoted, " ")})
}

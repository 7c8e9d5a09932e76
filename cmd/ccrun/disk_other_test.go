//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

func canMount() bool { return false }

func disk(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Fatalf("a small disk is made on Linux only")
}
func limited(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Fatalf("files are limited on Linux only")
}

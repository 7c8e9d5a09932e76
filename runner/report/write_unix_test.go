//go:build unix

package report

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestWriteToAFullDisk runs this test again in a process that may write 4 KiB to a file and no more.
func TestWriteToAFullDisk(t *testing.T) {
	if dir := os.Getenv("REPORT_TEST_FULL_DISK"); dir != "" {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: 4096}); err != nil {
			t.Fatal(err)
		}
		failed := Write(dir, []File{{"report.json", bytes.Repeat([]byte("x"), 8192)}, {"summary.md", []byte("small")}})
		if len(failed) != 1 || !errors.Is(failed["report.json"], syscall.EFBIG) {
			t.Fatalf("errors %v", failed)
		}
		fmt.Println("written under the limit")
		return
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "report.json"), []byte("provisional"), 0o644); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestWriteToAFullDisk$")
	child.Env = append(os.Environ(), "REPORT_TEST_FULL_DISK="+dir)
	if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "written under the limit") {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "report.json")); err != nil || string(got) != "provisional" {
		t.Errorf("report.json: %q, %v; want the one before", got, err)
	}
	if got, want := names(t, dir), []string{"report.json", "summary.md"}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

//go:build unix

package ci

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk runs this test again in a process that may write 4 KiB to a file and no more. Half a value would spoil
// the outputs before it, so it must be taken back.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv("CI_TEST_FULL_DISK"); dir != "" {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: 4096}); err != nil {
			t.Fatal(err)
		}
		h, err := Detect(func(string) string { return dir + "/file" }, io.Discard, "github")
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Output("reason", "ok"); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{h.Output("result", strings.Repeat("x", 8192)), h.Summary(strings.Repeat("x\n", 4096))} {
			if !errors.Is(err, syscall.EFBIG) {
				t.Fatalf("error %v", err)
			}
		}
		if err := h.Output("turns", "3"); err != nil {
			t.Fatal(err)
		}
		fmt.Println("written under the limit")
		return
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
	child.Env = append(os.Environ(), "CI_TEST_FULL_DISK="+dir)
	if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "written under the limit") {
		t.Fatalf("%v\n%s", err, out)
	}
	got, err := parseFileCommands(read(t, dir+"/file"))
	if err != nil || len(got) != 2 || got["reason"] != "ok" || got["turns"] != "3" {
		t.Errorf("outputs %q, %v", got, err)
	}
}

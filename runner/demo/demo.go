// Package demo is the job that runs without a key or an account: a scratch repository with a failing test, and a cassette
// of the model that mends it.
package demo

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/ccrun/ccrun/proxy/cassette"
)

//go:embed repo
var repo embed.FS

//go:embed demo.jsonl
var tape []byte

// Prompt is the task.
const Prompt = "The test of this small program fails: run `sh test.sh` and see. Mend the program, not the test, and show that the test passes."

// Test is the command that fails before and passes after.
const Test = "sh test.sh"

// Tools are what the agent must be allowed beyond editing files.
const Tools = "Bash(" + Test + ")"

// Tape is the recorded model.
func Tape() (*cassette.Tape, error) { return cassette.Read(bytes.NewReader(tape)) }

// Lay puts the scratch repository into dir, with one commit.
func Lay(ctx context.Context, dir string, env []string) error {
	entries, err := fs.ReadDir(repo, "repo")
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := repo.ReadFile(path.Join("repo", e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), data, 0o644); err != nil {
			return fmt.Errorf("laying out the demo: %w", err)
		}
	}
	git := [...][]string{
		{"init", "--quiet"},
		{"add", "."},
		{"-c", "user.name=ccrun demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", "A bill"},
	}
	for _, args := range git {
		if out, err := run(ctx, dir, env, "git", args...); err != nil {
			return fmt.Errorf("laying out the demo: git %s: %w: %s; the demo needs git on the PATH", args[0], err, out)
		}
	}
	return nil
}

// Check runs the test; an error is that it does not pass, with what it printed.
func Check(ctx context.Context, dir string, env []string) error {
	name, args, _ := strings.Cut(Test, " ")
	if out, err := run(ctx, dir, env, name, args); err != nil {
		return fmt.Errorf("the demo's test does not pass: %w: %s", err, out)
	}
	return nil
}

func run(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env, c.WaitDelay = dir, env, time.Second
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// MaxPrompt is the longest prompt, in bytes: Claude Code takes no more.
const MaxPrompt = 10 << 20

// stdinWait is how long --prompt-file - waits for the end of standard input: a pipe that is left open must not hang a job.
const stdinWait = 30 * time.Second

// prompt reads the task.
func (j Job) prompt(ctx context.Context) (string, error) {
	switch {
	case j.Prompt != "" && j.PromptFile != "":
		return "", errors.New("--prompt and --prompt-file exclude each other: give one")
	case j.PromptFile == "-":
		return readStdin(ctx, j.System.Stdin, stdinWait)
	case j.PromptFile != "":
		return within(ctx, stdinWait, j.PromptFile, func() (string, error) {
			f, err := os.Open(j.PromptFile) // opening a pipe that nobody writes to waits too
			if err != nil {
				return "", fmt.Errorf("reading the prompt: %w", err)
			}
			defer f.Close()
			return readPrompt(f, j.PromptFile)
		})
	case strings.TrimSpace(j.Prompt) == "":
		return "", errors.New("there is no prompt: give one with -p TEXT or --prompt-file FILE")
	case len(j.Prompt) > MaxPrompt:
		return "", tooLong("--prompt")
	}
	return j.Prompt, nil
}

func readPrompt(r io.Reader, name string) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxPrompt+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the prompt from %s: %w", name, err)
	case len(b) > MaxPrompt:
		return "", tooLong(name)
	case strings.TrimSpace(string(b)) == "":
		return "", fmt.Errorf("reading the prompt from %s: it is empty", name)
	}
	return string(b), nil
}

func tooLong(name string) error {
	return fmt.Errorf("the prompt of %s is longer than %d MB: put the text into a file and name that in the prompt", name, MaxPrompt>>20)
}

// readStdin reads to the end, for so long at most.
func readStdin(ctx context.Context, r io.Reader, wait time.Duration) (string, error) {
	return within(ctx, wait, "standard input", func() (string, error) { return readPrompt(r, "standard input") })
}

// within gives up waiting after so long. A read that never ends is left behind: this process ends soon after.
func within(ctx context.Context, wait time.Duration, name string, read func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case got := <-done:
		return got.text, got.err
	case <-ctx.Done():
		return "", fmt.Errorf("reading the prompt from %s: %w", name, context.Cause(ctx))
	case <-time.After(wait):
		return "", fmt.Errorf("reading the prompt from %s: it did not end within %s: close it, or use --prompt-file FILE", name, wait)
	}
}

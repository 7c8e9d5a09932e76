package runner

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// A pipe that is left open does not hold a job, and a signal does not wait for it.
func TestOpenPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := w.WriteString("half a prompt"); err != nil {
		t.Fatal(err)
	}
	_, err = readStdin(t.Context(), r, time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "did not end within 1ms") || !strings.Contains(err.Error(), "--prompt-file FILE") {
		t.Errorf("error %v", err)
	}

	signal := errSignal{os.Interrupt}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(signal)
	if _, err := readStdin(ctx, r, time.Hour); !errors.Is(err, signal) {
		t.Errorf("error %v", err)
	}
}

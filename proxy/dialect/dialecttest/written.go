package dialecttest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/anthropic/anthropictest"
)

// written sends a reply to a client, in the forms that it may ask for, and reads it as a client does.
func written(t *testing.T, f *Fixture, whole result) {
	native := slices.ContainsFunc(whole.events, func(e anthropic.Event) bool { return e.Kind == anthropic.Native })
	if f.Spec.Count {
		return // not a message
	}
	var stream, message []byte
	if !native || f.Request.Stream {
		stream = writeStream(t, whole)
	}
	if !native || !f.Request.Stream {
		message = collect(t, whole)
	}
	if stream == nil || message == nil {
		return
	}
	if err := anthropictest.Same(stream, message); err != nil {
		t.Error(err)
	}
}

func options() anthropic.Options {
	n := 0
	return anthropic.Options{Model: "claude-test", NewID: func(p string) string { n++; return fmt.Sprintf("%s%d", p, n) }}
}

func writeStream(t *testing.T, r result) []byte {
	var out bytes.Buffer
	w := anthropic.NewWriter(&out, options())
	for _, e := range r.events {
		if err := w.Write(e); err != nil {
			t.Fatalf("writing %s: %v", Line(e), err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := anthropictest.Check(out.Bytes()); err != nil {
		t.Errorf("%v\n%s", err, out.Bytes())
	}
	if got := UsageLine(w.Usage()); got != UsageLine(r.usage()) {
		t.Errorf("the writer's usage is %s, the reply's %s", got, UsageLine(r.usage()))
	}
	return out.Bytes()
}

// collect gives the JSON message, nil where the reply was cut by its limit in the middle of a tool's input: JSON cannot
// carry that.
func collect(t *testing.T, r result) []byte {
	reply, err := anthropic.Collect(func(yield func(anthropic.Event, error) bool) {
		for _, e := range r.events {
			if !yield(e, nil) {
				return
			}
		}
	}, options())
	if errors.Is(err, anthropic.ErrInput) && r.events[len(r.events)-1].Text == "max_tokens" {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := anthropictest.CheckMessage(reply.JSON); err != nil {
		t.Errorf("%v\n%s", err, reply.JSON)
	}
	return reply.JSON
}

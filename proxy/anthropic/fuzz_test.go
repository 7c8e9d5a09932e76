package anthropic_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/anthropic/anthropictest"
)

// script makes events of bytes: two for each event, what it is and to which call or with which text. reason is one that suits
// what became of the calls.
func script(b []byte) events {
	inputs := []string{"", " ", "{", "}", `{}`, `{"a":1}`, `{"a":"`, `x\n"}`, `[1]`, `"s"`, "7"}
	got := map[byte]string{}
	var list events
	reason := "end_turn"
	for ; len(b) > 1; b = b[2:] {
		what, arg := b[0]%12, b[1]
		n := arg % 4
		switch what {
		case 0:
			list = append(list, start(fmt.Sprint("m", n)))
		case 1, 2:
			list = append(list, text(strings.Repeat("é\u2028\xff<", int(n))))
		case 3:
			list = append(list, thinking(strings.Repeat("h", int(n))))
		case 4:
			list = append(list, signature(strings.Repeat("s", int(n))))
		case 5:
			list = append(list, anthropic.Event{Kind: anthropic.Redacted, Text: fmt.Sprint(n)})
		case 6, 7:
			list = append(list, call(int(n), []string{"a", "b", "", "earlier"}[arg/4%4], "Read"))
			reason = "tool_use"
			got[n] = ""
		case 8, 9:
			list = append(list, input(int(n), inputs[int(arg/4)%len(inputs)]))
		case 10:
			list = append(list, search([]string{"s", "a", ""}[arg%3], "q"))
		case 11:
			list = append(list, hit([]string{"s", "a", ""}[arg%3], fmt.Sprintf(`{"n":%d}`, n)))
		}
	}
	return append(list, stop(reason))
}

// Whatever the order of events, a Writer's stream obeys the strict grammar, and a client makes of it the message that a Collector
// makes; or both say that the events make no reply.
func FuzzWriter(f *testing.F) {
	f.Add([]byte{0, 1, 1, 1, 6, 0, 6, 5, 8, 9, 9, 20, 9, 13, 8, 21, 1, 2})
	f.Add([]byte{10, 0, 11, 0, 11, 2, 3, 1, 4, 1, 3, 1, 5, 0, 6, 8, 8, 24, 8, 28, 6, 8})
	f.Fuzz(func(t *testing.T, b []byte) {
		list := script(b)
		reply, collectErr := collect(list)
		if errors.Is(collectErr, anthropic.ErrInput) {
			list[len(list)-1].Text = "max_tokens" // which alone explains such an input
		}
		var out bytes.Buffer
		w := anthropic.NewWriter(&out, options())
		var err error
		for _, e := range list {
			if err = w.Write(e); err != nil {
				break
			}
		}
		switch {
		case err != nil:
			if collectErr == nil || !errors.As(err, new(*anthropic.Error)) {
				t.Fatalf("the Writer says %v, the Collector %v\n%v", err, collectErr, list)
			}
			return
		case collectErr != nil && !errors.Is(collectErr, anthropic.ErrInput):
			t.Fatalf("the Writer says nothing, the Collector %v\n%v", collectErr, list)
		}
		if err := errors.Join(w.Flush(), anthropictest.Check(out.Bytes())); err != nil {
			t.Fatalf("%v\n%s", err, out.Bytes())
		}
		if collectErr != nil {
			return
		}
		if err := errors.Join(anthropictest.CheckMessage(reply.JSON), anthropictest.Same(out.Bytes(), reply.JSON)); err != nil {
			t.Fatalf("%v\n%s", err, out.Bytes())
		}
	})
}

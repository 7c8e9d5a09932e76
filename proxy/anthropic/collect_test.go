package anthropic_test

import (
	"errors"
	"io"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/anthropic/anthropictest"
)

func TestCollect(t *testing.T) {
	reply, err := collect(events{start("served"), thinking("h"), signature("s"), text("a\u2028<"), call(0, "a", "Read"), call(1, "a", "Bash"), input(1, `{"b": 1.0}`), input(0, `{"a":1}`),
		{Kind: anthropic.Stop, Text: "tool_use", Usage: anthropic.Usage{Known: true, Input: 3, Output: 4}}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"msg_n1","type":"message","role":"assistant","model":"served","content":[{"type":"thinking","thinking":"h","signature":"s"},{"type":"text","text":"a` + "\u2028" + `<"},` +
		`{"type":"tool_use","id":"a","name":"Read","input":{"a":1}},{"type":"tool_use","id":"a_2","name":"Bash","input":{"b": 1.0}}],"stop_reason":"tool_use","stop_sequence":null,` +
		`"usage":{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":4}}`
	if string(reply.JSON) != want {
		t.Errorf("got  %s\nwant %s", reply.JSON, want)
	}
	if reply.Model != "served" || reply.Stop != "tool_use" || reply.Usage != (anthropic.Usage{Known: true, Input: 3, Output: 4}) {
		t.Errorf("%+v", reply)
	}
}

func TestCollectNative(t *testing.T) {
	const body = ` {"id":"x", "new":1}`
	raw := []byte(body)
	reply, err := anthropic.Collect(func(yield func(anthropic.Event, error) bool) {
		yield(anthropic.Event{Kind: anthropic.Native, Text: "message", Name: "served", Raw: raw, Usage: anthropic.Usage{Known: true, Input: 2}}, nil)
		clear(raw) // it was valid until now
		yield(anthropic.Event{Kind: anthropic.Stop, Text: "refusal", Raw: []byte{}}, nil)
	}, options())
	if err != nil || string(reply.JSON) != body || reply.Model != "served" || reply.Stop != "refusal" || reply.Usage.Input != 2 {
		t.Errorf("%+v, %v", reply, err)
	}
}

func TestCollectErrors(t *testing.T) {
	if _, err := collect(events{text("a")}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a reply without a Stop: %v, want io.ErrUnexpectedEOF", err)
	}
	for _, in := range []string{`{"a":`, `"a"`, `[1]`, `{}{}`, `null`} {
		_, err := collect(events{call(0, "a", "Read"), input(0, in), stop("tool_use")})
		if !errors.Is(err, anthropic.ErrInput) || !errors.As(err, new(*anthropic.Error)) {
			t.Errorf("input %s: %v, want ErrInput", in, err)
		}
	}
	own := errors.New("own")
	if _, err := anthropic.Collect(func(yield func(anthropic.Event, error) bool) { yield(anthropic.Event{}, own) }, options()); err != own {
		t.Errorf("the reply's own error: %v", err)
	}
}

func TestCollectorReset(t *testing.T) {
	c := anthropic.NewCollector(options())
	_, early := c.Reply()
	if err := errors.Join(c.Write(start("first")), c.Write(text("lost")), c.Write(call(0, "a", "Read"))); err != nil || c.Started() || early == nil {
		t.Fatalf("started %v, %v", c.Started(), err)
	}
	c.Reset()
	if err := errors.Join(c.Write(start("second")), c.Write(call(0, "a", "Read")), c.Write(stop("tool_use"))); err != nil || !c.Started() {
		t.Fatalf("started %v, %v", c.Started(), err)
	}
	if err := c.Write(text("late")); !errors.Is(err, anthropic.ErrStopped) {
		t.Errorf("an event behind Stop: %v", err)
	}
	reply, err := c.Reply()
	want, wantErr := collect(events{start("second"), call(0, "a", "Read"), stop("tool_use")})
	if err != nil || wantErr != nil || string(reply.JSON) != string(want.JSON) {
		t.Errorf("got %s\nwant %s (%v %v)", reply.JSON, want.JSON, err, wantErr)
	}
	if err := anthropictest.CheckMessage(reply.JSON); err != nil {
		t.Error(err)
	}
}

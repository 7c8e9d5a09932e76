package anthropic_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/anthropic/anthropictest"
)

func options() anthropic.Options {
	n := map[string]int{}
	return anthropic.Options{
		Model: "asked",
		NewID: func(prefix string) string { n[prefix]++; return fmt.Sprintf("%sn%d", prefix, n[prefix]) },
		Taken: func(id string) bool { return id == "earlier" },
	}
}

// outline is a stream in short: a line for each frame.
func outline(stream []byte) []string {
	var out []string
	for frame := range strings.SplitSeq(strings.TrimSuffix(string(stream), "\n\n"), "\n\n") {
		event, data, _ := strings.Cut(frame, "\ndata: ")
		v := gjson.Parse(data)
		line := strings.TrimPrefix(event, "event: ")
		switch line {
		case "message_start":
			line += " " + v.Get("message.model").Str + " " + v.Get("message.usage.input_tokens").Raw
		case "content_block_start":
			line = "+" + v.Get("index").Raw + " " + v.Get("content_block").Raw
		case "content_block_delta":
			line = " " + v.Get("index").Raw + " " + v.Get("delta|@values|@reverse|0").Str
		case "content_block_stop":
			line = "-" + v.Get("index").Raw
		case "message_delta":
			line += " " + v.Get("delta.stop_reason").Raw + " " + v.Get("delta.stop_sequence").Raw + " " + v.Get("usage.output_tokens").Raw
		case "error":
			line += " " + data
		}
		out = append(out, line)
	}
	return out
}

const (
	textBlock     = `{"type":"text","text":""}`
	thinkingBlock = `{"type":"thinking","thinking":"","signature":""}`
)

func callBlock(id, name string) string {
	return fmt.Sprintf(`{"type":"tool_use","id":%q,"name":%q,"input":{}}`, id, name)
}

// Short forms of the events.
func start(model string) anthropic.Event { return anthropic.Event{Kind: anthropic.Start, Text: model} }
func text(s string) anthropic.Event      { return anthropic.Event{Kind: anthropic.Text, Text: s} }
func thinking(s string) anthropic.Event  { return anthropic.Event{Kind: anthropic.Thinking, Text: s} }
func signature(s string) anthropic.Event { return anthropic.Event{Kind: anthropic.Signature, Text: s} }
func call(n int, id, name string) anthropic.Event {
	return anthropic.Event{Kind: anthropic.ToolUse, Call: n, ID: id, Name: name}
}
func input(n int, s string) anthropic.Event {
	return anthropic.Event{Kind: anthropic.ToolInput, Call: n, Text: s}
}
func stop(reason string) anthropic.Event { return anthropic.Event{Kind: anthropic.Stop, Text: reason} }
func search(id, query string) anthropic.Event {
	return anthropic.Event{Kind: anthropic.Search, ID: id, Text: query}
}
func hit(id, raw string) anthropic.Event {
	return anthropic.Event{Kind: anthropic.SearchResult, ID: id, Raw: []byte(raw)}
}
func native(kind string) anthropic.Event {
	e := anthropic.Event{Kind: anthropic.Native, Text: kind, Raw: []byte("event: " + kind + "\ndata: {\"type\":\"" + kind + "\",\"x\":1}\n\n")}
	if kind == "message_stop" {
		e.Kind, e.Text = anthropic.Stop, "end_turn"
	}
	return e
}

type events []anthropic.Event

func TestWriter(t *testing.T) {
	const end = `message_delta "end_turn" null 0`
	for _, c := range []struct {
		name   string
		events events
		want   []string
	}{
		{"text", events{start("served"), text("Hel"), text("lo"), stop("end_turn")},
			[]string{"message_start served 0", "+0 " + textBlock, " 0 Hel", " 0 lo", "-0", end, "message_stop"}},
		{"no start", events{text("x"), stop("end_turn")},
			[]string{"message_start asked 0", "+0 " + textBlock, " 0 x", "-0", end, "message_stop"}},
		{"nothing", events{stop("end_turn")}, []string{"message_start asked 0", end, "message_stop"}},
		{"empty deltas", events{text(""), thinking(""), signature(""), call(0, "a", "Read"), input(0, ""), text(""), stop("tool_use")},
			[]string{"message_start asked 0", "+0 " + callBlock("a", "Read"), "-0", `message_delta "tool_use" null 0`, "message_stop"}},
		{"thinking", events{thinking("a"), thinking("b"), signature("s"), thinking("c"), text("d"), stop("end_turn")},
			[]string{"message_start asked 0", "+0 " + thinkingBlock, " 0 a", " 0 b", " 0 s", "-0", "+1 " + thinkingBlock, " 1 c", "-1", "+2 " + textBlock, " 2 d", "-2", end, "message_stop"}},
		{"signature alone", events{signature("s"), signature("t"), stop("end_turn")},
			[]string{"message_start asked 0", "+0 " + thinkingBlock, " 0 s", "-0", "+1 " + thinkingBlock, " 1 t", "-1", end, "message_stop"}},
		{"redacted", events{text("a"), {Kind: anthropic.Redacted, Text: "d"}, text("b"), stop("end_turn")},
			[]string{"message_start asked 0", "+0 " + textBlock, " 0 a", "-0", `+1 {"type":"redacted_thinking","data":"d"}`, "-1", "+2 " + textBlock, " 2 b", "-2", end, "message_stop"}},
		{"a call streams", events{text("a"), call(0, "a", "Read"), input(0, " "), input(0, `{"p":`), input(0, `"x"}`), stop("tool_use")},
			[]string{"message_start asked 0", "+0 " + textBlock, " 0 a", "-0", "+1 " + callBlock("a", "Read"), ` 1 {"p":`, ` 1 "x"}`, "-1", `message_delta "tool_use" null 0`, "message_stop"}},
		{"interleaved calls", events{call(0, "a", "Read"), call(1, "b", "Bash"), input(1, `{"c"`), input(0, `{"p"`), input(1, `:1}`), input(0, `:2}`), call(2, "c", "Edit"), input(2, "{}"), stop("tool_use")},
			[]string{"message_start asked 0", "+0 " + callBlock("a", "Read"), ` 0 {"p"`, ` 0 :2}`, "-0", "+1 " + callBlock("b", "Bash"), ` 1 {"c":1}`, "-1",
				"+2 " + callBlock("c", "Edit"), " 2 {}", "-2", `message_delta "tool_use" null 0`, "message_stop"}},
		{"text amid a call keeps its place", events{call(0, "a", "Read"), input(0, `{`), text("t"), call(1, "b", "Bash"), input(0, `}`), thinking("h"), stop("tool_use")},
			[]string{"message_start asked 0", "+0 " + callBlock("a", "Read"), " 0 {", " 0 }", "-0", "+1 " + textBlock, " 1 t", "-1", "+2 " + callBlock("b", "Bash"), "-2",
				"+3 " + thinkingBlock, " 3 h", "-3", `message_delta "tool_use" null 0`, "message_stop"}},
		{"text behind a complete call", events{call(0, "a", "Read"), input(0, `{}`), text("t"), stop("tool_use")},
			[]string{"message_start asked 0", "+0 " + callBlock("a", "Read"), " 0 {}", "-0", "+1 " + textBlock, " 1 t", "-1", `message_delta "tool_use" null 0`, "message_stop"}},
		{"a call cut by its limit", events{call(0, "a", "Read"), input(0, `{"p":"x`), stop("max_tokens")},
			[]string{"message_start asked 0", "+0 " + callBlock("a", "Read"), ` 0 {"p":"x`, "-0", `message_delta "max_tokens" null 0`, "message_stop"}},
		{"ids", events{call(0, "a", "Read"), input(0, "{}"), call(1, "a", "Read"), input(1, "{}"), call(2, "", "Read"), input(2, "{}"), call(3, "earlier", "Read"), call(4, "a", "Read"), stop("tool_use")},
			[]string{"message_start asked 0", "+0 " + callBlock("a", "Read"), " 0 {}", "-0", "+1 " + callBlock("a_2", "Read"), " 1 {}", "-1", "+2 " + callBlock("toolu_n1", "Read"), " 2 {}", "-2",
				"+3 " + callBlock("earlier_2", "Read"), "-3", "+4 " + callBlock("a_3", "Read"), "-4", `message_delta "tool_use" null 0`, "message_stop"}},
		{"the number of a call comes again", events{call(0, "a", "Read"), input(0, "{}"), call(0, "b", "Bash"), input(0, `{"x":1}`), stop("tool_use")},
			[]string{"message_start asked 0", "+0 " + callBlock("a", "Read"), " 0 {}", "-0", "+1 " + callBlock("b", "Bash"), ` 1 {"x":1}`, "-1", `message_delta "tool_use" null 0`, "message_stop"}},
		{"search", events{search("s", `go "x"`), hit("s", `{"type":"web_search_result","url":"u"}`), hit("", `{"n":2}`), text("t"), search("s", "again"), stop("end_turn")},
			[]string{"message_start asked 0", `+0 {"type":"server_tool_use","id":"s","name":"web_search","input":{}}`, ` 0 {"query":"go \"x\""}`, "-0",
				`+1 {"type":"web_search_tool_result","tool_use_id":"s","content":[{"type":"web_search_result","url":"u"},{"n":2}]}`, "-1", "+2 " + textBlock, " 2 t", "-2",
				`+3 {"type":"server_tool_use","id":"s_2","name":"web_search","input":{}}`, ` 3 {"query":"again"}`, "-3", `+4 {"type":"web_search_tool_result","tool_use_id":"s_2","content":[]}`, "-4", end, "message_stop"}},
		{"search amid a call", events{call(0, "a", "Read"), search("s", "q"), hit("s", `{"n":1}`), input(0, "{}"), stop("tool_use")},
			[]string{"message_start asked 0", "+0 " + callBlock("a", "Read"), " 0 {}", "-0", `+1 {"type":"server_tool_use","id":"s","name":"web_search","input":{}}`, ` 1 {"query":"q"}`, "-1",
				`+2 {"type":"web_search_tool_result","tool_use_id":"s","content":[{"n":1}]}`, "-2", `message_delta "tool_use" null 0`, "message_stop"}},
		{"stop string", events{text("a"), {Kind: anthropic.Stop, Text: "stop_sequence", Name: "E\n"}},
			[]string{"message_start asked 0", "+0 " + textBlock, " 0 a", "-0", `message_delta "stop_sequence" "E\n" 0`, "message_stop"}},
		{"a stop string without its reason", events{text("a"), {Kind: anthropic.Stop, Text: "end_turn", Name: "E"}},
			[]string{"message_start asked 0", "+0 " + textBlock, " 0 a", "-0", end, "message_stop"}},
		{"another attempt", events{start("first"), {Kind: anthropic.Count, Usage: anthropic.Usage{Known: true, Output: 7}}, start("second"), text("a"), stop("end_turn")},
			[]string{"message_start second 0", "+0 " + textBlock, " 0 a", "-0", end, "message_stop"}},
		{"a start behind content", events{start("first"), text("a"), start("second"), text("b"), stop("end_turn")},
			[]string{"message_start first 0", "+0 " + textBlock, " 0 a", " 0 b", "-0", end, "message_stop"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := write(t, c.events)
			if got := outline(out); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			if err := anthropictest.Check(out); err != nil {
				t.Error(err)
			}
			reply, err := collect(c.events)
			if errors.Is(err, anthropic.ErrInput) && c.events[len(c.events)-1].Text == "max_tokens" {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(anthropictest.CheckMessage(reply.JSON), anthropictest.Same(out, reply.JSON)); err != nil {
				t.Error(err)
			}
		})
	}
}

func write(t testing.TB, list events) []byte {
	t.Helper()
	var out bytes.Buffer
	w := anthropic.NewWriter(&out, options())
	for i, e := range list {
		if err := w.Write(e); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	if err := w.Write(text("late")); !errors.Is(err, anthropic.ErrStopped) {
		t.Fatalf("an event behind Stop: %v, want ErrStopped", err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func collect(list events) (*anthropic.Reply, error) {
	return anthropic.Collect(func(yield func(anthropic.Event, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}, options())
}

func TestWriterNative(t *testing.T) {
	const block = "content_block_delta"
	for _, c := range []struct {
		name   string
		events events
		want   []string
	}{
		{"frames are copied", events{native("message_start"), native("ping"), native(block), native("ping"), native("message_delta"), native("message_stop")},
			[]string{"message_start", block, "ping", "message_delta", "message_stop"}},
		{"another attempt, native", events{native("message_start"), native("message_start"), native(block), native("message_stop")},
			[]string{"message_start", block, "message_stop"}},
		{"another attempt, translated", events{native("message_start"), start("served"), text("a"), stop("end_turn")},
			[]string{"message_start", "content_block_start", block, "content_block_stop", "message_delta", "message_stop"}},
		{"native behind a translated attempt", events{start("served"), native("message_start"), native(block), native("message_stop")},
			[]string{"message_start", block, "message_stop"}},
	} {
		out := write(t, c.events)
		var got []string
		for frame := range strings.SplitSeq(strings.TrimSuffix(string(out), "\n\n"), "\n\n") {
			name, _, _ := strings.Cut(strings.TrimPrefix(frame, "event: "), "\n")
			got = append(got, name)
		}
		if strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	out := write(t, events{native("message_start"), native(block), native("message_stop")})
	want := string(native("message_start").Raw) + string(native(block).Raw) + string(native("message_stop").Raw)
	if string(out) != want {
		t.Errorf("not byte for byte:\n%s\nwant:\n%s", out, want)
	}
}

// A ping before the upstream's own message_start opens the stream with ours; its usage then comes with message_delta.
func TestWriterPingBeforeNative(t *testing.T) {
	var out bytes.Buffer
	w := anthropic.NewWriter(&out, options())
	usage := anthropic.Usage{Known: true, Input: 500, Output: 1}
	delta := anthropic.Event{Kind: anthropic.Native, Text: "message_delta", Usage: anthropic.Usage{Known: true, Output: 9},
		Raw: []byte("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"E\"},\"usage\":{\"output_tokens\":9}}\n\n")}
	head := native("message_start")
	head.Usage = usage
	if err := errors.Join(w.Ping(), w.Write(head), w.Write(delta), w.Write(native("message_stop")), w.Flush()); err != nil {
		t.Fatal(err)
	}
	got := outline(out.Bytes())
	if len(got) != 4 || got[0] != "message_start asked 0" || got[1] != "ping" || got[2] != `message_delta "stop_sequence" "E" 9` || !strings.Contains(out.String(), `"input_tokens":500`) {
		t.Errorf("%q\n%s", got, out.String())
	}
}

// Until content comes nothing leaves, so that a failure can still have a status of its own; a ping opens the stream.
func TestWriterHoldsStart(t *testing.T) {
	var out bytes.Buffer
	w := anthropic.NewWriter(&out, options())
	if err := errors.Join(w.Write(start("a")), w.Write(text("")), w.Write(native("ping")), w.Flush()); err != nil || out.Len() > 0 || w.Opened() || w.Started() {
		t.Fatalf("before content: %q, opened %v, started %v, %v", out.String(), w.Opened(), w.Started(), err)
	}
	if err := w.Ping(); err != nil || !w.Opened() || w.Started() {
		t.Fatalf("after a ping: opened %v, started %v, %v", w.Opened(), w.Started(), err)
	}
	if err := errors.Join(w.Write(start("b")), w.Write(text("x")), w.Ping(), w.Write(stop("end_turn")), w.Flush()); err != nil || !w.Started() {
		t.Fatalf("after content: started %v, %v", w.Started(), err)
	}
	if err := w.Ping(); err != anthropic.ErrStopped {
		t.Errorf("a ping behind the end: %v", err)
	}
	want := "message_start a 0|ping|+0 " + textBlock + "| 0 x|ping|-0|" + `message_delta "end_turn" null 0` + "|message_stop"
	if got := strings.Join(outline(out.Bytes()), "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if err := anthropictest.Check(out.Bytes()); err != nil {
		t.Error(err)
	}
}

func TestWriterUsage(t *testing.T) {
	var out bytes.Buffer
	w := anthropic.NewWriter(&out, options())
	count := func(k anthropic.Kind, u anthropic.Usage) anthropic.Event {
		u.Known = true
		return anthropic.Event{Kind: k, Usage: u, Text: "end_turn"}
	}
	if err := errors.Join(
		w.Write(count(anthropic.Start, anthropic.Usage{Input: 999, Output: 999})), // of an attempt that failed
		w.Write(count(anthropic.Start, anthropic.Usage{Input: 10, CacheRead: 5})),
		w.Write(text("x")),
		w.Write(count(anthropic.Count, anthropic.Usage{Output: 3, CacheWrite: 8, CacheWrite1h: 2})),
		w.Write(count(anthropic.Stop, anthropic.Usage{Output: 4, Reasoning: 2, Searches: 1, Tier: "standard"})),
		w.Flush()); err != nil {
		t.Fatal(err)
	}
	const want = `"usage":{"input_tokens":10,"cache_creation_input_tokens":8,"cache_read_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":6,"ephemeral_1h_input_tokens":2},` +
		`"output_tokens":4,"output_tokens_details":{"thinking_tokens":2},"server_tool_use":{"web_search_requests":1},"service_tier":"standard"}`
	if !strings.Contains(out.String(), want) {
		t.Errorf("message_delta is not %s\n%s", want, out.String())
	}
	if got := w.Usage(); got != (anthropic.Usage{Known: true, Input: 10, Output: 4, Reasoning: 2, CacheRead: 5, CacheWrite: 8, CacheWrite1h: 2, Searches: 1, Tier: "standard"}) {
		t.Errorf("%+v", got)
	}
}

// Events that make no reply are an error of the upstream, to the Writer and the Collector alike.
func TestFaultyEvents(t *testing.T) {
	for name, list := range map[string]events{
		"input without a call":         {input(0, "{}")},
		"input of another call":        {call(0, "a", "Read"), input(1, "{}")},
		"a result without a search":    {hit("s", "{}")},
		"a result of another search":   {search("s", "q"), hit("t", "{}")},
		"a result behind other things": {search("s", "q"), text("x"), hit("s", "{}")},
		"an unknown kind":              {{Kind: 99}},
	} {
		w, c := anthropic.NewWriter(io.Discard, options()), anthropic.NewCollector(options())
		for _, to := range []interface{ Write(anthropic.Event) error }{w, c} {
			var err error
			for _, e := range append(list, stop("end_turn")) {
				if err = to.Write(e); err != nil {
					break
				}
			}
			var e *anthropic.Error
			if !errors.As(err, &e) || e.Status != 502 || !e.Temporary() {
				t.Errorf("%s: %T gives %v, want an *Error of status 502", name, to, err)
			}
		}
	}
	if err := anthropic.NewCollector(options()).Write(native("message_start")); err == nil {
		t.Error("a Collector took a frame for a message")
	}
	if err := anthropic.NewWriter(io.Discard, options()).Write(anthropic.Event{Kind: anthropic.Native, Text: "message", Raw: []byte("{}")}); err == nil {
		t.Error("a Writer took a message for a frame")
	}
}

func TestWriterFail(t *testing.T) {
	var out bytes.Buffer
	w := anthropic.NewWriter(&out, options())
	if err := errors.Join(w.Write(text("x")), w.Fail(anthropic.ForStatus(400, "no \"such\" thing"))); err != nil {
		t.Fatal(err)
	}
	got := outline(out.Bytes())
	if last := got[len(got)-1]; last != `error {"type":"error","error":{"type":"invalid_request_error","message":"no \"such\" thing"}}` {
		t.Errorf("%q", got)
	}
	if err := w.Fail(anthropic.ForStatus(400, "again")); !errors.Is(err, anthropic.ErrStopped) {
		t.Errorf("a second Fail: %v, want ErrStopped", err)
	}
}

// The connection's error comes back, and a long reply leaves without a Flush.
func TestWriterSends(t *testing.T) {
	gone := errors.New("gone")
	w := anthropic.NewWriter(writerFunc(func([]byte) (int, error) { return 0, gone }), options())
	if err := w.Write(text(strings.Repeat("x", 40<<10))); !errors.Is(err, gone) {
		t.Errorf("Write: %v, want the connection's error", err)
	}
	flushes := 0
	f := &flusher{flush: func() { flushes++ }}
	w = anthropic.NewWriter(f, options())
	if err := errors.Join(w.Write(text("x")), w.Flush(), w.Flush()); err != nil || flushes != 1 {
		t.Errorf("%d flushes, want 1; %v", flushes, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

type flusher struct {
	bytes.Buffer
	flush func()
}

func (f *flusher) Flush() { f.flush() }

// Pings come from a timer while events are written.
func TestWriterPingsFromElsewhere(t *testing.T) {
	var out bytes.Buffer
	w := anthropic.NewWriter(&out, options())
	var done sync.WaitGroup
	done.Go(func() {
		for range 200 {
			if err := w.Ping(); err != nil {
				t.Error(err)
			}
			w.Opened()
		}
	})
	for i := range 200 {
		if err := errors.Join(w.Write(text("x")), w.Write(call(i, "", "Read")), w.Write(input(i, "{}")), w.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	done.Wait()
	if err := errors.Join(w.Write(stop("tool_use")), w.Flush(), anthropictest.Check(out.Bytes())); err != nil {
		t.Error(err)
	}
}

// A ping that comes late does not reach a connection that is another's by then.
func TestWriterClosed(t *testing.T) {
	var out bytes.Buffer
	w := anthropic.NewWriter(&out, options())
	if err := errors.Join(w.Write(start("a")), w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := w.Ping(); err != anthropic.ErrStopped || out.Len() != 0 || w.Opened() {
		t.Errorf("got %v, %q", err, out.String())
	}
}

package dialect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

// BenchmarkResponsesEncode is a request of Claude Code's shape, from the client's bytes to the provider's; the budget is
// 100 MB/s at any size.
func BenchmarkResponsesEncode(b *testing.B) {
	d, err := selectResponses("openai", "", nil)
	if err != nil {
		b.Fatal(err)
	}
	o := dialect.Options{Model: "gpt-5.1", NewID: func(p string) string { return p }}
	for _, times := range []int{1, 4, 16} {
		body := requestOf(conversation(20*times, (256<<10)/20), 25)
		b.Run(fmt.Sprintf("%dx", times), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				req, err := anthropic.Parse(body)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := d.Encode(req, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkResponsesDecode reports what one event costs, of more and more events and of longer and longer ones; the budget
// is 5 µs and 5 allocations.
func BenchmarkResponsesDecode(b *testing.B) {
	const events = 250
	call := encodedResponses(b, "openai", "gpt-5.1", []byte(`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`))
	for _, shape := range []string{"text", "call", "reasoning"} {
		for _, times := range []int{1, 4, 16} {
			benchResponses(b, fmt.Sprintf("%s/%dx-events", shape, times), call, responsesStream(shape, events*times, "word\n"), events*times)
		}
	}
	for _, times := range []int{1, 4, 16} {
		benchResponses(b, fmt.Sprintf("text/%dx-length", times), call, responsesStream("text", events, strings.Repeat("word\n", 100*times)), events)
	}
}

// responsesStream is a reply of one item with all that OpenAI sends around its deltas.
func responsesStream(shape string, events int, delta string) []byte {
	kind, item, field, part := "output_text", `"type":"message","role":"assistant","content":[{"type":"output_text","annotations":[],"text":%s}]`, "text", "content_index"
	switch shape {
	case "call":
		kind, item, field = "function_call_arguments", `"type":"function_call","call_id":"c1","name":"Write","arguments":%s`, "arguments"
	case "reasoning":
		kind, item, part = "reasoning_summary_text", `"type":"reasoning","encrypted_content":"gAAA","summary":[{"type":"summary_text","text":%s}]`, "summary_index"
	}
	var b bytes.Buffer
	frame := func(typ, rest string) { fmt.Fprintf(&b, "event: %s\ndata: {\"type\":%q,%s}\n\n", typ, typ, rest) }
	quote := func(s string) string {
		out, err := json.Marshal(s)
		if err != nil {
			panic(err) // a string is JSON
		}
		return string(out)
	}
	frame("response.created", `"sequence_number":0,"response":{"id":"r","object":"response","status":"in_progress","model":"m"}`)
	frame("response.output_item.added", `"output_index":0,"item":{"id":"i1",`+fmt.Sprintf(item, `""`)+`}`)
	for i := range events {
		frame("response."+kind+".delta", fmt.Sprintf(`"sequence_number":%d,"item_id":"i1","output_index":0,%q:0,"delta":%s,"logprobs":[],"obfuscation":"aB3dE5gH"`, i, part, quote(delta)))
	}
	whole := quote(strings.Repeat(delta, events))
	frame("response."+kind+".done", fmt.Sprintf(`"item_id":"i1","output_index":0,%q:0,%q:%s`, part, field, whole))
	frame("response.output_item.done", `"output_index":0,"item":{"id":"i1",`+fmt.Sprintf(item, whole)+`}`)
	frame("response.completed", `"response":{"id":"r","object":"response","status":"completed","model":"m","output":[{"id":"i1",`+fmt.Sprintf(item, whole)+`}],"usage":{"input_tokens":1,"output_tokens":2}}`)
	return b.Bytes()
}

func benchResponses(b *testing.B, name string, call dialect.Call, body []byte, events int) {
	b.Run(name, func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			for _, err := range call.Decode(dialect.Reply{Status: 200, Body: bytes.NewReader(body)}) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(events), "ns/event")
	})
}

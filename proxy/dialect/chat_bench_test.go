package dialect_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

// BenchmarkChatEncode is a request of Claude Code's shape, from the client's bytes to the provider's.
func BenchmarkChatEncode(b *testing.B) {
	for _, size := range []int{150 << 10, 1 << 20} {
		body := requestOf(conversation(20, (size-40<<10)/20), 25)
		row, err := dialect.Select("deepseek", "", nil)
		if err != nil {
			b.Fatal(err)
		}
		o := dialect.Options{Model: "deepseek-v4-pro", NewID: func(p string) string { return p }}
		b.Run(fmt.Sprintf("%dKB", len(body)>>10), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				req, err := anthropic.Parse(body)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := row.Dialect.Encode(req, o); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%dKB/parsed", len(body)>>10), func(b *testing.B) {
			req, err := anthropic.Parse(body)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := row.Dialect.Encode(req, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkChatDecode reports what one event costs; the budget is 5 µs and 3 allocations.
func BenchmarkChatDecode(b *testing.B) {
	const events = 200
	var text, tool, random bytes.Buffer
	for i := range events {
		fmt.Fprintf(&text, "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m-1\",\"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word %d\\n\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n", i)
		fmt.Fprintf(&tool, "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"Bash\",\"arguments\":\" \\\"%d\\\"\"}}]},\"finish_reason\":null}]}\n\n", i)
		fmt.Fprintf(&random, "data: {\"id\":\"chatcmpl-1\",\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word %d\\n\"},\"logprobs\":null,\"finish_reason\":null}],\"obfuscation\":\"%x\"}\n\n", i, i*7919)
	}
	end := "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
	call := encoded(b, "openai", "m", []byte(`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`))
	for name, body := range map[string]string{"text": text.String() + end, "tool": tool.String() + end, "obfuscated": random.String() + end} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range call.Decode(dialect.Reply{Status: 200, Body: bytes.NewReader([]byte(body))}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
		})
		b.Run(name+"/written", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w := anthropic.NewWriter(io.Discard, anthropic.Options{NewID: func(p string) string { return p }})
				for e, err := range call.Decode(dialect.Reply{Status: 200, Body: bytes.NewReader([]byte(body))}) {
					if err == nil {
						err = w.Write(e)
					}
					if err != nil && name != "tool" { // that input is no JSON
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
		})
	}
}

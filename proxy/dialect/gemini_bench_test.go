package dialect_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

// BenchmarkGeminiEncode is a request of Claude Code's shape, from the client's bytes to the provider's; the sizes show that
// time grows with them and no faster.
func BenchmarkGeminiEncode(b *testing.B) {
	d, err := dialect.NewGemini("gemini", nil)
	if err != nil {
		b.Fatal(err)
	}
	o := dialect.Options{Model: "gemini-3-pro-preview", NewID: func(p string) string { return p }}
	for _, size := range []int{256 << 10, 1 << 20, 4 << 20} {
		body := requestOf(conversation(20, (size-40<<10)/20), 25)
		b.Run(fmt.Sprintf("%dKB", len(body)>>10), func(b *testing.B) {
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
		b.Run(fmt.Sprintf("%dKB/parsed", len(body)>>10), func(b *testing.B) {
			req, err := anthropic.Parse(body)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Encode(req, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGeminiDecode reports what one event costs; the budget is 5 µs and 5 allocations.
func BenchmarkGeminiDecode(b *testing.B) {
	const events = 200
	var text, thought, call bytes.Buffer
	usage := `"usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":20,"totalTokenCount":1020,"promptTokensDetails":[{"modality":"TEXT","tokenCount":1000}],"thoughtsTokenCount":100},"modelVersion":"gemini-3-pro","responseId":"abcdef"`
	for i := range events {
		fmt.Fprintf(&text, `data: {"candidates":[{"content":{"parts":[{"text":"word %d\nand more"}],"role":"model"},"index":0}],%s}`+"\r\n\r\n", i, usage)
		fmt.Fprintf(&thought, `data: {"candidates":[{"content":{"parts":[{"text":"thought %d","thought":true}],"role":"model"},"index":0}],%s}`+"\r\n\r\n", i, usage)
		fmt.Fprintf(&call, `data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"Bash","args":{"command":"ls %d"}},"thoughtSignature":"CAES"}],"role":"model"},"index":0}],%s}`+"\r\n\r\n", i, usage)
	}
	end := `data: {"candidates":[{"finishReason":"STOP"}]}` + "\n\n"
	c := encodedGemini(b, "gemini", "gemini-3-pro", []byte(`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`))
	for name, body := range map[string]string{"text": text.String() + end, "thought": thought.String() + end, "call": call.String() + end} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range c.Decode(dialect.Reply{Status: 200, Body: bytes.NewReader([]byte(body))}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
		})
	}
}

// BenchmarkGeminiSchema cleans schemas of 1, 4 and 16 times a size.
func BenchmarkGeminiSchema(b *testing.B) {
	for _, n := range []int{20, 80, 320} {
		var props bytes.Buffer
		for i := range n {
			if i > 0 {
				props.WriteByte(',')
			}
			fmt.Fprintf(&props, `"property_%d":{"type":["string","null"],"description":"What it is for, in a sentence.","maxLength":%d}`, i, i)
		}
		schema := `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{` + props.String() + `},"required":["property_0"],"additionalProperties":false}`
		b.Run(fmt.Sprintf("%dproperties", n), func(b *testing.B) {
			b.SetBytes(int64(len(schema)))
			b.ReportAllocs()
			for b.Loop() {
				if dialect.GeminiParameters(schema) == "" {
					b.Fatal("no parameters")
				}
			}
		})
	}
}

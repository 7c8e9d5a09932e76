package anthropic_test

import (
	"io"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// A text event costs no allocation once the buffer has its size.
func TestWriteAllocates(t *testing.T) {
	w := anthropic.NewWriter(io.Discard, options())
	e := text("Hello, \"wörld\"\n")
	step := func() {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		step()
	}
	if n := testing.AllocsPerRun(5000, step); n > 0 {
		t.Errorf("%v allocations for a text event, want 0", n)
	}
}

func BenchmarkWriteText(b *testing.B) {
	w := anthropic.NewWriter(io.Discard, options())
	e := text(" and then some")
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteToolInput(b *testing.B) {
	b.ReportAllocs()
	i := 0
	var w *anthropic.Writer
	for b.Loop() {
		if i%200 == 0 { // a call of 200 deltas
			w = anthropic.NewWriter(io.Discard, options())
			if err := w.Write(call(0, "a", "Edit")); err != nil {
				b.Fatal(err)
			}
		}
		i++
		if err := w.Write(input(0, `\"old_string\":`)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	turn := `{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"Read","input":{"file_path":"/a/b"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"` +
		strings.Repeat(`line of code\n\t`, 450) + `"}]},`
	body := []byte(`{"model":"m","stream":true,"messages":[` + strings.Repeat(turn, 20) + `{"role":"user","content":"go"}]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := anthropic.Parse(body)
		if err != nil {
			b.Fatal(err)
		}
		if len(r.Messages()) != 41 {
			b.Fatal("messages")
		}
	}
}

package anthropic

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestScannerGrammar(t *testing.T) {
	good := []string{`{}`, `[]`, ` { "a" : [ 1 , -2.5e+3, true,false ,null , "x" ] } `, `"\\"`, `"\""`, `"\\\""`, `"a\\\\"`, `{"a":{"b":[[],{}]}}`, `0`, `"é世"`}
	bad := []string{``, ` `, `{`, `[`, `"`, `"\"`, `"\\\"`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `[1,]`, `[1 2]`, `{"a":1 "b":2}`, `tru`, `nul`, `+1`, `]`, `}`, `{"a":1]`, `[1}`, `x`,
		strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)}
	read := func(s string) bool {
		p := scanner{s: s}
		p.value()
		return !p.bad && p.peek() == 0
	}
	for _, s := range good {
		if !read(s) {
			t.Errorf("refused: %s", s)
		}
	}
	for _, s := range bad {
		if read(s) {
			t.Errorf("taken: %.60s", s)
		}
	}
}

// Whatever is JSON is read, to its end; and a string's end is where it is.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{`{"a":["\\\"",1e9,{"b":null}]}`, `"\\\\\""`, `[[[]],{"":""}]`, `{"a":"\\"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !gjson.Valid(s) || strings.Count(s, "[")+strings.Count(s, "{") > maxDepth {
			return
		}
		p := scanner{s: s}
		got := p.value()
		if p.bad || p.peek() != 0 || string(got) != strings.Trim(s, " \t\r\n") {
			t.Fatalf("%q was read as %q", s, got)
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	s := `[` + strings.Repeat(`{"type":"text","text":"func add(a, b int) int { return a + b } // a line with a \"string\" in it\n"},`, 1500) + `{}]`
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		p := scanner{s: s}
		if p.value(); p.bad {
			b.Fatal("refused")
		}
	}
}

func TestSigned(t *testing.T) {
	for body, want := range map[string]bool{
		`{"model":"m","messages":[{"role":"user","content":"a \"signature\": x"}]}`:                                                       false,
		`{"model":"m","messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"ccrun1:x"}]}]}`:            true,
		`{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"thinking","signature" : "s"}]}]}]}`: true,
	} {
		r, err := Parse([]byte(body))
		if err != nil || r.Signed != want {
			t.Errorf("%s: signed %v, %v", body, r.Signed, err)
		}
	}
}

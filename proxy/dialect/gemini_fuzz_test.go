package dialect_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/anthropic/anthropictest"
	"github.com/ccrun/ccrun/proxy/dialect"
)

// FuzzGeminiDecode: whatever is sent, a reply ends with one Stop or one error, and what is written of it is a stream that a
// client takes.
func FuzzGeminiDecode(f *testing.F) {
	for _, x := range geminiFixtures(f) {
		f.Add(x.Body)
	}
	call := encodedGemini(f, "gemini", "gemini-3-pro", []byte(`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var out bytes.Buffer
		n := 0
		w := anthropic.NewWriter(&out, anthropic.Options{Model: "m", NewID: func(p string) string { n++; return fmt.Sprint(p, n) }})
		ends, stopped := 0, false
		for e, err := range call.Decode(dialect.Reply{Status: 200, Body: bytes.NewReader(body)}) {
			if ends > 0 {
				t.Fatal("a step behind the end")
			}
			if err != nil {
				ends++
				if !errors.Is(err, dialect.ErrTruncated) && !errors.As(err, new(*anthropic.Error)) {
					t.Fatalf("neither truncated nor the provider's words: %v", err)
				}
				continue
			}
			if e.Kind == anthropic.SearchResult && !gjson.ValidBytes(e.Raw) {
				t.Fatalf("a search result that is not JSON: %s", e.Raw)
			}
			if e.Kind == anthropic.Stop {
				ends, stopped = 1, true
			}
			if u := e.Usage; min(u.Input, u.Output, u.CacheRead, u.Reasoning, u.Searches) < 0 {
				t.Fatalf("negative usage: %+v", u)
			}
			if err := w.Write(e); err != nil {
				t.Fatalf("writing %+v: %v", e, err)
			}
		}
		if ends != 1 {
			t.Fatalf("%d ends", ends)
		}
		if !stopped {
			return
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := anthropictest.Check(out.Bytes()); err != nil {
			t.Fatalf("%v\n%s", err, out.Bytes())
		}
	})
}

// FuzzGeminiEncode: any request becomes a body that keeps Gemini's rules, or an error.
func FuzzGeminiEncode(f *testing.F) {
	for _, x := range geminiFixtures(f) {
		f.Add([]byte(x.Request.Body()))
	}
	f.Add(requestOf(conversation(2, 50), 2))
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := anthropic.Parse(body)
		if err != nil || !json.Valid(body) {
			return
		}
		for _, row := range []string{"gemini", "vertex-gemini"} {
			d, err := dialect.NewGemini(row, nil)
			if err != nil {
				t.Fatal(err)
			}
			call, err := d.Encode(req, dialect.Options{Model: "gemini-3-pro-preview", NewID: func(p string) string { return p }})
			if err == nil && !gjson.ValidBytes(call.Body) {
				t.Fatalf("not JSON: %s", call.Body)
			}
			for _, leak := range []string{`"cache_control"`, `"signature"`, `"tool_use_id"`} {
				if bytes.Contains(call.Body, []byte(leak)) && !bytes.Contains(body, []byte(`\"`)) && !gjson.GetBytes(body, "tools").Exists() {
					t.Fatalf("%s is in the body: %s", leak, call.Body)
				}
			}
		}
	})
}

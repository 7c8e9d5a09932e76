package dialect_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/dialect/dialecttest"
)

// FuzzChatDecode: whatever a provider sends, a reply ends with one Stop or one error, and can be written as it comes.
func FuzzChatDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/chat/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		x, err := dialecttest.Read(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(x.Body)
	}
	calls := []dialect.Call{}
	for _, row := range []string{"openai", "openrouter", "minimax"} {
		calls = append(calls, encoded(f, row, "m", []byte(`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"stop_sequences":["END"]}`)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, call := range calls {
			w := anthropic.NewWriter(&bytes.Buffer{}, anthropic.Options{Model: "m", NewID: func(p string) string { return p }})
			ends := 0
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
					ends++
				}
				if u := e.Usage; min(u.Input, u.Output, u.CacheRead, u.CacheWrite, u.Reasoning, u.Cost) < 0 {
					t.Fatalf("negative usage: %+v", u)
				}
				_ = w.Write(e) // input behind a complete call is the Writer's to refuse
			}
			if ends != 1 {
				t.Fatalf("%d ends", ends)
			}
		}
	})
}

// FuzzChatEncode: any request that is JSON becomes JSON or an error. The parser does not look into strings, and they are
// copied: a request with a bad escape in one becomes a body with the same fault, which the provider refuses.
func FuzzChatEncode(f *testing.F) {
	files, err := filepath.Glob("testdata/chat/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		x, err := dialecttest.Read(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(x.Request.Body()))
	}
	var rows []dialect.Row
	for _, name := range []string{"openai", "openrouter", "mistral", "deepseek", "groq"} {
		r, err := dialect.Select(name, "", nil)
		if err != nil {
			f.Fatal(err)
		}
		rows = append(rows, r)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := anthropic.Parse(body)
		if err != nil || !gjson.ValidBytes(body) {
			return
		}
		for _, r := range rows {
			call, err := r.Dialect.Encode(req, dialect.Options{Model: "anthropic/claude", NewID: func(p string) string { return p }})
			if err == nil && !gjson.ValidBytes(call.Body) {
				t.Fatalf("%s: not JSON: %s", r.Name, call.Body)
			}
		}
	})
}

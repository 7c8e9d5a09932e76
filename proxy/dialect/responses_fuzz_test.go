package dialect_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/anthropic/anthropictest"
	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/dialect/dialecttest"
)

func responsesSeeds(f *testing.F) []*dialecttest.Fixture {
	files, err := filepath.Glob("testdata/responses/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	var out []*dialecttest.Fixture
	for _, file := range files {
		x, err := dialecttest.Read(file)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, x)
	}
	return out
}

// FuzzResponsesDecode: whatever a provider sends, a reply ends with one Stop or one error, what is written of it is a stream
// that a client takes, and the state in its signatures is JSON.
func FuzzResponsesDecode(f *testing.F) {
	for _, x := range responsesSeeds(f) {
		f.Add(x.Body)
	}
	call := encodedResponses(f, "openai", "gpt-5", []byte(`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var out bytes.Buffer
		w := anthropic.NewWriter(&out, anthropic.Options{Model: "m", NewID: func(p string) string { return p }})
		ends, stopped, refused := 0, false, false
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
			if u := e.Usage; min(u.Input, u.Output, u.CacheRead, u.CacheWrite, u.Reasoning, u.Searches) < 0 {
				t.Fatalf("negative usage: %+v", u)
			}
			refused = w.Write(e) != nil || refused // input behind a complete call is the Writer's to refuse
		}
		if ends != 1 {
			t.Fatalf("%d ends", ends)
		}
		if !stopped || refused {
			return
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		// What the arguments of a call are is the provider's word: only a stream whose calls are JSON is judged.
		if err := anthropictest.Check(out.Bytes()); err != nil && !bytes.Contains(out.Bytes(), []byte("input_json_delta")) {
			t.Fatalf("%v\n%s", err, out.Bytes())
		}
	})
}

// FuzzResponsesEncode: any request that is JSON becomes JSON or an error.
func FuzzResponsesEncode(f *testing.F) {
	for _, x := range responsesSeeds(f) {
		f.Add([]byte(x.Request.Body()))
	}
	var all []dialect.Dialect
	for _, name := range []string{"openai", "azure", "openrouter", "xai", "unknown"} {
		d, err := selectResponses(name, "", nil)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, d)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := anthropic.Parse(body)
		if err != nil || !gjson.ValidBytes(body) { // Parse looks for the ends of strings, not into them
			return
		}
		for _, d := range all {
			call, err := d.Encode(req, dialect.Options{Model: "gpt-5.1", NewID: func(p string) string { return p }})
			if err == nil && !gjson.ValidBytes(call.Body) {
				t.Fatalf("not JSON: %s", call.Body)
			}
		}
	})
}

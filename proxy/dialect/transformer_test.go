package dialect_test

import (
	"bytes"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/dialect/dialecttest"
)

func TestTransformers(t *testing.T) {
	dialecttest.Run(t, dialecttest.Suite{
		Dir:        "testdata/transform",
		New:        selected,
		ErrorFrame: "data: {\"error\":{\"message\":\"slow down\",\"code\":429}}\n\n",
		Opaque:     []string{"arguments"},
	})
}

// around is a transformer from outside of this package, as a script is: it changes the provider's JSON and the events, and
// needs the whole reply.
func around(mark string) dialect.Transformer {
	return func(req *anthropic.Request, _ dialect.Options) (dialect.Layer, error) {
		return dialect.Layer{
			Whole: true,
			Notes: []string{mark + " was here"},
			Body: func(doc []byte) ([]byte, error) {
				if strings.Contains(string(doc), "fail") {
					return nil, errors.New(mark + " fails")
				}
				return sjson.SetBytes(doc, "marks.-1", mark)
			},
			Reply: func(events iter.Seq2[anthropic.Event, error]) iter.Seq2[anthropic.Event, error] {
				return func(yield func(anthropic.Event, error) bool) {
					for e, err := range events {
						if e.Kind == anthropic.Text {
							e.Text += mark
						}
						if !yield(e, err) {
							return
						}
					}
				}
			},
		}, nil
	}
}

func TestAround(t *testing.T) {
	for _, c := range []struct{ row, model, path, reply string }{
		{"openai", "gpt-4.1", "/chat/completions", `{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}`},
		{"gemini", "gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:generateContent", `{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}`},
		{"responses", "gpt-4.1", "/responses", `{"object":"response","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"x"}]}]}`},
		{"anthropic", "claude", "/v1/messages", ""},
	} {
		row, err := dialect.Select("", "", []dialect.Use{{Name: c.row}})
		if err != nil {
			t.Fatal(err)
		}
		d := dialect.Around(row.Dialect, around("a"), around("b"))
		if _, counts := row.Dialect.(dialect.Counter); counts {
			if _, ok := d.(dialect.Counter); !ok {
				t.Errorf("%s: it no longer counts", c.row)
			}
		}
		request := func(text string) (dialect.Call, error) {
			req, err := anthropic.Parse([]byte(`{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"` + text + `"}]}`))
			if err != nil {
				t.Fatal(err)
			}
			return d.Encode(req, dialect.Options{Model: c.model, NewID: func(p string) string { return p }})
		}
		if _, err := request("fail"); err == nil || !strings.Contains(err.Error(), "a fails") {
			t.Errorf("%s: a transformer's error is lost: %v", c.row, err)
		}
		call, err := request("hi")
		if err != nil {
			t.Fatal(err)
		}
		if got := gjson.GetBytes(call.Body, "marks").Raw; got != `["a","b"]` || call.Rest != "" {
			t.Errorf("%s: the body has the marks %s and a rest of %q", c.row, got, call.Rest)
		}
		if len(call.Notes) != 2 || call.Notes[0] != "a was here" {
			t.Errorf("%s: notes %q", c.row, call.Notes)
		}
		if call.Path != c.path || gjson.GetBytes(call.Body, "stream").Bool() || gjson.GetBytes(call.Body, "stream_options").Exists() {
			t.Errorf("%s: a stream is asked for: %s %s", c.row, call.Path, call.Body)
		}
		if c.reply == "" {
			continue // a native reply has no events but its frames
		}
		if !call.Whole {
			t.Errorf("%s: who calls is not told to be patient", c.row)
		}
		text := ""
		for e, err := range call.Decode(dialect.Reply{Status: 200, Body: bytes.NewReader([]byte(c.reply))}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == anthropic.Text {
				text += e.Text
			}
		}
		if text != "xba" { // the last transformer is next to the provider
			t.Errorf("%s: the reply is %q", c.row, text)
		}
	}
}

// A config's options reach the body of the row that they name.
func TestRowOptions(t *testing.T) {
	for _, name := range []string{"groq", "OpenAI", "deepseek", "openrouter", "vercel", "cerebras", "openai-responses", "openai-response", "customparams"} {
		row, err := dialect.Select("", "", []dialect.Use{{Name: name, Options: map[string]any{"seed": 7.0}}})
		if err != nil || len(row.Warnings) > 0 {
			t.Errorf("%s: %v, %v", name, err, row.Warnings)
			continue
		}
		req, err := anthropic.Parse([]byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		call, err := row.Dialect.Encode(req, dialect.Options{Model: "m", NewID: func(p string) string { return p }})
		if err != nil || gjson.GetBytes(call.Body, "seed").Int() != 7 {
			t.Errorf("%s: %v: %s", name, err, call.Body)
		}
	}
}

// Of many thoughts the newest are shown, and which they are changes only every ten turns.
func TestForcedReasoningIsStable(t *testing.T) {
	row, err := dialect.Select("", "", []dialect.Use{{Name: "forcereasoning"}})
	if err != nil {
		t.Fatal(err)
	}
	kept, last := 0, ""
	for n := 1; n <= 35; n++ {
		var ms []string
		for range n {
			ms = append(ms, `{"role":"user","content":"go"},{"role":"assistant","content":[{"type":"thinking","thinking":"T","signature":"s"},{"type":"text","text":"A"}]}`)
		}
		req, err := anthropic.Parse([]byte(`{"model":"m","max_tokens":9,"messages":[` + strings.Join(ms, ",") + `,{"role":"user","content":"go"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		call, err := row.Dialect.Encode(req, dialect.Options{Model: "m", NewID: func(p string) string { return p }})
		if err != nil {
			t.Fatal(err)
		}
		list := gjson.GetBytes(call.Body, "messages").Raw
		history := list[:strings.LastIndex(list, `{"role":"user"`)]
		shown := strings.Count(history, "<reasoning_content>T</reasoning_content>")
		if shown < 1 || shown > 10 || !strings.Contains(list, "Reason before you answer") {
			t.Fatalf("turn %d: %d thoughts in %s", n, shown, list)
		}
		if strings.HasPrefix(history, last) {
			kept++
		}
		last = history
	}
	if kept != 32 { // of 35 turns, all but those behind the 10th, 20th and 30th
		t.Errorf("%d turns begin as the one before", kept)
	}
}

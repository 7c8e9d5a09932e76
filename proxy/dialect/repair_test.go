package dialect

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

func TestRepair(t *testing.T) {
	for _, c := range []struct{ in, want, faults string }{
		{`{"a":1,}`, `{"a":1}`, "a comma too many"},
		{`{,"a":1,,"b":[1,2,],}`, `{"a":1,"b":[1,2]}`, "a comma too many"},
		{`{"a":1 "b":2}`, `{"a":1,"b":2}`, "a missing comma"},
		{`{a: 1, $b_2: 'it\'s "x"'}`, `{"a":1,"$b_2":"it's \"x\""}`, "a key without quotes, single quotes, an escaped single quote"},
		{`{'a': True, 'b': None, 'c': False}`, `{"a":true,"b":null,"c":false}`, "single quotes, a word of Python"},
		{"```json\n{\"a\":1}\n```", `{"a":1}`, "a code fence"},
		{"```\n{\"a\":1,}```", `{"a":1}`, "a code fence, a comma too many"},
		{`{"a":1}}`, `{"a":1}`, "a bracket too many"},
		{`{"a":[1,{"b":"c"}`, `{"a":[1,{"b":"c"}]}`, "a missing bracket"},
		{"{\"a\":\"x\ny\tz\"}", `{"a":"x\ny\tz"}`, "a line break or tab in a string"},
		{`{"a":"\d+\.go"}`, `{"a":"\\d+\\.go"}`, "a backslash that is no escape"},
		{`{"a":"\u00e9\u12"}`, `{"a":"\u00e9\\u12"}`, "a backslash that is no escape"},
		{"{\"a\":1 // one\n,/* two */\"b\":2}", `{"a":1,"b":2}`, "a comment"},
		{`{"a":.5,"b":+1,"c":5.,"d":-.5}`, `{"a":0.5,"b":1,"c":5,"d":-0.5}`, "a number of another language"},
		{`{}{"a":1}`, `{"a":1}`, "two objects"},
		{`{"a":1}{"a":1}`, `{"a":1}`, "two objects"},
		{`"{\"a\":\"b\"}"`, `{"a":"b"}`, "JSON in a string"},
		{"\ufeff{\"a\":1,}", `{"a":1}`, "a comma too many"},

		// What cannot be known is not guessed.
		{`{"command":"rm -rf /tmp/x`, "", ""},
		{`{"command":"ls","timeout":12`, "", ""},
		{`{"command":"ls",`, "", ""},
		{`{"command":`, "", ""},
		{`{`, "", ""},
		{`{"command":"echo "hi" there"}`, "", ""},
		{`{"a":1}{"b":2}`, "", ""},
		{`{"a":[1}`, "", ""},
		{`{"a":undefined}`, "", ""},
		{`{"a":1-2}`, "", ""},
		{`[1,2,]`, "", ""},
		{`ls -l`, "", ""},
		{`"text"`, "", ""},
		{"{\"a\":\"\xff\",}", "", ""},
		{``, "", ""},
		{strings.Repeat(`{"a":`, 5000), "", ""},
	} {
		got, ok := repair(c.in)
		if got.json != c.want || ok != (c.want != "") || strings.Join(got.faults, ", ") != c.faults {
			t.Errorf("repair(%.80q)\n got %s, %v, %q\nwant %s, %q", c.in, got.json, ok, got.faults, c.want, c.faults)
		}
	}
}

// FuzzRepair: out comes a JSON object or nothing, and a right object comes out with the same meaning.
func FuzzRepair(f *testing.F) {
	for _, seed := range []string{`{"a":1,}`, `{a:'b'}`, "```json\n{}```", `{"a":"\d"}`, `{}{"a":[1,2`, `"{\"a\":1}"`, `{"a":-.5e3 /* x */}`, "{'\\u00e9':\"\x01\"}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, ok := repair(in)
		if !ok {
			if got.json != "" {
				t.Fatalf("%q: not repaired, but %q", in, got.json)
			}
			return
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(got.json), &object); err != nil {
			t.Fatalf("%q became %q: %v", in, got.json, err)
		}
		again, ok := repair(got.json)
		if !ok || again.json != got.json && len(again.faults) > 0 {
			t.Fatalf("%q became %q, and that %q with %q", in, got.json, again.json, again.faults)
		}
	})
}

// FuzzThinkTags: wherever a text is cut into pieces, the same thinking and the same text come out, and without tags nothing
// is lost.
func FuzzThinkTags(f *testing.F) {
	f.Add("<think>a</think>b", uint64(0x5555), true)
	f.Add("a <think>\n b</thi</think>\n\nc<think>", uint64(7), true)
	f.Add("a`<think>`<th", uint64(0xffff), false)
	f.Add(" \n<think> </think>", uint64(3), false)
	f.Fuzz(func(t *testing.T, text string, cuts uint64, anywhere bool) {
		tags := thinkTags{open: "<think>", close: "</think>", anywhere: anywhere, kind: "k"}
		thought, said := split(t, tags, []string{text})
		var pieces []string
		from := 0
		for i := range text {
			if i > from && cuts>>(i%64)&1 == 1 {
				pieces = append(pieces, text[from:i])
				from = i
			}
		}
		pieces = append(pieces, text[from:])
		if thought2, said2 := split(t, tags, pieces); thought2 != thought || said2 != said {
			t.Fatalf("%q in pieces %q: thinking %q, text %q; whole: %q, %q", text, pieces, thought2, said2, thought, said)
		}
		if !strings.Contains(text, "<think>") && (said != text || thought != "") {
			t.Fatalf("%q became thinking %q, text %q", text, thought, said)
		}
	})
}

func split(t *testing.T, tags thinkTags, pieces []string) (thought, said string) {
	t.Helper()
	signed := 0
	for e := range tags.reply(func(yield func(anthropic.Event, error) bool) {
		for _, p := range pieces {
			if !yield(anthropic.Event{Kind: anthropic.Text, Text: p}, nil) {
				return
			}
		}
		yield(anthropic.Event{Kind: anthropic.Stop, Text: "end_turn"}, nil)
	}) {
		switch e.Kind {
		case anthropic.Thinking:
			thought += e.Text
		case anthropic.Text:
			said += e.Text
		case anthropic.Signature:
			signed++
		}
	}
	if (thought != "") != (signed == 1) {
		t.Fatalf("%q: thinking %q with %d signatures", pieces, thought, signed)
	}
	return thought, said
}

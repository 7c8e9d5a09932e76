package dialect

import (
	"net/http"
	"slices"
)

// leastAnswer is how many tokens a window must leave for it to be worth asking: where it leaves less, the provider shall say
// that the prompt does not fit, so that the client makes it shorter.
const leastAnswer = 1024

// longest is the longest answer to ask for, in tokens: what the client asks for, within what is known of the model, of the
// provider (most), and of the room that the prompt leaves. The prompt's length is an estimate by another model's tokenizer,
// so a sixteenth of it is added. 0: nothing is known.
func (o Options) longest(asked, most int64) int64 {
	n := asked
	lower := func(m int64) {
		if m > 0 && (n > m || n == 0) {
			n = m
		}
	}
	lower(most)
	lower(o.Limits.MaxOutput)
	for _, l := range o.Lessons {
		lower(l.MaxOutput)
	}
	if left := o.Limits.Window - o.Prompt - o.Prompt/16; o.Limits.Window > 0 && o.Prompt > 0 && left >= leastAnswer && n > left {
		n = left
	}
	return n
}

// refused tells whether the provider does not take a parameter for the model.
func (o Options) refused(parameter string) bool {
	return slices.ContainsFunc(o.Lessons, func(l Lesson) bool { return l.Drop == parameter })
}

// header says what is sent, and which form of reply is wanted.
func (o Options) header() http.Header {
	accept := "text/event-stream"
	if o.Whole {
		accept = "application/json"
	}
	return http.Header{"Content-Type": {"application/json"}, "Accept": {accept}}
}

// Package tokens tells how long a prompt is.
//
// New makes a Counter; Count is the length of a request in tokens of cl100k_base: exact for no provider, near enough for a
// route and for a client that asks. AtMost and AtLeast bound what Count would say and cost next to nothing.
//
// The vocabulary is embedded. It is loaded when something is counted for the first time, and takes 12 MB then. What was
// counted is remembered per block, in bounded memory, so that a conversation that grew by one message costs one message.
// Counting is linear in the length of any text, and no lock is held meanwhile: one request's long text makes no other
// request wait.
//
// What a provider adds of its own (a prompt for tools, a chat template) is not counted, but for some tokens per message and
// tool. Special tokens such as <|endoftext|> are ordinary text.
package tokens

import (
	"hash/maphash"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// Tokens for the marks that a provider puts around things.
const (
	perRequest = 3
	perMessage = 4
	perTool    = 8
)

// longestToken is the length of the longest token of cl100k_base in bytes: 128 spaces.
const longestToken = 128

// Counter counts prompts. It may be used by several goroutines.
type Counter struct {
	seed  maphash.Seed
	seen  memory
	words *words
}

// New makes a Counter. The vocabulary is not loaded yet.
func New() *Counter { return &Counter{seed: maphash.MakeSeed(), words: newWords()} }

// Count is how many tokens the prompt has: system, tools, messages, with images and documents by their
// size.
func (c *Counter) Count(req *anthropic.Request) int {
	n := 0
	walk(req, func(p part) {
		switch p.kind {
		case text, verbatim:
			n += c.remembered(p)
		default:
			n += p.fixed()
		}
	})
	return n
}

// AtMost is a number that Count does not exceed.
func (c *Counter) AtMost(req *anthropic.Request) int {
	n := 0
	walk(req, func(p part) {
		switch p.kind {
		case text, verbatim:
			_, high := Bound(len(p.raw))
			n += high
		case image:
			n += maxImage
		default:
			n += p.fixed()
		}
	})
	return n
}

// AtLeast is a number that Count does not fall below.
func (c *Counter) AtLeast(req *anthropic.Request) int {
	n := 0
	walk(req, func(p part) {
		switch p.kind {
		case text:
			low, _ := Bound(unescaped(p.raw))
			n += low
		case verbatim:
			low, _ := Bound(len(p.raw))
			n += low
		case image:
			n++
		default:
			n += p.fixed()
		}
	})
	return n
}

// Bound is how few and how many tokens a text of so many bytes of UTF-8 can have.
func Bound(bytes int) (low, high int) {
	return (bytes + longestToken - 1) / longestToken, bytes
}

// remembered counts a text, or knows it from before.
func (c *Counter) remembered(p part) int {
	if p.raw == "" {
		return 0
	}
	k := key{maphash.String(c.seed, p.raw), len(p.raw), p.kind}
	if n, ok := c.seen.get(k); ok {
		return n
	}
	s := p.raw
	if p.kind == text {
		s = anthropic.Raw(s).Text()
	}
	n := c.words.count(s)
	c.seen.put(k, n)
	return n
}

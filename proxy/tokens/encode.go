package tokens

import (
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/pkoukk/tiktoken-go"
	loader "github.com/pkoukk/tiktoken-go-loader"
)

// vocabulary is loaded once for the whole process, when it is first needed, and then only read.
var vocabulary = sync.OnceValue(load)

// load makes an encoder of one word. That is why its pattern takes anything as one: the real one, of a backtracking regular
// expression, costs more than the encoding, and wordEnd does its work.
func load() *tiktoken.Tiktoken {
	ranks, err := loader.NewOfflineLoader().LoadTiktokenBpe("cl100k_base.tiktoken")
	if err != nil {
		panic(fmt.Sprintf("loading the embedded vocabulary: %v", err))
	}
	bpe, err := tiktoken.NewCoreBPE(ranks, nil, `(?s).+`)
	if err != nil {
		panic(fmt.Sprintf("preparing the embedded vocabulary: %v", err))
	}
	return tiktoken.NewTiktoken(bpe, nil, nil)
}

// maxWord is how long a word may be, in bytes. The encoder is quadratic in it, so that a longer one is cut; at a cut the
// count may be one token too high.
const maxWord = 128

// words remembers how many tokens a word has. Words repeat, and a look-up takes a hundredth of the encoder's time. A slot
// holds 56 bits of a word's hash and its count; a word that meets another in its slot takes the place.
type words struct {
	seed  maphash.Seed
	slots []atomic.Uint64
}

func newWords() *words {
	return &words{seed: maphash.MakeSeed(), slots: make([]atomic.Uint64, 1<<16)}
}

// count is the number of tokens of s.
func (w *words) count(s string) int {
	enc, n := vocabulary(), 0
	for s != "" {
		word := s[:wordEnd(s)]
		s = s[len(word):]
		if len(word) == 1 {
			n++ // every byte is a token
			continue
		}
		h := maphash.String(w.seed, word)
		slot := &w.slots[h>>8%uint64(len(w.slots))]
		if known := slot.Load(); known>>8 == h>>8 && known != 0 {
			n += int(known & 0xff)
			continue
		}
		tokens := len(enc.EncodeOrdinary(word))
		slot.Store(h&^0xff | uint64(tokens))
		n += tokens
	}
	return n
}

package tokens

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/pkoukk/tiktoken-go"
	loader "github.com/pkoukk/tiktoken-go-loader"
)

// reference is the encoder with its own pattern.
func reference(t testing.TB) *tiktoken.Tiktoken {
	t.Helper()
	enc, err := loadReference()
	if err != nil {
		t.Fatal(err)
	}
	return enc
}

var loadReference = sync.OnceValues(func() (*tiktoken.Tiktoken, error) {
	tiktoken.SetBpeLoader(loader.NewOfflineLoader())
	return tiktoken.GetEncoding(tiktoken.MODEL_CL100K_BASE)
})

// What OpenAI's documentation gives for cl100k_base, and texts at the edges of the pattern.
func TestKnownCounts(t *testing.T) {
	for s, want := range map[string]int{
		"":                             0,
		"hello world":                  2,
		"tiktoken is great!":           6,
		"antidisestablishmentarianism": 6,
		"2 + 2 = 4":                    7,
		"お誕生日おめでとう":                    9,
	} {
		if got := newWords().count(s); got != want {
			t.Errorf("%q: %d tokens, want %d", s, got, want)
		}
	}
}

// A special token in a text is text: it is counted as what is written, never as one token, and never an error.
func TestSpecialTokensAreText(t *testing.T) {
	for _, s := range []string{"<|endoftext|>", "<|fim_prefix|>", "<|endofprompt|>", "a<|endoftext|>b"} {
		if got := newWords().count(s); got < 5 {
			t.Errorf("%q: %d tokens", s, got)
		}
	}
}

var texts = []string{
	"don't we'll I'M 'tis they'Re 'x '", "a  b   c \n\n  d\t\te \r\n f  ", "   ", "\n", " \n \n x", "x   ", "12345 1234.5e10 ½ ²³", "-- a -- b\n\n--", "!!!\n\n\nfoo",
	"naïve café ΑΒΓ привет 漢字仮名 한국어 हिन्दी", "👨‍👩‍👧 flags 🇩🇪!", "\u00a0 \u3000 x\u2028y", "\x00\x01\x7f", "bad \xff\xfe utf", "if err != nil {\n\t\treturn fmt.Errorf(\"a: %w\", err)\n\t}\n",
	`{"a":[1,2,{"b":null}],"c":"d\n"}`, "'ſ", "a'", "'", "\r\r\n \n", " 'll", "\t'll", "https://example.com/a?b=c&d=e#f",
}

// Words are what the encoder would cut a text into, so that their counts add up to its count.
func TestWordsAddUp(t *testing.T) {
	all := append([]string(nil), texts...)
	for _, file := range []string{"word.go", "word_test.go", "../route/testdata/requests/main.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	for _, s := range all {
		if got, want := newWords().count(s), len(reference(t).EncodeOrdinary(s)); got != want {
			t.Errorf("%.40q: %d tokens, want %d", s, got, want)
		}
	}
}

// A long run is cut, and each cut costs at most one token.
func TestLongRuns(t *testing.T) {
	for _, unit := range []string{"a", "q", "A", " ", "\n", "\t", " \n", "-", "=", "!", "😀", "漢", "é", "ñandú", "\u00a0", "qxzj", "*/"} {
		s := strings.Repeat(unit, 4000/len(unit))
		got, want := newWords().count(s), len(reference(t).EncodeOrdinary(s))
		if cuts := len(s)/(maxWord-utf8Max) + 1; got < want || got > want+cuts {
			t.Errorf("%q repeated: %d tokens, want %d and at most %d more", unit, got, want, cuts)
		}
	}
}

const utf8Max = 4

// Every word has at least one byte and is no longer than the limit; a cut is never inside of a character.
func FuzzWords(f *testing.F) {
	for _, s := range texts {
		f.Add(s)
	}
	f.Add(strings.Repeat("漢", 100))
	f.Fuzz(func(t *testing.T, s string) {
		cut := false
		for rest := s; rest != ""; {
			n := wordEnd(rest)
			if n < 1 || n > maxWord {
				t.Fatalf("a word of %d bytes at %.20q", n, rest)
			}
			cut = cut || n > maxWord-utf8Max
			rest = rest[n:]
		}
		got, want := newWords().count(s), len(reference(t).EncodeOrdinary(s))
		if got < want || !cut && got != want && !strings.Contains(s, "ſ") {
			t.Errorf("%q: %d tokens, want %d", s, got, want)
		}
	})
}

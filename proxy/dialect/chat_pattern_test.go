package dialect

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzLiteral: a literal is read as encoding/json reads it, or not at all.
func FuzzLiteral(f *testing.F) {
	for _, seed := range []string{"", "plain", `a\nb\"c\\d\/`, `\u00e9 \ud83d\ude00 \ud83d`, `\x`, `\`, `a"b`, "a\nb", `\"`, "é", `\u12`, `a\\"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, inner string) {
		quoted := `"` + inner + `"`
		got, _, ok := literal([]byte(quoted), []byte("what was read before"))
		var want string
		err := json.Unmarshal([]byte(quoted), &want)
		if ok != (err == nil) {
			t.Fatalf("%s: %q, %v; encoding/json: %v", quoted, got, ok, err)
		}
		if ok && strings.ToValidUTF8(got, "\ufffd") != want && strings.ToValidUTF8(inner, "") == inner && !strings.Contains(strings.ToLower(inner), `\ud`) {
			t.Fatalf("%s: %q; encoding/json: %q", quoted, got, want)
		}
	})
}

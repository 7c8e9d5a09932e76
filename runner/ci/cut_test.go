package ci

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCut(t *testing.T) {
	table := "## Bill\n\n| model | cost |\n|---|---|\n" + strings.Repeat("| deepseek-chat | $0.01 |\n", 40)
	for _, c := range []struct {
		name, text string
		limit      int
		want       string
	}{
		{"fits", table, len(table), table},
		{"no room for a word", table, 20, ""},
		{"table", table, 150, "## Bill\n\n| model | cost |\n|---|---|\n" + strings.Repeat("| deepseek-chat | $0.01 |\n", 2) + "\n_Cut here: 88 of 1076 bytes are shown._\n"},
		{"one long line", strings.Repeat("x", 500), 100, "\n_Cut here: 0 of 500 bytes are shown._\n"},
		{"code", "````text\n" + strings.Repeat("é", 400) + "\n````\n", 100, "````text\n" + strings.Repeat("é", 22) + "\n````\n\n_Cut here: 54 of 815 bytes are shown._\n"},
		{"code line that looks like its end", "~~~\n" + strings.Repeat("~", 400) + "x\n~~~\n", 100, "~~~\n~~~\n\n_Cut here: 4 of 410 bytes are shown._\n"},
		{"details", "<details><summary>s</summary>\n\n" + strings.Repeat("- item\n", 100) + "</details>\n", 110,
			"<details><summary>s</summary>\n\n" + strings.Repeat("- item\n", 3) + "\n</details>\n\n_Cut here: 52 of 742 bytes are shown._\n"},
		{"details in code are text", "```\n<details>\n" + strings.Repeat("- item\n", 100) + "```\n", 80,
			"```\n<details>\n- item\n- item\n- item\n```\n\n_Cut here: 35 of 718 bytes are shown._\n"},
	} {
		got := Cut(c.text, c.limit)
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if len(got) > c.limit {
			t.Errorf("%s: %d bytes of %d", c.name, len(got), c.limit)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("| a |\n|---|\n| b |\n", 40)
	f.Add("```go\nfunc main() {}\n``` \n~~~\n```\n", 60)
	f.Add("<details>\n<DETAILS></details>\nééé\n", 70)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit &= 0x1ff
		got := Cut(text, limit)
		if len(got) > limit {
			t.Fatalf("%d bytes of %d", len(got), limit)
		}
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Fatalf("a character was cut: %q", got)
		}
		if len(text) <= limit && got != text {
			t.Fatalf("changed what fits: %q", got)
		}
		var end scan // nothing that was opened may stay open, or it would swallow what follows
		for line := range strings.SplitAfterSeq(got, "\n") {
			end.read(line)
		}
		if len(text) > limit && got != "" && end != (scan{}) {
			t.Fatalf("left open: %+v in %q", end, got)
		}
	})
}

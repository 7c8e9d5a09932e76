package dialect_test

import (
	"bytes"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/dialect/dialecttest"
)

func TestChat(t *testing.T) {
	dialecttest.Run(t, dialecttest.Suite{
		Dir:        "testdata/chat",
		New:        selected,
		ErrorFrame: "data: {\"error\":{\"message\":\"slow down\",\"code\":429}}\n\n",
		Opaque:     []string{"arguments", "reasoning_details"},
	})
}

func selected(s dialecttest.Spec) (dialect.Dialect, error) {
	uses, err := s.Uses()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	row, err := dialect.Select(s.Row, u.Host, uses)
	return row.Dialect, err
}

// A chunk that repeats the one before but for its text is not read again. A reply whose chunks all differ, by a number in
// each, must say the same.
func TestChatRepeatedChunks(t *testing.T) {
	files, err := filepath.Glob("testdata/chat/stream-*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, file := range files {
		f, err := dialecttest.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(f.Body), "\n")
		for i, line := range lines {
			if rest, ok := strings.CutPrefix(line, "data: {"); ok {
				lines[i] = fmt.Sprintf(`data: {"x_number":%d,%s`, i, rest)
			}
		}
		got, want := events(t, f, strings.Join(lines, "\n")), events(t, f, string(f.Body))
		if !slices.Equal(got, want) {
			t.Errorf("%s: all chunks read:\n%s\nas it is:\n%s", file, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func events(t *testing.T, f *dialecttest.Fixture, body string) []string {
	d, err := selected(f.Spec)
	if err != nil {
		t.Fatal(err)
	}
	req, err := anthropic.Parse([]byte(f.Request.Body()))
	if err != nil {
		t.Fatal(err)
	}
	call, err := d.Encode(req, dialect.Options{Model: "m", NewID: func(p string) string { return p + "1" }})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for e, err := range call.Decode(dialect.Reply{Status: f.Status, Header: f.Header, Body: bytes.NewReader([]byte(body))}) {
		if err != nil {
			break // its words may quote the chunk
		}
		out = append(out, dialecttest.Line(e))
	}
	return out
}

package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// keptRunes is how much of a long text stays: enough to tell by it what the request is.
const keptRunes = 100

// notices are lines inside of long texts that stay, too.
var notices = regexp.MustCompile(`(?m)^(Plan mode is active\.|## Exited Plan Mode)`)

var replacements = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "00000000-0000-4000-8000-000000000000"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), strings.Repeat("0", 64)},
	{regexp.MustCompile(`^a[0-9a-f]{16}$`), "a0000000000000000"},
	{regexp.MustCompile(`cc_version=[0-9a-f.]+`), "cc_version=2.1.330.000"},
	{regexp.MustCompile(`https://127\.0\.0\.1:\d+`), "https://example.com"},
}

// tidy makes the fixture of one request: {"header":{…},"body":{…}}.
func tidy(r seen) ([]byte, error) {
	doc := jsontext.Value(`{"header":` + headers(r.header) + `,"body":` + r.body + `}`)
	var out bytes.Buffer
	enc := jsontext.NewEncoder(&out, jsontext.WithIndent(" "))
	dec := jsontext.NewDecoder(bytes.NewReader(doc))
	for {
		t, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return out.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		if t.Kind() == '"' {
			t = jsontext.String(short(t.String()))
		}
		if err := enc.WriteToken(t); err != nil {
			return nil, err
		}
	}
}

func headers(h http.Header) string {
	var out []string
	for _, name := range []string{"X-Claude-Code-Session-Id", "X-Claude-Code-Request-Class", "X-Claude-Code-Agent-Id", "X-Claude-Code-Agent-Type", "X-Claude-Code-Compaction"} {
		if v := h.Get(name); v != "" {
			out = append(out, `"`+name+`":"`+v+`"`)
		}
	}
	return "{" + strings.Join(out, ",") + "}"
}

func short(s string) string {
	for _, r := range replacements {
		s = r.pattern.ReplaceAllString(s, r.with)
	}
	if s == pixel || utf8.RuneCountInString(s) <= keptRunes || strings.HasPrefix(s, `{"device_id"`) {
		return s
	}
	head := string([]rune(s)[:keptRunes])
	cut := head + " …"
	for _, line := range notices.FindAllString(s[len(head):], -1) {
		cut += "\n\n" + line + " …"
	}
	return cut
}

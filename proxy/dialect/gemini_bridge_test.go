package dialect

import (
	"strings"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// NewGemini makes the dialect of a row as Select does: for the tests of this folder alone.
func NewGemini(row string, use []Use) (Dialect, error) {
	q := geminiRow
	if row == vertexRow.name {
		q = vertexRow
	}
	var at vertexPlace
	for _, u := range use {
		var err error
		if change := changes[strings.ToLower(u.Name)]; change != nil {
			err = change(&q, u.Options)
		} else {
			err = at.options(&q, u.Options)
		}
		if err != nil {
			return nil, err
		}
	}
	return newGemini(q, at), nil
}

// GeminiParameters is what a tool's schema is sent as; "" where the function has no parameters.
func GeminiParameters(schema string) string {
	b, ok := geminiParameters(nil, anthropic.Raw(schema))
	if !ok {
		return ""
	}
	return string(b)
}

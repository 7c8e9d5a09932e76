package dialect_test

import (
	"testing"

	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/dialect/dialecttest"
)

func TestGemini(t *testing.T) {
	dialecttest.Run(t, dialecttest.Suite{
		Dir:        "testdata/gemini",
		New:        geminiOf,
		ErrorFrame: "data: {\"error\":{\"code\":429,\"message\":\"Resource exhausted.\",\"status\":\"RESOURCE_EXHAUSTED\"}}\n\n",
		Opaque:     []string{"args", "toolCall", "toolResponse"},
	})
}

func geminiOf(s dialecttest.Spec) (dialect.Dialect, error) {
	uses, err := s.Uses()
	if err != nil {
		return nil, err
	}
	return dialect.NewGemini(s.Row, uses)
}

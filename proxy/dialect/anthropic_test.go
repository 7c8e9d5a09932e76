package dialect_test

import (
	"testing"

	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/dialect/dialecttest"
)

func TestAnthropic(t *testing.T) {
	dialecttest.Run(t, dialecttest.Suite{
		Dir: "testdata/anthropic",
		New: func(dialecttest.Spec) (dialect.Dialect, error) {
			row, err := dialect.Select("anthropic", "", nil)
			return row.Dialect, err
		},
		ErrorFrame: "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
		Opaque:     []string{"input"},
	})
}

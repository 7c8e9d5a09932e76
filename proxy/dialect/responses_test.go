package dialect_test

import (
	"net/url"
	"testing"

	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/dialect/dialecttest"
)

func TestResponses(t *testing.T) {
	dialecttest.Run(t, dialecttest.Suite{
		Dir:        "testdata/responses",
		New:        selectedResponses,
		ErrorFrame: "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"slow down\",\"param\":null,\"sequence_number\":9}\n\n",
		Opaque:     []string{"arguments"},
	})
}

func selectedResponses(s dialecttest.Spec) (dialect.Dialect, error) {
	uses, err := s.Uses()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	return selectResponses(s.Row, u.Host, uses)
}

func selectResponses(provider, host string, uses []dialect.Use) (dialect.Dialect, error) {
	row, err := dialect.Select(provider, host, append(uses, dialect.Use{Name: "openai-responses"}))
	return row.Dialect, err
}

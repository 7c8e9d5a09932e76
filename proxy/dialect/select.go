package dialect

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
)

// A Row is what Select finds for a provider: its language, and how it is spoken to.
type Row struct {
	Name     string
	Dialect  Dialect
	Auth     string      // how a key is sent: "bearer", or the name of a header: "x-api-key", "api-key"
	Header   http.Header // sent with every call
	Warnings []error     // of transformer.use: each a *TransformerError
}

// TransformerError is a transformer of claude-code-router that is known here and does nothing. As Select's error it means
// that nothing works without it; in Row.Warnings, that requests and replies go without its change.
type TransformerError struct{ Name, Why string }

func (e *TransformerError) Error() string {
	return fmt.Sprintf("transformer %q has no effect: %s", e.Name, e.Why)
}

// Select finds the row of a provider: by the dialect that use names, else by the provider's name, else by the host of its
// URL, else it is a plain server of OpenAI's API. The other names in use change the row's requests, in order.
func Select(provider, host string, use []Use) (Row, error) {
	row, err := find(provider, host, use)
	if err != nil {
		return Row{}, err
	}
	s := selection{row: row, Row: Row{Name: row.name, Auth: "bearer", Header: row.header()}}
	if row.auth != "" {
		s.Auth = row.auth
	}
	for _, u := range use {
		if err := s.apply(strings.ToLower(u.Name), u); err != nil {
			return Row{}, fmt.Errorf("transformer %q: %w", u.Name, err)
		}
	}
	switch {
	case asksResponses(use) && s.native():
		return Row{}, errors.New("transformer \"openai-responses\": an Anthropic upstream does not speak the Responses API")
	case asksResponses(use):
		s.Dialect = newResponses(s.row, cmp.Or(provider, host))
	case !s.native():
		s.Dialect = chat{s.row}
	case s.row.maxOutput > 0:
		s.Dialect = capped{maxOutput: s.row.maxOutput}
	default:
		s.Dialect = native{}
	}
	return s.Row, nil
}

type selection struct {
	Row
	row quirks
}

func (s *selection) native() bool { return s.row.name == anthropicRow.name }

func (s *selection) apply(name string, u Use) error {
	change, why := changes[name], laterChanges[name]
	own := byName(name)
	switch {
	case change != nil && s.native() && name != "maxtoken":
		why = "an Anthropic upstream is sent the client's own request"
	case change != nil:
		return change(&s.row, u.Options)
	case slices.Contains(responsesNames, name):
		return s.row.options(u.Options)
	case own != nil && own.name != s.row.name && name != openaiName:
		why = "the provider speaks the dialect " + s.row.name
	case own != nil && s.native():
		if on, _ := u.Options["UseBearer"].(bool); on {
			s.Auth = "bearer"
		}
	case own != nil:
		return s.row.options(u.Options)
	}
	if why != "" {
		s.Warnings = append(s.Warnings, &TransformerError{u.Name, why})
	}
	return nil
}

// openaiName is the transformer by which a config says "nothing to convert": it does not mean that OpenAI is behind it.
const openaiName = "openai"

// anthropicRow stands for all upstreams that speak the client's own language.
var anthropicRow = quirks{name: "anthropic", names: []string{"claude"}, hosts: []string{"api.anthropic.com"}, auth: "x-api-key"}

func find(provider, host string, use []Use) (quirks, error) {
	var row *quirks
	for _, u := range use {
		name := strings.ToLower(u.Name)
		found := byName(name)
		switch {
		case found != nil:
			if row == nil && name != openaiName {
				row = found
			}
		case laterDialects[name]:
			return quirks{}, &TransformerError{u.Name, "its dialect is not built in yet"}
		case changes[name] == nil && laterChanges[name] == "" && !slices.Contains(responsesNames, name):
			return quirks{}, fmt.Errorf("transformer %q is not known: known are %s", u.Name, strings.Join(Names(), ", "))
		}
	}
	if row == nil {
		row = byName(strings.ToLower(provider))
	}
	if row == nil {
		row = byHost(strings.ToLower(host))
	}
	if row == nil {
		row = &plain
	}
	return *row, nil
}

func byName(name string) *quirks {
	if is(&anthropicRow, name) {
		return &anthropicRow
	}
	if is(&plain, name) {
		return &plain
	}
	for i := range table {
		if is(&table[i], name) {
			return &table[i]
		}
	}
	return nil
}

func is(q *quirks, name string) bool {
	return name != "" && (q.name == name || slices.Contains(q.names, name))
}

func byHost(host string) *quirks {
	if serves(&anthropicRow, host) {
		return &anthropicRow
	}
	for i := range table {
		if serves(&table[i], host) {
			return &table[i]
		}
	}
	return nil
}

func serves(q *quirks, host string) bool {
	bare := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		bare = h
	}
	for _, end := range q.hosts {
		switch {
		case end[0] == ':' && strings.HasSuffix(host, end),
			end[0] == '.' && strings.HasSuffix(bare, end),
			bare == end || strings.HasSuffix(bare, "."+end):
			return true
		}
	}
	return false
}

// Names are the transformers that a config may use, sorted.
func Names() []string {
	out := slices.Collect(maps.Keys(changes))
	out = append(out, anthropicRow.name, plain.name)
	out = append(out, responsesNames...)
	for i := range table {
		out = append(out, table[i].name)
	}
	slices.Sort(out)
	return out
}

// header tells OpenRouter who calls, as it asks of programs.
func (q *quirks) header() http.Header {
	if q.name != "openrouter" {
		return nil
	}
	return http.Header{"Http-Referer": {"https://github.com/ccrun/ccrun"}, "X-Title": {"ccrun"}}
}

// asksResponses tells whether a config asks for the Responses API; the row is the provider's all the same.
func asksResponses(use []Use) bool {
	return slices.ContainsFunc(use, func(u Use) bool { return slices.Contains(responsesNames, strings.ToLower(u.Name)) })
}

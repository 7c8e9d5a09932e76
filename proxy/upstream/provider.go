// Package upstream is how a provider is reached: its URL, its credentials, a connection that is kept, and a deadline for silence.
//
// A Pool holds one HTTP/2-capable transport per provider. Do sends a dialect's call and returns the reply whatever its
// status; an error is always an *anthropic.Error that says which provider could not be reached, and why, without its key.
package upstream

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/ccrun/ccrun/proxy/dialect"
)

// Provider is a place that serves models.
type Provider struct {
	Name    string
	BaseURL string      // with or without the path of the endpoint
	Keys    []string    // secrets; the first is used
	Auth    string      // how a key is sent: a scheme of auth.go, or the name of a header such as "x-api-key"
	Header  http.Header // sent with every call
	Proxy   string      // a proxy's URL; "": the environment's
}

// Endpoint joins a base URL and the path of a call. Whatever end of the base is a start of the path stands there once, so
// that "https://host/v1", "https://host/v1/" and "https://host/v1/chat/completions" are one provider. A host alone stands for
// its version 1, which is what servers of these APIs are called everywhere.
func Endpoint(base, path string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	have := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	want := strings.Split(strings.Trim(path, "/"), "/")
	if have[0] == "" {
		have = nil
		if !whole.MatchString(want[0]) {
			have = []string{"v1"}
		}
	}
	n := min(len(have), len(want))
	for n > 0 && !equal(have[len(have)-n:], want[:n]) {
		n--
	}
	// RawPath keeps what the dialect escaped, such as a slash inside a model's name.
	raw := "/" + strings.Join(append(have, want[n:]...), "/")
	if u.Path, err = url.PathUnescape(raw); err != nil {
		return "", err
	}
	u.RawPath = raw
	return u.String(), nil
}

// whole is how paths begin that stand on a host as they are: a version, Azure's deployments, Bedrock's models.
var whole = regexp.MustCompile(`^(v[0-9].*|openai|model)$`)

func equal(a, b []string) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (p *Provider) request(call *dialect.Call) (*http.Request, error) {
	target, err := Endpoint(p.BaseURL, call.Path)
	if err != nil {
		return nil, err
	}
	if call.Query != "" {
		sep := "?"
		if strings.Contains(target, "?") {
			sep = "&"
		}
		target += sep + call.Query
	}
	method := call.Method
	if method == "" {
		method = http.MethodPost
	}
	r, err := http.NewRequest(method, target, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range call.Header {
		r.Header[k] = v
	}
	for k, v := range p.Header {
		r.Header[k] = v
	}
	if r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

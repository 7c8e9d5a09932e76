package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy"
	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/upstream"
)

// A model's transformers come behind those of its provider, and are no other model's.
func TestTransformersOfAModel(t *testing.T) {
	up := &picky{refuse: func(*http.Request, string) string { return "" }}
	provider := serveQuietly(t, up)
	w := newWorld(t, up.ServeHTTP, worldOptions{providers: []proxy.Provider{{
		Provider: upstream.Provider{Name: "two", BaseURL: provider.URL + "/v1/chat/completions", Keys: []string{upstreamKey}},
		Use:      []dialect.Use{{Name: "maxtoken", Options: map[string]any{"max_tokens": 50.0}}},
		ModelUse: map[string][]dialect.Use{"talker": {{Name: "tooluse"}}},
		Models:   []string{"m", "talker"},
	}}})
	for model, want := range map[string]string{"m": "Read", "talker": "Read ExitTool"} {
		body := strings.Replace(request("two,"+model, true), `"stream"`, `"tools":[{"name":"Read","input_schema":{"type":"object","properties":{}}}],"stream"`, 1)
		if a := w.ask("POST", "/v1/messages", body); a.status != 200 {
			t.Fatalf("%s: %d %s", model, a.status, a.body)
		}
		sent := up.bodies[len(up.bodies)-1]
		var names []string
		for _, n := range gjson.Get(sent, "tools.#.function.name").Array() {
			names = append(names, n.Str)
		}
		if strings.Join(names, " ") != want || gjson.Get(sent, "max_tokens").Int() != 50 {
			t.Errorf("%s is sent %s", model, sent)
		}
	}
}

package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/upstream"
)

func TestKnownProvidersInAFile(t *testing.T) {
	c := load(t, file(t, "c.yaml", `
Providers:
  - {name: mine, api_base_url: "https://api.deepseek.com/v1"}
  - {name: vllm, api_base_url: "http://gpu.example.com:8000/v1", limits: {1: {images: "false"}}}
Router: {default: "mine,a", think: "vllm,1", image: "openrouter,b"}
`, vars{"DEEPSEEK_API_KEY": "key-of-deepseek", "OPENROUTER_API_KEY": "key-of-openrouter"}))
	equal(t, "key by host", c.Providers[0].Upstream.Keys, []string{"key-of-deepseek"})
	equal(t, "no key is needed", c.Providers[1].Upstream.Auth, "none")
	equal(t, "a number as a model's name", c.Providers[1].Limits, map[string]dialect.Limits{"1": {Blind: true}})
	equal(t, "without an entry", c.Providers[2].Upstream, upstream.Provider{Name: "openrouter", BaseURL: "https://openrouter.ai/api/v1", Keys: []string{"key-of-openrouter"}})
}

func TestCheckUse(t *testing.T) {
	content := `{Providers: [
		{name: "a", api_base_url: "http://127.0.0.1:1/v1", transformer: {use: ["one"], m: {use: ["bad"]}}},
		{name: "b", api_base_url: "http://127.0.0.1:2/v1", transformer: {use: ["bad"]}}, {name: "ollama"}], Router: {default: "a,m", think: "%s,x"}}`
	check := func(name, host string, use []dialect.Use) (idle []error, err error) {
		for _, u := range use {
			switch u.Name {
			case "one":
				idle = append(idle, errors.New("one does nothing"))
			case "bad", "gemini":
				err = fmt.Errorf("%s at %s does not know %v", name, host, use)
			}
		}
		return idle, err
	}
	o := file(t, "c.json", strings.Replace(content, "%s", "ollama", 1), nil)
	o.CheckUse = check
	_, err := Load(o)
	if want := "config " + o.Path + ": Providers[0].transformer.m: a at 127.0.0.1:1/v1 does not know [{one map[]} {bad map[]}]" +
		"\n  warning: Providers[0].transformer: one does nothing" +
		"\n  warning: Providers[1].transformer: b at 127.0.0.1:2/v1 does not know [{bad map[]}]; no route uses b"; err == nil || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
	o.Model = "ollama,x"
	c := load(t, o)
	equal(t, "warnings", warnings(c), []string{
		"Providers[0].transformer: one does nothing",
		"Providers[0].transformer.m: a at 127.0.0.1:1/v1 does not know [{one map[]} {bad map[]}]; no route uses a",
		"Providers[1].transformer: b at 127.0.0.1:2/v1 does not know [{bad map[]}]; no route uses b",
	})
}

func TestKnownProviderOfAnotherDialect(t *testing.T) {
	check := func(_, _ string, use []dialect.Use) ([]error, error) {
		return nil, fmt.Errorf("no %v", use)
	}
	o := Options{Model: "google/gemini-x", Getenv: vars{"GEMINI_API_KEY": "k"}.get, CheckUse: check}
	if _, err := Load(o); err == nil || err.Error() != "config: --model: no [{gemini map[]}]" {
		t.Error(err)
	}
}

// A key that stands in the wrong place is not repeated.
func TestFaultsHideSecrets(t *testing.T) {
	o := file(t, "c.json", `{APIKEY: "sk-very-secret", Providers: [{name: "ollama", api_key: "sk-also-secret"}],
		Router: {default: "sk-very-secret", think: "$A_KEY", image: "ollama/sk-also-secret"}, CUSTOM_ROUTER_PATH: "$A_KEY"}`, vars{"A_KEY": "sk-third-secret"})
	_, err := Load(o)
	if err == nil || strings.Contains(err.Error(), "secret") || strings.Count(err.Error(), `"***"`) < 2 {
		t.Error(err)
	}
}

func TestKnownProviders(t *testing.T) {
	for i, k := range knownProviders {
		if i > 0 && knownProviders[i-1].name >= k.name {
			t.Errorf("%s is out of order", k.name)
		}
		for _, name := range append(k.also, k.name) {
			if got, ok := knownByName(strings.ToUpper(name)); !ok || got.name != k.name {
				t.Errorf("%s leads to %s", name, got.name)
			}
		}
		if got, ok := knownByURL(k.url); !ok || got.name != k.name {
			t.Errorf("%s leads to %s", k.url, got.name)
		}
		env := vars{}
		filled := k.url
		for _, p := range places {
			if strings.Contains(filled, "{"+p.name+"}") {
				env[p.vars[len(p.vars)-1]] = "here-1"
				filled = strings.ReplaceAll(filled, "{"+p.name+"}", "here-1")
			}
		}
		places := len(env)
		if len(k.keys) > 0 && !k.cloud {
			_, err := Load(Options{Model: k.name + ",m", Getenv: env.get})
			if want := "config: --model: no key for " + k.name + ": set " + strings.Join(k.keys, " or "); err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		}
		if len(k.keys) > 0 {
			env[k.keys[len(k.keys)-1]] = "value"
		}
		c := load(t, Options{Model: k.name + ",m", Getenv: env.get})
		if p := c.Providers[0]; p.Upstream.BaseURL != filled || !p.Available || len(p.Upstream.Keys) != len(env)-places {
			t.Errorf("%+v", p)
		}
	}
}

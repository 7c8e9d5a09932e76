package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/usage"
)

func TestLoadPrices(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"prices.yaml", "rows:\n  - {provider: deepseek, model: my-model, input: \"0.27\", output: 1.1, cache_read: \"0.07\"}\n", ""},
		{"prices.json", `{"rows": [{"provider": "deepseek", "model": "my-model", "input": "0.27", "output": 1.1, "cache_read": "0.07"},], // JSON5` + "\n}", ""},
		{"empty.yaml", "", "empty"},
		{"none.yaml", "windows: {}\n", `no "rows"`},
		{"typo.yaml", "rows:\n  - {model: x, inputs: 1}\n", "inputs"},
		{"bad.yaml", "rows: [", "bad.yaml"},
	}
	for _, test := range tests {
		file := filepath.Join(t.TempDir(), test.name)
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := LoadPrices(file)
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: got error %v, want one with %q", test.name, err, test.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		want := usage.Row{Provider: "deepseek", Model: "my-model", Input: "0.27", Output: "1.1", CacheRead: "0.07"}
		if len(o.Rows) != 1 || o.Rows[0] != want {
			t.Errorf("%s: got %+v, want %+v", test.name, o.Rows, want)
		}
	}
	if _, err := LoadPrices(filepath.Join(t.TempDir(), "missing.yaml")); err == nil || !strings.Contains(err.Error(), "missing.yaml") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestKeyless(t *testing.T) {
	if _, err := Load(Options{Model: "deepseek/deepseek-chat"}); err == nil {
		t.Fatal("without a key there is no error")
	}
	c, err := Load(Options{Model: "deepseek/deepseek-chat", Keyless: true})
	if err != nil {
		t.Fatal(err)
	}
	p, ok := c.Provider("deepseek")
	if !ok || !p.Available || len(p.Upstream.Keys) != 0 || p.Known != "deepseek" {
		t.Errorf("got %+v", p)
	}
}

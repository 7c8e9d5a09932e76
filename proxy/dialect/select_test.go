package dialect_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

func TestSelect(t *testing.T) {
	use := func(names ...string) []dialect.Use {
		var out []dialect.Use
		for _, n := range names {
			out = append(out, dialect.Use{Name: n})
		}
		return out
	}
	for _, c := range []struct {
		provider, host string
		use            []dialect.Use
		name, auth     string
	}{
		{"", "", nil, "openai-compatible", "bearer"},
		{"my-gateway", "llm.example.com:8443", nil, "openai-compatible", "bearer"},
		{"DeepSeek", "llm.example.com", nil, "deepseek", "bearer"},
		{"mine", "API.DeepSeek.com", nil, "deepseek", "bearer"},
		{"mine", "eu.openrouter.ai:443", nil, "openrouter", "bearer"},
		{"mine", "notopenrouter.ai", nil, "openai-compatible", "bearer"},
		{"mine", "localhost:11434", nil, "ollama", "bearer"},
		{"mine", "res.openai.azure.com", nil, "azure", "api-key"},
		{"mine", "models.inference.ai.azure.com", nil, "github", "bearer"},
		{"mine", "ark.cn-beijing.volces.com", nil, "volcengine", "bearer"},
		{"openai", "api.deepseek.com", use("Groq"), "groq", "bearer"},
		{"deepseek", "api.deepseek.com", use("OpenAI"), "deepseek", "bearer"},
		{"deepseek", "api.deepseek.com", use("Anthropic"), "anthropic", "x-api-key"},
		{"x", "api.anthropic.com", nil, "anthropic", "x-api-key"},
		{"x", "h", []dialect.Use{{Name: "Anthropic", Options: map[string]any{"UseBearer": true}}}, "anthropic", "bearer"},
		{"x", "api.groq.com", use("tooluse", "maxcompletiontokens"), "groq", "bearer"},
		// The path of an address may name another language.
		{"deepseek", "api.deepseek.com/anthropic", nil, "anthropic", "bearer"},
		{"moonshot", "api.moonshot.ai/anthropic/v1/messages", nil, "anthropic", "bearer"},
		{"claude", "api.anthropic.com/v1/messages", nil, "anthropic", "x-api-key"},
		{"gemini", "generativelanguage.googleapis.com/v1beta/openai/chat/completions", nil, "openai-compatible", "bearer"},
		{"gemini", "generativelanguage.googleapis.com/v1beta/models/", nil, "gemini", "x-goog-api-key"},
		{"openai", "api.openai.com/v1/responses", nil, "openai", "bearer"},
		{"deepseek", "api.deepseek.com/anthropic", use("deepseek"), "deepseek", "bearer"},
	} {
		row, err := dialect.Select(c.provider, c.host, c.use)
		if err != nil || row.Name != c.name || row.Auth != c.auth || row.Dialect == nil {
			t.Errorf("Select(%q, %q, %v) = %q, %q, %v; want %q, %q", c.provider, c.host, c.use, row.Name, row.Auth, err, c.name, c.auth)
		}
	}
}

func TestSelectResponsesByPath(t *testing.T) {
	row, err := dialect.Select("mine", "llm.example.com/v1/responses", nil)
	if err != nil {
		t.Fatal(err)
	}
	call, err := row.Dialect.Encode(parsed(t, `{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}]}`), dialect.Options{Model: "m", NewID: func(p string) string { return p + "1" }})
	if err != nil || call.Path != "/responses" {
		t.Errorf("path %q, %v", call.Path, err)
	}
}

func TestSelectWarns(t *testing.T) {
	row, err := dialect.Select("openrouter", "", []dialect.Use{{Name: "enhancetool"}, {Name: "deepseek"}, {Name: "openrouter"}})
	if err != nil || row.Name != "deepseek" {
		t.Fatalf("got %q, %v", row.Name, err)
	}
	if len(row.Warnings) != 1 {
		t.Fatalf("warnings: %v", row.Warnings)
	}
	var w *dialect.TransformerError
	if !errors.As(row.Warnings[0], &w) || w.Name != "openrouter" {
		t.Errorf("warning %v", row.Warnings[0])
	}
	row, err = dialect.Select("", "", []dialect.Use{{Name: "tooluse", Options: map[string]any{"force": true}}})
	if err != nil || len(row.Warnings) != 1 || !strings.Contains(row.Warnings[0].Error(), `"tooluse" takes no options`) {
		t.Errorf("got %v, %v", row.Warnings, err)
	}
}

func TestSelectRefuses(t *testing.T) {
	for _, c := range []struct {
		use  dialect.Use
		want string
	}{
		{dialect.Use{Name: "openruter"}, "known are aihubmix, anthropic, azure"},
		{dialect.Use{Name: "maxtoken"}, "max_tokens: expected a number of tokens"},
		{dialect.Use{Name: "maxtoken", Options: map[string]any{"max_tokens": -1.0}}, "max_tokens: expected a number of tokens"},
		{dialect.Use{Name: "sampling", Options: map[string]any{"heat": 1}}, `option "heat" is not known`},
		{dialect.Use{Name: "customparams", Options: map[string]any{"messages": []any{}}}, `option "messages"`},
		{dialect.Use{Name: "customparams", Options: map[string]any{"": 1}}, "an option needs a name"},
		{dialect.Use{Name: "reasoning", Options: map[string]any{"enable": "no"}}, "enable: expected true or false"},
	} {
		_, err := dialect.Select("x", "", []dialect.Use{c.use})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %s", c.use, err, c.want)
		}
	}
	for name, way := range map[string]string{"gemini-cli": "API key", "Qwen-CLI": "dashscope", "rovo-cli": "API keys", "chutes-glm": "llm.chutes.ai"} {
		var borrowed *dialect.TransformerError
		if _, err := dialect.Select("x", "", []dialect.Use{{Name: name}}); !errors.As(err, &borrowed) || borrowed.Name != name || !strings.Contains(err.Error(), way) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// claude-code-router knows options for some of its names alone; here each takes its own.
func TestEveryNameTakesOptions(t *testing.T) {
	own := map[string]map[string]any{
		"maxtoken": {"max_tokens": 100.0}, "sampling": {"temperature": 0.5}, "reasoning": {"enable": false}, "anthropic": {"UseBearer": true},
		"customparams": {"seed": 1.0}, "gemini": {"safetySettings": []any{}}, "vertex-gemini": {"project": "p", "location": "global"},
	}
	for _, name := range dialect.Names() {
		row, err := dialect.Select("", "", []dialect.Use{{Name: name, Options: own[name]}})
		if err != nil || row.Dialect == nil || len(row.Warnings) > 0 {
			t.Errorf("%s: %v, warnings %v", name, err, row.Warnings)
		}
	}
}

// maxtoken holds for a native upstream too, and leaves every other byte as it is.
func TestMaxTokenNative(t *testing.T) {
	row, err := dialect.Select("anthropic", "", []dialect.Use{{Name: "maxtoken", Options: map[string]any{"max_tokens": 100}}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := anthropic.Parse([]byte(`{"model":"m", "max_tokens":500,"messages":[ {"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	call, err := row.Dialect.Encode(req, dialect.Options{Model: "m"})
	if want := `{"model":"m", "max_tokens":100,"messages":[ {"role":"user","content":"hi"}]}`; err != nil || string(call.Body) != want {
		t.Errorf("got %s, %v", call.Body, err)
	}
	if _, ok := row.Dialect.(dialect.Counter); !ok {
		t.Error("a capped upstream no longer counts tokens")
	}
}

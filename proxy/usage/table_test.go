package usage

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/window"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func usd(t testing.TB, d Decimal) int64 {
	t.Helper()
	n, err := d.nano()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The provider's page of 15 November 2026: peak is twice off-peak, Monday to Friday 9–12 and 14–18 o'clock in Beijing,
// holidays excluded; before 23 August it was each day; before 17 August there was none.
func TestDeepSeekPeak(t *testing.T) {
	const source = "table 2026-11-10"
	for _, c := range []struct {
		model, at             string
		input, output, cached Decimal
		source                string
	}{
		{"deepseek-v4-pro", "2026-08-16T15:59:59.999Z", "0.435", "0.87", "0.003625", source},
		{"deepseek-v4-pro", "2026-08-16T16:00:00Z", "0.66", "1.98", "0.022", source},
		{"deepseek-v4-pro", "2026-08-17T00:59:59.999Z", "0.66", "1.98", "0.022", source},
		{"deepseek-v4-pro", "2026-08-17T01:00:00Z", "1.32", "3.96", "0.044", source},
		{"deepseek-v4-pro", "2026-08-17T04:00:00Z", "0.66", "1.98", "0.022", source},
		{"deepseek-v4-pro", "2026-08-22T02:00:00Z", "1.32", "3.96", "0.044", source}, // the last Saturday with a peak
		{"deepseek-v4-pro", "2026-08-23T02:00:00Z", "0.66", "1.98", "0.022", source}, // the first Sunday without
		{"deepseek-v4-pro", "2026-08-24T02:00:00Z", "1.32", "3.96", "0.044", source},
		{"deepseek-v4-flash", "2026-08-01T02:00:00Z", "0.14", "0.28", "0.0028", source},
		{"deepseek-v4-flash", "2026-09-10T03:59:59Z", "0.44", "1.32", "0.014", source}, // Thursday, peak
		{"deepseek-v4-flash", "2026-09-10T04:00:00Z", "0.15", "0.60", "0.003", source},
		{"deepseek-flash", "2026-11-20T00:59:59.999Z", "0.15", "0.60", "0.003", source}, // Friday
		{"deepseek-flash", "2026-11-20T01:00:00Z", "0.30", "1.20", "0.006", source},
		{"deepseek-flash", "2026-11-20T03:59:59.999Z", "0.30", "1.20", "0.006", source},
		{"deepseek-flash", "2026-11-20T04:00:00Z", "0.15", "0.60", "0.003", source},
		{"deepseek-flash", "2026-11-20T05:59:59Z", "0.15", "0.60", "0.003", source},
		{"deepseek-flash", "2026-11-20T06:00:00Z", "0.30", "1.20", "0.006", source},
		{"deepseek-flash", "2026-11-20T09:59:59Z", "0.30", "1.20", "0.006", source},
		{"deepseek-flash", "2026-11-20T10:00:00Z", "0.15", "0.60", "0.003", source},
		{"deepseek-flash", "2026-11-21T02:00:00Z", "0.15", "0.60", "0.003", source},                         // Saturday
		{"deepseek-flash", "2026-11-22T07:00:00Z", "0.15", "0.60", "0.003", source},                         // Sunday
		{"deepseek-flash", "2026-10-01T02:00:00Z", "0.15", "0.60", "0.003", source},                         // National Day
		{"deepseek-flash", "2026-10-07T07:00:00Z", "0.15", "0.60", "0.003", source},                         // its last day
		{"deepseek-flash", "2026-10-08T02:00:00Z", "0.30", "1.20", "0.006", source},                         // work again
		{"deepseek-flash", "2026-10-10T02:00:00Z", "0.15", "0.60", "0.003", source},                         // a Saturday of work is a Saturday
		{"deepseek-flash", "2027-01-01T02:00:00Z", "0.30", "1.20", "0.006", source + " (calendar unknown)"}, // Friday
		{"deepseek-flash", "2027-01-01T05:00:00Z", "0.15", "0.60", "0.003", source},
	} {
		r, ok := Embedded().Rate(Query{Provider: "deepseek", Model: c.model, At: at(t, c.at)})
		if !ok || r.Input != usd(t, c.input) || r.Output != usd(t, c.output) || r.CacheRead != usd(t, c.cached) || r.Source != c.source {
			t.Errorf("%s at %s: %+v, %v; want %s/%s/%s from %s", c.model, c.at, r, ok, c.input, c.output, c.cached, c.source)
		}
	}
}

func TestRate(t *testing.T) {
	now := at(t, "2026-11-20T12:00:00Z")
	for _, c := range []struct {
		name          string
		q             Query
		input, output Decimal // "": no price
	}{
		{"Claude", Query{Provider: "anthropic", Model: "claude-opus-5-5", At: now}, "4", "20"},
		{"its snapshot", Query{Provider: "anthropic", Model: "claude-haiku-4-5-20251001", At: now}, "1", "5"},
		{"its provider in front", Query{Provider: "anthropic", Model: "anthropic/claude-sonnet-5-5", At: now}, "2", "10"},
		{"another provider in front", Query{Provider: "anthropic", Model: "openai/claude-sonnet-5-5", At: now}, "", ""},
		{"case", Query{Provider: "Anthropic", Model: "Claude-Opus-5-5", At: now}, "4", "20"},
		{"a provider's alias", Query{Provider: "google", Model: "models/gemini-2.5-pro", At: now}, "1.25", "10"},
		{"at the threshold", Query{Provider: "gemini", Model: "gemini-2.5-pro", PromptTokens: 200_000, At: now}, "1.25", "10"},
		{"over the threshold", Query{Provider: "gemini", Model: "gemini-2.5-pro", PromptTokens: 200_001, At: now}, "2.5", "15"},
		{"small Claude, long prompt", Query{Provider: "anthropic", Model: "claude-haiku-5-5", PromptTokens: 100_001, At: now}, "0.5", "2.5"},
		{"xAI's threshold is inclusive", Query{Provider: "xai", Model: "grok-4.6", PromptTokens: 200_000, At: now}, "4", "12"},
		{"before a change", Query{Provider: "openai", Model: "gpt-5.6-sol", At: at(t, "2026-08-20T23:59:59Z")}, "5", "30"},
		{"after a change", Query{Provider: "openai", Model: "gpt-5.6", At: at(t, "2026-08-21T00:00:00Z")}, "4", "20"},
		{"a change to come", Query{Provider: "gemini", Model: "gemini-3.8-flash", At: at(t, "2027-01-01T00:00:00Z")}, "1.5", "7.5"},
		{"flex", Query{Provider: "openai", Model: "gpt-6.1-sol", Tier: "flex", At: now}, "1", "5"},
		{"flex and long", Query{Provider: "openai", Model: "gpt-6.1-sol", Tier: "flex", PromptTokens: 300_000, At: now}, "2", "7.5"},
		{"flex of a model that has none", Query{Provider: "openai", Model: "gpt-4.1", Tier: "flex", At: now}, "", ""},
		{"flex at Groq costs the same", Query{Provider: "groq", Model: "llama-3.3-70b-versatile", Tier: "flex", At: now}, "0.59", "0.79"},
		{"a tier nobody priced", Query{Provider: "anthropic", Model: "claude-opus-5-5", Tier: "priority", At: now}, "", ""},
		{"the standard tier by name", Query{Provider: "anthropic", Model: "claude-opus-5-5", Tier: "standard", At: now}, "4", "20"},
		{"what served decides", Query{Provider: "deepseek", Model: "claude-opus-5-5", Served: "deepseek-flash", At: now}, "0.15", "0.6"},
		{"a stranger served", Query{Provider: "anthropic", Model: "claude-opus-5-5", Served: "deepseek-chat", At: now}, "", ""},
		{"a snapshot served", Query{Provider: "deepseek", Model: "deepseek-flash", Served: "deepseek-flash-1017", At: now}, "0.15", "0.6"},
		{"a later version served", Query{Provider: "anthropic", Model: "claude-opus-5", Served: "claude-opus-5-9", At: now}, "", ""},
		{"a variant served", Query{Provider: "openai", Model: "gpt-6-sol", Served: "gpt-6-sol-mini", At: now}, "", ""},
		{"not dated", Query{Provider: "openai", Model: "gpt-4o-2024-05-13", At: now}, "5", "15"},
		{"free at OpenRouter", Query{Provider: "openrouter", Model: "google/gemma-4-31b-it:free", At: now}, "0", "0"},
		{"a variant at OpenRouter", Query{Provider: "openrouter", Model: "google/gemma-4-31b-it:nitro", At: now}, "", ""},
		{"retired", Query{Provider: "deepseek", Model: "deepseek-chat", At: now}, "", ""},
		{"before it was retired", Query{Provider: "deepseek", Model: "deepseek-chat", At: at(t, "2026-07-24T15:58:59Z")}, "0.14", "0.28"},
		{"an unknown model", Query{Provider: "openai", Model: "gpt-7", At: now}, "", ""},
		{"an unknown provider", Query{Provider: "acme", Model: "gpt-6-sol", At: now}, "", ""},
		{"another's model", Query{Provider: "openai", Model: "deepseek-flash", At: now}, "", ""},
		{"nothing", Query{}, "", ""},
	} {
		r, ok := Embedded().Rate(c.q)
		if ok != (c.input != "") || ok && (r.Input != usd(t, c.input) || r.Output != usd(t, c.output)) {
			t.Errorf("%s: %+v, %v; want %s/%s", c.name, r, ok, c.input, c.output)
		}
	}
}

// What a source does not price apart costs what it is a part of.
func TestRateFillsIn(t *testing.T) {
	table, err := ParseTable([]byte(`{"date":"2026-01-02","providers":{"p":{"models":{
		"plain":{"prices":[{"input":"1","output":"2"}]},
		"writes":{"prices":[{"input":"1","output":"2","cache_write_5m":"1.25","reasoning":"3","search":"10"},{"over":5,"input":"4","output":"5"}]}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := table.Rate(Query{Provider: "p", Model: "plain"})
	if want := (Rate{Input: 1e9, Output: 2e9, Reasoning: 2e9, CacheRead: 1e9, CacheWrite: 1e9, CacheWrite1h: 1e9, Source: "table 2026-01-02"}); got != want {
		t.Errorf("plain: %+v, want %+v", got, want)
	}
	got, _ = table.Rate(Query{Provider: "p", Model: "writes"})
	if want := (Rate{Input: 1e9, Output: 2e9, Reasoning: 3e9, CacheRead: 1e9, CacheWrite: 125e7, CacheWrite1h: 125e7, Search: 10e9, SearchKnown: true, Source: "table 2026-01-02"}); got != want {
		t.Errorf("writes: %+v, want %+v", got, want)
	}
	got, _ = table.Rate(Query{Provider: "p", Model: "writes", PromptTokens: 6})
	if want := (Rate{Input: 4e9, Output: 5e9, Reasoning: 5e9, CacheRead: 4e9, CacheWrite: 4e9, CacheWrite1h: 4e9, Search: 10e9, SearchKnown: true, Source: "table 2026-01-02"}); got != want {
		t.Errorf("writes, long: %+v, want %+v", got, want)
	}
}

func TestPrice(t *testing.T) {
	q := Query{Provider: "anthropic", Model: "claude-haiku-5-5", At: at(t, "2026-11-20T12:00:00Z")}
	for _, c := range []struct {
		name string
		q    Query
		u    anthropic.Usage
		want Cost
	}{
		{"priced", q, anthropic.Usage{Known: true, Input: 1000, Output: 200}, Cost{Nano: 200_000, Known: true, Source: "table 2026-11-10"}},
		{"the cache counts for the prompt's size", q, anthropic.Usage{Known: true, Input: 1, CacheRead: 90_000, CacheWrite: 10_000},
			Cost{Nano: 500 + 4_500_000 + 6_250_000, Known: true, Source: "table 2026-11-10"}},
		{"reported wins", q, anthropic.Usage{Known: true, Input: 1000, Cost: 7, CostKnown: true}, Cost{Nano: 7, Known: true, Source: "reported"}},
		{"reported as free", q, anthropic.Usage{CostKnown: true}, Cost{Known: true, Source: "reported"}},
		{"no usage", q, anthropic.Usage{}, Cost{}},
		{"no price", Query{Provider: "acme", Model: "m"}, anthropic.Usage{Known: true, Input: 1}, Cost{}},
		{"the tier that was used", Query{Provider: "openai", Model: "gpt-6-sol", Tier: "flex", At: q.At}, anthropic.Usage{Known: true, Input: 1_000_000, Tier: "default"},
			Cost{Nano: 4e9, Known: true, Source: "table 2026-11-10"}},
		{"a search", q, anthropic.Usage{Known: true, Searches: 3}, Cost{Nano: 30_000_000, Known: true, Source: "table 2026-11-10"}},
		{"a search without a price", Query{Provider: "deepseek", Model: "deepseek-flash", At: q.At}, anthropic.Usage{Known: true, Input: 1, Searches: 1}, Cost{}},
	} {
		if got := Embedded().Price(c.u, c.q); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestWith(t *testing.T) {
	config := Overrides{Source: "config", Rows: []Row{
		{Provider: "deepseek", Model: "deepseek-flash", Input: "1", Output: "2"},
		{Provider: "local", Model: "qwen3", Input: "0", Output: "0"},
		{Model: "anywhere", Input: "5", Output: "6"},
		{Provider: "openai", Model: "gpt-6-sol", Times: "0.9"},
	}}
	file := Overrides{Source: "file", Windows: map[string]window.Spec{"night": {From: "22:00", To: "06:00"}}, Rows: []Row{
		{Provider: "local", Model: "qwen3", Window: "night", Input: "0.5", Output: "0.5"},
		{Provider: "local", Model: "dear", Input: "3", Output: "4"},
		{Provider: "local", Model: "dear", Window: "deepseek-peak", Times: "2"}, // the table's window
	}}
	with, err := Embedded().With(config)
	if err != nil {
		t.Fatal(err)
	}
	if with, err = with.With(file); err != nil {
		t.Fatal(err)
	}
	noon, night := at(t, "2026-11-20T02:00:00Z").Add(10*time.Hour), at(t, "2026-11-20T23:00:00Z")
	for _, c := range []struct {
		name          string
		q             Query
		input, output Decimal
		source        string
	}{
		{"over the table, its peak too", Query{Provider: "deepseek", Model: "deepseek-flash", At: at(t, "2026-11-20T02:00:00Z")}, "1", "2", "config"},
		{"over the table for what served", Query{Provider: "deepseek", Model: "deepseek-chat", Served: "deepseek-flash", At: noon}, "1", "2", "config"},
		{"as asked, whatever the upstream calls it", Query{Provider: "local", Model: "qwen3", Served: "Qwen/Qwen3-32B-AWQ", At: noon}, "0", "0", "config"},
		{"for any tier", Query{Provider: "local", Model: "qwen3", Tier: "priority", At: noon}, "0", "0", "config"},
		{"any provider", Query{Provider: "whoever", Model: "anywhere", At: noon}, "5", "6", "config"},
		{"a discount keeps the table's source", Query{Provider: "openai", Model: "gpt-6-sol", At: noon}, "1.8", "9", "table 2026-11-10"},
		{"a later layer wins", Query{Provider: "local", Model: "qwen3", At: night}, "0.5", "0.5", "file"},
		{"a window of the table", Query{Provider: "local", Model: "dear", At: at(t, "2026-11-20T02:00:00Z")}, "6", "8", "file"},
		{"the rest stays", Query{Provider: "anthropic", Model: "claude-opus-5-5", At: noon}, "4", "20", "table 2026-11-10"},
	} {
		r, ok := with.Rate(c.q)
		if !ok || r.Input != usd(t, c.input) || r.Output != usd(t, c.output) || r.Source != c.source {
			t.Errorf("%s: %+v, %v; want %s/%s from %s", c.name, r, ok, c.input, c.output, c.source)
		}
	}
	if _, ok := Embedded().Rate(Query{Provider: "local", Model: "qwen3", At: noon}); ok {
		t.Error("With changed the table that it was laid over")
	}
}

func TestWithRefuses(t *testing.T) {
	_, err := Embedded().With(Overrides{Source: "config", Windows: map[string]window.Spec{"w": {Zone: "Nowhere"}}, Rows: []Row{
		{Model: "a", Input: "1"},
		{Model: "b", Input: "x", Output: "1"},
		{Model: "c", Times: "2", Input: "1", Output: "1"},
		{Model: "d", Input: "1", Output: "1", Window: "none"},
		{Input: "1", Output: "1"},
		{Model: "f", Times: "0"},
	}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"prices of config", `window w: zone "Nowhere"`, "row 1 (a): a price needs both", `row 2 (b): input: price "x"`,
		"row 3 (c): times stands beside", `row 4 (d): window "none" is not defined`, "row 5: no model is named", "row 6 (f): times is 0"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
}

func TestParseTableRefuses(t *testing.T) {
	for in, want := range map[string]string{
		`{"providers":{"p":{"models":{"m":{"prices":[]}}}}}`:                                                                               "p/m: it has no prices",
		`{"providers":{"p":{"models":{"m":{"price":[]}}}}}`:                                                                                "price",
		`{"providers":{"p":{"models":{"m":{"prices":[{"input":"1","output":true}]}}}}}`:                                                    "not a decimal",
		`{"providers":{"p":{"models":{"m":{"prices":[{"input":1}]}}}}}`:                                                                    "p/m row 1",
		`{"providers":{"p":{"models":{"m":{"prices":[{"input":1,"output":1}]},"n":{"aliases":["M"],"prices":[{"input":1,"output":1}]}}}}}`: `"m" names two models`,
		`{`: "read the price table",
	} {
		if _, err := ParseTable([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", in, err, want)
		}
	}
}

// What the binary brings parses, and is plausible: each model has a price now or is known to be retired.
func TestEmbedded(t *testing.T) {
	now := at(t, "2026-11-20T12:00:00Z")
	table, err := ParseTable(pricesJSON)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := time.Parse(time.DateOnly, table.Date); err != nil || len(table.Sources) == 0 {
		t.Errorf("date %q, sources %q", table.Date, table.Sources)
	}
	priced, byProvider := 0, map[string]int{}
	for _, m := range table.Models("", now) {
		id := m.Provider + "/" + m.Model
		if !m.Priced {
			if id != "deepseek/deepseek-chat" && id != "deepseek/deepseek-reasoner" {
				t.Errorf("%s has no price", id)
			}
			continue
		}
		priced++
		byProvider[m.Provider]++
		free := strings.HasSuffix(m.Model, ":free")
		if free != (m.Rate.Input == 0 && m.Rate.Output == 0) {
			t.Errorf("%s: free %v, yet %+v", id, free, m.Rate)
		}
		if m.Rate.CacheRead > m.Rate.Input || m.Rate.CacheWrite1h < m.Rate.CacheWrite || m.Rate.Input > 200e9 || m.Rate.Output > 1000e9 {
			t.Errorf("%s: implausible: %+v", id, m.Rate)
		}
		if m.MaxOutput > m.Window && m.Window > 0 {
			t.Errorf("%s: output %d over window %d", id, m.MaxOutput, m.Window)
		}
	}
	if priced < 150 {
		t.Errorf("%d models, want at least 150", priced)
	}
	for _, p := range []string{"anthropic", "openai", "deepseek", "openrouter", "gemini", "mistral", "groq", "xai", "cerebras",
		"together", "fireworks", "moonshot", "zhipu", "zai", "minimax", "dashscope", "cohere"} {
		if byProvider[p] == 0 {
			t.Errorf("no model of %s", p)
		}
	}
	for alias, own := range table.aliases {
		if table.providers[alias] != nil || table.providers[own] == nil {
			t.Errorf("alias %s of %s", alias, own)
		}
	}
}

func TestModels(t *testing.T) {
	got := Embedded().Models("DeepSeek", at(t, "2026-11-20T12:00:00Z"))
	want := ModelInfo{Provider: "deepseek", Model: "deepseek-v4-pro", Window: 1_000_000, MaxOutput: 384_000, Blind: true, Thinking: true,
		Tools: true, Efforts: []string{"high", "max"}, Priced: true, Rate: Rate{Input: 66e7, Output: 198e7, Reasoning: 198e7, CacheRead: 22e6, CacheWrite: 66e7, CacheWrite1h: 66e7, Source: "table 2026-11-10"}}
	if len(got) != 5 || !reflect.DeepEqual(got[4], want) {
		t.Errorf("%+v\nwant at the end %+v", got, want)
	}
	if got := Embedded().Models("acme", at(t, "2026-11-20T12:00:00Z")); got != nil {
		t.Errorf("models of an unknown provider: %v", got)
	}
}

func TestModel(t *testing.T) {
	now := at(t, "2026-11-20T12:00:00Z")
	for _, c := range []struct{ provider, model, want string }{
		{"deepseek", "DeepSeek-V4-Pro-0813", "deepseek-v4-pro"},
		{"anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"},
		{"google", "models/gemini-2.5-pro", "gemini-2.5-pro"},
		{"deepseek", "unheard-of", ""},
		{"acme", "claude-sonnet-4-5", ""},
	} {
		got, ok := Embedded().Model(c.provider, c.model, now)
		if ok != (c.want != "") || got.Model != c.want || ok && (!got.Priced || got.Window == 0 || got.MaxOutput == 0) {
			t.Errorf("%s %s: %+v, %v; want %s", c.provider, c.model, got, ok, c.want)
		}
	}
}

func BenchmarkRate(b *testing.B) {
	table := Embedded()
	for name, q := range map[string]Query{
		"deepseek": {Provider: "deepseek", Model: "deepseek-flash", Served: "deepseek-flash", At: at(b, "2026-11-20T02:00:00Z")},
		"dated":    {Provider: "anthropic", Model: "claude-opus-5-5", Served: "claude-opus-5-5-20260922", At: at(b, "2026-11-20T02:00:00Z")},
		"unknown":  {Provider: "acme", Model: "m", At: at(b, "2026-11-20T02:00:00Z")},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Rate(q)
			}
		})
	}
}

// What a start pays that needs one model.
func BenchmarkFirstRate(b *testing.B) {
	q := Query{Provider: "deepseek", Model: "deepseek-flash", At: at(b, "2026-11-20T02:00:00Z")}
	b.ReportAllocs()
	for b.Loop() {
		t, err := readTable(pricesJSON)
		if err != nil {
			b.Fatal(err)
		}
		t.Rate(q)
	}
}

func BenchmarkParseTable(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseTable(pricesJSON); err != nil {
			b.Fatal(err)
		}
	}
}

// What the table says of thinking is in the scale that requests have.
func TestModelsThink(t *testing.T) {
	order := []string{"minimal", "low", "medium", "high", "xhigh", "max"}
	tools, levels := 0, 0
	for _, m := range Embedded().Models("", at(t, "2026-11-20T12:00:00Z")) {
		last := -1
		for _, e := range m.Efforts {
			i := slices.Index(order, e)
			if i <= last || !m.Thinking {
				t.Errorf("%s/%s: efforts %v, thinking %v", m.Provider, m.Model, m.Efforts, m.Thinking)
			}
			last = i
		}
		if m.AlwaysThinks && !m.Thinking {
			t.Errorf("%s/%s always thinks, but cannot", m.Provider, m.Model)
		}
		if m.Tools {
			tools++
		}
		if len(m.Efforts) > 0 {
			levels++
		}
	}
	if tools < 400 || levels < 150 {
		t.Errorf("tools are known of %d models, efforts of %d", tools, levels)
	}
}

package config

import (
	"math/big"
	"strconv"
	"strings"

	"github.com/ccrun/ccrun/proxy/route"
)

// prices reads "prices", in USD per million tokens, and "costPerToken", in USD per token. In a provider they stand under a
// model's name; at the top of the file, where provider is "", under "provider,model" or a model's name alone.
func (l *loader) prices(o *object, provider string) {
	for _, unit := range []struct {
		key   string
		scale int64 // to a million tokens
	}{{"prices", 1}, {"costPerToken", 1_000_000}} {
		for _, p := range o.get(unit.key).pairs() {
			t := route.Target{Provider: provider, Model: p.key}
			if name, model, ok := strings.Cut(p.key, ","); ok && provider == "" {
				t = route.Target{Provider: strings.TrimSpace(name), Model: strings.TrimSpace(model)}
				if e := l.entry(t.Provider); e != nil {
					t.Provider = e.Upstream.Name
				}
			}
			if _, double := l.config.Prices[t]; double {
				l.fault(p.path, "this model has a price already")
			}
			l.config.Prices[t] = l.price(p.object(), unit.scale)
		}
	}
}

func (l *loader) price(o *object, scale int64) Price {
	p := Price{
		Input:        amount(o.get("input", "prompt"), scale, true),
		Output:       amount(o.get("output", "completion"), scale, true),
		CacheRead:    amount(o.get("cache_read", "cached_input"), scale, false),
		CacheWrite5m: amount(o.get("cache_write", "cache_write_5m", "cache_creation"), scale, false),
		CacheWrite1h: amount(o.get("cache_write_1h"), scale, false),
	}
	o.unknown()
	return p
}

// amount is a price as a decimal. A number in the file is a binary one by now; its shortest decimal is what was written.
func amount(n node, scale int64, required bool) string {
	if !n.present() {
		if required {
			n.fault(n.path, "missing: want USD, as in 0.27")
		}
		return ""
	}
	before := len(n.loader.unset)
	s := n.scalar("a number")
	if len(n.loader.unset) > before {
		return ""
	}
	f, err := strconv.ParseFloat(s, 64)
	if err == nil && f == 0 {
		return "0"
	}
	exact := new(big.Rat)
	ok := err == nil && f > 1e-15 && f < 1e6 && len(s) < 64 // bounds first, so that no exact number is huge
	if ok {
		_, ok = exact.SetString(s)
	}
	if !ok {
		n.fault(n.path, "want a price in USD, as in 0.27")
		return ""
	}
	exact.Mul(exact, new(big.Rat).SetInt64(scale))
	decimal := exact.FloatString(12)
	return strings.TrimSuffix(strings.TrimRight(decimal, "0"), ".")
}

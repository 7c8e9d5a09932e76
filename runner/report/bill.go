package report

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/usage"
)

// bill is the sum of entries, with null where a sum of nothing would look like a zero.
func bill(entries []usage.Entry) Bill {
	sum := usage.Sum(entries).Tally
	b := Bill{
		Requests:      sum.Requests,
		CallCount:     sum.Attempts,
		FailedCalls:   sum.Failed,
		UnpricedCalls: sum.Unpriced,
		CostKnown:     sum.CostKnown,
		Simulated:     sum.Simulated > 0,
	}
	reported, priced, estimated := false, sum.CostKnown, false
	for _, e := range entries {
		reported = reported || e.Usage.Known
		priced = priced || e.Cost.Known || e.Cost.Simulated
		estimated = estimated || e.Cost.Simulated && e.Cost.WouldKnown
		if missing(e) {
			b.UnknownUsage++
			b.EstimatedInput += e.Estimate
		}
	}
	if reported || b.UnknownUsage == 0 {
		b.Tokens = &Tokens{sum.Input, sum.Output, sum.Reasoning, sum.CacheRead, sum.CacheWrite, sum.CacheWrite1h}
	}
	if all := sum.Input + sum.CacheRead + sum.CacheWrite; all > 0 {
		b.CacheHitRatio = new(math.Round(float64(sum.CacheRead)/float64(all)*1e4) / 1e4)
	}
	if priced {
		b.CostUSD = new(USD(sum.Nano))
	}
	if estimated {
		b.WouldCostUSD, b.WouldCostKnown = new(USD(sum.Would)), sum.WouldKnown
	}
	return b
}

// missing tells whether a call should have reported its usage and did not, be its cost known or simulated.
func missing(e usage.Entry) bool {
	e.Cost = usage.Cost{}
	return usage.Sum([]usage.Entry{e}).UnknownUsage > 0
}

func tokens(u anthropic.Usage) *Tokens {
	if !u.Known {
		return nil
	}
	return &Tokens{u.Input, u.Output, u.Reasoning, u.CacheRead, u.CacheWrite, u.CacheWrite1h}
}

// models is a bill for each model and route, in the order of their first call. A call that failed before the provider
// named what it served counts with the others of its model.
func models(entries []usage.Entry, hide func(string) string) []Model {
	type route struct{ provider, model, scenario string }
	type key struct {
		route
		served string
	}
	served := map[route]string{}
	for _, e := range entries {
		r := route{e.Provider, e.Model, e.Scenario}
		served[r] = cmp.Or(served[r], e.Served)
	}
	var order []key
	of := map[key][]usage.Entry{}
	for _, e := range entries {
		r := route{e.Provider, e.Model, e.Scenario}
		k := key{r, cmp.Or(e.Served, served[r])}
		if _, ok := of[k]; !ok {
			order = append(order, k)
		}
		of[k] = append(of[k], e)
	}
	var out []Model
	for _, k := range order {
		out = append(out, Model{
			Provider: k.provider, Model: k.model, Served: hide(k.served), Scenario: k.scenario,
			PriceSource: sources(of[k]), Bill: bill(of[k]),
		})
	}
	return out
}

// sources names where the prices came from, each once.
func sources(entries []usage.Entry) string {
	var all []string
	for _, e := range entries {
		if s := e.Cost.Source; s != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return strings.Join(all, ", ")
}

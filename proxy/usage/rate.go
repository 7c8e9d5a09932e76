package usage

import "github.com/ccrun/ccrun/proxy/anthropic"

// Rate is what one model costs at one time, in nano-dollars per million tokens. Every field has a value: where the
// source gives no price of its own, reads and writes of the cache cost what input costs, writes for an hour what the
// other writes cost, and reasoning what output costs.
type Rate struct {
	Input        int64
	Output       int64
	Reasoning    int64 // of the part of the output that is reasoning
	CacheRead    int64
	CacheWrite   int64 // that lives for five minutes
	CacheWrite1h int64
	Search       int64 // nano-dollars per thousand web searches
	SearchKnown  bool
	Source       string // "table 2026-11-10", "config", "file"; with "(calendar unknown)" where a window's calendar did not reach
}

// Cost is the price of u in nano-dollars: exact, rounded half up once.
func (r Rate) Cost(u anthropic.Usage) int64 {
	var s sum
	reasoning := min(max(u.Reasoning, 0), max(u.Output, 0))
	hour := min(max(u.CacheWrite1h, 0), max(u.CacheWrite, 0))
	s.add(u.Input, r.Input)
	s.add(u.Output-reasoning, r.Output)
	s.add(reasoning, r.Reasoning)
	s.add(u.CacheRead, r.CacheRead)
	s.add(u.CacheWrite-hour, r.CacheWrite)
	s.add(hour, r.CacheWrite1h)
	s.add(u.Searches*1000, r.Search) // per thousand, and the sum is per million
	return s.over(1_000_000)
}

// Price is what u cost. What the provider reports wins; else the rate of q, with the prompt's size and the service tier
// of u, which is what was really used. Without usage, without a price, or with web searches that have none, it is not
// known.
func (t *Table) Price(u anthropic.Usage, q Query) Cost {
	if u.CostKnown {
		return Cost{Nano: u.Cost, Known: true, Source: "reported"}
	}
	if !u.Known {
		return Cost{}
	}
	q.PromptTokens = u.Input + u.CacheRead + u.CacheWrite
	if u.Tier != "" {
		q.Tier = u.Tier
	}
	r, ok := t.Rate(q)
	if !ok || u.Searches > 0 && !r.SearchKnown {
		return Cost{}
	}
	return Cost{Nano: r.Cost(u), Known: true, Source: r.Source}
}

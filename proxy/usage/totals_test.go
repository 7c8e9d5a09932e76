package usage

import (
	"reflect"
	"sync"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

func TestSum(t *testing.T) {
	usage := anthropic.Usage{Known: true, Input: 10, Output: 5, Reasoning: 2, CacheRead: 100, CacheWrite: 20, CacheWrite1h: 8, Searches: 1}
	paid := Cost{Nano: 1000, Known: true, Source: "config"}
	got := Sum([]Entry{
		{Request: 1, Attempt: 1, Class: "main", Provider: "a", Model: "x", Status: 429, Fault: anthropic.FaultRateLimited, Estimate: 999},
		{Request: 1, Attempt: 2, Class: "main", Provider: "b", Model: "y", Served: "y-1", Status: 200, Usage: usage, Cost: paid},
		{Request: 2, Attempt: 1, Class: "subagent", Agent: "z1", Provider: "b", Model: "y-1", Status: 200, Usage: usage, Cost: paid},
	})
	one := Tally{Requests: 1, Attempts: 1, Input: 10, Output: 5, Reasoning: 2, CacheRead: 100, CacheWrite: 20, CacheWrite1h: 8, Searches: 1,
		Nano: 1000, CostKnown: true, WouldKnown: true}
	two := Tally{Requests: 2, Attempts: 2, Input: 20, Output: 10, Reasoning: 4, CacheRead: 200, CacheWrite: 40, CacheWrite1h: 16, Searches: 2,
		Nano: 2000, CostKnown: true, WouldKnown: true}
	all, main := two, one
	all.Attempts, all.Failed = 3, 1
	main.Attempts, main.Failed = 2, 1
	want := Totals{Tally: all,
		Models:  []ModelTally{{"b", "y-1", two}, {"a", "x", Tally{Requests: 1, Attempts: 1, Failed: 1, CostKnown: true, WouldKnown: true}}},
		Classes: []NamedTally{{"main", main}, {"subagent", one}},
		Agents:  []NamedTally{{"", main}, {"z1", one}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSumCostKnown(t *testing.T) {
	known := anthropic.Usage{Known: true, Input: 1}
	for _, c := range []struct {
		name              string
		e                 Entry
		known             bool
		unknown, unpriced int
	}{
		{"priced", Entry{Status: 200, Usage: known, Cost: Cost{Nano: 1, Known: true}}, true, 0, 0},
		{"an HTTP error costs nothing", Entry{Status: 500, Reached: true, Fault: anthropic.FaultOverloaded}, true, 0, 0},
		{"a refused connection", Entry{Fault: anthropic.FaultNetwork}, true, 0, 0},
		{"given up while the upstream worked", Entry{Reached: true, Fault: anthropic.FaultNetwork}, false, 1, 0},
		{"a cut stream", Entry{Status: 200, Reached: true, Fault: anthropic.FaultNetwork}, false, 1, 0},
		{"a cut stream that reported its cost", Entry{Status: 200, Fault: anthropic.FaultNetwork, Cost: Cost{Nano: 5, Known: true}}, true, 0, 0},
		{"a whole reply without usage", Entry{Status: 200, Stop: "end_turn", Estimate: 500}, false, 1, 0},
		{"no price", Entry{Status: 200, Usage: known}, false, 0, 1},
		{"an HTTP error with usage and no price", Entry{Status: 400, Usage: known}, false, 0, 1},
	} {
		got := Sum([]Entry{c.e})
		if got.CostKnown != c.known || got.UnknownUsage != c.unknown || got.Unpriced != c.unpriced || got.Input != c.e.Usage.Input {
			t.Errorf("%s: %+v", c.name, got.Tally)
		}
	}
	if got := Sum(nil); !got.CostKnown || got.Models != nil {
		t.Errorf("nothing: %+v", got)
	}
}

func TestSumSimulated(t *testing.T) {
	got := Sum([]Entry{
		{Request: 1, Status: 200, Cost: Cost{Known: true, Simulated: true, Would: 70, WouldKnown: true}},
		{Request: 2, Status: 429, Cost: Cost{Known: true, Simulated: true}},
	})
	if !got.CostKnown || got.Nano != 0 || got.Simulated != 2 || got.Would != 70 || !got.WouldKnown {
		t.Errorf("%+v", got.Tally)
	}
	got = Sum([]Entry{{Status: 200, Cost: Cost{Known: true, Simulated: true}}})
	if got.WouldKnown || !got.CostKnown {
		t.Errorf("one of unknown price: %+v", got.Tally)
	}
}

func TestLedger(t *testing.T) {
	var l Ledger
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() { l.Add(Entry{Request: i + 1}); l.Entries() })
	}
	wg.Wait()
	entries := l.Entries()
	if got := Sum(entries); got.Requests != 50 || got.Attempts != 50 {
		t.Errorf("%+v", got.Tally)
	}
	entries[0].Request = -1
	if l.Entries()[0].Request == -1 {
		t.Error("Entries is not a copy")
	}
}

package usage

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Totals is what a run's attempts come to: together, and by the model that served, the class of the request, and the
// agent ("" is the main one).
type Totals struct {
	Tally
	Models  []ModelTally // the dearest first
	Classes []NamedTally // by name
	Agents  []NamedTally // by name
}

// Tally is a sum over attempts. Token counts exclude each other as in anthropic.Usage.
type Tally struct {
	Requests     int // of the client, each counted once
	Attempts     int
	Failed       int // attempts that ended with a fault
	Input        int64
	Output       int64
	Reasoning    int64
	CacheRead    int64
	CacheWrite   int64
	CacheWrite1h int64
	Searches     int64
	Nano         int64 // of the attempts whose cost is known
	CostKnown    bool  // no attempt is missing from Nano
	UnknownUsage int   // attempts that reached a model and reported no usage
	Unpriced     int   // attempts with usage and no price
	Simulated    int   // attempts that were replayed: nothing was paid
	Would        int64 // what those would have cost, as far as that is known
	WouldKnown   bool  // none is missing from Would; true where there are none
}

// ModelTally is the part of one model.
type ModelTally struct {
	Provider string
	Model    string // that served; the one asked for, where the provider did not say
	Tally
}

// NamedTally is the part of one class or agent.
type NamedTally struct {
	Name string
	Tally
}

// Sum adds entries up. Estimates are in no total.
func Sum(entries []Entry) Totals {
	type modelKey struct{ provider, model string }
	var all tallier
	models := map[modelKey]*tallier{}
	classes, agents := map[string]*tallier{}, map[string]*tallier{}
	for i := range entries {
		e := &entries[i]
		all.add(e)
		of(models, modelKey{e.Provider, cmp.Or(e.Served, e.Model)}).add(e)
		of(classes, e.Class).add(e)
		of(agents, e.Agent).add(e)
	}
	t := Totals{Tally: all.tally(), Classes: named(classes), Agents: named(agents)}
	for k, v := range models {
		t.Models = append(t.Models, ModelTally{k.provider, k.model, v.tally()})
	}
	slices.SortFunc(t.Models, func(a, b ModelTally) int {
		return cmp.Or(cmp.Compare(b.Nano, a.Nano), strings.Compare(a.Provider, b.Provider), strings.Compare(a.Model, b.Model))
	})
	return t
}

func of[K comparable](m map[K]*tallier, k K) *tallier {
	if m[k] == nil {
		m[k] = &tallier{}
	}
	return m[k]
}

func named(m map[string]*tallier) []NamedTally {
	var list []NamedTally
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, NamedTally{k, m[k].tally()})
	}
	return list
}

// tallier is a Tally in the making.
type tallier struct {
	sum          Tally
	requests     map[int]bool
	wouldUnknown bool
}

func (t *tallier) add(e *Entry) {
	if t.requests == nil {
		t.requests = map[int]bool{}
	}
	t.requests[e.Request] = true
	s, u := &t.sum, e.Usage
	s.Attempts++
	if e.Fault != "" {
		s.Failed++
	}
	s.Input += u.Input
	s.Output += u.Output
	s.Reasoning += u.Reasoning
	s.CacheRead += u.CacheRead
	s.CacheWrite += u.CacheWrite
	s.CacheWrite1h += u.CacheWrite1h
	s.Searches += u.Searches
	switch {
	case e.Cost.Simulated:
		s.Simulated++
		s.Would += e.Cost.Would
		t.wouldUnknown = t.wouldUnknown || !e.Cost.WouldKnown && !e.free()
	case e.Cost.Known:
		s.Nano += e.Cost.Nano
	case e.free():
	case u.Known:
		s.Unpriced++
	default:
		s.UnknownUsage++
	}
}

func (t *tallier) tally() Tally {
	t.sum.Requests = len(t.requests)
	t.sum.CostKnown = t.sum.Unpriced == 0 && t.sum.UnknownUsage == 0
	t.sum.WouldKnown = !t.wouldUnknown
	return t.sum
}

// free says whether an attempt cost nothing because no model worked for it: the provider answered with an HTTP error, or
// the call never reached it. A reply that was cut before it reported usage is not free, nor is a call that was given up
// while the upstream worked on it.
func (e *Entry) free() bool {
	return !e.Usage.Known && (e.Status >= 400 || e.Status == 0 && !e.Reached)
}

package usage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ccrun/ccrun/proxy/window"
)

// Row is one price as a file writes it: conditions, and what holds where they do. Prices are in US dollars per million
// tokens. Input and Output come together, or Times stands alone.
type Row struct {
	Provider string `json:"provider,omitempty"` // any where empty
	Model    string `json:"model,omitempty"`

	From   time.Time `json:"from,omitzero"`    // in force from here on
	Until  time.Time `json:"until,omitzero"`   // and before this
	Over   int64     `json:"over,omitzero"`    // for prompts of more tokens than this; the whole call costs so
	Tier   string    `json:"tier,omitempty"`   // service tier that was used: "flex"
	Window string    `json:"window,omitempty"` // while this window is open

	Times        Decimal `json:"times,omitempty"` // of the token prices so far
	Input        Decimal `json:"input,omitempty"`
	Output       Decimal `json:"output,omitempty"`
	Reasoning    Decimal `json:"reasoning,omitempty"` // as Output where empty
	CacheRead    Decimal `json:"cache_read,omitempty"`
	CacheWrite5m Decimal `json:"cache_write_5m,omitempty"`
	CacheWrite1h Decimal `json:"cache_write_1h,omitempty"`
	Search       Decimal `json:"search,omitempty"` // per thousand web searches; as before where empty
}

// rule is a checked Row.
type rule struct {
	provider, model string // of an override; "" for any provider
	from, until     time.Time
	over            int64
	tier            string
	anyTier         bool
	window          *window.Window
	times           int64 // billionths; where it is not 0, rate holds nothing
	rate            Rate
	unsure          string // the source where the window's calendar does not reach
}

// names says whether an override is meant for q.
func (r *rule) names(provider string, q Query) bool {
	return (r.provider == "" || r.provider == provider) &&
		(strings.EqualFold(r.model, q.Model) || strings.EqualFold(r.model, q.Served))
}

// cursor walks the rules of a model and keeps what holds so far.
type cursor struct {
	q        Query
	standard bool // the plain rows are meant
	found    bool
	tiered   bool // what holds is meant for the tier that was asked for
	unsure   bool
	rule     *rule // that gave the source
	now      Rate
}

func (c *cursor) apply(r *rule) {
	if c.q.At.Before(r.from) || !r.until.IsZero() && !c.q.At.Before(r.until) {
		return
	}
	if r.over > 0 && c.q.PromptTokens <= r.over {
		return
	}
	if r.tier != "" && r.tier != c.q.Tier {
		return
	}
	if r.window != nil {
		in, known := r.window.Contains(c.q.At)
		c.unsure = c.unsure || !known
		if !in {
			return
		}
	}
	if r.times != 0 {
		c.now.scale(r.times)
		c.tiered = c.tiered || r.tier != ""
		return
	}
	fee, feeKnown := c.now.Search, c.now.SearchKnown
	c.found, c.rule, c.now = true, r, r.rate
	c.tiered = r.tier != "" || r.anyTier
	if !r.rate.SearchKnown {
		c.now.Search, c.now.SearchKnown = fee, feeKnown
	}
	if r.window == nil { // what the calendar left open does not count any more
		c.unsure = false
	}
}

func (c *cursor) rate() (Rate, bool) {
	if !c.found || !c.standard && !c.tiered {
		return Rate{}, false
	}
	if c.unsure {
		c.now.Source = c.rule.unsure
	}
	return c.now, true
}

func (r *Rate) scale(billionths int64) {
	for _, p := range [...]*int64{&r.Input, &r.Output, &r.Reasoning, &r.CacheRead, &r.CacheWrite, &r.CacheWrite1h} {
		var s sum
		s.add(*p, billionths)
		*p = s.over(nanoPerUSD)
	}
}

// compiler turns rows into rules and collects the faults.
type compiler struct {
	source  string
	anyTier bool
	windows map[string]*window.Window
	faults  []error
}

func (c *compiler) fault(where string, err error) {
	c.faults = append(c.faults, fmt.Errorf("%s: %w", where, err))
}

func (c *compiler) err() error { return errors.Join(c.faults...) }

func (c *compiler) define(specs map[string]window.Spec) {
	if c.windows == nil {
		c.windows = make(map[string]*window.Window, len(specs))
	}
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		w, err := window.New(specs[name])
		if err != nil {
			c.fault("window "+name, err)
		}
		c.windows[name] = w
	}
}

func (c *compiler) rule(where string, row Row) rule {
	r := rule{from: row.From, until: row.Until, over: row.Over, tier: row.Tier, anyTier: c.anyTier && row.Tier == "",
		rate: Rate{Source: c.source}, unsure: c.source + " (calendar unknown)"}
	if row.Window != "" {
		w, ok := c.windows[row.Window]
		if !ok {
			c.fault(where, fmt.Errorf("window %q is not defined", row.Window))
		}
		r.window = w
	}
	prices := row.Input != "" || row.Output != "" || row.Reasoning != "" || row.CacheRead != "" ||
		row.CacheWrite5m != "" || row.CacheWrite1h != "" || row.Search != ""
	switch {
	case row.Times != "" && prices:
		c.fault(where, fmt.Errorf("times stands beside prices: use one of the two"))
	case row.Times != "":
		if r.times = c.price(where, "times", row.Times, 0); r.times == 0 {
			c.fault(where, fmt.Errorf("times is 0: for what is free say input and output 0"))
		}
	case row.Input == "" || row.Output == "":
		c.fault(where, fmt.Errorf("a price needs both input and output, in dollars per million tokens"))
	default:
		c.prices(where, row, &r.rate)
	}
	return r
}

func (c *compiler) prices(where string, row Row, r *Rate) {
	r.Input = c.price(where, "input", row.Input, 0)
	r.Output = c.price(where, "output", row.Output, 0)
	r.Reasoning = c.price(where, "reasoning", row.Reasoning, r.Output)
	r.CacheRead = c.price(where, "cache_read", row.CacheRead, r.Input)
	r.CacheWrite = c.price(where, "cache_write_5m", row.CacheWrite5m, r.Input)
	r.CacheWrite1h = c.price(where, "cache_write_1h", row.CacheWrite1h, r.CacheWrite)
	r.Search = c.price(where, "search", row.Search, 0)
	r.SearchKnown = row.Search != ""
}

func (c *compiler) price(where, name string, d Decimal, otherwise int64) int64 {
	if d == "" {
		return otherwise
	}
	n, err := d.nano()
	if err != nil {
		c.fault(where, fmt.Errorf("%s: %w", name, err))
	}
	return n
}

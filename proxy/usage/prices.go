package usage

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ccrun/ccrun/proxy/window"
)

//go:embed prices.json
var pricesJSON []byte

var embedded = sync.OnceValue(func() *Table {
	t, err := readTable(pricesJSON)
	if err != nil {
		panic(broken + err.Error())
	}
	return t
})

const broken = "the price table in this binary is broken: " // a test reads the whole of it

// Embedded is the table that the binary brings. A provider's models are read when the first of them is asked for.
func Embedded() *Table { return embedded() }

// ParseTable reads a table in the form of prices.json. An error names the model and the row; each fault is in it.
func ParseTable(b []byte) (*Table, error) {
	t, err := readTable(b)
	if err != nil {
		return nil, fmt.Errorf("read the price table: %w", err)
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(t.providers)) {
		faults = append(faults, t.providers[name].load())
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("read the price table: %w", err)
	}
	return t, nil
}

// readTable reads all but the models, which are most of it.
func readTable(b []byte) (*Table, error) {
	var f struct {
		Date      string                 `json:"date"`
		Sources   []string               `json:"sources"`
		Windows   map[string]window.Spec `json:"windows"`
		Providers map[string]struct {
			Aliases []string       `json:"aliases"`
			Models  jsontext.Value `json:"models"`
		} `json:"providers"`
	}
	if err := json.Unmarshal(b, &f, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	c := compiler{source: "table " + f.Date}
	c.define(f.Windows)
	t := &Table{Date: f.Date, Sources: f.Sources, providers: make(map[string]*provider, len(f.Providers)),
		aliases: map[string]string{}, windows: c.windows}
	for name, in := range f.Providers {
		p := &provider{}
		p.load = sync.OnceValue(func() error { return p.read(name, in.Models, compiler{source: c.source, windows: c.windows}) })
		t.providers[name] = p
		for _, alias := range in.Aliases {
			t.aliases[alias] = name
		}
	}
	return t, c.err()
}

func (p *provider) read(name string, models jsontext.Value, c compiler) error {
	var in map[string]modelInFile
	if err := json.Unmarshal(models, &in, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	p.models = make(map[string]*model, len(in))
	for id, m := range in {
		p.add(&c, name, id, m)
	}
	slices.SortFunc(p.names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return c.err()
}

// modelInFile is a model as the table writes it.
type modelInFile struct {
	Aliases   []string `json:"aliases"`
	Dated     bool     `json:"dated"`
	Window    int64    `json:"window"`
	MaxOutput int64    `json:"max_output"`
	Blind     bool     `json:"blind"`
	Thinking  bool     `json:"thinking"`
	Always    bool     `json:"always_thinks"`
	Efforts   []string `json:"efforts"`
	Tools     bool     `json:"tools"`
	Prices    []Row    `json:"prices"`
}

func (p *provider) add(c *compiler, name, id string, in modelInFile) {
	m := &model{dated: in.Dated, info: ModelInfo{Provider: name, Model: id,
		Window: in.Window, MaxOutput: in.MaxOutput, Blind: in.Blind, Thinking: in.Thinking,
		AlwaysThinks: in.Always, Efforts: in.Efforts, Tools: in.Tools}}
	where := name + "/" + id
	if len(in.Prices) == 0 {
		c.fault(where, fmt.Errorf("it has no prices"))
	}
	for i, row := range in.Prices {
		m.rows = append(m.rows, c.rule(fmt.Sprintf("%s row %d", where, i+1), row))
	}
	p.names = append(p.names, id)
	for _, key := range append([]string{id}, in.Aliases...) {
		key = strings.ToLower(key)
		if p.models[key] != nil {
			c.fault(where, fmt.Errorf("%q names two models", key))
		}
		p.models[key] = m
	}
}

// ModelInfo is what the table knows of a model. Zero is "not known".
type ModelInfo struct {
	Provider  string
	Model     string
	Window    int64 // tokens, prompt and answer together
	MaxOutput int64 // tokens
	Blind     bool  // it takes no images
	Thinking  bool  // it can think
	// AlwaysThinks: it cannot be told not to. Efforts are the levels that it knows, of minimal, low, medium, high, xhigh and
	// max, in this order.
	AlwaysThinks bool
	Efforts      []string
	Tools        bool // it is known to call tools
	Rate         Rate // of a short prompt at the standard tier
	Priced       bool // Rate is known
}

// Model is what is known of a model, by the names that Rate takes, with its price at a time. ok is false where it is not
// in the table; a model that is only priced by With is not.
func (t *Table) Model(provider, name string, at time.Time) (info ModelInfo, ok bool) {
	own := t.provider(provider)
	p := t.models(own)
	if p == nil {
		return ModelInfo{}, false
	}
	m := p.find(own, name)
	if m == nil {
		return ModelInfo{}, false
	}
	info = m.info
	info.Rate, info.Priced = t.Rate(Query{Provider: own, Model: info.Model, At: at})
	return info, true
}

// Models lists the models of a provider, of all where it is "", in the order of their names, with the prices at a time.
func (t *Table) Models(provider string, at time.Time) []ModelInfo {
	names := slices.Sorted(maps.Keys(t.providers))
	if provider != "" {
		names = []string{t.provider(provider)}
	}
	var list []ModelInfo
	for _, name := range names {
		p := t.models(name)
		if p == nil {
			continue
		}
		for _, id := range p.names {
			info, _ := t.Model(name, id, at)
			list = append(list, info)
		}
	}
	return list
}

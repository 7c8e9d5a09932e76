package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/urfave/cli/v3"

	prices "github.com/ccrun/ccrun/proxy/usage"
	"github.com/ccrun/ccrun/runner"
)

// listedModel is one model of `models list --json`. Prices are decimal USD per million tokens, at this moment; an empty one
// is not known.
type listedModel struct {
	Provider      string   `json:"provider"`
	Model         string   `json:"model"`
	ContextWindow int64    `json:"context_window"` // tokens; 0: not known
	MaxOutput     int64    `json:"max_output"`     // tokens; 0: not known
	Images        bool     `json:"images"`
	Tools         bool     `json:"tools"` // known to call tools
	Thinking      bool     `json:"thinking"`
	AlwaysThinks  bool     `json:"always_thinks"`
	Efforts       []string `json:"efforts"` // the levels of thinking that it knows; empty: not known
	Input         string   `json:"input_usd"`
	Output        string   `json:"output_usd"`
	CacheRead     string   `json:"cache_read_usd"`
	CacheWrite    string   `json:"cache_write_usd"`
	PriceSource   string   `json:"price_source"`
}

func modelsCommand(sys runner.System) *cli.Command {
	list := &cli.Command{
		Name:      "list",
		Usage:     "list the models of the price table, with what they cost now",
		UsageText: "ccrun models list [--provider NAME] [--json]",
		Flags: []cli.Flag{
			another.text("provider", "only this provider's"),
			another.flag("json", "print JSON"),
		},
		Action: func(_ context.Context, c *cli.Command) error {
			if err := noArgs(c, "name a provider with --provider"); err != nil {
				return err
			}
			table := prices.Embedded()
			all := table.Models(c.String("provider"), time.Now())
			if len(all) == 0 {
				return fmt.Errorf("the price table of %s has no provider %q", table.Date, c.String("provider"))
			}
			if c.Bool("json") {
				return printModels(sys, all)
			}
			w := tabwriter.NewWriter(sys.Stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "PROVIDER\tMODEL\tWINDOW\tINPUT\tOUTPUT\tCACHE READ\tUSD PER MILLION TOKENS, NOW")
			for _, m := range all {
				l := listed(m)
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Provider, l.Model, known(l.ContextWindow), word(l.Input), word(l.Output), word(l.CacheRead), l.PriceSource)
			}
			return w.Flush()
		},
	}
	return &cli.Command{
		Name:     "models",
		Usage:    "list known models and prices",
		Commands: []*cli.Command{list},
		Action: func(_ context.Context, c *cli.Command) error {
			if name := c.Args().First(); name != "" {
				return unknownCommand(c, name)
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func listed(m prices.ModelInfo) listedModel {
	l := listedModel{Provider: m.Provider, Model: m.Model, ContextWindow: m.Window, MaxOutput: m.MaxOutput, Images: !m.Blind,
		Tools: m.Tools, Thinking: m.Thinking, AlwaysThinks: m.AlwaysThinks, Efforts: m.Efforts}
	if m.Priced {
		l.Input, l.Output = prices.FormatUSD(m.Rate.Input), prices.FormatUSD(m.Rate.Output)
		l.CacheRead, l.CacheWrite = prices.FormatUSD(m.Rate.CacheRead), prices.FormatUSD(m.Rate.CacheWrite)
		l.PriceSource = m.Rate.Source
	}
	return l
}

func printModels(sys runner.System, all []prices.ModelInfo) error {
	out := make([]listedModel, 0, len(all))
	for _, m := range all {
		out = append(out, listed(m))
	}
	if err := json.MarshalWrite(sys.Stdout, out, jsontext.WithIndent("  ")); err != nil {
		return fmt.Errorf("printing the models: %w", err)
	}
	return line(sys.Stdout, "")
}

func known(n int64) string {
	if n == 0 {
		return "?"
	}
	return fmt.Sprint(n)
}

func word(s string) string {
	if s == "" {
		return "?"
	}
	return s
}

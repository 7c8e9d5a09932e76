package runner

import (
	"fmt"

	"github.com/ccrun/ccrun/proxy/usage"
	"github.com/ccrun/ccrun/runner/config"
)

// priceTable is the embedded table with the config's prices and those of a file laid over it.
func priceTable(c *config.Config, file string) (*usage.Table, error) {
	t := usage.Embedded()
	over := usage.Overrides{Source: "config"}
	for target, p := range c.Prices {
		over.Rows = append(over.Rows, usage.Row{
			Provider: target.Provider, Model: target.Model,
			Input: usage.Decimal(p.Input), Output: usage.Decimal(p.Output), CacheRead: usage.Decimal(p.CacheRead),
			CacheWrite5m: usage.Decimal(p.CacheWrite5m), CacheWrite1h: usage.Decimal(p.CacheWrite1h),
		})
	}
	t, err := t.With(over)
	if err != nil {
		return nil, fmt.Errorf("prices of the configuration: %w", err)
	}
	if file == "" {
		return t, nil
	}
	fromFile, err := config.LoadPrices(file)
	if err != nil {
		return nil, fmt.Errorf("--prices: %w", err)
	}
	fromFile.Source = "file"
	if t, err = t.With(fromFile); err != nil {
		return nil, fmt.Errorf("--prices %s: %w", file, err)
	}
	return t, nil
}

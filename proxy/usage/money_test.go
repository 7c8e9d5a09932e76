package usage

import (
	"math"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

func TestDecimal(t *testing.T) {
	for _, c := range []struct {
		in   Decimal
		want int64 // nano-dollars; -1: refused
	}{
		{"0", 0}, {"0.0", 0}, {"1", 1e9}, {"0.003625", 3_625_000}, {".5", 5e8}, {"2.50", 25e8}, {"0.000000001", 1},
		{"2.5e-7", 250}, {"1E3", 1e12}, {"1000000", 1e15}, {"0.0000000010", 1},
		{"0.0000000001", -1}, {"1000001", -1}, {"99999999999999999999", -1}, {"", -1}, {".", -1}, {"-1", -1}, {"+1", -1},
		{"1,5", -1}, {"1.2.3", -1}, {"0x10", -1}, {"1e", -1}, {"1e99", -1}, {"NaN", -1}, {"$1", -1},
	} {
		got, err := c.in.nano()
		if c.want < 0 && err == nil || c.want >= 0 && (err != nil || got != c.want) {
			t.Errorf("%q = %d, %v; want %d", c.in, got, err, c.want)
		}
	}
}

func TestPerToken(t *testing.T) {
	for in, want := range map[Decimal]Decimal{"0.00000027": "0.27", "2.7e-7": "0.27", "3e-9": "0.003", "0": "0.00", "0.000015": "15.00"} {
		if got, err := PerToken(in); err != nil || got != want {
			t.Errorf("PerToken(%s) = %s, %v; want %s", in, got, err, want)
		}
	}
	if got, err := PerToken("free"); err == nil {
		t.Errorf("PerToken(free) = %s", got)
	}
}

func TestFormatUSD(t *testing.T) {
	for in, want := range map[int64]string{
		0: "0.00", 1: "0.000000001", 10: "0.00000001", 1_234_000: "0.001234", 100_000_000: "0.10", 110_000_000: "0.11",
		1_000_000_000: "1.00", 12_345_678_900: "12.3456789", -5_000_000: "-0.005",
		math.MaxInt64: "9223372036.854775807", math.MinInt64: "-9223372036.854775808",
	} {
		if got := FormatUSD(in); got != want {
			t.Errorf("FormatUSD(%d) = %s, want %s", in, got, want)
		}
	}
}

func TestRateCost(t *testing.T) {
	r := Rate{Input: 3e9, Output: 15e9, Reasoning: 20e9, CacheRead: 3e8, CacheWrite: 3_750_000_000, CacheWrite1h: 6e9, Search: 10e9}
	for _, c := range []struct {
		name string
		rate Rate
		u    anthropic.Usage
		want int64
	}{
		{"each kind once", r, anthropic.Usage{Input: 1000, Output: 100, CacheRead: 5000, CacheWrite: 300, CacheWrite1h: 100, Searches: 2},
			3_000_000 + 1_500_000 + 1_500_000 + 750_000 + 600_000 + 20_000_000},
		{"reasoning is a part of the output", r, anthropic.Usage{Output: 100, Reasoning: 40}, 900_000 + 800_000},
		{"one token below half a nano-dollar", Rate{Input: 499_999}, anthropic.Usage{Input: 1}, 0},
		{"half goes up", Rate{Input: 500_000}, anthropic.Usage{Input: 1}, 1},
		{"rounded once, not per kind", Rate{Input: 400_000, Output: 400_000}, anthropic.Usage{Input: 1, Output: 1}, 1},
		{"more than 63 bits on the way", Rate{Input: 600e9}, anthropic.Usage{Input: 1e9}, 600e12},
		{"more than a cost can hold", Rate{Input: maxPrice, Output: maxPrice}, anthropic.Usage{Input: math.MaxInt64, Output: math.MaxInt64}, math.MaxInt64},
		{"a negative count is not paid back", r, anthropic.Usage{Input: 1000, Output: -50, Reasoning: 10}, 3_000_000},
		{"reasoning beyond the output", r, anthropic.Usage{Output: 10, Reasoning: 99}, 200_000},
	} {
		if got := c.rate.Cost(c.u); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

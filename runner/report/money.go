package report

import (
	"fmt"

	"github.com/ccrun/ccrun/proxy/usage"
)

// USD is money in nano-dollars. In JSON and in outputs it is a string with the plain decimal number of dollars, such as
// "0.00123", so that no reader rounds it in a float.
type USD int64

func (u USD) String() string { return usage.FormatUSD(int64(u)) }

// MarshalText is String: in JSON, a string.
func (u USD) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// dollars is for people: four decimals, and never a zero for what is not zero.
func (u USD) dollars() string {
	const unit = 100_000 // nano-dollars in 0.0001
	switch {
	case u == 0:
		return "$0"
	case u > 0 && u < unit:
		return "<$0.0001"
	}
	n := (u + unit/2) / unit
	return fmt.Sprintf("$%d.%04d", n/1e4, n%1e4)
}

package usage

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// A Decimal is a price as a file writes it, in US dollars: "0.003625", 2.5, 3e-7. It keeps the digits: no float is in
// between. In JSON it is a string or a number.
type Decimal string

// UnmarshalJSON takes a string or a number.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	*d = Decimal(strings.Trim(string(b), `"`))
	_, err := d.nano()
	return err
}

// PerToken turns a price per token into one per million tokens: "0.00000027" is "0.27".
func PerToken(d Decimal) (Decimal, error) {
	nano, err := d.shift(9 + 6)
	if err != nil {
		return "", err
	}
	return Decimal(FormatUSD(nano)), nil
}

// nano is the price in nano-dollars.
func (d Decimal) nano() (int64, error) { return d.shift(9) }

// shift is d times 10 to the places, which must be a whole number: nothing is ever rounded off.
func (d Decimal) shift(places int) (int64, error) {
	text, exponent, scientific := strings.Cut(strings.ToLower(string(d)), "e")
	if scientific {
		e, err := strconv.Atoi(exponent)
		if err != nil || e < -30 || e > 30 {
			return 0, fmt.Errorf("price %q is not a decimal number", string(d))
		}
		places += e
	}
	whole, fraction, _ := strings.Cut(text, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if whole+fraction == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("price %q is not a decimal number of dollars such as 0.27", string(d))
	}
	if places -= len(fraction); places >= 0 {
		digits += strings.Repeat("0", places)
	} else {
		cut := max(len(digits)+places, 0)
		if strings.Trim(digits[cut:], "0") != "" {
			return 0, fmt.Errorf("price %q is finer than a nano-dollar", string(d))
		}
		digits = digits[:cut]
	}
	if strings.Trim(digits, "0") == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > maxPrice {
		return 0, fmt.Errorf("price %q is over a million dollars", string(d))
	}
	return n, nil
}

const (
	nanoPerUSD = 1_000_000_000
	maxPrice   = 1_000_000 * nanoPerUSD // per million tokens
)

// FormatUSD writes nano-dollars as dollars, exactly: at least two places, and no zeros at the end beyond them.
func FormatUSD(nano int64) string {
	sign, n := "", uint64(nano)
	if nano < 0 {
		sign, n = "-", -n
	}
	text := fmt.Sprintf("%s%d.%09d", sign, n/nanoPerUSD, n%nanoPerUSD)
	cut := len(text)
	for text[cut-1] == '0' && cut > len(text)-7 {
		cut--
	}
	return text[:cut]
}

// sum adds products up in 128 bits, so that nothing overflows before the one rounding at the end.
type sum struct{ hi, lo uint64 }

func (s *sum) add(count, price int64) {
	if count <= 0 || price <= 0 { // a provider that reports a negative count is not paid back
		return
	}
	hi, lo := bits.Mul64(uint64(count), uint64(price))
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, _ = bits.Add64(s.hi, hi, carry)
}

// over divides by d, half up. A sum that no int64 can hold is the largest one.
func (s sum) over(d uint64) int64 {
	const most = 1<<63 - 1
	lo, carry := bits.Add64(s.lo, d/2, 0)
	hi := s.hi + carry
	if hi >= d {
		return most
	}
	q, _ := bits.Div64(hi, lo, d)
	return int64(min(q, most))
}

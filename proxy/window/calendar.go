package window

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// date is a day on the wall calendar: 20261001.
type date int

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date(y*10000 + int(m)*100 + d)
}

// calendar is a set of days, stretches with both ends in it. Where years is empty it covers all years.
type calendar struct {
	years []int
	days  [][2]date
}

// calendars are the ones that can be named. Days: the notices of the General Office of the State Council of China on
// holidays in 2025 (2024 no. 12) and in 2026 (2025 no. 7). The one for a year is published in the November before.
var calendars = map[string]calendar{
	"cn-holidays": {years: []int{2025, 2026}, days: [][2]date{
		{20250101, 20250101}, // New Year
		{20250128, 20250204}, // Spring Festival
		{20250404, 20250406}, // Tomb-Sweeping Day
		{20250501, 20250505}, // Labour Day
		{20250531, 20250602}, // Dragon Boat Festival
		{20251001, 20251008}, // National Day, Mid-Autumn Festival
		{20260101, 20260103}, // New Year
		{20260215, 20260223}, // Spring Festival
		{20260404, 20260406}, // Tomb-Sweeping Day
		{20260501, 20260505}, // Labour Day
		{20260619, 20260621}, // Dragon Boat Festival
		{20260925, 20260927}, // Mid-Autumn Festival
		{20261001, 20261007}, // National Day
	}},
	// Saturdays and Sundays on which China works to make up for a holiday.
	"cn-workdays": {years: []int{2025, 2026}, days: [][2]date{
		{20250126, 20250126}, {20250208, 20250208}, {20250427, 20250427}, {20250928, 20250928}, {20251011, 20251011},
		{20260104, 20260104}, {20260214, 20260214}, {20260228, 20260228}, {20260509, 20260509}, {20260920, 20260920},
		{20261010, 20261010},
	}},
}

// calendarsOf reads names of calendars, dates ("2026-12-24") and stretches of dates ("2026-12-24..2027-01-01").
func calendarsOf(names []string) ([]calendar, error) {
	var list []calendar
	for _, name := range names {
		if c, ok := calendars[name]; ok {
			list = append(list, c)
			continue
		}
		first, last, isRange := strings.Cut(name, "..")
		if !isRange {
			last = first
		}
		a, errA := time.Parse(time.DateOnly, first)
		b, errB := time.Parse(time.DateOnly, last)
		if errA != nil || errB != nil || b.Before(a) {
			return nil, fmt.Errorf("%q is neither a calendar (%s) nor a date such as 2026-12-24 or 2026-12-24..2027-01-01",
				name, strings.Join(slices.Sorted(maps.Keys(calendars)), ", "))
		}
		list = append(list, calendar{days: [][2]date{{dateOf(a), dateOf(b)}}})
	}
	return list, nil
}

// among says whether one of the calendars holds d. known is false where none does and one of them does not reach d.
func among(list []calendar, d date) (in, known bool) {
	known = true
	for _, c := range list {
		for _, s := range c.days {
			if s[0] <= d && d <= s[1] {
				return true, true
			}
		}
		if len(c.years) > 0 && !slices.Contains(c.years, int(d)/10000) {
			known = false
		}
	}
	return false, known
}

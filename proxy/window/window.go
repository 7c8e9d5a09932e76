// Package window says when: a named stretch of the week on the wall clock of one zone, with calendars of days that are
// left out.
//
// A Spec is what a file says; New checks it and makes a Window; Contains answers for an instant, NextOpen and NextClose
// look ahead. A window is what a clock on the wall of its zone shows, nothing else: an hour that a change to summer time
// skips does not open it, and an hour that comes twice opens it twice. Hours that run over midnight belong to the day on
// which they begin. Where a calendar does not reach, the weekday alone decides and the answer says so.
//
// The package brings the zones' data with it, so that a static binary in an empty container knows them.
package window

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a container built from scratch has no zoneinfo
)

// Spec is a window as a file writes it.
type Spec struct {
	Zone     string   `json:"zone,omitempty"`     // a name of the IANA database; UTC where empty
	Weekdays []string `json:"weekdays,omitempty"` // "mon", "mon-fri", "sat-mon"; every day where empty
	From     string   `json:"from,omitempty"`     // "22:00"; with To the short form of one entry in Hours
	To       string   `json:"to,omitempty"`       // "06:00": not part of the window; before From: of the next day
	Hours    []string `json:"hours,omitempty"`    // "09:00-12:00"; the whole day where there are none
	Except   []string `json:"except,omitempty"`   // calendars and dates that are left out: "cn-holidays", "2026-12-24"
	Also     []string `json:"also,omitempty"`     // calendars and dates that count in spite of their weekday: "cn-workdays"
}

// Window is a checked Spec. It is safe for concurrent use.
type Window struct {
	zone   *time.Location
	days   [7]bool
	hours  []span
	except []calendar
	also   []calendar
}

// span is a stretch of a day in seconds since midnight, to excluded; from ≥ to runs over midnight.
type span struct{ from, to int }

const day = 24 * 60 * 60

// New checks s.
func New(s Spec) (*Window, error) {
	w := &Window{zone: time.UTC}
	var err error
	if strings.EqualFold(s.Zone, "local") {
		return nil, fmt.Errorf("zone %q depends on the machine: name one, such as Europe/Berlin", s.Zone)
	}
	if w.zone, err = time.LoadLocation(s.Zone); err != nil {
		return nil, fmt.Errorf("zone %q is not known: use a name such as Europe/Berlin or UTC", s.Zone)
	}
	if w.days, err = weekdays(s.Weekdays); err != nil {
		return nil, err
	}
	if w.hours, err = hours(s); err != nil {
		return nil, err
	}
	if w.except, err = calendarsOf(s.Except); err != nil {
		return nil, fmt.Errorf("except: %w", err)
	}
	if w.also, err = calendarsOf(s.Also); err != nil {
		return nil, fmt.Errorf("also: %w", err)
	}
	return w, nil
}

func weekdays(names []string) (days [7]bool, err error) {
	if len(names) == 0 {
		return [7]bool{true, true, true, true, true, true, true}, nil
	}
	for _, name := range names {
		first, last, isRange := strings.Cut(name, "-")
		a, ok := weekday(first)
		b := a
		if ok && isRange {
			b, ok = weekday(last)
		}
		if !ok {
			return days, fmt.Errorf("weekday %q: use mon, tue, wed, thu, fri, sat, sun or a range such as mon-fri", name)
		}
		for d := a; ; d = (d + 1) % 7 {
			days[d] = true
			if d == b {
				break
			}
		}
	}
	return days, nil
}

func weekday(name string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if full := d.String(); strings.EqualFold(name, full[:3]) || strings.EqualFold(name, full) {
			return d, true
		}
	}
	return 0, false
}

func hours(s Spec) ([]span, error) {
	list := s.Hours
	if s.From != "" || s.To != "" {
		if len(list) > 0 {
			return nil, fmt.Errorf("from and to stand beside hours: use one of the two")
		}
		list = []string{s.From + "-" + s.To}
	}
	if len(list) == 0 {
		return []span{{0, day}}, nil
	}
	var spans []span
	for _, text := range list {
		from, to, ok := strings.Cut(text, "-")
		a, okA := clock(from)
		b, okB := clock(to)
		if !ok || !okA || !okB || a == day {
			return nil, fmt.Errorf("hours %q: use a form such as 22:00-06:00", text)
		}
		if a == b {
			return nil, fmt.Errorf("hours %q are empty: for the whole day leave them out or use 00:00-24:00", text)
		}
		spans = append(spans, span{a, b})
	}
	return spans, nil
}

// clock reads "HH:MM", 24:00 included, as seconds since midnight.
func clock(s string) (int, bool) {
	if s == "24:00" {
		return day, true
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*3600 + t.Minute()*60, err == nil
}

// Contains says whether the window is open at t. calendarKnown is false where a calendar that could turn the answer does
// not reach to that day; then in is what the weekdays alone say.
func (w *Window) Contains(t time.Time) (in, calendarKnown bool) {
	t = t.In(w.zone)
	now := secondOf(t)
	known := true
	for _, h := range w.hours {
		var open, sure bool
		switch {
		case h.from < h.to && (now < h.from || now >= h.to):
			continue
		case h.from > h.to && now < h.to: // opened yesterday
			y, m, d := t.Date() // not AddDate: yesterday may lack this hour
			open, sure = w.day(time.Date(y, m, d-1, 0, 0, 0, 0, time.UTC))
		case h.from > h.to && now < h.from:
			continue
		default:
			open, sure = w.day(t)
		}
		if open && sure {
			return true, true
		}
		in = in || open
		known = known && sure
	}
	return in, known
}

// day says whether the window opens on the date of t, and whether the calendars reach there.
func (w *Window) day(t time.Time) (open, known bool) {
	date := dateOf(t)
	open, known = w.days[t.Weekday()], true
	if !open {
		open, known = among(w.also, date)
	}
	if !open {
		return false, known
	}
	out, sure := among(w.except, date)
	if out {
		return false, true
	}
	return true, known && sure
}

// NextOpen is the first instant from t on at which the window is open: t itself where it is. ok is false where there is
// none within two years.
func (w *Window) NextOpen(t time.Time) (at time.Time, ok bool) { return w.next(t, true) }

// NextClose is the first instant from t on at which the window is closed: t itself where it is. ok is false where there
// is none within two years.
func (w *Window) NextClose(t time.Time) (at time.Time, ok bool) { return w.next(t, false) }

func (w *Window) next(t time.Time, open bool) (time.Time, bool) {
	for at := t; at.Before(t.AddDate(2, 0, 0)); at = w.edge(at) {
		if in, _ := w.Contains(at); in == open {
			return at, true
		}
	}
	return time.Time{}, false
}

// edge is the next instant at which the answer can change: an hour of the window, midnight, or a change of the clock.
func (w *Window) edge(t time.Time) time.Time {
	t = t.In(w.zone)
	now, next := secondOf(t), day
	for _, h := range w.hours {
		for _, e := range [2]int{h.from, h.to} {
			if e > now && e < next {
				next = e
			}
		}
	}
	at := t.Add(time.Duration(next-now)*time.Second - time.Duration(t.Nanosecond()))
	if _, change := t.ZoneBounds(); !change.IsZero() && change.Before(at) {
		return change.In(w.zone)
	}
	return at
}

func secondOf(t time.Time) int {
	h, m, s := t.Clock()
	return h*3600 + m*60 + s
}

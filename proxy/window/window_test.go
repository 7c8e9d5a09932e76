package window

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func must(t *testing.T, s Spec) *Window {
	t.Helper()
	w, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var specs = map[string]Spec{
	"deepseek":   {Zone: "Asia/Shanghai", Weekdays: []string{"mon-fri"}, Hours: []string{"09:00-12:00", "14:00-18:00"}, Except: []string{"cn-holidays"}},
	"china":      {Zone: "Asia/Shanghai", Weekdays: []string{"mon-fri"}, From: "09:00", To: "18:00", Except: []string{"cn-holidays"}, Also: []string{"cn-workdays"}},
	"berlin":     {Zone: "Europe/Berlin", Weekdays: []string{"mon-fri"}, From: "22:00", To: "06:00"},
	"berlin-gap": {Zone: "Europe/Berlin", From: "02:00", To: "03:00"},
	"berlin-in":  {Zone: "Europe/Berlin", From: "02:30", To: "03:30"},
	"berlin-day": {Zone: "Europe/Berlin", Weekdays: []string{"sun"}},
	"newyork":    {Zone: "America/New_York", Weekdays: []string{"sat-sun"}, From: "01:30", To: "02:30"},
	"dates":      {Weekdays: []string{"mon-fri"}, Except: []string{"2026-12-24..2027-01-01"}},
}

func TestContains(t *testing.T) {
	for _, c := range []struct {
		spec, at  string
		in, known bool
	}{
		// 2026-11-20 is a Friday.
		{"deepseek", "2026-11-20T00:59:59.999Z", false, true},
		{"deepseek", "2026-11-20T01:00:00Z", true, true},
		{"deepseek", "2026-11-20T03:59:59.999Z", true, true},
		{"deepseek", "2026-11-20T04:00:00Z", false, true},
		{"deepseek", "2026-11-20T06:00:00Z", true, true},
		{"deepseek", "2026-11-20T10:00:00Z", false, true},
		{"deepseek", "2026-11-21T02:00:00Z", false, true}, // Saturday
		{"deepseek", "2026-11-22T02:00:00Z", false, true}, // Sunday
		{"deepseek", "2026-11-23T02:00:00Z", true, true},
		{"deepseek", "2026-10-01T02:00:00Z", false, true},   // Thursday, National Day
		{"deepseek", "2026-10-10T02:00:00Z", false, true},   // Saturday on which China works
		{"deepseek", "2027-01-01T02:00:00Z", true, false},   // Friday, no calendar yet
		{"deepseek", "2027-01-02T02:00:00Z", false, true},   // Saturday: the calendar cannot turn it
		{"deepseek", "2027-01-01T05:00:00Z", false, true},   // noon: neither
		{"deepseek", "2026-12-31T18:00:00Z", false, true},   // already 2027 in Shanghai, at night
		{"china", "2026-10-10T02:00:00Z", true, true},       // works
		{"china", "2026-10-11T02:00:00Z", false, true},      // Sunday
		{"china", "2027-01-02T02:00:00Z", false, false},     // Saturday: a calendar could say work
		{"berlin", "2026-11-20T20:59:59Z", false, true},     // 21:59:59 of Friday
		{"berlin", "2026-11-20T21:00:00Z", true, true},      // 22:00
		{"berlin", "2026-11-21T04:59:59Z", true, true},      // Saturday 05:59:59, Friday's window
		{"berlin", "2026-11-21T05:00:00Z", false, true},     // 06:00
		{"berlin", "2026-11-21T22:00:00Z", false, true},     // Saturday 23:00
		{"berlin", "2026-11-23T04:00:00Z", false, true},     // Monday 05:00: Sunday's is none
		{"berlin-gap", "2026-03-29T00:59:59Z", false, true}, // 01:59:59, then 03:00
		{"berlin-gap", "2026-03-29T01:00:00Z", false, true},
		{"berlin-in", "2026-03-29T01:00:00Z", true, true}, // 03:00 summer time is after 02:30
		{"berlin-in", "2026-03-29T01:30:00Z", false, true},
		{"berlin-gap", "2026-10-25T00:00:00Z", true, true}, // 02:00 the first time
		{"berlin-gap", "2026-10-25T01:59:59Z", true, true}, // 02:59:59 the second time
		{"berlin-gap", "2026-10-25T02:00:00Z", false, true},
		{"newyork", "2026-03-08T06:30:00Z", true, true},  // 01:30 EST
		{"newyork", "2026-03-08T07:00:00Z", false, true}, // 03:00 EDT
		{"newyork", "2026-11-01T05:30:00Z", true, true},  // 01:30 EDT
		{"newyork", "2026-11-01T06:00:00Z", false, true}, // 01:00 EST again
		{"newyork", "2026-11-01T06:30:00Z", true, true},  // 01:30 EST again
		{"newyork", "2026-11-01T07:30:00Z", false, true}, // 02:30 EST
		{"dates", "2026-12-23T12:00:00Z", true, true},
		{"dates", "2026-12-24T00:00:00Z", false, true},
		{"dates", "2027-01-01T23:59:59Z", false, true},
		{"dates", "2027-01-04T00:00:00Z", true, true},
	} {
		in, known := must(t, specs[c.spec]).Contains(at(t, c.at))
		if in != c.in || known != c.known {
			t.Errorf("%s at %s: %v, known %v; want %v, %v", c.spec, c.at, in, known, c.in, c.known)
		}
	}
}

func TestNext(t *testing.T) {
	for _, c := range []struct{ spec, at, open, close string }{
		{"deepseek", "2026-11-20T10:00:00Z", "2026-11-23T01:00:00Z", "2026-11-20T10:00:00Z"},
		{"deepseek", "2026-11-20T03:30:00.5Z", "2026-11-20T03:30:00.5Z", "2026-11-20T04:00:00Z"},
		{"deepseek", "2026-09-30T10:00:00Z", "2026-10-08T01:00:00Z", "2026-09-30T10:00:00Z"}, // over the holidays
		{"berlin", "2026-11-20T12:00:00Z", "2026-11-20T21:00:00Z", "2026-11-20T12:00:00Z"},
		{"berlin", "2026-11-20T22:00:00Z", "2026-11-20T22:00:00Z", "2026-11-21T05:00:00Z"},
		{"berlin", "2026-10-23T21:00:00Z", "2026-10-23T21:00:00Z", "2026-10-24T04:00:00Z"}, // Friday, before winter time
		{"berlin-gap", "2026-03-29T00:30:00Z", "2026-03-30T00:00:00Z", "2026-03-29T00:30:00Z"},
		{"berlin-in", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T00:30:00Z"},
		{"berlin-gap", "2026-10-25T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"}, // both hours
		{"newyork", "2026-11-01T05:45:00Z", "2026-11-01T05:45:00Z", "2026-11-01T06:00:00Z"},
		{"newyork", "2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z", "2026-11-01T06:00:00Z"},
		{"berlin-day", "2026-03-28T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}, // a day of 23 hours
	} {
		w := must(t, specs[c.spec])
		for _, n := range []struct {
			name, want string
			f          func(time.Time) (time.Time, bool)
		}{{"NextOpen", c.open, w.NextOpen}, {"NextClose", c.close, w.NextClose}} {
			if got, ok := n.f(at(t, c.at)); !ok || !got.Equal(at(t, n.want)) {
				t.Errorf("%s %s(%s) = %s %v, want %s", c.spec, n.name, c.at, got.UTC().Format(time.RFC3339Nano), ok, n.want)
			}
		}
	}
	always := must(t, Spec{})
	if got, ok := always.NextClose(at(t, "2026-11-20T00:00:00Z")); ok {
		t.Errorf("a window that is always open closes at %s", got)
	}
	never := must(t, Spec{Except: []string{"2020-01-01..2099-12-31"}})
	if got, ok := never.NextOpen(at(t, "2026-11-20T00:00:00Z")); ok {
		t.Errorf("a window that is never open opens at %s", got)
	}
}

// Looking ahead must find each change of Contains, and no other: walk both change days of each zone minute by minute.
func TestNextAgreesWithContains(t *testing.T) {
	starts := []string{"2026-03-08T00:00:00Z", "2026-03-28T22:00:00Z", "2026-10-24T22:00:00Z", "2026-11-01T00:00:00Z", "2026-12-31T00:00:00Z"}
	for name, spec := range specs {
		w := must(t, spec)
		for _, s := range starts {
			from := at(t, s)
			in, _ := w.Contains(from)
			edge, ok := w.next(from, !in)
			for m := from; m.Before(from.Add(36 * time.Hour)); m = m.Add(time.Minute) {
				now, _ := w.Contains(m)
				if now == in {
					if ok && !m.Before(edge) {
						t.Fatalf("%s: next from %s says %s, but nothing changed by %s", name, s, edge.UTC(), m)
					}
					continue
				}
				if !ok || !m.Equal(edge) {
					t.Fatalf("%s: changes at %s, next says %s %v", name, m, edge.UTC(), ok)
				}
				in = now
				edge, ok = w.next(m, !in)
			}
		}
	}
}

func TestCalendarsAreWhatTheySay(t *testing.T) {
	for _, s := range calendars["cn-workdays"].days {
		d, err := time.Parse("20060102", strconv.Itoa(int(s[0])))
		if err != nil {
			t.Fatal(err)
		}
		if wd := d.Weekday(); wd != time.Saturday && wd != time.Sunday {
			t.Errorf("%d is a %s: only weekends are made up", s[0], wd)
		}
		if holiday, _ := among([]calendar{calendars["cn-holidays"]}, s[0]); holiday {
			t.Errorf("%d is both a holiday and a workday", s[0])
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{Zone: "Mars/Olympus"}, `zone "Mars/Olympus" is not known`},
		{Spec{Zone: "Local"}, "depends on the machine"},
		{Spec{Weekdays: []string{"mon-funday"}}, `weekday "mon-funday"`},
		{Spec{From: "9:5", To: "10:00"}, `hours "9:5-10:00"`},
		{Spec{From: "09:00"}, `hours "09:00-"`},
		{Spec{Hours: []string{"09:00-09:00"}}, "are empty"},
		{Spec{Hours: []string{"24:00-09:00"}}, "use a form"},
		{Spec{From: "09:00", To: "10:00", Hours: []string{"11:00-12:00"}}, "use one of the two"},
		{Spec{Except: []string{"us-holidays"}}, "cn-holidays, cn-workdays"},
		{Spec{Also: []string{"2026-02-30"}}, "also:"},
	} {
		if _, err := New(c.spec); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New(%+v) = %v, want an error with %q", c.spec, err, c.want)
		}
	}
}

func BenchmarkContains(b *testing.B) {
	w, err := New(specs["deepseek"])
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		w.Contains(now)
	}
}

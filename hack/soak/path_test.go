package main

import (
	"testing"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
)

// kate was Active before, is deactivated at 10 s, back at 20 s, and expires at 30 s.
func kate(t *testing.T) []stretch {
	t.Helper()
	l := line[account]{}
	for i, a := range []*account{{desired: v1alpha1.StateActive}, {desired: v1alpha1.StateDeactivated}, {desired: v1alpha1.StateActive, expires: at(30)}} {
		l = l.put(version[account]{revision: uint64(i), earliest: at(float64(10*i) - 0.1), latest: at(float64(10 * i)), value: a})
	}
	path := pathOf(boundariesOf(l, (*account).instants, at(40)), func(t time.Time) (v1alpha1.State, []time.Time) {
		state, _ := l.at(t).at(t)
		return state, l.at(t).instants()
	}, at(40))
	if got := words(path); got != "Active from 12:00:00.000, Deactivated from 12:00:10.000, Active from 12:00:20.000, Expired from 12:00:30.000" {
		t.Fatal(got)
	}
	return path
}

func recorded(number int, from, to v1alpha1.State, cause v1alpha1.TransitionCauseType, happened, observed float64) record {
	return record{number: number, name: "user.kate", from: from, to: to, cause: cause, time: at(happened), observed: at(observed)}
}

func TestExplain(t *testing.T) {
	before := recorded(1, "", v1alpha1.StateActive, v1alpha1.TransitionDeclared, 0, 0)
	left := recorded(2, v1alpha1.StateActive, v1alpha1.StateDeactivated, v1alpha1.TransitionDeclared, 10, 10)
	back := recorded(3, v1alpha1.StateDeactivated, v1alpha1.StateActive, v1alpha1.TransitionDeclared, 20, 20)
	expired := recorded(4, v1alpha1.StateActive, v1alpha1.StateExpired, v1alpha1.TransitionExpired, 30, 31)
	late, early := expired, expired
	late.time, early.observed = at(31), at(28)
	nothing := func(stretch) bool { return false }
	short := func(s stretch) bool { return s.latest.Equal(at(10)) }
	for name, c := range map[string]struct {
		records []record
		hidden  func(stretch) bool
		want    string
	}{
		"everything":                      {[]record{left, back, expired}, nothing, ""},
		"nothing of what was too short":   {[]record{expired}, short, ""},
		"a loss":                          {[]record{left, back}, nothing, lost},
		"a loss in between":               {[]record{expired}, nothing, wrong},
		"one twice":                       {[]record{left, left, back, expired}, nothing, doubled},
		"one too many":                    {[]record{left, back, expired, recorded(5, v1alpha1.StateExpired, v1alpha1.StateActive, v1alpha1.TransitionDeclared, 35, 35)}, nothing, wrong},
		"the time of notice":              {[]record{left, back, late}, nothing, wrong},
		"the future":                      {[]record{left, back, early}, nothing, wrong},
		"a record that does not go on":    {[]record{left, expired}, nothing, wrong},
		"the last, however short ago":     {[]record{left, back}, func(stretch) bool { return true }, lost},
		"what was undone before anybody":  {nil, func(s stretch) bool { return s.latest.After(at(5)) }, lost},
		"a beginning that has begun once": {[]record{recorded(2, "", v1alpha1.StateDeactivated, v1alpha1.TransitionDeclared, 10, 10)}, nothing, wrong},
	} {
		if kind, text := explain(c.records, kate(t), true, before, c.hidden); kind != c.want {
			t.Errorf("%s: %q %s, want %q", name, kind, text, c.want)
		}
	}
}

// A leave ends in the moment in which its user is deactivated: who does not know that yet finds them back.
func TestExplainWhatIsStale(t *testing.T) {
	leave := []absence{{name: "leave", start: at(5), end: at(10), state: v1alpha1.StateDeactivated}}
	l := line[account]{}.
		put(version[account]{revision: 1, latest: at(0), value: &account{absences: leave}}).
		put(version[account]{revision: 2, earliest: at(9.8), latest: at(9.9), value: &account{absences: leave, desired: v1alpha1.StateDeactivated}})
	path := pathOf(boundariesOf(l, (*account).instants, at(20)), func(t time.Time) (v1alpha1.State, []time.Time) {
		state, _ := l.at(t).at(t)
		return state, nil
	}, at(20))
	records := []record{
		recorded(2, v1alpha1.StateActive, v1alpha1.StateDeactivated, v1alpha1.TransitionAbsenceStarted, 5, 5),
		recorded(3, v1alpha1.StateDeactivated, v1alpha1.StateActive, v1alpha1.TransitionAbsenceEnded, 10, 10),
		recorded(4, v1alpha1.StateActive, v1alpha1.StateDeactivated, v1alpha1.TransitionDeclared, 10, 10),
	}
	before := recorded(1, "", v1alpha1.StateActive, v1alpha1.TransitionDeclared, 0, 0)
	hidden := func(s stretch) bool { return s.end.Sub(s.latest) < time.Second }
	knownBy := func(t time.Time) time.Time { return t.Add(time.Second) }
	found := staleIn(l, (*account).instants, knownBy, func(a *account, t time.Time) v1alpha1.State { s, _ := a.at(t); return s })
	for name, c := range map[string]struct {
		records []record
		path    []stretch
		want    string
	}{
		"not known yet":         {records, withStale(path, found), ""},
		"known":                 {records[:1], withStale(path, found), ""},
		"without such a moment": {records, path, wrong},
	} {
		if kind, text := explain(c.records, c.path, true, before, hidden); kind != c.want {
			t.Errorf("%s: %q %s, want %q", name, kind, text, c.want)
		}
	}
}

func TestLimit(t *testing.T) {
	f := &faults{all: []outage{{kind: killed, begin: at(10), end: at(10), recovered: at(18)}}}
	for name, c := range map[string]struct {
		due, limit float64
		kind       string
	}{
		"long before":               {5, 6, clean},
		"just before":               {9.5, 18, killed},
		"while nobody leads":        {14, 18, killed},
		"shortly before it is over": {17.9, 18.9, killed},
		"after it is over":          {19, 20, clean},
	} {
		if limit, kind := f.limit(at(c.due), at(c.due), time.Second); !limit.Equal(at(c.limit)) || kind != c.kind {
			t.Errorf("%s: %s for %s", name, limit.Sub(noon), kind)
		}
	}
	f.all = append(f.all, outage{kind: handover, begin: at(15), end: at(15), recovered: at(19)})
	if limit, kind := f.limit(at(14), at(14), time.Second); !limit.Equal(at(19)) || kind != several {
		t.Errorf("two outages, one after another: %s for %s", limit.Sub(noon), kind)
	}
	f.crowd = []crowded{{at(5), 3}}
	if limit, _ := f.limit(at(5), at(5), time.Second); !limit.Equal(at(8)) {
		t.Errorf("on a machine that others want too: %s", limit.Sub(noon))
	}
}

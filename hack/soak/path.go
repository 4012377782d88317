package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
)

// version is what was declared from some moment on: at the earliest from, at the latest until.
type version[T any] struct {
	revision         uint64
	earliest, latest time.Time
	value            *T // nil: there is none any more
}

// line is everything that was declared about one subject, oldest first.
type line[T any] []version[T]

// put adds what is known about a version. The API server's answer and the watch tell of the same.
func (l line[T]) put(v version[T]) line[T] {
	i, found := slices.BinarySearchFunc(l, v.revision, func(o version[T], r uint64) int {
		switch {
		case o.revision < r:
			return -1
		case o.revision > r:
			return 1
		default:
			return 0
		}
	})
	if !found {
		return slices.Insert(l, i, v)
	}
	if l[i].earliest.Before(v.earliest) {
		l[i].earliest = v.earliest
	}
	if v.latest.Before(l[i].latest) {
		l[i].latest = v.latest
	}
	if l[i].earliest.After(l[i].latest) {
		l[i].earliest = l[i].latest
	}
	return l
}

// at is what was declared at an instant; nil where nothing was.
func (l line[T]) at(t time.Time) *T {
	var value *T
	for _, v := range l {
		if v.latest.After(t) {
			break
		}
		value = v.value
	}
	return value
}

// boundary is an instant at which a state may change: because a declared time came, or because somebody declared something
// between earliest and at.
type boundary struct {
	at, earliest time.Time
	deadline     bool
}

// boundariesOf are those of a line, and of the declared times in it, up to an instant.
func boundariesOf[T any](l line[T], instants func(*T) []time.Time, until time.Time) []boundary {
	var all []boundary
	for i, v := range l {
		if v.latest.After(until) {
			continue
		}
		all = append(all, boundary{at: v.latest, earliest: v.earliest})
		end := until
		if i+1 < len(l) {
			end = l[i+1].latest
		}
		for _, instant := range instants(v.value) {
			if instant.After(v.latest) && !instant.After(end) && !instant.After(until) {
				all = append(all, boundary{at: instant, earliest: instant, deadline: true})
			}
		}
	}
	return all
}

// stretch is a state as long as it lasts.
type stretch struct {
	state            v1alpha1.State // as recorded: see kin
	earliest, latest time.Time      // when it began
	end              time.Time
	deadline         bool // a declared time began it
	open             bool // it lasts
	instants         []time.Time
	again            []time.Time // when something more was declared that led to it, too
}

func (s stretch) String() string {
	if s.latest.IsZero() {
		return string(s.state) + " from before"
	}
	return fmt.Sprintf("%s from %s", s.state, s.latest.UTC().Format("15:04:05.000"))
}

// pathOf is the way of a state from one boundary to the next. It is empty while there is no subject.
func pathOf(boundaries []boundary, state func(time.Time) (v1alpha1.State, []time.Time), until time.Time) []stretch {
	slices.SortStableFunc(boundaries, func(a, b boundary) int { return a.at.Compare(b.at) })
	var path []stretch
	for _, b := range boundaries {
		is, instants := state(b.at)
		if is != "" {
			is = kin(is)
		}
		if n := len(path); n > 0 && path[n-1].state == is {
			path[n-1].instants = append(slices.Clone(path[n-1].instants), instants...)
			if !b.deadline {
				path[n-1].again = append(path[n-1].again, b.earliest)
			}
			continue
		}
		if n := len(path); n > 0 {
			path[n-1].end = b.at
		}
		path = append(path, stretch{state: is, earliest: b.earliest, latest: b.at, end: until, deadline: b.deadline, instants: instants})
	}
	if n := len(path); n > 0 {
		path[n-1].open = true
	}
	return path
}

// record is a Transition as far as its place in a path goes.
type record struct {
	number         int
	name, uid      string
	from, to       v1alpha1.State
	cause          v1alpha1.TransitionCauseType
	time, observed time.Time
	created        time.Time
}

func (r record) class() v1alpha1.State {
	if r.cause == v1alpha1.TransitionDeleted {
		return deleted
	}
	return kin(r.to)
}

func (r record) String() string {
	return fmt.Sprintf("%s %s→%s(%s) at %s, seen %s", r.name, r.from, r.to, r.cause, r.time.UTC().Format("15:04:05"), r.observed.UTC().Format("15:04:05"))
}

// Kinds of what explain finds wrong.
const (
	lost    = "lost"
	doubled = "doubled"
	wrong   = "wrong"
)

// finding is what is wrong with a subject.
type finding struct {
	kind, subject, text string
}

// explain says what is wrong with the records of a path. Each record is of one stretch, in order. A stretch without a record
// was too short to be seen, as hidden tells. Where begun, the first stretch was recorded before.
func explain(records []record, path []stretch, begun bool, before record, hidden func(stretch) bool) (kind, text string) {
	for i, r := range records {
		last := before
		if i > 0 {
			last = records[i-1]
		}
		if (i > 0 || begun) && r.class() == last.class() {
			return doubled, fmt.Sprintf("%s says what %s says", r, last)
		}
		if (i > 0 || begun) && kin(r.from) != kin(last.to) {
			return wrong, fmt.Sprintf("%s does not go on from %s", r, last)
		}
		if i == 0 && !begun && r.from != "" {
			return wrong, r.String() + " is no beginning"
		}
	}
	reach := []int{-1}
	if begun {
		reach = []int{0}
	}
	last := before
	for _, r := range records {
		var further []int
		why := ""
		for _, from := range reach {
			for j := from + 1; j < len(path); j++ {
				if j > from+1 && !skipped(path, j-1, from, hidden) {
					break
				}
				if path[j].state != r.class() {
					continue
				}
				if problem := untimely(r, last, path, j, from); problem != "" {
					why = problem
					continue
				}
				if !slices.Contains(further, j) {
					further = append(further, j)
				}
			}
		}
		if len(further) == 0 {
			if why == "" {
				why = "nothing that was declared leads to it"
			}
			return wrong, fmt.Sprintf("%s: %s. Expected %s", r, why, words(path))
		}
		reach, last = further, r
	}
	for _, j := range reach {
		unrecorded := false
		for k := j + 1; k < len(path); k++ {
			unrecorded = unrecorded || !skipped(path, k, j, hidden)
		}
		// What lasts has been seen by now.
		if end := path[len(path)-1]; !unrecorded && (!end.open || j >= 0 && path[j].state == end.state) {
			return "", ""
		}
	}
	return lost, fmt.Sprintf("not everything is recorded. Expected %s; recorded %v", words(path), records)
}

// skipped tells whether a stretch may be without a record, the last one having been of another: it was too short, or is what the
// last record says.
func skipped(path []stretch, k, from int, hidden func(stretch) bool) bool {
	return hidden(path[k]) || from >= 0 && path[k].state == path[from].state
}

// stale is a state that an operator finds which does not know the newest version yet, when a declared time of the former one
// comes.
type stale struct {
	at       time.Time
	state    v1alpha1.State
	instants []time.Time
}

// staleIn are the declared times that come so soon after they ceased to be declared that an operator may not know.
func staleIn[T any](l line[T], instants func(*T) []time.Time, knownBy func(time.Time) time.Time, state func(*T, time.Time) v1alpha1.State) []stale {
	var found []stale
	for i := 1; i < len(l); i++ {
		former := l[i-1].value
		if former == nil {
			continue
		}
		for _, instant := range instants(former) {
			if instant.After(l[i].earliest) && !instant.After(knownBy(l[i].latest)) {
				found = append(found, stale{instant, kin(state(former, instant)), instants(former)})
			}
		}
	}
	return found
}

// withStale is a path with stretches of no length for what may have been found.
func withStale(path []stretch, found []stale) []stretch {
	for _, f := range found {
		i := slices.IndexFunc(path, func(s stretch) bool { return s.latest.Before(f.at) && s.end.After(f.at) && s.state != f.state })
		if i < 0 {
			continue
		}
		before, after := path[i], path[i]
		before.end, before.open = f.at, false
		after.earliest, after.latest, after.deadline = f.at, f.at, false
		flash := stretch{state: f.state, earliest: f.at, latest: f.at, end: f.at, deadline: true, instants: f.instants}
		path = slices.Concat(path[:i], []stretch{before, flash, after}, path[i+1:])
	}
	return path
}

// loose is how far apart two changes must be for their times to be told apart.
const loose = 1500 * time.Millisecond

// untimely says why a record cannot be of the j-th stretch, the last one having been of another.
func untimely(r, last record, path []stretch, j, from int) string {
	s := path[j]
	if r.observed.Before(s.earliest.Add(-1100 * time.Millisecond)) {
		return fmt.Sprintf("it was recorded before %s", s)
	}
	exact := func(instant time.Time) bool {
		instant = instant.Truncate(time.Second)
		if instant.Before(last.time) {
			instant = last.time
		}
		return r.time.Equal(instant)
	}
	crowded := j > from+1 || j > 0 && s.latest.Sub(path[j-1].latest) < loose
	// Of what was declared when the time had come, and not been seen yet, nobody knows which was first.
	unsure := slices.ContainsFunc(s.again, func(t time.Time) bool { return !t.After(r.observed.Add(time.Second)) })
	if s.deadline && !crowded && !unsure {
		if !exact(s.latest) {
			return fmt.Sprintf("its time is not the declared one, %s", s.latest.UTC().Format("15:04:05"))
		}
		return ""
	}
	if slices.ContainsFunc(s.instants, exact) {
		return ""
	}
	if begin := s.earliest.Add(-1100 * time.Millisecond); r.time.Before(begin) && !crowded && !r.time.Equal(last.time) {
		return fmt.Sprintf("its time is before %s", s)
	}
	if r.time.After(r.observed) {
		return "its time is after it was seen"
	}
	return ""
}

func words(path []stretch) string {
	all := make([]string, len(path))
	for i, s := range path {
		all[i] = s.String()
	}
	return strings.Join(all, ", ")
}

package preview

import (
	"slices"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

// course is how a state goes from now on: each moment is later than the one before, and brings another state.
type course []Moment

func (p *Preview) course(moments []Moment) course {
	var c course
	for _, moment := range moments {
		if moment.At.Before(p.Now) {
			moment.At = p.Now
		}
		if last := len(c) - 1; last >= 0 && !moment.At.After(c[last].At) {
			c[last].State = moment.State
			continue
		}
		c = append(c, moment)
	}
	return slices.CompactFunc(c, func(a, b Moment) bool { return same(a.State, b.State) })
}

// same tells whether two states are one to whoever makes a change. That somebody was there for the first time is nobody's
// change. (A membership that pauses is one, other than for Transitions.)
func same(a, b v1alpha1.State) bool {
	return a == b || lifecycle.Same(a, b) && a != v1alpha1.StatePaused && b != v1alpha1.StatePaused
}

// at is the state at an instant; empty before there is one.
func (c course) at(instant time.Time) v1alpha1.State {
	var state v1alpha1.State
	for _, moment := range c {
		if !moment.At.After(instant) {
			state = moment.State
		}
	}
	return state
}

// from are the moments that are not earlier than an instant.
func (c course) from(instant time.Time) course {
	i := slices.IndexFunc(c, func(m Moment) bool { return !m.At.Before(instant) })
	if i < 0 {
		return nil
	}
	return c[i:]
}

// has tells whether a course brings just this state at just this instant.
func (c course) has(moment Moment) bool {
	return slices.ContainsFunc(c, func(m Moment) bool { return m.At.Equal(moment.At) && same(m.State, moment.State) })
}

// first is the next moment; zero where nothing is to come.
func (c course) first() Moment {
	if len(c) == 0 {
		return Moment{}
	}
	return c[0]
}

// differs is the first instant at which two courses are not in the same state.
func (c course) differs(other course) (first time.Time, differ bool) {
	instants := slices.SortedFunc(slices.Values(slices.Concat(c, other)), func(a, b Moment) int { return a.At.Compare(b.At) })
	for _, instant := range instants {
		if !same(c.at(instant.At), other.at(instant.At)) {
			return instant.At, true
		}
	}
	return time.Time{}, false
}

// news is the first thing that a change changes.
type news struct {
	// from is the state until then; empty for a creation.
	from v1alpha1.State

	// to is what comes with the change; zero where all that it does is that otherwise no longer comes.
	to Moment

	// otherwise is what would come without the change, and does not come with it; zero where there is no such thing.
	otherwise Moment

	// besides tells whether what would come without the change comes all the same.
	besides bool

	// atOnce tells whether it comes with the change itself.
	atOnce bool

	// then is what follows by itself.
	then course
}

func (p *Preview) news() news {
	before, after := p.course(p.Before), p.course(p.After)
	at, differ := before.differs(after)
	if !differ {
		at = p.Now
	}
	if !at.After(p.Now) {
		return news{atOnce: true, from: before.at(p.Now), to: after.first(), then: after.from(p.Now.Add(time.Nanosecond))}
	}
	n := news{from: before.at(at.Add(-time.Nanosecond)), otherwise: before.from(at).first(), then: after.from(at)}
	if next := n.then.first(); len(n.then) > 0 && !before.has(next) {
		n.to, n.then = next, after.from(next.At.Add(time.Nanosecond))
	}
	if after.has(n.otherwise) {
		n.otherwise, n.besides = Moment{}, true
	}
	return n
}

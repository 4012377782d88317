package main

import (
	"cmp"
	"slices"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
)

// matchTimeout is how long the one half of a change waits for the other.
const matchTimeout = 400 * time.Millisecond

// view is what the feed needs to know of a User or a Membership.
type view struct {
	kind, namespace, name string
	user                  string // whose membership it is
	state                 v1alpha1.State
	causes                []v1alpha1.Cause
	nextTime              time.Time
	nextState             v1alpha1.State
	lastTransition        string
}

func viewOf(object any) view {
	switch o := object.(type) {
	case *v1alpha1.User:
		return view{
			kind: "user", namespace: o.Namespace, name: o.Name, state: o.Status.State, causes: o.Status.Causes,
			nextTime: o.Status.NextTransitionTime.Time, nextState: o.Status.NextState,
			lastTransition: o.Status.LastTransition.Name,
		}
	case *v1alpha1.Membership:
		return view{
			kind: "membership", namespace: o.Namespace, name: o.Name, user: o.Spec.UserRef.Name,
			state: o.Status.State, causes: o.Status.Causes, nextTime: o.Status.NextTransitionTime.Time, nextState: o.Status.NextState,
			lastTransition: o.Status.LastTransition.Name,
		}
	default:
		return view{}
	}
}

// change is a change that is visible in a status.
type change struct {
	from       v1alpha1.State
	is         view
	transition string // the Transition that it belongs to; empty where it is none, as when a membership pauses
}

func changeBetween(was, is view) (*change, bool) {
	c := &change{from: was.state, is: is}
	if is.lastTransition != was.lastTransition {
		c.transition = is.lastTransition
	}
	changed := is.state != "" && is.state != was.state
	return c, changed || c.transition != ""
}

// matcher brings together the two halves of a change: its Transition, which says why, and the status of its subject, which
// says until when. They come by different watches, hence in any order.
type matcher struct {
	halves map[string]*halves // by namespace and name of the Transition
	told   map[string]bool
}

type halves struct {
	change     *change
	transition *v1alpha1.Transition
	since      time.Time
}

func newMatcher() *matcher {
	return &matcher{halves: map[string]*halves{}, told: map[string]bool{}}
}

func (m *matcher) change(c *change, now time.Time) []line {
	if c.transition == "" {
		return []line{changeLine(c, nil, now)}
	}
	return m.match(c.is.namespace+"/"+c.transition, now, func(h *halves) { h.change = c })
}

func (m *matcher) transition(t *v1alpha1.Transition, now time.Time) []line {
	return m.match(t.Namespace+"/"+t.Name, now, func(h *halves) { h.transition = t })
}

func (m *matcher) match(key string, now time.Time, add func(*halves)) []line {
	if m.told[key] {
		return nil
	}
	half := m.halves[key]
	if half == nil {
		half = &halves{since: now}
		m.halves[key] = half
	}
	add(half)
	if half.change == nil || half.transition == nil {
		return nil
	}
	return []line{m.tell(key, now)}
}

// overdue tells the changes of which only one half has come for too long.
func (m *matcher) overdue(now time.Time) []line {
	var keys []string
	for key, half := range m.halves {
		if now.Sub(half.since) >= matchTimeout {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(m.halves[a].since.Compare(m.halves[b].since), cmp.Compare(a, b))
	})
	var lines []line
	for _, key := range keys {
		lines = append(lines, m.tell(key, now))
	}
	return lines
}

func (m *matcher) tell(key string, now time.Time) line {
	half := m.halves[key]
	delete(m.halves, key)
	m.told[key] = true
	return changeLine(half.change, half.transition, now)
}

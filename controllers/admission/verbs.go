package admission

import (
	"maps"
	"slices"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

// Verbs of RBAC beside update, for what a change does.
const (
	verbDeactivate = "deactivate"
	verbSuspend    = "suspend"
	verbReactivate = "reactivate"
	verbRemove     = "remove"
	verbAssign     = "assign"
)

// mostMoments bounds how far a course is followed. A user can declare 64 absences.
const mostMoments = 256

// course is how a state goes by itself, from now on.
type course []moment

type moment struct {
	at    time.Time
	state v1alpha1.State
}

// courseOf follows decisions from now on.
func courseOf(decide func(time.Time) lifecycle.Decision, now time.Time) course {
	decision := decide(now)
	c := course{{now, decision.State}}
	for !decision.Next.IsZero() && len(c) < mostMoments {
		at := decision.Next
		decision = decide(at)
		c = append(c, moment{at, decision.State})
	}
	return c
}

// at is the state at an instant.
func (c course) at(t time.Time) v1alpha1.State {
	state := v1alpha1.State("")
	for _, m := range c {
		if m.at.After(t) {
			break
		}
		state = m.state
	}
	return state
}

// differences are the instants, from now on, at which two courses begin to differ in another way, with both states.
func differences(was, is course) []difference {
	var found []difference
	instants := slices.Concat(was, is)
	slices.SortStableFunc(instants, func(a, b moment) int { return a.at.Compare(b.at) })
	for _, instant := range instants {
		d := difference{instant.at, was.at(instant.at), is.at(instant.at)}
		if lifecycle.Same(d.was, d.is) || len(found) > 0 && found[len(found)-1].at.Equal(d.at) {
			continue
		}
		found = append(found, d)
	}
	return found
}

// begin is when two courses begin to differ; otherwise, where they never do.
func begin(was, is course, otherwise time.Time) time.Time {
	if found := differences(was, is); len(found) > 0 {
		return found[0].at
	}
	return otherwise
}

type difference struct {
	at      time.Time
	was, is v1alpha1.State
}

// strength orders states by how much they take from somebody, as the table of states does.
var strength = map[v1alpha1.State]int{
	v1alpha1.StateRemoved: 6, v1alpha1.StateSuspended: 5, v1alpha1.StateExpired: 4, v1alpha1.StateDeactivated: 3,
	v1alpha1.StatePending: 2, v1alpha1.StatePaused: 1, v1alpha1.StateOnBreak: 0, v1alpha1.StateActivated: 0, v1alpha1.StateActive: 0,
}

// verbOf is the right that it takes to bring a subject from one state to another; empty when none is needed.
func verbOf(from, to v1alpha1.State) string {
	switch {
	case strength[to] < strength[from]:
		return verbReactivate
	case strength[to] == strength[from]:
		return ""
	case to == v1alpha1.StateRemoved:
		return verbRemove
	case to == v1alpha1.StateSuspended:
		return verbSuspend
	default:
		return verbDeactivate
	}
}

// verbs are the rights that a change takes: what it does now, at every instant that is declared, and what it declares for
// when nothing stronger hides it any more.
type verbs map[string]bool

func (v verbs) need(verb string) {
	if verb != "" {
		v[verb] = true
	}
}

func (v verbs) forCourses(was, is course) {
	for _, d := range differences(was, is) {
		v.need(verbOf(d.was, d.is))
	}
}

func (v verbs) sorted() []string { return slices.Sorted(maps.Keys(v)) }

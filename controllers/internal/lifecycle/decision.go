// Package lifecycle is the pure core: it decides states, causes, next deadlines and changes from values and a time.
//
// It knows no client, no context, no clock and no logger. The controllers, and everything else that must agree with
// them, call it with what they observed and with one time per pass.
package lifecycle

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
)

// Decision is what holds at one instant, and how long it does.
type Decision struct {
	// State is the effective status.
	State v1alpha1.State

	// Causes are all reasons that apply, strongest first. Empty when nothing stands in the way of access.
	Causes []v1alpha1.Cause

	// Next is the first instant after now at which State differs, if nothing is declared anew. Zero: never.
	Next time.Time

	// NextState is the state from Next on.
	NextState v1alpha1.State

	// Wake is the first instant after now at which Causes differ; never after Next. Zero: never.
	Wake time.Time

	// Latch is the hold that the user's state puts on a membership and that is not in its spec yet.
	Latch *v1alpha1.MembershipHold
}

// Access tells whether the decision gives access.
func (d Decision) Access() v1alpha1.Access {
	return AccessOf(d.State)
}

// Strongest is the cause that decides; nil when there is none.
func (d Decision) Strongest() *v1alpha1.Cause {
	if len(d.Causes) == 0 {
		return nil
	}
	return &d.Causes[0]
}

// AccessOf tells whether a state gives access.
func AccessOf(state v1alpha1.State) v1alpha1.Access {
	switch state {
	case v1alpha1.StateActivated, v1alpha1.StateActive, v1alpha1.StateOnBreak:
		return v1alpha1.AccessGranted
	default:
		return v1alpha1.AccessDenied
	}
}

// verdict is the part of a decision that holds at one instant.
type verdict struct {
	state  v1alpha1.State
	causes []v1alpha1.Cause
	latch  *v1alpha1.MembershipHold
}

// decide asks for the verdict now, and again at each of the subject's instants after now, until the state differs.
func decide(s subject, now time.Time) Decision {
	current := s.at(now)
	decision := Decision{State: current.state, Causes: current.causes, Latch: current.latch}
	for _, instant := range slices.SortedFunc(slices.Values(s.instants()), time.Time.Compare) {
		if !instant.After(now) {
			continue
		}
		then := s.at(instant)
		if decision.Wake.IsZero() && !sameCauses(then.causes, current.causes) {
			decision.Wake = instant
		}
		if then.state != current.state {
			decision.Next, decision.NextState = instant, then.state
			break
		}
	}
	return decision
}

// strongestFirst orders causes by rank and keeps the order in which those of one rank were found.
func strongestFirst(causes []v1alpha1.Cause, rank func(v1alpha1.Cause) int) []v1alpha1.Cause {
	slices.SortStableFunc(causes, func(a, b v1alpha1.Cause) int { return cmp.Compare(rank(a), rank(b)) })
	return causes
}

// SameCause tells whether two causes are the same reason, whatever text is declared with it.
func SameCause(a, b v1alpha1.Cause) bool {
	return a.Type == b.Type && a.Name == b.Name && a.State == b.State && a.Time.Time.Equal(b.Time.Time)
}

func sameCauses(a, b []v1alpha1.Cause) bool {
	return slices.EqualFunc(a, b, SameCause)
}

func metaTime(t time.Time) metav1.Time {
	if t.IsZero() {
		return metav1.Time{}
	}
	return metav1.NewTime(t.UTC())
}

// due tells whether a deadline has come: now >= time.
func due(deadline, now time.Time) bool {
	return !deadline.IsZero() && !now.Before(deadline)
}

package lifecycle

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
)

// Past is what is known about a subject before the pass: its newest Transition, and what its status said.
type Past struct {
	// Newest is the subject's newest Transition; nil when it has none.
	Newest *v1alpha1.Transition

	// State, StateTime and Causes are the status before the pass. They count only while the status is there and
	// names Newest: a restored object may have lost it, and an interrupted pass has not written it.
	State     v1alpha1.State
	StateTime time.Time
	Causes    []v1alpha1.Cause

	// LastTransition is the name that the status gives to its newest Transition.
	LastTransition string

	// UserSince is since when the access of a membership's user is as it is, by the user's own history. It stands in for
	// a status that is lost, because pausing and resuming with the user is no Transition. Zero: not known.
	UserSince time.Time

	// Created is the creation of the object.
	Created metav1.Time
}

// statusCounts tells whether the status is there and up to date with the newest Transition.
func (p Past) statusCounts() bool {
	return p.Newest != nil && p.State != "" && p.LastTransition == p.Newest.Name
}

// Change is a change of state that is to be recorded as a Transition.
type Change struct {
	// From is the state before; empty for a baseline, the first decision about a subject.
	From v1alpha1.State

	// To is the state after.
	To v1alpha1.State

	// Cause is what changed it.
	Cause v1alpha1.TransitionCause

	// Reason that was declared with the cause.
	Reason string

	// Time is the declared instant of the change.
	Time time.Time
}

// Baseline tells whether this is the first decision about a subject.
func (c *Change) Baseline() bool {
	return c.From == ""
}

// Automatic tells whether the change happened because a declared time came, not because somebody declared anything.
func (c *Change) Automatic() bool {
	switch c.Cause.Type {
	case v1alpha1.TransitionStarted, v1alpha1.TransitionExpired, v1alpha1.TransitionAbsenceStarted, v1alpha1.TransitionAbsenceEnded:
		return true
	default:
		return false
	}
}

// Outcome is what a pass makes of a decision: the change to record, if there is one, and the instant from which the
// state holds.
type Outcome struct {
	Change    *Change
	StateTime time.Time
}

// subject is a User or a Membership, with what differs between them.
type subject interface {
	// instants are the declared times at which the causes may change.
	instants() []time.Time

	// at is the verdict at one instant.
	at(t time.Time) verdict

	// rank is a cause's place in the order of precedence; the lowest is the strongest.
	rank(c v1alpha1.Cause) int

	// end tells when a cause that no longer applies ended, if it ended because a declared time came; zero if not.
	end(c v1alpha1.Cause, now time.Time) time.Time
}

// UserOutcome compares a decision about a user with the past.
func UserOutcome(u User, d Decision, past Past, now time.Time) Outcome {
	from := past.State
	if past.Newest != nil && !past.statusCounts() {
		from = past.Newest.Spec.To
		if class(from) == class(v1alpha1.StateActive) {
			from = v1alpha1.StateActivated
			if !u.FirstActivity.IsZero() {
				from = v1alpha1.StateActive
			}
		}
	}
	return outcome(u, d, past, from, u.FirstActivity, now)
}

// MembershipOutcome compares a decision about a membership with the past.
func MembershipOutcome(m Membership, d Decision, past Past, now time.Time) Outcome {
	from := past.State
	if past.Newest != nil && !past.statusCounts() {
		from = past.Newest.Spec.To
	}
	return outcome(m, d, past, from, time.Time{}, now)
}

func outcome(s subject, d Decision, past Past, from v1alpha1.State, firstActivity, now time.Time) Outcome {
	// Active begins with the first activity, which is no change that is recorded.
	stateTime := func(changed time.Time) time.Time {
		if d.State != v1alpha1.StateActive {
			return changed
		}
		return latest(changed, earliest(firstActivity, now))
	}

	if past.Newest == nil {
		begin := begun(s, d, past.Created.Time, now)
		return Outcome{StateTime: stateTime(begin), Change: &Change{
			To: d.State, Time: begin, Cause: edgeOf(s, nil, d.Causes, now).cause, Reason: declaredReason(d),
		}}
	}

	recorded := past.Newest.Spec
	happened := func() edge {
		before := past.Causes
		if !past.statusCounts() {
			before = causesThen(s, recorded)
		}
		e := edgeInTime(s, before, d.Causes, now)
		e.time = latest(recorded.Time.Time, earliest(e.time, now))
		return e
	}

	deleted := d.Strongest() != nil && d.Strongest().Type == v1alpha1.CauseDeleted && recorded.Cause.Type != v1alpha1.TransitionDeleted
	if class(recorded.To) != class(d.State) || deleted {
		e := happened()
		return Outcome{StateTime: stateTime(e.time), Change: &Change{
			From: from, To: d.State, Time: e.time, Cause: e.cause, Reason: declaredReason(d),
		}}
	}

	switch {
	case past.statusCounts() && past.State == d.State:
		return Outcome{StateTime: past.StateTime}
	case d.State == v1alpha1.StateActive && !firstActivity.IsZero():
		return Outcome{StateTime: stateTime(recorded.Time.Time)}
	case !past.statusCounts() && class(d.State) == v1alpha1.StateActive && !past.UserSince.IsZero():
		return Outcome{StateTime: latest(recorded.Time.Time, earliest(past.UserSince, now))}
	case !past.statusCounts() && recorded.To == d.State:
		return Outcome{StateTime: recorded.Time.Time}
	default:
		return Outcome{StateTime: happened().time}
	}
}

// class joins the states between which a change is no Transition: a first activity, and a membership that pauses and
// resumes together with its user.
func class(state v1alpha1.State) v1alpha1.State {
	switch state {
	case v1alpha1.StateActivated, v1alpha1.StatePaused:
		return v1alpha1.StateActive
	default:
		return state
	}
}

// Same tells whether two states of a subject are one as far as Transitions go.
func Same(a, b v1alpha1.State) bool {
	return class(a) == class(b)
}

// difference tells which causes are gone and which are new.
func difference(before, after []v1alpha1.Cause) (vanished, appeared []v1alpha1.Cause) {
	for _, c := range before {
		if !contains(after, c) {
			vanished = append(vanished, c)
		}
	}
	for _, c := range after {
		if !contains(before, c) {
			appeared = append(appeared, c)
		}
	}
	return vanished, appeared
}

// causesThen are the causes that a subject had when a Transition was recorded, where the status does not tell: what is declared
// now also held then if it gives what was recorded. Where it does not, all that is known is the recorded cause. A deletion that
// the Transition does not tell of came later.
func causesThen(s subject, recorded v1alpha1.TransitionSpec) []v1alpha1.Cause {
	then := s.at(recorded.ObservedTime.Time)
	deleted := len(then.causes) > 0 && then.causes[0].Type == v1alpha1.CauseDeleted
	if then.state != recorded.To || deleted {
		return causesOf(recorded)
	}
	return then.causes
}

// causesOf is the cause that a Transition recorded, for a subject whose status is lost.
func causesOf(recorded v1alpha1.TransitionSpec) []v1alpha1.Cause {
	cause := v1alpha1.Cause{Name: recorded.Cause.Name, State: recorded.To}
	switch recorded.Cause.Type {
	case v1alpha1.TransitionHeld:
		cause.Type = v1alpha1.CauseHold
	case v1alpha1.TransitionAbsenceStarted:
		cause.Type, cause.Time = v1alpha1.CauseAbsence, recorded.Time
	case v1alpha1.TransitionExpired:
		cause.Type, cause.Time = v1alpha1.CauseExpired, recorded.Time
	case v1alpha1.TransitionDeclared:
		switch {
		case recorded.To != v1alpha1.StatePending:
			cause.Type = v1alpha1.CauseDeclared
		case recorded.Cause.Name == "":
			cause.Type = v1alpha1.CauseNotStarted
		default:
			cause.Type = v1alpha1.CauseDuplicate
		}
	default:
		return nil
	}
	if AccessOf(recorded.To) == v1alpha1.AccessGranted && recorded.To != v1alpha1.StateOnBreak {
		return nil
	}
	return []v1alpha1.Cause{cause}
}

// edge is what changed a state, and when.
type edge struct {
	cause v1alpha1.TransitionCause
	time  time.Time
}

// edgeInTime is the edge that led to the causes after. A pass that comes late finds what a pass in time would have
// found: where the declared times alone led here from the causes before, it is the edge at the instant of the change.
func edgeInTime(s subject, before, after []v1alpha1.Cause, now time.Time) edge {
	state, inTime := s.at(now).state, edge{}
	for _, instant := range slices.Backward(slices.SortedFunc(slices.Values(s.instants()), time.Time.Compare)) {
		if instant.After(now) {
			continue
		}
		was := s.at(instant.Add(-time.Nanosecond))
		if inTime.time.IsZero() && was.state != state {
			inTime = edgeOf(s, was.causes, s.at(instant).causes, instant)
		}
		if !inTime.time.IsZero() && sameCauses(was.causes, before) {
			return inTime
		}
	}
	return edgeOf(s, before, after, now)
}

// edgeOf is the edge between the causes before and after: the beginning of the decisive one, or the end of a stronger
// one, whichever came last. What no declared time explains happened now.
func edgeOf(s subject, before, after []v1alpha1.Cause, now time.Time) edge {
	vanished, appeared := difference(before, after)
	var last edge
	if len(after) > 0 && contains(appeared, after[0]) {
		last = edge{cause: began(after[0]), time: orElse(after[0].Time.Time, now)}
	}
	for _, gone := range vanished {
		if len(after) > 0 && s.rank(gone) >= s.rank(after[0]) {
			continue
		}
		end := s.end(gone, now)
		if at := orElse(end, now); at.After(last.time) {
			last = edge{cause: ended(gone, !end.IsZero()), time: at}
		}
	}
	if last.time.IsZero() {
		return edge{cause: v1alpha1.TransitionCause{Type: v1alpha1.TransitionDeclared}, time: now}
	}
	return last
}

// begun is the instant from which a state holds that was there when the object was first seen.
func begun(s subject, d Decision, created, now time.Time) time.Time {
	begin := created
	if c := d.Strongest(); c != nil {
		begin = orElse(c.Time.Time, created)
	}
	for _, instant := range s.instants() {
		if !instant.After(now) && s.at(instant.Add(-time.Nanosecond)).state != s.at(instant).state {
			begin = latest(begin, instant)
		}
	}
	return earliest(begin, now)
}

// began is the event that a cause is when it takes hold.
func began(c v1alpha1.Cause) v1alpha1.TransitionCause {
	event := v1alpha1.TransitionCause{Name: c.Name}
	switch c.Type {
	case v1alpha1.CauseDeleted:
		event.Type = v1alpha1.TransitionDeleted
	case v1alpha1.CauseHold:
		event.Type = v1alpha1.TransitionHeld
	case v1alpha1.CauseExpired:
		event.Type = v1alpha1.TransitionExpired
	case v1alpha1.CauseAbsence:
		event.Type = v1alpha1.TransitionAbsenceStarted
	case v1alpha1.CauseDeclared, v1alpha1.CauseNotStarted, v1alpha1.CauseDuplicate:
		event.Type = v1alpha1.TransitionDeclared
	default:
		event.Type = v1alpha1.TransitionUserStateChanged
	}
	return event
}

// ended is the event that a cause is when it no longer applies; inTime tells whether a declared time ended it.
func ended(c v1alpha1.Cause, inTime bool) v1alpha1.TransitionCause {
	switch {
	case c.Type == v1alpha1.CauseHold:
		return v1alpha1.TransitionCause{Type: v1alpha1.TransitionReleased, Name: c.Name}
	case began(c).Type == v1alpha1.TransitionUserStateChanged:
		return v1alpha1.TransitionCause{Type: v1alpha1.TransitionUserStateChanged, Name: c.Name}
	case !inTime:
		return v1alpha1.TransitionCause{Type: v1alpha1.TransitionDeclared}
	case c.Type == v1alpha1.CauseAbsence:
		return v1alpha1.TransitionCause{Type: v1alpha1.TransitionAbsenceEnded, Name: c.Name}
	default:
		return v1alpha1.TransitionCause{Type: v1alpha1.TransitionStarted}
	}
}

func declaredReason(d Decision) string {
	if c := d.Strongest(); c != nil {
		return c.Reason
	}
	return ""
}

func contains(causes []v1alpha1.Cause, c v1alpha1.Cause) bool {
	return slices.ContainsFunc(causes, func(o v1alpha1.Cause) bool { return SameCause(c, o) })
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(times ...time.Time) time.Time {
	return slices.MaxFunc(times, time.Time.Compare)
}

func orElse(t, fallback time.Time) time.Time {
	if t.IsZero() {
		return fallback
	}
	return t
}

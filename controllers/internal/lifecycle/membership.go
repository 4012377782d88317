package lifecycle

import (
	"time"

	"tenure.dev/tenure/api/v1alpha1"
)

// Membership is everything that a membership's state depends on. It holds its user's values, not the user's state: a
// late status keeps no access alive.
type Membership struct {
	// Spec is what is declared.
	Spec *v1alpha1.MembershipSpec

	// Deleted is when the deletion of the object began; zero while it is not being deleted.
	Deleted time.Time

	// ExpiredAt is the expiration that was already applied, as for a user.
	ExpiredAt time.Time

	// User is the user; nil when there is none.
	User *User

	// GroupFound tells whether the group exists.
	GroupFound bool

	// DuplicateOf names the older membership of the same user and group. Empty: none.
	DuplicateOf string

	// Suspension is what the user's policy says about memberships of a suspended user.
	Suspension v1alpha1.SuspensionMemberships
}

// Ranks of a membership's causes, as in the table of states.
const (
	membershipRemoved = iota + 1
	membershipExpired
	membershipDeactivated
	membershipNotStarted
	membershipPaused
	membershipUnresolved
)

// rank is the place of a membership's cause in the order of precedence.
func (m Membership) rank(c v1alpha1.Cause) int {
	switch {
	case c.State == v1alpha1.StateRemoved:
		return membershipRemoved
	case c.State == v1alpha1.StateExpired:
		return membershipExpired
	case c.State == v1alpha1.StateDeactivated:
		return membershipDeactivated
	case c.Type == v1alpha1.CauseNotStarted:
		return membershipNotStarted
	case c.State == v1alpha1.StatePaused:
		return membershipPaused
	default:
		return membershipUnresolved
	}
}

// DecideMembership decides what holds for a membership at now, and how long.
func DecideMembership(m Membership, now time.Time) Decision {
	return decide(m, now)
}

// instants are the declared times, its own and its user's, at which a membership's causes may change.
func (m Membership) instants() []time.Time {
	instants := []time.Time{m.Spec.StartTime.Time, m.Spec.ExpirationTime.Time}
	if m.User != nil {
		instants = append(instants, m.User.instants()...)
	}
	return instants
}

// at is the verdict at one instant, which is the table of states of a membership read from the top.
func (m Membership) at(t time.Time) verdict {
	var found []v1alpha1.Cause
	add := func(c v1alpha1.Cause) { found = append(found, c) }

	if !m.Deleted.IsZero() {
		add(v1alpha1.Cause{Type: v1alpha1.CauseDeleted, State: v1alpha1.StateRemoved, Time: metaTime(m.Deleted)})
	}
	switch m.Spec.DesiredStatus {
	case v1alpha1.MembershipDesiredRemoved:
		add(v1alpha1.Cause{Type: v1alpha1.CauseDeclared, State: v1alpha1.StateRemoved, Reason: m.Spec.Reason})
	case v1alpha1.MembershipDesiredDeactivated:
		add(v1alpha1.Cause{Type: v1alpha1.CauseDeclared, State: v1alpha1.StateDeactivated, Reason: m.Spec.Reason})
	case v1alpha1.MembershipDesiredActive:
	}
	for i := range m.Spec.Holds {
		add(holdCause(&m.Spec.Holds[i]))
	}
	if expiration := m.Spec.ExpirationTime.Time; due(expiration, t) || !expiration.IsZero() && expiration.Equal(m.ExpiredAt) {
		add(v1alpha1.Cause{Type: v1alpha1.CauseExpired, State: v1alpha1.StateExpired, Time: m.Spec.ExpirationTime})
	}
	if start := m.Spec.StartTime.Time; !start.IsZero() && !due(start, t) {
		add(v1alpha1.Cause{Type: v1alpha1.CauseNotStarted, State: v1alpha1.StatePending})
	}
	if m.DuplicateOf != "" {
		add(v1alpha1.Cause{
			Type: v1alpha1.CauseDuplicate, Name: m.DuplicateOf, State: v1alpha1.StatePending,
			Reason: "Membership " + m.DuplicateOf + ", which is older, is of the same user and group",
		})
	}
	if !m.GroupFound {
		add(v1alpha1.Cause{Type: v1alpha1.CauseGroupNotFound, State: v1alpha1.StatePending, Name: m.Spec.GroupRef.Name})
	}

	var latch *v1alpha1.MembershipHold
	if m.User == nil {
		add(v1alpha1.Cause{Type: v1alpha1.CauseUserNotFound, State: v1alpha1.StatePending, Name: m.Spec.UserRef.Name})
	} else {
		user := m.User.at(t)
		latch = m.latchFor(user)
		if latch != nil {
			add(holdCause(latch))
		}
		if cause := m.pauseFor(user); cause != nil {
			add(*cause)
		}
	}

	causes := strongestFirst(found, m.rank)
	if len(causes) == 0 {
		return verdict{state: v1alpha1.StateActive, latch: latch}
	}
	return verdict{state: causes[0].State, causes: causes, latch: latch}
}

// latchFor is the hold that the user's state puts on the membership, unless it is there already.
func (m Membership) latchFor(user verdict) *v1alpha1.MembershipHold {
	var hold *v1alpha1.MembershipHold
	switch {
	case user.state == v1alpha1.StateRemoved:
		hold = RemovedHold()
	case user.state == v1alpha1.StateSuspended && m.Suspension != v1alpha1.SuspensionPause:
		hold = SuspendedHold()
	default:
		return nil
	}
	if HasHold(m.Spec.Holds, hold.Name) {
		return nil
	}
	return hold
}

// pauseFor is the cause that a user without access gives, where no hold takes its place.
func (m Membership) pauseFor(user verdict) *v1alpha1.Cause {
	var pause v1alpha1.CauseType
	switch user.state {
	case v1alpha1.StateSuspended:
		pause = v1alpha1.CauseUserSuspended
	case v1alpha1.StateDeactivated:
		pause = v1alpha1.CauseUserDeactivated
	case v1alpha1.StateExpired:
		pause = v1alpha1.CauseUserExpired
	case v1alpha1.StatePending:
		pause = v1alpha1.CauseUserPending
	default:
		return nil
	}
	return &v1alpha1.Cause{Type: pause, Name: m.Spec.UserRef.Name, State: v1alpha1.StatePaused, Reason: user.causes[0].Reason, Time: user.causes[0].Time}
}

func holdCause(hold *v1alpha1.MembershipHold) v1alpha1.Cause {
	return v1alpha1.Cause{
		Type: v1alpha1.CauseHold, Name: hold.Name, State: v1alpha1.State(hold.Status),
		Reason: hold.Reason, Time: hold.StartTime,
	}
}

// SuspendedHold is the hold that a suspension of the user latches on each membership. It carries no time, so that
// whoever puts it there puts the same.
func SuspendedHold() *v1alpha1.MembershipHold {
	return &v1alpha1.MembershipHold{
		Name: v1alpha1.HoldUserSuspended, Status: v1alpha1.MembershipHoldDeactivated,
		Reason: "The user was suspended", Source: v1alpha1.ManagedBy, Release: v1alpha1.ReleaseAdmin,
	}
}

// RemovedHold is the hold that the removal of the user latches on each membership.
func RemovedHold() *v1alpha1.MembershipHold {
	return &v1alpha1.MembershipHold{
		Name: v1alpha1.HoldUserRemoved, Status: v1alpha1.MembershipHoldRemoved,
		Reason: "The user was removed", Source: v1alpha1.ManagedBy, Release: v1alpha1.ReleaseAdmin,
	}
}

// EffectHold is the hold that an effect of a policy latches on a membership. Whoever puts it there puts the same.
func EffectHold(name, effect string, status v1alpha1.MembershipHoldStatus, transition *v1alpha1.Transition) *v1alpha1.MembershipHold {
	return &v1alpha1.MembershipHold{
		Name: name, Status: status, Release: v1alpha1.ReleaseAdmin, Source: transition.Name,
		Reason: "Effect " + effect + " of the policy, when the user became " + string(transition.Spec.To),
	}
}

// HasHold tells whether a hold of that name is there.
func HasHold(holds []v1alpha1.MembershipHold, name string) bool {
	for i := range holds {
		if holds[i].Name == name {
			return true
		}
	}
	return false
}

// end tells when a cause that no longer applies ended, if it ended because a declared time came; zero if not.
func (m Membership) end(c v1alpha1.Cause, now time.Time) time.Time {
	if c.Type == v1alpha1.CauseNotStarted {
		if start := m.Spec.StartTime.Time; due(start, now) {
			return start
		}
		return time.Time{}
	}
	if m.User == nil {
		return time.Time{}
	}
	switch c.Type {
	case v1alpha1.CauseUserPending:
		return m.User.end(v1alpha1.Cause{Type: v1alpha1.CauseNotStarted}, now)
	case v1alpha1.CauseUserDeactivated:
		var last time.Time
		for i := range m.User.Spec.Absences {
			absence := &m.User.Spec.Absences[i]
			if absence.StartTime.Equal(&c.Time) && due(absence.EndTime.Time, now) {
				last = latest(last, absence.EndTime.Time)
			}
		}
		return last
	default:
		return time.Time{}
	}
}

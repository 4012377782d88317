package lifecycle

import (
	"time"

	"tenure.dev/tenure/api/v1alpha1"
)

// User is everything that a user's state depends on.
type User struct {
	// Spec is what is declared.
	Spec *v1alpha1.UserSpec

	// Deleted is when the deletion of the object began; zero while it is not being deleted.
	Deleted time.Time

	// FirstActivity is when the user first used the access; zero: never.
	FirstActivity time.Time

	// HeldOpen is the newest deadline that a guard holds back: expirations and absences that began up to it do not cut
	// access. Zero: none.
	HeldOpen time.Time

	// ExpiredAt is the expiration that was already applied. While spec.expirationTime still equals it the user stays
	// Expired, even if the clock steps back.
	ExpiredAt time.Time

	// DuplicateOf names the older user with the same userName or e-mail. Empty: none.
	DuplicateOf string

	// DuplicateField is what the older user has in common.
	DuplicateField string
}

// Ranks of a user's causes, as in the table of states.
const (
	userRemoved = iota + 1
	userSuspended
	userExpired
	userDeactivated
	userPending
	userOnBreak
)

var userRanks = map[v1alpha1.State]int{
	v1alpha1.StateRemoved:     userRemoved,
	v1alpha1.StateSuspended:   userSuspended,
	v1alpha1.StateExpired:     userExpired,
	v1alpha1.StateDeactivated: userDeactivated,
	v1alpha1.StatePending:     userPending,
	v1alpha1.StateOnBreak:     userOnBreak,
}

// rank is the place of a user's cause in the order of precedence.
func (u User) rank(c v1alpha1.Cause) int {
	return userRanks[c.State]
}

// DecideUser decides what holds for a user at now, and how long.
func DecideUser(u User, now time.Time) Decision {
	return decide(u, now)
}

// instants are the declared times at which a user's causes may change.
func (u User) instants() []time.Time {
	instants := make([]time.Time, 0, 2+2*len(u.Spec.Absences))
	instants = append(instants, u.Spec.StartTime.Time, u.Spec.ExpirationTime.Time)
	for i := range u.Spec.Absences {
		instants = append(instants, u.Spec.Absences[i].StartTime.Time, u.Spec.Absences[i].EndTime.Time)
	}
	return instants
}

// at is the verdict at one instant, which is the table of states of a user read from the top.
func (u User) at(t time.Time) verdict {
	causes := u.causesAt(t)
	switch {
	case len(causes) > 0:
		return verdict{state: causes[0].State, causes: causes}
	case u.FirstActivity.IsZero():
		return verdict{state: v1alpha1.StateActivated}
	default:
		return verdict{state: v1alpha1.StateActive}
	}
}

func (u User) causesAt(t time.Time) []v1alpha1.Cause {
	var found []v1alpha1.Cause
	add := func(c v1alpha1.Cause) { found = append(found, c) }

	if !u.Deleted.IsZero() {
		add(v1alpha1.Cause{Type: v1alpha1.CauseDeleted, State: v1alpha1.StateRemoved, Time: metaTime(u.Deleted)})
	}
	if desired := v1alpha1.State(u.Spec.DesiredStatus); userRanks[desired] != 0 {
		add(v1alpha1.Cause{Type: v1alpha1.CauseDeclared, State: desired, Reason: u.Spec.Reason})
	}
	for i := range u.Spec.Holds {
		hold := &u.Spec.Holds[i]
		add(v1alpha1.Cause{
			Type: v1alpha1.CauseHold, Name: hold.Name, State: v1alpha1.State(hold.Status),
			Reason: hold.Reason, Time: hold.StartTime,
		})
	}
	if u.expiredAt(t) {
		add(v1alpha1.Cause{Type: v1alpha1.CauseExpired, State: v1alpha1.StateExpired, Time: u.Spec.ExpirationTime})
	}
	for i := range u.Spec.Absences {
		absence := &u.Spec.Absences[i]
		if u.absentAt(absence, t) {
			add(v1alpha1.Cause{
				Type: v1alpha1.CauseAbsence, Name: absence.Name, State: absenceState(absence),
				Reason: absence.Reason, Time: absence.StartTime,
			})
		}
	}
	if start := u.Spec.StartTime.Time; !start.IsZero() && !due(start, t) {
		add(v1alpha1.Cause{Type: v1alpha1.CauseNotStarted, State: v1alpha1.StatePending})
	}
	if u.DuplicateOf != "" {
		add(v1alpha1.Cause{
			Type: v1alpha1.CauseDuplicate, Name: u.DuplicateOf, State: v1alpha1.StatePending,
			Reason: "User " + u.DuplicateOf + ", which is older, has the same " + u.DuplicateField,
		})
	}
	return strongestFirst(found, u.rank)
}

func (u User) expiredAt(t time.Time) bool {
	expiration := u.Spec.ExpirationTime.Time
	if expiration.IsZero() {
		return false
	}
	if expiration.Equal(u.ExpiredAt) {
		return true
	}
	return due(expiration, t) && !u.heldBack(expiration)
}

func (u User) absentAt(absence *v1alpha1.Absence, t time.Time) bool {
	inForce := due(absence.StartTime.Time, t) && !due(absence.EndTime.Time, t)
	if inForce && AccessOf(absenceState(absence)) == v1alpha1.AccessDenied {
		return !u.heldBack(absence.StartTime.Time)
	}
	return inForce
}

func (u User) heldBack(deadline time.Time) bool {
	return !deadline.After(u.HeldOpen)
}

func absenceState(absence *v1alpha1.Absence) v1alpha1.State {
	if absence.Status == v1alpha1.AbsenceOnBreak {
		return v1alpha1.StateOnBreak
	}
	return v1alpha1.StateDeactivated
}

// end tells when a cause that no longer applies ended, if it ended because a declared time came; zero if not.
func (u User) end(c v1alpha1.Cause, now time.Time) time.Time {
	switch c.Type {
	case v1alpha1.CauseNotStarted:
		if start := u.Spec.StartTime.Time; due(start, now) {
			return start
		}
	case v1alpha1.CauseAbsence:
		for i := range u.Spec.Absences {
			if end := u.Spec.Absences[i].EndTime.Time; u.Spec.Absences[i].Name == c.Name && due(end, now) {
				return end
			}
		}
	}
	return time.Time{}
}

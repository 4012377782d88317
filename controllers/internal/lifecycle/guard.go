package lifecycle

import (
	"cmp"
	"slices"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
)

// Guarded is a user whose automatic departure may be held back: the account owner, or one with an admin role.
type Guarded struct {
	// Name of the user.
	Name string

	// Owner tells whether the user is the account owner.
	Owner bool

	// Admin tells whether the user has an admin role.
	Admin bool

	// HasAccess tells whether the user had access until now. A guard keeps a door open, it opens none.
	HasAccess bool

	// User is the user's input, with the verdict of an earlier pass in HeldOpen.
	User User
}

// Verdict is a guard's word about a user's automatic departure.
type Verdict struct {
	// HeldOpen is the newest deadline that is held back; zero when none is.
	HeldOpen time.Time

	// Reason is the guard: v1alpha1.ReasonLastAdmin or v1alpha1.ReasonAccountOwner.
	Reason string
}

// HeldOpen tells, for each user by name, whether a guard holds back a departure at now: the account owner's, and that
// of the last one with an admin role and access. Departures that somebody declared are admission's to refuse, and are
// never held back here. Of several admins who would leave at the same time one is kept: the account owner, else one
// who is kept already, else the first by name; so whoever asks gets the same answer.
func HeldOpen(users []Guarded, now time.Time) map[string]Verdict {
	verdicts := map[string]Verdict{}
	admins, leaving := 0, []Guarded(nil)
	for _, g := range users {
		without, with := g.User, g.User
		without.HeldOpen, with.HeldOpen = time.Time{}, now
		switch {
		case DecideUser(without, now).Access() == v1alpha1.AccessGranted:
			if g.Admin {
				admins++
			}
		case !g.HasAccess && g.User.HeldOpen.IsZero():
		case DecideUser(with, now).Access() == v1alpha1.AccessDenied:
		case g.Owner:
			verdicts[g.Name] = Verdict{HeldOpen: newestDeadline(without, now), Reason: v1alpha1.ReasonAccountOwner}
			if g.Admin {
				admins++
			}
		case g.Admin:
			leaving = append(leaving, g)
		}
	}
	if admins == 0 && len(leaving) > 0 {
		slices.SortFunc(leaving, func(a, b Guarded) int { return cmp.Compare(a.Name, b.Name) })
		kept := leaving[max(0, slices.IndexFunc(leaving, func(g Guarded) bool { return !g.User.HeldOpen.IsZero() }))]
		kept.User.HeldOpen = time.Time{}
		verdicts[kept.Name] = Verdict{HeldOpen: newestDeadline(kept.User, now), Reason: v1alpha1.ReasonLastAdmin}
	}
	return verdicts
}

// newestDeadline is the latest declared time that takes access away at now.
func newestDeadline(u User, now time.Time) time.Time {
	var newest time.Time
	for _, c := range u.causesAt(now) {
		if (c.Type == v1alpha1.CauseExpired || c.Type == v1alpha1.CauseAbsence) && AccessOf(c.State) == v1alpha1.AccessDenied {
			newest = latest(newest, c.Time.Time)
		}
	}
	return newest
}

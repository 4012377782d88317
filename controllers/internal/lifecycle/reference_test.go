package lifecycle_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

// The reference model says the same as the core, in another way: a world is a list of stretches of time, each with the
// row of the table of states that it belongs to, and the answer is read off a strip of seconds. It is slow, knows whole
// seconds only, and has nothing in common with the core but the tables in the documentation.

// always and never are seconds before and after everything that a world declares.
const (
	always = math.MinInt
	never  = math.MaxInt
)

// lastRow is the number of rows with a cause in either table of states.
const lastRow = 6

// stretch is a cause as long as it lasts: from its first second until before its last.
type stretch struct {
	row         int
	cause       string
	state       v1alpha1.State
	first, last int
}

// second is what a strip shows at one second.
type second struct {
	state  v1alpha1.State
	causes []string
}

// read gives what a strip shows at a second; otherwise is the state without any cause.
func read(stretches []stretch, s int, otherwise v1alpha1.State) second {
	shown := second{state: otherwise}
	for row := 1; row <= lastRow; row++ {
		for _, stretch := range stretches {
			if stretch.row != row || s < stretch.first || s >= stretch.last {
				continue
			}
			if shown.causes == nil {
				shown.state = stretch.state
			}
			shown.causes = append(shown.causes, stretch.cause)
		}
	}
	return shown
}

// reference is what the strip says about a second and the ones after it, in words.
type reference struct {
	State     v1alpha1.State
	Causes    string
	Next      string
	NextState v1alpha1.State
	Wake      string
}

func look(at func(s int) second, now int) reference {
	shown := at(now)
	r := reference{State: shown.state, Causes: strings.Join(shown.causes, ", "), Next: "never", Wake: "never"}
	for s := horizon + 1; s > now; s-- { // Backwards: the first one is what remains.
		then := at(s)
		if then.state != shown.state {
			r.Next, r.NextState = fmt.Sprint(s), then.state
		}
		if !slices.Equal(then.causes, shown.causes) {
			r.Wake = fmt.Sprint(s)
		}
	}
	return r
}

// since adds to a cause when it began, where that is known.
func since(cause string, t time.Time) string {
	if t.IsZero() {
		return cause
	}
	return fmt.Sprintf("%s@%d", cause, secondOf(t))
}

// decided are the same words for what the core decided.
func decided(d lifecycle.Decision) reference {
	var causes []string
	for _, c := range d.Causes {
		causes = append(causes, since(strings.TrimSpace(string(c.Type)+" "+c.Name), c.Time.Time))
	}
	words := func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return fmt.Sprint(secondOf(t))
	}
	return reference{
		State: d.State, Causes: strings.Join(causes, ", "),
		Next: words(d.Next), NextState: d.NextState, Wake: words(d.Wake),
	}
}

// from reads a time that may be left out.
func from(t time.Time, otherwise int) int {
	if t.IsZero() {
		return otherwise
	}
	return secondOf(t)
}

// userStretches are the rows of the table of states of a user.
func userStretches(u lifecycle.User) []stretch {
	var world []stretch
	lasting := func(row int, cause string, state v1alpha1.State) {
		world = append(world, stretch{row: row, cause: cause, state: state, first: always, last: never})
	}
	rowOf := map[string]int{"Removed": 1, "Suspended": 2, "Deactivated": 4, "OnBreak": 6}
	held := from(u.HeldOpen, always)

	if !u.Deleted.IsZero() {
		lasting(1, since("Deleted", u.Deleted), v1alpha1.StateRemoved)
	}
	if row, restricts := rowOf[string(u.Spec.DesiredStatus)]; restricts {
		lasting(row, "Declared", v1alpha1.State(u.Spec.DesiredStatus))
	}
	for _, hold := range u.Spec.Holds {
		lasting(rowOf[string(hold.Status)], since("Hold "+hold.Name, hold.StartTime.Time), v1alpha1.State(hold.Status))
	}
	if expiration := from(u.Spec.ExpirationTime.Time, never); expiration != never {
		cause := since("Expired", u.Spec.ExpirationTime.Time)
		switch {
		case from(u.ExpiredAt, never) == expiration:
			lasting(3, cause, v1alpha1.StateExpired)
		case expiration > held:
			world = append(world, stretch{row: 3, cause: cause, state: v1alpha1.StateExpired, first: expiration, last: never})
		}
	}
	for _, absence := range u.Spec.Absences {
		away := stretch{
			row: 4, cause: since("Absence "+absence.Name, absence.StartTime.Time), state: v1alpha1.StateDeactivated,
			first: secondOf(absence.StartTime.Time), last: from(absence.EndTime.Time, never),
		}
		if absence.Status == v1alpha1.AbsenceOnBreak {
			away.row, away.state = 6, v1alpha1.StateOnBreak
		} else if away.first <= held {
			continue
		}
		world = append(world, away)
	}
	world = append(world, stretch{
		row: 5, cause: "NotStarted", state: v1alpha1.StatePending, first: always, last: from(u.Spec.StartTime.Time, always),
	})
	if u.DuplicateOf != "" {
		lasting(5, "Duplicate "+u.DuplicateOf, v1alpha1.StatePending)
	}
	return world
}

func referenceUser(u lifecycle.User) func(s int) second {
	world, otherwise := userStretches(u), v1alpha1.StateActivated
	if !u.FirstActivity.IsZero() {
		otherwise = v1alpha1.StateActive
	}
	return func(s int) second { return read(world, s, otherwise) }
}

// referenceMembership cuts its strip second by second out of its user's.
func referenceMembership(m lifecycle.Membership) func(s int) second {
	var world []stretch
	lasting := func(row int, cause string, state v1alpha1.State) {
		world = append(world, stretch{row: row, cause: cause, state: state, first: always, last: never})
	}

	if !m.Deleted.IsZero() {
		lasting(1, since("Deleted", m.Deleted), v1alpha1.StateRemoved)
	}
	switch m.Spec.DesiredStatus {
	case v1alpha1.MembershipDesiredRemoved:
		lasting(1, "Declared", v1alpha1.StateRemoved)
	case v1alpha1.MembershipDesiredDeactivated:
		lasting(3, "Declared", v1alpha1.StateDeactivated)
	default:
	}
	latched := map[string]bool{}
	for _, hold := range m.Spec.Holds {
		latched[hold.Name] = true
		lasting(map[v1alpha1.MembershipHoldStatus]int{"Removed": 1, "Deactivated": 3}[hold.Status],
			since("Hold "+hold.Name, hold.StartTime.Time), v1alpha1.State(hold.Status))
	}
	if expiration := from(m.Spec.ExpirationTime.Time, never); expiration != never {
		if from(m.ExpiredAt, never) == expiration {
			expiration = always
		}
		cause := since("Expired", m.Spec.ExpirationTime.Time)
		world = append(world, stretch{row: 2, cause: cause, state: v1alpha1.StateExpired, first: expiration, last: never})
	}
	world = append(world, stretch{
		row: 4, cause: "NotStarted", state: v1alpha1.StatePending, first: always, last: from(m.Spec.StartTime.Time, always),
	})
	if m.DuplicateOf != "" {
		lasting(6, "Duplicate "+m.DuplicateOf, v1alpha1.StatePending)
	}
	if !m.GroupFound {
		lasting(6, "GroupNotFound "+m.Spec.GroupRef.Name, v1alpha1.StatePending)
	}
	if m.User == nil {
		lasting(6, "UserNotFound "+m.Spec.UserRef.Name, v1alpha1.StatePending)
		return func(s int) second { return read(world, s, v1alpha1.StateActive) }
	}

	user := referenceUser(*m.User)
	return func(s int) second {
		now, state, began := slices.Clone(world), user(s).state, ""
		if causes := user(s).causes; len(causes) > 0 {
			if _, instant, known := strings.Cut(causes[0], "@"); known {
				began = "@" + instant
			}
		}
		if state == v1alpha1.StateRemoved && !latched["user-removed"] {
			now = append(now, stretch{row: 1, cause: "Hold user-removed", state: v1alpha1.StateRemoved, first: s, last: s + 1})
		}
		if state == v1alpha1.StateSuspended && m.Suspension != v1alpha1.SuspensionPause && !latched["user-suspended"] {
			now = append(now, stretch{row: 3, cause: "Hold user-suspended", state: v1alpha1.StateDeactivated, first: s, last: s + 1})
		}
		if slices.Contains([]v1alpha1.State{"Suspended", "Deactivated", "Expired", "Pending"}, state) {
			cause := fmt.Sprintf("User%s %s%s", state, m.Spec.UserRef.Name, began)
			now = append(now, stretch{row: 5, cause: cause, state: v1alpha1.StatePaused, first: s, last: s + 1})
		}
		return read(now, s, v1alpha1.StateActive)
	}
}

func TestUserAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		user, now := users.Draw(t, "user"), seconds.Draw(t, "now")
		if diff := cmp.Diff(look(referenceUser(user), now), decided(lifecycle.DecideUser(user, at(now)))); diff != "" {
			t.Fatalf("at %d (-reference +core):\n%s", now, diff)
		}
	})
}

func TestMembershipAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		membership, now := memberships.Draw(t, "membership"), seconds.Draw(t, "now")
		want := look(referenceMembership(membership), now)
		if diff := cmp.Diff(want, decided(lifecycle.DecideMembership(membership, at(now)))); diff != "" {
			t.Fatalf("at %d (-reference +core):\n%s", now, diff)
		}
	})
}

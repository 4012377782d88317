package lifecycle_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

// present is the instant at which the tables are read. What they declare began at 10 or begins at 90.
const present = 50

// userCause is one thing that can stand in the way of a user's access.
type userCause struct {
	name  string
	apply func(u *lifecycle.User)
	state v1alpha1.State
	cause v1alpha1.Cause
}

// userCauses is the table of states of a user: every cause there is, strongest first.
var userCauses = []userCause{
	{
		name:  "deleted",
		apply: func(u *lifecycle.User) { u.Deleted = at(10) },
		state: v1alpha1.StateRemoved,
		cause: v1alpha1.Cause{Type: v1alpha1.CauseDeleted, State: v1alpha1.StateRemoved, Time: metaAt(10)},
	},
	userDeclared(v1alpha1.UserDesiredRemoved, v1alpha1.StateRemoved),
	userDeclared(v1alpha1.UserDesiredSuspended, v1alpha1.StateSuspended),
	userHeld(v1alpha1.UserHoldSuspended, v1alpha1.StateSuspended),
	{
		name:  "expired",
		apply: func(u *lifecycle.User) { u.Spec.ExpirationTime = metaAt(10) },
		state: v1alpha1.StateExpired,
		cause: v1alpha1.Cause{Type: v1alpha1.CauseExpired, State: v1alpha1.StateExpired, Time: metaAt(10)},
	},
	userDeclared(v1alpha1.UserDesiredDeactivated, v1alpha1.StateDeactivated),
	userHeld(v1alpha1.UserHoldDeactivated, v1alpha1.StateDeactivated),
	userAbsent(v1alpha1.AbsenceDeactivated, v1alpha1.StateDeactivated),
	{
		name:  "not started",
		apply: func(u *lifecycle.User) { u.Spec.StartTime = metaAt(90) },
		state: v1alpha1.StatePending,
		cause: v1alpha1.Cause{Type: v1alpha1.CauseNotStarted, State: v1alpha1.StatePending},
	},
	{
		name:  "duplicate",
		apply: func(u *lifecycle.User) { u.DuplicateOf, u.DuplicateField = "alice-2025", "e-mail alice@acme.example" },
		state: v1alpha1.StatePending,
		cause: v1alpha1.Cause{
			Type: v1alpha1.CauseDuplicate, Name: "alice-2025", State: v1alpha1.StatePending,
			Reason: "User alice-2025, which is older, has the same e-mail alice@acme.example",
		},
	},
	userDeclared(v1alpha1.UserDesiredOnBreak, v1alpha1.StateOnBreak),
	userHeld(v1alpha1.UserHoldOnBreak, v1alpha1.StateOnBreak),
	userAbsent(v1alpha1.AbsenceOnBreak, v1alpha1.StateOnBreak),
}

func userDeclared(desired v1alpha1.UserDesiredStatus, state v1alpha1.State) userCause {
	return userCause{
		name: "declared " + string(desired),
		apply: func(u *lifecycle.User) {
			u.Spec.DesiredStatus, u.Spec.Reason = desired, "because we say so"
		},
		state: state,
		cause: v1alpha1.Cause{Type: v1alpha1.CauseDeclared, State: state, Reason: "because we say so"},
	}
}

func userHeld(status v1alpha1.UserHoldStatus, state v1alpha1.State) userCause {
	name := "hold-" + string(status)
	return userCause{
		name: name,
		apply: func(u *lifecycle.User) {
			u.Spec.Holds = append(u.Spec.Holds, v1alpha1.UserHold{Name: name, Status: status, Reason: "an audit", StartTime: metaAt(10)})
		},
		state: state,
		cause: v1alpha1.Cause{Type: v1alpha1.CauseHold, Name: name, State: state, Reason: "an audit", Time: metaAt(10)},
	}
}

func userAbsent(status v1alpha1.AbsenceStatus, state v1alpha1.State) userCause {
	name := "absence-" + string(status)
	return userCause{
		name: name,
		apply: func(u *lifecycle.User) {
			u.Spec.Absences = append(u.Spec.Absences, v1alpha1.Absence{Name: name, Status: status, Reason: "a journey", StartTime: metaAt(10)})
		},
		state: state,
		cause: v1alpha1.Cause{Type: v1alpha1.CauseAbsence, Name: name, State: state, Reason: "a journey", Time: metaAt(10)},
	}
}

func TestUserWithoutCauses(t *testing.T) {
	for name, test := range map[string]struct {
		user  lifecycle.User
		state v1alpha1.State
	}{
		"never active":                   {lifecycle.User{Spec: &v1alpha1.UserSpec{}}, v1alpha1.StateActivated},
		"declared Active, never active":  {lifecycle.User{Spec: &v1alpha1.UserSpec{DesiredStatus: v1alpha1.UserDesiredActive}}, v1alpha1.StateActivated},
		"active once":                    {lifecycle.User{Spec: &v1alpha1.UserSpec{}, FirstActivity: at(20)}, v1alpha1.StateActive},
		"started, not expired, not away": {lifecycle.User{Spec: inTheMiddle(), FirstActivity: at(20)}, v1alpha1.StateActive},
	} {
		t.Run(name, func(t *testing.T) {
			decision := lifecycle.DecideUser(test.user, at(present))
			if decision.State != test.state || decision.Strongest() != nil || decision.Access() != v1alpha1.AccessGranted {
				t.Errorf("got %s (%s) because of %v, want %s without a cause", decision.State, decision.Access(), decision.Causes, test.state)
			}
		})
	}
}

// inTheMiddle is a user whose start is over, whose expiration is to come, and whose absences are behind and ahead.
func inTheMiddle() *v1alpha1.UserSpec {
	return &v1alpha1.UserSpec{
		StartTime: metaAt(5), ExpirationTime: metaAt(95),
		Absences: []v1alpha1.Absence{
			{Name: "behind", StartTime: metaAt(10), EndTime: metaAt(present)},
			{Name: "ahead", StartTime: metaAt(present + 1)},
		},
	}
}

func TestUserStates(t *testing.T) {
	for _, c := range userCauses {
		t.Run(c.name, func(t *testing.T) {
			user := lifecycle.User{Spec: &v1alpha1.UserSpec{}, FirstActivity: at(5)}
			c.apply(&user)
			decision := lifecycle.DecideUser(user, at(present))
			checkDecided(t, decision, c.state, c.cause)
			if strongest := decision.Strongest(); strongest == nil || strongest.Type != c.cause.Type {
				t.Errorf("strongest cause is %v, want %v", strongest, c.cause)
			}
		})
	}
}

// TestUserPrecedence declares every two causes together: the stronger decides, and both are visible.
func TestUserPrecedence(t *testing.T) {
	for i, stronger := range userCauses {
		for _, weaker := range userCauses[i+1:] {
			if stronger.cause.Type == v1alpha1.CauseDeclared && weaker.cause.Type == v1alpha1.CauseDeclared {
				continue // There is one desiredStatus.
			}
			t.Run(stronger.name+" over "+weaker.name, func(t *testing.T) {
				user := lifecycle.User{Spec: &v1alpha1.UserSpec{}}
				weaker.apply(&user)
				stronger.apply(&user)
				checkDecided(t, lifecycle.DecideUser(user, at(present)), stronger.state, stronger.cause, weaker.cause)
			})
		}
	}
}

// membershipCause is one thing that can stand in the way of a membership.
type membershipCause struct {
	name  string
	apply func(m *lifecycle.Membership)
	state v1alpha1.State

	// causes are what it shows as: a hold that is not in the spec yet shows together with the user's state.
	causes []v1alpha1.Cause

	// latch is the hold that it puts on the membership.
	latch *v1alpha1.MembershipHold
}

// membershipCauses is the table of states of a membership: every cause there is, strongest first.
var membershipCauses = []membershipCause{
	{
		name:  "deleted",
		apply: func(m *lifecycle.Membership) { m.Deleted = at(10) },
		state: v1alpha1.StateRemoved,
		causes: []v1alpha1.Cause{
			{Type: v1alpha1.CauseDeleted, State: v1alpha1.StateRemoved, Time: metaAt(10)},
		},
	},
	membershipDeclared(v1alpha1.MembershipDesiredRemoved, v1alpha1.StateRemoved),
	membershipHeld(v1alpha1.MembershipHoldRemoved, v1alpha1.StateRemoved),
	{
		name:  "user removed",
		apply: func(m *lifecycle.Membership) { m.User.Spec.DesiredStatus = v1alpha1.UserDesiredRemoved },
		state: v1alpha1.StateRemoved,
		causes: []v1alpha1.Cause{
			{Type: v1alpha1.CauseHold, Name: v1alpha1.HoldUserRemoved, State: v1alpha1.StateRemoved, Reason: "The user was removed"},
		},
		latch: lifecycle.RemovedHold(),
	},
	{
		name:  "user deleted",
		apply: func(m *lifecycle.Membership) { m.User.Deleted = at(10) },
		state: v1alpha1.StateRemoved,
		causes: []v1alpha1.Cause{
			{Type: v1alpha1.CauseHold, Name: v1alpha1.HoldUserRemoved, State: v1alpha1.StateRemoved, Reason: "The user was removed"},
		},
		latch: lifecycle.RemovedHold(),
	},
	{
		name:  "expired",
		apply: func(m *lifecycle.Membership) { m.Spec.ExpirationTime = metaAt(10) },
		state: v1alpha1.StateExpired,
		causes: []v1alpha1.Cause{
			{Type: v1alpha1.CauseExpired, State: v1alpha1.StateExpired, Time: metaAt(10)},
		},
	},
	membershipDeclared(v1alpha1.MembershipDesiredDeactivated, v1alpha1.StateDeactivated),
	membershipHeld(v1alpha1.MembershipHoldDeactivated, v1alpha1.StateDeactivated),
	{
		name:  "user suspended, latched",
		apply: func(m *lifecycle.Membership) { m.User.Spec.DesiredStatus = v1alpha1.UserDesiredSuspended },
		state: v1alpha1.StateDeactivated,
		causes: []v1alpha1.Cause{
			{Type: v1alpha1.CauseHold, Name: v1alpha1.HoldUserSuspended, State: v1alpha1.StateDeactivated, Reason: "The user was suspended"},
			{Type: v1alpha1.CauseUserSuspended, Name: "alice", State: v1alpha1.StatePaused},
		},
		latch: lifecycle.SuspendedHold(),
	},
	{
		name:  "not started",
		apply: func(m *lifecycle.Membership) { m.Spec.StartTime = metaAt(90) },
		state: v1alpha1.StatePending,
		causes: []v1alpha1.Cause{
			{Type: v1alpha1.CauseNotStarted, State: v1alpha1.StatePending},
		},
	},
	{
		name: "user suspended, paused",
		apply: func(m *lifecycle.Membership) {
			m.User.Spec.Holds = []v1alpha1.UserHold{{Name: "audit", Status: v1alpha1.UserHoldSuspended, Reason: "an audit", StartTime: metaAt(10)}}
			m.Suspension = v1alpha1.SuspensionPause
		},
		state: v1alpha1.StatePaused,
		causes: []v1alpha1.Cause{
			{Type: v1alpha1.CauseUserSuspended, Name: "alice", State: v1alpha1.StatePaused, Reason: "an audit", Time: metaAt(10)},
		},
	},
	{
		name: "user deactivated",
		apply: func(m *lifecycle.Membership) {
			m.User.Spec.DesiredStatus, m.User.Spec.Reason = v1alpha1.UserDesiredDeactivated, "a long journey"
		},
		state: v1alpha1.StatePaused,
		causes: []v1alpha1.Cause{
			{Type: v1alpha1.CauseUserDeactivated, Name: "alice", State: v1alpha1.StatePaused, Reason: "a long journey"},
		},
	},
	{
		name:  "user expired",
		apply: func(m *lifecycle.Membership) { m.User.Spec.ExpirationTime = metaAt(10) },
		state: v1alpha1.StatePaused,
		causes: []v1alpha1.Cause{
			{Type: v1alpha1.CauseUserExpired, Name: "alice", State: v1alpha1.StatePaused, Time: metaAt(10)},
		},
	},
	{
		name:  "user pending",
		apply: func(m *lifecycle.Membership) { m.User.Spec.StartTime = metaAt(90) },
		state: v1alpha1.StatePaused,
		causes: []v1alpha1.Cause{
			{Type: v1alpha1.CauseUserPending, Name: "alice", State: v1alpha1.StatePaused},
		},
	},
	{
		name:  "duplicate",
		apply: func(m *lifecycle.Membership) { m.DuplicateOf = "alice-m" },
		state: v1alpha1.StatePending,
		causes: []v1alpha1.Cause{{
			Type: v1alpha1.CauseDuplicate, Name: "alice-m", State: v1alpha1.StatePending,
			Reason: "Membership alice-m, which is older, is of the same user and group",
		}},
	},
	{
		name:  "group not found",
		apply: func(m *lifecycle.Membership) { m.GroupFound = false },
		state: v1alpha1.StatePending,
		causes: []v1alpha1.Cause{
			{Type: v1alpha1.CauseGroupNotFound, Name: "mentoring", State: v1alpha1.StatePending},
		},
	},
	{
		name:  "user not found",
		apply: func(m *lifecycle.Membership) { m.User = nil },
		state: v1alpha1.StatePending,
		causes: []v1alpha1.Cause{
			{Type: v1alpha1.CauseUserNotFound, Name: "alice", State: v1alpha1.StatePending},
		},
	},
}

func membershipDeclared(desired v1alpha1.MembershipDesiredStatus, state v1alpha1.State) membershipCause {
	return membershipCause{
		name: "declared " + string(desired),
		apply: func(m *lifecycle.Membership) {
			m.Spec.DesiredStatus, m.Spec.Reason = desired, "because we say so"
		},
		state:  state,
		causes: []v1alpha1.Cause{{Type: v1alpha1.CauseDeclared, State: state, Reason: "because we say so"}},
	}
}

func membershipHeld(status v1alpha1.MembershipHoldStatus, state v1alpha1.State) membershipCause {
	name := "hold-" + string(status)
	return membershipCause{
		name: name,
		apply: func(m *lifecycle.Membership) {
			m.Spec.Holds = append(m.Spec.Holds, v1alpha1.MembershipHold{Name: name, Status: status, Reason: "an audit", StartTime: metaAt(10)})
		},
		state:  state,
		causes: []v1alpha1.Cause{{Type: v1alpha1.CauseHold, Name: name, State: state, Reason: "an audit", Time: metaAt(10)}},
	}
}

// ofTheUser tells whether a cause comes from the user, of whom there is one.
func (c membershipCause) ofTheUser() bool {
	membership := standing()
	c.apply(&membership)
	return membership.User == nil || !cmp.Equal(membership.User, standing().User)
}

// standing is a membership with nothing in its way.
func standing() lifecycle.Membership {
	return lifecycle.Membership{
		Spec: &v1alpha1.MembershipSpec{
			UserRef: v1alpha1.Reference{Name: "alice"}, GroupRef: v1alpha1.Reference{Name: "mentoring"},
		},
		User:       &lifecycle.User{Spec: &v1alpha1.UserSpec{}},
		GroupFound: true,
		Suspension: v1alpha1.SuspensionDeactivate,
	}
}

func TestMembershipWithoutCauses(t *testing.T) {
	for name, apply := range map[string]func(m *lifecycle.Membership){
		"user never active": func(*lifecycle.Membership) {},
		"user active":       func(m *lifecycle.Membership) { m.User.FirstActivity = at(20) },
		"user on a break":   func(m *lifecycle.Membership) { m.User.Spec.DesiredStatus = v1alpha1.UserDesiredOnBreak },
		"declared Active":   func(m *lifecycle.Membership) { m.Spec.DesiredStatus = v1alpha1.MembershipDesiredActive },
		"started, will expire": func(m *lifecycle.Membership) {
			m.Spec.StartTime, m.Spec.ExpirationTime = metaAt(present), metaAt(present+1)
		},
		"user started, away, will be away": func(m *lifecycle.Membership) { m.User.Spec = inTheMiddle() },
	} {
		t.Run(name, func(t *testing.T) {
			membership := standing()
			apply(&membership)
			checkDecided(t, lifecycle.DecideMembership(membership, at(present)), v1alpha1.StateActive)
		})
	}
}

func TestMembershipStates(t *testing.T) {
	for _, c := range membershipCauses {
		t.Run(c.name, func(t *testing.T) {
			membership := standing()
			c.apply(&membership)
			decision := lifecycle.DecideMembership(membership, at(present))
			checkDecided(t, decision, c.state, c.causes...)
			if diff := cmp.Diff(c.latch, decision.Latch); diff != "" {
				t.Errorf("latch (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMembershipPrecedence declares every two causes together: the stronger decides, and both are visible.
func TestMembershipPrecedence(t *testing.T) {
	for i, stronger := range membershipCauses {
		for _, weaker := range membershipCauses[i+1:] {
			if stronger.ofTheUser() && weaker.ofTheUser() {
				continue // There is one user.
			}
			if stronger.causes[0].Type == v1alpha1.CauseDeclared && weaker.causes[0].Type == v1alpha1.CauseDeclared {
				continue // There is one desiredStatus.
			}
			t.Run(stronger.name+" over "+weaker.name, func(t *testing.T) {
				membership := standing()
				stronger.apply(&membership)
				weaker.apply(&membership)
				decision := lifecycle.DecideMembership(membership, at(present))
				if decision.State != stronger.state {
					t.Errorf("state is %s, want %s", decision.State, stronger.state)
				}
				if diff := cmp.Diff(&stronger.causes[0], decision.Strongest()); diff != "" {
					t.Errorf("strongest cause (-want +got):\n%s", diff)
				}
				for _, cause := range append(stronger.causes, weaker.causes...) {
					if !visible(cause, decision) {
						t.Errorf("cause %v is not among %v", cause, decision.Causes)
					}
				}
			})
		}
	}
}

func visible(cause v1alpha1.Cause, d lifecycle.Decision) bool {
	return slices.ContainsFunc(d.Causes, func(c v1alpha1.Cause) bool { return cmp.Equal(c, cause) })
}

// TestLatchIsSetOnce gives a membership the hold that its user's state calls for: nothing changes but that there is no
// hold left to set.
func TestLatchIsSetOnce(t *testing.T) {
	for _, c := range membershipCauses {
		if c.latch == nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			membership := standing()
			c.apply(&membership)
			before := lifecycle.DecideMembership(membership, at(present))
			membership.Spec.Holds = append(membership.Spec.Holds, *before.Latch)
			after := lifecycle.DecideMembership(membership, at(present))

			before.Latch = nil
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the hold in the spec makes a difference (-before +after):\n%s", diff)
			}
		})
	}
}

// TestHolds spells out the holds that the operator sets. They carry no time, so that whoever sets one sets the same.
func TestHolds(t *testing.T) {
	for name, test := range map[string]struct{ got, want *v1alpha1.MembershipHold }{
		"user suspended": {
			got: lifecycle.SuspendedHold(),
			want: &v1alpha1.MembershipHold{
				Name: "user-suspended", Status: v1alpha1.MembershipHoldDeactivated, Release: v1alpha1.ReleaseAdmin,
				Reason: "The user was suspended", Source: "tenure",
			},
		},
		"user removed": {
			got: lifecycle.RemovedHold(),
			want: &v1alpha1.MembershipHold{
				Name: "user-removed", Status: v1alpha1.MembershipHoldRemoved, Release: v1alpha1.ReleaseAdmin,
				Reason: "The user was removed", Source: "tenure",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.got); diff != "" {
				t.Errorf("hold (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDue reads the tables one second before a declared time, at it, and after it.
func TestDue(t *testing.T) {
	const deadline = 30
	start := &v1alpha1.UserSpec{StartTime: metaAt(deadline)}
	expiration := &v1alpha1.UserSpec{ExpirationTime: metaAt(deadline)}
	departure := &v1alpha1.UserSpec{Absences: []v1alpha1.Absence{{Name: "away", StartTime: metaAt(deadline)}}}
	comeback := &v1alpha1.UserSpec{Absences: []v1alpha1.Absence{{Name: "away", StartTime: metaAt(10), EndTime: metaAt(deadline)}}}

	for name, test := range map[string]struct {
		spec          *v1alpha1.UserSpec
		before, after v1alpha1.State
	}{
		"startTime":           {start, v1alpha1.StatePending, v1alpha1.StateActivated},
		"expirationTime":      {expiration, v1alpha1.StateActivated, v1alpha1.StateExpired},
		"start of an absence": {departure, v1alpha1.StateActivated, v1alpha1.StateDeactivated},
		"end of an absence":   {comeback, v1alpha1.StateDeactivated, v1alpha1.StateActivated},
	} {
		t.Run(name, func(t *testing.T) {
			user := lifecycle.User{Spec: test.spec}
			for instant, want := range map[time.Time]v1alpha1.State{
				at(deadline - 1):                          test.before,
				at(deadline).Add(-time.Nanosecond):        test.before,
				at(deadline):                              test.after,
				at(deadline).Add(time.Nanosecond):         test.after,
				at(deadline).AddDate(100, 0, 0):           test.after,
				at(deadline).In(time.FixedZone("", 5400)): test.after,
			} {
				if got := lifecycle.DecideUser(user, instant).State; got != want {
					t.Errorf("at %s the state is %s, want %s", instant, got, want)
				}
			}
		})
	}
}

func TestUserNext(t *testing.T) {
	for name, test := range map[string]struct {
		user lifecycle.User
		now  int
		next int
		to   v1alpha1.State
		wake int
	}{
		"nothing is scheduled": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{}},
		},
		"the start": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{StartTime: metaAt(20), ExpirationTime: metaAt(80)}},
			next: 20, to: v1alpha1.StateActivated, wake: 20,
		},
		"the expiration, from the start on": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{StartTime: metaAt(20), ExpirationTime: metaAt(80)}},
			now:  20, next: 80, to: v1alpha1.StateExpired, wake: 80,
		},
		"nothing, from the expiration on": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{StartTime: metaAt(20), ExpirationTime: metaAt(80)}},
			now:  80,
		},
		"the start of someone seen before": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{StartTime: metaAt(20)}, FirstActivity: at(1)},
			next: 20, to: v1alpha1.StateActive, wake: 20,
		},
		"the break that waits behind the start": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{StartTime: metaAt(20), DesiredStatus: v1alpha1.UserDesiredOnBreak}},
			next: 20, to: v1alpha1.StateOnBreak, wake: 20,
		},
		"the end of the last of two absences that overlap": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{Absences: []v1alpha1.Absence{
				{Name: "parental", StartTime: metaAt(10), EndTime: metaAt(40)},
				{Name: "sabbatical", StartTime: metaAt(30), EndTime: metaAt(60)},
			}}},
			now: 20, next: 60, to: v1alpha1.StateActivated, wake: 30,
		},
		"the end of the last of two absences that meet": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{Absences: []v1alpha1.Absence{
				{Name: "parental", StartTime: metaAt(10), EndTime: metaAt(40)},
				{Name: "sabbatical", StartTime: metaAt(40), EndTime: metaAt(60)},
			}}},
			now: 20, next: 60, to: v1alpha1.StateActivated, wake: 40,
		},
		"a break after an absence": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{Absences: []v1alpha1.Absence{
				{Name: "parental", StartTime: metaAt(10), EndTime: metaAt(40)},
				{Name: "holidays", StartTime: metaAt(40), EndTime: metaAt(60), Status: v1alpha1.AbsenceOnBreak},
			}}},
			now: 20, next: 40, to: v1alpha1.StateOnBreak, wake: 40,
		},
		"no absence while deactivated for good": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{
				DesiredStatus: v1alpha1.UserDesiredDeactivated,
				Absences:      []v1alpha1.Absence{{Name: "parental", StartTime: metaAt(30), EndTime: metaAt(60)}},
			}},
			wake: 30,
		},
		"the expiration outranks a deactivation": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{DesiredStatus: v1alpha1.UserDesiredDeactivated, ExpirationTime: metaAt(80)}},
			next: 80, to: v1alpha1.StateExpired, wake: 80,
		},
		"no date while suspended": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{
				DesiredStatus: v1alpha1.UserDesiredSuspended, StartTime: metaAt(20), ExpirationTime: metaAt(80),
			}},
			wake: 20,
		},
		"no date while removed": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{ExpirationTime: metaAt(80)}, Deleted: at(5)},
			wake: 80,
		},
		"no date that is held open": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{ExpirationTime: metaAt(20)}, HeldOpen: at(20)},
		},
		"the date behind one that is held open": {
			user: lifecycle.User{
				Spec: &v1alpha1.UserSpec{
					ExpirationTime: metaAt(40), Absences: []v1alpha1.Absence{{Name: "parental", StartTime: metaAt(20)}},
				},
				HeldOpen: at(20),
			},
			now: 30, next: 40, to: v1alpha1.StateExpired, wake: 40,
		},
		"no date that was applied before the clock stepped back": {
			user: lifecycle.User{Spec: &v1alpha1.UserSpec{ExpirationTime: metaAt(80)}, ExpiredAt: at(80)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			decision := lifecycle.DecideUser(test.user, at(test.now))
			checkScheduled(t, decision, test.next, test.to, test.wake)
		})
	}
}

func TestMembershipNext(t *testing.T) {
	for name, test := range map[string]struct {
		apply func(m *lifecycle.Membership)
		next  int
		to    v1alpha1.State
		wake  int
	}{
		"nothing is scheduled": {
			apply: func(*lifecycle.Membership) {},
		},
		"its own start": {
			apply: func(m *lifecycle.Membership) { m.Spec.StartTime = metaAt(60) },
			next:  60, to: v1alpha1.StateActive, wake: 60,
		},
		"its own start, into a pause": {
			apply: func(m *lifecycle.Membership) { m.Spec.StartTime, m.User.Spec.StartTime = metaAt(60), metaAt(70) },
			next:  60, to: v1alpha1.StatePaused, wake: 60,
		},
		"its own expiration, which outranks the user's": {
			apply: func(m *lifecycle.Membership) {
				m.Spec.ExpirationTime, m.User.Spec.ExpirationTime = metaAt(60), metaAt(60)
			},
			next: 60, to: v1alpha1.StateExpired, wake: 60,
		},
		"the user's expiration": {
			apply: func(m *lifecycle.Membership) { m.User.Spec.ExpirationTime = metaAt(60) },
			next:  60, to: v1alpha1.StatePaused, wake: 60,
		},
		"the end of the user's absence": {
			apply: func(m *lifecycle.Membership) {
				m.User.Spec.Absences = []v1alpha1.Absence{{Name: "away", StartTime: metaAt(10), EndTime: metaAt(60)}}
			},
			next: 60, to: v1alpha1.StateActive, wake: 60,
		},
		"not the user's break": {
			apply: func(m *lifecycle.Membership) {
				m.User.Spec.Absences = []v1alpha1.Absence{{Name: "away", StartTime: metaAt(60), Status: v1alpha1.AbsenceOnBreak}}
			},
		},
		"not the expiration of a paused user": {
			apply: func(m *lifecycle.Membership) {
				m.User.Spec.DesiredStatus, m.User.Spec.ExpirationTime = v1alpha1.UserDesiredDeactivated, metaAt(60)
			},
			wake: 60,
		},
		"not the user's date that is held open": {
			apply: func(m *lifecycle.Membership) { m.User.Spec.ExpirationTime, m.User.HeldOpen = metaAt(60), at(60) },
		},
		"its own date, although the user's is held open": {
			apply: func(m *lifecycle.Membership) {
				m.Spec.ExpirationTime = metaAt(60)
				m.User.Spec.ExpirationTime, m.User.HeldOpen = metaAt(60), at(60)
			},
			next: 60, to: v1alpha1.StateExpired, wake: 60,
		},
	} {
		t.Run(name, func(t *testing.T) {
			membership := standing()
			test.apply(&membership)
			checkScheduled(t, lifecycle.DecideMembership(membership, at(present)), test.next, test.to, test.wake)
		})
	}
}

func TestAccess(t *testing.T) {
	for state, want := range map[v1alpha1.State]v1alpha1.Access{
		v1alpha1.StatePending:     v1alpha1.AccessDenied,
		v1alpha1.StateActivated:   v1alpha1.AccessGranted,
		v1alpha1.StateActive:      v1alpha1.AccessGranted,
		v1alpha1.StateOnBreak:     v1alpha1.AccessGranted,
		v1alpha1.StatePaused:      v1alpha1.AccessDenied,
		v1alpha1.StateDeactivated: v1alpha1.AccessDenied,
		v1alpha1.StateExpired:     v1alpha1.AccessDenied,
		v1alpha1.StateSuspended:   v1alpha1.AccessDenied,
		v1alpha1.StateRemoved:     v1alpha1.AccessDenied,
		"SomethingNew":            v1alpha1.AccessDenied,
		"":                        v1alpha1.AccessDenied,
	} {
		t.Run(fmt.Sprintf("%q", state), func(t *testing.T) {
			if got := lifecycle.AccessOf(state); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if got := (lifecycle.Decision{State: state}).Access(); got != want {
				t.Errorf("a decision gives %s, want %s", got, want)
			}
		})
	}
}

func TestSameCause(t *testing.T) {
	cause := v1alpha1.Cause{Type: v1alpha1.CauseHold, Name: "audit", State: v1alpha1.StateSuspended, Reason: "an audit", Time: metaAt(10)}
	for name, test := range map[string]struct {
		change func(c *v1alpha1.Cause)
		same   bool
	}{
		"as it is":        {func(*v1alpha1.Cause) {}, true},
		"another reason":  {func(c *v1alpha1.Cause) { c.Reason = "a long audit" }, true},
		"another zone":    {func(c *v1alpha1.Cause) { c.Time = metav1.NewTime(at(10).In(time.FixedZone("", 7200))) }, true},
		"another type":    {func(c *v1alpha1.Cause) { c.Type = v1alpha1.CauseAbsence }, false},
		"another name":    {func(c *v1alpha1.Cause) { c.Name = "inactivity" }, false},
		"another state":   {func(c *v1alpha1.Cause) { c.State = v1alpha1.StateDeactivated }, false},
		"another instant": {func(c *v1alpha1.Cause) { c.Time = metaAt(11) }, false},
		"no instant":      {func(c *v1alpha1.Cause) { c.Time = metav1.Time{} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			other := cause
			test.change(&other)
			if got := lifecycle.SameCause(cause, other); got != test.same {
				t.Errorf("got %t, want %t", got, test.same)
			}
		})
	}
}

func checkDecided(t *testing.T, d lifecycle.Decision, state v1alpha1.State, causes ...v1alpha1.Cause) {
	t.Helper()
	if d.State != state {
		t.Errorf("state is %s, want %s", d.State, state)
	}
	if d.Access() != lifecycle.AccessOf(state) {
		t.Errorf("access is %s in %s", d.Access(), state)
	}
	if diff := cmp.Diff(causes, d.Causes); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}
}

// checkScheduled compares what is scheduled with seconds, of which 0 is never.
func checkScheduled(t *testing.T, d lifecycle.Decision, next int, to v1alpha1.State, wake int) {
	t.Helper()
	if got := secondOf(d.Next); got != next || d.NextState != to {
		t.Errorf("next is %q at %d, want %q at %d", d.NextState, got, to, next)
	}
	if got := secondOf(d.Wake); got != wake {
		t.Errorf("wake is at %d, want %d", got, wake)
	}
}

func secondOf(t time.Time) int {
	if t.IsZero() {
		return 0
	}
	return int(t.Sub(midnight) / time.Second)
}

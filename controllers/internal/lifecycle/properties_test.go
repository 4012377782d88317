package lifecycle_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

// checkSchedule compares a decision at a second with what is decided later, at every half second up to where nothing
// more is declared.
func checkSchedule(t *rapid.T, decide func(now time.Time) lifecycle.Decision, second int) {
	decision := decide(at(second))
	if !decision.Next.IsZero() && !decision.Next.After(at(second)) || !decision.Wake.IsZero() && !decision.Wake.After(at(second)) {
		t.Fatalf("at %d: next %s and wake %s are not in the future", second, decision.Next, decision.Wake)
	}
	if decision.Next.IsZero() != (decision.NextState == "") {
		t.Fatalf("at %d: next is %q at %s", second, decision.NextState, decision.Next)
	}
	if !decision.Next.IsZero() && (decision.Wake.IsZero() || decision.Wake.After(decision.Next)) {
		t.Fatalf("at %d: wake %s is after next %s", second, decision.Wake, decision.Next)
	}

	for later := at(second); !later.After(at(horizon + 1)); later = later.Add(time.Second / 2) {
		then := decide(later)
		if (decision.Next.IsZero() || later.Before(decision.Next)) && then.State != decision.State {
			t.Fatalf("at %d: state is %s until %s, but %s at %s", second, decision.State, decision.Next, then.State, later)
		}
		if (decision.Wake.IsZero() || later.Before(decision.Wake)) && !slices.EqualFunc(then.Causes, decision.Causes, lifecycle.SameCause) {
			t.Fatalf("at %d: causes are %v until %s, but %v at %s", second, decision.Causes, decision.Wake, then.Causes, later)
		}
		if later.Equal(decision.Next) && (then.State == decision.State || then.State != decision.NextState) {
			t.Fatalf("at %d: next is %s from %s on, but it is %s after %s", second, decision.NextState, later, then.State, decision.State)
		}
		if later.Equal(decision.Wake) && slices.EqualFunc(then.Causes, decision.Causes, lifecycle.SameCause) {
			t.Fatalf("at %d: causes are %v, and still at the wake at %s", second, decision.Causes, later)
		}
	}
}

func TestUserScheduleIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		user := users.Draw(t, "user")
		checkSchedule(t, func(now time.Time) lifecycle.Decision { return lifecycle.DecideUser(user, now) }, seconds.Draw(t, "now"))
	})
}

func TestMembershipScheduleIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		membership := memberships.Draw(t, "membership")
		checkSchedule(t, func(now time.Time) lifecycle.Decision { return lifecycle.DecideMembership(membership, now) }, seconds.Draw(t, "now"))
	})
}

// TestMembershipNarrowsAccess: a membership gives no access that its user does not have, and where the user has access
// nothing of the user stands in its way.
func TestMembershipNarrowsAccess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		membership, now := memberships.Draw(t, "membership"), at(seconds.Draw(t, "now"))
		decision := lifecycle.DecideMembership(membership, now)
		userHasAccess := membership.User != nil && lifecycle.DecideUser(*membership.User, now).Access() == v1alpha1.AccessGranted
		if decision.Access() == v1alpha1.AccessGranted && !userHasAccess {
			t.Fatalf("the membership is %s, although its user has no access", decision.State)
		}
		if userHasAccess && (decision.State == v1alpha1.StatePaused || decision.Latch != nil) {
			t.Fatalf("the membership is %s with latch %v, although its user has access", decision.State, decision.Latch)
		}
	})
}

// TestExpiredIsLatched expires a user and a membership, and lets the clock go anywhere.
func TestExpiredIsLatched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		user, membership := users.Draw(t, "user"), memberships.Draw(t, "membership")
		now, later := at(seconds.Draw(t, "now")), at(rapid.IntRange(-horizon, 2*horizon).Draw(t, "later"))

		before := lifecycle.DecideUser(user, now)
		user.ExpiredAt = expiredAt(before)
		if after := lifecycle.DecideUser(user, later); before.State == v1alpha1.StateExpired && after.State != v1alpha1.StateExpired {
			t.Fatalf("the user leaves Expired for %s at %s", after.State, later)
		}

		before = lifecycle.DecideMembership(membership, now)
		membership.ExpiredAt = expiredAt(before)
		if after := lifecycle.DecideMembership(membership, later); before.State == v1alpha1.StateExpired && after.State != v1alpha1.StateExpired {
			t.Fatalf("the membership leaves Expired for %s at %s", after.State, later)
		}
	})
}

// TestExpiredIsLeftByMovingTheDate is the way out.
func TestExpiredIsLeftByMovingTheDate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		user, second := users.Draw(t, "user"), seconds.Draw(t, "now")
		user.ExpiredAt = expiredAt(lifecycle.DecideUser(user, at(second)))
		user.Spec.ExpirationTime = metaAt(horizon + 1)
		if state := lifecycle.DecideUser(user, at(second)).State; state == v1alpha1.StateExpired {
			t.Fatal("the date was moved, and the user is still Expired")
		}
	})
}

func expiredAt(d lifecycle.Decision) time.Time {
	h := history{causes: d.Causes}
	return h.expiredAt()
}

// TestHeldOpenTouchesDeadlinesOnly: a verdict takes away no cause but expirations and absences up to it, and adds none.
func TestHeldOpenTouchesDeadlinesOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		user, now := users.Draw(t, "user"), at(seconds.Draw(t, "now"))
		held := user
		user.HeldOpen, held.HeldOpen = time.Time{}, at(seconds.Draw(t, "held"))
		without, with := lifecycle.DecideUser(user, now), lifecycle.DecideUser(held, now)

		want := slices.DeleteFunc(slices.Clone(without.Causes), func(c v1alpha1.Cause) bool {
			deadline := c.Type == v1alpha1.CauseExpired && !c.Time.Time.Equal(user.ExpiredAt) ||
				c.Type == v1alpha1.CauseAbsence && c.State == v1alpha1.StateDeactivated
			return deadline && !c.Time.After(held.HeldOpen)
		})
		if !slices.EqualFunc(with.Causes, want, lifecycle.SameCause) {
			t.Fatalf("causes are %v without a verdict and %v with it, want %v", without.Causes, with.Causes, want)
		}
	})
}

var guarded = rapid.Custom(func(t *rapid.T) lifecycle.Guarded {
	return lifecycle.Guarded{
		Owner: rarely.Draw(t, "owner"), Admin: rapid.Bool().Draw(t, "admin"), HasAccess: rapid.Bool().Draw(t, "has access"),
		User: users.Draw(t, "user"),
	}
})

var organizations = rapid.Custom(func(t *rapid.T) []lifecycle.Guarded {
	organization := rapid.SliceOfN(guarded, 1, 4).Draw(t, "users")
	for i := range organization {
		organization[i].Name = fmt.Sprintf("user-%d", i)
	}
	return organization
})

// judged are the users with the guards' verdict on them.
func judged(organization []lifecycle.Guarded, now time.Time) []lifecycle.Guarded {
	verdicts, after := lifecycle.HeldOpen(organization, now), slices.Clone(organization)
	for i := range after {
		after[i].User.HeldOpen = verdicts[after[i].Name].HeldOpen
	}
	return after
}

func hasAccess(g lifecycle.Guarded, now time.Time) bool {
	return lifecycle.DecideUser(g.User, now).Access() == v1alpha1.AccessGranted
}

// shutOutBySomebody tells whether anything but a declared time stands in the way of a user's access. One that was
// applied already counts.
func shutOutBySomebody(g lifecycle.Guarded, now time.Time) bool {
	g.User.HeldOpen = now
	return !hasAccess(g, now)
}

// TestGuardsKeepAnAdmin: whenever an admin had access and nobody took it away, an admin has access after the verdicts;
// and so has the owner.
func TestGuardsKeepAnAdmin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		organization, now := organizations.Draw(t, "organization"), at(seconds.Draw(t, "now"))
		had, has := false, false
		for i, after := range judged(organization, now) {
			before := organization[i]
			mayStay := (before.HasAccess || !before.User.HeldOpen.IsZero()) && !shutOutBySomebody(before, now)
			had = had || before.Admin && mayStay
			has = has || after.Admin && hasAccess(after, now)
			if before.Owner && mayStay && !hasAccess(after, now) {
				t.Fatalf("the owner %s loses access", before.Name)
			}
		}
		if had && !has {
			t.Fatal("no admin has access any more")
		}
	})
}

// TestGuardsHoldNoMoreThanTheyMust: a verdict opens no closed door, overrules nobody, makes a difference, and without
// it the owner, or every admin, would be out.
func TestGuardsHoldNoMoreThanTheyMust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		organization, now := organizations.Draw(t, "organization"), at(seconds.Draw(t, "now"))
		verdicts, lastAdmins := lifecycle.HeldOpen(organization, now), 0
		after := judged(organization, now)
		for i, g := range organization {
			verdict, held := verdicts[g.Name]
			if !held {
				continue
			}
			without := g
			without.User.HeldOpen = time.Time{}
			switch {
			case !g.HasAccess && g.User.HeldOpen.IsZero():
				t.Fatalf("%s had no access, and is held open", g.Name)
			case shutOutBySomebody(g, now):
				t.Fatalf("somebody shut %s out, and it is held open", g.Name)
			case hasAccess(without, now) || !hasAccess(after[i], now):
				t.Fatalf("%s is held open, which makes no difference", g.Name)
			case verdict.HeldOpen.After(now):
				t.Fatalf("%s is held open until %s, which is to come", g.Name, verdict.HeldOpen)
			case verdict.Reason == v1alpha1.ReasonAccountOwner && !g.Owner, verdict.Reason == v1alpha1.ReasonLastAdmin && !g.Admin:
				t.Fatalf("%s is held open as %s, which it is not", g.Name, verdict.Reason)
			case verdict.Reason == v1alpha1.ReasonLastAdmin:
				lastAdmins++
				if others := slices.ContainsFunc(after, func(o lifecycle.Guarded) bool {
					return o.Name != g.Name && o.Admin && hasAccess(o, now)
				}); others {
					t.Fatalf("%s is held open as the last admin, which it is not", g.Name)
				}
			}
		}
		if lastAdmins > 1 {
			t.Fatalf("%d last admins are held open", lastAdmins)
		}
	})
}

func TestGuardsDoNotDependOnTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		organization, now := organizations.Draw(t, "organization"), at(seconds.Draw(t, "now"))
		shuffled := rapid.Permutation(organization).Draw(t, "shuffled")
		if diff := cmp.Diff(lifecycle.HeldOpen(organization, now), lifecycle.HeldOpen(shuffled, now)); diff != "" {
			t.Fatalf("verdicts depend on the order:\n%s", diff)
		}
	})
}

// TestGuardsAreStable: asked again with their own verdicts and their consequences, the guards say the same.
func TestGuardsAreStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		organization, now := organizations.Draw(t, "organization"), at(seconds.Draw(t, "now"))
		after := judged(organization, now)
		for i := range after {
			after[i].HasAccess = hasAccess(after[i], now)
		}
		if diff := cmp.Diff(lifecycle.HeldOpen(organization, now), lifecycle.HeldOpen(after, now)); diff != "" {
			t.Fatalf("verdicts change by themselves (-first +second):\n%s", diff)
		}
	})
}

// subject is a user or a membership that lives through a random time.
type subject struct {
	history

	// pass decides at an instant and compares with the past.
	pass func(h *history, now time.Time) (lifecycle.Decision, lifecycle.Outcome)

	// edit declares something else.
	edit func(t *rapid.T)

	// unrecorded are the states that a subject may go between without a Transition.
	unrecorded []v1alpha1.State
}

func drawUser(t *rapid.T) *subject {
	user := users.Draw(t, "user")
	s := &subject{
		history:    history{subject: "user.alice", created: at(0)},
		unrecorded: []v1alpha1.State{v1alpha1.StateActivated, v1alpha1.StateActive},
		pass: func(h *history, now time.Time) (lifecycle.Decision, lifecycle.Outcome) {
			seen := user
			seen.ExpiredAt = h.expiredAt()
			if seen.FirstActivity.After(now) {
				seen.FirstActivity = time.Time{} // Nobody can know yet.
			}
			decision := lifecycle.DecideUser(seen, now)
			return decision, lifecycle.UserOutcome(seen, decision, h.past(), now)
		},
	}
	s.edit = func(t *rapid.T) {
		deleted, firstActivity := user.Deleted, user.FirstActivity
		user = users.Draw(t, "user")
		if !deleted.IsZero() {
			user.Deleted = deleted
		}
		if !firstActivity.IsZero() {
			user.FirstActivity = firstActivity
		}
		if lifecycle.AccessOf(s.state) == v1alpha1.AccessDenied {
			user.HeldOpen = time.Time{} // Guards open no closed door.
		}
	}
	return s
}

func drawMembership(t *rapid.T) *subject {
	membership := memberships.Draw(t, "membership")
	return &subject{
		history:    history{subject: "membership.alice-mentoring", created: at(0)},
		unrecorded: []v1alpha1.State{v1alpha1.StatePaused, v1alpha1.StateActive},
		pass: func(h *history, now time.Time) (lifecycle.Decision, lifecycle.Outcome) {
			membership.ExpiredAt = h.expiredAt()
			decision := lifecycle.DecideMembership(membership, now)
			return decision, lifecycle.MembershipOutcome(membership, decision, h.past(), now)
		},
		edit: func(t *rapid.T) {
			deleted := membership.Deleted
			membership = memberships.Draw(t, "membership")
			if !deleted.IsZero() {
				membership.Deleted = deleted
			}
		},
	}
}

// live makes a pass and keeps what it made.
func (s *subject) live(now time.Time) (lifecycle.Decision, lifecycle.Outcome) {
	decision, outcome := s.pass(&s.history, now)
	s.keep(decision, outcome, now)
	return decision, outcome
}

// goes tells whether going between two states is to be recorded.
func (s *subject) goes(from, to v1alpha1.State) bool {
	return from != to && (!slices.Contains(s.unrecorded, from) || !slices.Contains(s.unrecorded, to))
}

func forEachKind(t *testing.T, check func(t *rapid.T, s *subject)) {
	t.Helper()
	for kind, draw := range map[string]func(t *rapid.T) *subject{"user": drawUser, "membership": drawMembership} {
		t.Run(kind, rapid.MakeCheck(func(t *rapid.T) { check(t, draw(t)) }))
	}
}

// TestEveryChangeIsRecordedOnce lets time pass and people edit: there is one Transition for each change of state that
// needs one and one for a deletion, and they are a chain.
func TestEveryChangeIsRecordedOnce(t *testing.T) {
	forEachKind(t, func(t *rapid.T, s *subject) {
		now, state, deletions := at(seconds.Draw(t, "beginning")), v1alpha1.State(""), 0
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "wait")) * time.Second)
			if rapid.Bool().Draw(t, "edit") {
				s.edit(t)
			}
			decision, outcome := s.live(now)

			deleted := decision.Strongest() != nil && decision.Strongest().Type == v1alpha1.CauseDeleted
			if deleted {
				deletions++
			}
			want := state == "" || s.goes(state, decision.State) || deletions == 1 && deleted
			if got := outcome.Change != nil; got != want {
				t.Fatalf("from %q to %s at %s: recorded: %t, want: %t", state, decision.State, now, got, want)
			}
			if change := outcome.Change; change != nil {
				if change.From != state || change.To != decision.State {
					t.Fatalf("recorded %s -> %s, want %s -> %s", change.From, change.To, state, decision.State)
				}
				if change.Baseline() != (len(s.transitions) == 1) {
					t.Fatalf("Transition %d from %q", len(s.transitions), change.From)
				}
				activity := change.To == v1alpha1.StateActive && change.Time.Before(outcome.StateTime)
				if !change.Time.Equal(outcome.StateTime) && !activity || outcome.StateTime.After(now) {
					t.Fatalf("at %s recorded for %s, and the state holds from %s", now, change.Time, outcome.StateTime)
				}
			}
			state = decision.State
		}
		if !slices.IsSortedFunc(s.transitions, func(a, b *v1alpha1.Transition) int {
			return a.Spec.Time.Compare(b.Spec.Time.Time)
		}) {
			t.Fatal("a Transition is older than the one before it")
		}
	})
}

// TestPassesAreIdempotent repeats a pass, also one that was interrupted between Transition and status.
func TestPassesAreIdempotent(t *testing.T) {
	forEachKind(t, func(t *rapid.T, s *subject) {
		now := at(seconds.Draw(t, "now"))
		s.live(now)
		s.edit(t)
		now = now.Add(time.Duration(rapid.IntRange(0, horizon).Draw(t, "wait")) * time.Second)
		decision, outcome := s.pass(&s.history, now)
		if rapid.Bool().Draw(t, "interrupted") {
			s.keepTransition(outcome, now)
		} else {
			s.keep(decision, outcome, now)
		}

		again, repeated := s.pass(&s.history, now)
		if diff := cmp.Diff(decision, again); diff != "" {
			t.Fatalf("a second pass decides otherwise (-first +second):\n%s", diff)
		}
		if diff := cmp.Diff(lifecycle.Outcome{StateTime: outcome.StateTime}, repeated); diff != "" {
			t.Fatalf("a second pass makes something else (-want +got):\n%s", diff)
		}
	})
}

// TestInterruptedPassIsMadeGood interrupts a pass between Transition and status, and nobody declares anything before the next one:
// it records what it would have recorded anyhow.
func TestInterruptedPassIsMadeGood(t *testing.T) {
	forEachKind(t, func(t *rapid.T, s *subject) {
		now := at(seconds.Draw(t, "now"))
		s.live(now)
		s.edit(t)
		now = now.Add(time.Duration(rapid.IntRange(0, horizon).Draw(t, "wait")) * time.Second)
		decision, outcome := s.pass(&s.history, now)
		if outcome.Change == nil {
			return
		}
		interrupted := s.history
		interrupted.transitions = slices.Clone(s.transitions)
		interrupted.keepTransition(outcome, now)
		s.keep(decision, outcome, now)

		now = now.Add(time.Duration(rapid.IntRange(0, horizon).Draw(t, "next")) * time.Second)
		_, want := s.pass(&s.history, now)
		_, got := s.pass(&interrupted, now)
		if want.Change != nil && got.Change != nil {
			want.Change.From, got.Change.From = "", ""
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-written +interrupted):\n%s", diff)
		}
	})
}

// TestLosingStatusChangesNothing restores a subject without its status: the state is what it was, and nothing is
// recorded. How long a membership has been paused is not recorded anywhere, so only a user's stateTime is known exactly.
func TestLosingStatusChangesNothing(t *testing.T) {
	forEachKind(t, func(t *rapid.T, s *subject) {
		now := at(seconds.Draw(t, "now"))
		s.live(now)
		s.edit(t)
		now = now.Add(time.Duration(rapid.IntRange(0, horizon).Draw(t, "wait")) * time.Second)
		before, outcome := s.live(now)

		s.loseStatus()
		after, restored := s.pass(&s.history, now)
		if restored.Change != nil {
			t.Fatalf("the restored object goes from %s to %s", restored.Change.From, restored.Change.To)
		}
		if after.State != before.State {
			t.Fatalf("the restored object is %s and was %s", after.State, before.State)
		}
		if before.State != v1alpha1.StateActive && before.State != v1alpha1.StatePaused && !restored.StateTime.Equal(outcome.StateTime) {
			t.Fatalf("the restored object is %s since %s and was so since %s", after.State, restored.StateTime, outcome.StateTime)
		}
	})
}

// TestLateIsAsGoodAsInTime sees a subject once and then, with nothing declared in between, late. An operator that looked
// every second all the time says the same about the last change.
func TestLateIsAsGoodAsInTime(t *testing.T) {
	forEachKind(t, func(t *rapid.T, s *subject) {
		seen := seconds.Draw(t, "seen")
		now := rapid.IntRange(seen, horizon+1).Draw(t, "now")
		first, _ := s.live(at(seen))

		attentive := *s
		for second := seen; second < now; second++ {
			attentive.live(at(second))
		}
		_, inTime := attentive.live(at(now))

		decision, late := s.live(at(now))
		if decision.State == first.State || first.State == v1alpha1.StateActivated && decision.State == v1alpha1.StateActive {
			return // What came and went in between was not seen.
		}
		if !late.StateTime.Equal(inTime.StateTime) {
			t.Fatalf("%s since %s, and in time since %s", decision.State, late.StateTime, inTime.StateTime)
		}
		if late.Change != nil && late.Change.Time.Equal(attentive.newest().Spec.Time.Time) {
			if diff := cmp.Diff(attentive.newest().Spec.Cause, late.Change.Cause); diff != "" {
				t.Fatalf("cause (-in time +late):\n%s", diff)
			}
		}
	})
}

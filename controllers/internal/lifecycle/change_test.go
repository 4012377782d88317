package lifecycle_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

// passUser is what the user controller does at an instant, as far as the core is concerned.
func passUser(u lifecycle.User, h *history, second int) lifecycle.Outcome {
	u.ExpiredAt = h.expiredAt()
	decision := lifecycle.DecideUser(u, at(second))
	outcome := lifecycle.UserOutcome(u, decision, h.past(), at(second))
	h.keep(decision, outcome, at(second))
	return outcome
}

// passMembership is what the membership controller does at an instant, as far as the core is concerned.
func passMembership(m lifecycle.Membership, h *history, second int) lifecycle.Outcome {
	m.ExpiredAt = h.expiredAt()
	decision := lifecycle.DecideMembership(m, at(second))
	outcome := lifecycle.MembershipOutcome(m, decision, h.past(), at(second))
	h.keep(decision, outcome, at(second))
	return outcome
}

func unchanged(stateTime int) lifecycle.Outcome {
	return lifecycle.Outcome{StateTime: at(stateTime)}
}

func changed(from, to v1alpha1.State, cause v1alpha1.TransitionCauseType, name string, second int) lifecycle.Outcome {
	return lifecycle.Outcome{
		StateTime: at(second),
		Change: &lifecycle.Change{
			From: from, To: to, Cause: v1alpha1.TransitionCause{Type: cause, Name: name}, Time: at(second),
		},
	}
}

func because(reason string, o lifecycle.Outcome) lifecycle.Outcome {
	o.Change.Reason = reason
	return o
}

func nothing(*lifecycle.User) {}

func deactivated(u *lifecycle.User) {
	u.Spec.DesiredStatus, u.Spec.Reason = v1alpha1.UserDesiredDeactivated, "gone fishing"
}

func reactivated(u *lifecycle.User) {
	u.Spec.DesiredStatus, u.Spec.Reason = v1alpha1.UserDesiredActive, ""
}

func held(u *lifecycle.User) {
	u.Spec.Holds = []v1alpha1.UserHold{{Name: "audit", Status: v1alpha1.UserHoldSuspended, Reason: "an audit"}}
}

func released(u *lifecycle.User) { u.Spec.Holds = nil }

func awayFrom(start, end int) func(u *lifecycle.User) {
	return func(u *lifecycle.User) {
		away := v1alpha1.Absence{Name: "away", StartTime: metaAt(start)}
		if end > 0 {
			away.EndTime = metaAt(end)
		}
		u.Spec.Absences = []v1alpha1.Absence{away}
	}
}

func starting(second int) func(u *lifecycle.User) {
	return func(u *lifecycle.User) { u.Spec.StartTime = metaAt(second) }
}

func ending(second int) func(u *lifecycle.User) {
	return func(u *lifecycle.User) { u.Spec.ExpirationTime = metaAt(second) }
}

func firstActive(second int) func(u *lifecycle.User) {
	return func(u *lifecycle.User) { u.FirstActivity = at(second) }
}

func all(changes ...func(u *lifecycle.User)) func(u *lifecycle.User) {
	return func(u *lifecycle.User) {
		for _, change := range changes {
			change(u)
		}
	}
}

// TestUserOutcome shows a user to a pass at 1 and, changed or not, to another at 50: noticed late, where it happened by
// itself.
func TestUserOutcome(t *testing.T) {
	const (
		activated   = v1alpha1.StateActivated
		active      = v1alpha1.StateActive
		gone        = v1alpha1.StateDeactivated
		isExpired   = v1alpha1.StateExpired
		isPending   = v1alpha1.StatePending
		isSuspended = v1alpha1.StateSuspended
		isRemoved   = v1alpha1.StateRemoved
		isOnBreak   = v1alpha1.StateOnBreak
	)
	for name, test := range map[string]struct {
		before, after func(u *lifecycle.User)
		want          lifecycle.Outcome
	}{
		"nothing happened": {nothing, nothing, unchanged(0)},

		// What somebody declares happens now.
		"deactivated":                 {nothing, deactivated, because("gone fishing", changed(activated, gone, v1alpha1.TransitionDeclared, "", 50))},
		"reactivated":                 {deactivated, reactivated, changed(gone, activated, v1alpha1.TransitionDeclared, "", 50)},
		"reactivated, once active":    {all(firstActive(0), deactivated), reactivated, changed(gone, active, v1alpha1.TransitionDeclared, "", 50)},
		"start put off":               {nothing, starting(90), changed(activated, isPending, v1alpha1.TransitionDeclared, "", 50)},
		"start moved to the past":     {starting(90), func(u *lifecycle.User) { u.Spec.StartTime = metaAt(0) }, changed(isPending, activated, v1alpha1.TransitionStarted, "", 0)},
		"date moved":                  {ending(1), ending(90), changed(isExpired, activated, v1alpha1.TransitionDeclared, "", 50)},
		"absence cut short":           {awayFrom(1, 90), func(u *lifecycle.User) { u.Spec.Absences = nil }, changed(gone, activated, v1alpha1.TransitionDeclared, "", 50)},
		"held":                        {nothing, held, because("an audit", changed(activated, isSuspended, v1alpha1.TransitionHeld, "audit", 50))},
		"released":                    {held, released, changed(isSuspended, activated, v1alpha1.TransitionReleased, "audit", 50)},
		"released into an expiration": {all(held, ending(1)), released, changed(isSuspended, isExpired, v1alpha1.TransitionReleased, "audit", 50)},
		"another reason":              {deactivated, func(u *lifecycle.User) { u.Spec.Reason = "gone hunting" }, unchanged(0)},
		"held while deactivated":      {deactivated, held, because("an audit", changed(gone, isSuspended, v1alpha1.TransitionHeld, "audit", 50))},
		"a duplicate":                 {nothing, func(u *lifecycle.User) { u.DuplicateOf = "alice-2025" }, because("User alice-2025, which is older, has the same ", changed(activated, isPending, v1alpha1.TransitionDeclared, "alice-2025", 50))},

		// What has a declared time happened then.
		"held since then":   {nothing, func(u *lifecycle.User) { held(u); u.Spec.Holds[0].StartTime = metaAt(40) }, because("an audit", changed(activated, isSuspended, v1alpha1.TransitionHeld, "audit", 40))},
		"held, to come":     {nothing, func(u *lifecycle.User) { held(u); u.Spec.Holds[0].StartTime = metaAt(60) }, because("an audit", changed(activated, isSuspended, v1alpha1.TransitionHeld, "audit", 50))},
		"deleted":           {nothing, func(u *lifecycle.User) { u.Deleted = at(30) }, changed(activated, isRemoved, v1alpha1.TransitionDeleted, "", 30)},
		"removed, deleted":  {func(u *lifecycle.User) { u.Spec.DesiredStatus = v1alpha1.UserDesiredRemoved }, func(u *lifecycle.User) { u.Deleted = at(30) }, changed(isRemoved, isRemoved, v1alpha1.TransitionDeleted, "", 30)},
		"first active":      {nothing, firstActive(20), unchanged(20)},
		"active from now":   {nothing, firstActive(60), unchanged(50)},
		"started":           {starting(30), nothing, changed(isPending, activated, v1alpha1.TransitionStarted, "", 30)},
		"started on break":  {all(starting(30), func(u *lifecycle.User) { u.Spec.DesiredStatus = v1alpha1.UserDesiredOnBreak }), nothing, changed(isPending, isOnBreak, v1alpha1.TransitionStarted, "", 30)},
		"expired":           {ending(30), nothing, changed(activated, isExpired, v1alpha1.TransitionExpired, "", 30)},
		"expired long ago":  {nothing, ending(-5), changed(activated, isExpired, v1alpha1.TransitionExpired, "", 0)},
		"expired away":      {all(awayFrom(1, 0), ending(30)), nothing, changed(gone, isExpired, v1alpha1.TransitionExpired, "", 30)},
		"absence started":   {awayFrom(30, 0), nothing, changed(activated, gone, v1alpha1.TransitionAbsenceStarted, "away", 30)},
		"absence ended":     {awayFrom(1, 30), nothing, changed(gone, activated, v1alpha1.TransitionAbsenceEnded, "away", 30)},
		"absence gone by":   {awayFrom(20, 30), nothing, unchanged(0)},
		"held while absent": {awayFrom(30, 0), held, because("an audit", changed(activated, isSuspended, v1alpha1.TransitionHeld, "audit", 50))},

		// Of several things that happened, the last one counts that mattered.
		"released from one of two": {all(held, awayFrom(1, 30)), released, changed(isSuspended, activated, v1alpha1.TransitionReleased, "audit", 50)},
		"expired while held":       {all(held, ending(30)), released, changed(isSuspended, isExpired, v1alpha1.TransitionReleased, "audit", 50)},
		"started behind a break": {
			all(starting(30), func(u *lifecycle.User) {
				u.Spec.Absences = []v1alpha1.Absence{{Name: "holidays", StartTime: metaAt(20), Status: v1alpha1.AbsenceOnBreak}}
			}),
			nothing,
			changed(isPending, isOnBreak, v1alpha1.TransitionStarted, "", 30),
		},
		"a break behind an absence": {
			awayFrom(1, 30),
			func(u *lifecycle.User) {
				u.Spec.Holds = []v1alpha1.UserHold{{Name: "quiet", Status: v1alpha1.UserHoldOnBreak, StartTime: metaAt(15)}}
			},
			changed(gone, isOnBreak, v1alpha1.TransitionAbsenceEnded, "away", 30),
		},
		"two absences that overlap": {
			func(u *lifecycle.User) {
				u.Spec.Absences = []v1alpha1.Absence{
					{Name: "parental", StartTime: metaAt(1), EndTime: metaAt(20)},
					{Name: "sabbatical", StartTime: metaAt(1), EndTime: metaAt(40)},
				}
			},
			nothing,
			changed(gone, activated, v1alpha1.TransitionAbsenceEnded, "sabbatical", 40),
		},
		"two absences, the second one noticed only when it was over": {
			func(u *lifecycle.User) {
				u.Spec.Absences = []v1alpha1.Absence{
					{Name: "parental", StartTime: metaAt(1), EndTime: metaAt(20)},
					{Name: "sabbatical", StartTime: metaAt(10), EndTime: metaAt(40)},
				}
			},
			nothing,
			changed(gone, activated, v1alpha1.TransitionAbsenceEnded, "sabbatical", 40),
		},
		"two absences that meet, the first one never noticed": {
			func(u *lifecycle.User) {
				u.Spec.Absences = []v1alpha1.Absence{
					{Name: "parental", StartTime: metaAt(10), EndTime: metaAt(20)},
					{Name: "sabbatical", StartTime: metaAt(20)},
				}
			},
			nothing,
			changed(activated, gone, v1alpha1.TransitionAbsenceStarted, "parental", 10),
		},
	} {
		t.Run(name, func(t *testing.T) {
			user, h := lifecycle.User{Spec: &v1alpha1.UserSpec{}}, &history{subject: "user.alice", created: at(0)}
			test.before(&user)
			passUser(user, h, 1)
			test.after(&user)
			if diff := cmp.Diff(test.want, passUser(user, h, present)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMembershipOutcome(t *testing.T) {
	const (
		active    = v1alpha1.StateActive
		paused    = v1alpha1.StatePaused
		gone      = v1alpha1.StateDeactivated
		isExpired = v1alpha1.StateExpired
		isPending = v1alpha1.StatePending
		isRemoved = v1alpha1.StateRemoved
	)
	user := func(change func(u *lifecycle.User)) func(m *lifecycle.Membership) {
		return func(m *lifecycle.Membership) { change(m.User) }
	}
	noGroup := func(m *lifecycle.Membership) { m.GroupFound = false }
	group := func(m *lifecycle.Membership) { m.GroupFound = true }
	hold := func(m *lifecycle.Membership) {
		m.Spec.Holds = []v1alpha1.MembershipHold{{Name: "audit", Status: v1alpha1.MembershipHoldDeactivated}}
	}
	release := func(m *lifecycle.Membership) { m.Spec.Holds = nil }
	start := func(second int) func(m *lifecycle.Membership) {
		return func(m *lifecycle.Membership) { m.Spec.StartTime = metaAt(second) }
	}
	end := func(second int) func(m *lifecycle.Membership) {
		return func(m *lifecycle.Membership) { m.Spec.ExpirationTime = metaAt(second) }
	}

	for name, test := range map[string]struct {
		before, after func(m *lifecycle.Membership)
		want          lifecycle.Outcome
	}{
		"nothing happened": {user(nothing), user(nothing), unchanged(0)},
		"held":             {user(nothing), hold, changed(active, gone, v1alpha1.TransitionHeld, "audit", 50)},
		"released":         {hold, release, changed(gone, active, v1alpha1.TransitionReleased, "audit", 50)},
		"started":          {start(30), user(nothing), changed(isPending, active, v1alpha1.TransitionStarted, "", 30)},
		"expired":          {end(30), user(nothing), changed(active, isExpired, v1alpha1.TransitionExpired, "", 30)},
		"group came":       {noGroup, group, changed(isPending, active, v1alpha1.TransitionUserStateChanged, "mentoring", 50)},
		"group went":       {user(nothing), noGroup, changed(active, isPending, v1alpha1.TransitionUserStateChanged, "mentoring", 50)},
		"user went":        {user(nothing), func(m *lifecycle.Membership) { m.User = nil }, changed(active, isPending, v1alpha1.TransitionUserStateChanged, "alice", 50)},
		"deleted":          {user(nothing), func(m *lifecycle.Membership) { m.Deleted = at(30) }, changed(active, isRemoved, v1alpha1.TransitionDeleted, "", 30)},

		// It goes with its user: a pause is no Transition, and begins and ends when the user's absence of access does.
		"user deactivated":  {user(nothing), user(deactivated), unchanged(50)},
		"user reactivated":  {user(deactivated), user(reactivated), unchanged(50)},
		"user expired":      {user(ending(30)), user(nothing), unchanged(30)},
		"user's date moved": {user(ending(1)), user(ending(90)), unchanged(50)},
		"user started":      {user(starting(30)), user(nothing), unchanged(30)},
		"user away":         {user(awayFrom(30, 0)), user(nothing), unchanged(30)},
		"user back":         {user(awayFrom(1, 30)), user(nothing), unchanged(30)},
		"user back from the longer of two absences": {
			user(func(u *lifecycle.User) {
				u.Spec.Absences = []v1alpha1.Absence{
					{Name: "parental", StartTime: metaAt(1), EndTime: metaAt(20)},
					{Name: "sabbatical", StartTime: metaAt(1), EndTime: metaAt(40)},
				}
			}),
			user(nothing), unchanged(40),
		},
		"user away, then gone":  {user(awayFrom(1, 30)), user(deactivated), unchanged(1)},
		"held while paused":     {user(deactivated), hold, changed(paused, gone, v1alpha1.TransitionHeld, "audit", 50)},
		"expired while paused":  {func(m *lifecycle.Membership) { deactivated(m.User); end(30)(m) }, user(nothing), changed(paused, isExpired, v1alpha1.TransitionExpired, "", 30)},
		"started, into a pause": {func(m *lifecycle.Membership) { awayFrom(20, 0)(m.User); start(30)(m) }, user(nothing), changed(isPending, paused, v1alpha1.TransitionStarted, "", 30)},

		// A suspension and a removal of the user are the membership's own, by way of the hold.
		"user suspended": {
			user(nothing), user(held),
			because("The user was suspended", changed(active, gone, v1alpha1.TransitionHeld, v1alpha1.HoldUserSuspended, 50)),
		},
		"user suspended, which pauses": {
			func(m *lifecycle.Membership) { m.Suspension = v1alpha1.SuspensionPause }, user(held), unchanged(50),
		},
		"user deleted": {
			user(nothing), user(func(u *lifecycle.User) { u.Deleted = at(30) }),
			because("The user was removed", changed(active, isRemoved, v1alpha1.TransitionHeld, v1alpha1.HoldUserRemoved, 50)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			membership, h := standing(), &history{subject: "membership.alice-mentoring", created: at(0)}
			test.before(&membership)
			passMembership(membership, h, 1)
			test.after(&membership)
			got := passMembership(membership, h, present)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBaseline shows a user for the first time: it has been there since 5 and is seen at 50.
func TestBaseline(t *testing.T) {
	for name, test := range map[string]struct {
		user  func(u *lifecycle.User)
		state v1alpha1.State
		cause v1alpha1.TransitionCauseType
		since int
	}{
		"as created":               {nothing, v1alpha1.StateActivated, v1alpha1.TransitionDeclared, 5},
		"active before it was":     {firstActive(1), v1alpha1.StateActive, v1alpha1.TransitionDeclared, 5},
		"deactivated":              {deactivated, v1alpha1.StateDeactivated, v1alpha1.TransitionDeclared, 5},
		"held":                     {held, v1alpha1.StateSuspended, v1alpha1.TransitionHeld, 5},
		"to come":                  {starting(90), v1alpha1.StatePending, v1alpha1.TransitionDeclared, 5},
		"started":                  {starting(30), v1alpha1.StateActivated, v1alpha1.TransitionDeclared, 30},
		"started before it was":    {starting(1), v1alpha1.StateActivated, v1alpha1.TransitionDeclared, 5},
		"expired":                  {ending(30), v1alpha1.StateExpired, v1alpha1.TransitionExpired, 30},
		"expired before it was":    {ending(1), v1alpha1.StateExpired, v1alpha1.TransitionExpired, 1},
		"away":                     {awayFrom(30, 0), v1alpha1.StateDeactivated, v1alpha1.TransitionAbsenceStarted, 30},
		"back":                     {awayFrom(20, 30), v1alpha1.StateActivated, v1alpha1.TransitionDeclared, 30},
		"deleted":                  {func(u *lifecycle.User) { u.Deleted = at(40) }, v1alpha1.StateRemoved, v1alpha1.TransitionDeleted, 40},
		"suspended, expired later": {all(held, ending(30)), v1alpha1.StateSuspended, v1alpha1.TransitionHeld, 5},
	} {
		t.Run(name, func(t *testing.T) {
			user, h := lifecycle.User{Spec: &v1alpha1.UserSpec{}}, &history{subject: "user.alice", created: at(5)}
			test.user(&user)
			got := passUser(user, h, present)
			if got.Change == nil || !got.Change.Baseline() {
				t.Fatalf("got %v, want a baseline", got.Change)
			}
			got.Change.Reason, got.Change.Cause.Name = "", ""
			if diff := cmp.Diff(changed("", test.state, test.cause, "", test.since), got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

// TestActiveSince: a first activity is no change that is recorded, and all the same the instant from which a user is
// Active.
func TestActiveSince(t *testing.T) {
	want := changed("", v1alpha1.StateActive, v1alpha1.TransitionDeclared, "", 5)
	want.StateTime = at(20)

	user, h := lifecycle.User{Spec: &v1alpha1.UserSpec{}}, &history{subject: "user.alice", created: at(5)}
	firstActive(20)(&user)
	if diff := cmp.Diff(want, passUser(user, h, present)); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

// TestStatusLost takes the status away after something happened, and lets the next pass see what happens then.
func TestStatusLost(t *testing.T) {
	for name, test := range map[string]struct {
		before, after func(u *lifecycle.User)
		want          lifecycle.Outcome
	}{
		"nothing happened":        {nothing, nothing, unchanged(0)},
		"still deactivated":       {deactivated, nothing, unchanged(0)},
		"still active":            {firstActive(20), nothing, unchanged(20)},
		"still away":              {awayFrom(10, 0), nothing, unchanged(10)},
		"first active meanwhile":  {nothing, firstActive(30), unchanged(30)},
		"deactivated meanwhile":   {nothing, deactivated, because("gone fishing", changed(v1alpha1.StateActivated, v1alpha1.StateDeactivated, v1alpha1.TransitionDeclared, "", 50))},
		"reactivated meanwhile":   {all(firstActive(0), deactivated), reactivated, changed(v1alpha1.StateDeactivated, v1alpha1.StateActive, v1alpha1.TransitionDeclared, "", 50)},
		"expired meanwhile":       {firstActive(0), ending(30), changed(v1alpha1.StateActive, v1alpha1.StateExpired, v1alpha1.TransitionExpired, "", 30)},
		"date moved meanwhile":    {ending(10), ending(90), changed(v1alpha1.StateExpired, v1alpha1.StateActivated, v1alpha1.TransitionDeclared, "", 50)},
		"back meanwhile":          {awayFrom(10, 30), nothing, changed(v1alpha1.StateDeactivated, v1alpha1.StateActivated, v1alpha1.TransitionAbsenceEnded, "away", 30)},
		"started meanwhile":       {starting(30), nothing, changed(v1alpha1.StatePending, v1alpha1.StateActivated, v1alpha1.TransitionStarted, "", 30)},
		"put off meanwhile":       {starting(30), starting(90), unchanged(0)},
		"on a break to the end":   {func(u *lifecycle.User) { u.Spec.DesiredStatus = v1alpha1.UserDesiredOnBreak }, reactivated, changed(v1alpha1.StateOnBreak, v1alpha1.StateActivated, v1alpha1.TransitionDeclared, "", 50)},
		"released meanwhile":      {held, released, changed(v1alpha1.StateSuspended, v1alpha1.StateActivated, v1alpha1.TransitionReleased, "audit", 50)},
		"no duplicate any more":   {func(u *lifecycle.User) { starting(5)(u); u.DuplicateOf = "alice-2025" }, func(u *lifecycle.User) { u.DuplicateOf = "" }, changed(v1alpha1.StatePending, v1alpha1.StateActivated, v1alpha1.TransitionDeclared, "", 50)},
		"deleted, and seen so":    {func(u *lifecycle.User) { u.Deleted = at(10) }, nothing, unchanged(10)},
		"removed, then deleted":   {func(u *lifecycle.User) { u.Spec.DesiredStatus = v1alpha1.UserDesiredRemoved }, func(u *lifecycle.User) { u.Deleted = at(30) }, changed(v1alpha1.StateRemoved, v1alpha1.StateRemoved, v1alpha1.TransitionDeleted, "", 30)},
		"date moved, deactivated": {func(u *lifecycle.User) { deactivated(u); ending(10)(u) }, func(u *lifecycle.User) { u.Spec.ExpirationTime = metaAt(90) }, because("gone fishing", changed(v1alpha1.StateExpired, v1alpha1.StateDeactivated, v1alpha1.TransitionDeclared, "", 50))},
	} {
		t.Run(name, func(t *testing.T) {
			user, h := lifecycle.User{Spec: &v1alpha1.UserSpec{}}, &history{subject: "user.alice", created: at(0)}
			test.before(&user)
			passUser(user, h, 20)
			h.loseStatus()
			test.after(&user)
			if diff := cmp.Diff(test.want, passUser(user, h, present)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMembershipStatusLost takes the status away: pausing and resuming with the user left no Transition, but the user's
// own history knows since when it has access, or has none.
func TestMembershipStatusLost(t *testing.T) {
	same := func(*lifecycle.Membership) {}
	user := func(change func(u *lifecycle.User)) func(m *lifecycle.Membership) {
		return func(m *lifecycle.Membership) { change(m.User) }
	}
	suspended := func(m *lifecycle.Membership) { m.Spec.Holds = []v1alpha1.MembershipHold{*lifecycle.SuspendedHold()} }
	const unknown = 0

	for name, test := range map[string]struct {
		before, after func(m *lifecycle.Membership)
		userSince     int
		want          lifecycle.Outcome
	}{
		"paused with the user":        {same, user(deactivated), 30, unchanged(30)},
		"resumed with the user":       {same, same, 40, unchanged(40)},
		"younger than the user":       {same, same, 2, unchanged(5)},
		"of a user without a history": {same, user(deactivated), unknown, unchanged(present)},
		"of a user who expired since": {same, user(ending(30)), unknown, unchanged(30)},
		"held, whatever the user is":  {suspended, same, 30, unchanged(5)},
	} {
		t.Run(name, func(t *testing.T) {
			membership, h := standing(), &history{subject: "membership.alice-mentoring", created: at(5)}
			test.before(&membership)
			passMembership(membership, h, 20)
			h.loseStatus()
			test.after(&membership)
			past := h.past()
			if test.userSince != unknown {
				past.UserSince = at(test.userSince)
			}
			got := lifecycle.MembershipOutcome(membership, lifecycle.DecideMembership(membership, at(present)), past, at(present))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

// TestInterruptedPass writes the Transition and not the status: the next pass writes the same status, and no second
// Transition, or else goes on from the Transition.
func TestInterruptedPass(t *testing.T) {
	for name, test := range map[string]struct {
		second int
		want   lifecycle.Outcome
	}{
		"the next one is at once": {41, unchanged(30)},
		"the next one sees the end": {
			61, changed(v1alpha1.StateDeactivated, v1alpha1.StateActivated, v1alpha1.TransitionAbsenceEnded, "away", 60),
		},
	} {
		t.Run(name, func(t *testing.T) {
			user, h := lifecycle.User{Spec: &v1alpha1.UserSpec{}}, &history{subject: "user.alice", created: at(0)}
			passUser(user, h, 1)

			awayFrom(30, 60)(&user)
			h.keepTransition(lifecycle.UserOutcome(user, lifecycle.DecideUser(user, at(40)), h.past(), at(40)), at(40))
			if diff := cmp.Diff(test.want, passUser(user, h, test.second)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAutomatic(t *testing.T) {
	for cause, want := range map[v1alpha1.TransitionCauseType]bool{
		v1alpha1.TransitionStarted:          true,
		v1alpha1.TransitionExpired:          true,
		v1alpha1.TransitionAbsenceStarted:   true,
		v1alpha1.TransitionAbsenceEnded:     true,
		v1alpha1.TransitionDeclared:         false,
		v1alpha1.TransitionHeld:             false,
		v1alpha1.TransitionReleased:         false,
		v1alpha1.TransitionUserStateChanged: false,
		v1alpha1.TransitionDeleted:          false,
	} {
		change := lifecycle.Change{Cause: v1alpha1.TransitionCause{Type: cause}}
		if got := change.Automatic(); got != want {
			t.Errorf("%s: got %t, want %t", cause, got, want)
		}
	}
}

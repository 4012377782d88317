package lifecycle_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

var update = flag.Bool("update", false, "rewrite the golden timelines in testdata")

// TestTimelines plays each story and compares what happened with testdata/<name>.txt. The numbered ones are the cases
// that must come out right.
func TestTimelines(t *testing.T) {
	for _, story := range stories {
		t.Run(story.name, func(t *testing.T) {
			stage := &stage{t: t}
			fmt.Fprintln(&stage.script, story.title)
			story.tell(stage)

			golden := filepath.Join("testdata", story.name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(stage.script.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), stage.script.String()); diff != "" {
				t.Errorf("timeline (-want +got):\n%s", diff)
			}
		})
	}
}

type story struct {
	name, title string
	tell        func(s *stage)
}

var stories = []story{
	{
		name:  "01-expired",
		title: "Case 1. Active, the date passes, the date is moved. Bob has never been active.",
		tell: func(s *stage) {
			alice, bob := s.user("alice"), s.user("bob")
			s.at("09:00:00", "both are there and expire at 10:00", func() {
				alice.FirstActivity = clock("09:00:00").Time
				alice.Spec.ExpirationTime, bob.Spec.ExpirationTime = clock("10:00:00"), clock("10:00:00")
			})
			s.at("09:59:59", "one second before")
			s.at("10:00:00", "the date")
			s.at("11:00:00", "the date is moved to 12:00", func() {
				alice.Spec.ExpirationTime, bob.Spec.ExpirationTime = clock("12:00:00"), clock("12:00:00")
			})
			s.at("12:00:00", "the date")
			s.at("13:00:00", "the date is taken out", func() {
				alice.Spec.ExpirationTime, bob.Spec.ExpirationTime = metav1.Time{}, metav1.Time{}
			})
		},
	},
	{
		name:  "02-deactivated-then-expired",
		title: "Case 2. Deactivated, the date passes, the date is moved.",
		tell: func(s *stage) {
			alice := s.activeUser("alice")
			s.at("09:00:00", "alice is there and expires at 10:00", func() { alice.Spec.ExpirationTime = clock("10:00:00") })
			s.at("09:30:00", "deactivated", func() { deactivated(&alice.User) })
			s.at("10:00:00", "the date")
			s.at("11:00:00", "the date is moved to 12:00", func() { alice.Spec.ExpirationTime = clock("12:00:00") })
			s.at("11:30:00", "reactivated", func() { reactivated(&alice.User) })
		},
	},
	{
		name:  "03-suspended-and-expired",
		title: "Case 3. The date is moved while Suspended; the suspension is lifted while the date is past.",
		tell: func(s *stage) {
			alice, bob := s.activeUser("alice"), s.activeUser("bob")
			s.at("09:00:00", "both are there and expire at 10:00", func() {
				alice.Spec.ExpirationTime, bob.Spec.ExpirationTime = clock("10:00:00"), clock("10:00:00")
			})
			s.at("09:30:00", "alice is suspended", func() { alice.Spec.DesiredStatus = v1alpha1.UserDesiredSuspended })
			s.at("10:00:00", "the date")
			s.at("10:30:00", "bob, who has expired, is suspended", func() { bob.Spec.DesiredStatus = v1alpha1.UserDesiredSuspended })
			s.at("11:00:00", "alice's date is moved to 13:00", func() { alice.Spec.ExpirationTime = clock("13:00:00") })
			s.at("12:00:00", "both suspensions are lifted", func() {
				alice.Spec.DesiredStatus, bob.Spec.DesiredStatus = v1alpha1.UserDesiredActive, v1alpha1.UserDesiredActive
			})
		},
	},
	{
		name:  "04-operator-down",
		title: "Case 4. The operator is down over the instant.",
		tell: func(s *stage) {
			alice := s.activeUser("alice")
			s.membership("alice-mentoring", alice)
			s.at("09:00:00", "alice is there and expires at 10:00", func() { alice.Spec.ExpirationTime = clock("10:00:00") })
			s.unseen("09:30:00", "the operator stops")
			s.at("10:30:00", "the operator starts")
		},
	},
	{
		name:  "05-suspended-with-memberships",
		title: "Case 5. Three memberships, one already deactivated: suspended, and lifted.",
		tell: func(s *stage) {
			alice := s.activeUser("alice")
			s.membership("alice-choir", alice)
			s.membership("alice-mentoring", alice)
			team := s.membership("alice-team", alice)
			s.at("09:00:00", "alice is in three groups")
			s.at("09:30:00", "the team's is deactivated", func() {
				team.Spec.DesiredStatus, team.Spec.Reason = v1alpha1.MembershipDesiredDeactivated, "reorganization"
			})
			s.at("10:00:00", "alice is suspended", func() { alice.Spec.DesiredStatus = v1alpha1.UserDesiredSuspended })
			s.at("11:00:00", "the suspension is lifted", func() { alice.Spec.DesiredStatus = v1alpha1.UserDesiredActive })
			s.at("11:30:00", "the team's is declared Active", func() { team.Spec.DesiredStatus = v1alpha1.MembershipDesiredActive })
			s.at("12:00:00", "the hold is released on the team's", func() { team.Spec.Holds = nil })
		},
	},
	{
		name:  "06-absence-ends-while-suspended",
		title: "Case 6. An absence with status Deactivated ends while Suspended.",
		tell: func(s *stage) {
			alice := s.activeUser("alice")
			s.at("09:00:00", "alice will be away from 10:00 to 12:00", func() {
				alice.Spec.Absences = []v1alpha1.Absence{{Name: "away", StartTime: clock("10:00:00"), EndTime: clock("12:00:00")}}
			})
			s.at("10:00:00", "the absence begins")
			s.at("11:00:00", "alice is suspended", func() { alice.Spec.DesiredStatus = v1alpha1.UserDesiredSuspended })
			s.at("12:00:00", "the absence ends")
			s.at("13:00:00", "the suspension is lifted", func() { alice.Spec.DesiredStatus = v1alpha1.UserDesiredActive })
		},
	},
	{
		name:  "07-absence-starts-while-expired",
		title: "Case 7. An absence starts while Expired.",
		tell: func(s *stage) {
			alice := s.activeUser("alice")
			s.at("09:00:00", "alice expires at 10:00 and is away from 11:00 to 13:00", func() {
				alice.Spec.ExpirationTime = clock("10:00:00")
				alice.Spec.Absences = []v1alpha1.Absence{{Name: "away", StartTime: clock("11:00:00"), EndTime: clock("13:00:00")}}
			})
			s.at("10:00:00", "the date")
			s.at("11:00:00", "the absence begins")
			s.at("12:00:00", "the date is moved to 14:00", func() { alice.Spec.ExpirationTime = clock("14:00:00") })
			s.at("13:00:00", "the absence ends")
		},
	},
	{
		name:  "10-reactivated-after-the-cascade",
		title: "Case 10. Reactivated after the whole cascade: access only, no team.",
		tell: func(s *stage) {
			alice := s.activeUser("alice")
			s.membership("alice-choir", alice)
			team := s.membership("alice-team", alice)
			s.at("09:00:00", "alice is in two groups")
			s.at("10:00:00", "alice is deactivated", func() { deactivated(&alice.User) })
			s.at("10:00:05", "the effect on teams puts its hold", func() {
				team.Spec.Holds = []v1alpha1.MembershipHold{{
					Name: "teams", Status: v1alpha1.MembershipHoldRemoved, Reason: "The user was deactivated", StartTime: clock("10:00:05"),
				}}
			})
			s.at("11:00:00", "alice is reactivated", func() { reactivated(&alice.User) })
		},
	},
	{
		name:  "12-last-admin",
		title: "Case 12. The last admin's expiration date arrives; a second admin appears.",
		tell: func(s *stage) {
			ann := s.activeUser("ann")
			ann.Admin = true
			s.membership("ann-board", ann)
			s.at("09:00:00", "ann, the only admin, expires at 10:00", func() { ann.Spec.ExpirationTime = clock("10:00:00") })
			s.at("10:00:00", "the date")
			bob := s.activeUser("bob")
			s.at("11:00:00", "bob arrives")
			s.at("12:00:00", "bob becomes an admin", func() { bob.Admin = true })
		},
	},
	{
		name:  "16-lifted-before-the-holds",
		title: "Case 16. Suspended and lifted before the holds have landed.",
		tell: func(s *stage) {
			alice := s.activeUser("alice")
			mentoring := s.membership("alice-mentoring", alice)
			s.at("09:00:00", "alice is in a group")
			s.membershipsWait = true
			s.at("10:00:00", "alice is suspended; nobody looks at the membership", func() { alice.Spec.DesiredStatus = v1alpha1.UserDesiredSuspended })
			s.at("10:00:01", "the suspension is lifted", func() { alice.Spec.DesiredStatus = v1alpha1.UserDesiredActive })
			s.membershipsWait = false
			s.at("10:00:02", "the entering Transition puts its hold, and then the membership is looked at", func() {
				mentoring.Spec.Holds = append(mentoring.Spec.Holds, *lifecycle.SuspendedHold())
			})
		},
	},
	{
		name:  "17-membership-of-a-suspended-user",
		title: "Case 17. A suspended user's membership goes to Deactivated directly, with one Transition.",
		tell: func(s *stage) {
			alice := s.activeUser("alice")
			s.membership("alice-mentoring", alice)
			s.at("09:00:00", "alice is in a group")
			s.at("10:00:00", "alice is suspended", func() { alice.Spec.DesiredStatus = v1alpha1.UserDesiredSuspended })
			s.membership("alice-team", alice)
			s.at("11:00:00", "a membership is created all the same")
		},
	},
	{
		name:  "18-removed-then-deleted",
		title: "Case 18. An already Removed user is deleted.",
		tell: func(s *stage) {
			alice := s.activeUser("alice")
			s.membership("alice-mentoring", alice)
			s.at("09:00:00", "alice is in a group")
			s.at("10:00:00", "alice is removed", func() { alice.Spec.DesiredStatus = v1alpha1.UserDesiredRemoved })
			s.at("11:00:00", "alice is deleted", func() { alice.Deleted = clock("11:00:00").Time })
		},
	},
	{
		name:  "20-suspended-by-a-hold",
		title: "Case 20. Suspended by a hold, the earlier status returns.",
		tell: func(s *stage) {
			alice := s.activeUser("alice")
			s.at("09:00:00", "alice is on a break", func() { alice.Spec.DesiredStatus = v1alpha1.UserDesiredOnBreak })
			s.at("10:00:00", "a hold suspends alice", func() { held(&alice.User) })
			s.at("11:00:00", "the hold is released", func() { released(&alice.User) })
		},
	},
	{
		name:  "activity",
		title: "A first activity is no Transition, and survives deactivations.",
		tell: func(s *stage) {
			alice := s.user("alice")
			s.at("09:00:00", "alice is invited")
			s.at("09:30:10", "alice was active ten seconds ago", func() { alice.FirstActivity = clock("09:30:00").Time })
			s.at("10:00:00", "deactivated", func() { deactivated(&alice.User) })
			s.at("11:00:00", "reactivated", func() { reactivated(&alice.User) })
			s.at("12:00:00", "deactivated again", func() { deactivated(&alice.User) })
		},
	},
	{
		name:  "clock-steps-back",
		title: "The clock steps back over an expiration, even under a suspension.",
		tell: func(s *stage) {
			alice := s.activeUser("alice")
			s.membership("alice-mentoring", alice)
			s.at("09:00:00", "alice is there and expires at 10:00", func() { alice.Spec.ExpirationTime = clock("10:00:00") })
			s.at("10:00:00", "the date")
			s.at("09:30:00", "the clock steps back")
			s.at("09:40:00", "a hold suspends alice", func() { held(&alice.User) })
			s.at("09:50:00", "the hold is released", func() { released(&alice.User) })
			s.at("10:30:00", "the clock is right again")
			s.at("11:00:00", "the date is moved to 12:00", func() { alice.Spec.ExpirationTime = clock("12:00:00") })
		},
	},
	{
		name:  "late",
		title: "The operator is down while one absence runs into another.",
		tell: func(s *stage) {
			alice := s.activeUser("alice")
			s.membership("alice-mentoring", alice)
			s.at("09:00:00", "alice is away from 10:00 to 12:00 and from 11:00 to 13:00", func() {
				alice.Spec.Absences = []v1alpha1.Absence{
					{Name: "parental", StartTime: clock("10:00:00"), EndTime: clock("12:00:00")},
					{Name: "sabbatical", StartTime: clock("11:00:00"), EndTime: clock("13:00:00")},
				}
			})
			s.at("10:00:00", "the first absence begins")
			s.unseen("10:30:00", "the operator stops")
			s.at("14:00:00", "the operator starts")
		},
	},
	{
		name:  "pauses",
		title: "A membership pauses and resumes with its user, which is no Transition of its own.",
		tell: func(s *stage) {
			alice := s.activeUser("alice")
			mentoring := s.membership("alice-mentoring", alice)
			s.at("09:00:00", "alice will be away from 10:00 to 11:00", func() {
				alice.Spec.Absences = []v1alpha1.Absence{{Name: "away", StartTime: clock("10:00:00"), EndTime: clock("11:00:00")}}
			})
			s.at("10:00:00", "the absence begins")
			s.at("11:00:00", "the absence ends")
			s.at("12:00:00", "alice is deactivated", func() { deactivated(&alice.User) })
			s.at("12:30:00", "the membership expires meanwhile", func() { mentoring.Spec.ExpirationTime = clock("12:30:00") })
			s.at("13:00:00", "alice is reactivated", func() { reactivated(&alice.User) })
			s.at("14:00:00", "the membership's date is taken out", func() { mentoring.Spec.ExpirationTime = metav1.Time{} })
		},
	},
	{
		name:  "restored",
		title: "A backup is restored without status.",
		tell: func(s *stage) {
			alice, bob := s.activeUser("alice"), s.activeUser("bob")
			mentoring := s.membership("bob-mentoring", bob)
			s.at("09:00:00", "both are there, alice is deactivated", func() { deactivated(&alice.User) })
			s.at("10:00:00", "bob expires", func() { bob.Spec.ExpirationTime = clock("10:00:00") })
			s.at("11:00:00", "the status of all is lost", alice.loseStatus, bob.loseStatus, mentoring.loseStatus)
			s.at("12:00:00", "the status of all is lost, and alice is reactivated", alice.loseStatus, bob.loseStatus, mentoring.loseStatus,
				func() { reactivated(&alice.User) })
		},
	},
}

// stage plays the controllers: at every step of a story it decides about users and then about memberships, records what
// changed, and writes it down.
type stage struct {
	t           *testing.T
	script      strings.Builder
	now         time.Time
	users       []*castUser
	memberships []*castMembership

	// membershipsWait keeps the membership controller from working.
	membershipsWait bool
}

// castUser is a User of a story: what the core gets to see, and what has happened so far.
type castUser struct {
	lifecycle.User
	history
	Admin   bool
	verdict lifecycle.Verdict
	shown   string
}

type castMembership struct {
	lifecycle.Membership
	history
	shown string
}

func (s *stage) user(name string) *castUser {
	user := &castUser{User: lifecycle.User{Spec: &v1alpha1.UserSpec{}}, history: history{subject: "user." + name}}
	s.users = append(s.users, user)
	return user
}

// activeUser has been active since before the story began.
func (s *stage) activeUser(name string) *castUser {
	user := s.user(name)
	user.FirstActivity = midnight
	return user
}

func (s *stage) membership(name string, user *castUser) *castMembership {
	membership := &castMembership{
		Membership: lifecycle.Membership{
			Spec: &v1alpha1.MembershipSpec{UserRef: v1alpha1.Reference{Name: strings.TrimPrefix(user.subject, "user.")}},
			User: &user.User, GroupFound: true, Suspension: v1alpha1.SuspensionDeactivate,
		},
		history: history{subject: "membership." + name},
	}
	s.memberships = append(s.memberships, membership)
	return membership
}

// unseen is a step at which the operator does nothing.
func (s *stage) unseen(instant, what string) {
	fmt.Fprintf(&s.script, "\n%s  %s\n  (nobody sees it)\n", instant, what)
}

// at is a step: what is edited, and what the operator makes of it.
func (s *stage) at(instant, what string, edits ...func()) {
	s.t.Helper()
	s.now = clock(instant).Time
	for _, edit := range edits {
		edit()
	}
	fmt.Fprintf(&s.script, "\n%s  %s\n", instant, what)
	before := s.script.Len()
	for _, user := range s.users {
		s.passUser(user)
	}
	for _, membership := range s.memberships {
		s.passMembership(membership)
	}
	if s.script.Len() == before {
		fmt.Fprintln(&s.script, "  (nothing changes)")
	}
}

func (s *stage) passUser(u *castUser) {
	s.t.Helper()
	s.create(&u.history)
	verdicts := lifecycle.HeldOpen(s.guarded(), s.now)
	u.verdict = verdicts[u.subject]
	u.HeldOpen, u.ExpiredAt = u.verdict.HeldOpen, u.expiredAt()

	decision := lifecycle.DecideUser(u.User, s.now)
	outcome := lifecycle.UserOutcome(u.User, decision, u.past(), s.now)
	u.keep(decision, outcome, s.now)
	s.show(&u.history, &u.shown, decision, outcome, u.verdict)

	u.ExpiredAt = u.expiredAt()
	again := lifecycle.DecideUser(u.User, s.now)
	s.settled(&u.history, again, lifecycle.UserOutcome(u.User, again, u.past(), s.now))
}

func (s *stage) passMembership(m *castMembership) {
	s.t.Helper()
	s.create(&m.history)
	if s.membershipsWait {
		return
	}
	m.ExpiredAt = m.expiredAt()

	decision := lifecycle.DecideMembership(m.Membership, s.now)
	outcome := lifecycle.MembershipOutcome(m.Membership, decision, m.past(), s.now)
	m.keep(decision, outcome, s.now)
	if decision.Latch != nil {
		m.Spec.Holds = append(m.Spec.Holds, *decision.Latch)
	}
	s.show(&m.history, &m.shown, decision, outcome, lifecycle.Verdict{})

	m.ExpiredAt = m.expiredAt()
	again := lifecycle.DecideMembership(m.Membership, s.now)
	s.settled(&m.history, again, lifecycle.MembershipOutcome(m.Membership, again, m.past(), s.now))
}

func (s *stage) create(h *history) {
	if h.created.IsZero() {
		h.created = s.now
	}
}

func (s *stage) guarded() []lifecycle.Guarded {
	var guarded []lifecycle.Guarded
	for _, u := range s.users {
		guarded = append(guarded, lifecycle.Guarded{
			Name: u.subject, Admin: u.Admin, HasAccess: lifecycle.AccessOf(u.state) == v1alpha1.AccessGranted, User: u.User,
		})
	}
	return guarded
}

// settled checks that a second pass finds nothing left to do.
func (s *stage) settled(h *history, d lifecycle.Decision, o lifecycle.Outcome) {
	s.t.Helper()
	if o.Change != nil || d.State != h.state || !o.StateTime.Equal(h.stateTime) || d.Latch != nil {
		s.t.Errorf("%s: a second pass makes %s since %s (%v) of %s since %s",
			h.subject, d.State, timeOfDay(o.StateTime), o.Change, h.state, timeOfDay(h.stateTime))
	}
}

// show writes down what a pass did to a subject, if it is something new.
func (s *stage) show(h *history, shown *string, d lifecycle.Decision, o lifecycle.Outcome, v lifecycle.Verdict) {
	var line strings.Builder
	fmt.Fprintf(&line, "  %-28s %s since %s", h.subject, d.State, timeOfDay(o.StateTime))
	if !d.Next.IsZero() {
		fmt.Fprintf(&line, ", %s from %s", d.NextState, timeOfDay(d.Next))
	}
	fmt.Fprintln(&line)
	for _, c := range d.Causes {
		fmt.Fprintf(&line, "    cause       %s\n", describeCause(c))
	}
	if d.Latch != nil {
		fmt.Fprintf(&line, "    gets hold   %s\n", d.Latch.Name)
	}
	if !v.HeldOpen.IsZero() {
		fmt.Fprintf(&line, "    held open   for the deadline %s: %s\n", timeOfDay(v.HeldOpen), v.Reason)
	}
	if o.Change == nil && line.String() == *shown {
		return
	}
	*shown = line.String()
	s.script.WriteString(*shown)
	if o.Change != nil {
		fmt.Fprintf(&s.script, "    transition  %s\n", describeTransition(h.newest()))
	}
}

func describeCause(c v1alpha1.Cause) string {
	words := []string{string(c.Type)}
	if c.Name != "" {
		words = append(words, c.Name)
	}
	words = append(words, "("+string(c.State)+")")
	if !c.Time.IsZero() {
		words = append(words, "since", timeOfDay(c.Time.Time))
	}
	return strings.Join(words, " ")
}

func describeTransition(t *v1alpha1.Transition) string {
	from := t.Spec.From
	if from == "" {
		from = "(baseline)"
	}
	words := []string{string(from), "->", string(t.Spec.To), "at", timeOfDay(t.Spec.Time.Time), "by", string(t.Spec.Cause.Type)}
	if t.Spec.Cause.Name != "" {
		words = append(words, t.Spec.Cause.Name)
	}
	if !t.Spec.ObservedTime.Equal(&t.Spec.Time) {
		words = append(words, "seen", timeOfDay(t.Spec.ObservedTime.Time))
	}
	return strings.Join(words, " ")
}

func timeOfDay(t time.Time) string {
	return t.Format(time.TimeOnly)
}

// clock is an instant of the day on which every story plays.
func clock(instant string) metav1.Time {
	t, err := time.Parse(time.TimeOnly, instant)
	if err != nil {
		panic(err)
	}
	return metav1.NewTime(midnight.Add(t.Sub(t.Truncate(24 * time.Hour))))
}

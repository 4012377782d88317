package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func user(state v1alpha1.State, transition string) *v1alpha1.User {
	u := &v1alpha1.User{ObjectMeta: metav1.ObjectMeta{Name: "erin", Namespace: "acme"}}
	u.Status.State = state
	u.Status.LastTransition.Name = transition
	return u
}

func transition(
	name string, from, to v1alpha1.State, cause v1alpha1.TransitionCauseType,
) *v1alpha1.Transition {
	return &v1alpha1.Transition{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "acme"},
		Spec: v1alpha1.TransitionSpec{
			Subject: v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: "erin"},
			From:    from, To: to, Cause: v1alpha1.TransitionCause{Type: cause},
		},
	}
}

func rendered(lines []line) []string {
	var texts []string
	for _, line := range lines {
		texts = append(texts, style{}.render(line))
	}
	return texts
}

// TestMatcher sees one line per change, whichever half of it comes first, and also where the other never comes.
func TestMatcher(t *testing.T) {
	const expired = "12:00:00  user        acme/erin                   Active → Expired           the expiration time came"
	change := func(before, after *v1alpha1.User) func(*matcher, time.Time) []line {
		return func(m *matcher, now time.Time) []line {
			c, ok := changeBetween(viewOf(before), viewOf(after))
			if !ok {
				return nil
			}
			return m.change(c, now)
		}
	}
	record := func(name string) func(*matcher, time.Time) []line {
		return func(m *matcher, now time.Time) []line {
			return m.transition(transition(name, v1alpha1.StateActive, v1alpha1.StateExpired,
				v1alpha1.TransitionExpired), now)
		}
	}
	later := func(m *matcher, now time.Time) []line {
		return m.overdue(now.Add(matchTimeout))
	}
	soon := func(m *matcher, now time.Time) []line {
		return m.overdue(now.Add(matchTimeout / 2))
	}
	active, gone := user(v1alpha1.StateActive, "user.erin.1"), user(v1alpha1.StateExpired, "user.erin.2")
	next := user(v1alpha1.StateExpired, "user.erin.2")
	next.Status.NextTransitionTime, next.Status.NextState = metav1.NewTime(now.Add(time.Minute)), v1alpha1.StateActive

	for name, test := range map[string]struct {
		steps []func(*matcher, time.Time) []line
		want  []string
	}{
		"Transition first": {
			steps: []func(*matcher, time.Time) []line{record("user.erin.2"), change(active, gone), later},
			want:  []string{expired},
		},
		"status first": {
			steps: []func(*matcher, time.Time) []line{change(active, gone), record("user.erin.2"), later},
			want:  []string{expired},
		},
		"the status says until when": {
			steps: []func(*matcher, time.Time) []line{change(active, next), record("user.erin.2")},
			want:  []string{expired + "; until 12:01:00, then Active"},
		},
		"Transition alone, the status too late": {
			steps: []func(*matcher, time.Time) []line{record("user.erin.2"), soon, later, change(active, gone), later},
			want:  []string{expired},
		},
		"Transition alone, not yet given up": {
			steps: []func(*matcher, time.Time) []line{record("user.erin.2"), soon},
		},
		"status alone": {
			steps: []func(*matcher, time.Time) []line{change(active, gone), soon, later, later},
			want:  []string{"12:00:00  user        acme/erin                   Active → Expired"},
		},
		"no Transition to wait for": {
			steps: []func(*matcher, time.Time) []line{
				change(user(v1alpha1.StateActivated, "user.erin.1"), active), later,
			},
			want: []string{"12:00:00  user        acme/erin                   Activated → Active"},
		},
		"nothing that concerns the state": {
			steps: []func(*matcher, time.Time) []line{
				change(active, active), change(user("", ""), user("", "")), change(active, user("", "user.erin.1")), later,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMatcher()
			var got []string
			for _, step := range test.steps {
				got = append(got, rendered(atNow(step(m, now)))...)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// atNow sets the clock of lines that were told later: the time of the test is not what it is about.
func atNow(lines []line) []line {
	for i := range lines {
		lines[i].at = now
	}
	return lines
}

func TestReasons(t *testing.T) {
	held := transition("t", v1alpha1.StateActive, v1alpha1.StateDeactivated, v1alpha1.TransitionHeld)
	held.Spec.Cause.Name, held.Spec.Reason, held.Spec.Actor.Username = "inactivity", "Not seen", "jane@acme.example"
	first := transition("t", "", v1alpha1.StateOnBreak, v1alpha1.TransitionDeclared)
	first.Spec.Reason = "Fishing"
	byItself := transition("t", "", v1alpha1.StateExpired, v1alpha1.TransitionExpired)
	byItself.Spec.Actor.Username = v1alpha1.ActorDeadline
	for want, transition := range map[string]*v1alpha1.Transition{
		"held by inactivity by jane@acme.example: Not seen": held,
		"Fishing":                  first,
		"the expiration time came": byItself,
	} {
		if diff := cmp.Diff(want, transitionReason(transition)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}

	for want, causes := range map[string][]v1alpha1.Cause{
		"":                          nil,
		"erin is Expired":           {{Type: v1alpha1.CauseUserExpired, Name: "erin"}, {Type: v1alpha1.CauseHold}},
		"held by legal: Litigation": {{Type: v1alpha1.CauseHold, Name: "legal", Reason: "Litigation"}},
		"GroupNotFound apollo":      {{Type: v1alpha1.CauseGroupNotFound, Name: "apollo"}},
	} {
		if diff := cmp.Diff(want, causeReason(causes)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

func TestLines(t *testing.T) {
	membership := &v1alpha1.Membership{ObjectMeta: metav1.ObjectMeta{Name: "erin-sales", Namespace: "acme"}}
	membership.Spec.UserRef.Name = "erin"
	membership.Status.State = v1alpha1.StatePaused
	resumed := membership.DeepCopy()
	resumed.Status.State = v1alpha1.StateActive
	resumed.Status.NextTransitionTime = metav1.NewTime(now.Add(48 * time.Hour))
	resumed.Status.NextState = v1alpha1.StateExpired
	change, _ := changeBetween(viewOf(membership), viewOf(resumed))

	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "tenure-x", Namespace: "sales", Labels: map[string]string{
			v1alpha1.LabelMembership: "erin-sales", v1alpha1.LabelOrganization: "acme",
		}},
		RoleRef: rbacv1.RoleRef{Name: "view"}, Subjects: []rbacv1.Subject{{Name: "erin@acme.example"}},
	}
	event := &corev1.Event{
		InvolvedObject: corev1.ObjectReference{Namespace: "acme", Name: "bob"}, Reason: "Blocked", Message: "the last\nadmin",
	}
	want := []string{
		"12:00:00  membership  acme/erin-sales             Paused → Active            with erin; until 2026-11-23 12:00, then Expired",
		"12:00:00  grant       acme/erin-sales             + view in sales            erin@acme.example",
		"12:00:00  grant       acme/erin-sales             - view in sales            erin@acme.example",
		"12:00:00  warning     acme/bob                    Blocked                    the last admin",
		"12:00:00  operator    ended",
	}
	got := rendered([]line{
		changeLine(change, nil, now), grantLine(binding, true, now), grantLine(binding, false, now),
		warningLine(event, now), {at: now, topic: "operator", what: "ended"},
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	coloured := style{colour: true}.render(line{at: now, topic: "operator", what: "ended", mood: bad})
	if diff := cmp.Diff("\x1b[2m12:00:00\x1b[0m  operator    \x1b[31mended\x1b[0m", coloured); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

package lifecycle_test

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

// midnight is when every test begins. Tests count in seconds from it.
var midnight = time.Date(2026, time.June, 1, 0, 0, 0, 0, time.UTC)

func at(second int) time.Time {
	return midnight.Add(time.Duration(second) * time.Second)
}

func metaAt(second int) metav1.Time {
	return metav1.NewTime(at(second))
}

// history is what the controllers keep of one subject: its Transitions and its status.
type history struct {
	subject     string
	created     time.Time
	transitions []*v1alpha1.Transition

	state          v1alpha1.State
	stateTime      time.Time
	causes         []v1alpha1.Cause
	lastTransition string
}

func (h *history) newest() *v1alpha1.Transition {
	if len(h.transitions) == 0 {
		return nil
	}
	return h.transitions[len(h.transitions)-1]
}

func (h *history) past() lifecycle.Past {
	return lifecycle.Past{
		Newest: h.newest(), State: h.state, StateTime: h.stateTime, Causes: h.causes,
		LastTransition: h.lastTransition, Created: metav1.NewTime(h.created),
	}
}

// keep records a pass: first the Transition, if there is one, then the status.
func (h *history) keep(d lifecycle.Decision, o lifecycle.Outcome, now time.Time) {
	h.keepTransition(o, now)
	h.state, h.stateTime, h.causes = d.State, o.StateTime, d.Causes
	if newest := h.newest(); newest != nil {
		h.lastTransition = newest.Name
	}
}

func (h *history) keepTransition(o lifecycle.Outcome, now time.Time) {
	if o.Change == nil {
		return
	}
	h.transitions = append(h.transitions, &v1alpha1.Transition{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s.%d", h.subject, len(h.transitions)+1)},
		Spec: v1alpha1.TransitionSpec{
			From: o.Change.From, To: o.Change.To, Cause: o.Change.Cause, Reason: o.Change.Reason,
			Time: metav1.NewTime(o.Change.Time), ObservedTime: metav1.NewTime(now),
		},
	})
}

// loseStatus is what a restored backup does to an object.
func (h *history) loseStatus() {
	h.state, h.stateTime, h.causes, h.lastTransition = "", time.Time{}, nil, ""
}

// expiredAt is the expiration that the status shows as applied.
func (h *history) expiredAt() time.Time {
	for _, c := range h.causes {
		if c.Type == v1alpha1.CauseExpired {
			return c.Time.Time
		}
	}
	return time.Time{}
}

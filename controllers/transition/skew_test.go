package transition

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// meter is a clock that knows how far it is off.
type meter struct {
	by atomic.Int64
}

func (m *meter) Off() (by time.Duration, off bool) {
	by = time.Duration(m.by.Load())
	return by, by != 0
}

func (m *meter) set(by time.Duration) { m.by.Store(int64(by)) }

// skewed has the scene's operator know that its clock is off.
func (s *scene) skewed(by time.Duration) *meter {
	m := &meter{}
	m.set(by)
	s.r.Skew = m
	return m
}

const waitsForClock = "Waits until the operator's clock is right"

func (s *scene) message() string {
	s.t.Helper()
	return meta.FindStatusCondition(s.transition().Status.Conditions, v1alpha1.ConditionComplete).Message
}

// TestWhatDestroysWaitsForTheClock, and nothing else does. While it waits, nothing is asked for or written again.
func TestWhatDestroysWaitsForTheClock(t *testing.T) {
	for name, action := range actions {
		t.Run(name, func(t *testing.T) {
			s := stage(t, action.effects, "a: {owner: alice}", "b: {owner: bob}")
			s.leave()
			m := s.skewed(-time.Hour)
			if destroys(v1alpha1.EffectAction(name)) {
				for range 3 {
					if again := s.pass(); again != guardPatience {
						t.Errorf("again after %s", again)
					}
				}
				s.expectLedger("False ClockSkewed", "work 0/1: "+waitsForClock)
				s.expectRequests()
				s.expectSpecs(`a: {"owner":"alice"}`, bobs)
				s.expectWrites("patch status of Transition user.alice.2")
				m.set(0)
			}
			s.settle(3)
			s.expectLedger("True Done", "work 1/1")
			s.expectRequests(action.requests...)
			s.expectSpecs(append(action.left, bobs)...)
		})
	}
}

func TestWhatDestroys(t *testing.T) {
	for action, want := range map[v1alpha1.EffectAction]bool{
		v1alpha1.ActionDelete: true, v1alpha1.ActionAnonymize: true, v1alpha1.ActionUnlink: true,
		v1alpha1.ActionKeep: false, v1alpha1.ActionTransfer: false, v1alpha1.ActionUnassign: false, v1alpha1.ActionPatch: false,
		v1alpha1.ActionRelink: false, v1alpha1.ActionDeactivate: false, v1alpha1.ActionRemove: false,
	} {
		if got := destroys(action); got != want {
			t.Errorf("%s destroys: %t, want %t", action, got, want)
		}
	}
}

// TestOtherEffectsGoOn while one of the same Transition waits for the clock, and what fails among them is told all the same.
func TestOtherEffectsGoOn(t *testing.T) {
	about := `{name: notes, resources: {apiVersion: work.example.com/v1, kind: Note, reference: {fieldPath: spec.about}, action: Delete}}`
	s := stage(t, "["+about+","+effect("work", toOwner)+", {name: teams, memberships: {action: Remove}}]",
		"a: {owner: alice}", "b: {owner: alice}", "Note n: {about: alice}")
	s.create(membership("north"))
	s.leave()
	s.skewed(90 * time.Second)
	s.fail = on("patch b", errBroken)
	s.settle(3)
	s.expectLedger("False ClockSkewed", "notes 0/1: "+waitsForClock, "work 1/2 failed 1: b: patch: broken", "teams 1/1")
	for _, words := range []string{"1m30s ahead of the API server's", "effect work: b: patch: broken"} {
		if !strings.Contains(s.message(), words) {
			t.Errorf("%q does not say %q", s.message(), words)
		}
	}
	if holds := s.holds("north"); len(holds) != 1 {
		t.Errorf("holds %q", holds)
	}
}

// TestClockThatIsFoundOffBetweenTwoObjects stops what is not in hand.
func TestClockThatIsFoundOffBetweenTwoObjects(t *testing.T) {
	s := stage(t, deletes, muchWork(30)...)
	s.leave()
	m := s.skewed(0)
	s.before = func(request string) {
		if strings.HasPrefix(request, "delete") {
			m.set(time.Hour)
			s.before = nil
		}
	}
	if again := s.pass(); again != moment {
		t.Errorf("again after %s", again)
	}
	left := len(s.specs())
	if left < 30-workersPerEffect {
		t.Errorf("%d of thirty are left, want at least %d: no more than were in hand", left, 30-workersPerEffect)
	}
	s.settle(3)
	if ledger := s.ledger(); ledger[0] != "False ClockSkewed" || len(s.specs()) != left {
		t.Errorf("ledger %q, %d left", ledger, len(s.specs()))
	}
	m.set(0)
	s.settle(3)
	s.expectLedger("True Done", "work 30/30")
}

func TestNothingToDestroyDoesNotWaitForTheClock(t *testing.T) {
	s := stage(t, deletes, "b: {owner: bob}")
	s.leave()
	s.skewed(time.Hour)
	s.settle(3)
	s.expectLedger("True Done", "work 0/0")
}

// TestRecordsAreKeptWhileTheClockIsOff: how old they are, nobody knows.
func TestRecordsAreKeptWhileTheClockIsOff(t *testing.T) {
	s := stage(t, transfers)
	org := &v1alpha1.Organization{}
	s.get(org, "acme")
	org.Spec.TransitionHistoryLimit, org.Spec.TransitionRetentionSeconds = 1, ptr.To[int32](0)
	s.update(org)
	for i, state := range []v1alpha1.State{v1alpha1.StateActive, v1alpha1.StateDeactivated, v1alpha1.StateActive} {
		s.record(i+1, state, nil)
	}
	there := func() bool {
		t.Helper()
		err := s.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "user.alice.2"}, &v1alpha1.Transition{})
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		return !apierrors.IsNotFound(err)
	}
	m := s.skewed(-time.Hour)
	if again := s.pass(); again != guardPatience || !there() {
		t.Errorf("again after %s, still there: %t", again, there())
	}
	m.set(0)
	if again := s.pass(); again != 0 || there() {
		t.Errorf("again after %s, still there: %t", again, there())
	}
}

package transition

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/targets"
	"tenure.dev/tenure/controllers/internal/worldtest"
)

// notes is an effect on the notes about the work that another effect is on.
const notes = `{name: notes, resources: {apiVersion: work.example.com/v1, kind: Note, reference: {fieldPath: spec.about, effect: work}, action: Delete}}`

// onRemoval is an effect that a deactivation does not start.
func onRemoval(effect string) string {
	return strings.Replace(effect, "{name: work,", `{name: work, "on": [Removed],`, 1)
}

func ownedBy(name string) func(*unstructured.Unstructured) {
	return func(o *unstructured.Unstructured) { _ = unstructured.SetNestedField(o.Object, name, "spec", "owner") }
}

func muchWork(amount int) []string {
	var work []string
	for i := range amount {
		work = append(work, fmt.Sprintf("w%d: {owner: alice}", i))
	}
	return work
}

func (s *scene) update(object client.Object) {
	s.t.Helper()
	if err := s.Client.Update(s.t.Context(), object); err != nil {
		s.t.Fatal(err)
	}
}

// TestEffectsThatCameToDependOnEachOther: the plan's by the plan, and the policy's by what it says now. The stack overflows,
// which nothing recovers from.
func TestEffectsThatCameToDependOnEachOther(t *testing.T) {
	s := stage(t, "["+onRemoval(effect("work", "Delete"))+","+notes+"]", "a: {owner: alice}", "Note n: {about: a}")
	s.leave()
	policy := s.policy()
	effects := policy.Spec.Effects
	effects[0], effects[1] = effects[1], effects[0]
	effects[0].Resources.Reference.Effect, effects[1].Resources.Reference.Effect = "", "notes"
	s.update(policy)
	s.settle(3)
	if ledger := s.ledger(); ledger[0] != "False Retrying" {
		t.Errorf("ledger %q", ledger)
	}
}

// TestGuardDoesNotDependOnALateStatus of the membership: the Transition is often looked at first.
func TestGuardDoesNotDependOnALateStatus(t *testing.T) {
	for _, state := range []v1alpha1.State{v1alpha1.StateActive, v1alpha1.StatePaused} {
		t.Run(string(state), func(t *testing.T) {
			s := stage(t, deletes, "a: {owner: alice}")
			policy := s.policy()
			policy.Spec.Guards.LastRoleHolder = v1alpha1.GuardRefuse
			s.update(policy)
			north, there := group("north", ""), membership("north")
			north.Spec.Roles = []v1alpha1.GroupRole{{Name: "Lead", MinimumActive: ptr.To[int32](1)}}
			there.Spec.Roles = []string{"Lead"}
			s.create(north, there)
			there.Status.State = state
			if err := s.Client.Status().Update(t.Context(), there); err != nil {
				t.Fatal(err)
			}
			s.leave()
			s.pass()
			s.expectLedger("False LastRoleHolder", "work 0/1")
			s.expectRequests()
		})
	}
}

// TestForbiddenObjectsStopNoOthers, be they as many as are worked on at a time and the first of the plan.
func TestForbiddenObjectsStopNoOthers(t *testing.T) {
	s := stage(t, transfers, muchWork(20)...)
	s.leave()
	list, err := s.Tracker().List(resourceOf(workKind), workKind, "acme")
	if err != nil {
		t.Fatal(err)
	}
	items := list.(*unstructured.UnstructuredList).Items
	slices.SortFunc(items, func(a, b unstructured.Unstructured) int {
		return cmp.Compare(targets.Hash(a.GetUID()), targets.Hash(b.GetUID()))
	})
	denied := map[string]bool{}
	for i := range items[:workersPerEffect] {
		denied["patch "+items[i].GetName()] = true
	}
	s.fail = func(request string) error {
		if denied[request] {
			return forbidden("it")
		}
		return nil
	}
	s.settle(10)
	if done := s.transition().Status.Effects[0].Done; done != 12 {
		t.Errorf("%d of the 12 that may be changed are changed", done)
	}
}

// TestNothingIsWrittenAboutTheSameRefusal, however many workers met it.
func TestNothingIsWrittenAboutTheSameRefusal(t *testing.T) {
	s := stage(t, transfers, muchWork(40)...)
	s.leave()
	s.fail = on("patch", forbidden("it"))
	for range 40 {
		s.Clock.SetTime(s.Clock.Now().Add(s.pass()))
	}
	s.expectWrites("patch status of Transition user.alice.2")
}

// TestReactivationStopsTheNextEffect while one is at work.
func TestReactivationStopsTheNextEffect(t *testing.T) {
	s := stage(t, "["+effect("work", "Unassign")+",{name: teams, memberships: {action: Remove}}]", "a: {owner: alice}")
	s.create(membership("north"))
	s.leave()
	s.before = func(request string) {
		if request == "patch a" {
			s.declare("alice", v1alpha1.UserDesiredActive)
		}
	}
	s.pass()
	if holds := s.holds("north"); len(holds) > 0 {
		t.Errorf("the membership of an active user got %v", holds)
	}
}

// TestReactivationStopsWhatWaitsForASlot.
func TestReactivationStopsWhatWaitsForASlot(t *testing.T) {
	s := stage(t, deletes, "a: {owner: alice}", "b: {owner: alice}", "c: {owner: alice}")
	s.leave()
	s.r.slots = newSlots(1)
	var looks atomic.Int32 // at Alice: by the pass, before the effects, and by each of three workers
	s.FailRead = func(read string) error {
		if read == "User alice" {
			looks.Add(1)
		}
		return nil
	}
	deletions := 0
	s.before = func(request string) {
		if !strings.HasPrefix(request, "delete") {
			return
		}
		for i := 0; i < 100_000 && deletions == 0 && looks.Load() < 5; i++ {
			runtime.Gosched()
		}
		if deletions++; deletions == 1 {
			s.declare("alice", v1alpha1.UserDesiredActive)
		}
	}
	s.pass()
	if deletions != 1 {
		t.Errorf("%d deletions, of which all but one after Alice was active again", deletions)
	}
}

// TestLedgerOfWhatWasOvertaken counts what was done in the pass that noticed.
func TestLedgerOfWhatWasOvertaken(t *testing.T) {
	s := stage(t, transfers, muchWork(20)...)
	s.leave()
	s.before = func(request string) {
		if strings.HasPrefix(request, "patch") {
			s.declare("alice", v1alpha1.UserDesiredActive)
			s.before = nil
		}
	}
	s.pass()
	s.record(3, v1alpha1.StateActive, nil)
	s.settle(3)
	changed := strings.Count(strings.Join(s.specs(), " "), "olivia")
	if progress := s.transition().Status.Progress; progress != fmt.Sprintf("%d/20", changed) {
		t.Errorf("progress %s, but %d are changed", progress, changed)
	}
}

// TestLedgerKeepsWhatWasLeft though its own write failed after the record was noted as complete.
func TestLedgerKeepsWhatWasLeft(t *testing.T) {
	s := stage(t, transfers, "a: {owner: alice}", "b: {owner: alice}")
	s.leave()
	s.edit("b", ownedBy("bob"))
	s.Fail = on("patch status of Transition", errBroken)
	if _, err := s.tryPass(); err == nil {
		t.Fatal("no error")
	}
	s.Fail = nil
	s.settle(5)
	s.expectLedger("True Done", "work 1/2: 1 changed by somebody else since the decision and left alone")
}

// TestKeptObjectsThatCouldNotBeListed are counted once, and not once more in each pass.
func TestKeptObjectsThatCouldNotBeListed(t *testing.T) {
	s := stage(t, "["+effect("work", "Keep")+`,{name: others, resources: {apiVersion: work.example.com/v1, kind: Note, reference: {fieldPath: spec.owner}, action: Delete}}]`,
		"a: {owner: alice}", "b: {owner: alice}", "Note n: {owner: alice}")
	s.unlisted = forbidden("")
	s.start()
	s.leave()
	s.unlisted = nil
	s.start()
	s.fail = on("delete n", errBroken)
	s.settle(4)
	s.expectLedger("False Retrying", "work 2/2", "others 0/1 failed 1: n: delete: broken")
	s.expectWrites("patch status of Transition user.alice.2")
}

// TestBaseThatThisTransitionDoesNotStart is known, though the policy names another account by now.
func TestBaseThatThisTransitionDoesNotStart(t *testing.T) {
	s := stage(t, "["+onRemoval(effect("work", "Delete"))+","+notes+"]", "a: {owner: alice}", "Note n: {about: a}")
	s.leave()
	policy := s.policy()
	policy.Spec.ServiceAccountName = "another"
	s.update(policy)
	s.r.Sources.Demand("the test", nil) // As the policy's controller: it demands what the policy needs by now.
	if passes := s.settle(1000); passes > 1000 {
		t.Errorf("ledger %q after %d passes", s.ledger(), passes)
	}
}

// TestMessageFits into what the schema takes, whatever an object's finalizers are called.
func TestMessageFits(t *testing.T) {
	s := stage(t, deletes, "a: {owner: alice}")
	s.edit("a", func(o *unstructured.Unstructured) {
		var finalizers []string
		for i := range 30 {
			finalizers = append(finalizers, fmt.Sprintf("example.com/%s-%d", strings.Repeat("x", 50), i))
		}
		o.SetFinalizers(finalizers)
	})
	s.leave()
	s.settle(3)
	if length := utf8.RuneCountInString(s.transition().Status.Effects[0].Message); length > 1024 {
		t.Errorf("%d characters, of which the schema takes %d", length, 1024)
	}
}

// sluggish is a clock that goes on with each look at it.
type sluggish struct{ *worldtest.World }

// Now implements clock.PassiveClock.
func (c sluggish) Now() time.Time {
	c.Clock.SetTime(c.Clock.Now().Add(slice * 6 / 10))
	return c.Clock.Now()
}

// Since implements clock.PassiveClock.
func (c sluggish) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// TestSlowPassGetsOn, where finding out what there is to do takes all of a slice.
func TestSlowPassGetsOn(t *testing.T) {
	s := stage(t, transfers, "a: {owner: alice}")
	s.leave()
	s.r.Clock = sluggish{s.World}
	if passes := s.settle(50); passes > 50 {
		t.Errorf("ledger %q after %d passes", s.ledger(), passes)
	}
}

// TestDependantsOfWhatIsHandedOver are found though neither could be listed at the decision.
func TestDependantsOfWhatIsHandedOver(t *testing.T) {
	s := stage(t, "["+effect("work", toOwner)+","+notes+"]", "a: {owner: alice}", "Note n: {about: a}")
	s.unlisted = forbidden("")
	s.start()
	s.leave()
	s.unlisted = nil
	s.start()
	s.settle(10)
	s.expectLedger("True Done", "work 1/1", "notes 1/1")
	s.expectSpecs(`a: {"owner":"olivia"}`)
}

// TestRecordsOfADeparture are kept while it lasts: they say which effects have run.
func TestRecordsOfADeparture(t *testing.T) {
	s := stage(t, transfers)
	org := &v1alpha1.Organization{}
	s.get(org, "acme")
	org.Spec.TransitionHistoryLimit, org.Spec.TransitionRetentionSeconds = 1, ptr.To[int32](0)
	s.update(org)
	for i, state := range []v1alpha1.State{v1alpha1.StateActive, v1alpha1.StateDeactivated, v1alpha1.StateExpired} {
		s.record(i+1, state, nil)
	}
	s.settle(3)
	if err := s.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "user.alice.2"}, &v1alpha1.Transition{}); err != nil {
		t.Error(err)
	}
}

// TestReceiverWhoLeavesWhileTheAnswerIsLost does not keep what came too late for the plan of that departure.
func TestReceiverWhoLeavesWhileTheAnswerIsLost(t *testing.T) {
	s := stage(t, "["+effect("work", "Transfer, successors: [Successor, Owner]")+"]", "a: {owner: alice}")
	alice := s.user("alice")
	alice.Spec.SuccessorRef.Name = "bob"
	s.update(alice)
	s.leave()
	s.lose = func(request string) error {
		if request != "patch a" {
			return nil
		}
		s.lose = nil
		s.declare("bob", v1alpha1.UserDesiredDeactivated)
		return errors.New("the answer was lost")
	}
	s.settle(10)
	s.expectSpecs(`a: {"owner":"olivia"}`)
}

// TestTwoTargetsWithOneHash are two: of ten thousand targets, there are such in one plan of a hundred.
func TestTwoTargetsWithOneHash(t *testing.T) {
	s := stage(t, transfers, "a: {owner: alice}", "b: {owner: alice}")
	for name, uid := range map[string]types.UID{"a": "00000000-0000-4000-8000-000517633354", "b": "00000000-0000-4000-8000-000531721255"} {
		s.edit(name, func(o *unstructured.Unstructured) { o.SetUID(uid) })
	}
	s.start()
	s.leave()
	s.settle(5)
	s.expectLedger("True Done", "work 2/2")
}

// TestTeamLeaderInALongerDeparture is found again, though an earlier Transition has put the holds.
func TestTeamLeaderInALongerDeparture(t *testing.T) {
	s := stage(t, "["+effect("work", "Transfer, successors: [TeamLeader]")+"]", "a: {owner: alice}")
	north := group("north", "bob")
	s.create(north, membership("north", v1alpha1.MembershipHold{Name: v1alpha1.HoldUserSuspended, Status: v1alpha1.MembershipHoldDeactivated}))
	s.record(1, v1alpha1.StateSuspended, nil)
	suspended := &v1alpha1.Transition{}
	s.get(suspended, "user.alice.1")
	s.leave(suspended)
	s.declare("bob", v1alpha1.UserDesiredDeactivated)
	north.Spec.LeaderRef.Name = "olivia"
	s.update(north)
	s.settle(4)
	s.expectSpecs(`a: {"owner":"olivia"}`)
}

// TestHoldsThoughTheClocksDiffer: the operator's is behind the API server's.
func TestHoldsThoughTheClocksDiffer(t *testing.T) {
	s := stage(t, "[]")
	s.Clock.SetTime(worldtest.Start.Add(3 * time.Second)) // the API server's
	s.create(membership("north"))
	s.Clock.SetTime(worldtest.Start.Add(4 * time.Second))
	s.declare("alice", v1alpha1.UserDesiredSuspended)
	s.record(2, v1alpha1.StateSuspended, []v1alpha1.PlannedEffect{
		{Effect: v1alpha1.HoldUserSuspended, Action: v1alpha1.ActionDeactivate, Kind: "Membership", Targets: 1},
	})
	s.settle(3)
	s.expectLedger("True Done", "user-suspended 1/1")
	if holds := s.holds("north"); len(holds) != 1 {
		t.Errorf("holds %v", holds)
	}
}

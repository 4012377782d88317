package transition

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/worldtest"
)

// effect is an effect on the work that Alice owns.
func effect(name, action string) string {
	return "{name: " + name + ", resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: " + action + "}}"
}

const (
	toOwner    = "Transfer, successors: [Owner]"
	cancels    = "Patch, patch: {spec: {state: Cancelled}}"
	anonymizes = "Anonymize, fields: [{path: spec.owner, value: Removed User, onReturn: Relink}]"
)

var (
	errBroken = errors.New("broken")
	deletes   = "[" + effect("work", "Delete") + "]"
	transfers = "[" + effect("work", toOwner) + "]"
	unassigns = "[" + effect("work", "Unassign") + "]"
	patches   = "[" + effect("work", cancels) + "]"
	keeps     = "[" + effect("work", "Keep") + "]"
)

// actions are what each action asks for and leaves of work that Alice and Bob own.
var actions = map[string]struct {
	effects  string
	requests []string
	left     []string
}{
	"Delete":    {deletes, []string{"get a", "delete a"}, nil},
	"Transfer":  {transfers, []string{"patch a"}, []string{`a: {"owner":"olivia"}`}},
	"Unassign":  {unassigns, []string{"patch a"}, []string{`a: {}`}},
	"Patch":     {patches, []string{"get a", "patch a"}, []string{`a: {"owner":"alice","state":"Cancelled"}`}},
	"Anonymize": {"[" + effect("work", anonymizes) + "]", []string{"get a", "patch a"}, []string{`a: {"owner":"Removed User"}`}},
	"Keep":      {keeps, nil, []string{`a: {"owner":"alice"}`}},
}

const bobs = `b: {"owner":"bob"}`

// TestEachAction is done once, in as few requests as it takes, and nothing is written or asked for afterwards.
func TestEachAction(t *testing.T) {
	for name, action := range actions {
		t.Run(name, func(t *testing.T) {
			s := stage(t, action.effects, "a: {owner: alice}", "b: {owner: bob}")
			s.leave()
			s.settle(3)
			s.expectLedger("True Done", "work 1/1")
			s.expectRequests(action.requests...)
			s.expectSpecs(append(action.left, bobs)...)
			s.expectWrites(complete...)

			s.settle(2)
			s.start()
			s.settle(2)
			s.expectWrites()
			s.expectRequests()
		})
	}
}

// TestRequestThatFails is made again, and what came of it is neither lost nor done twice.
func TestRequestThatFails(t *testing.T) {
	for name, test := range map[string]struct {
		prefix string
		lost   bool
	}{
		"a read": {"get", false}, "a write": {"", false}, "a write of which the answer is lost": {"", true},
	} {
		for kind, action := range actions {
			if len(action.requests) == 0 || test.prefix != "" && !slices.Contains(action.requests, test.prefix+" a") {
				continue
			}
			t.Run(kind+"/"+name, func(t *testing.T) {
				s := stage(t, action.effects, "a: {owner: alice}", "b: {owner: bob}")
				s.leave()
				prefix := test.prefix
				if prefix == "" {
					prefix = action.requests[len(action.requests)-1]
				}
				if s.fail = on(prefix, errBroken); test.lost {
					s.fail, s.lose = nil, on(prefix, errBroken)
				}
				if again := s.pass(); again != firstDelay {
					t.Errorf("again after %s, want %s", again, firstDelay)
				}
				if ledger := s.ledger(); ledger[0] != "False Retrying" || !strings.HasSuffix(ledger[1], ": broken") {
					t.Errorf("ledger %q", ledger)
				}
				s.fail, s.lose = nil, nil
				s.Clock.SetTime(s.Clock.Now().Add(firstDelay))
				s.settle(3)
				s.expectLedger("True Done", "work 1/1")
				s.expectSpecs(append(slices.Clone(action.left), bobs)...)
			})
		}
	}
}

// TestFailureStopsNothingElse: neither other objects nor other effects.
func TestFailureStopsNothingElse(t *testing.T) {
	s := stage(t, "["+effect("cancel", cancels+", match: object.spec.number < 3")+","+effect("rest", "Delete, match: object.spec.number > 2")+"]",
		"a: {owner: alice, number: 1}", "b: {owner: alice, number: 2}", "c: {owner: alice, number: 3}")
	s.leave()
	s.fail = on("patch b", errBroken)
	s.settle(4)
	s.expectLedger("False Retrying", "cancel 1/2 failed 1: b: patch: broken", "rest 1/1")
	s.expectSpecs(`a: {"number":1,"owner":"alice","state":"Cancelled"}`, `b: {"number":2,"owner":"alice"}`)
}

// TestPauses grow and are bounded, and what fails in the same way is told once.
func TestPauses(t *testing.T) {
	s := stage(t, deletes, "a: {owner: alice}")
	s.leave()
	s.fail = on("delete", errBroken)
	var pauses []time.Duration
	for range 8 {
		pause := s.pass()
		pauses = append(pauses, pause)
		if early := s.pass(); early != pause {
			t.Errorf("a pass that comes early asks for another one after %s, want %s", early, pause)
		}
		s.Clock.SetTime(s.Clock.Now().Add(pause))
	}
	want := []time.Duration{
		time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, longestDelay, longestDelay, longestDelay,
	}
	if diff := cmp.Diff(want, pauses); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
	s.expectWrites("patch status of Transition user.alice.2")
	if events := len(s.Recorder.Events); events != 1 {
		t.Errorf("%d Events, want one", events)
	}
}

// TestConflict on one write is nothing; on every write it is told, and not for ever tried again at once.
func TestConflict(t *testing.T) {
	for effects, requests := range map[string]int{deletes: 3 * 2, transfers: 1 + 3*2} {
		s := stage(t, effects, "a: {owner: alice}")
		s.leave()
		disturb := func(times int) func(string) {
			return func(request string) {
				if times--; times >= 0 && !strings.HasPrefix(request, "get") {
					s.edit("a", func(*unstructured.Unstructured) {})
				}
			}
		}
		s.before = disturb(100)
		if again := s.pass(); again != firstDelay {
			t.Errorf("again after %s", again)
		}
		s.expectLedger("False Retrying", "work 0/1 failed 1: a: somebody else keeps changing it")
		if len(s.requests) != requests {
			t.Errorf("%d requests, want three times two, after one on what was known where that is enough: %v", len(s.requests), s.requests)
		}
		s.before = disturb(2)
		s.Clock.SetTime(s.Clock.Now().Add(firstDelay))
		s.settle(2)
		s.expectLedger("True Done", "work 1/1")
	}
}

// TestForbidden is told with the words of the API server, costs one round of requests, and is over when the right is given.
func TestForbidden(t *testing.T) {
	s := stage(t, transfers, "a: {owner: alice}")
	s.leave()
	s.fail = on("patch", forbidden("a"))
	s.settle(3)
	s.expectLedger("False Retrying", `work 0/1 failed 1: a: patch: works.work.example.com "a" is forbidden: not allowed`)
	s.fail = nil
	s.settle(3)
	s.expectLedger("True Done", "work 1/1")
}

// TestObjectOfTheSameName that was created since is another one: it is left alone.
func TestObjectOfTheSameName(t *testing.T) {
	for name, test := range map[string]struct {
		effects string
		known   bool // the watch has told
		want    string
	}{
		"to be deleted, watch behind":      {deletes, false, "work 1/1"},
		"to be deleted":                    {deletes, true, "work 1/1: 1 assigned since the decision and not touched"},
		"to be handed over, watch behind":  {transfers, false, "work 0/1: 1 changed by somebody else since the decision and left alone"},
		"to be handed over":                {transfers, true, "work 0/1: 1 changed by somebody else since the decision and left alone; 1 assigned since the decision and not touched"},
		"to be cancelled":                  {patches, true, "work 0/1: 1 changed by somebody else since the decision and left alone; 1 assigned since the decision and not touched"},
		"to be cancelled, watch is behind": {patches, false, "work 0/1: 1 changed by somebody else since the decision and left alone"},
	} {
		t.Run(name, func(t *testing.T) {
			s := stage(t, test.effects, "a: {owner: alice}")
			s.leave()
			again := func() {
				if err := s.Tracker().Delete(resourceOf(workKind), "acme", "a"); err != nil {
					t.Fatal(err)
				}
				s.add(t, "a: {owner: alice, number: 2}")
			}
			if test.known {
				again()
				s.start()
			} else {
				s.before = func(string) { again(); s.before = nil }
			}
			s.settle(3)
			s.expectLedger("True Done", test.want)
			s.expectSpecs(`a: {"number":2,"owner":"alice"}`)
		})
	}
}

// TestObjectThatSomebodyElseChanged between the plan and the act is left alone, and so is one that goes.
func TestObjectThatSomebodyElseChanged(t *testing.T) {
	for name, change := range map[string]func(*scene){
		"is somebody else's": func(s *scene) {
			s.edit("a", func(o *unstructured.Unstructured) { _ = unstructured.SetNestedField(o.Object, "bob", "spec", "owner") })
		},
		"is being deleted": func(s *scene) {
			s.edit("a", func(o *unstructured.Unstructured) { o.SetDeletionTimestamp(new(metav1.NewTime(worldtest.Start))) })
		},
		"is gone": func(s *scene) { _ = s.Tracker().Delete(resourceOf(workKind), "acme", "a") },
	} {
		t.Run(name, func(t *testing.T) {
			s := stage(t, transfers, "a: {owner: alice}")
			s.leave()
			s.before = func(string) { change(s); s.before = nil }
			s.settle(3)
			s.expectLedger("True Done", "work 0/1: 1 changed by somebody else since the decision and left alone")
			if name == "is gone" {
				s.expectRequests("patch a")
			} else {
				s.expectRequests("patch a", "get a")
			}
		})
	}
}

// TestDeletionThatWaits for a finalizer is told, and not done until the object is gone.
func TestDeletionThatWaits(t *testing.T) {
	s := stage(t, deletes, "a: {owner: alice}")
	s.edit("a", func(o *unstructured.Unstructured) { o.SetFinalizers([]string{"example.com/archive"}) })
	s.start()
	s.leave()
	s.settle(3)
	s.expectLedger("False Running", "work 0/1: a is being deleted and waits for finalizer example.com/archive")
	s.expectWrites("patch status of Transition user.alice.2")
	if err := s.Tracker().Delete(resourceOf(workKind), "acme", "a"); err != nil {
		t.Fatal(err)
	}
	s.settle(3)
	s.expectLedger("True Done", "work 1/1")
}

// TestPlanWithoutTargets acts on what refers to the user when its kind can be listed at last.
func TestPlanWithoutTargets(t *testing.T) {
	for name, action := range actions {
		t.Run(name, func(t *testing.T) {
			s := stage(t, action.effects, "a: {owner: alice}", "b: {owner: bob}")
			s.unlisted = forbidden("")
			s.start()
			s.leave()
			if again := s.pass(); again != firstDelay {
				t.Errorf("again after %s", again)
			}
			s.expectLedger("False Retrying", `work 0/0: the objects of kind Work cannot be listed: works.work.example.com is forbidden: not allowed`)
			s.unlisted = nil
			s.start()
			s.settle(3)
			s.expectLedger("True Done", "work 1/1")
			s.expectSpecs(append(slices.Clone(action.left), bobs)...)
		})
	}
}

// TestSlice that is over in the middle leaves the rest to the next pass, at once.
func TestSlice(t *testing.T) {
	var work []string
	for i := range 30 {
		work = append(work, fmt.Sprintf("w%d: {owner: alice}", i))
	}
	s := stage(t, deletes, work...)
	s.leave()
	s.before = func(string) { s.Clock.SetTime(s.Clock.Now().Add(200 * time.Millisecond)) }
	if again := s.pass(); again != time.Nanosecond {
		t.Errorf("again after %s", again)
	}
	first := s.transition().Status.Effects[0]
	if first.Done == 0 || first.Done == 30 || first.Matched != 30 {
		t.Errorf("after the first slice %d of %d are done", first.Done, first.Matched)
	}
	s.settle(20)
	s.expectLedger("True Done", "work 30/30")
	if len(s.requests) != 60 {
		t.Errorf("%d requests, want a read and a deletion for each of thirty", len(s.requests))
	}
}

// TestDependants go before what they depend on, which waits while one of them cannot be done.
func TestDependants(t *testing.T) {
	s := stage(t, "["+effect("work", "Delete")+`,
		{name: notes, resources: {apiVersion: work.example.com/v1, kind: Note, reference: {fieldPath: spec.about, effect: work}, action: Delete}}]`,
		"a: {owner: alice}", "Note n: {about: a}", "Note m: {about: b}")
	s.leave()
	s.fail = on("delete n", errBroken)
	s.settle(2)
	s.expectLedger("False Retrying", "work 0/1: Waits for effect notes", "notes 0/1 failed 1: n: delete: broken")
	s.expectSpecs(`a: {"owner":"alice"}`, `m: {"about":"b"}`, `n: {"about":"a"}`)
	s.fail = nil
	s.requests = nil
	s.settle(3)
	if diff := cmp.Diff([]string{"get n", "delete n", "get a", "delete a"}, s.requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	s.expectLedger("True Done", "work 1/1", "notes 1/1")
	s.expectSpecs(`m: {"about":"b"}`)
}

// TestOvertakenBetweenTwoObjects stops before the next one.
func TestOvertakenBetweenTwoObjects(t *testing.T) {
	var work []string
	for i := range 30 {
		work = append(work, fmt.Sprintf("w%d: {owner: alice}", i))
	}
	s := stage(t, deletes, work...)
	s.leave()
	s.before = func(request string) {
		if strings.HasPrefix(request, "delete") {
			s.declare("alice", v1alpha1.UserDesiredActive)
			s.before = nil
		}
	}
	if again := s.pass(); again != moment {
		t.Errorf("again after %s", again)
	}
	if n := len(s.specs()); n < 30-workersPerEffect {
		t.Errorf("%d of thirty are left, want at least %d: no more than were in hand", n, 30-workersPerEffect)
	}
	s.requests = nil
	s.pass()
	s.record(3, v1alpha1.StateActive, nil)
	s.settle(2)
	s.expectRequests()
	if ledger := s.ledger(); ledger[0] != "True Superseded" {
		t.Errorf("ledger %q", ledger)
	}
	if s.transition().Annotations[v1alpha1.AnnotationComplete] != "" {
		t.Error("what was stopped is noted as complete")
	}
}

// TestReceiverWhoLeaves before the work arrives is passed over; one who leaves just then hands it on.
func TestReceiverWhoLeaves(t *testing.T) {
	for name, at := range map[string]string{"before": "", "just then": "patch a"} {
		t.Run(name, func(t *testing.T) {
			s := stage(t, "["+effect("work", "Transfer, successors: [Successor, Owner]")+"]", "a: {owner: alice}")
			alice := s.user("alice")
			alice.Spec.SuccessorRef.Name = "bob"
			if err := s.Client.Update(t.Context(), alice); err != nil {
				t.Fatal(err)
			}
			s.leave()
			if at == "" {
				s.declare("bob", v1alpha1.UserDesiredDeactivated)
			}
			s.before = func(request string) {
				if request == at {
					s.before = nil
					s.declare("bob", v1alpha1.UserDesiredDeactivated)
				}
			}
			s.settle(3)
			s.expectLedger("True Done", "work 1/1")
			s.expectSpecs(`a: {"owner":"olivia"}`)
		})
	}
}

// TestNobodyReceives: the work stays where it is, and the ledger says who was asked.
func TestNobodyReceives(t *testing.T) {
	s := stage(t, "["+effect("work", "Transfer, successors: [Successor, Owner]")+"]", "a: {owner: alice}")
	s.leave()
	s.declare("olivia", v1alpha1.UserDesiredDeactivated)
	s.settle(3)
	s.expectLedger("False Retrying", "work 0/1 failed 1: a: nobody who may receive it has access (olivia has none; asked: Successor, Owner)")
	s.declare("olivia", v1alpha1.UserDesiredActive)
	s.settle(3)
	s.expectLedger("True Done", "work 1/1")
	s.expectSpecs(`a: {"owner":"olivia"}`)
}

// TestKindThatIsNotServedAnyMore is not taken for objects that are gone.
func TestKindThatIsNotServedAnyMore(t *testing.T) {
	s := stage(t, deletes, "a: {owner: alice}")
	s.leave()
	s.fail = on("get", apierrors.NewGenericServerResponse(404, "get", resourceOf(workKind).GroupResource(), "a", "page not found", 0, true))
	s.settle(2)
	if ledger := s.ledger(); ledger[0] != "False Retrying" {
		t.Errorf("ledger %q", ledger)
	}
}

// TestGitOps: who keeps an object's manifest elsewhere is told to change it there.
func TestGitOps(t *testing.T) {
	s := stage(t, transfers, "a: {owner: alice}")
	s.edit("a", func(o *unstructured.Unstructured) {
		o.SetLabels(map[string]string{"kustomize.toolkit.fluxcd.io/name": "apps"})
	})
	s.leave()
	s.pass()
	if event := <-s.Recorder.Events; !strings.Contains(event, "Warning ManagedElsewhere") || !strings.Contains(event, "Flux") {
		t.Errorf("Event %q", event)
	}
}

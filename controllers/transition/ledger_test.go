package transition

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/worldtest"
)

var complete = []string{"patch status of Transition user.alice.2", "patch Transition user.alice.2"}

// TestLedgerThatCannotBeWritten does not have anything done twice.
func TestLedgerThatCannotBeWritten(t *testing.T) {
	for _, write := range complete {
		for kind, action := range actions {
			t.Run(kind+"/"+write, func(t *testing.T) {
				s := stage(t, action.effects, "a: {owner: alice}", "b: {owner: bob}")
				s.leave()
				s.Fail = on(write, errBroken)
				_, err := s.tryPass()
				if err == nil { // The record is noted by the next pass.
					_, err = s.tryPass()
				} else if len(s.Recorder.Events) > 0 {
					t.Error("an Event about what is not persisted")
				}
				if !errors.Is(err, errBroken) {
					t.Fatalf("error %v, want one that has the pass made again", err)
				}
				s.Fail = nil
				s.start()
				s.settle(3)
				s.expectLedger("True Done", "work 1/1")
				s.expectSpecs(append(action.left, bobs)...)
				if n := len(s.requests); n > len(action.requests)+1 {
					t.Errorf("requests %v, want none that changes anything again", s.requests)
				}
			})
		}
	}
}

// TestLedgerConflict is no error: the next pass writes it.
func TestLedgerConflict(t *testing.T) {
	for _, write := range complete {
		s := stage(t, transfers, "a: {owner: alice}")
		s.leave()
		s.Fail = on(write, conflict("user.alice.2"))
		if again := s.pass(); again == 0 && s.pass() == 0 {
			t.Error("nobody looks again")
		}
		s.Fail = nil
		s.settle(3)
		s.expectLedger("True Done", "work 1/1")
	}
}

// TestLedgerThatWasLost is written again from the record, and nothing is done again.
func TestLedgerThatWasLost(t *testing.T) {
	s := stage(t, patches, "a: {owner: alice}")
	s.leave()
	s.settle(3)
	transition := s.transition()
	transition.Status = v1alpha1.TransitionStatus{}
	if err := s.Client.Status().Update(t.Context(), transition); err != nil {
		t.Fatal(err)
	}
	s.edit("a", func(o *unstructured.Unstructured) { o.SetAnnotations(nil) })
	s.requests = nil
	s.start()
	s.settle(3)
	s.expectLedger("True Done", "work 1/1")
	s.expectRequests()
}

// TestSubjectThatIsGone: a record whose subject is no more has no effects, nor has one that was restored.
func TestSubjectThatIsGone(t *testing.T) {
	for name, again := range map[string]bool{"gone": false, "another of its name": true} {
		t.Run(name, func(t *testing.T) {
			s := stage(t, deletes, "a: {owner: alice}")
			s.leave()
			if err := s.Client.Delete(t.Context(), s.user("alice")); err != nil {
				t.Fatal(err)
			}
			if again {
				alice := person("alice")
				alice.Spec.DesiredStatus = v1alpha1.UserDesiredDeactivated
				s.create(alice)
			}
			s.Forget()
			s.settle(3)
			s.expectLedger("True Superseded", "work 0/1: Stopped: 1 of 1 not done")
			s.expectWrites("patch status of Transition user.alice.2")
			s.expectRequests()
		})
	}
}

// TestStateThatIsNotTheSubjectsAnyMore holds everything back until the next Transition is there.
func TestStateThatIsNotTheSubjectsAnyMore(t *testing.T) {
	s := stage(t, deletes, "a: {owner: alice}")
	s.leave()
	s.declare("alice", v1alpha1.UserDesiredActive)
	s.Forget()
	for range 3 {
		if again := s.pass(); again != moment {
			t.Errorf("again after %s", again)
		}
	}
	s.expectRequests()
	s.expectWrites("patch status of Transition user.alice.2")
	s.expectLedger("False Running", "work 0/1")
}

// TestPartialSight destroys nothing.
func TestPartialSight(t *testing.T) {
	for _, unseen := range []string{"User alice", "Organization acme", "LifecyclePolicy employees", "Namespace acme"} {
		s := stage(t, deletes, "a: {owner: alice}")
		s.leave()
		s.FailRead = on(unseen, errBroken)
		if _, err := s.tryPass(); err == nil {
			t.Errorf("%s: no error, so nobody would look again", unseen)
		}
		s.expectRequests()
		s.expectWrites()
	}
}

// TestNothingIsDestroyedWithoutOrganization, and nothing is written while it waits.
func TestNothingIsDestroyedWithoutOrganization(t *testing.T) {
	s := stage(t, deletes, "a: {owner: alice}")
	s.leave()
	org := &v1alpha1.Organization{}
	s.get(org, "acme")
	if err := s.Client.Delete(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	s.Forget()
	s.settle(3)
	s.expectLedger("False OrganizationNotFound", "work 0/1")
	s.expectWrites("patch status of Transition user.alice.2")
	s.expectRequests()
	s.create(&v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: "acme", Namespace: "acme"}})
	s.settle(3)
	s.expectLedger("True Done", "work 1/1")
}

func group(name, leader string) *v1alpha1.Group {
	return &v1alpha1.Group{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "acme"},
		Spec:       v1alpha1.GroupSpec{Type: "Team", LeaderRef: v1alpha1.Reference{Name: leader}},
	}
}

func membership(group string, holds ...v1alpha1.MembershipHold) *v1alpha1.Membership {
	return &v1alpha1.Membership{
		ObjectMeta: metav1.ObjectMeta{Name: "alice-" + group, Namespace: "acme"},
		Spec: v1alpha1.MembershipSpec{
			UserRef: v1alpha1.Reference{Name: "alice"}, GroupRef: v1alpha1.Reference{Name: group}, Holds: holds,
		},
	}
}

func (s *scene) holds(group string) []string {
	s.t.Helper()
	there := &v1alpha1.Membership{}
	s.get(there, "alice-"+group)
	names := []string{}
	for _, hold := range there.Spec.Holds {
		names = append(names, hold.Name+" "+string(hold.Status))
	}
	return names
}

// TestGuardThatWaits asks again by itself, and lets go when what is in the way is gone.
func TestGuardThatWaits(t *testing.T) {
	s := stage(t, deletes, "a: {owner: alice}")
	policy := s.policy()
	policy.Spec.Guards.Leader = v1alpha1.GuardRefuse
	if err := s.Client.Update(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	north := group("north", "alice")
	s.create(north)
	s.leave()
	for range 3 {
		if again := s.pass(); again != guardPatience {
			t.Errorf("again after %s", again)
		}
	}
	s.expectLedger("False Leader", "work 0/1")
	s.expectWrites("patch status of Transition user.alice.2")
	s.expectRequests()
	north.Spec.LeaderRef.Name = "bob"
	if err := s.Client.Update(t.Context(), north); err != nil {
		t.Fatal(err)
	}
	s.settle(3)
	s.expectLedger("True Done", "work 1/1")
}

const teams = `[{name: teams, memberships: {action: Remove}}]`

// TestMemberships that were there at the decision get the hold; a write that fails, or comes second, is made again.
func TestMemberships(t *testing.T) {
	for name, fail := range map[string]error{"fails": errBroken, "comes second": conflict("alice-north")} {
		t.Run(name, func(t *testing.T) {
			s := stage(t, teams)
			s.create(membership("north"), membership("south"))
			s.leave()
			s.create(membership("west"))
			s.Fail = on("patch Membership alice-north", fail)
			if again := s.pass(); again == 0 {
				t.Error("nobody looks again")
			}
			s.Fail = nil
			s.settle(3)
			s.expectLedger("True Done", "teams 2/2")
			got := [][]string{s.holds("north"), s.holds("south"), s.holds("west")}
			if diff := cmp.Diff([][]string{{"effect-teams Removed"}, {"effect-teams Removed"}, {}}, got); diff != "" {
				t.Errorf("holds (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMembershipsThatFail are counted, and told once.
func TestMembershipsThatFail(t *testing.T) {
	s := stage(t, teams)
	s.create(membership("north"), membership("south"))
	s.leave()
	s.Fail = on("patch Membership alice-north", errBroken)
	s.settle(3)
	s.expectLedger("False Retrying", "teams 1/2 failed 1: patch *v1alpha1.Membership alice-north: broken")
	s.Writes = nil
	s.settle(3)
	for _, write := range s.Writes {
		if strings.Contains(write, "Transition") {
			t.Errorf("writes at rest: %v", s.Writes)
		}
	}
}

// TestOwnHolds land though the suspension is over: what was suspended must not come back.
func TestOwnHolds(t *testing.T) {
	s := stage(t, "[]")
	s.create(membership("north"))
	s.declare("alice", v1alpha1.UserDesiredSuspended)
	s.record(2, v1alpha1.StateSuspended, []v1alpha1.PlannedEffect{
		{Effect: v1alpha1.HoldUserSuspended, Action: v1alpha1.ActionDeactivate, Kind: "Membership", Targets: 1},
	})
	s.declare("alice", v1alpha1.UserDesiredActive)
	s.record(3, v1alpha1.StateActive, nil)
	s.Fail = on("patch Membership", errBroken)
	s.settle(3)
	s.expectLedger("False Retrying", "user-suspended 0/1 failed 1: 1 of 1 memberships could not be held yet")
	s.Fail = nil
	s.settle(3)
	s.expectLedger("True Done", "user-suspended 1/1")
	if diff := cmp.Diff([]string{"user-suspended Deactivated"}, s.holds("north")); diff != "" {
		t.Errorf("holds (-want +got):\n%s", diff)
	}
}

// TestLedgerThatIsOlder has nothing done again that shows in nothing else: what another process did may have been released since.
func TestLedgerThatIsOlder(t *testing.T) {
	for name, plan := range map[string]func(s *scene){
		"own holds": func(s *scene) {
			s.declare("alice", v1alpha1.UserDesiredSuspended)
			s.record(2, v1alpha1.StateSuspended, []v1alpha1.PlannedEffect{
				{Effect: v1alpha1.HoldUserSuspended, Action: v1alpha1.ActionDeactivate, Kind: "Membership", Targets: 1},
			})
		},
		"an effect's holds": func(s *scene) { s.leave() },
		"who stands in": func(s *scene) {
			policy := s.policy()
			policy.Spec.Effects = policy.Spec.Effects[1:]
			s.update(policy)
			s.leave()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := stage(t, `[{name: rooms, memberships: {action: Deactivate}},
				{name: leads, relations: {kinds: [Leader], action: Transfer, successors: [Owner]}}]`)
			s.create(group("north", "alice"), membership("north"))
			plan(s)
			older := s.transition()
			s.settle(5)
			if len(s.Writes) < 2 {
				t.Fatalf("only %v", s.Writes)
			}
			north, held := &v1alpha1.Group{}, &v1alpha1.Membership{}
			s.get(north, "north")
			s.get(held, "alice-north")
			north.Spec.Acting, held.Spec.Holds = nil, nil
			s.update(north)
			s.update(held)
			s.start()
			s.r.Client = worldtest.Behind{Client: s.World, Older: older}
			s.Forget()
			if again := s.pass(); again == 0 {
				t.Error("nobody looks again")
			}
			s.expectWrites()
		})
	}
}

// TestConflictAboutOwnHolds is nothing to tell about.
func TestConflictAboutOwnHolds(t *testing.T) {
	s := stage(t, "[]")
	s.create(membership("north"))
	s.declare("alice", v1alpha1.UserDesiredSuspended)
	s.record(2, v1alpha1.StateSuspended, []v1alpha1.PlannedEffect{
		{Effect: v1alpha1.HoldUserSuspended, Action: v1alpha1.ActionDeactivate, Kind: "Membership", Targets: 1},
	})
	s.Forget()
	s.Fail = on("patch Membership", conflict("alice-north"))
	if again := s.pass(); again == 0 {
		t.Error("nobody looks again")
	}
	s.expectWrites("patch Membership alice-north")
	s.Fail = nil
	s.settle(3)
	s.expectLedger("True Done", "user-suspended 1/1")
}

// TestRelations get a stand-in, whatever comes in between; what was declared stays.
func TestRelations(t *testing.T) {
	for name, fail := range map[string]error{"nothing": nil, "a failure": errBroken, "a conflict": conflict("north")} {
		t.Run(name, func(t *testing.T) {
			s := stage(t, `[{name: leads, relations: {kinds: [Leader, Manager, Coach], action: Transfer, successors: [Owner]}}]`)
			carol := person("carol")
			carol.Spec.ManagerRef.Name, carol.Spec.CoachRef.Name = "alice", "alice"
			s.create(group("north", "alice"), group("south", "bob"), carol)
			s.leave()
			if fail != nil {
				s.Fail = on("patch Group north", fail)
				if again := s.pass(); again == 0 {
					t.Error("nobody looks again")
				}
				s.Fail = nil
			}
			s.settle(4)
			s.expectLedger("True Done", "leads 3/3")
			north, south := &v1alpha1.Group{}, &v1alpha1.Group{}
			s.get(north, "north")
			s.get(south, "south")
			want := []v1alpha1.Acting{{Relation: v1alpha1.RelationLeader, Name: "olivia", For: "alice", Transition: "user.alice.2"}}
			if diff := cmp.Diff(want, north.Spec.Acting); diff != "" || north.Spec.LeaderRef.Name != "alice" || len(south.Spec.Acting) > 0 {
				t.Errorf("led by %s, stand-ins (-want +got):\n%s", north.Spec.LeaderRef.Name, diff)
			}
			if acting := s.user("carol").Spec.Acting; len(acting) != 2 || acting[0].Name != "olivia" || acting[1].Name != "olivia" {
				t.Errorf("stand-ins of carol: %+v", acting)
			}
		})
	}
}

// TestRelationsWithoutReceiver wait, and say so.
func TestRelationsWithoutReceiver(t *testing.T) {
	s := stage(t, `[{name: leads, relations: {kinds: [Leader], action: Transfer, successors: [Owner]}}]`)
	s.create(group("north", "alice"))
	s.leave()
	s.declare("olivia", v1alpha1.UserDesiredDeactivated)
	s.settle(3)
	s.expectLedger("False Retrying", "leads 0/1 failed 1: north: nobody who may receive it has access (olivia has none; asked: Owner)")
}

// TestRelink names the person again, once, when the answer is lost too.
func TestRelink(t *testing.T) {
	for name, lose := range map[string]error{"answered": nil, "answer lost": errBroken} {
		t.Run(name, func(t *testing.T) {
			removed := strings.Replace("["+effect("work", anonymizes)+"]", "{name: work,", `{name: work, "on": [Removed],`, 1)
			s := stage(t, removed, "a: {owner: alice}", "b: {owner: bob}")
			s.declare("alice", v1alpha1.UserDesiredRemoved)
			s.record(2, v1alpha1.StateRemoved, s.plan(v1alpha1.StateRemoved))
			s.settle(3)
			s.expectLedger("True Done", "work 1/1")
			s.expectSpecs(`a: {"owner":"Removed User"}`, bobs)

			s.declare("alice", v1alpha1.UserDesiredActive)
			s.start()
			s.record(3, v1alpha1.StateActive, s.plan(v1alpha1.StateActive, s.transition()))
			s.name = "user.alice.3"
			s.lose = on("patch", lose)
			s.pass()
			s.lose = nil
			s.Clock.SetTime(s.Clock.Now().Add(firstDelay))
			s.settle(3)
			s.expectLedger("True Done", "work 1/1")
			s.expectSpecs(`a: {"owner":"alice"}`, bobs)
		})
	}
}

// TestEnd lets go of what is kept for a Transition, however it ends.
func TestEnd(t *testing.T) {
	for name, end := range map[string]func(*scene){
		"done": func(s *scene) { s.fail = nil },
		"gone": func(s *scene) {
			if err := s.Client.Delete(s.t.Context(), s.transition()); err != nil {
				s.t.Fatal(err)
			}
		},
		"overtaken": func(s *scene) { s.record(3, v1alpha1.StateActive, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			s := stage(t, deletes, "a: {owner: alice}")
			s.leave()
			s.fail = on("delete", errBroken)
			s.settle(2)
			if len(s.r.sweeps.all) != 1 || len(s.r.sweeps.reasons) != 1 {
				t.Fatalf("%d sweeps and %d reasons are kept, want one of each", len(s.r.sweeps.all), len(s.r.sweeps.reasons))
			}
			end(s)
			s.settle(3)
			s.pass() // As its own status wakes it.
			if len(s.r.sweeps.all) > 0 || len(s.r.sweeps.reasons) > 0 {
				t.Errorf("%d sweeps and %d reasons are kept", len(s.r.sweeps.all), len(s.r.sweeps.reasons))
			}
			for source := range s.needs() {
				if owners := s.r.Sources.Owners(source); len(owners) != 1 {
					t.Errorf("demanded by %v", owners)
				}
			}
		})
	}
}

// TestRunning: those are woken that a new Transition may have overtaken, and no others.
func TestRunning(t *testing.T) {
	s := stage(t, deletes, "a: {owner: alice}")
	s.leave()
	s.record(3, v1alpha1.StateActive, nil)
	third := &v1alpha1.Transition{}
	s.get(third, "user.alice.3")
	requests, err := s.r.running(t.Context(), third)
	if err != nil || len(requests) != 1 || requests[0].NamespacedName != (client.ObjectKey{Namespace: "acme", Name: "user.alice.2"}) {
		t.Errorf("wakes %v, error %v", requests, err)
	}
}

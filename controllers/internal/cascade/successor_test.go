package cascade_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/worldtest"
)

// acme is the organization. Olivia owns it, whether there is such a user or not.
func acme() *v1alpha1.Organization {
	return &v1alpha1.Organization{
		ObjectMeta: metav1.ObjectMeta{Name: "acme", Namespace: "acme"},
		Spec:       v1alpha1.OrganizationSpec{OwnerRef: v1alpha1.Reference{Name: "olivia"}, TeamTypes: []string{"Team", "Squad"}},
	}
}

func people(names ...string) []client.Object {
	var objects []client.Object
	for _, name := range names {
		objects = append(objects, user(name, ""))
	}
	return objects
}

func group(kind, name string, priority int32, leader string) *v1alpha1.Group {
	return &v1alpha1.Group{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "acme"},
		Spec:       v1alpha1.GroupSpec{Type: kind, Priority: new(priority), LeaderRef: v1alpha1.Reference{Name: leader}},
	}
}

func team(name string, priority int32, leader string) *v1alpha1.Group {
	return group("Team", name, priority, leader)
}

func member(user, group string, changes ...func(*v1alpha1.Membership)) *v1alpha1.Membership {
	m := &v1alpha1.Membership{
		ObjectMeta: metav1.ObjectMeta{Name: user + "-" + group, Namespace: "acme"},
		Spec:       v1alpha1.MembershipSpec{UserRef: v1alpha1.Reference{Name: user}, GroupRef: v1alpha1.Reference{Name: group}},
	}
	for _, change := range changes {
		change(m)
	}
	return m
}

func held(hold v1alpha1.MembershipHold) func(*v1alpha1.Membership) {
	return func(m *v1alpha1.Membership) { m.Spec.Holds = append(m.Spec.Holds, hold) }
}

func deactivated(m *v1alpha1.Membership) {
	m.Spec.DesiredStatus = v1alpha1.MembershipDesiredDeactivated
}
func over(m *v1alpha1.Membership) {
	m.Spec.ExpirationTime = metav1.NewTime(worldtest.Start.Add(-time.Minute))
}
func toCome(m *v1alpha1.Membership) {
	m.Spec.StartTime = metav1.NewTime(worldtest.Start.Add(time.Minute))
}

// candidates of Alice, who has just been deactivated.
func candidates(t *testing.T, ways []v1alpha1.Successor, latched []string, change func(*v1alpha1.User), objects ...client.Object) []string {
	t.Helper()
	leaving := alice()
	leaving.Spec.DesiredStatus = v1alpha1.UserDesiredDeactivated
	if change != nil {
		change(leaving)
	}
	world := worldtest.New(t, append(objects, leaving, acme())...)
	found, err := cascade.Successors{
		Reader: world, Org: observe.Organization{Object: acme()}, User: leaving, Latched: latched, Now: worldtest.Start,
	}.Candidates(t.Context(), ways)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var everyWay = []v1alpha1.Successor{
	v1alpha1.SuccessorDeclared, v1alpha1.SuccessorTeamLeader, v1alpha1.SuccessorFirstTeamLeader,
	v1alpha1.SuccessorManager, v1alpha1.SuccessorCoach, v1alpha1.SuccessorOwner,
}

func relatedTo(successor, manager, coach string) func(*v1alpha1.User) {
	return func(u *v1alpha1.User) {
		u.Spec.SuccessorRef.Name, u.Spec.ManagerRef.Name, u.Spec.CoachRef.Name = successor, manager, coach
	}
}

func TestCandidates(t *testing.T) {
	const (
		declared    = v1alpha1.SuccessorDeclared
		teamLeader  = v1alpha1.SuccessorTeamLeader
		firstLeader = v1alpha1.SuccessorFirstTeamLeader
		manager     = v1alpha1.SuccessorManager
		coach       = v1alpha1.SuccessorCoach
		owner       = v1alpha1.SuccessorOwner
	)
	crowd := people("bob", "carol", "dan", "erin", "frank", "olivia")
	for name, test := range map[string]struct {
		ways    []v1alpha1.Successor
		latched []string
		change  func(*v1alpha1.User)
		objects []client.Object
		want    []string
	}{
		"no way":          {},
		"declared":        {ways: []v1alpha1.Successor{declared}, change: relatedTo("bob", "carol", "dan"), want: []string{"bob"}},
		"the manager":     {ways: []v1alpha1.Successor{manager}, change: relatedTo("bob", "carol", "dan"), want: []string{"carol"}},
		"the coach":       {ways: []v1alpha1.Successor{coach}, change: relatedTo("bob", "carol", "dan"), want: []string{"dan"}},
		"the owner":       {ways: []v1alpha1.Successor{owner}, want: []string{"olivia"}},
		"in their order":  {ways: []v1alpha1.Successor{coach, owner, declared, manager}, change: relatedTo("bob", "carol", "dan"), want: []string{"dan", "olivia", "bob", "carol"}},
		"each once":       {ways: []v1alpha1.Successor{declared, manager, coach, owner}, change: relatedTo("bob", "bob", "olivia"), want: []string{"bob", "olivia"}},
		"none is named":   {ways: []v1alpha1.Successor{declared, manager, coach}, want: nil},
		"never the user":  {ways: []v1alpha1.Successor{declared, manager, owner}, change: relatedTo("alice", "alice", ""), want: []string{"olivia"}},
		"who stands in":   {ways: []v1alpha1.Successor{manager, coach}, change: standIns, want: []string{"erin"}},
		"nobody stands":   {ways: []v1alpha1.Successor{teamLeader, firstLeader}, want: nil},
		"the team leader": {ways: []v1alpha1.Successor{teamLeader}, objects: []client.Object{team("a", 1, "bob"), team("b", 1, "carol"), member("alice", "b")}, want: []string{"carol"}},

		"the first of the user's teams": {ways: []v1alpha1.Successor{teamLeader}, want: []string{"carol", "dan", "bob"}, objects: []client.Object{
			team("a", 3, "bob"), team("b", 1, "carol"), team("c", 1, "dan"), team("d", 0, "erin"),
			member("alice", "a"), member("alice", "b"), member("alice", "c"), member("bob", "d"),
		}},
		"the first of all teams": {ways: []v1alpha1.Successor{firstLeader}, want: []string{"erin", "dan", "carol", "bob"}, objects: []client.Object{
			team("a", 3, "bob"), team("c", 1, "carol"), group("Squad", "b", 1, "dan"), team("d", 0, "erin"), group("Program", "e", 0, "frank"),
		}},
		"without a priority it comes first": {ways: []v1alpha1.Successor{firstLeader}, want: []string{"carol", "bob"}, objects: []client.Object{
			team("a", 1, "bob"), func() *v1alpha1.Group { g := team("z", 0, "carol"); g.Spec.Priority = nil; return g }(),
		}},
		"who stands in for the leader": {ways: []v1alpha1.Successor{teamLeader}, want: []string{"erin"}, objects: []client.Object{
			func() *v1alpha1.Group {
				g := team("a", 1, "bob")
				g.Spec.Acting = []v1alpha1.Acting{{Relation: v1alpha1.RelationLeader, For: "bob", Name: "erin"}}
				return g
			}(), member("alice", "a"),
		}},
		"a group that is no team":          {ways: []v1alpha1.Successor{teamLeader}, objects: []client.Object{group("Program", "a", 1, "bob"), member("alice", "a")}},
		"a team that is not there":         {ways: []v1alpha1.Successor{teamLeader}, objects: []client.Object{member("alice", "a")}},
		"a team without leader is skipped": {ways: []v1alpha1.Successor{firstLeader}, objects: []client.Object{team("a", 1, ""), team("b", 2, "bob")}, want: []string{"bob"}},

		// Of which teams the user was a member until this departure.
		"a membership deactivated earlier":     {ways: []v1alpha1.Successor{teamLeader}, objects: []client.Object{team("a", 1, "bob"), member("alice", "a", deactivated)}},
		"a membership that has expired":        {ways: []v1alpha1.Successor{teamLeader}, objects: []client.Object{team("a", 1, "bob"), member("alice", "a", over)}},
		"a membership that is still to come":   {ways: []v1alpha1.Successor{teamLeader}, objects: []client.Object{team("a", 1, "bob"), member("alice", "a", toCome)}},
		"a membership suspended earlier":       {ways: []v1alpha1.Successor{teamLeader}, objects: []client.Object{team("a", 1, "bob"), member("alice", "a", held(*lifecycle.SuspendedHold()))}},
		"one that this departure has latched":  {ways: []v1alpha1.Successor{teamLeader}, latched: []string{v1alpha1.HoldUserSuspended}, objects: []client.Object{team("a", 1, "bob"), member("alice", "a", held(*lifecycle.SuspendedHold()))}, want: []string{"bob"}},
		"one that it removes":                  {ways: []v1alpha1.Successor{teamLeader}, latched: []string{v1alpha1.HoldUserRemoved}, objects: []client.Object{team("a", 1, "bob"), member("alice", "a", held(*lifecycle.RemovedHold()))}, want: []string{"bob"}},
		"latched, and held by somebody before": {ways: []v1alpha1.Successor{teamLeader}, latched: []string{v1alpha1.HoldUserSuspended}, objects: []client.Object{team("a", 1, "bob"), member("alice", "a", held(*lifecycle.SuspendedHold()), held(v1alpha1.MembershipHold{Name: "audit", Status: v1alpha1.MembershipHoldDeactivated}))}},

		// Case 9 of the documentation.
		"an employee without a team: the first team's leader": {ways: []v1alpha1.Successor{teamLeader, firstLeader, owner}, objects: []client.Object{team("a", 2, "bob"), team("b", 1, "carol")}, want: []string{"carol", "bob", "olivia"}},
		"who leads the first team: the next team's leader":    {ways: []v1alpha1.Successor{firstLeader, owner}, objects: []client.Object{team("a", 2, "bob"), team("b", 1, "alice")}, want: []string{"bob", "olivia"}},
		"no other leads a team: the owner":                    {ways: []v1alpha1.Successor{teamLeader, firstLeader, owner}, objects: []client.Object{team("b", 1, "alice"), member("alice", "b")}, want: []string{"olivia"}},
	} {
		t.Run(name, func(t *testing.T) {
			var objects []client.Object
			for _, object := range append(crowd, test.objects...) {
				objects = append(objects, object.DeepCopyObject().(client.Object))
			}
			got := candidates(t, test.ways, test.latched, test.change, objects...)
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
		})
	}
}

// standIns: Erin for Alice's manager, and nobody for her coach.
func standIns(u *v1alpha1.User) {
	relatedTo("", "carol", "dan")(u)
	u.Spec.Acting = []v1alpha1.Acting{
		{Relation: v1alpha1.RelationManager, For: "carol", Name: "erin"}, {Relation: v1alpha1.RelationCoach, For: "dan"},
	}
}

// TestCandidatesHaveAccess by what is declared, whatever their status still says. Where none of them has, all are told, so that
// somebody can do something about it.
func TestCandidatesHaveAccess(t *testing.T) {
	before, after := metav1.NewTime(worldtest.Start.Add(-time.Minute)), metav1.NewTime(worldtest.Start.Add(time.Minute))
	for name, test := range map[string]struct {
		bob    func(*v1alpha1.User)
		access bool
	}{
		"active":             {func(*v1alpha1.User) {}, true},
		"with an old status": {func(u *v1alpha1.User) { u.Status.State, u.Status.Access = v1alpha1.StateExpired, v1alpha1.AccessDenied }, true},
		"on a break":         {func(u *v1alpha1.User) { u.Spec.DesiredStatus = v1alpha1.UserDesiredOnBreak }, true},
		"to leave":           {func(u *v1alpha1.User) { u.Spec.ExpirationTime = after }, true},
		"deactivated":        {func(u *v1alpha1.User) { u.Spec.DesiredStatus = v1alpha1.UserDesiredDeactivated }, false},
		"suspended":          {func(u *v1alpha1.User) { u.Spec.DesiredStatus = v1alpha1.UserDesiredSuspended }, false},
		"removed":            {func(u *v1alpha1.User) { u.Spec.DesiredStatus = v1alpha1.UserDesiredRemoved }, false},
		"expired":            {func(u *v1alpha1.User) { u.Spec.ExpirationTime = before }, false},
		"not started":        {func(u *v1alpha1.User) { u.Spec.StartTime = after }, false},
		"away":               {func(u *v1alpha1.User) { u.Spec.Absences = []v1alpha1.Absence{{Name: "away", StartTime: before}} }, false},
		"held": {func(u *v1alpha1.User) {
			u.Spec.Holds = []v1alpha1.UserHold{{Name: "audit", Status: v1alpha1.UserHoldSuspended}}
		}, false},
		"a younger duplicate": {func(u *v1alpha1.User) {
			u.Spec.Email = "carol@acme.example"
			u.CreationTimestamp = metav1.NewTime(worldtest.Start)
		}, false},
		"being deleted": {func(u *v1alpha1.User) {
			u.Finalizers, u.DeletionTimestamp = []string{v1alpha1.Finalizer}, &before
		}, false},
		"of another organization": {func(u *v1alpha1.User) { u.Namespace = "other" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			successor := bob()
			test.bob(successor)
			ways := []v1alpha1.Successor{v1alpha1.SuccessorDeclared, v1alpha1.SuccessorManager}
			want := []string{"carol"}
			if test.access {
				want = []string{"bob", "carol"}
			}
			got := candidates(t, ways, nil, relatedTo("bob", "carol", ""), successor, user("carol", ""))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
			got = candidates(t, ways, nil, relatedTo("bob", "nobody", ""), successor.DeepCopy(), user("carol", ""))
			want = []string{"bob", "nobody"}
			if test.access {
				want = []string{"bob"}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("with nobody else (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCandidatesAreBounded as the record that keeps them is.
func TestCandidatesAreBounded(t *testing.T) {
	var objects []client.Object
	var want []string
	for i := range 40 {
		leader := fmt.Sprintf("leader-%02d", i)
		objects = append(objects, user(leader, ""), team(fmt.Sprintf("team-%02d", i), int32(i), leader))
		want = append(want, leader)
	}
	got := candidates(t, everyWay, nil, nil, objects...)
	if diff := cmp.Diff(want[:32], got); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
}

// TestCandidatesAreNotGuessed: where something cannot be read, nobody receives anything.
func TestCandidatesAreNotGuessed(t *testing.T) {
	broken := errors.New("the cache is broken")
	for _, unreadable := range []string{"User bob", "User olivia", "Group b"} {
		t.Run(unreadable, func(t *testing.T) {
			leaving := alice()
			leaving.Spec.SuccessorRef.Name = "bob"
			world := worldtest.New(t, append(people("bob", "olivia"), leaving, acme(), team("b", 1, "bob"), member("alice", "b"))...)
			world.FailRead = func(read string) error {
				if read == unreadable {
					return broken
				}
				return nil
			}
			found, err := cascade.Successors{
				Reader: world, Org: observe.Organization{Object: acme()}, User: leaving, Now: worldtest.Start,
			}.Candidates(t.Context(), everyWay)
			if !errors.Is(err, broken) || found != nil {
				t.Errorf("got %v (%v), want the error of the read", found, err)
			}
		})
	}
}

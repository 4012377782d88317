package cascade_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/targets"
	"tenure.dev/tenure/controllers/internal/worldtest"
)

const (
	leader  = v1alpha1.RelationLeader
	manager = v1alpha1.RelationManager
	coach   = v1alpha1.RelationCoach
)

// of gives a user a manager and a coach.
func of(user *v1alpha1.User, manager, coach string, acting ...v1alpha1.Acting) *v1alpha1.User {
	user.Spec.ManagerRef.Name, user.Spec.CoachRef.Name, user.Spec.Acting = manager, coach, acting
	return user
}

func led(group *v1alpha1.Group, acting ...v1alpha1.Acting) *v1alpha1.Group {
	group.Spec.Acting = acting
	return group
}

func standsIn(relation v1alpha1.Relation, declared, name string) v1alpha1.Acting {
	return v1alpha1.Acting{Relation: relation, For: declared, Name: name}
}

func namesOf(objects []client.Object) []string {
	var names []string
	for _, object := range objects {
		names = append(names, object.GetName())
	}
	return names
}

func TestRelated(t *testing.T) {
	objects := []client.Object{
		led(team("hers", 1, "alice")),
		led(team("his", 1, "bob")),
		led(team("lent", 1, "alice"), standsIn(leader, "alice", "bob")),
		led(team("left-open", 1, "alice"), standsIn(leader, "alice", "")),
		led(team("borrowed", 1, "bob"), standsIn(leader, "bob", "alice")),
		led(team("outdated", 1, "carol"), standsIn(leader, "bob", "alice")),
		of(user("managed", ""), "alice", "bob"),
		of(user("coached", ""), "bob", "alice"),
		of(user("both", ""), "alice", "alice"),
		of(user("handed-over", ""), "alice", "alice", standsIn(manager, "alice", "bob"), standsIn(coach, "alice", "")),
		of(user("taken-over", ""), "bob", "carol", standsIn(manager, "bob", "alice")),
		of(user("coach-taken-over", ""), "bob", "carol", standsIn(coach, "carol", "alice")),
		of(user("nobodys", ""), "", ""),
	}
	for name, test := range map[string]struct {
		kinds []v1alpha1.Relation
		want  []string
	}{
		"no relation":    {},
		"leads":          {[]v1alpha1.Relation{leader}, []string{"borrowed", "hers"}},
		"manages":        {[]v1alpha1.Relation{manager}, []string{"both", "managed", "taken-over"}},
		"coaches":        {[]v1alpha1.Relation{coach}, []string{"both", "coach-taken-over", "coached"}},
		"one by another": {[]v1alpha1.Relation{coach, leader}, []string{"both", "coach-taken-over", "coached", "borrowed", "hers"}},
	} {
		t.Run(name, func(t *testing.T) {
			var world []client.Object
			for _, object := range objects {
				world = append(world, object.DeepCopyObject().(client.Object))
			}
			related, err := cascade.Related(t.Context(), worldtest.New(t, world...), alice(), test.kinds)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, namesOf(related), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("related (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMemberships(t *testing.T) {
	as := func(roles ...string) func(*v1alpha1.Membership) {
		return func(m *v1alpha1.Membership) { m.Spec.Roles = roles }
	}
	removedBefore := v1alpha1.MembershipHold{Name: "effect-teams", Status: v1alpha1.MembershipHoldRemoved}
	audit := v1alpha1.MembershipHold{Name: "audit", Status: v1alpha1.MembershipHoldDeactivated}
	objects := []client.Object{
		team("a", 1, ""), team("b", 1, ""), group("Program", "p", 1, ""),
		member("alice", "a", as("Member")),
		member("alice", "b", as("Lead", "Member"), held(audit)),
		member("alice", "p", as("Mentor"), held(*lifecycle.RemovedHold())),
		member("alice", "missing"),
		member("alice", "a-declared", func(m *v1alpha1.Membership) { m.Spec.DesiredStatus = v1alpha1.MembershipDesiredRemoved }),
		member("alice", "a-earlier", held(removedBefore)),
		member("alice", "a-deleted", func(m *v1alpha1.Membership) {
			at := metav1.NewTime(worldtest.Start)
			m.Finalizers, m.DeletionTimestamp = []string{v1alpha1.Finalizer}, &at
		}),
		member("bob", "a"),
	}
	for name, test := range map[string]struct {
		effect v1alpha1.MembershipsEffect
		want   []string
	}{
		"all":                    {v1alpha1.MembershipsEffect{}, []string{"alice-a", "alice-b", "alice-missing", "alice-p"}},
		"of a type of group":     {v1alpha1.MembershipsEffect{GroupTypes: []string{"Team"}}, []string{"alice-a", "alice-b"}},
		"of one of two types":    {v1alpha1.MembershipsEffect{GroupTypes: []string{"Room", "Program"}}, []string{"alice-p"}},
		"with a role":            {v1alpha1.MembershipsEffect{Roles: []string{"Lead"}}, []string{"alice-b"}},
		"with one of two roles":  {v1alpha1.MembershipsEffect{Roles: []string{"Mentor", "Member"}}, []string{"alice-a", "alice-b", "alice-p"}},
		"with a role, in a type": {v1alpha1.MembershipsEffect{Roles: []string{"Mentor", "Lead"}, GroupTypes: []string{"Team"}}, []string{"alice-b"}},
		"none":                   {v1alpha1.MembershipsEffect{Roles: []string{"Guest"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var world []client.Object
			for _, object := range objects {
				world = append(world, object.DeepCopyObject().(client.Object))
			}
			concerned, err := cascade.Memberships(t.Context(), worldtest.New(t, world...), alice(), &test.effect)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range concerned {
				got = append(got, m.Name)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("memberships (-want +got):\n%s", diff)
			}
		})
	}
}

// planning is Alice's change of state in an organization where she is a member of Bob's team and leads one herself.
func planning(t *testing.T, to v1alpha1.State, departure []*v1alpha1.Transition, effects ...v1alpha1.Effect) (*worldtest.World, cascade.Situation) {
	t.Helper()
	leaving := alice()
	world := worldtest.New(t, append(people("bob", "olivia"), leaving, acme(),
		team("a", 1, "bob"), team("b", 2, "alice"), member("alice", "a"), member("alice", "b"))...)
	from := v1alpha1.StateActive
	if len(departure) > 0 {
		from = departure[0].Spec.To
	}
	return world, cascade.Situation{
		Org: observe.Organization{Object: acme()}, User: leaving, Identity: "identity-of-alice",
		Policy: observe.Policy{Object: &v1alpha1.LifecyclePolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "employees", Namespace: "acme"},
			Spec:       v1alpha1.LifecyclePolicySpec{ServiceAccountName: "lifecycle", Effects: effects},
		}},
		Change: &lifecycle.Change{From: from, To: to}, Past: departure, Now: worldtest.Start,
	}
}

// plan waits until the notes are listed.
func (k known) plan(t *testing.T, world *worldtest.World, s cascade.Situation) (plan []v1alpha1.PlannedEffect) {
	t.Helper()
	k.Demand("policy", cascade.NeedsOf("acme", "lifecycle", s.Policy.Object.Spec.Effects))
	planner := cascade.Planner{Reader: world, Targets: k.Registry}
	k.wait(t, func() (err error) {
		plan, err = planner.Plan(t.Context(), s)
		return err
	})
	return plan
}

// planned is one line of a plan, as the record shows it.
type planned struct {
	Effect, Action, Kind, Successor, Frozen string

	Targets    int32
	Candidates []string
}

func linesOf(plan []v1alpha1.PlannedEffect) []planned {
	var lines []planned
	for i := range plan {
		p := &plan[i]
		lines = append(lines, planned{p.Effect, string(p.Action), p.Kind, p.Successor, p.Frozen, p.Targets, p.Candidates})
	}
	return lines
}

func TestPlan(t *testing.T) {
	task := effect(t, "tasks", `{reference: {fieldPath: spec.author}, action: Delete}`)
	task.Resources.Kind = "Task" // which the cluster does not have
	unreadable := effect(t, "unreadable", `{reference: {fieldPath: spec.author}, action: Delete, match: "1 +"}`)
	objectives := effect(t, "objectives", `{reference: {fieldPath: spec.owner}, action: Delete}`)
	results := effect(t, "key-results", `{reference: {fieldPath: spec.objective, effect: objectives}, action: Delete}`)
	ofTasks := effect(t, "of-tasks", `{reference: {fieldPath: spec.objective, effect: tasks}, action: Delete}`)
	deals := effect(t, "deals", `{reference: {fieldPath: spec.assignee}, match: "object.spec.stage != 'Won'", action: Transfer, successors: [TeamLeader, Owner]}`)
	coached := v1alpha1.Effect{Name: "coached", Relations: v1alpha1.RelationsEffect{Kinds: []v1alpha1.Relation{coach, manager}, Action: "Unassign"}}
	leads := v1alpha1.Effect{Name: "leads", Relations: v1alpha1.RelationsEffect{Kinds: []v1alpha1.Relation{leader}, Action: "Transfer", Successors: []v1alpha1.Successor{v1alpha1.SuccessorOwner}}}
	teams := v1alpha1.Effect{Name: "teams", Memberships: v1alpha1.MembershipsEffect{GroupTypes: []string{"Team"}, Action: "Remove"}}
	known := registry(t,
		note(t, `{metadata: {name: grow}, spec: {owner: alice}}`),
		note(t, `{metadata: {name: sell}, spec: {owner: bob}}`),
		note(t, `{metadata: {name: grow-1}, spec: {objective: grow}}`),
		note(t, `{metadata: {name: grow-2}, spec: {objective: grow}}`),
		note(t, `{metadata: {name: sell-1}, spec: {objective: sell}}`),
		note(t, `{metadata: {name: open}, spec: {assignee: alice, stage: Open}}`),
		note(t, `{metadata: {name: won}, spec: {assignee: alice, stage: Won}}`),
		note(t, `{metadata: {name: strange}, spec: {assignee: alice}}`),
	)
	for name, test := range map[string]struct {
		effects []v1alpha1.Effect
		want    []planned
	}{
		"what there is": {[]v1alpha1.Effect{objectives}, []planned{{"objectives", "Delete", "Note", "", frozenAs("uid-grow"), 1, nil}}},
		"what depends on it, in the policy's order": {[]v1alpha1.Effect{objectives, results}, []planned{
			{"objectives", "Delete", "Note", "", frozenAs("uid-grow"), 1, nil},
			{"key-results", "Delete", "Note", "", frozenAs("uid-grow-1", "uid-grow-2"), 2, nil},
		}},
		"handed over, with what cannot be judged": {[]v1alpha1.Effect{deals}, []planned{
			{"deals", "Transfer", "Note", "bob", frozenAs("uid-open", "uid-strange"), 2, []string{"bob", "olivia"}},
		}},
		"nothing of its kind":   {[]v1alpha1.Effect{effect(t, "none", `{reference: {fieldPath: spec.nobody}, action: Keep}`)}, []planned{{"none", "Keep", "Note", "", "none", 0, nil}}},
		"no such kind":          {[]v1alpha1.Effect{task, ofTasks}, []planned{{"tasks", "Delete", "Task", "", "", 0, nil}, {"of-tasks", "Delete", "Note", "", "", 0, nil}}},
		"an effect in disorder": {[]v1alpha1.Effect{unreadable}, []planned{{"unreadable", "Delete", "Note", "", "", 0, nil}}},
		"relations": {[]v1alpha1.Effect{leads, coached}, []planned{
			{"leads", "Transfer", "Leader", "olivia", frozenAs("*v1alpha1.Group-b"), 1, []string{"olivia"}},
			{"coached", "Unassign", "Coach,Manager", "", "none", 0, nil},
		}},
		"memberships": {[]v1alpha1.Effect{teams}, []planned{
			{"teams", "Remove", "Membership", "", frozenAs("*v1alpha1.Membership-alice-a", "*v1alpha1.Membership-alice-b"), 2, nil},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			world, situation := planning(t, v1alpha1.StateDeactivated, nil, test.effects...)
			got := known.plan(t, world, situation)
			if diff := cmp.Diff(test.want, linesOf(got)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			for i := range got {
				if diff := cmp.Diff([]v1alpha1.State{v1alpha1.StateDeactivated}, got[i].Definition.On); diff != "" {
					t.Errorf("the definition of %s does not say on what (-want +got):\n%s", got[i].Effect, diff)
				}
			}
			if len(world.Writes) > 0 {
				t.Errorf("a plan writes: %v", world.Writes)
			}
		})
	}
}

// TestASuccessorWithoutAccessIsNone, and is told about all the same.
func TestASuccessorWithoutAccessIsNone(t *testing.T) {
	leads := v1alpha1.Effect{Name: "leads", Relations: v1alpha1.RelationsEffect{Kinds: []v1alpha1.Relation{leader}, Action: "Transfer", Successors: []v1alpha1.Successor{v1alpha1.SuccessorDeclared}}}
	world, situation := planning(t, v1alpha1.StateDeactivated, nil, leads)
	situation.User.Spec.SuccessorRef.Name = "nobody"
	want := []planned{{"leads", "Transfer", "Leader", "", frozenAs("*v1alpha1.Group-b"), 1, []string{"nobody"}}}
	if diff := cmp.Diff(want, linesOf(registry(t).plan(t, world, situation))); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

// TestAPlanForTheReturn has only what there is to link again, and those kinds that cannot be listed now.
func TestAPlanForTheReturn(t *testing.T) {
	const back = `action: Anonymize, fields: [{path: spec.author, value: Removed User, onReturn: Relink}]}`
	posts := effect(t, "posts", `{reference: {fieldPath: spec.author}, `+back)
	tasks := effect(t, "tasks", `{reference: {fieldPath: spec.author}, `+back)
	tasks.Resources.Kind = "Task"
	removed := []*v1alpha1.Transition{{Spec: v1alpha1.TransitionSpec{To: v1alpha1.StateRemoved}}}

	linked := note(t, `{metadata: {name: linked, annotations: {tenure.dev/user-uid: identity-of-alice}}, spec: {author: Removed User}}`)
	for name, test := range map[string]struct {
		known known
		want  []planned
	}{
		"of what she wrote": {registry(t, linked, note(t, `{metadata: {name: new}, spec: {author: alice}}`)), []planned{
			{"posts", "Relink", "Note", "", frozenAs("uid-linked"), 1, nil}, {"tasks", "Relink", "Task", "", "", 0, nil},
		}},
		"who wrote nothing": {registry(t), []planned{{"tasks", "Relink", "Task", "", "", 0, nil}}},
	} {
		t.Run(name, func(t *testing.T) {
			world, situation := planning(t, v1alpha1.StateActive, removed, posts, tasks)
			if diff := cmp.Diff(test.want, linesOf(test.known.plan(t, world, situation))); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNothingIsPlannedOnAView that is not complete yet: the caller comes back.
func TestNothingIsPlannedOnAView(t *testing.T) {
	world, situation := planning(t, v1alpha1.StateDeactivated, nil, effect(t, "notes", `{reference: {fieldPath: spec.author}, action: Delete}`))
	planner := cascade.Planner{Reader: world, Targets: registry(t).Registry}
	if planned, err := planner.Plan(t.Context(), situation); !errors.Is(err, targets.ErrSynchronizing) || planned != nil {
		t.Errorf("got %v (%v), want %v", planned, err, targets.ErrSynchronizing)
	}
}

// TestWithoutAPolicyThereIsNoPlan, and none where no effect starts.
func TestWithoutAPolicyThereIsNoPlan(t *testing.T) {
	world, situation := planning(t, v1alpha1.StateExpired, nil, effect(t, "notes", `{reference: {fieldPath: spec.author}, action: Delete}`))
	planner := cascade.Planner{Reader: world, Targets: registry(t).Registry}
	if planned, err := planner.Plan(t.Context(), situation); err != nil || planned != nil {
		t.Errorf("another state: got %v (%v)", planned, err)
	}
	situation.Policy.Object = nil
	if planned, err := planner.Plan(t.Context(), situation); err != nil || planned != nil {
		t.Errorf("no policy: got %v (%v)", planned, err)
	}
}

package lifecycle_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

const (
	leader  = v1alpha1.RelationLeader
	manager = v1alpha1.RelationManager
	coach   = v1alpha1.RelationCoach
)

// actingFor is an entry of spec.acting; an empty name leaves the relation open.
func actingFor(relation v1alpha1.Relation, declared, name string) v1alpha1.Acting {
	return v1alpha1.Acting{Relation: relation, For: declared, Name: name, Transition: "user." + declared + ".1"}
}

func TestLeaderManagerAndCoach(t *testing.T) {
	for name, test := range map[string]struct {
		declared string
		acting   []v1alpha1.Acting
		want     string
		stands   bool
	}{
		"declared":                             {declared: "bob", want: "bob"},
		"nobody":                               {},
		"somebody stands in":                   {"bob", []v1alpha1.Acting{actingFor(leader, "bob", "olivia"), actingFor(manager, "bob", "olivia"), actingFor(coach, "bob", "olivia")}, "olivia", true},
		"left open":                            {"bob", []v1alpha1.Acting{actingFor(leader, "bob", ""), actingFor(manager, "bob", ""), actingFor(coach, "bob", "")}, "", true},
		"somebody else was declared since":     {"dan", []v1alpha1.Acting{actingFor(leader, "bob", "olivia"), actingFor(manager, "bob", "olivia"), actingFor(coach, "bob", "olivia")}, "dan", false},
		"nobody is declared any more":          {"", []v1alpha1.Acting{actingFor(leader, "bob", "olivia"), actingFor(manager, "bob", "olivia"), actingFor(coach, "bob", "olivia")}, "", false},
		"an entry of another kind is in front": {"bob", []v1alpha1.Acting{{Relation: "Other", For: "bob", Name: "eve"}, actingFor(leader, "bob", "olivia"), actingFor(manager, "bob", "olivia"), actingFor(coach, "bob", "olivia")}, "olivia", true},
	} {
		t.Run(name, func(t *testing.T) {
			ref := v1alpha1.Reference{Name: test.declared}
			check := func(relation, got string, stands bool) {
				t.Helper()
				if got != test.want || stands != test.stands {
					t.Errorf("%s is %q (stands in: %t), want %q (%t)", relation, got, stands, test.want, test.stands)
				}
			}
			got, stands := lifecycle.Leader(&v1alpha1.GroupSpec{LeaderRef: ref, Acting: test.acting})
			check("the leader", got, stands)
			got, stands = lifecycle.Manager(&v1alpha1.UserSpec{ManagerRef: ref, Acting: test.acting})
			check("the manager", got, stands)
			got, stands = lifecycle.Coach(&v1alpha1.UserSpec{CoachRef: ref, Acting: test.acting})
			check("the coach", got, stands)
		})
	}
}

// TestEachRelationHasItsOwnStandIn: a manager who stands in is no coach.
func TestEachRelationHasItsOwnStandIn(t *testing.T) {
	user := &v1alpha1.UserSpec{
		ManagerRef: v1alpha1.Reference{Name: "bob"}, CoachRef: v1alpha1.Reference{Name: "bob"},
		Acting: []v1alpha1.Acting{actingFor(manager, "bob", "olivia")},
	}
	if got, stands := lifecycle.Manager(user); got != "olivia" || !stands {
		t.Errorf("the manager is %q (stands in: %t), want olivia", got, stands)
	}
	if got, stands := lifecycle.Coach(user); got != "bob" || stands {
		t.Errorf("the coach is %q (stands in: %t), want bob", got, stands)
	}
}

func TestStillActing(t *testing.T) {
	both := []v1alpha1.Acting{actingFor(manager, "bob", "olivia"), actingFor(coach, "carol", "")}
	declared := map[v1alpha1.Relation]string{manager: "bob", coach: "carol"}
	for name, test := range map[string]struct {
		acting   []v1alpha1.Acting
		declared map[v1alpha1.Relation]string
		released []string
		want     []v1alpha1.Acting
	}{
		"nothing changed":                      {both, declared, nil, both},
		"somebody else is declared":            {both, map[v1alpha1.Relation]string{manager: "dan", coach: "carol"}, nil, both[1:]},
		"nobody is declared any more":          {both, map[v1alpha1.Relation]string{manager: "bob"}, nil, both[:1]},
		"the manager is released":              {both, declared, []string{v1alpha1.ReleaseActingManager}, both[1:]},
		"the coach is released":                {both, declared, []string{v1alpha1.ReleaseActingCoach}, both[:1]},
		"both are released":                    {both, declared, []string{v1alpha1.ReleaseActingCoach, v1alpha1.ReleaseActingManager}, nil},
		"a hold is released":                   {both, declared, []string{"audit", ""}, both},
		"the leader of something is released":  {both, declared, []string{v1alpha1.ReleaseActingLeader}, both},
		"a leader is released":                 {[]v1alpha1.Acting{actingFor(leader, "bob", "olivia")}, map[v1alpha1.Relation]string{leader: "bob"}, []string{v1alpha1.ReleaseActingLeader}, nil},
		"there is nobody":                      {nil, declared, nil, nil},
		"nothing is declared of that relation": {[]v1alpha1.Acting{actingFor(leader, "bob", "olivia")}, declared, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(test.acting)
			got := lifecycle.StillActing(test.acting, test.declared, test.released)
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("acting (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, test.acting); diff != "" {
				t.Errorf("the object's own list was changed:\n%s", diff)
			}
		})
	}
}

var (
	relations = rapid.SampledFrom([]v1alpha1.Relation{leader, manager, coach})
	people    = rapid.SampledFrom([]string{"", "alice", "bob", "carol"})

	// actings hold at most one entry for each relation, as the schema has it.
	actings = rapid.SliceOfDistinct(rapid.Custom(func(t *rapid.T) v1alpha1.Acting {
		return actingFor(relations.Draw(t, "relation"), people.Draw(t, "for"), people.Draw(t, "name"))
	}), func(a v1alpha1.Acting) v1alpha1.Relation { return a.Relation })
)

// TestStandIn puts somebody in: for one relation there is one entry, the last, and no other entry is touched.
func TestStandIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		acting := actings.Draw(t, "acting")
		before := slices.Clone(acting)
		entry := actingFor(relations.Draw(t, "relation"), people.Draw(t, "for"), people.Draw(t, "name"))
		var want []v1alpha1.Acting
		for _, a := range acting {
			if a.Relation != entry.Relation {
				want = append(want, a)
			}
		}
		want = append(want, entry)
		if diff := cmp.Diff(want, lifecycle.StandIn(acting, entry)); diff != "" {
			t.Fatalf("acting (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, acting, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the object's own list was changed:\n%s", diff)
		}
	})
}

// TestWhatIsReadIsWhatStands: who stands in is seen exactly as long as the entry goes on.
func TestWhatIsReadIsWhatStands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		user := &v1alpha1.UserSpec{
			ManagerRef: v1alpha1.Reference{Name: people.Draw(t, "manager")}, CoachRef: v1alpha1.Reference{Name: people.Draw(t, "coach")},
			Acting: actings.Draw(t, "acting"),
		}
		managerBefore, _ := lifecycle.Manager(user)
		coachBefore, _ := lifecycle.Coach(user)
		user.Acting = lifecycle.StillActing(user.Acting, map[v1alpha1.Relation]string{
			manager: user.ManagerRef.Name, coach: user.CoachRef.Name,
		}, nil)
		managerAfter, managerStands := lifecycle.Manager(user)
		coachAfter, coachStands := lifecycle.Coach(user)
		if managerBefore != managerAfter || coachBefore != coachAfter {
			t.Fatalf("manager %q and coach %q became %q and %q", managerBefore, coachBefore, managerAfter, coachAfter)
		}
		for _, a := range user.Acting {
			if a.Relation == manager && !managerStands || a.Relation == coach && !coachStands {
				t.Fatalf("entry %v goes on, and is not what is read", a)
			}
		}
	})
}

package lifecycle

import (
	"slices"

	"tenure.dev/tenure/api/v1alpha1"
)

// Leader is who leads a group now: who stands in for the declared leader, or the declared one. Empty: nobody.
func Leader(g *v1alpha1.GroupSpec) (name string, acting bool) {
	return standing(g.Acting, v1alpha1.RelationLeader, g.LeaderRef.Name)
}

// Manager is a user's line manager now, or who stands in. Empty: nobody.
func Manager(u *v1alpha1.UserSpec) (name string, acting bool) {
	return standing(u.Acting, v1alpha1.RelationManager, u.ManagerRef.Name)
}

// Coach is a user's coach now, or who stands in. Empty: nobody.
func Coach(u *v1alpha1.UserSpec) (name string, acting bool) {
	return standing(u.Acting, v1alpha1.RelationCoach, u.CoachRef.Name)
}

func standing(acting []v1alpha1.Acting, relation v1alpha1.Relation, declared string) (name string, stands bool) {
	for i := range acting {
		if acting[i].Relation == relation && acting[i].For == declared {
			return acting[i].Name, true
		}
	}
	return declared, false
}

// StillActing are those stand-ins that go on: an entry ends when the declared reference names somebody else, or when it is
// released by name.
func StillActing(acting []v1alpha1.Acting, declared map[v1alpha1.Relation]string, released []string) []v1alpha1.Acting {
	return slices.DeleteFunc(slices.Clone(acting), func(a v1alpha1.Acting) bool {
		return a.For != declared[a.Relation] || slices.Contains(released, releaseOf[a.Relation])
	})
}

// StandIn is acting with one more entry, in place of an earlier one for the same relation.
func StandIn(acting []v1alpha1.Acting, entry v1alpha1.Acting) []v1alpha1.Acting {
	others := slices.DeleteFunc(slices.Clone(acting), func(a v1alpha1.Acting) bool { return a.Relation == entry.Relation })
	return append(others, entry)
}

var releaseOf = map[v1alpha1.Relation]string{
	v1alpha1.RelationLeader:  v1alpha1.ReleaseActingLeader,
	v1alpha1.RelationManager: v1alpha1.ReleaseActingManager,
	v1alpha1.RelationCoach:   v1alpha1.ReleaseActingCoach,
}

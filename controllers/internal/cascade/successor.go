package cascade

import (
	"cmp"
	"context"
	"slices"
	"time"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
)

// mostCandidates is how many receivers a plan keeps.
const mostCandidates = 32

// Successors finds who receives the work of a user.
type Successors struct {
	Reader client.Reader
	Org    observe.Organization
	Policy observe.Policy
	User   *v1alpha1.User

	// Latched are the names of the holds that this departure has put on the user's memberships.
	Latched []string

	Now time.Time
}

// Candidates are the users to whom the ways lead, in their order: those with access, or, where none has, all of them. The user
// is none of them.
func (s Successors) Candidates(ctx context.Context, ways []v1alpha1.Successor) ([]string, error) {
	var found, active []string
	for _, way := range ways {
		names, err := s.along(ctx, way)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if name == "" || name == s.User.Name || slices.Contains(found, name) {
				continue
			}
			found = append(found, name)
			ok, err := s.Active(ctx, name)
			if err != nil {
				return nil, err
			}
			if ok {
				active = append(active, name)
			}
		}
	}
	if len(active) > 0 {
		found = active
	}
	return found[:min(len(found), mostCandidates)], nil
}

func (s Successors) along(ctx context.Context, way v1alpha1.Successor) ([]string, error) {
	switch way {
	case v1alpha1.SuccessorDeclared:
		return []string{s.User.Spec.SuccessorRef.Name}, nil
	case v1alpha1.SuccessorManager:
		manager, _ := lifecycle.Manager(&s.User.Spec)
		return []string{manager}, nil
	case v1alpha1.SuccessorCoach:
		coach, _ := lifecycle.Coach(&s.User.Spec)
		return []string{coach}, nil
	case v1alpha1.SuccessorOwner:
		return []string{s.Org.Spec().OwnerRef.Name}, nil
	case v1alpha1.SuccessorTeamLeader:
		teams, err := s.ownTeams(ctx)
		return leaders(teams), err
	case v1alpha1.SuccessorFirstTeamLeader:
		teams, err := s.teams(ctx)
		return leaders(teams), err
	default:
		return nil, nil
	}
}

// leaders of teams, the first team's first.
func leaders(teams []v1alpha1.Group) []string {
	slices.SortFunc(teams, func(a, b v1alpha1.Group) int {
		return cmp.Or(cmp.Compare(ptr.Deref(a.Spec.Priority, 0), ptr.Deref(b.Spec.Priority, 0)), cmp.Compare(a.Name, b.Name))
	})
	names := make([]string, len(teams))
	for i := range teams {
		names[i], _ = lifecycle.Leader(&teams[i].Spec)
	}
	return names
}

func (s Successors) teams(ctx context.Context) ([]v1alpha1.Group, error) {
	var teams []v1alpha1.Group
	for _, kind := range s.Org.Spec().TeamTypes {
		groups, err := index.GroupsOfType(ctx, s.Reader, s.User.Namespace, kind)
		if err != nil {
			return nil, err
		}
		teams = append(teams, groups...)
	}
	return teams, nil
}

// ownTeams are the teams of which the user was a member until the departure.
func (s Successors) ownTeams(ctx context.Context) ([]v1alpha1.Group, error) {
	memberships, err := index.MembershipsOfUser(ctx, s.Reader, s.User.Namespace, s.User.Name)
	if err != nil {
		return nil, err
	}
	var teams []v1alpha1.Group
	for i := range memberships {
		membership := &memberships[i]
		group, err := observe.Get[v1alpha1.Group](ctx, s.Reader, s.User.Namespace, membership.Spec.GroupRef.Name)
		if err != nil {
			return nil, err
		}
		if group == nil || !slices.Contains(s.Org.Spec().TeamTypes, group.Spec.Type) {
			continue
		}
		member, err := s.Belongs(ctx, membership)
		if err != nil {
			return nil, err
		}
		if member {
			teams = append(teams, *group)
		}
	}
	return teams, nil
}

// Belongs tells whether somebody would be an active member but for this departure: what it has paused or latched does not
// count.
func (s Successors) Belongs(ctx context.Context, m *v1alpha1.Membership) (bool, error) {
	without := m.DeepCopy()
	without.Spec.Holds = slices.DeleteFunc(without.Spec.Holds, func(h v1alpha1.MembershipHold) bool { return slices.Contains(s.Latched, h.Name) })
	present := lifecycle.User{Spec: &v1alpha1.UserSpec{}}
	input, err := observe.MembershipOf(ctx, s.Reader, without, &present, s.Policy.Suspension())
	return lifecycle.DecideMembership(input, s.Now).Access() == v1alpha1.AccessGranted, err
}

// Active tells whether a user has access now, by what is declared and not by a status that may be late.
func (s Successors) Active(ctx context.Context, name string) (bool, error) {
	user, err := observe.Get[v1alpha1.User](ctx, s.Reader, s.User.Namespace, name)
	if err != nil || user == nil {
		return false, err
	}
	seen, err := observe.UserAt(ctx, s.Reader, s.Org, user, s.Now)
	if err != nil {
		return false, err
	}
	return lifecycle.DecideUser(seen.Input, s.Now).Access() == v1alpha1.AccessGranted, nil
}

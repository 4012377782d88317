package cascade

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/targets"
)

// Planner plans what changes of state do.
type Planner struct {
	Reader  client.Reader
	Targets *targets.Registry
}

// Situation is a change of state, and all that its plan depends on.
type Situation struct {
	Org      observe.Organization
	Policy   observe.Policy
	User     *v1alpha1.User
	Identity string
	Change   *lifecycle.Change
	Past     []*v1alpha1.Transition // of the user, newest first
	Now      time.Time
}

// Plan is what the policy makes of a change, with the targets as they are now. The error is targets.ErrSynchronizing while
// objects are being listed for the first time; a kind that cannot be listed is planned without its targets.
func (p *Planner) Plan(ctx context.Context, s Situation) ([]v1alpha1.PlannedEffect, error) {
	if s.Policy.Object == nil {
		return nil, nil
	}
	declared := s.Policy.Object.Spec.Effects
	starting := lifecycle.EffectsOf(declared, s.User.Spec.UserType, s.Change, lifecycle.Departure(s.Past))
	relinks := lifecycle.Relinks(declared, s.Change, s.Past)
	unlinks := lifecycle.Unlinks(declared, s.Change)
	if len(starting)+len(relinks)+len(unlinks) == 0 {
		return nil, nil
	}
	person, err := NewPerson(s.User, s.Identity, s.Change.Cause.Type == v1alpha1.TransitionDeleted)
	if err != nil {
		return nil, err
	}
	pass := &planning{Planner: p, Situation: s, person: person, names: map[string][]string{}, budget: mostFrozen}
	plan, err := pass.plan(ctx, starting)
	if err != nil {
		return nil, err
	}
	links, err := pass.links(ctx, v1alpha1.ActionRelink, relinks, func(e *v1alpha1.Effect) string { return e.Name })
	if err != nil {
		return nil, err
	}
	ends, err := pass.links(ctx, v1alpha1.ActionUnlink, unlinks, func(e *v1alpha1.Effect) string { return unlinkName(&e.Resources) })
	return slices.Concat(plan, links, ends), err
}

// OwnEffects are what a change does without any policy: the holds that entering Suspended or Removed latches on each of the
// user's memberships.
func OwnEffects(change *lifecycle.Change, suspension v1alpha1.SuspensionMemberships, memberships int32) []v1alpha1.PlannedEffect {
	effect := v1alpha1.PlannedEffect{Kind: string(v1alpha1.SubjectMembership), Targets: memberships}
	switch {
	case memberships == 0:
		return nil
	case change.To == v1alpha1.StateRemoved:
		effect.Effect, effect.Action = v1alpha1.HoldUserRemoved, v1alpha1.ActionRemove
	case change.To == v1alpha1.StateSuspended && suspension == v1alpha1.SuspensionDeactivate:
		effect.Effect, effect.Action = v1alpha1.HoldUserSuspended, v1alpha1.ActionDeactivate
	default:
		return nil
	}
	return []v1alpha1.PlannedEffect{effect}
}

// planning is one pass of a Planner.
type planning struct {
	*Planner
	Situation

	person *Person
	names  map[string][]string // of the objects that earlier effects matched
	budget int
}

func (p *planning) plan(ctx context.Context, starting []v1alpha1.Effect) ([]v1alpha1.PlannedEffect, error) {
	var plan []v1alpha1.PlannedEffect
	for i := range starting {
		planned, err := p.effect(ctx, &starting[i])
		if err != nil {
			return nil, err
		}
		plan = append(plan, planned)
	}
	return plan, nil
}

// links plans what becomes of the links that earlier effects left. Where there are none, there is nothing to tell.
func (p *planning) links(ctx context.Context, action v1alpha1.EffectAction, effects []v1alpha1.Effect, name func(*v1alpha1.Effect) string) ([]v1alpha1.PlannedEffect, error) {
	var plan []v1alpha1.PlannedEffect
	for i := range effects {
		planned := v1alpha1.PlannedEffect{Effect: name(&effects[i]), Action: action, Kind: effects[i].Resources.Kind, Definition: effects[i]}
		if err := p.resources(ctx, &planned); err != nil {
			return nil, err
		}
		if planned.Targets > 0 || planned.Frozen == "" {
			plan = append(plan, planned)
		}
	}
	return plan, nil
}

// unlinkName is the name of what takes the links out of the objects of a kind: no effect of a policy's, which cannot have such
// a name, but in the ledger like one.
func unlinkName(e *v1alpha1.ResourcesEffect) string {
	group, _, _ := strings.Cut(e.APIVersion, "/")
	return Fit("unlink:" + e.Kind + "." + group)
}

// longestName is how many characters the name of a hold or of an effect may have.
const longestName = 63

// Fit shortens a name to what names may have, so that two names stay two.
func Fit(name string) string {
	if len(name) <= longestName {
		return name
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return fmt.Sprintf("%s-%08x", name[:longestName-9], h.Sum32())
}

func (p *planning) effect(ctx context.Context, effect *v1alpha1.Effect) (v1alpha1.PlannedEffect, error) {
	planned := v1alpha1.PlannedEffect{Effect: effect.Name, Definition: *effect.DeepCopy()}
	planned.Definition.On, planned.Definition.OnUnquoted = effect.States(), nil
	switch {
	case effect.Resources.Kind != "":
		planned.Action, planned.Kind = v1alpha1.EffectAction(effect.Resources.Action), effect.Resources.Kind
		if err := p.receivers(ctx, &planned, effect.Resources.Successors); err != nil {
			return planned, err
		}
		err := p.resources(ctx, &planned)
		return planned, err
	case len(effect.Relations.Kinds) > 0:
		planned.Action, planned.Kind = v1alpha1.EffectAction(effect.Relations.Action), relationKinds(effect.Relations.Kinds)
		if err := p.receivers(ctx, &planned, effect.Relations.Successors); err != nil {
			return planned, err
		}
		related, err := Related(ctx, p.Reader, p.User, effect.Relations.Kinds)
		if err != nil {
			return planned, err
		}
		if slices.ContainsFunc(related, func(o client.Object) bool { return onlyItself(o, planned.Candidates) }) {
			planned.Successor = ""
		}
		freezeInto(p, &planned, related)
	default:
		planned.Action, planned.Kind = v1alpha1.EffectAction(effect.Memberships.Action), string(v1alpha1.SubjectMembership)
		memberships, err := Memberships(ctx, p.Reader, p.User, &effect.Memberships)
		if err != nil {
			return planned, err
		}
		freezeInto(p, &planned, memberships)
	}
	return planned, nil
}

// onlyItself tells whether nobody could stand in for an object's relation but the object: nobody manages or coaches themselves.
func onlyItself(object client.Object, candidates []string) bool {
	_, user := object.(*v1alpha1.User)
	return user && !slices.ContainsFunc(candidates, func(name string) bool { return name != object.GetName() })
}

func relationKinds(kinds []v1alpha1.Relation) string {
	words := make([]string, len(kinds))
	for i, kind := range kinds {
		words[i] = string(kind)
	}
	return strings.Join(words, ",")
}

// receivers finds who receives what the effect transfers.
func (p *planning) receivers(ctx context.Context, planned *v1alpha1.PlannedEffect, ways []v1alpha1.Successor) error {
	if len(ways) == 0 {
		return nil
	}
	successors := Successors{
		Reader: p.Reader, Org: p.Org, Policy: p.Policy, User: p.User, Now: p.Now,
		Latched: lifecycle.Latched(p.Change.To, lifecycle.Departure(p.Past)),
	}
	var err error
	if planned.Candidates, err = successors.Candidates(ctx, ways); err != nil || len(planned.Candidates) == 0 {
		return err
	}
	if active, err := successors.Active(ctx, planned.Candidates[0]); err != nil || !active {
		return err
	}
	planned.Successor = planned.Candidates[0]
	return nil
}

// resources freezes what an effect on resources finds. What cannot be known now is left for the effect's turn.
func (p *planning) resources(ctx context.Context, planned *v1alpha1.PlannedEffect) error {
	effect, err := NewResources(p.User.Namespace, p.Policy.Object.Spec.ServiceAccountName, &planned.Definition)
	if err != nil {
		return nil //nolint:nilerr // It is the ledger's to tell, when the effect has its turn.
	}
	to := effect.To(p.person)
	if base := effect.Base(); base != "" {
		if _, known := p.names[base]; !known {
			if err := p.findBase(ctx, base); err != nil {
				return err
			}
		}
		names, known := p.names[base]
		if !known {
			return nil
		}
		to = ToObjects(names, nil)
	}
	look, err := p.Targets.At(effect.Source, effect.Needs)
	if err == targets.ErrSynchronizing { //nolint:errorlint // A look returns it as it is.
		return err
	}
	if err != nil {
		return nil //nolint:nilerr // The policy's status tells, and the ledger when the effect has its turn.
	}
	found := effect.Targets(ctx, look, planned.Action, p.person, to)
	names := make([]string, len(found))
	for i := range found {
		names[i] = found[i].GetName()
	}
	p.names[planned.Effect] = names
	freezeInto(p, planned, found)
	return nil
}

// findBase finds the objects of an effect on which another one depends and which this change does not start.
func (p *planning) findBase(ctx context.Context, base string) error {
	effects := p.Policy.Object.Spec.Effects
	i := slices.IndexFunc(effects, func(e v1alpha1.Effect) bool { return e.Name == base })
	if i < 0 {
		return nil
	}
	budget := p.budget
	defer func() { p.budget = budget }()
	return p.resources(ctx, &v1alpha1.PlannedEffect{Effect: base, Action: v1alpha1.ActionKeep, Definition: effects[i]})
}

func freezeInto[T metav1.Object](p *planning, planned *v1alpha1.PlannedEffect, objects []T) {
	planned.Targets = int32(min(len(objects), 1<<31-1)) //nolint:gosec // bounded
	if p.budget -= len(objects); p.budget < 0 {
		return
	}
	planned.Frozen = freeze(objects).encode()
}

// Related are the groups and users to which a user stands in one of these relations now, by declaration or as a stand-in.
func Related(ctx context.Context, reader client.Reader, user *v1alpha1.User, kinds []v1alpha1.Relation) ([]client.Object, error) {
	var related []client.Object
	for _, kind := range kinds {
		switch kind {
		case v1alpha1.RelationLeader:
			groups, err := index.GroupsLedBy(ctx, reader, user.Namespace, user.Name)
			if err != nil {
				return nil, err
			}
			for i := range groups {
				if leader, _ := lifecycle.Leader(&groups[i].Spec); leader == user.Name {
					related = append(related, &groups[i])
				}
			}
		case v1alpha1.RelationManager:
			users, err := index.UsersManagedBy(ctx, reader, user.Namespace, user.Name)
			if err != nil {
				return nil, err
			}
			related = append(related, usersOf(users, user.Name, lifecycle.Manager)...)
		case v1alpha1.RelationCoach:
			users, err := index.UsersCoachedBy(ctx, reader, user.Namespace, user.Name)
			if err != nil {
				return nil, err
			}
			related = append(related, usersOf(users, user.Name, lifecycle.Coach)...)
		}
	}
	return related, nil
}

func usersOf(users []v1alpha1.User, name string, relation func(*v1alpha1.UserSpec) (string, bool)) []client.Object {
	var related []client.Object
	for i := range users {
		if other, _ := relation(&users[i].Spec); other == name {
			related = append(related, &users[i])
		}
	}
	return related
}

// Memberships are those of a user that an effect concerns. One that is removed already is not.
func Memberships(ctx context.Context, reader client.Reader, user *v1alpha1.User, effect *v1alpha1.MembershipsEffect) ([]*v1alpha1.Membership, error) {
	all, err := index.MembershipsOfUser(ctx, reader, user.Namespace, user.Name)
	if err != nil {
		return nil, err
	}
	var concerned []*v1alpha1.Membership
	for i := range all {
		membership := &all[i]
		if !membership.DeletionTimestamp.IsZero() || membership.Spec.DesiredStatus == v1alpha1.MembershipDesiredRemoved || removed(membership) {
			continue
		}
		if len(effect.Roles) > 0 && !slices.ContainsFunc(membership.Spec.Roles, func(role string) bool { return slices.Contains(effect.Roles, role) }) {
			continue
		}
		if len(effect.GroupTypes) > 0 {
			group, err := observe.Get[v1alpha1.Group](ctx, reader, user.Namespace, membership.Spec.GroupRef.Name)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(effect.GroupTypes, ptr.Deref(group, v1alpha1.Group{}).Spec.Type) {
				continue
			}
		}
		concerned = append(concerned, membership)
	}
	return concerned, nil
}

// removed tells whether a hold has removed a membership: an earlier one, and not what this departure latches.
func removed(m *v1alpha1.Membership) bool {
	return slices.ContainsFunc(m.Spec.Holds, func(h v1alpha1.MembershipHold) bool {
		return h.Status == v1alpha1.MembershipHoldRemoved && h.Name != v1alpha1.HoldUserRemoved
	})
}

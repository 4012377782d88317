package transition

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/write"
)

// latch puts the hold of a suspension or removal on each membership that the user had when it began.
func (p *pass) latch(ctx context.Context, planned *v1alpha1.PlannedEffect) (v1alpha1.EffectProgress, error) {
	hold := lifecycle.SuspendedHold()
	if planned.Effect == v1alpha1.HoldUserRemoved {
		hold = lifecycle.RemovedHold()
	}
	memberships, err := index.MembershipsOfUser(ctx, p, p.subject.Namespace, p.subject.Name)
	if err != nil {
		return p.progressOf(planned), err
	}
	var concerned []*v1alpha1.Membership
	for i := range memberships {
		if !memberships[i].CreationTimestamp.After(p.transition.CreationTimestamp.Time) { // both by the API server's clock
			concerned = append(concerned, &memberships[i])
		}
	}
	progress := v1alpha1.EffectProgress{Name: planned.Effect, Matched: int32(len(concerned))} //nolint:gosec // a user has no 2^31 memberships
	return p.latchEach(ctx, progress, concerned, hold)
}

func (p *pass) latchEach(ctx context.Context, progress v1alpha1.EffectProgress, memberships []*v1alpha1.Membership, hold *v1alpha1.MembershipHold) (v1alpha1.EffectProgress, error) {
	var failures []error
	for _, membership := range memberships {
		if err := write.Latch(ctx, p, membership, hold); err != nil {
			progress.Failed++
			failures = append(failures, err)
			continue
		}
		progress.Done++
	}
	if len(failures) > 0 {
		progress.Message = fmt.Sprintf("%d of %d memberships could not be held yet", progress.Failed, progress.Matched)
	}
	return progress, errors.Join(failures...)
}

// runMemberships latches the hold of an effect on those memberships that it concerned at the decision.
func (p *pass) runMemberships(ctx context.Context, planned *v1alpha1.PlannedEffect) (step, error) {
	done := step{progress: v1alpha1.EffectProgress{Name: planned.Effect, Matched: planned.Targets, Done: planned.Targets}, finished: true}
	if planned.Action == v1alpha1.ActionKeep {
		return done, nil
	}
	frozen, known, err := cascade.Thaw(planned.Frozen)
	if err != nil {
		return p.failedStep(planned, err), nil
	}
	there, err := cascade.Memberships(ctx, p, p.subject, &planned.Definition.Memberships)
	if err != nil {
		return step{}, err
	}
	hold := lifecycle.EffectHold(cascade.Fit(v1alpha1.HoldOfEffect+planned.Effect), planned.Effect, v1alpha1.MembershipHoldDeactivated, p.transition)
	if planned.Action == v1alpha1.ActionRemove {
		hold.Status = v1alpha1.MembershipHoldRemoved
	}
	concerned := slices.DeleteFunc(there, func(m *v1alpha1.Membership) bool {
		return known && !frozen.Has(m) || lifecycle.HasHold(m.Spec.Holds, hold.Name)
	})
	progress := v1alpha1.EffectProgress{Name: planned.Effect, Matched: max(planned.Targets, int32(len(concerned)))} //nolint:gosec // bounded
	progress.Done = progress.Matched - int32(len(concerned))                                                        //nolint:gosec // bounded
	progress, err = p.latchEach(ctx, progress, concerned, hold)
	if apierrors.IsConflict(err) {
		return step{}, err
	}
	return p.stepOf(progress, err), nil
}

// runRelations lets somebody stand in where the user stood at the decision, or nobody.
func (p *pass) runRelations(ctx context.Context, planned *v1alpha1.PlannedEffect) (step, error) {
	frozen, known, err := cascade.Thaw(planned.Frozen)
	if err != nil {
		return p.failedStep(planned, err), nil
	}
	progress := v1alpha1.EffectProgress{Name: planned.Effect, Matched: planned.Targets}
	var failures []error
	open := 0
	for _, kind := range planned.Definition.Relations.Kinds {
		related, err := cascade.Related(ctx, p, p.subject, []v1alpha1.Relation{kind})
		if err != nil {
			return step{}, err
		}
		for _, object := range related {
			if known && !frozen.Has(object) {
				continue
			}
			open++
			err := p.standIn(ctx, planned, kind, object)
			if apierrors.IsConflict(err) {
				return step{}, err
			}
			if err != nil {
				failures = append(failures, err)
			}
		}
	}
	progress.Matched = max(progress.Matched, int32(open)) //nolint:gosec // bounded
	progress.Failed = int32(len(failures))                //nolint:gosec // bounded
	progress.Done = progress.Matched - progress.Failed
	return p.stepOf(progress, errors.Join(failures...)), nil
}

// standIn writes who takes over one relation. The reference that a person declared stays as it is.
func (p *pass) standIn(ctx context.Context, planned *v1alpha1.PlannedEffect, kind v1alpha1.Relation, object client.Object) error {
	entry := v1alpha1.Acting{Relation: kind, Transition: p.transition.Name}
	if planned.Action == v1alpha1.ActionTransfer {
		except := ""
		if user, ok := object.(*v1alpha1.User); ok {
			except = user.Name
		}
		receiver, err := p.receiver(ctx, planned, except)
		if err != nil {
			return fmt.Errorf("%s: %w", object.GetName(), err)
		}
		entry.Name = receiver.Name
	}
	switch o := object.(type) {
	case *v1alpha1.Group:
		changed := o.DeepCopy()
		entry.For = o.Spec.LeaderRef.Name
		changed.Spec.Acting = lifecycle.StandIn(o.Spec.Acting, entry)
		return write.Object(ctx, p, o, changed)
	case *v1alpha1.User:
		changed := o.DeepCopy()
		entry.For = o.Spec.ManagerRef.Name
		if kind == v1alpha1.RelationCoach {
			entry.For = o.Spec.CoachRef.Name
		}
		changed.Spec.Acting = lifecycle.StandIn(o.Spec.Acting, entry)
		return write.Object(ctx, p, o, changed)
	default:
		return fmt.Errorf("%T stands in no relation", object)
	}
}

// successors are asked about who may receive something of the user's.
func (p *pass) successors() cascade.Successors {
	return cascade.Successors{
		Reader: p, Org: p.org, Policy: p.policy, User: p.subject, Now: p.Clock.Now(),
		Latched: lifecycle.Latched(p.transition.Spec.To, p.departure),
	}
}

// receiver is who receives something of the user's now: the first of the plan's candidates who has access, or, where
// none of them has, whom the policy's ways lead to by now. Somebody who stands in for himself would be no help.
func (p *pass) receiver(ctx context.Context, planned *v1alpha1.PlannedEffect, except string) (*v1alpha1.User, error) {
	ways := planned.Definition.Resources.Successors
	if len(ways) == 0 {
		ways = planned.Definition.Relations.Successors
	}
	successors := p.successors()
	candidates := planned.Candidates
	var asked []string
	for range 2 {
		for _, name := range candidates {
			if name == except {
				continue
			}
			active, err := successors.Active(ctx, name)
			if err != nil {
				return nil, err
			}
			if !active && !slices.Contains(asked, name) {
				asked = append(asked, name)
			}
			if active {
				if user, err := observe.Get[v1alpha1.User](ctx, p, p.subject.Namespace, name); err != nil || user != nil {
					return user, err
				}
			}
		}
		var err error
		if candidates, err = successors.Candidates(ctx, ways); err != nil {
			return nil, err
		}
	}
	words := make([]string, len(ways))
	for i := range ways {
		words[i] = string(ways[i])
	}
	if len(asked) > 0 {
		return nil, fmt.Errorf("%w (%s has none; asked: %s)", cascade.ErrNoSuccessor, strings.Join(asked, ", "), strings.Join(words, ", "))
	}
	return nil, fmt.Errorf("%w (asked: %s)", cascade.ErrNoSuccessor, strings.Join(words, ", "))
}

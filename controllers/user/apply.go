package user

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/write"
)

// closeAccess takes away every grant of a user without access, before anything is written about it. Each membership does
// the same for itself; whoever comes first closes the door.
func (p *pass) closeAccess(ctx context.Context) error {
	if p.decision.Access() == v1alpha1.AccessGranted {
		return nil
	}
	return p.takeAllGrants(ctx)
}

// losesAccess tells whether the status still says that there is access.
func (p *pass) losesAccess() bool {
	return p.decision.Access() == v1alpha1.AccessDenied && p.user.Status.Access == v1alpha1.AccessGranted
}

func (p *pass) takeAllGrants(ctx context.Context) error {
	there, err := index.BindingsOfUser(ctx, p, p.user.Namespace, p.user.Name)
	if err != nil {
		return err
	}
	return p.Doors.Close(ctx, there, nil)
}

// stamp writes what the operator keeps on the object itself, in one patch: the finalizer, the identity, the first
// activity, the guards' verdict, and the release of holds.
func (p *pass) stamp(ctx context.Context) error {
	if p.user.DeletionTimestamp.IsZero() {
		controllerutil.AddFinalizer(p.user, v1alpha1.Finalizer)
	}
	write.Annotate(p.user, v1alpha1.AnnotationIdentity, p.subject().Identity())
	write.Annotate(p.user, v1alpha1.AnnotationFirstActivity, write.Timestamp(p.seen.Input.FirstActivity))
	write.Annotate(p.user, v1alpha1.AnnotationHeldOpen, write.Timestamp(p.seen.Verdict.HeldOpen))
	p.user.Spec.Acting = lifecycle.StillActing(p.user.Spec.Acting, map[v1alpha1.Relation]string{
		v1alpha1.RelationManager: p.user.Spec.ManagerRef.Name, v1alpha1.RelationCoach: p.user.Spec.CoachRef.Name,
	}, observe.Released(p.user.Annotations))
	write.Annotate(p.user, v1alpha1.AnnotationRelease, "")
	if p.outcome.Change != nil { // Before it, the confirmation may be one of a deletion that is yet to come.
		write.Annotate(p.user, v1alpha1.AnnotationConfirm, "")
	}
	return write.Object(ctx, p, p.original, p.user)
}

// record writes the change, if there is one, as a Transition.
func (p *pass) record(ctx context.Context) error {
	if p.outcome.Change == nil {
		return nil
	}
	plan, err := p.plan(ctx)
	if err != nil {
		return err
	}
	recorded, err := p.history.Record(ctx, p.Client, p.Live, history.Entry{
		Subject: p.subject(), Change: p.outcome.Change, Policy: p.policy.Snapshot(), Plan: plan, Now: p.now,
	})
	p.recorded = recorded
	return err
}

// newest is the Transition that led to the state that now holds. There always is one: the first decision is recorded too.
func (p *pass) newest() *v1alpha1.Transition {
	if p.recorded != nil {
		return p.recorded
	}
	return p.history.Newest
}

// plan is what the change does: what the policy makes of it, and the holds that entering Suspended or Removed latches on
// each of the user's memberships. A baseline has no effects.
func (p *pass) plan(ctx context.Context) ([]v1alpha1.PlannedEffect, error) {
	if p.outcome.Change.Baseline() {
		return nil, nil
	}
	if err := p.history.Confirm(ctx, p.Live); err != nil {
		return nil, err
	}
	plan, err := p.Planner.Plan(ctx, cascade.Situation{
		Org: p.org, Policy: p.policy, User: p.user, Identity: p.subject().Identity(),
		Change: p.outcome.Change, Past: p.history.All, Now: p.now,
	})
	return append(plan, cascade.OwnEffects(p.outcome.Change, p.policy.Suspension(), p.counts.Total)...), err
}

// running tells whether a Transition of the user has effects that are not done.
func (p *pass) running() bool {
	return len(p.history.Running) > 0 || p.recorded != nil && !history.Complete(p.recorded)
}

// finishDeletion lets go of a User that is being deleted, once everything is done that its end asks for. The memberships
// are listed live once more: one that was created a moment ago must not outlive its user unnoticed.
func (p *pass) finishDeletion(ctx context.Context) error {
	if p.user.DeletionTimestamp.IsZero() || p.running() {
		return nil
	}
	var memberships v1alpha1.MembershipList
	if err := p.Live.List(ctx, &memberships, client.InNamespace(p.user.Namespace), client.MatchingFields{"spec.userRef.name": p.user.Name}); err != nil {
		return fmt.Errorf("list the memberships of User %s: %w", p.user.Name, err)
	}
	for i := range memberships.Items {
		if err := write.Latch(ctx, p, &memberships.Items[i], lifecycle.RemovedHold()); err != nil {
			return err
		}
	}
	if err := p.closeAudit(ctx); err != nil {
		return err
	}
	return write.LetGo(ctx, p, p.user)
}

// errClockSkewed says that records are not erased by a clock that is off.
var errClockSkewed = errors.New("the operator's clock is off the API server's")

// closeAudit does with the records of a user whose account ends what the policy says.
func (p *pass) closeAudit(ctx context.Context) error {
	if p.policy.Object == nil || p.policy.Object.Spec.OnDelete.Audit == v1alpha1.AuditKeep {
		return nil
	}
	if _, off := p.Skew.Off(); off {
		return errClockSkewed
	}
	switch p.policy.Object.Spec.OnDelete.Audit {
	case v1alpha1.AuditDelete:
		return history.Erase(ctx, p.Client, p.subject())
	case v1alpha1.AuditAnonymize:
		return history.Anonymize(ctx, p.Client, p.Live, p.subject())
	case v1alpha1.AuditKeep:
	}
	return nil
}

// letGo is the end of a User whose whole namespace is being deleted: access is closed, and nothing else is done. It does not
// wait for its own deletion: the namespace controller comes back for what it could not delete only after many seconds.
func (p *pass) letGo(ctx context.Context) error {
	if err := p.takeAllGrants(ctx); err != nil {
		return err
	}
	return write.LetGo(ctx, p, p.user)
}

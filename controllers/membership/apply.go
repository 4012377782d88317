package membership

import (
	"context"
	"slices"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/grants"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/write"
)

// losesAccess tells whether the status still says that there is access.
func (p *pass) losesAccess() bool {
	return p.decision.Access() == v1alpha1.AccessDenied && p.membership.Status.Access == v1alpha1.AccessGranted
}

// stamp writes what the operator keeps on the object itself, in one patch: the finalizer, the identity, the hold that the
// user's state latches, and the release of holds. It comes before any grant, so that none outlives its membership.
func (p *pass) stamp(ctx context.Context) error {
	if p.membership.DeletionTimestamp.IsZero() {
		controllerutil.AddFinalizer(p.membership, v1alpha1.Finalizer)
	}
	write.Annotate(p.membership, v1alpha1.AnnotationIdentity, p.subject().Identity())
	write.Annotate(p.membership, v1alpha1.AnnotationRelease, "")
	if p.decision.Latch != nil {
		if err := p.confirmLatch(ctx); err != nil {
			return err
		}
		p.membership.Spec.Holds = append(slices.Clone(p.membership.Spec.Holds), *p.decision.Latch)
	}
	return write.Object(ctx, p, p.original, p.membership)
}

// record writes the change, if there is one, as a Transition.
func (p *pass) record(ctx context.Context) error {
	if p.outcome.Change == nil {
		return nil
	}
	recorded, err := p.history.Record(ctx, p.Client, p.Live, history.Entry{Subject: p.subject(), Change: p.outcome.Change, Now: p.now})
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

// giveGrants comes last. While new access must wait, what was given before is put right and nothing is added.
func (p *pass) giveGrants(ctx context.Context) (err error) {
	wanted := p.wanted
	if reason, _ := p.waiting(); reason != "" {
		wanted = slices.DeleteFunc(slices.Clone(wanted), p.missing)
	}
	p.given, err = grants.Give(ctx, p.Client, p.Live, p.bindings, wanted)
	return err
}

// Nobody tells the operator when a role becomes grantable or a quota has room, so it asks again: soon after the refusal,
// and less and less often.
const (
	askAgainFirst = time.Second
	askAgainLast  = 5 * time.Minute
)

// nextPass is when to look again if nothing happens: at the next deadline, or to ask again for what was refused.
func (p *pass) nextPass() time.Time {
	if len(p.given.Refused) == 0 {
		return p.decision.Wake
	}
	refused := meta.FindStatusCondition(p.membership.Status.Conditions, v1alpha1.ConditionReady).LastTransitionTime
	again := p.now.Add(min(max(p.now.Sub(refused.Time), askAgainFirst), askAgainLast))
	if !p.decision.Wake.IsZero() && p.decision.Wake.Before(again) {
		return p.decision.Wake
	}
	return again
}

// waiting is wait, for a membership that has something new to grant.
func (p *pass) waiting() (reason, message string) {
	if !slices.ContainsFunc(p.wanted, p.missing) {
		return "", ""
	}
	return p.wait()
}

func (p *pass) missing(wanted *rbacv1.RoleBinding) bool {
	return !slices.ContainsFunc(p.bindings, func(there rbacv1.RoleBinding) bool {
		return there.Namespace == wanted.Namespace && there.Name == wanted.Name && there.RoleRef == wanted.RoleRef
	})
}

// finishDeletion lets go of a Membership whose access is closed and whose end is recorded.
func (p *pass) finishDeletion(ctx context.Context) error {
	return write.LetGo(ctx, p, p.membership)
}

// letGo is the end of a Membership whose whole namespace is being deleted: access is closed, and nothing else is done. It does not
// wait for its own deletion: the namespace controller comes back for what it could not delete only after many seconds.
func (p *pass) letGo(ctx context.Context) error {
	if err := p.Doors.Close(ctx, p.bindings, nil); err != nil {
		return err
	}
	return write.LetGo(ctx, p, p.membership)
}

// closeOrphaned takes away RoleBindings of a Membership that is not there, such as one that somebody forced out past its
// finalizer.
func (r *Reconciler) closeOrphaned(ctx context.Context, req ctrl.Request) error {
	orphaned, err := index.BindingsOfMembership(ctx, r, req.Namespace, req.Name)
	if err != nil {
		return err
	}
	return r.Doors.Close(ctx, orphaned, nil)
}

// Package membership reconciles Memberships: it computes the state from the membership's and its user's declarations,
// gives and takes the grants of the group's roles, latches what a suspension or removal of the user leaves behind,
// records each change as a Transition, and writes the status.
package membership

import (
	"context"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/grants"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/wake"
)

// Reconciler reconciles Memberships.
type Reconciler struct {
	client.Client

	// Live reads from the API server, past the cache.
	Live client.Reader

	// Doors close what the membership's state no longer gives.
	Doors *grants.Doors

	Clock    clock.PassiveClock
	Recorder events.EventRecorder

	line wake.Line
}

// Reconcile brings one Membership to what is declared.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	membership, err := observe.Get[v1alpha1.Membership](ctx, r, req.Namespace, req.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	if membership == nil {
		return ctrl.Result{}, r.closeOrphaned(ctx, req)
	}
	return wake.OnConflict(r.reconcile(ctx, membership))
}

func (r *Reconciler) reconcile(ctx context.Context, membership *v1alpha1.Membership) (ctrl.Result, error) {
	p := &pass{Reconciler: r, original: membership, membership: membership.DeepCopy(), now: r.Clock.Now()}
	if err := p.observe(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if p.org.Terminating {
		return ctrl.Result{}, p.letGo(ctx)
	}
	p.decide()
	if err := p.Doors.Close(ctx, p.bindings, p.wanted); err != nil {
		return ctrl.Result{}, err
	}
	if p.losesAccess() && r.line.Yield(membership) {
		// Of a thousand that end in one second, all doors come before the first word about any of them.
		return wake.Last(), nil
	}
	if err := p.stamp(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if err := p.record(ctx); err != nil {
		return ctrl.Result{}, err
	}
	refused := p.giveGrants(ctx)
	if err := p.persist(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if refused != nil {
		return ctrl.Result{}, refused
	}
	if !p.membership.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, p.finishDeletion(ctx)
	}
	return wake.At(p.nextPass(), r.Clock), nil
}

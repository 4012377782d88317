// Package user reconciles Users: it computes the state, closes access that the state no longer gives, records each
// change as a Transition, and writes the status.
package user

import (
	"context"
	"errors"
	"time"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/grants"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/skew"
	"tenure.dev/tenure/controllers/internal/targets"
	"tenure.dev/tenure/controllers/internal/wake"
)

// Reconciler reconciles Users.
type Reconciler struct {
	client.Client

	// Live reads from the API server, past the cache.
	Live client.Reader

	// Planner plans what the policy's effects do.
	Planner *cascade.Planner

	// Doors close what the user's state no longer gives.
	Doors *grants.Doors

	// Skew tells when no records may be erased.
	Skew skew.Source

	Clock    clock.PassiveClock
	Recorder events.EventRecorder

	line wake.Line
}

// moment is how soon to look again while objects are being listed that a plan needs.
const moment = 100 * time.Millisecond

// skewPatience is how soon to look again whether the clock is right.
const skewPatience = 3 * time.Second

// +kubebuilder:rbac:groups=tenure.dev,resources=users,verbs=get;list;watch;update;patch

// Reconcile brings one User to what is declared.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	user, err := observe.Get[v1alpha1.User](ctx, r, req.Namespace, req.Name)
	if user == nil || err != nil {
		return ctrl.Result{}, err
	}
	return wake.OnConflict(r.reconcile(ctx, user))
}

func (r *Reconciler) reconcile(ctx context.Context, user *v1alpha1.User) (ctrl.Result, error) {
	p := &pass{Reconciler: r, original: user, user: user.DeepCopy(), now: r.Clock.Now()}
	if err := p.observe(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if p.org.Terminating {
		return ctrl.Result{}, p.letGo(ctx)
	}
	p.decide()
	if err := p.closeAccess(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if p.losesAccess() && r.line.Yield(user) {
		// Of a thousand who expire in one second, all doors come before the first word about any of them.
		return wake.Last(), nil
	}
	if err := p.stamp(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if err := p.record(ctx); errors.Is(err, targets.ErrSynchronizing) {
		return ctrl.Result{RequeueAfter: moment}, nil
	} else if err != nil {
		return ctrl.Result{}, err
	}
	if err := p.persist(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if err := p.finishDeletion(ctx); errors.Is(err, errClockSkewed) {
		return ctrl.Result{RequeueAfter: skewPatience}, nil
	} else if err != nil {
		return ctrl.Result{}, err
	}
	return wake.At(p.decision.Wake, r.Clock), nil
}

// Package transition works off the plans of Transitions and keeps the ledger, and lets go of records that are older than
// the organization keeps them.
package transition

import (
	"context"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/wake"
	"tenure.dev/tenure/controllers/internal/watch"
)

// Reconciler reconciles Transitions.
type Reconciler struct {
	client.Client

	Clock    clock.PassiveClock
	Recorder events.EventRecorder
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("transition").
		Watches(&v1alpha1.Transition{}, watch.Self()).
		Watches(&v1alpha1.Organization{}, watch.Declared(r.ofOrganization)).
		WithOptions(options).
		Complete(r)
}

// ofOrganization are all Transitions of an organization: how long they are kept may have changed.
func (r *Reconciler) ofOrganization(ctx context.Context, org *v1alpha1.Organization) ([]reconcile.Request, error) {
	transitions, err := index.AllTransitionsOf(ctx, r, org.Namespace)
	return watch.Requests(transitions), err
}

// Reconcile works off one Transition, or, once it is complete, sees to its end.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	transition, err := observe.Get[v1alpha1.Transition](ctx, r, req.Namespace, req.Name)
	if transition == nil || err != nil || !transition.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, err
	}
	org, err := observe.OrganizationOf(ctx, r, req.Namespace)
	if err != nil || org.Terminating {
		return ctrl.Result{}, err
	}
	if !history.Accounted(transition) {
		return wake.OnConflict(ctrl.Result{}, r.work(ctx, transition))
	}
	return wake.OnConflict(r.retain(ctx, org, transition))
}

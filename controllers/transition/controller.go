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
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/skew"
	"tenure.dev/tenure/controllers/internal/targets"
	"tenure.dev/tenure/controllers/internal/wake"
	"tenure.dev/tenure/controllers/internal/watch"
)

// Reconciler reconciles Transitions.
type Reconciler struct {
	client.Client

	// Live reads from the API server, past the cache.
	Live client.Reader

	Clock    clock.PassiveClock
	Recorder events.EventRecorder

	// Skew tells when nothing may be destroyed, because what is due by the operator's clock may not be: access that ends too early
	// comes back, but not what is gone.
	Skew skew.Source

	// Sources are the objects that effects act on.
	Sources *targets.Registry

	sweeps sweeps
	slots  slots
}

// kind by which Transitions demand what they need.
const kind = "Transition"

// requests is how many requests effects make at the same time.
const requests = 16

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	r.slots = newSlots(requests)
	return ctrl.NewControllerManagedBy(mgr).
		Named("transition").
		Watches(&v1alpha1.Transition{}, watch.Self()).
		Watches(&v1alpha1.Transition{}, watch.Presence(r.running)).
		Watches(&v1alpha1.Organization{}, watch.Declared(r.ofOrganization)).
		WatchesRawSource(source.Channel(r.Sources.Changes(kind), &handler.EnqueueRequestForObject{})).
		WithOptions(options).
		Complete(r)
}

// running are those Transitions of the same subject whose effects are not all done: what came now may have overtaken them.
func (r *Reconciler) running(ctx context.Context, t *v1alpha1.Transition) ([]reconcile.Request, error) {
	if t.Spec.Subject.Kind != v1alpha1.SubjectUser {
		return nil, nil
	}
	all, err := index.TransitionsOf(ctx, r, t.Namespace, t.Spec.Subject.Kind, t.Spec.Subject.Name)
	var requests []reconcile.Request
	for i := range all {
		if all[i].Name != t.Name && !history.Accounted(&all[i]) {
			requests = append(requests, watch.Request(t.Namespace, all[i].Name))
		}
	}
	return requests, err
}

// ofOrganization are all Transitions of an organization: how long they are kept may have changed.
func (r *Reconciler) ofOrganization(ctx context.Context, org *v1alpha1.Organization) ([]reconcile.Request, error) {
	transitions, err := index.AllTransitionsOf(ctx, r, org.Namespace)
	return watch.Requests(transitions), err
}

// Reconcile works off one Transition, or, once it is complete, sees to its end. The ledger of a nameless one is written by who
// takes the name out.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	transition, err := observe.Get[v1alpha1.Transition](ctx, r, req.Namespace, req.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	if transition == nil || !transition.DeletionTimestamp.IsZero() {
		r.end(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	org, err := observe.OrganizationOf(ctx, r, req.Namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	if org.Terminating {
		r.end(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	if !history.Accounted(transition) && !history.Nameless(transition) {
		return wake.OnConflict(r.work(ctx, org, transition))
	}
	r.end(req.NamespacedName)
	if err := r.remember(ctx, transition); err != nil {
		return wake.OnConflict(ctrl.Result{}, err)
	}
	return wake.OnConflict(r.retain(ctx, org, transition))
}

// number of the Transition among its subject's.
func number(t *v1alpha1.Transition) int { return history.Number(t.Name) }

package organization

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/wake"
	"tenure.dev/tenure/controllers/internal/watch"
)

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	r.users = newTally()
	r.pace = &wake.Pace{Clock: r.Clock, Interval: interval}
	return ctrl.NewControllerManagedBy(mgr).
		Named("organization").
		Watches(&v1alpha1.Organization{}, watch.Self()).
		Watches(&v1alpha1.User{}, r.users.Handler()).
		Watches(&v1alpha1.User{}, watch.When(heldOpen, ofUser)).
		Watches(&v1alpha1.LifecyclePolicy{}, watch.Presence(ofPolicy)).
		WithOptions(options).
		Complete(r)
}

func heldOpen(before, after *v1alpha1.User) bool {
	return before.Annotations[v1alpha1.AnnotationHeldOpen] != after.Annotations[v1alpha1.AnnotationHeldOpen]
}

func ofUser(_ context.Context, u *v1alpha1.User) ([]reconcile.Request, error) { return ofNamespace(u) }

func ofPolicy(_ context.Context, p *v1alpha1.LifecyclePolicy) ([]reconcile.Request, error) {
	return ofNamespace(p)
}

func ofNamespace(object client.Object) ([]reconcile.Request, error) {
	return []reconcile.Request{watch.Request(object.GetNamespace(), object.GetNamespace())}, nil
}

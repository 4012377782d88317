package lifecyclepolicy

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/targets"
	"tenure.dev/tenure/controllers/internal/watch"
)

// Watcher has the kinds watched that policies are about, on every replica: a standby foretells what a change will do as well as
// the leader, and has the objects at hand when it takes over.
type Watcher struct {
	client.Client

	// Sources are the objects that effects act on.
	Sources *targets.Registry
}

// SetupWithManager adds the watcher to a manager.
func (w *Watcher) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	options.NeedLeaderElection = new(false)
	options.EnableWarmup = nil
	return ctrl.NewControllerManagedBy(mgr).
		Named("lifecyclepolicy-sources").
		Watches(&v1alpha1.LifecyclePolicy{}, watch.Self()).
		WithOptions(options).
		Complete(w)
}

// Reconcile demands what the effects of one LifecyclePolicy need.
func (w *Watcher) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	policy, err := observe.Get[v1alpha1.LifecyclePolicy](ctx, w, req.Namespace, req.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	org, err := observe.OrganizationOf(ctx, w, req.Namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	demand(w.Sources, req, policy, org)
	return ctrl.Result{}, nil
}

// demand has the kinds watched that a policy is about, and lets those go that it no longer is.
func demand(sources *targets.Registry, req ctrl.Request, policy *v1alpha1.LifecyclePolicy, org observe.Organization) {
	var needs map[targets.Source]targets.Needs
	if policy != nil && !org.Terminating {
		needs = cascade.NeedsOf(policy.Namespace, policy.Spec.ServiceAccountName, policy.Spec.Effects)
	}
	sources.Demand(targets.Owner(kind, req.NamespacedName), needs)
}

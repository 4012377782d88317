// Package lifecyclepolicy reconciles LifecyclePolicies: it says whether what a policy declares is in force.
package lifecyclepolicy

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/summary"
	"tenure.dev/tenure/controllers/internal/wake"
	"tenure.dev/tenure/controllers/internal/watch"
	"tenure.dev/tenure/controllers/internal/write"
)

// Reconciler reconciles LifecyclePolicies.
type Reconciler struct {
	client.Client

	Clock clock.PassiveClock
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("lifecyclepolicy").
		Watches(&v1alpha1.LifecyclePolicy{}, watch.Self()).
		WithOptions(options).
		Complete(r)
}

// Reconcile brings the status of one LifecyclePolicy up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	before, err := observe.Get[v1alpha1.LifecyclePolicy](ctx, r, req.Namespace, req.Name)
	if before == nil || err != nil || !before.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, err
	}
	policy := before.DeepCopy()
	policy.Status.ObservedGeneration = policy.Generation
	condition := ready(policy)
	condition.ObservedGeneration = policy.Generation
	condition.LastTransitionTime = metav1.NewTime(r.Clock.Now())
	meta.SetStatusCondition(&policy.Status.Conditions, condition)
	_, err = write.Status(ctx, r, before, policy)
	return wake.OnConflict(ctrl.Result{}, err)
}

// ready is honest about what this version does with a policy: suspension and messages are in force, effects are not run.
func ready(policy *v1alpha1.LifecyclePolicy) metav1.Condition {
	if n := len(policy.Spec.Effects); n > 0 {
		return summary.Condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonEffectsNotRun,
			fmt.Sprintf("This version of Tenure runs no effects: the %d that are declared are ignored; suspension and messages are in force", n))
	}
	return summary.Condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReconciled, "What is declared is in force")
}

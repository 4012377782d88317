// Package lifecyclepolicy reconciles LifecyclePolicies: it has the kinds watched that a policy's effects are about, and says
// whether what the policy declares is in force.
package lifecyclepolicy

import (
	"context"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/summary"
	"tenure.dev/tenure/controllers/internal/targets"
	"tenure.dev/tenure/controllers/internal/wake"
	"tenure.dev/tenure/controllers/internal/watch"
	"tenure.dev/tenure/controllers/internal/write"
)

// kind by which policies demand what they need.
const kind = "LifecyclePolicy"

// patience is how soon to look again at a kind of which nobody tells when it comes, such as an aggregated API's.
const patience = time.Minute

// moment is how soon to look again while objects are being listed for the first time.
const moment = time.Second

// eventNotReady is the reason of the Event that says what of a policy is not in force.
const eventNotReady = "NotReady"

// Reconciler reconciles LifecyclePolicies.
type Reconciler struct {
	client.Client

	// Sources are the objects that effects act on.
	Sources *targets.Registry

	Clock    clock.PassiveClock
	Recorder events.EventRecorder
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	definitions := &metav1.PartialObjectMetadata{}
	definitions.SetGroupVersionKind(customResourceDefinitions)
	return ctrl.NewControllerManagedBy(mgr).
		Named("lifecyclepolicy").
		Watches(&v1alpha1.LifecyclePolicy{}, watch.Self()).
		Watches(definitions, handler.EnqueueRequestsFromMapFunc(r.retry), builder.OnlyMetadata).
		WatchesRawSource(source.Channel(r.Sources.Changes(kind), &handler.EnqueueRequestForObject{})).
		WithOptions(options).
		Complete(r)
}

// Reconcile brings the status of one LifecyclePolicy up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	before, err := observe.Get[v1alpha1.LifecyclePolicy](ctx, r, req.Namespace, req.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	org, err := observe.OrganizationOf(ctx, r, req.Namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	demand(r.Sources, req, before, org)
	if before == nil || org.Terminating {
		return ctrl.Result{}, nil
	}

	policy := before.DeepCopy()
	policy.Status.ObservedGeneration = policy.Generation
	condition, listing := r.ready(policy)
	if listing && judged(before) {
		// The operator has started again: what it said then holds until it knows better.
		return ctrl.Result{RequeueAfter: moment}, nil
	}
	summary.Set(&policy.Status.Conditions, policy.Generation, r.Clock.Now(), condition)
	written, err := write.Status(ctx, r, before, policy)
	if written {
		r.tellNotReady(before, policy)
	}
	if condition.Status == metav1.ConditionTrue {
		return wake.OnConflict(ctrl.Result{}, err)
	}
	return wake.OnConflict(ctrl.Result{RequeueAfter: patience}, err)
}

// judged tells whether the status says of what is declared now whether it is in force.
func judged(policy *v1alpha1.LifecyclePolicy) bool {
	ready := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.ObservedGeneration == policy.Generation
}

// retry makes what fails try again at once when a definition of its group has come, gone or changed. Nothing is to be
// reconciled before that has an outcome.
func (r *Reconciler) retry(_ context.Context, definition client.Object) []reconcile.Request {
	_, group, _ := strings.Cut(definition.GetName(), ".")
	r.Sources.Retry(func(s targets.Source) bool { return s.Kind.Group == group })
	return nil
}

func (r *Reconciler) tellNotReady(before, after *v1alpha1.LifecyclePolicy) {
	was, is := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady), meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionReady)
	if is.Status == metav1.ConditionFalse && is.Reason != v1alpha1.ReasonSynchronizing && (was == nil || was.Message != is.Message) {
		summary.Warning(r.Recorder, after, eventNotReady, is.Message)
	}
}

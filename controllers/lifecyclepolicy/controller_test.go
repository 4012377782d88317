package lifecyclepolicy_test

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/targets"
	"tenure.dev/tenure/controllers/internal/worldtest"
	"tenure.dev/tenure/controllers/lifecyclepolicy"
)

// unlisted is an operator that has just started, in a world where listing work takes its time.
func unlisted(t *testing.T, stands ...metav1.Condition) (*worldtest.World, *lifecyclepolicy.Reconciler, *clocktesting.FakeClock) {
	t.Helper()
	w := worldtest.New(t,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}},
		&v1alpha1.LifecyclePolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "employees", Namespace: "acme"},
			Spec: v1alpha1.LifecyclePolicySpec{ServiceAccountName: "lifecycle", Effects: []v1alpha1.Effect{{
				Name: "work", Resources: v1alpha1.ResourcesEffect{
					APIVersion: "work.example.com/v1", Kind: "Work", Action: v1alpha1.ResourceAction(v1alpha1.ActionDelete),
					Reference: v1alpha1.ResourceReference{FieldPath: "spec.owner"},
				},
			}}},
			Status: v1alpha1.LifecyclePolicyStatus{ObservedGeneration: 1, Conditions: stands},
		})
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(schema.GroupVersionKind{Group: "work.example.com", Version: "v1", Kind: "Work"}, meta.RESTScopeNamespace)
	clock := clocktesting.NewFakeClock(worldtest.Start)
	sources := targets.NewConnecting(t.Context(),
		func(string, string) (dynamic.Interface, error) { return nil, errors.New("nothing is listed yet") },
		func() (discovery.ServerResourcesInterface, error) { return nil, errors.New("nobody discovers") },
		mapper, clock)
	return w, &lifecyclepolicy.Reconciler{Client: w, Sources: sources, Clock: clock, Recorder: w.Recorder}, clock
}

func pass(t *testing.T, r *lifecyclepolicy.Reconciler) ctrl.Result {
	t.Helper()
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "acme", Name: "employees"}})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestRestartDoesNotTouchWhatIsSaidAboutAPolicy(t *testing.T) {
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReconciled, ObservedGeneration: 1}
	edited := ready
	edited.ObservedGeneration = 0
	for _, test := range []struct {
		name   string
		stands []metav1.Condition
		after  time.Duration
		writes int
		again  time.Duration
	}{
		{name: "a moment after the restart", stands: []metav1.Condition{ready}, again: time.Second},
		{name: "when it takes long", stands: []metav1.Condition{ready}, after: 16 * time.Second, writes: 1, again: time.Minute},
		{name: "edited meanwhile", stands: []metav1.Condition{edited}, writes: 1, again: time.Minute},
		{name: "new", writes: 1, again: time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, r, clock := unlisted(t, test.stands...)
			result := pass(t, r)
			if test.after > 0 {
				clock.Step(test.after)
				result = pass(t, r)
			}
			if len(w.Writes) != test.writes || result.RequeueAfter != test.again {
				t.Errorf("%d writes and the next pass after %s, want %d and %s: %v", len(w.Writes), result.RequeueAfter, test.writes, test.again, w.Writes)
			}
		})
	}
}

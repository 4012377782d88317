package membership_test

import (
	"context"
	"testing"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/grants"
	"tenure.dev/tenure/controllers/membership"
)

// staleMembership is a cache whose Membership is an older one.
type staleMembership struct {
	client.Client
	older *v1alpha1.Membership
}

func (c staleMembership) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if m, ok := object.(*v1alpha1.Membership); ok {
		c.older.DeepCopyInto(m)
		return nil
	}
	return c.Client.Get(ctx, key, object, opts...)
}

func TestMembershipThatIsOlderThanItsHistoryIsNotBelieved(t *testing.T) {
	w := acme(t)
	mustReconcile(t, w)
	key, older := client.ObjectKey{Namespace: "acme", Name: "kate-north"}, &v1alpha1.Membership{}
	if err := w.Get(t.Context(), key, older); err != nil {
		t.Fatal(err)
	}
	declared := older.DeepCopy()
	declared.Spec.DesiredStatus = v1alpha1.MembershipDesiredDeactivated
	if err := w.Update(t.Context(), declared); err != nil {
		t.Fatal(err)
	}
	mustReconcile(t, w)
	w.Forget()

	r := &membership.Reconciler{
		Client: staleMembership{w, older}, Live: w, Doors: grants.NewDoors(w, clock.RealClock{}), Clock: w.Clock, Recorder: w.Recorder,
	}
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
	if err != nil || result.RequeueAfter <= 0 {
		t.Errorf("next pass after %s, error %v, want one in a moment", result.RequeueAfter, err)
	}
	expectWrites(t, w)
}

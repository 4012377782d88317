package membership_test

import (
	"testing"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/grants"
	"tenure.dev/tenure/controllers/internal/worldtest"
	"tenure.dev/tenure/controllers/membership"
)

// reconcileWith makes a pass on a cache that is behind the world.
func reconcileWith(t *testing.T, cache client.Client, w *worldtest.World) ctrl.Result {
	t.Helper()
	r := &membership.Reconciler{Client: cache, Live: w, Doors: grants.NewDoors(w, clock.RealClock{}), Clock: w.Clock, Recorder: w.Recorder}
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "acme", Name: "kate-north"}})
	if err != nil {
		t.Fatal(err)
	}
	return result
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

	if result := reconcileWith(t, worldtest.Behind{Client: w, Older: older}, w); result.RequeueAfter <= 0 {
		t.Error("nobody looks again")
	}
	expectWrites(t, w)
}

// A hold that only a person takes away is not put because of a user who was suspended once.
func TestUserWhoIsNotSuspendedAnyMoreHasNothingHeld(t *testing.T) {
	w := acme(t)
	mustReconcile(t, w)
	suspended := &v1alpha1.User{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "kate"}, suspended); err != nil {
		t.Fatal(err)
	}
	suspended.Spec.DesiredStatus = v1alpha1.UserDesiredSuspended
	w.Forget()

	if result := reconcileWith(t, worldtest.Behind{Client: w, Older: suspended}, w); result.RequeueAfter <= 0 {
		t.Error("nobody looks again")
	}
	expectWrites(t, w, "delete RoleBinding in sales")

	if err := w.Update(t.Context(), suspended); err != nil {
		t.Fatal(err)
	}
	w.Forget()
	mustReconcile(t, w)
	expectWrites(t, w, "patch Membership kate-north", "create Transition membership.kate-north.2", "patch status of Membership kate-north")
}

package user_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/grants"
	"tenure.dev/tenure/controllers/internal/skew"
	"tenure.dev/tenure/controllers/internal/worldtest"
	"tenure.dev/tenure/controllers/user"
)

// reconcileWith makes a pass on a cache that is behind the world.
func reconcileWith(t *testing.T, cache client.Client, w *worldtest.World) ctrl.Result {
	t.Helper()
	r := &user.Reconciler{
		Client: cache, Live: w, Planner: &cascade.Planner{Reader: cache}, Doors: grants.NewDoors(w, clock.RealClock{}),
		Skew: (*skew.Meter)(nil), Clock: w.Clock, Recorder: w.Recorder,
	}
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "acme", Name: "kate"}})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func declare(t *testing.T, w *worldtest.World, status v1alpha1.UserDesiredStatus) {
	t.Helper()
	declared := kate(t, w)
	declared.Spec.DesiredStatus = status
	if err := w.Update(t.Context(), declared); err != nil {
		t.Fatal(err)
	}
}

func TestUserThatIsOlderThanItsHistoryIsNotBelieved(t *testing.T) {
	w := acme(t)
	mustReconcile(t, w)
	older := kate(t, w)
	declare(t, w, v1alpha1.UserDesiredDeactivated)
	mustReconcile(t, w)
	w.Forget()

	if result := reconcileWith(t, worldtest.Behind{Client: w, Older: older}, w); result.RequeueAfter <= 0 {
		t.Error("nobody looks again")
	}
	expectWrites(t, w)
}

// remembering is a cache that has a Transition which is no more.
type remembering struct {
	client.Client
	gone v1alpha1.Transition
}

func (c remembering) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := c.Client.List(ctx, list, opts...)
	if transitions, ok := list.(*v1alpha1.TransitionList); ok {
		transitions.Items = append(transitions.Items, c.gone)
	}
	return err
}

func TestFirstRecordIsNotNumberedAfterOneThatIsNoMore(t *testing.T) {
	w := acme(t)
	before := v1alpha1.Transition{
		ObjectMeta: metav1.ObjectMeta{Name: "user.kate.1", Namespace: "acme"},
		Spec:       v1alpha1.TransitionSpec{Subject: v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: "kate", UID: "before", Identity: "before"}},
	}
	if result := reconcileWith(t, remembering{w, before}, w); result.RequeueAfter <= 0 {
		t.Error("nobody looks again")
	}
	if slices.ContainsFunc(w.Writes, func(write string) bool { return strings.HasPrefix(write, "create Transition") }) {
		t.Errorf("writes %v", w.Writes)
	}

	if err := w.Create(t.Context(), &before); err != nil {
		t.Fatal(err)
	}
	reconcileWith(t, w, w)
	recordNamed(t, w, "user.kate.2")
}

// behindLedger is a cache that has a Transition as it was created, or not at all.
type behindLedger struct {
	client.Client
	name    string
	without bool
}

func (c behindLedger) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if c.without {
		return behind{c.Client, c.name}.List(ctx, list, opts...)
	}
	err := c.Client.List(ctx, list, opts...)
	if transitions, ok := list.(*v1alpha1.TransitionList); ok {
		for i := range transitions.Items {
			if transitions.Items[i].Name == c.name {
				transitions.Items[i].Status = v1alpha1.TransitionStatus{}
			}
		}
	}
	return err
}

func (c behindLedger) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if _, ok := object.(*v1alpha1.Transition); ok && c.without && key.Name == c.name {
		return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("transitions").GroupResource(), key.Name)
	}
	return c.Client.Get(ctx, key, object, opts...)
}

func TestLedgerThatTheCacheLacksCounts(t *testing.T) {
	half := ledger()
	half.Conditions[0].Reason = v1alpha1.ReasonSuperseded
	half.Effects[0].Name = "teams"
	done := ledger()
	for _, test := range []struct {
		name    string
		ledger  v1alpha1.TransitionStatus
		without bool
		want    []string
	}{
		{name: "done", ledger: done},
		{name: "stopped half-way", ledger: half, want: []string{"teams"}},
		{name: "stopped half-way, in a record that the cache lacks", ledger: half, without: true, want: []string{"teams"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := acme(t, &v1alpha1.LifecyclePolicy{
				ObjectMeta: metav1.ObjectMeta{Name: "leavers", Namespace: "acme"},
				Spec: v1alpha1.LifecyclePolicySpec{Effects: []v1alpha1.Effect{{
					Name: "teams", On: []v1alpha1.State{v1alpha1.StateDeactivated, v1alpha1.StateSuspended},
					Memberships: v1alpha1.MembershipsEffect{Action: v1alpha1.MembershipAction(v1alpha1.ActionRemove)},
				}}},
			})
			u := kate(t, w)
			u.Spec.PolicyRef.Name = "leavers"
			if err := w.Update(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			reconcileWith(t, w, w)
			declare(t, w, v1alpha1.UserDesiredDeactivated)
			reconcileWith(t, w, w)
			setLedger(t, w, "user.kate.2", test.ledger)

			declare(t, w, v1alpha1.UserDesiredSuspended)
			reconcileWith(t, behindLedger{w, "user.kate.2", test.without}, w)
			var planned []string
			for _, effect := range recordNamed(t, w, "user.kate.3").Spec.Plan {
				planned = append(planned, effect.Effect)
			}
			if diff := cmp.Diff(test.want, planned); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

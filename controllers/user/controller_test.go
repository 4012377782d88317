package user_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/grants"
	"tenure.dev/tenure/controllers/internal/skew"
	"tenure.dev/tenure/controllers/internal/worldtest"
	"tenure.dev/tenure/controllers/user"
)

// expiry is when Kate's account ends in the worlds of these tests.
var expiry = worldtest.Start.Add(time.Minute)

// acme is an organization with Kate, who has a grant until she expires.
func acme(t *testing.T, more ...client.Object) *worldtest.World {
	t.Helper()
	return worldtest.New(t, append(more,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}},
		&v1alpha1.Organization{
			ObjectMeta: metav1.ObjectMeta{Name: "acme", Namespace: "acme"},
			Spec:       v1alpha1.OrganizationSpec{Roles: []string{"Member", "Admin"}, AdminRoles: []string{"Admin"}},
		},
		&v1alpha1.User{
			ObjectMeta: metav1.ObjectMeta{Name: "kate", Namespace: "acme"},
			Spec:       v1alpha1.UserSpec{UserName: "kate@acme.example", ExpirationTime: metav1.NewTime(expiry)},
		},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "sales", Labels: map[string]string{
			v1alpha1.LabelOrganization: "acme", v1alpha1.LabelUser: "kate",
		}}},
	)...)
}

func reconcile(t *testing.T, w *worldtest.World) (ctrl.Result, error) {
	t.Helper()
	r := &user.Reconciler{Client: w, Live: w, Doors: grants.NewDoors(w, clock.RealClock{}), Skew: (*skew.Meter)(nil), Clock: w.Clock, Recorder: w.Recorder}
	return r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "acme", Name: "kate"}})
}

func mustReconcile(t *testing.T, w *worldtest.World) ctrl.Result {
	t.Helper()
	result, err := reconcile(t, w)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func expectWrites(t *testing.T, w *worldtest.World, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.Writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	w.Forget()
}

func kate(t *testing.T, w *worldtest.World) *v1alpha1.User {
	t.Helper()
	u := &v1alpha1.User{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "kate"}, u); err != nil {
		t.Fatal(err)
	}
	return u
}

// killed fails a write as an operator does that is killed before it.
func killed(prefix string) func(string) error {
	return func(write string) error {
		if strings.HasPrefix(write, prefix) {
			return errors.New("killed")
		}
		return nil
	}
}

func TestAccessIsClosedThenRecordedThenShown(t *testing.T) {
	w := acme(t)
	result := mustReconcile(t, w)
	expectWrites(t, w, "patch User kate", "create Transition user.kate.1", "patch status of User kate")
	if result.RequeueAfter != time.Minute {
		t.Errorf("next pass after %s, want exactly at the expiration in a minute", result.RequeueAfter)
	}

	w.Clock.SetTime(expiry.Add(-time.Nanosecond))
	mustReconcile(t, w)
	expectWrites(t, w)

	w.Clock.SetTime(expiry.Add(90 * time.Second)) // the operator was down
	mustReconcile(t, w)
	expectWrites(t, w, "delete RoleBinding in sales", "create Transition user.kate.2", "patch status of User kate")
	if since := kate(t, w).Status.StateTime.Time; !since.Equal(expiry) {
		t.Errorf("expired since %s, want the declared instant %s", since, expiry)
	}

	mustReconcile(t, w)
	expectWrites(t, w)
}

func TestOperatorKilledAtAnyWriteEndsInTheSameState(t *testing.T) {
	for _, at := range []string{"delete RoleBinding", "create Transition", "patch status"} {
		t.Run(at, func(t *testing.T) {
			w := acme(t)
			mustReconcile(t, w)
			w.Clock.SetTime(expiry)
			w.Fail = killed(at)
			if _, err := reconcile(t, w); err == nil {
				t.Fatal("no error")
			}
			if at == "delete RoleBinding" && kate(t, w).Status.Access != v1alpha1.AccessGranted {
				t.Error("access is shown as denied while the door is open")
			}
			w.Fail = nil
			mustReconcile(t, w)
			mustReconcile(t, w)

			transitions := &v1alpha1.TransitionList{}
			if err := w.List(t.Context(), transitions); err != nil {
				t.Fatal(err)
			}
			if len(transitions.Items) != 2 {
				t.Errorf("%d Transitions, want the baseline and one to Expired", len(transitions.Items))
			}
			if got := kate(t, w).Status; got.State != v1alpha1.StateExpired || got.LastTransition.Name != "user.kate.2" {
				t.Errorf("state %s with %s", got.State, got.LastTransition.Name)
			}
		})
	}
}

func TestEventsComeOnlyAfterTheStatusIsPersisted(t *testing.T) {
	w := acme(t)
	mustReconcile(t, w)
	w.Clock.SetTime(expiry)
	w.Fail = killed("patch status")
	if _, err := reconcile(t, w); err == nil {
		t.Fatal("no error")
	}
	if n := len(w.Recorder.Events); n != 0 {
		t.Errorf("%d Events about what is not persisted", n)
	}
	w.Fail = nil
	mustReconcile(t, w)
	if n := len(w.Recorder.Events); n != 1 {
		t.Errorf("%d Events, want one", n)
	}
}

func TestNumberThatSomethingElseTookIsAConflict(t *testing.T) {
	w := acme(t, &v1alpha1.Transition{
		ObjectMeta: metav1.ObjectMeta{Name: "user.kate.1", Namespace: "acme"},
		// Not found under Kate's name, as by a cache that is behind.
		Spec: v1alpha1.TransitionSpec{Subject: v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: "somebody"}, To: v1alpha1.StateRemoved},
	})
	behind := true
	w.FailRead = func(read string) error {
		if read != "Transition user.kate.1" || !behind {
			return nil
		}
		behind = false // The next read is live.
		return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("transitions").GroupResource(), "user.kate.1")
	}
	result, err := reconcile(t, w)
	if err != nil || result.RequeueAfter <= 0 {
		t.Errorf("got %+v and error %v, want another pass in a moment", result, err)
	}
	if state := kate(t, w).Status.State; state != "" {
		t.Errorf("state %s is shown though it is not recorded", state)
	}
}

// behind is a client whose lists do not have one Transition yet.
type behind struct {
	client.Client
	without string
}

func (c behind) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := c.Client.List(ctx, list, opts...)
	if transitions, ok := list.(*v1alpha1.TransitionList); ok {
		transitions.Items = slices.DeleteFunc(transitions.Items, func(t v1alpha1.Transition) bool { return t.Name == c.without })
	}
	return err
}

// A suspension that is lifted between its record and its status must not be forgotten until the cache catches up: its
// holds are on their way.
func TestOwnRecordCountsThoughTheCacheIsBehind(t *testing.T) {
	w := acme(t)
	mustReconcile(t, w)
	declare := func(status v1alpha1.UserDesiredStatus) {
		declared := kate(t, w)
		declared.Spec.DesiredStatus = status
		if err := w.Update(t.Context(), declared); err != nil {
			t.Fatal(err)
		}
	}
	declare(v1alpha1.UserDesiredSuspended)
	w.Fail = killed("patch status")
	if _, err := reconcile(t, w); err == nil {
		t.Fatal("no error")
	}
	w.Fail = nil
	declare(v1alpha1.UserDesiredActive)

	r := &user.Reconciler{Client: behind{w, "user.kate.2"}, Live: w, Doors: grants.NewDoors(w, clock.RealClock{}), Skew: (*skew.Meter)(nil), Clock: w.Clock, Recorder: w.Recorder}
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "acme", Name: "kate"}}); err != nil {
		t.Fatal(err)
	}
	want := v1alpha1.LastTransition{
		Name: "user.kate.3", From: v1alpha1.StateSuspended, To: v1alpha1.StateActivated, Time: metav1.NewTime(worldtest.Start), Complete: true,
	}
	if diff := cmp.Diff(want, kate(t, w).Status.LastTransition); diff != "" {
		t.Errorf("last Transition (-want +got):\n%s", diff)
	}
}

func TestPartialSightDestroysNothing(t *testing.T) {
	for _, unseen := range []string{"Organization acme", "Namespace acme"} {
		w := acme(t)
		w.Clock.SetTime(expiry)
		w.FailRead = func(read string) error {
			if read == unseen {
				return errors.New("the cache cannot tell")
			}
			return nil
		}
		if _, err := reconcile(t, w); err == nil {
			t.Errorf("%s: no error, so nobody would look again", unseen)
		}
		expectWrites(t, w)
	}
}

func TestDeletedUserGoesWhenItsEndIsRecordedAndItsMembershipsAreHeld(t *testing.T) {
	w := acme(t)
	mustReconcile(t, w)
	membership := &v1alpha1.Membership{
		ObjectMeta: metav1.ObjectMeta{Name: "kate-north", Namespace: "acme"},
		Spec:       v1alpha1.MembershipSpec{UserRef: v1alpha1.Reference{Name: "kate"}, GroupRef: v1alpha1.Reference{Name: "north"}},
	}
	if err := errors.Join(w.Create(t.Context(), membership), w.Delete(t.Context(), kate(t, w))); err != nil {
		t.Fatal(err)
	}
	w.Forget()

	mustReconcile(t, w)
	expectWrites(t, w, "delete RoleBinding in sales", "create Transition user.kate.2", "patch status of User kate")
	ready := kate(t, w).Status.Conditions[0]
	if ready.Reason != v1alpha1.ReasonDeletionWaiting || !strings.Contains(ready.Message, "user.kate.2") {
		t.Errorf("Ready says %s: %s", ready.Reason, ready.Message)
	}
}

func TestUserIsStalledWhileItsCascadeWaitsForAPerson(t *testing.T) {
	w := acme(t, &v1alpha1.Transition{
		ObjectMeta: metav1.ObjectMeta{Name: "user.kate.1", Namespace: "acme"},
		Spec: v1alpha1.TransitionSpec{
			Subject: v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: "kate", UID: "*v1alpha1.User-kate", Identity: "*v1alpha1.User-kate"},
			To:      v1alpha1.StateActivated,
			Time:    metav1.NewTime(worldtest.Start),
			Plan:    []v1alpha1.PlannedEffect{{Effect: "work", Targets: 1}},
		},
	})
	for _, test := range []struct{ reason, message, want string }{
		{v1alpha1.ReasonRetrying, "a: nobody who may receive it has access (asked: Owner)", "NoSuccessor"},
		{v1alpha1.ReasonRetrying, `a: patch: works.work.example.com "a" is forbidden: not allowed`, "Forbidden"},
		{v1alpha1.ReasonRetrying, `the objects of kind Work cannot be listed: no matches for kind "Work" in version "work.example.com/v1"`, "KindNotFound"},
		{v1alpha1.ReasonRetrying, "a: patch: the connection was refused", ""},
		{v1alpha1.ReasonRunning, "", ""},
		{v1alpha1.ReasonLeader, "", "Leader"},
		{v1alpha1.ReasonLastRoleHolder, "", "LastRoleHolder"},
	} {
		running := &v1alpha1.Transition{}
		if err := w.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "user.kate.1"}, running); err != nil {
			t.Fatal(err)
		}
		running.Status.Effects = []v1alpha1.EffectProgress{{Name: "work", Matched: 1, Message: test.message}}
		running.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionComplete, Status: metav1.ConditionFalse, Reason: test.reason, Message: "Not complete"}}
		if err := w.Status().Update(t.Context(), running); err != nil {
			t.Fatal(err)
		}
		mustReconcile(t, w)
		got := ""
		if stalled := meta.FindStatusCondition(kate(t, w).Status.Conditions, v1alpha1.ConditionStalled); stalled != nil {
			got = stalled.Reason
		}
		if got != test.want {
			t.Errorf("%s %q: stalled because of %q, want %q", test.reason, test.message, got, test.want)
		}
		w.Forget()
		mustReconcile(t, w)
		expectWrites(t, w)
	}
}

// off is a clock that is an hour ahead.
type off struct{}

func (off) Off() (time.Duration, bool) { return time.Hour, true }

func TestRecordsAreNotErasedByAClockThatIsOff(t *testing.T) {
	w := acme(t, &v1alpha1.LifecyclePolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "erasing", Namespace: "acme"},
		Spec:       v1alpha1.LifecyclePolicySpec{OnDelete: v1alpha1.OnDelete{Audit: v1alpha1.AuditDelete}},
	})
	u := kate(t, w)
	u.Spec.PolicyRef.Name = "erasing"
	if err := w.Update(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	mustReconcile(t, w)
	if err := w.Delete(t.Context(), kate(t, w)); err != nil {
		t.Fatal(err)
	}
	w.Forget()

	r := &user.Reconciler{Client: w, Live: w, Doors: grants.NewDoors(w, clock.RealClock{}), Skew: off{}, Clock: w.Clock, Recorder: w.Recorder}
	for _, want := range [][]string{{"delete RoleBinding in sales", "create Transition user.kate.2", "patch status of User kate"}, nil} {
		result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "acme", Name: "kate"}})
		if err != nil || result.RequeueAfter != 3*time.Second {
			t.Errorf("next pass after %s, error %v", result.RequeueAfter, err)
		}
		expectWrites(t, w, want...)
	}
	mustReconcile(t, w)
	expectWrites(t, w, "delete Transition user.kate.1", "delete Transition user.kate.2", "patch User kate")
}

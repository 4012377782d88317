package membership_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/grants"
	"tenure.dev/tenure/controllers/internal/worldtest"
	"tenure.dev/tenure/controllers/membership"
)

// expiry is when Kate's account ends in the worlds of these tests.
var expiry = worldtest.Start.Add(time.Minute)

// acme is an organization in which Kate sells until she expires.
func acme(t *testing.T) *worldtest.World {
	t.Helper()
	return worldtest.New(t,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "sales", Annotations: map[string]string{v1alpha1.AnnotationGrantsFrom: "other, acme"}}},
		&v1alpha1.Organization{
			ObjectMeta: metav1.ObjectMeta{Name: "acme", Namespace: "acme"},
			Spec:       v1alpha1.OrganizationSpec{Roles: []string{"Member", "Admin"}, AdminRoles: []string{"Admin"}},
			Status:     v1alpha1.OrganizationStatus{Admins: v1alpha1.AdminCounts{Active: 1}},
		},
		&v1alpha1.User{
			ObjectMeta: metav1.ObjectMeta{Name: "kate", Namespace: "acme"},
			Spec:       v1alpha1.UserSpec{UserName: "kate@acme.example", ExpirationTime: metav1.NewTime(expiry)},
			Status:     v1alpha1.UserStatus{ObservedGeneration: 1, LastTransition: v1alpha1.LastTransition{Complete: true}},
		},
		&v1alpha1.Group{
			ObjectMeta: metav1.ObjectMeta{Name: "north", Namespace: "acme"},
			Spec: v1alpha1.GroupSpec{Roles: []v1alpha1.GroupRole{{Name: "Seller", Grants: []v1alpha1.Grant{{
				RoleRef: v1alpha1.RoleReference{Kind: v1alpha1.RoleKindClusterRole, Name: "view"}, Namespaces: []string{"sales"},
			}}}}},
		},
		&v1alpha1.Membership{
			ObjectMeta: metav1.ObjectMeta{Name: "kate-north", Namespace: "acme"},
			Spec: v1alpha1.MembershipSpec{
				UserRef: v1alpha1.Reference{Name: "kate"}, GroupRef: v1alpha1.Reference{Name: "north"}, Roles: []string{"Seller"},
			},
		},
	)
}

func reconcile(t *testing.T, w *worldtest.World) (ctrl.Result, error) {
	t.Helper()
	r := &membership.Reconciler{Client: w, Live: w, Doors: grants.NewDoors(w, clock.RealClock{}), Clock: w.Clock, Recorder: w.Recorder}
	return r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "acme", Name: "kate-north"}})
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

func TestGrantsComeLastAndNothingIsWrittenAtRest(t *testing.T) {
	w := acme(t)
	result := mustReconcile(t, w)
	expectWrites(t, w, "patch Membership kate-north", "create Transition membership.kate-north.1",
		"create RoleBinding in sales", "patch status of Membership kate-north")
	if result.RequeueAfter != time.Minute {
		t.Errorf("next pass after %s, want exactly at the user's expiration in a minute", result.RequeueAfter)
	}

	mustReconcile(t, w)
	expectWrites(t, w)
}

func TestAccessIsClosedBeforeAnythingIsWrittenAboutIt(t *testing.T) {
	w := acme(t)
	mustReconcile(t, w)
	w.Forget()

	w.Clock.SetTime(expiry.Add(-time.Nanosecond))
	mustReconcile(t, w)
	expectWrites(t, w)

	w.Clock.SetTime(expiry)
	mustReconcile(t, w)
	expectWrites(t, w, "delete RoleBinding in sales", "patch status of Membership kate-north")
}

func TestDoorThatCannotBeClosedIsNotReportedClosed(t *testing.T) {
	w := acme(t)
	mustReconcile(t, w)
	w.Forget()
	w.Clock.SetTime(expiry)
	w.Fail = func(write string) error {
		if strings.HasPrefix(write, "delete") {
			return apierrors.NewTimeoutError("try again", 1)
		}
		return nil
	}
	if _, err := reconcile(t, w); err == nil {
		t.Error("no error, so nobody would try again")
	}
	expectWrites(t, w, "delete RoleBinding in sales")
}

func TestPartialSightDestroysNothingAndGrantsNothing(t *testing.T) {
	for _, unseen := range []string{"User kate", "Group north", "Organization acme", "Namespace acme", "Namespace sales"} {
		t.Run(unseen, func(t *testing.T) {
			for _, granted := range []bool{false, true} {
				w := acme(t)
				if granted {
					mustReconcile(t, w)
					w.Forget()
				}
				w.FailRead = func(read string) error {
					if read == unseen {
						return errors.New("the cache cannot tell")
					}
					return nil
				}
				if _, err := reconcile(t, w); err == nil {
					t.Error("no error, so nobody would look again")
				}
				expectWrites(t, w)
			}
		})
	}
}

func TestGrantsWaitUntilTheUsersOwnChangeIsWorkedOff(t *testing.T) {
	for name, edit := range map[string]func(*v1alpha1.User){
		"unobserved": func(u *v1alpha1.User) { u.Status.ObservedGeneration = 0 },
		"ahead of what is seen of its history": func(u *v1alpha1.User) {
			u.Status.LastTransition = v1alpha1.LastTransition{Name: "user.kate.2", To: v1alpha1.StateActive, Time: metav1.NewTime(worldtest.Start)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := acme(t)
			user := &v1alpha1.User{}
			if err := w.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "kate"}, user); err != nil {
				t.Fatal(err)
			}
			edit(user)
			if err := w.Status().Update(t.Context(), user); err != nil {
				t.Fatal(err)
			}
			mustReconcile(t, w)
			expectWrites(t, w, "patch Membership kate-north", "create Transition membership.kate-north.1", "patch status of Membership kate-north")
		})
	}
}

// What else a user's change has to do, such as work that cannot be handed over, keeps nobody out who is back.
func TestGrantsWaitForTheHoldsOfTheUsersChanges(t *testing.T) {
	suspended := &v1alpha1.Transition{
		ObjectMeta: metav1.ObjectMeta{Name: "user.kate.1", Namespace: "acme"},
		Spec: v1alpha1.TransitionSpec{
			Subject: v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: "kate", UID: "*v1alpha1.User-kate", Identity: "*v1alpha1.User-kate"},
			To:      v1alpha1.StateSuspended,
			Plan: []v1alpha1.PlannedEffect{
				{Effect: "opportunities", Action: v1alpha1.ActionTransfer, Targets: 3},
				{Effect: v1alpha1.HoldUserSuspended, Action: v1alpha1.ActionDeactivate, Targets: 1},
			},
		},
	}
	w := acme(t)
	if err := w.Create(t.Context(), suspended); err != nil {
		t.Fatal(err)
	}
	w.Forget()
	mustReconcile(t, w)
	expectWrites(t, w, "patch Membership kate-north", "create Transition membership.kate-north.1", "patch status of Membership kate-north")

	suspended.Status.Effects = []v1alpha1.EffectProgress{
		{Name: "opportunities", Matched: 3, Failed: 3}, {Name: v1alpha1.HoldUserSuspended, Matched: 1, Done: 1},
	}
	if err := w.Status().Update(t.Context(), suspended); err != nil {
		t.Fatal(err)
	}
	w.Forget()
	mustReconcile(t, w)
	expectWrites(t, w, "create RoleBinding in sales", "patch status of Membership kate-north")
}

func TestInterruptedPassIsTakenUpAgain(t *testing.T) {
	w := acme(t)
	w.Fail = func(write string) error {
		if strings.HasPrefix(write, "patch status") {
			return errors.New("the operator is killed")
		}
		return nil
	}
	if _, err := reconcile(t, w); err == nil {
		t.Fatal("no error")
	}
	w.Fail = nil
	w.Forget()
	mustReconcile(t, w)
	expectWrites(t, w, "patch status of Membership kate-north")
}

func TestSomebodyElsesWriteIsNoError(t *testing.T) {
	w := acme(t)
	w.Fail = func(write string) error {
		if strings.HasPrefix(write, "patch status") {
			return apierrors.NewConflict(schema.GroupResource{Resource: "memberships"}, "kate-north", errors.New("changed"))
		}
		return nil
	}
	result, err := reconcile(t, w)
	if err != nil || result.RequeueAfter <= 0 {
		t.Errorf("got %+v and error %v, want another pass in a moment", result, err)
	}
}

func TestRefusedGrantIsShownAndTheRestGoesOn(t *testing.T) {
	w := acme(t)
	w.Fail = func(write string) error {
		if write == "create RoleBinding in sales" {
			return apierrors.NewForbidden(rbacv1.Resource("rolebindings"), "x", errors.New("user \"tenure\" is attempting to grant RBAC permissions not currently held"))
		}
		return nil
	}
	mustReconcile(t, w)
	m := &v1alpha1.Membership{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "kate-north"}, m); err != nil {
		t.Fatal(err)
	}
	if m.Status.State != v1alpha1.StateActive {
		t.Errorf("state %s, want Active", m.Status.State)
	}
	if !meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Error("not stalled, though somebody has to allow the grant")
	}
	for _, c := range m.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady && (c.Reason != v1alpha1.ReasonGrantRefused || !strings.Contains(c.Message, "tenure-grantable")) {
			t.Errorf("Ready says %s: %s", c.Reason, c.Message)
		}
	}
}

func TestMissingUserIsBelievedOnlyWhenTheAPIServerSaysSo(t *testing.T) {
	w := acme(t)
	reads := 0
	w.FailRead = func(read string) error {
		if read != "User kate" {
			return nil
		}
		if reads++; reads == 1 { // the cache; the API server is asked second
			return apierrors.NewNotFound(schema.GroupResource{Resource: "users"}, "kate")
		}
		return nil
	}
	result, err := reconcile(t, w)
	if err != nil || result.RequeueAfter <= 0 {
		t.Errorf("got %+v and error %v, want another pass in a moment", result, err)
	}
	expectWrites(t, w)

	mustReconcile(t, w)
	expectWrites(t, w, "patch Membership kate-north", "create Transition membership.kate-north.1",
		"create RoleBinding in sales", "patch status of Membership kate-north")
}

package user_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/worldtest"
)

// leaver is a world in which Kate's deletion is recorded and worked off, and what remains is what the policy does with her records.
func leaver(t *testing.T, audit v1alpha1.AuditOnDelete) *worldtest.World {
	t.Helper()
	w := acme(t,
		&v1alpha1.LifecyclePolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "leavers", Namespace: "acme"},
			Spec:       v1alpha1.LifecyclePolicySpec{OnDelete: v1alpha1.OnDelete{Audit: audit}},
		},
		&v1alpha1.Membership{
			ObjectMeta: metav1.ObjectMeta{Name: "kate-north", Namespace: "acme"},
			Spec:       v1alpha1.MembershipSpec{UserRef: v1alpha1.Reference{Name: "kate"}, GroupRef: v1alpha1.Reference{Name: "north"}},
		})
	u := kate(t, w)
	u.Spec.PolicyRef.Name = "leavers"
	if err := w.Update(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	mustReconcile(t, w)
	if err := w.Delete(t.Context(), kate(t, w)); err != nil {
		t.Fatal(err)
	}
	mustReconcile(t, w)
	setLedger(t, w, "user.kate.2", ledger())
	w.Forget()
	return w
}

func ledger() v1alpha1.TransitionStatus {
	return v1alpha1.TransitionStatus{
		Progress: "1/2",
		Effects:  []v1alpha1.EffectProgress{{Name: v1alpha1.HoldUserRemoved, Matched: 2, Done: 1}},
		Conditions: []metav1.Condition{{
			Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDone, LastTransitionTime: metav1.NewTime(worldtest.Start.Local()),
		}},
	}
}

func setLedger(t *testing.T, w *worldtest.World, name string, ledger v1alpha1.TransitionStatus) {
	t.Helper()
	record := recordNamed(t, w, name)
	record.Status = ledger
	if err := w.Status().Update(t.Context(), record); err != nil {
		t.Fatal(err)
	}
}

func recordNamed(t *testing.T, w *worldtest.World, name string) *v1alpha1.Transition {
	t.Helper()
	record := &v1alpha1.Transition{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: name}, record); err != nil {
		t.Fatal(err)
	}
	return record
}

func TestRecordThatChangesWhileItIsErasedIsLookedAtAgain(t *testing.T) {
	w := leaver(t, v1alpha1.AuditDelete)
	w.Fail = func(write string) error {
		if write == "delete Transition user.kate.2" {
			w.Fail = nil
			setLedger(t, w, "user.kate.2", v1alpha1.TransitionStatus{})
		}
		return nil
	}
	if result := mustReconcile(t, w); result.RequeueAfter <= 0 {
		t.Error("nobody looks again")
	}
	if recordNamed(t, w, "user.kate.2").Status.Progress != "" {
		t.Error("it is not the record that was written meanwhile")
	}
}

// Between a nameless record and its ledger the operator may be killed, and anybody else may write to it.
func TestLedgerOutlivesTheName(t *testing.T) {
	nameless := "user.removed-" + strings.ToLower("*v1alpha1.User-kate")
	for _, test := range []struct {
		name string
		meet func(w *worldtest.World)
	}{
		{name: "undisturbed", meet: func(*worldtest.World) {}},
		{name: "killed", meet: func(w *worldtest.World) {
			w.Fail = killed("patch status of Transition " + nameless + ".2")
			if _, err := reconcile(t, w); err == nil {
				t.Fatal("no error")
			}
			w.Fail = nil
		}},
		{name: "written by somebody else", meet: func(w *worldtest.World) {
			w.Fail = func(write string) error {
				if write == "patch status of Transition "+nameless+".2" {
					w.Fail = nil
					setLedger(t, w, nameless+".2", v1alpha1.TransitionStatus{Progress: "0/2"})
				}
				return nil
			}
			if result := mustReconcile(t, w); result.RequeueAfter <= 0 {
				t.Error("nobody looks again")
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := leaver(t, v1alpha1.AuditAnonymize)
			test.meet(w)
			mustReconcile(t, w)
			if diff := cmp.Diff(ledger(), recordNamed(t, w, nameless+".2").Status); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
			all := &v1alpha1.TransitionList{}
			if err := w.List(t.Context(), all); err != nil {
				t.Fatal(err)
			}
			if len(all.Items) != 2 {
				t.Errorf("%d records, want the two that have no name in them", len(all.Items))
			}
		})
	}
}

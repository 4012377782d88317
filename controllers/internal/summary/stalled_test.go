package summary_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/summary"
)

var noon = time.Date(2026, time.December, 1, 12, 0, 0, 0, time.UTC)

func TestStalledIsThereWhileAPersonIsWaitedFor(t *testing.T) {
	ready := func(holds bool, reason string) metav1.Condition {
		return summary.Condition(v1alpha1.ConditionReady, holds, reason, "of Ready")
	}
	blocked := func(holds bool) metav1.Condition {
		return summary.Condition(v1alpha1.ConditionBlocked, holds, v1alpha1.ReasonLastAdmin, "of Blocked")
	}
	stuck := summary.Condition(v1alpha1.ConditionStalled, true, v1alpha1.ReasonNoSuccessor, "of the ledger")
	tests := map[string]struct {
		said []metav1.Condition
		want string
	}{
		"as declared":                          {[]metav1.Condition{ready(true, v1alpha1.ReasonReconciled), blocked(false), {}}, ""},
		"a guard":                              {[]metav1.Condition{ready(false, v1alpha1.ReasonHeldOpen), blocked(true)}, "LastAdmin: of Blocked"},
		"a guard of a cascade":                 {[]metav1.Condition{ready(false, v1alpha1.ReasonLeader)}, "Leader: of Ready"},
		"a missing policy":                     {[]metav1.Condition{ready(false, v1alpha1.ReasonPolicyNotFound)}, "PolicyNotFound: of Ready"},
		"a forbidden kind":                     {[]metav1.Condition{ready(false, v1alpha1.ReasonForbidden)}, "Forbidden: of Ready"},
		"a duplicate":                          {[]metav1.Condition{ready(false, v1alpha1.ReasonDuplicate)}, "Duplicate: of Ready"},
		"a cascade that cannot go on":          {[]metav1.Condition{ready(false, v1alpha1.ReasonTransitionRunning), stuck}, "NoSuccessor: of the ledger"},
		"a cascade under way":                  {[]metav1.Condition{ready(false, v1alpha1.ReasonTransitionRunning), {}}, ""},
		"a broken connection":                  {[]metav1.Condition{ready(false, v1alpha1.ReasonWatchFailed)}, ""},
		"a beginning without an administrator": {[]metav1.Condition{ready(false, v1alpha1.ReasonNoActiveAdmin)}, ""},
		"a user who is yet to come":            {[]metav1.Condition{ready(false, v1alpha1.ReasonUserNotFound)}, ""},
	}
	for name, test := range tests {
		for _, before := range [][]metav1.Condition{nil, {{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon)}}} {
			conditions := before
			summary.Set(&conditions, 7, noon, test.said...)
			got, kinds := "", map[string]int{}
			for _, c := range conditions {
				kinds[c.Type]++
				if c.Type == v1alpha1.ConditionStalled {
					got = c.Reason + ": " + c.Message
				}
				if c.Type == "" || kinds[c.Type] > 1 || c.ObservedGeneration != 7 || c.LastTransitionTime.IsZero() {
					t.Errorf("%s: condition %+v", name, c)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s, with %d conditions before: Stalled (-want +got):\n%s", name, len(before), diff)
			}
		}
	}
}

func TestWhatIsSaidAgainChangesNothing(t *testing.T) {
	blocked := summary.Condition(v1alpha1.ConditionBlocked, true, v1alpha1.ReasonLastAdmin, "the last one")
	var conditions []metav1.Condition
	summary.Set(&conditions, 1, noon, blocked)
	before := append([]metav1.Condition{}, conditions...)
	summary.Set(&conditions, 1, noon.Add(time.Hour), blocked)
	if diff := cmp.Diff(before, conditions); diff != "" {
		t.Errorf("conditions (-before +after):\n%s", diff)
	}
}

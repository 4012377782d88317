package group

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/summary"
	"tenure.dev/tenure/controllers/internal/tally"
)

func summarize(group *v1alpha1.Group, counts tally.Counts, leader v1alpha1.GroupLeader, leaderFound bool, now time.Time) {
	status := &group.Status
	status.ObservedGeneration = group.Generation
	status.Members = v1alpha1.MembershipCounts{Active: counts[active], Total: counts[total]}
	status.Leader = leader
	summary.Set(&status.Conditions, group.Generation, now, ready(leader, leaderFound), staffed(group, counts))
}

func ready(leader v1alpha1.GroupLeader, found bool) metav1.Condition {
	if leader.Name != "" && !found {
		return summary.Condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonUnknownReference,
			"The leader, User "+leader.Name+", does not exist: create the user, or name another leader in leaderRef")
	}
	return summary.Condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReconciled, "What is declared is in force")
}

func staffed(group *v1alpha1.Group, counts tally.Counts) metav1.Condition {
	var short []string
	for i := range group.Spec.Roles {
		role := &group.Spec.Roles[i]
		if least, has := ptr.Deref(role.MinimumActive, 0), counts[activeAs(role.Name)]; has < least {
			short = append(short, fmt.Sprintf("role %s has %d active of at least %d", role.Name, has, least))
		}
	}
	if len(short) > 0 {
		return summary.Condition(v1alpha1.ConditionStaffed, false, v1alpha1.ReasonUnderstaffed,
			strings.Join(short, "; ")+": give the role to another active member")
	}
	return summary.Condition(v1alpha1.ConditionStaffed, true, v1alpha1.ReasonStaffed, "Every role has as many active holders as it needs")
}

// onlyCountsDiffer tells whether the write can wait a moment.
func onlyCountsDiffer(before, after *v1alpha1.Group) bool {
	was, is := before.Status, after.Status
	counted := was
	counted.Members, counted.Conditions = is.Members, is.Conditions
	return len(was.Conditions) > 0 && equality.Semantic.DeepEqual(counted, is) && !equality.Semantic.DeepEqual(was, is)
}

// tell emits Events about what this pass has changed. A new group that nobody has joined yet is no news.
func (r *Reconciler) tell(before, after *v1alpha1.Group) {
	was, is := before.Status.Conditions, after.Status.Conditions
	if summary.HasReason(was, v1alpha1.ConditionStaffed, v1alpha1.ReasonStaffed) && summary.HasReason(is, v1alpha1.ConditionStaffed, v1alpha1.ReasonUnderstaffed) {
		summary.Warning(r.Recorder, after, v1alpha1.ReasonUnderstaffed, meta.FindStatusCondition(is, v1alpha1.ConditionStaffed).Message)
	}
	if summary.HasReason(was, v1alpha1.ConditionStaffed, v1alpha1.ReasonUnderstaffed) && summary.HasReason(is, v1alpha1.ConditionStaffed, v1alpha1.ReasonStaffed) {
		summary.Normal(r.Recorder, after, v1alpha1.ReasonStaffed, meta.FindStatusCondition(is, v1alpha1.ConditionStaffed).Message)
	}
}

package summary

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
)

// forPeople are the reasons for which something waits until a person does something about it. Not among them is what may
// come right by itself: a date, work under way, a broken connection. Nor is what an organization may begin without and the
// same file is likely to bring a moment later, its administrator or the user whom a group names as leader: a tool that
// gives up on the first failure would do so in the middle of a first sync.
var forPeople = []string{
	v1alpha1.ReasonClockSkewed,
	v1alpha1.ReasonDuplicate,
	v1alpha1.ReasonForbidden,
	v1alpha1.ReasonGrantRefused,
	v1alpha1.ReasonInvalidAnnotation,
	v1alpha1.ReasonInvalidKind,
	v1alpha1.ReasonInvalidMatch,
	v1alpha1.ReasonKindNotFound,
	v1alpha1.ReasonLastRoleHolder,
	v1alpha1.ReasonLeader,
	v1alpha1.ReasonNoSuccessor,
	v1alpha1.ReasonPolicyNotFound,
	v1alpha1.ReasonUnknownAdminRole,
	v1alpha1.ReasonUnknownGroupRole,
	v1alpha1.ReasonUnknownRole,
}

// Set writes what a pass has to say into an object's conditions. From that follows Stalled, which is there while one of them
// waits for a person. A kind that knows of more says it by a Stalled condition of its own, and by none at all (one without
// a type) where it does not.
func Set(conditions *[]metav1.Condition, generation int64, now time.Time, said ...metav1.Condition) {
	said = slices.DeleteFunc(said, func(c metav1.Condition) bool { return c.Type == "" })
	waiting := slices.IndexFunc(said, waitsForPerson)
	if waiting < 0 {
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionStalled)
	} else {
		said = append(said, Condition(v1alpha1.ConditionStalled, true, said[waiting].Reason, said[waiting].Message))
	}
	for _, condition := range said {
		condition.ObservedGeneration = generation
		condition.LastTransitionTime = metav1.NewTime(now)
		meta.SetStatusCondition(conditions, condition)
	}
}

func waitsForPerson(c metav1.Condition) bool {
	switch c.Type {
	case v1alpha1.ConditionBlocked, v1alpha1.ConditionStalled:
		return c.Status == metav1.ConditionTrue
	case v1alpha1.ConditionReady:
		return c.Status == metav1.ConditionFalse && slices.Contains(forPeople, c.Reason)
	default:
		return false
	}
}

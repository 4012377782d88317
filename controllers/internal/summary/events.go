package summary

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

const (
	// action is what the operator was doing when it had something to tell.
	action = "Reconcile"

	// longestNote is how many bytes of text the API server takes in an Event.
	longestNote = 1024
)

// Normal tells about something that is as it should be.
func Normal(recorder events.EventRecorder, about runtime.Object, reason, text string) {
	recorder.Eventf(about, nil, corev1.EventTypeNormal, reason, action, "%s", cut(text, longestNote))
}

// Warning tells about something that somebody has to look at.
func Warning(recorder events.EventRecorder, about runtime.Object, reason, text string) {
	recorder.Eventf(about, nil, corev1.EventTypeWarning, reason, action, "%s", cut(text, longestNote))
}

// cut shortens a text to what fits, at a character's boundary.
func cut(text string, longest int) string {
	const ellipsis = "…"
	if len(text) <= longest {
		return text
	}
	end := 0
	for i := range text {
		if i > longest-len(ellipsis) {
			break
		}
		end = i
	}
	return text[:end] + ellipsis
}

// Turned tells whether a condition has become True.
func Turned(kind string, was, is []metav1.Condition) bool {
	return meta.IsStatusConditionTrue(is, kind) && !meta.IsStatusConditionTrue(was, kind)
}

// HasReason tells whether a condition is there with that reason.
func HasReason(conditions []metav1.Condition, kind, reason string) bool {
	condition := meta.FindStatusCondition(conditions, kind)
	return condition != nil && condition.Reason == reason
}

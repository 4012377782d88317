package user

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/summary"
)

// Reasons of Events about users, beside the names of the states, which are the reasons of changes of state.
const (
	eventBlocked   = "Blocked"
	eventUnblocked = "Unblocked"
	eventDuplicate = "Duplicate"
)

// tell emits Events about what this pass has changed. It comes after the status is persisted, so that nothing is told
// that did not happen.
func (p *pass) tell(ctx context.Context, before *v1alpha1.User) {
	if news := history.News(before.Status.LastTransition, p.user.Status.LastTransition, p.newest()); news != nil {
		history.Note(ctx, news, p.Clock.Now())
		summary.Normal(p.Recorder, p.user, string(news.Spec.To), summary.Changed(&news.Spec, p.decision))
	}
	if p.outcome.Change == nil && before.Status.State == "" {
		return // The status was lost. What it says again is not new.
	}
	was, is := before.Status.Conditions, p.user.Status.Conditions
	if summary.Turned(v1alpha1.ConditionBlocked, was, is) {
		summary.Warning(p.Recorder, p.user, eventBlocked, meta.FindStatusCondition(is, v1alpha1.ConditionBlocked).Message)
	}
	if summary.Turned(v1alpha1.ConditionBlocked, is, was) {
		summary.Normal(p.Recorder, p.user, eventUnblocked, "No guard stands in the way any more")
	}
	if p.seen.Input.DuplicateOf != "" && !summary.HasReason(was, v1alpha1.ConditionReady, v1alpha1.ReasonDuplicate) {
		summary.Warning(p.Recorder, p.user, eventDuplicate, meta.FindStatusCondition(is, v1alpha1.ConditionReady).Message)
	}
}

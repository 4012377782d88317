package membership

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/summary"
)

// Reasons of Events about memberships, beside the names of the states, which are the reasons of changes of state, and
// the reasons of Ready.
const eventGrantRepaired = "GrantRepaired"

// tell emits Events about what this pass has changed. It comes after the status is persisted, so that nothing is told
// that did not happen.
func (p *pass) tell(ctx context.Context, before *v1alpha1.Membership, written bool) {
	for _, binding := range p.given.Repaired {
		summary.Warning(p.Recorder, p.membership, eventGrantRepaired,
			"RoleBinding "+binding.Namespace+"/"+binding.Name+" had been edited and was put right")
	}
	if p.sameGrants(before) {
		for _, binding := range p.given.Created {
			summary.Warning(p.Recorder, p.membership, eventGrantRepaired,
				"RoleBinding "+binding.Namespace+"/"+binding.Name+" had gone missing and was made again")
		}
	}
	if !written {
		return
	}
	if news := history.News(before.Status.LastTransition, p.membership.Status.LastTransition, p.newest()); news != nil {
		history.Note(ctx, news, p.Clock.Now())
		summary.Normal(p.Recorder, p.membership, string(news.Spec.To), summary.Changed(&news.Spec, p.decision))
	}
	if p.outcome.Change == nil && before.Status.State == "" {
		return // The status was lost. What it says again is not new.
	}
	ready := meta.FindStatusCondition(p.membership.Status.Conditions, v1alpha1.ConditionReady)
	for _, reason := range []string{v1alpha1.ReasonGrantRefused, v1alpha1.ReasonDuplicate} {
		if ready.Reason == reason && !summary.HasReason(before.Status.Conditions, v1alpha1.ConditionReady, reason) {
			summary.Warning(p.Recorder, p.membership, reason, ready.Message)
		}
	}
}

// sameGrants tells whether the status said before that everything was in force which is in force now.
func (p *pass) sameGrants(before *v1alpha1.Membership) bool {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	is := meta.FindStatusCondition(p.membership.Status.Conditions, v1alpha1.ConditionReady)
	return was != nil && was.Status == metav1.ConditionTrue && was.Status == is.Status && was.Message == is.Message
}

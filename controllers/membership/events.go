package membership

import (
	"k8s.io/apimachinery/pkg/api/meta"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/summary"
)

// Reasons of Events about memberships, beside the names of the states, which are the reasons of changes of state, and
// the reasons of Ready.
const eventGrantRepaired = "GrantRepaired"

// tell emits Events about what this pass has changed. It comes after the status is persisted, so that nothing is told
// that did not happen.
func (p *pass) tell(before *v1alpha1.Membership, written bool) {
	for _, binding := range p.given.Repaired {
		summary.Warning(p.Recorder, p.membership, eventGrantRepaired,
			"RoleBinding "+binding.Namespace+"/"+binding.Name+" had been edited and was put right")
	}
	if !written {
		return
	}
	if change := p.outcome.Change; change != nil && !change.Baseline() {
		summary.Normal(p.Recorder, p.membership, string(change.To), summary.Changed(change, p.decision))
	}
	ready := meta.FindStatusCondition(p.membership.Status.Conditions, v1alpha1.ConditionReady)
	for _, reason := range []string{v1alpha1.ReasonGrantRefused, v1alpha1.ReasonDuplicate} {
		if ready.Reason == reason && !summary.HasReason(before.Status.Conditions, v1alpha1.ConditionReady, reason) {
			summary.Warning(p.Recorder, p.membership, reason, ready.Message)
		}
	}
}

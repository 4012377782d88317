package user

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/summary"
	"tenure.dev/tenure/controllers/internal/targets"
	"tenure.dev/tenure/controllers/internal/write"
)

// persist writes the status, once, and then tells about it.
func (p *pass) persist(ctx context.Context) error {
	before := p.user.DeepCopy()
	p.summarize()
	written, err := write.Status(ctx, p, before, p.user)
	if err != nil || !written {
		return err
	}
	p.tell(ctx, before)
	return nil
}

// summarize computes the whole status from what was observed and decided.
func (p *pass) summarize() {
	status := &p.user.Status
	status.ObservedGeneration = p.user.Generation
	status.State = p.decision.State
	status.Access = p.decision.Access()
	status.StateTime = metav1.NewTime(p.outcome.StateTime.Truncate(time.Second))
	status.Causes = p.decision.Causes
	status.NextTransitionTime = metav1.NewTime(p.decision.Next)
	status.NextState = p.decision.NextState
	status.Next = lifecycle.NextInWords(p.decision.NextState, p.decision.Next)
	status.Role, _ = lifecycle.Role(p.org.Spec(), p.user.Spec.Role)
	status.FirstActivityTime = metav1.NewTime(p.seen.Input.FirstActivity)
	status.LastActivityTime = metav1.NewTime(p.seen.LastActivity)
	status.Memberships = p.counts
	status.LastTransition = history.Summary(p.newest(), p.running())
	summary.Set(&status.Conditions, p.user.Generation, p.now, p.ready(), p.active(), p.blocked(), p.stuck())
}

func (p *pass) ready() metav1.Condition {
	reason, message := p.problem()
	if reason != "" {
		return summary.Condition(v1alpha1.ConditionReady, false, reason, message)
	}
	return summary.Condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReconciled, "What is declared is in force")
}

// problem is the first thing that is not as it should be; the one that somebody has to do something about comes first.
func (p *pass) problem() (reason, message string) {
	_, known := lifecycle.Role(p.org.Spec(), p.user.Spec.Role)
	switch {
	case !p.user.DeletionTimestamp.IsZero() && p.running():
		return v1alpha1.ReasonDeletionWaiting, "Access is closed; the deletion waits for " + p.waitsFor() + p.whatHinders()
	case p.seen.Verdict.Reason != "":
		return v1alpha1.ReasonHeldOpen, p.blocked().Message
	case p.seen.Input.DuplicateOf != "":
		return v1alpha1.ReasonDuplicate, fmt.Sprintf("User %s, which is older, has the same %s: no access is given to this one. Change or delete one of the two",
			p.seen.Input.DuplicateOf, p.seen.Input.DuplicateField)
	case p.org.Object == nil:
		return v1alpha1.ReasonOrganizationNotFound, fmt.Sprintf("Namespace %s has no Organization: create one with the name %s. Until then nothing is granted",
			p.user.Namespace, p.user.Namespace)
	case !known:
		return v1alpha1.ReasonUnknownRole, fmt.Sprintf("Role %s is not one of the organization's roles (%s); the user counts as %s",
			p.user.Spec.Role, strings.Join(p.org.Spec().Roles, ", "), p.user.Status.Role)
	case p.policy.Missing != "":
		return v1alpha1.ReasonPolicyNotFound, fmt.Sprintf("LifecyclePolicy %s does not exist; the defaults apply until it does", p.policy.Missing)
	case len(p.seen.Unreadable) > 0:
		return v1alpha1.ReasonInvalidAnnotation, "Ignored: " + strings.Join(p.seen.Unreadable, "; ")
	case p.guarded() != nil:
		return p.guarded().Reason, p.guarded().Message
	case p.running():
		return v1alpha1.ReasonTransitionRunning, "The effects of " + p.waitsFor() + " are not all done" + p.whatHinders()
	default:
		return "", ""
	}
}

// waitsFor names the Transitions whose effects are not done.
func (p *pass) waitsFor() string {
	var names []string
	for _, t := range p.history.Running {
		names = append(names, t.Name)
	}
	if p.recorded != nil && !history.Complete(p.recorded) {
		names = append(names, p.recorded.Name)
	}
	return "Transition " + strings.Join(names, ", ")
}

// guards are the reasons for which a ledger says that effects wait for a person.
var guards = []string{v1alpha1.ReasonLeader, v1alpha1.ReasonLastRoleHolder, v1alpha1.ReasonClockSkewed}

// guarded is what the ledger says about a guard, or a clock, that makes the cascade wait; nil where none does.
func (p *pass) guarded() *metav1.Condition {
	for _, t := range p.history.Running {
		complete := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionComplete)
		if complete != nil && slices.Contains(guards, complete.Reason) {
			return complete
		}
	}
	return nil
}

// whatHinders is what the ledgers say about effects that could not be done yet.
func (p *pass) whatHinders() string {
	var words []string
	for _, t := range p.history.Running {
		complete := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionComplete)
		if complete != nil && complete.Status == metav1.ConditionFalse && complete.Reason != v1alpha1.ReasonRunning {
			words = append(words, complete.Message)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, "; ")
}

// hopeless are words with which a ledger tells why an effect fails, where trying again will not help.
var hopeless = []struct{ words, reason string }{
	{cascade.ErrNoSuccessor.Error(), v1alpha1.ReasonNoSuccessor},
	{cascade.ErrInvalidMatch.Error(), v1alpha1.ReasonInvalidMatch},
	{cascade.ErrInvalidKind.Error(), v1alpha1.ReasonInvalidKind},
	{targets.ErrClusterScoped.Error(), v1alpha1.ReasonInvalidKind},
	// As the API server and its clients put it.
	{"is forbidden: ", v1alpha1.ReasonForbidden},
	{"no matches for kind ", v1alpha1.ReasonKindNotFound},
	{"could not find the requested resource", v1alpha1.ReasonKindNotFound},
}

// stuck says what of the effects waits for a person; nothing where they are under way, or may come right when they are tried
// again.
func (p *pass) stuck() metav1.Condition {
	for _, t := range p.history.Running {
		if !summary.HasReason(t.Status.Conditions, v1alpha1.ConditionComplete, v1alpha1.ReasonRetrying) {
			continue
		}
		for i := range t.Status.Effects {
			effect := &t.Status.Effects[i]
			for _, failure := range hopeless {
				if strings.Contains(effect.Message, failure.words) {
					return summary.Condition(v1alpha1.ConditionStalled, true, failure.reason,
						fmt.Sprintf("Effect %s of Transition %s: %s", effect.Name, t.Name, effect.Message))
				}
			}
		}
	}
	return metav1.Condition{}
}

func (p *pass) active() metav1.Condition {
	return summary.Active(p.decision, p.outcome.StateTime)
}

func (p *pass) blocked() metav1.Condition {
	verdict := p.seen.Verdict
	switch verdict.Reason {
	case v1alpha1.ReasonLastAdmin:
		return summary.Condition(v1alpha1.ConditionBlocked, true, verdict.Reason, fmt.Sprintf(
			"Access should have ended on %s, but this is the last administrator with access: give another user one of the roles %s, or move the date",
			lifecycle.InWords(verdict.HeldOpen), strings.Join(p.org.Spec().AdminRoles, ", ")))
	case v1alpha1.ReasonAccountOwner:
		return summary.Condition(v1alpha1.ConditionBlocked, true, verdict.Reason, fmt.Sprintf(
			"Access should have ended on %s, but this is the account owner: name another one in ownerRef of Organization %s, or move the date",
			lifecycle.InWords(verdict.HeldOpen), p.user.Namespace))
	default:
		return summary.Condition(v1alpha1.ConditionBlocked, false, v1alpha1.ReasonNotBlocked, "No guard stands in the way")
	}
}

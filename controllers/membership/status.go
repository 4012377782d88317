package membership

import (
	"context"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/summary"
	"tenure.dev/tenure/controllers/internal/write"
)

// persist writes the status, once, and then tells about it.
func (p *pass) persist(ctx context.Context) error {
	before := p.membership.DeepCopy()
	p.summarize()
	written, err := write.Status(ctx, p, before, p.membership)
	if err != nil {
		return err
	}
	p.tell(ctx, before, written)
	return nil
}

// summarize computes the whole status from what was observed, decided and done.
func (p *pass) summarize() {
	status := &p.membership.Status
	status.ObservedGeneration = p.membership.Generation
	status.State = p.decision.State
	status.Access = p.decision.Access()
	status.StateTime = metav1.NewTime(p.outcome.StateTime.Truncate(time.Second))
	status.Causes = p.decision.Causes
	status.NextTransitionTime = metav1.NewTime(p.decision.Next)
	status.NextState = p.decision.NextState
	status.Next = lifecycle.NextInWords(p.decision.NextState, p.decision.Next)
	status.LastTransition = history.Summary(p.newest(), false)
	summary.Set(&status.Conditions, p.membership.Generation, p.now,
		p.ready(), summary.Active(p.decision, p.outcome.StateTime), p.blocked(), p.resolvedRefs())
}

func (p *pass) ready() metav1.Condition {
	if reason, message := p.problem(); reason != "" {
		return summary.Condition(v1alpha1.ConditionReady, false, reason, message)
	}
	message := "What is declared is in force"
	if len(p.wanted) > 0 {
		message += "; granted: " + p.granted()
	}
	return summary.Condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReconciled, message)
}

// problem is the first thing that is not as it should be; what keeps the whole membership out of force comes first.
func (p *pass) problem() (reason, message string) {
	if resolved := p.resolvedRefs(); resolved.Status == metav1.ConditionFalse {
		return resolved.Reason, resolved.Message
	}
	if older := p.input.DuplicateOf; older != "" {
		return v1alpha1.ReasonDuplicate, "Membership " + older + ", which is older, is of the same user and group: this one is not in force. Delete one of the two"
	}
	if reason, message := p.waiting(); reason != "" {
		return reason, message
	}
	if refused := slices.Concat(p.closed, p.given.Refused); len(refused) > 0 {
		texts := make([]string, 0, len(refused))
		for _, r := range refused {
			texts = append(texts, r.String())
		}
		return v1alpha1.ReasonGrantRefused, "Not granted: " + strings.Join(texts, "; ")
	}
	if unknown := p.unknownRoles(); len(unknown) > 0 && p.decision.Access() == v1alpha1.AccessGranted {
		return v1alpha1.ReasonUnknownGroupRole, "Group " + p.group.Name + " has no role " + strings.Join(unknown, ", ") + "; the other roles are in force"
	}
	return "", ""
}

// unknownRoles are roles of the membership that its group does not have.
func (p *pass) unknownRoles() []string {
	if p.group == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.membership.Spec.Roles), func(name string) bool {
		return slices.ContainsFunc(p.group.Spec.Roles, func(role v1alpha1.GroupRole) bool { return role.Name == name })
	})
}

func (p *pass) granted() string {
	texts := make([]string, 0, len(p.wanted))
	for _, binding := range p.wanted {
		texts = append(texts, binding.RoleRef.Kind+" "+binding.RoleRef.Name+" in "+binding.Namespace)
	}
	return strings.Join(texts, ", ")
}

func (p *pass) blocked() metav1.Condition {
	if p.input.User != nil && !p.input.User.HeldOpen.IsZero() {
		return summary.Condition(v1alpha1.ConditionBlocked, true, v1alpha1.ReasonHeldOpen,
			"A guard holds back the end of User "+p.user.Name+"'s access: see its Blocked condition")
	}
	return summary.Condition(v1alpha1.ConditionBlocked, false, v1alpha1.ReasonNotBlocked, "No guard stands in the way")
}

func (p *pass) resolvedRefs() metav1.Condition {
	spec := p.membership.Spec
	switch {
	case p.user == nil:
		return summary.Condition(v1alpha1.ConditionResolvedRefs, false, v1alpha1.ReasonUserNotFound,
			"User "+spec.UserRef.Name+" does not exist; the membership begins when it does")
	case p.group == nil:
		return summary.Condition(v1alpha1.ConditionResolvedRefs, false, v1alpha1.ReasonGroupNotFound,
			"Group "+spec.GroupRef.Name+" does not exist; the membership begins when it does")
	default:
		return summary.Condition(v1alpha1.ConditionResolvedRefs, true, v1alpha1.ReasonResolved, "User and group exist")
	}
}

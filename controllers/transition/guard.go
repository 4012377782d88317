package transition

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/summary"
)

// waits asks the guards that never keep a door open, but make the cascade wait. Where there is no Organization, nothing is
// destroyed.
func (p *pass) waits(ctx context.Context) (reason, message string, err error) {
	if p.org.Object == nil {
		return v1alpha1.ReasonOrganizationNotFound, "The effects wait: namespace " + p.transition.Namespace +
			" has no Organization; create one with the name " + p.transition.Namespace, nil
	}
	if p.policy.Object == nil || lifecycle.AccessOf(p.transition.Spec.To) == v1alpha1.AccessGranted {
		return "", "", nil
	}
	guards := p.policy.Object.Spec.Guards
	if guards.Leader != v1alpha1.GuardAllow {
		led, err := observe.GroupsLed(ctx, p, p.subject.Namespace, p.subject.Name)
		if err != nil {
			return "", "", err
		}
		if len(led) > 0 {
			return v1alpha1.ReasonLeader, fmt.Sprintf("The effects wait: User %s leads %s. Name another leader in leaderRef of each, or let the policy's guards.leader be Allow",
				p.subject.Name, strings.Join(few(led), ", ")), nil
		}
	}
	if guards.LastRoleHolder != v1alpha1.GuardAllow {
		short, err := p.leftShort(ctx)
		if err != nil {
			return "", "", err
		}
		if len(short) > 0 {
			return v1alpha1.ReasonLastRoleHolder, fmt.Sprintf("The effects wait: without User %s %s. Give the role to another active member, or let the policy's guards.lastRoleHolder be Allow",
				p.subject.Name, strings.Join(few(short), ", ")), nil
		}
	}
	return "", "", nil
}

// leftShort says which group roles have fewer active holders than they must have, now that the user is none.
func (p *pass) leftShort(ctx context.Context) ([]string, error) {
	memberships, err := index.MembershipsOfUser(ctx, p, p.subject.Namespace, p.subject.Name)
	if err != nil {
		return nil, err
	}
	var short []string
	for i := range memberships {
		group, err := observe.Get[v1alpha1.Group](ctx, p, p.subject.Namespace, memberships[i].Spec.GroupRef.Name)
		if err != nil {
			return nil, err
		}
		if group == nil {
			continue
		}
		if held, err := p.successors().Belongs(ctx, &memberships[i]); err != nil || !held {
			if err != nil {
				return nil, err
			}
			continue
		}
		for j := range group.Spec.Roles {
			role := &group.Spec.Roles[j]
			least := ptr.Deref(role.MinimumActive, 0)
			if least == 0 || !slices.Contains(memberships[i].Spec.Roles, role.Name) {
				continue
			}
			enough, err := p.hasActive(ctx, group, role.Name, least)
			if err != nil {
				return nil, err
			}
			if !enough {
				short = append(short, fmt.Sprintf("role %s of group %s has fewer than %d active holders", role.Name, group.Name, least))
			}
		}
	}
	return short, nil
}

// destroys tells whether an action takes away what nobody can declare anew. To anonymize counts also where a return would link
// the person again: not everybody returns.
func destroys(action v1alpha1.EffectAction) bool {
	return action == v1alpha1.ActionDelete || action == v1alpha1.ActionAnonymize || action == v1alpha1.ActionUnlink
}

// waitForClock is the step of an effect that must not act by a clock that is off.
func (t *turn) waitForClock(found finding, by time.Duration) step {
	t.skew = by
	return step{again: guardPatience, progress: v1alpha1.EffectProgress{
		Name: t.planned.Effect, Matched: int32(found.matched), Done: int32(found.done), //nolint:gosec // bounded
		Message: "Waits until the operator's clock is right",
	}}
}

// tellSkew says why effects that destroy wait, and what could not be done beside them.
func (p *pass) tellSkew() {
	side := "ahead of"
	if p.skew < 0 {
		side = "behind"
	}
	message := fmt.Sprintf("What effects delete or anonymize waits: the operator's clock is %s %s the API server's. Set the clock right of the node that is wrong: the operator's, or the API server's",
		p.skew.Abs().Round(time.Second), side)
	if len(p.failed) > 0 {
		message += "; " + errors.Join(p.failed...).Error()
	}
	p.condition = summary.Condition(v1alpha1.ConditionComplete, false, v1alpha1.ReasonClockSkewed, message)
}

// hasActive tells whether a role has so many active holders. It looks no further than it must.
func (p *pass) hasActive(ctx context.Context, group *v1alpha1.Group, role string, least int32) (bool, error) {
	members, err := index.MembershipsOfGroup(ctx, p, group.Namespace, group.Name)
	if err != nil {
		return false, err
	}
	for i := range members {
		if !slices.Contains(members[i].Spec.Roles, role) {
			continue
		}
		input, _, err := observe.MembershipAt(ctx, p, p.org, &members[i], p.now)
		if err != nil {
			return false, err
		}
		if lifecycle.DecideMembership(input, p.now).State == v1alpha1.StateActive {
			if least--; least == 0 {
				return true, nil
			}
		}
	}
	return false, nil
}

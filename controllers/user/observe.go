package user

import (
	"context"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
)

// pass is one look at a User: what was observed, what was decided, and what was done about it.
type pass struct {
	*Reconciler

	// original is the User as it was read, user the one that this pass works on.
	original, user *v1alpha1.User
	now            time.Time

	// Observed.
	org         observe.Organization
	policy      observe.Policy
	seen        observe.User
	history     history.History
	memberships []v1alpha1.Membership

	// Decided.
	decision lifecycle.Decision
	outcome  lifecycle.Outcome
	counts   v1alpha1.MembershipCounts

	// Done.
	recorded *v1alpha1.Transition
}

func (p *pass) subject() history.Subject {
	return history.Subject{Kind: v1alpha1.SubjectUser, Object: p.user}
}

func (p *pass) observe(ctx context.Context) (err error) {
	if p.org, err = observe.OrganizationOf(ctx, p, p.user.Namespace); err != nil || p.org.Terminating {
		return err
	}
	if p.policy, err = observe.PolicyOf(ctx, p, p.org, p.user); err != nil {
		return err
	}
	observe.ReleaseUser(p.user) // So that this very pass decides without them. stamp writes the spec, with everything else of the object.
	if p.seen, err = observe.UserAt(ctx, p, p.org, p.user, p.now); err != nil {
		return err
	}
	if p.history, err = history.Of(ctx, p, p.subject(), p.user.Status.LastTransition, p.user.Status.Causes); err != nil {
		return err
	}
	if p.memberships, err = index.MembershipsOfUser(ctx, p, p.user.Namespace, p.user.Name); err != nil {
		return err
	}
	return p.count(ctx)
}

// count computes the memberships' states instead of reading their status, so that a change of the user is written once
// and not again for each membership that follows.
func (p *pass) count(ctx context.Context) error {
	for i := range p.memberships {
		membership := &p.memberships[i]
		input, err := observe.MembershipOf(ctx, p, membership, &p.seen.Input, p.policy.Suspension())
		if err != nil {
			return err
		}
		p.counts.Total++
		if lifecycle.DecideMembership(input, p.now).State == v1alpha1.StateActive {
			p.counts.Active++
		}
	}
	return nil
}

func (p *pass) decide() {
	p.decision = lifecycle.DecideUser(p.seen.Input, p.now)
	status := &p.user.Status
	p.outcome = lifecycle.UserOutcome(p.seen.Input, p.decision, lifecycle.Past{
		Newest:         p.history.Newest,
		State:          status.State,
		StateTime:      status.StateTime.Time,
		Causes:         status.Causes,
		LastTransition: status.LastTransition.Name,
		Created:        p.user.CreationTimestamp,
	}, p.now)
}

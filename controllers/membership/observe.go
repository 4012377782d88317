package membership

import (
	"context"
	"errors"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/grants"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
)

// pass is one look at a Membership: what was observed, what was decided, and what was done about it.
type pass struct {
	*Reconciler

	// original is the Membership as it was read, membership the one that this pass works on.
	original, membership *v1alpha1.Membership
	now                  time.Time

	// Observed.
	org      observe.Organization
	user     *v1alpha1.User
	group    *v1alpha1.Group
	input    lifecycle.Membership
	history  history.History
	bindings []rbacv1.RoleBinding

	// holdsPending tells whether the user's last changes have yet to put holds on the memberships.
	holdsPending bool

	// userSince is since when the user's access is as it is; known only where the status is lost.
	userSince time.Time

	// Decided.
	decision lifecycle.Decision
	outcome  lifecycle.Outcome
	wanted   []*rbacv1.RoleBinding
	closed   []grants.Refusal

	// Done.
	recorded *v1alpha1.Transition
	given    grants.Given
}

func (p *pass) subject() history.Subject {
	return history.Subject{Kind: v1alpha1.SubjectMembership, Object: p.membership}
}

func (p *pass) observe(ctx context.Context) (err error) {
	m := p.membership
	if p.bindings, err = index.BindingsOfMembership(ctx, p, m.Namespace, m.Name); err != nil {
		return err
	}
	if p.org, err = observe.OrganizationOf(ctx, p, m.Namespace); err != nil || p.org.Terminating {
		return err
	}
	observe.ReleaseMembership(m)

	if p.input, p.user, err = observe.MembershipAt(ctx, p, p.org, m, p.now); err != nil {
		return err
	}
	if p.group, err = observe.Get[v1alpha1.Group](ctx, p, m.Namespace, m.Spec.GroupRef.Name); err != nil {
		return err
	}
	if p.history, err = history.Of(ctx, p, p.subject(), m.Status.LastTransition, m.Status.Causes); err != nil {
		return err
	}
	if err := p.confirmMissing(ctx); err != nil {
		return err
	}
	if err := p.recall(ctx); err != nil {
		return err
	}
	if p.user != nil {
		if p.holdsPending, err = history.HoldsPending(ctx, p, p.user); err != nil {
			return err
		}
	}
	return p.want(ctx)
}

// confirmMissing asks the API server, at the first look at a membership, for a user or group that the cache does not have.
// The kinds come through watches of their own, and who applies a file with all three would else read in the history of
// each membership that it waited for somebody who was there.
func (p *pass) confirmMissing(ctx context.Context) error {
	if p.history.Newest != nil {
		return nil
	}
	spec, namespace := p.membership.Spec, p.membership.Namespace
	user, group := p.user, p.group
	var err error
	if user == nil {
		if user, err = observe.Get[v1alpha1.User](ctx, p.Live, namespace, spec.UserRef.Name); err != nil {
			return err
		}
	}
	if group == nil {
		if group, err = observe.Get[v1alpha1.Group](ctx, p.Live, namespace, spec.GroupRef.Name); err != nil {
			return err
		}
	}
	if (user == nil) == (p.user == nil) && (group == nil) == (p.group == nil) {
		return nil
	}
	return p.behind("its user or group has not come through the watch yet")
}

// confirmLatch asks the API server whether the user is as the cache says, before it puts a hold that only a person takes away
// again. The kinds come through watches of their own: after a restart the membership may be the one that was released, and the user
// still the one who was suspended before.
func (p *pass) confirmLatch(ctx context.Context) error {
	user, err := observe.Get[v1alpha1.User](ctx, p.Live, p.user.Namespace, p.user.Name)
	if err != nil {
		return err
	}
	if user != nil && user.UID == p.user.UID {
		seen, err := observe.UserAt(ctx, p, p.org, user, p.now)
		if err != nil {
			return err
		}
		input := p.input
		input.User = &seen.Input
		if lifecycle.DecideMembership(input, p.now).Latch != nil {
			return nil
		}
	}
	return p.behind("the change of its user has not come through the watch yet")
}

// behind is that the cache does not have what the API server has.
func (p *pass) behind(what string) error {
	return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("memberships").GroupResource(), p.membership.Name, errors.New(what))
}

// recall finds in the user's history what a status that is lost said: since when the membership goes with its user. A
// history that is behind what is decided now does not know.
func (p *pass) recall(ctx context.Context) error {
	if p.membership.Status.State != "" || p.user == nil {
		return nil
	}
	since, access, err := history.AccessSince(ctx, p, p.user)
	if err == nil && access == lifecycle.DecideUser(*p.input.User, p.now).Access() {
		p.userSince = since
	}
	return err
}

func (p *pass) decide() {
	p.decision = lifecycle.DecideMembership(p.input, p.now)
	status := &p.membership.Status
	p.outcome = lifecycle.MembershipOutcome(p.input, p.decision, lifecycle.Past{
		Newest:         p.history.Newest,
		State:          status.State,
		StateTime:      status.StateTime.Time,
		Causes:         status.Causes,
		LastTransition: status.LastTransition.Name,
		UserSince:      p.userSince,
		Created:        p.membership.CreationTimestamp,
	}, p.now)
	if p.decision.Access() == v1alpha1.AccessDenied {
		p.wanted, p.closed = nil, nil
	}
}

// want finds the RoleBindings that stand for the membership while it is active, and those of them that a namespace does
// not let in.
func (p *pass) want(ctx context.Context) error {
	if p.group == nil || p.user == nil {
		return nil
	}
	for _, binding := range grants.Of(p.membership, p.group, p.user) {
		why, err := p.shut(ctx, binding.Namespace)
		if err != nil {
			return err
		}
		if why != "" {
			p.closed = append(p.closed, grants.Refusal{Binding: binding, Why: why})
			continue
		}
		p.wanted = append(p.wanted, binding)
	}
	return nil
}

// shut says why nothing may be granted in a namespace; empty where it may.
func (p *pass) shut(ctx context.Context, namespace string) (why string, err error) {
	target, err := observe.Get[corev1.Namespace](ctx, p, "", namespace)
	switch {
	case err != nil:
		return "", err
	case target == nil:
		return "the namespace does not exist", nil
	case !target.DeletionTimestamp.IsZero():
		return "the namespace is being deleted", nil
	}
	for organization := range strings.SplitSeq(target.Annotations[v1alpha1.AnnotationGrantsFrom], ",") {
		if strings.TrimSpace(organization) == p.membership.Namespace {
			return "", nil
		}
	}
	return "the namespace must opt in with the annotation " + v1alpha1.AnnotationGrantsFrom + ": " + p.membership.Namespace, nil
}

// wait says why no new access may be given now, though the membership is active; empty reason where it may. What was
// given before stays.
func (p *pass) wait() (reason, message string) {
	switch {
	case p.org.Object == nil:
		return v1alpha1.ReasonOrganizationNotFound, "Nothing is granted: namespace " + p.membership.Namespace +
			" has no Organization; create one with the name " + p.membership.Namespace
	case p.org.Object.Status.Admins.Active == 0:
		return v1alpha1.ReasonNoActiveAdmin, "Nothing is granted: organization " + p.org.Object.Name +
			" has no user with access and one of the roles " + strings.Join(p.org.Spec().AdminRoles, ", ")
	case p.user.Status.ObservedGeneration != p.user.Generation || p.holdsPending:
		// A suspension that was lifted at once may not have put its holds yet: grant last.
		return v1alpha1.ReasonWaitingForUser, "The grants wait until the change of User " + p.user.Name + " is worked off"
	default:
		return "", ""
	}
}

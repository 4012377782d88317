package admission

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/utils/ptr"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/grants"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/preview"
	"tenure.dev/tenure/controllers/internal/targets"
)

// listing is how soon to ask again for a plan while objects are being listed for the first time, and patience how often.
const (
	listing  = 100 * time.Millisecond
	patience = 20
)

func (c *userChange) foretell(ctx context.Context) (*preview.Preview, error) {
	p := &preview.Preview{
		Kind: v1alpha1.SubjectUser, Name: c.after.Name, Identity: c.subject().Identity(), Now: c.now, At: c.now,
		Before: c.was.moments(), After: c.is.moments(), Contact: contact(c.org), Deleted: c.deleted, Account: c.policy.Snapshot().ServiceAccountName,
	}
	c.preview = p
	if !p.Changes() {
		return p, nil
	}
	p.At = begin(c.was, c.is, c.now)
	decision := c.decideAfter(p.At)
	if cause := decision.Strongest(); cause != nil {
		p.Reason = cause.Reason
	}
	was, is := c.accessAt(p.At)
	if err := c.foretellMemberships(ctx, was, is); err != nil {
		return nil, err
	}
	var err error
	if p.Blocked, err = c.heldBack(ctx, was && !is); err != nil {
		return nil, err
	}
	if p.Plan, err = c.plan(ctx, decision); err != nil {
		return nil, err
	}
	p.Confirm = c.by.dryRun && c.unconfirmed() // Else the refusal says so, and a digest is there only once to be picked out.
	return p, nil
}

// plan is what the operator will make of the change.
func (c *userChange) plan(ctx context.Context, decision lifecycle.Decision) ([]v1alpha1.PlannedEffect, error) {
	status := &c.after.Status
	outcome := lifecycle.UserOutcome(c.isInput, decision, lifecycle.Past{
		Newest: c.history.Newest, State: status.State, StateTime: status.StateTime.Time, Causes: status.Causes,
		LastTransition: status.LastTransition.Name, Created: c.after.CreationTimestamp,
	}, c.preview.At)
	if outcome.Change == nil || outcome.Change.Baseline() {
		return nil, nil
	}
	situation := cascade.Situation{
		Org: c.org, Policy: c.policy, User: c.after, Identity: c.subject().Identity(), Change: outcome.Change, Past: c.history.All, Now: c.now,
	}
	plan, err := c.Planner.Plan(ctx, situation)
	for tries := 0; errors.Is(err, targets.ErrSynchronizing) && tries < patience; tries++ {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("plan what the change does: %w", ctx.Err())
		case <-c.Clock.After(listing):
		}
		plan, err = c.Planner.Plan(ctx, situation)
	}
	if errors.Is(err, targets.ErrSynchronizing) {
		return nil, refuse("what this change does to the objects that policy %s is about is not known yet: they are being listed. Try again in a moment", c.policy.Object.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("plan what the change does: %w", err)
	}
	return append(plan, cascade.OwnEffects(outcome.Change, c.policy.Suspension(), int32(len(c.memberships)))...), nil //nolint:gosec // bounded by memory
}

// foretellMemberships counts what becomes of the user's memberships and of what they grant.
func (c *userChange) foretellMemberships(ctx context.Context, was, is bool) error {
	p := c.preview
	active := false
	for i := range c.memberships {
		m := &c.memberships[i]
		before, after, err := c.statesOf(ctx, m)
		if err != nil {
			return err
		}
		active = active || before == v1alpha1.StateActive || after == v1alpha1.StateActive
		switch {
		case before == after:
		case after == v1alpha1.StatePaused:
			p.Memberships.Paused++
		case after == v1alpha1.StateActive:
			p.Memberships.Resumed++
		case after == v1alpha1.StateDeactivated:
			p.Memberships.Deactivated++
		case after == v1alpha1.StateRemoved:
			p.Memberships.Removed++
		}
		if after == v1alpha1.StateActive && before != after {
			given, err := c.grantsOf(ctx, m, c.after)
			if err != nil {
				return err
			}
			p.Grants += given
		}
	}
	if was && !is {
		bindings, err := index.BindingsOfUser(ctx, c, c.after.Namespace, c.after.Name)
		if err != nil {
			return err
		}
		p.Grants = len(bindings)
	}
	if counted := active || c.org.Spec().SeatCounting != v1alpha1.SeatUsersWithActiveMembership; counted {
		p.SeatsFreed, p.SeatsTaken = was && !is, is && !was
	}
	return nil
}

func (c *userChange) statesOf(ctx context.Context, m *v1alpha1.Membership) (before, after v1alpha1.State, err error) {
	if c.before != nil {
		input, err := observe.MembershipOf(ctx, c, m, &c.wasInput, c.policy.Suspension())
		if err != nil {
			return "", "", err
		}
		before = lifecycle.DecideMembership(input, c.preview.At).State
	}
	input, err := observe.MembershipOf(ctx, c, m, &c.isInput, c.policy.Suspension())
	return before, lifecycle.DecideMembership(input, c.preview.At).State, err
}

// grantsOf is how many RoleBindings a membership stands for.
func (s *scene) grantsOf(ctx context.Context, m *v1alpha1.Membership, user *v1alpha1.User) (int, error) {
	group, err := observe.Get[v1alpha1.Group](ctx, s, m.Namespace, m.Spec.GroupRef.Name)
	if group == nil || user == nil || err != nil {
		return 0, err
	}
	return len(grants.Of(m, group, user)), nil
}

// heldBack is the guard that will keep a departure from happening by itself when its time comes, as things are now.
func (c *userChange) heldBack(ctx context.Context, leaves bool) (string, error) {
	if !leaves || !c.preview.At.After(c.now) || c.org.Object == nil {
		return "", nil
	}
	if c.org.Spec().OwnerRef.Name == c.after.Name {
		return "account owner", nil
	}
	if !c.org.Admin(c.after) {
		return "", nil
	}
	for _, role := range c.org.DeclaredAdminRoles() {
		admins, err := index.UsersDeclaringRole(ctx, c, c.after.Namespace, role)
		if err != nil {
			return "", err
		}
		for i := range admins {
			if admins[i].Name == c.after.Name || !c.org.Admin(&admins[i]) {
				continue
			}
			seen, err := observe.UserDeclared(ctx, c, &admins[i])
			if err != nil {
				return "", err
			}
			if lifecycle.DecideUser(seen.Input, c.preview.At).Access() == v1alpha1.AccessGranted {
				return "", nil
			}
		}
	}
	return "last administrator", nil
}

// contact is whom people of an organization may turn to.
func contact(org observe.Organization) string {
	to := ptr.Deref(org.Object, v1alpha1.Organization{}).Spec.Contact
	switch {
	case to.Email == "":
		return to.Name
	case to.Name == "":
		return to.Email
	default:
		return to.Name + " <" + to.Email + ">"
	}
}

// moments are a course as a preview shows it.
func (c course) moments() []preview.Moment {
	var moments []preview.Moment
	for _, m := range c {
		moments = append(moments, preview.Moment{At: m.at, State: m.state})
	}
	return moments
}

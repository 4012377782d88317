package admission

import (
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/preview"
)

// membershipChange is a change of a Membership, and what it depends on.
type membershipChange struct {
	*scene
	now    time.Time
	user   *v1alpha1.User // nil where there is none
	policy observe.Policy
	past   v1alpha1.State // the last one of an earlier membership of this name, before it went

	// before and after are as for a user.
	before, after *v1alpha1.Membership
	deleted       bool

	wasInput, isInput lifecycle.Membership
	was, is           course
}

// guards of a Membership.
func (c *membershipChange) guards() []func(context.Context) error {
	return []func(context.Context) error{c.unique, c.suspended, c.notOneself, c.reason, c.rights, c.lastHolder}
}

func observeMembership(ctx context.Context, s *scene, before, after *v1alpha1.Membership) (_ change, err error) {
	if before != nil {
		before = before.DeepCopy()
		observe.ReleaseMembership(before) // Of what was released before, nobody is asked again.
	}
	c := &membershipChange{scene: s, now: s.Clock.Now(), before: before, deleted: after == nil}
	if c.after = after.DeepCopy(); c.deleted {
		c.after = before.DeepCopy()
		c.after.DeletionTimestamp = new(metav1.NewTime(c.now))
	}
	if before == nil {
		c.after.CreationTimestamp = metav1.NewTime(c.now)
		if c.past, err = s.lastState(ctx, history.Subject{Kind: v1alpha1.SubjectMembership, Object: c.after}); err != nil {
			return nil, err
		}
	}
	observe.ReleaseMembership(c.after)

	if c.user, err = observe.Get[v1alpha1.User](ctx, s, c.after.Namespace, c.after.Spec.UserRef.Name); err != nil {
		return nil, err
	}
	var user *lifecycle.User
	if c.user != nil {
		seen, err := observe.UserDeclared(ctx, s, c.user)
		if err != nil {
			return nil, err
		}
		user = &seen.Input
		if c.policy, err = observe.PolicyOf(ctx, s, s.org, c.user); err != nil {
			return nil, err
		}
	}
	if before != nil {
		if c.wasInput, err = observe.MembershipOf(ctx, s, before, user, c.policy.Suspension()); err != nil {
			return nil, err
		}
		c.was = courseOf(func(t time.Time) lifecycle.Decision { return lifecycle.DecideMembership(c.wasInput, t) }, c.now)
	}
	if c.isInput, err = observe.MembershipOf(ctx, s, c.after, user, c.policy.Suspension()); err != nil {
		return nil, err
	}
	c.is = courseOf(func(t time.Time) lifecycle.Decision { return lifecycle.DecideMembership(c.isInput, t) }, c.now)
	return c, nil
}

func (c *membershipChange) foretell(ctx context.Context) (*preview.Preview, error) {
	p := &preview.Preview{
		Kind: v1alpha1.SubjectMembership, Name: c.after.Name, Now: c.now, At: c.now,
		Identity: history.Subject{Kind: v1alpha1.SubjectMembership, Object: c.after}.Identity(),
		Before:   c.was.moments(), After: c.is.moments(), Contact: contact(c.org), Deleted: c.deleted,
	}
	if !p.Changes() {
		return p, nil
	}
	p.At = begin(c.was, c.is, c.now)
	if cause := lifecycle.DecideMembership(c.isInput, p.At).Strongest(); cause != nil {
		p.Reason = cause.Reason
	}
	if c.was.at(p.At) != v1alpha1.StateActive && c.is.at(p.At) != v1alpha1.StateActive {
		return p, nil
	}
	var err error
	p.Grants, err = c.grantsOf(ctx, c.after, c.user)
	return p, err
}

// unique: a user is a member of a group once.
func (c *membershipChange) unique(context.Context) error {
	if c.before != nil || c.restored() || c.isInput.DuplicateOf == "" {
		return nil
	}
	return refuse("Membership %s is of user %s and group %s already. Change that one instead, or delete it first",
		c.isInput.DuplicateOf, c.after.Spec.UserRef.Name, c.after.Spec.GroupRef.Name)
}

// suspended: a suspended user gets no new membership.
func (c *membershipChange) suspended(context.Context) error {
	if c.isInput.User == nil || c.deleted || c.restored() {
		return nil
	}
	revived := c.before != nil && c.before.Spec.DesiredStatus != v1alpha1.MembershipDesiredActive && c.after.Spec.DesiredStatus == v1alpha1.MembershipDesiredActive
	if c.before != nil && !revived || lifecycle.DecideUser(*c.isInput.User, c.now).State != v1alpha1.StateSuspended {
		return nil
	}
	return refuse("%s is Suspended: there is no new membership until an administrator lifts the suspension", c.after.Spec.UserRef.Name)
}

// restored is as for a user.
func (c *membershipChange) restored() bool { return c.before == nil && suppliesIdentity(c.after) }

// declares tells whether the change is about the declared lifecycle, or about the roles.
func (c *membershipChange) declares() bool {
	if c.before == nil || c.deleted {
		return true
	}
	was, is := c.before.Spec, c.after.Spec
	return was.DesiredStatus != is.DesiredStatus || !slices.Equal(was.Roles, is.Roles) || !was.StartTime.Equal(&is.StartTime) ||
		!was.ExpirationTime.Equal(&is.ExpirationTime) ||
		!slices.EqualFunc(was.Holds, is.Holds, func(a, b v1alpha1.MembershipHold) bool { return a.Name == b.Name })
}

// notOneself: nobody changes their own membership, but for leaving where the policy lets them.
func (c *membershipChange) notOneself(context.Context) error {
	if !c.by.is(c.user) || !c.declares() || c.before == nil && !c.returns() || c.leavesItself() {
		return nil
	}
	return refuse("you cannot change the status of your own membership, nor its dates, holds or roles. Ask another administrator")
}

// leavesItself tells whether somebody leaves a group, as the policy lets people do.
func (c *membershipChange) leavesItself() bool {
	if !c.by.is(c.user) || c.before == nil || !c.policy.SelfService(v1alpha1.SelfServiceLeave) {
		return false
	}
	if c.deleted {
		return true
	}
	only := c.before.DeepCopy()
	only.Spec.DesiredStatus = c.after.Spec.DesiredStatus
	rest := membershipChange{before: only, after: c.after}
	return c.after.Spec.DesiredStatus == v1alpha1.MembershipDesiredRemoved && !rest.declares()
}

// returns tells whether a new Membership takes the place of one that somebody had deactivated.
func (c *membershipChange) returns() bool { return c.past == v1alpha1.StateDeactivated }

// reason: where the policy requires one, whoever takes a membership away says why.
func (c *membershipChange) reason(context.Context) error {
	if c.policy.Object == nil || c.policy.Object.Spec.Guards.Reason != v1alpha1.Required || c.before == nil || c.deleted || c.leavesItself() ||
		c.was.at(c.now) != v1alpha1.StateActive || c.is.at(c.now) == v1alpha1.StateActive {
		return nil
	}
	if cause := lifecycle.DecideMembership(c.isInput, c.now).Strongest(); c.after.Spec.Reason != "" || cause != nil && cause.Reason != "" {
		return nil
	}
	return refuse("policy %s requires a reason for leaving the active states: set spec.reason in the same request", c.policy.Object.Name)
}

// rights: beside update, create or delete, the requester has the verbs of what the change does. What its user's state does to
// a membership is not theirs.
func (c *membershipChange) rights(ctx context.Context) error {
	needed := verbs{}
	switch {
	case c.leavesItself():
		return nil
	case c.before == nil:
		if c.returns() {
			needed.need(verbReactivate)
		}
	default:
		unreleased := c.after.DeepCopy()
		for _, hold := range c.before.Spec.Holds {
			if !lifecycle.HasHold(unreleased.Spec.Holds, hold.Name) {
				unreleased.Spec.Holds = append(unreleased.Spec.Holds, hold)
			}
		}
		needed.forCourses(c.alone(c.wasInput, c.before), c.alone(c.isInput, unreleased))
		if was, is := c.before.Spec.DesiredStatus, c.after.Spec.DesiredStatus; was != is {
			needed.need(verbOf(v1alpha1.State(was), v1alpha1.State(is)))
		}
		for _, hold := range c.after.Spec.Holds {
			if !lifecycle.HasHold(c.before.Spec.Holds, hold.Name) {
				needed.need(verbOf(v1alpha1.StateActive, v1alpha1.State(hold.Status)))
			}
		}
	}
	return c.mustBeAllowed(ctx, "memberships", c.after, needed.sorted())
}

// alone is the course of a membership of somebody who has access, in a group that exists.
func (c *membershipChange) alone(input lifecycle.Membership, m *v1alpha1.Membership) course {
	input.Spec, input.User, input.GroupFound, input.DuplicateOf = &m.Spec, &lifecycle.User{Spec: &v1alpha1.UserSpec{}}, true, ""
	return courseOf(func(t time.Time) lifecycle.Decision { return lifecycle.DecideMembership(input, t) }, c.now)
}

// lastHolder: each group role keeps its least number of holders.
func (c *membershipChange) lastHolder(ctx context.Context) error {
	if c.before == nil || c.org.Object == nil {
		return nil
	}
	posts, err := c.postsOf(ctx, c.before)
	if err != nil {
		return err
	}
	d := departure{kind: v1alpha1.SubjectMembership, object: c.before, allowed: c.policy.Allows(lastRoleHolder)}
	soon := c.now.Add(longestRequest)
	for _, p := range posts {
		keeps := func(t time.Time) bool {
			return c.is.at(t) == v1alpha1.StateActive && slices.Contains(c.after.Spec.Roles, p.role)
		}
		switch {
		case c.was.at(c.now) == v1alpha1.StateActive && !keeps(c.now):
			d.left = append(d.left, p)
		case c.was.at(soon) == v1alpha1.StateActive && !keeps(soon):
			d.leaving = append(d.leaving, p)
		}
	}
	return c.letPass(ctx, d, c.now)
}

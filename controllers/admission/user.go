package admission

import (
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/preview"
)

// userChange is a change of a User, and what it depends on.
type userChange struct {
	*scene
	now    time.Time
	policy observe.Policy

	// before is nil for a creation. after is the User as it will be, released holds left out and, for a deletion, being
	// deleted.
	before, after *v1alpha1.User
	deleted       bool

	history     history.History
	past        v1alpha1.State // the last one of an earlier account of this name, before it went
	memberships []v1alpha1.Membership

	// wasInput and isInput are the inputs of the decision, with the guards' verdict that is on record.
	wasInput, isInput lifecycle.User
	was, is           course

	// preview is filled by foretell.
	preview *preview.Preview
}

// guards of a User.
func (c *userChange) guards() []func(context.Context) error {
	return []func(context.Context) error{
		c.unique, c.notOneself, c.higherRole, c.expired, c.allowedStatus, c.reason, c.owner, c.leader, c.seats, c.rights,
		c.successors, c.confirmed, c.lastHolder,
	}
}

func observeUser(ctx context.Context, s *scene, before, after *v1alpha1.User) (_ change, err error) {
	if before != nil {
		before = before.DeepCopy()
		observe.ReleaseUser(before) // Of what was released before, nobody is asked again.
	}
	c := &userChange{scene: s, now: s.Clock.Now(), before: before, deleted: after == nil}
	if c.after = after.DeepCopy(); c.deleted {
		c.after = before.DeepCopy()
		c.after.DeletionTimestamp = new(metav1.NewTime(c.now))
	}
	if before == nil {
		c.after.CreationTimestamp = metav1.NewTime(c.now) // A new object is younger than all others.
	}
	observe.ReleaseUser(c.after)

	governed := c.after // Who is under another policy from now on is held against the one that was in force.
	if before != nil {
		governed = before
	}
	if c.policy, err = observe.PolicyOf(ctx, s, s.org, governed); err != nil {
		return nil, err
	}
	if before != nil {
		seen, err := observe.UserDeclared(ctx, s, before)
		if err != nil {
			return nil, err
		}
		c.wasInput = seen.Input
		c.was = courseOf(c.decideBefore, c.now)
	}
	seen, err := observe.UserDeclared(ctx, s, c.after)
	if err != nil {
		return nil, err
	}
	c.isInput = seen.Input
	c.is = courseOf(c.decideAfter, c.now)
	if c.history, err = history.Of(ctx, s, c.subject(), c.after.Status.LastTransition, c.after.Status.Causes); err != nil {
		return nil, err
	}
	if before == nil {
		if c.past, err = s.lastState(ctx, c.subject()); err != nil {
			return nil, err
		}
	}
	c.memberships, err = index.MembershipsOfUser(ctx, s, c.after.Namespace, c.after.Name)
	return c, err
}

func (c *userChange) subject() history.Subject {
	return history.Subject{Kind: v1alpha1.SubjectUser, Object: c.after}
}

func (c *userChange) decideBefore(t time.Time) lifecycle.Decision {
	return lifecycle.DecideUser(c.wasInput, t)
}
func (c *userChange) decideAfter(t time.Time) lifecycle.Decision {
	return lifecycle.DecideUser(c.isInput, t)
}

// accessAt tells whether there is access at an instant without the change, and with it.
func (c *userChange) accessAt(t time.Time) (was, is bool) {
	was = c.before != nil && c.decideBefore(t).Access() == v1alpha1.AccessGranted
	return was, c.decideAfter(t).Access() == v1alpha1.AccessGranted
}

// leaves tells whether the change takes access away at once.
func (c *userChange) leaves() bool {
	was, is := c.accessAt(c.now)
	return was && !is
}

// restored tells whether a User comes from a backup: it is no new one, and what it was let pass for once is not asked again.
func (c *userChange) restored() bool { return c.before == nil && suppliesIdentity(c.after) }

// declares tells whether the change is about the declared lifecycle, or about the role.
func (c *userChange) declares() bool {
	if c.before == nil || c.deleted {
		return true
	}
	was, is := c.before.Spec, c.after.Spec
	return was.DesiredStatus != is.DesiredStatus || was.Role != is.Role || c.declaresTimes() || c.declaresHolds()
}

func (c *userChange) declaresTimes() bool {
	was, is := c.before.Spec, c.after.Spec
	return !was.StartTime.Equal(&is.StartTime) || !was.ExpirationTime.Equal(&is.ExpirationTime) ||
		!slices.EqualFunc(was.Absences, is.Absences, sameAbsence)
}

func (c *userChange) declaresHolds() bool {
	return !slices.EqualFunc(c.before.Spec.Holds, c.after.Spec.Holds, func(a, b v1alpha1.UserHold) bool { return a.Name == b.Name })
}

func sameAbsence(a, b v1alpha1.Absence) bool {
	return a.Name == b.Name && a.Status == b.Status && a.StartTime.Equal(&b.StartTime) && a.EndTime.Equal(&b.EndTime)
}

package admission

import (
	"context"
	"slices"
	"strings"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/summary"
)

// Guards of which a policy chooses whether they refuse.
func higherRole(g v1alpha1.Guards) v1alpha1.GuardMode     { return g.HigherRole }
func leader(g v1alpha1.Guards) v1alpha1.GuardMode         { return g.Leader }
func lastRoleHolder(g v1alpha1.Guards) v1alpha1.GuardMode { return g.LastRoleHolder }

// unique: userName and e-mail are of one user of the organization.
func (c *userChange) unique(ctx context.Context) error {
	if c.deleted || c.restored() {
		return nil
	}
	if c.before == nil {
		same, err := index.UsersWithUserName(ctx, c, c.after.Namespace, c.after.Spec.UserName)
		if err := c.taken("userName "+c.after.Spec.UserName, same, err); err != nil {
			return err
		}
	} else if strings.EqualFold(c.before.Spec.Email, c.after.Spec.Email) {
		return nil
	}
	same, err := index.UsersWithEmail(ctx, c, c.after.Namespace, c.after.Spec.Email)
	return c.taken("e-mail "+c.after.Spec.Email, same, err)
}

func (c *userChange) taken(field string, users []v1alpha1.User, err error) error {
	for i := range users {
		if users[i].Name != c.after.Name && users[i].DeletionTimestamp.IsZero() {
			return refuse("User %s has the %s already: it is of one user of an organization. Correct it, or change that user instead", users[i].Name, field)
		}
	}
	return err
}

// notOneself: nobody changes what is declared about their own lifecycle or role, but for what the policy leaves to them.
func (c *userChange) notOneself(context.Context) error {
	if !c.by.is(c.before, c.after) || !c.declares() {
		return nil
	}
	if c.before == nil {
		if c.returns() {
			return refuse("you cannot create your own account again, which was %s. Ask another administrator", c.past)
		}
		return nil
	}
	if c.ownService() {
		return nil
	}
	return refuse("you cannot change the status of your own account, nor its dates, absences, holds or role%s. Ask another administrator", c.offered())
}

// ownService tells whether the change is nothing but what people may do to themselves.
func (c *userChange) ownService() bool {
	if c.deleted {
		return c.policy.SelfService(v1alpha1.SelfServiceDelete)
	}
	was, is := c.before.Spec, c.after.Spec
	if was.Role != is.Role || !was.StartTime.Equal(&is.StartTime) || !was.ExpirationTime.Equal(&is.ExpirationTime) {
		return false
	}
	if was.DesiredStatus != is.DesiredStatus && !(takesBreak(was.DesiredStatus) && takesBreak(is.DesiredStatus) && c.policy.SelfService(v1alpha1.SelfServiceBreak)) {
		return false
	}
	for _, a := range slices.Concat(was.Absences, is.Absences) {
		unchanged := func(b v1alpha1.Absence) bool { return sameAbsence(a, b) }
		if slices.ContainsFunc(was.Absences, unchanged) && slices.ContainsFunc(is.Absences, unchanged) {
			continue
		}
		if a.Status != v1alpha1.AbsenceOnBreak || !c.policy.SelfService(v1alpha1.SelfServiceBreak) {
			return false
		}
	}
	// Holds that somebody lifts on themselves are marked so (see config/policy/identity.yaml).
	return !slices.ContainsFunc(is.Holds, func(h v1alpha1.UserHold) bool {
		return !slices.ContainsFunc(was.Holds, func(b v1alpha1.UserHold) bool { return b.Name == h.Name })
	}) && !slices.ContainsFunc(was.Holds, func(h v1alpha1.UserHold) bool {
		return h.Release != v1alpha1.ReleaseSelf && !slices.ContainsFunc(is.Holds, func(b v1alpha1.UserHold) bool { return b.Name == h.Name })
	})
}

func takesBreak(s v1alpha1.UserDesiredStatus) bool {
	return s == v1alpha1.UserDesiredActive || s == v1alpha1.UserDesiredOnBreak
}

func (c *userChange) offered() string {
	if c.policy.Object == nil || len(c.policy.Object.Spec.SelfService) == 0 {
		return ""
	}
	acts := make([]string, len(c.policy.Object.Spec.SelfService))
	for i, act := range c.policy.Object.Spec.SelfService {
		acts[i] = string(act)
	}
	return ", beyond what the policy's selfService lists (" + strings.Join(acts, ", ") + ")"
}

// higherRole: nobody changes a user who ranks above them, and nobody gives a role above their own.
func (c *userChange) higherRole(ctx context.Context) error {
	policyMoved := c.before != nil && !c.deleted && c.before.Spec.PolicyRef != c.after.Spec.PolicyRef
	if !c.declares() && !policyMoved || c.by.is(c.before, c.after) {
		return nil
	}
	requester, err := c.userOf(ctx, c.after.Namespace)
	if err != nil || requester == nil {
		return err
	}
	own, is := c.rank(requester.Spec.Role), c.rank(c.after.Spec.Role)
	role, _ := lifecycle.Role(c.org.Spec(), requester.Spec.Role)
	if c.before != nil {
		higher, _ := lifecycle.Role(c.org.Spec(), c.before.Spec.Role)
		if c.rank(c.before.Spec.Role) > own && !c.policy.Allows(higherRole) {
			return refuse("%s has the role %s, which ranks above yours (%s). Ask somebody of that rank, or let the policy's guards.higherRole be Allow",
				c.after.Name, higher, role)
		}
		if c.deleted || c.rank(c.before.Spec.Role) == is {
			return nil
		}
	}
	if is > own {
		return refuse("the role %s ranks above yours (%s), and nobody gives a role above their own. Ask somebody of that rank", c.after.Spec.Role, role)
	}
	return nil
}

// expired: while a user is Expired, the date is the only way back.
func (c *userChange) expired(context.Context) error {
	if c.before == nil || c.deleted || c.was.at(c.now) != v1alpha1.StateExpired {
		return nil
	}
	toggles := []v1alpha1.UserDesiredStatus{v1alpha1.UserDesiredActive, v1alpha1.UserDesiredOnBreak, v1alpha1.UserDesiredDeactivated}
	was, is := c.before.Spec, c.after.Spec
	if was.DesiredStatus == is.DesiredStatus || !slices.Contains(toggles, was.DesiredStatus) || !slices.Contains(toggles, is.DesiredStatus) {
		return nil
	}
	if is.ExpirationTime.IsZero() || is.ExpirationTime.After(c.now) {
		return nil
	}
	return refuse("%s is Expired since %s: desiredStatus cannot be changed until spec.expirationTime is moved into the future or removed, which may be in the same request. What is declared now (%s) holds again then",
		c.after.Name, lifecycle.InWords(was.ExpirationTime.Time), was.DesiredStatus)
}

// allowedStatus: the policy says which statuses people may declare: as desired, for an absence, or by a hold.
func (c *userChange) allowedStatus(context.Context) error {
	if c.policy.Object == nil || c.deleted || c.restored() || len(c.policy.Object.Spec.AllowedStatuses) == 0 {
		return nil
	}
	allowed := c.policy.Object.Spec.AllowedStatuses
	for _, declared := range c.declaredAnew() {
		if slices.Contains(allowed, declared) {
			continue
		}
		words := make([]string, len(allowed))
		for i := range allowed {
			words[i] = string(allowed[i])
		}
		return refuse("policy %s does not let anybody declare %s. It allows %s (allowedStatuses)", c.policy.Object.Name, declared, strings.Join(words, ", "))
	}
	return nil
}

// declaredAnew are the statuses that the change declares and that were not declared before.
func (c *userChange) declaredAnew() []v1alpha1.UserDesiredStatus {
	before := v1alpha1.UserSpec{DesiredStatus: v1alpha1.UserDesiredActive}
	if c.before != nil {
		before = c.before.Spec
	}
	var declared []v1alpha1.UserDesiredStatus
	if c.after.Spec.DesiredStatus != before.DesiredStatus {
		declared = append(declared, c.after.Spec.DesiredStatus)
	}
	for _, absence := range c.after.Spec.Absences {
		if !slices.ContainsFunc(before.Absences, func(b v1alpha1.Absence) bool { return b.Name == absence.Name && b.Status == absence.Status }) {
			declared = append(declared, v1alpha1.UserDesiredStatus(absence.Status))
		}
	}
	for _, hold := range c.after.Spec.Holds {
		if !slices.ContainsFunc(before.Holds, func(b v1alpha1.UserHold) bool { return b.Name == hold.Name }) {
			declared = append(declared, v1alpha1.UserDesiredStatus(hold.Status))
		}
	}
	return declared
}

// reason: where the policy requires one, whoever takes access away says why.
func (c *userChange) reason(context.Context) error {
	if c.policy.Object == nil || c.policy.Object.Spec.Guards.Reason != v1alpha1.Required || !c.leaves() {
		return nil
	}
	if c.deleted {
		if c.after.Annotations[v1alpha1.AnnotationReason] != "" {
			return nil
		}
		return refuse("policy %s requires a reason: before the deletion, kubectl annotate user %s %s='...'", c.policy.Object.Name, c.after.Name, v1alpha1.AnnotationReason)
	}
	if cause := c.decideAfter(c.now).Strongest(); c.after.Spec.Reason != "" || cause != nil && cause.Reason != "" {
		return nil
	}
	return refuse("policy %s requires a reason for leaving the active states: set spec.reason in the same request", c.policy.Object.Name)
}

// owner: the account owner hands over first.
func (c *userChange) owner(context.Context) error {
	if c.org.Spec().OwnerRef.Name != c.after.Name || !c.leaves() {
		return nil
	}
	return refuse("%s is the account owner of organization %s. Hand over first: name another active user in its spec.ownerRef", c.after.Name, c.after.Namespace)
}

// leader: where the policy says so, who leads a group stays until somebody else leads it.
func (c *userChange) leader(ctx context.Context) error {
	if c.policy.Object == nil || c.policy.Allows(leader) || !c.leaves() {
		return nil
	}
	led, err := observe.GroupsLed(ctx, c, c.after.Namespace, c.after.Name)
	if err != nil || len(led) == 0 {
		return err
	}
	return refuse("%s leads %s. Name another leader in spec.leaderRef of each first, or let guards.leader of policy %s be Allow",
		c.after.Name, summary.Listed(led, mostNamed), c.policy.Object.Name)
}

// seats: where the organization says so, nobody is activated beyond its seats.
func (c *userChange) seats(context.Context) error {
	spec := c.org.Spec()
	if was, is := c.accessAt(c.now); spec.SeatEnforcement != v1alpha1.SeatRefuse || spec.Seats == nil || was || !is || c.restored() {
		return nil
	}
	if used := c.org.Object.Status.SeatsUsed; used >= *spec.Seats {
		return refuse("all %d seats of organization %s are used (%d). Deactivate somebody who does not need one, or raise spec.seats", *spec.Seats, c.after.Namespace, used)
	}
	return nil
}

// rights: beside update, create or delete, the requester has the verbs of what the change does.
func (c *userChange) rights(ctx context.Context) error {
	needed := verbs{}
	switch {
	case c.before == nil:
		if _, is := c.accessAt(c.now); is && c.returns() {
			needed.need(verbReactivate)
		}
		if err := c.mayAssign(ctx); err != nil {
			return err
		}
	case c.by.is(c.before) && c.ownService():
		return nil
	default:
		c.rightsOfUpdate(needed)
	}
	return c.mustBeAllowed(ctx, "users", c.after, needed.sorted())
}

// mayAssign: memberships that wait for a user give access to whoever is created under that name.
func (c *userChange) mayAssign(ctx context.Context) error {
	asked := map[string]bool{}
	for i := range c.memberships {
		group := &v1alpha1.Group{}
		group.Namespace, group.Name = c.after.Namespace, c.memberships[i].Spec.GroupRef.Name
		if asked[group.Name] {
			continue
		}
		asked[group.Name] = true
		allowed, err := c.allowed(ctx, "groups", group, verbAssign)
		if err != nil {
			return err
		}
		if !allowed {
			return refuse("Membership %s of group %s waits for a user of this name, and %s may not assign anybody to that group. Missing: the verb \"assign\" on groups.tenure.dev %q in namespace %q. Ask for that right, or choose another name",
				c.memberships[i].Name, group.Name, c.by.user.Username, group.Name, group.Namespace)
		}
	}
	return nil
}

func (c *userChange) rightsOfUpdate(needed verbs) {
	// Releasing has a verb of its own, which it takes for whatever comes of it.
	unreleased := c.isInput
	unreleased.Spec = c.after.Spec.DeepCopy()
	for _, hold := range c.before.Spec.Holds {
		if !slices.ContainsFunc(unreleased.Spec.Holds, func(h v1alpha1.UserHold) bool { return h.Name == hold.Name }) {
			unreleased.Spec.Holds = append(unreleased.Spec.Holds, hold)
		}
	}
	needed.forCourses(c.was, courseOf(func(t time.Time) lifecycle.Decision { return lifecycle.DecideUser(unreleased, t) }, c.now))
	if was, is := c.before.Spec.DesiredStatus, c.after.Spec.DesiredStatus; was != is {
		needed.need(verbOf(v1alpha1.State(was), v1alpha1.State(is)))
	}
	for _, hold := range c.after.Spec.Holds {
		if !slices.ContainsFunc(c.before.Spec.Holds, func(h v1alpha1.UserHold) bool { return h.Name == hold.Name }) {
			needed.need(verbOf(v1alpha1.StateActive, v1alpha1.State(hold.Status)))
		}
	}
}

// returns tells whether a new User takes the place of one that had lost its access by somebody's decision.
func (c *userChange) returns() bool {
	return c.past == v1alpha1.StateDeactivated || c.past == v1alpha1.StateSuspended
}

// unconfirmed tells whether the policy requires a confirmation that the change does not have.
func (c *userChange) unconfirmed() bool {
	return c.before != nil && c.policy.Object != nil && c.policy.Object.Spec.Guards.Confirmation == v1alpha1.Required &&
		c.preview.Changes() && c.after.Annotations[v1alpha1.AnnotationConfirm] != c.preview.Digest()
}

// confirmed: where the policy requires it, what has consequences is confirmed with the digest of its preview. A dry run that
// gives none asks for it; one that is there from before is not given.
func (c *userChange) confirmed(context.Context) error {
	if !c.unconfirmed() {
		return nil
	}
	digest := c.preview.Digest()
	given := c.after.Annotations[v1alpha1.AnnotationConfirm]
	switch {
	case c.by.dryRun && (given == "" || given == c.before.Annotations[v1alpha1.AnnotationConfirm]):
		return nil
	case given == "":
		return refuse("policy %s requires a confirmation of what this change does (see the warnings): repeat it with the annotation %s=%s", c.policy.Object.Name, v1alpha1.AnnotationConfirm, digest)
	default:
		return refuse("what this change does is not what was confirmed (%s), or no longer (see the warnings): repeat it with the annotation %s=%s", summary.Short(given), v1alpha1.AnnotationConfirm, digest)
	}
}

// successors: what is to be handed over has somebody who receives it.
func (c *userChange) successors(context.Context) error {
	if c.preview.At.After(c.now) {
		return nil
	}
	for i := range c.preview.Plan {
		planned := &c.preview.Plan[i]
		if planned.Action != v1alpha1.ActionTransfer || planned.Targets == 0 || planned.Successor != "" {
			continue
		}
		why := "nobody is there to receive it"
		if len(planned.Candidates) > 0 {
			why = summary.Listed(planned.Candidates, mostNamed) + ", who would receive it, has no access"
		}
		return refuse("effect %s would hand over %d %s, and %s (guard successor). Name an active user in spec.successorRef, or whomever else the effect's successors mean",
			planned.Effect, planned.Targets, planned.Kind, why)
	}
	return nil
}

// lastHolder: the organization keeps an administrator, and each group role its least number of holders.
func (c *userChange) lastHolder(ctx context.Context) error {
	if c.before == nil || c.org.Object == nil {
		return nil
	}
	d := departure{kind: v1alpha1.SubjectUser, object: c.before, allowed: c.policy.Allows(lastRoleHolder)}
	gives := func(p post, before, after func(time.Time) bool) {
		soon := c.now.Add(longestRequest)
		switch {
		case before(c.now) && !after(c.now):
			d.left = append(d.left, p)
		case before(soon) && !after(soon):
			d.leaving = append(d.leaving, p)
		}
	}
	was := func(t time.Time) bool { was, _ := c.accessAt(t); return was }
	is := func(t time.Time) bool { _, is := c.accessAt(t); return is }
	if c.org.Admin(c.before) {
		gives(post{least: 1}, was, func(t time.Time) bool { return is(t) && c.org.Admin(c.after) })
	}
	for i := range c.memberships {
		m := &c.memberships[i]
		posts, err := c.postsOf(ctx, m)
		if err != nil {
			return err
		}
		if len(posts) == 0 {
			continue
		}
		input, err := observe.MembershipOf(ctx, c, m, &lifecycle.User{Spec: &v1alpha1.UserSpec{}}, v1alpha1.SuspensionPause)
		if err != nil {
			return err
		}
		member := func(t time.Time) bool { return lifecycle.DecideMembership(input, t).Access() == v1alpha1.AccessGranted }
		for _, p := range posts {
			gives(p, func(t time.Time) bool { return was(t) && member(t) }, func(t time.Time) bool { return is(t) && member(t) })
		}
	}
	return c.letPass(ctx, d, c.now)
}

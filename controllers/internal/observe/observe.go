// Package observe reads what more than one controller needs to know of an organization and of a user, and puts it into
// the values that the pure core decides on. Users and memberships see a user through the same function, so they cannot
// disagree about it.
package observe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

// Get reads an object of a namespace that may be missing, which is data and no error: nil.
func Get[T any, P interface {
	*T
	client.Object
}](ctx context.Context, reader client.Reader, namespace, name string) (P, error) {
	if name == "" {
		return nil, nil
	}
	object := P(new(T))
	err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %T %s/%s: %w", object, namespace, name, err)
	}
	return object, nil
}

// Organization is a namespace as an organization.
type Organization struct {
	// Object is the Organization; nil where the namespace has none.
	Object *v1alpha1.Organization

	// Terminating tells whether the whole namespace is being deleted: nothing is decided any more, access is closed
	// and finalizers let go.
	Terminating bool
}

// OrganizationOf reads the organization of a namespace.
func OrganizationOf(ctx context.Context, reader client.Reader, namespace string) (Organization, error) {
	ns, err := Get[corev1.Namespace](ctx, reader, "", namespace)
	if err != nil {
		return Organization{}, err
	}
	object, err := Get[v1alpha1.Organization](ctx, reader, namespace, namespace)
	if err != nil {
		return Organization{}, err
	}
	return Organization{Object: object, Terminating: ns != nil && !ns.DeletionTimestamp.IsZero()}, nil
}

// Spec is what is declared; empty where there is no Organization, so that no guard applies.
func (o Organization) Spec() *v1alpha1.OrganizationSpec {
	if o.Object == nil {
		return &v1alpha1.OrganizationSpec{}
	}
	return &o.Object.Spec
}

// Admin tells whether a user's declared role is an administrator's.
func (o Organization) Admin(user *v1alpha1.User) bool {
	role, _ := lifecycle.Role(o.Spec(), user.Spec.Role)
	return slices.Contains(o.Spec().AdminRoles, role)
}

// Guarded tells whether the guards of automatic departures concern a user.
func (o Organization) Guarded(user *v1alpha1.User) bool {
	return o.Spec().OwnerRef.Name == user.Name || o.Admin(user)
}

// Policy is the LifecyclePolicy that applies to a user.
type Policy struct {
	// Object is the policy; nil where none is named or the named one does not exist.
	Object *v1alpha1.LifecyclePolicy

	// Missing is the name of a policy that the user itself names and that does not exist.
	Missing string
}

// PolicyOf reads the policy that applies to a user.
func PolicyOf(ctx context.Context, reader client.Reader, org Organization, user *v1alpha1.User) (Policy, error) {
	name := user.Spec.PolicyRef.Name
	if name == "" {
		name = org.Spec().DefaultPolicyRef.Name
	}
	object, err := Get[v1alpha1.LifecyclePolicy](ctx, reader, user.Namespace, name)
	if err != nil {
		return Policy{}, err
	}
	policy := Policy{Object: object}
	if object == nil {
		policy.Missing = user.Spec.PolicyRef.Name
	}
	return policy, nil
}

// Suspension is what the policy says about memberships of a suspended user.
func (p Policy) Suspension() v1alpha1.SuspensionMemberships {
	if p.Object == nil || p.Object.Spec.Suspension.Memberships == "" {
		return v1alpha1.SuspensionDeactivate
	}
	return p.Object.Spec.Suspension.Memberships
}

// Snapshot is what a Transition records of the policy.
func (p Policy) Snapshot() v1alpha1.PolicySnapshot {
	if p.Object == nil {
		return v1alpha1.PolicySnapshot{}
	}
	return v1alpha1.PolicySnapshot{
		Name: p.Object.Name, Generation: p.Object.Generation, ServiceAccountName: p.Object.Spec.ServiceAccountName,
	}
}

// User is a user as the pure core sees it at one time.
type User struct {
	// Input of the decision, the guards' verdict included.
	Input lifecycle.User

	// Verdict of the guards on an automatic departure.
	Verdict lifecycle.Verdict

	// LastActivity is what applications reported last.
	LastActivity time.Time

	// Unreadable says which of Tenure's annotations cannot be read, and why.
	Unreadable []string
}

// UserDeclared observes a user with the guards' verdict that is on record, and asks for no new one.
func UserDeclared(ctx context.Context, reader client.Reader, user *v1alpha1.User) (_ User, err error) {
	seen := inputOf(user)
	seen.Input.DuplicateOf, seen.Input.DuplicateField, err = olderDuplicate(ctx, reader, user)
	return seen, err
}

// UserAt observes a user at now.
func UserAt(ctx context.Context, reader client.Reader, org Organization, user *v1alpha1.User, now time.Time) (User, error) {
	seen, err := UserDeclared(ctx, reader, user)
	if err != nil {
		return User{}, err
	}
	if seen.Verdict, err = verdictOn(ctx, reader, org, user, seen.Input, now); err != nil {
		return User{}, err
	}
	seen.Input.HeldOpen = seen.Verdict.HeldOpen
	return seen, nil
}

// inputOf reads what the object itself says.
func inputOf(user *v1alpha1.User) User {
	seen := User{Input: lifecycle.User{Spec: &user.Spec}}
	if user.DeletionTimestamp != nil {
		seen.Input.Deleted = user.DeletionTimestamp.Time
	}
	seen.LastActivity = seen.annotation(user, v1alpha1.AnnotationLastActivity)
	seen.Input.HeldOpen = seen.annotation(user, v1alpha1.AnnotationHeldOpen)
	seen.Input.FirstActivity = firstOf(
		seen.annotation(user, v1alpha1.AnnotationFirstActivity), user.Status.FirstActivityTime.Time, seen.LastActivity)
	seen.Input.ExpiredAt = AppliedExpiration(user.Status.Causes)
	return seen
}

// AppliedExpiration is the expiration that a status shows as applied.
func AppliedExpiration(causes []v1alpha1.Cause) time.Time {
	for i := range causes {
		if causes[i].Type == v1alpha1.CauseExpired {
			return causes[i].Time.Time
		}
	}
	return time.Time{}
}

func (u *User) annotation(user *v1alpha1.User, name string) time.Time {
	value := user.Annotations[name]
	if value == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		u.Unreadable = append(u.Unreadable, fmt.Sprintf("annotation %s is %q, which is no time such as 2026-12-01T08:00:00Z", name, value))
		return time.Time{}
	}
	return at.Truncate(time.Second).UTC()
}

func firstOf(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// olderDuplicate finds the oldest user of the organization that has the same userName or e-mail and is older.
func olderDuplicate(ctx context.Context, reader client.Reader, user *v1alpha1.User) (older, field string, err error) {
	byName, err := index.UsersWithUserName(ctx, reader, user.Namespace, user.Spec.UserName)
	if err != nil {
		return "", "", err
	}
	if first := oldest(byName, user); first != "" {
		return first, "userName " + user.Spec.UserName, nil
	}
	byEmail, err := index.UsersWithEmail(ctx, reader, user.Namespace, user.Spec.Email)
	if err != nil {
		return "", "", err
	}
	if first := oldest(byEmail, user); first != "" {
		return first, "e-mail " + strings.ToLower(user.Spec.Email), nil
	}
	return "", "", nil
}

func oldest(candidates []v1alpha1.User, user *v1alpha1.User) string {
	first := user
	for i := range candidates {
		if candidates[i].DeletionTimestamp == nil && Older(&candidates[i], first) {
			first = &candidates[i]
		}
	}
	if first.UID == user.UID {
		return ""
	}
	return first.Name
}

// Older orders objects by age; those of the same second by name.
func Older(a, b metav1.Object) bool {
	at, bt := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if at.Equal(&bt) {
		return a.GetName() < b.GetName()
	}
	return at.Before(&bt)
}

// verdictOn asks the guards about a user whom a declared time would take access from. The question is rare, so nobody
// else pays for it.
func verdictOn(ctx context.Context, reader client.Reader, org Organization, user *v1alpha1.User, input lifecycle.User, now time.Time) (lifecycle.Verdict, error) {
	if org.Object == nil || !org.Guarded(user) {
		return lifecycle.Verdict{}, nil
	}
	unguarded := input
	unguarded.HeldOpen = time.Time{}
	if lifecycle.DecideUser(unguarded, now).Access() == v1alpha1.AccessGranted {
		return lifecycle.Verdict{}, nil
	}
	first, err := guarded(ctx, reader, org, user, input)
	if err != nil {
		return lifecycle.Verdict{}, err
	}
	candidates := []lifecycle.Guarded{first}
	for _, role := range org.DeclaredAdminRoles() {
		admins, err := index.UsersDeclaringRole(ctx, reader, user.Namespace, role)
		if err != nil {
			return lifecycle.Verdict{}, err
		}
		for i := range admins {
			if admins[i].UID == user.UID || !org.Admin(&admins[i]) {
				continue
			}
			seen := inputOf(&admins[i]).Input
			if seen.DuplicateOf, seen.DuplicateField, err = olderDuplicate(ctx, reader, &admins[i]); err != nil {
				return lifecycle.Verdict{}, err
			}
			other, err := guarded(ctx, reader, org, &admins[i], seen)
			if err != nil {
				return lifecycle.Verdict{}, err
			}
			candidates = append(candidates, other)
		}
	}
	return lifecycle.HeldOpen(candidates, now)[user.Name], nil
}

func guarded(ctx context.Context, reader client.Reader, org Organization, user *v1alpha1.User, input lifecycle.User) (lifecycle.Guarded, error) {
	hasAccess, err := hadAccess(ctx, reader, user)
	return lifecycle.Guarded{
		Name:      user.Name,
		Owner:     org.Spec().OwnerRef.Name == user.Name,
		Admin:     org.Admin(user),
		HasAccess: hasAccess,
		User:      input,
	}, err
}

// hadAccess tells whether a user had access until now: as its status says, or, where a restore lost that, its history.
func hadAccess(ctx context.Context, reader client.Reader, user *v1alpha1.User) (bool, error) {
	if user.Status.State != "" {
		return user.Status.Access == v1alpha1.AccessGranted, nil
	}
	past, err := history.Of(ctx, reader, history.Subject{Kind: v1alpha1.SubjectUser, Object: user}, v1alpha1.LastTransition{}, nil)
	if err != nil || past.Newest == nil {
		return false, err
	}
	return lifecycle.AccessOf(past.Newest.Spec.To) == v1alpha1.AccessGranted, nil
}

// DeclaredAdminRoles are the values of spec.role that make an administrator; leaving it out is one of them where the
// lowest role is an administrator's.
func (o Organization) DeclaredAdminRoles() []string {
	roles := o.Spec().AdminRoles
	if len(o.Spec().Roles) > 0 && slices.Contains(roles, o.Spec().Roles[0]) {
		return append([]string{""}, roles...)
	}
	return roles
}

// MembershipAt observes a membership and its user at now. The user is nil, and its input empty, where there is none.
func MembershipAt(ctx context.Context, reader client.Reader, org Organization, m *v1alpha1.Membership, now time.Time) (lifecycle.Membership, *v1alpha1.User, error) {
	user, err := Get[v1alpha1.User](ctx, reader, m.Namespace, m.Spec.UserRef.Name)
	if err != nil {
		return lifecycle.Membership{}, nil, err
	}
	var seen *lifecycle.User
	suspension := v1alpha1.SuspensionDeactivate
	if user != nil {
		at, err := UserAt(ctx, reader, org, user, now)
		if err != nil {
			return lifecycle.Membership{}, nil, err
		}
		policy, err := PolicyOf(ctx, reader, org, user)
		if err != nil {
			return lifecycle.Membership{}, nil, err
		}
		seen, suspension = &at.Input, policy.Suspension()
	}
	input, err := MembershipOf(ctx, reader, m, seen, suspension)
	return input, user, err
}

// MembershipOf observes a membership of a user who has been observed already.
func MembershipOf(ctx context.Context, reader client.Reader, m *v1alpha1.Membership, user *lifecycle.User, suspension v1alpha1.SuspensionMemberships) (lifecycle.Membership, error) {
	group, err := Get[v1alpha1.Group](ctx, reader, m.Namespace, m.Spec.GroupRef.Name)
	if err != nil {
		return lifecycle.Membership{}, err
	}
	siblings, err := index.MembershipsOfUser(ctx, reader, m.Namespace, m.Spec.UserRef.Name)
	if err != nil {
		return lifecycle.Membership{}, err
	}
	input := lifecycle.Membership{
		Spec: &m.Spec, User: user, GroupFound: group != nil, Suspension: suspension,
		ExpiredAt: AppliedExpiration(m.Status.Causes), DuplicateOf: olderMembership(siblings, m),
	}
	if m.DeletionTimestamp != nil {
		input.Deleted = m.DeletionTimestamp.Time
	}
	return input, nil
}

// olderMembership finds the oldest membership of the same user and group that is older. One that was removed or is being
// deleted does not stand in the way of a new one.
func olderMembership(siblings []v1alpha1.Membership, m *v1alpha1.Membership) string {
	first := m
	for i := range siblings {
		sibling := &siblings[i]
		if sibling.Spec.GroupRef == m.Spec.GroupRef && sibling.DeletionTimestamp == nil &&
			sibling.Status.State != v1alpha1.StateRemoved && Older(sibling, first) {
			first = sibling
		}
	}
	if first.UID == m.UID {
		return ""
	}
	return first.Name
}

// UsersUnder are the users to whom a policy applies: those that name it, and, where it is the organization's default,
// those that name none.
func UsersUnder(ctx context.Context, reader client.Reader, policy *v1alpha1.LifecyclePolicy) ([]v1alpha1.User, error) {
	users, err := index.UsersNamingPolicy(ctx, reader, policy.Namespace, policy.Name)
	if err != nil {
		return nil, err
	}
	org, err := OrganizationOf(ctx, reader, policy.Namespace)
	if err != nil || org.Spec().DefaultPolicyRef.Name != policy.Name {
		return users, err
	}
	byDefault, err := index.UsersNamingPolicy(ctx, reader, policy.Namespace, "")
	return slices.Concat(users, byDefault), err
}

// GroupsLed are the names of the groups that a user leads.
func GroupsLed(ctx context.Context, reader client.Reader, namespace, user string) ([]string, error) {
	groups, err := index.GroupsLedBy(ctx, reader, namespace, user)
	var led []string
	for i := range groups {
		if leader, _ := lifecycle.Leader(&groups[i].Spec); leader == user && groups[i].DeletionTimestamp.IsZero() {
			led = append(led, groups[i].Name)
		}
	}
	slices.Sort(led)
	return led, err
}

// Terminates tells whether a namespace has begun to end between two looks at it.
func Terminates(before, after *corev1.Namespace) bool {
	return before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero()
}

// Allows tells whether a policy lets happen what a guard refuses by default.
func (p Policy) Allows(guard func(v1alpha1.Guards) v1alpha1.GuardMode) bool {
	return p.Object != nil && guard(p.Object.Spec.Guards) == v1alpha1.GuardAllow
}

// SelfService tells whether people may do something to themselves.
func (p Policy) SelfService(act v1alpha1.SelfServiceAct) bool {
	return p.Object != nil && slices.Contains(p.Object.Spec.SelfService, act)
}

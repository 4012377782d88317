// Package index holds every look-up that is not by name: the indexes on the manager's cache, and one function for each
// question that is asked of them. Nothing lists a kind to look for something.
package index

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// Names of the indexes.
const (
	membershipUser    = "membership.user"
	membershipGroup   = "membership.group"
	userName          = "user.userName"
	userEmail         = "user.email"
	userRole          = "user.role"
	userPolicy        = "user.policy"
	userHeldOpen      = "user.heldOpen"
	userManager       = "user.manager"
	userCoach         = "user.coach"
	groupLeader       = "group.leader"
	groupType         = "group.type"
	groupNamespace    = "group.namespace"
	transitionSubject = "transition.subject"
	bindingMembership = "rolebinding.membership"
	bindingUser       = "rolebinding.user"
)

// heldOpen is the key of users whose departure a guard holds back.
const heldOpen = "true"

// Register adds the indexes to a cache. It is called once, before the manager starts.
func Register(ctx context.Context, indexer client.FieldIndexer) error {
	for _, entry := range []struct {
		object client.Object
		name   string
		keys   func(client.Object) []string
	}{
		{&v1alpha1.Membership{}, membershipUser, spread[membershipUser]},
		{&v1alpha1.Membership{}, membershipGroup, of(func(m *v1alpha1.Membership) []string { return keys(m.Spec.GroupRef.Name) })},
		{&v1alpha1.User{}, userName, spread[userName]},
		{&v1alpha1.User{}, userEmail, spread[userEmail]},
		{&v1alpha1.User{}, userRole, of(func(u *v1alpha1.User) []string { return []string{"role:" + u.Spec.Role} })},
		{&v1alpha1.User{}, userPolicy, of(func(u *v1alpha1.User) []string { return []string{"policy:" + u.Spec.PolicyRef.Name} })},
		{&v1alpha1.User{}, userHeldOpen, of(heldOpenKeys)},
		{&v1alpha1.User{}, userManager, of(func(u *v1alpha1.User) []string { return standIns(u.Spec.ManagerRef.Name, u.Spec.Acting) })},
		{&v1alpha1.User{}, userCoach, of(func(u *v1alpha1.User) []string { return standIns(u.Spec.CoachRef.Name, u.Spec.Acting) })},
		{&v1alpha1.Group{}, groupLeader, of(func(g *v1alpha1.Group) []string { return standIns(g.Spec.LeaderRef.Name, g.Spec.Acting) })},
		{&v1alpha1.Group{}, groupType, of(func(g *v1alpha1.Group) []string { return keys(g.Spec.Type) })},
		{&v1alpha1.Group{}, groupNamespace, of(grantNamespaces)},
		{&v1alpha1.Transition{}, transitionSubject, spread[transitionSubject]},
		{&rbacv1.RoleBinding{}, bindingMembership, spread[bindingMembership]},
		{&rbacv1.RoleBinding{}, bindingUser, spread[bindingUser]},
	} {
		keys := entry.keys
		if spread[entry.name] != nil {
			keys = func(o client.Object) []string { return buckets(entry.keys(o)) }
		}
		if err := indexer.IndexField(ctx, entry.object, entry.name, keys); err != nil {
			return fmt.Errorf("index %s: %w", entry.name, err)
		}
	}
	return nil
}

// spread are the indexes with a key of its own for nearly every object. A key costs half a kilobyte, for the namespace and for
// all namespaces, so these hold buckets of keys, and what is found in one is asked for its key.
var spread = map[string]func(client.Object) []string{
	membershipUser: of(func(m *v1alpha1.Membership) []string { return keys(m.Spec.UserRef.Name) }),
	userName:       of(func(u *v1alpha1.User) []string { return keys(strings.ToLower(u.Spec.UserName)) }),
	userEmail:      of(func(u *v1alpha1.User) []string { return keys(strings.ToLower(u.Spec.Email)) }),
	transitionSubject: of(func(t *v1alpha1.Transition) []string {
		return []string{subjectKey(t.Spec.Subject.Kind, t.Spec.Subject.Name)}
	}),
	bindingMembership: of(func(b *rbacv1.RoleBinding) []string {
		return []string{bindingKey(b.Labels[v1alpha1.LabelOrganization], b.Labels[v1alpha1.LabelMembership])}
	}),
	bindingUser: of(func(b *rbacv1.RoleBinding) []string {
		return []string{bindingKey(b.Labels[v1alpha1.LabelOrganization], b.Labels[v1alpha1.LabelUser])}
	}),
}

// bucketCount keeps a bucket to some six of a hundred thousand objects.
const bucketCount = 1 << 14

func buckets(keys []string) []string {
	hashed := make([]string, len(keys))
	for i, key := range keys {
		h := fnv.New32a()
		_, _ = h.Write([]byte(key))
		hashed[i] = strconv.FormatUint(uint64(h.Sum32()%bucketCount), 36)
	}
	return hashed
}

func of[T client.Object](f func(T) []string) func(client.Object) []string {
	return func(o client.Object) []string { return f(o.(T)) }
}

func keys(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

func heldOpenKeys(u *v1alpha1.User) []string {
	if u.Annotations[v1alpha1.AnnotationHeldOpen] == "" {
		return nil
	}
	return []string{heldOpen}
}

// standIns are those whom a reference names and those who stand in for somebody.
func standIns(declared string, acting []v1alpha1.Acting) []string {
	names := keys(declared)
	for i := range acting {
		names = append(names, keys(acting[i].Name)...)
	}
	return names
}

func grantNamespaces(g *v1alpha1.Group) []string {
	var namespaces []string
	for i := range g.Spec.Roles {
		for j := range g.Spec.Roles[i].Grants {
			namespaces = append(namespaces, g.Spec.Roles[i].Grants[j].Namespaces...)
		}
	}
	return namespaces
}

func subjectKey(kind v1alpha1.SubjectKind, name string) string {
	return string(kind) + "/" + name
}

func bindingKey(organization, name string) string {
	return organization + "/" + name
}

// list asks one index. What it returns is the cache's own: it must not be changed. It does not wait for the cache to
// catch up with the caller's own writes: a list would wait for everybody's.
func list[T any, L client.ObjectList](ctx context.Context, reader client.Reader, into L, items func(L) []T, namespace, index, key string) ([]T, error) {
	asked := key
	if spread[index] != nil {
		asked = buckets([]string{key})[0]
	}
	if err := reader.List(ctx, into, client.InNamespace(namespace), client.MatchingFields{index: asked},
		client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return nil, fmt.Errorf("look up %s %q: %w", index, key, err)
	}
	keysOf := spread[index]
	if keysOf == nil {
		return items(into), nil
	}
	found := items(into)
	kept := found[:0]
	for i := range found {
		if slices.Contains(keysOf(any(&found[i]).(client.Object)), key) {
			kept = append(kept, found[i])
		}
	}
	return kept, nil
}

func memberships(l *v1alpha1.MembershipList) []v1alpha1.Membership { return l.Items }
func users(l *v1alpha1.UserList) []v1alpha1.User                   { return l.Items }
func groups(l *v1alpha1.GroupList) []v1alpha1.Group                { return l.Items }
func transitions(l *v1alpha1.TransitionList) []v1alpha1.Transition { return l.Items }
func bindings(l *rbacv1.RoleBindingList) []rbacv1.RoleBinding      { return l.Items }

// MembershipsOfUser are the memberships that refer to a user, whether it exists or not.
func MembershipsOfUser(ctx context.Context, reader client.Reader, namespace, user string) ([]v1alpha1.Membership, error) {
	return list(ctx, reader, &v1alpha1.MembershipList{}, memberships, namespace, membershipUser, user)
}

// MembershipsOfGroup are the memberships that refer to a group, whether it exists or not.
func MembershipsOfGroup(ctx context.Context, reader client.Reader, namespace, group string) ([]v1alpha1.Membership, error) {
	return list(ctx, reader, &v1alpha1.MembershipList{}, memberships, namespace, membershipGroup, group)
}

// UsersWithUserName are the users of that userName, compared without regard to case.
func UsersWithUserName(ctx context.Context, reader client.Reader, namespace, name string) ([]v1alpha1.User, error) {
	return list(ctx, reader, &v1alpha1.UserList{}, users, namespace, userName, strings.ToLower(name))
}

// UsersWithEmail are the users of that e-mail, compared without regard to case.
func UsersWithEmail(ctx context.Context, reader client.Reader, namespace, email string) ([]v1alpha1.User, error) {
	if email == "" {
		return nil, nil
	}
	return list(ctx, reader, &v1alpha1.UserList{}, users, namespace, userEmail, strings.ToLower(email))
}

// UsersDeclaringRole are the users whose spec.role is role; with an empty role those that leave it out.
func UsersDeclaringRole(ctx context.Context, reader client.Reader, namespace, role string) ([]v1alpha1.User, error) {
	return list(ctx, reader, &v1alpha1.UserList{}, users, namespace, userRole, "role:"+role)
}

// UsersNamingPolicy are the users whose spec.policyRef is policy; with an empty name those that leave it out.
func UsersNamingPolicy(ctx context.Context, reader client.Reader, namespace, policy string) ([]v1alpha1.User, error) {
	return list(ctx, reader, &v1alpha1.UserList{}, users, namespace, userPolicy, "policy:"+policy)
}

// UsersHeldOpen are the users whose departure a guard holds back.
func UsersHeldOpen(ctx context.Context, reader client.Reader, namespace string) ([]v1alpha1.User, error) {
	return list(ctx, reader, &v1alpha1.UserList{}, users, namespace, userHeldOpen, heldOpen)
}

// GroupsLedBy are the groups that a user leads or is to lead, declared or as a stand-in.
func GroupsLedBy(ctx context.Context, reader client.Reader, namespace, user string) ([]v1alpha1.Group, error) {
	return list(ctx, reader, &v1alpha1.GroupList{}, groups, namespace, groupLeader, user)
}

// GroupsOfType are the groups of an organization that are of that type.
func GroupsOfType(ctx context.Context, reader client.Reader, namespace, kind string) ([]v1alpha1.Group, error) {
	return list(ctx, reader, &v1alpha1.GroupList{}, groups, namespace, groupType, kind)
}

// UsersManagedBy are the users whose line manager somebody is or stands in for, and perhaps others whom it stands in for otherwise.
func UsersManagedBy(ctx context.Context, reader client.Reader, namespace, manager string) ([]v1alpha1.User, error) {
	return list(ctx, reader, &v1alpha1.UserList{}, users, namespace, userManager, manager)
}

// UsersCoachedBy are the users whose coach somebody is or stands in for, and perhaps others whom it stands in for otherwise.
func UsersCoachedBy(ctx context.Context, reader client.Reader, namespace, coach string) ([]v1alpha1.User, error) {
	return list(ctx, reader, &v1alpha1.UserList{}, users, namespace, userCoach, coach)
}

// GroupsGrantingIn are the groups, of any organization, with a grant in a namespace.
func GroupsGrantingIn(ctx context.Context, reader client.Reader, target string) ([]v1alpha1.Group, error) {
	return list(ctx, reader, &v1alpha1.GroupList{}, groups, "", groupNamespace, target)
}

// TransitionsOf are the Transitions of a subject of that name, of whatever identity.
func TransitionsOf(ctx context.Context, reader client.Reader, namespace string, kind v1alpha1.SubjectKind, name string) ([]v1alpha1.Transition, error) {
	return list(ctx, reader, &v1alpha1.TransitionList{}, transitions, namespace, transitionSubject, subjectKey(kind, name))
}

// BindingsOfMembership are the RoleBindings, in any namespace, that stand for a membership's grants.
func BindingsOfMembership(ctx context.Context, reader client.Reader, organization, membership string) ([]rbacv1.RoleBinding, error) {
	return list(ctx, reader, &rbacv1.RoleBindingList{}, bindings, "", bindingMembership, bindingKey(organization, membership))
}

// BindingsOfUser are the RoleBindings, in any namespace, that stand for the grants of a user's memberships.
func BindingsOfUser(ctx context.Context, reader client.Reader, organization, user string) ([]rbacv1.RoleBinding, error) {
	return list(ctx, reader, &rbacv1.RoleBindingList{}, bindings, "", bindingUser, bindingKey(organization, user))
}

// UsersOf are all users of an organization.
func UsersOf(ctx context.Context, reader client.Reader, namespace string) ([]v1alpha1.User, error) {
	list := &v1alpha1.UserList{}
	if err := reader.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return nil, fmt.Errorf("list the users of %s: %w", namespace, err)
	}
	return list.Items, nil
}

// MembershipsOf are all memberships of an organization.
func MembershipsOf(ctx context.Context, reader client.Reader, namespace string) ([]v1alpha1.Membership, error) {
	list := &v1alpha1.MembershipList{}
	if err := reader.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return nil, fmt.Errorf("list the memberships of %s: %w", namespace, err)
	}
	return list.Items, nil
}

// AllTransitionsOf are all Transitions of an organization.
func AllTransitionsOf(ctx context.Context, reader client.Reader, namespace string) ([]v1alpha1.Transition, error) {
	list := &v1alpha1.TransitionList{}
	if err := reader.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return nil, fmt.Errorf("list the Transitions of %s: %w", namespace, err)
	}
	return list.Items, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/example"
)

// act is one thing that a person does.
type act func(ctx context.Context, w *world) error

// does is a step in which people do something.
func does(name string, acts ...act) step {
	return step{name: name, do: func(ctx context.Context, w *world) error {
		for _, act := range acts {
			if err := act(ctx, w); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}}
}

// passes is a step in which nothing happens but that time passes.
func passes(name string, advance time.Duration) step { return step{name: name, advance: advance} }

func create(object func(w *world) (client.Object, error)) act {
	return func(ctx context.Context, w *world) error {
		o, err := object(w)
		if err != nil {
			return err
		}
		if err := patiently(ctx, func() error { return w.people.Create(ctx, o) }); err != nil {
			return fmt.Errorf("create %T %s: %w", o, o.GetName(), err)
		}
		return nil
	}
}

// edit changes an object as kubectl edit would: again where somebody else's write came between.
func edit[T any, P interface {
	*T
	client.Object
}](key func(w *world) client.ObjectKey, edits ...func(w *world, object P)) act {
	return func(ctx context.Context, w *world) error {
		return change(ctx, w.people, P(new(T)), key(w), func(object client.Object) {
			for _, edit := range edits {
				edit(w, object.(P))
			}
		})
	}
}

func change(ctx context.Context, people client.Client, object client.Object, key client.ObjectKey, edit func(client.Object)) error {
	err := patiently(ctx, func() error {
		return retry.RetryOnConflict(retry.DefaultBackoff, func() error { //nolint:wrapcheck // wrapped below
			if err := people.Get(ctx, key, object); err != nil {
				return err //nolint:wrapcheck // wrapped below
			}
			edit(object)
			return people.Update(ctx, object) //nolint:wrapcheck // wrapped below
		})
	})
	if err != nil {
		return fmt.Errorf("edit %T %s: %w", object, key.Name, err)
	}
	return nil
}

// patiently does something again while an API server that has just started does not know all that it did before.
func patiently(ctx context.Context, do func() error) error {
	deadline := time.Now().Add(longestQuiet)
	for {
		err := do()
		if err == nil || !justStarted(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func justStarted(err error) bool {
	return strings.Contains(err.Error(), "There can be a delay between when CustomResourceDefinitions are created and when they are available") ||
		strings.Contains(err.Error(), "storage is (re)initializing") || apierrors.IsServiceUnavailable(err) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || meta.IsNoMatchError(err)
}

// within is the key of an object of the organization.
func within(name string) func(w *world) client.ObjectKey {
	return func(w *world) client.ObjectKey { return client.ObjectKey{Namespace: w.namespace, Name: name} }
}

// Organizations and policies.

// organization creates the Organization and Olivia, who owns it. With a policy, in YAML, that is everybody's.
func organization(policy string, edits ...func(*v1alpha1.Organization)) act {
	return func(ctx context.Context, w *world) error {
		org := &v1alpha1.Organization{
			ObjectMeta: w.named(w.namespace),
			Spec:       v1alpha1.OrganizationSpec{DisplayName: "Acme Ltd", OwnerRef: v1alpha1.Reference{Name: "olivia"}},
		}
		for _, edit := range edits {
			edit(org)
		}
		create := []client.Object{org, w.user("olivia", role("Owner"))}
		if policy != "" {
			org.Spec.DefaultPolicyRef.Name = "default"
			object := &v1alpha1.LifecyclePolicy{ObjectMeta: w.named("default")}
			if err := yaml.UnmarshalStrict([]byte(policy), &object.Spec); err != nil {
				return fmt.Errorf("read the policy: %w", err)
			}
			create = append([]client.Object{object}, create...)
		}
		for _, object := range create {
			if err := w.people.Create(ctx, object); err != nil {
				return fmt.Errorf("create %T %s: %w", object, object.GetName(), err)
			}
		}
		return nil
	}
}

func editPolicy(edits ...func(w *world, p *v1alpha1.LifecyclePolicy)) act {
	return edit(within("default"), edits...)
}

// Users.

// user is somebody who was active before. User name and e-mail follow from the name and the organization's.
func (w *world) user(name string, edits ...func(*world, *v1alpha1.User)) *v1alpha1.User {
	user := &v1alpha1.User{
		ObjectMeta: w.named(name),
		Spec:       v1alpha1.UserSpec{UserName: w.userName(name), Email: w.userName(name), UserType: "Employee"},
	}
	user.Annotations = map[string]string{v1alpha1.AnnotationLastActivity: "2026-01-02T03:04:05Z"}
	for _, edit := range edits {
		edit(w, user)
	}
	return user
}

func createUser(name string, edits ...func(*world, *v1alpha1.User)) act {
	return create(func(w *world) (client.Object, error) { return w.user(name, edits...), nil })
}

func editUser(name string, edits ...func(*world, *v1alpha1.User)) act {
	return edit(within(name), edits...)
}

func deleteUser(name string) act {
	return remove(func(w *world) client.Object { return &v1alpha1.User{ObjectMeta: w.named(name)} })
}

// remove deletes as kubectl does that is not asked to wait.
func remove(object func(w *world) client.Object) act {
	return func(ctx context.Context, w *world) error {
		o := object(w)
		if err := w.people.Delete(ctx, o); err != nil {
			return fmt.Errorf("delete %T %s: %w", o, o.GetName(), err)
		}
		return nil
	}
}

func role(name string) func(*world, *v1alpha1.User) {
	return func(_ *world, u *v1alpha1.User) { u.Spec.Role = name }
}

func neverActive(_ *world, u *v1alpha1.User) { delete(u.Annotations, v1alpha1.AnnotationLastActivity) }

// wasSeen lets an application report that it has seen the user.
func wasSeen(_ *world, u *v1alpha1.User) {
	annotate(u, v1alpha1.AnnotationLastActivity, "2026-01-02T03:04:05Z")
}

func desired(status v1alpha1.UserDesiredStatus) func(*world, *v1alpha1.User) {
	return func(_ *world, u *v1alpha1.User) {
		u.Spec.DesiredStatus, u.Spec.Reason = status, ""
		if status != v1alpha1.UserDesiredActive {
			u.Spec.Reason = "Somebody decided so"
		}
	}
}

func starts(after time.Duration) func(*world, *v1alpha1.User) {
	return func(w *world, u *v1alpha1.User) { u.Spec.StartTime = w.at(after) }
}

func expires(after time.Duration) func(*world, *v1alpha1.User) {
	return func(w *world, u *v1alpha1.User) { u.Spec.ExpirationTime = w.at(after) }
}

func absent(from, to time.Duration, status v1alpha1.AbsenceStatus) func(*world, *v1alpha1.User) {
	return func(w *world, u *v1alpha1.User) {
		u.Spec.Absences = append(u.Spec.Absences, v1alpha1.Absence{Name: "leave", StartTime: w.at(from), EndTime: w.at(to), Status: status})
	}
}

func succeededBy(name string) func(*world, *v1alpha1.User) {
	return func(_ *world, u *v1alpha1.User) { u.Spec.SuccessorRef.Name = name }
}

func managedBy(name string) func(*world, *v1alpha1.User) {
	return func(_ *world, u *v1alpha1.User) { u.Spec.ManagerRef.Name = name }
}

func annotate(object client.Object, name, value string) {
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[name] = value
	object.SetAnnotations(annotations)
}

// Groups and memberships.

func createGroup(name string, edits ...func(*world, *v1alpha1.Group)) act {
	return create(func(w *world) (client.Object, error) {
		group := &v1alpha1.Group{ObjectMeta: w.named(name), Spec: v1alpha1.GroupSpec{Type: "Program"}}
		for _, edit := range edits {
			edit(w, group)
		}
		return group, nil
	})
}

func editGroup(name string, edits ...func(*world, *v1alpha1.Group)) act {
	return edit(within(name), edits...)
}

// team makes a group one that counts for successors.
func team(_ *world, g *v1alpha1.Group) { g.Spec.Type = "Team" }

func ledBy(name string) func(*world, *v1alpha1.Group) {
	return func(_ *world, g *v1alpha1.Group) { g.Spec.LeaderRef.Name = name }
}

// granting lets members of the group have a ClusterRole in the plan's other namespace.
func granting(clusterRole string) func(*world, *v1alpha1.Group) {
	return func(w *world, g *v1alpha1.Group) {
		g.Spec.Roles = []v1alpha1.GroupRole{{Name: "Member", Grants: []v1alpha1.Grant{{
			RoleRef: v1alpha1.RoleReference{Kind: v1alpha1.RoleKindClusterRole, Name: clusterRole}, Namespaces: []string{w.target},
		}}}}
	}
}

// join creates the membership <user>-<group>.
func join(user, group string, edits ...func(*world, *v1alpha1.Membership)) act {
	return create(func(w *world) (client.Object, error) {
		membership := &v1alpha1.Membership{
			ObjectMeta: w.named(user + "-" + group),
			Spec: v1alpha1.MembershipSpec{
				UserRef: v1alpha1.Reference{Name: user}, GroupRef: v1alpha1.Reference{Name: group}, Roles: []string{"Member"},
			},
		}
		for _, edit := range edits {
			edit(w, membership)
		}
		return membership, nil
	})
}

func editMembership(name string, edits ...func(*world, *v1alpha1.Membership)) act {
	return edit(within(name), edits...)
}

func deleteMembership(name string) act {
	return remove(func(w *world) client.Object { return &v1alpha1.Membership{ObjectMeta: w.named(name)} })
}

func membershipDesired(status v1alpha1.MembershipDesiredStatus) func(*world, *v1alpha1.Membership) {
	return func(_ *world, m *v1alpha1.Membership) {
		m.Spec.DesiredStatus, m.Spec.Reason = status, "Somebody decided so"
	}
}

func membershipExpires(after time.Duration) func(*world, *v1alpha1.Membership) {
	return func(w *world, m *v1alpha1.Membership) { m.Spec.ExpirationTime = w.at(after) }
}

// releasing lifts a hold as an administrator does.
func releasing(hold string) func(*world, *v1alpha1.Membership) {
	return func(_ *world, m *v1alpha1.Membership) { annotate(m, v1alpha1.AnnotationRelease, hold) }
}

// The namespace in which groups grant something.

func editTarget(edits ...func(w *world, ns *corev1.Namespace)) act {
	return edit(func(w *world) client.ObjectKey { return client.ObjectKey{Name: w.target} }, edits...)
}

func shut(_ *world, ns *corev1.Namespace) { delete(ns.Annotations, v1alpha1.AnnotationGrantsFrom) }

func opened(w *world, ns *corev1.Namespace) { annotate(ns, v1alpha1.AnnotationGrantsFrom, w.namespace) }

// eachGrant does something to each of the RoleBindings that a membership stands for.
func eachGrant(membership string, do func(ctx context.Context, people client.Client, binding *rbacv1.RoleBinding) error) act {
	return func(ctx context.Context, w *world) error {
		var bindings rbacv1.RoleBindingList
		if err := w.people.List(ctx, &bindings, client.InNamespace(w.target), client.MatchingLabels{v1alpha1.LabelMembership: membership}); err != nil {
			return fmt.Errorf("list the grants of %s: %w", membership, err)
		}
		if len(bindings.Items) == 0 {
			return fmt.Errorf("%s has no grant", membership)
		}
		for i := range bindings.Items {
			if err := do(ctx, w.people, &bindings.Items[i]); err != nil {
				return fmt.Errorf("grant %s: %w", bindings.Items[i].Name, err)
			}
		}
		return nil
	}
}

func deleteBinding(ctx context.Context, people client.Client, binding *rbacv1.RoleBinding) error {
	return people.Delete(ctx, binding) //nolint:wrapcheck // the caller says of which
}

func giveToMallory(ctx context.Context, people client.Client, binding *rbacv1.RoleBinding) error {
	binding.Subjects = []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "mallory"}}
	return people.Update(ctx, binding) //nolint:wrapcheck // the caller says of which
}

// Work.

func createWork(name, spec string, edits ...func(*unstructured.Unstructured)) act {
	return create(func(w *world) (client.Object, error) {
		work, err := w.work(name, spec)
		if err != nil {
			return nil, err
		}
		for _, edit := range edits {
			edit(work)
		}
		return work, nil
	})
}

func editWork(name string, edits ...func(*unstructured.Unstructured)) act {
	return func(ctx context.Context, w *world) error {
		work := &unstructured.Unstructured{}
		work.SetGroupVersionKind(example.Work)
		return change(ctx, w.people, work, within(name)(w), func(client.Object) {
			for _, edit := range edits {
				edit(work)
			}
		})
	}
}

// archived keeps an object from going until its application has let go of it.
func archived(work *unstructured.Unstructured) {
	work.SetFinalizers([]string{"work.example.com/archive"})
}

func letGo(work *unstructured.Unstructured) { work.SetFinalizers(nil) }

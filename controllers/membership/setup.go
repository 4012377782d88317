package membership

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/watch"
)

// SetupWithManager adds the controller to a manager. Beside the Memberships themselves it watches everything that a
// membership's state and grants depend on, and finds the memberships concerned through an index.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("membership").
		WatchesRawSource(r.line.Source()).
		Watches(&v1alpha1.Membership{}, watch.Self()).
		Watches(&v1alpha1.Membership{}, watch.When(ended, r.siblings)).
		Watches(&v1alpha1.User{}, watch.When(decisive, r.ofUser)).
		Watches(&v1alpha1.Transition{}, watch.When(workedOff, r.ofSubject)).
		Watches(&v1alpha1.Group{}, watch.Declared(r.ofGroup)).
		Watches(&v1alpha1.Organization{}, watch.When(mayGrant, r.ofOrganization)).
		Watches(&v1alpha1.LifecyclePolicy{}, watch.When(suspension, r.underPolicy)).
		Watches(&rbacv1.RoleBinding{}, watch.Any(ofBinding)).
		Watches(&corev1.Namespace{}, watch.When(opening, r.grantingIn)).
		WithOptions(options).
		Complete(r)
}

// ended compares whether a membership stands in the way of another one of the same user and group.
func ended(before, after *v1alpha1.Membership) bool {
	return before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() ||
		(before.Status.State == v1alpha1.StateRemoved) != (after.Status.State == v1alpha1.StateRemoved)
}

func (r *Reconciler) siblings(ctx context.Context, m *v1alpha1.Membership) ([]reconcile.Request, error) {
	ofUser, err := index.MembershipsOfUser(ctx, r, m.Namespace, m.Spec.UserRef.Name)
	var requests []reconcile.Request
	for i := range ofUser {
		if ofUser[i].Spec.GroupRef == m.Spec.GroupRef && ofUser[i].Name != m.Name {
			requests = append(requests, watch.Request(m.Namespace, ofUser[i].Name))
		}
	}
	return requests, err
}

// decisive compares what of a user a membership's state, or the moment of its grants, depends on.
func decisive(before, after *v1alpha1.User) bool {
	return before.Generation != after.Generation ||
		before.Status.ObservedGeneration != after.Status.ObservedGeneration ||
		before.Status.LastTransition != after.Status.LastTransition ||
		before.Status.Access != after.Status.Access ||
		before.Annotations[v1alpha1.AnnotationHeldOpen] != after.Annotations[v1alpha1.AnnotationHeldOpen] ||
		before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero()
}

func (r *Reconciler) ofUser(ctx context.Context, user *v1alpha1.User) ([]reconcile.Request, error) {
	memberships, err := index.MembershipsOfUser(ctx, r, user.Namespace, user.Name)
	return watch.Requests(memberships), err
}

// workedOff compares whether a user's Transition may have put its holds.
func workedOff(before, after *v1alpha1.Transition) bool {
	return !equality.Semantic.DeepEqual(before.Status, after.Status)
}

// ofSubject are the memberships of the user whose change a Transition is, if it has effects.
func (r *Reconciler) ofSubject(ctx context.Context, t *v1alpha1.Transition) ([]reconcile.Request, error) {
	if t.Spec.Subject.Kind != v1alpha1.SubjectUser || len(t.Spec.Plan) == 0 {
		return nil, nil
	}
	memberships, err := index.MembershipsOfUser(ctx, r, t.Namespace, t.Spec.Subject.Name)
	return watch.Requests(memberships), err
}

func (r *Reconciler) ofGroup(ctx context.Context, group *v1alpha1.Group) ([]reconcile.Request, error) {
	memberships, err := index.MembershipsOfGroup(ctx, r, group.Namespace, group.Name)
	return watch.Requests(memberships), err
}

// mayGrant compares whether an organization may grant anything new.
func mayGrant(before, after *v1alpha1.Organization) bool {
	return (before.Status.Admins.Active == 0) != (after.Status.Admins.Active == 0) || before.Generation != after.Generation
}

func (r *Reconciler) ofOrganization(ctx context.Context, org *v1alpha1.Organization) ([]reconcile.Request, error) {
	memberships, err := index.MembershipsOf(ctx, r, org.Namespace)
	return watch.Requests(memberships), err
}

// suspension compares what a policy does to memberships.
func suspension(before, after *v1alpha1.LifecyclePolicy) bool {
	return before.Spec.Suspension != after.Spec.Suspension
}

func (r *Reconciler) underPolicy(ctx context.Context, policy *v1alpha1.LifecyclePolicy) ([]reconcile.Request, error) {
	users, err := observe.UsersUnder(ctx, r, policy)
	if err != nil {
		return nil, err
	}
	var requests []reconcile.Request
	for i := range users {
		if users[i].Status.State != v1alpha1.StateSuspended {
			continue
		}
		concerned, err := r.ofUser(ctx, &users[i])
		if err != nil {
			return nil, err
		}
		requests = append(requests, concerned...)
	}
	return requests, nil
}

func ofBinding(_ context.Context, binding *rbacv1.RoleBinding) ([]reconcile.Request, error) {
	organization, membership := binding.Labels[v1alpha1.LabelOrganization], binding.Labels[v1alpha1.LabelMembership]
	if organization == "" || membership == "" {
		return nil, nil
	}
	return []reconcile.Request{watch.Request(organization, membership)}, nil
}

// opening compares whether a namespace lets grants in.
func opening(before, after *corev1.Namespace) bool {
	return before.Annotations[v1alpha1.AnnotationGrantsFrom] != after.Annotations[v1alpha1.AnnotationGrantsFrom] || observe.Terminates(before, after)
}

// grantingIn are the memberships of groups that grant something in a namespace, and those of the organization that it
// is, when it begins to end.
func (r *Reconciler) grantingIn(ctx context.Context, target *corev1.Namespace) ([]reconcile.Request, error) {
	groups, err := index.GroupsGrantingIn(ctx, r, target.Name)
	if err != nil {
		return nil, err
	}
	var requests []reconcile.Request
	for i := range groups {
		concerned, err := r.ofGroup(ctx, &groups[i])
		if err != nil {
			return nil, err
		}
		requests = append(requests, concerned...)
	}
	if target.DeletionTimestamp.IsZero() {
		return requests, nil
	}
	memberships, err := index.MembershipsOf(ctx, r, target.Name)
	return append(requests, watch.Requests(memberships)...), err
}

package user

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/watch"
)

// SetupWithManager adds the controller to a manager. Beside the Users themselves it watches everything that a user's
// status depends on, and finds the users concerned through an index.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("user").
		WatchesRawSource(r.line.Source()).
		Watches(&v1alpha1.User{}, watch.Self()).
		Watches(&v1alpha1.User{}, watch.When(seenByOthers, r.concernedBy)).
		Watches(&v1alpha1.Membership{}, watch.When(counted, userOf)).
		Watches(&v1alpha1.Transition{}, watch.Any(subjectOf)).
		Watches(&v1alpha1.Group{}, watch.Presence(r.membersOf)).
		Watches(&v1alpha1.Organization{}, watch.Declared(r.usersOf)).
		Watches(&v1alpha1.LifecyclePolicy{}, watch.Declared(r.usersUnder)).
		Watches(&corev1.Namespace{}, watch.When(observe.Terminates, r.usersIn)).
		WithOptions(options).
		Complete(r)
}

// seenByOthers compares what the states of other users may depend on.
func seenByOthers(before, after *v1alpha1.User) bool {
	return before.Spec.Email != after.Spec.Email || before.Spec.Role != after.Spec.Role ||
		before.Status.Access != after.Status.Access || before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero()
}

// concernedBy are the users that share an identity with a user, and those whose departure waits for somebody to take over.
func (r *Reconciler) concernedBy(ctx context.Context, user *v1alpha1.User) ([]reconcile.Request, error) {
	sameName, err := index.UsersWithUserName(ctx, r, user.Namespace, user.Spec.UserName)
	if err != nil {
		return nil, err
	}
	sameEmail, err := index.UsersWithEmail(ctx, r, user.Namespace, user.Spec.Email)
	if err != nil {
		return nil, err
	}
	heldOpen, err := index.UsersHeldOpen(ctx, r, user.Namespace)
	if err != nil {
		return nil, err
	}
	var requests []reconcile.Request
	for _, others := range [][]v1alpha1.User{sameName, sameEmail, heldOpen} {
		for i := range others {
			if others[i].Name != user.Name {
				requests = append(requests, watch.Request(user.Namespace, others[i].Name))
			}
		}
	}
	return requests, nil
}

// counted compares what a user's count of memberships depends on.
func counted(before, after *v1alpha1.Membership) bool {
	return before.Generation != after.Generation || before.Status.State != after.Status.State ||
		before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero()
}

func userOf(_ context.Context, m *v1alpha1.Membership) ([]reconcile.Request, error) {
	return []reconcile.Request{watch.Request(m.Namespace, m.Spec.UserRef.Name)}, nil
}

func subjectOf(_ context.Context, t *v1alpha1.Transition) ([]reconcile.Request, error) {
	if t.Spec.Subject.Kind != v1alpha1.SubjectUser {
		return nil, nil
	}
	return []reconcile.Request{watch.Request(t.Namespace, t.Spec.Subject.Name)}, nil
}

func (r *Reconciler) membersOf(ctx context.Context, group *v1alpha1.Group) ([]reconcile.Request, error) {
	memberships, err := index.MembershipsOfGroup(ctx, r, group.Namespace, group.Name)
	requests := make([]reconcile.Request, 0, len(memberships))
	for i := range memberships {
		requests = append(requests, watch.Request(group.Namespace, memberships[i].Spec.UserRef.Name))
	}
	return requests, err
}

func (r *Reconciler) usersOf(ctx context.Context, org *v1alpha1.Organization) ([]reconcile.Request, error) {
	users, err := index.UsersOf(ctx, r, org.Namespace)
	return watch.Requests(users), err
}

func (r *Reconciler) usersIn(ctx context.Context, ns *corev1.Namespace) ([]reconcile.Request, error) {
	if ns.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	users, err := index.UsersOf(ctx, r, ns.Name)
	return watch.Requests(users), err
}

// usersUnder are the users whose policy it is: those that name it, and, where it is the organization's default, those
// that name none.
func (r *Reconciler) usersUnder(ctx context.Context, policy *v1alpha1.LifecyclePolicy) ([]reconcile.Request, error) {
	users, err := observe.UsersUnder(ctx, r, policy)
	return watch.Requests(users), err
}

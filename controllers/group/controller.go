// Package group reconciles Groups: it counts members and says who leads and whether every role is staffed.
package group

import (
	"context"
	"time"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/tally"
	"tenure.dev/tenure/controllers/internal/wake"
	"tenure.dev/tenure/controllers/internal/watch"
	"tenure.dev/tenure/controllers/internal/write"
)

// interval is the least time between two writes about one group.
const interval = time.Second

// Reconciler reconciles Groups.
type Reconciler struct {
	client.Client

	Clock    clock.PassiveClock
	Recorder events.EventRecorder

	members *tally.Tally[*v1alpha1.Membership]
	pace    *wake.Pace
}

// Classes of memberships that a group counts.
const (
	total  = "total"
	active = "active"
)

// activeAs is the class of the active holders of a role.
func activeAs(role string) string { return "active as " + role }

func newTally() *tally.Tally[*v1alpha1.Membership] {
	return &tally.Tally[*v1alpha1.Membership]{
		Of: func(m *v1alpha1.Membership) client.ObjectKey {
			return client.ObjectKey{Namespace: m.Namespace, Name: m.Spec.GroupRef.Name}
		},
		Classes: func(m *v1alpha1.Membership) []string {
			classes := []string{total}
			if m.Status.State == v1alpha1.StateActive {
				classes = append(classes, active)
				for _, role := range m.Spec.Roles {
					classes = append(classes, activeAs(role))
				}
			}
			return classes
		},
	}
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	r.members = newTally()
	r.pace = &wake.Pace{Clock: r.Clock, Interval: interval}
	return ctrl.NewControllerManagedBy(mgr).
		Named("group").
		Watches(&v1alpha1.Group{}, watch.Self()).
		Watches(&v1alpha1.Membership{}, r.members.Handler()).
		Watches(&v1alpha1.User{}, watch.When(access, r.ledBy)).
		WithOptions(options).
		Complete(r)
}

func access(before, after *v1alpha1.User) bool {
	return before.Status.Access != after.Status.Access
}

func (r *Reconciler) ledBy(ctx context.Context, user *v1alpha1.User) ([]reconcile.Request, error) {
	groups, err := index.GroupsLedBy(ctx, r, user.Namespace, user.Name)
	return watch.Requests(groups), err
}

// Reconcile brings the status of one Group up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	before, err := observe.Get[v1alpha1.Group](ctx, r, req.Namespace, req.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	if before == nil || !before.DeletionTimestamp.IsZero() {
		r.pace.Forget(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	if before, err = r.stamp(ctx, before); err != nil {
		return wake.OnConflict(ctrl.Result{}, err)
	}
	name, acting := lifecycle.Leader(&before.Spec)
	leader, err := observe.Get[v1alpha1.User](ctx, r, req.Namespace, name)
	if err != nil {
		return ctrl.Result{}, err
	}

	group := before.DeepCopy()
	summarize(group, r.members.Counts(req.NamespacedName), v1alpha1.GroupLeader{
		Name: name, Acting: acting, Active: leader != nil && leader.Status.Access == v1alpha1.AccessGranted,
	}, leader != nil, r.Clock.Now())
	if onlyCountsDiffer(before, group) {
		if wait := r.pace.Wait(req.NamespacedName); wait > 0 {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
	}
	written, err := write.Status(ctx, r, before, group)
	if written {
		r.tell(before, group)
	}
	return wake.OnConflict(ctrl.Result{}, err)
}

// stamp ends stand-ins whose time is over, or that are to be released.
func (r *Reconciler) stamp(ctx context.Context, before *v1alpha1.Group) (*v1alpha1.Group, error) {
	group := before.DeepCopy()
	group.Spec.Acting = lifecycle.StillActing(group.Spec.Acting,
		map[v1alpha1.Relation]string{v1alpha1.RelationLeader: group.Spec.LeaderRef.Name}, observe.Released(group.Annotations))
	write.Annotate(group, v1alpha1.AnnotationRelease, "")
	return group, write.Object(ctx, r, before, group)
}

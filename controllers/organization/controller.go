// Package organization reconciles Organizations: it counts users, seats and administrators, and says what is missing.
package organization

import (
	"context"
	"time"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/metrics"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/tally"
	"tenure.dev/tenure/controllers/internal/wake"
	"tenure.dev/tenure/controllers/internal/write"
)

// interval is the least time between two writes about one organization.
const interval = time.Second

// Reconciler reconciles Organizations.
type Reconciler struct {
	client.Client

	Clock    clock.PassiveClock
	Recorder events.EventRecorder

	users *tally.Tally[*v1alpha1.User]
	pace  *wake.Pace
}

// Reconcile brings the status of one Organization up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	p := &pass{Reconciler: r, name: req.Namespace, now: r.Clock.Now(), counts: r.users.Counts(req.NamespacedName)}
	if err := p.observe(ctx); err != nil {
		return ctrl.Result{}, err
	}
	p.measure()
	if p.org == nil || p.terminating {
		r.pace.Forget(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	before := p.org
	p.org = before.DeepCopy()
	p.summarize()
	if p.onlyCountsDiffer(before) {
		if wait := r.pace.Wait(req.NamespacedName); wait > 0 {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
	}
	written, err := write.Status(ctx, r, before, p.org)
	if written {
		p.tell(before)
	}
	return wake.OnConflict(ctrl.Result{}, err)
}

// pass is one look at an Organization.
type pass struct {
	*Reconciler

	name        string
	now         time.Time
	org         *v1alpha1.Organization
	terminating bool
	owner       *v1alpha1.User
	policy      *v1alpha1.LifecyclePolicy
	heldOpen    int
	counts      tally.Counts
}

func (p *pass) observe(ctx context.Context) error {
	seen, err := observe.OrganizationOf(ctx, p, p.name)
	if err != nil {
		return err
	}
	p.org, p.terminating = seen.Object, seen.Terminating
	heldOpen, err := index.UsersHeldOpen(ctx, p, p.name)
	if err != nil {
		return err
	}
	p.heldOpen = len(heldOpen)
	if p.owner, err = observe.Get[v1alpha1.User](ctx, p, p.name, seen.Spec().OwnerRef.Name); err != nil {
		return err
	}
	p.policy, err = observe.Get[v1alpha1.LifecyclePolicy](ctx, p, p.name, seen.Spec().DefaultPolicyRef.Name)
	return err
}

// measure tells Prometheus, whether the namespace has an Organization or not.
func (p *pass) measure() {
	if p.counts[total] == 0 {
		metrics.Forget(p.name)
		return
	}
	for _, state := range states {
		metrics.Users(p.name, state, p.counts[inState(state)])
	}
	metrics.Blocked(p.name, p.heldOpen)
}

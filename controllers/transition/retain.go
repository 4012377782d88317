package transition

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/wake"
)

// retain deletes those records of the Transition's subject that the organization does not keep any more: beyond its
// limit and older than its retention. The newest one of each identity and those that are not complete are kept for
// ever. Without an Organization nothing is deleted, nor by a clock that is off.
func (r *Reconciler) retain(ctx context.Context, org observe.Organization, transition *v1alpha1.Transition) (ctrl.Result, error) {
	if org.Object == nil {
		return ctrl.Result{}, nil
	}
	subject := transition.Spec.Subject
	all, err := index.TransitionsOf(ctx, r, transition.Namespace, subject.Kind, subject.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	expired, next := expiredAmong(all, org.Spec(), r.Clock.Now())
	for _, t := range expired {
		if _, off := r.Skew.Off(); off {
			return ctrl.Result{RequeueAfter: guardPatience}, nil
		}
		err := r.Delete(ctx, t, client.Preconditions{UID: &t.UID, ResourceVersion: &t.ResourceVersion})
		if err != nil && !apierrors.IsNotFound(err) {
			return ctrl.Result{}, fmt.Errorf("delete Transition %s, which is older than the organization keeps it: %w", t.Name, err)
		}
	}
	return wake.At(next, r.Clock), nil
}

// expiredAmong tells which of a subject's Transitions are to be deleted now, and when the next one will be.
func expiredAmong(all []v1alpha1.Transition, org *v1alpha1.OrganizationSpec, now time.Time) (expired []*v1alpha1.Transition, next time.Time) {
	retention := seconds(ptr.Deref(org.TransitionRetentionSeconds, 0))
	kept, past := map[string]int32{}, map[string]bool{}
	byNumber := slices.SortedFunc(slices.Values(pointers(all)), func(a, b *v1alpha1.Transition) int { return number(b) - number(a) })
	for _, t := range byNumber {
		identity := t.Spec.Subject.Identity
		kept[identity]++
		// The records of a departure that goes on say which effects have run.
		past[identity] = past[identity] || lifecycle.AccessOf(t.Spec.To) == v1alpha1.AccessGranted
		if kept[identity] <= max(1, org.TransitionHistoryLimit) || !history.Complete(t) || !past[identity] {
			continue
		}
		end := t.CreationTimestamp.Add(retention)
		switch {
		case !now.Before(end):
			expired = append(expired, t)
		case next.IsZero() || end.Before(next):
			next = end
		}
	}
	return expired, next
}

func pointers(all []v1alpha1.Transition) []*v1alpha1.Transition {
	result := make([]*v1alpha1.Transition, len(all))
	for i := range all {
		result[i] = &all[i]
	}
	return result
}

// seconds is the one place where seconds of the API become a duration.
func seconds(n int32) time.Duration {
	return time.Duration(n) * time.Second
}

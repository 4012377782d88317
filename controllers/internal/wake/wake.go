// Package wake turns deadlines into requeues.
package wake

import (
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"tenure.dev/tenure/controllers/internal/watch"
)

const (
	// longest is how long an object sleeps at most. Timers run on the monotonic clock and deadlines on the wall clock:
	// where the two part (a clock that is set, a machine that slept) a deadline is late by no more than this.
	longest = time.Hour

	// settle is the pause after which a write has come through the watch: one's own, or a newer one that one's own has met.
	settle = 50 * time.Millisecond
)

// At asks for the next pass at a deadline, whatever urgency brought this pass. With a zero deadline it asks for none.
func At(deadline time.Time, c clock.PassiveClock) ctrl.Result {
	if deadline.IsZero() {
		return ctrl.Result{}
	}
	routine := watch.Routine
	return ctrl.Result{RequeueAfter: min(max(deadline.Sub(c.Now()), time.Nanosecond), longest), Priority: &routine}
}

// OnConflict asks for another pass where somebody else's write came first, which is no error; other errors are returned
// as they are.
func OnConflict(result ctrl.Result, err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: settle}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	return result, nil
}

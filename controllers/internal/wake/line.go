package wake

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Line is the queue of a controller, as its passes see it: those that wait for their turn. The zero value is an empty one.
type Line struct {
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Source makes it the line of the controller that watches it.
func (l *Line) Source() source.Source {
	return source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		l.queue = queue
		return nil
	})
}

// Waiting tells whether anybody waits.
func (l *Line) Waiting() bool {
	return l.queue != nil && l.queue.Len() > 0
}

// Last asks for another pass when all who wait with the same urgency have had their turn, and what this one wrote has come through
// the watch.
func Last() ctrl.Result {
	return ctrl.Result{RequeueAfter: settle}
}

package wake

import (
	"context"
	"sync"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Line is the queue of a controller, as its passes see it: those that wait for their turn. The zero value is an empty one.
type Line struct {
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]

	// yielded are those who have let others go first.
	yielded sync.Map
}

// Source makes it the line of the controller that watches it.
func (l *Line) Source() source.Source {
	return source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		l.queue = queue
		return nil
	})
}

// Yield tells whether a pass is to let others go first: it is where anybody waits, every other time.
func (l *Line) Yield(object client.Object) bool {
	key := client.ObjectKeyFromObject(object)
	if _, before := l.yielded.LoadAndDelete(key); before || l.queue == nil || l.queue.Len() == 0 {
		return false
	}
	l.yielded.Store(key, true)
	return true
}

// Last asks for another pass when all who wait with the same urgency have had their turn, and what this one wrote has come through
// the watch.
func Last() ctrl.Result {
	return ctrl.Result{RequeueAfter: settle}
}

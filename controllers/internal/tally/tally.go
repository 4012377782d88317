// Package tally keeps counts of objects up to date from their events, so that nobody counts a hundred thousand users
// because one has changed.
package tally

import (
	"context"
	"maps"
	"slices"
	"sync"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Counts are how many objects there are of each class. An object is in as many classes as it was put.
type Counts map[string]int32

// Tally counts the objects of one kind for each object that they belong to.
type Tally[T client.Object] struct {
	// Of names what an object belongs to.
	Of func(T) client.ObjectKey

	// Classes are the classes of an object.
	Classes func(T) []string

	mu     sync.Mutex
	counts map[client.ObjectKey]Counts
}

// Counts of what belongs to an owner.
func (t *Tally[T]) Counts(owner client.ObjectKey) Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts[owner])
}

// Handler keeps the counts from the events of a watch, and wakes the owner where they changed. It must be given to
// exactly one watch.
func (t *Tally[T]) Handler() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			t.add(e.Object.(T), 1, q)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			before, after := e.ObjectOld.(T), e.ObjectNew.(T)
			if t.Of(before) == t.Of(after) && slices.Equal(t.Classes(before), t.Classes(after)) {
				return
			}
			t.add(before, -1, q)
			t.add(after, 1, q)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			t.add(e.Object.(T), -1, q)
		},
	}
}

func (t *Tally[T]) add(object T, n int32, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	owner := t.Of(object)
	t.count(owner, t.Classes(object), n)
	q.Add(reconcile.Request{NamespacedName: owner})
}

func (t *Tally[T]) count(owner client.ObjectKey, classes []string, n int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[client.ObjectKey]Counts{}
	}
	counts := t.counts[owner]
	if counts == nil {
		counts = Counts{}
		t.counts[owner] = counts
	}
	for _, class := range classes {
		if counts[class] += n; counts[class] == 0 {
			delete(counts, class)
		}
	}
	if len(counts) == 0 {
		delete(t.counts, owner)
	}
}

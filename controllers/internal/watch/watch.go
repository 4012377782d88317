// Package watch decides which events wake which objects, and how urgently. What somebody declares by hand goes before
// everything that happens by itself: a manual cut never queues behind a thousand deadlines.
package watch

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// Routine is the priority of deadlines, of what follows from another object, and of what is listed at the start.
	Routine = 0

	// declared is the priority of objects that somebody changed.
	declared = 10
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Self wakes an object at each of its own events.
func Self() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if e.IsInInitialList {
				add(q, Routine, Request(e.Object.GetNamespace(), e.Object.GetName()))
				return
			}
			add(q, declared, Request(e.Object.GetNamespace(), e.Object.GetName()))
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			priority := Routine
			if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() || e.ObjectNew.GetDeletionTimestamp() != nil {
				priority = declared
			}
			add(q, priority, Request(e.ObjectNew.GetNamespace(), e.ObjectNew.GetName()))
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			add(q, Routine, Request(e.Object.GetNamespace(), e.Object.GetName()))
		},
	}
}

// Find names the objects that an event about another object concerns.
type Find[T client.Object] func(context.Context, T) ([]reconcile.Request, error)

// Any wakes what find names, at each event of an object.
func Any[T client.Object](find Find[T]) handler.EventHandler {
	return When(func(_, _ T) bool { return true }, find)
}

// Presence wakes what find names when an object comes or goes.
func Presence[T client.Object](find Find[T]) handler.EventHandler {
	return When(func(_, _ T) bool { return false }, find)
}

// Declared wakes what find names when an object comes, goes, or is declared anew.
func Declared[T client.Object](find Find[T]) handler.EventHandler {
	return When(func(before, after T) bool { return before.GetGeneration() != after.GetGeneration() }, find)
}

// When wakes what find names, when an object comes, goes, or changes in a way that matters. Of a change both sides are
// asked, so that what an object has left is woken too.
func When[T client.Object](matters func(before, after T) bool, find Find[T]) handler.EventHandler {
	addAll := func(ctx context.Context, q queue, priority int, objects ...client.Object) {
		for _, object := range objects {
			requests, err := find(ctx, object.(T))
			if err != nil {
				// The cache has no such index, or was stopped: nothing that a retry mends.
				log.FromContext(ctx).Error(err, "Cannot find what an event concerns", "object", client.ObjectKeyFromObject(object))
			}
			add(q, priority, requests...)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			addAll(ctx, q, Routine, e.Object)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if !matters(e.ObjectOld.(T), e.ObjectNew.(T)) {
				return
			}
			priority := Routine
			if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() {
				priority = declared
			}
			addAll(ctx, q, priority, e.ObjectOld, e.ObjectNew)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			addAll(ctx, q, Routine, e.Object)
		},
	}
}

// Request names an object.
func Request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}}
}

// Requests names the objects of a list.
func Requests[T any, P interface {
	*T
	client.Object
}](items []T) []reconcile.Request {
	requests := make([]reconcile.Request, 0, len(items))
	for i := range items {
		requests = append(requests, Request(P(&items[i]).GetNamespace(), P(&items[i]).GetName()))
	}
	return requests
}

func add(q queue, priority int, requests ...reconcile.Request) {
	if prioritized, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, requests...)
		return
	}
	for _, request := range requests {
		q.Add(request)
	}
}

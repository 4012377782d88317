package main

import (
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func testQueue(t *testing.T) (*queue, *clocktesting.FakeClock) {
	t.Helper()
	c := clocktesting.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	q := newQueue(c, workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, time.Hour), &atomic.Int64{})
	t.Cleanup(q.ShutDown)
	return q, c
}

func object(name string) reconcile.Request {
	r := reconcile.Request{}
	r.Name = name
	return r
}

// take takes everything that is ready.
func take(q *queue) (names []string) {
	for q.Len() > 0 {
		request, _ := q.Get()
		names = append(names, request.Name)
		q.Done(request)
	}
	return names
}

func TestTheQueueKeepsPriorities(t *testing.T) {
	q, _ := testQueue(t)
	q.Add(object("first"))
	q.AddWithOpts(priorityqueue.AddOpts{Priority: new(10)}, object("urgent"))
	q.Add(object("second"))
	q.Add(object("first"))
	q.AddWithOpts(priorityqueue.AddOpts{Priority: new(10)}, object("second"))
	if diff := compareLines([]string{"urgent", "second", "first"}, take(q)); diff != "" {
		t.Error(diff)
	}
}

func TestTheQueueWaitsOnThePlansClock(t *testing.T) {
	q, c := testQueue(t)
	q.AddAfter(object("late"), 2*time.Hour)
	q.AddAfter(object("early"), time.Hour)
	q.AddAfter(object("late"), 90*time.Minute)
	if l := q.load(); l.none || !l.next.Equal(c.Now().Add(time.Hour)) || l.ready != 0 {
		t.Errorf("the load is %+v, want the next in an hour", l)
	}
	c.Step(90 * time.Minute)
	q.ripen(false)
	if diff := compareLines([]string{"early", "late"}, take(q)); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsAtWorkWaitsForItsTurn(t *testing.T) {
	q, _ := testQueue(t)
	q.Add(object("one"))
	one, _ := q.Get()
	q.Add(one)
	if q.mu.Lock(); q.first() != nil {
		t.Error("an object is given to two workers")
	}
	q.mu.Unlock()
	q.Done(one)
	if diff := compareLines([]string{"one"}, take(q)); diff != "" {
		t.Error(diff)
	}
}

func TestNobodyWaitsForWhatComesToNothing(t *testing.T) {
	q, c := testQueue(t)
	for range mostWakes {
		q.AddAfter(object("again"), time.Second)
		if q.load().none {
			t.Fatal("it is not waited for")
		}
		c.Step(time.Second)
		q.ripen(true)
		take(q)
	}
	q.AddAfter(object("again"), time.Second)
	if !q.load().none {
		t.Error("it is waited for, for ever")
	}
	q.forgive()
	if q.load().none {
		t.Error("it is not waited for, although something has come of it")
	}
}

func TestFailedPassesAreTriedAgain(t *testing.T) {
	q, _ := testQueue(t)
	q.AddRateLimited(object("failed"))
	if l := q.load(); l.soon != 1 && l.ready != 1 {
		t.Errorf("the load is %+v, want one that is ready soon", l)
	}
	if request, _ := q.Get(); request.Name != "failed" {
		t.Errorf("%s comes, want what failed", request.Name)
	}
}

package main

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// atOnce is a wait that only means: after the others.
	atOnce = time.Millisecond

	// brief is the longest wait that passes in real time: what it waits for, such as a watch, does so too. A longer one
	// passes on the plan's clock.
	brief = 250 * time.Millisecond

	// haste is how much faster a pass that failed is tried again than in a cluster.
	haste = 4

	// mostWakes is how often a wait may end without anything having come of it before nobody waits for it any more.
	mostWakes = 2
)

// queues are the queues of one process.
type queues struct {
	clock    clock.PassiveClock
	activity *atomic.Int64

	mu  sync.Mutex
	all []*queue
}

// make makes the queue of a controller.
func (s *queues) make(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	q := newQueue(s.clock, limiter, s.activity)
	q.name = name
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, q)
	return q
}

func (s *queues) list() []*queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// load is what there is to do.
type load struct {
	queues, idle   int // idle: those of which somebody waits for work
	ready, running int
	soon           int // will be ready in a moment, in real time
	next           time.Time
	none           bool // nothing waits that anybody would wait for
}

// load sums up what there is to do, and when something becomes ready by the plan's clock.
func (s *queues) load() load {
	sum := load{none: true}
	for _, q := range s.list() {
		one := q.load()
		sum.queues++
		sum.idle += one.idle
		sum.ready += one.ready
		sum.running += one.running
		sum.soon += one.soon
		if !one.none && (sum.none || one.next.Before(sum.next)) {
			sum.next, sum.none = one.next, false
		}
	}
	return sum
}

// ripen makes ready what the plan's clock has come to. It is counted where nobody but the harness has moved the clock.
func (s *queues) ripen(counted bool) {
	for _, q := range s.list() {
		q.ripen(counted)
	}
}

// forgive forgets how often waits ended in vain.
func (s *queues) forgive() {
	for _, q := range s.list() {
		q.forgive()
	}
}

// began is when a controller began with the pass over an object that it is at; zero where it is at none.
func (s *queues) began(name string, request reconcile.Request) time.Time {
	for _, q := range s.list() {
		if q.name != name {
			continue
		}
		q.mu.Lock()
		began := q.running[request]
		q.mu.Unlock()
		return began
	}
	return time.Time{}
}

// queue is a priority queue whose long waits pass on a plan's clock. Of equal priority, what became ready first goes first.
type queue struct {
	name     string
	clock    clock.PassiveClock
	limiter  workqueue.TypedRateLimiter[reconcile.Request]
	activity *atomic.Int64

	mu      sync.Mutex
	changed *sync.Cond
	items   map[reconcile.Request]*item
	running map[reconcile.Request]time.Time // since when
	wakes   map[reconcile.Request]int
	count   int
	waiters int
	ended   bool
}

// item is a request that is ready, or waits.
type item struct {
	request  reconcile.Request
	priority int
	order    int
	ready    bool
	at       time.Time   // when it becomes ready, by the plan's clock
	timer    *time.Timer // for a brief wait
}

var _ priorityqueue.PriorityQueue[reconcile.Request] = &queue{}

func newQueue(c clock.PassiveClock, limiter workqueue.TypedRateLimiter[reconcile.Request], activity *atomic.Int64) *queue {
	q := &queue{
		clock: c, limiter: limiter, activity: activity,
		items: map[reconcile.Request]*item{}, running: map[reconcile.Request]time.Time{}, wakes: map[reconcile.Request]int{},
	}
	q.changed = sync.NewCond(&q.mu)
	return q
}

func (q *queue) load() load {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := load{idle: min(q.waiters, 1), running: len(q.running), none: true}
	for _, i := range q.items {
		switch {
		case i.ready:
			l.ready++
		case i.timer != nil:
			l.soon++
		case q.wakes[i.request] < mostWakes && (l.none || i.at.Before(l.next)):
			l.next, l.none = i.at, false
		}
	}
	return l
}

func (q *queue) ripen(counted bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.Now()
	var ripe []*item
	for _, i := range q.items {
		if !i.ready && i.timer == nil && !i.at.After(now) {
			ripe = append(ripe, i)
		}
	}
	slices.SortFunc(ripe, func(a, b *item) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.order, b.order)) })
	for _, i := range ripe {
		if counted {
			q.wakes[i.request]++
		}
		q.makeReady(i)
	}
}

func (q *queue) forgive() {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.wakes)
}

func (q *queue) makeReady(i *item) {
	if i.timer != nil {
		i.timer.Stop()
	}
	q.count++
	i.ready, i.timer, i.order = true, nil, q.count
	q.activity.Add(1)
	q.changed.Signal()
}

// AddWithOpts implements priorityqueue.PriorityQueue: an item that is there already gets the higher priority and the
// shorter wait.
func (q *queue) AddWithOpts(options priorityqueue.AddOpts, requests ...reconcile.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return
	}
	q.activity.Add(1)
	for _, request := range requests {
		after := options.After
		if options.RateLimited {
			after = q.limiter.When(request) / haste
		}
		q.add(request, ptr.Deref(options.Priority, 0), after)
	}
}

func (q *queue) add(request reconcile.Request, priority int, after time.Duration) {
	i := q.items[request]
	fresh := i == nil
	if fresh {
		i = &item{request: request, priority: priority}
		q.items[request] = i
	}
	if priority > i.priority && i.ready {
		q.count++
		i.order = q.count
	}
	i.priority = max(i.priority, priority)
	switch {
	case i.ready:
	case after < atOnce:
		q.makeReady(i)
	case after <= brief:
		if i.timer == nil {
			i.timer = time.AfterFunc(after, func() { q.ripe(i) })
		}
	case fresh || i.timer == nil && q.clock.Now().Add(after).Before(i.at):
		i.at = q.clock.Now().Add(after)
	}
}

// ripe makes ready an item whose brief wait is over.
func (q *queue) ripe(i *item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.items[i.request] == i && !i.ready && !q.ended {
		q.makeReady(i)
	}
}

// Add implements workqueue.TypedInterface.
func (q *queue) Add(request reconcile.Request) { q.AddWithOpts(priorityqueue.AddOpts{}, request) }

// AddAfter implements workqueue.TypedDelayingInterface.
func (q *queue) AddAfter(request reconcile.Request, after time.Duration) {
	q.AddWithOpts(priorityqueue.AddOpts{After: after}, request)
}

// AddRateLimited implements workqueue.TypedRateLimitingInterface.
func (q *queue) AddRateLimited(request reconcile.Request) {
	q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, request)
}

// GetWithPriority implements priorityqueue.PriorityQueue.
func (q *queue) GetWithPriority() (request reconcile.Request, priority int, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiters++
	defer func() { q.waiters-- }()
	for {
		if q.ended {
			return reconcile.Request{}, 0, true
		}
		if i := q.first(); i != nil {
			delete(q.items, i.request)
			q.running[i.request] = time.Now()
			q.activity.Add(1)
			return i.request, i.priority, false
		}
		q.changed.Wait()
	}
}

// first is the item whose turn it is. One that is being worked on has to wait.
func (q *queue) first() *item {
	var first *item
	for _, i := range q.items {
		if _, running := q.running[i.request]; running || !i.ready {
			continue
		}
		if first == nil || i.priority > first.priority || i.priority == first.priority && i.order < first.order {
			first = i
		}
	}
	return first
}

// Get implements workqueue.TypedInterface.
func (q *queue) Get() (request reconcile.Request, ended bool) {
	request, _, ended = q.GetWithPriority()
	return request, ended
}

// Done implements workqueue.TypedInterface.
func (q *queue) Done(request reconcile.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.running, request)
	q.activity.Add(1)
	q.changed.Signal()
}

// Forget implements workqueue.TypedRateLimitingInterface.
func (q *queue) Forget(request reconcile.Request) { q.limiter.Forget(request) }

// NumRequeues implements workqueue.TypedRateLimitingInterface.
func (q *queue) NumRequeues(request reconcile.Request) int { return q.limiter.NumRequeues(request) }

// Len implements workqueue.TypedInterface: how many are ready.
func (q *queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	ready := 0
	for _, i := range q.items {
		if i.ready {
			ready++
		}
	}
	return ready
}

// ShutDown implements workqueue.TypedInterface.
func (q *queue) ShutDown() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	for _, i := range q.items {
		if i.timer != nil {
			i.timer.Stop()
		}
	}
	q.changed.Broadcast()
}

// ShutDownWithDrain implements workqueue.TypedInterface. Nobody waits for what is left.
func (q *queue) ShutDownWithDrain() { q.ShutDown() }

// ShuttingDown implements workqueue.TypedInterface.
func (q *queue) ShuttingDown() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended
}

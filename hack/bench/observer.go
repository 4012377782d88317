package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// sight is something that one looks out for: objects of a kind that come or go.
type sight struct {
	kind     string
	selector string // of fields: what is selected by a state comes when the object enters it
	goes     bool
	only     func(name string) bool
}

// ledgers is the kind of sight of Transitions whose effects are all done.
const ledgers = "ledgers"

// What one looks out for when users lose their access.
var (
	closed = sight{kind: bindings, goes: true}
)

func entering(state v1alpha1.State) []sight {
	membership := v1alpha1.StatePaused
	if state == v1alpha1.StateSuspended {
		membership = v1alpha1.StateDeactivated
	}
	return []sight{
		closed,
		{kind: users, selector: "status.state=" + string(state)},
		{kind: memberships, selector: "status.state=" + string(membership)},
		{kind: transitions, selector: "spec.to=" + string(state)},
	}
}

// observer notes when something was first seen. It asks for metadata alone, which costs the API server least; it does so
// for the operator and for the bare client alike.
type observer struct {
	end     context.CancelFunc
	mutex   sync.Mutex
	seen    map[string]map[string]time.Time // by kind and name of the user
	lost    error                           // why something may not have been seen
	changed chan struct{}
}

func (s *scene) observe(ctx context.Context, sights ...sight) (*observer, error) {
	ctx, cancel := context.WithCancel(ctx)
	o := &observer{end: cancel, seen: map[string]map[string]time.Time{}, changed: make(chan struct{}, 1)}
	for _, sight := range sights {
		now, err := s.objectsOf(sight).List(ctx, metav1.ListOptions{Limit: 1, FieldSelector: sight.selector})
		if err != nil {
			cancel()
			return nil, fmt.Errorf("listing %s: %w", sight.kind, err)
		}
		watching, err := s.watch(ctx, sight, now.ResourceVersion)
		if err != nil {
			cancel()
			return nil, fmt.Errorf("watching %s: %w", sight.kind, err)
		}
		o.seen[sight.kind] = map[string]time.Time{}
		go o.follow(ctx, s, sight, now.ResourceVersion, watching)
	}
	return o, nil
}

// objectsOf are where what one looks out for is found.
func (s *scene) objectsOf(sight sight) metadata.ResourceInterface {
	kind := sight.kind
	if kind == ledgers {
		kind = transitions
	}
	resource, namespace := resourceOf(kind)
	return s.metadata.Resource(resource).Namespace(namespace)
}

// watch watches what comes after a version.
func (s *scene) watch(ctx context.Context, sight sight, version string) (watch.Interface, error) {
	options := metav1.ListOptions{ResourceVersion: version, FieldSelector: sight.selector}
	if sight.kind == ledgers {
		return s.admin.Watch(ctx, &v1alpha1.TransitionList{}, &client.ListOptions{Namespace: organization, Raw: &options})
	}
	return s.objectsOf(sight).Watch(ctx, options)
}

// shows tells whether an event is what one looks out for.
func (s sight) shows(event watch.Event) bool {
	switch {
	case s.goes:
		return event.Type == watch.Deleted
	case s.kind == ledgers:
		transition, ok := event.Object.(*v1alpha1.Transition)
		return ok && meta.IsStatusConditionTrue(transition.Status.Conditions, v1alpha1.ConditionComplete)
	default:
		return event.Type == watch.Added
	}
}

// follow notes what a watch tells. The API server ends a watch that it cannot serve as fast as things happen, and goes on with it
// from where it was.
func (o *observer) follow(ctx context.Context, s *scene, of sight, version string, watching watch.Interface) {
	for {
		for event := range watching.ResultChan() {
			object, err := meta.Accessor(event.Object)
			if err != nil {
				watching.Stop()
				o.lose(fmt.Errorf("the watch of %s: %w", of.kind, apierrors.FromObject(event.Object)))
				return
			}
			version = object.GetResourceVersion()
			if of.shows(event) {
				o.note(of, subjectOf(object))
			}
		}
		if ctx.Err() != nil {
			return
		}
		var err error
		if watching, err = s.watch(ctx, of, version); err != nil {
			o.lose(fmt.Errorf("watching %s again: %w", of.kind, err))
			return
		}
	}
}

// subjectOf is the user whom an object is about.
func subjectOf(object metav1.Object) string {
	labels := object.GetLabels()
	for _, label := range []string{v1alpha1.LabelUser, v1alpha1.LabelMembership} {
		if labels[label] != "" {
			return labels[label]
		}
	}
	return object.GetName()
}

func (o *observer) note(s sight, name string) {
	at := time.Now()
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if _, known := o.seen[s.kind][name]; known || s.only != nil && !s.only(name) {
		return
	}
	o.seen[s.kind][name] = at
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

func (o *observer) lose(err error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.lost = errors.Join(o.lost, err)
}

// failure is why what is waited for may never be seen.
func (o *observer) failure() error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.lost
}

// when something of a kind was seen of somebody; zero where it was not.
func (o *observer) when(kind, name string) time.Time {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.seen[kind][name]
}

func (o *observer) count(kind string) int {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return len(o.seen[kind])
}

// await waits until some predicate on what was seen holds.
func (o *observer) await(ctx context.Context, within time.Duration, what string, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for !so() {
		if err := o.failure(); err != nil {
			return fmt.Errorf("waiting for %s: %w; seen so far: %s", what, err, o)
		}
		select {
		case <-o.changed:
		case <-time.After(often):
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w; seen so far: %s", what, ctx.Err(), o)
		}
	}
	return nil
}

// awaitAll waits until so many of each kind were seen.
func (o *observer) awaitAll(ctx context.Context, within time.Duration, size int) error {
	return o.await(ctx, within, fmt.Sprintf("%d of each", size), func() bool {
		o.mutex.Lock()
		defer o.mutex.Unlock()
		for _, seen := range o.seen {
			if len(seen) < size {
				return false
			}
		}
		return true
	})
}

func (o *observer) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	counts := map[string]int{}
	for kind, seen := range o.seen {
		counts[kind] = len(seen)
	}
	return fmt.Sprint(counts)
}

// after are the seconds from an instant until each of a kind was seen.
func (o *observer) after(kind string, instant func(name string) time.Time) []float64 {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	var seconds []float64
	for name, at := range o.seen[kind] {
		seconds = append(seconds, at.Sub(instant(name)).Seconds())
	}
	return seconds
}

// last is when the last of a kind was seen; of no kind, the last of all.
func (o *observer) last(kinds ...string) time.Time {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	var last time.Time
	for kind, seen := range o.seen {
		if len(kinds) > 0 && kind != kinds[0] {
			continue
		}
		for _, at := range seen {
			if at.After(last) {
				last = at
			}
		}
	}
	return last
}

// always is an instant that is the same for everybody.
func always(at time.Time) func(string) time.Time {
	return func(string) time.Time { return at }
}

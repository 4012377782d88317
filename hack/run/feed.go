package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// feed watches the cluster and writes a line about whatever happens in it.
type feed struct {
	style style

	mutex   sync.Mutex
	out     io.Writer // nil until it is opened; what happens before is kept
	target  io.Writer
	kept    []line
	matched *matcher
}

// startFeed begins to watch. Nothing is written before the feed is opened.
func startFeed(ctx context.Context, config *rest.Config, out io.Writer) (*feed, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("preparing to watch: %w", err)
		}
	}
	managed := labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})
	warnings := fields.OneTermEqualSelector("type", corev1.EventTypeWarning)
	watches, err := cache.New(config, cache.Options{
		Scheme: scheme,
		ByObject: map[client.Object]cache.ByObject{
			&rbacv1.RoleBinding{}: {Label: managed},
			&corev1.Event{}:       {Field: warnings},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing to watch: %w", err)
	}

	f := &feed{target: out, style: styleFor(out), matched: newMatcher()}
	for object, handler := range map[client.Object]toolscache.ResourceEventHandler{
		&v1alpha1.User{}:       f.onChange(),
		&v1alpha1.Membership{}: f.onChange(),
		&v1alpha1.Transition{}: f.onTransition(),
		&rbacv1.RoleBinding{}:  f.onGrant(),
		&corev1.Event{}:        f.onWarning(),
	} {
		informer, err := watches.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("preparing to watch: %w", err)
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, fmt.Errorf("preparing to watch: %w", err)
		}
	}
	go func() { _ = watches.Start(ctx) }()
	go f.writeOverdue(ctx)
	return f, nil
}

// open writes what has happened so far, and from now on what happens.
func (f *feed) open() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.out = f.target
	f.write()
}

// tell writes lines, or keeps them until the feed is opened.
func (f *feed) tell(lines ...line) {
	f.kept = append(f.kept, lines...)
	f.write()
}

func (f *feed) write() {
	if f.out == nil {
		return
	}
	for _, line := range f.kept {
		fmt.Fprintln(f.out, f.style.render(line))
	}
	f.kept = nil
}

// writeOverdue writes the changes whose other half does not come.
func (f *feed) writeOverdue(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(matchTimeout / 4):
			f.mutex.Lock()
			f.tell(f.matched.overdue(time.Now())...)
			f.mutex.Unlock()
		}
	}
}

// operator tells what happens to the operator itself.
func (f *feed) operator(format string, arguments ...any) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.tell(line{at: time.Now(), topic: "operator", what: fmt.Sprintf(format, arguments...), mood: bad})
}

func (f *feed) onChange() toolscache.ResourceEventHandler {
	changed := func(before, after any) {
		was, is := viewOf(before), viewOf(after)
		if change, ok := changeBetween(was, is); ok {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			f.tell(f.matched.change(change, time.Now())...)
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { changed(nil, object) },
		UpdateFunc: changed,
	}
}

func (f *feed) onTransition() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{AddFunc: func(object any) {
		f.mutex.Lock()
		defer f.mutex.Unlock()
		f.tell(f.matched.transition(object.(*v1alpha1.Transition), time.Now())...)
	}}
}

func (f *feed) onGrant() toolscache.ResourceEventHandler {
	tell := func(object any, given bool) {
		if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		if binding, ok := object.(*rbacv1.RoleBinding); ok {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			f.tell(grantLine(binding, given, time.Now()))
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { tell(object, true) },
		DeleteFunc: func(object any) { tell(object, false) },
	}
}

func (f *feed) onWarning() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{AddFunc: func(object any) {
		event := object.(*corev1.Event)
		if event.InvolvedObject.GroupVersionKind().Group != v1alpha1.GroupVersion.Group {
			return
		}
		f.mutex.Lock()
		defer f.mutex.Unlock()
		f.tell(warningLine(event, time.Now()))
	}}
}

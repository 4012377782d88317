package targets

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

// patience is how the listing of a kind is tried again: soon at first, and at least twice a minute.
var patience = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.1, Steps: 8, Cap: 30 * time.Second}

// watch keeps one store up to date.
type watch struct {
	store   *store
	resolve func() (dynamic.ResourceInterface, error)
	changed func()
	clock   clock.Clock
	kick    chan struct{}
	stop    context.CancelFunc

	mu     sync.Mutex
	listed bool
	synced bool
	err    error
}

func startWatch(ctx context.Context, c clock.Clock, needs Needs, resolve func() (dynamic.ResourceInterface, error), changed func()) *watch {
	ctx, stop := context.WithCancel(ctx)
	w := &watch{resolve: resolve, changed: changed, clock: c, stop: stop, kick: make(chan struct{}, 1)}
	w.store = newStore(needs, w.replaced)
	go w.run(ctx)
	return w
}

func (w *watch) replaced() {
	w.mu.Lock()
	w.listed = true
	w.mu.Unlock()
	w.set(true, nil)
}

// set notes how the watch does. Objects that were listed once stay known while the watch fails, but nothing is decided
// on them: state says so.
func (w *watch) set(synced bool, err error) {
	w.mu.Lock()
	news := w.synced != synced || (w.err == nil) != (err == nil) || err != nil && w.err.Error() != err.Error()
	w.synced, w.err = synced, err
	w.mu.Unlock()
	if news {
		w.changed()
	}
}

func (w *watch) state() (synced bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.synced, w.err
}

// retry makes a watch that fails try again at once.
func (w *watch) retry() {
	if _, err := w.state(); err == nil {
		return
	}
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// run lists and watches until ctx ends. A kick starts over.
func (w *watch) run(ctx context.Context) {
	delay := patience
	for ctx.Err() == nil {
		attempt, cancel := context.WithCancel(ctx)
		objects, err := w.resolve()
		var again <-chan time.Time
		if err != nil {
			w.note(ctx, err)
			again = w.clock.After(delay.Step())
		} else {
			delay = patience
			go w.reflector(objects).RunWithContext(attempt)
		}
		select {
		case <-ctx.Done():
		case <-w.kick:
		case <-again:
		}
		cancel()
	}
}

// reflector lists and watches, and tells when it cannot. Its own words about that would only fill the log.
func (w *watch) reflector(objects dynamic.ResourceInterface) *cache.Reflector {
	silence, backoff := logr.Discard(), patience
	return cache.NewReflectorWithOptions(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := objects.List(ctx, options)
			w.note(ctx, err)
			return list, err //nolint:wrapcheck // The reflector looks at the kind of error.
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			events, err := objects.Watch(ctx, options)
			w.note(ctx, err)
			return events, err //nolint:wrapcheck // The reflector looks at the kind of error.
		},
	}, &unstructured.Unstructured{}, w.store, cache.ReflectorOptions{Logger: &silence, Backoff: &backoff, Name: "targets"})
}

// note keeps an error that says something about the kind or the account, until it is over. What only interrupts a watch is
// nobody's news: the reflector goes on.
func (w *watch) note(ctx context.Context, err error) {
	w.mu.Lock()
	listed := w.listed
	w.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case err == nil && listed:
		w.set(true, nil)
	case err != nil && telling(err):
		w.set(false, err)
	}
}

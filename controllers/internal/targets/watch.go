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
	"k8s.io/utils/ptr"
)

// patience is how the listing of a kind is tried again: soon at first, and at least four times a minute. Nobody tells when an
// account is given a right.
var patience = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.1, Steps: 8, Cap: 15 * time.Second}

// tolerance is for how long a kind may be interrupted before that is news.
const tolerance = 5 * time.Second

// watch keeps one store up to date.
type watch struct {
	store   *store
	find    find
	changed func()
	clock   clock.Clock
	kick    chan struct{}
	lost    chan struct{}
	stop    context.CancelFunc
	started time.Time

	mu          sync.Mutex
	synced      bool
	err         error
	interrupted time.Time
}

// find finds out where the objects are; in doubt not from memory.
type find func(doubt bool) (dynamic.ResourceInterface, error)

func startWatch(ctx context.Context, c clock.Clock, needs Needs, find find, changed func()) *watch {
	ctx, stop := context.WithCancel(ctx)
	w := &watch{find: find, changed: changed, clock: c, stop: stop, started: c.Now(), kick: make(chan struct{}, 1), lost: make(chan struct{}, 1)}
	w.store = newStore(needs, w.replaced)
	go w.run(ctx)
	return w
}

func (w *watch) replaced() { w.set(true, nil) }

// set notes how the watch does. Objects that were listed once stay known while the watch fails, but nothing is decided
// on them: state says so.
func (w *watch) set(synced bool, err error) {
	w.mu.Lock()
	news := w.synced != synced || (w.err == nil) != (err == nil) || err != nil && w.err.Error() != err.Error()
	w.synced, w.err = synced, err
	if synced {
		w.interrupted = time.Time{}
	}
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
	w.mu.Lock()
	fails := w.err != nil || !w.interrupted.IsZero()
	w.mu.Unlock()
	if fails {
		signal(w.kick)
	}
}

func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// run lists and watches until ctx ends. A kick starts over at once.
func (w *watch) run(ctx context.Context) {
	delay := patience
	for doubt := false; ctx.Err() == nil; doubt = true {
		if kicked := w.attempt(ctx, doubt); kicked {
			delay = patience
			continue
		}
		select {
		case <-ctx.Done():
		case <-w.kick:
			delay = patience
		case <-w.clock.After(delay.Step()):
		}
	}
}

// attempt lists and watches until it is kicked, or until the kind is not where it was found.
func (w *watch) attempt(ctx context.Context, doubt bool) (kicked bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	objects, err := w.find(doubt)
	if err != nil {
		w.note(ctx, err)
		return false
	}
	select {
	case <-w.lost: // where it was before
	default:
	}
	go w.reflector(objects).RunWithContext(logr.NewContext(ctx, logr.Discard()))
	select {
	case <-ctx.Done():
		return false
	case <-w.lost:
		return false
	case <-w.kick:
		return true
	}
}

// reflector lists and watches, and tells when it cannot. Its own words about that would only fill the log.
func (w *watch) reflector(objects dynamic.ResourceInterface) *cache.Reflector {
	backoff := patience
	return cache.NewReflectorWithOptions(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := objects.List(ctx, options)
			w.note(ctx, err)
			return list, err //nolint:wrapcheck // The reflector looks at the kind of error.
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			events, err := objects.Watch(ctx, options)
			w.opened(ctx, ptr.Deref(options.SendInitialEvents, false), err)
			return events, err //nolint:wrapcheck // The reflector looks at the kind of error.
		},
	}, &unstructured.Unstructured{}, w.store, cache.ReflectorOptions{Backoff: &backoff, Name: "targets"})
}

// opened notes how the opening of a watch went. A first list that cannot be streamed is asked for as a whole, which tells why,
// unless the API server is only busy.
func (w *watch) opened(ctx context.Context, first bool, err error) {
	switch {
	case first && !passing(err):
	case err != nil:
		w.note(ctx, err)
	case ctx.Err() == nil:
		w.set(true, nil)
	}
}

// note keeps an error that says something about the kind or the account, until it is over: until the objects have been listed
// anew, or a watch goes on where it was interrupted. What only interrupts a watch is nobody's news: the reflector goes on.
func (w *watch) note(ctx context.Context, err error) {
	if ctx.Err() != nil || err == nil || !telling(err) || passing(err) && !w.lasts() {
		return
	}
	w.set(false, err)
	if Missing(err) {
		signal(w.lost)
	}
}

// lasts tells whether an interruption has lasted for too long to be none.
func (w *watch) lasts() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	if w.interrupted.IsZero() {
		w.interrupted = now
	}
	return now.Sub(w.interrupted) >= tolerance
}

package transition

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/controllers/internal/metrics"
)

const (
	// firstDelay and longestDelay are how long an effect that failed waits until it is tried again: twice as long each time.
	firstDelay   = time.Second
	longestDelay = 30 * time.Second
)

// sweeps remember, between the passes, how far the effects of running Transitions are. What they remember only saves work:
// after a restart everything is found again as it is.
type sweeps struct {
	mu  sync.Mutex
	all map[client.ObjectKey]map[string]*sweep

	// confirmed are those Transitions of which the ledger was found to be as the cache had it.
	confirmed map[client.ObjectKey]bool

	// reasons are why each is not done, for who watches the metrics.
	reasons map[client.ObjectKey]string
}

// sweep is one effect's way through its objects.
type sweep struct {
	// done and left are the names of the objects that are done, and of those that somebody else has changed, which the
	// watch may not have told yet.
	done, left map[string]bool

	// failed are those that could not be done in this round, and why.
	failed map[string]error

	// tried are those that failed in earlier rounds: the others go first, so that none is kept from its turn.
	tried map[string]bool

	// stuck is why rounds are broken off, in the words of the first of them: another object fails in each. stuckOn is
	// what they have in common.
	stuck   error
	stuckOn string

	// hopeless: the rest of the round would fail for the same reason.
	hopeless bool

	// deleting are those that are being deleted and wait for a finalizer.
	deleting map[string]string

	// due is when the next round begins, delay how long the last pause was.
	due   time.Time
	delay time.Duration
}

// begin tells whether a Transition begins in this process.
func (s *sweeps) begin(transition client.ObjectKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[transition] != nil {
		return false
	}
	if s.all == nil {
		s.all = map[client.ObjectKey]map[string]*sweep{}
	}
	s.all[transition] = map[string]*sweep{}
	return true
}

// confirm notes that the ledger of a Transition is as the cache had it. What follows is this process's own.
func (s *sweeps) confirm(transition client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.confirmed == nil {
		s.confirmed = map[client.ObjectKey]bool{}
	}
	s.confirmed[transition] = true
}

func (s *sweeps) isConfirmed(transition client.ObjectKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.confirmed[transition]
}

// of is the sweep of an effect of a Transition that has begun.
func (s *sweeps) of(transition client.ObjectKey, effect string) *sweep {
	s.mu.Lock()
	defer s.mu.Unlock()
	effects := s.all[transition]
	if effects[effect] == nil {
		effects[effect] = &sweep{done: map[string]bool{}, left: map[string]bool{}, failed: map[string]error{}, tried: map[string]bool{}, deleting: map[string]string{}}
	}
	return effects[effect]
}

// forget drops what is remembered of a Transition that is at its end, and tells whether there was anything.
func (s *sweeps) forget(transition client.ObjectKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.all[transition]
	delete(s.all, transition)
	delete(s.confirmed, transition)
	return known
}

// explain keeps why a Transition is not done; empty: it is.
func (s *sweeps) explain(transition client.ObjectKey, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	metrics.Cascades(transition.Namespace, s.reasons[transition], reason)
	if s.reasons == nil {
		s.reasons = map[client.ObjectKey]string{}
	}
	if s.reasons[transition] = reason; reason == "" {
		delete(s.reasons, transition)
	}
}

// pause ends a round: what failed is tried again later, ever later.
func (s *sweep) pause(now time.Time) {
	s.delay = min(max(2*s.delay, firstDelay), longestDelay)
	s.due = now.Add(s.delay)
}

// wait is for how long the next round has to wait; not above zero: it may begin. A clock that was set back must not make it longer
// than the pause.
func (s *sweep) wait(now time.Time) time.Duration {
	if !s.due.IsZero() && s.due.Sub(now) > s.delay {
		s.due = now.Add(s.delay)
	}
	return s.due.Sub(now)
}

// begin starts a round.
func (s *sweep) begin() {
	s.due = time.Time{}
	s.hopeless = false
	for name := range s.failed {
		s.tried[name] = true
	}
	clear(s.failed)
	clear(s.deleting)
}

// untriedFirst sorts objects by whether they have failed before.
func (s *sweep) untriedFirst(objects []*unstructured.Unstructured) {
	if !slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool { return !s.tried[o.GetName()] }) {
		clear(s.tried)
	}
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int {
		return cmp.Compare(rank(s.tried[a.GetName()]), rank(s.tried[b.GetName()]))
	})
}

func rank(tried bool) int {
	if tried {
		return 1
	}
	return 0
}

// failure says what could not be done in this round.
func (s *sweep) failure() error {
	words := sameForAll(s.failed)
	if s.stuckOn != words {
		s.stuckOn, s.stuck = words, failures(s.failed)
	}
	if words == "" {
		return failures(s.failed)
	}
	return s.stuck
}

// sameForAll is what a round was broken off for, without the object's name; empty where it was not.
func sameForAll(failed map[string]error) string {
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		if err := failed[name]; name != "" && hopeless(err) {
			return strings.ReplaceAll(err.Error(), name, "")
		}
	}
	return ""
}

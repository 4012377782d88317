package wake

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Pace spaces out the writes of summaries. Ten thousand members that expire in one second are one new number, not ten
// thousand.
type Pace struct {
	Clock    clock.PassiveClock
	Interval time.Duration

	mu   sync.Mutex
	last map[client.ObjectKey]time.Time
}

// Wait tells how long to wait before the next write about an object; zero if it may come now, which is then noted.
func (p *Pace) Wait(key client.ObjectKey) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Clock.Now()
	if wait := p.last[key].Add(p.Interval).Sub(now); wait > 0 && wait <= p.Interval {
		return wait
	}
	if p.last == nil {
		p.last = map[client.ObjectKey]time.Time{}
	}
	p.last[key] = now
	return 0
}

// Forget drops what is noted about an object that is gone.
func (p *Pace) Forget(key client.ObjectKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, key)
}

// Package skew measures how far the operator's clock is off the API server's, by the dates of its answers. Deadlines are the
// API server's to begin with: who declares one, and what says how old a record is, goes by its clock.
package skew

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"

	"tenure.dev/tenure/controllers/internal/metrics"
)

const (
	// Tolerance is how far the clock may be off.
	Tolerance = 30 * time.Second

	// resolution of a date in an answer: it says when the answer was begun, cut to the second.
	resolution = time.Second

	// enough is how many answers in a row must find the clock right before it is trusted again.
	enough = 3
)

// Source knows how far the operator's clock is ahead of the API server's, and whether that is too far.
type Source interface {
	Off() (by time.Duration, off bool)
}

// Meter is a clock that knows how far it is off. Nothing is off until an answer has told.
type Meter struct {
	clock.PassiveClock

	// last is the date that was last looked at: those of most answers are no others.
	last atomic.Pointer[string]

	mu sync.Mutex

	// The clock was ahead of the API server's by low to high at the time at. A zero at: nothing is known.
	low, high time.Duration
	at        time.Time

	// off is the verdict, by is how far ahead the clock was when it was last found off, and agreeing is how many answers have
	// found it right since.
	off      bool
	by       time.Duration
	agreeing int
}

// New makes a meter of a clock.
func New(c clock.PassiveClock) *Meter { return &Meter{PassiveClock: c} }

// Off tells whether the clock is off by more than Tolerance for certain, and by how much it is ahead; negative: behind. Seconds
// within the tolerance, or an API server that answers too slowly to tell, are not off.
//
// A single answer is enough to say so, since what waits in vain for some seconds can still be done, and what was destroyed too
// early cannot be brought back. It takes several in a row to trust the clock again. Where nothing is measured, nothing is off.
func (m *Meter) Off() (by time.Duration, off bool) {
	if m == nil {
		return 0, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.follow()
	return m.by, m.off
}

// follow notices that somebody has set the clock, which no answer has told yet: it has gone further or less far than time has
// gone by. What falls due because of that must not be done before the next answer.
func (m *Meter) follow() {
	if m.at.IsZero() {
		return
	}
	now := m.Now()
	if step := now.Round(0).Sub(m.at.Round(0)) - m.Since(m.at); step.Abs() >= resolution {
		m.low, m.high, m.at = m.low+step, m.high+step, now
		m.doubt()
	}
}

// doubt finds the clock off, where it certainly is.
func (m *Meter) doubt() (off bool) {
	if m.low <= Tolerance && m.high >= -Tolerance {
		return false
	}
	m.off, m.by, m.agreeing = true, m.middle(), 0
	return true
}

// trust counts an answer that finds the clock right, where it certainly is.
func (m *Meter) trust() {
	if !m.off || m.low < -Tolerance || m.high > Tolerance {
		return
	}
	if m.agreeing++; m.agreeing >= enough {
		m.off, m.by, m.agreeing = false, 0, 0
	}
}

func (m *Meter) middle() time.Duration { return m.low + (m.high-m.low)/2 }

// Wrap has the answers that come through a transport looked at.
func (m *Meter) Wrap(next http.RoundTripper) http.RoundTripper {
	return transport{next: next, meter: m}
}

type transport struct {
	next  http.RoundTripper
	meter *Meter
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if !answeredByItself(request.URL.Path) {
		return t.next.RoundTrip(request) //nolint:wrapcheck // As it came: the client looks at the kind of error.
	}
	sent := t.meter.Now()
	response, err := t.next.RoundTrip(request)
	if err == nil {
		t.meter.read(sent, response.Header)
	}
	return response, err //nolint:wrapcheck // As above.
}

// answeredByItself tells whether the API server answers a request itself. What it passes on to another has that one's date.
func answeredByItself(path string) bool {
	return strings.Contains(path, "/apis/tenure.dev/") || strings.HasSuffix(path, versionPath)
}

// read looks at an answer's date, unless the last one had the same: as long as all is well, that is once a second.
func (m *Meter) read(sent time.Time, header http.Header) {
	received, text := m.Now(), header.Get("Date")
	if last := m.last.Load(); last != nil && *last == text {
		return
	}
	date, err := time.Parse(http.TimeFormat, text)
	if err != nil {
		return
	}
	// The API server's clock was at date or within the second after it at some time between the two.
	low, high := sent.Round(0).Sub(date.Add(resolution)), received.Round(0).Sub(date)
	if low > high {
		return // The clock was set back in the meantime.
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.follow()
	m.learn(low, high, received)
	if high-low <= Tolerance { // The next one with this date may tell more than one that took so long.
		m.last.Store(&text)
	}
}

// learn narrows down what is known, or, where that cannot be true any more, begins anew.
func (m *Meter) learn(low, high time.Duration, received time.Time) {
	if narrowed := max(m.low, low); !m.at.IsZero() && narrowed <= min(m.high, high) {
		low, high = narrowed, min(m.high, high)
	}
	m.low, m.high, m.at = low, high, received
	metrics.ClockSkew(m.middle())
	if !m.doubt() {
		m.trust()
	}
}

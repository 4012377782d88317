package transition

import (
	"testing"
	"time"
)

// TestClockThatIsSetBackLengthensNoPause sees that what waits for its next round waits as long as it was to, whatever is done to
// the clock in the meantime.
func TestClockThatIsSetBackLengthensNoPause(t *testing.T) {
	now := time.Date(2026, time.December, 1, 8, 0, 0, 0, time.UTC)
	s := &sweep{}
	if wait := s.wait(now); wait > 0 {
		t.Errorf("waits %s before the first round", wait)
	}
	s.pause(now)
	if wait := s.wait(now.Add(firstDelay / 4)); wait != firstDelay*3/4 {
		t.Errorf("waits another %s after a quarter of the pause", wait)
	}
	now = now.AddDate(-1, 0, 0)
	if wait := s.wait(now); wait != firstDelay {
		t.Errorf("waits %s after the clock was set back by a year", wait)
	}
	if wait := s.wait(now.Add(firstDelay)); wait > 0 {
		t.Errorf("waits another %s after the pause", wait)
	}
}

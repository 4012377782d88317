package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
	_ "time/tzdata" // The zone must be known on every machine.

	clocktesting "k8s.io/utils/clock/testing"
)

// wallClock is what a process takes for the time: the plan's own, unless it is off. As on a machine whose clock is set, what
// waits does not notice: timers, and the harness, go by the plan's.
type wallClock struct {
	*clocktesting.FakeClock

	mu     sync.Mutex
	off    time.Duration
	stands time.Time // where it stands still; zero: it goes
}

// Now implements clock.PassiveClock.
func (c *wallClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stands.IsZero() {
		return c.stands
	}
	return c.FakeClock.Now().Add(c.off)
}

// Since implements clock.PassiveClock.
func (c *wallClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// set puts it ahead of the time, or behind.
func (c *wallClock) set(off time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off, c.stands = off, time.Time{}
}

// halt has it stand still.
func (c *wallClock) halt() {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stands = now
}

// longestSleep is for how long the operator may overlook that its clock was set: more than any of its timers runs.
const longestSleep = time.Hour + time.Minute

const year = 365 * 24 * time.Hour

// clockFaults are what can be wrong with the operator's clock. From the write on it is wrong, until people come again; then it
// is right, and the operator has as long as it needs to notice.
func clockFaults() []fault {
	faults := []fault{
		{name: "clock-stops", about: "the operator's clock stands still, until people have come twice", writes: clockWrites, make: clockStops},
		{name: "summer", about: "half an hour later summer time begins", concerns: firstWrite, begins: beforeSummer, make: nothingElse},
		{name: "winter", about: "half an hour later summer time ends", concerns: firstWrite, begins: beforeWinter, make: nothingElse},
	}
	for _, by := range []struct {
		name, words string
		off         time.Duration
	}{{"1s", "a second", time.Second}, {"1h", "an hour", time.Hour}, {"1y", "a year", year}} {
		faults = append(faults,
			fault{name: "clock+" + by.name, about: "the operator's clock is set " + by.words + " ahead", writes: clockWrites, off: by.off, make: clockIsSet(by.off)},
			// An hour reaches back across every deadline that has just passed.
			fault{name: "clock-" + by.name, about: "the operator's clock is set " + by.words + " back", writes: clockWrites, off: -by.off, make: clockIsSet(-by.off)})
	}
	for i := range faults {
		if faults[i].concerns == nil {
			faults[i].concerns = everyWrite
		}
	}
	return faults
}

// clockWrites is how many writes more a clock excuses that is off: what is tried again is so at other times.
const clockWrites = 2

// firstWrite is the one of which plans are made whose fault lasts from the beginning.
func firstWrite(_ point, before []point) bool { return len(before) == 0 }

// nothingElse: what goes wrong began with the plan.
func nothingElse(*run) strike {
	return func(_ *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) { return send() }
}

func clockIsSet(off time.Duration) func(r *run) strike {
	return func(r *run) strike {
		return func(_ *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) {
			r.world.wall.set(off)
			r.rightClock(0)
			return send()
		}
	}
}

func clockStops(r *run) strike {
	return func(_ *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) {
		r.world.wall.halt()
		r.rightClock(2)
		return send()
	}
}

// rightClock has the clock be right again when people have come so many times more, and once.
func (r *run) rightClock(times int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lasts = times
	r.relief = func(ctx context.Context) error {
		r.world.wall.set(0)
		if r.ended.Load() {
			return nil // The plan has broken off.
		}
		r.tell("the clock is right again")
		r.advance(longestSleep)
		if err := r.quiet(ctx); err != nil {
			return fmt.Errorf("when the clock is right again: %w", err)
		}
		return nil
	}
}

// endsOtherwise tells whether a scenario may come out otherwise because the clock was off. What is due early by the operator's clock
// is done; where the clock is set back, only what has expired stays so.
func (f *fault) endsOtherwise(s *scenario) bool {
	return f.off >= time.Hour && s.times != untimed || f.off <= -time.Hour && s.times == passing
}

// goesOtherwise tells whether a scenario may at least go otherwise. A clock that is set back before an expiry has been written down
// lets a membership resume for a moment: it goes by what is declared and the time until its user's status says more.
func (f *fault) goesOtherwise(s *scenario) bool {
	return f.off.Abs() >= time.Hour && s.times != untimed
}

// zone is where the operator runs: a place with summer time.
const zone = "Europe/Berlin"

// beforeSummer is half an hour before the next time that summer time begins in the zone, and beforeWinter before it ends.
func beforeSummer(now time.Time) time.Time { return beforeChange(now, time.March) }

func beforeWinter(now time.Time) time.Time { return beforeChange(now, time.October) }

// beforeChange is on the last Sunday of a month, half an hour before one o'clock UTC.
func beforeChange(now time.Time, month time.Month) time.Time {
	for y := now.Year(); ; y++ {
		last := time.Date(y, month, 31, 0, 30, 0, 0, time.UTC)
		if at := last.AddDate(0, 0, -int(last.Weekday())); at.After(now) {
			return at
		}
	}
}

// advance lets time pass at once, as if the machine had slept: whatever has become due is noticed late.
func (r *run) advance(d time.Duration) {
	r.world.clock.Step(d)
	r.ripen(false)
}

// stepTo lets time pass until something that waits has its turn.
func (r *run) stepTo(at time.Time) {
	if d := at.Sub(r.world.clock.Now()); d > 0 {
		r.world.clock.Step(d)
	}
	r.ripen(true)
}

func (r *run) ripen(counted bool) {
	for _, p := range r.living() {
		p.queues.ripen(counted)
	}
}

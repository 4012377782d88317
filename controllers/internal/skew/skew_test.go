package skew

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"
)

const users = "/apis/tenure.dev/v1alpha1/users"

var noon = time.Date(2026, time.December, 1, 12, 0, 0, 250_000_000, time.UTC)

// wall is an operator's clock, which may be off and may be set, on a machine that all the same knows how much time goes by.
type wall struct {
	*clocktesting.FakePassiveClock

	ahead time.Duration
	told  map[int64]time.Time // the true times at which it told a time, as the monotonic reading in a time
}

func (w *wall) Now() time.Time {
	now := w.FakePassiveClock.Now().Add(w.ahead)
	w.told[now.UnixNano()] = w.FakePassiveClock.Now()
	return now
}

func (w *wall) Since(t time.Time) time.Duration {
	if t.IsZero() {
		return 1 << 62
	}
	return w.FakePassiveClock.Now().Sub(w.told[t.UnixNano()])
}

// world is an operator and an API server, whose clock is right.
type world struct {
	*Meter

	wall *wall

	// there and back are how long a request and its answer are under way.
	there, back time.Duration

	// wrong is how far ahead the dates of answers are.
	wrong time.Duration

	// edit makes an answer something else.
	edit func(*http.Response)

	// fail is returned instead of an answer.
	fail error
}

func newWorld(ahead time.Duration) *world {
	w := &world{wall: &wall{FakePassiveClock: clocktesting.NewFakePassiveClock(noon), ahead: ahead, told: map[int64]time.Time{}}}
	w.Meter = New(w.wall)
	return w
}

func (w *world) pass(d time.Duration) { w.wall.SetTime(w.wall.FakePassiveClock.Now().Add(d)) }

// RoundTrip is the API server.
func (w *world) RoundTrip(*http.Request) (*http.Response, error) {
	w.pass(w.there)
	date := w.wall.FakePassiveClock.Now().Add(w.wrong).Format(http.TimeFormat)
	w.pass(w.back)
	if w.fail != nil {
		return nil, w.fail
	}
	response := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Date": {date}}, Body: http.NoBody}
	if w.edit != nil {
		w.edit(response)
	}
	return response, nil
}

// ask asks the API server for something, a while after the last time.
func (w *world) ask(path string) error {
	w.pass(1300 * time.Millisecond)
	return w.askAtOnce(path)
}

func (w *world) askAtOnce(path string) error {
	response, err := w.Wrap(w).RoundTrip(httptest.NewRequest(http.MethodGet, path, nil))
	if err == nil {
		err = response.Body.Close()
	}
	return err
}

func (w *world) asks(t *testing.T, times int) {
	t.Helper()
	for range times {
		if err := w.ask(users); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) expect(t *testing.T, want bool) {
	t.Helper()
	if by, off := w.Off(); off != want {
		t.Fatalf("off: %t by %s, want %t", off, by, want)
	}
}

func TestOffIsWhatIsCertainlyBeyondTheTolerance(t *testing.T) {
	for name, test := range map[string]struct {
		ahead, takes time.Duration
		off          bool
	}{
		"right":                       {0, 0, false},
		"ahead within the tolerance":  {29 * time.Second, 0, false},
		"behind within the tolerance": {-29 * time.Second, 0, false},
		"ahead":                       {32 * time.Second, 0, true},
		"behind":                      {-32 * time.Second, 0, true},
		"far ahead":                   {9000 * time.Hour, 0, true},
		"ahead of a date that is cut": {29800 * time.Millisecond, 0, false},
		"behind a date that is cut":   {-30500 * time.Millisecond, 0, false},
		"an answer that took long":    {35 * time.Second, 10 * time.Second, false},
		"ahead by more than it took":  {45 * time.Second, 10 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(test.ahead)
			w.there, w.back = test.takes, test.takes
			w.expect(t, false)
			w.asks(t, 1)
			w.expect(t, test.off)
			if by, _ := w.Off(); test.off && (by-test.ahead).Abs() > time.Second+test.takes {
				t.Errorf("off by %s, want about %s", by, test.ahead)
			}
		})
	}
}

func TestWhateverAnswersTake(t *testing.T) {
	milliseconds := func(low, high int) *rapid.Generator[time.Duration] {
		return rapid.Map(rapid.IntRange(low, high), func(n int) time.Duration { return time.Duration(n) * time.Millisecond })
	}
	aheads := rapid.OneOf(milliseconds(-100_000, 100_000), milliseconds(-32_000, -28_000), milliseconds(28_000, 32_000))
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(aheads.Draw(t, "ahead"))
		var widest time.Duration
		for range rapid.IntRange(1, 20).Draw(t, "answers") {
			w.there, w.back = milliseconds(0, 5000).Draw(t, "there"), milliseconds(0, 5000).Draw(t, "back")
			widest = max(widest, w.there+w.back+resolution)
			w.pass(milliseconds(0, 3000).Draw(t, "pause"))
			if err := w.askAtOnce(users); err != nil {
				t.Fatal(err)
			}
			by, off := w.Off()
			switch ahead := w.wall.ahead; {
			case off && ahead.Abs() <= Tolerance:
				t.Fatalf("a clock that is off by %s is said to be off by %s", ahead, by)
			case !off && ahead.Abs() > Tolerance+widest:
				t.Fatalf("a clock that is off by %s is said to be right", ahead)
			case off && (by-ahead).Abs() > widest:
				t.Fatalf("a clock that is off by %s is said to be off by %s", ahead, by)
			}
		}
	})
}

// TestWhatIsSaidSettles, so that who writes it down in seconds does not write without an end.
func TestWhatIsSaidSettles(t *testing.T) {
	w := newWorld(time.Hour)
	said := func() time.Duration {
		w.there, w.back = w.back, w.there
		w.asks(t, 1)
		by, _ := w.Off()
		return by.Round(time.Second)
	}
	w.back = 4 * time.Second
	for range 20 {
		said()
	}
	settled := said()
	for range 100 {
		if now := said(); now != settled {
			t.Fatalf("off by %s, then by %s", settled, now)
		}
	}
	if settled != time.Hour {
		t.Errorf("off by %s, want %s", settled, time.Hour)
	}
}

func TestOneOddAnswerIsEnoughToWaitAndSeveralAreNeededToGoOn(t *testing.T) {
	w := newWorld(0)
	w.asks(t, 5)
	w.wrong = time.Minute
	w.asks(t, 1)
	w.expect(t, true)
	if by, _ := w.Off(); (by + time.Minute).Abs() > time.Second {
		t.Errorf("off by %s, want about a minute behind", by)
	}
	w.wrong = 0
	w.asks(t, enough-1)
	w.expect(t, true)
	w.asks(t, 1)
	w.expect(t, false)
}

func TestAnswersThatDisagreeDoNotFlap(t *testing.T) {
	w := newWorld(0)
	w.wrong = time.Minute
	w.asks(t, 1)
	for range 10 {
		w.wrong = time.Minute - w.wrong
		w.asks(t, 1)
		w.expect(t, true)
	}
}

func TestAClockThatIsSetIsOffBeforeAnAnswerTells(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -50 * time.Minute} {
		w := newWorld(0)
		w.asks(t, 3)
		w.pass(time.Hour)
		w.expect(t, false)
		w.wall.ahead = step
		w.expect(t, true)
		if by, _ := w.Off(); (by - step).Abs() > time.Second {
			t.Errorf("off by %s, want about %s", by, step)
		}
		w.asks(t, enough)
		w.expect(t, true)

		w.wall.ahead = 0
		w.asks(t, enough-1)
		w.expect(t, true)
		w.asks(t, 1)
		w.expect(t, false)
	}
}

func TestAClockThatIsSetByLittleIsNotOff(t *testing.T) {
	w := newWorld(0)
	w.asks(t, 1)
	w.wall.ahead = 20 * time.Second
	w.expect(t, false)
	w.asks(t, 5)
	w.wall.ahead = 0
	w.expect(t, false)
}

// TestOneAnswerOfADateIsLookedAt, and one of another at once.
func TestOneAnswerOfADateIsLookedAt(t *testing.T) {
	w := newWorld(0)
	w.asks(t, 1)
	low, high := w.low, w.high
	w.pass(100 * time.Millisecond)
	if err := w.askAtOnce(users); err != nil {
		t.Fatal(err)
	}
	if w.low != low || w.high != high {
		t.Errorf("ahead by %s to %s, and then by %s to %s", low, high, w.low, w.high)
	}
	w.wrong = time.Hour
	if err := w.askAtOnce(users); err != nil {
		t.Fatal(err)
	}
	w.expect(t, true)
}

// TestASlowAnswerDoesNotKeepAFastOneOfItsDateFromBeingLookedAt: it could say nothing.
func TestASlowAnswerDoesNotKeepAFastOneOfItsDateFromBeingLookedAt(t *testing.T) {
	w := newWorld(32 * time.Second)
	w.there = time.Minute
	w.asks(t, 1)
	w.expect(t, false)
	w.there = 0
	if err := w.askAtOnce(users); err != nil {
		t.Fatal(err)
	}
	w.expect(t, true)
}

func TestWhatTellsNothing(t *testing.T) {
	refused := errors.New("refused")
	for name, test := range map[string]struct {
		path string
		edit func(*http.Response)
		fail error
	}{
		"no answer":              {path: users, fail: refused},
		"no date":                {path: users, edit: func(r *http.Response) { r.Header.Del("Date") }},
		"a date in other words":  {path: users, edit: func(r *http.Response) { r.Header.Set("Date", "2026-12-01T12:00:00Z") }},
		"somebody else's answer": {path: "/apis/metrics.k8s.io/v1beta1/nodes"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(time.Hour)
			w.edit, w.fail = test.edit, test.fail
			if err := w.ask(test.path); !errors.Is(err, test.fail) {
				t.Errorf("error %v, want %v", err, test.fail)
			}
			w.expect(t, false)
			w.edit, w.fail = nil, nil
			w.asks(t, 1)
			w.expect(t, true)
		})
	}
}

func TestTheAPIServerIsAskedWhereNothingIsKnownAndWhereTheClockIsOff(t *testing.T) {
	w := newWorld(0)
	asked := 0
	k := keeper{meter: w.Meter, ask: func(context.Context) {
		asked++
		if err := w.ask("/version"); err != nil {
			t.Error(err)
		}
	}}
	expect := func(when string, want int) {
		t.Helper()
		asked = 0
		for range 2 * enough {
			k.keep(t.Context())
		}
		if asked != want {
			t.Errorf("%s: asked %d times, want %d", when, asked, want)
		}
	}
	expect("at the start", 1)
	w.pass(stale - 2*time.Second)
	expect("while the last answer is young", 0)
	w.pass(3 * time.Second)
	expect("when it is old", 1)
	w.wall.ahead = time.Hour
	expect("while the clock is off", 2*enough)
	w.wall.ahead = 0
	expect("until it was right for several answers", enough)
	w.expect(t, false)
}

func TestARealAnswer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	meter := New(clock.RealClock{})
	client := http.Client{Transport: meter.Wrap(http.DefaultTransport)}
	var askers sync.WaitGroup
	for range 8 {
		askers.Go(func() {
			for range 50 {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+users, nil)
				if err != nil {
					t.Error(err)
					return
				}
				response, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				if err := response.Body.Close(); err != nil {
					t.Error(err)
				}
				if by, off := meter.Off(); off {
					t.Errorf("off by %s", by)
				}
			}
		})
	}
	askers.Wait()
	if meter.at.IsZero() || meter.middle().Abs() > Tolerance {
		t.Errorf("ahead by %s to %s at %s", meter.low, meter.high, meter.at)
	}
}

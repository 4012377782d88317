package main

import (
	"context"
	"testing"
	"time"
)

func TestTheOperatorsClockCanBeOff(t *testing.T) {
	w := newWorld("test", nil, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	ahead := func() time.Duration { return w.wall.Now().Sub(w.clock.Now()) }
	w.wall.set(-time.Hour)
	w.clock.Step(time.Minute)
	if ahead() != -time.Hour {
		t.Errorf("it is %s ahead, want an hour behind", ahead())
	}
	if since := w.wall.Since(w.start); since != -59*time.Minute {
		t.Errorf("since the beginning there are %s, want 59 minutes less than none", since)
	}
	w.wall.set(0)
	w.wall.halt()
	w.clock.Step(time.Minute)
	if ahead() != -time.Minute {
		t.Errorf("it is %s ahead, want a minute behind: it stands", ahead())
	}
	w.wall.set(0)
	if ahead() != 0 {
		t.Errorf("it is %s ahead, want right", ahead())
	}
}

func TestAFaultLastsUntilPeopleComeAgain(t *testing.T) {
	r := testRun(t)
	ended := 0
	r.relief, r.lasts = func(context.Context) error { ended++; return nil }, 1
	for come, want := range []int{0, 1, 1} {
		if err := r.peopleCome(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ended != want {
			t.Errorf("when people have come %d times it was ended %d times, want %d", come+1, ended, want)
		}
	}
}

func TestSummerTimeChangesHalfAnHourAfterThePlanBegins(t *testing.T) {
	place, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at     time.Time
		before bool
	}{{beforeSummer(time.Now()), false}, {beforeWinter(time.Now()), true}} {
		if c.at.In(place).IsDST() != c.before || c.at.Add(31*time.Minute).In(place).IsDST() == c.before {
			t.Errorf("summer time does not change within half an hour of %s", c.at)
		}
		if !c.at.After(time.Now()) {
			t.Errorf("%s is over: the API server would refuse its dates", c.at)
		}
	}
}

func TestAClockThatIsFarOffChangesWhatIsDue(t *testing.T) {
	for _, c := range []struct {
		off        time.Duration
		times      times
		goes, ends bool
	}{
		{time.Hour, untimed, false, false},
		{time.Hour, latched, true, true},
		{time.Hour, passing, true, true},
		{-time.Hour, untimed, false, false},
		{-time.Hour, latched, true, false},
		{-time.Hour, passing, true, true},
		{time.Second, passing, false, false},
		{-time.Second, passing, false, false},
	} {
		f, s := &fault{off: c.off}, &scenario{times: c.times}
		if goes, ends := f.goesOtherwise(s), f.endsOtherwise(s); goes != c.goes || ends != c.ends {
			t.Errorf("with a clock %s ahead, %d: goes otherwise %t, ends otherwise %t", c.off, c.times, goes, ends)
		}
	}
}

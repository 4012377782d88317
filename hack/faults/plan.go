package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// plan is one run of a scenario with one fault at one write. The zero fault is none.
type plan struct {
	scenario string
	fault    string
	point    point

	// steps is how many of the scenario's steps are run; zero: all.
	steps int

	// later: its clock is ahead.
	later bool
}

// String is what -replay takes.
func (p plan) String() string {
	name := p.scenario
	if p.steps > 0 {
		name += ":" + strconv.Itoa(p.steps)
	}
	if p.fault == "" {
		return name
	}
	return name + "/" + p.fault + "/" + p.point.String()
}

// parsePlan reads what String writes.
func parsePlan(text string) (plan, error) {
	parts := strings.SplitN(text, "/", 3)
	var p plan
	name, steps, some := strings.Cut(parts[0], ":")
	if p.scenario = name; some {
		n, err := strconv.Atoi(steps)
		if err != nil {
			return plan{}, fmt.Errorf("read the plan %q: the number of steps: %w", text, err)
		}
		p.steps = n
	}
	if len(parts) == 1 {
		return p, nil
	}
	if len(parts) == 2 {
		return plan{}, fmt.Errorf("read the plan %q: it names a fault and no write", text)
	}
	var err error
	p.fault = parts[1]
	p.point, err = parsePoint(parts[2])
	return p, err
}

// scenarioOf is the scenario of a plan, with as many steps as the plan has.
func scenarioOf(all []scenario, p plan) (scenario, error) {
	for _, s := range all {
		if s.name == p.scenario {
			if p.steps > 0 && p.steps < len(s.steps) {
				s.steps = s.steps[:p.steps]
			}
			return s, nil
		}
	}
	return scenario{}, fmt.Errorf("there is no scenario %q", p.scenario)
}

// strike does a write with a fault.
type strike func(w *wire, x *write, send func() (*http.Response, error)) (*http.Response, error)

// fault is what can go wrong about a write.
type fault struct {
	name  string
	about string

	// concerns tells whether it can go wrong about this write, of all that are done without a fault.
	concerns func(p point, before []point) bool

	// deletions: it needs to know, beforehand, of which deletions it comes after.
	deletions bool

	// make makes it go wrong.
	make func(r *run) strike

	// writes is how many writes more it excuses. A process that sees the past counts wrongly, then rightly.
	writes int

	// past: processes act on what is no more. What they know is not what is.
	past bool

	// blind: a process begins with lists of the past, and may take away what it gives again when it sees.
	blind bool

	// refuses: the API server says that it has failed.
	refuses bool

	// alone: it goes wrong for everybody, so that no other plan runs beside.
	alone bool

	// off is how far the operator's clock is ahead, and begins when a plan begins that does not do so now.
	off    time.Duration
	begins func(now time.Time) time.Time
}

func everyWrite(point, []point) bool { return true }

// changes are writes to what is there already.
func changesOnly(p point, _ []point) bool { return p.verb != verbCreate }

// afterDeletion are writes that come after a deletion.
func afterDeletion(_ point, before []point) bool {
	return slices.ContainsFunc(before, func(p point) bool { return p.verb == verbDelete })
}

// faults are all that can go wrong.
func faults() []fault {
	return append([]fault{
		{name: crashBefore, about: "the process ends before the write", concerns: everyWrite, writes: 1, make: func(r *run) strike {
			return func(w *wire, _ *write, _ func() (*http.Response, error)) (*http.Response, error) {
				r.crash(w, restart{})
				return nil, errCrashed
			}
		}},
		{name: crashAfter, about: "the process ends before it hears of the write", concerns: everyWrite, writes: 1, make: crashing(0)},
		{name: crashTwice, about: "the process ends, and its successor after its own first write", concerns: everyWrite, writes: 2, make: crashing(1)},
		{name: crashLater, about: "the process ends, and its successor after its own second write", concerns: everyWrite, writes: 2, make: crashing(2)},
		{name: "timeout", about: "the write is done, and the answer is a time-out", concerns: everyWrite, writes: 1, refuses: true, make: answering(true, http.StatusGatewayTimeout, "Timeout", "")},
		{name: "broken", about: "the write is done, and the connection breaks", concerns: everyWrite, writes: 1, refuses: true, make: func(*run) strike {
			return func(_ *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) {
				if _, err := send(); err != nil {
					return nil, err
				}
				return nil, io.ErrUnexpectedEOF
			}
		}},
		{name: "429", about: "the API server is busy", concerns: everyWrite, writes: 1, refuses: true, make: answering(false, http.StatusTooManyRequests, "TooManyRequests", "0")},
		{name: "500", about: "the API server fails", concerns: everyWrite, writes: 1, refuses: true, make: answering(false, http.StatusInternalServerError, "InternalError", "")},
		{name: "503", about: "the API server is not available", concerns: everyWrite, writes: 1, refuses: true, make: answering(false, http.StatusServiceUnavailable, "ServiceUnavailable", "1")},
		{name: "conflict", about: "somebody else changes the object first", concerns: changesOnly, writes: 1, refuses: true, make: func(r *run) strike {
			return func(_ *wire, x *write, send func() (*http.Response, error)) (*http.Response, error) {
				r.interfere(x)
				return send()
			}
		}},
		{name: "stale", about: "the process ends after the write, and its successor sees the time before", concerns: everyWrite, writes: 3, past: true, blind: true, make: func(r *run) strike {
			return func(w *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) {
				version := r.version()
				_, _ = send()
				r.crash(w, restart{version: version})
				return nil, errCrashed
			}
		}},
		{name: "time-travel", about: "the process ends after the write, and its successor sees the time before an earlier deletion", concerns: afterDeletion, deletions: true, writes: 3, past: true, blind: true, make: travelling("")},
		{name: "unobserved", about: "what follows the write is never told, only what has come of it", concerns: everyWrite, writes: 2, past: true, make: func(*run) strike {
			return func(w *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) {
				w.gate.hold()
				return send()
			}
		}},
		{name: "zombie", about: "another process takes over before the write, which comes late", concerns: everyWrite, writes: 2, past: true, make: func(r *run) strike {
			return func(w *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) {
				r.haunt(w)
				_, _ = send()
				r.exorcised(w)
				return nil, errCrashed
			}
		}},
	}, aheadFaults()...)
}

// aheadFaults are those in which one kind comes to a new process as it is, and all others as they were.
func aheadFaults() []fault {
	var all []fault
	for _, kind := range []string{"users", "memberships", "transitions", "rolebindings"} {
		all = append(all, fault{
			name: "ahead-" + kind, about: "the process ends after the write, and its successor sees the time before an earlier deletion, of all but the " + kind,
			concerns: afterDeletion, deletions: true, writes: 4, past: true, blind: true, make: travelling(kind),
		})
	}
	return all
}

// travelling has the next process see the time before an earlier deletion. What there is of one kind, if any, it sees as it is.
func travelling(ahead string) func(r *run) strike {
	return func(r *run) strike {
		return func(w *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) {
			version := r.beforeDeletion()
			_, _ = send()
			r.crash(w, restart{version: version, ahead: ahead})
			return nil, errCrashed
		}
	}
}

func faultNamed(name string) (fault, error) {
	for _, f := range slices.Concat(faults(), clockFaults(), outages()) {
		if f.name == name {
			return f, nil
		}
	}
	return fault{}, fmt.Errorf("there is no fault %q", name)
}

// crashing crashes after the write, and the next life after its n-th write; zero: not at all.
func crashing(n int) func(r *run) strike {
	return func(r *run) strike {
		return func(w *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) {
			_, _ = send()
			r.crash(w, restart{crashAfter: n})
			return nil, errCrashed
		}
	}
}

// answering answers in place of the API server, which has done the write or has not heard of it.
func answering(done bool, code int, reason, again string) func(r *run) strike {
	return func(*run) strike {
		return func(_ *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) {
			if done {
				if _, err := send(); err != nil {
					return nil, err
				}
			}
			response := answer(code, reason, "a planned fault")
			if again != "" {
				response.Header.Set("Retry-After", again)
			}
			return response, nil
		}
	}
}

// restart is how a process begins that follows one that has crashed.
type restart struct {
	// version is what its first lists show; empty: what there is. Its watches tell nothing until it is quiet.
	version string

	// ahead is a resource of which it is shown and told what there is, all the same; empty: none.
	ahead string

	// crashAfter is after which of its writes it crashes in turn; zero: after none.
	crashAfter int
}

// plansOf are all faults at all writes of a scenario's trace.
func plansOf(name string, trace []point, only func(fault string) bool) []plan {
	var plans []plan
	for i, p := range trace {
		for _, f := range slices.Concat(faults(), clockFaults()) {
			if only(f.name) && f.concerns(p, trace[:i]) {
				plans = append(plans, plan{scenario: name, fault: f.name, point: p})
			}
		}
	}
	return plans
}

// limits of a plan, in real time.
const (
	longestPlan  = 60 * time.Second
	longestQuiet = 30 * time.Second
)

// Names of faults that something else is said about than how they are made.
const (
	crashBefore, crashAfter, crashTwice, crashLater = "crash-before", "crash-after", "crash-twice", "crash-later"
)

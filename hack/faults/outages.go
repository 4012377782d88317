package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/local"
)

// outages are what goes wrong for everybody at once: with the API server, its store, or those whom it asks. A plan with one
// runs alone.
func outages() []fault {
	return []fault{
		{name: "api-killed", about: "the API server is killed after the write", concerns: everyWrite, writes: outageWrites, alone: true, make: killed(local.APIServer)},
		{name: "api-stopped", about: "the API server stops for five seconds", concerns: everyWrite, writes: outageWrites, alone: true, make: stopped(local.APIServer)},
		{name: "etcd-killed", about: "etcd is killed during the write", concerns: everyWrite, writes: outageWrites, alone: true, make: killed(local.Etcd)},
		{name: "etcd-stopped", about: "etcd stops for five seconds", concerns: everyWrite, writes: outageWrites, alone: true, make: stopped(local.Etcd)},
		{name: "webhooks-gone", about: "nobody answers the API server, from the write until people come again", concerns: everyWrite, writes: 1, alone: true, make: unanswered(refuses)},
		{name: "webhooks-slow", about: "who answers the API server takes longer than it waits, likewise", concerns: everyWrite, writes: 1, alone: true, make: unanswered(hangs)},
		{name: "webhooks-broken", about: "who answers the API server breaks off, likewise", concerns: everyWrite, writes: 1, alone: true, make: unanswered(resets)},
	}
}

const (
	// outageWrites is how many writes more an outage excuses: all that were under way may be made again.
	outageWrites = 4

	// stop is for how long something stops.
	stop = 5 * time.Second
)

// outageScenarios are the scenarios that are run with outages, and at how many of their writes: each outage takes seconds.
var outageScenarios = []string{"suspend", "storm"}

// outagePlans are plans with each outage, at a write in the middle of each of these scenarios.
func outagePlans(name string, trace []point, only func(fault string) bool) []plan {
	var plans []plan
	for _, scenario := range outageScenarios {
		if scenario != name || len(trace) == 0 {
			continue
		}
		for i, f := range outages() {
			if only(f.name) {
				// Not always the same write, and neither the first nor the last.
				at := len(trace) * (i + 2) / (len(outages()) + 4)
				plans = append(plans, plan{scenario: name, fault: f.name, point: trace[at]})
			}
		}
	}
	return plans
}

// killed ends a program of the control plane as the write is made, and starts it again. What the process hears of the write is
// what comes through.
func killed(program string) func(r *run) strike {
	return func(r *run) strike {
		return func(_ *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) {
			if program == local.Etcd {
				return during(send, func() error { return r.lab.cluster.Restart(r.lifetime, program) }, r)
			}
			_, _ = send()
			if err := r.lab.cluster.Restart(r.lifetime, program); err != nil {
				r.fail(err)
			}
			return nil, net.ErrClosed
		}
	}
}

// stopped stops a program of the control plane for a while as the write is made.
func stopped(program string) func(r *run) strike {
	return func(r *run) strike {
		return func(_ *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) {
			if err := r.lab.cluster.Pause(program); err != nil {
				r.fail(err)
			}
			return during(send, func() error {
				select {
				case <-time.After(stop):
				case <-r.lifetime.Done():
				}
				return r.lab.cluster.Resume(program) //nolint:wrapcheck // says what it was about
			}, r)
		}
	}
}

// during makes a write while something happens, and returns when both are over.
func during(send func() (*http.Response, error), happens func() error, r *run) (response *http.Response, err error) {
	var both sync.WaitGroup
	both.Go(func() {
		if err := happens(); err != nil {
			r.fail(err)
		}
	})
	response, err = send()
	both.Wait()
	return response, err
}

// unanswered has nobody answer the API server in one of these ways, until people come again. The operator's own writes go on.
func unanswered(instead func() (net.Listener, error)) func(r *run) strike {
	return func(r *run) strike {
		return func(_ *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) {
			listener, err := instead()
			if err != nil {
				r.fail(err)
				return send()
			}
			gate, address := r.lab.cluster.Webhooks(), listener.Addr().String()
			gate.Serve(address)
			gate.Withdraw(r.lab.webhooks)
			r.mu.Lock()
			r.relief = func(ctx context.Context) error {
				r.judgeUnanswered(ctx)
				gate.Withdraw(address)
				gate.Serve(r.lab.webhooks)
				_ = listener.Close()
				return r.lab.cluster.AwaitWebhooks(ctx) //nolint:wrapcheck // says what it was about
			}
			r.mu.Unlock()
			return send()
		}
	}
}

// peopleCome ends what lasts until then.
func (r *run) peopleCome(ctx context.Context) error {
	r.mu.Lock()
	lasts := r.relief != nil && r.lasts > 0
	if lasts {
		r.lasts--
	}
	r.mu.Unlock()
	if lasts {
		return nil
	}
	return r.relieve(ctx)
}

// relieve ends what lasts, now.
func (r *run) relieve(ctx context.Context) error {
	r.mu.Lock()
	relief := r.relief
	r.relief = nil
	r.mu.Unlock()
	if relief == nil {
		return nil
	}
	return relief(ctx)
}

// judgeUnanswered: what people change is not let through where nobody judges it.
func (r *run) judgeUnanswered(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	user := &v1alpha1.User{}
	if err := r.world.people.Get(ctx, within("olivia")(r.world), user); err != nil {
		r.fail(fmt.Errorf("look at a user while nobody answers the API server: %w", err))
		return
	}
	user.Spec.DisplayName = "Olivia"
	err := r.world.people.Update(ctx, user, client.DryRunAll)
	if err == nil {
		r.problem("O5", "nobody judges what people change, and it is let through")
	}
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		r.fail(fmt.Errorf("change a user while nobody answers the API server: %w", err))
	}
}

// fail notes that the harness could not do what the plan says.
func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = fmt.Errorf("%s: %w", r.plan.fault, err)
}

// refuses is where nobody listens any more.
func refuses() (net.Listener, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find where nobody listens: %w", err)
	}
	return listener, listener.Close()
}

// hangs takes connections, and says nothing.
func hangs() (net.Listener, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen and say nothing: %w", err)
	}
	return listener, nil
}

// resets takes connections, and breaks them off.
func resets() (net.Listener, error) {
	listener, err := hangs()
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_ = connection.(*net.TCPConn).SetLinger(0) // A reset, not an end.
			_ = connection.Close()
		}
	}()
	return listener, nil
}

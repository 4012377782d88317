package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/hack/local"
)

// outage is something that was done to the cluster, and by when it must have recovered from it.
type outage struct {
	kind       string
	begin, end time.Time // end: of what was done; zero while it lasts
	recovered  time.Time
	api        bool // nobody could write or read for a while
}

// faults are the outages since the last quiet point, and how slow the API server was.
type faults struct {
	mu     sync.Mutex
	all    []outage
	slow   []slowness
	crowd  []crowded
	count  int
	healed time.Time // the end of the last outage of the API server
}

// slowness is a write that took the API server long, or this process to come to.
type slowness struct {
	at   time.Time
	took time.Duration
}

// crowded is how many processes wanted the machine at an instant, for each of its cores.
type crowded struct {
	at    time.Time
	share float64
}

const (
	// takeover is how long after the end of its lease a leader is replaced at the latest.
	takeover = 3 * time.Second

	// unseen is how long a state may last without being recorded, beside outages: the operator acts on what it sees.
	unseen = 1500 * time.Millisecond
)

func (f *faults) begin(o outage) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	o.begin = time.Now()
	f.count++
	f.all = append(f.all, o)
	return len(f.all) - 1
}

// finish ends an outage, from which the cluster must have recovered after a while.
func (f *faults) finish(i int, within time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := &f.all[i]
	o.end = time.Now()
	o.recovered = o.end.Add(within)
	if o.api {
		f.healed = o.end
	}
}

// recently tells whether the API server was away a moment ago.
func (f *faults) recently(d time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Since(f.healed) < d || slices.ContainsFunc(f.all, func(o outage) bool { return o.api && o.end.IsZero() })
}

// forget begins anew, and returns what was.
func (f *faults) forget() []outage {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.all
	f.all, f.slow, f.crowd = nil, nil, nil
	return all
}

// limit is by when what is due at an instant, and was done at another, had to be done, and which kind of outage stood in the way.
// It is later where the machine had other things to do.
func (f *faults) limit(due, ended time.Time, grace time.Duration) (time.Time, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	limit, kind := due.Add(f.stretched(grace, due, ended)), clean
	for _, o := range f.all {
		recovered := o.end.Add(f.stretched(o.recovered.Sub(o.end), o.begin, ended))
		if due.After(recovered) || o.begin.After(limit) {
			continue
		}
		if kind == clean {
			kind = o.kind
		} else {
			kind = several
		}
		if recovered = recovered.Add(f.slowest(o.begin, recovered)); recovered.After(limit) {
			limit = recovered
		}
	}
	return limit.Add(f.slowest(due, limit)), kind
}

// stretched is how long something may take that takes so long on a machine with nothing else to do.
func (f *faults) stretched(d time.Duration, from, to time.Time) time.Duration {
	return time.Duration(float64(d) * f.busy(from, to))
}

// busy is how much slower the machine was for everybody in a span of time.
func (f *faults) busy(from, to time.Time) float64 {
	sum, n := 0.0, 0.0
	for _, c := range f.crowd {
		if !c.at.Before(from.Add(-500*time.Millisecond)) && !c.at.After(to.Add(500*time.Millisecond)) {
			sum, n = sum+c.share, n+1
		}
	}
	if n == 0 {
		return 1
	}
	return max(1, sum/n)
}

// hides tells whether a state could pass unseen.
func (f *faults) hides(s stretch) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	short := f.stretched(unseen, s.latest, s.end) + f.slowest(s.latest, s.end)
	shown := time.Duration(0)
	const step = 50 * time.Millisecond
	for t := s.latest; t.Before(s.end) && shown < short; t = t.Add(step) {
		if !slices.ContainsFunc(f.all, func(o outage) bool {
			return !t.Before(o.begin.Add(-unseen)) && !t.After(o.end.Add(f.stretched(o.recovered.Sub(o.end), o.begin, s.end)))
		}) {
			shown += step
		}
	}
	return shown < short
}

// answered is when something that is due at an instant could be done at the earliest: not while the API server is away.
func (f *faults) answered(due time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range f.all {
		if o.api && !due.Before(o.begin) && due.Before(o.end) {
			due = o.end
		}
	}
	return due
}

// slowest is how much longer than a moment things took in a span of time.
func (f *faults) slowest(from, to time.Time) time.Duration {
	worst := time.Duration(0)
	for _, s := range f.slow {
		if s.at.Add(s.took).After(from) && s.at.Before(to) {
			worst = max(worst, 2*s.took)
		}
	}
	return worst
}

// probe writes something all the time, to know how fast the machine is for somebody with nothing else to do.
func (w *world) probe(ctx context.Context) {
	probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "soak-probe", Namespace: metav1.NamespaceDefault}}
	_ = w.admin.Create(ctx, probe)
	for i := 0; ctx.Err() == nil; i++ {
		began := time.Now()
		w.faults.countProcesses(began)
		patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"data":{"count":"%d"}}`, i))
		_ = w.admin.Patch(ctx, probe.DeepCopy(), patch)
		pause(ctx, 100*time.Millisecond)
		if took := time.Since(began) - 100*time.Millisecond; took > 100*time.Millisecond {
			w.faults.mu.Lock()
			w.faults.slow = append(w.faults.slow, slowness{began, took})
			w.faults.mu.Unlock()
		}
	}
}

// countProcesses keeps how many processes want the machine, where it tells.
func (f *faults) countProcesses(at time.Time) {
	var one, five, fifteen float64
	var running int
	said, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return
	}
	if _, err := fmt.Sscanf(string(said), "%f %f %f %d/", &one, &five, &fifteen, &running); err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crowd = append(f.crowd, crowded{at, float64(running) / float64(runtime.NumCPU())})
}

// Kinds of outages, as they are reported.
const (
	clean        = "clean"
	handover     = "hand-over"
	killed       = "leader killed"
	stopped      = "leader stopped"
	alone        = "leader lost while no standby was ready"
	several      = "one of these after another"
	standby      = "standby"
	apiAway      = "API server away"
	webhooksAway = "webhooks away"
)

// bars are within which time access is to be cut, on a machine that has nothing else to do, where a standby is ready.
func bars(lease time.Duration) map[string]time.Duration {
	return map[string]time.Duration{handover: takeover, killed: lease + takeover, stopped: lease + takeover}
}

// disturb does something to the cluster now and then until ctx ends, and undoes it.
func (w *world) disturb(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		pause(ctx, time.Duration(1500+random.IntN(4500))*time.Millisecond)
		lasting := time.Duration(1000+random.IntN(4000)) * time.Millisecond
		drawn := random.IntN(11)
		if ctx.Err() != nil {
			return
		}
		switch drawn {
		case 0, 1, 2:
			w.endReplica(ctx, true, syscall.SIGKILL, killed)
		case 3:
			w.endReplica(ctx, true, syscall.SIGTERM, handover)
		case 4:
			w.endReplica(ctx, false, syscall.SIGKILL, standby)
		case 5, 6:
			w.stopReplica(ctx, random.IntN(3) > 0, 2*lasting)
		case 7:
			w.pauseProgram(ctx, local.APIServer, lasting)
		case 8:
			w.pauseProgram(ctx, local.Etcd, lasting)
		case 9:
			w.restart(ctx, local.APIServer)
		default:
			w.silence(ctx, lasting)
		}
	}
}

// which is the replica that leads, or the other one. It waits for a moment where nobody leads.
func (w *world) which(ctx context.Context, leads bool) *replica {
	for range 20 {
		acts, standsBy := w.leader(ctx)
		switch {
		case acts == nil || standsBy == nil:
		case leads:
			return acts
		default:
			return standsBy
		}
		pause(ctx, 100*time.Millisecond)
	}
	return nil
}

// startup is how long a replica takes to start, which counts where the standby has just been started itself.
const startup = 5 * time.Second

func (w *world) endReplica(ctx context.Context, leads bool, signal syscall.Signal, kind string) {
	r := w.which(ctx, leads)
	if r == nil {
		return
	}
	within := bars(w.options.lease)[kind]
	if leads && w.standbyReady(ctx, r) != nil {
		kind, within = alone, w.options.lease+takeover+startup
	}
	i := w.faults.begin(outage{kind: kind})
	if pid := w.cluster.PID(r.name); pid != 0 {
		_ = syscall.Kill(pid, signal)
	}
	w.faults.finish(i, within)
	if signal == syscall.SIGTERM { // The hand-over is to be looked at by itself.
		pause(ctx, takeover)
	}
}

func (w *world) standbyReady(ctx context.Context, except *replica) error {
	for _, r := range w.replicas {
		if r != except {
			return r.Ready(ctx)
		}
	}
	return nil
}

func (w *world) stopReplica(ctx context.Context, leads bool, lasting time.Duration) {
	r := w.which(ctx, leads)
	if r == nil {
		return
	}
	kind, within := standby, time.Duration(0)
	if leads {
		kind, within = stopped, takeover
		if w.standbyReady(ctx, r) != nil {
			kind, within = alone, takeover+startup
		}
	}
	i := w.faults.begin(outage{kind: kind})
	_ = w.cluster.Pause(r.name)
	// While it lasts, the standby takes over as from one that was killed.
	pause(ctx, min(lasting, w.options.lease))
	if lasting > w.options.lease {
		w.faults.finish(i, within)
		pause(ctx, lasting-w.options.lease)
		_ = w.cluster.Resume(r.name)
		return
	}
	_ = w.cluster.Resume(r.name)
	w.faults.finish(i, within+w.options.lease-lasting)
}

func (w *world) pauseProgram(ctx context.Context, name string, lasting time.Duration) {
	i := w.faults.begin(outage{kind: apiAway, api: true})
	_ = w.cluster.Pause(name)
	pause(ctx, lasting)
	_ = w.cluster.Resume(name)
	w.faults.finish(i, w.options.lease+takeover)
}

func (w *world) restart(ctx context.Context, name string) {
	i := w.faults.begin(outage{kind: apiAway, api: true})
	// A restart that is given up leaves nobody there.
	if err := w.cluster.Restart(context.WithoutCancel(ctx), name); err != nil {
		fmt.Fprintf(w.out, "%v\n", err)
	}
	w.faults.finish(i, w.options.lease+takeover)
}

func (w *world) silence(ctx context.Context, lasting time.Duration) {
	i := w.faults.begin(outage{kind: webhooksAway})
	for _, r := range w.replicas {
		w.cluster.Webhooks().Withdraw(r.Webhooks)
	}
	pause(ctx, lasting)
	w.faults.finish(i, 0)
	w.heal()
}

// heal undoes whatever was done.
func (w *world) heal() {
	for _, name := range []string{local.Etcd, local.APIServer, w.replicas[0].name, w.replicas[1].name} {
		_ = w.cluster.Resume(name)
	}
	for _, r := range w.replicas {
		w.cluster.Webhooks().Serve(r.Webhooks)
	}
}

// busyBetween is how much slower the machine was for everybody in a span of time.
func (f *faults) busyBetween(from, to time.Time) float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.busy(from, to)
}

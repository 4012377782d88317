package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// run is a plan under way.
type run struct {
	lab      *lab
	plan     plan
	fault    fault
	scenario scenario
	world    *world
	began    time.Time
	lifetime context.Context //nolint:containedctx // Processes live as long as the plan, and are started by faults as well.
	progress atomic.Int64    // writes that were applied
	flying   atomic.Int64    // writes of all lives that the API server has not answered
	ended    atomic.Bool

	// Of the one who waits for quiet alone.
	progressSeen int64
	knows        *process // which was told all that was written when so much was
	knowsOf      int64
	steps        int

	mu         sync.Mutex
	life       int
	current    *process // nil while it is being started
	all        []*process
	ghost      *ghost
	armed      bool
	struck     bool
	counts     map[point]int // how often each write was tried; n is zero
	crashing   map[int]int   // in which life the process crashes after which of its writes
	ofLife     map[int]int   // writes of each life while armed
	everything []*write      // of all lives, setting up included
	writes     []*write      // since the faults may come
	records    []recorded
	deletions  []string // the versions before deletions
	problems   []problem
	log        []string
	relief     func(context.Context) error // ends what lasts until people come again
	lasts      int                         // how often people come before
	broken     error
}

// problem is what an oracle has to say.
type problem struct {
	Oracle   string `json:"oracle"`
	Sentence string `json:"sentence"`
}

// ghost is a process that has come to a stop, and does not know that another one has taken over.
type ghost struct {
	wire *wire
	once sync.Once
	goOn chan struct{}
}

func (g *ghost) letGo() { g.once.Do(func() { close(g.goOn) }) }

// outcome is what came of a plan.
type outcome struct {
	plan     plan
	struck   bool
	world    string
	problems []problem
	log      []string
	kept     string // where the log is
	took     time.Duration

	trace  []point
	writes int
	more   int // than without the fault
	noops  int
	state  map[string]map[string]string
	digest map[string]int
	unsure map[string]int // of the digest: what may have happened as well
}

// do runs a plan. The error is the harness's own; what the operator does wrong is in the outcome.
func (l *lab) do(ctx context.Context, p plan, s scenario) (*outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, longestPlan)
	defer cancel()
	r := &run{
		lab: l, plan: p, scenario: s, began: time.Now(), lifetime: ctx,
		counts: map[point]int{}, crashing: map[int]int{}, ofLife: map[int]int{},
	}
	if p.fault != "" {
		var err error
		if r.fault, err = faultNamed(p.fault); err != nil {
			return nil, err
		}
	}
	r.world = newWorld(l.nextName(), l.people, beginning(p, r.fault, time.Now()))
	defer r.end() //nolint:contextcheck // What it ends has a context of its own.
	if err := r.world.prepare(ctx); err != nil {
		return nil, err
	}
	o, err := r.play(ctx)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		return nil, fmt.Errorf("%s in namespace %s: %w\n%s", p, r.world.namespace, err, strings.Join(r.log[max(0, len(r.log)-40):], "\n"))
	}
	return o, nil
}

// play plays the scenario to its end.
func (r *run) play(ctx context.Context) (*outcome, error) {
	r.begin(restart{})
	restless := r.act(ctx, r.scenario.setup)
	if restless != nil {
		return nil, fmt.Errorf("set up: %w", restless)
	}
	r.arm(true)
	err := r.act(ctx, r.scenario.steps)
	if err == nil {
		err = r.relieve(ctx)
	}
	r.arm(false)
	o := &outcome{plan: r.plan, world: r.world.namespace}
	switch {
	case errors.Is(err, errRestless) || errors.Is(err, errEnded):
		r.problem("O6", err.Error())
	case err != nil:
		return nil, err
	default:
		if err := r.settle(ctx, o); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.writes {
		if !w.applied() {
			continue
		}
		o.writes++
		if w.noop {
			o.noops++
		}
		o.trace = append(o.trace, w.point)
	}
	o.struck, o.problems, o.log, o.took = r.struck, r.problems, r.log, time.Since(r.began)
	return o, nil
}

// act does steps, and waits for quiet after each.
func (r *run) act(ctx context.Context, steps []step) error {
	if err := r.quiet(ctx); err != nil {
		return err
	}
	for i := range steps {
		s := &steps[i]
		r.tell("--- %s", s.name)
		if err := r.peopleCome(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if s.do != nil {
			if err := s.do(ctx, r.world); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		if s.advance > 0 {
			r.advance(s.advance)
		}
		r.progress.Add(1)
		if err := r.quiet(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// settle looks at what has come of the scenario, and whether a process that knows nothing of it finds anything left to do.
func (r *run) settle(ctx context.Context, o *outcome) error {
	var err error
	if o.state, err = r.state(ctx); err != nil {
		return err
	}
	if !r.fault.endsOtherwise(&r.scenario) {
		if err := r.judgeEnding(ctx); err != nil {
			return err
		}
	}
	if o.digest, o.unsure, err = r.lab.audit.digest(ctx, r); err != nil {
		return err
	}
	r.mu.Lock()
	before := len(r.writes)
	p := r.current
	r.mu.Unlock()
	r.tell("--- a fresh process starts")
	r.crash(p.wire, restart{})
	if err := r.quiet(ctx); err != nil {
		r.problem("O6", "after the end, "+err.Error())
		return nil //nolint:nilerr // It is the operator's.
	}
	r.mu.Lock()
	after := slices.Clone(r.writes[before:])
	r.writes = r.writes[:before]
	r.mu.Unlock()
	for _, w := range after {
		r.problem("O4", fmt.Sprintf("everything is done, and a fresh process writes: %s", w.point))
	}
	return nil
}

func (r *run) arm(armed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = armed
	if armed {
		r.writes = nil
	}
}

// begin starts a process.
func (r *run) begin(how restart) {
	r.mu.Lock()
	r.life++
	w := newWire(r, r.life)
	if how.crashAfter > 0 {
		r.crashing[r.life] = how.crashAfter
	}
	r.mu.Unlock()
	if how.version != "" {
		w.pinned, w.ahead = how.version, how.ahead
		w.gate.hold()
	}
	r.tell("life %d begins", w.life)
	p, err := startProcess(r.lifetime, r, w)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.broken = errors.Join(r.broken, err)
		return
	}
	r.all = append(r.all, p)
	r.current = p
}

// crash ends the process of a wire, and has another one begin.
func (r *run) crash(w *wire, how restart) {
	r.mu.Lock()
	p := r.current
	if p == nil || p.wire != w {
		r.mu.Unlock()
		return
	}
	r.current = nil
	r.mu.Unlock()
	p.crash()
	r.tell("life %d ends", w.life)
	go r.begin(how)
}

// haunt stops a process where it is, has another one take over, and returns when that is quiet.
func (r *run) haunt(w *wire) {
	g := &ghost{wire: w, goOn: make(chan struct{})}
	w.freeze()
	r.mu.Lock()
	r.ghost, r.current = g, nil
	r.mu.Unlock()
	r.tell("life %d stops", w.life)
	go r.begin(restart{})
	select {
	case <-g.goOn:
	case <-r.lifetime.Done():
	}
	// What it was about to do, it does; everything else comes to nothing.
	w.crash()
	w.thaw()
}

func (r *run) exorcised(w *wire) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ghost = nil
	for _, p := range r.all {
		if p.wire == w {
			p.cancel()
		}
	}
	r.progress.Add(1)
}

// now is the process that lives, and the one that has come to a stop; nil where there is none.
func (r *run) now() (*process, *ghost) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current, r.ghost
}

func (r *run) living() []*process {
	if p, _ := r.now(); p != nil {
		return []*process{p}
	}
	return nil
}

// inPast tells whether a process began with what there was before.
func (r *run) inPast(p *process) bool { return p.wire.pinned != "" }

// errEnded is that the operator has ended and nobody has ended it.
var errEnded = errors.New("the operator has given up")

func (r *run) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	if r.current != nil {
		if err := r.current.failure(); err != nil && r.lifetime.Err() == nil {
			return fmt.Errorf("%w: %w", errEnded, err)
		}
	}
	return nil
}

// progressed tells whether anything was written since it was asked before.
func (r *run) progressed() bool {
	now := r.progress.Load()
	progressed := now != r.progressSeen
	r.progressSeen = now
	return progressed
}

// meet counts a write, and tells what is to go wrong about it; nil: nothing.
func (r *run) meet(w *write) strike {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.point = point{verb: w.verb, what: w.what(), name: r.anonymous(w.name)}
	r.counts[w.point]++
	w.point.n = r.counts[w.point]
	r.writes, r.everything = append(r.writes, w), append(r.everything, w)
	if !r.armed {
		w.point.n = 0
		r.counts[w.point] = 0
		return nil
	}
	r.ofLife[w.life]++
	switch {
	case !r.struck && r.plan.fault != "" && w.point == r.plan.point:
		r.struck = true
		w.struck = r.plan.fault
		r.log = append(r.log, r.line("%s strikes %s", r.plan.fault, w.point))
		return r.fault.make(r)
	case r.crashing[w.life] > 0 && r.ofLife[w.life] == r.crashing[w.life]:
		w.struck = "crash"
		r.log = append(r.log, r.line("life %d is to end after %s", w.life, w.point))
		return crashing(0)(r)
	case w.verb == verbDelete && r.fault.deletions && !r.struck:
		return r.noteVersion
	default:
		return nil
	}
}

// noteVersion remembers the version before a deletion.
func (r *run) noteVersion(_ *wire, _ *write, send func() (*http.Response, error)) (*http.Response, error) {
	version := r.version()
	r.mu.Lock()
	r.deletions = append(r.deletions, version)
	r.mu.Unlock()
	return send()
}

func (r *run) beforeDeletion() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.deletions) == 0 {
		return ""
	}
	return r.deletions[len(r.deletions)-1]
}

// version is where the API server is now.
func (r *run) version() string {
	body, err := r.lab.read(r.lifetime, "/api/v1/namespaces/"+r.world.namespace+"/configmaps?limit=1", metadataOnly)
	if err == nil {
		var version string
		if _, version, err = itemsOf(body); err == nil {
			return version
		}
	}
	r.tell("the version is not known: %v", err)
	return ""
}

// mark is what somebody else writes on objects.
const mark = "faults.tenure.dev/mark"

// interfere changes the object of a write before it comes.
func (r *run) interfere(w *write) {
	path := strings.TrimSuffix(w.path, "/"+w.subresource)
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"%d"}}}`, mark, time.Now().UnixNano())
	request, err := http.NewRequestWithContext(r.lifetime, http.MethodPatch, r.lab.address+path, strings.NewReader(patch))
	if err == nil {
		request.Header.Set("Content-Type", "application/merge-patch+json")
		_, err = r.lab.request(request)
		r.progress.Add(1)
	}
	if err != nil {
		r.problem(harness, fmt.Sprintf("nobody else can change what %s is about, so that no conflict was tried: %v", w.point, err))
	}
}

// harness is told instead of an oracle where a plan has not tried what it says.
const harness = "harness"

// record keeps a write that does not count.
func (r *run) record(w *write) {
	w.point = point{verb: w.verb, what: w.what(), name: r.anonymous(w.name)}
}

// anonymous takes out of a text what is the world's own: its names, and UIDs.
func (r *run) anonymous(text string) string {
	text = uidPattern.ReplaceAllString(text, "UID")
	text = strings.ReplaceAll(text, r.world.target, "TARGET")
	return strings.ReplaceAll(text, r.world.namespace, "NAMESPACE")
}

func (r *run) problem(oracle, sentence string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, r.line("%s: %s", oracle, sentence))
	p := problem{Oracle: oracle, Sentence: r.anonymous(sentence)}
	if !slices.Contains(r.problems, p) {
		r.problems = append(r.problems, p)
	}
}

func (r *run) tell(format string, arguments ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, r.line(format, arguments...))
}

func (r *run) line(format string, arguments ...any) string {
	return fmt.Sprintf("%6.3f ", time.Since(r.began).Seconds()) + fmt.Sprintf(format, arguments...)
}

// end ends every process.
func (r *run) end() {
	r.mu.Lock()
	r.ended.Store(true)
	all, g := slices.Clone(r.all), r.ghost
	r.mu.Unlock()
	if g != nil {
		g.letGo()
	}
	for _, p := range all {
		p.crash()
		p.wire.thaw()
	}
	_ = r.relieve(context.WithoutCancel(r.lifetime)) // Where the plan has broken off.
}

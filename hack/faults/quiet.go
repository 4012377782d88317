package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// still is for how long nothing has to happen before a process is quiet.
	still = 150 * time.Millisecond

	// stillForTime is for how long nothing has to happen before time is let pass.
	stillForTime = 30 * time.Millisecond

	// stillInPast is for how long a process that is told nothing must not have written anything before it is told what has
	// happened. Its passes may hang, as a read waits until the cache has the own last write.
	stillInPast = 200 * time.Millisecond

	// patience is how far ahead what waits is waited for. What is later is a scenario's own time.
	patience = 5 * time.Minute

	glance = 5 * time.Millisecond
)

// quiet returns when the operator has done all that there is to do: it was told what there is, no request of it is
// under way, nothing is queued or worked on, and what waits for a moment had its turn.
func (r *run) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, longestQuiet)
	defer cancel()
	watch := stillness{}
	for {
		reason, err := r.look(ctx, &watch)
		if err != nil {
			return err
		}
		if reason == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w within %s: %s", errRestless, longestQuiet, reason)
		case <-time.After(glance):
		}
	}
}

// errRestless is that the operator does not come to rest.
var errRestless = errors.New("the operator does not come to rest")

// stillness is since when nothing has happened.
type stillness struct {
	process  *process
	activity int64
	since    time.Time
	told     bool // what was delivered since is what there is

	// progress is how much was written, and since when it is so much.
	progress   int64
	progressed time.Time
}

// look looks whether the operator is quiet, and does what is due while it is not. It returns why it is not.
func (r *run) look(ctx context.Context, watch *stillness) (reason string, err error) {
	if err := r.failure(); err != nil {
		return "", err
	}
	p, ghost := r.now()
	if p == nil {
		*watch = stillness{}
		return "it is being started again", nil
	}
	if activity := p.wire.activity.Load(); watch.process != p || watch.activity != activity {
		watch.process, watch.activity, watch.since, watch.told = p, activity, time.Now(), false
	}
	quietFor := time.Since(watch.since)
	if p.wire.gate.held() {
		// It may try in vain again and again, and never be still.
		if progress := r.progress.Load(); watch.progress != progress || !p.everStarted() {
			watch.progress, watch.progressed = progress, time.Now()
		}
		if time.Since(watch.progressed) >= stillInPast {
			r.tell("life %d is told what has happened", p.life)
			p.wire.gate.release(!r.inPast(p))
			*watch = stillness{}
		}
		return "it is kept from knowing", nil
	}
	l := p.queues.load()
	switch flying := p.wire.flying.Load(); {
	case r.flying.Load() > 0:
		return "a write is under way", nil
	case !p.started(l):
		return "it is starting", nil
	case flying > 0:
		return fmt.Sprintf("%d requests are under way", flying), nil
	case l.ready+l.running+l.soon > 0:
		return fmt.Sprintf("%d objects are queued and %d worked on", l.ready+l.soon, l.running), nil
	case quietFor < stillForTime:
		return "it has just done something", nil
	}
	if !watch.told {
		// Looking costs the API server more than the operator does.
		written := r.progress.Load()
		if r.knows != p || r.knowsOf != written {
			if why := r.told(ctx, p); why != nil {
				return "not all was told: " + why.Error(), nil //nolint:nilerr // It may be told yet.
			}
			r.knows, r.knowsOf = p, written
		}
		watch.told = true
		return "it may have just been told something", nil
	}
	if r.letTimePass(p, l) {
		*watch = stillness{}
		return "time passes", nil
	}
	if quietFor < still {
		return "it has done something a moment ago", nil
	}
	if ghost != nil {
		r.tell("the process that had come to a stop goes on")
		ghost.letGo()
		*watch = stillness{}
		return "a process of before comes back", nil
	}
	return "", nil
}

// letTimePass goes to the next moment at which something has its turn, if it is near.
func (r *run) letTimePass(p *process, l load) bool {
	now := r.world.clock.Now()
	if r.progressed() {
		p.queues.forgive()
		r.steps = 0
		l = p.queues.load()
	}
	switch {
	case !l.none && l.next.Sub(now) <= patience:
		r.tell("time passes until %s", l.next.Sub(r.world.start))
		r.stepTo(l.next)
		return true
	case r.world.clock.HasWaiters() && r.steps < mostSteps:
		// A watch of objects that effects act on waits to try again.
		r.steps++
		r.stepTo(now.Add(time.Second))
		return true
	default:
		return false
	}
}

// mostSteps is for how many seconds something is waited for that nobody knows when it comes.
const mostSteps = 30

// told compares what the process was told with what there is.
func (r *run) told(ctx context.Context, p *process) error {
	watched, missed := p.wire.seen.open()
	if len(missed) > 0 {
		return fmt.Errorf("%s is not watched", missed[0])
	}
	for _, from := range watched {
		address, _, _ := strings.Cut(from, " ")
		if strings.Contains(address, "/customresourcedefinitions?") {
			continue // Nobody changes them.
		}
		items, err := r.there(ctx, address)
		if err != nil {
			return err
		}
		if err := p.wire.seen.differs(from, items); err != nil {
			return err
		}
	}
	return nil
}

// there is what there is of what a watch is about.
func (r *run) there(ctx context.Context, address string) ([]metadata, error) {
	if strings.HasPrefix(address, "/api/v1/namespaces?") {
		return r.namespaces(ctx)
	}
	body, err := r.lab.read(ctx, address, metadataOnly)
	if err != nil {
		return nil, err
	}
	items, _, err := itemsOf(body)
	return items, err
}

// namespaces are the world's. To list them is to look at those of all worlds.
func (r *run) namespaces(ctx context.Context) ([]metadata, error) {
	var both []metadata
	for _, name := range []string{r.world.namespace, r.world.target} {
		body, err := r.lab.read(ctx, "/api/v1/namespaces/"+name, "application/json")
		if err != nil {
			return nil, err
		}
		both = append(both, headOf(body).Metadata)
	}
	return both, nil
}

// metadataOnly asks for lists without what the objects are about.
const metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

// everStarted tells whether the process has got as far as to work.
func (p *process) everStarted() bool { return p.started(p.queues.load()) }

// read reads what the API server says, as the administrator.
func (l *lab) read(ctx context.Context, address, accept string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.address+address, nil)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", address, err)
	}
	request.Header.Set("Accept", accept)
	var content []byte
	err = patiently(ctx, func() error {
		content, err = l.request(request)
		return err
	})
	return content, err
}

func (l *lab) request(request *http.Request) ([]byte, error) {
	response, err := l.admin.Do(request) //nolint:bodyclose // bodyOf does
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", request.Method, request.URL.Path, err)
	}
	body, _, err := bodyOf(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", request.Method, request.URL.Path, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s %s: %s: %s", request.Method, request.URL.Path, response.Status, body)
	}
	return body, nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// errCrashed is all that a process gets to hear that is no more.
var errCrashed = errors.New("this process is no more")

// wire is what all requests of one process pass: whatever client they come from, they are made here.
type wire struct {
	run      *run
	life     int
	queues   *queues
	seen     *seen
	gate     *gate
	activity *atomic.Int64
	flying   atomic.Int64 // requests without an answer, watches left aside

	mu      sync.Mutex
	crashed bool
	pinned  string // the version at which the first lists are answered
	ahead   string // a resource of which nothing is kept from the process; empty: none
	pinning map[string]bool
	frozen  chan struct{} // closed when a process goes on that had come to a stop
}

// write is a write of a process.
type write struct {
	call

	point  point
	life   int
	now    time.Time // by the plan's clock
	body   []byte
	code   int // of the answer; zero: none came
	after  metadata
	noop   bool
	struck string // the fault
}

// applied tells whether the write has changed anything, as far as its process can know.
func (w *write) applied() bool { return w.code >= 200 && w.code < 300 }

func newWire(r *run, life int) *wire {
	activity := &atomic.Int64{}
	return &wire{
		run: r, life: life, activity: activity, queues: &queues{clock: r.world.clock, activity: activity},
		seen: newSeen(activity), gate: &gate{}, pinning: map[string]bool{},
	}
}

// transport has requests pass the wire.
type transport struct {
	*wire

	next http.RoundTripper
}

func (w *wire) wrap(next http.RoundTripper) http.RoundTripper { return transport{wire: w, next: next} }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	c := callOf(request)
	if c.verb == verbWatch {
		return t.watch(request, c)
	}
	t.flying.Add(1)
	t.activity.Add(1)
	defer func() {
		t.flying.Add(-1)
		t.activity.Add(1)
	}()
	if err := t.alive(); err != nil {
		return nil, err
	}
	switch {
	case c.changes():
		return t.change(request, c)
	case c.verb == verbList:
		return t.list(request, c)
	default:
		response, _, err := t.send(inJSON(request))
		return response, err
	}
}

// alive waits while the process has come to a stop, and fails when it is no more.
func (w *wire) alive() error {
	w.mu.Lock()
	frozen := w.frozen
	w.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.crashed {
		return errCrashed
	}
	return nil
}

// crash ends the process as a loss of power would: from now on it reaches nobody, and hears of nothing.
func (w *wire) crash() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.crashed = true
}

// freeze stops all that the process does from now on.
func (w *wire) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frozen = make(chan struct{})
}

func (w *wire) thaw() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.frozen != nil {
		close(w.frozen)
		w.frozen = nil
	}
}

// send makes a request, and keeps the answer from a process that has crashed meanwhile.
func (t transport) send(request *http.Request) (*http.Response, []byte, error) {
	response, body, err := t.exchange(request)
	if err == nil {
		err = t.alive()
	}
	if err != nil {
		return nil, nil, err
	}
	return response, body, nil
}

// exchange makes a request and reads the whole answer, which can be read again.
func (t transport) exchange(request *http.Request) (*http.Response, []byte, error) {
	response, err := t.next.RoundTrip(request)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // as it came
	}
	body, again, err := bodyOf(response.Body)
	if err != nil {
		return nil, nil, err
	}
	response.Body = again
	return response, body, nil
}

// bodyOf is the body of a message, which can be read again.
func bodyOf(body io.ReadCloser) ([]byte, io.ReadCloser, error) {
	if body == nil {
		return nil, nil, nil
	}
	content, err := io.ReadAll(body)
	_ = body.Close()
	return content, io.NopCloser(bytes.NewReader(content)), err //nolint:wrapcheck // as it came
}

// inJSON asks for an answer that the harness can read.
func inJSON(request *http.Request) *http.Request {
	asked := request.Header.Get("Accept")
	if asked == "" || asked == "application/json" {
		return request
	}
	wanted := "application/json"
	for kind := range strings.SplitSeq(asked, ",") {
		if strings.HasPrefix(kind, "application/json") {
			wanted = kind
			break
		}
	}
	request = request.Clone(request.Context())
	request.Header.Set("Accept", wanted)
	return request
}

// list notes what a list says. The first lists of a process that is to see the past are answered as they were then.
func (t transport) list(request *http.Request, c call) (*http.Response, error) {
	from := source(request.URL, c.account)
	request = t.pin(inJSON(request), from)
	response, body, err := t.send(request)
	if err != nil || response.StatusCode != http.StatusOK {
		return response, err
	}
	items, _, err := itemsOf(body)
	if err != nil {
		return nil, err
	}
	t.seen.listed(from, items)
	return response, nil
}

func (t transport) pin(request *http.Request, source string) *http.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	query := request.URL.Query()
	// Only informers ask for any version at first. What is asked for without is to be as it is now.
	if t.pinned == "" || t.isAhead(source) || t.pinning[source] || query.Get("resourceVersion") != "0" {
		return request
	}
	t.pinning[source] = true
	query.Set("resourceVersion", t.pinned)
	query.Set("resourceVersionMatch", "Exact")
	query.Del("limit")
	request = request.Clone(request.Context())
	request.URL.RawQuery = query.Encode()
	return request
}

// isAhead tells whether a source is one of which nothing is kept from the process.
func (w *wire) isAhead(source string) bool {
	path, _, _ := strings.Cut(source, "?")
	return w.ahead != "" && strings.HasSuffix(path, "/"+w.ahead)
}

func (t transport) watch(request *http.Request, c call) (*http.Response, error) {
	if err := t.alive(); err != nil {
		return nil, err
	}
	response, err := t.next.RoundTrip(inJSON(request))
	if err != nil || response.StatusCode != http.StatusOK {
		return response, err //nolint:wrapcheck // as it came
	}
	response.Request = request
	return follow(t.wire, source(request.URL, c.account), response), nil
}

// change does a write, with what the plan makes of it.
func (t transport) change(request *http.Request, c call) (*http.Response, error) {
	body, again, err := bodyOf(request.Body)
	if err != nil {
		return nil, err
	}
	request = inJSON(request)
	request.Body = again
	if c.verb == verbCreate {
		c.name = headOf(body).Metadata.Name
	}
	w := &write{call: c, life: t.life, body: body, now: t.run.world.clock.Now()}
	send := func() (*http.Response, error) {
		t.run.judge(t.wire, w)
		response, err := t.deliver(request, w)
		if err != nil {
			return nil, err
		}
		t.run.tell("life %d: %s: %d", t.life, w.point, response.StatusCode)
		if err := t.alive(); err != nil {
			return nil, err
		}
		return response, nil
	}
	if !c.writes() {
		t.run.record(w)
		return send()
	}
	strike := t.run.meet(w)
	if strike == nil {
		return send()
	}
	return strike(t.wire, w, send)
}

// deliver makes a write. What has gone out arrives, whether or not its process lives to hear of it.
func (t transport) deliver(request *http.Request, w *write) (*http.Response, error) {
	t.run.flying.Add(1)
	defer t.run.flying.Add(-1) // Before its process, which may have come to a stop, hears of it.
	response, answered, err := t.exchange(request.WithContext(context.WithoutCancel(request.Context())))
	if err != nil {
		return nil, err
	}
	t.note(w, response.StatusCode, answered)
	return response, nil
}

// note keeps what came of a write.
func (t transport) note(w *write, code int, answered []byte) {
	t.run.mu.Lock()
	defer t.run.mu.Unlock()
	w.code = code
	if w.verb == verbDelete && (w.applied() || code == http.StatusNotFound || code == http.StatusConflict) {
		t.seen.deleted(preconditionsOf(w.body).UID) // By whomever.
	}
	if !w.applied() {
		return
	}
	t.run.progress.Add(1)
	w.after = headOf(answered).Metadata
	if w.verb == verbPatch || w.verb == verbUpdate {
		sent := headOf(w.body).Metadata.ResourceVersion
		w.noop = sent != "" && sent == w.after.ResourceVersion
	}
}

// preconditions of a deletion.
type preconditions struct {
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
}

func preconditionsOf(body []byte) preconditions {
	var options struct {
		Preconditions preconditions `json:"preconditions"`
	}
	if err := json.Unmarshal(body, &options); err != nil {
		return preconditions{}
	}
	return options.Preconditions
}

// answer is an answer that the API server did not give.
func answer(code int, reason, message string) *http.Response {
	status := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%q,"reason":%q,"code":%d}`, message, reason, code)
	return &http.Response{
		StatusCode: code, Status: fmt.Sprintf("%d %s", code, http.StatusText(code)), Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(status)), ContentLength: int64(len(status)),
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func compareLines(want, got []string) string { return cmp.Diff(want, got) }

func TestCallsAreRead(t *testing.T) {
	for _, c := range []struct {
		method, url string
		want        call
	}{
		{"GET", "/apis/tenure.dev/v1alpha1/namespaces/a/users?watch=true", call{verb: verbWatch, group: "tenure.dev", resource: "users", namespace: "a"}},
		{"GET", "/api/v1/namespaces?labelSelector=x", call{verb: verbList, resource: "namespaces"}},
		{"GET", "/api/v1/namespaces/a", call{verb: verbGet, resource: "namespaces", name: "a"}},
		{"PATCH", "/apis/tenure.dev/v1alpha1/namespaces/a/users/kate/status", call{verb: verbPatch, group: "tenure.dev", resource: "users", namespace: "a", name: "kate", subresource: "status"}},
		{"DELETE", "/apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings/b", call{verb: verbDelete, group: "rbac.authorization.k8s.io", resource: "rolebindings", namespace: "a", name: "b"}},
		{"POST", "/apis/tenure.dev/v1alpha1/namespaces/a/transitions?dryRun=All", call{verb: verbCreate, group: "tenure.dev", resource: "transitions", namespace: "a", dryRun: true}},
		{"GET", "/version", call{}},
	} {
		request, err := http.NewRequest(c.method, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.want.path = request.URL.Path
		if diff := cmp.Diff(c.want, callOf(request), cmp.AllowUnexported(call{})); diff != "" {
			t.Errorf("%s %s: %s", c.method, c.url, diff)
		}
	}
}

func TestOnlyWritesThatCountAreFaulted(t *testing.T) {
	for _, c := range []struct {
		call   call
		counts bool
	}{
		{call{verb: verbPatch, resource: "users"}, true},
		{call{verb: verbCreate, resource: "events"}, false},
		{call{verb: verbUpdate, resource: "leases"}, false},
		{call{verb: verbCreate, resource: "subjectaccessreviews"}, false},
		{call{verb: verbPatch, resource: "users", dryRun: true}, false},
		{call{verb: verbList, resource: "users"}, false},
	} {
		if c.call.writes() != c.counts {
			t.Errorf("%+v counts: %t, want %t", c.call, c.call.writes(), c.counts)
		}
	}
}

// testWire is the wire of a process that nobody runs.
func testWire(t *testing.T) *wire {
	t.Helper()
	return newWire(&run{world: newWorld("test", nil, time.Now())}, 1)
}

// testWatch is a watch whose server says something, as the process reads it.
func testWatch(t *testing.T, w *wire) (server *io.PipeWriter, process *json.Decoder, done func()) {
	t.Helper()
	out, in := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/users?watch=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	response := follow(w, "users", &http.Response{Body: out, Request: request}) //nolint:bodyclose // done does
	return in, json.NewDecoder(response.Body), func() { _ = response.Body.Close() }
}

const kateAt = `{"type":"ADDED","object":{"metadata":{"name":"kate","uid":"u","resourceVersion":"`

func TestAWatchTellsWhatWasDelivered(t *testing.T) {
	w := testWire(t)
	server, process, done := testWatch(t, w)
	defer done()
	go func() { _, _ = io.WriteString(server, kateAt+`7"}}}`+"\n"+kateAt+`8"}}}`+"\n") }()
	var e event
	for range 2 {
		if err := process.Decode(&e); err != nil {
			t.Fatal(err)
		}
	}
	await(t, func() bool {
		return w.seen.differs("users", []metadata{{Name: "kate", UID: "u", ResourceVersion: "8"}}) == nil
	})
	if w.seen.differs("users", []metadata{{Name: "kate", UID: "u", ResourceVersion: "9"}}) == nil {
		t.Error("a version that was not delivered is taken for delivered")
	}
	if w.seen.differs("users", nil) == nil {
		t.Error("an object that is gone is taken for known to be gone")
	}
}

func TestAGateHoldsAndDrops(t *testing.T) {
	for _, drop := range []bool{false, true} {
		w := testWire(t)
		w.gate.hold()
		server, process, done := testWatch(t, w)
		go func() { _, _ = io.WriteString(server, kateAt+`7"}}}`+"\n") }()
		events := make(chan event, 1)
		go func() {
			var e event
			_ = process.Decode(&e)
			events <- e
		}()
		select {
		case e := <-events:
			t.Fatalf("%s passes the gate", e.Type)
		case <-time.After(20 * time.Millisecond):
		}
		w.gate.release(drop)
		want := map[bool]string{false: "ADDED", true: "ERROR"}[drop]
		if e := <-events; e.Type != want {
			t.Errorf("%s comes when the gate opens (dropped: %t), want %s", e.Type, drop, want)
		}
		done()
		if _, missed := w.seen.open(); (len(missed) > 0) != drop {
			t.Errorf("missed: %v (dropped: %t)", missed, drop)
		}
	}
}

func TestACrashedProcessReachesNobody(t *testing.T) {
	w := testWire(t)
	reached := 0
	next := roundTripper(func(*http.Request) (*http.Response, error) {
		reached++
		w.crash() // While the answer is on its way.
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(nil))}, nil
	})
	for range 2 {
		request, err := http.NewRequest(http.MethodGet, "/api/v1/namespaces/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := w.wrap(next).RoundTrip(request); err == nil {
			_ = response.Body.Close()
			t.Error("it hears an answer")
		}
	}
	if reached != 1 {
		t.Errorf("it reaches the API server %d times, want 1", reached)
	}
}

// A write that is under way when its process ends or comes to a stop arrives, and nobody waits for the process to hear of it.
func TestAWriteThatHasGoneOutArrives(t *testing.T) {
	r := testRun(t)
	w := newWire(r, 1)
	ctx, cancel := context.WithCancel(t.Context())
	next := roundTripper(func(request *http.Request) (*http.Response, error) {
		cancel() // While it is on its way.
		w.freeze()
		if err := request.Context().Err(); err != nil {
			return nil, err
		}
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{}`))}, nil
	})
	heard := make(chan error, 1)
	go func() {
		request, err := http.NewRequestWithContext(ctx, http.MethodDelete, "/apis/tenure.dev/v1alpha1/namespaces/a/users/kate", strings.NewReader(`{}`))
		if err == nil {
			_, err = w.wrap(next).RoundTrip(request) //nolint:bodyclose // there is none
		}
		heard <- err
	}()
	await(t, func() bool { return r.progress.Load() == 1 && r.flying.Load() == 0 })
	w.crash()
	w.thaw()
	if err := <-heard; !errors.Is(err, errCrashed) {
		t.Errorf("its process hears %v", err)
	}
}

func TestTheFirstListsShowThePast(t *testing.T) {
	w := testWire(t)
	w.pinned, w.ahead = "42", "memberships"
	var asked []string
	next := roundTripper(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.RawQuery)
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"items":[]}`))}, nil
	})
	for _, query := range []string{"users?resourceVersion=0&limit=500", "users?resourceVersion=0", "users?", "memberships?resourceVersion=0"} {
		request, err := http.NewRequest(http.MethodGet, "/apis/tenure.dev/v1alpha1/namespaces/a/"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := w.wrap(next).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	if diff := cmp.Diff([]string{"resourceVersion=42&resourceVersionMatch=Exact", "resourceVersion=0", "", "resourceVersion=0"}, asked); diff != "" {
		t.Error(diff)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// await waits for what happens beside the test.
func await(t *testing.T, happened func() bool) {
	t.Helper()
	deadline := time.NewTimer(5 * time.Second)
	defer deadline.Stop()
	for !happened() {
		select {
		case <-deadline.C:
			t.Fatal("it does not happen")
		case <-time.After(time.Millisecond):
		}
	}
}

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// gate is what the events of all watches of a process pass.
type gate struct {
	mu     sync.Mutex
	opened chan struct{} // closed when the gate opens; nil while it is open
	round  int           // goes up each time that what was held is never delivered
}

// hold shuts the gate.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
}

// release opens the gate. Where what was held is dropped, every watch that is open ends with the word that it is too old.
func (g *gate) release(drop bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if drop {
		g.round++
	}
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
}

func (g *gate) state() (opened <-chan struct{}, round int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened, g.round
}

// held tells whether events wait.
func (g *gate) held() bool {
	opened, _ := g.state()
	return opened != nil
}

// event is a frame of a watch.
type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// tooOld is how the API server says that a watch has missed something.
const tooOld = `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
	`"message":"too old resource version","reason":"Expired","code":410}}` + "\n"

// stream is a watch of a process. Each event is noted when the process has taken it.
type stream struct {
	wire   *wire
	source string
	body   io.ReadCloser
	out    *io.PipeReader
	in     *io.PipeWriter
	done   chan struct{}
	once   sync.Once

	// leaves tells whether the process itself has given up the watch; lost, that it did not.
	leaves func() bool
	lost   atomic.Bool
}

// follow has a watch pass the gate.
func follow(w *wire, source string, response *http.Response) *http.Response {
	s := &stream{wire: w, source: source, body: response.Body, done: make(chan struct{})}
	ctx := response.Request.Context()
	s.leaves = func() bool {
		select {
		case <-s.done:
			return true
		default:
			return ctx.Err() != nil
		}
	}
	s.out, s.in = io.Pipe()
	w.seen.opened(source)
	go s.pump()
	response.Body = s
	return response
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) { return s.out.Read(p) } //nolint:wrapcheck // as it came

// Close implements io.Closer.
func (s *stream) Close() error {
	s.once.Do(func() {
		close(s.done)
		_ = s.body.Close()
		_ = s.out.Close()
		s.wire.seen.closed(s.source, s.lost.Load())
	})
	return nil
}

func (s *stream) pump() {
	frames := json.NewDecoder(s.body)
	for {
		var frame json.RawMessage
		if err := frames.Decode(&frame); err != nil {
			s.lost.Store(!s.leaves())
			_ = s.in.CloseWithError(io.EOF)
			return
		}
		dropped, ended := s.wait()
		switch {
		case ended:
			return
		case dropped:
			s.lost.Store(true)
			_, _ = s.in.Write([]byte(tooOld))
			_ = s.in.CloseWithError(io.EOF)
			return
		}
		var e event
		if err := json.Unmarshal(frame, &e); err != nil {
			_ = s.in.CloseWithError(err)
			return
		}
		object := headOf(e.Object).Metadata
		if e.Type == deletedEvent {
			s.wire.seen.deleted(object.UID) // The process may act on it before anything else is noted.
		}
		if _, err := s.in.Write(append(frame, '\n')); err != nil {
			return
		}
		s.wire.seen.event(s.source, e.Type, object)
	}
}

// wait returns when the gate is open, and tells whether what it held is dropped, or the watch has ended before.
func (s *stream) wait() (dropped, ended bool) {
	opened, before := s.wire.gate.state()
	if opened == nil || s.wire.isAhead(s.source) {
		return false, false
	}
	select {
	case <-opened:
		_, now := s.wire.gate.state()
		return now != before, false
	case <-s.done:
		return false, true
	}
}

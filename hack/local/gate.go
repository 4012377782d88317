package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
)

// Gate is where the API server calls webhooks, in place of a Service: it passes connections on to the operators that serve
// them, in turn, and closes them at once where there is none.
type Gate struct {
	listener net.Listener

	mutex     sync.Mutex
	operators []string
	turn      int
	open      map[net.Conn]string // connections to operators
	closed    bool
}

func newGate(ctx context.Context) (*Gate, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return nil, fmt.Errorf("opening the gate to the webhooks: %w", err)
	}
	g := &Gate{listener: listener, open: map[net.Conn]string{}}
	go func() {
		for {
			caller, err := listener.Accept()
			if err != nil {
				return
			}
			go g.pass(caller)
		}
	}()
	return g, nil
}

// Serve has an operator that listens on an address take its turn.
func (g *Gate) Serve(address string) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if !slices.Contains(g.operators, address) {
		g.operators = append(g.operators, address)
	}
}

// Withdraw takes an operator out, and ends the connections to it: the API server keeps those that it has.
func (g *Gate) Withdraw(address string) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.operators = slices.DeleteFunc(g.operators, func(a string) bool { return a == address })
	for connection, to := range g.open {
		if to == address {
			_ = connection.Close()
		}
	}
}

// url is where the API server calls a path. Certificates of operators that serve here must be for localhost.
func (g *Gate) url(path string) string {
	return "https://localhost:" + strconv.Itoa(g.listener.Addr().(*net.TCPAddr).Port) + path
}

// pass passes a connection on to the next operator that takes it.
func (g *Gate) pass(caller net.Conn) {
	defer caller.Close()
	for _, address := range g.next() {
		if g.passTo(address, caller) {
			return
		}
	}
}

// passTo passes a connection on to an operator until it ends, or returns false where that does not take it.
func (g *Gate) passTo(address string, caller net.Conn) bool {
	operator, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	defer g.forget(operator)
	if !g.keep(operator, address) {
		return false
	}
	relay(caller, operator)
	return true
}

// next are all operators, beginning with the one whose turn it is.
func (g *Gate) next() []string {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if len(g.operators) == 0 {
		return nil
	}
	g.turn = (g.turn + 1) % len(g.operators)
	return slices.Concat(g.operators[g.turn:], g.operators[:g.turn])
}

// keep remembers a connection, unless its operator has been withdrawn meanwhile.
func (g *Gate) keep(operator net.Conn, address string) bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.closed || !slices.Contains(g.operators, address) {
		return false
	}
	g.open[operator] = address
	return true
}

func (g *Gate) forget(operator net.Conn) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	delete(g.open, operator)
	_ = operator.Close()
}

// close ends everything.
func (g *Gate) close() error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.closed = true
	for connection := range g.open {
		_ = connection.Close()
	}
	if err := g.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing the gate to the webhooks: %w", err)
	}
	return nil
}

// relay passes on what both say until one of them ends.
func relay(one, other net.Conn) {
	ended := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{one, other}, {other, one}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			ended <- struct{}{}
		}()
	}
	<-ended
	_ = one.Close()
	_ = other.Close()
	<-ended
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"tenure.dev/tenure/hack/local"
)

const (
	readyTimeout = time.Minute
	stopTimeout  = 2 * time.Second
	// quickDeath is the age before which an end counts as a crash, unless somebody killed the operator to see what
	// happens then.
	quickDeath = 10 * time.Second
	// hopeless is the number of quick deaths after which a start is given up.
	hopeless = 3
	maxDelay = 30 * time.Second
)

// operator keeps the operator running, as a Deployment would.
type operator struct {
	local.Replica

	command func() (*exec.Cmd, error)
	state   *state
	report  func(format string, arguments ...any)

	crashes atomic.Int32 // quick deaths in a row
	cancel  context.CancelFunc
	ended   chan struct{}
}

// startOperator starts the operator under the identity that it has in a cluster, so that it may do what config/rbac allows
// and nothing else, and waits until it is ready.
func (s *session) startOperator(ctx context.Context) error {
	identity, err := s.cluster.Operator()
	if err != nil {
		return err
	}
	kubeconfig := s.state.path("operator.kubeconfig")
	if err := local.WriteKubeconfig(kubeconfig, identity, local.OperatorNamespace); err != nil {
		return err
	}
	log, err := os.Create(s.state.path(operatorLogFile))
	if err != nil {
		return fmt.Errorf("creating the log of the operator: %w", err)
	}
	replica, err := local.NewReplica(ctx)
	if err != nil {
		return err
	}
	program, err := exec.LookPath(s.options.operator)
	if err != nil {
		return fmt.Errorf("finding the operator: %w", err)
	}
	// No leader election: there is one operator, and a successor would wait for the lease of a killed predecessor.
	command := func() (*exec.Cmd, error) {
		command, err := s.cluster.Command("operator", program, replica.Arguments(kubeconfig, "--metrics-insecure")...)
		if err != nil {
			return nil, err
		}
		command.Stdout, command.Stderr = log, log
		return command, nil
	}
	s.operator = &operator{
		Replica: replica, command: command, state: s.state, report: s.feed.operator, ended: make(chan struct{}),
	}
	running, cancel := context.WithCancel(ctx)
	s.operator.cancel = cancel
	go func() {
		defer close(s.operator.ended)
		defer log.Close()
		if err := s.operator.keepRunning(running); err != nil {
			s.fail(err)
		}
	}()
	s.cluster.Webhooks().Serve(replica.Webhooks)
	if err := s.awaitOperator(ctx); err != nil {
		s.operator.stop()
		return err
	}
	return nil
}

// awaitOperator waits until the operator is ready and the API server reaches it: before, it refuses what people write.
func (s *session) awaitOperator(ctx context.Context) error {
	if err := s.operator.awaitReady(ctx); err != nil {
		return err
	}
	return s.cluster.AwaitWebhooks(ctx)
}

// keepRunning starts the operator again whenever it ends, until ctx does.
func (o *operator) keepRunning(ctx context.Context) error {
	for {
		born := time.Now()
		end, err := o.runOnce(ctx)
		if ctx.Err() != nil || err != nil {
			return err
		}
		if time.Since(born) < quickDeath && !end.killed {
			o.crashes.Add(1)
		} else {
			o.crashes.Store(0)
		}
		delay := restartDelay(int(o.crashes.Load()))
		if delay > 0 {
			o.report("ended (%s) again, is started in %s", end.how, delay)
		} else {
			o.report("ended (%s), is started again", end.how)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
	}
}

// restartDelay is how long to wait after so many quick deaths in a row: not at all after the first, then ever longer.
func restartDelay(crashes int) time.Duration {
	if crashes < 2 {
		return 0
	}
	return min(time.Second<<min(crashes-2, 10), maxDelay)
}

// ending is how a process has ended.
type ending struct {
	how    string
	killed bool
}

func endOf(state *os.ProcessState) ending {
	status, ok := state.Sys().(syscall.WaitStatus)
	killed := ok && status.Signaled() && (status.Signal() == syscall.SIGKILL || status.Signal() == syscall.SIGTERM)
	return ending{how: state.String(), killed: killed}
}

// runOnce runs the operator until it ends or ctx does.
func (o *operator) runOnce(ctx context.Context) (ending, error) {
	command, err := o.command()
	if err != nil {
		return ending{}, err
	}
	if err := command.Start(); err != nil {
		return ending{}, fmt.Errorf("starting the operator: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	defer o.state.remove(operatorPIDFile)
	err = o.state.write(operatorPIDFile, strconv.Itoa(command.Process.Pid)+"\n")
	if err == nil {
		select {
		case <-ended:
			return endOf(command.ProcessState), nil
		case <-ctx.Done():
		}
	}

	_ = command.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(stopTimeout):
		_ = command.Process.Kill()
		<-ended
	}
	return endOf(command.ProcessState), err
}

// stop ends the operator, in time for it to let go of its lease, and waits until it is gone.
func (o *operator) stop() {
	o.cancel()
	<-o.ended
}

// awaitReady waits until the operator says that it is ready, or has died so often that waiting is of no use.
func (o *operator) awaitReady(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for o.Ready(waiting) != nil {
		if crashes := o.crashes.Load(); crashes >= hopeless {
			return fmt.Errorf("the operator has ended %d times; %s", crashes, o.lastWords())
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-waiting.Done():
			return fmt.Errorf("the operator is not ready after %s; %s", readyTimeout, o.lastWords())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// lastWords is the end of the operator's log.
func (o *operator) lastWords() string {
	return local.Tail(o.state.path(operatorLogFile))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"tenure.dev/tenure/hack/local"
)

// operator is the operator as a process of its own, under its own RBAC.
type operator struct {
	local.Replica

	command *exec.Cmd
	ended   chan struct{}
	began   time.Time
	log     string
}

// start starts the operator and waits until it is ready. It answers the API server too.
func (s *scene) start(ctx context.Context, flags ...string) error {
	replica, err := local.NewReplica(ctx)
	if err != nil {
		return err
	}
	program, err := filepath.Abs(s.options.operator)
	if err != nil {
		return fmt.Errorf("finding the operator: %w", err)
	}
	s.starts++
	o := &operator{
		Replica: replica, log: filepath.Join(s.directory, fmt.Sprintf("operator-%d.log", s.starts)), ended: make(chan struct{}),
	}
	o.command, err = s.cluster.Command("operator", program, o.Arguments(s.kubeconfig, append(flags, "--metrics-insecure")...)...)
	if err != nil {
		return err
	}
	log, err := os.Create(o.log)
	if err != nil {
		return fmt.Errorf("creating the log of the operator: %w", err)
	}
	defer log.Close()
	o.command.Stdout, o.command.Stderr = log, log
	o.began = time.Now()
	if err := o.command.Start(); err != nil {
		return fmt.Errorf("starting the operator: %w", err)
	}
	go func() {
		defer close(o.ended)
		_ = o.command.Wait()
	}()
	s.operator = o
	s.cluster.Webhooks().Serve(o.Webhooks)
	return s.eventually(ctx, "the operator to be ready", o.ready)
}

// stop ends the operator, if it runs.
func (s *scene) stop() {
	if s.operator == nil {
		return
	}
	s.cluster.Webhooks().Withdraw(s.operator.Webhooks)
	_ = s.operator.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.operator.ended:
	case <-time.After(10 * time.Second):
		_ = s.operator.command.Process.Kill()
		<-s.operator.ended
	}
	s.operator = nil
}

func (o *operator) pid() int {
	return o.command.Process.Pid
}

// ready asks the readiness probe.
func (o *operator) ready(ctx context.Context) (bool, error) {
	select {
	case <-o.ended:
		return false, fmt.Errorf("the operator has ended; %s", local.Tail(o.log))
	default:
	}
	return o.Ready(ctx) == nil, nil
}

// said is what the operator tells Prometheus.
func (o *operator) said(ctx context.Context) (string, error) {
	return fetch(ctx, quickly, "http://"+o.Metrics+"/metrics")
}

// looked is how often it has looked at objects of a kind since it was started.
func looked(said, controller string) int {
	return int(total(said, "controller_runtime_reconcile_total", "controller", controller))
}

// idle tells whether nothing waits for its turn, or has it.
func idle(said string) bool {
	return total(said, "workqueue_depth") == 0 && total(said, "controller_runtime_active_workers") == 0
}

// awaitArmed waits until the operator, since it was started, has looked at so many users and memberships: then their
// deadlines are armed. It returns when that was.
func (s *scene) awaitArmed(ctx context.Context, users, memberships int) (time.Time, error) {
	var at time.Time
	err := s.eventually(ctx, "all deadlines to be armed", func(ctx context.Context) (bool, error) {
		said, err := s.operator.said(ctx)
		if err != nil {
			return false, err
		}
		at = time.Now()
		return looked(said, "user") >= users && looked(said, "membership") >= memberships, nil
	})
	return at, err
}

// awaitIdle waits until the operator has nothing to do.
func (s *scene) awaitIdle(ctx context.Context) error {
	return s.eventually(ctx, "the operator to be idle", func(ctx context.Context) (bool, error) {
		said, err := s.operator.said(ctx)
		return err == nil && idle(said), err
	})
}

// startSettled starts the operator on a population, waits until it has nothing to do, and sees that it has written nothing
// about anybody: else the population is not what the API server would have stored. The effort is that of the start, until
// all deadlines were armed.
func (s *scene) startSettled(ctx context.Context, users, memberships int) (*effort, error) {
	before, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	armed, err := s.awaitArmed(ctx, users, memberships)
	if err != nil {
		return nil, err
	}
	used, err := cpuOf(s.operator.pid())
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.awaitIdle(ctx), s.settle(ctx)); err != nil {
		return nil, err
	}
	spent, err := s.effortSince(ctx, before)
	if err != nil {
		return nil, err
	}
	if spent.Writes+spent.Events > 0 {
		return nil, fmt.Errorf("the operator finds something to do with people who are as it would have left them (%s): the population is wrong", spent.Requests)
	}
	spent.Seconds, spent.OperatorCPU = armed.Sub(s.operator.began).Seconds(), used
	return spent, nil
}

// startBefore is startSettled for a population of which something becomes due at an instant. Where that is past by then, the error is
// errLate: the operator may well have found something to do.
func (s *scene) startBefore(ctx context.Context, at time.Time, users, memberships int) (*effort, error) {
	spent, err := s.startSettled(ctx, users, memberships)
	if time.Now().After(at) {
		return nil, errors.Join(errLate, err)
	}
	return spent, err
}

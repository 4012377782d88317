package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"tenure.dev/tenure/hack/local"
)

// replica is one of the operator's processes, which is started again whenever it ends.
type replica struct {
	local.Replica

	name      string
	cluster   *local.Cluster
	program   string
	arguments []string
	log       string

	mu     sync.Mutex
	starts int
}

// newReplica starts a replica under the RBAC of an installation, and keeps it running until ctx ends.
func newReplica(ctx context.Context, cluster *local.Cluster, letter string, o options) (*replica, error) {
	identity, err := cluster.Operator()
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(o.folder, "operator.kubeconfig")
	if err := local.WriteKubeconfig(kubeconfig, identity, local.OperatorNamespace); err != nil {
		return nil, err
	}
	program, err := filepath.Abs(o.operator)
	if err != nil {
		return nil, fmt.Errorf("finding the operator: %w", err)
	}
	r := &replica{name: "operator-" + letter, cluster: cluster, program: program}
	r.log = filepath.Join(o.folder, r.name+".log")
	if r.Replica, err = local.NewReplica(ctx); err != nil {
		return nil, err
	}
	r.arguments = r.Arguments(kubeconfig, "--metrics-insecure", "--leader-elect", "--leader-election-namespace="+local.OperatorNamespace,
		"--leader-election-lease-duration="+o.lease.String())
	log, err := os.Create(r.log)
	if err != nil {
		return nil, fmt.Errorf("creating the log of %s: %w", r.name, err)
	}
	go func() {
		defer log.Close()
		for ctx.Err() == nil {
			if err := r.run(log); err != nil {
				fmt.Fprintf(log, "%s: %v\n", r.name, err)
			}
			pause(ctx, 200*time.Millisecond)
		}
	}()
	cluster.Webhooks().Serve(r.Webhooks)
	return r, nil
}

// run runs the replica until it ends.
func (r *replica) run(log *os.File) error {
	command, err := r.cluster.Command(r.name, r.program, r.arguments...)
	if err != nil {
		return err
	}
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting the operator: %w", err)
	}
	r.mu.Lock()
	r.starts++
	r.mu.Unlock()
	return command.Wait()
}

// leads tells whether the replica holds the lease, as it says itself.
func (r *replica) leads(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Metrics+"/metrics", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if line := lines.Text(); strings.HasPrefix(line, "leader_election_master_status{") {
			return strings.HasSuffix(line, " 1")
		}
	}
	return false
}

// leader is the replica that acts, and the one that stands by; nil where there is none.
func (w *world) leader(ctx context.Context) (acts, standsBy *replica) {
	for _, r := range w.replicas {
		if r.leads(ctx) {
			acts = r
		} else {
			standsBy = r
		}
	}
	return acts, standsBy
}

// unwell says what the operator lacks.
func (w *world) unwell(ctx context.Context) error {
	for _, r := range w.replicas {
		if err := r.Ready(ctx); err != nil {
			return err
		}
	}
	if acts, _ := w.leader(ctx); acts == nil {
		return errors.New("nobody holds the lease")
	}
	return nil
}

// awaitHealth returns when the API server answers, both replicas are ready, one of them leads, and webhooks are asked.
func (w *world) awaitHealth(ctx context.Context, patience time.Duration) error {
	last := errors.New("no answer")
	if err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		last = w.unwell(ctx)
		return last == nil, nil
	}); err != nil {
		return fmt.Errorf("waiting for the operator: %w; %w", err, last)
	}
	return w.cluster.AwaitWebhooks(ctx)
}

package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"tenure.dev/tenure/controllers"
	"tenure.dev/tenure/hack/local"
)

// lab is what all plans share: a control plane, and somebody who answers its questions.
type lab struct {
	cluster  *local.Cluster
	operator *rest.Config // the operator's own account
	people   client.Client
	admin    *http.Client
	address  string
	mapper   meta.RESTMapper
	audit    *audit
	names    atomic.Int64
	prefix   string // of the worlds' names

	// webhooks is where the replica answers that stands by.
	webhooks string

	mu         sync.Mutex
	references map[string]*reference
	waiting    map[string]chan struct{}
}

// newLab starts a control plane, with an operator that answers and never acts. It ends with ctx at the latest.
func newLab(ctx context.Context, folder, manager string) (_ *lab, err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the cluster: %w", err)
	}
	policy, log := filepath.Join(folder, "audit-policy.yaml"), filepath.Join(folder, "audit.log")
	for path, content := range map[string]string{policy: auditPolicy, log: ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return nil, fmt.Errorf("prepare the audit log: %w", err)
		}
	}
	l := emptyLab("plan-")
	l.cluster, err = local.Start(ctx, local.Options{
		Install:        install,
		APIServerFlags: map[string][]string{"audit-policy-file": {policy}, "audit-log-path": {log}},
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // says what it was about
	}
	defer func() {
		if err != nil {
			_ = l.cluster.Stop()
		}
	}()
	if l.operator, err = l.cluster.Operator(); err != nil {
		return nil, err //nolint:wrapcheck // says what it was about
	}
	if err := l.connect(l.cluster.Admin()); err != nil {
		return nil, err
	}
	if err := l.audit.follow(ctx, log); err != nil {
		return nil, err
	}
	if l.webhooks, err = l.standBy(ctx, folder, manager); err != nil {
		return nil, err
	}
	l.cluster.Webhooks().Serve(l.webhooks)
	return l, l.cluster.AwaitWebhooks(ctx) //nolint:wrapcheck // says what it was about
}

func emptyLab(prefix string) *lab {
	return &lab{prefix: prefix, audit: &audit{}, references: map[string]*reference{}, waiting: map[string]chan struct{}{}}
}

// connect prepares to look at what is there, and to write as people do.
func (l *lab) connect(settings *rest.Config) (err error) {
	settings.QPS, settings.WarningHandler = -1, rest.NoWarnings{}
	l.address = strings.TrimSuffix(settings.Host, "/")
	if l.people, err = client.New(settings, client.Options{Scheme: controllers.Scheme()}); err != nil {
		return fmt.Errorf("prepare to write as people do: %w", err)
	}
	if l.admin, err = rest.HTTPClientFor(settings); err != nil {
		return fmt.Errorf("prepare to look at what is there: %w", err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(settings, l.admin)
	if err != nil {
		return fmt.Errorf("prepare to find kinds: %w", err)
	}
	l.mapper = &mapperWithMemory{RESTMapper: mapper}
	return nil
}

// close ends the control plane, but for one that somebody has lent.
func (l *lab) close() {
	if l.cluster != nil {
		_ = l.cluster.Stop()
	}
}

// nextName is the name of a world that nobody has had before.
func (l *lab) nextName() string { return l.prefix + strconv.FormatInt(l.names.Add(1), 10) }

// beginning is when a plan begins, by its own clock. Of two runs without a fault, one begins later, so that whatever says a date
// or a time of day is found to differ.
func beginning(p plan, f fault, now time.Time) time.Time {
	switch {
	case f.begins != nil:
		return f.begins(now)
	case p.fault == "" && p.later:
		return now.Add(25*time.Hour + 61*time.Second)
	default:
		return now
	}
}

// referenceOf is how a scenario goes without a fault. It is run when it is asked for first.
func (l *lab) referenceOf(ctx context.Context, p plan, s scenario) (*reference, []*outcome, error) {
	key := plan{scenario: p.scenario, steps: p.steps}.String()
	l.mu.Lock()
	for l.waiting[key] != nil {
		done := l.waiting[key]
		l.mu.Unlock()
		<-done
		l.mu.Lock()
	}
	if ref := l.references[key]; ref != nil {
		l.mu.Unlock()
		return ref, nil, nil
	}
	done := make(chan struct{})
	l.waiting[key] = done
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.waiting, key)
		l.mu.Unlock()
		close(done)
	}()
	var outcomes []*outcome
	for _, later := range []bool{false, true} {
		o, err := l.do(ctx, plan{scenario: p.scenario, steps: p.steps, later: later}, s)
		if err != nil {
			return nil, nil, err
		}
		outcomes = append(outcomes, o)
	}
	ref := referenceOf(s, outcomes[0], outcomes[1])
	l.mu.Lock()
	l.references[key] = ref
	l.mu.Unlock()
	return ref, outcomes, nil
}

// learn takes over from another lab how scenarios go without a fault: that does not depend on the control plane.
func (l *lab) learn(from *lab) {
	from.mu.Lock()
	defer from.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.Copy(l.references, from.references)
}

// standBy starts a replica that never gets to act, because nobody lets go of the lease: it answers the API server, and that is
// all. It returns where.
func (l *lab) standBy(ctx context.Context, folder, manager string) (address string, err error) {
	flags, err := local.StandBy(ctx, l.people)
	if err != nil {
		return "", err //nolint:wrapcheck // says what it was about
	}
	kubeconfig := filepath.Join(folder, "kubeconfig")
	if err := local.WriteKubeconfig(kubeconfig, l.operator, local.OperatorNamespace); err != nil {
		return "", err //nolint:wrapcheck // says what it was about
	}
	replica, err := local.NewReplica(ctx)
	if err != nil {
		return "", err //nolint:wrapcheck // says what it was about
	}
	command, err := l.cluster.Command("answering", manager, replica.Arguments(kubeconfig, flags...)...)
	if err != nil {
		return "", err //nolint:wrapcheck // says what it was about
	}
	log, err := os.Create(filepath.Join(folder, "answering.log"))
	if err != nil {
		return "", fmt.Errorf("make the log of the replica that answers: %w", err)
	}
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return "", fmt.Errorf("start the replica that answers: %w", err)
	}
	go func() {
		defer log.Close()
		_ = command.Wait()
	}()
	return replica.Webhooks, nil
}

// buildManager builds the operator, where there is none yet.
func buildManager(ctx context.Context, path string) error {
	root, err := local.RepositoryRoot()
	if err != nil {
		return err //nolint:wrapcheck // says what it was about
	}
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", path, ".")
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the operator: %w: %s", err, said)
	}
	return nil
}

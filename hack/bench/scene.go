package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers"
	"tenure.dev/tenure/hack/local"
)

// Who the operator is in a cluster. The bare client acts as it: RBAC and admission judge both alike.
const ()

// What every scene has.
const (
	organization = "acme"
	target       = "acme-crew" // the namespace in which the crew may read
	owner        = "olivia"
	crew         = "crew"
	club         = "club"
	role         = "Hand"
	policyName   = "default"
)

const (
	patience = 4 * time.Minute
	often    = 50 * time.Millisecond
)

// scene is a cluster with an organization, in which measures are taken.
type scene struct {
	*bench
	cluster   *local.Cluster
	directory string

	admin    client.WithWatch
	metadata metadata.Interface
	store    *clientv3.Client

	// asAdmin and asOperator speak to the API server without a client library between.
	asAdmin, asOperator *bare

	// slowness is by how much longer than usual everything takes here.
	slowness float64

	kubeconfig string // the operator's
	operator   *operator
	starts     int
	crowds     int // of names that must not come again
}

// newScene starts a cluster with an organization whose groups grant something, and an operator.
func newScene(ctx context.Context, b *bench, plane local.Options) (_ *scene, err error) {
	s := &scene{bench: b, slowness: 1}
	if s.directory, err = os.MkdirTemp("", "tenure-bench-"); err != nil {
		return nil, fmt.Errorf("preparing a scene: %w", err)
	}
	plane.Install = install
	if s.cluster, err = local.Start(ctx, plane); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.directory))
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.end())
	}
	return s, nil
}

func install(ctx context.Context, c *local.Cluster) error {
	root, err := local.RepositoryRoot()
	if err != nil {
		return err
	}
	return c.Install(ctx, filepath.Join(root, "config", "local"))
}

func (s *scene) prepare(ctx context.Context) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	if err := s.cluster.AwaitWebhooks(ctx); err != nil {
		return err
	}
	return s.found(ctx)
}

// connect makes the clients.
func (s *scene) connect(ctx context.Context) (err error) {
	config := s.cluster.Admin()
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	if s.admin, err = client.NewWithWatch(config, client.Options{Scheme: controllers.Scheme()}); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	if s.metadata, err = metadata.NewForConfig(config); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	if s.asAdmin, err = newBare(config); err != nil {
		return err
	}
	acting, err := s.cluster.Operator()
	if err != nil {
		return err
	}
	if s.asOperator, err = newBare(acting); err != nil {
		return err
	}
	s.kubeconfig = filepath.Join(s.directory, "operator.kubeconfig")
	if err := local.WriteKubeconfig(s.kubeconfig, acting, local.OperatorNamespace); err != nil {
		return err
	}
	s.store, err = clientv3.New(clientv3.Config{Endpoints: []string{s.cluster.Store()}, Logger: zap.NewNop(), MaxCallSendMsgSize: 64 << 20})
	if err != nil {
		return fmt.Errorf("making a client of etcd: %w", err)
	}
	return s.describe(ctx, config)
}

// describe notes what runs here.
func (s *scene) describe(ctx context.Context, config *rest.Config) error {
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	version, err := found.ServerVersion()
	if err != nil {
		return fmt.Errorf("asking for the version of the API server: %w", err)
	}
	status, err := s.store.Status(ctx, s.cluster.Store())
	if err != nil {
		return fmt.Errorf("asking for the version of etcd: %w", err)
	}
	s.result.Machine.Kubernetes, s.result.Machine.Store = version.GitVersion, status.Version
	return nil
}

// end ends everything.
func (s *scene) end() error {
	var failure error
	if s.operator != nil {
		s.stop()
	}
	if s.store != nil {
		failure = s.store.Close()
	}
	return errors.Join(failure, s.cluster.Stop(), os.RemoveAll(s.directory))
}

// found creates the organization: an owner, and two groups, of which the crew may read a namespace.
func (s *scene) found(ctx context.Context) error {
	granting := func(name string) *v1alpha1.Group {
		return &v1alpha1.Group{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: organization},
			Spec: v1alpha1.GroupSpec{Type: "Program", Roles: []v1alpha1.GroupRole{{Name: role, Grants: []v1alpha1.Grant{{
				RoleRef: v1alpha1.RoleReference{Kind: v1alpha1.RoleKindClusterRole, Name: "view"}, Namespaces: []string{target},
			}}}}},
		}
	}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: organization}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: target, Annotations: map[string]string{v1alpha1.AnnotationGrantsFrom: organization}}},
		&v1alpha1.Organization{
			ObjectMeta: metav1.ObjectMeta{Name: organization, Namespace: organization},
			Spec: v1alpha1.OrganizationSpec{
				DisplayName: "Acme Ltd", OwnerRef: v1alpha1.Reference{Name: owner}, DefaultPolicyRef: v1alpha1.Reference{Name: policyName},
			},
		},
		&v1alpha1.LifecyclePolicy{
			ObjectMeta: metav1.ObjectMeta{Name: policyName, Namespace: organization},
			Spec:       v1alpha1.LifecyclePolicySpec{Messages: v1alpha1.Messages{Expired: "Ask your manager."}},
		},
		&v1alpha1.User{
			ObjectMeta: metav1.ObjectMeta{Name: owner, Namespace: organization},
			Spec:       v1alpha1.UserSpec{UserName: owner + "@acme.example", Email: owner + "@acme.example", Role: "Owner"},
		},
		granting(crew), granting(club),
	} {
		if err := s.admin.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
		}
	}
	return s.eventually(ctx, "the organization to be ready", func(ctx context.Context) (bool, error) {
		org := &v1alpha1.Organization{}
		err := s.admin.Get(ctx, client.ObjectKey{Namespace: organization, Name: organization}, org)
		return err == nil && meta.IsStatusConditionTrue(org.Status.Conditions, v1alpha1.ConditionReady), err
	})
}

// eventually waits for something to become so.
func (s *scene) eventually(ctx context.Context, what string, so func(context.Context) (bool, error)) error {
	last := error(nil)
	err := wait.PollUntilContextTimeout(ctx, often, patience, true, func(ctx context.Context) (bool, error) {
		var is bool
		is, last = so(ctx)
		return is, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", what, errors.Join(err, last))
	}
	return nil
}

// requests are all that anybody has written so far.
func (s *scene) requests(ctx context.Context) (requests, error) {
	said, err := s.said(ctx)
	return readRequests(said), err
}

// said is what the API server tells Prometheus.
func (s *scene) said(ctx context.Context) (string, error) {
	return fetch(ctx, s.asAdmin.http, s.asAdmin.host+"/metrics")
}

// look is what has been used and written at one moment.
type look struct {
	operator, server, store, own float64
	requests                     requests
}

// effort is what something took.
type effort struct {
	// Seconds from its beginning until it was done.
	Seconds float64 `json:"seconds"`

	// OperatorCPU and the others are seconds of CPU, until nothing more was written. BenchCPU is this program's, which is
	// the bare client, and watches.
	OperatorCPU  float64 `json:"operatorCPU"`
	APIServerCPU float64 `json:"apiserverCPU"`
	StoreCPU     float64 `json:"etcdCPU"`
	BenchCPU     float64 `json:"benchCPU"`

	// Writes are those about people. Summaries are those by which groups and organizations tell how many they are, which
	// come once in a second whatever happens.
	Writes    float64  `json:"writes"`
	Summaries float64  `json:"summaries"`
	Events    float64  `json:"events"`
	Requests  requests `json:"requests,omitempty"`
}

func (s *scene) look(ctx context.Context) (look, error) {
	var l look
	var err error
	if l.requests, err = s.requests(ctx); err != nil {
		return l, err
	}
	if s.operator != nil {
		if l.operator, err = cpuOf(s.operator.pid()); err != nil {
			return l, err
		}
	}
	if l.server, err = cpuOf(s.cluster.PID(local.APIServer)); err != nil {
		return l, err
	}
	if l.own, err = cpuOf(os.Getpid()); err != nil {
		return l, err
	}
	l.store, err = cpuOf(s.cluster.PID(local.Etcd))
	return l, err
}

// effortSince is what was used and written since an earlier look.
func (s *scene) effortSince(ctx context.Context, before look) (*effort, error) {
	after, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	grown := after.requests.minus(before.requests)
	return &effort{
		OperatorCPU: after.operator - before.operator, APIServerCPU: after.server - before.server,
		StoreCPU: after.store - before.store, BenchCPU: after.own - before.own,
		Writes: grown.touching(), Summaries: grown.summaries(), Events: grown.events(), Requests: grown,
	}, nil
}

// settle waits until nothing has been written for a while. It looks seldom: the API server has much to tell about itself,
// and telling it takes time too.
func (s *scene) settle(ctx context.Context) error {
	const while, seldom = 1200 * time.Millisecond, 600 * time.Millisecond
	end := time.Now().Add(patience)
	last, since := requests{}, time.Now()
	for time.Now().Before(end) {
		now, err := s.requests(ctx)
		if err != nil {
			return err
		}
		if len(now.minus(last)) > 0 {
			last, since = now, time.Now()
		}
		if time.Since(since) >= while {
			return nil
		}
		if err := pause(ctx, time.Now().Add(seldom)); err != nil {
			return err
		}
	}
	return fmt.Errorf("something is still written after %s", patience)
}

// pause waits until an instant.
func pause(ctx context.Context, until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// quickly is a client for what answers at once.
var quickly = &http.Client{Timeout: 5 * time.Second}

// errLate says that an instant has come before everything was ready for it.
var errLate = errors.New("the instant came before everything was ready for it")

// inTime does something that depends on an instant, and does it again with more time where that came too early: the machine
// may have something else to do.
func (s *scene) inTime(do func() error) error {
	const attempts = 3
	for attempt := 1; ; attempt++ {
		err := do()
		if !errors.Is(err, errLate) || attempt == attempts {
			return err
		}
		s.slowness *= 2
		s.say("%v; it is tried again with more time", err)
	}
}

// shortly makes one line of an error.
func shortly(text string) string {
	return strings.Join(strings.Fields(text), " ")
}

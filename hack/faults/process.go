package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"tenure.dev/tenure/controllers"
)

const (
	// workers is how many objects of one kind a process reconciles at the same time.
	workers = 4

	// controllersOfOperator is how many controllers, hence queues, a process has at least.
	controllersOfOperator = 7
)

// process is one life of the operator: a manager of its own, with its own cache, whose only way out is its wire.
type process struct {
	life   int
	wire   *wire
	queues *queues
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // why it has ended
}

// startProcess starts the operator under its own RBAC, for the world of one plan.
func startProcess(ctx context.Context, r *run, w *wire) (*process, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &process{life: w.life, wire: w, queues: w.queues, cancel: cancel, ended: make(chan struct{})}
	settings := rest.CopyConfig(r.lab.operator)
	settings.UserAgent = agent(r.world.namespace, w.life)
	settings.ContentType = "application/json"
	settings.Wrap(w.wrap)
	mgr, err := ctrl.NewManager(settings, managerOptions(r, w))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	if err := controllers.Setup(ctx, mgr, controllers.Options{Clock: r.world.wall, Workers: workers, NewQueue: p.queues.make}); err != nil {
		cancel()
		return nil, err //nolint:wrapcheck // says what it was about
	}
	if err := noteGrants(ctx, mgr.GetCache(), w.seen); err != nil {
		cancel()
		return nil, err
	}
	go func() {
		defer close(p.ended)
		p.err = mgr.Start(ctx)
	}()
	return p, nil
}

// noteGrants notes which RoleBindings the cache has. Handlers are told after it.
func noteGrants(ctx context.Context, c cache.Cache, s *seen) error {
	grants, err := c.GetInformer(ctx, &rbacv1.RoleBinding{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("follow the cache of RoleBindings: %w", err)
	}
	note := func(object any) {
		if binding, ok := object.(*rbacv1.RoleBinding); ok {
			s.cached(string(binding.UID), binding.ResourceVersion)
		}
	}
	_, err = grants.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: note, UpdateFunc: func(_, object any) { note(object) }})
	if err != nil {
		return fmt.Errorf("follow the cache of RoleBindings: %w", err)
	}
	return nil
}

// agent is by which name the API server knows a process.
func agent(world string, life int) string { return fmt.Sprintf("faults/%s/%d", world, life) }

func managerOptions(r *run, w *wire) ctrl.Options {
	return ctrl.Options{
		Scheme:                  controllers.Scheme(),
		MapperProvider:          func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return r.lab.mapper, nil },
		Cache:                   cacheOptions(r.world),
		Client:                  controllers.ClientOptions(),
		Metrics:                 server.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		GracefulShutdownTimeout: new(time.Second),
		Controller:              config.Controller{SkipNameValidation: new(true)},
		Logger: funcr.New(func(prefix, arguments string) {
			if !strings.Contains(arguments, `"msg"="St`) && !strings.Contains(arguments, "workers finished") && !strings.Contains(arguments, `"msg"="Shutdown`) {
				r.tell("life %d: %s %s", w.life, prefix, arguments)
			}
		}, funcr.Options{}),
	}
}

// cacheOptions are the operator's own, of the world's two namespaces alone: other plans run beside.
func cacheOptions(w *world) cache.Options {
	options := controllers.CacheOptions()
	options.DefaultNamespaces = map[string]cache.Config{w.namespace: {}}
	for object, settings := range options.ByObject {
		switch object.(type) {
		case *rbacv1.RoleBinding:
			settings.Namespaces = map[string]cache.Config{w.namespace: {}, w.target: {}}
		case *corev1.Namespace:
			settings.Label = named(w.namespace, w.target)
		}
		options.ByObject[object] = settings
	}
	return options
}

// named selects namespaces by their names.
func named(names ...string) labels.Selector {
	requirement, err := labels.NewRequirement(corev1.LabelMetadataName, selection.In, names)
	if err != nil {
		panic(err) // a programmer's error: namespaces' names are values of labels
	}
	return labels.NewSelector().Add(*requirement)
}

// started tells whether every controller of the process waits for work, or has some.
func (p *process) started(l load) bool {
	return l.queues >= controllersOfOperator && l.idle+l.running >= l.queues
}

// crash ends the process without a chance to do anything more.
func (p *process) crash() {
	p.wire.crash()
	p.cancel()
	p.wire.gate.release(false)
}

// failure is why a process has ended that nobody has ended.
func (p *process) failure() error {
	select {
	case <-p.ended:
		if p.err == nil {
			return errors.New("the operator has ended by itself")
		}
		return fmt.Errorf("the operator has ended: %w", p.err)
	default:
		return nil
	}
}

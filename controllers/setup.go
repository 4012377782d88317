// Package controllers puts the operator together: the indexes, the cache and one controller per kind.
package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/admission"
	"tenure.dev/tenure/controllers/group"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/grants"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/informer"
	"tenure.dev/tenure/controllers/internal/skew"
	"tenure.dev/tenure/controllers/internal/slim"
	"tenure.dev/tenure/controllers/internal/targets"
	"tenure.dev/tenure/controllers/lifecyclepolicy"
	"tenure.dev/tenure/controllers/membership"
	"tenure.dev/tenure/controllers/organization"
	"tenure.dev/tenure/controllers/transition"
	"tenure.dev/tenure/controllers/user"
)

// Options of the controllers.
type Options struct {
	// Clock is read once per pass, and paces what is tried again.
	Clock clock.Clock

	// Workers is how many objects of one kind are reconciled at the same time. At least 1.
	Workers int

	// Skew, where it is measured, is how far Clock is off: what cannot be undone waits until it is right.
	Skew *skew.Meter

	// Admission tells whether this replica answers the API server's questions about what people are about to change.
	Admission bool

	// NewQueue makes the queue of a controller, for who wants to run them on a clock of its own. Default: the priority queue.
	NewQueue func(controller string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Scheme knows every kind that the operator reads or writes.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

// CacheOptions keep in memory only what is looked at: no managed fields, and what is the same in many objects once; of
// RoleBindings those that stand for grants; of Namespaces no more than their metadata and whether they end.
func CacheOptions() cache.Options {
	return cache.Options{
		DefaultTransform: slim.Transform(),
		NewInformer:      informer.New,
		ByObject: map[client.Object]cache.ByObject{
			&rbacv1.RoleBinding{}: {
				Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}),
			},
			&corev1.Namespace{}: {Transform: func(object any) (any, error) {
				if ns, ok := object.(*corev1.Namespace); ok {
					ns.ObjectMeta = metav1.ObjectMeta{
						Name: ns.Name, UID: ns.UID, ResourceVersion: ns.ResourceVersion,
						DeletionTimestamp: ns.DeletionTimestamp, Annotations: grantsFrom(ns.Annotations),
					}
					ns.Spec, ns.Status = corev1.NamespaceSpec{}, corev1.NamespaceStatus{}
				}
				return object, nil
			}},
		},
	}
}

func grantsFrom(annotations map[string]string) map[string]string {
	if value, ok := annotations[v1alpha1.AnnotationGrantsFrom]; ok {
		return map[string]string{v1alpha1.AnnotationGrantsFrom: value}
	}
	return nil
}

// ClientOptions make a read by name wait until the cache has the caller's own last write of that object. Without it a
// pass that follows a write would decide on the state before.
func ClientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: new(true)}}
}

// Setup adds the indexes and the controllers to a manager.
func Setup(ctx context.Context, mgr ctrl.Manager, options Options) error {
	if err := index.Register(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	recorder := mgr.GetEventRecorder("tenure")
	sources := targets.New(ctx, mgr.GetConfig(), mgr.GetRESTMapper(), options.Clock)
	planner := &cascade.Planner{Reader: mgr.GetClient(), Targets: sources}
	doors := grants.NewDoors(mgr.GetClient(), options.Clock)
	if options.Skew != nil {
		if err := options.Skew.SetupWithManager(mgr); err != nil {
			return err
		}
	}
	if options.Admission {
		if err := setupAdmission(mgr, planner, options); err != nil {
			return err
		}
	}
	for name, c := range map[string]interface {
		SetupWithManager(mgr ctrl.Manager, options controller.Options) error
	}{
		"organization":    &organization.Reconciler{Client: mgr.GetClient(), Clock: options.Clock, Recorder: recorder},
		"user":            &user.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Planner: planner, Doors: doors, Skew: options.Skew, Clock: options.Clock, Recorder: recorder},
		"group":           &group.Reconciler{Client: mgr.GetClient(), Clock: options.Clock, Recorder: recorder},
		"membership":      &membership.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Doors: doors, Clock: options.Clock, Recorder: recorder},
		"policy sources":  &lifecyclepolicy.Watcher{Client: mgr.GetClient(), Sources: sources},
		"lifecyclepolicy": &lifecyclepolicy.Reconciler{Client: mgr.GetClient(), Sources: sources, Clock: options.Clock, Recorder: recorder},
		"transition":      &transition.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Sources: sources, Skew: options.Skew, Clock: options.Clock, Recorder: recorder},
	} {
		if err := c.SetupWithManager(mgr, controller.Options{
			MaxConcurrentReconciles: options.Workers,
			EnableWarmup:            new(true),
			NewQueue:                options.NewQueue,
		}); err != nil {
			return fmt.Errorf("set up the %s controller: %w", name, err)
		}
	}
	return nil
}

// MeasureSkew has all clients that are made from a config measure how far a clock is off the API server's.
func MeasureSkew(config *rest.Config, c clock.PassiveClock) *skew.Meter {
	meter := skew.New(c)
	config.Wrap(meter.Wrap)
	return meter
}

func setupAdmission(mgr ctrl.Manager, planner *cascade.Planner, options Options) error {
	reviews, err := authorizationclient.NewForConfig(mgr.GetConfig())
	if err != nil {
		return fmt.Errorf("prepare to ask what RBAC allows: %w", err)
	}
	guards := &admission.Guards{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Planner: planner, Reviews: reviews.SubjectAccessReviews(), Clock: options.Clock,
	}
	return guards.SetupWithManager(mgr)
}

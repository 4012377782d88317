// Package worldtest is a small world in memory for tests of the controllers' branches that a real API server does not
// take when asked: writes that fail, answers that get lost, views that are stale. It records every write in order.
package worldtest

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
)

// Start is the time at which every world begins.
var Start = time.Date(2026, time.December, 1, 8, 0, 0, 0, time.UTC)

// World is an API server in memory, a clock that a test steps, and the record of what was written.
type World struct {
	client.Client

	Clock    *clocktesting.FakePassiveClock
	Recorder *events.FakeRecorder

	// Writes in the order in which they were asked for, such as "delete RoleBinding sales/x".
	Writes []string

	// Fail is asked before each write, by its record; an error is returned instead of the write.
	Fail func(write string) error

	// FailRead is asked before each read of an object, by its kind and name, such as "User alice".
	FailRead func(read string) error
}

// New makes a world of objects. Objects without a UID get one from their kind and name.
func New(t *testing.T, objects ...client.Object) *World {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &World{Clock: clocktesting.NewFakePassiveClock(Start), Recorder: events.NewFakeRecorder(100)}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(w.interceptors()).
		WithStatusSubresource(&v1alpha1.Organization{}, &v1alpha1.User{}, &v1alpha1.Group{}, &v1alpha1.Membership{}, &v1alpha1.LifecyclePolicy{}, &v1alpha1.Transition{})
	for _, object := range objects {
		if object.GetUID() == "" {
			object.SetUID(types.UID(fmt.Sprintf("%T-%s", object, object.GetName())))
		}
		if object.GetCreationTimestamp().Time.IsZero() {
			object.SetCreationTimestamp(metav1.NewTime(Start.Add(-time.Hour)))
		}
		object.SetGeneration(1)
		builder.WithObjects(object)
	}
	if err := index.Register(t.Context(), indexer{builder}); err != nil {
		t.Fatal(err)
	}
	// What the API server selects by itself.
	builder.WithIndex(&v1alpha1.Membership{}, "spec.userRef.name", func(o client.Object) []string {
		return []string{o.(*v1alpha1.Membership).Spec.UserRef.Name}
	})
	w.Client = builder.Build()
	return w
}

// Forget starts the record of writes anew.
func (w *World) Forget() { w.Writes = nil }

type indexer struct{ builder *fake.ClientBuilder }

// IndexField gives an index of the operator to the API server in memory.
func (i indexer) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	i.builder.WithIndex(object, field, extract)
	return nil
}

func (w *World) write(verb string, object client.Object) error {
	write := fmt.Sprintf("%s %s", verb, describe(object))
	w.Writes = append(w.Writes, write)
	if w.Fail == nil {
		return nil
	}
	return w.Fail(write)
}

func describe(object client.Object) string {
	switch object.(type) {
	case *v1alpha1.User:
		return "User " + object.GetName()
	case *v1alpha1.Membership:
		return "Membership " + object.GetName()
	case *v1alpha1.Group:
		return "Group " + object.GetName()
	case *v1alpha1.Organization:
		return "Organization " + object.GetName()
	case *v1alpha1.LifecyclePolicy:
		return "LifecyclePolicy " + object.GetName()
	case *v1alpha1.Transition:
		return "Transition " + object.GetName()
	case *rbacv1.RoleBinding:
		return "RoleBinding in " + object.GetNamespace()
	case *corev1.Namespace:
		return "Namespace " + object.GetName()
	default:
		return fmt.Sprintf("%T %s", object, object.GetName())
	}
}

func (w *World) interceptors() interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			if w.FailRead != nil {
				named := object.DeepCopyObject().(client.Object)
				named.SetName(key.Name)
				if err := w.FailRead(describe(named)); err != nil {
					return err
				}
			}
			return c.Get(ctx, key, object, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			if err := w.write("create", object); err != nil {
				return err
			}
			object.SetUID(types.UID("created-" + object.GetName()))
			object.SetCreationTimestamp(metav1.NewTime(w.Clock.Now()))
			return c.Create(ctx, object, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.UpdateOption) error {
			if err := w.write("update", object); err != nil {
				return err
			}
			return c.Update(ctx, object, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if err := w.write("patch", object); err != nil {
				return err
			}
			return c.Patch(ctx, object, patch, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			if err := w.write("delete", object); err != nil {
				return err
			}
			return c.Delete(ctx, object, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := w.write("patch "+sub+" of", object); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, object, patch, opts...)
		},
	}
}

// Behind is a cache that has an older version of one object.
type Behind struct {
	client.Client
	Older client.Object
}

// Get implements client.Reader.
func (c Behind) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if reflect.TypeOf(object) != reflect.TypeOf(c.Older) || key != client.ObjectKeyFromObject(c.Older) {
		return c.Client.Get(ctx, key, object, opts...) //nolint:wrapcheck // as it is
	}
	reflect.ValueOf(object).Elem().Set(reflect.ValueOf(c.Older.DeepCopyObject()).Elem())
	return nil
}

// Package write is how controllers change objects: what is the same already is not written, and what has changed since
// it was read is not overwritten.
package write

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

// Object writes metadata and spec of after where they differ from before. The patch is locked on before's
// resourceVersion: holds and finalizers are lists, and a merge patch replaces a list whole. after is then what the API
// server returned.
func Object(ctx context.Context, writer client.Writer, before, after client.Object) error {
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	if err := writer.Patch(ctx, after, lockedOn(before)); err != nil {
		return fmt.Errorf("patch %T %s: %w", after, after.GetName(), err)
	}
	return nil
}

// Status writes the status of after where it differs from before, and tells whether it did.
func Status(ctx context.Context, writer client.StatusClient, before, after client.Object) (written bool, err error) {
	if equality.Semantic.DeepEqual(before, after) {
		return false, nil
	}
	if err := writer.Status().Patch(ctx, after, lockedOn(before)); err != nil {
		return false, fmt.Errorf("patch status of %T %s: %w", after, after.GetName(), err)
	}
	return true, nil
}

func lockedOn(before client.Object) client.Patch {
	return client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
}

// Annotate sets an annotation, or takes it out where value is empty. It changes the object in memory only.
func Annotate(object client.Object, name, value string) {
	annotations := object.GetAnnotations()
	if annotations[name] == value {
		return
	}
	if value == "" {
		delete(annotations, name)
	} else {
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[name] = value
	}
	object.SetAnnotations(annotations)
}

// Timestamp is how annotations hold a time; empty for the zero time.
func Timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// LetGo takes Tenure's finalizer off an object whose end is worked off.
func LetGo(ctx context.Context, writer client.Writer, object client.Object) error {
	released := object.DeepCopyObject().(client.Object)
	if !controllerutil.RemoveFinalizer(released, v1alpha1.Finalizer) {
		return nil
	}
	if err := writer.Patch(ctx, released, lockedOn(object)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("let go of %T %s: %w", object, object.GetName(), err)
	}
	return nil
}

// Latch puts a hold on a membership that is there and does not have it yet.
func Latch(ctx context.Context, writer client.Writer, m *v1alpha1.Membership, hold *v1alpha1.MembershipHold) error {
	if lifecycle.HasHold(m.Spec.Holds, hold.Name) {
		return nil
	}
	held := m.DeepCopy()
	held.Spec.Holds = append(slices.Clone(held.Spec.Holds), *hold)
	return client.IgnoreNotFound(Object(ctx, writer, m, held))
}

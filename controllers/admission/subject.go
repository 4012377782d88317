package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/observe"
)

// lastState is the one that the records of a name end with, of whatever identity, before its object went; empty where there
// are none.
func (s *scene) lastState(ctx context.Context, subject history.Subject) (v1alpha1.State, error) {
	records, err := index.TransitionsOf(ctx, s, subject.Object.GetNamespace(), subject.Kind, subject.Object.GetName())
	if err != nil || len(records) == 0 {
		return "", err
	}
	newest := slices.MaxFunc(records, func(a, b v1alpha1.Transition) int { return history.Number(a.Name) - history.Number(b.Name) })
	if newest.Spec.Subject.Identity == subject.Identity() {
		return "", nil // It goes on, from a backup.
	}
	if newest.Spec.Cause.Type == v1alpha1.TransitionDeleted {
		return newest.Spec.From, nil
	}
	return newest.Spec.To, nil
}

// suppliesIdentity tells whether a new object is one that was there before, as its identity says, which only those may supply
// who have the verb restore (see config/policy/identity.yaml).
func suppliesIdentity(object client.Object) bool {
	return object.GetAnnotations()[v1alpha1.AnnotationIdentity] != ""
}

// postsOf are the group roles that a membership has and that somebody must hold.
func (s *scene) postsOf(ctx context.Context, m *v1alpha1.Membership) ([]post, error) {
	group, err := observe.Get[v1alpha1.Group](ctx, s, m.Namespace, m.Spec.GroupRef.Name)
	if err != nil || group == nil || !group.DeletionTimestamp.IsZero() {
		return nil, err
	}
	var posts []post
	for i := range group.Spec.Roles {
		role := &group.Spec.Roles[i]
		if least := int(ptr.Deref(role.MinimumActive, 0)); least > 0 && slices.Contains(m.Spec.Roles, role.Name) {
			posts = append(posts, post{group: group.Name, role: role.Name, least: least})
		}
	}
	return posts, nil
}

// noteDeletion writes down on an object who deletes it. The object has then another version: the API server sees that, and
// asks once more before it deletes.
func (s *scene) noteDeletion(ctx context.Context, object client.Object) error {
	if s.by.dryRun {
		return nil
	}
	actor, err := history.Stamp(v1alpha1.Actor{Username: s.by.user.Username, Groups: s.by.user.Groups})
	if err != nil || object.GetAnnotations()[v1alpha1.AnnotationDeletedBy] == actor {
		return err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": object.GetUID(), "annotations": map[string]string{v1alpha1.AnnotationDeletedBy: actor},
	}})
	if err != nil {
		return fmt.Errorf("write down who deletes %s: %w", object.GetName(), err)
	}
	noted := object.DeepCopyObject().(client.Object)
	if err := s.Patch(ctx, noted, client.RawPatch(types.MergePatchType, patch)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write down who deletes %s: %w", object.GetName(), err)
	}
	return nil
}

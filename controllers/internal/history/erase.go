package history

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/write"
)

// Erase deletes the records of a subject that is about to go. The newest goes last: while it is there, nothing is recorded
// anew.
func Erase(ctx context.Context, writer client.Client, s Subject) error {
	records, err := recordsOf(ctx, writer, s)
	if err != nil {
		return err
	}
	for _, record := range records {
		if err := erase(ctx, writer, record); err != nil {
			return err
		}
	}
	return nil
}

// Anonymize replaces the records of a subject that is about to go by ones that do not say whose they are. A record cannot be
// changed, so each is written anew before the old one goes.
func Anonymize(ctx context.Context, writer client.Client, live client.Reader, s Subject) error {
	records, err := recordsOf(ctx, writer, s)
	if err != nil {
		return err
	}
	for _, record := range records {
		if err := writeAnew(ctx, writer, live, anonymous(record, s), record.Status); err != nil {
			return err
		}
		if err := erase(ctx, writer, record); err != nil {
			return err
		}
	}
	return nil
}

// writeAnew writes a nameless record and its ledger. A pass that was interrupted between the two leaves the ledger to the next
// one: the record that has it must not go before.
func writeAnew(ctx context.Context, writer client.Client, live client.Reader, nameless *v1alpha1.Transition, ledger v1alpha1.TransitionStatus) error {
	err := writer.Create(ctx, nameless)
	if apierrors.IsAlreadyExists(err) {
		err = live.Get(ctx, client.ObjectKeyFromObject(nameless), nameless)
	}
	if err != nil {
		return fmt.Errorf("record Transition %s, which has no name in it: %w", nameless.Name, err)
	}
	before := nameless.DeepCopy()
	nameless.Status = ledger
	_, err = write.Status(ctx, writer, before, nameless)
	return err
}

// recordsOf are the subject's own records, oldest first.
func recordsOf(ctx context.Context, reader client.Reader, s Subject) ([]*v1alpha1.Transition, error) {
	all, err := index.TransitionsOf(ctx, reader, s.Object.GetNamespace(), s.Kind, s.Object.GetName())
	if err != nil {
		return nil, err
	}
	var records []*v1alpha1.Transition
	for i := range all {
		if all[i].Spec.Subject.Identity == s.Identity() {
			records = append(records, &all[i])
		}
	}
	slices.SortFunc(records, func(a, b *v1alpha1.Transition) int { return Number(a.Name) - Number(b.Name) })
	return records, nil
}

// erase deletes a record as it was read: what was written to it since must be seen before it goes.
func erase(ctx context.Context, writer client.Client, record *v1alpha1.Transition) error {
	if err := writer.Delete(ctx, record, client.Preconditions{UID: &record.UID, ResourceVersion: &record.ResourceVersion}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete Transition %s: %w", record.Name, err)
	}
	return nil
}

// Nameless tells whether a record is one that does not say whose it is. Its effects were done, or stopped, under the name that
// it had before.
func Nameless(t *v1alpha1.Transition) bool {
	return t.Spec.Subject.Name == namelessOf(t.Spec.Subject.UID)
}

func namelessOf(uid types.UID) string {
	return "removed-" + strings.ToLower(string(uid))
}

// anonymous is a record without what says whose it is. The UID of the last object stands in all of them: of an account that is
// gone it says no more than that these records belong together.
func anonymous(record *v1alpha1.Transition, s Subject) *v1alpha1.Transition {
	name := namelessOf(s.Object.GetUID())
	nameless := &v1alpha1.Transition{Spec: *record.Spec.DeepCopy()}
	nameless.Namespace = record.Namespace
	nameless.Name = fmt.Sprintf("%s.%s.%d", strings.ToLower(string(s.Kind)), name, Number(record.Name))
	nameless.Labels = map[string]string{v1alpha1.LabelUser: name}
	nameless.Annotations = map[string]string{}
	if complete := record.Annotations[v1alpha1.AnnotationComplete]; complete != "" {
		nameless.Annotations[v1alpha1.AnnotationComplete] = complete
	}
	nameless.Spec.Subject.Name, nameless.Spec.Subject.UID = name, s.Object.GetUID()
	nameless.Spec.Reason = ""
	nameless.Spec.Actor.OnBehalfOf = ""
	if user, ok := s.Object.(*v1alpha1.User); ok && nameless.Spec.Actor.Username == user.Spec.UserName {
		nameless.Spec.Actor = v1alpha1.Actor{}
	}
	return nameless
}

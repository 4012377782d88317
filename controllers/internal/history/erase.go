package history

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
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
func Anonymize(ctx context.Context, writer client.Client, s Subject) error {
	records, err := recordsOf(ctx, writer, s)
	if err != nil {
		return err
	}
	for _, record := range records {
		nameless := anonymous(record, s)
		err := writer.Create(ctx, nameless)
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("record Transition %s without the person: %w", record.Name, err)
		}
		if err == nil {
			nameless.Status = record.Status
			if err := writer.Status().Update(ctx, nameless); err != nil {
				return fmt.Errorf("write the ledger of Transition %s: %w", nameless.Name, err)
			}
		}
		if err := erase(ctx, writer, record); err != nil {
			return err
		}
	}
	return nil
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

func erase(ctx context.Context, writer client.Client, record *v1alpha1.Transition) error {
	if err := writer.Delete(ctx, record, client.Preconditions{UID: &record.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete Transition %s: %w", record.Name, err)
	}
	return nil
}

// anonymous is a record without what says whose it is. The UID stays: of an account that is gone it says no more than that
// these records belong together.
func anonymous(record *v1alpha1.Transition, s Subject) *v1alpha1.Transition {
	name := "removed-" + strings.ToLower(string(s.Object.GetUID()))
	nameless := &v1alpha1.Transition{Spec: *record.Spec.DeepCopy()}
	nameless.Namespace = record.Namespace
	nameless.Name = fmt.Sprintf("%s.%s.%d", strings.ToLower(string(s.Kind)), name, Number(record.Name))
	nameless.Labels = map[string]string{v1alpha1.LabelUser: name}
	nameless.Annotations = map[string]string{}
	if complete := record.Annotations[v1alpha1.AnnotationComplete]; complete != "" {
		nameless.Annotations[v1alpha1.AnnotationComplete] = complete
	}
	nameless.Spec.Subject.Name = name
	nameless.Spec.Reason = ""
	nameless.Spec.Actor.OnBehalfOf = ""
	if user, ok := s.Object.(*v1alpha1.User); ok && nameless.Spec.Actor.Username == user.Spec.UserName {
		nameless.Spec.Actor = v1alpha1.Actor{}
	}
	return nameless
}

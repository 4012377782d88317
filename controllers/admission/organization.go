package admission

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	webhook "sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
)

// organizations judges changes of Organizations.
type organizations struct{ *Guards }

// ValidateCreate lets a new Organization pass: it changes nothing for anybody but what it then allows.
func (o *organizations) ValidateCreate(context.Context, *v1alpha1.Organization) (webhook.Warnings, error) {
	return nil, nil
}

// ValidateUpdate keeps an Organization from losing its last administrator by another choice of adminRoles, and tells who would
// be an account owner without access.
func (o *organizations) ValidateUpdate(ctx context.Context, before, after *v1alpha1.Organization) (webhook.Warnings, error) {
	s, err := o.scene(ctx)
	if err != nil || s.org.Terminating || !before.DeletionTimestamp.IsZero() {
		return nil, err
	}
	if err := s.administered(ctx, before, after); err != nil {
		return nil, err
	}
	if before.Spec.OwnerRef == after.Spec.OwnerRef || after.Spec.OwnerRef.Name == "" {
		return nil, nil
	}
	owner, err := observe.Get[v1alpha1.User](ctx, s.Live, after.Namespace, after.Spec.OwnerRef.Name)
	switch {
	case err != nil:
		return nil, err
	case owner == nil:
		return webhook.Warnings{"ownerRef: there is no User " + after.Spec.OwnerRef.Name + "; what has no other successor has no receiver"}, nil
	}
	seen, err := observe.UserDeclared(ctx, s, owner)
	if err != nil || lifecycle.DecideUser(seen.Input, s.Clock.Now()).Access() == v1alpha1.AccessGranted {
		return nil, err
	}
	return webhook.Warnings{"ownerRef: User " + owner.Name + " has no access; what has no other successor has no receiver"}, nil
}

// administered refuses what leaves an Organization without an active administrator that has one. It reads the departures that
// are under way from the version that the change is made on, so none of them can come between.
func (s *scene) administered(ctx context.Context, before, after *v1alpha1.Organization) error {
	if slices.Equal(before.Spec.AdminRoles, after.Spec.AdminRoles) && slices.Equal(before.Spec.Roles, after.Spec.Roles) {
		return nil
	}
	for _, org := range []*v1alpha1.Organization{before, after} {
		h := holders{scene: s, org: observe.Organization{Object: org}, now: s.Clock.Now(), except: departure{object: org}}
		if err := h.count(ctx, post{least: 1}); err != nil {
			return err
		}
		if h.found > 0 {
			continue
		}
		if org == before {
			return nil
		}
		return refuse("no active user has one of the roles %s: organization %s would have no administrator. Give one of these roles to an active user first", few(after.Spec.AdminRoles), after.Name)
	}
	return nil
}

// ValidateDelete keeps an Organization while it has Users.
func (o *organizations) ValidateDelete(ctx context.Context, org *v1alpha1.Organization) (webhook.Warnings, error) {
	s, err := o.scene(ctx)
	if err != nil || s.org.Terminating {
		return nil, err
	}
	var users v1alpha1.UserList
	if err := s.Live.List(ctx, &users, client.InNamespace(org.Namespace), client.Limit(1)); err != nil {
		return nil, fmt.Errorf("list the users of %s: %w", org.Namespace, err)
	}
	if len(users.Items) == 0 {
		return nil, nil
	}
	return nil, refuse("organization %s still has users (%s and perhaps others). Delete them first, or the whole namespace", org.Name, users.Items[0].Name)
}

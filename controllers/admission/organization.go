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
	"tenure.dev/tenure/controllers/internal/summary"
)

// judgeOrganization keeps an Organization while it has Users, and from losing its last administrator by another choice of
// adminRoles, and tells who would be an account owner without access. A new one changes nothing for anybody but what it then
// allows.
func (g *Guards) judgeOrganization(ctx context.Context, before, after *v1alpha1.Organization) (webhook.Warnings, error) {
	if before == nil {
		return nil, nil
	}
	s, err := g.scene(ctx)
	if err != nil || s.org.Terminating {
		return nil, err
	}
	if after == nil {
		return nil, s.unused(ctx, before)
	}
	if !before.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	if err := s.administered(ctx, before, after); err != nil {
		return nil, err
	}
	return s.owned(ctx, before, after)
}

// owned tells of a new account owner without access.
func (s *scene) owned(ctx context.Context, before, after *v1alpha1.Organization) (webhook.Warnings, error) {
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
		return refuse("no active user has one of the roles %s: organization %s would have no administrator. Give one of these roles to an active user first",
			summary.Listed(after.Spec.AdminRoles, mostNamed), after.Name)
	}
	return nil
}

// unused refuses the end of an Organization that has Users.
func (s *scene) unused(ctx context.Context, org *v1alpha1.Organization) error {
	var users v1alpha1.UserList
	if err := s.Live.List(ctx, &users, client.InNamespace(org.Namespace), client.Limit(1)); err != nil {
		return fmt.Errorf("list the users of %s: %w", org.Namespace, err)
	}
	if len(users.Items) == 0 {
		return nil
	}
	return refuse("organization %s still has users (%s and perhaps others). Delete them first, or the whole namespace", org.Name, users.Items[0].Name)
}

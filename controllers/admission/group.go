package admission

import (
	"context"
	"fmt"

	"k8s.io/utils/ptr"
	webhook "sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
)

// judgeGroup tells what changes of Groups mean. It refuses none: who may grant what is the API server's own to judge.
func (g *Guards) judgeGroup(ctx context.Context, before, after *v1alpha1.Group) (webhook.Warnings, error) {
	if after == nil {
		return g.endOfGroup(ctx, before)
	}
	return g.led(ctx, ptr.Deref(before, v1alpha1.Group{}).Spec.LeaderRef, after)
}

// led tells of a new leader who is none.
func (g *Guards) led(ctx context.Context, before v1alpha1.Reference, after *v1alpha1.Group) (webhook.Warnings, error) {
	if before == after.Spec.LeaderRef || after.Spec.LeaderRef.Name == "" || !after.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	leader, err := observe.Get[v1alpha1.User](ctx, g.Live, after.Namespace, after.Spec.LeaderRef.Name)
	switch {
	case err != nil:
		return nil, err
	case leader == nil:
		return webhook.Warnings{"leaderRef: there is no User " + after.Spec.LeaderRef.Name + " yet"}, nil
	}
	seen, err := observe.UserDeclared(ctx, g, leader)
	if err != nil {
		return nil, err
	}
	if d := lifecycle.DecideUser(seen.Input, g.Clock.Now()); d.Access() == v1alpha1.AccessDenied {
		return webhook.Warnings{fmt.Sprintf("leaderRef: User %s is %s and has no access", leader.Name, d.State)}, nil
	}
	return nil, nil
}

// endOfGroup tells who loses access.
func (g *Guards) endOfGroup(ctx context.Context, group *v1alpha1.Group) (webhook.Warnings, error) {
	members, err := index.MembershipsOfGroup(ctx, g, group.Namespace, group.Name)
	if err != nil || len(members) == 0 {
		return nil, err
	}
	return webhook.Warnings{fmt.Sprintf("%d memberships are of group %s: what it grants is taken away, and they wait until there is a group of that name", len(members), group.Name)}, nil
}

package admission

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"
	webhook "sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/observe"
)

// judgePolicy refuses a policy with an effect that can never act, unless it was there before, and tells of one that goes how
// many people it is for.
func (g *Guards) judgePolicy(ctx context.Context, before, after *v1alpha1.LifecyclePolicy) (webhook.Warnings, error) {
	switch {
	case after == nil:
		return g.endOfPolicy(ctx, before)
	case !after.DeletionTimestamp.IsZero():
		return nil, nil
	default:
		return nil, readable(ptr.Deref(before, v1alpha1.LifecyclePolicy{}).Spec.Effects, after)
	}
}

func (g *Guards) endOfPolicy(ctx context.Context, policy *v1alpha1.LifecyclePolicy) (webhook.Warnings, error) {
	users, err := observe.UsersUnder(ctx, g, policy)
	if err != nil || len(users) == 0 {
		return nil, err
	}
	return webhook.Warnings{fmt.Sprintf("policy %s is for %d users: without it nothing becomes of their work, and its guards do not hold", policy.Name, len(users))}, nil
}

// readable tells what cannot be read of a policy's effects, as the operator would read them.
func readable(before []v1alpha1.Effect, policy *v1alpha1.LifecyclePolicy) error {
	for i := range policy.Spec.Effects {
		effect := &policy.Spec.Effects[i]
		same := func(b v1alpha1.Effect) bool { return equality.Semantic.DeepEqual(b, *effect) }
		if effect.Resources.Kind == "" || slices.ContainsFunc(before, same) {
			continue
		}
		if _, err := cascade.NewResources(policy.Namespace, policy.Spec.ServiceAccountName, effect); err != nil {
			return refuse("spec.effects[%d]: %s", i, err)
		}
	}
	return nil
}

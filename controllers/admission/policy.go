package admission

import (
	"context"
	"fmt"
	"slices"

	webhook "sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/observe"
)

// policies judges changes of LifecyclePolicies.
type policies struct{ *Guards }

// ValidateCreate refuses a policy with an effect that can never act.
func (p *policies) ValidateCreate(_ context.Context, policy *v1alpha1.LifecyclePolicy) (webhook.Warnings, error) {
	return nil, readable(nil, policy)
}

// ValidateUpdate refuses a policy with an effect that can never act, unless it was there before.
func (p *policies) ValidateUpdate(_ context.Context, before, after *v1alpha1.LifecyclePolicy) (webhook.Warnings, error) {
	if !after.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	return nil, readable(before.Spec.Effects, after)
}

// ValidateDelete tells how many people the policy is for.
func (p *policies) ValidateDelete(ctx context.Context, policy *v1alpha1.LifecyclePolicy) (webhook.Warnings, error) {
	users, err := observe.UsersUnder(ctx, p, policy)
	if err != nil || len(users) == 0 {
		return nil, err
	}
	return webhook.Warnings{fmt.Sprintf("policy %s is for %d users: without it nothing becomes of their work, and its guards do not hold", policy.Name, len(users))}, nil
}

// readable tells what cannot be read of a policy's effects, as the operator would read them.
func readable(before []v1alpha1.Effect, policy *v1alpha1.LifecyclePolicy) error {
	for i := range policy.Spec.Effects {
		effect := &policy.Spec.Effects[i]
		same := func(b v1alpha1.Effect) bool {
			return b.Name == effect.Name && b.Resources.Match == effect.Resources.Match
		}
		if effect.Resources.Kind == "" || slices.ContainsFunc(before, same) {
			continue
		}
		if _, err := cascade.NewResources(policy.Namespace, policy.Spec.ServiceAccountName, effect); err != nil {
			return refuse("spec.effects[%d]: %s", i, err)
		}
	}
	return nil
}

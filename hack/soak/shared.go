package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// boardroom is a desk that works on what belongs to nobody: who leads the groups, and the policy.
func (d *desk) boardroom(ctx context.Context) {
	if d.random.IntN(4) == 0 {
		d.editPolicy(ctx)
		return
	}
	group := pick(d.random, slices.Sorted(maps.Keys(rooms))...)
	leader := pick(d.random, append([]string{"", owner}, names[:d.options.people]...)...)
	ref := any(object{"name": leader})
	if leader == "" {
		ref = nil
	}
	d.write(ctx, pick(d.random, "admin", owner), groups, group, "led by "+leader, object{"spec": object{"leaderRef": ref}}, func() { d.model.leaders[group] = leader })
}

func (d *desk) editPolicy(ctx context.Context) {
	d.attempt(ctx, "admin", policies, "default", fmt.Sprintf("edit %d", d.model.edits+1), func() { d.model.edits++ }, func(ctx context.Context, id string) error {
		edited, err := policyOf(d.model.edits + 1)
		if err != nil {
			return err
		}
		policy := &v1alpha1.LifecyclePolicy{}
		if err := d.admin.Get(ctx, client.ObjectKeyFromObject(edited), policy); err != nil {
			return err
		}
		policy.Spec = edited.Spec
		policy.SetAnnotations(map[string]string{operationOf: id})
		return d.admin.Update(ctx, policy)
	})
}

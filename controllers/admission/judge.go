package admission

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	webhook "sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"tenure.dev/tenure/controllers/internal/preview"
)

// judge says of a change whether it may be made, and what to tell whoever makes it. There is nothing before a creation, and
// nothing after a deletion.
type judge[T runtime.Object] func(ctx context.Context, before, after T) (webhook.Warnings, error)

// ValidateCreate judges a new object.
func (j judge[T]) ValidateCreate(ctx context.Context, object T) (webhook.Warnings, error) {
	var nothing T
	return j(ctx, nothing, object)
}

// ValidateUpdate judges a change of an object.
func (j judge[T]) ValidateUpdate(ctx context.Context, before, after T) (webhook.Warnings, error) {
	return j(ctx, before, after)
}

// ValidateDelete judges the deletion of an object.
func (j judge[T]) ValidateDelete(ctx context.Context, object T) (webhook.Warnings, error) {
	var nothing T
	return j(ctx, object, nothing)
}

// change is a change of a User or of a Membership, observed and decided about.
type change interface {
	// foretell says what the change will do.
	foretell(ctx context.Context) (*preview.Preview, error)

	// guards are asked one after the other. The last one may write, and is asked only when no other refuses.
	guards() []func(context.Context) error
}

// observer observes a change of a subject, of which there is nothing before a creation and nothing after a deletion.
type observer[T any] func(ctx context.Context, s *scene, before, after *T) (change, error)

// judgeOf holds changes of a subject against its guards, and tells beforehand what they will do. Of a creation only a dry run
// is told: it changes nothing for anybody. When a deletion passes, who asked for it is written down on the subject.
func judgeOf[T any, P interface {
	*T
	client.Object
}](g *Guards, observe observer[T],
) judge[P] {
	return func(ctx context.Context, before, after P) (webhook.Warnings, error) {
		s, err := g.scene(ctx)
		if err != nil || s.org.Terminating || before != nil && before.GetDeletionTimestamp() != nil {
			return nil, err
		}
		c, err := observe(ctx, s, before, after)
		if err != nil {
			return nil, err
		}
		told, err := c.foretell(ctx)
		if err != nil {
			return nil, err
		}
		var warnings webhook.Warnings
		if before != nil || s.by.dryRun {
			warnings = told.Warnings()
		}
		for _, guard := range c.guards() {
			if err := guard(ctx); err != nil {
				return warnings, err
			}
		}
		if after == nil {
			err = s.noteDeletion(ctx, before)
		}
		return warnings, err
	}
}

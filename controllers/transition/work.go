package transition

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/summary"
	"tenure.dev/tenure/controllers/internal/write"
)

// eventEffectFailed is the reason of the Event that names what could not be done yet.
const eventEffectFailed = "EffectFailed"

const everyEffectIsDone = "Every effect is done"

// work does what the plan asks for and writes the ledger, once. Whatever was done before is found done.
func (r *Reconciler) work(ctx context.Context, before *v1alpha1.Transition) error {
	transition := before.DeepCopy()
	status := &transition.Status
	status.ObservedGeneration = transition.Generation

	subject, err := observe.Get[v1alpha1.User](ctx, r, transition.Namespace, transition.Spec.Subject.Name)
	if err != nil {
		return err
	}
	var failed error
	switch {
	case history.Complete(transition):
		r.recall(transition)
	case subject == nil || subject.UID != transition.Spec.Subject.UID:
		// The record was restored from a backup, or its subject was forced out: its effects belong to an object that
		// is no more.
		r.complete(transition, v1alpha1.ReasonSuperseded, "The subject of this record is gone; what was not done is not done")
	default:
		failed = r.runPlan(ctx, transition, subject)
		if apierrors.IsConflict(failed) {
			// Somebody else's write came first. That is nothing to tell about: the next pass takes it from there.
			return failed
		}
		if failed != nil {
			break
		}
		if before, err = r.remember(ctx, before); err != nil {
			return err
		}
		transition.ObjectMeta = *before.ObjectMeta.DeepCopy()
	}
	written, err := write.Status(ctx, r, before, transition)
	if err != nil {
		return err
	}
	if failed != nil && written {
		summary.Warning(r.Recorder, subject, eventEffectFailed, failed.Error())
	}
	return failed
}

func (r *Reconciler) runPlan(ctx context.Context, transition *v1alpha1.Transition, subject *v1alpha1.User) error {
	var done, matched int32
	var failures []error
	status := &transition.Status
	status.Effects = nil
	for i := range transition.Spec.Plan {
		effect := &transition.Spec.Plan[i]
		progress, err := r.latch(ctx, transition, effect, subject)
		if err != nil {
			failures = append(failures, fmt.Errorf("effect %s of %s: %w", effect.Effect, transition.Name, err))
		}
		done, matched = done+progress.Done, matched+progress.Matched
		status.Effects = append(status.Effects, progress)
	}
	status.Progress = fmt.Sprintf("%d/%d", done, matched)
	if len(failures) == 0 {
		r.complete(transition, v1alpha1.ReasonDone, everyEffectIsDone)
		return nil
	}
	r.condition(transition, summary.Condition(v1alpha1.ConditionComplete, false, v1alpha1.ReasonRetrying, errors.Join(failures...).Error()))
	return errors.Join(failures...)
}

// remember notes on the record itself that its effects are done, before the ledger says so.
func (r *Reconciler) remember(ctx context.Context, transition *v1alpha1.Transition) (*v1alpha1.Transition, error) {
	noted := transition.DeepCopy()
	write.Annotate(noted, v1alpha1.AnnotationComplete, write.Timestamp(r.Clock.Now()))
	return noted, write.Object(ctx, r, transition, noted)
}

// recall writes the ledger of effects that were done before it was lost.
func (r *Reconciler) recall(transition *v1alpha1.Transition) {
	var done int32
	status := &transition.Status
	status.Effects = nil
	for i := range transition.Spec.Plan {
		effect := &transition.Spec.Plan[i]
		done += effect.Targets
		status.Effects = append(status.Effects, v1alpha1.EffectProgress{Name: effect.Effect, Matched: effect.Targets, Done: effect.Targets})
	}
	status.Progress = fmt.Sprintf("%d/%d", done, done)
	r.complete(transition, v1alpha1.ReasonDone, everyEffectIsDone)
}

// latch puts the hold of a suspension or removal on each membership that the user had when it began.
func (r *Reconciler) latch(ctx context.Context, transition *v1alpha1.Transition, effect *v1alpha1.PlannedEffect, subject *v1alpha1.User) (v1alpha1.EffectProgress, error) {
	progress := v1alpha1.EffectProgress{Name: effect.Effect}
	hold := lifecycle.SuspendedHold()
	if effect.Effect == v1alpha1.HoldUserRemoved {
		hold = lifecycle.RemovedHold()
	}
	memberships, err := index.MembershipsOfUser(ctx, r, subject.Namespace, subject.Name)
	if err != nil {
		return progress, err
	}
	var failures []error
	for i := range memberships {
		membership := &memberships[i]
		if membership.CreationTimestamp.After(transition.Spec.ObservedTime.Time) {
			continue
		}
		progress.Matched++
		if _, err := write.Latch(ctx, r, membership, hold); err != nil {
			progress.Failed++
			failures = append(failures, err)
			continue
		}
		progress.Done++
	}
	if len(failures) > 0 {
		progress.Message = fmt.Sprintf("%d of %d memberships could not be held yet", progress.Failed, progress.Matched)
	}
	return progress, errors.Join(failures...)
}

func (r *Reconciler) complete(transition *v1alpha1.Transition, reason, message string) {
	r.condition(transition, summary.Condition(v1alpha1.ConditionComplete, true, reason, message))
}

func (r *Reconciler) condition(transition *v1alpha1.Transition, condition metav1.Condition) {
	condition.ObservedGeneration = transition.Generation
	condition.LastTransitionTime = metav1.NewTime(r.Clock.Now())
	meta.SetStatusCondition(&transition.Status.Conditions, condition)
}

// number of the Transition among its subject's.
func number(t *v1alpha1.Transition) int { return history.Number(t.Name) }

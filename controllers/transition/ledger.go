package transition

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/summary"
	"tenure.dev/tenure/controllers/internal/write"
)

// Reasons of Events about the work of effects.
const (
	// eventEffectFailed names what could not be done yet.
	eventEffectFailed = "EffectFailed"

	// eventEffectsDone says that a cascade is at its end.
	eventEffectsDone = "EffectsDone"

	// eventEffectsStopped says that a cascade was overtaken.
	eventEffectsStopped = "EffectsStopped"

	// eventManagedElsewhere says of an object that its change will be undone unless it is made elsewhere, too.
	eventManagedElsewhere = "ManagedElsewhere"
)

const everyEffectIsDone = "Every effect is done"

// stepOf is the step of an effect that had its whole turn in this pass.
func (p *pass) stepOf(progress v1alpha1.EffectProgress, err error) step {
	if err == nil {
		return step{progress: progress, finished: true}
	}
	progress.Message = summary.Short(err.Error())
	return step{progress: progress, err: err, again: firstDelay}
}

func (p *pass) failedStep(planned *v1alpha1.PlannedEffect, err error) step {
	return p.stepOf(p.progressOf(planned), err)
}

// summarize writes what this pass found into the ledger.
func (p *pass) summarize() {
	status := &p.transition.Status
	status.ObservedGeneration = p.transition.Generation
	status.Effects = nil
	var done, matched int64
	for i := range p.transition.Spec.Plan {
		progress := p.progressOf(&p.transition.Spec.Plan[i])
		done, matched = done+int64(progress.Done), matched+int64(progress.Matched)
		status.Effects = append(status.Effects, progress)
	}
	status.Progress = fmt.Sprintf("%d/%d", done, matched)
	if p.condition.Type != "" {
		p.setCondition(p.condition)
		return
	}
	switch {
	case len(p.failed) > 0:
		p.setCondition(summary.Condition(v1alpha1.ConditionComplete, false, v1alpha1.ReasonRetrying, errors.Join(p.failed...).Error()))
	case p.again > 0:
		p.setCondition(summary.Condition(v1alpha1.ConditionComplete, false, v1alpha1.ReasonRunning, p.underWay()))
	default:
		p.setCondition(summary.Condition(v1alpha1.ConditionComplete, true, v1alpha1.ReasonDone, everyEffectIsDone))
	}
}

// underWay says what an effect that has not failed waits for.
func (p *pass) underWay() string {
	for i := range p.transition.Status.Effects {
		if effect := &p.transition.Status.Effects[i]; effect.Message != "" && effect.Done < effect.Matched {
			return "Effect " + effect.Name + ": " + effect.Message
		}
	}
	return "Effects are under way"
}

func (p *pass) setCondition(condition metav1.Condition) {
	condition.ObservedGeneration = p.transition.Generation
	condition.LastTransitionTime = metav1.NewTime(p.now)
	meta.SetStatusCondition(&p.transition.Status.Conditions, condition)
}

// wait says why the policy's effects do not begin.
func (p *pass) wait(reason, message string) {
	p.condition = summary.Condition(v1alpha1.ConditionComplete, false, reason, message)
	p.again = guardPatience
}

// supersede ends the work: what is done stays done, and the ledger says what is not.
func (p *pass) supersede(why string) {
	for i := range p.transition.Spec.Plan {
		planned := &p.transition.Spec.Plan[i]
		if progress := p.progressOf(planned); planned.Definition.Name != "" && progress.Done < progress.Matched {
			p.note(planned, fmt.Sprintf("Stopped: %d of %d not done", progress.Matched-progress.Done, progress.Matched))
		}
	}
	if len(p.failed) > 0 { // The operator's own holds are not all there yet.
		return
	}
	p.again = 0
	p.condition = summary.Condition(v1alpha1.ConditionComplete, true, v1alpha1.ReasonSuperseded, why+"; what was not done is not done")
}

// recall writes the ledger of effects that were done before it was lost, as far as the plan tells.
func (p *pass) recall() {
	for i := range p.transition.Spec.Plan {
		planned := &p.transition.Spec.Plan[i]
		p.progress[planned.Effect] = v1alpha1.EffectProgress{Name: planned.Effect, Matched: planned.Targets, Done: planned.Targets}
	}
	p.condition = summary.Condition(v1alpha1.ConditionComplete, true, v1alpha1.ReasonDone, everyEffectIsDone)
}

// remember notes on a record that its effects are done: no effect may run again where the status is lost.
func (r *Reconciler) remember(ctx context.Context, t *v1alpha1.Transition) error {
	if t.Annotations[v1alpha1.AnnotationComplete] != "" || !summary.HasReason(t.Status.Conditions, v1alpha1.ConditionComplete, v1alpha1.ReasonDone) {
		return nil
	}
	noted := t.DeepCopy()
	write.Annotate(noted, v1alpha1.AnnotationComplete, write.Timestamp(r.Clock.Now()))
	return write.Object(ctx, r, t, noted)
}

// writeLedger writes the status and then tells about it.
func (p *pass) writeLedger(ctx context.Context) error {
	was, is := meta.FindStatusCondition(p.before.Status.Conditions, v1alpha1.ConditionComplete), meta.FindStatusCondition(p.transition.Status.Conditions, v1alpha1.ConditionComplete)
	if is.Status == metav1.ConditionFalse {
		p.sweeps.explain(client.ObjectKeyFromObject(p.transition), is.Reason)
	}
	written, err := write.Status(ctx, p, p.before, p.transition)
	if err != nil || !written {
		return err
	}
	if p.subject == nil || was != nil && was.Reason == is.Reason && was.Message == is.Message {
		return nil
	}
	switch is.Reason {
	case v1alpha1.ReasonRetrying:
		summary.Warning(p.Recorder, p.subject, eventEffectFailed, p.transition.Name+": "+is.Message)
	case v1alpha1.ReasonLeader, v1alpha1.ReasonLastRoleHolder, v1alpha1.ReasonOrganizationNotFound, v1alpha1.ReasonClockSkewed:
		summary.Warning(p.Recorder, p.subject, is.Reason, p.transition.Name+": "+is.Message)
	case v1alpha1.ReasonSuperseded:
		summary.Normal(p.Recorder, p.subject, eventEffectsStopped, fmt.Sprintf("%s: %s done. %s", p.transition.Name, p.transition.Status.Progress, is.Message))
	case v1alpha1.ReasonDone:
		if p.before.Annotations[v1alpha1.AnnotationComplete] == "" && p.hasEffects() {
			summary.Normal(p.Recorder, p.subject, eventEffectsDone, fmt.Sprintf("%s: %s done", p.transition.Name, p.transition.Status.Progress))
		}
	}
	return nil
}

// hasEffects tells whether the plan has effects of the policy's beside the operator's own.
func (p *pass) hasEffects() bool {
	for i := range p.transition.Spec.Plan {
		if p.transition.Spec.Plan[i].Definition.Name != "" {
			return true
		}
	}
	return false
}

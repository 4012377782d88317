package transition

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/metrics"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/summary"
	"tenure.dev/tenure/controllers/internal/targets"
)

const (
	// workersPerEffect is how many objects of one effect are worked on at the same time.
	workersPerEffect = 8

	// requestTimeout is how long one object's request may take: a slow kind holds nobody else up for longer.
	requestTimeout = 10 * time.Second

	// mostWords is how many objects a message names.
	mostWords = 3
)

// turn is a resource effect's turn in this pass.
type turn struct {
	*cascade.Turn
	*pass

	planned *v1alpha1.PlannedEffect
	look    targets.Look
	objects dynamic.ResourceInterface
	frozen  cascade.Frozen
	known   bool
	sweep   *sweep
}

// runResources works off an effect on objects of any kind, as the policy's service account, until all are done or the slice
// is over.
func (p *pass) runResources(ctx context.Context, planned *v1alpha1.PlannedEffect, end time.Time) (step, error) {
	sweep := p.sweeps.of(client.ObjectKeyFromObject(p.transition), planned.Effect)
	// What hindered the whole effect, such as a kind that was missing, may be over before the pause is.
	if wait := sweep.wait(p.now); wait > 0 && sweep.failed[""] == nil {
		return p.pausedStep(planned, sweep, wait), nil
	}
	t, err := p.turn(ctx, planned, sweep, nil)
	switch {
	case errors.Is(err, targets.ErrSlow):
		return step{progress: p.progressOf(planned), again: guardPatience}, nil
	case errors.Is(err, targets.ErrSynchronizing):
		return step{progress: p.progressOf(planned), again: moment}, nil
	}
	if err != nil {
		return p.hinderedStep(planned, sweep, err), nil
	}
	if !sweep.due.IsZero() {
		sweep.begin()
	}
	found := t.find(ctx)
	if by, off := p.Skew.Off(); off && destroys(planned.Action) && len(found.open) > 0 {
		return t.waitForClock(found, by), nil
	}
	if moved := t.work(ctx, found, end); moved {
		p.progress[planned.Effect] = t.account(found).progress // What is done stays done, and is told.
		return step{}, errMoved
	}
	return t.account(found), nil
}

// turn makes ready what an effect needs to act.
func (p *pass) turn(ctx context.Context, planned *v1alpha1.PlannedEffect, sweep *sweep, dependants []string) (*turn, error) {
	if slices.Contains(dependants, planned.Effect) {
		// A plan is as it was at the decision, what it depends on beside it as it is now.
		return nil, fmt.Errorf("effect %s depends on itself, by way of %s", planned.Effect, strings.Join(dependants, ", "))
	}
	namespace, account := p.transition.Namespace, p.transition.Spec.Policy.ServiceAccountName
	effect, err := cascade.NewResources(namespace, account, &planned.Definition)
	if err != nil {
		return nil, err
	}
	effect.Name = planned.Effect
	t := &turn{
		Turn: &cascade.Turn{Resources: effect, Transition: p.transition, Action: planned.Action, Person: p.person, To: effect.To(p.person)},
		pass: p, planned: planned, sweep: sweep,
	}
	if t.look, err = p.Sources.At(effect.Source, effect.Needs); err != nil {
		return nil, unknownObjects(effect.Source, err)
	}
	if t.frozen, t.known, err = cascade.Thaw(planned.Frozen); err != nil {
		return nil, err
	}
	if err := t.resolveBase(ctx, effect, append(slices.Clone(dependants), planned.Effect)); err != nil {
		return nil, err
	}
	t.objects, err = p.Sources.Objects(effect.Source)
	return t, err
}

// unknownObjects says which objects cannot be listed, unless they will be in a moment.
func unknownObjects(source targets.Source, err error) error {
	if errors.Is(err, targets.ErrSynchronizing) {
		return err
	}
	return fmt.Errorf("the objects of kind %s cannot be listed: %w", source.Kind.Kind, err)
}

// resolveBase finds the objects of the earlier effect that this one's refer to.
func (t *turn) resolveBase(ctx context.Context, effect *cascade.Resources, dependants []string) error {
	base := effect.Base()
	if base == "" {
		return nil
	}
	planned := t.planOf(base)
	if planned == nil {
		return fmt.Errorf("effect %s, on whose objects this one depends, is not in the policy any more", base)
	}
	earlier, err := t.pass.turn(ctx, planned, t.sweep, dependants)
	if err != nil {
		return err
	}
	names := cascade.NamesOf(earlier.look, earlier.frozen)
	if !earlier.known {
		names = nil
		for _, object := range earlier.Targets(ctx, earlier.look, earlier.Action, t.person, earlier.To) {
			names = append(names, object.GetName())
		}
		// What was handed over refers to somebody else by now.
		names = slices.AppendSeq(names, maps.Keys(t.sweeps.of(client.ObjectKeyFromObject(t.transition), base).done))
	}
	t.To = cascade.ToObjects(names, func(name string) bool { return t.known && !earlier.look.Has(t.transition.Namespace, name) })
	return nil
}

// planOf is the plan of an effect, or, where it is not part of this Transition, what the policy says of it by now.
func (p *pass) planOf(effect string) *v1alpha1.PlannedEffect {
	for i := range p.transition.Spec.Plan {
		if p.transition.Spec.Plan[i].Effect == effect {
			return &p.transition.Spec.Plan[i]
		}
	}
	if p.policy.Object == nil {
		return nil
	}
	for i := range p.policy.Object.Spec.Effects {
		if definition := &p.policy.Object.Spec.Effects[i]; definition.Name == effect {
			return &v1alpha1.PlannedEffect{Effect: effect, Action: v1alpha1.ActionKeep, Definition: *definition}
		}
	}
	return nil
}

// finding is what is known of an effect's objects before anything is done.
type finding struct {
	open           []*unstructured.Unstructured
	done, left     int
	late           int // refer to the user, and were not there at the decision
	matched, there int
}

// find looks for the objects that the effect has to act on: the targets of the plan, or, where they could not be listed then,
// what refers to the user now.
func (t *turn) find(ctx context.Context) finding {
	var found finding
	add := func(object *unstructured.Unstructured) {
		found.there++
		verdict, _ := t.Judge(ctx, object) // An error will come again when it is acted on.
		switch name := object.GetName(); {
		case t.sweep.done[name], verdict == cascade.Done && !t.unanswered(name):
			found.done++
		case t.sweep.left[name] || verdict == cascade.Left:
			found.left++
		default:
			found.open = append(found.open, object)
		}
	}
	if !t.known {
		for _, object := range t.Targets(ctx, t.look, t.Action, t.person, t.To) {
			add(object)
		}
		if found.matched = found.there; t.Action == v1alpha1.ActionKeep {
			return found
		}
		before := t.progressOf(t.planned)
		gone := max(int(before.Done)-found.done, len(t.sweep.done)-found.done, 0)
		found.done += gone
		found.matched = max(int(before.Matched), found.done+len(found.open))
		return found
	}
	for i, hash := range t.frozen {
		if i > 0 && t.frozen[i-1] == hash {
			continue // Two targets of one hash are found together.
		}
		for _, object := range t.look.OfHash(hash) {
			add(object)
		}
	}
	found.matched = len(t.frozen)
	if gone := max(found.matched-found.there, 0); t.Action == v1alpha1.ActionDelete {
		found.done += gone
	} else {
		found.left += gone
	}
	found.late = t.Late(ctx, t.look, t.Action, t.person, t.To, t.frozen)
	return found
}

// unanswered tells whether an object may have been handed over by an attempt of which no answer came: who has it now is
// looked at again.
func (t *turn) unanswered(name string) bool {
	return t.Action == v1alpha1.ActionTransfer && (t.sweep.tried[name] || t.sweep.failed[name] != nil)
}

// work acts on the open objects, several at a time, until all had their turn or the slice is over. It stops at once where the
// subject has moved on.
func (t *turn) work(ctx context.Context, found finding, end time.Time) (moved bool) {
	if t.Action == v1alpha1.ActionKeep {
		return false
	}
	t.sweep.untriedFirst(found.open)
	var mu sync.Mutex
	var workers sync.WaitGroup
	next, begun := 0, 0
	take := func() *unstructured.Unstructured {
		mu.Lock()
		defer mu.Unlock()
		for ; next < len(found.open) && !moved && (begun < workersPerEffect || t.Clock.Now().Before(end)) && !t.sweep.hopeless; next++ {
			name := found.open[next].GetName()
			if t.sweep.failed[name] != nil || t.sweep.deleting[name] != "" {
				continue
			}
			next++
			begun++ // A pass gets on, however long it took to find out what there is to do.
			return found.open[next-1]
		}
		return nil
	}
	for range min(workersPerEffect, len(found.open)) {
		workers.Go(func() {
			for object := take(); object != nil; object = take() {
				result := t.actOn(ctx, object)
				if result.moved {
					mu.Lock()
					moved = true
					mu.Unlock()
					return
				}
				mu.Lock()
				outcome := t.sweep.keep(object.GetName(), result)
				mu.Unlock()
				metrics.EffectActed(t.Action, outcome)
			}
		})
	}
	workers.Wait()
	return moved
}

// result is what came of one object.
type result struct {
	deleting string // what its deletion waits for
	left     bool
	moved    bool // the subject has, and nothing was done
	err      error
}

func (s *sweep) keep(name string, r result) (outcome string) {
	switch {
	case r.err != nil:
		s.failed[name] = r.err
		s.hopeless = s.hopeless || hopeless(r.err)
		return metrics.EffectFailed
	case r.deleting != "":
		s.deleting[name] = r.deleting
		return metrics.EffectWaiting
	case r.left:
		s.left[name] = true
		return metrics.EffectLeft
	default:
		s.done[name] = true
		return metrics.EffectDone
	}
}

// hopeless tells whether the next object would fail like the last: an account that may not do something may not do it again.
func hopeless(err error) bool { return apierrors.IsForbidden(err) || targets.Missing(err) }

// actOn does what the effect asks for, on exactly the object that it has decided about: as it is known, where that is enough and
// still so; else it is read live and decided about again.
func (t *turn) actOn(ctx context.Context, known *unstructured.Unstructured) (r result) {
	defer func() {
		// An object that nobody thought of must not end the operator.
		if panicked := recover(); panicked != nil {
			r = result{err: fmt.Errorf("the effect fails on this object: %v", panicked)}
		}
	}()
	release, err := t.slots.take(ctx)
	if err != nil {
		return result{err: err}
	}
	defer release()
	// Only now: a turn may have been waited for.
	if still, err := t.stillHolds(ctx); err != nil || !still {
		return result{moved: true}
	}
	if _, off := t.Skew.Off(); off && destroys(t.Action) {
		return result{moved: true} // The next pass says why nothing was done.
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if verdict, err := t.Judge(ctx, known); t.Direct() && verdict == cascade.Act && err == nil {
		if r := t.change(ctx, known); !apierrors.IsConflict(r.err) {
			return r
		}
	}
	for range 3 {
		r := t.tryOn(ctx, known)
		if !apierrors.IsConflict(r.err) {
			return r
		}
	}
	return result{err: errors.New("somebody else keeps changing it")}
}

func (t *turn) tryOn(ctx context.Context, known *unstructured.Unstructured) result {
	live, err := t.objects.Get(ctx, known.GetName(), metav1.GetOptions{})
	switch {
	case gone(err), err == nil && live.GetUID() != known.GetUID():
		return result{left: t.Action != v1alpha1.ActionDelete}
	case err != nil:
		return result{err: fmt.Errorf("read: %w", err)}
	case live.GetDeletionTimestamp() != nil && t.Action != v1alpha1.ActionDelete:
		return result{left: true}
	case live.GetDeletionTimestamp() != nil:
		return result{deleting: waitsFor(live)}
	}
	switch verdict, err := t.Judge(ctx, live); {
	case err != nil:
		return result{err: err}
	case verdict == cascade.Done && t.Action == v1alpha1.ActionTransfer:
		return t.seeTo(ctx, live)
	case verdict == cascade.Done:
		return result{}
	case verdict == cascade.Left:
		return result{left: true}
	}
	if t.Action == v1alpha1.ActionDelete {
		return t.delete(ctx, live)
	}
	return t.change(ctx, live)
}

// gone tells whether an object is no more. A version of a kind that is no longer served is not found either, but its objects may
// be there.
func gone(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// waitsFor says what the deletion of an object waits for.
func waitsFor(object *unstructured.Unstructured) string {
	if finalizers := object.GetFinalizers(); len(finalizers) > 0 {
		return "finalizer " + strings.Join(finalizers, ", ")
	}
	return "the API server"
}

func (t *turn) delete(ctx context.Context, live *unstructured.Unstructured) result {
	uid, version, background := live.GetUID(), live.GetResourceVersion(), metav1.DeletePropagationBackground
	err := t.objects.Delete(ctx, live.GetName(), metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}, PropagationPolicy: &background,
	})
	switch {
	case gone(err):
		return result{}
	case err != nil:
		return result{err: fmt.Errorf("delete: %w", err)}
	case len(live.GetFinalizers()) > 0:
		return result{deleting: waitsFor(live)}
	default:
		return result{}
	}
}

// change writes what differs, locked on what was read. A receiver who has lost access in the meantime is no receiver: what has
// come too late to be seen by the receiver's own departure goes on to the next.
func (t *turn) change(ctx context.Context, live *unstructured.Unstructured) result {
	if t.Action != v1alpha1.ActionTransfer {
		_, r := t.write(ctx, t.Turn, live, nil)
		return r
	}
	return t.handOver(ctx, t.Turn, live)
}

// handOver writes the receiver into what refers as the turn says.
func (t *turn) handOver(ctx context.Context, now *cascade.Turn, live *unstructured.Unstructured) result {
	for {
		receiver, err := t.receiver(ctx, t.planned, "")
		if err != nil {
			return result{err: err}
		}
		written, r := t.write(ctx, now, live, receiver)
		if r.err != nil || r.left {
			return r
		}
		active, err := t.successors().Active(ctx, receiver.Name)
		if err != nil {
			return result{err: err}
		}
		if active {
			return r
		}
		now, live = t.HandOn(receiver), written
	}
}

// seeTo sees to an object that was handed over by an attempt of which no answer came: its receiver may have left meanwhile.
func (t *turn) seeTo(ctx context.Context, live *unstructured.Unstructured) result {
	for _, name := range t.planned.Candidates {
		receiver, err := observe.Get[v1alpha1.User](ctx, t, t.transition.Namespace, name)
		if err != nil {
			return result{err: err}
		}
		if receiver == nil || !t.HandOn(receiver).Refers(live) {
			continue
		}
		active, err := t.successors().Active(ctx, name)
		if err != nil {
			return result{err: err}
		}
		if !active {
			return t.handOver(ctx, t.HandOn(receiver), live)
		}
	}
	return result{}
}

func (t *turn) write(ctx context.Context, now *cascade.Turn, live *unstructured.Unstructured, receiver *v1alpha1.User) (*unstructured.Unstructured, result) {
	changed, err := now.Change(live, receiver)
	if err != nil {
		return nil, result{err: err}
	}
	patch, err := client.MergeFromWithOptions(live, client.MergeFromWithOptimisticLock{}).Data(changed)
	if err != nil {
		return nil, result{err: fmt.Errorf("find the difference: %w", err)}
	}
	written, err := t.objects.Patch(ctx, live.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.ManagedBy})
	switch {
	case gone(err):
		return nil, result{left: true}
	case err != nil:
		return nil, result{err: fmt.Errorf("patch: %w", err)}
	}
	t.warnOfGit(written)
	return written, result{err: t.look.Written(written)}
}

// gitOps are the annotations and labels by which tools that apply what Git says know their objects, and the tools' names.
var gitOps = map[string]string{
	"argocd.argoproj.io/tracking-id":   "Argo CD",
	"argocd.argoproj.io/instance":      "Argo CD",
	"kustomize.toolkit.fluxcd.io/name": "Flux",
	"helm.toolkit.fluxcd.io/name":      "Flux",
	"applyset.kubernetes.io/part-of":   "kubectl apply",
	"config.kubernetes.io/origin":      "kustomize",
	"configmanagement.gke.io/managed":  "Config Sync",
	"configsync.gke.io/resource-id":    "Config Sync",
}

// warnOfGit tells the owners of an object that comes from Git where to make the change permanent.
func (t *turn) warnOfGit(object *unstructured.Unstructured) {
	for name, tool := range gitOps {
		_, annotated := object.GetAnnotations()[name]
		_, labelled := object.GetLabels()[name]
		if annotated || labelled {
			summary.Warning(t.Recorder, object, eventManagedElsewhere, fmt.Sprintf(
				"Effect %s of Transition %s changed this object (%s), which %s manages: make the change where its manifest is kept, or it will be undone",
				t.planned.Effect, t.transition.Name, t.Action, tool))
			return
		}
	}
}

// account says how far the effect is.
func (t *turn) account(found finding) step {
	progress := v1alpha1.EffectProgress{Name: t.planned.Effect, Matched: int32(found.matched)} //nolint:gosec // bounded
	done, open := found.done, 0
	left := found.left
	var waiting []string
	for _, object := range found.open {
		name := object.GetName()
		switch {
		case t.Action == v1alpha1.ActionKeep, t.sweep.done[name]:
			done++
		case t.sweep.left[name]:
			left++
		case t.sweep.failed[name] != nil:
			progress.Failed++
		case t.sweep.deleting[name] != "":
			waiting = append(waiting, fmt.Sprintf("%s is being deleted and waits for %s", name, t.sweep.deleting[name]))
		default:
			open++
		}
	}
	progress.Done = int32(done) //nolint:gosec // bounded
	progress.Message = summary.Short(strings.Join(slices.Concat(sayLeft(left), sayLate(found.late), few(waiting)), "; "))
	if t.sweep.hopeless {
		progress.Failed = progress.Matched - progress.Done - int32(left) //nolint:gosec // bounded
	}
	switch {
	case len(t.sweep.failed) > 0 && (open == 0 || t.sweep.hopeless), open == 0 && len(waiting) > 0:
		t.sweep.pause(t.Clock.Now())
		s := step{progress: progress, again: t.sweep.delay, err: t.sweep.failure()}
		if s.err != nil {
			s.progress.Message = summary.Short(s.err.Error())
		}
		return s
	case open > 0:
		return step{progress: progress, more: true, again: time.Nanosecond}
	default:
		return step{progress: progress, finished: true}
	}
}

func sayLeft(n int) []string {
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d changed by somebody else since the decision and left alone", n)}
}

func sayLate(n int) []string {
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d assigned since the decision and not touched", n)}
}

// hinderedStep is the step of an effect that cannot act at all yet.
func (p *pass) hinderedStep(planned *v1alpha1.PlannedEffect, s *sweep, err error) step {
	s.failed[""] = err
	if s.wait(p.now) <= 0 {
		s.pause(p.now)
	}
	return p.pausedStep(planned, s, s.wait(p.now))
}

// pausedStep is the step of an effect that waits for its next round.
func (p *pass) pausedStep(planned *v1alpha1.PlannedEffect, s *sweep, wait time.Duration) step {
	progress := p.progressOf(planned)
	err := s.failure()
	if err != nil {
		progress.Message = summary.Short(err.Error())
		if s.failed[""] != nil {
			progress.Failed = progress.Matched - progress.Done
		}
	}
	return step{progress: progress, err: err, again: wait}
}

// failures says what could not be done, with a few examples: the same words each time, so that nothing is written again.
func failures(failed map[string]error) error {
	if len(failed) == 0 {
		return nil
	}
	if err := failed[""]; err != nil {
		return err
	}
	var words []string
	for name, err := range failed {
		words = append(words, name+": "+err.Error())
	}
	return errors.New(strings.Join(few(words), "; "))
}

// few are the first of some words, in order, and how many there are beside.
func few(words []string) []string {
	slices.Sort(words)
	if len(words) <= mostWords {
		return words
	}
	return append(words[:mostWords:mostWords], fmt.Sprintf("and %d more", len(words)-mostWords))
}

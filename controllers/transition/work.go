package transition

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/history"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/targets"
)

const (
	// slice is how long one pass works on effects before others have their turn: ten thousand objects of one user do not
	// hold up another's.
	slice = time.Second

	// moment is how soon to look again at what is only about to be there.
	moment = 100 * time.Millisecond

	// guardPatience is how soon to ask a guard again that makes a cascade wait.
	guardPatience = 3 * time.Second
)

// errMoved says that the subject has changed since the pass began: the next pass decides what that means.
var errMoved = errors.New("the subject has changed")

// pass is one look at a Transition whose effects are not all done.
type pass struct {
	*Reconciler

	// before is the Transition as it was read, transition the one that this pass works on.
	before, transition *v1alpha1.Transition
	now                time.Time

	// Observed.
	org     observe.Organization
	policy  observe.Policy // as it is now; the plan is as it was
	subject *v1alpha1.User
	person  *cascade.Person

	// departure are the earlier Transitions since access was last given, newest first.
	departure []*v1alpha1.Transition

	// overtakenBy is the Transition that followed; empty where none did.
	overtakenBy string

	// Done.
	progress  map[string]v1alpha1.EffectProgress
	failed    []error
	condition metav1.Condition // where something other than the effects decides about it
	again     time.Duration    // when to look again; zero: no need
	skew      time.Duration    // how far ahead the clock is for which an effect waits; zero: none does
}

// work does what the plan asks for and writes the ledger, once. Whatever was done before is found done.
func (r *Reconciler) work(ctx context.Context, org observe.Organization, before *v1alpha1.Transition) (ctrl.Result, error) {
	p := &pass{
		Reconciler: r, before: before, transition: before.DeepCopy(), now: r.Clock.Now(), org: org,
		progress: map[string]v1alpha1.EffectProgress{},
	}
	if err := p.observe(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if err := p.act(ctx); err != nil {
		return ctrl.Result{}, err
	}
	p.summarize()
	if err := p.writeLedger(ctx); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: p.again}, nil
}

func (p *pass) observe(ctx context.Context) (err error) {
	spec := &p.transition.Spec
	if p.subject, err = observe.Get[v1alpha1.User](ctx, p, p.transition.Namespace, spec.Subject.Name); err != nil {
		return err
	}
	if p.policy.Object, err = observe.Get[v1alpha1.LifecyclePolicy](ctx, p, p.transition.Namespace, spec.Policy.Name); err != nil {
		return err
	}
	if p.subject == nil || p.subject.UID != spec.Subject.UID {
		p.subject = nil
		return nil
	}
	if err := p.observeHistory(ctx); err != nil {
		return err
	}
	p.person, err = cascade.NewPerson(p.subject, spec.Subject.Identity, spec.Cause.Type == v1alpha1.TransitionDeleted)
	return err
}

// observeHistory reads which Transitions of the subject came before this one, and whether one followed.
func (p *pass) observeHistory(ctx context.Context) error {
	subject := p.transition.Spec.Subject
	all, err := index.TransitionsOf(ctx, p, p.transition.Namespace, subject.Kind, subject.Name)
	if err != nil {
		return err
	}
	ours := slices.DeleteFunc(pointers(all), func(t *v1alpha1.Transition) bool { return t.Spec.Subject.Identity != subject.Identity })
	slices.SortFunc(ours, func(a, b *v1alpha1.Transition) int { return number(b) - number(a) })
	if len(ours) > 0 && number(ours[0]) > number(p.transition) {
		p.overtakenBy = ours[0].Name
	}
	p.departure = lifecycle.Departure(slices.DeleteFunc(ours, func(t *v1alpha1.Transition) bool { return number(t) >= number(p.transition) }))
	return nil
}

func (p *pass) act(ctx context.Context) error {
	for i := range p.before.Status.Effects {
		p.progress[p.before.Status.Effects[i].Name] = p.before.Status.Effects[i]
	}
	switch {
	case history.Complete(p.transition):
		p.recall()
		return nil
	case p.subject == nil:
		// The record was restored from a backup, or its subject was forced out: its effects belong to an object that
		// is no more.
		p.supersede("The subject of this record is gone")
		return nil
	}
	if err := p.confirm(ctx); err != nil {
		return err
	}
	if err := p.latchOwn(ctx); err != nil {
		return err
	}
	if !p.hasEffects() {
		return nil
	}
	if p.overtakenBy != "" {
		p.supersede("Overtaken by " + p.overtakenBy)
		return nil
	}
	reason, message, err := p.waits(ctx)
	if err != nil {
		return err
	}
	if reason != "" {
		p.wait(reason, message)
		return nil
	}
	p.demand()
	err = p.runEffects(ctx)
	if p.skew != 0 {
		p.tellSkew()
	}
	return err
}

// demand keeps the plan's kinds watched while it runs, whatever becomes of the policy.
func (p *pass) demand() {
	key := client.ObjectKeyFromObject(p.transition)
	if !p.sweeps.begin(key) {
		return
	}
	var effects []v1alpha1.Effect
	for i := range p.transition.Spec.Plan {
		effects = append(effects, p.transition.Spec.Plan[i].Definition)
		if base := p.planOf(p.transition.Spec.Plan[i].Definition.Resources.Reference.Effect); base != nil {
			effects = append(effects, base.Definition)
		}
	}
	p.Sources.Demand(targets.Owner(kind, key), cascade.NeedsOf(p.transition.Namespace, p.transition.Spec.Policy.ServiceAccountName, effects))
}

// end lets go of what was kept for a Transition whose effects are at their end, or that is gone.
func (r *Reconciler) end(transition client.ObjectKey) {
	r.sweeps.explain(transition, "")
	if r.sweeps.forget(transition) {
		r.Sources.Demand(targets.Owner(kind, transition), nil)
	}
}

// runEffects gives the policy's effects their turn, in order, until the slice is over.
func (p *pass) runEffects(ctx context.Context) error {
	end := p.now.Add(slice)
	unfinished := map[string]bool{}
	for _, planned := range lifecycle.InOrder(p.transition.Spec.Plan) {
		if planned.Definition.Name == "" {
			continue
		}
		if dependant := p.dependant(&planned, unfinished); dependant != "" {
			p.note(&planned, "Waits for effect "+dependant)
			unfinished[planned.Effect] = true
			continue
		}
		// What the last effect did may have taken long.
		if still, err := p.stillHolds(ctx); err != nil || !still {
			p.again = moment
			return err
		}
		step, err := p.run(ctx, &planned, end)
		if errors.Is(err, errMoved) {
			p.again = moment
			return nil
		}
		if err != nil {
			return err
		}
		p.progress[planned.Effect] = step.progress
		if step.err != nil {
			p.failed = append(p.failed, fmt.Errorf("effect %s: %w", planned.Effect, step.err))
		}
		p.lookAgain(step.again)
		unfinished[planned.Effect] = !step.finished
		if step.more {
			break
		}
	}
	return nil
}

// step is what came of an effect's turn.
type step struct {
	progress v1alpha1.EffectProgress

	// finished: nothing remains to be done. more: the slice was over before the turn.
	finished, more bool

	// err is what could not be done yet; again is when it will be tried again.
	err   error
	again time.Duration
}

func (p *pass) run(ctx context.Context, planned *v1alpha1.PlannedEffect, end time.Time) (step, error) {
	switch {
	case planned.Definition.Resources.Kind != "":
		return p.runResources(ctx, planned, end)
	case len(planned.Definition.Relations.Kinds) > 0:
		return p.runRelations(ctx, planned)
	default:
		return p.runMemberships(ctx, planned)
	}
}

// dependant names an effect whose objects refer to this one's and that is not finished: theirs go first.
func (p *pass) dependant(planned *v1alpha1.PlannedEffect, unfinished map[string]bool) string {
	i := slices.IndexFunc(p.transition.Spec.Plan, func(other v1alpha1.PlannedEffect) bool {
		return other.Definition.Resources.Reference.Effect == planned.Effect && unfinished[other.Effect] && planned.Action != v1alpha1.ActionKeep
	})
	if i < 0 {
		return ""
	}
	return p.transition.Spec.Plan[i].Effect
}

// confirm asks the API server, before this process first works on a Transition, whether the ledger is as the cache has it. What
// another process did may not have come through the watch, and may have been undone since: a hold released, an object linked again.
func (p *pass) confirm(ctx context.Context) error {
	key := client.ObjectKeyFromObject(p.before)
	if p.sweeps.isConfirmed(key) {
		return nil
	}
	live, err := observe.Get[v1alpha1.Transition](ctx, p.Live, key.Namespace, key.Name)
	if err != nil {
		return err
	}
	if live == nil || live.ResourceVersion != p.before.ResourceVersion {
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("transitions").GroupResource(), key.Name, errBehind)
	}
	p.sweeps.confirm(key)
	return nil
}

// errBehind is that a ledger goes on further than the cache knows.
var errBehind = errors.New("its ledger has not come through the watch yet")

func (p *pass) note(planned *v1alpha1.PlannedEffect, message string) {
	progress := p.progressOf(planned)
	progress.Message = message
	p.progress[planned.Effect] = progress
}

// progressOf is how far an effect was.
func (p *pass) progressOf(planned *v1alpha1.PlannedEffect) v1alpha1.EffectProgress {
	if progress, ok := p.progress[planned.Effect]; ok {
		return progress
	}
	return v1alpha1.EffectProgress{Name: planned.Effect, Matched: planned.Targets}
}

// lookAgain keeps the earliest time to look again.
func (p *pass) lookAgain(after time.Duration) {
	if after > 0 && (p.again == 0 || after < p.again) {
		p.again = after
	}
}

// stillHolds tells whether the subject is in the state that the Transition led to: by what is declared now, not by a
// status that may be late. Where it is not, the next Transition is about to be written.
func (p *pass) stillHolds(ctx context.Context) (bool, error) {
	user, err := observe.Get[v1alpha1.User](ctx, p, p.subject.Namespace, p.subject.Name)
	if err != nil || user == nil || user.UID != p.subject.UID {
		return false, err
	}
	if user.DeletionTimestamp != nil && !p.person.Deleted {
		return false, nil
	}
	seen, err := observe.UserAt(ctx, p, p.org, user, p.Clock.Now())
	if err != nil {
		return false, err
	}
	return lifecycle.Same(lifecycle.DecideUser(seen.Input, p.Clock.Now()).State, p.transition.Spec.To), nil
}

// latchOwn puts the holds of a suspension or a removal on the memberships. Nothing stops it: what was suspended must not come
// back because it was lifted again at once.
func (p *pass) latchOwn(ctx context.Context) error {
	for i := range p.transition.Spec.Plan {
		planned := &p.transition.Spec.Plan[i]
		if planned.Definition.Name != "" {
			continue
		}
		progress, err := p.latch(ctx, planned)
		if apierrors.IsConflict(err) {
			// Somebody else's write came first. That is nothing to tell about: the next pass takes it from there.
			return err
		}
		p.progress[planned.Effect] = progress
		if err != nil {
			p.failed = append(p.failed, fmt.Errorf("effect %s: %w", planned.Effect, err))
			p.lookAgain(firstDelay)
		}
	}
	return nil
}

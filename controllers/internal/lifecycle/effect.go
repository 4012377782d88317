package lifecycle

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
)

// Departure are those of a user's Transitions, newest first, that follow the last one which gave access: a departure begins
// when a user loses access and ends when it is given back.
func Departure(newestFirst []*v1alpha1.Transition) []*v1alpha1.Transition {
	end := slices.IndexFunc(newestFirst, func(t *v1alpha1.Transition) bool { return AccessOf(t.Spec.To) == v1alpha1.AccessGranted })
	if end < 0 {
		return newestFirst
	}
	return newestFirst[:end]
}

// Latched are the names of the holds that the changes of a departure, to these states, latch on the user's memberships.
func Latched(to v1alpha1.State, departure []*v1alpha1.Transition) []string {
	var names []string
	for state, name := range map[v1alpha1.State]string{
		v1alpha1.StateSuspended: v1alpha1.HoldUserSuspended, v1alpha1.StateRemoved: v1alpha1.HoldUserRemoved,
	} {
		if to == state || slices.ContainsFunc(departure, func(t *v1alpha1.Transition) bool { return t.Spec.To == state }) {
			names = append(names, name)
		}
	}
	return names
}

// EffectsOf picks those of a policy's effects that a change starts. Within one departure each runs at most once, when the
// first of its states is entered; one that was stopped before it was done may run again.
func EffectsOf(effects []v1alpha1.Effect, userType string, change *Change, departure []*v1alpha1.Transition) []v1alpha1.Effect {
	if change.Baseline() {
		return nil
	}
	var starting []v1alpha1.Effect
	for i := range effects {
		effect := &effects[i]
		if !slices.Contains(effect.States(), change.To) || len(effect.UserTypes) > 0 && !slices.Contains(effect.UserTypes, userType) {
			continue
		}
		if !slices.ContainsFunc(departure, func(t *v1alpha1.Transition) bool { return ran(effect, t) }) {
			starting = append(starting, *effect)
		}
	}
	return starting
}

// ran tells whether an effect had its turn in a Transition: it was the state's to start, and was not stopped half-way.
func ran(effect *v1alpha1.Effect, t *v1alpha1.Transition) bool {
	return slices.Contains(effect.States(), t.Spec.To) && !stopped(effect.Name, t)
}

// stopped tells whether a Transition has, or had when it was overtaken, an effect of that name that is not done.
func stopped(effect string, t *v1alpha1.Transition) bool {
	if !slices.ContainsFunc(t.Spec.Plan, func(p v1alpha1.PlannedEffect) bool { return p.Effect == effect }) {
		return false
	}
	for i := range t.Status.Conditions {
		condition := &t.Status.Conditions[i]
		if condition.Type == v1alpha1.ConditionComplete && condition.Status == metav1.ConditionTrue && condition.Reason == v1alpha1.ReasonDone {
			return false
		}
	}
	for i := range t.Status.Effects {
		if progress := &t.Status.Effects[i]; progress.Name == effect {
			return progress.Done < progress.Matched
		}
	}
	return t.Annotations[v1alpha1.AnnotationComplete] == ""
}

// Relinks are those of a policy's effects whose anonymised fields name the person again when the account returns: now, or with
// a later return, where an earlier one was overtaken before all was linked.
func Relinks(effects []v1alpha1.Effect, change *Change, past []*v1alpha1.Transition) []v1alpha1.Effect {
	wasRemoved := slices.ContainsFunc(past, func(t *v1alpha1.Transition) bool { return t.Spec.To == v1alpha1.StateRemoved })
	if change.Baseline() || AccessOf(change.To) == v1alpha1.AccessDenied || !wasRemoved {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(effects), func(e v1alpha1.Effect) bool {
		return !slices.ContainsFunc(e.Resources.Fields, func(f v1alpha1.AnonymizeField) bool { return f.OnReturn == v1alpha1.OnReturnRelink })
	})
}

// Unlinks are those of a policy's effects, one for each kind, to whose objects an earlier removal may have left a link that
// the end of the account takes out.
func Unlinks(effects []v1alpha1.Effect, change *Change) []v1alpha1.Effect {
	if change.Baseline() || change.Cause.Type != v1alpha1.TransitionDeleted {
		return nil
	}
	var unlinks []v1alpha1.Effect
	for i := range effects {
		resources := &effects[i].Resources
		known := slices.ContainsFunc(unlinks, func(e v1alpha1.Effect) bool {
			return e.Resources.APIVersion == resources.APIVersion && e.Resources.Kind == resources.Kind
		})
		if resources.Action == v1alpha1.ResourceAction(v1alpha1.ActionAnonymize) && !known {
			unlinks = append(unlinks, effects[i])
		}
	}
	return unlinks
}

// Phases of a cascade: successors are known before any team membership is touched, work is handed over before anything is
// taken away, and relations go before memberships.
const (
	PhaseTransfer = iota
	PhaseChange
	PhaseRelations
	PhaseMemberships
)

// Phase is when an effect of a plan has its turn.
func Phase(effect *v1alpha1.PlannedEffect) int {
	definition := &effect.Definition
	switch {
	case definition.Resources.Kind != "" && effect.Action == v1alpha1.ActionTransfer:
		return PhaseTransfer
	case definition.Resources.Kind != "":
		return PhaseChange
	case len(definition.Relations.Kinds) > 0:
		return PhaseRelations
	default:
		return PhaseMemberships
	}
}

// InOrder is a plan in the order in which it is worked off: by phase, then as the policy has it, except that what depends on
// the objects of another effect goes before it.
func InOrder(plan []v1alpha1.PlannedEffect) []v1alpha1.PlannedEffect {
	ordered := slices.Clone(plan)
	slices.SortStableFunc(ordered, func(a, b v1alpha1.PlannedEffect) int { return Phase(&a) - Phase(&b) })
	for i := range ordered {
		name := ordered[i].Definition.Resources.Reference.Effect
		base := slices.IndexFunc(ordered[:i], func(p v1alpha1.PlannedEffect) bool { return p.Effect == name && Phase(&p) == PhaseChange })
		if name == "" || base < 0 {
			continue
		}
		dependant := ordered[i]
		ordered = slices.Insert(slices.Delete(ordered, i, i+1), base, dependant)
	}
	return ordered
}

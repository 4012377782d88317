package lifecycle_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

const (
	isActive      = v1alpha1.StateActive
	isOnBreak     = v1alpha1.StateOnBreak
	isDeactivated = v1alpha1.StateDeactivated
	isSuspended   = v1alpha1.StateSuspended
	isExpired     = v1alpha1.StateExpired
	isRemoved     = v1alpha1.StateRemoved
)

// entry is one Transition of a user, by the state that it led to, and how its effects came out.
type entry struct {
	to v1alpha1.State

	// ledger lists the effects of the plan; how far each is by its name: "done", "half" or "untold".
	ledger map[string]string

	// complete is the reason of the condition; noted is that it is annotated as done.
	complete string
	noted    bool
}

func entered(states ...v1alpha1.State) []entry {
	entries := make([]entry, len(states))
	for i, state := range states {
		entries[i].to = state
	}
	return entries
}

// newestFirst is a history as Transitions. Entries are given in the order in which they happened.
func newestFirst(entries []entry) []*v1alpha1.Transition {
	var transitions []*v1alpha1.Transition
	for i, e := range slices.Backward(entries) {
		t := &v1alpha1.Transition{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("user.alice.%d", i+1)}, Spec: v1alpha1.TransitionSpec{To: e.to}}
		for name, progress := range e.ledger {
			t.Spec.Plan = append(t.Spec.Plan, v1alpha1.PlannedEffect{Effect: name, Targets: 2})
			switch progress {
			case "done":
				t.Status.Effects = append(t.Status.Effects, v1alpha1.EffectProgress{Name: name, Matched: 2, Done: 2})
			case "half":
				t.Status.Effects = append(t.Status.Effects, v1alpha1.EffectProgress{Name: name, Matched: 2, Done: 1})
			}
		}
		if e.complete != "" {
			t.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue, Reason: e.complete}}
		}
		if e.noted {
			t.Annotations = map[string]string{v1alpha1.AnnotationComplete: "2026-06-01T00:00:00Z"}
		}
		transitions = append(transitions, t)
	}
	return transitions
}

// departed is the departure to which a history has led.
func departed(entries ...entry) []*v1alpha1.Transition {
	return lifecycle.Departure(newestFirst(entries))
}

func namesOfTransitions(transitions []*v1alpha1.Transition) []string {
	var names []string
	for _, t := range transitions {
		names = append(names, t.Name)
	}
	return names
}

func TestDeparture(t *testing.T) {
	for name, test := range map[string]struct {
		entered []v1alpha1.State
		want    []string
	}{
		"no history":                       {},
		"with access":                      {entered: []v1alpha1.State{isActive}},
		"never with access":                {[]v1alpha1.State{v1alpha1.StatePending, isExpired}, []string{"user.alice.2", "user.alice.1"}},
		"since access was lost":            {[]v1alpha1.State{isActive, isDeactivated, isSuspended}, []string{"user.alice.3", "user.alice.2"}},
		"given back ends it":               {entered: []v1alpha1.State{isActive, isDeactivated, isActive}},
		"a break ends it: it gives access": {[]v1alpha1.State{isDeactivated, isOnBreak, isExpired}, []string{"user.alice.3"}},
		"Activated ends it":                {[]v1alpha1.State{isDeactivated, v1alpha1.StateActivated, isRemoved}, []string{"user.alice.3"}},
		"the last one only": {
			[]v1alpha1.State{isActive, isDeactivated, isActive, isSuspended, isRemoved}, []string{"user.alice.5", "user.alice.4"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := namesOfTransitions(lifecycle.Departure(newestFirst(entered(test.entered...))))
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("departure (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLatched(t *testing.T) {
	suspended, removed := v1alpha1.HoldUserSuspended, v1alpha1.HoldUserRemoved
	for name, test := range map[string]struct {
		to        v1alpha1.State
		departure []v1alpha1.State
		want      []string
	}{
		"a deactivation latches nothing": {to: isDeactivated, departure: []v1alpha1.State{isExpired}},
		"entering Suspended":             {to: isSuspended, want: []string{suspended}},
		"entering Removed":               {to: isRemoved, want: []string{removed}},
		"Suspended earlier":              {isDeactivated, []v1alpha1.State{isSuspended}, []string{suspended}},
		"Removed earlier":                {isActive, []v1alpha1.State{isRemoved}, []string{removed}},
		"both":                           {isRemoved, []v1alpha1.State{isSuspended}, []string{removed, suspended}},
		"of an earlier departure":        {isDeactivated, []v1alpha1.State{isSuspended, isActive}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := lifecycle.Latched(test.to, departed(entered(test.departure...)...))
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("holds (-want +got):\n%s", diff)
			}
		})
	}
}

// effect of a policy on resources, started by these states.
func effect(name string, states ...v1alpha1.State) v1alpha1.Effect {
	return v1alpha1.Effect{Name: name, On: states, Resources: v1alpha1.ResourcesEffect{Kind: "Opportunity", Action: "Delete"}}
}

func anonymizing(e v1alpha1.Effect, onReturn ...v1alpha1.AnonymizeOnReturn) v1alpha1.Effect {
	e.Resources.Action = "Anonymize"
	for i, choice := range onReturn {
		e.Resources.Fields = append(e.Resources.Fields, v1alpha1.AnonymizeField{Path: fmt.Sprintf("spec.field%d", i), OnReturn: choice})
	}
	return e
}

func ofTypes(e v1alpha1.Effect, userTypes ...string) v1alpha1.Effect {
	e.UserTypes = userTypes
	return e
}

func namesOfEffects(effects []v1alpha1.Effect) []string {
	var names []string
	for i := range effects {
		names = append(names, effects[i].Name)
	}
	return names
}

// TestEffectsOf enters a state once more, as an Employee.
func TestEffectsOf(t *testing.T) {
	one := func(e v1alpha1.Effect) []v1alpha1.Effect { return []v1alpha1.Effect{e} }
	onDeactivation := one(effect("leads", isDeactivated))
	onEither := one(effect("leads", isDeactivated, isSuspended))
	running := map[string]string{"leads": "half"}

	for name, test := range map[string]struct {
		effects []v1alpha1.Effect
		history []entry
		to      v1alpha1.State
		want    []string
	}{
		"its state is entered":                   {onDeactivation, entered(isActive), isDeactivated, []string{"leads"}},
		"another state is entered":               {onDeactivation, entered(isActive), isSuspended, nil},
		"Deactivated when none is named":         {one(effect("leads")), entered(isActive), isDeactivated, []string{"leads"}},
		"and no other":                           {one(effect("leads")), entered(isActive), isExpired, nil},
		"the name of the list without quotes":    {one(v1alpha1.Effect{Name: "leads", OnUnquoted: []v1alpha1.State{isExpired}}), entered(isActive), isExpired, []string{"leads"}},
		"a state with access":                    {one(effect("welcome", isActive)), entered(isActive, isDeactivated), isActive, []string{"welcome"}},
		"for this type of user":                  {one(ofTypes(effect("leads"), "Customer", "Employee")), entered(isActive), isDeactivated, []string{"leads"}},
		"for another type of user":               {one(ofTypes(effect("leads"), "Customer")), entered(isActive), isDeactivated, nil},
		"in the policy's order":                  {[]v1alpha1.Effect{effect("z"), effect("m", isExpired), effect("a")}, entered(isActive), isDeactivated, []string{"z", "a"}},
		"on the second entry of two of its own":  {onEither, entered(isActive, isSuspended), isDeactivated, nil},
		"on the first that is one of its states": {onEither, entered(isActive, isExpired), isSuspended, []string{"leads"}},

		// The examples of the documentation.
		"Active, Suspended, Deactivated runs once, on the third": {onDeactivation, entered(isActive, isSuspended), isDeactivated, []string{"leads"}},
		"Deactivated, Suspended, Deactivated does not run again": {onDeactivation, entered(isActive, isDeactivated, isSuspended), isDeactivated, nil},
		"deactivate, reactivate, deactivate is two departures":   {onDeactivation, entered(isActive, isDeactivated, isActive), isDeactivated, []string{"leads"}},
		"a break ends a departure, too":                          {onDeactivation, entered(isDeactivated, isOnBreak), isDeactivated, []string{"leads"}},
		"on Removed from Suspended":                              {one(effect("forget", isRemoved)), entered(isActive, isSuspended), isRemoved, []string{"forget"}},
		"on Removed from Deactivated":                            {one(effect("forget", isRemoved)), entered(isActive, isDeactivated), isRemoved, []string{"forget"}},
		"on Removed from Expired":                                {one(effect("forget", isRemoved)), entered(isExpired), isRemoved, []string{"forget"}},
		"on Removed from Pending":                                {one(effect("forget", isRemoved)), entered(v1alpha1.StatePending), isRemoved, []string{"forget"}},
		"a baseline had no effects, and no other turn comes":     {onDeactivation, entered(isDeactivated, isSuspended), isDeactivated, nil},

		// What was stopped half-way.
		"stopped before it was done":                  {onDeactivation, []entry{{to: isDeactivated, ledger: running, complete: v1alpha1.ReasonSuperseded}, {to: isSuspended}}, isDeactivated, []string{"leads"}},
		"done before the rest was stopped":            {onDeactivation, []entry{{to: isDeactivated, ledger: map[string]string{"leads": "done", "other": "half"}, complete: v1alpha1.ReasonSuperseded}, {to: isSuspended}}, isDeactivated, nil},
		"stopped before the ledger told of it":        {onDeactivation, []entry{{to: isDeactivated, ledger: map[string]string{"leads": "untold"}}, {to: isSuspended}}, isDeactivated, []string{"leads"}},
		"only just being overtaken":                   {onEither, []entry{{to: isDeactivated, ledger: running}}, isSuspended, []string{"leads"}},
		"another one was stopped":                     {onDeactivation, []entry{{to: isDeactivated, ledger: map[string]string{"other": "half"}, complete: v1alpha1.ReasonSuperseded}, {to: isSuspended}}, isDeactivated, nil},
		"stopped, and done at the second turn":        {onDeactivation, []entry{{to: isDeactivated, ledger: running, complete: v1alpha1.ReasonSuperseded}, {to: isSuspended}, {to: isDeactivated, ledger: map[string]string{"leads": "done"}, complete: v1alpha1.ReasonDone}, {to: isExpired}}, isDeactivated, nil},
		"done, with targets that others have changed": {onDeactivation, []entry{{to: isDeactivated, ledger: running, complete: v1alpha1.ReasonDone}, {to: isSuspended}}, isDeactivated, nil},
		"done, and the ledger is lost":                {onDeactivation, []entry{{to: isDeactivated, ledger: map[string]string{"leads": "untold"}, noted: true}, {to: isSuspended}}, isDeactivated, nil},
	} {
		t.Run(name, func(t *testing.T) {
			change := &lifecycle.Change{From: test.history[len(test.history)-1].to, To: test.to}
			got := namesOfEffects(lifecycle.EffectsOf(test.effects, "Employee", change, departed(test.history...)))
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
		})
	}
}

// TestABaselineHasNoEffects: what was there before the operator is nobody's change.
func TestABaselineHasNoEffects(t *testing.T) {
	for _, state := range []v1alpha1.State{isDeactivated, isRemoved, isActive} {
		change := &lifecycle.Change{To: state}
		if got := lifecycle.EffectsOf([]v1alpha1.Effect{effect("leads", state)}, "", change, nil); got != nil {
			t.Errorf("a baseline of %s starts %v", state, namesOfEffects(got))
		}
	}
}

// TestADeletionTakesTheLinksOut that an earlier removal left, of each kind once, and starts nothing again.
func TestADeletionTakesTheLinksOut(t *testing.T) {
	effects := []v1alpha1.Effect{
		effect("tasks", isRemoved),
		anonymizing(effect("comments", isRemoved), v1alpha1.OnReturnRelink),
		anonymizing(effect("notes", isDeactivated), v1alpha1.OnReturnKeep),
		{Name: "teams", On: []v1alpha1.State{isRemoved}, Memberships: v1alpha1.MembershipsEffect{Action: "Remove"}},
	}
	removed := departed(entered(isActive, isRemoved)...)
	deletion := v1alpha1.TransitionCause{Type: v1alpha1.TransitionDeleted}
	for name, test := range map[string]struct {
		change    lifecycle.Change
		departure []*v1alpha1.Transition
		want      []string
		unlinks   []string
	}{
		"deleted after a removal":        {lifecycle.Change{From: isRemoved, To: isRemoved, Cause: deletion}, removed, nil, []string{"comments"}},
		"deleted at once":                {lifecycle.Change{From: isActive, To: isRemoved, Cause: deletion}, nil, []string{"tasks", "comments", "teams"}, []string{"comments"}},
		"removed again, and no deletion": {lifecycle.Change{From: isSuspended, To: isRemoved}, departed(entered(isRemoved, isSuspended)...), nil, nil},
		"deleted when first seen":        {lifecycle.Change{To: isRemoved, Cause: deletion}, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			unlinks := namesOfEffects(lifecycle.Unlinks(effects, &test.change))
			if diff := cmp.Diff(test.unlinks, unlinks, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("unlinks (-want +got):\n%s", diff)
			}
			got := namesOfEffects(lifecycle.EffectsOf(effects, "", &test.change, test.departure))
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRelinks(t *testing.T) {
	effects := []v1alpha1.Effect{
		effect("tasks", isRemoved),
		anonymizing(effect("comments", isRemoved), v1alpha1.OnReturnKeep, v1alpha1.OnReturnRelink),
		anonymizing(effect("notes", isRemoved), v1alpha1.OnReturnKeep),
		anonymizing(effect("posts", isRemoved), v1alpha1.OnReturnRelink),
	}
	for name, test := range map[string]struct {
		entered []v1alpha1.State
		to      v1alpha1.State
		want    []string
	}{
		"back from Removed":                 {[]v1alpha1.State{isActive, isRemoved}, isActive, []string{"comments", "posts"}},
		"on a break, which is back, too":    {[]v1alpha1.State{isRemoved}, isOnBreak, []string{"comments", "posts"}},
		"back by way of another state":      {[]v1alpha1.State{isRemoved, isSuspended, isExpired}, v1alpha1.StateActivated, []string{"comments", "posts"}},
		"not back yet":                      {[]v1alpha1.State{isActive, isRemoved}, isSuspended, nil},
		"back from another state":           {[]v1alpha1.State{isActive, isDeactivated}, isActive, nil},
		"removed in an earlier departure":   {[]v1alpha1.State{isRemoved, isActive, isDeactivated}, isActive, []string{"comments", "posts"}},
		"a first decision links to nothing": {nil, isActive, nil},
	} {
		t.Run(name, func(t *testing.T) {
			change := &lifecycle.Change{To: test.to}
			if len(test.entered) > 0 {
				change.From = test.entered[len(test.entered)-1]
			}
			before := slices.Clone(effects)
			got := namesOfEffects(lifecycle.Relinks(effects, change, newestFirst(entered(test.entered...))))
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, effects); diff != "" {
				t.Errorf("the policy's own list was changed:\n%s", diff)
			}
		})
	}
}

func TestPhase(t *testing.T) {
	resources := func(action v1alpha1.EffectAction) v1alpha1.PlannedEffect {
		return v1alpha1.PlannedEffect{Action: action, Definition: v1alpha1.Effect{Resources: v1alpha1.ResourcesEffect{Kind: "Task"}}}
	}
	relations := v1alpha1.Effect{Relations: v1alpha1.RelationsEffect{Kinds: []v1alpha1.Relation{v1alpha1.RelationLeader}}}
	for name, test := range map[string]struct {
		effect v1alpha1.PlannedEffect
		want   int
	}{
		"transfer":                    {resources(v1alpha1.ActionTransfer), lifecycle.PhaseTransfer},
		"patch":                       {resources(v1alpha1.ActionPatch), lifecycle.PhaseChange},
		"delete":                      {resources(v1alpha1.ActionDelete), lifecycle.PhaseChange},
		"unassign":                    {resources(v1alpha1.ActionUnassign), lifecycle.PhaseChange},
		"anonymize":                   {resources(v1alpha1.ActionAnonymize), lifecycle.PhaseChange},
		"relink":                      {resources(v1alpha1.ActionRelink), lifecycle.PhaseChange},
		"keep":                        {resources(v1alpha1.ActionKeep), lifecycle.PhaseChange},
		"a relation is transferred":   {v1alpha1.PlannedEffect{Action: v1alpha1.ActionTransfer, Definition: relations}, lifecycle.PhaseRelations},
		"a relation is left open":     {v1alpha1.PlannedEffect{Action: v1alpha1.ActionUnassign, Definition: relations}, lifecycle.PhaseRelations},
		"memberships":                 {v1alpha1.PlannedEffect{Action: v1alpha1.ActionRemove}, lifecycle.PhaseMemberships},
		"the operator's own holds":    {v1alpha1.PlannedEffect{Effect: v1alpha1.HoldUserSuspended, Action: v1alpha1.ActionDeactivate}, lifecycle.PhaseMemberships},
		"memberships that stay there": {v1alpha1.PlannedEffect{Action: v1alpha1.ActionKeep}, lifecycle.PhaseMemberships},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lifecycle.Phase(&test.effect); got != test.want {
				t.Errorf("phase is %d, want %d", got, test.want)
			}
		})
	}
	if !slices.IsSorted([]int{lifecycle.PhaseTransfer, lifecycle.PhaseChange, lifecycle.PhaseRelations, lifecycle.PhaseMemberships}) {
		t.Error("the phases are not in the order in which they have their turns")
	}
}

// planned is an effect of a plan: on resources, of an earlier effect's where base is given.
func planned(name string, action v1alpha1.EffectAction, base string) v1alpha1.PlannedEffect {
	p := v1alpha1.PlannedEffect{Effect: name, Action: action, Definition: v1alpha1.Effect{Name: name}}
	p.Definition.Resources.Kind = "Thing"
	p.Definition.Resources.Reference.Effect = base
	return p
}

func namesOfPlan(plan []v1alpha1.PlannedEffect) []string {
	names := make([]string, len(plan))
	for i := range plan {
		names[i] = plan[i].Effect
	}
	return names
}

func TestInOrder(t *testing.T) {
	del, move := v1alpha1.ActionDelete, v1alpha1.ActionTransfer
	leads := v1alpha1.PlannedEffect{Effect: "leads", Definition: v1alpha1.Effect{Relations: v1alpha1.RelationsEffect{Kinds: []v1alpha1.Relation{v1alpha1.RelationLeader}}}}
	teams := v1alpha1.PlannedEffect{Effect: "teams", Definition: v1alpha1.Effect{Memberships: v1alpha1.MembershipsEffect{Action: "Remove"}}}
	for name, test := range map[string]struct {
		plan []v1alpha1.PlannedEffect
		want []string
	}{
		"nothing":      {},
		"by phase":     {[]v1alpha1.PlannedEffect{teams, leads, planned("tasks", del, ""), planned("deals", move, "")}, []string{"deals", "tasks", "leads", "teams"}},
		"as declared":  {[]v1alpha1.PlannedEffect{planned("z", del, ""), planned("m", del, ""), planned("a", del, "")}, []string{"z", "m", "a"}},
		"key results":  {[]v1alpha1.PlannedEffect{planned("objectives", del, ""), planned("tasks", del, ""), planned("key-results", del, "objectives")}, []string{"key-results", "objectives", "tasks"}},
		"two of them":  {[]v1alpha1.PlannedEffect{planned("base", del, ""), planned("one", del, "base"), planned("two", del, "base")}, []string{"one", "two", "base"}},
		"of dependant": {[]v1alpha1.PlannedEffect{planned("base", del, ""), planned("one", del, "base"), planned("deep", del, "one")}, []string{"deep", "one", "base"}},
		"the base is transferred first": {
			[]v1alpha1.PlannedEffect{planned("base", move, ""), planned("one", del, "base")}, []string{"base", "one"},
		},
		"the base is not in this plan": {[]v1alpha1.PlannedEffect{planned("other", del, ""), planned("one", del, "base")}, []string{"other", "one"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, namesOfPlan(lifecycle.InOrder(test.plan)), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
		})
	}
}

// plans are all that a policy may declare: a reference names an earlier effect on resources, and is not transferred.
var plans = rapid.Custom(func(t *rapid.T) []v1alpha1.PlannedEffect {
	var plan []v1alpha1.PlannedEffect
	for i := range rapid.IntRange(0, 24).Draw(t, "effects") {
		name := fmt.Sprintf("effect-%d", i)
		switch rapid.SampledFrom([]string{"transfer", "change", "dependant", "relations", "memberships"}).Draw(t, "what") {
		case "transfer":
			plan = append(plan, planned(name, v1alpha1.ActionTransfer, ""))
		case "change":
			plan = append(plan, planned(name, v1alpha1.ActionDelete, ""))
		case "dependant":
			base := ""
			if bases := slices.DeleteFunc(slices.Clone(plan), func(p v1alpha1.PlannedEffect) bool { return p.Definition.Resources.Kind == "" }); len(bases) > 0 {
				base = rapid.SampledFrom(bases).Draw(t, "base").Effect
			}
			plan = append(plan, planned(name, v1alpha1.ActionDelete, base))
		case "relations":
			plan = append(plan, v1alpha1.PlannedEffect{Effect: name, Definition: v1alpha1.Effect{Relations: v1alpha1.RelationsEffect{Kinds: []v1alpha1.Relation{v1alpha1.RelationCoach}}}})
		default:
			plan = append(plan, v1alpha1.PlannedEffect{Effect: name})
		}
	}
	return plan
})

// worked is the order as the documentation has it, found in another way: phase by phase down the policy, and before each
// effect what depends on it.
func worked(plan []v1alpha1.PlannedEffect) []string {
	phase := map[string]int{}
	for i := range plan {
		phase[plan[i].Effect] = lifecycle.Phase(&plan[i])
	}
	order := []string{}
	var visit func(p *v1alpha1.PlannedEffect)
	visit = func(p *v1alpha1.PlannedEffect) {
		for i := range plan {
			if plan[i].Definition.Resources.Reference.Effect == p.Effect && phase[p.Effect] == lifecycle.PhaseChange {
				visit(&plan[i])
			}
		}
		order = append(order, p.Effect)
	}
	for turn := lifecycle.PhaseTransfer; turn <= lifecycle.PhaseMemberships; turn++ {
		for i := range plan {
			base, depends := phase[plan[i].Definition.Resources.Reference.Effect]
			if phase[plan[i].Effect] == turn && (!depends || base != lifecycle.PhaseChange) {
				visit(&plan[i])
			}
		}
	}
	return order
}

func TestInOrderIsTheOrderOfWork(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := plans.Draw(t, "plan")
		before := slices.Clone(plan)
		ordered := lifecycle.InOrder(plan)
		if diff := cmp.Diff(worked(plan), namesOfPlan(ordered)); diff != "" {
			t.Fatalf("order (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, plan); diff != "" {
			t.Fatalf("the plan was changed:\n%s", diff)
		}
		if diff := cmp.Diff(ordered, lifecycle.InOrder(ordered)); diff != "" {
			t.Fatalf("what is in order is put into another:\n%s", diff)
		}
	})
}

var userStates = []v1alpha1.State{
	v1alpha1.StatePending, v1alpha1.StateActivated, isActive, isOnBreak, isDeactivated, isExpired, isSuspended, isRemoved,
}

// TestEachEffectRunsOncePerDeparture walks through random states with random effects that are all done when the next state
// is entered, and counts.
func TestEachEffectRunsOncePerDeparture(t *testing.T) {
	states := rapid.SampledFrom(userStates)
	rapid.Check(t, func(t *rapid.T) {
		var effects []v1alpha1.Effect
		for i := range rapid.IntRange(1, 3).Draw(t, "effects") {
			effects = append(effects, effect(fmt.Sprintf("effect-%d", i), rapid.SliceOfNDistinct(states, 0, 4, rapid.ID).Draw(t, "on")...))
		}
		done := map[string]bool{} // in this departure
		past := entered(isActive)
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			from := past[len(past)-1].to
			to := states.Filter(func(s v1alpha1.State) bool { return !lifecycle.Same(s, from) }).Draw(t, "to")
			if lifecycle.AccessOf(from) == v1alpha1.AccessGranted {
				clear(done)
			}
			var want []string
			for i := range effects {
				if name := effects[i].Name; slices.Contains(effects[i].States(), to) && !done[name] {
					want = append(want, name)
				}
			}
			got := namesOfEffects(lifecycle.EffectsOf(effects, "", &lifecycle.Change{From: from, To: to}, departed(past...)))
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("from %s to %s after %v (-want +got):\n%s", from, to, past, diff)
			}
			now := entry{to: to, complete: v1alpha1.ReasonDone, ledger: map[string]string{}}
			for _, name := range got {
				done[name], now.ledger[name] = true, "done"
			}
			past = append(past, now)
		}
	})
}

// TestAStoppedEffectIsNotLost overtakes an effect at random: it has its turn again whenever its state is entered, until it
// is done.
func TestAStoppedEffectIsNotLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		effects := []v1alpha1.Effect{effect("leads", isDeactivated, isExpired)}
		past, done := entered(isActive), false
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			to := rapid.SampledFrom([]v1alpha1.State{isDeactivated, isExpired, isSuspended, isRemoved}).Draw(t, "to")
			got := lifecycle.EffectsOf(effects, "", &lifecycle.Change{From: past[len(past)-1].to, To: to}, departed(past...))
			if due := !done && slices.Contains(effects[0].On, to); due != (len(got) == 1) {
				t.Fatalf("to %s after %v: starts %v, want it to start: %t", to, past, namesOfEffects(got), due)
			}
			now := entry{to: to}
			if len(got) > 0 {
				progress := rapid.SampledFrom([]string{"done", "half", "untold"}).Draw(t, "came to")
				done = progress == "done"
				now.ledger, now.complete = map[string]string{"leads": progress}, v1alpha1.ReasonSuperseded
			}
			past = append(past, now)
		}
	})
}

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"tenure.dev/tenure/api/v1alpha1"
)

// typeOf is the type of work that each effect is about.
var typeOf = map[string]string{"tasks": "task", "files": "file", "cards": "card", "posts": "post", "notes": "note"}

// enters are the states in which each effect runs.
var enters = map[string][]v1alpha1.State{
	"tasks": {v1alpha1.StateDeactivated}, "files": {v1alpha1.StateDeactivated, v1alpha1.StateSuspended}, "cards": {v1alpha1.StateExpired, v1alpha1.StateSuspended},
	"posts": {v1alpha1.StateRemoved}, "teams": {v1alpha1.StateDeactivated}, "leads": {v1alpha1.StateDeactivated, v1alpha1.StateExpired, v1alpha1.StateSuspended},
}

func planned(t *v1alpha1.Transition, effect string) *v1alpha1.PlannedEffect {
	for i := range t.Spec.Plan {
		if t.Spec.Plan[i].Effect == effect {
			return &t.Spec.Plan[i]
		}
	}
	return nil
}

func condition(t *v1alpha1.Transition) metav1.Condition {
	if c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionComplete); c != nil {
		return *c
	}
	return metav1.Condition{}
}

func complete(t *v1alpha1.Transition) bool {
	return len(t.Spec.Plan) == 0 || condition(t).Status == metav1.ConditionTrue
}

func done(t *v1alpha1.Transition) bool {
	return len(t.Spec.Plan) == 0 || condition(t).Status == metav1.ConditionTrue && condition(t).Reason == v1alpha1.ReasonDone
}

// doneAt is when the ledger of a Transition was found complete.
func doneAt(t *v1alpha1.Transition) time.Time {
	if len(t.Spec.Plan) == 0 {
		return t.CreationTimestamp.Time
	}
	return condition(t).LastTransitionTime.Time
}

// waitsForGuard tells whether a cascade waits because a role of a group lacks holders.
func (b *book) waitsForGuard(t *v1alpha1.Transition) bool {
	c := condition(t)
	return c.Status == metav1.ConditionFalse && c.Reason == v1alpha1.ReasonLastRoleHolder
}

func progress(t *v1alpha1.Transition) string {
	if len(t.Spec.Plan) == 0 {
		return ""
	}
	var plan []string
	for i := range t.Spec.Plan {
		plan = append(plan, t.Spec.Plan[i].Effect)
	}
	c := condition(t)
	return fmt.Sprintf("[%s %s %s since %s, %s: %s]", t.Status.Progress, c.Status, c.Reason, clock(c.LastTransitionTime.Time), strings.Join(plan, "+"), shorten(c.Message))
}

// compareWork sees that each piece of work was changed only by whom the operations and the records name, once each, and that
// what the records planned was done.
func (b *book) compareWork(p *point) {
	for key, track := range b.seen.of(works) {
		b.compareVersions(p, works+"/"+key.Name, track)
	}
	for name, last := range b.model.works {
		o := b.seen.now(works, name)
		if o != nil && o.GetAnnotations()[operationOf] != last {
			p.find(lost, works+"/"+name, "the last operation was %s and it shows %s", last, o.GetAnnotations()[operationOf])
		}
		if o == nil {
			delete(b.model.works, name)
		}
	}
	for _, subject := range sortedKeys(b.all) {
		if strings.HasPrefix(subject, users) {
			b.compareCascades(p, subject)
		}
	}
}

// compareVersions explains each version of a piece of work by an operation or by an effect.
func (b *book) compareVersions(p *point, subject string, track []seen) {
	for i := 1; i < len(track); i++ {
		was, is := track[i-1].object.(*unstructured.Unstructured), track[i].object.(*unstructured.Unstructured)
		switch {
		case track[i].missed:
		case track[i].gone:
			b.compareEnd(p, subject, was)
		case was.GetUID() != is.GetUID():
		case was.GetAnnotations()[operationOf] != is.GetAnnotations()[operationOf]:
		default:
			if problem := b.unaccounted(was, is); problem != "" {
				kind := wrong
				if strings.Contains(problem, "again") || strings.Contains(problem, "twice") {
					kind = doubled
				}
				p.find(kind, subject, "%s: %v became %v", problem, was.Object["spec"], is.Object["spec"])
			}
		}
	}
}

func (b *book) compareEnd(p *point, subject string, was *unstructured.Unstructured) {
	_, name, _ := strings.Cut(subject, "/")
	if slices.ContainsFunc(b.model.recent, func(o *operation) bool { return o.subject == subject && o.what == "deleted" && o.outcome == accepted }) {
		return
	}
	if last, there := b.model.works[name]; !there || last == "" {
		return
	}
	for _, t := range b.all[users+"/"+ownerOf(was)] {
		if e := planned(t, "notes"); e != nil && typeIs(was, "note") && e.Action == v1alpha1.ActionDelete {
			return
		}
	}
	p.find(wrong, subject, "it was deleted by nobody: %v", was.Object["spec"])
}

func ownerOf(work *unstructured.Unstructured) string {
	name, _, _ := unstructured.NestedString(work.Object, "spec", "owner")
	return name
}

func typeIs(work *unstructured.Unstructured, kind string) bool {
	is, _, _ := unstructured.NestedString(work.Object, "spec", "type")
	return is == kind
}

// marks are what an object says about which Transition has changed it, by which effects.
func marks(work *unstructured.Unstructured) (uid string, by []string) {
	uid, list, _ := strings.Cut(work.GetAnnotations()[v1alpha1.AnnotationEffects], ":")
	if list != "" {
		by = strings.Split(list, ",")
	}
	return uid, by
}

// touch is what an effect of a Transition has done to an object.
type touch struct {
	transition *v1alpha1.Transition
	effect     string
}

// touchedBefore is the earlier Transition of the same departure whose effect of that name has changed the object; nil where there
// is none.
func (b *book) touchedBefore(work string, t *v1alpha1.Transition, effect string) *v1alpha1.Transition {
	for _, earlier := range b.touches[work] {
		if earlier.effect == effect && earlier.transition.UID != t.UID && earlier.transition.Spec.Subject.UID == t.Spec.Subject.UID && b.oneDeparture(earlier.transition, t) {
			return earlier.transition
		}
	}
	return nil
}

// oneDeparture tells whether access was not given back between two Transitions of a user.
func (b *book) oneDeparture(one, other *v1alpha1.Transition) bool {
	// What is compared again, because counts were late, has its touches in another order.
	first, last := min(recordOf(one).number, recordOf(other).number), max(recordOf(one).number, recordOf(other).number)
	for _, t := range b.all[users+"/"+one.Spec.Subject.Name] {
		if n := recordOf(t).number; n > first && n < last && gives(t.Spec.To) {
			return false
		}
	}
	return true
}

// unaccounted says what is wrong with a change that no operation made.
func (b *book) unaccounted(was, is *unstructured.Unstructured) string {
	uid, by := marks(is)
	wasUID, wasBy := marks(was)
	t := b.known[uid]
	if t == nil {
		return "nobody accounts for a change"
	}
	if uid == wasUID && len(by) == len(wasBy) {
		if planned(t, "tasks") != nil && typeIs(is, "task") {
			return "" // It was handed on from a receiver who could not keep it.
		}
		return "it was changed twice by " + t.Name
	}
	effect := by[len(by)-1]
	if strings.HasPrefix(effect, "unlink:") {
		return ""
	}
	if planned(t, effect) == nil || !typeIs(was, typeOf[effect]) || ownerOf(was) != t.Spec.Subject.Name {
		return "effect " + effect + " of " + t.Name + " is not about it"
	}
	if before := b.touchedBefore(string(is.GetUID()), t, effect); before != nil {
		return fmt.Sprintf("effect %s has changed it for %s, and again for %s in the same departure", effect, before.Name, t.Name)
	}
	b.touches[string(is.GetUID())] = append(b.touches[string(is.GetUID())], touch{t, effect})
	switch effect {
	case "tasks":
		if receiver := ownerOf(is); receiver == t.Spec.Subject.Name || receiver == "" {
			return "it was handed over to " + receiver
		}
	case "files":
		if ownerOf(is) != "" {
			return "it is still assigned"
		}
	case "posts":
		if ownerOf(is) != "Removed User" {
			return "it is not anonymous"
		}
	case "cards":
		if archived, _, _ := unstructured.NestedString(is.Object, "spec", "archived"); !strings.HasPrefix(archived, "by edit ") {
			return "it is not archived"
		}
	}
	return ""
}

// compareCascades sees that the effects of a user's records are those that the policy has for them, and that they were done.
func (b *book) compareCascades(p *point, subject string) {
	all := b.all[subject]
	for i := min(b.numbers[subject], len(all)); i < len(all); i++ {
		t := all[i]
		b.comparePlan(p, subject, all[:i], t)
		if done(t) {
			b.compareTargets(p, t)
		} else if complete(t) && i == len(all)-1 && condition(t).Reason == v1alpha1.ReasonSuperseded {
			p.find(wrong, subject, "%s is superseded, and nothing followed", t.Name)
		}
	}
}

// comparePlan sees that an effect runs with the first record of a departure that enters one of its states, and no other.
func (b *book) comparePlan(p *point, subject string, past []*v1alpha1.Transition, t *v1alpha1.Transition) {
	for effect, states := range enters {
		ran, maybe := false, false
		for _, earlier := range slices.Backward(past) {
			if earlier.Spec.Subject.UID != t.Spec.Subject.UID || gives(earlier.Spec.To) {
				break
			}
			if slices.Contains(states, earlier.Spec.To) {
				// One that was not done when the next was decided about was stopped half-way, and may go on there.
				ran = ran || done(earlier) && planned(earlier, effect) != nil && doneAt(earlier).Before(t.CreationTimestamp.Add(-2*time.Second))
				maybe = true
			}
		}
		must := t.Spec.From != "" && slices.Contains(states, t.Spec.To)
		switch has := planned(t, effect) != nil; {
		case has && (!must || ran):
			p.find(doubled, subject, "%s runs effect %s, which is not due", t.Name, effect)
		case !has && must && !maybe:
			p.find(lost, subject, "%s does not run effect %s", t.Name, effect)
		}
	}
}

// compareTargets sees that every object which a done record was about shows it.
func (b *book) compareTargets(p *point, t *v1alpha1.Transition) {
	for key, track := range b.seen.of(works) {
		at := -1
		for i, v := range track {
			if v.revision < b.born[string(t.UID)] {
				at = i
			}
		}
		// What was declared a moment ago may not have come through the operator's watch.
		if at < 0 || track[at].gone || b.knownBy(track[at].at).After(t.CreationTimestamp.Add(-time.Second)) {
			continue
		}
		was := track[at].object.(*unstructured.Unstructured)
		for effect, kind := range typeOf {
			if planned(t, effect) == nil || !typeIs(was, kind) || ownerOf(was) != t.Spec.Subject.Name {
				continue
			}
			if !touched(was, track[at+1:], string(t.UID), effect) {
				p.find(lost, works+"/"+key.Name, "%s is done, and effect %s has left this as it was since %s: %v. %s %s",
					t.Name, effect, track[at].at.UTC().Format("15:04:05.000"), was.Object["spec"], recordOf(t), progress(t))
			}
		}
	}
}

// touched tells whether a later version shows an effect, or somebody else was faster.
func touched(was *unstructured.Unstructured, later []seen, uid, effect string) bool {
	for _, v := range later {
		if v.gone || v.missed {
			return true
		}
		work := v.object.(*unstructured.Unstructured)
		if by, effects := marks(work); by == uid && slices.Contains(effects, effect) {
			return true
		}
		if work.GetAnnotations()[operationOf] != was.GetAnnotations()[operationOf] {
			return true
		}
	}
	return false
}

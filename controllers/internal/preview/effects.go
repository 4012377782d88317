package preview

import (
	"fmt"
	"slices"
	"strings"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/summary"
)

// unknown is how many targets an effect has whose objects could not be listed.
const unknown = "a number not known yet"

// longestName is how many bytes names have in a line that would be too long with all of them.
const longestName = 18

// inOrder are the effects that find something, or may: first those that have a problem, then as they are worked off, and last
// what is kept.
func inOrder(plan []v1alpha1.PlannedEffect) []v1alpha1.PlannedEffect {
	plan = slices.DeleteFunc(lifecycle.InOrder(plan), func(e v1alpha1.PlannedEffect) bool { return e.Targets == 0 && known(&e) })
	slices.SortStableFunc(plan, func(a, b v1alpha1.PlannedEffect) int { return urgency(&a) - urgency(&b) })
	return plan
}

func urgency(effect *v1alpha1.PlannedEffect) int {
	switch {
	case stuck(effect):
		return 0
	case effect.Action == v1alpha1.ActionKeep:
		return 2
	default:
		return 1
	}
}

// stuck tells whether nobody can receive what an effect transfers.
func stuck(effect *v1alpha1.PlannedEffect) bool {
	return effect.Action == v1alpha1.ActionTransfer && effect.Successor == ""
}

// totals of a plan. Those of what is kept are apart: nothing happens to it.
type totals struct {
	effects, objects, kept int64
	more                   bool // than are known
}

func sum(plan []v1alpha1.PlannedEffect) totals {
	var all totals
	for i := range plan {
		if plan[i].Action == v1alpha1.ActionKeep {
			all.kept += int64(plan[i].Targets)
			continue
		}
		all.effects++
		all.objects += int64(plan[i].Targets)
		all.more = all.more || !known(&plan[i])
	}
	return all
}

// String says them: "4 effects on 17 objects".
func (t totals) String() string {
	text := counted(t.effects, "effect", "effects") + " on "
	switch {
	case t.more && t.objects == 0:
		return text + "a number of objects not known yet"
	case t.more:
		return text + counted(t.objects, "object", "objects") + " and " + unknown
	default:
		return text + counted(t.objects, "object", "objects")
	}
}

// irreversible is what nobody can bring back. What was transferred, unassigned or patched can be declared anew.
func (p *Preview) irreversible(n *news, plan []v1alpha1.PlannedEffect) []string {
	var clauses []string
	if p.Deleted && p.Kind == v1alpha1.SubjectUser {
		clauses = append(clauses, "the account ends")
	}
	var things []string
	counts, open := map[string]int64{}, map[string]bool{}
	for i := range plan {
		effect := &plan[i]
		verb := p.undoing(n, effect)
		if verb == "" {
			continue
		}
		thing := plain(effect.Kind) + " " + verb
		if !slices.Contains(things, thing) {
			things = append(things, thing)
		}
		counts[thing] += int64(effect.Targets)
		open[thing] = open[thing] || !known(effect)
	}
	for _, thing := range things {
		clauses = append(clauses, destroyed(thing, counts[thing], open[thing]))
	}
	return clauses
}

// undoing is how an effect does what cannot be undone; empty for one that does not. What is anonymised after a removal can be
// linked again when the account returns, where all of the effect's fields say so.
func (p *Preview) undoing(n *news, effect *v1alpha1.PlannedEffect) string {
	switch {
	case effect.Action == v1alpha1.ActionDelete:
		return "deleted"
	case effect.Action == v1alpha1.ActionUnlink:
		return "unlinked"
	case effect.Action == v1alpha1.ActionAnonymize && !p.relinks(n, effect):
		return "anonymized"
	default:
		return ""
	}
}

func (p *Preview) relinks(n *news, effect *v1alpha1.PlannedEffect) bool {
	if p.Deleted || n.to.State != v1alpha1.StateRemoved {
		return false
	}
	fields := effect.Definition.Resources.Fields
	forGood := func(f v1alpha1.AnonymizeField) bool { return f.OnReturn != v1alpha1.OnReturnRelink }
	return len(fields) > 0 && !slices.ContainsFunc(fields, forGood)
}

func destroyed(thing string, count int64, more bool) string {
	switch {
	case more && count == 0:
		return thing + " (" + unknown + ")"
	case more:
		return fmt.Sprintf("%d %s (and %s)", count, thing, unknown)
	default:
		return fmt.Sprintf("%d %s", count, thing)
	}
}

// effects are the lines about a plan, in at most so many lines. What finds no room is counted.
func effects(margin string, plan []v1alpha1.PlannedEffect, most int) []string {
	shown := len(plan)
	if shown > most {
		shown = max(0, most-1)
	}
	var lines []string
	for i := range plan[:shown] {
		lines = append(lines, line(margin, &plan[i]))
	}
	if rest := plan[shown:]; len(rest) > 0 {
		lines = append(lines, shorten(margin+remaining(rest), longestLine))
	}
	return lines
}

// remaining counts the effects that have no line of their own, and says where to find them.
func remaining(rest []v1alpha1.PlannedEffect) string {
	var objects int64
	for i := range rest {
		objects += int64(rest[i].Targets)
	}
	text := fmt.Sprintf("and %d more on %s", len(rest), counted(objects, "object", "objects"))
	if slices.ContainsFunc(rest, func(e v1alpha1.PlannedEffect) bool { return !known(&e) }) {
		text += " or more"
	}
	return fmt.Sprintf("%s; all: dry run with %s: %s", text, v1alpha1.AnnotationPreview, v1alpha1.PreviewFull)
}

// line is about one effect: "deals: Transfer 12 Deal to bob". Where it is too long, names are cut first.
func line(margin string, effect *v1alpha1.PlannedEffect) string {
	full := margin + sentence(effect, func(name string) string { return name })
	if len(full) <= longestLine {
		return full
	}
	return shorten(margin+sentence(effect, func(name string) string { return shorten(name, longestName) }), longestLine)
}

func sentence(effect *v1alpha1.PlannedEffect, fit func(string) string) string {
	name, things := fit(plain(effect.Effect)), fit(things(effect))
	text := fmt.Sprintf("%s: %s %d %s", name, effect.Action, effect.Targets, things)
	if !known(effect) {
		text = fmt.Sprintf("%s: %s %s (%s)", name, effect.Action, things, unknown)
	}
	switch {
	case stuck(effect):
		return text + " to nobody: " + nobody(effect)
	case effect.Successor != "":
		return text + " to " + fit(plain(effect.Successor))
	default:
		return text
	}
}

// things are what an effect is about: objects by their kind, relations by theirs.
func things(effect *v1alpha1.PlannedEffect) string {
	if len(effect.Definition.Relations.Kinds) == 0 {
		return plain(effect.Kind)
	}
	relations := "relations"
	if effect.Targets == 1 {
		relations = "relation"
	}
	return plain(strings.ReplaceAll(effect.Kind, ",", "/")) + " " + relations
}

// nobody says why nobody can receive what an effect transfers.
func nobody(effect *v1alpha1.PlannedEffect) string {
	var ways []string
	for _, way := range slices.Concat(effect.Definition.Resources.Successors, effect.Definition.Relations.Successors) {
		ways = append(ways, string(way))
	}
	switch {
	case len(effect.Candidates) == 1:
		return plain(effect.Candidates[0]) + " has no access"
	case len(effect.Candidates) > 1:
		return plain(summary.Listed(effect.Candidates, mostNamed)) + " have no access"
	case len(ways) == 1:
		return ways[0] + " leads to no other user"
	default:
		return summary.Listed(ways, mostNamed) + " lead to no other user"
	}
}

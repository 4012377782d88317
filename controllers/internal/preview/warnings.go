package preview

import (
	"fmt"
	"slices"
	"strings"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/summary"
)

// Warnings are what whoever makes the change has to know, the totals first: at most ten lines of at most 120 bytes. Without a
// change of state there are none. Each line begins with its subject, because kubectl prints a line only once for all that it
// applies, and all words of the operator's own are ASCII, because not every client reads headers as UTF-8.
func (p *Preview) Warnings() []string {
	if !p.Changes() {
		return nil
	}
	n, plan := p.news(), inOrder(p.Plan)
	short := shorten(plain(p.Name), longestMargin)
	margin := short + ": "
	// One line for a long name, three, one, one and three, of which a confirmation takes one, leave one at least for the effects.
	var head []string
	if short != plain(p.Name) {
		head = append(head, shorten(fmt.Sprintf("%s %s:", p.Kind, plain(p.Name)), longestLine))
	}
	head = append(head, pack(margin, "; ", 3, p.headline(&n, plan))...)
	head = append(head, pack(margin+"cannot be undone: ", ", ", 1, p.irreversible(&n, plan))...)
	tail := pack(margin+"then: ", ", ", 1, following(n.then))
	room, confirm := 3, []string(nil)
	if p.Confirm {
		room, confirm = 2, []string{fmt.Sprintf("%sconfirm it with %s=%s", margin, v1alpha1.AnnotationConfirm, p.Digest())}
	}
	tail = slices.Concat(tail, pack(margin, "; ", room, p.told(&n, plan)), confirm)
	return slices.Concat(head, effects(margin, plan, mostLines-len(head)-len(tail)), tail)
}

// headline is what happens when, and how much of it.
func (p *Preview) headline(n *news, plan []v1alpha1.PlannedEffect) []string {
	clauses := []string{p.turn(n)}
	switch {
	case p.Blocked != "":
		clauses = append(clauses, "but a guard holds this back: "+plain(p.Blocked))
	case p.Kind == v1alpha1.SubjectUser && n.to.State != "":
		clauses = append(clauses, access(n))
	}
	if extent := p.extent(n, plan); len(extent) > 0 {
		if !n.atOnce {
			extent[0] = "as things are now: " + extent[0]
		}
		clauses = append(clauses, extent...)
	}
	if reason := plain(p.Reason); reason != "" {
		clauses = append(clauses, "reason: "+shorten(reason, 60))
	}
	return clauses
}

// turn is what becomes of the state.
func (p *Preview) turn(n *news) string {
	next := func(m Moment) string { return lifecycle.NextInWords(m.State, m.At) }
	switch {
	case n.atOnce && p.Deleted && n.from == v1alpha1.StateRemoved:
		return "Removed, and deleted at once"
	case n.atOnce && p.Deleted:
		return fmt.Sprintf("%s to %s (deleted) at once", n.from, n.to.State)
	case n.atOnce && n.from == "":
		return "created " + string(n.to.State)
	case n.atOnce:
		return fmt.Sprintf("%s to %s at once", n.from, n.to.State)
	case n.to.State == "":
		return fmt.Sprintf("no longer %s: stays %s", next(n.otherwise), n.from)
	case n.besides:
		return next(n.to)
	case n.otherwise.State == "":
		return next(n.to) + " instead of never"
	case n.otherwise.At.Equal(n.to.At):
		return fmt.Sprintf("%s instead of %s", n.to.State, next(n.otherwise))
	case n.otherwise.State == n.to.State:
		return next(n.to) + " instead of " + lifecycle.InWords(n.otherwise.At)
	default:
		return next(n.to) + " instead of " + next(n.otherwise)
	}
}

// access is what becomes of a user's access.
func access(n *news) string {
	had, has := granted(n.from), granted(n.to.State)
	var clause string
	switch {
	case had && has:
		clause = "access stays"
	case had:
		clause = "access ends"
	case has && (n.from == "" || n.from == v1alpha1.StatePending):
		clause = "access begins"
	case has:
		clause = "access comes back"
	case n.from == "":
		clause = "no access"
	default:
		clause = "no access, as before"
	}
	if had != has && !n.atOnce {
		clause += " then"
	}
	return clause
}

func granted(state v1alpha1.State) bool {
	return lifecycle.AccessOf(state) == v1alpha1.AccessGranted
}

// extent is on how much the change has consequences.
func (p *Preview) extent(n *news, plan []v1alpha1.PlannedEffect) []string {
	var clauses []string
	say := func(holds bool, clause string) {
		if holds {
			clauses = append(clauses, clause)
		}
	}
	all := sum(plan)
	say(p.Memberships != Memberships{}, p.Memberships.String())
	say(p.Grants > 0 && granted(n.to.State), counted(int64(p.Grants), "RoleBinding comes", "RoleBindings come"))
	say(p.Grants > 0 && !granted(n.to.State), counted(int64(p.Grants), "RoleBinding goes", "RoleBindings go"))
	say(all.effects > 0, all.String())
	say(all.kept > 0, counted(all.kept, "object is kept", "objects are kept"))
	say(p.SeatsFreed, "frees a seat")
	say(p.SeatsTaken, "takes a seat")
	return clauses
}

// String says what becomes of them: "3 memberships pause, 1 becomes Removed".
func (m Memberships) String() string {
	var parts []string
	say := func(number int, one, more string) {
		if len(parts) == 0 {
			one, more = "membership "+one, "memberships "+more
		}
		if number > 0 {
			parts = append(parts, counted(int64(number), one, more))
		}
	}
	say(m.Paused, "pauses", "pause")
	say(m.Deactivated, "becomes Deactivated", "become Deactivated")
	say(m.Removed, "becomes Removed", "become Removed")
	say(m.Resumed, "comes back", "come back")
	return strings.Join(parts, ", ")
}

// following is what comes next by itself.
func following(then course) []string {
	clauses := make([]string, len(then))
	for i, moment := range then {
		clauses[i] = lifecycle.NextInWords(moment.State, moment.At)
	}
	return clauses
}

// told is who hears of the change. A membership's line is short, and of a creation there are no Events.
func (p *Preview) told(n *news, plan []v1alpha1.PlannedEffect) []string {
	if p.Kind != v1alpha1.SubjectUser || n.from == "" {
		return nil
	}
	clauses := []string{"told: Events on User " + shorten(plain(p.Name), longestMargin)}
	var receivers []string
	for i := range plan {
		if name := shorten(plain(plan[i].Successor), longestMargin); name != "" && !slices.Contains(receivers, name) {
			receivers = append(receivers, name)
		}
	}
	switch {
	case len(receivers) == 1:
		clauses = append(clauses, "receives and is not told: "+receivers[0])
	case len(receivers) > 1:
		clauses = append(clauses, "receive and are not told: "+summary.Listed(receivers, mostNamed))
	}
	if contact := plain(p.Contact); contact != "" {
		clauses = append(clauses, "contact: "+contact)
	}
	return clauses
}

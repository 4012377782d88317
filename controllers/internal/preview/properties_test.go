package preview_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"pgregory.net/rapid"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/preview"
)

// horizon is how many seconds from now the random courses go.
const horizon = 20

var (
	states = rapid.SampledFrom([]v1alpha1.State{activated, active, onBreak, pending, paused, deactivated, expired, suspended, removed})

	actions = rapid.SampledFrom([]v1alpha1.EffectAction{
		v1alpha1.ActionKeep, v1alpha1.ActionDelete, v1alpha1.ActionTransfer, v1alpha1.ActionUnassign, v1alpha1.ActionPatch,
		v1alpha1.ActionAnonymize, v1alpha1.ActionRelink, v1alpha1.ActionUnlink,
	})

	// anything is what people may write, and worse.
	anything = rapid.OneOf(rapid.String(), rapid.StringN(0, 300, 1200), rapid.SampledFrom([]string{
		"", "bob", "Zoë \"the\\ boss\"", "=?utf-8?q?=0A?=", "\u202egone", "a\nb", "\xff", strings.Repeat("ö", 63), strings.Repeat("word ", 80),
	}))

	// names are those that mean nothing else in a line.
	names = rapid.StringMatching(`[a-z]{1,12}`)
)

// courses begin now, or some seconds before.
var courses = rapid.Custom(func(t *rapid.T) []preview.Moment {
	var moments []preview.Moment
	second := rapid.IntRange(-3, 0).Draw(t, "begin")
	for range rapid.IntRange(1, 6).Draw(t, "moments") {
		moments = append(moments, on(present.Add(time.Duration(second)*time.Second), states.Draw(t, "state")))
		second += rapid.IntRange(0, horizon/5).Draw(t, "step")
		if second > horizon {
			break
		}
	}
	moments[0].At = present.Add(min(0, moments[0].At.Sub(present)))
	return moments
})

func plans(names *rapid.Generator[string]) *rapid.Generator[[]v1alpha1.PlannedEffect] {
	return rapid.Custom(func(t *rapid.T) []v1alpha1.PlannedEffect {
		plan := make([]v1alpha1.PlannedEffect, rapid.IntRange(0, 30).Draw(t, "effects"))
		for i := range plan {
			// Effects of a policy have names of their own.
			name := fmt.Sprintf("%s-%d", names.Draw(t, "effect"), i)
			plan[i] = effect(name, actions.Draw(t, "action"), rapid.Int32Range(0, 2000).Draw(t, "targets"), names.Draw(t, "kind"))
			if rapid.Bool().Draw(t, "not known") {
				plan[i] = notKnown(plan[i])
			}
			if plan[i].Action == v1alpha1.ActionTransfer {
				plan[i].Candidates = rapid.SliceOfN(names, 0, 5).Draw(t, "candidates")
				if len(plan[i].Candidates) > 0 && rapid.Bool().Draw(t, "found") {
					plan[i].Successor = plan[i].Candidates[0]
				}
			}
		}
		return plan
	})
}

func previews(names *rapid.Generator[string]) *rapid.Generator[preview.Preview] {
	return rapid.Custom(func(t *rapid.T) preview.Preview {
		some := func(label string) int { return rapid.IntRange(0, 1000).Draw(t, label) }
		p := of(courses.Draw(t, "before"), courses.Draw(t, "after"), planned(plans(names).Draw(t, "plan")...))
		if rapid.Bool().Draw(t, "created") {
			p.Before = nil
		}
		p.Kind = rapid.SampledFrom([]v1alpha1.SubjectKind{v1alpha1.SubjectUser, v1alpha1.SubjectMembership}).Draw(t, "kind")
		p.Name, p.Reason, p.Contact = names.Draw(t, "name"), names.Draw(t, "reason"), names.Draw(t, "contact")
		p.Memberships = preview.Memberships{Paused: some("paused"), Resumed: some("resumed"), Deactivated: some("deactivated"), Removed: some("removed")}
		p.Grants, p.Deleted, p.SeatsFreed = some("grants"), rapid.Bool().Draw(t, "deleted"), rapid.Bool().Draw(t, "freed")
		p.Blocked = rapid.SampledFrom([]string{"", "last administrator"}).Draw(t, "blocked")
		p.Confirm = rapid.Bool().Draw(t, "to be confirmed")
		return p
	})
}

// TestChangesAsSteps compares Changes with the states at every half second.
func TestChangesAsSteps(t *testing.T) {
	at := func(moments []preview.Moment, instant time.Time) v1alpha1.State {
		var state v1alpha1.State
		for _, moment := range moments {
			if !instant.Before(moment.At) {
				state = moment.State
			}
		}
		if state == activated {
			return active
		}
		return state
	}
	rapid.Check(t, func(t *rapid.T) {
		p, want := of(courses.Draw(t, "before"), courses.Draw(t, "after")), false
		for instant := present; instant.Before(present.Add((horizon + 1) * time.Second)); instant = instant.Add(time.Second / 2) {
			want = want || at(p.Before, instant) != at(p.After, instant)
		}
		if got := p.Changes(); got != want {
			t.Fatalf("changes: got %t, want %t", got, want)
		}
	})
}

// TestWarningsArrive: whatever names there are, few lines come, short ones, and each as it was written. Where the change is to be
// confirmed, the last one has the whole digest.
func TestWarningsArrive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := previews(anything).Draw(t, "preview")
		lines, seen := p.Warnings(), map[string]bool{}
		if len(lines) > 10 {
			t.Fatalf("%d lines: %q", len(lines), lines)
		}
		for _, line := range lines {
			header, err := utilnet.NewWarningHeader(299, "-", line)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			parsed, rest, err := utilnet.ParseWarningHeader(header)
			if err != nil || rest != "" || parsed.Text != line {
				t.Fatalf("%q arrives as %q: %v", line, parsed.Text, err)
			}
			if len(line) > 120 || seen[line] {
				t.Fatalf("a line of %d bytes, there already: %t: %q", len(line), seen[line], line)
			}
			seen[line] = true
		}
		asked := len(lines) > 0 && strings.HasSuffix(lines[len(lines)-1], ": confirm it with tenure.dev/confirm="+p.Digest())
		if asked != (p.Confirm && p.Changes()) {
			t.Fatalf("asks for a confirmation: %t: %q", asked, lines)
		}
	})
}

var (
	totalsLine = regexp.MustCompile(`(\d+) effects? on (?:(\d+) objects?)?`)
	keptLine   = regexp.MustCompile(`(\d+) objects? (?:is|are) kept`)
	effectLine = regexp.MustCompile(`(?m)^\w+: \w+-\d+: [A-Z]\w+ (?:(\d+) \w+|\w+ \(a number not known yet\))`)
	moreLine   = regexp.MustCompile(`and (\d+) more on (\d+) objects?`)
)

// TestTotalsAddUp: what the lines about the effects tell is what the totals tell, and what the plan has.
func TestTotalsAddUp(t *testing.T) {
	number := func(text string) int64 {
		n, _ := strconv.ParseInt(text, 10, 64)
		return n
	}
	rapid.Check(t, func(t *rapid.T) {
		p := of(from(active), from(deactivated), planned(plans(names).Draw(t, "plan")...))
		var effects, objects int64
		for _, e := range p.Plan {
			if e.Targets > 0 || e.Frozen == "" {
				effects, objects = effects+1, objects+int64(e.Targets)
			}
		}
		text := strings.Join(p.Warnings(), "\n")

		var shown, targets int64
		for _, found := range effectLine.FindAllStringSubmatch(text, -1) {
			shown, targets = shown+1, targets+number(found[1])
		}
		if more := moreLine.FindStringSubmatch(text); more != nil {
			shown, targets = shown+number(more[1]), targets+number(more[2])
		}
		if shown != effects || targets != objects {
			t.Fatalf("the lines tell of %d effects on %d objects, the plan has %d on %d:\n%s", shown, targets, effects, objects, text)
		}

		var total int64
		if found := totalsLine.FindStringSubmatch(text); found != nil {
			total += number(found[2])
		}
		if found := keptLine.FindStringSubmatch(text); found != nil {
			total += number(found[1])
		}
		if total != objects {
			t.Fatalf("the totals tell of %d objects, the plan has %d:\n%s", total, objects, text)
		}
	})
}

// TestDigestIsStable asks twice, the second time later, while nothing has happened by itself.
func TestDigestIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := previews(names).Draw(t, "preview")
		again := p
		again.Now = present.Add(time.Second / 2)
		if rapid.Bool().Draw(t, "at once") {
			again.At = again.Now
		}
		if p.Digest() != again.Digest() {
			t.Fatalf("%s, and then %s", p.Digest(), again.Digest())
		}
	})
}

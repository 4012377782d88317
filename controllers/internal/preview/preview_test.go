package preview_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/preview"
)

const (
	activated   = v1alpha1.StateActivated
	active      = v1alpha1.StateActive
	onBreak     = v1alpha1.StateOnBreak
	pending     = v1alpha1.StatePending
	paused      = v1alpha1.StatePaused
	deactivated = v1alpha1.StateDeactivated
	expired     = v1alpha1.StateExpired
	suspended   = v1alpha1.StateSuspended
	removed     = v1alpha1.StateRemoved
)

var (
	present = time.Date(2026, time.December, 1, 9, 30, 15, 0, time.UTC)
	january = time.Date(2027, time.January, 10, 8, 0, 0, 0, time.UTC)
	june    = time.Date(2027, time.June, 30, 22, 0, 0, 0, time.UTC)
	later   = time.Date(2027, time.December, 31, 22, 0, 0, 0, time.UTC)
)

// from is a course that begins now.
func from(state v1alpha1.State, next ...preview.Moment) []preview.Moment {
	return append([]preview.Moment{{At: present, State: state}}, next...)
}

func on(at time.Time, state v1alpha1.State) preview.Moment {
	return preview.Moment{At: at, State: state}
}

// of is a user's preview of a change that comes at once, with what differs.
func of(before, after []preview.Moment, differently ...func(p *preview.Preview)) preview.Preview {
	p := preview.Preview{
		Kind: v1alpha1.SubjectUser, Name: "alice", Identity: "1-2-3", Now: present, At: present, Before: before, After: after,
		Account: "lifecycle", Contact: "People team <people@acme.example>",
	}
	for _, change := range differently {
		change(&p)
	}
	return p
}

func membership(p *preview.Preview) {
	p.Kind, p.Name = v1alpha1.SubjectMembership, "alice-mentoring"
}

func deletion(p *preview.Preview) { p.Deleted = true }

func planned(plan ...v1alpha1.PlannedEffect) func(p *preview.Preview) {
	return func(p *preview.Preview) { p.Plan = plan }
}

// effect on resources whose targets are known.
func effect(name string, action v1alpha1.EffectAction, targets int32, kind string) v1alpha1.PlannedEffect {
	frozen := "none"
	if targets > 0 {
		frozen = strings.Repeat("abcd", int(min(targets, 3)))
	}
	return v1alpha1.PlannedEffect{
		Effect: name, Action: action, Kind: kind, Targets: targets, Frozen: frozen,
		Definition: v1alpha1.Effect{Name: name, Resources: v1alpha1.ResourcesEffect{
			APIVersion: "work.example.com/v1", Kind: kind, Action: v1alpha1.ResourceAction(action),
		}},
	}
}

func notKnown(e v1alpha1.PlannedEffect) v1alpha1.PlannedEffect {
	e.Targets, e.Frozen = 0, ""
	return e
}

func to(successor string, e v1alpha1.PlannedEffect) v1alpha1.PlannedEffect {
	e.Successor, e.Candidates = successor, []string{successor, "olivia"}
	return e
}

func among(e v1alpha1.PlannedEffect, candidates ...string) v1alpha1.PlannedEffect {
	e.Candidates = candidates
	e.Definition.Resources.Successors = []v1alpha1.Successor{v1alpha1.SuccessorDeclared, v1alpha1.SuccessorManager}
	return e
}

func relations(name string, action v1alpha1.EffectAction, targets int32) v1alpha1.PlannedEffect {
	return v1alpha1.PlannedEffect{
		Effect: name, Action: action, Kind: "Leader,Manager", Targets: targets, Frozen: "abcd",
		Definition: v1alpha1.Effect{Name: name, Relations: v1alpha1.RelationsEffect{
			Kinds: []v1alpha1.Relation{v1alpha1.RelationLeader, v1alpha1.RelationManager}, Action: v1alpha1.RelationAction(action),
		}},
	}
}

func teams(targets int32) v1alpha1.PlannedEffect {
	return v1alpha1.PlannedEffect{Effect: "teams", Action: v1alpha1.ActionRemove, Kind: "Membership", Targets: targets, Frozen: "abcd"}
}

func relinked(e v1alpha1.PlannedEffect) v1alpha1.PlannedEffect {
	e.Definition.Resources.Fields = []v1alpha1.AnonymizeField{{Path: "spec.author", OnReturn: v1alpha1.OnReturnRelink}}
	return e
}

func patched(e v1alpha1.PlannedEffect, patch string) v1alpha1.PlannedEffect {
	e.Definition.Resources.Patch = &runtime.RawExtension{Raw: []byte(patch)}
	return e
}

func TestChanges(t *testing.T) {
	for name, test := range map[string]struct {
		before, after []preview.Moment
		want          bool
	}{
		"nothing at all":                   {nil, nil, false},
		"as before":                        {from(active), from(active), false},
		"as before, with a deadline":       {from(active, on(june, expired)), from(active, on(june, expired)), false},
		"another state":                    {from(active), from(deactivated), true},
		"a deadline":                       {from(active), from(active, on(june, expired)), true},
		"no deadline any more":             {from(active, on(june, expired)), from(active), true},
		"another deadline":                 {from(active, on(june, expired)), from(active, on(later, expired)), true},
		"another state at the deadline":    {from(active, on(june, expired)), from(active, on(june, deactivated)), true},
		"the end of what comes":            {from(active, on(january, onBreak), on(june, active)), from(active, on(january, onBreak)), true},
		"said in two steps":                {from(active, on(january, active), on(june, expired)), from(active, on(june, expired)), false},
		"at one instant, the last counts":  {from(active, on(june, deactivated), on(june, expired)), from(active, on(june, expired)), false},
		"over already":                     {[]preview.Moment{on(present.Add(-time.Hour), pending), on(present.Add(-time.Minute), active)}, from(active), false},
		"there for the first time":         {from(activated), from(active), false},
		"a pause":                          {from(active), from(paused), true},
		"a creation":                       {nil, from(active), true},
		"activated where it would be only": {from(deactivated), from(activated), true},
	} {
		t.Run(name, func(t *testing.T) {
			p := of(test.before, test.after)
			if got := p.Changes(); got != test.want {
				t.Errorf("changes: got %t, want %t", got, test.want)
			}
			if got := p.Warnings(); len(got) > 0 != test.want {
				t.Errorf("got warnings %q, want some: %t", got, test.want)
			}
		})
	}
}

func TestDeletionChanges(t *testing.T) {
	p := of(from(removed), from(removed), deletion)
	if !p.Changes() {
		t.Error("the end of an account is no change where the user is Removed already")
	}
}

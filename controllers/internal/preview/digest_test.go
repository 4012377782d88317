package preview_test

import (
	"regexp"
	"testing"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/preview"
)

// confirmable is a preview with something of everything.
func confirmable() preview.Preview {
	return of(from(active, on(june, expired)), from(deactivated, on(january, active)), planned(
		among(to("bob", effect("work", v1alpha1.ActionTransfer, 12, "Work")), "bob", "carol"),
		patched(effect("tasks", v1alpha1.ActionPatch, 5, "Task"), `{"spec":{"done":true}}`),
	), func(p *preview.Preview) {
		p.Memberships, p.Grants, p.Reason = preview.Memberships{Paused: 1}, 2, "Parental leave"
	})
}

func TestDigest(t *testing.T) {
	p := confirmable()
	if got := p.Digest(); !regexp.MustCompile(`^[0-9a-f]{12}$`).MatchString(got) {
		t.Errorf("got %q, want 12 hexadecimal digits", got)
	}
}

// TestDigestConfirms: what a person confirms is in the digest.
func TestDigestConfirms(t *testing.T) {
	base := confirmable()
	seen := map[string]string{base.Digest(): "as it was"}
	for name, change := range map[string]func(p *preview.Preview){
		"another kind":        func(p *preview.Preview) { p.Kind = v1alpha1.SubjectMembership },
		"another name":        func(p *preview.Preview) { p.Name = "bob" },
		"another identity":    func(p *preview.Preview) { p.Identity = "4-5-6" },
		"a deletion":          deletion,
		"from another state":  func(p *preview.Preview) { p.Before[0].State = onBreak },
		"to another state":    func(p *preview.Preview) { p.After[0].State = suspended },
		"until another time":  func(p *preview.Preview) { p.After[1].At = june },
		"instead of another":  func(p *preview.Preview) { p.Before[1].At = later },
		"a creation":          func(p *preview.Preview) { p.Before = nil },
		"a pause less":        func(p *preview.Preview) { p.Memberships.Paused = 0 },
		"a membership more":   func(p *preview.Preview) { p.Memberships.Removed = 1 },
		"a grant more":        func(p *preview.Preview) { p.Grants = 3 },
		"another account":     func(p *preview.Preview) { p.Account = "admin" },
		"later":               func(p *preview.Preview) { p.At = january },
		"held back":           func(p *preview.Preview) { p.Blocked = "last administrator" },
		"no effects":          func(p *preview.Preview) { p.Plan = nil },
		"an effect less":      func(p *preview.Preview) { p.Plan = p.Plan[:1] },
		"another order":       func(p *preview.Preview) { p.Plan[0], p.Plan[1] = p.Plan[1], p.Plan[0] },
		"another effect":      func(p *preview.Preview) { p.Plan[0].Effect = "deals" },
		"another action":      func(p *preview.Preview) { p.Plan[0].Action = v1alpha1.ActionDelete },
		"another target kind": func(p *preview.Preview) { p.Plan[0].Kind = "Deal" },
		"a target more":       func(p *preview.Preview) { p.Plan[0].Targets++ },
		"another target":      func(p *preview.Preview) { p.Plan[0].Frozen = "abce" },
		"another successor":   func(p *preview.Preview) { p.Plan[0].Successor = "carol" },
		"another candidate":   func(p *preview.Preview) { p.Plan[0].Candidates[1] = "dan" },
		"another reference":   func(p *preview.Preview) { p.Plan[0].Definition.Resources.Reference.FieldPath = "spec.owner" },
		"another patch":       func(p *preview.Preview) { p.Plan[1] = patched(p.Plan[1], `{"spec":{"done":false}}`) },
		"no patch":            func(p *preview.Preview) { p.Plan[1].Definition.Resources.Patch = nil },
	} {
		p := confirmable()
		change(&p)
		digest := p.Digest()
		if other, taken := seen[digest]; taken {
			t.Errorf("%s has the digest of %s: %s", name, other, digest)
		}
		seen[digest] = name
	}
}

// TestDigestLeavesOut: what is no part of what a person confirms, or says the same in other words, is not in the digest.
func TestDigestLeavesOut(t *testing.T) {
	want := confirmable()
	for name, change := range map[string]func(p *preview.Preview){
		"asked again": func(*preview.Preview) {},
		"asked later": func(p *preview.Preview) { p.Now = p.Now.Add(time.Hour); p.At = p.Now },
		"observed anew": func(p *preview.Preview) {
			p.Now = p.Now.Add(time.Hour)
			p.At, p.Before[0].At, p.After[0].At = p.Now, p.Now, p.Now
		},
		"in another time zone":     func(p *preview.Preview) { p.After[1].At = p.After[1].At.In(time.FixedZone("Auckland", 13*3600)) },
		"for another reason":       func(p *preview.Preview) { p.Reason = "Sabbatical" },
		"to be confirmed":          func(p *preview.Preview) { p.Confirm = true },
		"another contact":          func(p *preview.Preview) { p.Contact = "" },
		"there for the first time": func(p *preview.Preview) { p.Before[0].State = activated },
		"in two steps":             func(p *preview.Preview) { p.After = append(p.After, on(later, active)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := confirmable()
			change(&p)
			if got := p.Digest(); got != want.Digest() {
				t.Errorf("got %s, want %s", got, want.Digest())
			}
		})
	}
}

// TestDigestChangesNothing: a patch that was put aside for the digest is still there.
func TestDigestChangesNothing(t *testing.T) {
	p := confirmable()
	p.Digest()
	if p.Plan[1].Definition.Resources.Patch == nil {
		t.Error("the digest has taken the patch out of the plan")
	}
}

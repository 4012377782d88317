package cascade_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/targets"
)

func TestNewResources(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*v1alpha1.Effect)
		want   string // in the error
		is     error
		source bool // is known all the same
	}{
		"as it should be":            {func(*v1alpha1.Effect) {}, "", nil, true},
		"no group and version":       {func(e *v1alpha1.Effect) { e.Resources.APIVersion = "a/b/c" }, "effect notes: ", cascade.ErrInvalidKind, false},
		"no reference":               {func(e *v1alpha1.Effect) { e.Resources.Reference.FieldPath = "spec..a" }, `effect notes: field path "spec..a"`, nil, false},
		"no field":                   {func(e *v1alpha1.Effect) { e.Resources.Fields = []v1alpha1.AnonymizeField{{Path: "spec.[*]"}} }, `effect notes: field path "spec.[*]"`, nil, false},
		"no expression":              {func(e *v1alpha1.Effect) { e.Resources.Match = "object.spec." }, "effect notes: ", cascade.ErrInvalidMatch, true},
		"an expression of no answer": {func(e *v1alpha1.Effect) { e.Resources.Match = "1 + 1" }, "effect notes: ", cascade.ErrInvalidMatch, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := effect(t, "notes", `{reference: {fieldPath: spec.author}, action: Keep, match: object.spec.open}`)
			test.change(&e)
			r, err := cascade.NewResources("acme", "lifecycle", &e)
			switch {
			case test.want == "" && err != nil, test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)), test.is != nil && !errors.Is(err, test.is):
				t.Errorf("error is %v, want %q", err, test.want)
			}
			want := targets.Source{Namespace: "acme", Account: "lifecycle", Kind: noteKind}
			if test.source && (r == nil || r.Source != want) {
				t.Errorf("resources are %v, want source %v", r, want)
			}
		})
	}
}

// TestNeedsOf asks for each kind once, and for nothing about an effect that cannot be read.
func TestNeedsOf(t *testing.T) {
	broken := effect(t, "broken", `{reference: {fieldPath: "spec."}, action: Keep}`)
	unreadable := effect(t, "match", `{reference: {fieldPath: spec.a}, action: Keep, match: "1 +"}`)
	unreadable.Resources.Kind = "Task"
	needs := cascade.NeedsOf("acme", "lifecycle", []v1alpha1.Effect{
		effect(t, "one", `{reference: {fieldPath: spec.a}, action: Keep}`),
		effect(t, "two", `{reference: {fieldPath: "spec.b[*]"}, action: Keep, match: object.spec.open}`),
		broken, unreadable,
		{Name: "teams", Memberships: v1alpha1.MembershipsEffect{Action: "Remove"}},
	})
	var kinds []string
	for source := range needs {
		kinds = append(kinds, source.Kind.Kind)
	}
	slices.Sort(kinds)
	if diff := cmp.Diff([]string{"Note", "Task"}, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

// TestWhatNeedsOfAsksForIsEnough for each of several effects on one kind.
func TestWhatNeedsOfAsksForIsEnough(t *testing.T) {
	effects := []v1alpha1.Effect{
		effect(t, "authored", `{reference: {fieldPath: spec.author}, action: Keep, match: object.spec.stage != 'Won'}`),
		effect(t, "edited", `{reference: {fieldPath: "spec.editors[*].name"}, action: Keep, match: "object.spec.size > 2"}`),
	}
	known := registry(t, note(t, `{spec: {author: alice, stage: Lost, size: 3, editors: [{name: alice}]}}`))
	known.Demand("the policy", cascade.NeedsOf("acme", "lifecycle", effects))
	who := person(t, alice())
	for i := range effects {
		r, err := cascade.NewResources("acme", "lifecycle", &effects[i])
		if err != nil {
			t.Fatal(err)
		}
		found := r.Targets(t.Context(), known.look(t, r), v1alpha1.ActionKeep, who, r.To(who))
		if diff := cmp.Diff([]string{"hello"}, names(found)); diff != "" {
			t.Errorf("%s: targets (-want +got):\n%s", effects[i].Name, diff)
		}
	}
}

func names(objects []*unstructured.Unstructured) []string {
	var names []string
	for _, object := range objects {
		names = append(names, object.GetName())
	}
	slices.Sort(names)
	return names
}

// TestTargets are looked for among notes of Alice and of others, some of which she was taken out of earlier.
func TestTargets(t *testing.T) {
	const linked = `annotations: {tenure.dev/user-uid: "identity-of-bob,identity-of-alice"}`
	notes := []*unstructured.Unstructured{
		note(t, `{metadata: {name: hers}, spec: {author: alice, open: true, editors: [{name: bob}, {name: alice}, {name: alice}]}}`),
		note(t, `{metadata: {name: hers-closed}, spec: {author: alice, open: false}}`),
		note(t, `{metadata: {name: hers-strange}, spec: {author: alice}}`),
		note(t, `{metadata: {name: by-mail}, spec: {author: alice@acme.example, open: true}}`),
		note(t, `{metadata: {name: his}, spec: {author: bob, open: true, editors: [{name: bob}]}}`),
		note(t, `{metadata: {name: linked, `+linked+`}, spec: {author: Removed User, open: true}}`),
		note(t, `{metadata: {name: linked-closed, `+linked+`}, spec: {author: Removed User, open: false}}`),
		note(t, `{metadata: {name: linked-hers-closed, `+linked+`}, spec: {author: alice, open: false}}`),
		note(t, `{metadata: {name: linked-his, annotations: {tenure.dev/user-uid: identity-of-bob}}, spec: {author: Removed User, open: true}}`),
	}
	const (
		authored  = `{reference: {fieldPath: spec.author}, action: Keep}`
		stillOpen = `{reference: {fieldPath: spec.author}, action: Keep, match: object.spec.open}`
		about     = `{reference: {fieldPath: spec.author, effect: objectives}, action: Keep}`
	)
	who := person(t, alice())
	for name, test := range map[string]struct {
		definition string
		action     v1alpha1.EffectAction
		person     *cascade.Person
		objects    []string // of an earlier effect
		want       []string
	}{
		"who refers":                            {authored, v1alpha1.ActionDelete, who, nil, []string{"hers", "hers-closed", "hers-strange", "linked-hers-closed"}},
		"by another name":                       {`{reference: {fieldPath: spec.author, value: Email}, action: Keep}`, v1alpha1.ActionDelete, who, nil, []string{"by-mail"}},
		"once, however often it refers":         {`{reference: {fieldPath: "spec.editors[*].name"}, action: Keep}`, v1alpha1.ActionUnassign, who, nil, []string{"hers"}},
		"what cannot be judged is not lost":     {stillOpen, v1alpha1.ActionDelete, who, nil, []string{"hers", "hers-strange"}},
		"to be anonymised":                      {stillOpen, v1alpha1.ActionAnonymize, who, nil, []string{"hers", "hers-strange"}},
		"to be linked again":                    {stillOpen, v1alpha1.ActionRelink, who, nil, []string{"linked", "linked-closed", "linked-hers-closed"}},
		"the account ends":                      {stillOpen, v1alpha1.ActionAnonymize, ended(who), nil, []string{"hers", "hers-strange"}},
		"the account ends: links":               {stillOpen, v1alpha1.ActionUnlink, ended(who), nil, []string{"linked", "linked-closed", "linked-hers-closed"}},
		"the account ends: others' work":        {stillOpen, v1alpha1.ActionDelete, ended(who), nil, []string{"hers", "hers-strange"}},
		"what refers to an earlier effect's":    {about, v1alpha1.ActionDelete, who, []string{"bob", "alice@acme.example", "nobody"}, []string{"by-mail", "his"}},
		"what refers to none of them":           {about, v1alpha1.ActionDelete, who, []string{"nobody"}, nil},
		"to objects of an effect that had none": {about, v1alpha1.ActionDelete, who, []string{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := resources(t, "notes", test.definition)
			to := r.To(test.person)
			if test.objects != nil {
				to = cascade.ToObjects(test.objects, nil)
			}
			known := registry(t, notes...)
			known.Demand("the test", map[targets.Source]targets.Needs{r.Source: r.Needs})
			found := r.Targets(t.Context(), known.look(t, r), test.action, test.person, to)
			if diff := cmp.Diff(test.want, names(found), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
		})
	}
}

// Package cascade plans what the effects of a policy do, and says what each does to one object. What is planned is what is
// done: preview, plan and ledger come from here.
package cascade

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/fieldpath"
	"tenure.dev/tenure/controllers/internal/match"
	"tenure.dev/tenure/controllers/internal/targets"
)

// ErrInvalidMatch says that the match expression of an effect cannot be compiled.
var ErrInvalidMatch = errors.New("match cannot be compiled")

// ErrInvalidKind says that an effect's apiVersion is none.
var ErrInvalidKind = errors.New("apiVersion is not of the form group/version")

// Resources is an effect on resources, ready to be asked about objects.
type Resources struct {
	// Name of the effect.
	Name string

	// Source is where its objects come from.
	Source targets.Source

	// Needs is what must be known of them.
	Needs targets.Needs

	definition *v1alpha1.ResourcesEffect
	reference  fieldpath.Path
	match      *match.Program
	fields     []fieldpath.Field
}

// NewResources reads an effect on resources that runs as a service account of a namespace. The error says what is wrong with
// the definition; Source and Needs are there all the same where they can be told.
func NewResources(namespace, account string, effect *v1alpha1.Effect) (*Resources, error) {
	definition := &effect.Resources
	r := &Resources{Name: effect.Name, definition: definition}
	version, err := schema.ParseGroupVersion(definition.APIVersion)
	if err != nil {
		return nil, fmt.Errorf("effect %s: %w: %s", effect.Name, ErrInvalidKind, definition.APIVersion)
	}
	r.Source = targets.Source{Namespace: namespace, Account: account, Kind: version.WithKind(definition.Kind)}
	if r.reference, err = fieldpath.Parse(definition.Reference.FieldPath); err != nil {
		return nil, fmt.Errorf("effect %s: %w", effect.Name, err)
	}
	r.Needs.AddReference(r.reference)
	for i := range definition.Fields {
		path, err := fieldpath.Parse(definition.Fields[i].Path)
		if err != nil {
			return nil, fmt.Errorf("effect %s: %w", effect.Name, err)
		}
		field := fieldpath.Field{Path: path}
		if value := definition.Fields[i].Value; value != "" {
			field.Value = &value
		}
		r.fields = append(r.fields, field)
	}
	if definition.Match == "" {
		return r, nil
	}
	if r.match, err = match.Compile(definition.Match); err != nil {
		return r, fmt.Errorf("effect %s: %w: %w", effect.Name, ErrInvalidMatch, err)
	}
	r.Needs.AddFields(r.match.Fields())
	return r, nil
}

// NeedsOf is what must be known of which objects for the effects on resources among these. An effect that cannot be read needs
// nothing: it fails where it has its turn.
func NeedsOf(namespace, account string, effects []v1alpha1.Effect) map[targets.Source]targets.Needs {
	all := map[targets.Source]targets.Needs{}
	for i := range effects {
		if effects[i].Resources.Kind == "" {
			continue
		}
		r, _ := NewResources(namespace, account, &effects[i])
		if r == nil {
			continue
		}
		needs := all[r.Source]
		needs.Add(r.Needs)
		all[r.Source] = needs
	}
	return all
}

// Person is the user whom effects are about.
type Person struct {
	User *v1alpha1.User

	// Identity that survives a backup.
	Identity string

	// Deleted tells that the account ends: what names the person is taken out without a link back.
	Deleted bool

	content map[string]any
}

// NewPerson is the person that a User object is.
func NewPerson(user *v1alpha1.User, identity string, deleted bool) (*Person, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(user)
	if err != nil {
		return nil, fmt.Errorf("convert User %s: %w", user.Name, err)
	}
	content["apiVersion"], content["kind"] = v1alpha1.GroupVersion.String(), "User"
	return &Person{User: user, Identity: identity, Deleted: deleted, content: content}, nil
}

// valueOf is what a field holds that refers to a user in this way; empty where the user has none.
func valueOf(user *v1alpha1.User, value v1alpha1.ReferenceValue) string {
	switch value {
	case v1alpha1.ReferenceUserName:
		return user.Spec.UserName
	case v1alpha1.ReferenceEmail:
		return user.Spec.Email
	case v1alpha1.ReferenceUID:
		return string(user.UID)
	default:
		return user.Name
	}
}

// wordOf says which of a person's names a string is; empty where it is none.
func (p *Person) wordOf(text string) string {
	for _, kind := range []v1alpha1.ReferenceValue{v1alpha1.ReferenceName, v1alpha1.ReferenceUserName, v1alpha1.ReferenceEmail, v1alpha1.ReferenceUID} {
		if text != "" && valueOf(p.User, kind) == text {
			return string(kind)
		}
	}
	if text != "" && p.User.Spec.DisplayName == text {
		return displayName
	}
	return ""
}

// nameAs is the person's name of the kind that wordOf found.
func (p *Person) nameAs(word string) (string, bool) {
	name := ""
	switch {
	case word == displayName:
		name = p.User.Spec.DisplayName
	case word != "":
		name = valueOf(p.User, v1alpha1.ReferenceValue(word))
	}
	return name, name != ""
}

const displayName = "DisplayName"

// Referred is what a reference must hold to refer to the person: one of the person's names, or the name of one of the objects
// that an earlier effect matched.
type Referred struct {
	values sets.Set[string]

	// gone tells of a name whether the earlier effect's kind has no object of that name any more: what depends on
	// an object that has gone meanwhile is still the effect's.
	gone func(name string) bool
}

// To are the values by which an effect's objects refer to the person.
func (r *Resources) To(person *Person) Referred {
	value := valueOf(person.User, r.definition.Reference.Value)
	if value == "" {
		return Referred{}
	}
	return Referred{values: sets.New(value)}
}

// ToObjects are the values by which an effect's objects refer to those of an earlier effect.
func ToObjects(names []string, gone func(name string) bool) Referred {
	return Referred{values: sets.New(names...), gone: gone}
}

func (f Referred) has(value string) bool {
	return f.values.Has(value)
}

// Base is the name of the effect whose objects this one's refer to; empty where they refer to the person.
func (r *Resources) Base() string { return r.definition.Reference.Effect }

// refers tells whether an object refers as the effect says.
func (r *Resources) refers(object map[string]any, to Referred) bool {
	return slices.ContainsFunc(r.reference.Values(object), func(v string) bool { return to.has(v) || to.gone != nil && to.gone(v) })
}

// matches asks the expression.
func (r *Resources) matches(ctx context.Context, object map[string]any, person *Person) (bool, error) {
	if r.match == nil {
		return true, nil
	}
	ok, err := r.match.Matches(ctx, object, person.content)
	if err != nil {
		return false, fmt.Errorf("match: %w", err)
	}
	return ok, nil
}

// Candidates are the objects that refer as the effect says, or, where it follows links, those that are linked to the person.
// They are the look's own.
func (r *Resources) Candidates(look targets.Look, action v1alpha1.EffectAction, person *Person, to Referred) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	seen := map[string]bool{}
	add := func(objects []*unstructured.Unstructured) {
		for _, object := range objects {
			if !seen[object.GetName()] {
				seen[object.GetName()] = true
				found = append(found, object)
			}
		}
	}
	if followsLinks(action) {
		add(look.LinkedTo(person.Identity))
		return found
	}
	for value := range to.values {
		add(look.Referring(r.reference, value))
	}
	return found
}

// Targets are those candidates that the effect concerns. One about which the expression cannot say anything is among them: it
// is not passed over in silence, but fails when its turn comes.
func (r *Resources) Targets(ctx context.Context, look targets.Look, action v1alpha1.EffectAction, person *Person, to Referred) []*unstructured.Unstructured {
	candidates := r.Candidates(look, action, person, to)
	if followsLinks(action) {
		return candidates
	}
	return slices.DeleteFunc(candidates, func(object *unstructured.Unstructured) bool { return !r.concerns(ctx, object, person) })
}

// Late is how many objects have become targets since a plan was frozen.
func (r *Resources) Late(ctx context.Context, look targets.Look, action v1alpha1.EffectAction, person *Person, to Referred, frozen Frozen) int {
	late := 0
	for _, object := range r.Candidates(look, action, person, to) {
		if !frozen.Has(object) && (followsLinks(action) || r.concerns(ctx, object, person)) {
			late++
		}
	}
	return late
}

func (r *Resources) concerns(ctx context.Context, object *unstructured.Unstructured, person *Person) bool {
	ok, err := r.matches(ctx, object.Object, person)
	return ok || err != nil
}

// followsLinks tells whether an action is about what the person was taken out of, whatever refers to the person by now: it
// links that again, or takes the links out.
func followsLinks(action v1alpha1.EffectAction) bool {
	return action == v1alpha1.ActionRelink || action == v1alpha1.ActionUnlink
}

func linked(object *unstructured.Unstructured, person *Person) bool {
	return slices.Contains(targets.Links(object), person.Identity)
}

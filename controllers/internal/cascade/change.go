package cascade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/fieldpath"
	"tenure.dev/tenure/controllers/internal/targets"
)

// ErrNoSuccessor says that nobody who may receive an object has access.
var ErrNoSuccessor = errors.New("nobody who may receive it has access")

// Turn is an effect's turn in a Transition.
type Turn struct {
	*Resources

	Transition *v1alpha1.Transition
	Action     v1alpha1.EffectAction
	Person     *Person
	To         Referred
}

// Verdict is what is to be done with one object.
type Verdict int

const (
	// Act: the effect has to change it.
	Act Verdict = iota

	// Done: it has been changed.
	Done

	// Left: somebody has changed it since the decision, and the effect does not concern it any more.
	Left
)

// Judge decides about one object as it is now.
func (t *Turn) Judge(ctx context.Context, object *unstructured.Unstructured) (Verdict, error) {
	if t.isDone(object) {
		return Done, nil
	}
	switch {
	case followsLinks(t.Action) && linked(object, t.Person):
		return Act, nil
	case followsLinks(t.Action) && t.isSigned(object):
		return Done, nil // Another effect of this Transition has followed the last link.
	case followsLinks(t.Action):
		return Left, nil
	// What an earlier effect of this Transition has changed was this one's, too, at the decision.
	case t.Action != v1alpha1.ActionDelete && t.isSigned(object):
	case !t.refers(object.Object, t.To):
		return Left, nil
	}
	ok, err := t.matches(ctx, object.Object, t.Person)
	switch {
	case err != nil:
		return Act, err
	case !ok:
		return Left, nil
	default:
		return Act, nil
	}
}

// HandOn is the turn with an object that has just gone to a receiver who cannot keep it.
func (t *Turn) HandOn(from *v1alpha1.User) *Turn {
	on := *t
	on.To = Referred{values: sets.New(valueOf(from, t.definition.Reference.Value))}
	return &on
}

// Direct tells whether what is known of an object is enough to change it, locked on the version that is known: one field holds
// the reference, and nothing is taken away that could not be given back. All else is read live first.
func (t *Turn) Direct() bool {
	return (t.Action == v1alpha1.ActionTransfer || t.Action == v1alpha1.ActionUnassign) && !t.reference.ThroughLists()
}

// Refers tells whether an object refers as the turn says.
func (t *Turn) Refers(object *unstructured.Unstructured) bool { return t.refers(object.Object, t.To) }

// mark is what the annotation of an object says that this Transition has changed.
func (t *Turn) mark() string { return string(t.Transition.UID) + ":" }

func (t *Turn) isDone(object *unstructured.Unstructured) bool {
	effects, ours := strings.CutPrefix(object.GetAnnotations()[v1alpha1.AnnotationEffects], t.mark())
	return ours && slices.Contains(strings.Split(effects, ","), t.Name)
}

// isSigned tells whether an effect of this Transition has changed the object.
func (t *Turn) isSigned(object *unstructured.Unstructured) bool {
	return strings.HasPrefix(object.GetAnnotations()[v1alpha1.AnnotationEffects], t.mark())
}

// Change is an object as the effect leaves it. The receiver is who receives what is transferred.
func (t *Turn) Change(object *unstructured.Unstructured, receiver *v1alpha1.User) (*unstructured.Unstructured, error) {
	changed := object.DeepCopy()
	var err error
	switch t.Action {
	case v1alpha1.ActionTransfer:
		value := valueOf(receiver, t.definition.Reference.Value)
		if value == "" {
			return nil, fmt.Errorf("the receiver, User %s, has no %s to refer to", receiver.Name, t.definition.Reference.Value)
		}
		t.reference.Replace(changed.Object, t.To.has, value)
	case v1alpha1.ActionUnassign:
		t.reference.Remove(changed.Object, func(v string) bool { return t.To.has(v) || t.To.gone != nil && t.To.gone(v) })
	case v1alpha1.ActionPatch:
		err = t.patch(changed)
	case v1alpha1.ActionAnonymize:
		err = t.anonymize(changed)
	case v1alpha1.ActionRelink:
		err = t.relink(changed)
	case v1alpha1.ActionUnlink:
		err = t.unlink(changed)
	case v1alpha1.ActionKeep, v1alpha1.ActionDelete, v1alpha1.ActionDeactivate, v1alpha1.ActionRemove:
	}
	if err != nil {
		return nil, err
	}
	t.sign(changed)
	return changed, nil
}

// sign says on the object by which Transition, and by which of its effects, it was changed.
func (t *Turn) sign(object *unstructured.Unstructured) {
	effects := t.mark() + t.Name
	if before := object.GetAnnotations()[v1alpha1.AnnotationEffects]; t.isDone(object) {
		effects = before
	} else if strings.HasPrefix(before, t.mark()) {
		effects = before + "," + t.Name
	}
	// The Transition's name has the person's in it, which must not stay on what the person is taken out of.
	by := t.Transition.Name
	if t.Transition.Spec.To == v1alpha1.StateRemoved {
		by = string(t.Transition.UID)
	}
	annotate(object, v1alpha1.AnnotationTransition, by)
	annotate(object, v1alpha1.AnnotationEffects, effects)
}

func annotate(object *unstructured.Unstructured, name, value string) {
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[name] = value
	if value == "" {
		delete(annotations, name)
	}
	object.SetAnnotations(annotations)
}

func (t *Turn) patch(object *unstructured.Unstructured) error {
	before, err := object.MarshalJSON()
	if err != nil {
		return fmt.Errorf("read the object: %w", err)
	}
	after, err := jsonpatch.MergePatch(before, t.definition.Patch.Raw)
	if err != nil {
		return fmt.Errorf("apply the patch: %w", err)
	}
	if err := object.UnmarshalJSON(after); err != nil {
		return fmt.Errorf("apply the patch: %w", err)
	}
	return nil
}

// links are what the annotation of an object keeps of each user who was taken out, by identity.
type links map[string][]fieldpath.Link

func linksOf(object *unstructured.Unstructured) (links, error) {
	all := links{}
	written := object.GetAnnotations()[v1alpha1.AnnotationAnonymized]
	if written == "" {
		return all, nil
	}
	if err := json.Unmarshal([]byte(written), &all); err != nil {
		return nil, fmt.Errorf("read annotation %s: %w", v1alpha1.AnnotationAnonymized, err)
	}
	return all, nil
}

func (l links) writeTo(object *unstructured.Unstructured) error {
	written := ""
	if len(l) > 0 {
		encoded, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("write annotation %s: %w", v1alpha1.AnnotationAnonymized, err)
		}
		written = string(encoded)
	}
	annotate(object, v1alpha1.AnnotationAnonymized, written)
	return nil
}

// anonymize takes the person out, and leaves a link to the account unless that ends.
func (t *Turn) anonymize(object *unstructured.Unstructured) error {
	made, _ := fieldpath.Anonymize(object.Object, t.reference, t.fields, t.To.has, t.Person.wordOf)
	if t.Person.Deleted {
		return nil
	}
	all, err := linksOf(object)
	if err != nil {
		return err
	}
	identity := t.Person.Identity
	all[identity] = append(all[identity], slices.DeleteFunc(made, func(l fieldpath.Link) bool { return l.Was == "" || !t.returns(l) })...)
	if len(all[identity]) == 0 {
		delete(all, identity)
	}
	if !linked(object, t.Person) {
		annotate(object, v1alpha1.AnnotationUserUID, strings.Join(append(targets.Links(object), identity), ","))
	}
	return all.writeTo(object)
}

// unlink takes out what links an object to the person.
func (t *Turn) unlink(object *unstructured.Unstructured) error {
	all, err := linksOf(object)
	if err != nil {
		return err
	}
	delete(all, t.Person.Identity)
	others := slices.DeleteFunc(targets.Links(object), func(identity string) bool { return identity == t.Person.Identity })
	annotate(object, v1alpha1.AnnotationUserUID, strings.Join(others, ","))
	return all.writeTo(object)
}

var position = regexp.MustCompile(`\[\d+\]`)

// returns tells whether the field of a link names the person again when the account returns.
func (t *Turn) returns(l fieldpath.Link) bool {
	field := t.fieldOf(l)
	return field != nil && field.OnReturn == v1alpha1.OnReturnRelink
}

// fieldOf is the effect's field that a link is about; nil where it has none by now.
func (t *Turn) fieldOf(l fieldpath.Link) *v1alpha1.AnonymizeField {
	path := position.ReplaceAllString(l.Path, "[*]")
	i := slices.IndexFunc(t.definition.Fields, func(f v1alpha1.AnonymizeField) bool { return f.Path == path })
	if i < 0 {
		return nil
	}
	return &t.definition.Fields[i]
}

// relink names the person again where the effect took them out, as far as the object still shows the place. The links of other
// effects on the same kind are theirs to follow.
func (t *Turn) relink(object *unstructured.Unstructured) error {
	all, err := linksOf(object)
	if err != nil {
		return err
	}
	identity := t.Person.Identity
	var own, others []fieldpath.Link
	for _, link := range all[identity] {
		if t.fieldOf(link) != nil {
			own = append(own, link)
		} else {
			others = append(others, link)
		}
	}
	fieldpath.Relink(object.Object, own, t.stillAnonymous, t.Person.nameAs)
	if all[identity] = others; len(others) > 0 {
		return all.writeTo(object)
	}
	return t.unlink(object)
}

// stillAnonymous tells whether a field holds what the effect wrote: what somebody has written since is not overwritten.
func (t *Turn) stillAnonymous(l fieldpath.Link, current string) bool {
	return t.returns(l) && t.fieldOf(l).Value == current
}

// NamesOf are the names of those of an effect's targets that are still there.
func NamesOf(look targets.Look, frozen Frozen) []string {
	var names []string
	for _, hash := range frozen {
		for _, object := range look.OfHash(hash) {
			names = append(names, object.GetName())
		}
	}
	return names
}

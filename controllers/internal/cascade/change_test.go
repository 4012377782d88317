package cascade_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
)

// user of the organization acme. Everything that names a person is another word, so that none is taken for another.
func user(name, displayName string) *v1alpha1.User {
	return &v1alpha1.User{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "acme", UID: types.UID("uid-" + name)},
		Spec:       v1alpha1.UserSpec{UserName: "oidc:" + name, Email: name + "@acme.example", DisplayName: displayName, UserType: "Employee"},
	}
}

func alice() *v1alpha1.User { return user("alice", "Alice Ang") }
func bob() *v1alpha1.User   { return user("bob", "Bob Bahn") }

func person(t rapid.TB, user *v1alpha1.User) *cascade.Person {
	t.Helper()
	p, err := cascade.NewPerson(user, "identity-of-"+user.Name, false)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ended is a person whose account is deleted.
func ended(p *cascade.Person) *cascade.Person {
	gone := *p
	gone.Deleted = true
	return &gone
}

// note is an object of a kind that Tenure knows nothing about.
func note(t rapid.TB, content string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	text, err := yaml.YAMLToJSON([]byte(content))
	if err == nil {
		err = json.Unmarshal(text, &object.Object) // of k8s.io: numbers as the API server's clients read them
	}
	if err != nil {
		t.Fatalf("%s: %v", content, err)
	}
	object.SetAPIVersion("notes.example.com/v1")
	object.SetKind("Note")
	object.SetNamespace("acme")
	if object.GetName() == "" {
		object.SetName("hello")
	}
	object.SetUID(types.UID("uid-" + object.GetName()))
	return object
}

// effect on notes: the rest of its definition is YAML.
func effect(t rapid.TB, name, definition string) v1alpha1.Effect {
	t.Helper()
	e := v1alpha1.Effect{Name: name}
	if err := yaml.UnmarshalStrict([]byte(definition), &e.Resources); err != nil {
		t.Fatalf("%s: %v", definition, err)
	}
	e.Resources.APIVersion, e.Resources.Kind = "notes.example.com/v1", "Note"
	return e
}

func resources(t rapid.TB, name, definition string) *cascade.Resources {
	t.Helper()
	e := effect(t, name, definition)
	r, err := cascade.NewResources("acme", "lifecycle", &e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func transition(name string) *v1alpha1.Transition {
	return &v1alpha1.Transition{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)}}
}

// turn of an effect named "notes" in the Transition user.alice.2, for Alice.
func turn(t rapid.TB, definition string) *cascade.Turn {
	t.Helper()
	who, r := person(t, alice()), resources(t, "notes", definition)
	return &cascade.Turn{
		Resources: r, Transition: transition("user.alice.2"), Person: who, To: r.To(who),
		Action: v1alpha1.EffectAction(effect(t, "notes", definition).Resources.Action),
	}
}

// returned is the turn of the effect's way back, in the Transition user.alice.3.
func returned(of *cascade.Turn) *cascade.Turn {
	back := *of
	back.Action, back.Transition = v1alpha1.ActionRelink, transition("user.alice.3")
	return &back
}

func mustChange(t rapid.TB, turn *cascade.Turn, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	before := object.DeepCopy()
	changed, err := turn.Change(object, bob())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, object); diff != "" {
		t.Fatalf("the object that was read was changed:\n%s", diff)
	}
	return changed
}

// content is what people wrote: without what Tenure keeps in annotations.
func content(object *unstructured.Unstructured) map[string]any {
	object = object.DeepCopy()
	annotations := object.GetAnnotations()
	maps.DeleteFunc(annotations, func(name, _ string) bool { return strings.HasPrefix(name, "tenure.dev/") })
	if len(annotations) == 0 {
		annotations = nil
	}
	object.SetAnnotations(annotations)
	return object.Object
}

func TestJudge(t *testing.T) {
	const (
		act, done, left = cascade.Act, cascade.Done, cascade.Left

		keep      = `{reference: {fieldPath: spec.author}, action: Keep}`
		remove    = `{reference: {fieldPath: spec.author}, action: Delete}`
		hand      = `{reference: {fieldPath: spec.author}, action: Transfer, successors: [Owner]}`
		unassign  = `{reference: {fieldPath: "spec.editors[*].name"}, action: Unassign}`
		patch     = `{reference: {fieldPath: spec.author}, action: Patch, patch: {spec: {open: false}}}`
		forget    = `{reference: {fieldPath: spec.author}, action: Anonymize, fields: [{path: spec.author, value: Removed User, onReturn: Relink}]}`
		byMail    = `{reference: {fieldPath: spec.author, value: Email}, action: Delete}`
		open      = `{reference: {fieldPath: spec.author}, action: Delete, match: "object.spec.open && user.spec.userType == 'Employee' && user.kind == 'User'"}`
		forgetOld = `{reference: {fieldPath: spec.author}, action: Anonymize, match: object.spec.open, fields: [{path: spec.author, value: Removed User}]}`

		hers   = `spec: {author: alice, open: true}`
		his    = `spec: {author: bob, open: true}`
		linked = `{metadata: {annotations: {tenure.dev/user-uid: "identity-of-bob,identity-of-alice"}}, spec: {author: Removed User, open: false}}`
		other  = `{metadata: {annotations: {tenure.dev/user-uid: identity-of-bob}}, spec: {author: Removed User, open: false}}`
	)
	marked := func(effects string) string {
		return `{metadata: {annotations: {tenure.dev/effects: "` + effects + `"}}, spec: {author: alice, open: true}}`
	}
	for name, test := range map[string]struct {
		definition, object string
		change             func(*cascade.Turn)
		want               cascade.Verdict
	}{
		"kept":                                {keep, hers, nil, act},
		"to be deleted":                       {remove, hers, nil, act},
		"to be transferred":                   {hand, hers, nil, act},
		"to be patched":                       {patch, hers, nil, act},
		"to be anonymised":                    {forget, hers, nil, act},
		"to be taken out of a list":           {unassign, `spec: {editors: [{name: bob}, {name: alice}]}`, nil, act},
		"of somebody else":                    {remove, his, nil, left},
		"of somebody else in the list":        {unassign, `spec: {editors: [{name: bob}, {name: carol}]}`, nil, left},
		"of nobody any more":                  {hand, `spec: {open: true}`, nil, left},
		"by the name where the mail is meant": {byMail, hers, nil, left},
		"by the mail":                         {byMail, `spec: {author: alice@acme.example}`, nil, act},
		"it matches":                          {open, hers, nil, act},
		"it does not match any more":          {open, `spec: {author: alice, open: false}`, nil, left},

		// What this Transition has done already is not done again.
		"done by this effect":                           {patch, marked("uid-user.alice.2:notes"), nil, done},
		"done by this effect among others":              {patch, marked("uid-user.alice.2:tasks,notes,likes"), nil, done},
		"changed by another effect of this Transition":  {patch, marked("uid-user.alice.2:tasks,more-notes"), nil, act},
		"changed by this effect of another Transition":  {patch, marked("uid-user.alice.1:notes"), nil, act},
		"changed in a Transition that begins like this": {patch, marked("uid-user.alice.22:notes"), nil, act},

		// Links.
		"a link is no reference":                        {remove, linked, nil, left},
		"taken out earlier, and not referring any more": {forget, linked, nil, left},
		"the account ends: the link goes":               {forget, linked, unlinking, act},
		"also where it does not match":                  {forgetOld, linked, unlinking, act},
		"and what is only linked names somebody else":   {forget, linked, ending, left},
		"the link of another account stays":             {forget, other, unlinking, left},
		"the end of an account deletes no linked thing": {remove, linked, ending, left},
		"the account returns":                           {forget, linked, returning, act},
		"the account returns, and refers by itself":     {forget, hers, returning, left},
		"another account's object on return":            {forget, other, returning, left},
	} {
		t.Run(name, func(t *testing.T) {
			turn := turn(t, test.definition)
			if test.change != nil {
				test.change(turn)
			}
			got, err := turn.Judge(t.Context(), note(t, test.object))
			if err != nil || got != test.want {
				t.Errorf("verdict is %d (%v), want %d", got, err, test.want)
			}
		})
	}
}

func ending(t *cascade.Turn)    { t.Person = ended(t.Person) }
func unlinking(t *cascade.Turn) { t.Person, t.Action = ended(t.Person), v1alpha1.ActionUnlink }
func returning(t *cascade.Turn) { t.Action = v1alpha1.ActionRelink }

// TestJudgeTellsWhatCannotBeJudged: an object is not passed over because the expression does not go with it.
func TestJudgeTellsWhatCannotBeJudged(t *testing.T) {
	turn := turn(t, `{reference: {fieldPath: spec.author}, action: Delete, match: object.spec.stage != 'Won'}`)
	got, err := turn.Judge(t.Context(), note(t, `spec: {author: alice}`))
	if err == nil || got != cascade.Act || !strings.HasPrefix(err.Error(), "match: ") {
		t.Errorf("verdict is %d (%v), want an error about match", got, err)
	}
	if got, err := turn.Judge(t.Context(), note(t, `spec: {author: bob}`)); err != nil || got != cascade.Left {
		t.Errorf("verdict about another's object is %d (%v), want %d", got, err, cascade.Left)
	}
}

// TestWhoseAccountHasNoSuchNameIsReferredToByNothing: a user without e-mail is not the one whom an empty field means.
func TestWhoseAccountHasNoSuchNameIsReferredToByNothing(t *testing.T) {
	turn := turn(t, `{reference: {fieldPath: spec.author, value: Email}, action: Delete}`)
	turn.Person.User.Spec.Email = ""
	turn.To = turn.Resources.To(turn.Person)
	if got, err := turn.Judge(t.Context(), note(t, `spec: {author: ""}`)); err != nil || got != cascade.Left {
		t.Errorf("verdict is %d (%v), want %d", got, err, cascade.Left)
	}
}

// TestJudgeByTheObjectsOfAnEarlierEffect: what depends on an object that has gone meanwhile is still the effect's.
func TestJudgeByTheObjectsOfAnEarlierEffect(t *testing.T) {
	turn := turn(t, `{reference: {fieldPath: spec.objective, effect: objectives}, action: Delete}`)
	if turn.Base() != "objectives" {
		t.Errorf("the base is %q", turn.Base())
	}
	gone := func(name string) bool { return name == "gone" }
	for name, test := range map[string]struct {
		object string
		to     cascade.Referred
		want   cascade.Verdict
	}{
		"of a matched object":            {`spec: {objective: grow}`, cascade.ToObjects([]string{"grow", "learn"}, nil), cascade.Act},
		"of another object":              {`spec: {objective: sell}`, cascade.ToObjects([]string{"grow", "learn"}, gone), cascade.Left},
		"of one that has gone":           {`spec: {objective: gone}`, cascade.ToObjects([]string{"grow"}, gone), cascade.Act},
		"of one that has gone, untold":   {`spec: {objective: gone}`, cascade.ToObjects([]string{"grow"}, nil), cascade.Left},
		"the name of the user is no one": {`spec: {objective: alice}`, cascade.ToObjects([]string{"grow"}, nil), cascade.Left},
	} {
		t.Run(name, func(t *testing.T) {
			turn := *turn
			turn.To = test.to
			if got, err := turn.Judge(t.Context(), note(t, test.object)); err != nil || got != test.want {
				t.Errorf("verdict is %d (%v), want %d", got, err, test.want)
			}
		})
	}
}

// TestChange hands an object over to Bob, or does with it what else the effect says.
func TestChange(t *testing.T) {
	for name, test := range map[string]struct{ definition, before, after string }{
		"transfer by name":     {`{reference: {fieldPath: spec.a}, action: Transfer, successors: [Owner]}`, `spec: {a: alice, b: alice}`, `spec: {a: bob, b: alice}`},
		"transfer by userName": {`{reference: {fieldPath: spec.a, value: UserName}, action: Transfer, successors: [Owner]}`, `spec: {a: "oidc:alice"}`, `spec: {a: "oidc:bob"}`},
		"transfer by e-mail":   {`{reference: {fieldPath: spec.a, value: Email}, action: Transfer, successors: [Owner]}`, `spec: {a: alice@acme.example}`, `spec: {a: bob@acme.example}`},
		"transfer by UID":      {`{reference: {fieldPath: spec.a, value: UID}, action: Transfer, successors: [Owner]}`, `spec: {a: uid-alice}`, `spec: {a: uid-bob}`},
		"transfer in a list": {`{reference: {fieldPath: "spec.e[*].name"}, action: Transfer, successors: [Owner]}`,
			`spec: {e: [{name: carol}, {name: alice, since: 3}]}`, `spec: {e: [{name: carol}, {name: bob, since: 3}]}`},
		"who stands in a list twice is replaced once": {`{reference: {fieldPath: "spec.e[*].name"}, action: Transfer, successors: [Owner]}`,
			`spec: {e: [{name: alice, as: owner}, {name: carol}, {name: alice, as: guest}]}`, `spec: {e: [{name: bob, as: owner}, {name: carol}]}`},
		"the receiver stands there already": {`{reference: {fieldPath: "spec.e[*]"}, action: Transfer, successors: [Owner]}`, `spec: {e: [alice, bob, alice]}`, `spec: {e: [bob]}`},
		"unassign":                          {`{reference: {fieldPath: spec.a}, action: Unassign}`, `spec: {a: alice, b: alice}`, `spec: {b: alice}`},
		"unassign in a list": {`{reference: {fieldPath: "spec.e[*].name"}, action: Unassign}`,
			`spec: {e: [{name: alice, as: owner}, {name: carol}, {name: alice, as: guest}]}`, `spec: {e: [{name: carol}]}`},
		"patch": {`{reference: {fieldPath: spec.a}, action: Patch, patch: {spec: {state: cancelled, ends: null, plan: {size: 2, gift: null}, tags: [z]}}}`,
			`spec: {a: alice, state: active, ends: never, plan: {size: 1, gift: true, color: red}, tags: [x, y], b: 1}`,
			`spec: {a: alice, state: cancelled, plan: {size: 2, color: red}, tags: [z], b: 1}`},
		"patch into what is not there": {`{reference: {fieldPath: spec.a}, action: Patch, patch: {spec: {plan: {size: 2}, none: null}, metadata: {labels: {left: "yes"}}}}`,
			`spec: {a: alice}`, `{metadata: {labels: {left: "yes"}}, spec: {a: alice, plan: {size: 2}}}`},
		"patch of other people's annotations": {`{reference: {fieldPath: spec.a}, action: Patch, patch: {metadata: {annotations: {old: null, new: x}}}}`,
			`{metadata: {annotations: {old: x, kept: x}}, spec: {a: alice}}`, `{metadata: {annotations: {new: x, kept: x}}, spec: {a: alice}}`},
		"anonymize": {`{reference: {fieldPath: spec.a}, action: Anonymize, fields: [{path: spec.a, value: Removed User}, {path: spec.mail}]}`,
			`spec: {a: alice, mail: alice@acme.example, text: hello}`, `spec: {a: Removed User, text: hello}`},
		"anonymize in the user's own elements alone": {`{reference: {fieldPath: "spec.c[*].by"}, action: Anonymize, fields: [{path: "spec.c[*].by", value: Removed User}, {path: "spec.c[*].name"}]}`,
			`spec: {c: [{by: alice, name: Alice Ang, text: hello}, {by: bob, name: Bob Bahn, text: hi}]}`,
			`spec: {c: [{by: Removed User, text: hello}, {by: bob, name: Bob Bahn, text: hi}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := content(mustChange(t, turn(t, test.definition), note(t, test.before)))
			if diff := cmp.Diff(note(t, test.after).Object, got); diff != "" {
				t.Errorf("object (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUnassignFromObjectsOfAnEarlierEffect takes out the names of that effect's objects, those that are gone included.
func TestUnassignFromObjectsOfAnEarlierEffect(t *testing.T) {
	turn := turn(t, `{reference: {fieldPath: "spec.objectives[*]", effect: objectives}, action: Unassign}`)
	turn.To = cascade.ToObjects([]string{"grow"}, func(name string) bool { return name == "gone" })
	got := content(mustChange(t, turn, note(t, `spec: {objectives: [learn, grow, gone, sell]}`)))
	if diff := cmp.Diff(note(t, `spec: {objectives: [learn, sell]}`).Object, got); diff != "" {
		t.Errorf("object (-want +got):\n%s", diff)
	}
}

// TestAReceiverWithoutTheNameThatIsNeededGetsNothing: an empty reference would orphan the object.
func TestAReceiverWithoutTheNameThatIsNeededGetsNothing(t *testing.T) {
	turn := turn(t, `{reference: {fieldPath: spec.a, value: Email}, action: Transfer, successors: [Owner]}`)
	receiver := bob()
	receiver.Spec.Email = ""
	changed, err := turn.Change(note(t, `spec: {a: alice@acme.example}`), receiver)
	if err == nil || changed != nil || !strings.Contains(err.Error(), "User bob, has no Email") {
		t.Errorf("got %v (%v), want an error that names the receiver", changed, err)
	}
}

// TestEachChangeIsSigned with the Transition and with the effects of it that are done; those of an earlier Transition are
// history.
func TestEachChangeIsSigned(t *testing.T) {
	for name, test := range map[string]struct{ before, after string }{
		"the first":                    {"", "uid-user.alice.2:notes"},
		"after another effect":         {"uid-user.alice.2:tasks", "uid-user.alice.2:tasks,notes"},
		"after another Transition":     {"uid-user.alice.1:notes,tasks", "uid-user.alice.2:notes"},
		"after one that begins alike":  {"uid-user.alice.22:tasks", "uid-user.alice.2:notes"},
		"after somebody's own remarks": {"nonsense", "uid-user.alice.2:notes"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, definition := range []string{
				`{reference: {fieldPath: spec.a}, action: Transfer, successors: [Owner]}`,
				`{reference: {fieldPath: spec.a}, action: Unassign}`,
				`{reference: {fieldPath: spec.a}, action: Patch, patch: {spec: {b: 1}}}`,
				`{reference: {fieldPath: spec.a}, action: Anonymize, fields: [{path: spec.a}]}`,
			} {
				object := note(t, `spec: {a: alice}`)
				object.SetAnnotations(map[string]string{"theirs": "kept", v1alpha1.AnnotationTransition: "user.alice.1"})
				if test.before != "" {
					object.SetAnnotations(map[string]string{"theirs": "kept", v1alpha1.AnnotationEffects: test.before})
				}
				turn := turn(t, definition)
				changed := mustChange(t, turn, object)
				got := changed.GetAnnotations()
				if got["theirs"] != "kept" || got[v1alpha1.AnnotationTransition] != "user.alice.2" || got[v1alpha1.AnnotationEffects] != test.after {
					t.Errorf("%s: annotations are %v, want effects %s", definition, got, test.after)
				}
				if verdict, err := turn.Judge(t.Context(), changed); err != nil || verdict != cascade.Done {
					t.Errorf("%s: verdict about what was changed is %d (%v), want %d", definition, verdict, err, cascade.Done)
				}
			}
		})
	}
}

// forgetting anonymises a note's comments, and what else names their author.
const forgetting = `{reference: {fieldPath: "spec.comments[*].by"}, action: Anonymize, fields: [
	{path: "spec.comments[*].by", value: Removed User, onReturn: Relink},
	{path: "spec.comments[*].name", value: Removed User, onReturn: Relink},
	{path: "spec.comments[*].mail", onReturn: Relink},
	{path: "spec.comments[*].phone", value: none}]}`

// conversation is a note in which both talk.
const conversation = `spec: {title: x, comments: [
	{by: alice, name: Alice Ang, mail: alice@acme.example, text: one},
	{by: bob, name: Bob Bahn, text: two},
	{by: carol, text: three},
	{by: alice, name: Alice Ang, text: four}]}`

func linksOf(object *unstructured.Unstructured) []string {
	linked := object.GetAnnotations()[v1alpha1.AnnotationUserUID]
	if linked == "" {
		return nil
	}
	return strings.Split(linked, ",")
}

// TestWhoReturnsIsLinkedAgain: not a byte of what people wrote is another, and no link is left.
func TestWhoReturnsIsLinkedAgain(t *testing.T) {
	leave := turn(t, forgetting)
	gone := mustChange(t, leave, note(t, conversation))
	want := note(t, `spec: {title: x, comments: [
		{by: Removed User, name: Removed User, text: one},
		{by: bob, name: Bob Bahn, text: two},
		{by: carol, text: three},
		{by: Removed User, name: Removed User, text: four}]}`)
	if diff := cmp.Diff(want.Object, content(gone)); diff != "" {
		t.Errorf("while Alice is removed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"identity-of-alice"}, linksOf(gone)); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if text := gone.GetAnnotations()[v1alpha1.AnnotationAnonymized]; strings.Contains(strings.ReplaceAll(text, "identity-of-alice", ""), "alice") {
		t.Errorf("the annotation names the person: %s", text)
	}
	back := mustChange(t, returned(leave), gone)
	if diff := cmp.Diff(note(t, conversation).Object, content(back)); diff != "" {
		t.Errorf("after the return (-want +got):\n%s", diff)
	}
	for _, name := range []string{v1alpha1.AnnotationUserUID, v1alpha1.AnnotationAnonymized} {
		if value, is := back.GetAnnotations()[name]; is {
			t.Errorf("annotation %s is still %q", name, value)
		}
	}
}

// TestWhoReturnsIsNamedAsNow: not as before.
func TestWhoReturnsIsNamedAsNow(t *testing.T) {
	leave := turn(t, forgetting)
	gone := mustChange(t, leave, note(t, conversation))
	married := alice()
	married.Spec.DisplayName, married.Spec.Email = "Alice Berg", ""
	back := returned(leave)
	back.Person = person(t, married)
	want := note(t, `spec: {title: x, comments: [
		{by: alice, name: Alice Berg, text: one},
		{by: bob, name: Bob Bahn, text: two},
		{by: carol, text: three},
		{by: alice, name: Alice Berg, text: four}]}`)
	if diff := cmp.Diff(want.Object, content(mustChange(t, back, gone))); diff != "" {
		t.Errorf("after the return (-want +got):\n%s", diff)
	}
}

// TestWhatCannotOrMustNotBeLinked stays anonymous.
func TestWhatCannotOrMustNotBeLinked(t *testing.T) {
	for name, test := range map[string]struct {
		written string // by the user
		since   func(spec map[string]any)
		policy  string // on return
		want    string
	}{
		"no name of the person's":    {`spec: {comments: [{by: alice, name: Ally, phone: "123"}]}`, nil, forgetting, `spec: {comments: [{by: alice, name: Removed User, phone: none}]}`},
		"written over since":         {`spec: {title: alice}`, func(spec map[string]any) { spec["title"] = "moderated" }, titled("Relink"), `spec: {title: moderated}`},
		"taken out since":            {`spec: {title: alice}`, func(spec map[string]any) { delete(spec, "title") }, titled("Relink"), `spec: {}`},
		"the policy keeps it so now": {`spec: {title: alice}`, nil, titled("Keep"), `spec: {title: Removed User}`},
		"the policy links it now":    {`spec: {title: alice}`, nil, titled("Relink"), `spec: {title: alice}`},
	} {
		t.Run(name, func(t *testing.T) {
			definition := titled("Relink")
			if strings.Contains(test.written, "comments") {
				definition = forgetting
			}
			gone := mustChange(t, turn(t, definition), note(t, test.written))
			if test.since != nil {
				test.since(gone.Object["spec"].(map[string]any))
			}
			back := mustChange(t, returned(turn(t, test.policy)), gone)
			if diff := cmp.Diff(note(t, test.want).Object, content(back)); diff != "" {
				t.Errorf("after the return (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWhatCannotReturnIsNotKept: the object says whose it was, and no more.
func TestWhatCannotReturnIsNotKept(t *testing.T) {
	for name, test := range map[string]struct{ definition, written string }{
		"by the policy":           {titled("Keep"), `spec: {title: alice}`},
		"no name of the person's": {`{reference: {fieldPath: spec.a}, action: Anonymize, fields: [{path: spec.title, value: x, onReturn: Relink}]}`, `spec: {a: alice, title: Ally}`},
	} {
		t.Run(name, func(t *testing.T) {
			gone := mustChange(t, turn(t, test.definition), note(t, test.written))
			if diff := cmp.Diff([]string{"identity-of-alice"}, linksOf(gone)); diff != "" {
				t.Errorf("links (-want +got):\n%s", diff)
			}
			if text, is := gone.GetAnnotations()[v1alpha1.AnnotationAnonymized]; is {
				t.Errorf("it keeps %s", text)
			}
		})
	}
}

// titled anonymises the title.
func titled(onReturn string) string {
	return `{reference: {fieldPath: spec.title}, action: Anonymize, fields: [{path: spec.title, value: Removed User, onReturn: ` + onReturn + `}]}`
}

// TestSeveralEffectsOnOneObjectAreAllLinkedAgain, although each is the other's work, too.
func TestSeveralEffectsOnOneObjectAreAllLinkedAgain(t *testing.T) {
	title, comments := turn(t, titled("Relink")), turn(t, forgetting)
	title.Name = "titles"
	before := `spec: {title: alice, comments: [{by: alice, name: Alice Ang, text: one}, {by: bob, text: two}]}`
	for name, order := range map[string][]*cascade.Turn{"one way": {title, comments}, "the other way": {comments, title}} {
		t.Run(name, func(t *testing.T) {
			object := note(t, before)
			for _, leave := range []*cascade.Turn{title, comments} {
				object = mustChange(t, leave, object)
			}
			if diff := cmp.Diff([]string{"identity-of-alice"}, linksOf(object)); diff != "" {
				t.Errorf("links (-want +got):\n%s", diff)
			}
			for _, leave := range order {
				back := returned(leave)
				verdict, err := back.Judge(t.Context(), object)
				if err != nil || verdict != cascade.Act {
					t.Fatalf("verdict of %s is %d (%v), want %d", back.Name, verdict, err, cascade.Act)
				}
				object = mustChange(t, back, object)
			}
			if diff := cmp.Diff(note(t, before).Object, content(object)); diff != "" {
				t.Errorf("after the return (-want +got):\n%s", diff)
			}
			if linked := linksOf(object); linked != nil {
				t.Errorf("links are left: %v", linked)
			}
		})
	}
}

// TestAnEffectThatFindsNothingToLinkIsDone where another one of the Transition has linked all that there was: nobody else
// changed the object.
func TestAnEffectThatFindsNothingToLinkIsDone(t *testing.T) {
	title, comments := turn(t, titled("Relink")), turn(t, forgetting)
	title.Name = "titles"
	object := mustChange(t, title, note(t, `spec: {title: alice, comments: []}`))
	object = mustChange(t, returned(title), object)
	if verdict, err := returned(comments).Judge(t.Context(), object); err != nil || verdict != cascade.Done {
		t.Errorf("verdict is %d (%v), want %d", verdict, err, cascade.Done)
	}
}

// TestAnAccountThatEndsLeavesNoLink of its own, and takes nobody else's.
func TestAnAccountThatEndsLeavesNoLink(t *testing.T) {
	aliceLeaves, bobLeaves := turn(t, forgetting), turn(t, forgetting)
	bobLeaves.Person, bobLeaves.Transition = person(t, bob()), transition("user.bob.2")
	bobLeaves.To = bobLeaves.Resources.To(bobLeaves.Person)
	gone := mustChange(t, bobLeaves, mustChange(t, aliceLeaves, note(t, conversation)))
	if diff := cmp.Diff([]string{"identity-of-alice", "identity-of-bob"}, linksOf(gone)); diff != "" {
		t.Errorf("links of both (-want +got):\n%s", diff)
	}

	ends := *aliceLeaves
	ends.Person, ends.Transition = ended(aliceLeaves.Person), transition("user.alice.3")
	unlinks := ends
	unlinking(&unlinks)
	after := mustChange(t, &unlinks, gone)
	if diff := cmp.Diff(content(gone), content(after)); diff != "" {
		t.Errorf("the end of a removed account changes the content (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"identity-of-bob"}, linksOf(after)); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if text := after.GetAnnotations()[v1alpha1.AnnotationAnonymized]; strings.Contains(text, "alice") || !strings.Contains(text, "identity-of-bob") {
		t.Errorf("the annotation is %s", text)
	}

	atOnce := mustChange(t, &ends, note(t, conversation))
	if text, is := atOnce.GetAnnotations()[v1alpha1.AnnotationAnonymized]; is || linksOf(atOnce) != nil {
		t.Errorf("a deletion leaves the links %v, %s", linksOf(atOnce), text)
	}
	if strings.Contains(contentText(t, atOnce), "alice") || strings.Contains(contentText(t, atOnce), "Ang") {
		t.Errorf("a deletion leaves the name: %s", contentText(t, atOnce))
	}
}

func contentText(t rapid.TB, object *unstructured.Unstructured) string {
	t.Helper()
	text, err := yaml.Marshal(content(object))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestABrokenAnnotationIsToldAbout: nothing is overwritten whose links would be lost.
func TestABrokenAnnotationIsToldAbout(t *testing.T) {
	object := note(t, conversation)
	object.SetAnnotations(map[string]string{v1alpha1.AnnotationAnonymized: "{", v1alpha1.AnnotationUserUID: "identity-of-alice"})
	for _, turn := range []*cascade.Turn{turn(t, forgetting), returned(turn(t, forgetting))} {
		if changed, err := turn.Change(object, nil); err == nil || changed != nil || !strings.Contains(err.Error(), v1alpha1.AnnotationAnonymized) {
			t.Errorf("%s: got %v (%v), want an error that names the annotation", turn.Action, changed, err)
		}
	}
}

// TestPeopleComeAndGo removes two people from one note in any order, lets them return and end in any order, and has a model
// say what the note shows: each line the name of its author, or that there is none.
func TestPeopleComeAndGo(t *testing.T) {
	const here, removed, over = "here", "removed", "over"
	rapid.Check(t, func(t *rapid.T) {
		object := note(t, conversation)
		state := map[string]string{"alice": here, "bob": here}
		persons := map[string]*cascade.Person{"alice": person(t, alice()), "bob": person(t, bob())}
		for i := range rapid.IntRange(1, 8).Draw(t, "steps") {
			who := rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "who")
			step := turn(t, forgetting)
			step.Person, step.Transition = persons[who], transition("user."+who+"."+string(rune('a'+i)))
			step.To = step.Resources.To(step.Person)
			next := rapid.SampledFrom([]string{here, removed, removed, over}).Draw(t, "next")
			switch {
			case state[who] == next, state[who] == over:
				continue
			case next == here:
				step.Action = v1alpha1.ActionRelink
			case next == over && state[who] == removed:
				unlinking(step)
			case next == over:
				ending(step)
			}
			state[who] = next
			if verdict, err := step.Judge(t.Context(), object); err != nil || verdict != cascade.Act {
				t.Fatalf("%s becomes %s: verdict is %d (%v)", who, next, verdict, err)
			}
			object = mustChange(t, step, object)
			checkNames(t, object, state)
		}
	})
}

func checkNames(t *rapid.T, object *unstructured.Unstructured, state map[string]string) {
	want := note(t, conversation)
	comments, _, _ := unstructured.NestedSlice(want.Object, "spec", "comments")
	var linked []string
	for who, is := range state {
		if is == "removed" {
			linked = append(linked, "identity-of-"+who)
		}
	}
	for _, comment := range comments {
		fields := comment.(map[string]any)
		if is := state[fields["by"].(string)]; is == "removed" || is == "over" {
			fields["by"], fields["name"] = "Removed User", "Removed User"
			delete(fields, "mail")
		}
	}
	if err := unstructured.SetNestedSlice(want.Object, comments, "spec", "comments"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Object, content(object)); diff != "" {
		t.Fatalf("with %v (-want +got):\n%s", state, diff)
	}
	sorted := slices.Sorted(slices.Values(linksOf(object)))
	slices.Sort(linked)
	if diff := cmp.Diff(linked, sorted, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("links with %v (-want +got):\n%s", state, diff)
	}
	if _, is := object.GetAnnotations()[v1alpha1.AnnotationAnonymized]; is != (len(linked) > 0) {
		t.Fatalf("with %v the annotations are %v", state, object.GetAnnotations())
	}
}

package stories

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/example"
	"tenure.dev/tenure/hack/local"
)

const (
	// fewestMutations are as many as the story must try to be worth it.
	fewestMutations = 2000

	// triedMutations are as many of those that there are as are tried, and writtenMutations as many of the accepted ones as
	// are written, the others being dry runs. The seed says which. MUTATIONS and MUTATIONS_WRITTEN say otherwise.
	triedMutations   = 3000
	writtenMutations = 120

	// longestRefusal is for an expression with several faults. (The API server repeats whatever it does not
	// like.)
	longestRefusal = 2 << 10
)

var _ = Describe("Any field of any kind, filled with what does not belong there,", Label("R3"), func() {
	It("is refused by its name, or does no harm: access is as it was declared, and the operator goes on", func(ctx context.Context) {
		seed := fromEnvironment("MUTATIONS_SEED", int(GinkgoRandomSeed()))
		AddReportEntry("MUTATIONS_SEED", seed)
		n := newNonsense(ctx, uint64(seed))
		DeferCleanup(func() {
			AddReportEntry("complaints", strings.Join(n.complaints, "\n"), ReportEntryVisibilityFailureOrVerbose)
		})
		watched := []*spectator{watchOver(shared), watchOver(answering)}

		By("asking what would be accepted")
		mutations := n.some(n.mutations(), fromEnvironment("MUTATIONS", triedMutations))
		Expect(len(mutations)).To(BeNumerically(">=", fewestMutations))
		accepted := n.ask(ctx, mutations)

		By("writing some of that")
		written := n.toWrite(accepted)
		n.write(ctx, written)
		n.tieKnots(ctx)
		n.expectDeclared(ctx)

		By("letting everybody go")
		n.letGo(ctx)
		n.expectDeclared(ctx)
		for _, s := range watched {
			s.complain(n)
		}
		n.expectProbe(ctx)
		AddReportEntry("mutations", fmt.Sprintf("%d tried, %d accepted, %d written", len(mutations), len(accepted), len(written)))
		Expect(n.complaints).To(BeEmpty())
	})
})

// nonsense is an organization in which everything is tried that somebody might write.
type nonsense struct {
	*organization
	clock  clock.PassiveClock
	chance *rand.Rand
	admin  *http.Client
	jane   *http.Client // may change people, and restore nobody from a backup
	host   string
	target string         // grants roles
	other  string         // a namespace without an Organization
	homes  map[int]string // namespaces of Organizations that are written
	kinds  []*kindOfObject

	mutex      sync.Mutex
	complaints []string
}

// kindOfObject is a kind as its definition has it, with an object that has every field.
type kindOfObject struct {
	name, plural string
	schema       *apiextensionsv1.JSONSchemaProps
	example      tree
}

// tree is an object as JSON has it.
type tree = map[string]any

// takenOut, as a value, takes a field out.
type takenOut struct{}

// added, as a value, puts one more field beside those that are there.
type added struct {
	name  string
	value any
}

// field is one place in the objects of a kind.
type field struct {
	kind   *kindOfObject
	place  []any // names, and indices of items
	schema *apiextensionsv1.JSONSchemaProps
}

// mutation is an otherwise valid object with one field changed.
type mutation struct {
	field
	what   string
	value  any
	update bool // of what is there, rather than a new one
	lax    bool // fields that there are not are dropped without a word
	number int
}

// answer is the API server's.
type answer struct {
	code    int
	object  tree
	refusal string
}

func newNonsense(ctx context.Context, seed uint64) *nonsense {
	GinkgoHelper()
	n := &nonsense{
		organization: newOrganization(ctx), clock: clock.RealClock{}, chance: rand.New(rand.NewPCG(seed, 0)),
		host: strings.TrimSuffix(cluster.Admin().Host, "/"), other: newNamespace(ctx).name, homes: map[int]string{},
	}
	n.setUpLifecycle(ctx)
	n.target = n.createProgram(ctx, "course")
	n.administrator(ctx, "tenure-power-user", "jane")
	n.allow(ctx, "use", "jane", []string{"lifecyclepolicies"}, "use")
	n.admin = must(rest.HTTPClientFor(cluster.Admin()))
	n.jane = must(rest.HTTPClientFor(must(cluster.User("jane", "people"))))
	for _, c := range []*http.Client{n.admin, n.jane} {
		c.Timeout = 3 * soon // The API server gives up after a minute.
	}
	n.readKinds()
	for _, kind := range n.kinds {
		if kind.name != "Organization" {
			got := n.post(ctx, kind, n.pristine(kind, "live", nil))
			Expect(got.code).To(Equal(http.StatusCreated), got.refusal)
		}
	}
	return n
}

// readKinds reads the definitions, and the full examples that the tests of the schema have.
func (n *nonsense) readKinds() {
	GinkgoHelper()
	root := must(local.RepositoryRoot())
	for _, file := range must(filepath.Glob(root + "/config/crd/bases/*.yaml")) {
		var definition apiextensionsv1.CustomResourceDefinition
		Expect(yaml.UnmarshalStrict(must(os.ReadFile(file)), &definition)).To(Succeed())
		names := definition.Spec.Names
		kind := &kindOfObject{name: names.Kind, plural: names.Plural, schema: definition.Spec.Versions[0].Schema.OpenAPIV3Schema}
		sample := root + "/api/v1alpha1/testdata/" + strings.ToLower(names.Kind) + ".yaml"
		Expect(yaml.Unmarshal(must(os.ReadFile(sample)), &kind.example)).To(Succeed())
		n.kinds = append(n.kinds, kind)
	}
	n.kind("Organization").example["status"].(tree)["departures"] = []any{
		tree{"kind": "User", "name": "somebody", "resourceVersion": "1", "time": "2020-01-01T00:00:00Z"},
	}
	policy := n.kind("LifecyclePolicy").example["spec"].(tree)
	plan := []any{}
	for _, effect := range policy["effects"].([]any) {
		onWork(effect.(tree))
		plan = append(plan, tree{
			"effect": effect.(tree)["name"], "action": "Keep", "kind": "Work", "targets": 1, "successor": "dan", "candidates": []any{"dan"},
			"frozen": "AAAAAQ==", "definition": effect,
		})
	}
	n.kind("Transition").example["spec"].(tree)["plan"] = plan
}

// onWork lets an effect be about work, which the cluster has.
func onWork(effect tree) {
	if resources, is := effect["resources"].(tree); is {
		resources["apiVersion"], resources["kind"] = example.Work.GroupVersion().String(), example.Work.Kind
	}
}

func (n *nonsense) kind(name string) *kindOfObject {
	return n.kinds[slices.IndexFunc(n.kinds, func(k *kindOfObject) bool { return k.name == name })]
}

// pristine is a valid object of a kind, in which everybody has access. It has holds and stand-ins only where the place lies in
// them.
func (n *nonsense) pristine(kind *kindOfObject, name string, place []any) tree {
	object := clone(kind.example)
	spec := object["spec"].(tree)
	object["metadata"] = tree{"name": name, "namespace": n.name, "labels": tree{"team": "sales"}}
	for _, list := range []string{"holds", "acting"} {
		if !slices.Contains(place, any(list)) {
			delete(spec, list)
		}
	}
	for list, at := range map[string]string{"startTime": "2020-01-01T00:00:00Z", "expirationTime": "2999-06-30T22:00:00Z"} {
		if _, has := spec[list]; has {
			spec[list] = at
		}
	}
	switch kind.name {
	case "Organization":
		object["metadata"].(tree)["name"] = n.name
	case "User":
		spec["userName"], spec["email"] = n.userName(name), n.userName(name)
		spec["absences"] = []any{tree{
			"name": "leave", "startTime": "2500-01-01T00:00:00Z", "endTime": "2500-02-01T00:00:00Z", "status": "Deactivated", "reason": "Leave",
		}}
		spec["policyRef"] = tree{"name": "live"}
	case "Group":
		spec["roles"].([]any)[0].(tree)["minimumActive"] = 0
		spec["roles"].([]any)[0].(tree)["grants"].([]any)[0].(tree)["namespaces"] = []any{n.target}
	case "Membership":
		spec["userRef"], spec["groupRef"] = tree{"name": name}, tree{"name": "course"}
		spec["roles"] = []any{"Member"}
		if holds, has := spec["holds"].([]any); has {
			holds[0].(tree)["name"] = "audit"
		}
	case "Transition":
		object["metadata"].(tree)["name"] = "user.nobody." + name
		spec["subject"].(tree)["name"] = "nobody"
	}
	return object
}

// object is the pristine one, changed.
func (n *nonsense) object(m *mutation, name, namespace string) tree {
	object := n.pristine(m.kind, name, m.place)
	if object["metadata"].(tree)["namespace"] = namespace; m.kind.name == "Organization" {
		object["metadata"].(tree)["name"] = namespace
	}
	return put(object, m.place, m.value).(tree)
}

// put sets a value at a place, or takes it out. On the way it makes the objects that are missing.
func put(within any, place []any, value any) any {
	if more, is := value.(added); is && len(place) == 0 {
		return put(within, []any{more.name}, more.value)
	}
	if len(place) == 0 {
		return value
	}
	_, out := value.(takenOut)
	out = out && len(place) == 1
	if i, is := place[0].(int); is {
		items := within.([]any)
		if out {
			return slices.Delete(items, i, i+1)
		}
		items[i] = put(items[i], place[1:], value)
		return items
	}
	fields, _ := within.(tree)
	if fields == nil {
		fields = tree{}
	}
	name := place[0].(string)
	if out {
		delete(fields, name)
	} else {
		fields[name] = put(fields[name], place[1:], value)
	}
	return fields
}

func clone[T any](value T) (copied T) {
	GinkgoHelper()
	Expect(json.Unmarshal(must(json.Marshal(value)), &copied)).To(Succeed())
	return copied
}

// path is a place in words.
func path(place []any) string {
	var b strings.Builder
	for _, step := range place {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		case string:
			fmt.Fprintf(&b, ".%s", step)
		}
	}
	return strings.TrimPrefix(b.String(), ".")
}

func (m *mutation) String() string {
	how := "create"
	if m.update {
		how = "update"
	}
	return fmt.Sprintf("%d: %s %s, %s: %s", m.number, how, m.kind.name, path(m.place), m.what)
}

// ofStatus tells whether the mutation is of what the operator has computed.
func (m *mutation) ofStatus() bool { return m.place[0] == "status" }

// ofAnnotation tells whether the mutation is of what means something to Tenure, but is in no schema.
func (m *mutation) ofAnnotation() bool { return len(m.place) == 3 && m.place[1] == "annotations" }

// fields are all that a kind has.
func (k *kindOfObject) fields() []field {
	GinkgoHelper()
	var found []field
	known := map[string]bool{}
	add := func(place []any, schema *apiextensionsv1.JSONSchemaProps) {
		if shape := regexp.MustCompile(`\[\d+\]`).ReplaceAllString(path(place), "[]"); !known[shape] {
			known[shape] = true
			found = append(found, field{kind: k, place: place, schema: schema})
		}
	}
	walk(k.schema, k.example, nil, add)
	for shape := range shapesOf(k.schema, "") {
		Expect(known).To(HaveKey(shape), "the example of %s has no such field", k.name)
	}

	text := &apiextensionsv1.JSONSchemaProps{Type: "string"}
	texts := &apiextensionsv1.JSONSchemaProps{Type: "object", AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Schema: text}}
	list := &apiextensionsv1.JSONSchemaProps{Type: "array"}
	for name, schema := range map[string]*apiextensionsv1.JSONSchemaProps{
		"name": text, "namespace": text, "labels": texts, "annotations": texts, "finalizers": list, "ownerReferences": list,
	} {
		add([]any{"metadata", name}, schema)
	}
	for _, annotation := range []string{
		v1alpha1.AnnotationRelease, v1alpha1.AnnotationLastActivity, v1alpha1.AnnotationReason, v1alpha1.AnnotationPreview,
		v1alpha1.AnnotationConfirm, v1alpha1.AnnotationOnBehalfOf, v1alpha1.AnnotationIdentity, v1alpha1.AnnotationActor,
		v1alpha1.AnnotationDeletedBy, v1alpha1.AnnotationPlan, v1alpha1.AnnotationFirstActivity, v1alpha1.AnnotationHeldOpen,
		v1alpha1.AnnotationComplete,
	} {
		add([]any{"metadata", "annotations", annotation}, text)
	}
	slices.SortFunc(found, func(a, b field) int { return strings.Compare(path(a.place), path(b.place)) })
	return found
}

// walk goes through everything that a sample has.
func walk(schema *apiextensionsv1.JSONSchemaProps, sample any, place []any, found func([]any, *apiextensionsv1.JSONSchemaProps)) {
	if len(place) > 0 {
		found(place, schema)
	}
	within := func(step any) []any { return append(slices.Clone(place), step) }
	switch sample := sample.(type) {
	case tree:
		for _, name := range slices.Sorted(maps.Keys(sample)) {
			if property, known := schema.Properties[name]; known && name != "metadata" {
				walk(&property, sample[name], within(name), found)
			} else if schema.AdditionalProperties != nil {
				walk(schema.AdditionalProperties.Schema, sample[name], within(name), found)
			}
		}
	case []any:
		for i, item := range sample {
			walk(schema.Items.Schema, item, within(i), found)
		}
	}
}

// shapesOf are the paths of all fields of a schema, without indices.
func shapesOf(schema *apiextensionsv1.JSONSchemaProps, at string) map[string]bool {
	shapes := map[string]bool{}
	for name := range schema.Properties {
		if name == "metadata" {
			continue
		}
		property := schema.Properties[name]
		shape := strings.TrimPrefix(at+"."+name, ".")
		shapes[shape] = true
		maps.Copy(shapes, shapesOf(&property, shape))
	}
	if schema.Items != nil {
		shapes[at+"[]"] = true
		maps.Copy(shapes, shapesOf(schema.Items.Schema, at+"[]"))
	}
	return shapes
}

// mutations are all that there are, in the same order for the same seed.
func (n *nonsense) mutations() []*mutation {
	var all []*mutation
	for _, kind := range n.kinds {
		for _, f := range kind.fields() {
			values := n.valuesFor(f)
			for _, what := range slices.Sorted(maps.Keys(values)) {
				m := &mutation{field: f, what: what, value: values[what], number: len(all), lax: n.chance.IntN(8) == 0}
				m.update = m.ofStatus() || n.chance.IntN(2) == 0
				all = append(all, m)
			}
		}
	}
	return all
}

// some are as many as these at random, in random order.
func (n *nonsense) some(mutations []*mutation, most int) []*mutation {
	n.chance.Shuffle(len(mutations), func(i, j int) { mutations[i], mutations[j] = mutations[j], mutations[i] })
	return mutations[:min(most, len(mutations))]
}

// valuesFor are what to fill a field with.
func (n *nonsense) valuesFor(f field) map[string]any {
	deep := strings.Repeat(`{"a":[`, 2000) + strings.Repeat("]}", 2000)
	values := map[string]any{
		"nothing": takenOut{}, "null": nil, "a word": "nonsense", "a number": 7, "a fraction": 1.5, "infinity": json.RawMessage("1e400"),
		"truth": true, "an empty list": []any{}, "a list of nulls": []any{nil, nil}, "an empty object": tree{},
		"strangers": tree{"stranger": tree{"stranger": 1}}, "an abyss": json.RawMessage(deep),
	}
	switch {
	case f.schema.Format == "date-time":
		maps.Copy(values, instants)
	case len(f.schema.Enum) > 0:
		maps.Copy(values, wordsNearTo(f.schema.Enum))
	case f.schema.Type == "string":
		maps.Copy(values, n.textsFor(f))
	case f.schema.Type == "integer":
		maps.Copy(values, numbersFor(f.schema))
	case f.schema.Type == "array":
		maps.Copy(values, listsFor(f))
	case f.schema.Type == "object":
		maps.Copy(values, objectsFor())
	}
	return values
}

var instants = map[string]any{
	"before 1970": "1969-12-31T23:59:59Z", "the first": "1000-01-01T00:00:00Z", "year nought": "0000-01-01T00:00:00Z", "zero": "0001-01-01T00:00:00Z",
	"last of all": "2999-12-31T23:59:59Z", "the year 3000": "3000-01-01T00:00:00Z", "the year 9999": "9999-12-31T23:59:59Z", "the year 10000": "10000-01-01T00:00:00Z",
	"far east": "2400-01-01T00:00:00+14:00", "far west": "2400-01-01T00:00:00-12:00", "the end of a day there": "1999-12-31T23:59:59-19:59",
	"offset of a day": "2400-01-01T00:00:00+24:00", "offset with seconds": "2400-01-01T00:00:00+01:00:30", "negative zero": "2400-01-01T00:00:00-00:00",
	"leap second": "2016-12-31T23:59:60Z", "the 30th of February": "2400-02-30T00:00:00Z", "the 29th of February": "2399-02-29T00:00:00Z",
	"fraction": "2400-01-01T00:00:00.123456789Z", "no fraction": "2400-01-01T00:00:00.000Z", "comma": "2400-01-01T00:00:00,5Z", "lower case": "2400-01-01t00:00:00z", "a space": "2400-01-01 00:00:00Z",
	"no zone": "2400-01-01T00:00:00", "no time": "2400-01-01", "negative": "-2400-01-01T00:00:00Z", "spaces around": " 2400-01-01T00:00:00Z ", "two lines": "2400-01-01T00:00:00Z\n",
	"seconds": "1798761600", "no text": "", "other digits": "２４００-01-01T00:00:00Z", "very long": "2400-01-01T00:00:00Z" + strings.Repeat("0", 1<<20),
}

// wordsNearTo are all that are right, and some that look alike.
func wordsNearTo(words []apiextensionsv1.JSON) map[string]any {
	values := map[string]any{"no text": "", "a very long word": strings.Repeat("Active", 1<<17)}
	for _, encoded := range words {
		var word string
		Expect(json.Unmarshal(encoded.Raw, &word)).To(Succeed())
		values["the word "+word] = word
	}
	var first string
	Expect(json.Unmarshal(words[0].Raw, &first)).To(Succeed())
	for _, near := range []string{strings.ToLower(first), strings.ToUpper(first), first + " ", first + "\n", first + "\x00", first + ";" + first} {
		values[fmt.Sprintf("near to it, %q", near)] = near
	}
	return values
}

// textsFor are texts that are right or wrong for a field, depending on what it is.
func (n *nonsense) textsFor(f field) map[string]any {
	long := int(ptr.Deref(f.schema.MaxLength, 253))
	values := map[string]any{
		"longest": strings.Repeat("x", long), "too long by one": strings.Repeat("x", long+1), "much too long": strings.Repeat("x", 100*long),
		"a megabyte": strings.Repeat("x", 1<<20), "longest in two bytes each": strings.Repeat("é", long), "longest in four": strings.Repeat("🙂", long),
		"half a character": json.RawMessage(`"half \ud800"`),
	}
	for _, text := range []string{
		"", " ", "\t", "two\nlines", "two\r\nlines", " before", "behind ", "zero\x00zero", "\x1b[2Jolivia", "bell\a", "del\x7f", "\u0085next",
		"a/b", "/", "..", "../" + n.other + "/olivia", n.other + "/olivia", "a.b.c", "-a-", "a,b", "a:b", "UPPER Case", "Zoë 名前", "\u202eevil", "\ufeffmark", "two\u2028lines",
		"%s%d%!n", "${x}{{.y}}", "'; drop", "<b>&amp;", "system:masters", "SYSTEM:admin", "*", "true", "0", "nobody", "olivia", "live", "user-suspended", "effect-x", "a@b", "@", "a@b@c",
		`{"username":"olivia"}`, `{"username":`, "2999-01-01T00:00:00Z", "2026-01-02T03:04:05.5Z", "user.live.9223372036854775807", "user.live.-1", "full",
	} {
		values[fmt.Sprintf("%q", text)] = text
	}
	switch f.place[len(f.place)-1] {
	case "match":
		maps.Copy(values, expressions)
	case "fieldPath", "path":
		for _, text := range []string{"spec", "metadata.name", "status.x", "spec..a", "spec.", ".spec", "spec.a[*][*]", "spec.a[0]", "spec.a[", "[*]", "spec['a']", "__proto__.x", strings.Repeat("a.", 126) + "a"} {
			values["the path "+text] = text
		}
	}
	return values
}

// expressions are of CEL, or nearly so.
var expressions = map[string]any{
	"half an expression": "object.spec.", "no expression": "))((", "a number for a truth": "1 + 1", "a stranger": "stranger.spec == 'x'",
	"an unknown function": "object.spec.explode()", "a bad pattern": "'a'.matches('(')", "a division by zero": "1 / 0 == 1", "an overflow": "9223372036854775807 + 1 > 0",
	"a missing field": "object.spec.no.such.field == 1", "a wrong type": "object + 1 == 2", "all parentheses": strings.Repeat("(", 2000) + "true" + strings.Repeat(")", 2000),
	"many nots": strings.Repeat("!", 4000) + "true", "a long chain": "true" + strings.Repeat(" || true", 500), "brackets": strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + " == []",
	"very expensive":  nested(8, "true"),
	"quite expensive": nested(4, "object.spec.x == y0"),
	"a long pattern":  "object.metadata.name.matches('" + strings.Repeat("(a+)+", 500) + "$')",
	"a long text":     "('" + strings.Repeat("x", 1000) + "' + '" + strings.Repeat("y", 1000) + "').size() > 0",
	"a macro":         "has(object.spec) && !has(object.spec.x)", "two lines": "true\n&&\nfalse", "a comment": "true // and so on", "no truth": "object.spec.owner", "zero byte": "object.spec.owner == 'a\\x00'",
	"a megabyte": strings.Repeat("true && ", 1<<17) + "true", "in its own words": "object.spec == user && user.spec == object",
}

// nested are loops in loops.
func nested(depth int, innermost string) string {
	list := "[" + strings.TrimSuffix(strings.Repeat("1,", 50), ",") + "]"
	for i := range depth {
		innermost = fmt.Sprintf("%s.all(y%d, %s)", list, i, innermost)
	}
	return innermost
}

func numbersFor(schema *apiextensionsv1.JSONSchemaProps) map[string]any {
	values := map[string]any{}
	for _, number := range []string{"0", "-1", "1", "2147483647", "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "1e3", "1e18", "-0", "0.1", `"5"`, "1.0"} {
		values["the number "+number] = json.RawMessage(number)
	}
	for what, bound := range map[string]*float64{"least": schema.Minimum, "most": schema.Maximum} {
		if bound != nil {
			for beside := -1; beside <= 1; beside++ {
				values[fmt.Sprintf("%s%+d", what, beside)] = int64(*bound) + int64(beside)
			}
		}
	}
	return values
}

// listsFor are lists that are too long, or have something twice.
func listsFor(f field) map[string]any {
	values := map[string]any{"lists in a list": []any{[]any{}, []any{}}, "no list": tree{"0": "x"}}
	items, _ := f.at(f.kind.example).([]any)
	if len(items) == 0 {
		items = []any{"x"}
	}
	most := int(ptr.Deref(f.schema.MaxItems, 100))
	for what, count := range map[string]int{"the most": most, "one too many": most + 1, "far too many": 20 * most, "twice the same": 0} {
		list := []any{clone(items[0]), clone(items[0])}
		for i := range count {
			list = append(list, f.item(clone(items[i%len(items)]), i))
		}
		values[what] = list[min(count, 2):]
	}
	values["huge"] = slices.Repeat([]any{items[0]}, 5000)
	return values
}

// item is one of many.
func (f field) item(item any, i int) any {
	switch item := item.(type) {
	case string:
		if f.schema.Items == nil || len(f.schema.Items.Schema.Enum) == 0 {
			return fmt.Sprint("n", i)
		}
	case tree:
		for _, key := range f.schema.XListMapKeys {
			item[key] = fmt.Sprint("n", i)
		}
	}
	return item
}

// at is what an object has at the place of the field.
func (f field) at(object any) any {
	for _, step := range f.place {
		switch step := step.(type) {
		case string:
			fields, _ := object.(tree)
			object = fields[step]
		case int:
			object = object.([]any)[step]
		}
	}
	return object
}

func objectsFor() map[string]any {
	values := map[string]any{}
	for _, name := range []string{"stranger", "", "a/b", "two\nlines", "zero\x00", "é", "__proto__", "$ref", strings.Repeat("k", 64), strings.Repeat("k", 1000), "tenure.dev/identity"} {
		values[fmt.Sprintf("with a stranger, %q", name)] = added{name, "x"}
	}
	values["with a null"] = added{"nothing", nil}
	values["with a megabyte"] = added{"big", strings.Repeat("x", 1<<20)}
	crowd := tree{}
	for i := range 1000 {
		crowd[fmt.Sprint("k", i)] = "x"
	}
	values["with a thousand strangers"] = crowd
	return values
}

// complain notes what must not be.
func (n *nonsense) complain(format string, arguments ...any) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.complaints = append(n.complaints, fmt.Sprintf(format, arguments...))
}

// each does something about every mutation, for as many at a time as the API server serves.
func each(mutations []*mutation, do func(*mutation)) {
	GinkgoHelper()
	workqueue.ParallelizeUntil(context.Background(), 12, len(mutations), func(i int) {
		defer GinkgoRecover()
		do(mutations[i])
	})
}

// ask sends all of them as dry runs, and returns those that were accepted.
func (n *nonsense) ask(ctx context.Context, mutations []*mutation) (accepted []*mutation) {
	GinkgoHelper()
	each(mutations, func(m *mutation) {
		if n.try(ctx, m, "live", "&dryRun=All") {
			n.mutex.Lock()
			defer n.mutex.Unlock()
			accepted = append(accepted, m)
		}
	})
	slices.SortFunc(accepted, func(a, b *mutation) int { return a.number - b.number })
	return accepted
}

// try sends a mutation, and complains about an answer that should not be.
func (n *nonsense) try(ctx context.Context, m *mutation, name, flags string) (accepted bool) {
	GinkgoHelper()
	validation := "fieldValidation=Strict" + flags
	if m.lax {
		validation = "fieldValidation=Ignore" + flags
	}
	by := n.admin
	if m.ofAnnotation() && (m.kind.name == "User" || m.kind.name == "Membership") {
		by = n.jane
	}
	var before tree
	var got answer
	if m.update {
		before, got = n.change(ctx, by, m, name, validation)
	} else {
		object := n.object(m, fmt.Sprint("m", m.number), n.home(m))
		got = n.send(ctx, by, http.MethodPost, n.url(m.kind, n.home(m), "")+"?"+validation, object)
	}
	return n.judge(m, before, got)
}

// home is the namespace that a mutation is tried in: an Organization is named as its own.
func (n *nonsense) home(m *mutation) string {
	home, has := n.homes[m.number]
	switch {
	case has:
		return home
	case m.kind.name == "Organization" && !m.update:
		return n.other
	default:
		return n.name
	}
}

// change puts a mutation onto what is there, again when somebody else's write came between.
func (n *nonsense) change(ctx context.Context, by *http.Client, m *mutation, name, flags string) (before tree, got answer) {
	GinkgoHelper()
	wanted := n.pristine(m.kind, name, m.place)
	subresource := ""
	if m.ofStatus() {
		subresource = "/status"
	}
	url := n.url(m.kind, n.name, wanted["metadata"].(tree)["name"].(string))
	for range 10 {
		there := n.send(ctx, n.admin, http.MethodGet, url, nil)
		Expect(there.code).To(Equal(http.StatusOK), "%s: %s", url, there.refusal)
		before = there.object
		changed := clone(before)
		changed["spec"], changed["status"] = wanted["spec"], wanted["status"]
		changed = put(clone(changed), m.place, m.value).(tree)
		got = n.send(ctx, by, http.MethodPut, url+subresource+"?"+flags, changed)
		if got.code != http.StatusConflict {
			break
		}
	}
	return before, got
}

func (n *nonsense) url(kind *kindOfObject, namespace, name string) string {
	url := "/apis/tenure.dev/v1alpha1/namespaces/" + namespace + "/" + kind.plural
	if name != "" {
		url += "/" + name
	}
	return url
}

// post creates an object.
func (n *nonsense) post(ctx context.Context, kind *kindOfObject, object tree) answer {
	GinkgoHelper()
	return n.send(ctx, n.admin, http.MethodPost, n.url(kind, object["metadata"].(tree)["namespace"].(string), ""), object)
}

// send is past all clients, which would not send what is no object of the kind.
func (n *nonsense) send(ctx context.Context, by *http.Client, method, url string, object tree) answer {
	GinkgoHelper()
	body := must(json.Marshal(object))
	request := must(http.NewRequestWithContext(ctx, method, n.host+url, bytes.NewReader(body)))
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	response, err := by.Do(request)
	if err != nil {
		return answer{code: http.StatusGatewayTimeout, refusal: err.Error()}
	}
	defer response.Body.Close()
	a := answer{code: response.StatusCode}
	text := must(io.ReadAll(response.Body))
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&a.object); err != nil {
		a.refusal = string(text)
	} else if a.code >= http.StatusMultipleChoices {
		a.refusal, _ = a.object["message"].(string)
	}
	return a
}

// judge complains about a refusal that does not say what is wrong, and about an acceptance of what is. It tells whether the
// mutation was accepted, and might be.
func (n *nonsense) judge(m *mutation, before tree, got answer) (accepted bool) {
	switch {
	case got.code >= http.StatusInternalServerError, got.code == http.StatusTooManyRequests, got.code < 200:
		n.complain("%s: answered %d: %.500s", m, got.code, got.refusal)
	case got.code >= http.StatusBadRequest:
		if got.code != http.StatusRequestEntityTooLarge && !m.namedIn(got.refusal) {
			n.complain("%s: refused (%d) without saying why: %.500s", m, got.code, got.refusal)
		}
		if len(got.refusal) > longestRefusal && strings.Contains(got.refusal, "denied") {
			n.complain("%s: refused with %d characters: %.200s", m, len(got.refusal), got.refusal)
		}
	default:
		found := append(breaches(m.kind.schema, got.object, ""), forbidden(m, before, got.object)...)
		for _, breach := range found {
			n.complain("%s: accepted although %s", m, breach)
		}
		return len(found) == 0
	}
	return false
}

// namedIn tells whether a refusal names the field, or what it is in, or its value.
func (m *mutation) namedIn(refusal string) bool {
	refusal = strings.ReplaceAll(strings.ToLower(refusal), "api version", "apiversion")
	for _, step := range m.place[min(1, len(m.place)-1):] {
		if name, is := step.(string); is && strings.Contains(refusal, strings.ToLower(name)) {
			return true
		}
	}
	if m.kind.name == "Transition" && strings.Contains(refusal, "a record of what happened and cannot be changed") {
		return m.update
	}
	value := fmt.Sprint(m.value)
	if more, is := m.value.(added); is {
		value = more.name
	}
	if raw, is := m.value.(json.RawMessage); is {
		value = string(raw)
	}
	return len(value) > 2 && len(value) < 100 && strings.Contains(refusal, strings.ToLower(value))
}

// breaches are what of an object is not as the schema says.
func breaches(schema *apiextensionsv1.JSONSchemaProps, value any, at string) (found []string) {
	wrong := func(format string, arguments ...any) {
		found = append(found, at+" "+fmt.Sprintf(format, arguments...))
	}
	switch value := value.(type) {
	case nil:
		if !schema.Nullable {
			wrong("is null")
		}
	case tree:
		if schema.Type != "object" {
			wrong("is an object and not of type %s", schema.Type)
			break
		}
		for _, name := range schema.Required {
			if _, has := value[name]; !has {
				wrong("lacks %s", name)
			}
		}
		if count := int64(len(value)); count < ptr.Deref(schema.MinProperties, 0) || count > ptr.Deref(schema.MaxProperties, count) {
			wrong("has %d fields", count)
		}
		for name, inner := range value {
			property, known := schema.Properties[name]
			switch {
			case at == "" && name == "metadata":
			case known:
				found = append(found, breaches(&property, inner, at+"."+name)...)
			case schema.AdditionalProperties != nil:
				found = append(found, breaches(schema.AdditionalProperties.Schema, inner, at+"."+name)...)
			case !ptr.Deref(schema.XPreserveUnknownFields, false):
				wrong("has the unknown field %.100s", name)
			}
		}
	case []any:
		if schema.Type != "array" {
			wrong("is a list and not of type %s", schema.Type)
			break
		}
		if count := int64(len(value)); count < ptr.Deref(schema.MinItems, 0) || count > ptr.Deref(schema.MaxItems, count) {
			wrong("has %d items", count)
		}
		known := map[string]bool{}
		for i, item := range value {
			found = append(found, breaches(schema.Items.Schema, item, fmt.Sprintf("%s[%d]", at, i))...)
			key := fmt.Sprint(item)
			if ptr.Deref(schema.XListType, "atomic") == "map" {
				key = ""
				for _, name := range schema.XListMapKeys {
					key += fmt.Sprint(item.(tree)[name]) + "\n"
				}
			}
			if known[key] && ptr.Deref(schema.XListType, "atomic") != "atomic" {
				wrong("has %.100s twice", key)
			}
			known[key] = true
		}
	case string:
		found = append(found, breachesOfText(schema, value, at)...)
	case json.Number:
		found = append(found, breachesOfNumber(schema, value, at)...)
	case bool:
		if schema.Type != "boolean" {
			wrong("is a truth and not of type %s", schema.Type)
		}
	}
	return found
}

func breachesOfText(schema *apiextensionsv1.JSONSchemaProps, value, at string) (found []string) {
	if schema.Type != "string" {
		return []string{fmt.Sprintf("%s is a text and not of type %s", at, schema.Type)}
	}
	if count := int64(utf8.RuneCountInString(value)); count < ptr.Deref(schema.MinLength, 0) || count > ptr.Deref(schema.MaxLength, count) {
		found = append(found, fmt.Sprintf("%s has %d characters", at, count))
	}
	if schema.Pattern != "" && !regexp.MustCompile(schema.Pattern).MatchString(value) {
		found = append(found, fmt.Sprintf("%s is not like %s: %.100q", at, schema.Pattern, value))
	}
	if !slices.ContainsFunc(schema.Enum, func(word apiextensionsv1.JSON) bool { return string(word.Raw) == fmt.Sprintf("%q", value) }) && len(schema.Enum) > 0 {
		found = append(found, fmt.Sprintf("%s is none of its words: %.100q", at, value))
	}
	if schema.Format == "date-time" {
		if _, err := time.Parse(time.RFC3339, value); err != nil {
			found = append(found, fmt.Sprintf("%s is no time: %.100q", at, value))
		}
	}
	return found
}

func breachesOfNumber(schema *apiextensionsv1.JSONSchemaProps, value json.Number, at string) (found []string) {
	whole, err := value.Int64()
	if schema.Type != "integer" || err != nil {
		return []string{fmt.Sprintf("%s is the number %s and not of type %s", at, value, schema.Type)}
	}
	if schema.Minimum != nil && float64(whole) < *schema.Minimum || schema.Maximum != nil && float64(whole) > *schema.Maximum {
		found = append(found, fmt.Sprintf("%s is %d", at, whole))
	}
	if schema.Format == "int32" && int64(int32(whole)) != whole {
		found = append(found, fmt.Sprintf("%s is %d, which is no int32", at, whole))
	}
	return found
}

// objectOf is one of the operator's types of a kind.
func objectOf(kind string) client.Object {
	switch kind {
	case "Organization":
		return &v1alpha1.Organization{}
	case "User":
		return &v1alpha1.User{}
	case "Group":
		return &v1alpha1.Group{}
	case "Membership":
		return &v1alpha1.Membership{}
	case "LifecyclePolicy":
		return &v1alpha1.LifecyclePolicy{}
	default:
		return &v1alpha1.Transition{}
	}
}

// forbidden are what of an accepted object the semantics do not allow, whatever the schema says. An object that the operator
// cannot read would keep it from reading any of that kind.
func forbidden(m *mutation, before, after tree) (found []string) {
	is, was := objectOf(m.kind.name), objectOf(m.kind.name)
	if err := json.Unmarshal(must(json.Marshal(after)), is); err != nil {
		return []string{fmt.Sprintf("the operator cannot read it: %.300s", err)}
	}
	if before != nil {
		Expect(json.Unmarshal(must(json.Marshal(before)), was)).To(Succeed())
	}
	for why, broken := range rulesOf(is, was, before == nil) {
		if broken {
			found = append(found, why)
		}
	}
	if m.ofAnnotation() && m.kind.name == "User" && m.forged(is) {
		found = append(found, "nobody but the operator may write it")
	}
	return found
}

// forged tells whether an annotation of the operator's own has the value that somebody else wanted.
func (m *mutation) forged(object client.Object) bool {
	owned := []any{
		v1alpha1.AnnotationIdentity, v1alpha1.AnnotationActor, v1alpha1.AnnotationDeletedBy, v1alpha1.AnnotationFirstActivity,
		v1alpha1.AnnotationHeldOpen,
	}
	name := m.place[2].(string)
	value, is := object.GetAnnotations()[name]
	return slices.Contains(owned, any(name)) && is && any(value) == m.value
}

// rulesOf are the rules that a change of an object breaks, or does not.
func rulesOf(is, was client.Object, isNew bool) map[string]bool {
	rules := map[string]bool{"names have at most 63 characters": len(is.GetName()) > 63}
	switch is := is.(type) {
	case *v1alpha1.Organization:
		admins, roles := is.Spec.AdminRoles, is.Spec.Roles
		rules["administrators' roles are roles"] = slices.ContainsFunc(admins, func(r string) bool { return !slices.Contains(roles, r) })
		rules["it has another name than its namespace"] = is.Name != is.Namespace
	case *v1alpha1.User:
		was := was.(*v1alpha1.User)
		rules["userName never changes"] = !isNew && is.Spec.UserName != was.Spec.UserName
		rules["userName is Kubernetes' own"] = strings.HasPrefix(strings.ToLower(is.Spec.UserName), "system:")
		rules["userName has white space around it or lines"] = strings.TrimSpace(is.Spec.UserName) != is.Spec.UserName || strings.ContainsAny(is.Spec.UserName, "\n\r\t")
		rules["it ends before it begins"] = !is.Spec.ExpirationTime.IsZero() && !is.Spec.ExpirationTime.After(is.Spec.StartTime.Time)
		for _, a := range is.Spec.Absences {
			rules["an absence ends before it begins"] = !a.EndTime.IsZero() && !a.EndTime.After(a.StartTime.Time)
		}
		for _, h := range is.Spec.Holds {
			rules["a hold cannot be released by its name"] = strings.ContainsAny(h.Name, ", \t\n\r")
		}
		for _, h := range was.Spec.Holds {
			rules["a hold was dropped or changed"] = !slices.ContainsFunc(is.Spec.Holds, func(i v1alpha1.UserHold) bool { return reflect.DeepEqual(i, h) })
		}
		for _, a := range is.Spec.Acting {
			rules["a user has no leader"] = a.Relation == v1alpha1.RelationLeader
		}
	case *v1alpha1.Membership:
		was := was.(*v1alpha1.Membership)
		rules["it never changes whose it is"] = !isNew && (is.Spec.UserRef != was.Spec.UserRef || is.Spec.GroupRef != was.Spec.GroupRef)
		rules["it ends before it begins"] = !is.Spec.ExpirationTime.IsZero() && !is.Spec.ExpirationTime.After(is.Spec.StartTime.Time)
		for _, h := range is.Spec.Holds {
			rules["the hold is the operator's own"] = h.Name == v1alpha1.HoldUserSuspended || h.Name == v1alpha1.HoldUserRemoved || strings.HasPrefix(h.Name, v1alpha1.HoldOfEffect)
		}
	case *v1alpha1.Group:
		for _, a := range is.Spec.Acting {
			rules["a group has a leader alone"] = a.Relation != v1alpha1.RelationLeader
		}
	case *v1alpha1.LifecyclePolicy:
		for i := range is.Spec.Effects {
			e := &is.Spec.Effects[i]
			kinds := 0
			for _, given := range []bool{e.Resources.Kind != "", e.Memberships.Action != "", e.Relations.Action != ""} {
				if given {
					kinds++
				}
			}
			rules["effect "+e.Name+" is of no kind, or of two"] = kinds != 1
			rules["effect "+e.Name+" transfers to nobody"] = (e.Resources.Action == "Transfer") != (len(e.Resources.Successors) > 0)
			rules["effect "+e.Name+" runs as nobody"] = e.Resources.Kind != "" && is.Spec.ServiceAccountName == ""
		}
	case *v1alpha1.Transition:
		delete(rules, "names have at most 63 characters")
		rules["it never changes"] = !isNew && !reflect.DeepEqual(is.Spec, was.(*v1alpha1.Transition).Spec)
	}
	return rules
}

// toWrite are some of what was accepted. What of an Organization is changed for good would change what is declared about
// everybody else. What no schema looks into is always among them.
func (n *nonsense) toWrite(accepted []*mutation) []*mutation {
	GinkgoHelper()
	accepted = slices.DeleteFunc(accepted, func(m *mutation) bool { return m.kind.name == "Organization" && m.update && !m.ofStatus() })
	n.some(accepted, 0)
	blind := func(m *mutation) int {
		if slices.Contains(m.place, any("patch")) || m.place[len(m.place)-1] == "match" {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(accepted, func(a, b *mutation) int { return blind(a) - blind(b) })
	return accepted[:min(len(accepted), fromEnvironment("MUTATIONS_WRITTEN", writtenMutations))]
}

// write writes mutations for good, each of an object of its own, and gives it people whose access depends on it.
func (n *nonsense) write(ctx context.Context, mutations []*mutation) {
	GinkgoHelper()
	for _, m := range mutations {
		if m.kind.name == "Organization" && !m.update {
			n.homes[m.number] = newNamespace(ctx).name
		}
	}
	each(mutations, func(m *mutation) {
		name := fmt.Sprint("m", m.number)
		if m.update && m.kind.name != "Organization" {
			got := n.post(ctx, m.kind, n.pristine(m.kind, name, nil))
			Expect(got.code).To(Equal(http.StatusCreated), "%s: %s", m, got.refusal)
		}
		if m.kind.name != "User" {
			n.post(ctx, n.kind("User"), n.under(m, name))
		}
		n.try(ctx, m, name, "")
		member := n.pristine(n.kind("Membership"), name, nil)
		if m.kind.name == "Group" {
			member["spec"].(tree)["groupRef"], member["spec"].(tree)["roles"] = tree{"name": name}, []any{"Mentor"}
		}
		n.post(ctx, n.kind("Membership"), member)
	})
}

// under is a user whom a mutation is about, with work.
func (n *nonsense) under(m *mutation, name string) (user tree) {
	GinkgoHelper()
	user = n.pristine(n.kind("User"), name, nil)
	user["metadata"].(tree)["namespace"] = n.home(m)
	if m.kind.name == "LifecyclePolicy" {
		user["spec"].(tree)["policyRef"] = tree{"name": name}
		n.createWork(context.Background(), "of-"+name, fmt.Sprintf("{assignee: %s, owner: %q, customer: %[2]q, stage: Open}", name, n.userName(name)))
	}
	return user
}

// tieKnots has people be their own managers, and each other's.
func (n *nonsense) tieKnots(ctx context.Context) {
	GinkgoHelper()
	for name, manager := range map[string]string{"knot-a": "knot-b", "knot-b": "knot-c", "knot-c": "knot-a", "knot-d": "knot-d"} {
		n.createUser(ctx, name, func(u *v1alpha1.User) {
			u.Spec.ManagerRef.Name, u.Spec.CoachRef.Name, u.Spec.SuccessorRef.Name, u.Spec.PolicyRef.Name = manager, manager, manager, "live"
		})
		n.join(ctx, name, "course", withRoles("Member"))
		n.createGroup(ctx, "led-by-"+name, func(g *v1alpha1.Group) { g.Spec.LeaderRef.Name, g.Spec.Type = name, "Team" })
		n.createWork(ctx, "of-"+name, "{assignee: "+name+", stage: Open}")
	}
}

// letGo deactivates everybody but the administrator and deletes some. Whom a guard keeps, stays.
func (n *nonsense) letGo(ctx context.Context) {
	GinkgoHelper()
	users := &v1alpha1.UserList{}
	Expect(admin.List(ctx, users, client.InNamespace(n.name))).To(Succeed())
	workqueue.ParallelizeUntil(ctx, 12, len(users.Items), func(i int) {
		defer GinkgoRecover()
		user := &users.Items[i]
		if user.Name == "olivia" {
			return
		}
		url := n.url(n.kind("User"), n.name, user.Name)
		got := n.send(ctx, n.admin, http.MethodPatch, url, tree{"spec": tree{"desiredStatus": "Deactivated", "reason": "They go"}})
		if i%3 == 0 && got.code < 300 {
			got = n.send(ctx, n.admin, http.MethodDelete, url, nil)
		}
		if got.code >= http.StatusInternalServerError {
			n.complain("letting %s go: answered %d: %.500s", user.Name, got.code, got.refusal)
		}
	})
}

// expectDeclared waits until every user's access is what the tables say, and there is no other grant.
func (n *nonsense) expectDeclared(ctx context.Context) {
	GinkgoHelper()
	Eventually(n.undeclared).WithContext(ctx).WithTimeout(3 * soon).WithPolling(10 * often).Should(BeEmpty())
}

// undeclared is what differs from what was declared.
func (n *nonsense) undeclared(ctx context.Context) (differences []string, err error) {
	users, memberships, groups, bindings := &v1alpha1.UserList{}, &v1alpha1.MembershipList{}, &v1alpha1.GroupList{}, &rbacv1.RoleBindingList{}
	in := client.InNamespace(n.name)
	err = errors.Join(admin.List(ctx, users, in), admin.List(ctx, memberships, in), admin.List(ctx, groups, in),
		admin.List(ctx, bindings, client.MatchingLabels{v1alpha1.LabelOrganization: n.name}))
	now := n.clock.Now()
	byName := map[string]*v1alpha1.User{}
	for i := range users.Items {
		user := &users.Items[i]
		byName[user.Name] = user
		state := stateByTable(user, now)
		if user.Status.ObservedGeneration != user.Generation {
			differences = append(differences, fmt.Sprintf("User %s is not seen as it is", user.Name))
		}
		if user.Status.State != state && (state != v1alpha1.StateActive || user.Status.State != v1alpha1.StateActivated) {
			differences = append(differences, fmt.Sprintf("User %s is %q, not %s", user.Name, user.Status.State, state))
		}
		if hasAccess(state) != (user.Status.Access == v1alpha1.AccessGranted) {
			differences = append(differences, fmt.Sprintf("access of User %s is %s, %s as it is", user.Name, user.Status.Access, state))
		}
	}
	due := map[string]int{}
	for i := range memberships.Items {
		m := &memberships.Items[i]
		user := byName[m.Spec.UserRef.Name]
		active := activeByTable(m, user, now) && slices.ContainsFunc(groups.Items, func(g v1alpha1.Group) bool { return g.Name == m.Spec.GroupRef.Name })
		if active != (m.Status.State == v1alpha1.StateActive) {
			differences = append(differences, fmt.Sprintf("Membership %s is %q", m.Name, m.Status.State))
		}
		if active {
			n.addDue(due, m, user, groups.Items)
		}
	}
	for i := range bindings.Items {
		key := keyOf(bindings.Items[i].RoleRef, bindings.Items[i].Namespace, bindings.Items[i].Labels[v1alpha1.LabelMembership], bindings.Items[i].Subjects)
		if due[key] == 0 {
			differences = append(differences, "granted and not declared: "+key)
		}
		delete(due, key)
	}
	for key := range due {
		if strings.HasPrefix(key, "ClusterRole/view "+n.target+" ") {
			differences = append(differences, "declared and not granted: "+key)
		}
	}
	return differences, err
}

// addDue adds the grants of an active membership.
func (n *nonsense) addDue(due map[string]int, m *v1alpha1.Membership, user *v1alpha1.User, groups []v1alpha1.Group) {
	for _, group := range groups {
		for _, role := range group.Spec.Roles {
			if group.Name != m.Spec.GroupRef.Name || !slices.Contains(m.Spec.Roles, role.Name) {
				continue
			}
			for _, grant := range role.Grants {
				for _, namespace := range grant.Namespaces {
					ref := rbacv1.RoleRef{Kind: string(grant.RoleRef.Kind), Name: grant.RoleRef.Name}
					due[keyOf(ref, namespace, m.Name, []rbacv1.Subject{{Name: user.Spec.UserName}})]++
				}
			}
		}
	}
}

func keyOf(role rbacv1.RoleRef, namespace, membership string, subjects []rbacv1.Subject) string {
	names := []string{}
	for _, subject := range subjects {
		names = append(names, subject.Name)
	}
	return fmt.Sprintf("%s/%s %s by %s to %q", role.Kind, role.Name, namespace, membership, names)
}

func hasAccess(state v1alpha1.State) bool {
	return state == v1alpha1.StateActive || state == v1alpha1.StateOnBreak
}

// stateByTable reads the table of states of a user from the top. Activated is Active here.
func stateByTable(u *v1alpha1.User, now time.Time) v1alpha1.State {
	desired := func(status v1alpha1.UserDesiredStatus, hold v1alpha1.UserHoldStatus) bool {
		return u.Spec.DesiredStatus == status || slices.ContainsFunc(u.Spec.Holds, func(h v1alpha1.UserHold) bool { return h.Status == hold })
	}
	absent := func(status v1alpha1.AbsenceStatus) bool {
		return slices.ContainsFunc(u.Spec.Absences, func(a v1alpha1.Absence) bool {
			return a.Status == status && !a.StartTime.After(now) && (a.EndTime.IsZero() || a.EndTime.After(now))
		})
	}
	switch {
	case u.Spec.DesiredStatus == v1alpha1.UserDesiredRemoved || !u.DeletionTimestamp.IsZero():
		return v1alpha1.StateRemoved
	case desired(v1alpha1.UserDesiredSuspended, v1alpha1.UserHoldSuspended):
		return v1alpha1.StateSuspended
	case !u.Spec.ExpirationTime.IsZero() && !u.Spec.ExpirationTime.After(now):
		return v1alpha1.StateExpired
	case desired(v1alpha1.UserDesiredDeactivated, v1alpha1.UserHoldDeactivated) || absent(v1alpha1.AbsenceDeactivated):
		return v1alpha1.StateDeactivated
	case u.Spec.StartTime.After(now):
		return v1alpha1.StatePending
	case desired(v1alpha1.UserDesiredOnBreak, v1alpha1.UserHoldOnBreak) || absent(v1alpha1.AbsenceOnBreak):
		return v1alpha1.StateOnBreak
	default:
		return v1alpha1.StateActive
	}
}

// activeByTable tells whether a membership is Active, if there is its group.
func activeByTable(m *v1alpha1.Membership, user *v1alpha1.User, now time.Time) bool {
	return user != nil && hasAccess(stateByTable(user, now)) && m.DeletionTimestamp.IsZero() && len(m.Spec.Holds) == 0 &&
		m.Spec.DesiredStatus == v1alpha1.MembershipDesiredActive && !m.Spec.StartTime.After(now) &&
		(m.Spec.ExpirationTime.IsZero() || m.Spec.ExpirationTime.After(now))
}

// expectProbe lets somebody come and go, as on any other day.
func (n *nonsense) expectProbe(ctx context.Context) {
	GinkgoHelper()
	n.createUser(ctx, "probe")
	n.enrol(ctx, "probe", v1alpha1.StateActive, "course")
	Eventually(n.mayListPods(ctx, "probe", n.target)).Should(BeTrue())
	n.editUser(ctx, "probe", desired(v1alpha1.UserDesiredDeactivated, "They go"))
	Eventually(n.mayListPods(ctx, "probe", n.target)).WithTimeout(soon / 4).Should(BeFalse())
}

// spectator knows which process of a replica there was, and how much it had said.
type spectator struct {
	*operator
	process int
	said    int64
}

func watchOver(o *operator) *spectator {
	GinkgoHelper()
	return &spectator{operator: o, process: o.command.Process.Pid, said: must(os.Stat(o.log)).Size()}
}

// complain says that the replica has ended, or panicked.
func (s *spectator) complain(n *nonsense) {
	GinkgoHelper()
	select {
	case <-s.ended:
		n.complain("%s has ended", s.name)
	default:
	}
	if s.process != s.command.Process.Pid {
		n.complain("%s was started again", s.name)
	}
	said := must(os.ReadFile(s.log))[s.said:]
	for line := range strings.Lines(string(said)) {
		if strings.Contains(line, "panic") {
			n.complain("%s says: %.2000s", s.name, line)
		}
	}
}

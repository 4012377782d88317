package v1alpha1_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"sigs.k8s.io/yaml"
)

// crd does to an object what an API server does to it that serves the generated CustomResourceDefinition: prune,
// default, validate. The steps and their order are those of the API server's strategy for custom resources, which is
// not used itself because it brings the whole storage with it.
type crd struct {
	definition *apiextensionsv1.CustomResourceDefinition
	internal   *apiextensions.CustomResourceDefinition
	version    *apiextensionsv1.CustomResourceDefinitionVersion
	structural *structuralschema.Structural
	schema     validation.SchemaValidator
	status     validation.SchemaValidator
	rules      *cel.Validator
}

// kinds are all that the group serves.
var kinds = []string{"Group", "LifecyclePolicy", "Membership", "Organization", "Transition", "User"}

// loadCRDs compiles the generated definitions once, by kind.
var loadCRDs = sync.OnceValues(func() (map[string]*crd, error) {
	files, err := filepath.Glob("../../config/crd/bases/*.yaml")
	if err != nil {
		return nil, err
	}
	crds := map[string]*crd{}
	for _, file := range files {
		c, err := loadCRD(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		crds[c.definition.Spec.Names.Kind] = c
	}
	return crds, nil
})

func loadCRD(file string) (*crd, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := &crd{definition: &apiextensionsv1.CustomResourceDefinition{}, internal: &apiextensions.CustomResourceDefinition{}}
	if err := yaml.UnmarshalStrict(content, c.definition); err != nil {
		return nil, err
	}
	if n := len(c.definition.Spec.Versions); n != 1 {
		return nil, fmt.Errorf("has %d versions, not one", n)
	}
	c.version = &c.definition.Spec.Versions[0]

	defaulted := c.definition.DeepCopy()
	apiextensionsv1.SetDefaults_CustomResourceDefinition(defaulted)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&defaulted.Spec)
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(defaulted, c.internal, nil); err != nil {
		return nil, err
	}
	c.internal.Status.StoredVersions = []string{c.version.Name}

	props, err := apiextensions.GetSchemaForVersion(c.internal, c.version.Name)
	if err != nil {
		return nil, err
	}
	if c.structural, err = structuralschema.NewStructural(props.OpenAPIV3Schema); err != nil {
		return nil, err
	}
	if c.schema, _, err = validation.NewSchemaValidator(props.OpenAPIV3Schema); err != nil {
		return nil, err
	}
	status := props.OpenAPIV3Schema.Properties["status"]
	if c.status, _, err = validation.NewSchemaValidator(&status); err != nil {
		return nil, err
	}
	c.rules = cel.NewValidator(c.structural, true, celconfig.PerCallLimit)
	return c, nil
}

// crdOf is the definition of a kind.
func crdOf(t *testing.T, kind string) *crd {
	t.Helper()
	crds, err := loadCRDs()
	if err != nil {
		t.Fatal(err)
	}
	c, ok := crds[kind]
	if !ok {
		t.Fatalf("no definition of kind %s", kind)
	}
	return c
}

// object is a resource as JSON has it.
type object = map[string]any

// read reads YAML as the API server does: whole numbers are integers, and no key is given twice.
func read(manifest []byte) (object, error) {
	data, err := yaml.YAMLToJSONStrict(manifest)
	if err != nil {
		return nil, err
	}
	var obj object
	if err := utiljson.Unmarshal(data, &obj); err != nil {
		return nil, err
	}
	return obj, nil
}

// parse reads YAML that a test contains.
func parse(t *testing.T, manifest string) object {
	t.Helper()
	obj, err := read([]byte(manifest))
	if err != nil {
		t.Fatalf("%v in\n%s", err, manifest)
	}
	return obj
}

// decode drops what the schema does not know, and says what that was, drops nulls and fills in defaults.
func (c *crd) decode(obj object) (decoded object, unknown []string) {
	decoded = runtime.DeepCopyJSON(obj)
	unknown = pruning.PruneWithOptions(decoded, c.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	defaulting.PruneNonNullableNullsWithoutDefaults(decoded, c.structural)
	defaulting.Default(decoded, c.structural)
	return decoded, unknown
}

// create is what a POST does. A status that came along is dropped.
func (c *crd) create(obj object) (created object, unknown []string, errs field.ErrorList) {
	created, unknown = c.decode(obj)
	delete(created, "status")

	errs = append(errs, validation.ValidateCustomResource(nil, created, c.schema)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, c.structural, created)...)
	return created, unknown, append(errs, c.validateRules(errs, created, nil)...)
}

// update is what a PUT does: the status stays as it was, and what an earlier schema let through and nobody touched is
// not held against the writer.
func (c *crd) update(old, obj object) (updated object, errs field.ErrorList) {
	updated, _ = c.decode(obj)
	delete(updated, "status")
	if status, ok := old["status"]; ok {
		updated["status"] = runtime.DeepCopyJSONValue(status)
	}

	correlated := c.correlate(updated, old)
	errs = append(errs, validation.ValidateCustomResourceUpdate(nil, updated, old, c.schema, validation.WithRatcheting(correlated))...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, c.structural, updated)...)
	return updated, append(errs, c.validateRules(errs, updated, old, cel.WithRatcheting(correlated))...)
}

// updateStatus is what a PUT to the subresource does: everything but the status stays as it was.
func (c *crd) updateStatus(old object, status any) (updated object, errs field.ErrorList) {
	updated = runtime.DeepCopyJSON(old)
	updated["status"] = runtime.DeepCopyJSONValue(status)
	updated, _ = c.decode(updated)

	correlated := c.correlate(updated, old)
	errs = append(errs, validation.ValidateCustomResourceUpdate(field.NewPath("status"), updated["status"], old["status"], c.status,
		validation.WithRatcheting(correlated.Key("status")))...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, c.structural, updated)...)
	return updated, append(errs, c.validateRules(errs, updated, old, cel.WithRatcheting(correlated))...)
}

func (c *crd) correlate(updated, old object) *common.CorrelatedObject {
	return common.NewCorrelatedObject(updated, old, &model.Structural{Structural: c.structural})
}

// validateRules evaluates the CEL rules, unless the object has errors that would make them meaningless.
func (c *crd) validateRules(found field.ErrorList, obj, old object, options ...cel.Option) field.ErrorList {
	for _, err := range found {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return nil
		default:
		}
	}
	var before any
	if old != nil {
		before = old
	}
	errs, _ := c.rules.Validate(context.Background(), nil, c.structural, obj, before, celconfig.RuntimeCELCostBudget, options...)
	return errs
}

// messages are the errors as kubectl shows them.
func messages(errs field.ErrorList) []string {
	texts := make([]string, 0, len(errs))
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	return texts
}

// checkRefused compares errors with the texts that they must contain: one error for each text, in whatever order.
func checkRefused(t *testing.T, errs field.ErrorList, want []string) {
	t.Helper()
	got := messages(errs)
	for _, text := range want {
		i := slices.IndexFunc(got, func(message string) bool { return strings.Contains(message, text) })
		if i < 0 {
			t.Errorf("no error says %q, but %q", text, got)
			continue
		}
		got = slices.Delete(got, i, i+1)
	}
	for _, message := range got {
		t.Errorf("refused: %s", message)
	}
}

// loadExamples reads the full examples once, by kind.
var loadExamples = sync.OnceValues(func() (map[string]object, error) {
	examples := map[string]object{}
	for _, kind := range kinds {
		content, err := os.ReadFile(filepath.Join("testdata", strings.ToLower(kind)+".yaml"))
		if err != nil {
			return nil, err
		}
		if examples[kind], err = read(content); err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
	}
	return examples, nil
})

// example is the full example of a kind.
func example(t *testing.T, kind string) object {
	t.Helper()
	examples, err := loadExamples()
	if err != nil {
		t.Fatal(err)
	}
	return runtime.DeepCopyJSON(examples[kind])
}

// minimal is the least that is accepted of each kind.
var minimal = map[string]string{
	"Organization":    "{}",
	"User":            "{userName: alice@acme.example}",
	"Group":           "{}",
	"Membership":      "{userRef: {name: alice}, groupRef: {name: mentoring-2026}}",
	"LifecyclePolicy": "{}",
	"Transition": `{subject: {kind: User, name: alice, uid: 7d1e6a0c}, to: Activated, cause: {type: Declared},
		time: 2026-12-10T08:00:00Z, observedTime: 2026-12-10T08:00:01Z}`,
}

// with is a minimal object of a kind, with these fields of its spec set: `email: a@b, role: Admin`.
func with(t *testing.T, kind, fields string) object {
	t.Helper()
	obj := parse(t, fmt.Sprintf("{apiVersion: tenure.dev/v1alpha1, kind: %s, metadata: {name: sample, namespace: acme}, spec: %s}", kind, minimal[kind]))
	spec, _ := obj["spec"].(object)
	maps.Copy(spec, parse(t, "{"+fields+"}"))
	return obj
}

// fromSchema is a value with every field that a schema has, and one item in each list.
func fromSchema(schema *structuralschema.Structural) any {
	switch {
	case schema.Items != nil:
		return []any{fromSchema(schema.Items)}
	case schema.Type == "object":
		obj := object{}
		for name := range schema.Properties {
			property := schema.Properties[name]
			obj[name] = fromSchema(&property)
		}
		return obj
	default:
		return schema.Type
	}
}

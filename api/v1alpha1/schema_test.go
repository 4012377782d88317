package v1alpha1_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What the generated definitions say, whatever an object holds.

func TestDefinitionsAreAccepted(t *testing.T) {
	crds, err := loadCRDs()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for kind := range crds {
		found = append(found, kind)
	}
	slices.Sort(found)
	if diff := cmp.Diff(kinds, found); diff != "" {
		t.Fatalf("kinds (-want +got):\n%s", diff)
	}
	// What an API server checks before it serves a kind: that the schema is structural, that defaults are valid, that the
	// rules compile and that what they may cost is bounded.
	for _, kind := range kinds {
		for _, err := range crdvalidation.ValidateCustomResourceDefinition(context.Background(), crdOf(t, kind).internal) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestDefinitionsNames(t *testing.T) {
	want := map[string]apiextensionsv1.CustomResourceDefinitionNames{
		"Organization":    {Plural: "organizations", Singular: "organization", ShortNames: []string{"org"}},
		"User":            {Plural: "users", Singular: "user", ShortNames: []string{"tuser"}},
		"Group":           {Plural: "groups", Singular: "group", ShortNames: []string{"tgroup"}},
		"Membership":      {Plural: "memberships", Singular: "membership"},
		"LifecyclePolicy": {Plural: "lifecyclepolicies", Singular: "lifecyclepolicy", ShortNames: []string{"lcp"}},
		"Transition":      {Plural: "transitions", Singular: "transition"},
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			c := crdOf(t, kind)
			names := want[kind]
			names.Kind, names.ListKind, names.Categories = kind, kind+"List", []string{"tenure"}
			if diff := cmp.Diff(names, c.definition.Spec.Names); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if got := c.definition.Spec.Group + "/" + c.version.Name; got != "tenure.dev/v1alpha1" {
				t.Errorf("version is %s", got)
			}
			if got := c.definition.Spec.Scope; got != apiextensionsv1.NamespaceScoped {
				t.Errorf("scope is %s", got)
			}
			if !c.version.Served || !c.version.Storage {
				t.Error("is not served and stored")
			}
			if c.version.Subresources == nil || c.version.Subresources.Status == nil {
				t.Error("has no status subresource")
			}
		})
	}
}

func TestSelectableFields(t *testing.T) {
	want := map[string][]string{
		"User":       {".spec.email", ".spec.role", ".spec.userType", ".status.access", ".status.role", ".status.state"},
		"Membership": {".spec.groupRef.name", ".spec.userRef.name", ".status.access", ".status.state"},
		"Group":      {".spec.type"},
		"Transition": {".spec.subject.kind", ".spec.subject.name", ".spec.to"},
	}
	for _, kind := range kinds {
		var got []string
		for _, selectable := range crdOf(t, kind).version.SelectableFields {
			got = append(got, selectable.JSONPath)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want[kind], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

// What `kubectl get` and `kubectl get -o wide` print of the full examples, without name and age.
func TestColumns(t *testing.T) {
	type columns struct {
		header, row []string
	}
	want := map[string]struct{ narrow, wide columns }{
		"Organization": {
			narrow: columns{
				[]string{"Users", "Active", "Seats", "Limit", "Ready"},
				[]string{"14", "7", "11", "250", "True"},
			},
			wide: columns{[]string{"Message"}, []string{""}},
		},
		"User": {
			narrow: columns{
				[]string{"State", "Cause", "Next", "Role"},
				[]string{"Deactivated", "Hold", "Expired on 2027-06-30 22:00Z", "Manager"},
			},
			wide: columns{[]string{"Email", "Type", "LastActivity"}, []string{"alice@acme.example", "Employee", "(date)"}},
		},
		"Group": {
			narrow: columns{
				[]string{"Type", "Leader", "Active", "Total"},
				[]string{"Program", "olivia", "12", "17"},
			},
			wide: columns{[]string{"Acting", "Staffed"}, []string{"true", "True"}},
		},
		"Membership": {
			narrow: columns{
				[]string{"User", "Group", "Roles", "State", "Cause", "Next"},
				[]string{"alice", "mentoring-2026", `["Mentor"]`, "Deactivated", "Hold", "Expired on 2027-06-30 22:00Z"},
			},
			wide: columns{[]string{"Ready"}, []string{"Reconciled"}},
		},
		"LifecyclePolicy": {
			narrow: columns{[]string{"Suspension", "Account", "Ready"}, []string{"Deactivate", "lifecycle", "True"}},
		},
		"Transition": {
			narrow: columns{
				[]string{"Subject", "From", "To", "Cause", "By", "Effects"},
				[]string{"alice", "Active", "Deactivated", "Declared", "jane@acme.example", "12/13"},
			},
			wide: columns{[]string{"Reason", "Time"}, []string{"Parental leave", "2026-12-10T08:00:00Z"}},
		},
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			c := crdOf(t, kind)
			convertor, err := tableconvertor.New(c.version.AdditionalPrinterColumns)
			if err != nil {
				t.Fatal(err)
			}
			table, err := convertor.ConvertToTable(context.Background(), &unstructured.Unstructured{Object: example(t, kind)}, &metav1.TableOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var narrow, wide columns
			for i, column := range table.ColumnDefinitions {
				if column.Name == "Name" || column.Name == "Age" {
					if column.Priority != 0 {
						t.Errorf("%s is printed with -o wide only", column.Name)
					}
					continue
				}
				cell := fmt.Sprint(table.Rows[0].Cells[i])
				if column.Type == "date" { // printed as an age
					cell = "(date)"
				}
				to := &narrow
				if column.Priority > 0 {
					to = &wide
				}
				to.header, to.row = append(to.header, column.Name), append(to.row, cell)
			}
			if first, last := table.ColumnDefinitions[0].Name, table.ColumnDefinitions[len(table.ColumnDefinitions)-1].Name; first != "Name" || last != "Age" {
				t.Errorf("begins with %s and ends with %s", first, last)
			}
			allow := cmp.AllowUnexported(columns{})
			if diff := cmp.Diff(want[kind].narrow, narrow, allow); diff != "" {
				t.Errorf("narrow (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want[kind].wide, wide, allow); diff != "" {
				t.Errorf("wide (-want +got):\n%s", diff)
			}
		})
	}
}

// walk visits every field of spec and status, with its path: `spec.absences[].name`, `spec.attributes{}`.
func (c *crd) walk(visit func(path string, schema *apiextensionsv1.JSONSchemaProps)) {
	var descend func(path string, schema *apiextensionsv1.JSONSchemaProps)
	descend = func(path string, schema *apiextensionsv1.JSONSchemaProps) {
		visit(path, schema)
		for _, name := range sortedKeys(schema.Properties) {
			property := schema.Properties[name]
			descend(path+"."+name, &property)
		}
		if schema.Items != nil {
			descend(path+"[]", schema.Items.Schema)
		}
		if schema.AdditionalProperties != nil {
			descend(path+"{}", schema.AdditionalProperties.Schema)
		}
	}
	for _, part := range []string{"spec", "status"} {
		schema := c.version.Schema.OpenAPIV3Schema.Properties[part]
		descend(part, &schema)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func TestEverythingIsBounded(t *testing.T) {
	for _, kind := range kinds {
		crdOf(t, kind).walk(func(path string, schema *apiextensionsv1.JSONSchemaProps) {
			problem := ""
			switch schema.Type {
			case "string":
				if schema.MaxLength == nil && len(schema.Enum) == 0 && schema.Format != "date-time" {
					problem = "a string has no maximum length"
				}
				if schema.MaxLength != nil && *schema.MaxLength > 4096 && !strings.HasSuffix(path, "conditions[].message") &&
					!strings.HasSuffix(path, "plan[].frozen") {
					problem = "a string may be longer than anybody reads"
				}
				if schema.MinLength == nil && len(schema.Enum) == 0 && schema.Format != "date-time" &&
					!strings.Contains(path, "conditions[]") && !strings.HasSuffix(path, "{}") {
					problem = "a string may be empty"
				}
			case "array":
				if schema.MaxItems == nil || *schema.MaxItems > 256 {
					problem = "a list has no maximum length that is worth the name"
				}
			case "object":
				if schema.AdditionalProperties != nil && (schema.MaxProperties == nil || *schema.MaxProperties > 64) {
					problem = "a map has no maximum size that is worth the name"
				}
				if schema.XPreserveUnknownFields != nil && !strings.HasSuffix(path, ".patch") {
					problem = "takes anything"
				}
				if len(schema.Properties) == 0 && schema.AdditionalProperties == nil && schema.XPreserveUnknownFields == nil {
					problem = "an object has no fields"
				}
			case "integer":
				if schema.Format != "int32" && schema.Format != "int64" {
					problem = "an integer has no format"
				}
			case "boolean":
			default:
				problem = "is of type " + schema.Type
			}
			if problem != "" {
				t.Errorf("%s %s: %s", kind, path, problem)
			}
		})
	}
}

func TestEveryListHasAType(t *testing.T) {
	for _, kind := range kinds {
		crdOf(t, kind).walk(func(path string, schema *apiextensionsv1.JSONSchemaProps) {
			if schema.Type != "array" {
				return
			}
			switch listType := schema.XListType; {
			case listType == nil:
				t.Errorf("%s %s: has no list type", kind, path)
			case *listType == "map" && len(schema.XListMapKeys) == 0:
				t.Errorf("%s %s: has no key", kind, path)
			case *listType != "map" && schema.Items.Schema.Properties["name"].Type != "" && *listType != "atomic":
				t.Errorf("%s %s: objects in a %s", kind, path, *listType)
			}
		})
	}

	// A list that several writers share is not atomic, or each would drop what the others wrote.
	shared := map[string]string{
		"User spec.absences": "map", "User spec.holds": "map", "User spec.acting": "map",
		"Group spec.roles": "map", "Group spec.acting": "map",
		"Membership spec.holds": "map", "Membership spec.roles": "set",
		"LifecyclePolicy spec.effects": "map", "Organization spec.roles": "atomic",
	}
	for _, kind := range kinds {
		crdOf(t, kind).walk(func(path string, schema *apiextensionsv1.JSONSchemaProps) {
			if want, ok := shared[kind+" "+path]; ok && (schema.XListType == nil || *schema.XListType != want) {
				t.Errorf("%s %s: is not of type %s", kind, path, want)
			}
		})
	}
}

// `kubectl explain` says something about every field, and begins with its name, so that a sentence about one field does
// not get copied to another.
func TestEveryFieldIsDescribed(t *testing.T) {
	for _, kind := range kinds {
		c := crdOf(t, kind)
		if !strings.HasPrefix(c.version.Schema.OpenAPIV3Schema.Description, kind+" ") {
			t.Errorf("%s: its description does not begin with its name", kind)
		}
		c.walk(func(path string, schema *apiextensionsv1.JSONSchemaProps) {
			if strings.HasSuffix(path, "[]") || strings.HasSuffix(path, "{}") {
				return
			}
			name := path[strings.LastIndex(path, ".")+1:]
			if !strings.HasPrefix(schema.Description, name+" ") {
				t.Errorf("%s %s: %q does not begin with the name of the field", kind, path, schema.Description)
			}
			if !strings.HasSuffix(schema.Description, ".") {
				t.Errorf("%s %s: %q is not a sentence", kind, path, schema.Description)
			}
		})
	}
}

// A rule without a message shows the user an expression, and one that fails silently on null or on a missing field
// would show an error about the rule instead.
func TestEveryRuleHasAMessage(t *testing.T) {
	for _, kind := range kinds {
		c := crdOf(t, kind)
		check := func(path string, schema *apiextensionsv1.JSONSchemaProps) {
			for _, rule := range schema.XValidations {
				if rule.Message == "" {
					t.Errorf("%s %s: %q has no message", kind, path, rule.Rule)
				}
			}
		}
		check("", c.version.Schema.OpenAPIV3Schema)
		c.walk(check)
	}
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/api/v1alpha1"
)

const profiles = "../../config/profiles"

// manifests are what a profile applies.
type manifests struct {
	name    string
	kinds   map[string]*kind // of the profile and of Tenure, by apiVersion and kind
	objects []unstructured.Unstructured
}

// kind is what an API server that serves a definition checks.
type kind struct {
	plural     string
	structural *structuralschema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
}

// loadProfiles loads every profile.
func loadProfiles(t *testing.T) []*manifests {
	t.Helper()
	kustomizations, err := filepath.Glob(profiles + "/*/kustomization.yaml")
	if err != nil || len(kustomizations) == 0 {
		t.Fatalf("there are no profiles: %v", err)
	}
	var loaded []*manifests
	for _, kustomization := range kustomizations {
		folder := filepath.Dir(kustomization)
		p := &manifests{name: filepath.Base(folder), kinds: map[string]*kind{}}
		for _, source := range []string{"../../config/crd/bases", filepath.Join(folder, "crds")} {
			p.loadKinds(t, source)
		}
		for _, file := range listedIn(t, folder) {
			p.objects = append(p.objects, read(t, filepath.Join(folder, file))...)
		}
		loaded = append(loaded, p)
	}
	return loaded
}

// listedIn are the files that a kustomization lists.
func listedIn(t *testing.T, folder string) []string {
	t.Helper()
	documents := read(t, filepath.Join(folder, "kustomization.yaml"))
	if len(documents) != 1 {
		t.Fatalf("the kustomization of %s has %d documents", folder, len(documents))
	}
	files, _, err := unstructured.NestedStringSlice(documents[0].Object, "resources")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// read reads the documents of a file as the API server does: whole numbers are integers, and no key is given twice.
func read(t *testing.T, path string) []unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	var objects []unstructured.Unstructured
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var object map[string]any
		if err := utiljson.Unmarshal(encoded, &object); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if object != nil {
			objects = append(objects, unstructured.Unstructured{Object: object})
		}
	}
}

func (p *manifests) loadKinds(t *testing.T, folder string) {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(content, definition); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		loaded, err := loadKind(definition)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		p.kinds[definition.Spec.Group+"/"+definition.Spec.Versions[0].Name+" "+definition.Spec.Names.Kind] = loaded
	}
}

// loadKind checks a definition as the API server does, and compiles it.
func loadKind(definition *apiextensionsv1.CustomResourceDefinition) (*kind, error) {
	version := definition.Spec.Versions[0].Name
	defaulted, internal := definition.DeepCopy(), &apiextensions.CustomResourceDefinition{}
	apiextensionsv1.SetDefaults_CustomResourceDefinition(defaulted)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&defaulted.Spec)
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(defaulted, internal, nil); err != nil {
		return nil, err
	}
	internal.Status.StoredVersions = []string{version}
	if errs := crdvalidation.ValidateCustomResourceDefinition(context.Background(), internal); len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	props, err := apiextensions.GetSchemaForVersion(internal, version)
	if err != nil {
		return nil, err
	}
	k := &kind{plural: definition.Spec.Names.Plural}
	if k.structural, err = structuralschema.NewStructural(props.OpenAPIV3Schema); err != nil {
		return nil, err
	}
	if k.schema, _, err = validation.NewSchemaValidator(props.OpenAPIV3Schema); err != nil {
		return nil, err
	}
	k.rules = cel.NewValidator(k.structural, true, celconfig.PerCallLimit)
	return k, nil
}

// refusals are what keeps the API server from creating an object as it is written.
func (k *kind) refusals(object map[string]any) field.ErrorList {
	object = runtime.DeepCopyJSON(object)
	options := structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	var errs field.ErrorList
	for _, unknown := range pruning.PruneWithOptions(object, k.structural, true, options) {
		errs = append(errs, field.Forbidden(field.NewPath(unknown), "there is no such field"))
	}
	defaulting.Default(object, k.structural)
	errs = append(errs, validation.ValidateCustomResource(nil, object, k.schema)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, k.structural, object)...)
	broken, _ := k.rules.Validate(context.Background(), nil, k.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return append(errs, broken...)
}

// TestManifestsAreAccepted sees that the API server takes everything that a profile applies.
func TestManifestsAreAccepted(t *testing.T) {
	builtIn := []string{
		"v1 Namespace", "v1 ServiceAccount", "rbac.authorization.k8s.io/v1 Role", "rbac.authorization.k8s.io/v1 RoleBinding",
	}
	for _, p := range loadProfiles(t) {
		t.Run(p.name, func(t *testing.T) {
			seen := map[string]bool{}
			for _, object := range p.objects {
				id := object.GetAPIVersion() + " " + object.GetKind()
				name := id + " " + object.GetName()
				if seen[name] {
					t.Errorf("%s is there twice", name)
				}
				seen[name], seen[id] = true, true
				if k, ok := p.kinds[id]; ok {
					for _, err := range k.refusals(object.Object) {
						t.Errorf("%s: %v", name, err)
					}
				} else if !slices.Contains(builtIn, id) {
					t.Errorf("%s: nothing defines the kind", name)
				}
				if object.GetKind() != "Namespace" && object.GetNamespace() != p.name {
					t.Errorf("%s is in namespace %q", name, object.GetNamespace())
				}
			}
			for id := range p.kinds {
				if !strings.HasPrefix(id, v1alpha1.GroupVersion.Group) && !seen[id] {
					t.Errorf("of %s there is no example", id)
				}
			}
			if !seen["v1 Namespace "+p.name] {
				t.Error("the namespace of the profile is missing")
			}
		})
	}
}

// TestNothingIsForgotten sees that a kustomization lists every manifest beside it.
func TestNothingIsForgotten(t *testing.T) {
	for _, p := range loadProfiles(t) {
		t.Run(p.name, func(t *testing.T) {
			for _, folder := range []string{filepath.Join(profiles, p.name), filepath.Join(profiles, p.name, "crds")} {
				files, err := filepath.Glob(folder + "/*.yaml")
				if err != nil {
					t.Fatal(err)
				}
				var found []string
				for _, file := range files {
					if name := filepath.Base(file); name != "kustomization.yaml" {
						found = append(found, name)
					}
				}
				if diff := cmp.Diff(found, slices.Sorted(slices.Values(listedIn(t, folder)))); diff != "" {
					t.Errorf("%s (-there +listed)\n%s", folder, diff)
				}
			}
		})
	}
}

// decode finds the objects of a kind, by name.
func decode[T any](t *testing.T, p *manifests, kind string) map[string]T {
	t.Helper()
	found := map[string]T{}
	for _, object := range p.objects {
		if object.GetKind() != kind {
			continue
		}
		var typed T
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &typed); err != nil {
			t.Fatal(err)
		}
		found[object.GetName()] = typed
	}
	return found
}

// TestReferencesLeadSomewhere sees that people, groups and policies are there which others name, and that the organization
// can do without any one of its people.
func TestReferencesLeadSomewhere(t *testing.T) {
	for _, p := range loadProfiles(t) {
		t.Run(p.name, func(t *testing.T) {
			organization, ok := decode[v1alpha1.Organization](t, p, "Organization")[p.name]
			if !ok {
				t.Fatal("there is no Organization of the profile's name")
			}
			users, groups := decode[v1alpha1.User](t, p, "User"), decode[v1alpha1.Group](t, p, "Group")
			policies := decode[v1alpha1.LifecyclePolicy](t, p, "LifecyclePolicy")
			known := func(what, name string, ok bool) {
				if name != "" && !ok {
					t.Errorf("%s names %s, which there is not", what, name)
				}
			}
			knownUser := func(what, name string) { known(what, name, has(users, name)) }
			knownUser("the organization", organization.Spec.OwnerRef.Name)
			known("the organization", organization.Spec.DefaultPolicyRef.Name, has(policies, organization.Spec.DefaultPolicyRef.Name))
			admins := 0
			for name, user := range users {
				for _, other := range []string{user.Spec.ManagerRef.Name, user.Spec.CoachRef.Name, user.Spec.SuccessorRef.Name} {
					knownUser(name, other)
				}
				known(name, user.Spec.PolicyRef.Name, has(policies, user.Spec.PolicyRef.Name))
				known(name, user.Spec.Role, slices.Contains(organization.Spec.Roles, user.Spec.Role))
				if slices.Contains(organization.Spec.AdminRoles, user.Spec.Role) {
					admins++
				}
			}
			if admins < 2 {
				t.Errorf("of administrators there are %d", admins)
			}
			for name, group := range groups {
				knownUser(name, group.Spec.LeaderRef.Name)
			}
			for name, membership := range decode[v1alpha1.Membership](t, p, "Membership") {
				knownUser(name, membership.Spec.UserRef.Name)
				group, ok := groups[membership.Spec.GroupRef.Name]
				known(name, membership.Spec.GroupRef.Name, ok)
				for _, role := range membership.Spec.Roles {
					known(name, role, slices.ContainsFunc(group.Spec.Roles, func(r v1alpha1.GroupRole) bool { return r.Name == role }))
				}
			}
		})
	}
}

func has[T any](objects map[string]T, name string) bool {
	_, ok := objects[name]
	return ok
}

// TestLeastPrivilege sees that the account of the effects may do what they need, and nothing else.
func TestLeastPrivilege(t *testing.T) {
	for _, p := range loadProfiles(t) {
		t.Run(p.name, func(t *testing.T) {
			needed := map[string][]string{}
			for _, policy := range decode[v1alpha1.LifecyclePolicy](t, p, "LifecyclePolicy") {
				for _, effect := range policy.Spec.Effects {
					if effect.Resources.Kind == "" {
						continue
					}
					k, ok := p.kinds[effect.Resources.APIVersion+" "+effect.Resources.Kind]
					if !ok {
						t.Errorf("effect %s: nothing defines %s", effect.Name, effect.Resources.Kind)
						continue
					}
					group, _, _ := strings.Cut(effect.Resources.APIVersion, "/")
					resource := k.plural + "." + group
					needed[resource] = append(needed[resource], verbs(effect.Resources.Action)...)
				}
			}
			granted := map[string][]string{}
			for _, rule := range decode[rbacv1.Role](t, p, "Role")["lifecycle"].Rules {
				for _, group := range rule.APIGroups {
					for _, resource := range rule.Resources {
						granted[resource+"."+group] = append(granted[resource+"."+group], rule.Verbs...)
					}
				}
			}
			if diff := cmp.Diff(rights(needed), rights(granted)); diff != "" {
				t.Errorf("the Role lifecycle (-needed +granted)\n%s", diff)
			}
		})
	}
}

// verbs are what an action needs.
func verbs(action v1alpha1.ResourceAction) []string {
	needed := []string{"get", "list", "watch"}
	switch v1alpha1.EffectAction(action) {
	case v1alpha1.ActionKeep:
	case v1alpha1.ActionDelete:
		needed = append(needed, "delete")
	default:
		needed = append(needed, "patch")
	}
	return needed
}

// rights are one line for each, in order.
func rights(verbs map[string][]string) []string {
	lines := map[string]bool{}
	for resource, these := range verbs {
		for _, verb := range these {
			lines[fmt.Sprintf("%s: %s", resource, verb)] = true
		}
	}
	return slices.Sorted(maps.Keys(lines))
}

package v1alpha1_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"tenure.dev/tenure/api/v1alpha1"
)

// The Go types say the same as the generated definitions.

func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return scheme
}

// zero is an empty object of a kind.
func zero(t *testing.T, kind string) runtime.Object {
	t.Helper()
	obj, err := newScheme(t).New(v1alpha1.GroupVersion.WithKind(kind))
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

// What a manifest says survives being read into Go and written again, and nothing is added.
func TestRoundTrip(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			full := example(t, kind)
			data, err := json.Marshal(full)
			if err != nil {
				t.Fatal(err)
			}
			obj := zero(t, kind)
			decoder := json.NewDecoder(bytes.NewReader(data))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(obj); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(full, toJSON(t, obj)); diff != "" {
				t.Errorf("written again (-read +written):\n%s", diff)
			}
			if diff := cmp.Diff(full, toJSON(t, obj.DeepCopyObject())); diff != "" {
				t.Errorf("the copy (-original +copy):\n%s", diff)
			}
		})
	}
}

// What is not set is not written: no null, no empty object, no zero time. An API server would refuse them, or take them
// for a wish.
func TestZeroIsOmitted(t *testing.T) {
	for _, kind := range kinds {
		if diff := cmp.Diff(object{}, toJSON(t, zero(t, kind))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}

	sparse := &v1alpha1.User{
		TypeMeta:   metav1.TypeMeta{APIVersion: "tenure.dev/v1alpha1", Kind: "User"},
		ObjectMeta: metav1.ObjectMeta{Name: "alice"},
		Spec: v1alpha1.UserSpec{
			UserName: "alice",
			Absences: []v1alpha1.Absence{{Name: "a", StartTime: metav1.NewTime(time.Date(2026, 12, 1, 9, 0, 0, 0, time.FixedZone("CET", 3600)))}},
			Holds:    []v1alpha1.UserHold{{Name: "h", Status: v1alpha1.UserHoldSuspended}},
		},
		Status: v1alpha1.UserStatus{Causes: []v1alpha1.Cause{{Type: v1alpha1.CauseHold, State: v1alpha1.StateSuspended}}},
	}
	want := parse(t, `{apiVersion: tenure.dev/v1alpha1, kind: User, metadata: {name: alice},
		spec: {userName: alice, absences: [{name: a, startTime: 2026-12-01T08:00:00Z}], holds: [{name: h, status: Suspended}]},
		status: {causes: [{type: Hold, state: Suspended}], memberships: {active: 0, total: 0}}}`)
	if diff := cmp.Diff(want, toJSON(t, sparse)); diff != "" {
		t.Errorf("a sparse user (-want +got):\n%s", diff)
	}
	_, unknown, errs := crdOf(t, "User").create(toJSON(t, sparse))
	if len(unknown) > 0 {
		t.Errorf("unknown fields %v", unknown)
	}
	checkRefused(t, errs, nil)

	// Counts are written at 0, or their columns would be empty.
	counts := &v1alpha1.Organization{Status: v1alpha1.OrganizationStatus{ObservedGeneration: 1, Users: v1alpha1.UserCounts{Total: 1}}}
	want = parse(t, `{status: {observedGeneration: 1, seatsUsed: 0, admins: {active: 0},
		users: {total: 1, pending: 0, activated: 0, active: 0, onBreak: 0, deactivated: 0, expired: 0, suspended: 0, removed: 0}}}`)
	if diff := cmp.Diff(want, toJSON(t, counts)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// Go and the schema have the same fields, a copy has all of them and shares none.
func TestEveryField(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			obj := zero(t, kind)
			value := reflect.ValueOf(obj).Elem()
			fill(t, value.FieldByName("Spec"))
			fill(t, value.FieldByName("Status"))

			var inGo, inSchema []string
			written := toJSON(t, obj)
			paths(written, func(path string) { inGo = append(inGo, path) })
			paths(schemaObject(crdOf(t, kind)), func(path string) { inSchema = append(inSchema, path) })
			slices.Sort(inGo)
			slices.Sort(inSchema)
			if diff := cmp.Diff(slices.Compact(inSchema), slices.Compact(inGo)); diff != "" {
				t.Errorf("fields (-schema +Go):\n%s", diff)
			}

			read := zero(t, kind)
			data, err := json.Marshal(obj)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, read); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(written, toJSON(t, read)); diff != "" {
				t.Errorf("read again (-written +read):\n%s", diff)
			}

			copied := obj.DeepCopyObject()
			if diff := cmp.Diff(obj, copied); diff != "" {
				t.Errorf("the copy (-original +copy):\n%s", diff)
			}
			shared(t, kind, value, reflect.ValueOf(copied).Elem())
		})
	}
}

// Each kind is registered together with its list.
func TestScheme(t *testing.T) {
	scheme := newScheme(t)
	for _, kind := range kinds {
		for _, name := range []string{kind, kind + "List"} {
			if !scheme.Recognizes(v1alpha1.GroupVersion.WithKind(name)) {
				t.Errorf("%s is not registered", name)
			}
		}
	}
}

func toJSON(t *testing.T, obj any) object {
	t.Helper()
	data, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data))
}

// fill sets every field to something that is not its zero value.
func fill(t *testing.T, value reflect.Value) {
	t.Helper()
	switch into := value.Addr().Interface().(type) {
	case *metav1.Time:
		*into = metav1.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
		return
	case *runtime.RawExtension:
		into.Raw = []byte(`{"spec":null}`)
		return
	}
	switch value.Kind() {
	case reflect.String:
		value.SetString("x")
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int32, reflect.Int64:
		value.SetInt(1)
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		fill(t, value.Elem())
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		fill(t, value.Index(0))
	case reflect.Map:
		value.Set(reflect.MakeMap(value.Type()))
		item := reflect.New(value.Type().Elem()).Elem()
		fill(t, item)
		value.SetMapIndex(reflect.ValueOf("key").Convert(value.Type().Key()), item)
	case reflect.Struct:
		for _, field := range value.Fields() {
			fill(t, field)
		}
	default:
		t.Fatalf("no value for a %s", value.Type())
	}
}

// paths visits every field of an object. What is in a map or a patch is no field.
func paths(value any, visit func(path string)) {
	var descend func(path string, value any)
	descend = func(path string, value any) {
		switch v := value.(type) {
		case object:
			for key, field := range v {
				at := strings.TrimPrefix(path+"."+key, ".")
				visit(at)
				if key != "attributes" && key != "patch" {
					descend(at, field)
				}
			}
		case []any:
			for _, item := range v {
				descend(path+"[]", item)
			}
		}
	}
	descend("", value)
}

// schemaObject is an object with every field that a schema has.
func schemaObject(c *crd) object {
	obj := object{}
	for _, part := range []string{"spec", "status"} {
		schema := c.structural.Properties[part]
		obj[part] = fromSchema(&schema)
	}
	return obj
}

// shared reports memory that two values have in common.
func shared(t *testing.T, path string, a, b reflect.Value) {
	t.Helper()
	switch a.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if a.IsNil() {
			return
		}
		if a.Type() == reflect.TypeFor[*time.Location]() {
			return
		}
		if a.Pointer() == b.Pointer() {
			t.Errorf("%s: the copy shares it", path)
			return
		}
	default:
	}
	switch a.Kind() {
	case reflect.Pointer:
		shared(t, path, a.Elem(), b.Elem())
	case reflect.Slice:
		for i := range a.Len() {
			shared(t, fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i))
		}
	case reflect.Struct:
		for i := range a.NumField() {
			shared(t, path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
		}
	default:
	}
}

package slim_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/slim"
	"tenure.dev/tenure/controllers/internal/write"
)

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// kinds are those whose objects are made small.
var kinds = map[string]func() client.Object{
	"User":            func() client.Object { return &v1alpha1.User{} },
	"Membership":      func() client.Object { return &v1alpha1.Membership{} },
	"Transition":      func() client.Object { return &v1alpha1.Transition{} },
	"Group":           func() client.Object { return &v1alpha1.Group{} },
	"LifecyclePolicy": func() client.Object { return &v1alpha1.LifecyclePolicy{} },
	"Organization":    func() client.Object { return &v1alpha1.Organization{} },
	"RoleBinding":     func() client.Object { return &rbacv1.RoleBinding{} },
}

var (
	// words are few, so that much is the same.
	words = rapid.SampledFrom([]string{"", "a", "b", "Active", "kate", "a message that is longer than others"})

	keys = rapid.SampledFrom([]string{
		lastApplied, "argocd.argoproj.io/tracking-id", v1alpha1.AnnotationIdentity, v1alpha1.AnnotationRelease, v1alpha1.AnnotationHeldOpen, v1alpha1.LabelUser,
	})
)

// draw makes up an object, every field of it.
func draw(t *rapid.T, object client.Object) client.Object {
	fill(t, reflect.ValueOf(object).Elem())
	object.SetResourceVersion("1")
	return object
}

func fill(t *rapid.T, value reflect.Value) {
	switch part := value.Addr().Interface().(type) {
	case *metav1.Time:
		*part = metav1.NewTime(time.Unix(rapid.Int64Range(0, 2).Draw(t, "second"), 0))
		return
	case *runtime.RawExtension:
		part.Raw = []byte(rapid.SampledFrom([]string{`{"a":"b"}`, `{"a":"c"}`}).Draw(t, "JSON"))
		return
	case *metav1.FieldsV1:
		return
	}
	switch value.Kind() {
	case reflect.String:
		value.SetString(words.Draw(t, "word"))
	case reflect.Bool:
		value.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int32, reflect.Int64:
		value.SetInt(rapid.Int64Range(0, 3).Draw(t, "number"))
	case reflect.Struct:
		for _, field := range value.Fields() {
			fill(t, field)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "there") {
			value.Set(reflect.New(value.Type().Elem()))
			fill(t, value.Elem())
		}
	case reflect.Slice:
		// Decoding leaves room.
		n := rapid.IntRange(-1, 2).Draw(t, "elements")
		if n < 0 {
			return
		}
		value.Set(reflect.MakeSlice(value.Type(), n, n+2))
		for i := range n {
			fill(t, value.Index(i))
		}
	case reflect.Map:
		n := rapid.IntRange(-1, 3).Draw(t, "entries")
		if n < 0 {
			return
		}
		value.Set(reflect.MakeMap(value.Type()))
		for range n {
			entry := reflect.New(value.Type().Elem()).Elem()
			fill(t, entry)
			value.SetMapIndex(reflect.ValueOf(keys.Draw(t, "key")), entry)
		}
	default:
		panic("fields of kind " + value.Kind().String() + " are new: how are they made up?")
	}
}

func made(t interface {
	Helper()
	Fatal(args ...any)
}, transform func(any) (any, error), object client.Object) client.Object {
	t.Helper()
	slimmed, err := transform(object)
	if err != nil {
		t.Fatal(err)
	}
	return slimmed.(client.Object)
}

// without is what is left of an object where nothing is said twice.
func without(whole client.Object) client.Object {
	rest := whole.DeepCopyObject().(client.Object)
	rest.SetManagedFields(nil)
	if _, binding := rest.(*rbacv1.RoleBinding); !binding && rest.GetAnnotations()[lastApplied] != "" {
		rest.GetAnnotations()[lastApplied] = ""
	}
	if transition, ok := rest.(*v1alpha1.Transition); ok {
		transition.Labels = nil
	}
	return rest
}

// All of them share one memory, so that what is the same in one and other in the next shows.
func TestNothingElseIsLeftOut(t *testing.T) {
	for kind, empty := range kinds {
		t.Run(kind, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				transform := slim.Transform()
				var slimmed, want []client.Object
				for range rapid.IntRange(1, 6).Draw(t, "objects") {
					whole := draw(t, empty())
					want = append(want, without(whole))
					slimmed = append(slimmed, made(t, transform, whole))
					if rapid.Bool().Draw(t, "again") { // A reflector may ask a second time.
						made(t, transform, whole)
					}
				}
				if diff := cmp.Diff(want, slimmed); diff != "" {
					t.Fatal(diff)
				}
			})
		})
	}
}

// edits are what the operator writes.
func edit(t *rapid.T) func(client.Object) {
	name, value := rapid.SampledFrom([]string{v1alpha1.AnnotationIdentity, v1alpha1.AnnotationRelease, v1alpha1.AnnotationHeldOpen, v1alpha1.AnnotationComplete}).Draw(t, "annotation"), words.Draw(t, "value")
	condition := metav1.Condition{Type: words.Draw(t, "type"), Message: words.Draw(t, "message")}
	return rapid.SampledFrom([]func(client.Object){
		func(o client.Object) { write.Annotate(o, name, value) },
		func(o client.Object) { write.Annotate(o, name, "") },
		func(o client.Object) { controllerutil.AddFinalizer(o, v1alpha1.Finalizer) },
		func(o client.Object) { controllerutil.RemoveFinalizer(o, "a") },
		func(o client.Object) {
			switch o := o.(type) {
			case *v1alpha1.User:
				o.Spec.Holds = append(o.Spec.Holds, v1alpha1.UserHold{Name: value})
				o.Spec.Acting = nil
				o.Status.Conditions = append(o.Status.Conditions, condition)
				o.Status.Causes = slices.Delete(o.Status.Causes, 0, min(1, len(o.Status.Causes)))
			case *v1alpha1.Membership:
				o.Spec.Holds = append(o.Spec.Holds, v1alpha1.MembershipHold{Name: value})
				o.Status.Conditions = append(o.Status.Conditions, condition)
			case *v1alpha1.Group:
				o.Spec.Acting = append(o.Spec.Acting, v1alpha1.Acting{Name: value})
				o.Status.Conditions = nil
			case *v1alpha1.Transition:
				o.Status.Effects = append(o.Status.Effects, v1alpha1.EffectProgress{Name: value})
				o.Status.Conditions = []metav1.Condition{condition}
			case *v1alpha1.LifecyclePolicy:
				o.Status.Conditions = []metav1.Condition{condition}
			case *v1alpha1.Organization:
				o.Status.Conditions = []metav1.Condition{condition}
			}
		},
	}).Draw(t, "edit")
}

func TestPatchOfASlimObjectIsThatOfTheWhole(t *testing.T) {
	for kind, empty := range kinds {
		t.Run(kind, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				whole := draw(t, empty())
				slimmed := made(t, slim.Transform(), whole.DeepCopyObject().(client.Object))
				editedWhole, edited := whole.DeepCopyObject().(client.Object), slimmed.DeepCopyObject().(client.Object)
				for range rapid.IntRange(1, 3).Draw(t, "edits") {
					change := edit(t)
					change(editedWhole)
					change(edited)
				}
				if diff := cmp.Diff(patch(t, whole, editedWhole), patch(t, slimmed, edited)); diff != "" {
					t.Fatal(diff)
				}
			})
		})
	}
}

func patch(t *rapid.T, before, after client.Object) string {
	t.Helper()
	data, err := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}).Data(after)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A merge patch that leaves no annotation takes out all there are, those of others too.
func TestLastAnnotationIsTakenOutWithoutThoseOfOthers(t *testing.T) {
	group := &v1alpha1.Group{ObjectMeta: metav1.ObjectMeta{
		Name: "sales", ResourceVersion: "1", Annotations: map[string]string{v1alpha1.AnnotationRelease: v1alpha1.ReleaseActingLeader, lastApplied: "{}"},
	}}
	made(t, slim.Transform(), group)
	after := group.DeepCopy()
	write.Annotate(after, v1alpha1.AnnotationRelease, "")
	data, err := client.MergeFrom(group).Data(after)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"metadata":{"annotations":{"tenure.dev/release":null}}}`; string(data) != want {
		t.Errorf("patch %s, want %s", data, want)
	}
}

func TestWhatIsTheSameIsHeldOnce(t *testing.T) {
	transform := slim.Transform()
	one := func() *v1alpha1.User {
		u := user(1).(*v1alpha1.User)
		u.Annotations = map[string]string{fmt.Sprint("no", "te"): fmt.Sprint("im", "ported")}
		u.Spec.Role = fmt.Sprint("Mem", "ber")
		return made(t, transform, u).(*v1alpha1.User)
	}
	a, b := one(), one()
	if unsafe.StringData(a.Spec.Role) != unsafe.StringData(b.Spec.Role) {
		t.Error("the same word twice")
	}
	if &a.Status.Conditions[0] != &b.Status.Conditions[0] {
		t.Error("the same conditions twice")
	}
	if reflect.ValueOf(a.Annotations).Pointer() != reflect.ValueOf(b.Annotations).Pointer() {
		t.Error("the same annotations twice")
	}
	if a.UID == "" || unsafe.StringData(a.Spec.Email) != unsafe.StringData(a.Spec.UserName) {
		t.Error("an e-mail that is the userName is held twice")
	}
	if cap(a.Status.Conditions) != len(a.Status.Conditions) || cap(a.Finalizers) != 1 {
		t.Error("room behind a list")
	}
}

func TestOtherKindsStayAsTheyAre(t *testing.T) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Name: "ca", Annotations: map[string]string{lastApplied: "{}"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}}
	want := secret.DeepCopy()
	want.ManagedFields = nil
	if diff := cmp.Diff(want, made(t, slim.Transform(), secret)); diff != "" {
		t.Error(diff)
	}
}

// There are fewer places than there are different values here: what has the same place must not be taken for the same.
func TestOtherValuesInTheSamePlaceStayApart(t *testing.T) {
	transform := slim.Transform()
	const many = 5000
	slimmed := make([]client.Object, many)
	for i := range slimmed {
		slimmed[i] = made(t, transform, user(i))
	}
	for i := range slimmed {
		if diff := cmp.Diff(without(user(i)), slimmed[i]); diff != "" {
			t.Fatal(diff)
		}
	}
}

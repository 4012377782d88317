// Package slim makes the objects of the cache small: a hundred thousand users, as the API server sends them, would fill
// the memory with what nobody reads, and with the same words again and again.
//
// An object of the cache is also what merge patches are computed from. Such a patch replaces a list whole, and takes out all
// annotations where none remains: nothing is left out of a list, and an annotation leaves at least its name.
package slim

import (
	"fmt"
	"reflect"

	rbacv1 "k8s.io/api/rbac/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// lastApplied is the annotation in which kubectl apply keeps the object a second time.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// Transform makes objects small before a cache takes them in. What it leaves out is read by nobody and written by nobody:
// managed fields; what kubectl apply keeps, of Tenure's own kinds; and the labels of Transitions, which are for people to
// search by. Of Users everything else stays: a policy's match may ask for it. So does all of Transitions that Anonymize
// writes anew, and all of RoleBindings, which are repaired by an update of the whole.
func Transform() toolscache.TransformFunc {
	stripManagedFields := cache.TransformStripManagedFields()
	kinds := map[reflect.Type]*memory{}
	for _, kind := range []client.Object{
		&v1alpha1.User{}, &v1alpha1.Membership{}, &v1alpha1.Transition{}, &v1alpha1.Group{}, &v1alpha1.LifecyclePolicy{},
		&v1alpha1.Organization{}, &rbacv1.RoleBinding{},
	} {
		kinds[reflect.TypeOf(kind)] = newMemory()
	}
	return func(object any) (any, error) {
		object, err := stripManagedFields(object)
		if err != nil {
			return nil, fmt.Errorf("strip managed fields: %w", err)
		}
		known, ok := kinds[reflect.TypeOf(object)]
		if !ok {
			return object, nil
		}
		leaveOut(object.(client.Object))
		known.share(reflect.ValueOf(object).Elem())
		return object, nil
	}
}

func leaveOut(object client.Object) {
	if _, binding := object.(*rbacv1.RoleBinding); binding {
		return
	}
	if annotations := object.GetAnnotations(); annotations[lastApplied] != "" {
		annotations[lastApplied] = ""
	}
	if transition, ok := object.(*v1alpha1.Transition); ok {
		transition.Labels = nil
	}
}

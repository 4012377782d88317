// Package v1alpha1 holds the kinds of the API group tenure.dev: the lifecycle of people's accounts and of their
// memberships, declared in spec and computed into status.
//
// A namespace is an organization. People, Git and feeds write spec; the operator writes status, the entries of
// spec.holds and spec.acting that automation decides, and Transitions.
//
// +kubebuilder:object:generate=true
// +groupName=tenure.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the API group and version of the kinds in this package.
	GroupVersion = schema.GroupVersion{Group: "tenure.dev", Version: "v1alpha1"}

	// SchemeBuilder registers the kinds of this package.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Organization{}, &OrganizationList{},
		&User{}, &UserList{},
		&Group{}, &GroupList{},
		&Membership{}, &MembershipList{},
		&LifecyclePolicy{}, &LifecyclePolicyList{},
		&Transition{}, &TransitionList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

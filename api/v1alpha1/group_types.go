package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RoleKind is the kind of a role that is granted.
// +kubebuilder:validation:Enum=ClusterRole;Role
type RoleKind string

const (
	// RoleKindClusterRole is a role of the whole cluster, granted in a namespace.
	RoleKindClusterRole RoleKind = "ClusterRole"

	// RoleKindRole is a role of the namespace in which it is granted.
	RoleKindRole RoleKind = "Role"
)

// RoleReference names a role of rbac.authorization.k8s.io.
type RoleReference struct {
	// kind of the role: ClusterRole, or Role, which must exist in each of the namespaces.
	// +optional
	// +kubebuilder:default=ClusterRole
	Kind RoleKind `json:"kind,omitempty"`

	// name of the role.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// Grant is real access: a role in namespaces, bound to the user name of every active holder.
type Grant struct {
	// roleRef names the role. The operator can bind those that the ClusterRole tenure-grantable lists.
	// +required
	RoleRef RoleReference `json:"roleRef,omitempty,omitzero"`

	// namespaces in which the role is granted. Each must name this organization in its annotation
	// tenure.dev/grants-from.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Namespaces []string `json:"namespaces,omitempty"`
}

// GroupRole is a role that a member may hold in a group.
type GroupRole struct {
	// name of the role, unique in the group.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// minimumActive is the number of active holders that must remain.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MinimumActive *int32 `json:"minimumActive,omitempty"`

	// grants are what an active holder may do in the cluster.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Grants []Grant `json:"grants,omitempty"`
}

// GroupSpec is what is declared about a group.
// +kubebuilder:validation:XValidation:rule="!has(self.acting) || self.acting.all(a, a.relation == 'Leader')",message="acting on a Group stands in for the Leader; Manager and Coach belong to a User",fieldPath=".acting"
type GroupSpec struct {
	// displayName is the name of the group as people read it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	DisplayName string `json:"displayName,omitempty"`

	// type is a free word that policies use: Program, Team, Room, ...
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Type string `json:"type,omitempty"`

	// leaderRef names the leader.
	// +optional
	LeaderRef Reference `json:"leaderRef,omitempty,omitzero"`

	// priority orders a user's teams: the lowest comes first, ties go by name.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=-1000000
	// +kubebuilder:validation:Maximum=1000000
	Priority *int32 `json:"priority,omitempty"`

	// roles that members may hold.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Roles []GroupRole `json:"roles,omitempty"`

	// acting lists who stands in for the leader. Effects write it, not people.
	// +optional
	// +listType=map
	// +listMapKey=relation
	// +kubebuilder:validation:MaxItems=1
	Acting []Acting `json:"acting,omitempty"`
}

// GroupLeader is who leads a group now.
type GroupLeader struct {
	// name of the User who leads: the stand-in, where there is one.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// active is true when the leader has access.
	// +optional
	Active bool `json:"active"` //nolint:kubeapilinter // nobools: an observed fact with two values, named in the published contract

	// acting is true when the leader stands in for the one that spec names.
	// +optional
	Acting bool `json:"acting"` //nolint:kubeapilinter // nobools: an observed fact with two values, named in the published contract
}

// GroupStatus is what the operator observed of a group.
type GroupStatus struct {
	// conditions of the group: Ready and Staffed.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime.getMilliseconds() >= 0)",message="lastTransitionTime must be a time, such as 2026-12-01T08:00:00Z"
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// members counts the memberships of the group.
	// +optional
	Members MembershipCounts `json:"members"`

	// leader is who leads the group now.
	// +optional
	Leader GroupLeader `json:"leader,omitempty,omitzero"`
}

// Group is a program, a team, a room or any other thing that one is a member of.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=tenure,shortName=tgroup
// +kubebuilder:selectablefield:JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Leader",type=string,JSONPath=`.status.leader.name`
// +kubebuilder:printcolumn:name="Active",type=integer,JSONPath=`.status.members.active`
// +kubebuilder:printcolumn:name="Total",type=integer,JSONPath=`.status.members.total`
// +kubebuilder:printcolumn:name="Acting",type=boolean,JSONPath=`.status.leader.acting`,priority=1
// +kubebuilder:printcolumn:name="Staffed",type=string,JSONPath=`.status.conditions[?(@.type=="Staffed")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="metadata.name must have at most 63 characters: choose a shorter one"
type Group struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is what is declared about the group.
	// +optional
	// +kubebuilder:default={}
	Spec GroupSpec `json:"spec,omitempty,omitzero"` //nolint:kubeapilinter // optionalfields: a spec that is left out is an empty one

	// status is what the operator observed.
	// +optional
	Status GroupStatus `json:"status,omitempty,omitzero"`
}

// GroupList is a list of Groups.
// +kubebuilder:object:root=true
type GroupList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items of the list.
	Items []Group `json:"items"`
}

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MembershipDesiredStatus is what a person declares about a membership.
// +kubebuilder:validation:Enum=Active;Deactivated;Removed
type MembershipDesiredStatus string

const (
	// MembershipDesiredActive: the membership shall be in force.
	MembershipDesiredActive MembershipDesiredStatus = "Active"

	// MembershipDesiredDeactivated: the membership shall not be in force and may come back.
	MembershipDesiredDeactivated MembershipDesiredStatus = "Deactivated"

	// MembershipDesiredRemoved: the user is no longer a member.
	MembershipDesiredRemoved MembershipDesiredStatus = "Removed"
)

// MembershipHoldStatus is what a hold on a membership does.
// +kubebuilder:validation:Enum=Deactivated;Removed
type MembershipHoldStatus string

const (
	// MembershipHoldDeactivated takes the membership out of force.
	MembershipHoldDeactivated MembershipHoldStatus = "Deactivated"

	// MembershipHoldRemoved ends the membership: it must be given anew.
	MembershipHoldRemoved MembershipHoldStatus = "Removed"
)

// MembershipHold is one restriction. It cannot be changed, and nothing but a release lifts it.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a hold cannot be changed: release it and set another one"
type MembershipHold struct {
	// name of the hold, unique among the membership's, without commas and white space. The annotation
	// tenure.dev/release takes it. The operator's own are user-suspended and user-removed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^,\\\\s]+$')",message="the name of a hold must not contain commas or white space: tenure.dev/release lists holds separated by commas"
	Name string `json:"name,omitempty"`

	// status that the hold enforces: Deactivated takes the membership out of force, Removed ends it.
	// +required
	Status MembershipHoldStatus `json:"status,omitempty"`

	// reason for the hold.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`

	// source is who or what set the hold.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Source string `json:"source,omitempty"`

	// startTime is when the hold was set, in whole seconds. A hold applies as soon as it is there.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[12]\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() == 0",message="must be a time in whole seconds with its zone, such as 2026-12-01T08:00:00Z"
	StartTime metav1.Time `json:"startTime,omitempty,omitzero"`

	// release says who may release the hold: Admin, somebody with the verb release; Self, the user as well.
	// +optional
	// +kubebuilder:default=Admin
	Release HoldRelease `json:"release,omitempty"`
}

// MembershipSpec is what is declared about a user in a group.
// +kubebuilder:validation:XValidation:rule="!has(self.expirationTime) || !has(self.startTime) || self.expirationTime > self.startTime",message="expirationTime must be after startTime: the membership would expire before it begins",fieldPath=".expirationTime"
type MembershipSpec struct {
	// userRef names the User. It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="userRef cannot be changed: create a Membership for the other user, and delete or remove this one"
	UserRef Reference `json:"userRef,omitempty,omitzero"`

	// groupRef names the Group. It cannot be changed. There is one Membership for a user and a group.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="groupRef cannot be changed: create a Membership for the other group, and delete or remove this one"
	GroupRef Reference `json:"groupRef,omitempty,omitzero"`

	// roles that the member holds in the group.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Roles []string `json:"roles,omitempty"`

	// desiredStatus is the status that shall hold, as far as dates, holds and the user's own state allow it: Active;
	// Deactivated, which may come back; Removed, which must be given anew.
	// +optional
	// +kubebuilder:default=Active
	DesiredStatus MembershipDesiredStatus `json:"desiredStatus,omitempty"`

	// reason why desiredStatus is not Active.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`

	// startTime is the instant, in whole seconds, before which the membership is Pending.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[12]\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() == 0",message="must be a time in whole seconds with its zone, such as 2026-12-01T08:00:00Z"
	StartTime metav1.Time `json:"startTime,omitempty,omitzero"`

	// expirationTime is the instant, in whole seconds, from which on the membership is Expired.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[12]\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() == 0",message="must be a time in whole seconds with its zone, such as 2026-12-01T08:00:00Z"
	ExpirationTime metav1.Time `json:"expirationTime,omitempty,omitzero"`

	// holds restrict the membership until they are released, whatever else is declared. Automation or an administrator
	// sets them.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Holds []MembershipHold `json:"holds,omitempty"`
}

// MembershipStatus is what the operator computed about a membership.
type MembershipStatus struct {
	// conditions of the membership: Ready (this generation was processed and what should hold, holds), Active (the
	// membership is in force; the reason is the strongest cause), Blocked (a guard holds back its user's transition),
	// ResolvedRefs (user and group exist).
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

	// state is the effective status. Active gives access; Paused stands and waits for the user's own access; Pending,
	// Deactivated, Expired and Removed give none.
	// +optional
	State State `json:"state,omitempty"`

	// access says whether the membership is in force.
	// +optional
	Access Access `json:"access,omitempty"`

	// stateTime is the instant from which the state holds: the declared instant, not when it was noticed.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() >= 0",message="must be a time, such as 2026-12-01T08:00:00Z"
	StateTime metav1.Time `json:"stateTime,omitempty,omitzero"`

	// causes are all reasons that apply, strongest first: the first decides, the others wait behind it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	Causes []Cause `json:"causes,omitempty"`

	// nextTransitionTime is the instant at which the state will change by itself. Absent when nothing is scheduled.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() >= 0",message="must be a time, such as 2026-12-01T08:00:00Z"
	NextTransitionTime metav1.Time `json:"nextTransitionTime,omitempty,omitzero"`

	// nextState is the state that holds from nextTransitionTime on.
	// +optional
	NextState State `json:"nextState,omitempty"`

	// next is nextState and nextTransitionTime in words.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Next string `json:"next,omitempty"`

	// lastTransition is the newest change of state, other than the pausing and resuming together with the user.
	// +optional
	LastTransition LastTransition `json:"lastTransition,omitempty,omitzero"`
}

// Membership is one user in one group, with roles.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=tenure
// +kubebuilder:selectablefield:JSONPath=`.spec.userRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.groupRef.name`
// +kubebuilder:selectablefield:JSONPath=`.status.state`
// +kubebuilder:selectablefield:JSONPath=`.status.access`
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.userRef.name`
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.spec.groupRef.name`
// +kubebuilder:printcolumn:name="Roles",type=string,JSONPath=`.spec.roles`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Cause",type=string,JSONPath=`.status.causes[0].type`
// +kubebuilder:printcolumn:name="Next",type=string,JSONPath=`.status.next`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="metadata.name must have at most 63 characters: choose a shorter one"
type Membership struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is what is declared about the membership.
	// +required
	Spec MembershipSpec `json:"spec,omitempty,omitzero"`

	// status is what the operator computed.
	// +optional
	Status MembershipStatus `json:"status,omitempty,omitzero"`
}

// MembershipList is a list of Memberships.
// +kubebuilder:object:root=true
type MembershipList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items of the list.
	Items []Membership `json:"items"`
}

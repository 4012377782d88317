package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SeatCounting says which users take a seat.
// +kubebuilder:validation:Enum=ActiveUsers;UsersWithActiveMembership
type SeatCounting string

const (
	// SeatActiveUsers: every user with access takes a seat.
	SeatActiveUsers SeatCounting = "ActiveUsers"

	// SeatUsersWithActiveMembership: every user with access and at least one active membership takes a seat.
	SeatUsersWithActiveMembership SeatCounting = "UsersWithActiveMembership"
)

// SeatEnforcement says what happens when there are not enough seats.
// +kubebuilder:validation:Enum=Report;Refuse
type SeatEnforcement string

const (
	// SeatReport: a condition and an Event say so.
	SeatReport SeatEnforcement = "Report"

	// SeatRefuse: what would take a seat too many is refused as well.
	SeatRefuse SeatEnforcement = "Refuse"
)

// Contact is whom a refused person may turn to.
// +kubebuilder:validation:MinProperties=1
type Contact struct {
	// name of the person or team.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// email of the person or team.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^@\\\\s]+@[^@\\\\s]+$')",message="must be an e-mail address, such as people@acme.example"
	Email string `json:"email,omitempty"`
}

// OrganizationSpec is what is declared about an organization.
// +kubebuilder:validation:XValidation:rule="!has(self.adminRoles) || !has(self.roles) || self.adminRoles.all(r, r in self.roles)",message="every one of adminRoles must also be listed in roles (adminRoles are Admin and Owner when left out)",fieldPath=".adminRoles"
// +kubebuilder:validation:XValidation:rule="!has(self.roles) || self.roles.all(r, self.roles.exists_one(s, s == r))",message="roles must not list a role twice",fieldPath=".roles"
type OrganizationSpec struct {
	// displayName is the name of the organization as people read it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	DisplayName string `json:"displayName,omitempty"`

	// ownerRef names the User who is the account owner: the receiver of what has no other successor. An owner cannot
	// leave the active states by a date: hand over first.
	// +optional
	OwnerRef Reference `json:"ownerRef,omitempty,omitzero"`

	// roles of the organization, lowest rank first. User.spec.role is one of them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:default={Guest,Member,Manager,Admin,Owner}
	Roles []string `json:"roles,omitempty"`

	// adminRoles are the roles of administrators. At least one user with one of them must keep access.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:default={Admin,Owner}
	AdminRoles []string `json:"adminRoles,omitempty"`

	// defaultPolicyRef names the LifecyclePolicy of users that name none.
	// +optional
	DefaultPolicyRef Reference `json:"defaultPolicyRef,omitempty,omitzero"`

	// teamTypes are the types of Group that count as teams when a successor is looked for. Of several teams the one with
	// the lowest priority comes first, then by name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:default={Team}
	TeamTypes []string `json:"teamTypes,omitempty"`

	// seats is the number of licences. Unlimited when left out.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Seats *int32 `json:"seats,omitempty"`

	// seatCounting says which users take a seat: ActiveUsers, every user with access; UsersWithActiveMembership, every
	// user with access and at least one active membership.
	// +optional
	// +kubebuilder:default=ActiveUsers
	SeatCounting SeatCounting `json:"seatCounting,omitempty"`

	// seatEnforcement says what happens when there are not enough seats: Report shows it as a condition and an Event;
	// Refuse also refuses to activate beyond them.
	// +optional
	// +kubebuilder:default=Report
	SeatEnforcement SeatEnforcement `json:"seatEnforcement,omitempty"`

	// contact is whom a refused person may turn to.
	// +optional
	Contact Contact `json:"contact,omitempty,omitzero"`

	// transitionHistoryLimit is the number of Transitions that are kept for each subject at least, however old.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	TransitionHistoryLimit int32 `json:"transitionHistoryLimit,omitempty"`

	// transitionRetentionSeconds is how long every Transition is kept, however many there are. The newest one of a
	// subject and those that are not complete are kept for ever.
	// +optional
	// +kubebuilder:default=31536000
	// +kubebuilder:validation:Minimum=0
	TransitionRetentionSeconds *int32 `json:"transitionRetentionSeconds,omitempty"`
}

// UserCounts counts an organization's users by state.
type UserCounts struct {
	// total number of users, in whatever state.
	// +optional
	Total int32 `json:"total"`

	// pending users.
	// +optional
	Pending int32 `json:"pending"`

	// activated users: with access that was never used.
	// +optional
	Activated int32 `json:"activated"`

	// active users.
	// +optional
	Active int32 `json:"active"`

	// onBreak counts users on a break.
	// +optional
	OnBreak int32 `json:"onBreak"`

	// deactivated users.
	// +optional
	Deactivated int32 `json:"deactivated"`

	// expired users.
	// +optional
	Expired int32 `json:"expired"`

	// suspended users.
	// +optional
	Suspended int32 `json:"suspended"`

	// removed users.
	// +optional
	Removed int32 `json:"removed"`
}

// AdminCounts counts an organization's administrators.
type AdminCounts struct {
	// active administrators: with an admin role and access.
	// +optional
	Active int32 `json:"active"`
}

// Departure is a change that admission let pass, by which a user or a member may cease to hold a role that somebody must
// hold. Until the change is seen, or its request is over, nobody relies on that holder.
type Departure struct {
	// kind of the subject: User or Membership.
	// +required
	Kind SubjectKind `json:"kind,omitempty"`

	// name of the subject.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// resourceVersion of the subject when the change was let pass. The change is made on this version or not at all: once
	// the subject has another one, it speaks for itself.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	ResourceVersion string `json:"resourceVersion,omitempty"`

	// time at which the change was let pass. Requests take a minute at most.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() >= 0",message="must be a time, such as 2026-12-01T08:00:00Z"
	Time metav1.Time `json:"time,omitempty,omitzero"`
}

// OrganizationStatus is what the operator observed of an organization.
type OrganizationStatus struct {
	// conditions of the organization: Ready and SeatsAvailable.
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

	// users counts the users by state.
	// +optional
	Users UserCounts `json:"users"`

	// seatsUsed is the number of seats in use.
	// +optional
	SeatsUsed int32 `json:"seatsUsed"`

	// admins counts the administrators.
	// +optional
	Admins AdminCounts `json:"admins"`

	// departures are changes under way of those who hold a role that somebody must hold. Admission writes them one after the
	// other, so that of two last holders who leave at the same moment one stays.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	Departures []Departure `json:"departures,omitempty"`
}

// Organization makes a namespace an organization and holds its settings. There is one in a namespace, with the
// namespace's name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=tenure,shortName=org
// +kubebuilder:printcolumn:name="Users",type=integer,JSONPath=`.status.users.total`
// +kubebuilder:printcolumn:name="Active",type=integer,JSONPath=`.status.users.active`
// +kubebuilder:printcolumn:name="Seats",type=integer,JSONPath=`.status.seatsUsed`
// +kubebuilder:printcolumn:name="Limit",type=integer,JSONPath=`.spec.seats`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="metadata.name must have at most 63 characters: choose a shorter one"
type Organization struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is what is declared about the organization.
	// +optional
	// +kubebuilder:default={}
	Spec OrganizationSpec `json:"spec,omitempty,omitzero"` //nolint:kubeapilinter // optionalfields: a spec that is left out is an empty one

	// status is what the operator observed.
	// +optional
	Status OrganizationStatus `json:"status,omitempty,omitzero"`
}

// OrganizationList is a list of Organizations.
// +kubebuilder:object:root=true
type OrganizationList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items of the list.
	Items []Organization `json:"items"`
}

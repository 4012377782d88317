package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// UserDesiredStatus is what a person declares about a user.
// +kubebuilder:validation:Enum=Active;OnBreak;Deactivated;Suspended;Removed
type UserDesiredStatus string

const (
	// UserDesiredActive: the user shall have access.
	UserDesiredActive UserDesiredStatus = "Active"

	// UserDesiredOnBreak: the user keeps access and is not disturbed.
	UserDesiredOnBreak UserDesiredStatus = "OnBreak"

	// UserDesiredDeactivated: the user shall have no access and may come back.
	UserDesiredDeactivated UserDesiredStatus = "Deactivated"

	// UserDesiredSuspended: the user is shut out of everything until an administrator lifts it.
	UserDesiredSuspended UserDesiredStatus = "Suspended"

	// UserDesiredRemoved: the user is no longer part of the organization; the account stays.
	UserDesiredRemoved UserDesiredStatus = "Removed"
)

// AbsenceStatus is what an absence does while it is in force.
// +kubebuilder:validation:Enum=OnBreak;Deactivated
type AbsenceStatus string

const (
	// AbsenceOnBreak keeps access.
	AbsenceOnBreak AbsenceStatus = "OnBreak"

	// AbsenceDeactivated pauses access; it comes back by itself.
	AbsenceDeactivated AbsenceStatus = "Deactivated"
)

// Absence is a planned time away: from startTime on, and until before endTime.
// +kubebuilder:validation:XValidation:rule="!has(self.endTime) || self.endTime > self.startTime",message="endTime must be after startTime",fieldPath=".endTime"
type Absence struct {
	// name of the absence, unique among the user's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// startTime is the first instant of the absence, in whole seconds.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[12]\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() == 0",message="must be a time in whole seconds with its zone, such as 2026-12-01T08:00:00Z"
	StartTime metav1.Time `json:"startTime,omitempty,omitzero"`

	// endTime is the first instant after the absence, in whole seconds. Without it the absence lasts until it is taken
	// out.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[12]\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() == 0",message="must be a time in whole seconds with its zone, such as 2026-12-01T08:00:00Z"
	EndTime metav1.Time `json:"endTime,omitempty,omitzero"`

	// status during the absence: OnBreak keeps access, Deactivated pauses it.
	// +optional
	// +kubebuilder:default=Deactivated
	Status AbsenceStatus `json:"status,omitempty"`

	// reason for the absence.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
}

// UserHoldStatus is what a hold on a user does.
// +kubebuilder:validation:Enum=OnBreak;Deactivated;Suspended
type UserHoldStatus string

// What a hold on a user does.
const (
	// UserHoldOnBreak keeps access.
	UserHoldOnBreak UserHoldStatus = "OnBreak"

	// UserHoldDeactivated takes access away.
	UserHoldDeactivated UserHoldStatus = "Deactivated"

	// UserHoldSuspended shuts the user out of everything.
	UserHoldSuspended UserHoldStatus = "Suspended"
)

// UserHold is one restriction. It cannot be changed, and nothing but a release lifts it.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a hold cannot be changed: release it and set another one"
type UserHold struct {
	// name of the hold, unique among the user's, without commas and white space. The annotation tenure.dev/release
	// takes it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^,\\\\s]+$')",message="the name of a hold must not contain commas or white space: tenure.dev/release lists holds separated by commas"
	Name string `json:"name,omitempty"`

	// status that the hold enforces: OnBreak keeps access, Deactivated takes it away, Suspended shuts the user out of
	// everything.
	// +required
	Status UserHoldStatus `json:"status,omitempty"`

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

// Relation is a relation of one person to a user or a group.
// +kubebuilder:validation:Enum=Manager;Coach;Leader
type Relation string

const (
	// RelationManager is a user's line manager.
	RelationManager Relation = "Manager"

	// RelationCoach is a user's coach.
	RelationCoach Relation = "Coach"

	// RelationLeader is a group's leader.
	RelationLeader Relation = "Leader"
)

// Acting is a temporary stand-in in a relation, set by an effect. It ends when the declared reference changes.
type Acting struct {
	// relation that is taken over: Manager or Coach on a User, Leader on a Group.
	// +required
	Relation Relation `json:"relation,omitempty"`

	// name of the User who stands in. Left out: nobody, until the declared reference changes.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// for names the User who is replaced: the one whom the declared reference names.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	For string `json:"for,omitempty"`

	// transition names the Transition whose effect set this.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Transition string `json:"transition,omitempty"`
}

// AllowReactivation says which automatic ways back there are.
// +kubebuilder:validation:Enum=Never;OnPurchase
type AllowReactivation string

const (
	// ReactivateNever: an administrator alone reactivates.
	ReactivateNever AllowReactivation = "Never"

	// ReactivateOnPurchase: a purchase with the user's e-mail reactivates.
	ReactivateOnPurchase AllowReactivation = "OnPurchase"
)

// UserSpec is what is declared about a person's account.
// +kubebuilder:validation:XValidation:rule="!has(self.expirationTime) || !has(self.startTime) || self.expirationTime > self.startTime",message="expirationTime must be after startTime: the account would expire before it begins",fieldPath=".expirationTime"
// +kubebuilder:validation:XValidation:rule="!has(self.absences) || self.absences.all(a, self.absences.all(b, a.status == b.status || (has(a.endTime) && a.endTime <= b.startTime) || (has(b.endTime) && b.endTime <= a.startTime)))",message="two absences overlap and have different status: end one before the other starts, or give both the same status",fieldPath=".absences"
// +kubebuilder:validation:XValidation:rule="!has(self.acting) || self.acting.all(a, a.relation != 'Leader')",message="acting on a User stands in for Manager or Coach; Leader belongs to a Group",fieldPath=".acting"
type UserSpec struct {
	// userName is the name by which authenticators know this person: the Kubernetes user name, or the OIDC claim with
	// its prefix. It cannot be changed and is unique in the organization, compared without regard to case. Kubernetes' own
	// names (system:...) cannot be used.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="userName cannot be changed: grants and history are bound to it. Create another User for another account"
	// +kubebuilder:validation:XValidation:rule="!self.lowerAscii().startsWith('system:')",message="userName must not start with system: (reserved for Kubernetes' own accounts)"
	// +kubebuilder:validation:XValidation:rule="self.matches('^\\\\S([^\\\\n\\\\r\\\\t]*\\\\S)?$')",message="userName must not start or end with white space, nor hold tabs or line breaks"
	UserName string `json:"userName,omitempty"`

	// displayName is the person's name as people read it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	DisplayName string `json:"displayName,omitempty"`

	// email of the person. Unique in the organization, compared without regard to case.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^@\\\\s]+@[^@\\\\s]+$')",message="must be an e-mail address, such as alice@acme.example"
	Email string `json:"email,omitempty"`

	// userType is a free word that policies use: Employee, Customer, Guest, External, Service, ...
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	UserType string `json:"userType,omitempty"`

	// role is the rank in the organization: one of Organization.spec.roles, the lowest when left out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Role string `json:"role,omitempty"`

	// managerRef names the line manager.
	// +optional
	ManagerRef Reference `json:"managerRef,omitempty,omitzero"`

	// coachRef names the coach.
	// +optional
	CoachRef Reference `json:"coachRef,omitempty,omitzero"`

	// successorRef names the preferred receiver of transferred work.
	// +optional
	SuccessorRef Reference `json:"successorRef,omitempty,omitzero"`

	// attributes of the person for eligibility rules and templates, such as department: Sales.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.size() >= 1 && k.size() <= 63)",message="the name of an attribute must have 1 to 63 characters"
	Attributes map[string]AttributeValue `json:"attributes,omitempty"`

	// policyRef names the LifecyclePolicy. Left out: the organization's defaultPolicyRef.
	// +optional
	PolicyRef Reference `json:"policyRef,omitempty,omitzero"`

	// desiredStatus is the status that shall hold, as far as dates, absences and holds allow it. Active and OnBreak
	// give access; OnBreak means not to be disturbed. Deactivated takes access away for a time. Suspended shuts the
	// user out of everything until an administrator lifts it. Removed takes the user out of the organization and keeps
	// the account.
	// +optional
	// +kubebuilder:default=Active
	DesiredStatus UserDesiredStatus `json:"desiredStatus,omitempty"`

	// reason why desiredStatus is not Active.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`

	// startTime is the instant, in whole seconds, before which the user is Pending.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[12]\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() == 0",message="must be a time in whole seconds with its zone, such as 2026-12-01T08:00:00Z"
	StartTime metav1.Time `json:"startTime,omitempty,omitzero"`

	// expirationTime is the instant, in whole seconds, from which on the user is Expired.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[12]\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() == 0",message="must be a time in whole seconds with its zone, such as 2026-12-01T08:00:00Z"
	ExpirationTime metav1.Time `json:"expirationTime,omitempty,omitzero"`

	// absences are planned times away. Those that overlap must have the same status.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Absences []Absence `json:"absences,omitempty"`

	// allowReactivation says whether the account may come back by itself: Never, or OnPurchase, when its e-mail is
	// used in a purchase.
	// +optional
	// +kubebuilder:default=Never
	AllowReactivation AllowReactivation `json:"allowReactivation,omitempty"`

	// holds restrict the user until they are released, whatever else is declared. Automation or an administrator sets
	// them.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Holds []UserHold `json:"holds,omitempty"`

	// acting lists who stands in for the manager or coach. Effects write it, not people.
	// +optional
	// +listType=map
	// +listMapKey=relation
	// +kubebuilder:validation:MaxItems=3
	Acting []Acting `json:"acting,omitempty"`
}

// AttributeValue is the value of an attribute.
// +kubebuilder:validation:MaxLength=1024
type AttributeValue string

// MembershipCounts counts memberships.
type MembershipCounts struct {
	// active memberships.
	// +optional
	Active int32 `json:"active"`

	// total number of memberships, in whatever state.
	// +optional
	Total int32 `json:"total"`
}

// UserStatus is what the operator computed about a user.
type UserStatus struct {
	// conditions of the user: Ready (this generation was processed and what should hold, holds), Active (access is in
	// force; the reason is the strongest cause), Blocked (a guard holds back an automatic transition).
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

	// state is the effective status. Activated (access never used), Active and OnBreak give access; Pending,
	// Deactivated, Expired, Suspended and Removed do not.
	// +optional
	State State `json:"state,omitempty"`

	// access says whether access is in force.
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

	// role is the effective rank, also when spec.role is left out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Role string `json:"role,omitempty"`

	// firstActivityTime is when the user first used the access.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() >= 0",message="must be a time, such as 2026-12-01T08:00:00Z"
	FirstActivityTime metav1.Time `json:"firstActivityTime,omitempty,omitzero"`

	// lastActivityTime is when the user was last active, as far as applications reported it.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() >= 0",message="must be a time, such as 2026-12-01T08:00:00Z"
	LastActivityTime metav1.Time `json:"lastActivityTime,omitempty,omitzero"`

	// lastTransition is the newest change of state.
	// +optional
	LastTransition LastTransition `json:"lastTransition,omitempty,omitzero"`

	// memberships counts the user's memberships.
	// +optional
	Memberships MembershipCounts `json:"memberships"`
}

// User is a person's account in an organization: what status it shall have, and from when until when. The operator
// computes what it has and makes it so.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=tenure,shortName=tuser
// +kubebuilder:selectablefield:JSONPath=`.spec.role`
// +kubebuilder:selectablefield:JSONPath=`.status.role`
// +kubebuilder:selectablefield:JSONPath=`.status.state`
// +kubebuilder:selectablefield:JSONPath=`.status.access`
// +kubebuilder:selectablefield:JSONPath=`.spec.userType`
// +kubebuilder:selectablefield:JSONPath=`.spec.email`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Cause",type=string,JSONPath=`.status.causes[0].type`
// +kubebuilder:printcolumn:name="Next",type=string,JSONPath=`.status.next`
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.status.role`
// +kubebuilder:printcolumn:name="Email",type=string,JSONPath=`.spec.email`,priority=1
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.userType`,priority=1
// +kubebuilder:printcolumn:name="LastActivity",type=date,JSONPath=`.status.lastActivityTime`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="metadata.name must have at most 63 characters: choose a shorter one"
type User struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is what is declared about the account.
	// +required
	Spec UserSpec `json:"spec,omitempty,omitzero"`

	// status is what the operator computed.
	// +optional
	Status UserStatus `json:"status,omitempty,omitzero"`
}

// UserList is a list of Users.
// +kubebuilder:object:root=true
type UserList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items of the list.
	Items []User `json:"items"`
}

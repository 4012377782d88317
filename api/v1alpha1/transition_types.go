package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// SubjectKind is the kind of object whose state changed.
// +kubebuilder:validation:Enum=User;Membership
type SubjectKind string

const (
	// SubjectUser is a User.
	SubjectUser SubjectKind = "User"

	// SubjectMembership is a Membership.
	SubjectMembership SubjectKind = "Membership"
)

// Subject is whose state changed.
type Subject struct {
	// kind of the subject.
	// +required
	Kind SubjectKind `json:"kind,omitempty"`

	// name of the subject.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// uid of the object that changed.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID types.UID `json:"uid,omitempty"`

	// identity of the subject, the same for an object that was restored from a backup.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Identity string `json:"identity,omitempty"`
}

// TransitionCauseType is the kind of event that changed a state.
// +kubebuilder:validation:Enum=Declared;Started;Expired;AbsenceStarted;AbsenceEnded;Held;Released;UserStateChanged;Deleted
type TransitionCauseType string

const (
	// TransitionDeclared: what is declared was changed.
	TransitionDeclared TransitionCauseType = "Declared"

	// TransitionStarted: startTime came.
	TransitionStarted TransitionCauseType = "Started"

	// TransitionExpired: expirationTime came.
	TransitionExpired TransitionCauseType = "Expired"

	// TransitionAbsenceStarted: an absence began.
	TransitionAbsenceStarted TransitionCauseType = "AbsenceStarted"

	// TransitionAbsenceEnded: an absence ended.
	TransitionAbsenceEnded TransitionCauseType = "AbsenceEnded"

	// TransitionHeld: a hold was set.
	TransitionHeld TransitionCauseType = "Held"

	// TransitionReleased: a hold was released.
	TransitionReleased TransitionCauseType = "Released"

	// TransitionUserStateChanged: the membership followed its user, or its user or group came or went.
	TransitionUserStateChanged TransitionCauseType = "UserStateChanged"

	// TransitionDeleted: the object was deleted.
	TransitionDeleted TransitionCauseType = "Deleted"
)

// TransitionCause is what changed the state.
type TransitionCause struct {
	// type of the cause.
	// +required
	Type TransitionCauseType `json:"type,omitempty"`

	// name of the absence, hold or user that is the cause, where it has one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`
}

// Actor is who did something.
type Actor struct {
	// username as the API server authenticated it, or system:tenure:... for what happened by itself.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Username string `json:"username,omitempty"`

	// groups of the user, as the API server authenticated them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Groups []string `json:"groups,omitempty"`

	// onBehalfOf is the actor's own claim about the person for whom it acted.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	OnBehalfOf string `json:"onBehalfOf,omitempty"`
}

// Named actors of what happens by itself.
const (
	// ActorDeadline: a declared time came.
	ActorDeadline = "system:tenure:deadline"

	// ActorUser: a membership followed its user.
	ActorUser = "system:tenure:user"
)

// PolicySnapshot is the policy that a plan was made from.
type PolicySnapshot struct {
	// name of the LifecyclePolicy.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// generation of the LifecyclePolicy at the decision.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Generation int64 `json:"generation,omitempty"`

	// serviceAccountName as which effects on resources run.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
}

// PlannedEffect is one effect as it stood at the decision.
type PlannedEffect struct {
	// effect is the name of the effect: the policy's, or the operator's own (user-suspended, user-removed).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Effect string `json:"effect,omitempty"`

	// action on each target.
	// +required
	Action EffectAction `json:"action,omitempty"`

	// kind of the targets.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`

	// targets is how many things matched at the decision.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Targets int32 `json:"targets"`

	// successor who receives what is transferred.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Successor string `json:"successor,omitempty"`

	// candidates are the users who may receive what is transferred, in the order in which they are tried: each object goes to
	// the first of them who has access when its turn comes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Candidates []string `json:"candidates,omitempty"`

	// frozen tells the targets apart from what refers to the user later: for each target four bytes of a hash of its UID,
	// sorted, in base64. Absent where the targets could not be listed at the decision: the effect then acts on what
	// refers to the user when it runs.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=700000
	Frozen string `json:"frozen,omitempty"`

	// definition of the effect in the policy at the decision. Absent for the operator's own.
	// +optional
	Definition Effect `json:"definition,omitempty,omitzero"`
}

// TransitionSpec is the change and the plan that was frozen with it. It cannot be changed.
type TransitionSpec struct {
	// subject is whose state changed.
	// +required
	Subject Subject `json:"subject,omitempty,omitzero"`

	// from is the state before; absent for the first decision about a subject, which has no effects.
	// +optional
	From State `json:"from,omitempty"`

	// to is the state after.
	// +required
	To State `json:"to,omitempty"`

	// cause of the change.
	// +required
	Cause TransitionCause `json:"cause,omitempty,omitzero"`

	// reason that was declared.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`

	// actor who changed what is declared, or the system actor of a change that happened by itself.
	// +optional
	Actor Actor `json:"actor,omitempty,omitzero"`

	// time is the declared instant of the change.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() >= 0",message="must be a time, such as 2026-12-01T08:00:00Z"
	Time metav1.Time `json:"time,omitempty,omitzero"`

	// observedTime is when the operator saw it.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() >= 0",message="must be a time, such as 2026-12-01T08:00:00Z"
	ObservedTime metav1.Time `json:"observedTime,omitempty,omitzero"`

	// policy that the plan was made from.
	// +optional
	Policy PolicySnapshot `json:"policy,omitempty,omitzero"`

	// plan lists the effects as they stood at the decision.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	Plan []PlannedEffect `json:"plan,omitempty"`
}

// EffectProgress is the ledger's line about one effect.
type EffectProgress struct {
	// name of the effect.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// matched is how many things the effect found when it ran.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Matched int32 `json:"matched"`

	// done is how many of them are done.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Done int32 `json:"done"`

	// failed is how many of them could not be done yet.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Failed int32 `json:"failed"`

	// message about what failed or was left out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// TransitionStatus is the ledger of the plan. A Transition with an empty plan is complete without one.
type TransitionStatus struct {
	// conditions of the transition: Complete.
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

	// effects of the plan, and how far each is.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	Effects []EffectProgress `json:"effects,omitempty"`

	// progress is the number of targets that are done, of all, such as 12/12.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Progress string `json:"progress,omitempty"`
}

// Transition is one change of state of a User or a Membership: the audit entry, the frozen plan and the ledger of its
// effects. The operator alone creates it, and it outlives its subject.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=tenure
// +kubebuilder:selectablefield:JSONPath=`.spec.subject.kind`
// +kubebuilder:selectablefield:JSONPath=`.spec.subject.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.to`
// +kubebuilder:printcolumn:name="Subject",type=string,JSONPath=`.spec.subject.name`
// +kubebuilder:printcolumn:name="From",type=string,JSONPath=`.spec.from`
// +kubebuilder:printcolumn:name="To",type=string,JSONPath=`.spec.to`
// +kubebuilder:printcolumn:name="Cause",type=string,JSONPath=`.spec.cause.type`
// +kubebuilder:printcolumn:name="By",type=string,JSONPath=`.spec.actor.username`
// +kubebuilder:printcolumn:name="Effects",type=string,JSONPath=`.status.progress`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.spec.reason`,priority=1
// +kubebuilder:printcolumn:name="Time",type=string,JSONPath=`.spec.time`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Transition struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the change and its plan.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a Transition is a record of what happened and cannot be changed"
	Spec TransitionSpec `json:"spec,omitempty,omitzero"`

	// status is the ledger of the plan.
	// +optional
	Status TransitionStatus `json:"status,omitempty,omitzero"`
}

// TransitionList is a list of Transitions.
// +kubebuilder:object:root=true
type TransitionList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items of the list.
	Items []Transition `json:"items"`
}

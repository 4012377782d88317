package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// SelfServiceAct is something that people may do to themselves.
// +kubebuilder:validation:Enum=Leave;Delete;Break;Release
type SelfServiceAct string

const (
	// SelfServiceLeave: leave a group.
	SelfServiceLeave SelfServiceAct = "Leave"

	// SelfServiceDelete: delete the own account.
	SelfServiceDelete SelfServiceAct = "Delete"

	// SelfServiceBreak: take a break and come back.
	SelfServiceBreak SelfServiceAct = "Break"

	// SelfServiceRelease: release a hold that is marked so.
	SelfServiceRelease SelfServiceAct = "Release"
)

// AuditOnDelete says what becomes of the Transitions of a deleted user.
// +kubebuilder:validation:Enum=Keep;Anonymize;Delete
type AuditOnDelete string

const (
	// AuditKeep keeps them.
	AuditKeep AuditOnDelete = "Keep"

	// AuditAnonymize keeps them without the person.
	AuditAnonymize AuditOnDelete = "Anonymize"

	// AuditDelete deletes them.
	AuditDelete AuditOnDelete = "Delete"
)

// Requirement says whether something must be given.
// +kubebuilder:validation:Enum=Required;Optional
type Requirement string

const (
	// Required: refused without it.
	Required Requirement = "Required"

	// Optional: may be left out.
	Optional Requirement = "Optional"
)

// GuardMode says whether a guard refuses.
// +kubebuilder:validation:Enum=Refuse;Allow
type GuardMode string

const (
	// GuardRefuse refuses.
	GuardRefuse GuardMode = "Refuse"

	// GuardAllow lets it happen.
	GuardAllow GuardMode = "Allow"
)

// Guards are the policy's choices about what is refused.
// +kubebuilder:validation:MinProperties=1
type Guards struct {
	// confirmation says whether a change that has consequences needs tenure.dev/confirm with the digest that its
	// preview gave. Required refuses it without.
	// +optional
	// +kubebuilder:default=Optional
	Confirmation Requirement `json:"confirmation,omitempty"`

	// reason says whether leaving the active states needs spec.reason. Required refuses it without.
	// +optional
	// +kubebuilder:default=Optional
	Reason Requirement `json:"reason,omitempty"`

	// higherRole says whether somebody may change a user whose role ranks above their own: Refuse or Allow.
	// +optional
	// +kubebuilder:default=Refuse
	HigherRole GuardMode `json:"higherRole,omitempty"`

	// leader says whether the leader of a group may leave the active states: Refuse, until somebody else leads the
	// group, or Allow.
	// +optional
	// +kubebuilder:default=Refuse
	Leader GuardMode `json:"leader,omitempty"`

	// lastRoleHolder says whether a change may leave a group role, or the organization's admin roles, with fewer
	// active holders than there must be: Refuse or Allow.
	// +optional
	// +kubebuilder:default=Refuse
	LastRoleHolder GuardMode `json:"lastRoleHolder,omitempty"`
}

// SuspensionMemberships says what a suspension does to the user's memberships.
// +kubebuilder:validation:Enum=Deactivate;Pause
type SuspensionMemberships string

const (
	// SuspensionDeactivate latches a hold on each: lifting the suspension brings none of them back.
	SuspensionDeactivate SuspensionMemberships = "Deactivate"

	// SuspensionPause pauses them: they come back with the user.
	SuspensionPause SuspensionMemberships = "Pause"
)

// Suspension says what a suspension of the user does.
// +kubebuilder:validation:MinProperties=1
type Suspension struct {
	// memberships says what becomes of the user's memberships: Deactivate latches a hold on each, Pause lets them come
	// back with the user.
	// +optional
	// +kubebuilder:default=Deactivate
	Memberships SuspensionMemberships `json:"memberships,omitempty"`
}

// OnDelete says what happens when a user is deleted.
// +kubebuilder:validation:MinProperties=1
type OnDelete struct {
	// audit says what becomes of the user's Transitions: Keep, Anonymize (keep them without the person) or Delete.
	// +optional
	// +kubebuilder:default=Keep
	Audit AuditOnDelete `json:"audit,omitempty"`
}

// Message is what a refused person is told.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1024
type Message string

// Messages are what a refused person is told, by state.
// +kubebuilder:validation:MinProperties=1
type Messages struct {
	// pending is told before the start.
	// +optional
	Pending Message `json:"pending,omitempty"`

	// deactivated is told while the user is deactivated.
	// +optional
	Deactivated Message `json:"deactivated,omitempty"`

	// expired is told after the expiration.
	// +optional
	Expired Message `json:"expired,omitempty"`

	// suspended is told while the user is suspended.
	// +optional
	Suspended Message `json:"suspended,omitempty"`

	// removed is told after the removal.
	// +optional
	Removed Message `json:"removed,omitempty"`
}

// EffectAction is what an effect does to each thing that it matches.
// +kubebuilder:validation:Enum=Keep;Delete;Transfer;Unassign;Patch;Anonymize;Deactivate;Remove;Relink;Unlink
type EffectAction string

const (
	// ActionKeep does nothing, and says so.
	ActionKeep EffectAction = "Keep"

	// ActionDelete deletes the object.
	ActionDelete EffectAction = "Delete"

	// ActionTransfer writes the successor into the reference.
	ActionTransfer EffectAction = "Transfer"

	// ActionUnassign takes the reference out.
	ActionUnassign EffectAction = "Unassign"

	// ActionPatch applies a merge patch.
	ActionPatch EffectAction = "Patch"

	// ActionAnonymize overwrites what names the person.
	ActionAnonymize EffectAction = "Anonymize"

	// ActionDeactivate latches a Deactivated hold on the membership.
	ActionDeactivate EffectAction = "Deactivate"

	// ActionRemove latches a Removed hold on the membership.
	ActionRemove EffectAction = "Remove"

	// ActionRelink writes the person in again where an Anonymize effect took them out. Only plans have it.
	ActionRelink EffectAction = "Relink"

	// ActionUnlink takes out what links objects to an account that ends. Only plans have it.
	ActionUnlink EffectAction = "Unlink"
)

// ResourceAction is what an effect on resources does.
// +kubebuilder:validation:Enum=Keep;Delete;Transfer;Unassign;Patch;Anonymize
type ResourceAction string

// MembershipAction is what an effect on memberships does.
// +kubebuilder:validation:Enum=Keep;Deactivate;Remove
type MembershipAction string

// RelationAction is what an effect on relations does.
// +kubebuilder:validation:Enum=Transfer;Unassign
type RelationAction string

// Successor is a way to find who receives what is transferred.
// +kubebuilder:validation:Enum=Successor;TeamLeader;FirstTeamLeader;Manager;Coach;Owner
type Successor string

const (
	// SuccessorDeclared is the user's successorRef.
	SuccessorDeclared Successor = "Successor"

	// SuccessorTeamLeader is the leader of the user's own first team.
	SuccessorTeamLeader Successor = "TeamLeader"

	// SuccessorFirstTeamLeader is the leader of the organization's first team.
	SuccessorFirstTeamLeader Successor = "FirstTeamLeader"

	// SuccessorManager is the user's line manager.
	SuccessorManager Successor = "Manager"

	// SuccessorCoach is the user's coach.
	SuccessorCoach Successor = "Coach"

	// SuccessorOwner is the organization's account owner.
	SuccessorOwner Successor = "Owner"
)

// ReferenceValue is what of the user a field of another object holds.
// +kubebuilder:validation:Enum=Name;UserName;Email;UID
type ReferenceValue string

const (
	// ReferenceName is the User's metadata.name.
	ReferenceName ReferenceValue = "Name"

	// ReferenceUserName is the User's spec.userName.
	ReferenceUserName ReferenceValue = "UserName"

	// ReferenceEmail is the User's spec.email.
	ReferenceEmail ReferenceValue = "Email"

	// ReferenceUID is the User's metadata.uid.
	ReferenceUID ReferenceValue = "UID"
)

// ResourceReference is how an object refers to the user.
type ResourceReference struct {
	// fieldPath of the reference, such as spec.assignee, through lists as in spec.editors[*].name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z_][A-Za-z0-9_-]*(\\\\[\\\\*\\\\])?(\\\\.[A-Za-z_][A-Za-z0-9_-]*(\\\\[\\\\*\\\\])?)*$')",message="must be a path of field names such as spec.assignee or spec.editors[*].name"
	FieldPath string `json:"fieldPath,omitempty"`

	// value says what of the user the field holds: metadata.name, spec.userName, spec.email or metadata.uid.
	// +optional
	// +kubebuilder:default=Name
	Value ReferenceValue `json:"value,omitempty"`

	// effect names an earlier effect: the field then holds the name of an object which that effect matched.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Effect string `json:"effect,omitempty"`
}

// AnonymizeOnReturn says what happens to an anonymised field when the same account returns.
// +kubebuilder:validation:Enum=Keep;Relink
type AnonymizeOnReturn string

const (
	// OnReturnKeep leaves it anonymous.
	OnReturnKeep AnonymizeOnReturn = "Keep"

	// OnReturnRelink writes the person in again.
	OnReturnRelink AnonymizeOnReturn = "Relink"
)

// AnonymizeField is a field that names the person.
type AnonymizeField struct {
	// path of the field, through lists as in spec.comments[*].author.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z_][A-Za-z0-9_-]*(\\\\[\\\\*\\\\])?(\\\\.[A-Za-z_][A-Za-z0-9_-]*(\\\\[\\\\*\\\\])?)*$')",message="must be a path of field names such as spec.author or spec.comments[*].author"
	Path string `json:"path,omitempty"`

	// value that is written instead. Left out: the field is taken out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Value string `json:"value,omitempty"`

	// onReturn says what happens when the same account returns: Keep leaves the field anonymous, Relink writes the
	// person in again.
	// +optional
	// +kubebuilder:default=Keep
	OnReturn AnonymizeOnReturn `json:"onReturn,omitempty"`
}

// ResourcesEffect acts on objects of any kind that refer to the user.
// +kubebuilder:validation:XValidation:rule="self.action != 'Transfer' || !has(self.reference.effect)",message="action Transfer writes a person into the reference, and this one holds the name of an object: use another action",fieldPath=".action"
// +kubebuilder:validation:XValidation:rule="(self.action == 'Patch') == has(self.patch)",message="action Patch needs patch, and no other action takes one",fieldPath=".patch"
// +kubebuilder:validation:XValidation:rule="(self.action == 'Anonymize') == has(self.fields)",message="action Anonymize needs fields, and no other action takes them",fieldPath=".fields"
// +kubebuilder:validation:XValidation:rule="(self.action == 'Transfer') == has(self.successors)",message="action Transfer needs successors, and no other action takes them",fieldPath=".successors"
type ResourcesEffect struct {
	// apiVersion of the objects, such as crm.example.com/v1.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	APIVersion string `json:"apiVersion,omitempty"`

	// kind of the objects.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`

	// reference is how an object refers to the user.
	// +required
	Reference ResourceReference `json:"reference,omitempty,omitzero"`

	// match is a CEL expression over object and user that narrows the objects.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Match string `json:"match,omitempty"`

	// action on each object: Keep, Delete, Transfer to a successor, Unassign (take the reference out), Patch or
	// Anonymize.
	// +required
	Action ResourceAction `json:"action,omitempty"`

	// successors are tried in this order; the first that leads to another user with access receives the object.
	// Successor is the user's successorRef, TeamLeader leads the user's own first team, FirstTeamLeader the
	// organization's first team; Manager and Coach are the user's, Owner the organization's.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Successors []Successor `json:"successors,omitempty"`

	// patch is the JSON merge patch of action Patch.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	Patch *runtime.RawExtension `json:"patch,omitempty"`

	// fields that action Anonymize overwrites. In lists only the elements whose reference matches are touched.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Fields []AnonymizeField `json:"fields,omitempty"`
}

// MembershipsEffect acts on the user's memberships.
type MembershipsEffect struct {
	// groupTypes narrows to groups of these types; all when left out.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	GroupTypes []string `json:"groupTypes,omitempty"`

	// roles narrows to memberships with one of these roles; all when left out.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Roles []string `json:"roles,omitempty"`

	// action on each membership: Keep, or latch a hold that makes it Deactivated (Deactivate) or Removed (Remove).
	// +required
	Action MembershipAction `json:"action,omitempty"`
}

// RelationsEffect acts on the relations in which the user stands to other users and to groups.
// +kubebuilder:validation:XValidation:rule="(self.action == 'Transfer') == has(self.successors)",message="action Transfer needs successors, and no other action takes them",fieldPath=".successors"
type RelationsEffect struct {
	// kinds of relation: the groups that the user leads, the users whose Manager or Coach the user is.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Kinds []Relation `json:"kinds,omitempty"`

	// action on each relation: Transfer lets a successor stand in, Unassign leaves it open.
	// +required
	Action RelationAction `json:"action,omitempty"`

	// successors are tried in this order; the first that leads to another user with access stands in. Their meaning is
	// that of resources.successors.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Successors []Successor `json:"successors,omitempty"`
}

// Effect is one rule of a cascade: what happens to one class of things when a user enters a state.
// +kubebuilder:validation:XValidation:rule="!has(self.on) || !has(self.__true__)",message="give on once, with or without quotes",fieldPath=".on"
// +kubebuilder:validation:XValidation:rule="[has(self.resources), has(self.memberships), has(self.relations)].exists_one(x, x)",message="give exactly one of resources, memberships and relations"
type Effect struct {
	// name of the effect, unique in the policy, without commas, colons and white space: holds and annotations list it. The
	// operator's own effects are user-suspended and user-removed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^,:\\\\s]+$')",message="the name of an effect must not contain commas, colons or white space"
	// +kubebuilder:validation:XValidation:rule="!(self in ['user-suspended', 'user-removed'])",message="effects of this name are the operator's own: choose another one"
	Name string `json:"name,omitempty"`

	// on lists the states of the user that start the effect when they are entered; Deactivated when left out.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="!('Paused' in self)",message="a user is never Paused: only memberships are"
	On []State `json:"on,omitempty"`

	// true is what YAML makes of the name on where it stands without quotes. It means the same.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="!('Paused' in self)",message="a user is never Paused: only memberships are"
	OnUnquoted []State `json:"true,omitempty"` //nolint:kubeapilinter // jsontags: the name is YAML's doing

	// userTypes narrows to users of these types; all when left out.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	UserTypes []string `json:"userTypes,omitempty"`

	// resources acts on objects of any kind that refer to the user.
	// +optional
	Resources ResourcesEffect `json:"resources,omitempty,omitzero"`

	// memberships acts on the user's memberships.
	// +optional
	Memberships MembershipsEffect `json:"memberships,omitempty,omitzero"`

	// relations acts on the relations in which the user stands to other users and to groups.
	// +optional
	Relations RelationsEffect `json:"relations,omitempty,omitzero"`
}

// States are those of the user that start the effect when they are entered.
func (e *Effect) States() []State {
	switch {
	case len(e.On) > 0:
		return e.On
	case len(e.OnUnquoted) > 0:
		return e.OnUnquoted
	default:
		return []State{StateDeactivated}
	}
}

// LifecyclePolicySpec is what an organization decided about the lifecycle of a kind of people.
// +kubebuilder:validation:XValidation:rule="has(self.serviceAccountName) || !has(self.effects) || !self.effects.exists(e, has(e.resources))",message="effects on resources run as a service account of the namespace: name one in serviceAccountName",fieldPath=".serviceAccountName"
// +kubebuilder:validation:XValidation:rule="!has(self.effects) || self.effects.all(i, e, !has(e.resources) || !has(e.resources.reference.effect) || self.effects.exists(j, o, j < i && o.name == e.resources.reference.effect && has(o.resources)))",message="reference.effect must name an effect on resources that comes earlier in the list",fieldPath=".effects"
type LifecyclePolicySpec struct {
	// serviceAccountName is the service account of the namespace as which effects on resources run. Required when
	// there are any.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// allowedStatuses are the values of a user's desiredStatus that a person may declare; all when left out.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	AllowedStatuses []UserDesiredStatus `json:"allowedStatuses,omitempty"`

	// selfService lists what people may do to themselves: Leave a group, Delete their account, take a Break, Release a
	// hold that is marked Self.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	SelfService []SelfServiceAct `json:"selfService,omitempty"`

	// onDelete says what happens when a user is deleted.
	// +optional
	OnDelete OnDelete `json:"onDelete,omitempty,omitzero"`

	// guards are the choices about what is refused.
	// +optional
	Guards Guards `json:"guards,omitempty,omitzero"`

	// suspension says what a suspension does.
	// +optional
	Suspension Suspension `json:"suspension,omitempty,omitzero"`

	// messages are what a refused person is told.
	// +optional
	Messages Messages `json:"messages,omitempty,omitzero"`

	// effects of entering a state, in order.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Effects []Effect `json:"effects,omitempty"`
}

// LifecyclePolicyStatus is what the operator observed of a policy.
type LifecyclePolicyStatus struct {
	// conditions of the policy: Ready.
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
}

// LifecyclePolicy is what happens when users change state: guards, messages and the cascade of effects.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=lifecyclepolicies,categories=tenure,shortName=lcp
// +kubebuilder:printcolumn:name="Suspension",type=string,JSONPath=`.spec.suspension.memberships`
// +kubebuilder:printcolumn:name="Account",type=string,JSONPath=`.spec.serviceAccountName`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="metadata.name must have at most 63 characters: choose a shorter one"
type LifecyclePolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is what the organization decided.
	// +optional
	// +kubebuilder:default={}
	Spec LifecyclePolicySpec `json:"spec,omitempty,omitzero"` //nolint:kubeapilinter // optionalfields: a spec that is left out is an empty one

	// status is what the operator observed.
	// +optional
	Status LifecyclePolicyStatus `json:"status,omitempty,omitzero"`
}

// LifecyclePolicyList is a list of LifecyclePolicies.
// +kubebuilder:object:root=true
type LifecyclePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items of the list.
	Items []LifecyclePolicy `json:"items"`
}

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reference names an object of the same namespace.
type Reference struct {
	// name of the object, in the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`
}

// State is the effective status of a User or a Membership: what the operator computed from everything that is declared.
// +kubebuilder:validation:Enum=Pending;Activated;Active;OnBreak;Paused;Deactivated;Expired;Suspended;Removed
type State string

// States of users and memberships. Paused is only a membership's; Activated, OnBreak and Suspended are only a user's.
const (
	// StatePending: not begun, or waiting for something that is missing. No access.
	StatePending State = "Pending"

	// StateActivated: has access and has never used it.
	StateActivated State = "Activated"

	// StateActive: has access.
	StateActive State = "Active"

	// StateOnBreak: has access, is not disturbed.
	StateOnBreak State = "OnBreak"

	// StatePaused: the membership stands, and its user has no access now.
	StatePaused State = "Paused"

	// StateDeactivated: no access, may come back.
	StateDeactivated State = "Deactivated"

	// StateExpired: the expiration time has been reached. No access until it is moved.
	StateExpired State = "Expired"

	// StateSuspended: no access; an administrator alone can lift it.
	StateSuspended State = "Suspended"

	// StateRemoved: no longer a part of the organization or group.
	StateRemoved State = "Removed"
)

// Access says whether access is in force.
// +kubebuilder:validation:Enum=Granted;Denied
type Access string

const (
	// AccessGranted: access is in force.
	AccessGranted Access = "Granted"

	// AccessDenied: there is no access.
	AccessDenied Access = "Denied"
)

// CauseType is the kind of a reason why a state holds.
// +kubebuilder:validation:Enum=Declared;Deleted;Hold;Expired;Absence;NotStarted;Duplicate;UserSuspended;UserDeactivated;UserExpired;UserPending;UserNotFound;GroupNotFound
type CauseType string

const (
	// CauseDeclared: spec.desiredStatus says so.
	CauseDeclared CauseType = "Declared"

	// CauseDeleted: the object is being deleted.
	CauseDeleted CauseType = "Deleted"

	// CauseHold: an entry of spec.holds says so; the cause's name is the hold's.
	CauseHold CauseType = "Hold"

	// CauseExpired: spec.expirationTime has been reached.
	CauseExpired CauseType = "Expired"

	// CauseAbsence: an entry of spec.absences is in force; the cause's name is the absence's.
	CauseAbsence CauseType = "Absence"

	// CauseNotStarted: spec.startTime has not come yet.
	CauseNotStarted CauseType = "NotStarted"

	// CauseDuplicate: an older object has the same identity; the cause's name is that object's.
	CauseDuplicate CauseType = "Duplicate"

	// CauseUserSuspended: the membership's user is Suspended.
	CauseUserSuspended CauseType = "UserSuspended"

	// CauseUserDeactivated: the membership's user is Deactivated.
	CauseUserDeactivated CauseType = "UserDeactivated"

	// CauseUserExpired: the membership's user is Expired.
	CauseUserExpired CauseType = "UserExpired"

	// CauseUserPending: the membership's user is Pending.
	CauseUserPending CauseType = "UserPending"

	// CauseUserNotFound: the membership's user does not exist.
	CauseUserNotFound CauseType = "UserNotFound"

	// CauseGroupNotFound: the membership's group does not exist.
	CauseGroupNotFound CauseType = "GroupNotFound"
)

// Cause is one reason why a state holds.
type Cause struct {
	// type of the cause.
	// +required
	Type CauseType `json:"type,omitempty"`

	// name of the absence, hold or other object that is the cause, where it has one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// state that this cause alone would give.
	// +required
	State State `json:"state,omitempty"`

	// reason that was declared with the cause.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`

	// time from which the cause applies, where one is known.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() >= 0",message="must be a time, such as 2026-12-01T08:00:00Z"
	Time metav1.Time `json:"time,omitempty,omitzero"`
}

// LastTransition is a summary of an object's newest Transition.
type LastTransition struct {
	// name of the Transition.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// from is the state before; absent for the first decision about an object.
	// +optional
	From State `json:"from,omitempty"`

	// to is the state after.
	// +required
	To State `json:"to,omitempty"`

	// time at which the state changed.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-][01]\d:[0-5]\d)$`
	// +kubebuilder:validation:XValidation:rule="self.getMilliseconds() >= 0",message="must be a time, such as 2026-12-01T08:00:00Z"
	Time metav1.Time `json:"time,omitempty,omitzero"`

	// complete is true when no effect of this or of an earlier Transition of the object remains to be done.
	// +required
	Complete bool `json:"complete"` //nolint:kubeapilinter // nobools: an observed fact with two values, named in the published contract
}

// HoldRelease says who may release a hold.
// +kubebuilder:validation:Enum=Admin;Self
type HoldRelease string

const (
	// ReleaseAdmin: only somebody with the verb release.
	ReleaseAdmin HoldRelease = "Admin"

	// ReleaseSelf: also the user.
	ReleaseSelf HoldRelease = "Self"
)

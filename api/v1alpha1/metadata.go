package v1alpha1

// Annotations that people and applications set.
const (
	// AnnotationRelease names the holds to release, separated by commas. It is consumed: the annotation disappears
	// together with the holds. Until then they count as released already; more names come beside those that are there, and
	// none is taken out but that of a hold which is put in place meanwhile.
	AnnotationRelease = "tenure.dev/release"

	// AnnotationLastActivity is the time, in RFC 3339 with whole seconds, at which an application last saw the user.
	AnnotationLastActivity = "tenure.dev/last-activity"

	// AnnotationReason gives the reason for a deletion.
	AnnotationReason = "tenure.dev/reason"

	// AnnotationPreview asks, on a dry run and with the value PreviewFull, for the full plan in AnnotationPlan.
	AnnotationPreview = "tenure.dev/preview"

	// AnnotationConfirm holds the digest that a preview gave, where a policy wants changes to be confirmed.
	AnnotationConfirm = "tenure.dev/confirm"

	// AnnotationOnBehalfOf is an automated writer's claim about the person for whom it acts. It is recorded as a
	// claim, never as the actor.
	AnnotationOnBehalfOf = "tenure.dev/on-behalf-of"

	// AnnotationGrantsFrom, on a namespace, names the organizations (separated by commas) whose groups may grant roles
	// in it. Without it no RoleBinding is made there.
	AnnotationGrantsFrom = "tenure.dev/grants-from"
)

// Annotations that the operator or admission owns.
const (
	// AnnotationIdentity is the identity of a User or Membership that survives a backup: the UID of the object that
	// first carried it. An object that is created with one continues that object's history.
	AnnotationIdentity = "tenure.dev/identity"

	// AnnotationActor names who last changed what is declared about the lifecycle, as JSON of an Actor.
	AnnotationActor = "tenure.dev/actor"

	// AnnotationDeletedBy names who deletes an object, as JSON of an Actor. A deletion changes nothing on which admission
	// could write it, so the operator does, before it lets the deletion pass.
	AnnotationDeletedBy = "tenure.dev/deleted-by"

	// AnnotationPlan holds, in the answer to a dry run that asked for it, the full plan of a change as JSON. It is never stored.
	AnnotationPlan = "tenure.dev/plan"

	// AnnotationFirstActivity is the time of the first activity ever reported. It is kept beside status because Active
	// must survive the loss of status.
	AnnotationFirstActivity = "tenure.dev/first-activity"

	// AnnotationHeldOpen is the newest deadline that a guard holds back: automatic causes up to this instant do not
	// cut access. It is an input to the computation of the user's and of its memberships' states.
	AnnotationHeldOpen = "tenure.dev/held-open"

	// AnnotationComplete, on a Transition, is when all its effects were done. It is kept beside status because no effect may
	// run again when status is lost: a hold that was released since must not come back.
	AnnotationComplete = "tenure.dev/complete"

	// AnnotationTransition names, on an object that an effect changed, the Transition that did it: by its name, or, of a
	// removal, by its UID, because the name has the person's in it.
	AnnotationTransition = "tenure.dev/transition"

	// AnnotationEffects lists, on an object that an effect changed, the effects of that Transition which are done with it,
	// behind the Transition's UID: "<uid>:opportunities,notes". It is written in the same patch, so that no effect changes
	// an object twice.
	AnnotationEffects = "tenure.dev/effects"

	// AnnotationUserUID holds, on an object from which a removed user was taken out, the identity of the user (of
	// several, separated by commas), so that the object can be linked again if the same account returns.
	AnnotationUserUID = "tenure.dev/user-uid"

	// AnnotationAnonymized says, on such an object, which fields each user was taken out of, as JSON.
	AnnotationAnonymized = "tenure.dev/anonymized"
)

// PreviewFull is the value of AnnotationPreview that asks for the full plan.
const PreviewFull = "full"

// Labels on what the operator creates.
const (
	// LabelUser names the User that a Transition or a RoleBinding belongs to.
	LabelUser = "tenure.dev/user"

	// LabelMembership names the Membership that a Transition or a RoleBinding belongs to.
	LabelMembership = "tenure.dev/membership"

	// LabelGroup names the Group whose grant a RoleBinding is.
	LabelGroup = "tenure.dev/group"

	// LabelOrganization names the organization (a namespace) that a RoleBinding comes from.
	LabelOrganization = "tenure.dev/organization"

	// LabelManagedBy is the well-known label that marks what the operator manages; its value is ManagedBy.
	LabelManagedBy = "app.kubernetes.io/managed-by"

	// ManagedBy is the value of LabelManagedBy.
	ManagedBy = "tenure"
)

// Finalizer is on every User and Membership: access is closed and the Transition written before the object goes.
const Finalizer = "tenure.dev/lifecycle"

// Names by which tenure.dev/release ends a stand-in: on a Group the leader's, on a User the manager's or the coach's.
const (
	ReleaseActingLeader  = "acting-leader"
	ReleaseActingManager = "acting-manager"
	ReleaseActingCoach   = "acting-coach"
)

// Names of the holds that the operator sets on memberships. They are reserved.
const (
	// HoldUserSuspended is latched on each membership of a user who enters Suspended.
	HoldUserSuspended = "user-suspended"

	// HoldUserRemoved is latched on each membership of a user who enters Removed or is deleted.
	HoldUserRemoved = "user-removed"

	// HoldOfEffect begins the name of the hold that an effect of a policy latches; the effect's name follows, or a hash
	// of it where it is too long.
	HoldOfEffect = "effect-"
)

package v1alpha1

// Condition types. Each kind's documentation says which of them it carries.
const (
	// ConditionReady says that this generation was processed and that what should hold, holds. A properly suspended
	// user is Ready.
	ConditionReady = "Ready"

	// ConditionActive says whether access is in force now. Its reason is the strongest cause.
	ConditionActive = "Active"

	// ConditionBlocked is True while a guard keeps an automatic transition from happening.
	ConditionBlocked = "Blocked"

	// ConditionStalled is True while something waits for a person: it will not come right by itself, however often it is
	// tried. It is absent otherwise, also while a time has yet to come or effects are being worked off. Tools that read the
	// health of any object, as Flux and Argo CD do, take it for a failure.
	ConditionStalled = "Stalled"

	// ConditionResolvedRefs says whether the user and the group of a Membership exist.
	ConditionResolvedRefs = "ResolvedRefs"

	// ConditionStaffed says whether each role of a Group has as many active holders as it needs.
	ConditionStaffed = "Staffed"

	// ConditionSeatsAvailable says whether an Organization uses no more seats than it has.
	ConditionSeatsAvailable = "SeatsAvailable"

	// ConditionComplete says whether every effect of a Transition is done.
	ConditionComplete = "Complete"
)

// Reasons of Ready.
const (
	// ReasonReconciled: everything is as declared.
	ReasonReconciled = "Reconciled"

	// ReasonUnknownRole: spec.role is not one of the organization's roles; the user counts as having the lowest.
	ReasonUnknownRole = "UnknownRole"

	// ReasonOrganizationNotFound: the namespace has no Organization of its own name; nothing is granted.
	ReasonOrganizationNotFound = "OrganizationNotFound"

	// ReasonNoActiveAdmin: the organization has no user with an admin role and access; no new access is granted.
	ReasonNoActiveAdmin = "NoActiveAdmin"

	// ReasonOwnerNotFound: the organization names no account owner, or one who does not exist.
	ReasonOwnerNotFound = "OwnerNotFound"

	// ReasonOwnerNotActive: the account owner has no access.
	ReasonOwnerNotActive = "OwnerNotActive"

	// ReasonUnknownAdminRole: spec.adminRoles names a role that spec.roles does not.
	ReasonUnknownAdminRole = "UnknownAdminRole"

	// ReasonPolicyNotFound: the LifecyclePolicy that the object or its organization names does not exist; defaults
	// apply meanwhile.
	ReasonPolicyNotFound = "PolicyNotFound"

	// ReasonDuplicate: an older object of the organization has the same userName, e-mail, or user and group.
	ReasonDuplicate = "Duplicate"

	// ReasonUnknownReference: a reference that is not decisive (manager, coach, successor, leader) leads nowhere.
	ReasonUnknownReference = "UnknownReference"

	// ReasonUnknownGroupRole: the membership names a role that its group does not have; the others are granted.
	ReasonUnknownGroupRole = "UnknownGroupRole"

	// ReasonGrantRefused: a RoleBinding could not be made: the namespace is missing or has not opted in, or the
	// operator may not bind the role.
	ReasonGrantRefused = "GrantRefused"

	// ReasonWaitingForUser: the grant waits until the user's own change has been worked off.
	ReasonWaitingForUser = "WaitingForUser"

	// ReasonTransitionRunning: the effects of the last transition are not done yet.
	ReasonTransitionRunning = "TransitionRunning"

	// ReasonDeletionWaiting: the object is being deleted and waits for what the message names.
	ReasonDeletionWaiting = "DeletionWaiting"

	// ReasonHeldOpen: a guard holds back a deadline; the Blocked condition says which.
	ReasonHeldOpen = "HeldOpen"

	// ReasonInvalidMatch: the match expression of an effect cannot be compiled; the effect fails until it is mended.
	ReasonInvalidMatch = "InvalidMatch"

	// ReasonInvalidKind: an effect names a kind that is not of a namespace, or an apiVersion that is none.
	ReasonInvalidKind = "InvalidKind"

	// ReasonKindNotFound: the cluster does not have a kind that an effect names; it is looked for again.
	ReasonKindNotFound = "KindNotFound"

	// ReasonForbidden: the policy's service account may not do what the effects need, or the operator may not act as it.
	ReasonForbidden = "Forbidden"

	// ReasonWatchFailed: the objects of a kind cannot be listed; it is tried again.
	ReasonWatchFailed = "WatchFailed"

	// ReasonSynchronizing: the objects of a kind are being listed for the first time.
	ReasonSynchronizing = "Synchronizing"

	// ReasonLeader: the cascade waits until somebody else leads the groups that the user leads.
	ReasonLeader = "Leader"

	// ReasonLastRoleHolder: the cascade waits until the roles that the user held are held by enough others.
	ReasonLastRoleHolder = "LastRoleHolder"

	// ReasonClockSkewed: what would destroy something waits until the operator's clock agrees with the API server's.
	ReasonClockSkewed = "ClockSkewed"

	// ReasonNoSuccessor: nobody who may receive what a cascade hands over has access. It is a reason of Stalled alone.
	ReasonNoSuccessor = "NoSuccessor"

	// ReasonInvalidAnnotation: an annotation of Tenure's cannot be read; the message says which and why.
	ReasonInvalidAnnotation = "InvalidAnnotation"
)

// Reasons of Blocked.
const (
	// ReasonLastAdmin: the user is the last one with an admin role and access.
	ReasonLastAdmin = "LastAdmin"

	// ReasonAccountOwner: the user is the organization's account owner.
	ReasonAccountOwner = "AccountOwner"

	// ReasonNotBlocked: no guard stands in the way.
	ReasonNotBlocked = "NotBlocked"
)

// Reasons of ResolvedRefs.
const (
	// ReasonResolved: both references lead to an object.
	ReasonResolved = "Resolved"

	// ReasonUserNotFound: the user does not exist.
	ReasonUserNotFound = "UserNotFound"

	// ReasonGroupNotFound: the group does not exist.
	ReasonGroupNotFound = "GroupNotFound"
)

// Reasons of Staffed.
const (
	// ReasonStaffed: every role has enough active holders.
	ReasonStaffed = "Staffed"

	// ReasonUnderstaffed: a role has fewer active holders than its minimumActive.
	ReasonUnderstaffed = "Understaffed"
)

// Reasons of SeatsAvailable.
const (
	// ReasonUnlimited: the organization declares no number of seats.
	ReasonUnlimited = "Unlimited"

	// ReasonWithinSeats: no more seats are used than there are.
	ReasonWithinSeats = "WithinSeats"

	// ReasonSeatsExceeded: more seats are used than there are.
	ReasonSeatsExceeded = "SeatsExceeded"
)

// Reasons of Complete.
const (
	// ReasonDone: every effect is done.
	ReasonDone = "Done"

	// ReasonRunning: effects are under way.
	ReasonRunning = "Running"

	// ReasonRetrying: an effect failed and is tried again; the message names it.
	ReasonRetrying = "Retrying"

	// ReasonSuperseded: the subject changed again before every effect was done; the rest was not done.
	ReasonSuperseded = "Superseded"
)

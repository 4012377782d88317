package organization

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/summary"
)

// eventSeatsAvailable is the reason of the Event that tells that there are enough seats again.
const eventSeatsAvailable = "SeatsAvailable"

func (p *pass) summarize() {
	status := &p.org.Status
	status.ObservedGeneration = p.org.Generation
	status.Users = v1alpha1.UserCounts{
		Total:       p.counts[total],
		Pending:     p.counts[inState(v1alpha1.StatePending)],
		Activated:   p.counts[inState(v1alpha1.StateActivated)],
		Active:      p.counts[inState(v1alpha1.StateActive)],
		OnBreak:     p.counts[inState(v1alpha1.StateOnBreak)],
		Deactivated: p.counts[inState(v1alpha1.StateDeactivated)],
		Expired:     p.counts[inState(v1alpha1.StateExpired)],
		Suspended:   p.counts[inState(v1alpha1.StateSuspended)],
		Removed:     p.counts[inState(v1alpha1.StateRemoved)],
	}
	status.SeatsUsed = p.counts[withAccess]
	if p.org.Spec.SeatCounting == v1alpha1.SeatUsersWithActiveMembership {
		status.SeatsUsed = p.counts[withMemberships]
	}
	status.Admins.Active = 0
	for _, role := range p.org.Spec.AdminRoles {
		status.Admins.Active += p.counts[withRole(role)]
	}
	summary.Set(&status.Conditions, p.org.Generation, p.now, p.ready(), p.seatsAvailable())
}

// ready says what an organization needs and does not have yet. None of it is an error: an organization begins so.
func (p *pass) ready() metav1.Condition {
	spec := &p.org.Spec
	notReady := func(reason, message string) metav1.Condition {
		return summary.Condition(v1alpha1.ConditionReady, false, reason, message)
	}
	switch unknown := slices.DeleteFunc(slices.Clone(spec.AdminRoles), func(r string) bool { return slices.Contains(spec.Roles, r) }); {
	case len(unknown) > 0:
		return notReady(v1alpha1.ReasonUnknownAdminRole, "adminRoles names "+strings.Join(unknown, ", ")+", which roles does not")
	case p.org.Status.Admins.Active == 0:
		return notReady(v1alpha1.ReasonNoActiveAdmin, "No user with access has one of the roles "+strings.Join(spec.AdminRoles, ", ")+
			": create one. Until then no new access is granted")
	case spec.OwnerRef.Name == "":
		return notReady(v1alpha1.ReasonOwnerNotFound, "ownerRef names no account owner: what has no other successor would have no receiver")
	case p.owner == nil:
		return notReady(v1alpha1.ReasonOwnerNotFound, "ownerRef names User "+spec.OwnerRef.Name+", which does not exist")
	case p.owner.Status.Access != v1alpha1.AccessGranted:
		return notReady(v1alpha1.ReasonOwnerNotActive, "The account owner, User "+p.owner.Name+", has no access")
	case spec.DefaultPolicyRef.Name != "" && p.policy == nil:
		return notReady(v1alpha1.ReasonPolicyNotFound, "defaultPolicyRef names LifecyclePolicy "+spec.DefaultPolicyRef.Name+
			", which does not exist; the defaults apply until it does")
	default:
		return summary.Condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReconciled, "The organization has an owner and an administrator")
	}
}

func (p *pass) seatsAvailable() metav1.Condition {
	used := p.org.Status.SeatsUsed
	if p.org.Spec.Seats == nil {
		return summary.Condition(v1alpha1.ConditionSeatsAvailable, true, v1alpha1.ReasonUnlimited, "The number of seats is not limited")
	}
	message := fmt.Sprintf("%d of %d seats are used", used, *p.org.Spec.Seats)
	if used > *p.org.Spec.Seats {
		return summary.Condition(v1alpha1.ConditionSeatsAvailable, false, v1alpha1.ReasonSeatsExceeded, message+
			": deactivate users who do not need one, or raise seats")
	}
	was := meta.FindStatusCondition(p.org.Status.Conditions, v1alpha1.ConditionSeatsAvailable)
	if undecided := p.counts[inState("")]; was != nil && was.Reason == v1alpha1.ReasonSeatsExceeded && used+undecided > *p.org.Spec.Seats {
		return *was // Who is new, or whose status is lost, may use one: that there are enough again is said when it is known.
	}
	return summary.Condition(v1alpha1.ConditionSeatsAvailable, true, v1alpha1.ReasonWithinSeats, message)
}

// onlyCountsDiffer tells whether the write can wait a moment: nothing but numbers has changed, and there is no first
// administrator for whom grants wait.
func (p *pass) onlyCountsDiffer(before *v1alpha1.Organization) bool {
	was, is := before.Status, p.org.Status
	if was.ObservedGeneration != is.ObservedGeneration || (was.Admins.Active == 0) != (is.Admins.Active == 0) || len(was.Conditions) != len(is.Conditions) {
		return false
	}
	for i := range is.Conditions {
		if was.Conditions[i].Status != is.Conditions[i].Status {
			return false
		}
	}
	return !equality.Semantic.DeepEqual(was, is)
}

// tell emits Events about what this pass has changed. What a first status says, or one that was lost, is no change.
func (p *pass) tell(before *v1alpha1.Organization) {
	was, is := before.Status.Conditions, p.org.Status.Conditions
	if len(was) == 0 {
		return
	}
	seats := meta.FindStatusCondition(is, v1alpha1.ConditionSeatsAvailable)
	exceeded := seats.Reason == v1alpha1.ReasonSeatsExceeded
	if exceeded != summary.HasReason(was, v1alpha1.ConditionSeatsAvailable, v1alpha1.ReasonSeatsExceeded) {
		if exceeded {
			summary.Warning(p.Recorder, p.org, v1alpha1.ReasonSeatsExceeded, seats.Message)
		} else {
			summary.Normal(p.Recorder, p.org, eventSeatsAvailable, seats.Message)
		}
	}
}

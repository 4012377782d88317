package lifecycle_test

import (
	"flag"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

// horizon is the last second at which anything in a random world is declared to happen. It is small, so that instants
// coincide.
const horizon = 12

// Random worlds are cheap: look at many, unless the command line says how many.
func init() {
	if err := flag.Set("rapid.checks", "2000"); err != nil {
		panic(err)
	}
}

var (
	seconds = rapid.IntRange(0, horizon)

	// maybeTimes are no time as often as one.
	maybeTimes = rapid.Custom(func(t *rapid.T) metav1.Time {
		if !rapid.Bool().Draw(t, "set") {
			return metav1.Time{}
		}
		return metaAt(seconds.Draw(t, "second"))
	})

	rarely = rapid.Map(rapid.IntRange(0, 7), func(n int) bool { return n == 7 })
)

func rareTimes(t *rapid.T, label string) time.Time {
	if !rarely.Draw(t, label) {
		return time.Time{}
	}
	return at(seconds.Draw(t, label+" second"))
}

// users are all that the core could be given, also what the schema would refuse.
var users = rapid.Custom(func(t *rapid.T) lifecycle.User {
	user := lifecycle.User{
		Spec: &v1alpha1.UserSpec{
			DesiredStatus: rapid.SampledFrom([]v1alpha1.UserDesiredStatus{
				"", v1alpha1.UserDesiredActive, v1alpha1.UserDesiredActive, v1alpha1.UserDesiredActive, v1alpha1.UserDesiredOnBreak,
				v1alpha1.UserDesiredDeactivated, v1alpha1.UserDesiredSuspended, v1alpha1.UserDesiredRemoved,
			}).Draw(t, "desired"),
			StartTime:      maybeTimes.Draw(t, "start"),
			ExpirationTime: maybeTimes.Draw(t, "expiration"),
			Absences:       absences.Draw(t, "absences"),
		},
		Deleted:       rareTimes(t, "deleted"),
		FirstActivity: maybeTimes.Draw(t, "first activity").Time,
		HeldOpen:      rareTimes(t, "held open"),
		ExpiredAt:     rareTimes(t, "expired at"),
	}
	if rarely.Draw(t, "duplicate") {
		user.DuplicateOf, user.DuplicateField = "an-older-one", "e-mail"
	}
	if rarely.Draw(t, "holds") {
		statuses := []v1alpha1.UserHoldStatus{v1alpha1.UserHoldOnBreak, v1alpha1.UserHoldDeactivated, v1alpha1.UserHoldSuspended}
		for i, status := range rapid.SliceOfN(rapid.SampledFrom(statuses), 1, 2).Draw(t, "hold statuses") {
			user.Spec.Holds = append(user.Spec.Holds, v1alpha1.UserHold{
				Name: fmt.Sprintf("hold-%d", i), Status: status, StartTime: maybeTimes.Draw(t, "hold start"),
			})
		}
	}
	return user
})

var absences = rapid.Custom(func(t *rapid.T) []v1alpha1.Absence {
	var absences []v1alpha1.Absence
	for i := range rapid.IntRange(0, 3).Draw(t, "count") {
		start := rapid.IntRange(0, horizon-1).Draw(t, "start")
		absence := v1alpha1.Absence{
			Name: fmt.Sprintf("absence-%d", i), StartTime: metaAt(start),
			Status: rapid.SampledFrom([]v1alpha1.AbsenceStatus{"", v1alpha1.AbsenceDeactivated, v1alpha1.AbsenceOnBreak}).Draw(t, "status"),
		}
		if rapid.IntRange(0, 3).Draw(t, "ends") > 0 {
			absence.EndTime = metaAt(rapid.IntRange(start+1, horizon).Draw(t, "end"))
		}
		absences = append(absences, absence)
	}
	return absences
})

var memberships = rapid.Custom(func(t *rapid.T) lifecycle.Membership {
	membership := lifecycle.Membership{
		Spec: &v1alpha1.MembershipSpec{
			UserRef: v1alpha1.Reference{Name: "alice"}, GroupRef: v1alpha1.Reference{Name: "mentoring"},
			DesiredStatus: rapid.SampledFrom([]v1alpha1.MembershipDesiredStatus{
				"", v1alpha1.MembershipDesiredActive, v1alpha1.MembershipDesiredActive, v1alpha1.MembershipDesiredActive,
				v1alpha1.MembershipDesiredDeactivated, v1alpha1.MembershipDesiredRemoved,
			}).Draw(t, "desired"),
			StartTime:      maybeTimes.Draw(t, "start"),
			ExpirationTime: maybeTimes.Draw(t, "expiration"),
		},
		Deleted:    rareTimes(t, "deleted"),
		ExpiredAt:  rareTimes(t, "expired at"),
		GroupFound: !rarely.Draw(t, "group missing"),
		Suspension: rapid.SampledFrom([]v1alpha1.SuspensionMemberships{
			"", v1alpha1.SuspensionDeactivate, v1alpha1.SuspensionPause,
		}).Draw(t, "suspension"),
	}
	if !rarely.Draw(t, "user missing") {
		user := users.Draw(t, "user")
		membership.User = &user
	}
	if rarely.Draw(t, "duplicate") {
		membership.DuplicateOf = "an-older-one"
	}
	if rarely.Draw(t, "hold") {
		membership.Spec.Holds = []v1alpha1.MembershipHold{rapid.SampledFrom([]v1alpha1.MembershipHold{
			{Name: "audit", Status: v1alpha1.MembershipHoldDeactivated, StartTime: metaAt(3)},
			{Name: "teams", Status: v1alpha1.MembershipHoldRemoved},
			*lifecycle.SuspendedHold(),
			*lifecycle.RemovedHold(),
		}).Draw(t, "which")}
	}
	return membership
})

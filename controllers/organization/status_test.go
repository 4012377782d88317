package organization

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/tally"
)

// TestSeatsWithUndecidedUsers has seats freed while of some users no state is known.
func TestSeatsWithUndecidedUsers(t *testing.T) {
	exceeded := []metav1.Condition{{Type: v1alpha1.ConditionSeatsAvailable, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonSeatsExceeded}}
	for name, c := range map[string]struct {
		before          []metav1.Condition
		used, undecided int32
		want            string
	}{
		"some may use one":           {before: exceeded, used: 0, undecided: 2, want: v1alpha1.ReasonSeatsExceeded},
		"too few to use too many":    {before: exceeded, used: 0, undecided: 1, want: v1alpha1.ReasonWithinSeats},
		"all are known":              {before: exceeded, used: 1, want: v1alpha1.ReasonWithinSeats},
		"there were enough":          {used: 1, undecided: 5, want: v1alpha1.ReasonWithinSeats},
		"too many are used for sure": {used: 2, undecided: 5, want: v1alpha1.ReasonSeatsExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			p := &pass{
				org:    &v1alpha1.Organization{Spec: v1alpha1.OrganizationSpec{Seats: new(int32(1))}},
				counts: tally.Counts{inState(""): c.undecided},
			}
			p.org.Status.SeatsUsed, p.org.Status.Conditions = c.used, c.before
			if is := p.seatsAvailable(); is.Reason != c.want {
				t.Errorf("%s: %s, want %s", is.Reason, is.Message, c.want)
			}
		})
	}
}

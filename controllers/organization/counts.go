package organization

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/tally"
)

// Classes of users that an organization counts.
const (
	total           = "total"
	withAccess      = "access"
	withMemberships = "access and an active membership"
)

var states = []v1alpha1.State{
	v1alpha1.StatePending, v1alpha1.StateActivated, v1alpha1.StateActive, v1alpha1.StateOnBreak, v1alpha1.StateDeactivated,
	v1alpha1.StateExpired, v1alpha1.StateSuspended, v1alpha1.StateRemoved,
}

func inState(state v1alpha1.State) string { return "state " + string(state) }

// withRole is the class of those with access and a role.
func withRole(role string) string { return "role " + role }

func newTally() *tally.Tally[*v1alpha1.User] {
	return &tally.Tally[*v1alpha1.User]{
		Of: func(u *v1alpha1.User) client.ObjectKey {
			return client.ObjectKey{Namespace: u.Namespace, Name: u.Namespace}
		},
		Classes: func(u *v1alpha1.User) []string {
			classes := []string{total, inState(u.Status.State)}
			if u.Status.Access == v1alpha1.AccessGranted {
				classes = append(classes, withAccess, withRole(u.Status.Role))
				if u.Status.Memberships.Active > 0 {
					classes = append(classes, withMemberships)
				}
			}
			return classes
		},
	}
}

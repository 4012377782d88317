package lifecycle

import (
	"slices"

	"tenure.dev/tenure/api/v1alpha1"
)

// Role is a user's effective rank: the declared one, or the lowest where none is declared or the organization does not
// have it. known is false in the latter case.
func Role(org *v1alpha1.OrganizationSpec, declared string) (role string, known bool) {
	if len(org.Roles) == 0 {
		return declared, declared == ""
	}
	if declared == "" {
		return org.Roles[0], true
	}
	if !slices.Contains(org.Roles, declared) {
		return org.Roles[0], false
	}
	return declared, true
}

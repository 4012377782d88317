package lifecycle_test

import (
	"testing"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

func TestRole(t *testing.T) {
	ranks := []string{"Guest", "Member", "Admin"}
	for name, test := range map[string]struct {
		roles    []string
		declared string
		role     string
		known    bool
	}{
		"declared":               {ranks, "Admin", "Admin", true},
		"the lowest, declared":   {ranks, "Guest", "Guest", true},
		"left out":               {ranks, "", "Guest", true},
		"unknown":                {ranks, "Emperor", "Guest", false},
		"in another case":        {ranks, "admin", "Guest", false},
		"no ranks, and left out": {nil, "", "", true},
		"no ranks, but declared": {nil, "Admin", "Admin", false},
	} {
		t.Run(name, func(t *testing.T) {
			role, known := lifecycle.Role(&v1alpha1.OrganizationSpec{Roles: test.roles}, test.declared)
			if role != test.role || known != test.known {
				t.Errorf("got %q (known: %t), want %q (known: %t)", role, known, test.role, test.known)
			}
		})
	}
}

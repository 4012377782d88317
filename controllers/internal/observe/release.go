package observe

import (
	"slices"
	"strings"

	"tenure.dev/tenure/api/v1alpha1"
)

// Released are the names of the holds that the release annotation asks to release.
func Released(annotations map[string]string) []string {
	var names []string
	for name := range strings.SplitSeq(annotations[v1alpha1.AnnotationRelease], ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// ReleaseUser takes the holds that are to be released out of a user's spec: what is to be released holds no more.
func ReleaseUser(u *v1alpha1.User) {
	released := Released(u.Annotations)
	u.Spec.Holds = slices.DeleteFunc(u.Spec.Holds, func(h v1alpha1.UserHold) bool { return slices.Contains(released, h.Name) })
}

// ReleaseMembership does so for a membership.
func ReleaseMembership(m *v1alpha1.Membership) {
	released := Released(m.Annotations)
	m.Spec.Holds = slices.DeleteFunc(m.Spec.Holds, func(h v1alpha1.MembershipHold) bool { return slices.Contains(released, h.Name) })
}

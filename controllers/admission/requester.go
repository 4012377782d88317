package admission

import (
	"context"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/utils/ptr"
	webhook "sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

// requester is who asks, as the API server authenticated them, and how.
type requester struct {
	user   authenticationv1.UserInfo
	dryRun bool
}

func requesterOf(request webhook.Request) requester {
	return requester{user: request.UserInfo, dryRun: ptr.Deref(request.DryRun, false)}
}

// is tells whether the requester is a user of the organization.
func (r requester) is(users ...*v1alpha1.User) bool {
	return slices.ContainsFunc(users, func(u *v1alpha1.User) bool { return u != nil && u.Spec.UserName == r.user.Username })
}

// userOf is the requester as a User of the organization; nil where there is none, whom RBAC alone judges.
func (s *scene) userOf(ctx context.Context, namespace string) (*v1alpha1.User, error) {
	found, err := index.UsersWithUserName(ctx, s, namespace, s.by.user.Username)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if s.by.is(&found[i]) && found[i].DeletionTimestamp.IsZero() {
			return &found[i], nil
		}
	}
	return nil, nil
}

// rank of a role in an organization; the lowest is zero.
func (s *scene) rank(role string) int {
	effective, _ := lifecycle.Role(s.org.Spec(), role)
	return slices.Index(s.org.Spec().Roles, effective)
}

// mostNamed is how many names a refusal lists.
const mostNamed = 10

// refusal is what a person reads whose change is refused.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, arguments ...any) error {
	return refusal(fmt.Sprintf(format, arguments...))
}

package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
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

// actor is the requester as a Transition records who did something.
func (r requester) actor(object client.Object) (string, error) {
	said, err := json.Marshal(v1alpha1.Actor{
		Username: r.user.Username, Groups: r.user.Groups, OnBehalfOf: object.GetAnnotations()[v1alpha1.AnnotationOnBehalfOf],
	})
	return string(said), err
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

// mustBeAllowed asks the API server whether RBAC gives the requester these verbs on an object.
func (s *scene) mustBeAllowed(ctx context.Context, resource string, object client.Object, verbs []string) error {
	var missing []string
	for _, verb := range verbs {
		allowed, err := s.allowed(ctx, resource, object, verb)
		if err != nil {
			return err
		}
		if !allowed {
			missing = append(missing, verb)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return refuse("%s may not %s %s %s. Missing: the verb \"%s\" on %s.tenure.dev %q in namespace %q. Ask for that right, or ask somebody who has it to make this change",
		s.by.user.Username, strings.Join(missing, " and "), strings.TrimSuffix(resource, "s"), object.GetName(),
		strings.Join(missing, `", "`), resource, object.GetName(), object.GetNamespace())
}

func (s *scene) allowed(ctx context.Context, resource string, object client.Object, verb string) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: object.GetNamespace(), Verb: verb, Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version,
			Resource: resource, Name: object.GetName(),
		},
		User: s.by.user.Username, Groups: s.by.user.Groups, UID: s.by.user.UID, Extra: map[string]authorizationv1.ExtraValue{},
	}}
	for key, values := range s.by.user.Extra {
		review.Spec.Extra[key] = authorizationv1.ExtraValue(values)
	}
	answer, err := s.Reviews.Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask whether %s may %s: %w", s.by.user.Username, verb, err)
	}
	return answer.Status.Allowed, nil
}

// refusal is what a person reads whose change is refused.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, arguments ...any) error {
	return refusal(fmt.Sprintf(format, arguments...))
}

package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// What somebody may do to all of a namespace's objects is not asked again for a moment, in which they may be changing thousands of
// them. A right that is taken away is gone as soon as that is over.
const (
	remembered     = 5 * time.Second
	mostRemembered = 1024
)

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

// allowed asks for the right to all objects first, which most have who have it at all, and then to this one.
func (s *scene) allowed(ctx context.Context, resource string, object client.Object, verb string) (bool, error) {
	question := authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: object.GetNamespace(), Verb: verb, Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version,
			Resource: resource,
		},
		User: s.by.user.Username, Groups: s.by.user.Groups, UID: s.by.user.UID, Extra: map[string]authorizationv1.ExtraValue{},
	}
	for key, values := range s.by.user.Extra {
		question.Extra[key] = authorizationv1.ExtraValue(values)
	}
	key, err := json.Marshal(question)
	if err != nil {
		return false, fmt.Errorf("ask whether %s may %s: %w", s.by.user.Username, verb, err)
	}
	if _, known := s.known.Get(string(key)); known {
		return true, nil
	}
	allowed, err := s.ask(ctx, question)
	if err != nil || allowed {
		if allowed {
			s.known.Add(string(key), true, remembered)
		}
		return allowed, err
	}
	question.ResourceAttributes.Name = object.GetName()
	return s.ask(ctx, question)
}

func (s *scene) ask(ctx context.Context, question authorizationv1.SubjectAccessReviewSpec) (bool, error) {
	answer, err := s.Reviews.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: question}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask whether %s may %s: %w", question.User, question.ResourceAttributes.Verb, err)
	}
	return answer.Status.Allowed, nil
}

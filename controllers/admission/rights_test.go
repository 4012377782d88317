package admission

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	clocktesting "k8s.io/utils/clock/testing"

	"tenure.dev/tenure/api/v1alpha1"
)

// reviews answer as RBAC would that gives some verbs on some names; on all where the name is empty.
type reviews struct {
	given map[string]bool
	asked []string
}

func (r *reviews) Create(_ context.Context, review *authorizationv1.SubjectAccessReview, _ metav1.CreateOptions) (*authorizationv1.SubjectAccessReview, error) {
	at := review.Spec.ResourceAttributes
	question := review.Spec.User + " " + at.Verb + " " + at.Name
	r.asked = append(r.asked, question)
	review.Status.Allowed = r.given[question]
	return review, nil
}

func TestRightsAreAskedForOnceInAMoment(t *testing.T) {
	clock := clocktesting.NewFakeClock(now)
	answers := &reviews{given: map[string]bool{"jane remove ": true, "pete remove alice": true}}
	guards := &Guards{Reviews: answers, Clock: clock, known: cache.NewLRUExpireCacheWithClock(10, clock)}
	may := func(who, verb, name string, want bool) {
		t.Helper()
		s := &scene{Guards: guards, by: requester{user: authenticationv1.UserInfo{Username: who}}}
		user := &v1alpha1.User{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "acme"}}
		if got, err := s.allowed(t.Context(), "users", user, verb); got != want || err != nil {
			t.Errorf("%s may %s %s: %t, %v; want %t", who, verb, name, got, err, want)
		}
	}
	may("jane", "remove", "alice", true)
	may("jane", "remove", "bob", true)
	may("jane", "suspend", "bob", false)
	may("pete", "remove", "alice", true)
	may("pete", "remove", "bob", false)
	answers.given["jane remove "] = false
	may("jane", "remove", "alice", true)
	clock.Step(remembered + 1)
	may("jane", "remove", "alice", false)

	want := []string{
		"jane remove ", "jane suspend ", "jane suspend bob", "pete remove ", "pete remove alice", "pete remove ", "pete remove bob",
		"jane remove ", "jane remove alice",
	}
	if diff := cmp.Diff(want, answers.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

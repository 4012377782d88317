package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/example"
	"tenure.dev/tenure/hack/local"
)

// Who the operator is in a cluster, and as whom it works off effects.
const (
	lifecycleAccount = "lifecycle"
)

// world is the organization of one plan: a namespace of its own, one in which its groups may grant something, and a clock.
type world struct {
	namespace, target string

	// people writes as an administrator whom nothing is refused but what admission refuses. No fault concerns it.
	people client.Client

	// clock is the plan's. start is what it showed at first, in whole seconds: every date that a scenario declares is
	// so long after it.
	clock *clocktesting.FakeClock
	start time.Time

	// wall is what the operator takes for the time. It is clock, but for plans in which it is off.
	wall *wallClock
}

// newWorld names a world that is not there yet.
func newWorld(name string, people client.Client, now time.Time) *world {
	start := now.Truncate(time.Second)
	c := clocktesting.NewFakeClock(start)
	return &world{namespace: name, target: name + "-target", people: people, clock: c, start: start, wall: &wallClock{FakeClock: c}}
}

// at is the time so long after the beginning of the plan.
func (w *world) at(after time.Duration) metav1.Time { return metav1.NewTime(w.start.Add(after)) }

// install puts onto the cluster what a platform team would, and the kind of which the operator knows nothing. It is for
// local.Options: kinds come before the garbage collector looks for them.
func install(ctx context.Context, cluster *local.Cluster) error {
	root, err := local.RepositoryRoot()
	if err != nil {
		return fmt.Errorf("install the operator's kinds: %w", err)
	}
	if _, _, err := cluster.Kubectl(ctx, nil, strings.NewReader(example.WorkDefinition), "apply", "--server-side", "--filename=-"); err != nil {
		return fmt.Errorf("install the kind of people's work: %w", err)
	}
	if err := cluster.Install(ctx, root+"/config/local"); err != nil {
		return fmt.Errorf("install the operator's kinds: %w", err)
	}
	return nil
}

// prepare creates the two namespaces and the account of the effects, and returns when the API server lets the account and
// the operator do what they have to: else the first passes would be refused now and then.
func (w *world) prepare(ctx context.Context) error {
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: w.target, Annotations: map[string]string{v1alpha1.AnnotationGrantsFrom: w.namespace},
		}},
		&rbacv1.Role{ObjectMeta: w.named(lifecycleAccount), Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{example.Work.Group}, Resources: []string{"works"}, Verbs: []string{"get", "list", "watch", "patch", "delete"},
		}}},
		&rbacv1.Role{ObjectMeta: w.named("impersonate"), Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{lifecycleAccount}, Verbs: []string{"impersonate"},
		}}},
		w.binding(lifecycleAccount, w.namespace, lifecycleAccount),
		w.binding("impersonate", local.OperatorNamespace, local.OperatorAccount),
	} {
		if err := w.people.Create(ctx, object); err != nil {
			return fmt.Errorf("prepare namespace %s: %w", w.namespace, err)
		}
	}
	for user, right := range map[string]*authorizationv1.ResourceAttributes{
		local.OperatorUser: {Namespace: w.namespace, Verb: "impersonate", Resource: "serviceaccounts", Name: lifecycleAccount},
		"system:serviceaccount:" + w.namespace + ":" + lifecycleAccount: {Namespace: w.namespace, Verb: "list", Group: example.Work.Group, Resource: "works"},
	} {
		if err := w.awaitRight(ctx, user, right); err != nil {
			return fmt.Errorf("prepare namespace %s: await the rights of %s: %w", w.namespace, user, err)
		}
	}
	return nil
}

func (w *world) named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: w.namespace}
}

func (w *world) binding(role, namespace, account string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: w.named(role),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: namespace}},
	}
}

func (w *world) awaitRight(ctx context.Context, user string, right *authorizationv1.ResourceAttributes) error {
	return wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) { //nolint:wrapcheck // the caller says what for
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, Groups: []string{"system:authenticated"}, ResourceAttributes: right,
		}}
		err := w.people.Create(ctx, review)
		return review.Status.Allowed, err
	})
}

// userName is how authenticators know somebody.
func (w *world) userName(name string) string { return name + "@" + w.namespace + ".example" }

// work is a piece of work whose spec is YAML. @DOMAIN in it ends a user name.
func (w *world) work(name, spec string) (*unstructured.Unstructured, error) {
	var content map[string]any
	if err := yaml.Unmarshal([]byte(w.fill(spec)), &content); err != nil {
		return nil, fmt.Errorf("read the work %s: %w", name, err)
	}
	work := &unstructured.Unstructured{Object: map[string]any{"spec": content}}
	work.SetGroupVersionKind(example.Work)
	work.SetNamespace(w.namespace)
	work.SetName(name)
	return work, nil
}

// fill writes the world's own names into a text.
func (w *world) fill(text string) string {
	return strings.ReplaceAll(text, "@DOMAIN", "@"+w.namespace+".example")
}

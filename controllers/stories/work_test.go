package stories

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/example"
	"tenure.dev/tenure/hack/local"
)

// haveWork makes sure that the cluster has the kind.
var haveWork = sync.OnceFunc(func() { haveDefinition(example.WorkDefinition) })

// haveDefinition creates a CustomResourceDefinition and waits until it is served.
func haveDefinition(text string) {
	GinkgoHelper()
	ctx := context.Background()
	definition := &unstructured.Unstructured{}
	Expect(yaml.Unmarshal([]byte(text), &definition.Object)).To(Succeed())
	Expect(client.IgnoreAlreadyExists(admin.Create(ctx, definition))).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(definition), definition)).To(Succeed())
		conditions, _, _ := unstructured.NestedSlice(definition.Object, "status", "conditions")
		g.Expect(conditions).To(ContainElement(And(HaveKeyWithValue("type", "Established"), HaveKeyWithValue("status", "True"))))
	}).Should(Succeed())
}

// rights are what the service account of a policy may do to work.
var everyRight = []string{"get", "list", "watch", "patch", "delete"}

// letLifecycle lets the service account lifecycle do this to work and to config maps, and nothing else.
func (o *organization) letLifecycle(ctx context.Context, verbs ...string) {
	GinkgoHelper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "lifecycle", Namespace: o.name},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{example.Work.Group}, Resources: []string{"works"}, Verbs: verbs},
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: verbs},
		},
	}
	err := admin.Create(ctx, role)
	if apierrors.IsAlreadyExists(err) {
		err = admin.Update(ctx, role)
	}
	Expect(err).NotTo(HaveOccurred())
}

// setUpLifecycle creates the service account as which effects run, and lets the operator act as it.
func (o *organization) setUpLifecycle(ctx context.Context) {
	GinkgoHelper()
	haveWork()
	Expect(admin.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "lifecycle", Namespace: o.name}})).To(Succeed())
	o.letLifecycle(ctx, everyRight...)
	Expect(admin.Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "impersonate", Namespace: o.name},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{"lifecycle"}, Verbs: []string{"impersonate"}}},
	})).To(Succeed())
	for role, subject := range map[string]rbacv1.Subject{
		"lifecycle":   {Kind: rbacv1.ServiceAccountKind, Name: "lifecycle", Namespace: o.name},
		"impersonate": {Kind: rbacv1.ServiceAccountKind, Name: local.OperatorAccount, Namespace: local.OperatorNamespace},
	} {
		Expect(admin.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role, Namespace: o.name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
			Subjects:   []rbacv1.Subject{subject},
		})).To(Succeed())
	}
}

// policyOf reads a policy from its spec in YAML.
func (o *organization) policyOf(spec string) *v1alpha1.LifecyclePolicy {
	GinkgoHelper()
	policy := &v1alpha1.LifecyclePolicy{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: o.name}}
	Expect(yaml.UnmarshalStrict([]byte(spec), &policy.Spec)).To(Succeed())
	return policy
}

// workingOrganization is an organization with a policy whose effects are in force. The policy's spec is YAML; effects on
// work are written short, see effectOnWork.
func workingOrganization(ctx context.Context, spec string, edits ...func(*v1alpha1.Organization)) *organization {
	GinkgoHelper()
	o := newOrganization(ctx, edits...)
	o.setUpLifecycle(ctx)
	Expect(admin.Create(ctx, o.policyOf(spec))).To(Succeed())
	editObject(ctx, o, o.name, func(org *v1alpha1.Organization) { org.Spec.DefaultPolicyRef.Name = "default" })
	o.waitForPolicy(ctx)
	return o
}

func (o *organization) waitForPolicy(ctx context.Context) {
	GinkgoHelper()
	Eventually(o.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
}

// policyCondition is what Ready of the policy says, of this generation.
func (o *organization) policyCondition(ctx context.Context) func() (string, error) {
	return func() (string, error) {
		policy, err := read[v1alpha1.LifecyclePolicy](ctx, o, "default")()
		if err == nil && policy.Generation != policy.Status.ObservedGeneration {
			return "", nil
		}
		return condition(policy.Status.Conditions, v1alpha1.ConditionReady), err
	}
}

// createWork creates a piece of work. Its spec is YAML.
func (o *organization) createWork(ctx context.Context, name, spec string, edits ...func(*unstructured.Unstructured)) {
	GinkgoHelper()
	work := newWork(o.name, name)
	o.replaceSpec(work, spec)
	for _, edit := range edits {
		edit(work)
	}
	Expect(admin.Create(ctx, work)).To(Succeed())
}

func (o *organization) replaceSpec(work *unstructured.Unstructured, spec string) {
	GinkgoHelper()
	var content map[string]any
	Expect(yaml.Unmarshal([]byte(spec), &content)).To(Succeed())
	work.Object["spec"] = content
}

func newWork(namespace, name string) *unstructured.Unstructured {
	work := &unstructured.Unstructured{}
	work.SetGroupVersionKind(example.Work)
	work.SetNamespace(namespace)
	work.SetName(name)
	return work
}

// work is every piece of work of the organization by name, each spec as YAML in one line; for use in Eventually.
func (o *organization) work(ctx context.Context) func() (map[string]string, error) {
	return func() (map[string]string, error) {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(example.Work)
		if err := admin.List(ctx, list, client.InNamespace(o.name)); err != nil {
			return nil, err
		}
		found := map[string]string{}
		for i := range list.Items {
			found[list.Items[i].GetName()] = inline(list.Items[i].Object["spec"])
		}
		return found, nil
	}
}

// inline is a value as YAML in one line, keys in order.
func inline(value any) string {
	switch v := value.(type) {
	case map[string]any:
		parts := []string{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, key+": "+inline(v[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := []string{}
		for _, element := range v {
			parts = append(parts, inline(element))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

// ledger is what the ledger of a Transition says: the Complete condition, and each effect as name done/matched with its
// message.
func (o *organization) ledger(ctx context.Context, transition string) func() ([]string, error) {
	return func() ([]string, error) {
		t, err := o.transition(ctx, transition)()
		if err != nil {
			return nil, err
		}
		lines := []string{}
		if complete := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionComplete); complete != nil {
			lines = append(lines, fmt.Sprintf("%s %s", complete.Status, complete.Reason))
		}
		for _, effect := range t.Status.Effects {
			line := fmt.Sprintf("%s %d/%d", effect.Name, effect.Done, effect.Matched)
			if effect.Message != "" {
				line += ": " + effect.Message
			}
			lines = append(lines, line)
		}
		return lines, nil
	}
}

// waitForCascade waits until a Transition is done with everything.
func (o *organization) waitForCascade(ctx context.Context, transition string) {
	GinkgoHelper()
	Eventually(o.ledger(ctx, transition)).Should(ContainElement("True Done"))
}

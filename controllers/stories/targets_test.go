package stories

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("A kind that effects are about", func() {
	It("may come after the policy, and after people have left", func(ctx context.Context) {
		app := newApplication(ctx, unassigning("v1"), leaving("Program"))
		Eventually(app.policyCondition(ctx)).Should(Equal("False KindNotFound: The cluster has no kind Task of " + app.group + "/v1; it is picked up when it appears"))
		Eventually(app.warningsOf(ctx, "LifecyclePolicy", "default")).Should(ContainElement(HavePrefix("NotReady: The cluster has no kind Task")))
		app.leaves(ctx, "kate")
		Eventually(app.ledgerOf(ctx, "kate")).Should(And(HavePrefix("False Retrying: effect tasks:"), ContainSubstring("the objects of kind Task cannot be listed")))
		Expect(app.holdsOf(ctx, "kate-course")()).To(Equal([]string{"effect-leave"}), "what else there is to do is done")

		app.define(app.definition("Namespaced", "v1"))
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
		Eventually(app.ledgerOf(ctx, "kate")).Should(HavePrefix("True Done"))
		app.leavesAndIsDone(ctx, "ben", "v1")
	})

	It("may go and come back, under another name too", func(ctx context.Context) {
		app := newApplication(ctx, unassigning("v1"))
		definition := app.definition("Namespaced", "v1")
		app.define(definition)
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
		app.createTask(ctx, "v1", "lost", "kate")

		app.undefine(ctx, definition)
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("False KindNotFound"))
		app.define(app.definition("Namespaced", "v1"))
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
		app.leavesAndIsDone(ctx, "kate", "v1")

		definition = app.definition("Namespaced", "v1")
		app.undefine(ctx, definition)
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("False KindNotFound"))
		app.define(strings.ReplaceAll(definition, "tasks", "chores"))
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
		app.leavesAndIsDone(ctx, "ben", "v1")
	})

	It("may be served in another version, which the policy then names", func(ctx context.Context) {
		app := newApplication(ctx, unassigning("v1"))
		app.define(app.definition("Namespaced", "v1"))
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
		app.createTask(ctx, "v1", "report", "kate")

		app.redefine(app.definition("Namespaced", "v2", "-v1"))
		Eventually(app.policyCondition(ctx)).Should(Equal("False KindNotFound: The cluster has no kind Task of " + app.group + "/v1; it is picked up when it appears"))
		app.leaves(ctx, "kate")
		Eventually(app.ledgerOf(ctx, "kate")).Should(HavePrefix("False Retrying"))

		app.editPolicy(ctx, func(p *v1alpha1.LifecyclePolicy) { effectOf(p, "tasks").Resources.APIVersion = app.group + "/v2" })
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
		app.leavesAndIsDone(ctx, "ben", "v2")
		Expect(app.assignees(ctx, "v2")()).To(HaveKeyWithValue("report", "kate"), "whose effect was frozen as it stood")

		app.redefine(app.definition("Namespaced", "v2", "v1"))
		Eventually(app.ledgerOf(ctx, "kate")).Should(HavePrefix("True Done"))
		Expect(app.assignees(ctx, "v2")()).To(HaveKeyWithValue("report", ""))
	})

	It("must be of a namespace", func(ctx context.Context) {
		app := newApplication(ctx, unassigning("v1"))
		definition := app.definition("Cluster", "v1")
		app.define(definition)
		Eventually(app.policyCondition(ctx)).Should(Equal("False InvalidKind: Kind Task of " + app.group +
			"/v1 is not of a namespace: effects act on objects of the organization's namespace alone"))
		app.undefine(ctx, definition)
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("False KindNotFound"))
		app.define(app.definition("Namespaced", "v1"))
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
		app.leavesAndIsDone(ctx, "kate", "v1")
	})

	It("may have objects that cannot be converted: access ends all the same, what else there is to do is done, and the rest waits", func(ctx context.Context) {
		app := newApplication(ctx, unassigning("v2"), leaving("Program"))
		target := app.createProgram(ctx, "library")
		app.enrol(ctx, "kate", v1alpha1.StateActive, "library")
		Eventually(app.mayListPods(ctx, "kate", target)).Should(BeTrue())
		app.define(app.definition("Namespaced", "v1", "v2"))
		app.createTask(ctx, "v1", "report", "kate")
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
		app.redefine(strings.ReplaceAll(app.definition("Namespaced", "v1", "v2"), "{strategy: None}",
			`{strategy: Webhook, webhook: {conversionReviewVersions: [v1], clientConfig: {url: "https://127.0.0.1:1/convert"}}}`))
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("False WatchFailed: The objects of kind Task of " + app.group + "/v2 cannot be listed: "))

		app.leaves(ctx, "kate")
		Expect(app.mayListPods(ctx, "kate", target)()).To(BeFalse())
		Eventually(app.ledgerOf(ctx, "kate")).Should(And(HavePrefix("False Retrying: effect tasks:"), ContainSubstring("the objects of kind Task cannot be listed")))
		Expect(app.holdsOf(ctx, "kate-library")()).To(Equal([]string{"effect-leave"}))
		Eventually(app.userCondition(ctx, "kate", v1alpha1.ConditionReady)).Should(And(HavePrefix("False"), ContainSubstring("the objects of kind Task cannot be listed")))

		app.redefine(app.definition("Namespaced", "v1", "v2"))
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
		Eventually(app.ledgerOf(ctx, "kate")).Should(HavePrefix("True Done"))
		Expect(app.assignees(ctx, "v1")()).To(HaveKeyWithValue("report", ""))
	})
})

var _ = Describe("The service account of a policy", func() {
	It("must be let list and watch, and may be let later", func(ctx context.Context) {
		app := newApplication(ctx, unassigning("v1"))
		app.define(app.definition("Namespaced", "v1"))
		app.createTask(ctx, "v1", "report", "kate")
		app.editPolicy(ctx, func(p *v1alpha1.LifecyclePolicy) { p.Spec.ServiceAccountName = "intern" })
		entitle(ctx, operatorUser, app.name, named(rule("", "serviceaccounts", "impersonate"), "intern"))
		Eventually(app.policyCondition(ctx)).Should(And(HavePrefix("False Forbidden: Service account intern cannot be used to list and watch kind Task of "+app.group+"/v1: "),
			ContainSubstring(`User "`+app.account("intern")+`" cannot list resource "tasks"`)))
		app.leaves(ctx, "kate")
		Eventually(app.ledgerOf(ctx, "kate")).Should(And(HavePrefix("False Retrying"), ContainSubstring(`cannot list resource "tasks"`)))

		entitle(ctx, app.account("intern"), app.name, rule(app.group, "tasks", everyRight...))
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
		Eventually(app.ledgerOf(ctx, "kate")).Should(HavePrefix("True Done"))
		Expect(app.assignees(ctx, "v1")()).To(HaveKeyWithValue("report", ""))
	})

	It("must be one that the operator is let act as, and may become one later", func(ctx context.Context) {
		app := newApplication(ctx, unassigning("v1"))
		app.define(app.definition("Namespaced", "v1"))
		app.createTask(ctx, "v1", "report", "kate")
		app.editPolicy(ctx, func(p *v1alpha1.LifecyclePolicy) { p.Spec.ServiceAccountName = "intern" })
		entitle(ctx, app.account("intern"), app.name, rule(app.group, "tasks", everyRight...))
		Eventually(app.policyCondition(ctx)).Should(And(HavePrefix("False Forbidden: Service account intern cannot be used to list and watch kind Task of "+app.group+"/v1: "),
			ContainSubstring(`User "`+operatorUser+`" cannot impersonate resource "serviceaccounts"`)))
		app.leaves(ctx, "kate")
		Eventually(app.ledgerOf(ctx, "kate")).Should(And(HavePrefix("False Retrying"), ContainSubstring(`cannot impersonate`)))

		entitle(ctx, operatorUser, app.name, named(rule("", "serviceaccounts", "impersonate"), "intern"))
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
		Eventually(app.ledgerOf(ctx, "kate")).Should(HavePrefix("True Done"))
		Expect(app.assignees(ctx, "v1")()).To(HaveKeyWithValue("report", ""))
	})
})

var _ = Describe("A policy", func() {
	It("whose match cannot be read is refused, and says where", func(ctx context.Context) {
		app := newApplication(ctx, unassigning("v1"))
		app.define(app.definition("Namespaced", "v1"))
		Expect(editAs(ctx, admin, app.organization, "default", func(p *v1alpha1.LifecyclePolicy) { effectOf(p, "tasks").Resources.Match = "object.spec.state = 'Open'" })).
			To(MatchError(And(ContainSubstring("spec.effects[0]: effect tasks: match cannot be compiled"), ContainSubstring("line 1, column 19: Syntax error"))))
		app.editPolicy(ctx, func(p *v1alpha1.LifecyclePolicy) {
			effectOf(p, "tasks").Resources.Match = "object.metadata.name != 'archived'"
		})
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
		app.createTask(ctx, "v1", "archived", "kate")
		app.leavesAndIsDone(ctx, "kate", "v1")
		Expect(app.assignees(ctx, "v1")()).To(HaveKeyWithValue("archived", "kate"))
	})

	It("is what its author meant where YAML takes on for true", func(ctx context.Context) {
		app := newApplication(ctx)
		app.define(app.definition("Namespaced", "v1"))
		file := strings.NewReplacer("ACME", app.name, "GROUP", app.group).Replace(`
apiVersion: tenure.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: default, namespace: ACME}
spec:
  serviceAccountName: lifecycle
  effects:
  - name: tasks
    on: [Suspended]
    resources: {apiVersion: GROUP/v1, kind: Task, reference: {fieldPath: spec.assignee}, action: Unassign}
`)
		Expect(kubectlWith(file, "apply --filename=-")).To(And(ContainSubstring("default configured"), Not(ContainSubstring("Warning: unknown"))))
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
		Expect(kubectlWith(file, "diff --filename=-")).To(BeEmpty())

		app.createTask(ctx, "v1", "report", "kate")
		app.leaves(ctx, "kate")
		app.waitForEffects(ctx, "kate")
		Expect(app.assignees(ctx, "v1")()).To(HaveKeyWithValue("report", "kate"), "who is deactivated, not suspended")
		app.editUser(ctx, "kate", desired(v1alpha1.UserDesiredSuspended, "Fraud"))
		Eventually(app.assignees(ctx, "v1")).Should(HaveKeyWithValue("report", ""))
	})

	It("may be edited, and so may another about the same kind, while people leave", func(ctx context.Context) {
		const people = 8
		app := newApplication(ctx, unassigning("v1"))
		app.define(app.definition("Namespaced", "v1"))
		guests := app.newPolicy("guests", actingAs("lifecycle"), func(p *v1alpha1.LifecyclePolicy) {
			effect := unassigning("v1")(app)
			effect.Resources.Reference.FieldPath, effect.Resources.Match = "spec.reviewer", "object.spec.state == 'Open'"
			p.Spec.Effects = []v1alpha1.Effect{effect}
		})
		Expect(admin.Create(ctx, guests)).To(Succeed())
		for i := range people {
			name := fmt.Sprintf("p%d", i)
			app.createUser(ctx, name, wasActive, func(u *v1alpha1.User) {
				if i%2 == 1 {
					u.Spec.PolicyRef.Name = "guests"
				}
			})
			app.createTaskOf(ctx, "v1", "of-"+name, map[string]any{"assignee": name, "reviewer": name, "state": "Open"})
			app.createTaskOf(ctx, "v1", "was-"+name, map[string]any{"assignee": name, "reviewer": name, "state": "Closed"})
		}
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))

		// What is asked of the objects changes with each edit, and what is to be done does not.
		for i := range people {
			Eventually(app.stateOf(ctx, fmt.Sprintf("p%d", i))).Should(Equal(v1alpha1.StateActive))
			field := fmt.Sprintf("field%d", i)
			app.editPolicy(ctx, func(p *v1alpha1.LifecyclePolicy) {
				effectOf(p, "tasks").Resources.Match = "!has(object.spec." + field + ")"
			})
			editObject(ctx, app.organization, "guests", func(p *v1alpha1.LifecyclePolicy) {
				effectOf(p, "tasks").Resources.Match = "object.spec.state == 'Open' && !has(object.spec.of" + field + ")"
			})
			app.editUser(ctx, fmt.Sprintf("p%d", i), desired(v1alpha1.UserDesiredDeactivated, "Left"))
		}
		for i := range people {
			name := fmt.Sprintf("p%d", i)
			Eventually(app.ledgerOf(ctx, name)).Should(HavePrefix("True Done"), name)
			of, was := app.task(ctx, "v1", "of-"+name), app.task(ctx, "v1", "was-"+name)
			if i%2 == 0 {
				Expect([]any{of["assignee"], was["assignee"]}).To(Equal([]any{nil, nil}), name)
				Expect([]any{of["reviewer"], was["reviewer"]}).To(Equal([]any{name, name}), name)
			} else {
				Expect([]any{of["assignee"], was["assignee"]}).To(Equal([]any{name, name}), name)
				Expect([]any{of["reviewer"], was["reviewer"]}).To(Equal([]any{nil, name}), name)
			}
		}
		Eventually(app.policyCondition(ctx)).Should(HavePrefix("True Reconciled"))
	})
})

// application is an organization with a policy about tasks, a kind of a group that no other story has.
type application struct {
	*organization

	group string
}

// newApplication creates an organization, in which Kate and Ben are members of the course, with a policy of these effects.
// The policy's service account, lifecycle, has every right to what the group will have.
func newApplication(ctx context.Context, effects ...func(*application) v1alpha1.Effect) *application {
	GinkgoHelper()
	o := newOrganization(ctx)
	app := &application{organization: o, group: o.name + ".example.com"}
	entitle(ctx, app.account("lifecycle"), o.name, rule(app.group, "*", everyRight...))
	entitle(ctx, operatorUser, o.name, named(rule("", "serviceaccounts", "impersonate"), "lifecycle"))
	Expect(admin.Create(ctx, o.newPolicy("default", actingAs("lifecycle"), func(p *v1alpha1.LifecyclePolicy) {
		for _, effect := range effects {
			p.Spec.Effects = append(p.Spec.Effects, effect(app))
		}
	}))).To(Succeed())
	editObject(ctx, o, o.name, func(org *v1alpha1.Organization) { org.Spec.DefaultPolicyRef.Name = "default" })
	o.createGroup(ctx, "course")
	for _, name := range []string{"kate", "ben"} {
		o.createUser(ctx, name, wasActive)
		o.join(ctx, name, "course")
		Eventually(o.membershipStateOf(ctx, name+"-course")).Should(Equal(v1alpha1.StateActive))
	}
	return app
}

// account is a service account's name as the API server knows it.
func (a *application) account(name string) string {
	return "system:serviceaccount:" + a.name + ":" + name
}

// unassigning takes people off their tasks.
func unassigning(version string) func(*application) v1alpha1.Effect {
	return func(a *application) v1alpha1.Effect {
		return v1alpha1.Effect{Name: "tasks", Resources: v1alpha1.ResourcesEffect{
			APIVersion: a.group + "/" + version, Kind: "Task", Reference: v1alpha1.ResourceReference{FieldPath: "spec.assignee"},
			Action: v1alpha1.ResourceAction(v1alpha1.ActionUnassign),
		}}
	}
}

// leaving ends memberships.
func leaving(groupType string) func(*application) v1alpha1.Effect {
	return func(*application) v1alpha1.Effect {
		return v1alpha1.Effect{Name: "leave", Memberships: v1alpha1.MembershipsEffect{
			GroupTypes: []string{groupType}, Action: v1alpha1.MembershipAction(v1alpha1.ActionRemove),
		}}
	}
}

func (a *application) editPolicy(ctx context.Context, edits ...func(*v1alpha1.LifecyclePolicy)) {
	GinkgoHelper()
	editObject(ctx, a.organization, "default", edits...)
}

// definition defines tasks in versions, of which the first is how they are stored. One with a minus is not served.
func (a *application) definition(scope string, versions ...string) string {
	text := fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tasks.%[1]s}
spec:
  group: %[1]s
  scope: %[2]s
  names: {kind: Task, plural: tasks}
  conversion: {strategy: None}
  versions:
`, a.group, scope)
	for i, version := range versions {
		name := strings.TrimPrefix(version, "-")
		text += fmt.Sprintf("  - {name: %s, served: %t, storage: %t, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}\n",
			name, name == version, i == 0)
	}
	return text
}

// define creates a definition, which goes with the story.
func (a *application) define(definition string) {
	GinkgoHelper()
	haveDefinition(definition)
	DeferCleanup(func(ctx context.Context) {
		Expect(client.IgnoreNotFound(admin.Delete(ctx, definitionIn(definition)))).To(Succeed())
	})
}

func definitionIn(text string) *unstructured.Unstructured {
	GinkgoHelper()
	definition := &unstructured.Unstructured{}
	Expect(yaml.Unmarshal([]byte(text), &definition.Object)).To(Succeed())
	return definition
}

// redefine changes a definition.
func (a *application) redefine(text string) {
	GinkgoHelper()
	Expect(kubectlWith(text, "replace --filename=-")).To(ContainSubstring("replaced"))
}

// undefine deletes a definition and all of its objects.
func (a *application) undefine(ctx context.Context, text string) {
	GinkgoHelper()
	definition := definitionIn(text)
	Expect(admin.Delete(ctx, definition)).To(Succeed())
	Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(definition), definition) }).Should(
		MatchError(apierrors.IsNotFound, "IsNotFound"))
}

func (a *application) kind(version string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: a.group, Version: version, Kind: "Task"}
}

// now is a client that nothing is refused, and that knows of no kind by what it was before.
func (a *application) now() client.Client {
	GinkgoHelper()
	return clientFor(cluster.Admin())
}

func (a *application) createTask(ctx context.Context, version, name, assignee string) {
	GinkgoHelper()
	a.createTaskOf(ctx, version, name, map[string]any{"assignee": assignee})
}

// createTaskOf creates a task, as soon as the API server takes some.
func (a *application) createTaskOf(ctx context.Context, version, name string, spec map[string]any) {
	GinkgoHelper()
	Eventually(func() error {
		task := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
		task.SetGroupVersionKind(a.kind(version))
		task.SetNamespace(a.name)
		task.SetName(name)
		return a.now().Create(ctx, task)
	}).Should(Succeed())
}

// task is the spec of a task.
func (a *application) task(ctx context.Context, version, name string) map[string]any {
	GinkgoHelper()
	task := &unstructured.Unstructured{}
	task.SetGroupVersionKind(a.kind(version))
	Expect(a.now().Get(ctx, client.ObjectKey{Namespace: a.name, Name: name}, task)).To(Succeed())
	return task.Object["spec"].(map[string]any)
}

// assignees are who has which task; for use in Eventually.
func (a *application) assignees(ctx context.Context, version string) func() (map[string]string, error) {
	return func() (map[string]string, error) {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(a.kind(version))
		err := a.now().List(ctx, list, client.InNamespace(a.name))
		assignees := map[string]string{}
		for i := range list.Items {
			assignees[list.Items[i].GetName()], _, _ = unstructured.NestedString(list.Items[i].Object, "spec", "assignee")
		}
		return assignees, err
	}
}

// leaves deactivates somebody, whose access ends at once whatever else happens.
func (a *application) leaves(ctx context.Context, name string) {
	GinkgoHelper()
	a.editUser(ctx, name, desired(v1alpha1.UserDesiredDeactivated, "Left"))
	Eventually(a.stateOf(ctx, name)).Should(Equal(v1alpha1.StateDeactivated))
	Expect(a.grantsOf(ctx, name)()).To(BeEmpty())
}

// leavesAndIsDone deactivates somebody who has a task, and waits until they have it no longer.
func (a *application) leavesAndIsDone(ctx context.Context, name, version string) {
	GinkgoHelper()
	a.createTask(ctx, version, "work-of-"+name, name)
	a.leaves(ctx, name)
	Eventually(a.ledgerOf(ctx, name)).Should(HavePrefix("True Done"))
	Expect(a.assignees(ctx, version)()).To(HaveKeyWithValue("work-of-"+name, ""))
}

// ledgerOf is what the ledger of a user's first departure says.
func (a *application) ledgerOf(ctx context.Context, name string) func() (string, error) {
	return func() (string, error) {
		transition, err := a.transition(ctx, "user."+name+".2")()
		return condition(transition.Status.Conditions, v1alpha1.ConditionComplete), err
	}
}

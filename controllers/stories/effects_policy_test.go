package stories

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("Whoever writes a policy", func() {
	It("has effects act only as a service account that they could act as themselves", func(ctx context.Context) {
		acme := newNamespace(ctx)
		entitle(ctx, "jane", acme.name, rule(tenure, "lifecyclepolicies", "get", "create", "update"))
		jane := as("jane")
		create := func(name string, edits ...func(*v1alpha1.LifecyclePolicy)) func() error {
			return func() error { return jane.Create(ctx, acme.newPolicy(name, edits...)) }
		}
		Eventually(create("harmless", leavingGroups("Team"))).Should(Succeed(), "without an account")
		Expect(create("employees", actingAs("lifecycle"))()).To(beRefused(
			`jane may not have a policy act as the service account "lifecycle", and this request names it. `+
				`Missing: the verb "impersonate" on serviceaccounts "lifecycle" in namespace "`+acme.name+`"`,
			`Ask for that right, or ask somebody who has it to make this change`))
		Expect(editAs(ctx, jane, acme, "harmless", actingAs("lifecycle"))).To(beRefused(`this request names it`))

		entitle(ctx, "jane", acme.name, named(rule("", "serviceaccounts", "impersonate"), "lifecycle"))
		Eventually(create("employees", actingAs("lifecycle"), closing("tasks"))).Should(Succeed())
		Expect(editAs(ctx, jane, acme, "employees", closing("reports"))).To(Succeed())
		Expect(editAs(ctx, jane, acme, "employees", actingAs("root"))).To(beRefused(`Missing: the verb "impersonate" on serviceaccounts "root"`))
	})

	It("needs nothing of the account for what it does not do anew", func(ctx context.Context) {
		acme := newNamespace(ctx)
		Expect(admin.Create(ctx, acme.newPolicy("employees", actingAs("lifecycle"), closing("tasks"), closing("reports"), leavingGroups("Team")))).To(Succeed())
		entitle(ctx, "pete", acme.name, rule(tenure, "lifecyclepolicies", "get", "update"))
		edit := func(edits ...func(*v1alpha1.LifecyclePolicy)) func() error {
			return func() error { return editAs(ctx, as("pete"), acme, "employees", edits...) }
		}
		Eventually(edit(func(p *v1alpha1.LifecyclePolicy) { p.Spec.Guards.Leader = v1alpha1.GuardAllow })).Should(Succeed())
		Expect(edit(func(p *v1alpha1.LifecyclePolicy) { p.Spec.Messages.Deactivated = "Ask the People team" })()).To(Succeed())
		Expect(edit(leavingGroups("Project"))()).To(Succeed(), "what is done to memberships is not done by the account")
		Expect(edit(func(p *v1alpha1.LifecyclePolicy) { slices.Reverse(p.Spec.Effects) })()).To(Succeed(), "in another order")

		refused := beRefused(`pete may not have a policy act as the service account "lifecycle", and this request adds or changes the effects `)
		Expect(edit(closing("papers"))()).To(And(refused, MatchError(ContainSubstring("effects papers. Missing"))))
		for _, change := range []func(*v1alpha1.Effect){
			func(e *v1alpha1.Effect) {
				e.Resources.Patch = &runtime.RawExtension{Raw: []byte(`{"spec":{"state":"Lost"}}`)}
			},
			func(e *v1alpha1.Effect) { e.On = append(e.On, v1alpha1.StateExpired) },
			func(e *v1alpha1.Effect) { e.UserTypes = []string{"Customer"} },
		} {
			Expect(edit(func(p *v1alpha1.LifecyclePolicy) { change(effectOf(p, "tasks")) })()).To(And(refused, MatchError(ContainSubstring("effects tasks. Missing"))))
		}
		Expect(edit(func(p *v1alpha1.LifecyclePolicy) {
			p.Spec.Effects = slices.DeleteFunc(p.Spec.Effects, func(e v1alpha1.Effect) bool { return e.Name == "tasks" })
		})()).To(Succeed(), "less of it")
		Expect(edit(func(p *v1alpha1.LifecyclePolicy) { p.Spec.Effects, p.Spec.ServiceAccountName = nil, "" })()).To(Succeed(), "none of it")
		Expect(edit(actingAs("lifecycle"))()).To(beRefused(`this request names it`), "what was taken away is gone")
	})
})

var _ = Describe("Whoever says which policy a user is under", func() {
	It("needs the verb use on it, or, to take somebody out of one, on that", func(ctx context.Context) {
		acme := newNamespace(ctx)
		entitle(ctx, "jane", acme.name, rule(tenure, "users", "get", "create", "update"), named(rule(tenure, "lifecyclepolicies", "use"), "guests"))
		jane := as("jane")
		under := func(policy string) func(*v1alpha1.User) {
			return func(u *v1alpha1.User) { u.Spec.PolicyRef.Name = policy }
		}
		Eventually(func() error { return jane.Create(ctx, acme.newUser("alice")) }).Should(Succeed(), "of the organization's own, nobody is asked")
		Expect(editAs(ctx, jane, acme, "alice", under("employees"))).To(beRefused(`jane may not put anybody under the policy "employees" (spec.policyRef). ` +
			`Missing: the verb "use" on lifecyclepolicies.tenure.dev "employees" in namespace "` + acme.name + `"`))
		Expect(jane.Create(ctx, acme.newUser("bob", under("employees")))).To(beRefused(`jane may not put anybody under the policy "employees"`))

		Expect(jane.Create(ctx, acme.newUser("bob", under("guests")))).To(Succeed())
		Expect(editAs(ctx, jane, acme, "alice", under("guests"))).To(Succeed())
		Expect(editAs(ctx, jane, acme, "alice", under(""))).To(Succeed())

		acme.createUser(ctx, "kate", under("employees"))
		Expect(editAs(ctx, jane, acme, "kate", func(u *v1alpha1.User) { u.Spec.DisplayName = "Kate" })).To(Succeed(), "she stays under it")
		Expect(editAs(ctx, jane, acme, "kate", under(""))).To(beRefused(`jane may not take anybody out of the policy "employees"`, `the verb "use" on lifecyclepolicies.tenure.dev "employees"`))
	})

	It("is, among others, who administers the organization, who may yet not act as every service account", func(ctx context.Context) {
		acme := newNamespace(ctx)
		jane := acme.administrator(ctx, "tenure-admin", "jane")
		Expect(jane.Create(ctx, acme.newUser("alice", func(u *v1alpha1.User) { u.Spec.PolicyRef.Name = "employees" }))).To(Succeed())
		Expect(jane.Create(ctx, acme.newPolicy("employees", actingAs("lifecycle")))).To(beRefused(`the verb "impersonate" on serviceaccounts "lifecycle"`))
	})
})

var _ = Describe("A record", func() {
	It("is changed by nobody, not even in what no schema describes", func(ctx context.Context) {
		acme := newNamespace(ctx)
		operator := as(operatorUser)
		effect := v1alpha1.Effect{Name: "tasks", Resources: closingTasks()}
		record := &v1alpha1.Transition{
			ObjectMeta: metav1.ObjectMeta{Name: "user.alice.7", Namespace: acme.name},
			Spec: v1alpha1.TransitionSpec{
				Subject: v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: "alice", UID: "f81d4fae"},
				From:    v1alpha1.StateActive, To: v1alpha1.StateDeactivated, Cause: v1alpha1.TransitionCause{Type: v1alpha1.TransitionDeclared},
				Time: metav1.NewTime(inSeconds(0)), ObservedTime: metav1.NewTime(inSeconds(0)),
				Plan: []v1alpha1.PlannedEffect{{Effect: effect.Name, Action: v1alpha1.ActionPatch, Kind: "Task", Targets: 1, Definition: effect}},
			},
		}
		Expect(operator.Create(ctx, record)).To(Succeed())
		redefined := strings.Replace(string(must(json.Marshal(record.Spec.Plan[0].Definition))), `{"spec":`, `{"data":`, 1)
		for patch, refused := range map[string]gomegatypes.GomegaMatcher{
			`{"spec":{"reason":"It was never so"}}`: MatchError(apierrors.IsInvalid, "IsInvalid"),
			// What the schema does not see, because it describes none of it.
			`{"spec":{"plan":[{"effect":"tasks","action":"Patch","kind":"Task","targets":1,"definition":` + redefined + `}]}}`: beRefused(),
		} {
			for _, by := range []client.Client{operator, admin} {
				Expect(by.Patch(ctx, record.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)))).To(And(refused,
					MatchError(ContainSubstring("a Transition is a record of what happened and cannot be changed"))), patch)
			}
		}
		Eventually(acme.transition(ctx, record.Name)).Should(HaveField("Status.Conditions", Not(BeEmpty())), "what is noted about it is no change")
		Expect(kubectl("annotate", "transition", record.Name, "--namespace="+acme.name, "acme.example/note=seen")).To(ContainSubstring("annotated"))
	})
})

var _ = Describe("The name of a hold", func() {
	DescribeTable("is the operator's own, if it is one by which it goes:", func(ctx context.Context, name string) {
		acme := newOrganization(ctx)
		jane := acme.administrator(ctx, "tenure-admin", "jane")
		acme.createGroup(ctx, "course")
		acme.createUser(ctx, "kate")
		acme.join(ctx, "kate", "course")
		holds := func(m *v1alpha1.Membership) {
			m.Spec.Holds = append(m.Spec.Holds, v1alpha1.MembershipHold{Name: name, Status: v1alpha1.MembershipHoldDeactivated})
		}
		identity := func(u *v1alpha1.User) { annotate(u, v1alpha1.AnnotationIdentity, "f81d4fae-7dec") }

		refused := beRefused(`jane may not set the hold `+name+`: names that begin with effect-, user-suspended and user-removed are for the holds that Tenure sets`,
			`Choose another name`)
		Expect(editAs(ctx, jane, acme, "kate-course", holds)).To(refused)
		Expect(editAs(ctx, jane, acme, "kate", held(name, v1alpha1.UserHoldDeactivated))).To(refused)
		Expect(jane.Create(ctx, acme.newUser("ben", held(name, v1alpha1.UserHoldDeactivated)))).To(refused)
		Expect(jane.Create(ctx, acme.newMembership("ben", "course", holds))).To(refused)
		Expect(editAs(ctx, admin, acme, "kate-course", holds)).To(MatchError(ContainSubstring("may not set the hold " + name)))

		By("restoring from a backup")
		Expect(jane.Create(ctx, acme.newUser("ben", held(name, v1alpha1.UserHoldDeactivated), identity))).To(Succeed())
		Expect(editAs(ctx, jane, acme, "ben", func(u *v1alpha1.User) { u.Spec.DisplayName = "Ben" })).To(Succeed(), "it is there by now")
		entitle(ctx, "pete", acme.name, rule(tenure, "users", "create"))
		Eventually(func() error { return as("pete").Create(ctx, acme.newUser("carl")) }).Should(Succeed())
		Expect(as("pete").Create(ctx, acme.newUser("dan", held(name, v1alpha1.UserHoldDeactivated), identity))).To(
			MatchError(ContainSubstring(`the verb "restore" on users.tenure.dev "dan"`)), "who may not restore")
	},
		Entry("an effect's", "effect-teams"),
		Entry("a suspension's", v1alpha1.HoldUserSuspended),
		Entry("a removal's", v1alpha1.HoldUserRemoved),
	)

	It("is anybody's else", func(ctx context.Context) {
		acme := newNamespace(ctx)
		jane := acme.administrator(ctx, "tenure-admin", "jane")
		for i, name := range []string{"effect", "side-effect-1", "user-suspended-2", "removed"} {
			Expect(jane.Create(ctx, acme.newUser(fmt.Sprintf("kate%d", i), held(name, v1alpha1.UserHoldDeactivated)))).To(Succeed(), name)
		}
	})
})

var _ = Describe("Who stands in for somebody", func() {
	standIn := func(relation v1alpha1.Relation, name string) []v1alpha1.Acting {
		return []v1alpha1.Acting{{Relation: relation, Name: name, For: "dave", Transition: "user.dave.2"}}
	}
	supplies := func(u *v1alpha1.User) { u.Spec.Acting = standIn(v1alpha1.RelationManager, "olivia") }
	leads := func(g *v1alpha1.Group) { g.Spec.Acting = standIn(v1alpha1.RelationLeader, "olivia") }

	It("is for effects to say, and for nobody else but who restores a backup", func(ctx context.Context) {
		acme := newNamespace(ctx)
		entitle(ctx, "pete", acme.name, rule(tenure, "users", "get", "create", "update"), rule(tenure, "groups", "get", "create", "update"))
		pete := as("pete")
		Eventually(func() error { return pete.Create(ctx, acme.newUser("kate")) }).Should(Succeed())
		Expect(pete.Create(ctx, acme.newGroup("course", ledBy("dave")))).To(Succeed())
		jane := acme.administrator(ctx, "tenure-admin", "jane")
		for _, by := range []client.Client{pete, jane} {
			Eventually(func() error { return editAs(ctx, by, acme, "kate", supplies) }).Should(beRefused(
				`spec.acting (Manager) belongs to Tenure and can be neither set nor changed`, `release it: tenure.dev/release: acting-manager`))
			Expect(editAs(ctx, by, acme, "course", leads)).To(beRefused(`spec.acting (Leader) belongs to Tenure and can be neither set nor changed`))
		}
		Expect(editAs(ctx, admin, acme, "course", leads)).To(Succeed(), "who may act as the operator anyway")
		Expect(pete.Create(ctx, acme.newUser("ben", supplies))).To(beRefused(`pete may not supply spec.acting`, `ask for the verb "restore" on users.tenure.dev "ben"`))
		Expect(pete.Create(ctx, acme.newGroup("team", leads))).To(beRefused(`pete may not supply spec.acting`, `ask for the verb "restore" on groups.tenure.dev "team"`))

		Expect(jane.Create(ctx, acme.newUser("ben", supplies, func(u *v1alpha1.User) { u.Spec.ManagerRef.Name = "dave" }))).To(Succeed())
		Expect(jane.Create(ctx, acme.newGroup("team", ledBy("dave"), leads))).To(Succeed())
	})

	DescribeTable("is not lost to a file that does not know of it, nor changed by one that is old",
		func(ctx context.Context, first, sync string) {
			acme := newOrganization(ctx)
			acme.createUser(ctx, "dave", wasActive)
			acme.administrator(ctx, "tenure-admin", "argo")
			file := strings.ReplaceAll(`
apiVersion: tenure.dev/v1alpha1
kind: User
metadata: {name: kate, namespace: ACME}
spec: {userName: kate@clients.example, managerRef: {name: dave}, coachRef: {name: dave}}
---
apiVersion: tenure.dev/v1alpha1
kind: Group
metadata: {name: course, namespace: ACME}
spec: {leaderRef: {name: dave}}
`, "ACME", acme.name)
			Expect(kubectlWith(file, "--as=argo "+first)).To(ContainSubstring("kate"))
			operator := as(operatorUser)
			Expect(editAs(ctx, operator, acme, "kate", supplies)).To(Succeed())
			Expect(editAs(ctx, operator, acme, "kate", func(u *v1alpha1.User) {
				u.Spec.Acting = append(u.Spec.Acting, standIn(v1alpha1.RelationCoach, "olivia")...)
			})).To(Succeed())
			Expect(editAs(ctx, operator, acme, "course", leads)).To(Succeed())
			acting := func() (all []v1alpha1.Acting) {
				return append(must(acme.user(ctx, "kate")()).Spec.Acting, must(acme.group(ctx, "course")()).Spec.Acting...)
			}
			before := acting()
			Expect(before).To(HaveLen(3))
			for range 2 {
				Expect(kubectlWith(file, "--as=argo "+sync)).To(ContainSubstring("kate"))
				Expect(acting()).To(Equal(before))
			}
			Expect(acme.patchUser(ctx, admin, "kate", `{"spec":{"acting":[]}}`)).To(Succeed())
			Expect(acting()).To(Equal(before))
			Expect(acme.patchUser(ctx, as("argo"), "kate", `{"spec":{"acting":[{"relation":"Coach","for":"dave","name":"ben"}]}}`)).To(
				beRefused(`spec.acting (Coach) belongs to Tenure`))

			By("ending it")
			acme.editUser(ctx, "kate", releasing[*v1alpha1.User](v1alpha1.ReleaseActingCoach), func(u *v1alpha1.User) { u.Spec.ManagerRef.Name = "olivia" })
			Eventually(acme.user(ctx, "kate")).Should(HaveField("Spec.Acting", BeEmpty()))
		},
		Entry("by kubectl apply", "apply --filename=-", "apply --filename=-"),
		Entry("by server-side apply, as Flux does", serverSide, serverSide),
		Entry("by kubectl replace, as Argo CD's Replace does", "create --filename=-", "replace --filename=-"),
	)
})

// newPolicy is a policy that is not created yet.
func (o *organization) newPolicy(name string, edits ...func(*v1alpha1.LifecyclePolicy)) *v1alpha1.LifecyclePolicy {
	policy := &v1alpha1.LifecyclePolicy{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: o.name}}
	for _, edit := range edits {
		edit(policy)
	}
	return policy
}

func actingAs(account string) func(*v1alpha1.LifecyclePolicy) {
	return func(p *v1alpha1.LifecyclePolicy) { p.Spec.ServiceAccountName = account }
}

// closing adds an effect that closes tasks, of a kind that no cluster has.
func closing(effect string) func(*v1alpha1.LifecyclePolicy) {
	return func(p *v1alpha1.LifecyclePolicy) {
		p.Spec.Effects = append(p.Spec.Effects, v1alpha1.Effect{Name: effect, Resources: closingTasks()})
	}
}

func closingTasks() v1alpha1.ResourcesEffect {
	return v1alpha1.ResourcesEffect{
		APIVersion: "nowhere.example/v1", Kind: "Task", Reference: v1alpha1.ResourceReference{FieldPath: "spec.assignee"},
		Action: v1alpha1.ResourceAction(v1alpha1.ActionPatch), Patch: &runtime.RawExtension{Raw: []byte(`{"spec":{"state":"Closed","note":"Left"}}`)},
	}
}

// leavingGroups adds an effect that ends the memberships in groups of a type.
func leavingGroups(groupType string) func(*v1alpha1.LifecyclePolicy) {
	return func(p *v1alpha1.LifecyclePolicy) {
		p.Spec.Effects = append(p.Spec.Effects, v1alpha1.Effect{Name: "leave-" + strings.ToLower(groupType), Memberships: v1alpha1.MembershipsEffect{
			GroupTypes: []string{groupType}, Action: v1alpha1.MembershipAction(v1alpha1.ActionRemove),
		}})
	}
}

// effectOf is the effect of that name of a policy.
func effectOf(p *v1alpha1.LifecyclePolicy, name string) *v1alpha1.Effect {
	return &p.Spec.Effects[slices.IndexFunc(p.Spec.Effects, func(e v1alpha1.Effect) bool { return e.Name == name })]
}

package stories

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("Whoever writes a group", func() {
	It("grants only what they could bind themselves", func(ctx context.Context) {
		acme := newOrganization(ctx)
		target := acme.newTarget(ctx)
		jane := as("jane")
		entitle(ctx, "jane", acme.name, rule(tenure, "groups", "get", "create", "update"))
		entitle(ctx, "jane", target, rule(rbacv1.GroupName, "clusterroles", "get"))
		Expect(admin.Create(ctx, roleBinding(target, "jane-views", "ClusterRole", "view", "jane"))).To(Succeed())
		Eventually(func() error { return jane.Create(ctx, acme.newGroup("harmless")) }).Should(Succeed(), "a group without grants")

		create := func() error { return jane.Create(ctx, acme.newGroup("mentoring", granting("Mentor", "view", target))) }
		Expect(create()).To(beRefused(`jane may not grant roles in namespace "` + target +
			`". Missing: the verb "create" on rolebindings.rbac.authorization.k8s.io in that namespace`))
		entitle(ctx, "jane", target, rule(rbacv1.GroupName, "rolebindings", "create"))
		Eventually(create).Should(beRefused(`jane may not grant ClusterRole "view" in namespace "` + target +
			`". Missing: the verb "bind" on clusterroles.rbac.authorization.k8s.io "view" in that namespace (to have the role is not enough)`))
		entitle(ctx, "jane", target, named(rule(rbacv1.GroupName, "clusterroles", "bind"), "view"))
		Eventually(create).Should(Succeed())

		By("granting more than that")
		other := acme.newTarget(ctx)
		edit := func(by client.Client, edits ...func(*v1alpha1.Group)) error {
			return editAs(ctx, client.NewDryRunClient(by), acme, "mentoring", edits...)
		}
		Expect(edit(jane, granting("Boss", "edit", target))).To(beRefused(`may not grant ClusterRole "edit"`))
		Expect(edit(jane, granting("Boss", "view", other))).To(beRefused(`may not grant roles in namespace "` + other + `"`))
		Expect(edit(jane, func(g *v1alpha1.Group) {
			g.Spec.Roles[0].Grants[0].Namespaces = append(g.Spec.Roles[0].Grants[0].Namespaces, other)
		})).To(beRefused(`may not grant roles in namespace "` + other + `"`))
		Expect(edit(jane, func(g *v1alpha1.Group) {
			g.Spec.Roles[0].Grants[0].RoleRef.Kind = v1alpha1.RoleKindRole
		})).To(beRefused(`may not grant Role "view"`), "a Role of that name is another role")
		Expect(acme.grants(ctx, "mentoring")()).To(Equal([]string{"Mentor: ClusterRole view in " + target}))
	})

	It("leaves alone what somebody else has granted, and may take it back", func(ctx context.Context) {
		acme := newOrganization(ctx)
		target := acme.newTarget(ctx)
		acme.createGroup(ctx, "mentoring", granting("Mentor", "view", target))
		entitle(ctx, "pete", acme.name, rule(tenure, "groups", "get", "update"))
		pete := as("pete")
		edit := func(edits ...func(*v1alpha1.Group)) func() error {
			return func() error { return editAs(ctx, pete, acme, "mentoring", edits...) }
		}
		Eventually(edit(func(g *v1alpha1.Group) { g.Spec.DisplayName = "Mentoring 2026" })).Should(Succeed())
		Expect(edit(func(g *v1alpha1.Group) {
			g.Spec.Roles = append(g.Spec.Roles, v1alpha1.GroupRole{Name: "Mentee"})
			g.Spec.Roles[0].MinimumActive = new(int32(1))
		})()).To(Succeed(), "roles without grants")
		Expect(edit(func(g *v1alpha1.Group) {
			g.Spec.Roles[1].Grants, g.Spec.Roles[0].Grants = g.Spec.Roles[0].Grants, nil
		})()).To(beRefused(`pete may not grant`), "others would hold it")
		Expect(edit(func(g *v1alpha1.Group) { g.Spec.Roles[0].Name = "Everybody" })()).To(beRefused(`pete may not grant`))

		Expect(edit(func(g *v1alpha1.Group) { g.Spec.Roles[0].Grants = nil })()).To(Succeed())
		Expect(acme.grants(ctx, "mentoring")()).To(BeEmpty())
		Expect(edit(func(g *v1alpha1.Group) {
			granting("Mentor", "view", target)(g)
			g.Spec.Roles[0].Grants, g.Spec.Roles = g.Spec.Roles[2].Grants, g.Spec.Roles[:2]
		})()).To(beRefused(`pete may not grant`), "what was taken back is gone")
	})

	It("needs the right everywhere for more grants at once than can be checked one by one", func(ctx context.Context) {
		acme := newOrganization(ctx)
		entitle(ctx, "jane", acme.name, rule(tenure, "groups", "get", "create", "update"))
		var namespaces []string
		for i := range 24 {
			namespaces = append(namespaces, fmt.Sprintf("%s-%d", acme.name, i))
		}
		create := func(names ...string) func() error {
			return func() error {
				return as("jane").Create(ctx, acme.newGroup("mentoring", granting("Mentor", "view", names...)))
			}
		}
		Eventually(create(namespaces...)).Should(beRefused(`this request adds 24 grants`, `too many to check one by one`,
			`jane may not grant roles there. Missing: the verb "create" on rolebindings.rbac.authorization.k8s.io in all namespaces`,
			`Add the grants in steps of at most 12`))
		Expect(create(namespaces[:12]...)()).To(beRefused(`jane may not grant roles in namespace "` + namespaces[0] + `"`))

		everywhere := newClusterRole(ctx, "everywhere-"+acme.name, nil,
			rule(rbacv1.GroupName, "rolebindings", "create"), named(rule(rbacv1.GroupName, "clusterroles", "bind"), "view"))
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: everywhere},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: everywhere},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "jane"}},
		}
		Expect(admin.Create(ctx, binding)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(admin.Delete(ctx, binding)).To(Succeed()) })
		Eventually(create(namespaces...)).Should(Succeed())
	})
})

var _ = Describe("Whoever makes somebody a member", func() {
	It("needs the verb assign on the group, whether it exists and grants anything or not", func(ctx context.Context) {
		acme := newOrganization(ctx)
		target := acme.newTarget(ctx)
		acme.createGroup(ctx, "mentoring", granting("Mentor", "view", target))
		acme.createUser(ctx, "alice")
		entitle(ctx, "jane", acme.name, rule(tenure, "memberships", "get", "create", "update"))
		jane := as("jane")
		assign := func(group string) func() error {
			return func() error { return jane.Create(ctx, acme.newMembership("alice", group, withRoles("Mentor"))) }
		}
		Eventually(assign("mentoring")).Should(beRefused(`jane may not assign anybody to the group "mentoring"`, `this request creates a membership`,
			`Missing: the verb "assign" on groups.tenure.dev "mentoring" in namespace "`+acme.name+`"`))

		entitle(ctx, "jane", acme.name, named(rule(tenure, "groups", "assign"), "mentoring"))
		Eventually(assign("mentoring")).Should(Succeed())
		Eventually(acme.mayListPods(ctx, "alice", target)).Should(BeTrue())
		Expect(assign("board")()).To(beRefused(`jane may not assign anybody to the group "board"`), "which somebody may create later")
	})

	DescribeTable("needs it too to", func(ctx context.Context, what string, before, after func(*v1alpha1.Membership)) {
		acme := newOrganization(ctx)
		acme.join(ctx, "alice", "mentoring", withRoles("Mentor"), before)
		entitle(ctx, "pete", acme.name, rule(tenure, "memberships", "get", "update", "release", "reactivate"))
		edit := func() error { return editAs(ctx, as("pete"), acme, "alice-mentoring", after) }
		Eventually(edit).Should(beRefused(`pete may not assign anybody to the group "mentoring", and this request ` + what + `. Missing`))

		entitle(ctx, "pete", acme.name, rule(tenure, "groups", "assign"))
		Eventually(edit).Should(Succeed())
	},
		Entry("reactivate it", "reactivates the membership",
			membershipDesired(v1alpha1.MembershipDesiredDeactivated), membershipDesired(v1alpha1.MembershipDesiredActive)),
		Entry("give it anew", "reactivates the membership",
			membershipDesired(v1alpha1.MembershipDesiredRemoved), membershipDesired(v1alpha1.MembershipDesiredActive)),
		Entry("extend it", "lets the membership end later", membershipExpires(inSeconds(1800)), membershipExpires(inSeconds(3600))),
		Entry("let it last for ever", "lets the membership end later", membershipExpires(inSeconds(1800)), membershipExpires(time.Time{})),
		Entry("begin it earlier", "lets the membership begin earlier", membershipStarts(inSeconds(3600)), membershipStarts(inSeconds(60))),
		Entry("begin it at once", "lets the membership begin earlier", membershipStarts(inSeconds(3600)), membershipStarts(time.Time{})),
		Entry("add a role", "adds a role", withRoles("Mentor"), withRoles("Mentor", "Boss")),
		Entry("replace a role", "adds a role", withRoles("Mentor"), withRoles("Boss")),
		Entry("release a hold", "releases a hold",
			func(m *v1alpha1.Membership) {
				m.Spec.Holds = []v1alpha1.MembershipHold{{Name: "audit", Status: v1alpha1.MembershipHoldDeactivated}}
			}, releasing[*v1alpha1.Membership]("audit")),
	)

	It("does not need it for what gives nothing", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.join(ctx, "alice", "mentoring", withRoles("Mentor", "Boss"), membershipExpires(inSeconds(3600)))
		entitle(ctx, "pete", acme.name, rule(tenure, "memberships", "get", "update", "deactivate", "reactivate", "remove"))
		pete := as("pete")
		edit := func(edit func(*v1alpha1.Membership)) func() error {
			return func() error { return editAs(ctx, pete, acme, "alice-mentoring", edit) }
		}
		Eventually(edit(membershipExpires(inSeconds(1800)))).Should(Succeed(), "sooner")
		Expect(edit(withRoles("Mentor"))()).To(Succeed())
		Expect(edit(membershipStarts(inSeconds(600)))()).To(Succeed(), "later")
		Expect(edit(func(m *v1alpha1.Membership) { annotate(m, "acme.example/note", "met on Monday") })()).To(Succeed())
		Expect(edit(membershipDesired(v1alpha1.MembershipDesiredDeactivated, "Project is paused"))()).To(Succeed())
		Expect(edit(membershipDesired(v1alpha1.MembershipDesiredRemoved, "Project has ended"))()).To(Succeed())
		Expect(edit(membershipDesired(v1alpha1.MembershipDesiredDeactivated, "After all"))()).To(Succeed(), "which is no access either")
	})
})

var _ = Describe("A hold that is to be released", func() {
	It("needs the verb release, unless it is one's own and marked so", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "alice", wasActive, held("investigation", v1alpha1.UserHoldDeactivated), func(u *v1alpha1.User) {
			u.Spec.Holds = append(u.Spec.Holds, v1alpha1.UserHold{Name: "break", Status: v1alpha1.UserHoldOnBreak, Release: v1alpha1.ReleaseSelf})
		})
		for _, name := range []string{acme.userName("alice"), "pete"} {
			entitle(ctx, name, acme.name, rule(tenure, "users", "get", "update"))
		}
		release := func(by client.Client, holds ...string) func() error {
			return func() error { return editAs(ctx, by, acme, "alice", releasing[*v1alpha1.User](holds...)) }
		}
		alice, pete := as(acme.userName("alice")), as("pete")
		Eventually(release(pete, "break")).Should(beRefused(`pete may not release "break". Missing: the verb "release" on users.tenure.dev "alice"`))
		Eventually(release(alice, "investigation")).Should(beRefused(`may not release "investigation"`, `Without it one lifts only holds on oneself`))
		Expect(release(alice, "break", "investigation")()).To(beRefused(`may not release "break,investigation"`))
		Expect(release(alice, "break")()).To(Succeed())
		Eventually(acme.user(ctx, "alice")).Should(HaveField("Spec.Holds", ConsistOf(HaveField("Name", "investigation"))))

		entitle(ctx, "pete", acme.name, named(rule(tenure, "users", "release"), "alice"))
		Eventually(release(pete, "investigation")).Should(Succeed())
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
	})
})

var _ = Describe("An object that carries facts about itself", func() {
	It("is taken from those who may vouch for them", func(ctx context.Context) {
		acme := newOrganization(ctx)
		entitle(ctx, "jane", acme.name, rule(tenure, "users", "get", "create", "update"))
		jane := as("jane")
		create := func(name string, edits ...func(*v1alpha1.User)) func() error {
			return func() error { return jane.Create(ctx, acme.newUser(name, edits...)) }
		}
		Eventually(create("alice")).Should(Succeed())
		for _, annotation := range []string{v1alpha1.AnnotationIdentity, v1alpha1.AnnotationFirstActivity, v1alpha1.AnnotationHeldOpen} {
			claimed := func(u *v1alpha1.User) { annotate(u, annotation, "2026-01-02T03:04:05Z") }
			Expect(create("kate", claimed)()).To(beRefused(`jane may not supply ` + annotation + `: that continues the history of an object from a backup`))
			Expect(editAs(ctx, jane, acme, "alice", claimed)).To(beRefused(annotation + ` belongs to Tenure and can be neither set`))
			Expect(editAs(ctx, admin, acme, "alice", claimed)).To(beRefused(annotation+` belongs to Tenure and can be neither set`), "not even by the administrator")
		}
		Expect(create("kate", wasActive)()).To(beRefused(`jane may not say when somebody was last active`, `the verb "report" on users.tenure.dev "kate"`))
		Expect(editAs(ctx, jane, acme, "alice", wasActive)).To(beRefused(`jane may not say when somebody was last active`))

		By("restoring from a backup")
		entitle(ctx, "jane", acme.name, rule(tenure, "users", "restore", "report"))
		identity := func(u *v1alpha1.User) {
			annotate(u, v1alpha1.AnnotationIdentity, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
		}
		Eventually(create("kate", wasActive, identity)).Should(Succeed())
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		Expect(acme.user(ctx, "kate")()).To(HaveField("Annotations", HaveKeyWithValue(v1alpha1.AnnotationIdentity, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6")))
	})

	It("is given its status and its Transitions by the operator alone", func(ctx context.Context) {
		acme, _ := newMentoring(ctx)
		jane := acme.administrator(ctx, "tenure-admin", "jane")
		for _, act := range []string{
			"create transitions", "update transitions", "patch transitions", "delete transitions", "patch transitions/status",
			"patch organizations/status", "patch users/status", "patch groups/status", "patch memberships/status", "patch lifecyclepolicies/status",
		} {
			Expect(acme.allows(ctx, "jane", act)).To(BeFalse(), act)
		}
		Expect(acme.allows(ctx, "jane", "list transitions")).To(BeTrue(), "to be read by everybody")

		alice, err := acme.user(ctx, "alice")()
		Expect(err).NotTo(HaveOccurred())
		alice.Status.State = v1alpha1.StateRemoved
		Expect(jane.Status().Update(ctx, alice)).To(MatchError(apierrors.IsForbidden, "IsForbidden"))
		Expect(jane.Update(ctx, alice)).To(Succeed(), "what it says about the status is not taken")
		Consistently(acme.stateOf(ctx, "alice")).WithTimeout(10 * often).Should(Equal(v1alpha1.StateActive))

		record, err := acme.transition(ctx, "user.alice.1")()
		Expect(err).NotTo(HaveOccurred())
		record.Spec.Reason = "It was never so"
		Expect(admin.Update(ctx, record)).To(MatchError(apierrors.IsInvalid, "IsInvalid"), "nobody rewrites a record")
	})
})

var _ = Describe("An Organization", func() {
	It("is named as its namespace, so that there is one at most", func(ctx context.Context) {
		acme := newNamespace(ctx)
		Expect(admin.Create(ctx, &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: "globex", Namespace: acme.name}})).To(
			beRefused(`an Organization is named as its namespace, of which it holds the settings: call this one "` + acme.name + `"`))
		Expect(admin.Create(ctx, &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: acme.name, Namespace: acme.name}})).To(Succeed())
	})
})

const tenure = "tenure.dev"

// beRefused matches a refusal by an admission policy that says all of this.
func beRefused(texts ...string) OmegaMatcher {
	matchers := []OmegaMatcher{MatchError(apierrors.IsForbidden, "IsForbidden"), MatchError(ContainSubstring("ValidatingAdmissionPolicy"))}
	for _, text := range texts {
		matchers = append(matchers, MatchError(ContainSubstring(text)))
	}
	return And(matchers...)
}

// entitle gives somebody rights in a namespace, by a Role of their own. They take effect in a moment.
func entitle(ctx context.Context, username, namespace string, rules ...rbacv1.PolicyRule) {
	GinkgoHelper()
	entitled := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "entitled-", Namespace: namespace}, Rules: rules}
	Expect(admin.Create(ctx, entitled)).To(Succeed())
	Expect(admin.Create(ctx, roleBinding(namespace, entitled.Name, "Role", entitled.Name, username))).To(Succeed())
}

func roleBinding(namespace, name, roleKind, roleName, username string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: roleKind, Name: roleName},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: username}},
	}
}

// named limits a rule to objects of these names.
func named(rule rbacv1.PolicyRule, names ...string) rbacv1.PolicyRule {
	rule.ResourceNames = names
	return rule
}

func membershipStarts(at time.Time) func(*v1alpha1.Membership) {
	return func(m *v1alpha1.Membership) { m.Spec.StartTime = metav1.NewTime(at) }
}

// grants are what a group grants, as role: kind name in namespace.
func (o *organization) grants(ctx context.Context, name string) func() ([]string, error) {
	return func() ([]string, error) {
		group, err := o.group(ctx, name)()
		grants := []string{}
		for _, r := range group.Spec.Roles {
			for _, g := range r.Grants {
				for _, namespace := range g.Namespaces {
					grants = append(grants, fmt.Sprintf("%s: %s %s in %s", r.Name, g.RoleRef.Kind, g.RoleRef.Name, namespace))
				}
			}
		}
		return grants, err
	}
}

package stories

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("Access", func() {
	It("is real, and there exactly while the membership is active",
		Label("S1.1"), func(ctx context.Context) {
			acme := newOrganization(ctx)
			target := acme.newTarget(ctx)
			acme.createUser(ctx, "alice", wasActive)
			acme.createGroup(ctx, "mentoring", granting("Mentor", "view", target))
			alice := as(acme.userName("alice"))
			listPods := func() error { return alice.List(ctx, &corev1.PodList{}, client.InNamespace(target)) }
			Expect(listPods()).To(MatchError(apierrors.IsForbidden, "IsForbidden"))

			acme.join(ctx, "alice", "mentoring", withRoles("Mentor"))
			Eventually(listPods).Should(Succeed())
			Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + target}))
			Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)).Should(
				Equal("True Reconciled: What is declared is in force; granted: ClusterRole view in " + target))

			acme.editMembership(ctx, "alice-mentoring", membershipDesired(v1alpha1.MembershipDesiredDeactivated))
			Eventually(listPods).Should(MatchError(apierrors.IsForbidden, "IsForbidden"))
			Expect(acme.grantsOf(ctx, "alice")()).To(BeEmpty())
			answer, err := kubectl("auth", "can-i", "list", "pods", "--namespace", target, "--as", acme.userName("alice"))
			Expect(err).To(HaveOccurred(), "kubectl says no with its exit code too")
			Expect(answer).To(HavePrefix("no"))

			acme.editMembership(ctx, "alice-mentoring", membershipDesired(v1alpha1.MembershipDesiredActive))
			Eventually(listPods).Should(Succeed())
			Expect(kubectl("auth", "can-i", "list", "pods", "--namespace", target, "--as", acme.userName("alice"))).To(HavePrefix("yes"))
		})

	DescribeTable("ends with the user's own, and comes back with it to a membership that was kept",
		func(ctx context.Context, state v1alpha1.State, cause v1alpha1.CauseType, end, back func(*v1alpha1.User)) {
			acme, target := newMentoring(ctx)
			acme.editUser(ctx, "alice", end)
			Eventually(acme.mayListPods(ctx, "alice", target)).Should(BeFalse())
			Eventually(acme.stateOf(ctx, "alice")).Should(Equal(state))
			Eventually(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StatePaused))
			Expect(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionActive)()).To(HavePrefix("False " + string(cause)))
			Expect(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)()).To(HavePrefix("True "), "a paused membership is as it should be")

			acme.editUser(ctx, "alice", back)
			Eventually(acme.mayListPods(ctx, "alice", target)).Should(BeTrue())
			Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + target}))
			Eventually(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StateActive))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, "alice-mentoring")()).To(Equal([]string{"→Active(Declared)"}),
				"the pause is told in the user's own record")
		},
		Entry("when the user is deactivated and reactivated",
			Label("S1.9", "S2.1", "S2.22", "S3.12", "S3.13", "S3.35", "S3.36", "S4.31", "S4.33"),
			v1alpha1.StateDeactivated, v1alpha1.CauseUserDeactivated,
			desired(v1alpha1.UserDesiredDeactivated, "Project is paused"), desired(v1alpha1.UserDesiredActive)),
		Entry("when the user expires and the date is moved",
			Label("S1.15", "S1.29"),
			v1alpha1.StateExpired, v1alpha1.CauseUserExpired,
			func(u *v1alpha1.User) { expires(inSeconds(1))(u) }, func(u *v1alpha1.User) { expires(inSeconds(3600))(u) }),
	)

	It("in one group is independent of that in another, though both grant the same",
		Label("S0.22", "S0.61", "S0.62"), func(ctx context.Context) {
			acme, target := newMentoring(ctx)
			acme.createGroup(ctx, "board", granting("Member", "view", target))
			acme.join(ctx, "alice", "board", withRoles("Member"))
			Eventually(acme.grantsOf(ctx, "alice")).Should(Equal([]string{"view@" + target, "view@" + target}))

			acme.editMembership(ctx, "alice-mentoring", membershipDesired(v1alpha1.MembershipDesiredDeactivated))
			Eventually(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StateDeactivated))
			Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + target}))
			Expect(acme.mayListPods(ctx, "alice", target)()).To(BeTrue())
			Expect(acme.membershipStateOf(ctx, "alice-board")()).To(Equal(v1alpha1.StateActive))
			Expect(acme.stateOf(ctx, "alice")()).To(Equal(v1alpha1.StateActive))
		})
})

var _ = Describe("Grants", func() {
	It("follow the roles of the membership and of the group", func(ctx context.Context) {
		acme := newOrganization(ctx)
		one, two := acme.newTarget(ctx), acme.newTarget(ctx)
		acme.createUser(ctx, "alice", wasActive)
		acme.createGroup(ctx, "mentoring", granting("Mentor", "view", one, two), granting("Editor", "edit", two), granting("Reader", "view", one))
		acme.join(ctx, "alice", "mentoring", withRoles("Mentor", "Editor", "Reader"))
		Eventually(acme.grantsOf(ctx, "alice")).Should(ConsistOf("view@"+one, "view@"+two, "edit@"+two),
			"one RoleBinding for each role in each namespace, however many roles of the group give it")

		By("taking two roles from the membership")
		acme.editMembership(ctx, "alice-mentoring", withRoles("Reader"))
		Eventually(acme.grantsOf(ctx, "alice")).Should(ConsistOf("view@" + one))

		By("giving one of them back")
		acme.editMembership(ctx, "alice-mentoring", withRoles("Reader", "Editor"))
		Eventually(acme.grantsOf(ctx, "alice")).Should(ConsistOf("view@"+one, "edit@"+two))

		By("letting a role of the group grant something else")
		acme.editGroup(ctx, "mentoring", func(g *v1alpha1.Group) {
			g.Spec.Roles[1].Grants[0].RoleRef.Name, g.Spec.Roles[1].Grants[0].Namespaces = "view", []string{one, two}
		})
		Eventually(acme.grantsOf(ctx, "alice")).Should(ConsistOf("view@"+one, "view@"+two))

		By("taking the role out of the group")
		acme.editGroup(ctx, "mentoring", func(g *v1alpha1.Group) { g.Spec.Roles = g.Spec.Roles[2:] })
		Eventually(acme.grantsOf(ctx, "alice")).Should(ConsistOf("view@" + one))
		Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)).Should(
			Equal("False UnknownGroupRole: Group mentoring has no role Editor; the other roles are in force"))
	})

	It("go with the group, and are given again when it is back", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		acme.deleteObject("group", "mentoring")
		Eventually(acme.grantsOf(ctx, "alice")).Should(BeEmpty())
		Eventually(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StatePending))
		Expect(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionResolvedRefs)()).To(
			Equal("False GroupNotFound: Group mentoring does not exist; the membership begins when it does"))

		acme.createGroup(ctx, "mentoring", granting("Mentor", "view", target))
		Eventually(acme.mayListPods(ctx, "alice", target)).Should(BeTrue())
		Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionResolvedRefs)).Should(HavePrefix("True Resolved"))
	})

	It("wait for a user and a group that do not exist yet, which is no error", func(ctx context.Context) {
		acme := newOrganization(ctx)
		target := acme.newTarget(ctx)
		acme.join(ctx, "alice", "mentoring", withRoles("Mentor"))
		Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionResolvedRefs)).Should(
			Equal("False UserNotFound: User alice does not exist; the membership begins when it does"))
		Expect(acme.membershipStateOf(ctx, "alice-mentoring")()).To(Equal(v1alpha1.StatePending))

		acme.createUser(ctx, "alice", wasActive)
		Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionResolvedRefs)).Should(
			Equal("False GroupNotFound: Group mentoring does not exist; the membership begins when it does"))

		acme.createGroup(ctx, "mentoring", granting("Mentor", "view", target))
		Eventually(acme.mayListPods(ctx, "alice", target)).Should(BeTrue())
		Eventually(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StateActive))
		Expect(acme.warningsOf(ctx, "Membership", "alice-mentoring")()).To(BeEmpty())
	})

	It("take names as long as they may be", func(ctx context.Context) {
		acme := newOrganization(ctx)
		target := acme.newTarget(ctx)
		user, group := strings.Repeat("a", 63), strings.Repeat("g.", 31)+"g"
		acme.createUser(ctx, user, wasActive)
		acme.createGroup(ctx, group, granting(strings.Repeat("R", 63), "view", target))
		membership := acme.join(ctx, user, group, withRoles(strings.Repeat("R", 63)), func(m *v1alpha1.Membership) {
			m.Name = strings.Repeat("m-", 31) + "m"
		})
		Eventually(acme.grantsOf(ctx, user)).Should(Equal([]string{"view@" + target}))
		Eventually(acme.membershipCondition(ctx, membership.Name, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
	})
})

var _ = Describe("A RoleBinding of a grant", func() {
	DescribeTable("is put right, with a Warning Event, when somebody",
		func(ctx context.Context, meddle func(ctx context.Context, acme *organization, binding *rbacv1.RoleBinding) error) {
			acme, target := newMentoring(ctx)
			acme.createUser(ctx, "bob", wasActive)
			acme.join(ctx, "bob", "mentoring")
			Eventually(acme.membershipCondition(ctx, "bob-mentoring", v1alpha1.ConditionReady)).Should(HavePrefix("True"))
			as := acme.bindingOf(ctx, "alice")
			before, err := as()
			Expect(err).NotTo(HaveOccurred())

			Expect(meddle(ctx, acme, before.DeepCopy())).To(Succeed())
			Eventually(as).Should(And(
				HaveField("Labels", before.Labels), HaveField("Subjects", before.Subjects), HaveField("RoleRef", before.RoleRef)))
			Eventually(acme.warningsOf(ctx, "Membership", "alice-mentoring")).Should(
				ConsistOf(HavePrefix("GrantRepaired: RoleBinding " + before.Namespace + "/" + before.Name + " had ")))
			Expect(acme.mayListPods(ctx, "alice", target)()).To(BeTrue())
			Expect(acme.mayListPods(ctx, "bob", target)()).To(BeFalse())
			Expect(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)()).To(HavePrefix("True"))
		},
		Entry("deletes it", func(ctx context.Context, _ *organization, binding *rbacv1.RoleBinding) error {
			return admin.Delete(ctx, binding)
		}),
		Entry("adds a subject", func(ctx context.Context, acme *organization, binding *rbacv1.RoleBinding) error {
			binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: acme.userName("bob")})
			return admin.Update(ctx, binding)
		}),
		Entry("replaces the subject", func(ctx context.Context, acme *organization, binding *rbacv1.RoleBinding) error {
			binding.Subjects[0].Name = acme.userName("bob")
			return admin.Update(ctx, binding)
		}),
		Entry("strips its labels", func(ctx context.Context, _ *organization, binding *rbacv1.RoleBinding) error {
			binding.Labels = nil
			return admin.Update(ctx, binding)
		}),
		Entry("strips the labels and adds a subject", func(ctx context.Context, acme *organization, binding *rbacv1.RoleBinding) error {
			binding.Labels = nil
			binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: acme.userName("bob")})
			return admin.Update(ctx, binding)
		}),
		Entry("labels it as another membership's", func(ctx context.Context, _ *organization, binding *rbacv1.RoleBinding) error {
			binding.Labels[v1alpha1.LabelMembership], binding.Labels[v1alpha1.LabelUser] = "bob-mentoring", "bob"
			return admin.Update(ctx, binding)
		}),
	)

	It("is taken away when it belongs to a membership that is not there", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		binding, err := acme.bindingOf(ctx, "alice")()
		Expect(err).NotTo(HaveOccurred())
		orphan := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "orphan", Namespace: target, Labels: binding.Labels},
			RoleRef:    binding.RoleRef, Subjects: binding.Subjects,
		}
		orphan.Labels[v1alpha1.LabelMembership] = "nobody-mentoring"
		Expect(admin.Create(ctx, orphan)).To(Succeed())
		Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(orphan), orphan) }).Should(
			MatchError(apierrors.IsNotFound, "IsNotFound"))
		Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + target}))
	})
})

var _ = Describe("A grant that is refused", func() {
	It("by the namespace, which must opt in, is given from the moment it does until it does not", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		shut := newNamespace(ctx).name
		acme.editGroup(ctx, "mentoring", granting("Helper", "view", shut))
		acme.editMembership(ctx, "alice-mentoring", withRoles("Mentor", "Helper"))
		Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)).Should(
			Equal("False GrantRefused: Not granted: ClusterRole view in namespace " + shut +
				": the namespace must opt in with the annotation tenure.dev/grants-from: " + acme.name))
		Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + target}), "the other grants are in force")
		Eventually(acme.warningsOf(ctx, "Membership", "alice-mentoring")).Should(ConsistOf(HavePrefix("GrantRefused: ")))

		letIn(shut, "other, "+acme.name)
		Eventually(acme.mayListPods(ctx, "alice", shut)).Should(BeTrue())
		Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)).Should(HavePrefix("True"))

		letIn(shut, "other")
		Eventually(acme.mayListPods(ctx, "alice", shut)).Should(BeFalse())
		Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)).Should(HavePrefix("False GrantRefused"))
		Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + target}))
	})

	It("because the namespace does not exist is given when it does", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		later := "later-" + acme.name
		acme.editGroup(ctx, "mentoring", granting("Helper", "view", later))
		acme.editMembership(ctx, "alice-mentoring", withRoles("Mentor", "Helper"))
		Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)).Should(
			Equal("False GrantRefused: Not granted: ClusterRole view in namespace " + later + ": the namespace does not exist"))

		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: later, Annotations: map[string]string{v1alpha1.AnnotationGrantsFrom: acme.name}}}
		Expect(admin.Create(ctx, ns)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(admin.Delete(ctx, ns)).To(Succeed()) })
		Eventually(acme.grantsOf(ctx, "alice")).Should(ConsistOf("view@"+target, "view@"+later))
		Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)).Should(HavePrefix("True"))
	})

	It("because the role is not grantable says what to do, and is given when that is done", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		releaser := newClusterRole(ctx, "releaser-"+acme.name, nil, rule("", "pods", "get"))
		acme.editGroup(ctx, "mentoring", granting("Boss", "admin", target), granting("Releaser", releaser, target))
		acme.editMembership(ctx, "alice-mentoring", withRoles("Mentor", "Boss", "Releaser"))
		ready := acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)
		Eventually(ready).Should(Equal("False GrantRefused: Not granted: ClusterRole admin in namespace " + target +
			": the operator may not bind this role; the ClusterRole tenure-grantable must list it; ClusterRole " + releaser +
			" in namespace " + target + ": the operator may not bind this role; the ClusterRole tenure-grantable must list it"))
		Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + target}), "the other grants are in force")
		Eventually(acme.warningsOf(ctx, "Membership", "alice-mentoring")).Should(ConsistOf(HavePrefix("GrantRefused: ")))

		grantable := rule(rbacv1.GroupName, "clusterroles", "bind")
		grantable.ResourceNames = []string{releaser}
		newClusterRole(ctx, "grantable-"+acme.name, map[string]string{"tenure.dev/aggregate-to-grantable": "true"}, grantable)
		Eventually(acme.grantsOf(ctx, "alice")).Should(ConsistOf("view@"+target, releaser+"@"+target))
		Eventually(ready).Should(And(HavePrefix("False GrantRefused"), Not(ContainSubstring(releaser))), "admin is still refused")
	})

	It("because the role does not exist says so", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		acme.editGroup(ctx, "mentoring", granting("Nobody", "nonesuch", target))
		acme.editMembership(ctx, "alice-mentoring", withRoles("Mentor", "Nobody"))
		Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)).Should(
			Equal("False GrantRefused: Not granted: ClusterRole nonesuch in namespace " + target + ": the role does not exist"))
		Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + target}))
	})

	It("by the namespace's quota says what the API server says, and is given when there is room", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		full := acme.newTarget(ctx)
		quota := noRoomFor(ctx, full, "count/rolebindings.rbac.authorization.k8s.io")
		acme.editGroup(ctx, "mentoring", granting("Helper", "view", full))
		acme.editMembership(ctx, "alice-mentoring", withRoles("Mentor", "Helper"))
		Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)).Should(
			And(HavePrefix("False GrantRefused: Not granted: ClusterRole view in namespace "+full+": "), ContainSubstring("exceeded quota")))
		Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + target}))

		Expect(admin.Delete(ctx, quota)).To(Succeed())
		Eventually(acme.mayListPods(ctx, "alice", full)).Should(BeTrue())
	})

	It("a hundred times over does not burst the status", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		acme.editGroup(ctx, "mentoring", func(g *v1alpha1.Group) {
			crowd := v1alpha1.GroupRole{Name: "Everywhere"}
			for i := range 16 {
				grant := v1alpha1.Grant{RoleRef: v1alpha1.RoleReference{Kind: v1alpha1.RoleKindRole, Name: fmt.Sprintf("role-%d", i)}}
				for j := range 32 {
					grant.Namespaces = append(grant.Namespaces, fmt.Sprintf("%s-%d", strings.Repeat("nowhere", 8), j))
				}
				crowd.Grants = append(crowd.Grants, grant)
			}
			g.Spec.Roles = append(g.Spec.Roles, crowd)
		})
		acme.editMembership(ctx, "alice-mentoring", withRoles("Mentor", "Everywhere"))
		Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)).Should(
			And(HavePrefix("False GrantRefused: Not granted: Role role-0 in namespace nowhere"), HaveSuffix("…")))
		Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + target}))
	})
})

var _ = Describe("An organization that is not complete", func() {
	It("gives no grant while it has no Organization or no administrator, computes states, and says what is missing",
		func(ctx context.Context) {
			acme := newNamespace(ctx)
			target := acme.newTarget(ctx)
			acme.createUser(ctx, "alice", wasActive)
			acme.createUser(ctx, "kate", wasActive, desired(v1alpha1.UserDesiredDeactivated, "Left"))
			acme.createGroup(ctx, "mentoring", granting("Mentor", "view", target))
			acme.join(ctx, "alice", "mentoring", withRoles("Mentor"))
			ready := acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)
			Eventually(ready).Should(Equal("False OrganizationNotFound: Nothing is granted: namespace " + acme.name +
				" has no Organization; create one with the name " + acme.name))
			Eventually(acme.userCondition(ctx, "alice", v1alpha1.ConditionReady)).Should(HavePrefix("False OrganizationNotFound"))
			Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateDeactivated))
			Expect(acme.membershipStateOf(ctx, "alice-mentoring")()).To(Equal(v1alpha1.StateActive))
			Expect(acme.grantsOf(ctx, "alice")()).To(BeEmpty())

			Expect(admin.Create(ctx, &v1alpha1.Organization{
				ObjectMeta: metav1.ObjectMeta{Name: acme.name, Namespace: acme.name},
				Spec:       v1alpha1.OrganizationSpec{OwnerRef: v1alpha1.Reference{Name: "alice"}},
			})).To(Succeed())
			Eventually(ready).Should(Equal("False NoActiveAdmin: Nothing is granted: organization " + acme.name +
				" has no user with access and one of the roles Admin, Owner"))
			Eventually(acme.settingsCondition(ctx, v1alpha1.ConditionReady)).Should(
				Equal("False NoActiveAdmin: No user with access has one of the roles Admin, Owner: create one. Until then no new access is granted"))
			Eventually(acme.userCondition(ctx, "alice", v1alpha1.ConditionReady)).Should(HavePrefix("True"))
			Expect(acme.grantsOf(ctx, "alice")()).To(BeEmpty())

			acme.createUser(ctx, "ann", role("Admin"))
			Eventually(acme.mayListPods(ctx, "alice", target)).Should(BeTrue())
			Eventually(ready).Should(HavePrefix("True"))
			Eventually(acme.settingsCondition(ctx, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
		})

	It("takes nothing when its Organization is deleted, grants nothing new, and still closes access on time",
		func(ctx context.Context) {
			acme, target := newMentoring(ctx)
			date := inSeconds(4)
			acme.createUser(ctx, "kate", wasActive, expires(date))
			acme.join(ctx, "kate", "mentoring", withRoles("Mentor"))
			Eventually(acme.mayListPods(ctx, "kate", target)).Should(BeTrue())

			expectRefused("delete", "organization", acme.name, "--namespace", acme.name)
			settings, err := acme.settings(ctx)()
			Expect(err).NotTo(HaveOccurred())
			Expect(acme.unasked(ctx).Delete(ctx, settings)).To(Succeed())
			Eventually(acme.userCondition(ctx, "alice", v1alpha1.ConditionReady)).Should(HavePrefix("False OrganizationNotFound"))
			acme.createUser(ctx, "bob", wasActive)
			acme.join(ctx, "bob", "mentoring", withRoles("Mentor"))
			Eventually(acme.membershipCondition(ctx, "bob-mentoring", v1alpha1.ConditionReady)).Should(HavePrefix("False OrganizationNotFound"))
			Expect(acme.grantsOf(ctx, "bob")()).To(BeEmpty())

			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateExpired))
			kate, err := acme.user(ctx, "kate")()
			Expect(err).NotTo(HaveOccurred())
			Expect(kate.Status.StateTime.Time).To(BeTemporally("==", date))
			Expect(acme.grantsOf(ctx, "kate")()).To(BeEmpty())
			Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + target}), "nothing was taken")
			Expect(acme.mayListPods(ctx, "alice", target)()).To(BeTrue())
		})
})

// newMentoring creates an organization in which Alice, as a mentor, may list the pods of the target namespace.
func newMentoring(ctx context.Context) (acme *organization, target string) {
	GinkgoHelper()
	acme = newOrganization(ctx)
	target = acme.newTarget(ctx)
	acme.createUser(ctx, "alice", wasActive)
	acme.createGroup(ctx, "mentoring", granting("Mentor", "view", target))
	acme.join(ctx, "alice", "mentoring", withRoles("Mentor"))
	Eventually(acme.mayListPods(ctx, "alice", target)).Should(BeTrue())
	Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)).Should(HavePrefix("True"))
	return acme, target
}

// bindingOf is the only RoleBinding of a user, read by its name whatever somebody has made of it.
func (o *organization) bindingOf(ctx context.Context, name string) func() (*rbacv1.RoleBinding, error) {
	GinkgoHelper()
	bindings, err := o.bindingsOf(ctx, name)
	Expect(err).NotTo(HaveOccurred())
	Expect(bindings).To(HaveLen(1))
	return func() (*rbacv1.RoleBinding, error) {
		binding := &rbacv1.RoleBinding{}
		return binding, admin.Get(ctx, client.ObjectKeyFromObject(&bindings[0]), binding)
	}
}

// letIn lets organizations grant roles in a namespace, and no others.
func letIn(namespace, organizations string) {
	GinkgoHelper()
	_, err := kubectl("annotate", "namespace", namespace, "--overwrite", v1alpha1.AnnotationGrantsFrom+"="+organizations)
	Expect(err).NotTo(HaveOccurred())
}

// noRoomFor sets a quota of none. No quota controller runs here, so the story writes what it would.
func noRoomFor(ctx context.Context, namespace string, what corev1.ResourceName) *corev1.ResourceQuota {
	GinkgoHelper()
	none := corev1.ResourceList{what: resource.MustParse("0")}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "full", Namespace: namespace}, Spec: corev1.ResourceQuotaSpec{Hard: none},
	}
	Expect(admin.Create(ctx, quota)).To(Succeed())
	quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none}
	Expect(admin.Status().Update(ctx, quota)).To(Succeed())
	return quota
}

// newClusterRole creates a ClusterRole that goes with the story.
func newClusterRole(ctx context.Context, name string, labels map[string]string, rules ...rbacv1.PolicyRule) string {
	GinkgoHelper()
	created := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Rules: rules}
	Expect(admin.Create(ctx, created)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(admin.Delete(ctx, created)).To(Succeed()) })
	return name
}

func rule(apiGroup, resources string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{apiGroup}, Resources: []string{resources}, Verbs: verbs}
}

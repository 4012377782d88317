package stories

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("Of two users with the same", func() {
	DescribeTable("the older wins; the other gets no access, says so, and takes over when the older one goes:",
		func(ctx context.Context, field string, same func(acme *organization, u *v1alpha1.User)) {
			acme := newOrganization(ctx)
			target := acme.newTarget(ctx)
			acme.createGroup(ctx, "mentoring", granting("Mentor", "view", target))
			acme.createUser(ctx, "zoe", wasActive)
			acme.join(ctx, "zoe", "mentoring", withRoles("Mentor"))
			Eventually(acme.mayListPods(ctx, "zoe", target)).Should(BeTrue())
			nextSecond()
			acme.createUser(ctx, "alice", wasActive, func(u *v1alpha1.User) { same(acme, u) })
			acme.join(ctx, "alice", "mentoring", withRoles("Mentor"))

			says := "User zoe, which is older, has the same " + field + " " + acme.userName("zoe") + ": no access is given to this one. Change or delete one of the two"
			Eventually(acme.userCondition(ctx, "alice", v1alpha1.ConditionReady)).Should(Equal("False Duplicate: " + says))
			Expect(acme.stateOf(ctx, "alice")()).To(Equal(v1alpha1.StatePending))
			Expect(acme.userCondition(ctx, "alice", v1alpha1.ConditionActive)()).To(HavePrefix("False Duplicate: "))
			Eventually(acme.warningsOf(ctx, "User", "alice")).Should(ConsistOf("Duplicate: " + says))
			Eventually(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StatePaused))
			Expect(acme.bindings(ctx, "alice")()).To(BeZero())
			Expect(acme.stateOf(ctx, "zoe")()).To(Equal(v1alpha1.StateActive))
			Expect(acme.userCondition(ctx, "zoe", v1alpha1.ConditionReady)()).To(HavePrefix("True"))
			Expect(acme.mayListPods(ctx, "zoe", target)()).To(BeTrue(), "the older one notices nothing")

			acme.deleteObject("user", "zoe")
			Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
			Eventually(acme.userCondition(ctx, "alice", v1alpha1.ConditionReady)).Should(HavePrefix("True"))
			Eventually(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StateActive))
			Eventually(acme.bindings(ctx, "alice")).Should(Equal(1))
			Expect(acme.bindings(ctx, "zoe")()).To(BeZero())
		},
		Entry("userName", "userName", func(acme *organization, u *v1alpha1.User) { u.Spec.UserName = acme.userName("zoe") }),
		Entry("e-mail, in whatever case it is written", "e-mail", func(acme *organization, u *v1alpha1.User) {
			u.Spec.Email = strings.ToUpper(acme.userName("zoe"))
		}),
	)

	It("e-mail the older one may take another, and both have access", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "zoe", wasActive)
		nextSecond()
		acme.createUser(ctx, "alice", func(u *v1alpha1.User) { u.Spec.Email = acme.userName("zoe") })
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StatePending))

		acme.editUser(ctx, "zoe", func(u *v1alpha1.User) { u.Spec.Email = "zoe.ang@" + acme.name + ".example" })
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActivated))
		Expect(acme.stateOf(ctx, "zoe")()).To(Equal(v1alpha1.StateActive))
	})

	It("e-mail one who was there before, and takes it later, still goes before a younger one", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "zoe", wasActive)
		nextSecond()
		acme.createUser(ctx, "alice", wasActive)
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))

		acme.editUser(ctx, "zoe", func(u *v1alpha1.User) { u.Spec.Email = acme.userName("alice") })
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StatePending))
		Expect(acme.stateOf(ctx, "zoe")()).To(Equal(v1alpha1.StateActive))
		Eventually(acme.settings(ctx)).Should(HaveField("Status.Users", v1alpha1.UserCounts{Total: 3, Active: 2, Pending: 1}))
	})

	It("e-mail in different organizations, both have access", func(ctx context.Context) {
		acme, other := newOrganization(ctx), newOrganization(ctx)
		acme.createUser(ctx, "zoe")
		other.createUser(ctx, "zoe", func(u *v1alpha1.User) { u.Spec.Email, u.Spec.UserName = acme.userName("zoe"), acme.userName("zoe") })
		Eventually(acme.stateOf(ctx, "zoe")).Should(Equal(v1alpha1.StateActivated))
		Eventually(other.stateOf(ctx, "zoe")).Should(Equal(v1alpha1.StateActivated))
	})
})

var _ = Describe("Of two memberships of the same user and group", func() {
	It("the older wins; the other gives no access, says so, and takes over when the older one goes", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		nextSecond()
		acme.join(ctx, "alice", "mentoring", withRoles("Mentor"), func(m *v1alpha1.Membership) { m.Name = "a-second-one" })
		says := "Membership alice-mentoring, which is older, is of the same user and group: this one is not in force. Delete one of the two"
		Eventually(acme.membershipCondition(ctx, "a-second-one", v1alpha1.ConditionReady)).Should(Equal("False Duplicate: " + says))
		Expect(acme.membershipStateOf(ctx, "a-second-one")()).To(Equal(v1alpha1.StatePending))
		Eventually(acme.warningsOf(ctx, "Membership", "a-second-one")).Should(ConsistOf("Duplicate: " + says))
		Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + target}), "that of the older")
		Expect(acme.membershipStateOf(ctx, "alice-mentoring")()).To(Equal(v1alpha1.StateActive))
		Eventually(acme.group(ctx, "mentoring")).Should(HaveField("Status.Members", v1alpha1.MembershipCounts{Active: 1, Total: 2}))

		acme.deleteObject("membership", "alice-mentoring")
		Eventually(acme.membershipStateOf(ctx, "a-second-one")).Should(Equal(v1alpha1.StateActive))
		Eventually(acme.mayListPods(ctx, "alice", target)).Should(BeTrue())
		Eventually(acme.membershipCondition(ctx, "a-second-one", v1alpha1.ConditionReady)).Should(HavePrefix("True"))
	})

	It("one that is Removed does not stand in the way, and one that is Deactivated does", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		nextSecond()
		acme.join(ctx, "alice", "mentoring", withRoles("Mentor"), func(m *v1alpha1.Membership) { m.Name = "a-second-one" })
		Eventually(acme.membershipStateOf(ctx, "a-second-one")).Should(Equal(v1alpha1.StatePending))

		acme.editMembership(ctx, "alice-mentoring", membershipDesired(v1alpha1.MembershipDesiredDeactivated))
		Eventually(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StateDeactivated))
		Consistently(acme.membershipStateOf(ctx, "a-second-one")).Should(Equal(v1alpha1.StatePending), "that would be a way around it")
		Expect(acme.mayListPods(ctx, "alice", target)()).To(BeFalse())

		acme.editMembership(ctx, "alice-mentoring", membershipDesired(v1alpha1.MembershipDesiredRemoved))
		Eventually(acme.membershipStateOf(ctx, "a-second-one")).Should(Equal(v1alpha1.StateActive))
		Eventually(acme.mayListPods(ctx, "alice", target)).Should(BeTrue())
	})
})

// bindings is how many RoleBindings a user has, whatever userName they are for.
func (o *organization) bindings(ctx context.Context, name string) func() (int, error) {
	return func() (int, error) {
		bindings, err := o.bindingsOf(ctx, name)
		return len(bindings), err
	}
}

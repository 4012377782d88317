package stories

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("The status of an organization", func() {
	It("counts users by state, administrators and seats, and its row leads to the users behind a number",
		Label("S0.11", "S0.25"), func(ctx context.Context) {
			acme := newOrganization(ctx)
			acme.createUser(ctx, "pending", starts(inSeconds(3600)))
			acme.createUser(ctx, "activated")
			acme.createUser(ctx, "active", wasActive, role("Admin"))
			acme.createUser(ctx, "onbreak", desired(v1alpha1.UserDesiredOnBreak, "Sabbatical"))
			acme.createUser(ctx, "deactivated", desired(v1alpha1.UserDesiredDeactivated, "Project is paused"), role("Admin"))
			acme.createUser(ctx, "expired", expires(inSeconds(-3600)))
			acme.createUser(ctx, "suspended", desired(v1alpha1.UserDesiredSuspended, "Broke the rules"))
			acme.createUser(ctx, "removed", desired(v1alpha1.UserDesiredRemoved, "Has left for good"))

			Eventually(acme.settings(ctx)).Should(HaveField("Status.Users", v1alpha1.UserCounts{
				Total: 9, Pending: 1, Activated: 1, Active: 2, OnBreak: 1, Deactivated: 1, Expired: 1, Suspended: 1, Removed: 1,
			}))
			settings, err := acme.settings(ctx)()
			Expect(err).NotTo(HaveOccurred())
			Expect(settings.Status.SeatsUsed).To(BeEquivalentTo(4), "whoever has access, used or not")
			Expect(settings.Status.Admins.Active).To(BeEquivalentTo(2), "Olivia and active")
			Expect(condition(settings.Status.Conditions, v1alpha1.ConditionSeatsAvailable)).To(Equal("True Unlimited: The number of seats is not limited"))

			row, err := kubectl("get", "organization", "--namespace", acme.name, "--no-headers")
			Expect(err).NotTo(HaveOccurred())
			Expect(strings.Fields(row)[:4]).To(Equal([]string{acme.name, "9", "2", "4"}), "NAME USERS ACTIVE SEATS")
			Expect(kubectl("get", "users", "--namespace", acme.name, "--field-selector", "status.state=Active", "--output=name")).To(
				Equal("user.tenure.dev/active\nuser.tenure.dev/olivia\n"))
		})

	It("says when there are more users than seats, and when there are enough again: whoever loses access frees a seat",
		Label("S0.12", "S0.60"), func(ctx context.Context) {
			acme := newOrganization(ctx, func(o *v1alpha1.Organization) { o.Spec.Seats = new(int32(2)) })
			acme.createUser(ctx, "alice", wasActive)
			seats := acme.settingsCondition(ctx, v1alpha1.ConditionSeatsAvailable)
			Eventually(seats).Should(Equal("True WithinSeats: 2 of 2 seats are used"))

			acme.createUser(ctx, "bob")
			acme.createUser(ctx, "carol")
			Eventually(seats).Should(Equal("False SeatsExceeded: 4 of 2 seats are used: deactivate users who do not need one, or raise seats"))
			Eventually(acme.warningsOf(ctx, "Organization", acme.name)).Should(ConsistOf(MatchRegexp(`^SeatsExceeded: [34] of 2 seats are used: `)))
			Eventually(acme.stateOf(ctx, "carol")).Should(Equal(v1alpha1.StateActivated), "it is reported, not refused")
			Expect(acme.settingsCondition(ctx, v1alpha1.ConditionReady)()).To(HavePrefix("True"))

			acme.editUser(ctx, "bob", desired(v1alpha1.UserDesiredDeactivated, "Does not need it"))
			Eventually(seats).Should(HavePrefix("False SeatsExceeded: 3 of 2 seats are used"))
			acme.editUser(ctx, "carol", desired(v1alpha1.UserDesiredSuspended, "Broke the rules"))
			Eventually(seats).Should(Equal("True WithinSeats: 2 of 2 seats are used"))
			Expect(acme.settings(ctx)()).To(HaveField("Status.SeatsUsed", int32(2)))
			Eventually(acme.eventsOf(ctx, "Organization", acme.name)).Should(Equal([]string{"SeatsExceeded", "SeatsAvailable"}))

			acme.editSettings(ctx, func(o *v1alpha1.Organization) { o.Spec.Seats = new(int32(1)) })
			Eventually(seats).Should(HavePrefix("False SeatsExceeded: 2 of 1 seats are used"), "at once when the number is lowered")
		})

	It("counts, where memberships take the seats, each user with at least one that is active, once",
		Label("S0.12", "S0.60", "S0.61", "S0.62", "S0.63"), func(ctx context.Context) {
			acme := newOrganization(ctx, func(o *v1alpha1.Organization) { o.Spec.SeatCounting = v1alpha1.SeatUsersWithActiveMembership })
			acme.createGroup(ctx, "mentoring")
			acme.createGroup(ctx, "board")
			acme.createUser(ctx, "alice", wasActive)
			acme.createUser(ctx, "bob", wasActive)
			acme.createUser(ctx, "idle", wasActive)
			acme.join(ctx, "alice", "mentoring")
			acme.join(ctx, "alice", "board")
			acme.join(ctx, "bob", "board")
			used := func() (int32, error) {
				settings, err := acme.settings(ctx)()
				return settings.Status.SeatsUsed, err
			}
			Eventually(acme.user(ctx, "alice")).Should(HaveField("Status.Memberships", v1alpha1.MembershipCounts{Active: 2, Total: 2}))
			Eventually(used).Should(BeEquivalentTo(2), "Alice once, and neither Olivia nor idle")

			acme.editMembership(ctx, "alice-board", membershipDesired(v1alpha1.MembershipDesiredDeactivated))
			Eventually(acme.user(ctx, "alice")).Should(HaveField("Status.Memberships", v1alpha1.MembershipCounts{Active: 1, Total: 2}))
			Consistently(used).Should(BeEquivalentTo(2), "active in one group and deactivated in another is one seat")
			Expect(acme.stateOf(ctx, "alice")()).To(Equal(v1alpha1.StateActive))

			acme.editMembership(ctx, "alice-mentoring", membershipDesired(v1alpha1.MembershipDesiredDeactivated))
			Eventually(used).Should(BeEquivalentTo(1))
			acme.editUser(ctx, "bob", desired(v1alpha1.UserDesiredSuspended, "Broke the rules"))
			Eventually(used).Should(BeEquivalentTo(0))
			Expect(acme.stateOf(ctx, "alice")()).To(Equal(v1alpha1.StateActive))

			acme.editSettings(ctx, func(o *v1alpha1.Organization) { o.Spec.SeatCounting = v1alpha1.SeatActiveUsers })
			Eventually(used).Should(BeEquivalentTo(3), "everybody with access, however idle")
		})
})

var _ = Describe("The status of a group", func() {
	It("counts members and says whether the leader is there", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createGroup(ctx, "mentoring", ledBy("dave"))
		Eventually(acme.groupCondition(ctx, "mentoring", v1alpha1.ConditionReady)).Should(
			Equal("False UnknownReference: The leader, User dave, does not exist: create the user, or name another leader in leaderRef"))

		acme.createUser(ctx, "dave", wasActive)
		acme.createUser(ctx, "kate", wasActive)
		acme.join(ctx, "dave", "mentoring")
		acme.join(ctx, "kate", "mentoring")
		acme.join(ctx, "nobody", "mentoring")
		members := func() (v1alpha1.MembershipCounts, error) {
			group, err := acme.group(ctx, "mentoring")()
			return group.Status.Members, err
		}
		leader := func() (v1alpha1.GroupLeader, error) {
			group, err := acme.group(ctx, "mentoring")()
			return group.Status.Leader, err
		}
		Eventually(members).Should(Equal(v1alpha1.MembershipCounts{Active: 2, Total: 3}))
		Eventually(leader).Should(Equal(v1alpha1.GroupLeader{Name: "dave", Active: true}))
		Eventually(acme.groupCondition(ctx, "mentoring", v1alpha1.ConditionReady)).Should(HavePrefix("True"))
		row, err := kubectl("get", "group", "mentoring", "--namespace", acme.name, "--no-headers")
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Fields(row)[:5]).To(Equal([]string{"mentoring", "Program", "dave", "2", "3"}), "NAME TYPE LEADER ACTIVE TOTAL")

		By("the leader losing access, and somebody standing in")
		acme.editUser(ctx, "dave", desired(v1alpha1.UserDesiredDeactivated, "Parental leave"))
		Eventually(leader).Should(Equal(v1alpha1.GroupLeader{Name: "dave"}))
		Eventually(members).Should(Equal(v1alpha1.MembershipCounts{Active: 1, Total: 3}))
		acme.editGroup(ctx, "mentoring", func(g *v1alpha1.Group) {
			g.Spec.Acting = []v1alpha1.Acting{{Relation: v1alpha1.RelationLeader, Name: "olivia", For: "dave", Transition: "user.dave.2"}}
		})
		Eventually(leader).Should(Equal(v1alpha1.GroupLeader{Name: "olivia", Active: true, Acting: true}))
		Expect(acme.group(ctx, "mentoring")()).To(HaveField("Spec.LeaderRef.Name", "dave"), "what is declared stays")

		By("naming somebody else")
		acme.editGroup(ctx, "mentoring", ledBy("kate"))
		Eventually(leader).Should(Equal(v1alpha1.GroupLeader{Name: "kate", Active: true}), "nobody stands in for Kate")

		By("a membership being taken back")
		acme.deleteObject("membership", "nobody-mentoring")
		Eventually(members).Should(Equal(v1alpha1.MembershipCounts{Active: 1, Total: 2}))
	})

	It("says which role is short of active holders, as soon as it is and until it is not", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "alice", wasActive)
		acme.createUser(ctx, "bob", wasActive)
		acme.createGroup(ctx, "mentoring", func(g *v1alpha1.Group) {
			g.Spec.Roles = []v1alpha1.GroupRole{{Name: "Mentor", MinimumActive: new(int32(2))}, {Name: "Guest"}}
		})
		staffed := acme.groupCondition(ctx, "mentoring", v1alpha1.ConditionStaffed)
		Eventually(staffed).Should(Equal("False Understaffed: role Mentor has 0 active of at least 2: give the role to another active member"))
		acme.join(ctx, "alice", "mentoring", withRoles("Mentor"))
		acme.join(ctx, "bob", "mentoring", withRoles("Mentor", "Guest"))
		Eventually(staffed).Should(Equal("True Staffed: Every role has as many active holders as it needs"))
		Expect(acme.warningsOf(ctx, "Group", "mentoring")()).To(BeEmpty(), "that a new group has no members is no news")

		acme.editUser(ctx, "bob", expires(inSeconds(1)))
		Eventually(staffed).Should(HavePrefix("False Understaffed: role Mentor has 1 active of at least 2"))
		Eventually(acme.warningsOf(ctx, "Group", "mentoring")).Should(ConsistOf(HavePrefix("Understaffed: role Mentor has 1 active of at least 2")))
		Expect(acme.stateOf(ctx, "bob")()).To(Equal(v1alpha1.StateExpired), "no group keeps a door open")
		Expect(acme.groupCondition(ctx, "mentoring", v1alpha1.ConditionReady)()).To(HavePrefix("True"))

		acme.editUser(ctx, "bob", func(u *v1alpha1.User) { u.Spec.ExpirationTime = metav1.Time{} })
		Eventually(staffed).Should(HavePrefix("True Staffed"))
		Expect(editAs(ctx, acme.unasked(ctx), acme, "bob-mentoring", withRoles("Guest"))).To(Succeed())
		Eventually(staffed).Should(HavePrefix("False Understaffed: role Mentor has 1 active of at least 2"), "a role that was given up")
		acme.editGroup(ctx, "mentoring", func(g *v1alpha1.Group) { g.Spec.Roles[0].MinimumActive = new(int32(1)) })
		Eventually(staffed).Should(HavePrefix("True Staffed"))
	})
})

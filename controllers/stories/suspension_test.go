package stories

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("A suspension", func() {
	It("deactivates every membership for good: lifting it brings none of them back (cases 5 and 17)",
		Label("S0.23", "S0.59", "S0.60", "S0.64"), func(ctx context.Context) {
			acme := newOrganization(ctx)
			programs := []string{"course", "office", "team"}
			for _, program := range programs {
				acme.createProgram(ctx, program)
			}
			acme.createUser(ctx, "kate", wasActive)
			acme.enrol(ctx, "kate", v1alpha1.StateActive, programs...)
			acme.editMembership(ctx, "kate-team", membershipDesired(v1alpha1.MembershipDesiredDeactivated, "The team is closed"))
			Eventually(acme.membershipStateOf(ctx, "kate-team")).Should(Equal(v1alpha1.StateDeactivated))
			Eventually(acme.grantsOf(ctx, "kate")).Should(HaveLen(2))
			Eventually(acme.settings(ctx)).Should(HaveField("Status.SeatsUsed", Equal(int32(2))))

			acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredSuspended, "Fraud"))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateSuspended))
			for _, program := range programs {
				Eventually(acme.membershipStateOf(ctx, "kate-"+program)).Should(Equal(v1alpha1.StateDeactivated))
			}
			Expect(acme.grantsOf(ctx, "kate")()).To(BeEmpty())
			Eventually(acme.settings(ctx)).Should(HaveField("Status.SeatsUsed", Equal(int32(1))))
			course, err := acme.membership(ctx, "kate-course")()
			Expect(err).NotTo(HaveOccurred())
			Expect(course.Spec.DesiredStatus).To(Equal(v1alpha1.MembershipDesiredActive), "what people declared stays theirs")
			Expect(whyOf(course.Status.Causes)).To(Equal([]string{"Deactivated:Hold/user-suspended", "Paused:UserSuspended/kate"}))
			Expect(condition(course.Status.Conditions, v1alpha1.ConditionActive)).To(HavePrefix("False Hold: Deactivated since "))
			acme.waitForEffects(ctx, "kate")
			entered, err := acme.transition(ctx, "user.kate.2")()
			Expect(err).NotTo(HaveOccurred())
			Expect(entered.Status.Progress).To(Equal("3/3"))

			acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredActive))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
			Consistently(acme.grantsOf(ctx, "kate")).WithTimeout(time.Second).Should(BeEmpty())
			for program, why := range map[string][]string{
				"course": {"Deactivated:Hold/user-suspended"},
				"office": {"Deactivated:Hold/user-suspended"},
				"team":   {"Deactivated:Declared", "Deactivated:Hold/user-suspended"},
			} {
				Eventually(acme.whyMember(ctx, "kate-"+program)).Should(Equal(why), program)
				Expect(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, "kate-"+program)()).To(HaveLen(2))
			}
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, "kate-course")()).To(Equal([]string{
				"→Active(Declared)", "Active→Deactivated(Held)",
			}), "directly, and once")

			acme.editMembership(ctx, "kate-course", releasing[*v1alpha1.Membership]("user-suspended"))
			Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateActive))
			acme.editMembership(ctx, "kate-team", releasing[*v1alpha1.Membership]("user-suspended"))
			Eventually(acme.whyMember(ctx, "kate-team")).Should(Equal([]string{"Deactivated:Declared"}), "it keeps its own cause")
			Expect(acme.membershipStateOf(ctx, "kate-office")()).To(Equal(v1alpha1.StateDeactivated))
			Eventually(acme.grantsOf(ctx, "kate")).Should(HaveLen(1))
		})

	It("pauses the memberships where the policy says so: they come back with the user", func(ctx context.Context) {
		acme := newOrganization(ctx)
		Expect(admin.Create(ctx, &v1alpha1.LifecyclePolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "lenient", Namespace: acme.name},
			Spec:       v1alpha1.LifecyclePolicySpec{Suspension: v1alpha1.Suspension{Memberships: v1alpha1.SuspensionPause}},
		})).To(Succeed())
		editObject(ctx, acme, acme.name, func(org *v1alpha1.Organization) { org.Spec.DefaultPolicyRef.Name = "lenient" })
		Eventually(func(g Gomega) {
			org, err := acme.settings(ctx)()
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(org.Status.ObservedGeneration).To(Equal(org.Generation))
			g.Expect(condition(org.Status.Conditions, v1alpha1.ConditionReady)).To(HavePrefix("True"), "the policy is known")
		}).Should(Succeed())
		course := acme.createProgram(ctx, "course")
		acme.createUser(ctx, "kate", wasActive)
		acme.enrol(ctx, "kate", v1alpha1.StateActive, "course")
		Eventually(acme.mayListPods(ctx, "kate", course)).Should(BeTrue())

		acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredSuspended, "Fraud"))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateSuspended))
		Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StatePaused))
		Expect(acme.whyMember(ctx, "kate-course")()).To(Equal([]string{"Paused:UserSuspended/kate"}))
		Expect(acme.mayListPods(ctx, "kate", course)()).To(BeFalse())
		m, err := acme.membership(ctx, "kate-course")()
		Expect(err).NotTo(HaveOccurred())
		Expect(m.Spec.Holds).To(BeEmpty())

		acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredActive))
		Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateActive))
		Eventually(acme.mayListPods(ctx, "kate", course)).Should(BeTrue())
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, "kate-course")()).To(Equal([]string{"→Active(Declared)"}))
	})

	It("puts its hold on a membership that is created meanwhile", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createProgram(ctx, "course")
		acme.createUser(ctx, "kate", wasActive, desired(v1alpha1.UserDesiredSuspended, "Fraud"))
		Expect(acme.unasked(ctx).Create(ctx, acme.newMembership("kate", "course", withRoles("Member")))).To(Succeed())
		Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateDeactivated))
		m, err := acme.membership(ctx, "kate-course")()
		Expect(err).NotTo(HaveOccurred())
		Expect(m.Spec.Holds).To(ConsistOf(HaveField("Name", v1alpha1.HoldUserSuspended)))

		acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredActive))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		Eventually(acme.whyMember(ctx, "kate-course")).Should(Equal([]string{"Deactivated:Hold/user-suspended"}))
		Consistently(acme.grantsOf(ctx, "kate")).WithTimeout(time.Second).Should(BeEmpty())
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, "kate-course")()).To(Equal([]string{"→Deactivated(Held)"}))
	})

	It("that is lifted at once still leaves its hold on every membership, and no access comes back in between (case 16)",
		func(ctx context.Context) {
			acme := newOrganization(ctx)
			programs := []string{"course", "office"}
			for _, program := range programs {
				acme.createProgram(ctx, program)
			}
			// So many that the holds take a while.
			for room := range 30 {
				programs = append(programs, acme.createGroup(ctx, fmt.Sprintf("room-%d", room)).Name)
			}
			kate := acme.createUser(ctx, "kate", wasActive)
			acme.enrol(ctx, "kate", v1alpha1.StateActive, programs...)
			Eventually(acme.grantsOf(ctx, "kate")).Should(HaveLen(2))
			for range 2 {
				acme.waitForEffects(ctx, "kate")
				changes, suspended := acme.watchGrants(ctx, "kate"), acme.nextChangeOf(ctx, "kate")
				acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredSuspended, "Fraud"))
				Expect(suspended().Spec.To).To(Equal(v1alpha1.StateSuspended))
				Expect(admin.Patch(ctx, kate, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"desiredStatus":"Active"}}`)))).To(Succeed())

				Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
				acme.waitForEffects(ctx, "kate")
				for _, program := range programs {
					Eventually(acme.whyMember(ctx, "kate-"+program)).Should(Equal([]string{"Deactivated:Hold/user-suspended"}), program)
				}
				Expect(acme.grantsOf(ctx, "kate")()).To(BeEmpty())
				Expect(changes()).NotTo(ContainElement(HavePrefix("ADDED")), "no access while the holds were on their way")

				for _, program := range programs {
					acme.editMembership(ctx, "kate-"+program, releasing[*v1alpha1.Membership](v1alpha1.HoldUserSuspended))
				}
				Eventually(acme.grantsOf(ctx, "kate")).Should(HaveLen(2))
			}
		})

	It("by a hold gives back, when that is released, the status that was declared all the time (case 20)", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createProgram(ctx, "course")
		acme.createUser(ctx, "kate", wasActive, desired(v1alpha1.UserDesiredOnBreak, "Writing a thesis"))
		acme.enrol(ctx, "kate", v1alpha1.StateActive, "course")
		acme.editUser(ctx, "kate", held("security", v1alpha1.UserHoldSuspended))
		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Suspended:Hold/security", "OnBreak:Declared"}))
		Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateDeactivated))

		acme.editUser(ctx, "kate", releasing[*v1alpha1.User]("security"))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateOnBreak))
		Expect(acme.membershipStateOf(ctx, "kate-course")()).To(Equal(v1alpha1.StateDeactivated))
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{
			"→OnBreak(Declared)", "OnBreak→Suspended(Held)", "Suspended→OnBreak(Released)",
		}))
	})
})

var _ = Describe("The deactivation of one membership", func() {
	It("leaves the user and the other memberships as they are, and the seat in use",
		Label("S0.21", "S0.22", "S0.61", "S0.62", "S0.63"), func(ctx context.Context) {
			acme := newOrganization(ctx)
			course, team := acme.createProgram(ctx, "course"), acme.createProgram(ctx, "team")
			acme.createUser(ctx, "kate", wasActive)
			acme.enrol(ctx, "kate", v1alpha1.StateActive, "course", "team")
			Eventually(acme.mayListPods(ctx, "kate", course)).Should(BeTrue())
			Eventually(acme.mayListPods(ctx, "kate", team)).Should(BeTrue())

			acme.editMembership(ctx, "kate-team", membershipDesired(v1alpha1.MembershipDesiredDeactivated, "The team is closed"))
			Eventually(acme.membershipStateOf(ctx, "kate-team")).Should(Equal(v1alpha1.StateDeactivated))
			Eventually(acme.mayListPods(ctx, "kate", team)).Should(BeFalse())
			Expect(acme.membershipStateOf(ctx, "kate-course")()).To(Equal(v1alpha1.StateActive))
			Expect(acme.mayListPods(ctx, "kate", course)()).To(BeTrue())
			Eventually(acme.user(ctx, "kate")).Should(HaveField("Status.Memberships", v1alpha1.MembershipCounts{Active: 1, Total: 2}))
			Expect(acme.stateOf(ctx, "kate")()).To(Equal(v1alpha1.StateActive))
			Eventually(acme.settings(ctx)).Should(HaveField("Status.SeatsUsed", Equal(int32(2))), "Olivia's and Kate's one")
			Expect(kubectl("get", "memberships.tenure.dev", "-n", acme.name)).To(And(
				MatchRegexp(`(?m)^kate-course\s+kate\s+course\s+\["Member"\]\s+Active\s`),
				MatchRegexp(`(?m)^kate-team\s+kate\s+team\s+\["Member"\]\s+Deactivated\s+Declared\s`)))

			acme.editMembership(ctx, "kate-team", membershipDesired(v1alpha1.MembershipDesiredActive))
			Eventually(acme.membershipStateOf(ctx, "kate-team")).Should(Equal(v1alpha1.StateActive))
			Eventually(acme.mayListPods(ctx, "kate", team)).Should(BeTrue())
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, "kate-team")()).To(Equal([]string{
				"→Active(Declared)", "Active→Deactivated(Declared)", "Deactivated→Active(Declared)",
			}))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{"→Active(Declared)"}))
		})
})

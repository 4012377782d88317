package stories

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("An absence", func() {
	It("pauses access from its first instant to its last, by itself, and all is as before when it is over",
		Label("S3.2", "S3.3", "S3.8", "S3.12", "S3.13", "S3.35", "S3.36", "S4.1"), func(ctx context.Context) {
			acme := newOrganization(ctx)
			course := acme.createProgram(ctx, "course")
			acme.createUser(ctx, "kate", wasActive)
			acme.enrol(ctx, "kate", v1alpha1.StateActive, "course")
			Eventually(acme.mayListPods(ctx, "kate", course)).Should(BeTrue())
			start, end := inSeconds(2), inSeconds(5)
			acme.editUser(ctx, "kate", absent("parental-leave", start, end, v1alpha1.AbsenceDeactivated))
			Eventually(acme.user(ctx, "kate")).Should(HaveField("Status.Next", Equal("Deactivated on "+inWords(start))))

			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateDeactivated))
			Expect(time.Now()).To(BeTemporally(">=", start))
			Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StatePaused))
			Expect(acme.mayListPods(ctx, "kate", course)()).To(BeFalse())
			kate, err := acme.user(ctx, "kate")()
			Expect(err).NotTo(HaveOccurred())
			Expect(whyOf(kate.Status.Causes)).To(Equal([]string{"Deactivated:Absence/parental-leave"}))
			Expect(kate.Status.StateTime.Time).To(BeTemporally("==", start))
			Expect(kate.Status.NextTransitionTime.Time).To(BeTemporally("==", end))
			Expect(kate.Status.NextState).To(Equal(v1alpha1.StateActive))
			Expect(condition(kate.Status.Conditions, v1alpha1.ConditionActive)).To(Equal("False Absence: Deactivated since " +
				inWords(start) + ": absence parental-leave; Active on " + inWords(end)))
			Expect(kate.Status.Next).To(Equal("Active on " + inWords(end)))

			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
			Expect(time.Now()).To(BeTemporally(">=", end))
			Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateActive))
			Eventually(acme.mayListPods(ctx, "kate", course)).Should(BeTrue())
			kate, err = acme.user(ctx, "kate")()
			Expect(err).NotTo(HaveOccurred())
			Expect(kate.Status.StateTime.Time).To(BeTemporally("==", end))
			Expect(kate.Status.NextTransitionTime.IsZero()).To(BeTrue())
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{
				"→Active(Declared)", "Active→Deactivated(AbsenceStarted)", "Deactivated→Active(AbsenceEnded)",
			}))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, "kate-course")()).To(Equal([]string{"→Active(Declared)"}))
			Eventually(acme.eventsOf(ctx, "User", "kate")).Should(Equal([]string{"Deactivated", "Active"}))
		})

	It("without an end lasts until it is taken out", func(ctx context.Context) {
		acme := newOrganization(ctx)
		start := inSeconds(-3600)
		acme.createUser(ctx, "kate", wasActive)
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		acme.editUser(ctx, "kate", absent("illness", start, time.Time{}, v1alpha1.AbsenceDeactivated))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateDeactivated))
		kate, err := acme.user(ctx, "kate")()
		Expect(err).NotTo(HaveOccurred())
		Expect(kate.Status.NextTransitionTime.IsZero()).To(BeTrue())
		Expect(kate.Status.Next).To(BeEmpty())

		acme.editUser(ctx, "kate", func(u *v1alpha1.User) { u.Spec.Absences = nil })
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{
			"→Active(Declared)", "Active→Deactivated(AbsenceStarted)", "Deactivated→Active(Declared)",
		}))
	})

	It("follows another one without a moment between them", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "kate", wasActive)
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		first, second, third, end := inSeconds(1), inSeconds(3), inSeconds(5), inSeconds(3600)
		acme.editUser(ctx, "kate",
			absent("thesis", first, second, v1alpha1.AbsenceOnBreak),
			absent("holiday", second, third, v1alpha1.AbsenceDeactivated),
			absent("parental-leave", third, end, v1alpha1.AbsenceDeactivated))

		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateOnBreak))
		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Deactivated:Absence/holiday"}))
		Expect(time.Now()).To(BeTemporally(">=", second))
		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Deactivated:Absence/parental-leave"}))
		Expect(time.Now()).To(BeTemporally(">=", third))
		kate, err := acme.user(ctx, "kate")()
		Expect(err).NotTo(HaveOccurred())
		Expect(kate.Status.StateTime.Time).To(BeTemporally("==", second), "the next absence of the same status is no change")
		Expect(kate.Status.NextTransitionTime.Time).To(BeTemporally("==", end))
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{
			"→Active(Declared)", "Active→OnBreak(AbsenceStarted)", "OnBreak→Deactivated(AbsenceStarted)",
		}))
	})

	It("that ends during a suspension leaves no trace behind it (case 6)", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "kate", wasActive)
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredSuspended, "Fraud"))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateSuspended))
		start, end := inSeconds(0), inSeconds(2)
		acme.editUser(ctx, "kate", absent("holiday", start, end, v1alpha1.AbsenceDeactivated))
		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Suspended:Declared", "Deactivated:Absence/holiday"}))
		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Suspended:Declared"}))
		Expect(time.Now()).To(BeTemporally(">=", end))

		acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredActive))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{
			"→Active(Declared)", "Active→Suspended(Declared)", "Suspended→Active(Declared)",
		}))
		Eventually(acme.eventsOf(ctx, "User", "kate")).Should(Equal([]string{"Suspended", "Active"}))
	})

	It("that starts after the expiry changes nothing, and is visible behind it (case 7)", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "kate", wasActive, expires(inSeconds(-3600)))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateExpired))
		start, end := inSeconds(1), inSeconds(3600)
		acme.editUser(ctx, "kate", absent("holiday", start, end, v1alpha1.AbsenceDeactivated))
		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Expired:Expired"}))

		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Expired:Expired", "Deactivated:Absence/holiday"}))
		Expect(time.Now()).To(BeTemporally(">=", start))
		Expect(acme.stateOf(ctx, "kate")()).To(Equal(v1alpha1.StateExpired))
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{"→Expired(Expired)"}))

		acme.editUser(ctx, "kate", expires(end))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateDeactivated))
		Expect(acme.why(ctx, "kate")()).To(Equal([]string{"Deactivated:Absence/holiday"}))
	})
})

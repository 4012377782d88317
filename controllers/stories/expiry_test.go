package stories

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("Expiry", func() {
	It("ends access at the declared instant, and gives back the state before when the date is moved (case 1)",
		Label("S1.15", "S1.17", "S1.21", "S1.29", "S1.31"), func(ctx context.Context) {
			acme := newOrganization(ctx)
			course := acme.createProgram(ctx, "course")
			acme.createUser(ctx, "kate", wasActive)
			acme.enrol(ctx, "kate", v1alpha1.StateActive, "course")
			Eventually(acme.mayListPods(ctx, "kate", course)).Should(BeTrue())
			date := inSeconds(2)
			acme.editUser(ctx, "kate", expires(date))
			Eventually(acme.user(ctx, "kate")).Should(HaveField("Status.Next", "Expired on "+inWords(date)))
			Expect(acme.stateOf(ctx, "kate")()).To(Equal(v1alpha1.StateActive))

			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateExpired))
			Expect(time.Now()).To(BeTemporally(">=", date), "not a moment too early")
			kate, err := acme.user(ctx, "kate")()
			Expect(err).NotTo(HaveOccurred())
			Expect(kate.Status.StateTime.Time).To(BeTemporally("==", date), "the declared instant")
			Expect(kate.Status.Access).To(Equal(v1alpha1.AccessDenied))
			Expect(condition(kate.Status.Conditions, v1alpha1.ConditionActive)).To(Equal(
				"False Expired: Expired since " + inWords(date) + ": expirationTime " + inWords(date) + " is reached"))
			Expect(condition(kate.Status.Conditions, v1alpha1.ConditionReady)).To(HavePrefix("True Reconciled"))
			expired, err := acme.transition(ctx, kate.Status.LastTransition.Name)()
			Expect(err).NotTo(HaveOccurred())
			Expect(expired.Spec.Time.Time).To(BeTemporally("==", date))
			Expect(expired.Spec.ObservedTime.Time).To(BeTemporally("~", date, time.Second), "within a second")
			Expect(expired.Spec.Actor.Username).To(Equal(v1alpha1.ActorDeadline))

			Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StatePaused))
			Expect(acme.mayListPods(ctx, "kate", course)()).To(BeFalse())
			Expect(kate.Spec.Email).To(Equal(acme.userName("kate")), "nothing of the person is lost")
			Expect(kate.Status.Memberships.Total).To(Equal(int32(1)))

			Expect(editAs(ctx, admin, acme, "kate", desired(v1alpha1.UserDesiredOnBreak))).To(MatchError(ContainSubstring("kate is Expired since ")), "another status is no way back")
			Expect(editAs(ctx, acme.unasked(ctx), acme, "kate", desired(v1alpha1.UserDesiredOnBreak))).To(Succeed())
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateExpired), "nor where nobody asks")
			Expect(editAs(ctx, acme.unasked(ctx), acme, "kate", desired(v1alpha1.UserDesiredActive))).To(Succeed())

			acme.editUser(ctx, "kate", expires(inSeconds(3600)))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
			Eventually(acme.mayListPods(ctx, "kate", course)).Should(BeTrue())
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{
				"→Active(Declared)", "Active→Expired(Expired)", "Expired→Active(Declared)",
			}))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, "kate-course")()).To(Equal([]string{"→Active(Declared)"}))
		})

	It("is undone to what was before: Activated where the access was never used, Deactivated where it was taken (cases 1 and 2)",
		Label("S1.22", "S1.23"), func(ctx context.Context) {
			acme := newOrganization(ctx)
			date := inSeconds(2)
			acme.createUser(ctx, "ann", expires(date))
			acme.createUser(ctx, "dan", expires(date), wasActive, desired(v1alpha1.UserDesiredDeactivated, "Parental leave"))
			Eventually(acme.stateOf(ctx, "ann")).Should(Equal(v1alpha1.StateActivated))
			Eventually(acme.stateOf(ctx, "dan")).Should(Equal(v1alpha1.StateDeactivated))

			Eventually(acme.stateOf(ctx, "ann")).Should(Equal(v1alpha1.StateExpired))
			Eventually(acme.stateOf(ctx, "dan")).Should(Equal(v1alpha1.StateExpired))
			dan, err := acme.user(ctx, "dan")()
			Expect(err).NotTo(HaveOccurred())
			Expect(whyOf(dan.Status.Causes)).To(Equal([]string{"Expired:Expired", "Deactivated:Declared"}))

			for _, name := range []string{"ann", "dan"} {
				acme.editUser(ctx, name, expires(inSeconds(3600)))
			}
			Eventually(acme.stateOf(ctx, "ann")).Should(Equal(v1alpha1.StateActivated))
			Eventually(acme.stateOf(ctx, "dan")).Should(Equal(v1alpha1.StateDeactivated))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "ann")()).To(Equal([]string{
				"→Activated(Declared)", "Activated→Expired(Expired)", "Expired→Activated(Declared)",
			}))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "dan")()).To(Equal([]string{
				"→Deactivated(Declared)", "Deactivated→Expired(Expired)", "Expired→Deactivated(Declared)",
			}))
		})

	It("does not end a suspension, and a suspension does not undo it (case 3)", func(ctx context.Context) {
		acme := newOrganization(ctx)
		past := time.Now().Add(-time.Hour).Truncate(time.Second)
		acme.createUser(ctx, "kate", expires(past), wasActive)
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateExpired))

		acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredSuspended, "Fraud"))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateSuspended))
		Expect(acme.why(ctx, "kate")()).To(Equal([]string{"Suspended:Declared", "Expired:Expired"}))

		acme.editUser(ctx, "kate", expires(inSeconds(3600)))
		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Suspended:Declared"}))
		Expect(acme.stateOf(ctx, "kate")()).To(Equal(v1alpha1.StateSuspended), "moving the date is no way out")

		acme.editUser(ctx, "kate", expires(past))
		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Suspended:Declared", "Expired:Expired"}))
		acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredActive))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateExpired))

		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{
			"→Expired(Expired)", "Expired→Suspended(Declared)", "Suspended→Expired(Declared)",
		}))
	})

	It("ends one membership alone where that has a date of its own", func(ctx context.Context) {
		acme := newOrganization(ctx)
		course, office := acme.createProgram(ctx, "course"), acme.createProgram(ctx, "office")
		acme.createUser(ctx, "kate", wasActive)
		acme.enrol(ctx, "kate", v1alpha1.StateActive, "course", "office")
		date := inSeconds(1)
		acme.editMembership(ctx, "kate-course", membershipExpires(date))

		Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateExpired))
		Expect(time.Now()).To(BeTemporally(">=", date))
		m, err := acme.membership(ctx, "kate-course")()
		Expect(err).NotTo(HaveOccurred())
		Expect(m.Status.StateTime.Time).To(BeTemporally("==", date))
		Eventually(acme.mayListPods(ctx, "kate", course)).Should(BeFalse())
		Expect(acme.mayListPods(ctx, "kate", office)()).To(BeTrue())
		Expect(acme.stateOf(ctx, "kate")()).To(Equal(v1alpha1.StateActive))

		acme.editMembership(ctx, "kate-course", membershipExpires(inSeconds(3600)))
		Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateActive))
		Eventually(acme.mayListPods(ctx, "kate", course)).Should(BeTrue())
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, "kate-course")()).To(Equal([]string{
			"→Active(Declared)", "Active→Expired(Expired)", "Expired→Active(Declared)",
		}))
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{"→Active(Declared)"}))
	})
})

var _ = Describe("An instant that passes while the operator is down", Serial, func() {
	It("is dealt with as soon as it is back, and dated as declared (case 4)", Label("S1.15", "S1.31"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		course := acme.createProgram(ctx, "course")
		acme.createUser(ctx, "kate", wasActive)
		acme.enrol(ctx, "kate", v1alpha1.StateActive, "course")
		date, start := inSeconds(3), inSeconds(4)
		acme.createUser(ctx, "ann", starts(start))
		acme.editUser(ctx, "kate", expires(date))
		Eventually(acme.stateOf(ctx, "ann")).Should(Equal(v1alpha1.StatePending))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))

		shared.stop()
		DeferCleanup(shared.startAgain)
		Eventually(time.Now).Should(BeTemporally(">", start))
		Expect(acme.stateOf(ctx, "kate")()).To(Equal(v1alpha1.StateActive), "nobody was there to see to it")
		back := time.Now().Truncate(time.Second)
		shared.startAgain()

		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateExpired))
		Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StatePaused))
		Eventually(acme.mayListPods(ctx, "kate", course)).Should(BeFalse())
		Eventually(acme.stateOf(ctx, "ann")).Should(Equal(v1alpha1.StateActivated))

		for name, instant := range map[string]time.Time{"kate": date, "ann": start} {
			user, err := acme.user(ctx, name)()
			Expect(err).NotTo(HaveOccurred())
			Expect(user.Status.StateTime.Time).To(BeTemporally("==", instant), name)
			change, err := acme.transition(ctx, user.Status.LastTransition.Name)()
			Expect(err).NotTo(HaveOccurred())
			Expect(change.Spec.Time.Time).To(BeTemporally("==", instant), name)
			Expect(change.Spec.ObservedTime.Time).To(BeTemporally(">=", back), name)
		}
		m, err := acme.membership(ctx, "kate-course")()
		Expect(err).NotTo(HaveOccurred())
		Expect(m.Status.StateTime.Time).To(BeTemporally("==", date))
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{"→Active(Declared)", "Active→Expired(Expired)"}))
	})
})

package stories

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("The last administrator", func() {
	It("stays past the expiry, with an alert, and leaves at once when there is a second one (case 12)",
		func(ctx context.Context) {
			acme, target := newMentoring(ctx)
			reader := acme.metricsReader(ctx)
			blocked := func() (float64, error) {
				metrics, err := shared.scrape(ctx, reader)
				return total(metrics, "tenure_blocked", `organization="`+acme.name+`"`), err
			}
			acme.leaveToAnn(ctx)
			acme.join(ctx, "ann", "mentoring", withRoles("Mentor"))
			Eventually(acme.mayListPods(ctx, "ann", target)).Should(BeTrue())
			date := inSeconds(1)
			acme.editUser(ctx, "ann", expires(date))

			Eventually(acme.userCondition(ctx, "ann", v1alpha1.ConditionBlocked)).Should(Equal("True LastAdmin: Access should have ended on " +
				inWords(date) + ", but this is the last administrator with access: give another user one of the roles Admin, Owner, or move the date"))
			Expect(time.Now()).To(BeTemporally(">=", date), "not a moment too early")
			Eventually(acme.warningsOf(ctx, "User", "ann")).Should(ConsistOf(HavePrefix("Blocked: Access should have ended on ")))
			Eventually(blocked).Should(BeEquivalentTo(1), "the alert")
			Eventually(acme.membershipCondition(ctx, "ann-mentoring", v1alpha1.ConditionBlocked)).Should(
				Equal("True HeldOpen: A guard holds back the end of User ann's access: see its Blocked condition"))
			ann, err := acme.user(ctx, "ann")()
			Expect(err).NotTo(HaveOccurred())
			Expect(ann.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationHeldOpen, date.UTC().Format(time.RFC3339)))
			Expect(ann.Status.Access).To(Equal(v1alpha1.AccessGranted))
			Expect(condition(ann.Status.Conditions, v1alpha1.ConditionReady)).To(HavePrefix("False HeldOpen: Access should have ended on "))
			Expect(acme.stateOf(ctx, "ann")()).To(Equal(v1alpha1.StateActive))
			Expect(acme.membershipStateOf(ctx, "ann-mentoring")()).To(Equal(v1alpha1.StateActive))
			Expect(acme.mayListPods(ctx, "ann", target)()).To(BeTrue())

			acme.editUser(ctx, "alice", role("Admin"))
			Eventually(acme.stateOf(ctx, "ann")).Should(Equal(v1alpha1.StateExpired))
			Eventually(acme.membershipStateOf(ctx, "ann-mentoring")).Should(Equal(v1alpha1.StatePaused))
			Expect(acme.mayListPods(ctx, "ann", target)()).To(BeFalse())
			ann, err = acme.user(ctx, "ann")()
			Expect(err).NotTo(HaveOccurred())
			Expect(ann.Status.StateTime.Time).To(BeTemporally("==", date), "the declared instant")
			Expect(ann.Annotations).NotTo(HaveKey(v1alpha1.AnnotationHeldOpen))
			Expect(condition(ann.Status.Conditions, v1alpha1.ConditionBlocked)).To(HavePrefix("False NotBlocked"))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "ann")()).To(Equal([]string{"→Active(Declared)", "Active→Expired(Expired)"}))
			Eventually(acme.eventsOf(ctx, "User", "ann")).Should(Equal([]string{"Blocked", "Expired", "Unblocked"}))
			Eventually(blocked).Should(BeEquivalentTo(0))
		})

	It("goes on when the date is moved, without a trace in the record", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.leaveToAnn(ctx)
		acme.editUser(ctx, "ann", expires(inSeconds(1)))
		Eventually(acme.userCondition(ctx, "ann", v1alpha1.ConditionBlocked)).Should(HavePrefix("True LastAdmin"))

		acme.editUser(ctx, "ann", expires(inSeconds(3600)))
		Eventually(acme.userCondition(ctx, "ann", v1alpha1.ConditionBlocked)).Should(HavePrefix("False NotBlocked"))
		Expect(acme.userCondition(ctx, "ann", v1alpha1.ConditionReady)()).To(HavePrefix("True"))
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "ann")()).To(Equal([]string{"→Active(Declared)"}))
		Eventually(acme.eventsOf(ctx, "User", "ann")).Should(Equal([]string{"Blocked", "Unblocked"}))
	})

	It("stays past the beginning of a leave too, which begins when there is a second one", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.leaveToAnn(ctx)
		from := inSeconds(1)
		acme.editUser(ctx, "ann", absent("leave", from, inSeconds(3600), v1alpha1.AbsenceDeactivated))
		Eventually(acme.userCondition(ctx, "ann", v1alpha1.ConditionBlocked)).Should(HavePrefix("True LastAdmin"))
		Expect(acme.stateOf(ctx, "ann")()).To(Equal(v1alpha1.StateActive))

		acme.createUser(ctx, "ben", role("Admin"))
		Eventually(acme.stateOf(ctx, "ann")).Should(Equal(v1alpha1.StateDeactivated))
		Expect(acme.user(ctx, "ann")()).To(HaveField("Status.StateTime.Time", BeTemporally("==", from)))
	})

	It("is not replaced by one who has no access: of whom there are several", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.leaveToAnn(ctx)
		acme.createUser(ctx, "deactivated", role("Admin"), desired(v1alpha1.UserDesiredDeactivated, "On a project elsewhere"))
		acme.createUser(ctx, "pending", role("Admin"), starts(inSeconds(3600)))
		nextSecond()
		duplicate := acme.newUser("duplicate", role("Admin"), func(u *v1alpha1.User) { u.Spec.Email = acme.userName("ann") })
		Expect(acme.unasked(ctx).Create(ctx, duplicate)).To(Succeed())
		Eventually(acme.userCondition(ctx, "duplicate", v1alpha1.ConditionReady)).Should(HavePrefix("False Duplicate"))
		Eventually(acme.settings(ctx)).Should(HaveField("Status.Admins.Active", int32(1)))

		acme.editUser(ctx, "ann", expires(inSeconds(1)))
		Eventually(acme.userCondition(ctx, "ann", v1alpha1.ConditionBlocked)).Should(HavePrefix("True LastAdmin"))
		Expect(acme.stateOf(ctx, "ann")()).To(Equal(v1alpha1.StateActive))
	})

	It("is one of two who expire in the same second: exactly one stays", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		acme.leaveToAnn(ctx)
		acme.createUser(ctx, "zoe", role("Admin"), wasActive)
		date := inSeconds(3)
		for _, name := range []string{"zoe", "ann"} {
			acme.join(ctx, name, "mentoring", withRoles("Mentor"))
			acme.editUser(ctx, name, expires(date))
		}
		Eventually(acme.mayListPods(ctx, "zoe", target)).Should(BeTrue())
		Eventually(acme.stateOf(ctx, "zoe")).Should(Equal(v1alpha1.StateExpired))
		Eventually(acme.userCondition(ctx, "ann", v1alpha1.ConditionBlocked)).Should(HavePrefix("True LastAdmin"))
		Consistently(func(g Gomega) {
			g.Expect(acme.stateOf(ctx, "zoe")()).To(Equal(v1alpha1.StateExpired))
			g.Expect(acme.stateOf(ctx, "ann")()).To(Equal(v1alpha1.StateActive))
			g.Expect(acme.mayListPods(ctx, "ann", target)()).To(BeTrue())
		}).Should(Succeed())
		Expect(acme.mayListPods(ctx, "zoe", target)()).To(BeFalse())
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "zoe")()).To(Equal([]string{"→Active(Declared)", "Active→Expired(Expired)"}))
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "ann")()).To(Equal([]string{"→Active(Declared)"}))
		Expect(acme.settings(ctx)()).To(HaveField("Status.Admins.Active", int32(1)))
	})

	It("is not held back from a departure that is declared in spite of the guards, and is missed then", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		acme.leaveToAnn(ctx)
		acme.editUser(ctx, "ann", expires(inSeconds(1)))
		acme.join(ctx, "ann", "mentoring", withRoles("Mentor"))
		Eventually(acme.userCondition(ctx, "ann", v1alpha1.ConditionBlocked)).Should(HavePrefix("True LastAdmin"))
		Eventually(acme.mayListPods(ctx, "ann", target)).Should(BeTrue())

		suspended := held("investigation", v1alpha1.UserHoldSuspended)
		Expect(editAs(ctx, admin, acme, "ann", suspended)).To(MatchError(ContainSubstring("ann is the last active administrator")))
		Expect(editAs(ctx, acme.unasked(ctx), acme, "ann", suspended)).To(Succeed())
		Eventually(acme.stateOf(ctx, "ann")).Should(Equal(v1alpha1.StateSuspended))
		Expect(acme.mayListPods(ctx, "ann", target)()).To(BeFalse())
		Expect(acme.userCondition(ctx, "ann", v1alpha1.ConditionBlocked)()).To(HavePrefix("False NotBlocked"))
		Eventually(acme.settingsCondition(ctx, v1alpha1.ConditionReady)).Should(HavePrefix("False NoActiveAdmin"))
		Expect(acme.mayListPods(ctx, "alice", target)()).To(BeTrue(), "what was granted before stays")

		acme.createUser(ctx, "bob", wasActive)
		acme.join(ctx, "bob", "mentoring", withRoles("Mentor"))
		Eventually(acme.membershipCondition(ctx, "bob-mentoring", v1alpha1.ConditionReady)).Should(HavePrefix("False NoActiveAdmin"))
		Expect(acme.mayListPods(ctx, "bob", target)()).To(BeFalse())
	})
})

var _ = Describe("The account owner", func() {
	It("stays past the expiry, and leaves at once when the account is handed over", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "ann", role("Admin"))
		date := inSeconds(1)
		acme.editUser(ctx, "olivia", expires(date))
		Eventually(acme.userCondition(ctx, "olivia", v1alpha1.ConditionBlocked)).Should(Equal("True AccountOwner: Access should have ended on " +
			inWords(date) + ", but this is the account owner: name another one in ownerRef of Organization " + acme.name + ", or move the date"))
		Expect(acme.stateOf(ctx, "olivia")()).To(Equal(v1alpha1.StateActive))
		Expect(acme.settingsCondition(ctx, v1alpha1.ConditionReady)()).To(HavePrefix("True"))

		acme.editSettings(ctx, func(o *v1alpha1.Organization) { o.Spec.OwnerRef.Name = "ann" })
		Eventually(acme.stateOf(ctx, "olivia")).Should(Equal(v1alpha1.StateExpired))
		Expect(acme.user(ctx, "olivia")()).To(HaveField("Status.StateTime.Time", BeTemporally("==", date)))
		Expect(acme.userCondition(ctx, "olivia", v1alpha1.ConditionBlocked)()).To(HavePrefix("False NotBlocked"))
		Expect(acme.settingsCondition(ctx, v1alpha1.ConditionReady)()).To(HavePrefix("True"))
	})

	It("who has no access, or does not exist, is reported", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "ann", role("Admin"))
		suspended := held("investigation", v1alpha1.UserHoldSuspended)
		Expect(editAs(ctx, admin, acme, "olivia", suspended)).To(MatchError(ContainSubstring("olivia is the account owner")))
		Expect(editAs(ctx, acme.unasked(ctx), acme, "olivia", suspended)).To(Succeed())
		Eventually(acme.settingsCondition(ctx, v1alpha1.ConditionReady)).Should(
			Equal("False OwnerNotActive: The account owner, User olivia, has no access"))

		acme.deleteObject("user", "olivia")
		Eventually(acme.settingsCondition(ctx, v1alpha1.ConditionReady)).Should(
			Equal("False OwnerNotFound: ownerRef names User olivia, which does not exist"))

		acme.editSettings(ctx, func(o *v1alpha1.Organization) { o.Spec.OwnerRef.Name = "ann" })
		Eventually(acme.settingsCondition(ctx, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
	})
})

// leaveToAnn makes Ann the only administrator. Olivia stays the account owner.
func (o *organization) leaveToAnn(ctx context.Context) {
	GinkgoHelper()
	o.createUser(ctx, "ann", role("Admin"), wasActive)
	Eventually(o.stateOf(ctx, "ann")).Should(Equal(v1alpha1.StateActive))
	o.editUser(ctx, "olivia", role("Member"))
	Eventually(o.settings(ctx)).Should(HaveField("Status.Admins.Active", int32(1)))
}

// nextSecond waits until what is created now is younger, as the API server counts, than what was created before.
func nextSecond() {
	GinkgoHelper()
	Eventually(time.Now).Should(BeTemporally(">=", time.Now().Truncate(time.Second).Add(time.Second)))
}

func (o *organization) editSettings(ctx context.Context, edits ...func(*v1alpha1.Organization)) {
	GinkgoHelper()
	editObject(ctx, o, o.name, edits...)
}

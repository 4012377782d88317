package stories

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("The state of a user", func() {
	It("is Activated until an application sees the user for the first time, and Active from then on",
		Label("S1.4", "S1.6", "S1.8"), func(ctx context.Context) {
			acme := newOrganization(ctx)
			acme.createUser(ctx, "kate")
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActivated))
			kate, err := acme.user(ctx, "kate")()
			Expect(err).NotTo(HaveOccurred())
			Expect(kate.Status.Access).To(Equal(v1alpha1.AccessGranted))
			Expect(kate.Status.Causes).To(BeEmpty())
			Expect(condition(kate.Status.Conditions, v1alpha1.ConditionActive)).To(Equal(
				"True Activated: Activated since " + inWords(kate.CreationTimestamp.Time)))

			first := time.Now().Truncate(time.Second)
			acme.editUser(ctx, "kate", lastActive(first))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
			later := first.Add(time.Second)
			acme.editUser(ctx, "kate", lastActive(later))
			Eventually(func() (metav1.Time, error) {
				kate, err = acme.user(ctx, "kate")()
				return kate.Status.LastActivityTime, err
			}).Should(HaveField("Time", BeTemporally("==", later)))
			Expect(kate.Status.FirstActivityTime.Time).To(BeTemporally("==", first))
			Expect(kate.Status.StateTime.Time).To(BeTemporally("==", first))
			Expect(condition(kate.Status.Conditions, v1alpha1.ConditionActive)).To(Equal("True Active: Active since " + inWords(first)))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{"→Activated(Declared)"}),
				"the first use is no change that anybody made")
			Expect(acme.eventsOf(ctx, "User", "kate")()).To(BeEmpty())
		})

	It("is after a deactivation what it was before: Activated, or Active for whoever has used the access once", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "ann")
		acme.createUser(ctx, "kate", wasActive)
		for _, name := range []string{"ann", "kate"} {
			Eventually(acme.stateOf(ctx, name)).ShouldNot(BeEmpty())
			acme.editUser(ctx, name, desired(v1alpha1.UserDesiredDeactivated))
			Eventually(acme.stateOf(ctx, name)).Should(Equal(v1alpha1.StateDeactivated))
			acme.editUser(ctx, name, desired(v1alpha1.UserDesiredActive))
		}
		Eventually(acme.stateOf(ctx, "ann")).Should(Equal(v1alpha1.StateActivated))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "ann")()).To(Equal([]string{
			"→Activated(Declared)", "Activated→Deactivated(Declared)", "Deactivated→Activated(Declared)",
		}))
	})

	It("follows one command at once: deactivation takes all access and no data, reactivation gives the access and nothing else (case 10)",
		Label("S0.3", "S0.12", "S0.19", "S0.49", "S1.1", "S1.9", "S1.11", "S1.12", "S1.14", "S1.25", "S2.1", "S3.3", "S3.12", "S3.13", "S3.35", "S3.36"),
		func(ctx context.Context) {
			acme := newOrganization(ctx)
			course, team := acme.createProgram(ctx, "course"), acme.createProgram(ctx, "team")
			acme.createUser(ctx, "kate", wasActive, func(u *v1alpha1.User) {
				u.Spec.Attributes = map[string]v1alpha1.AttributeValue{"department": "Sales"}
			})
			acme.enrol(ctx, "kate", v1alpha1.StateActive, "course", "team")
			Eventually(acme.mayListPods(ctx, "kate", course)).Should(BeTrue())
			Eventually(acme.mayListPods(ctx, "kate", team)).Should(BeTrue())
			Eventually(acme.settings(ctx)).Should(HaveField("Status.SeatsUsed", Equal(int32(2))))
			before, err := acme.user(ctx, "kate")()
			Expect(err).NotTo(HaveOccurred())

			Expect(kubectl("patch", "users.tenure.dev", "kate", "-n", acme.name, "--type=merge",
				"-p", `{"spec":{"desiredStatus":"Deactivated","reason":"Sabbatical"}}`)).To(ContainSubstring("patched"))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateDeactivated))
			for group, namespace := range map[string]string{"course": course, "team": team} {
				Eventually(acme.membershipStateOf(ctx, "kate-"+group)).Should(Equal(v1alpha1.StatePaused))
				Eventually(acme.mayListPods(ctx, "kate", namespace)).Should(BeFalse())
			}
			Eventually(acme.settings(ctx)).Should(HaveField("Status.SeatsUsed", Equal(int32(1))))
			kate, err := acme.user(ctx, "kate")()
			Expect(err).NotTo(HaveOccurred())
			Expect(kate.Spec.Attributes).To(Equal(before.Spec.Attributes))
			Expect(kate.Status.Memberships).To(Equal(v1alpha1.MembershipCounts{Active: 0, Total: 2}))
			Expect(condition(kate.Status.Conditions, v1alpha1.ConditionActive)).To(Equal("False Declared: Deactivated since " +
				inWords(kate.Status.StateTime.Time) + ": declared in desiredStatus (Sabbatical)"))
			Expect(condition(kate.Status.Conditions, v1alpha1.ConditionReady)).To(Equal("True Reconciled: What is declared is in force"))
			paused, err := acme.membership(ctx, "kate-team")()
			Expect(err).NotTo(HaveOccurred())
			Expect(whyOf(paused.Status.Causes)).To(Equal([]string{"Paused:UserDeactivated/kate"}))
			Expect(condition(paused.Status.Conditions, v1alpha1.ConditionActive)).To(ContainSubstring("User kate is deactivated (Sabbatical)"))

			acme.editMembership(ctx, "kate-team", membershipDesired(v1alpha1.MembershipDesiredRemoved, "The team is closed"))
			Eventually(acme.membershipStateOf(ctx, "kate-team")).Should(Equal(v1alpha1.StateRemoved))

			Expect(kubectl("patch", "users.tenure.dev", "kate", "-n", acme.name, "--type=merge",
				"-p", `{"spec":{"desiredStatus":"Active","reason":null}}`)).To(ContainSubstring("patched"))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
			Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateActive))
			Eventually(acme.mayListPods(ctx, "kate", course)).Should(BeTrue())
			Eventually(acme.settings(ctx)).Should(HaveField("Status.SeatsUsed", Equal(int32(2))))
			Expect(acme.membershipStateOf(ctx, "kate-team")()).To(Equal(v1alpha1.StateRemoved), "what was taken meanwhile stays taken")
			Expect(acme.grantsOf(ctx, "kate")()).To(Equal([]string{"view@" + course}))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{
				"→Active(Declared)", "Active→Deactivated(Declared)", "Deactivated→Active(Declared)",
			}))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, "kate-course")()).To(Equal([]string{"→Active(Declared)"}),
				"pausing and resuming with the user is told by the user's own records")
		})

	It("is Pending until the declared start, and begins at that instant", func(ctx context.Context) {
		acme := newOrganization(ctx)
		course := acme.createProgram(ctx, "course")
		start := inSeconds(3)
		acme.createUser(ctx, "kate", starts(start))
		acme.enrol(ctx, "kate", v1alpha1.StatePaused, "course")
		kate, err := acme.user(ctx, "kate")()
		Expect(err).NotTo(HaveOccurred())
		Expect(kate.Status.State).To(Equal(v1alpha1.StatePending))
		Expect(kate.Status.Access).To(Equal(v1alpha1.AccessDenied))
		Expect(kate.Status.NextTransitionTime.Time).To(BeTemporally("==", start))
		Expect(kate.Status.NextState).To(Equal(v1alpha1.StateActivated))
		Expect(condition(kate.Status.Conditions, v1alpha1.ConditionActive)).To(Equal("False NotStarted: Pending since " +
			inWords(kate.CreationTimestamp.Time) + ": startTime is not reached; Activated on " + inWords(start)))
		Expect(kate.Status.Next).To(Equal("Activated on " + inWords(start)))
		Expect(acme.mayListPods(ctx, "kate", course)()).To(BeFalse())

		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActivated))
		Expect(time.Now()).To(BeTemporally(">=", start))
		kate, err = acme.user(ctx, "kate")()
		Expect(err).NotTo(HaveOccurred())
		Expect(kate.Status.StateTime.Time).To(BeTemporally("==", start))
		Expect(kate.Status.NextTransitionTime.IsZero()).To(BeTrue())
		Expect(kate.Status.Next).To(BeEmpty())
		Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateActive))
		Eventually(acme.mayListPods(ctx, "kate", course)).Should(BeTrue())
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{"→Pending(Declared)", "Pending→Activated(Started)"}))
	})

	It("is OnBreak without any loss of access", Label("S4.38"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		course := acme.createProgram(ctx, "course")
		acme.createUser(ctx, "kate", wasActive)
		acme.enrol(ctx, "kate", v1alpha1.StateActive, "course")
		Eventually(acme.grantsOf(ctx, "kate")).Should(Equal([]string{"view@" + course}))
		broken := acme.watchGrants(ctx, "kate")

		acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredOnBreak, "Writing a thesis"))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateOnBreak))
		kate, err := acme.user(ctx, "kate")()
		Expect(err).NotTo(HaveOccurred())
		Expect(kate.Status.Access).To(Equal(v1alpha1.AccessGranted))
		Expect(condition(kate.Status.Conditions, v1alpha1.ConditionActive)).To(Equal("True Declared: OnBreak since " +
			inWords(kate.Status.StateTime.Time) + ": declared in desiredStatus (Writing a thesis)"))
		Expect(acme.membershipStateOf(ctx, "kate-course")()).To(Equal(v1alpha1.StateActive))

		acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredActive))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		Expect(acme.membershipStateOf(ctx, "kate-course")()).To(Equal(v1alpha1.StateActive))
		Expect(broken()).To(BeEmpty(), "the access was there all the time")
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{
			"→Active(Declared)", "Active→OnBreak(Declared)", "OnBreak→Active(Declared)",
		}))
	})

	It("changes once for each change that is declared, however often the same is said", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "kate", wasActive)
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		for _, reason := range []string{"Left", "Left", "Left for another company"} {
			acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredDeactivated, reason))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateDeactivated))
		}
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{"→Active(Declared)", "Active→Deactivated(Declared)"}))

		acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredActive))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredDeactivated, "Left again"))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateDeactivated))
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{
			"→Active(Declared)", "Active→Deactivated(Declared)", "Deactivated→Active(Declared)", "Active→Deactivated(Declared)",
		}))
		Eventually(acme.eventsOf(ctx, "User", "kate")).Should(Equal([]string{"Deactivated", "Active", "Deactivated"}))
		last, err := acme.transition(ctx, "user.kate.4")()
		Expect(err).NotTo(HaveOccurred())
		Expect(last.Spec.Reason).To(Equal("Left again"))
	})

	It("shows every cause, the strongest first, and falls back to the next when one is gone",
		Label("S1.13", "S1.18"), func(ctx context.Context) {
			acme := newOrganization(ctx)
			past, end := time.Now().Add(-time.Hour).Truncate(time.Second), inSeconds(3600)
			acme.createUser(ctx, "kate", wasActive, desired(v1alpha1.UserDesiredDeactivated, "Left"), expires(past),
				absent("leave", past, end, v1alpha1.AbsenceDeactivated),
				held("quiet", v1alpha1.UserHoldOnBreak), held("security", v1alpha1.UserHoldSuspended))
			list := func() (string, error) { return kubectl("get", "users.tenure.dev", "-n", acme.name) }
			row := func(state, cause, next string) string {
				return fmt.Sprintf(`(?m)^kate\s+%s\s+%s\s+%s\s*Guest\s`, state, cause, next)
			}

			Eventually(acme.why(ctx, "kate")).Should(Equal([]string{
				"Suspended:Hold/security", "Expired:Expired", "Deactivated:Declared", "Deactivated:Absence/leave", "OnBreak:Hold/quiet",
			}))
			Expect(list()).To(MatchRegexp(row("Suspended", "Hold", "")))
			kate, err := acme.user(ctx, "kate")()
			Expect(err).NotTo(HaveOccurred())
			Expect(condition(kate.Status.Conditions, v1alpha1.ConditionActive)).To(Equal(
				"False Hold: Suspended since " + inWords(kate.CreationTimestamp.Time) + ": hold security (A test holds it)"))

			acme.editUser(ctx, "kate", releasing[*v1alpha1.User]("security"))
			Eventually(acme.why(ctx, "kate")).Should(Equal([]string{
				"Expired:Expired", "Deactivated:Declared", "Deactivated:Absence/leave", "OnBreak:Hold/quiet",
			}))
			Expect(list()).To(MatchRegexp(row("Expired", "Expired", "")))

			acme.editUser(ctx, "kate", expires(end.Add(time.Hour)))
			Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Deactivated:Declared", "Deactivated:Absence/leave", "OnBreak:Hold/quiet"}))
			Expect(list()).To(MatchRegexp(row("Deactivated", "Declared", "Expired on "+inWords(end.Add(time.Hour)))))

			acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredActive))
			Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Deactivated:Absence/leave", "OnBreak:Hold/quiet"}))
			Expect(list()).To(MatchRegexp(row("Deactivated", "Absence", "OnBreak on "+inWords(end))))

			acme.editUser(ctx, "kate", func(u *v1alpha1.User) { u.Spec.Absences = nil })
			Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"OnBreak:Hold/quiet"}))
			Expect(list()).To(MatchRegexp(row("OnBreak", "Hold", "Expired on "+inWords(end.Add(time.Hour)))))

			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{
				"→Suspended(Held)", "Suspended→Expired(Released)", "Expired→Deactivated(Declared)", "Deactivated→OnBreak(Declared)",
			}), "a change of the cause alone is no change of state")
		})
})

var _ = Describe("A hold on a user", func() {
	It("stays when what is declared changes, and when it is left out: nothing but a release lifts it", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "kate", wasActive)
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		acme.editUser(ctx, "kate", held("inactivity", v1alpha1.UserHoldDeactivated), desired(v1alpha1.UserDesiredDeactivated))
		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Deactivated:Declared", "Deactivated:Hold/inactivity"}))

		acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredActive))
		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Deactivated:Hold/inactivity"}))
		Expect(acme.stateOf(ctx, "kate")()).To(Equal(v1alpha1.StateDeactivated))

		kate, err := acme.user(ctx, "kate")()
		Expect(err).NotTo(HaveOccurred())
		kate.Spec.Holds = nil
		Expect(admin.Update(ctx, kate)).To(Succeed())
		Expect(kate.Spec.Holds).To(ConsistOf(HaveField("Name", "inactivity")), "it is put back")

		Expect(kubectl("annotate", "users.tenure.dev", "kate", "-n", acme.name, "tenure.dev/release=inactivity")).To(ContainSubstring("annotated"))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		kate, err = acme.user(ctx, "kate")()
		Expect(err).NotTo(HaveOccurred())
		Expect(kate.Spec.Holds).To(BeEmpty())
		Expect(kate.Annotations).NotTo(HaveKey(v1alpha1.AnnotationRelease), "it is consumed, and lifts no later hold of that name")
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{
			"→Active(Declared)", "Active→Deactivated(Declared)", "Deactivated→Active(Released)",
		}))
		released, err := acme.transition(ctx, kate.Status.LastTransition.Name)()
		Expect(err).NotTo(HaveOccurred())
		Expect(released.Spec.Cause.Name).To(Equal("inactivity"))
	})

	It("is released by its name, and the others stay", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "kate", wasActive, held("audit", v1alpha1.UserHoldDeactivated), held("inactivity", v1alpha1.UserHoldDeactivated),
			held("quiet", v1alpha1.UserHoldOnBreak))
		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Deactivated:Hold/audit", "Deactivated:Hold/inactivity", "OnBreak:Hold/quiet"}))

		acme.editUser(ctx, "kate", releasing[*v1alpha1.User]("audit"))
		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Deactivated:Hold/inactivity", "OnBreak:Hold/quiet"}))
		acme.editUser(ctx, "kate", releasing[*v1alpha1.User]("inactivity", "quiet"))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
	})
})

var _ = Describe("A release, while the operator is down", Serial, func() {
	It("is worked off whatever is written meanwhile, and is not of a hold that comes later", func(ctx context.Context) {
		acme := newOrganization(ctx)
		self := func(u *v1alpha1.User) {
			u.Spec.Holds = append(u.Spec.Holds, v1alpha1.UserHold{Name: "quiet", Status: v1alpha1.UserHoldOnBreak, Release: v1alpha1.ReleaseSelf})
		}
		acme.createUser(ctx, "kate", wasActive, held("audit", v1alpha1.UserHoldDeactivated), held("inactivity", v1alpha1.UserHoldDeactivated), self)
		entitle(ctx, acme.userName("kate"), acme.name, rule(tenure, "users", "get", "update"))
		entitle(ctx, "pete", acme.name, rule(tenure, "memberships", "get", "update"))
		acme.createGroup(ctx, "room")
		acme.join(ctx, "kate", "room", func(m *v1alpha1.Membership) {
			m.Spec.Holds = []v1alpha1.MembershipHold{{Name: "audit", Status: v1alpha1.MembershipHoldDeactivated}}
		})
		Eventually(acme.membershipStateOf(ctx, "kate-room")).Should(Equal(v1alpha1.StateDeactivated))
		Eventually(acme.why(ctx, "kate")).Should(HaveLen(3))

		shared.stop()
		DeferCleanup(shared.startAgain)
		pending := func() string {
			return must(acme.user(ctx, "kate")()).Annotations[v1alpha1.AnnotationRelease]
		}
		acme.editUser(ctx, "kate", releasing[*v1alpha1.User]("audit", "later"))
		herself := as(acme.userName("kate"))
		Eventually(func() error { return editAs(ctx, herself, acme, "kate", releasing[*v1alpha1.User]("quiet")) }).Should(Succeed(),
			"what others have released before is not hers to answer for")
		Expect(pending()).To(Equal("audit,later,quiet"), "another release comes beside it")

		kate := must(acme.user(ctx, "kate")())
		delete(kate.Annotations, v1alpha1.AnnotationRelease)
		Expect(admin.Update(ctx, kate)).To(Succeed())
		Expect(pending()).To(Equal("audit,later,quiet"), "who does not know of it takes nothing away")
		acme.editUser(ctx, "kate", held("later", v1alpha1.UserHoldSuspended))
		Expect(pending()).To(Equal("audit,quiet"), "that hold was not meant")

		acme.editMembership(ctx, "kate-room", releasing[*v1alpha1.Membership]("audit"))
		pete := as("pete")
		Eventually(func() error {
			membership, err := acme.membership(ctx, "kate-room")()
			if err != nil {
				return err
			}
			membership.Labels = map[string]string{"acme.example/floor": "3"}
			delete(membership.Annotations, v1alpha1.AnnotationRelease)
			return pete.Update(ctx, membership)
		}).Should(Succeed(), "nobody is asked again for the rights to it")

		shared.startAgain()
		Eventually(acme.why(ctx, "kate")).Should(Equal([]string{"Suspended:Hold/later", "Deactivated:Hold/inactivity"}))
		Expect(pending()).To(BeEmpty())
		Eventually(acme.holdsOf(ctx, "kate-room")).Should(Equal([]string{v1alpha1.HoldUserSuspended}))
	})
})

var _ = Describe("A removed user", func() {
	It("is out of every group, and comes back without any of them until each is given anew",
		Label("S3.3", "S3.17", "S3.31"), func(ctx context.Context) {
			acme := newOrganization(ctx)
			course, team := acme.createProgram(ctx, "course"), acme.createProgram(ctx, "team")
			acme.createUser(ctx, "kate", wasActive)
			acme.enrol(ctx, "kate", v1alpha1.StateActive, "course", "team")
			Eventually(acme.grantsOf(ctx, "kate")).Should(ConsistOf("view@"+course, "view@"+team))

			acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredRemoved, "Left"))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateRemoved))
			for _, name := range []string{"kate-course", "kate-team"} {
				Eventually(acme.membershipStateOf(ctx, name)).Should(Equal(v1alpha1.StateRemoved))
				Expect(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, name)()).To(Equal([]string{"→Active(Declared)", "Active→Removed(Held)"}))
			}
			Expect(acme.grantsOf(ctx, "kate")()).To(BeEmpty())
			acme.waitForEffects(ctx, "kate")

			acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredActive))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
			Consistently(acme.grantsOf(ctx, "kate")).WithTimeout(time.Second).Should(BeEmpty())
			for _, name := range []string{"kate-course", "kate-team"} {
				m, err := acme.membership(ctx, name)()
				Expect(err).NotTo(HaveOccurred())
				Expect(m.Status.State).To(Equal(v1alpha1.StateRemoved))
				Expect(whyOf(m.Status.Causes)).To(Equal([]string{"Removed:Hold/user-removed"}))
			}

			acme.join(ctx, "kate", "course", withRoles("Member"), func(m *v1alpha1.Membership) { m.Name = "kate-course-again" })
			Eventually(acme.membershipStateOf(ctx, "kate-course-again")).Should(Equal(v1alpha1.StateActive))
			acme.editMembership(ctx, "kate-team", releasing[*v1alpha1.Membership]("user-removed"))
			Eventually(acme.membershipStateOf(ctx, "kate-team")).Should(Equal(v1alpha1.StateActive))
			Eventually(acme.grantsOf(ctx, "kate")).Should(ConsistOf("view@"+course, "view@"+team))
			Expect(acme.membershipStateOf(ctx, "kate-course")()).To(Equal(v1alpha1.StateRemoved))
		})
})

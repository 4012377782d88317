package stories

import (
	"context"
	"maps"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("The profile stackfield", Ordered, func() {
	const (
		website = "stackfield-website" // what the room website works on

		anonymous = `"author":"Removed User","authorName":"Removed User"`
		byPaula   = `"author":"paula","authorName":"Paula Peters"`
	)
	var (
		field *profile

		// Paula has content of each kind, and is on these assignments.
		byPaulas = []string{
			"Task/new-navigation", "Task/load-test", "Appointment/website-weekly", "Message/launch-date", "Message/slogan-ideas", "Document/sitemap",
		}
		withPaula = []string{
			"Task/new-navigation", "Task/fix-footer", "Task/write-slogan", "Appointment/website-weekly", "Appointment/campaign-kickoff",
		}
	)
	BeforeAll(func(ctx context.Context) {
		field = newProfile(ctx, "stackfield")
		Eventually(field.grantsOf(ctx, "paula")).Should(Equal([]string{"edit@" + website}))
		Eventually(field.mayListPods(ctx, "paula", website)).Should(BeTrue())
	})

	Context("when a user is deactivated", func() {
		var before, after things

		BeforeAll(func(ctx context.Context) {
			before = field.things(ctx)
			Expect(field.try(ctx, "k get stackfield ")).To(And(ContainSubstring("fix-footer"), ContainSubstring("sitemap")))
			Expect(field.try(ctx, "jane patch user paula ")).To(HaveSuffix("user.tenure.dev/paula patched\n"))
			Eventually(field.stateOf(ctx, "paula")).Should(Equal(v1alpha1.StateDeactivated))
			field.waitForCascade(ctx, "user.paula.2")
			after = field.things(ctx)
		})

		It("ends all access, to the organization and to every room", Label("S3.1", "S3.3", "S3.13", "S3.24"), func(ctx context.Context) {
			Expect(field.user(ctx, "paula")()).To(HaveField("Status.Access", v1alpha1.AccessDenied))
			Expect(field.grantsOf(ctx, "paula")()).To(BeEmpty())
			Expect(field.mayListPods(ctx, "paula", website)()).To(BeFalse())
		})

		It("keeps all content and every assignment, byte for byte", Label("S3.4", "S3.10"), func(ctx context.Context) {
			Expect(after.names()).To(Equal(before.names()))
			Expect(after.touchedSince(before)).To(BeEmpty())
			Expect(field.ledger(ctx, "user.paula.2")()).To(Equal([]string{
				"True Done", "assignments 3/3", "participations 2/2", "tasks 2/2", "appointments 1/1", "messages 1/1", "comments 2/2",
				"documents 1/1", "rooms 2/2",
			}), "which it has seen")
		})

		It("keeps the user in the organization and in the rooms", Label("S3.12"), func(ctx context.Context) {
			for _, room := range []string{"website", "campaign"} {
				Eventually(field.membershipStateOf(ctx, "paula-"+room)).Should(Equal(v1alpha1.StatePaused))
				Expect(field.holdsOf(ctx, "paula-"+room)()).To(BeEmpty())
				Expect(field.members(room)).To(ContainElement("paula-" + room))
			}
			Expect(field.people()).To(ContainElement("paula"))
		})

		It("gives back, with the account, every room and all access to it", Label("S3.35", "S3.36"), func(ctx context.Context) {
			field.setStatus(ctx, "paula", v1alpha1.UserDesiredActive)
			for _, room := range []string{"website", "campaign"} {
				Eventually(field.membershipStateOf(ctx, "paula-"+room)).Should(Equal(v1alpha1.StateActive))
			}
			Eventually(field.grantsOf(ctx, "paula")).Should(Equal([]string{"edit@" + website}))
			Eventually(field.mayListPods(ctx, "paula", website)).Should(BeTrue())
			Expect(field.things(ctx).touchedSince(before)).To(BeEmpty())
		})
	})

	Context("when a user whose work must go on is removed", func() {
		var before, after things

		BeforeAll(func(ctx context.Context) {
			before = field.things(ctx)
			Expect(field.try(ctx, "jane patch user henry ")).To(HaveSuffix("user.tenure.dev/henry patched\n"))
			Eventually(field.stateOf(ctx, "henry")).Should(Equal(v1alpha1.StateRemoved))
			field.waitForCascade(ctx, "user.henry.2")
			after = field.things(ctx)
		})

		It("hands tasks and appointments to the declared successor, who is in each once", Label("S3.26"), func() {
			Expect(after.touchedSince(before)).To(ConsistOf(
				"Task/write-slogan", "Task/move-server", "Task/renew-certificate", "Appointment/website-weekly", "Appointment/server-night",
				"Message/launch-date", "Document/server-plan"))
			after.expectContent(before.content(
				`"assignees":["henry","paula","gus"]`, `"assignees":["nina","paula","gus"]`,
				`"assignees":["henry"]`, `"assignees":["nina"]`,
				`"assignees":["henry","nina"]`, `"assignees":["nina"]`,
				`"participants":["paula","adam","henry","nina"]`, `"participants":["paula","adam","nina"]`,
				`"participants":["henry","ella"]`, `"participants":["nina","ella"]`,
				`"author":"henry","authorName":"Henry Hahn"`, anonymous))
		})

		It("shows who did it, and the content without the name", Label("S3.1", "S3.20", "S3.24"), func(ctx context.Context) {
			Expect(field.try(ctx, "jane get transitions ")).To(
				MatchRegexp(`(?m)^user\.henry\.2 +henry +Active +Removed +Declared +jane@stackfield\.example +(\d+)/(\d+) `))
			Expect(field.try(ctx, "k get stackfield; k get message launch-date ")).To(And(
				MatchRegexp(`(?m)^message\.stackfield\.example\.com/launch-date +website +Paula Peters `),
				MatchRegexp(`(?m)^document\.stackfield\.example\.com/server-plan .*Removed User `),
				ContainSubstring("- author: Removed User\n    authorName: Removed User\n    text: Then the server moves before Christmas.\n"),
				Not(ContainSubstring("Henry"))))
		})
	})

	It("keeps an active admin in every room, whoever is to go and however", Label("S3.25"), func(ctx context.Context) {
		const refusal = "group campaign has 0 active Admin and needs 1 (guard lastRoleHolder). Give the role to another active member first"
		Expect(field.tryInVain(ctx, "jane patch user rosa ")).To(ContainSubstring("without rosa " + refusal))
		_, err := field.asJane("patch", "user", "rosa", "--type=merge", "--patch="+removes)
		Expect(err).To(MatchError(ContainSubstring(refusal)))
		_, err = kubectl("--namespace=stackfield", "--as=rosa@stackfield.example", "delete", "membership", "rosa-campaign")
		Expect(err).To(MatchError(ContainSubstring(refusal)), "not by leaving either")
		Expect(field.stateOf(ctx, "rosa")()).To(Equal(v1alpha1.StateActive))

		Expect(editAs(ctx, field.jane(), field.organization, "paula-campaign", withRoles("Member", "Admin"))).To(Succeed())
		field.setStatus(ctx, "rosa", v1alpha1.UserDesiredDeactivated)
		field.setStatus(ctx, "rosa", v1alpha1.UserDesiredActive)
		Expect(editAs(ctx, field.jane(), field.organization, "paula-campaign", withRoles("Member"))).To(Succeed())
	})

	It("lets people leave a room, and leaves everything that is in it", Label("S3.7"), func(ctx context.Context) {
		before := field.things(ctx)
		ella := as("ella@studio.example")
		looksIn := func() error { return ella.List(ctx, &corev1.PodList{}, client.InNamespace(website)) }
		Eventually(looksIn).Should(Succeed())
		Expect(field.try(ctx, "ella delete membership ella-website")).To(ContainSubstring("deleted"))
		Eventually(looksIn).Should(MatchError(apierrors.IsForbidden, "IsForbidden"))
		Expect(field.members("website")).NotTo(ContainElement("ella-website"))
		Expect(field.people()).To(ContainElement("ella"))
		Expect(field.things(ctx).touchedSince(before)).To(BeEmpty())
		record, err := field.transition(ctx, "membership.ella-website.2")()
		Expect(err).NotTo(HaveOccurred())
		Expect(record.Spec.Actor.Username).To(Equal("ella@studio.example"))

		_, err = kubectl("--namespace=stackfield", "--as=ella@studio.example", "delete", "membership", "nina-website")
		Expect(err).To(MatchError(ContainSubstring("forbidden")), "nobody else")
	})

	It("hands the work to the Owner where no successor is declared", Label("S3.26"), func(ctx context.Context) {
		field.editUser(ctx, "ella", func(u *v1alpha1.User) { u.Spec.PolicyRef.Name = "handover" })
		before := field.things(ctx)
		field.setStatus(ctx, "ella", v1alpha1.UserDesiredDeactivated)
		field.waitForCascade(ctx, "user.ella.2")
		after := field.things(ctx)
		Expect(after.touchedSince(before)).To(ConsistOf("Task/load-test", "Appointment/server-night"))
		after.expectContent(before.content(
			`"assignees":["ella"]`, `"assignees":["olivia"]`, `"participants":["nina","ella"]`, `"participants":["nina","olivia"]`))
	})

	It("pauses a guest as long as the project is paused, and no longer", Label("S3.2", "S3.9"), func(ctx context.Context) {
		before := field.things(ctx)
		start, end := inSeconds(0), inSeconds(2)
		Expect(editAs(ctx, field.jane(), field.organization, "gus", absent("paused", start, end, v1alpha1.AbsenceDeactivated))).To(Succeed())
		Eventually(field.stateOf(ctx, "gus")).Should(Equal(v1alpha1.StateDeactivated))
		Expect(field.user(ctx, "gus")()).To(HaveField("Status.Next", "Active on "+inWords(end)))
		Eventually(field.membershipStateOf(ctx, "gus-campaign")).Should(Equal(v1alpha1.StatePaused))

		Eventually(field.stateOf(ctx, "gus")).Should(Equal(v1alpha1.StateActive))
		Expect(field.user(ctx, "gus")()).To(HaveField("Status.StateTime.Time", BeTemporally("==", end)))
		Eventually(field.membershipStateOf(ctx, "gus-campaign")).Should(Equal(v1alpha1.StateActive))
		Expect(field.things(ctx).touchedSince(before)).To(BeEmpty())
	})

	It("gives more or fewer rights with another role, which is no departure", Label("S3.5"), func(ctx context.Context) {
		Eventually(field.grantsOf(ctx, "nina")).Should(Equal([]string{"view@" + website}))
		Expect(editAs(ctx, field.jane(), field.organization, "nina-website", withRoles("Admin"))).To(Succeed())
		Eventually(field.grantsOf(ctx, "nina")).Should(Equal([]string{"edit@" + website}))
		Expect(editAs(ctx, field.jane(), field.organization, "nina-website", withRoles("Member"))).To(Succeed())
		Eventually(field.grantsOf(ctx, "nina")).Should(Equal([]string{"view@" + website}))
		Expect(field.transitionsOf(ctx, v1alpha1.SubjectUser, "nina")()).To(HaveLen(1))
	})

	It("tells where a room has lost its last admin, and waits until it has another", func(ctx context.Context) {
		Expect(editAs(ctx, field.jane(), field.organization, "rosa",
			absent("sabbatical", inSeconds(2), inSeconds(3600), v1alpha1.AbsenceDeactivated))).To(Succeed())
		Eventually(field.ledger(ctx, "user.rosa.4")).Should(ContainElement("False LastRoleHolder"))
		Expect(field.user(ctx, "rosa")()).To(HaveField("Status.Access", v1alpha1.AccessDenied))
		Eventually(field.groupCondition(ctx, "campaign", v1alpha1.ConditionStaffed)).Should(HavePrefix("False "))

		Expect(editAs(ctx, field.jane(), field.organization, "paula-campaign", withRoles("Member", "Admin"))).To(Succeed())
		field.waitForCascade(ctx, "user.rosa.4")
		Eventually(field.groupCondition(ctx, "campaign", v1alpha1.ConditionStaffed)).Should(HavePrefix("True "))
		Expect(editAs(ctx, field.jane(), field.organization, "rosa", func(u *v1alpha1.User) { u.Spec.Absences = nil })).To(Succeed())
		Eventually(field.membershipStateOf(ctx, "rosa-campaign")).Should(Equal(v1alpha1.StateActive))
	})

	Context("when a user is removed", func() {
		var before, after things

		// The assignments stay, without her.
		unassigned := []string{
			`"assignees":["paula","nina"]`, `"assignees":["nina"]`, `"assignees":["paula"]`, `"assignees":[]`,
			`"assignees":["nina","paula","gus"]`, `"assignees":["nina","gus"]`,
			`"participants":["paula","adam","nina"]`, `"participants":["adam","nina"]`,
			`"participants":["rosa","paula","gus"]`, `"participants":["rosa","gus"]`,
		}

		BeforeAll(func(ctx context.Context) {
			before = field.things(ctx)
			field.setStatus(ctx, "paula", v1alpha1.UserDesiredRemoved)
			field.waitForCascade(ctx, "user.paula.4")
			after = field.things(ctx)
		})

		It("takes the user out of the organization and of all rooms", Label("S3.3", "S3.6", "S3.17", "S3.18"), func(ctx context.Context) {
			for _, room := range []string{"website", "campaign"} {
				Eventually(field.membershipStateOf(ctx, "paula-"+room)).Should(Equal(v1alpha1.StateRemoved))
				Expect(field.members(room)).To(And(Not(BeEmpty()), Not(ContainElement("paula-"+room))))
			}
			Expect(field.people()).To(And(ContainElement("nina"), Not(ContainElement("paula"))))
			Expect(field.grantsOf(ctx, "paula")()).To(BeEmpty())
			Expect(field.mayListPods(ctx, "paula", website)()).To(BeFalse())
		})

		It("takes the user off all assignments, which stay", Label("S3.21"), func() {
			for _, name := range withPaula {
				Expect(before[name].Object["spec"]).To(HaveKeyWithValue(BeElementOf("assignees", "participants"), ContainElement("paula")), name)
				Expect(after).To(HaveKey(name))
				Expect(after[name].Object["spec"]).To(HaveKeyWithValue(BeElementOf("assignees", "participants"), Not(ContainElement("paula"))), name)
			}
		})

		It("calls the author of the content a Removed User, and stores the name no more", Label("S3.19", "S3.20"), func() {
			content := after.content()
			for _, name := range byPaulas {
				Expect(content[name]).To(ContainSubstring(anonymous), name)
			}
			for name, text := range content {
				Expect(strings.ToLower(text)).NotTo(ContainSubstring("paula"), name)
			}
		})

		It("keeps everything else that is written there, and whatever others have made", Label("S3.4"), func() {
			Expect(after.touchedSince(before)).To(ConsistOf(sets.New(byPaulas...).Insert(withPaula...).UnsortedList()))
			after.expectContent(before.content(append([]string{byPaula, anonymous}, unassigned...)...))
		})

		It("links the same account with its content again when it returns, as it was, and with that of nobody else",
			Label("S3.32"), func(ctx context.Context) {
				field.setStatus(ctx, "paula", v1alpha1.UserDesiredActive)
				field.waitForCascade(ctx, "user.paula.5")
				returned := field.things(ctx)
				returned.expectContent(before.content(unassigned...))
				for name, thing := range returned {
					if !strings.Contains(thing.GetAnnotations()[v1alpha1.AnnotationAnonymized], field.identityOf(ctx, "henry")) {
						Expect(thing.GetAnnotations()).NotTo(Or(HaveKey(v1alpha1.AnnotationUserUID), HaveKey(v1alpha1.AnnotationAnonymized)), name)
					}
				}
				Expect(returned.content()).To(HaveKeyWithValue("Document/server-plan", ContainSubstring(anonymous)), "Henry is still away")
			})

		It("has the one who returns added to every room anew", Label("S3.31"), func(ctx context.Context) {
			for _, room := range []string{"website", "campaign"} {
				Eventually(field.membershipStateOf(ctx, "paula-"+room)).Should(Equal(v1alpha1.StateRemoved))
			}
			Expect(field.grantsOf(ctx, "paula")()).To(BeEmpty())

			Expect(field.asJane("delete", "membership", "paula-website")).To(ContainSubstring("deleted"))
			Expect(field.jane().Create(ctx, field.newMembership("paula", "website", withRoles("Member")))).To(Succeed())
			Eventually(field.grantsOf(ctx, "paula")).Should(Equal([]string{"view@" + website}))
			Expect(field.membershipStateOf(ctx, "paula-campaign")()).To(Equal(v1alpha1.StateRemoved))
		})
	})

	Context("when an account is deleted", func() {
		var after things

		// recreated is a user like the one who is gone, of the same name and with the same e-mail.
		recreated := func(ctx context.Context, name string) *v1alpha1.User {
			GinkgoHelper()
			was, err := field.user(ctx, name)()
			Expect(err).NotTo(HaveOccurred())
			again := field.newUser(name, wasActive)
			again.Spec = *was.Spec.DeepCopy()
			again.Spec.DesiredStatus, again.Spec.Reason, again.Spec.Absences = v1alpha1.UserDesiredActive, "", nil
			return again
		}

		It("of a user who was removed before, the links to the content go too (case 18)", Label("S3.33"), func(ctx context.Context) {
			field.setStatus(ctx, "paula", v1alpha1.UserDesiredRemoved)
			field.waitForCascade(ctx, "user.paula.6")
			removed := field.things(ctx)
			identity := field.identityOf(ctx, "paula")
			for _, name := range byPaulas {
				Expect(removed[name].GetAnnotations()).To(HaveKeyWithValue(v1alpha1.AnnotationUserUID, ContainSubstring(identity)), name)
			}
			again := recreated(ctx, "paula")
			Expect(field.asJane("delete", "user", "paula")).To(ContainSubstring("deleted"))
			Expect(field.transitionsOf(ctx, v1alpha1.SubjectUser, "paula")()).To(HaveLen(7))
			after = field.things(ctx)
			after.expectContent(removed.content())
			for name, thing := range after {
				for value := range maps.Values(thing.GetAnnotations()) {
					Expect(value).NotTo(ContainSubstring(identity), name)
				}
			}

			Expect(field.jane().Create(ctx, again)).To(Succeed())
			Eventually(field.stateOf(ctx, "paula")).Should(Equal(v1alpha1.StateActive))
			Expect(field.identityOf(ctx, "paula")).NotTo(Equal(identity))
			field.waitForEffects(ctx, "paula")
			Expect(field.things(ctx).touchedSince(after)).To(BeEmpty(), "a new account, whatever it is called")
			Expect(field.membershipStateOf(ctx, "paula-website")()).To(Equal(v1alpha1.StateRemoved))
		})

		It("nothing that it has written can be linked again, also where it is one's own",
			Label("S3.17", "S3.18", "S3.19", "S3.20", "S3.21", "S3.22", "S3.33"), func(ctx context.Context) {
				before := field.things(ctx)
				identity, again := field.identityOf(ctx, "gus"), recreated(ctx, "gus")
				_, err := kubectl("--namespace=stackfield", "--as=gus@agency.example", "delete", "user", "nina")
				Expect(err).To(MatchError(ContainSubstring("forbidden")), "somebody else's")
				Expect(field.try(ctx, "gus delete user gus")).To(ContainSubstring("deleted"))
				Expect(field.guide).To(BeEmpty(), "all that the README tells to try")
				_, err = field.user(ctx, "gus")()
				Expect(err).To(MatchError(apierrors.IsNotFound, "IsNotFound"))
				record, err := field.transition(ctx, "user.gus.4")()
				Expect(err).NotTo(HaveOccurred())
				Expect(record.Spec.Cause.Type).To(Equal(v1alpha1.TransitionDeleted))
				Expect(record.Spec.Actor.Username).To(Equal("gus@agency.example"))
				Expect(field.people()).NotTo(ContainElement("gus"))
				Eventually(field.members).WithArguments("campaign").ShouldNot(ContainElement("gus-campaign"))
				after = field.things(ctx)
				Expect(after.touchedSince(before)).To(ConsistOf(
					"Task/write-slogan", "Task/choose-photos", "Appointment/campaign-kickoff", "Message/slogan-ideas"))
				after.expectContent(before.content(
					`"assignees":["nina","gus"]`, `"assignees":["nina"]`, `"assignees":["gus"]`, `"assignees":[]`,
					`"participants":["rosa","gus"]`, `"participants":["rosa"]`, `"author":"gus","authorName":"Gus Garcia"`, anonymous))

				Expect(field.jane().Create(ctx, again)).To(Succeed())
				Eventually(field.stateOf(ctx, "gus")).Should(Equal(v1alpha1.StateActive))
				field.setStatus(ctx, "gus", v1alpha1.UserDesiredRemoved)
				field.setStatus(ctx, "gus", v1alpha1.UserDesiredActive)
				field.waitForEffects(ctx, "gus")
				Expect(field.identityOf(ctx, "gus")).NotTo(Equal(identity))
				Expect(field.things(ctx).touchedSince(after)).To(BeEmpty(), "not even by a removal and a return")
				Expect(field.membershipStateOf(ctx, "gus-campaign")()).To(Equal(v1alpha1.StateRemoved))
			})
	})
})

// people are those who belong to the organization.
func (p *profile) people() ([]string, error) {
	return p.names("users.tenure.dev", "status.state!=Removed")
}

// members are the memberships of a room.
func (p *profile) members(room string) ([]string, error) {
	return p.names("memberships", "spec.groupRef.name="+room+",status.state!=Removed")
}

// identityOf is what stays the same of a user, and what a new one of the same name does not have.
func (p *profile) identityOf(ctx context.Context, name string) string {
	GinkgoHelper()
	user, err := p.user(ctx, name)()
	Expect(err).NotTo(HaveOccurred())
	Expect(user.Annotations).To(HaveKey(v1alpha1.AnnotationIdentity))
	return user.Annotations[v1alpha1.AnnotationIdentity]
}

package stories

import (
	"context"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("The profile learn-amp", Ordered, func() {
	var (
		amp  *profile
		mine = []string{ // What is Mia's and kept while she is deactivated.
			"SurveyResponse/engagement-mia", "Activity/mia-completed-design", "Activity/mia-viewed-brand", "Note/about-mia", "Note/by-mia",
			"Note/mia-to-herself", "Document/contract-mia", "ProfileAttribute/mia-location", "ProfileAttribute/mia-specialism",
			"ProfileAttribute/mia-language", "ProfileAttribute/mia-team", "Question/which-typeface", "Answer/vpn-by-mia", "OneToOne/adam-mia",
			"OneToOne/mia-lee", "ExerciseSubmission/wireframe-mia", "QuizAttempt/colours-mia-1", "QuizAttempt/colours-mia-2",
			"Like/mia-incident-guide", "Share/mia-brand-video-lee",
		}
	)
	BeforeAll(func(ctx context.Context) { amp = newProfile(ctx, "learn-amp") })

	It("leaves everything as it is while somebody takes a break", Label("S4.38"), func(ctx context.Context) {
		before := amp.things(ctx)
		Expect(editAs(ctx, amp.jane(), amp.organization, "lee", desired(v1alpha1.UserDesiredOnBreak, "Exams"))).To(Succeed())
		Eventually(amp.stateOf(ctx, "lee")).Should(Equal(v1alpha1.StateOnBreak))
		Expect(amp.user(ctx, "lee")()).To(HaveField("Status.Access", v1alpha1.AccessGranted))
		Expect(amp.transition(ctx, "user.lee.2")()).To(HaveField("Spec.Plan", BeEmpty()))
		Expect(amp.membershipStateOf(ctx, "lee-design")()).To(Equal(v1alpha1.StateActive))
		Expect(amp.holdsOf(ctx, "lee-design")()).To(BeEmpty())

		after := amp.things(ctx)
		Expect(after.names()).To(Equal(before.names()))
		Expect(after.touchedSince(before)).To(BeEmpty())
	})

	Context("when a user is deactivated", func() {
		var (
			before, after things
			profileBefore *v1alpha1.User
		)
		BeforeAll(func(ctx context.Context) {
			var err error
			profileBefore, err = amp.user(ctx, "mia")()
			Expect(err).NotTo(HaveOccurred())
			before = amp.things(ctx)
			Expect(amp.try(ctx, "jane patch user mia ")).To(Equal(amp.printed), "as the README shows it")
			Expect(amp.user(ctx, "mia")()).To(HaveField("ResourceVersion", profileBefore.ResourceVersion))
			Expect(amp.things(ctx).touchedSince(before)).To(BeEmpty())
			Expect(amp.try(ctx, "k get learnamp ")).To(And(ContainSubstring("security-training-mia"), ContainSubstring("adam-incident-guide-mia")))
			Expect(amp.try(ctx, "jane patch user mia ")).To(Equal(amp.printed), "what was said, to the letter")
			Eventually(amp.stateOf(ctx, "mia")).Should(Equal(v1alpha1.StateDeactivated))
			amp.waitForCascade(ctx, "user.mia.2")
			after = amp.things(ctx)
		})

		It("records who did it", Label("S4.13"), func(ctx context.Context) {
			Expect(amp.try(ctx, "jane get transitions -l tenure.dev/user=mia ")).To(
				MatchRegexp(`(?m)^user\.mia\.2 +mia +Active +Deactivated +Declared +jane@learn-amp\.example +40/40 `))
			record, err := amp.transition(ctx, "user.mia.2")()
			Expect(err).NotTo(HaveOccurred())
			Expect(record.Spec.Reason).To(Equal("Sabbatical"))
			Expect(record.Spec.Actor.Username).To(Equal("jane@learn-amp.example"))
		})

		DescribeTable("deletes what was set for the user, and of its kind nothing else:", func(names ...string) {
			kind, _, _ := strings.Cut(names[0], "/")
			deleted := slices.DeleteFunc(before.names(), func(name string) bool { return after[name] != nil || !strings.HasPrefix(name, kind+"/") })
			Expect(deleted).To(ConsistOf(names))
		},
			Entry("tasks", Label("S4.3"), "Task/onboarding-lee", "Task/security-training-mia"),
			Entry("event enrolments", Label("S4.4"), "EventEnrolment/ux-day-mia", "EventEnrolment/first-aid-mia"),
			Entry("objectives", Label("S4.5"), "Objective/accessible", "Objective/faster-onboarding"),
			Entry("key results of these", Label("S4.6"), "KeyResult/accessible-screens", "KeyResult/accessible-complaints", "KeyResult/onboarding-days"),
			Entry("purchase requests", Label("S4.14"), "PurchaseRequest/typography-course"),
		)

		DescribeTable("keeps, byte for byte,", func(names ...string) {
			for _, name := range names {
				Expect(after).To(HaveKey(name))
				Expect(after[name].Object).To(Equal(before[name].Object))
			}
		},
			Entry("survey responses", Label("S4.16"), "SurveyResponse/engagement-mia"),
			Entry("activity", Label("S4.17"), "Activity/mia-completed-design", "Activity/mia-viewed-brand"),
			Entry("notes on the profile", Label("S4.18"), "Note/about-mia", "Note/mia-to-herself"),
			Entry("notes made by the user", Label("S4.19"), "Note/by-mia", "Note/mia-to-herself"),
			Entry("documents", Label("S4.20"), "Document/contract-mia"),
			Entry("locations", Label("S4.21"), "ProfileAttribute/mia-location"),
			Entry("specialisms", Label("S4.22"), "ProfileAttribute/mia-specialism"),
			Entry("the teams that one was in, on the profile", Label("S4.23"), "ProfileAttribute/mia-team"),
			Entry("languages, as whatever else the profile says", Label("S4.24"), "ProfileAttribute/mia-language"),
			Entry("questions and answers", Label("S4.25"), "Question/which-typeface", "Answer/vpn-by-mia", "Answer/typeface-by-lee"),
			Entry("1-to-1s", Label("S4.26"), "OneToOne/adam-mia", "OneToOne/mia-lee"),
			Entry("exercises and their scores", Label("S4.27"), "ExerciseSubmission/wireframe-mia", "ExerciseSubmission/wireframe-lee"),
			Entry("quiz attempts", Label("S4.28"), "QuizAttempt/colours-mia-1", "QuizAttempt/colours-mia-2"),
			Entry("likes", Label("S4.29"), "Like/mia-incident-guide"),
			Entry("shares", Label("S4.30"), "Share/mia-brand-video-lee", "Share/adam-incident-guide-mia"),
		)

		It("takes the user from the editors of contents, which stay, as do the others", Label("S4.12"), func() {
			Expect(after["Content/design-principles"].Object["spec"]).To(HaveKeyWithValue("editors",
				Equal([]any{map[string]any{"name": "lee", "grantedBy": "mia"}})))
			Expect(after["Content/brand-video"].Object["spec"]).To(HaveKeyWithValue("editors", BeEmpty()))
			Expect(after["Content/design-principles"].GetAnnotations()).To(HaveKeyWithValue(v1alpha1.AnnotationTransition, "user.mia.2"))
		})

		It("does nothing else to anything", func() {
			kept := before.without(
				"Task/onboarding-lee", "Task/security-training-mia", "EventEnrolment/ux-day-mia", "EventEnrolment/first-aid-mia",
				"Objective/accessible", "Objective/faster-onboarding", "KeyResult/accessible-screens", "KeyResult/accessible-complaints",
				"KeyResult/onboarding-days", "PurchaseRequest/typography-course")
			Expect(after.touchedSince(before)).To(ConsistOf("Content/design-principles", "Content/brand-video"))
			after.expectContent(kept.content(
				`[{"grantedBy":"olivia","name":"mia"},{"grantedBy":"mia","name":"lee"}]`, `[{"grantedBy":"mia","name":"lee"}]`,
				`[{"grantedBy":"olivia","name":"mia"}]`, `[]`))
		})

		It("removes the user from all teams, and pauses what else one is a member of", Label("S4.2"), func(ctx context.Context) {
			Expect(amp.try(ctx, "k get learnamp; jane get memberships,groups.tenure.dev")).To(And(
				MatchRegexp(`(?m)^membership\.tenure\.dev/mia-design +mia +design +\["Member"\] +Removed +Hold `),
				MatchRegexp(`(?m)^membership\.tenure\.dev/mia-engineering +mia +engineering +\["Member"\] +Removed +Hold `),
				MatchRegexp(`(?m)^membership\.tenure\.dev/mia-book-club +mia +book-club +\["Member"\] +Paused +UserDeactivated `),
				MatchRegexp(`(?m)^membership\.tenure\.dev/lee-design +lee +design +\["Member"\] +Active `),
			))
			Expect(amp.holdsOf(ctx, "mia-design")()).To(Equal([]string{"effect-teams"}))
			Expect(amp.holdsOf(ctx, "mia-book-club")()).To(BeEmpty())
		})

		DescribeTable("lets the Owner stand in, recognisably, for what the user led:", func(ctx context.Context, group string) {
			Eventually(amp.group(ctx, group)).Should(HaveField("Status.Leader", v1alpha1.GroupLeader{Name: "olivia", Active: true, Acting: true}))
			g, err := amp.group(ctx, group)()
			Expect(err).NotTo(HaveOccurred())
			Expect(g.Spec.LeaderRef.Name).To(Equal("mia"), "what people declared stays theirs")
			Expect(g.Spec.Acting).To(Equal([]v1alpha1.Acting{{Relation: v1alpha1.RelationLeader, Name: "olivia", For: "mia", Transition: "user.mia.2"}}))
			Expect(amp.asJane("get", "tgroup", group, "--output=wide")).To(MatchRegexp(`(?m)^` + group + ` +\S+ +olivia `))
			Expect(amp.asJane("describe", "tgroup", group)).To(MatchRegexp(`(?m)^ +Leader:\n +Acting: +true\n +Active: +true\n +Name: +olivia$`))
		},
			Entry("teams", Label("S4.7", "S4.9"), "design"),
			Entry("groups", Label("S4.8", "S4.9"), "book-club"),
		)

		It("leaves teams that others lead to them", func(ctx context.Context) {
			Expect(amp.group(ctx, "engineering")()).To(And(
				HaveField("Status.Leader", v1alpha1.GroupLeader{Name: "adam", Active: true}), HaveField("Spec.Acting", BeEmpty())))
		})

		It("lets the Owner stand in as the manager of those whom the user managed", Label("S4.10"), func(ctx context.Context) {
			Expect(amp.user(ctx, "lee")()).To(And(HaveField("Spec.ManagerRef.Name", "mia"), HaveField("Spec.Acting", Equal([]v1alpha1.Acting{
				{Relation: v1alpha1.RelationManager, Name: "olivia", For: "mia", Transition: "user.mia.2"},
			}))))
			Expect(amp.user(ctx, "tess")()).To(HaveField("Spec.Acting", BeEmpty()))
		})

		It("leaves those whom the user coached without a coach", Label("S4.11"), func(ctx context.Context) {
			Expect(amp.user(ctx, "ned")()).To(HaveField("Spec.Acting", Equal([]v1alpha1.Acting{
				{Relation: v1alpha1.RelationCoach, For: "mia", Transition: "user.mia.2"},
			})))
		})

		It("keeps the profile for administrators", Label("S4.15"), func(ctx context.Context) {
			mia := &v1alpha1.User{}
			Expect(amp.jane().Get(ctx, client.ObjectKeyFromObject(profileBefore), mia)).To(Succeed())
			desired(v1alpha1.UserDesiredDeactivated, "Sabbatical")(profileBefore)
			Expect(mia.Spec).To(Equal(profileBefore.Spec))
		})

		It("takes the user out of searches for people", Label("S4.35"), func() {
			Expect(amp.search()).NotTo(ContainElement("mia"))
			Expect(amp.search()).To(ContainElements("lee", "ned", "tess"))
		})
	})

	Context("when the user is activated again", func() {
		var before things

		BeforeAll(func(ctx context.Context) {
			before = amp.things(ctx)
			amp.try(ctx, "jane patch user mia ")
			Eventually(amp.stateOf(ctx, "mia")).Should(Equal(v1alpha1.StateActive))
			amp.waitForEffects(ctx, "mia")
		})

		It("is there again what was kept, and who", Label("S4.33", "S4.34", "S4.35"), func(ctx context.Context) {
			Expect(amp.user(ctx, "mia")()).To(HaveField("Status.Access", v1alpha1.AccessGranted))
			Expect(amp.search()).To(ContainElement("mia"))
			after := amp.things(ctx)
			Expect(after.names()).To(ContainElements(mine))
			Expect(after.names()).To(Equal(before.names()), "and nothing that was deleted")
			Expect(after.touchedSince(before)).To(BeEmpty())
		})

		It("has given back no team and no group", func(ctx context.Context) {
			Eventually(amp.membershipStateOf(ctx, "mia-book-club")).Should(Equal(v1alpha1.StateActive))
			Expect(amp.membershipStateOf(ctx, "mia-design")()).To(Equal(v1alpha1.StateRemoved))
			Expect(amp.membershipStateOf(ctx, "mia-engineering")()).To(Equal(v1alpha1.StateRemoved))
			Expect(amp.group(ctx, "design")()).To(HaveField("Status.Leader.Acting", BeTrue()))
			Expect(amp.group(ctx, "book-club")()).To(HaveField("Status.Leader.Acting", BeTrue()))
		})

		It("ends with a new leader that the Owner stands in", Label("S4.9"), func(ctx context.Context) {
			Expect(editAs(ctx, amp.jane(), amp.organization, "design", ledBy("lee"))).To(Succeed())
			Eventually(amp.group(ctx, "design")).Should(And(
				HaveField("Status.Leader", v1alpha1.GroupLeader{Name: "lee", Active: true}), HaveField("Spec.Acting", BeEmpty())))
			Expect(editAs(ctx, amp.jane(), amp.organization, "lee", managedBy("adam"))).To(Succeed())
			Eventually(amp.user(ctx, "lee")).Should(HaveField("Spec.Acting", BeEmpty()))
		})

		It("ends with its release that the Owner stands in: the one who is declared leads again", Label("S4.9"), func(ctx context.Context) {
			Expect(editAs(ctx, amp.jane(), amp.organization, "book-club", releasing[*v1alpha1.Group](v1alpha1.ReleaseActingLeader))).To(Succeed())
			Eventually(amp.group(ctx, "book-club")).Should(And(
				HaveField("Status.Leader", v1alpha1.GroupLeader{Name: "mia", Active: true}), HaveField("Spec.Acting", BeEmpty()),
				HaveField("Annotations", Not(HaveKey(v1alpha1.AnnotationRelease)))))
			Expect(editAs(ctx, amp.jane(), amp.organization, "ned", releasing[*v1alpha1.User](v1alpha1.ReleaseActingCoach))).To(Succeed())
			Eventually(amp.user(ctx, "ned")).Should(And(HaveField("Spec.Acting", BeEmpty()), HaveField("Spec.CoachRef.Name", "mia")))
		})
	})

	It("deletes, with the user, all that is the user's, and nothing that is somebody else's", Label("S4.39", "S4.40"), func(ctx context.Context) {
		before := amp.things(ctx)
		mia, err := amp.user(ctx, "mia")()
		Expect(err).NotTo(HaveOccurred())
		amp.try(ctx, "jane delete user mia ")
		Expect(amp.guide).To(BeEmpty(), "all that the README tells to try")

		_, err = amp.user(ctx, "mia")()
		Expect(err).To(MatchError(apierrors.IsNotFound, "IsNotFound"))
		Expect(amp.search()).NotTo(ContainElement("mia"))
		Eventually(amp.membershipStateOf(ctx, "mia-book-club")).Should(Equal(v1alpha1.StateRemoved))
		after := amp.things(ctx)
		Expect(after.names()).To(Equal(before.without(mine...).names()))
		Expect(after.touchedSince(before)).To(BeEmpty())
		Expect(amp.group(ctx, "book-club")()).To(HaveField("Spec.Acting", ConsistOf(HaveField("Name", "olivia"))))

		By("keeping the record, without the person")
		Expect(amp.transitionsOf(ctx, v1alpha1.SubjectUser, "mia")()).To(BeEmpty())
		Expect(amp.transitionsOf(ctx, v1alpha1.SubjectUser, "removed-"+string(mia.UID))()).To(Equal([]string{
			"→Active(Declared)", "Active→Deactivated(Declared)", "Deactivated→Active(Declared)", "Active→Removed(Deleted)",
		}))
	})

	It("takes the same along where a removed user keeps the account", Label("S4.40"), func(ctx context.Context) {
		before := amp.things(ctx)
		amp.setStatus(ctx, "ned", v1alpha1.UserDesiredRemoved)
		amp.waitForCascade(ctx, "user.ned.2")
		after := amp.things(ctx)
		Expect(after.touchedSince(before)).To(ConsistOf("Content/incident-guide"))
		after.expectContent(before.without(
			"PurchaseRequest/go-book", "Activity/ned-started-incident", "Note/about-ned", "Question/where-is-the-vpn",
			"OneToOne/adam-ned", "QuizAttempt/colours-ned").content(`"editors":[{"grantedBy":"adam","name":"ned"}]`, `"editors":[]`))
		Eventually(amp.membershipStateOf(ctx, "ned-engineering")).Should(Equal(v1alpha1.StateRemoved))
	})
})

// search finds people by what they can do, as a directory of colleagues would.
func (p *profile) search() ([]string, error) {
	return p.names("users.tenure.dev", "status.access=Granted")
}

func managedBy(name string) func(*v1alpha1.User) {
	return func(u *v1alpha1.User) { u.Spec.ManagerRef = v1alpha1.Reference{Name: name} }
}

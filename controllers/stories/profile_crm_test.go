package stories

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("The profile crm", Ordered, func() {
	const (
		sam, carla = "sam@crm.example", "carla@customer.example"
		wendysTeam = "sam-sales-west"
	)
	var (
		crm      *profile
		sessions map[string]func(context.Context) error // open ones, of a customer and an employee: each asks for something that members may see
	)
	BeforeAll(func(ctx context.Context) {
		crm = newProfile(ctx, "crm")
		shop := crm.createProgram(ctx, "shop")
		crm.enrol(ctx, "sam", v1alpha1.StateActive, "shop")
		crm.enrol(ctx, "carla", v1alpha1.StateActive, "shop")
		sessions = map[string]func(context.Context) error{}
		for _, userName := range []string{sam, carla} {
			session := as(userName)
			sessions[userName] = func(ctx context.Context) error {
				return session.List(ctx, &corev1.PodList{}, client.InNamespace(shop))
			}
			Eventually(ctx, sessions[userName]).Should(Succeed())
		}
	})

	Context("when an employee and a customer are deactivated", func() {
		var (
			before, after things
			asked         string // what Jane reads before she confirms
		)

		BeforeAll(func(ctx context.Context) {
			before = crm.things(ctx)
			Expect(crm.try(ctx, "k get crm ")).To(And(ContainSubstring("harbour-licences"), ContainSubstring("carla-pro")))
			asked = crm.tryInVain(ctx, "jane patch user sam ")
			Expect(crm.stateOf(ctx, "sam")()).To(Equal(v1alpha1.StateActive))
			Expect(crm.things(ctx).touchedSince(before)).To(BeEmpty())
			Expect(crm.try(ctx, "confirm sam ")).To(HaveSuffix("user.tenure.dev/sam patched\n"))
			Expect(crm.try(ctx, "confirm carla ")).To(HaveSuffix("user.tenure.dev/carla patched\n"))
			crm.waitForCascade(ctx, "user.sam.2")
			crm.waitForCascade(ctx, "user.carla.2")
			after = crm.things(ctx)
		})

		It("asks before, and says what for", Label("S2.5"), func(ctx context.Context) {
			Expect(asked).To(And(
				ContainSubstring("Warning: sam: Active to Deactivated at once; access ends; "),
				ContainSubstring("Warning: sam: opportunities: Transfer 3 Opportunity to wendy\n"),
				ContainSubstring("policy default requires a confirmation of what this change does (see the warnings)")))
			Expect(editAs(ctx, crm.jane(), crm.organization, "nora", desired(v1alpha1.UserDesiredDeactivated), confirming(digestIn(asked)))).To(
				MatchError(ContainSubstring("what this change does is not what was confirmed")), "for Sam")
			Expect(crm.stateOf(ctx, "nora")()).To(Equal(v1alpha1.StateActive))
		})

		It("ends the access of either kind of user, by the same act", Label("S2.1", "S2.2", "S2.10"), func(ctx context.Context) {
			for name, userType := range map[string]string{"sam": "Employee", "carla": "Customer"} {
				Eventually(crm.stateOf(ctx, name)).Should(Equal(v1alpha1.StateDeactivated))
				Expect(crm.user(ctx, name)()).To(And(HaveField("Spec.UserType", userType), HaveField("Status.Access", v1alpha1.AccessDenied)))
				Eventually(crm.membershipStateOf(ctx, name+"-relaunch")).Should(Equal(v1alpha1.StatePaused), "nothing but access is taken there")
				Expect(crm.holdsOf(ctx, name+"-relaunch")()).To(BeEmpty())
			}
		})

		It("rejects what comes next in a session that is open", Label("S2.11"), func(ctx context.Context) {
			for userName, session := range sessions {
				Eventually(ctx, session).Should(MatchError(apierrors.IsForbidden, "IsForbidden"), userName)
			}
		})

		It("cancels their active subscriptions, and nobody else's", Label("S2.12"), func() {
			for _, name := range []string{"carla-pro", "carla-storage", "sam-staff"} {
				Expect(after["Subscription/"+name].Object["spec"]).To(And(
					HaveKeyWithValue("state", "Cancelled"), HaveKeyWithValue("cancelReason", "The account is not active any more")), name)
			}
			for _, name := range []string{"Subscription/carla-trial", "Subscription/cyrus-basic"} {
				Expect(after[name].Object).To(Equal(before[name].Object))
			}
		})

		It("hands the employee's opportunities to the leader of the team that the employee is then taken out of",
			Label("S2.13", "S2.15", "S2.16"), func(ctx context.Context) {
				for _, name := range []string{"harbour-licences", "ferry-support", "dock-training"} {
					Expect(after["Opportunity/"+name].Object["spec"]).To(HaveKeyWithValue("assignee", "wendy"),
						"had the team been left first, Tom would have received it, who leads the first team")
				}
				Eventually(crm.membershipStateOf(ctx, wendysTeam)).Should(Equal(v1alpha1.StateRemoved))
				Expect(crm.holdsOf(ctx, wendysTeam)()).To(Equal([]string{"effect-sales-team"}))
			})

		It("leaves a customer's opportunities to the customer", Label("S2.17"), func(ctx context.Context) {
			Expect(after["Opportunity/reseller-programme"].Object).To(Equal(before["Opportunity/reseller-programme"].Object))
			Expect(crm.ledger(ctx, "user.carla.2")()).To(Equal([]string{"True Done", "subscriptions 2/2", "orders 2/2", "projects 1/1"}))
		})

		It("does nothing else to anything", func() {
			Expect(after.touchedSince(before)).To(ConsistOf(
				"Opportunity/harbour-licences", "Opportunity/ferry-support", "Opportunity/dock-training",
				"Subscription/carla-pro", "Subscription/carla-storage", "Subscription/sam-staff"))
			after.expectContent(before.content(
				`"assignee":"sam"`, `"assignee":"wendy"`,
				`"plan":"Pro","renewalDate":"2026-12-01","state":"Active"`, cancelled(`"plan":"Pro","renewalDate":"2026-12-01"`),
				`"plan":"Storage","renewalDate":"2027-03-01","state":"Active"`, cancelled(`"plan":"Storage","renewalDate":"2027-03-01"`),
				`"plan":"Staff discount","renewalDate":"2027-01-01","state":"Active"`, cancelled(`"plan":"Staff discount","renewalDate":"2027-01-01"`),
			))
		})

		It("shows who did it, and how far it is", func(ctx context.Context) {
			Expect(crm.try(ctx, "jane get transitions ")).To(And(
				MatchRegexp(`(?m)^user\.sam\.2 +sam +Active +Deactivated +Declared +jane@crm\.example +6/6 `),
				MatchRegexp(`(?m)^user\.carla\.2 +carla +Active +Deactivated +Declared +jane@crm\.example +5/5 `)))
			Expect(crm.try(ctx, "k get crm; jane get memberships")).To(And(
				MatchRegexp(`(?m)^opportunity\.crm\.example\.com/ferry-support .* wendy +Lead `),
				MatchRegexp(`(?m)^sam-sales-west +sam +sales-west +\["Seller"\] +Removed +Hold `)))
		})

		It("finds them among the inactive only, each in the index of its kind", Label("S2.18", "S2.19"), func() {
			Expect(crm.index("Employee", v1alpha1.AccessGranted)).To(ConsistOf("olivia", "adam", "tom", "wendy", "nora"))
			Expect(crm.index("Employee", v1alpha1.AccessDenied)).To(ConsistOf("sam"))
			Expect(crm.index("Customer", v1alpha1.AccessGranted)).To(ConsistOf("cyrus"))
			Expect(crm.index("Customer", v1alpha1.AccessDenied)).To(ConsistOf("carla"))
		})
	})

	It("refuses to deactivate who leads a team", Label("S2.4"), func(ctx context.Context) {
		Expect(crm.tryInVain(ctx, "jane patch user wendy ")).To(
			ContainSubstring("wendy leads sales-west. Name another leader in spec.leaderRef of each first, or let guards.leader of policy default be Allow"))
		Expect(crm.stateOf(ctx, "wendy")()).To(Equal(v1alpha1.StateActive))
	})

	It("refuses to deactivate who ranks above the one who asks, and nobody else", Label("S2.3"), func(ctx context.Context) {
		Expect(crm.tryInVain(ctx, "tom patch user adam ")).To(ContainSubstring("adam has the role Admin, which ranks above yours (Manager)"))
		Expect(crm.stateOf(ctx, "adam")()).To(Equal(v1alpha1.StateActive))

		tom := func(name string) (string, error) {
			return kubectl("--namespace=crm", "--as=tom@crm.example", "patch", "user", name, "--type=merge", "--patch="+deactivates, "--dry-run=server")
		}
		Expect(tom("nora")).To(ContainSubstring("patched"))
		_, err := tom("olivia")
		Expect(err).To(MatchError(ContainSubstring("olivia has the role Owner, which ranks above yours (Manager)")))
	})

	It("hands the opportunities of an employee without a team to the leader of the first team", Label("S2.14"), func(ctx context.Context) {
		before := crm.things(ctx)
		crm.setStatus(ctx, "nora", v1alpha1.UserDesiredDeactivated)
		crm.waitForCascade(ctx, "user.nora.2")
		after := crm.things(ctx)
		Expect(after.touchedSince(before)).To(ConsistOf("Opportunity/museum-tickets", "Opportunity/theatre-seats"))
		after.expectContent(before.content(`"assignee":"nora"`, `"assignee":"tom"`))
	})

	It("gives back access with the account, once that is confirmed, and nothing else", Label("S2.20", "S2.21", "S2.22", "S2.23", "S2.24", "S2.25", "S2.26"), func(ctx context.Context) {
		before := crm.things(ctx)
		_, err := crm.asJane("patch", "user", "sam", "--type=merge", "--patch="+reactivates)
		Expect(err).To(MatchError(ContainSubstring("policy default requires a confirmation of what this change does")))
		Expect(crm.stateOf(ctx, "sam")()).To(Equal(v1alpha1.StateDeactivated))
		Expect(crm.try(ctx, "confirm sam ")).To(HaveSuffix("user.tenure.dev/sam patched\n"))
		Expect(crm.guide).To(BeEmpty(), "all that the README tells to try")
		crm.setStatus(ctx, "carla", v1alpha1.UserDesiredActive)
		for _, name := range []string{"sam", "carla"} {
			Eventually(crm.stateOf(ctx, name)).Should(Equal(v1alpha1.StateActive))
			Eventually(crm.membershipStateOf(ctx, name+"-relaunch")).Should(Equal(v1alpha1.StateActive))
		}
		for userName, session := range sessions {
			Eventually(ctx, session).Should(Succeed(), userName)
		}
		Expect(crm.membershipStateOf(ctx, wendysTeam)()).To(Equal(v1alpha1.StateRemoved))
		Expect(crm.things(ctx).touchedSince(before)).To(BeEmpty(), "cancelled is cancelled, and what went to Wendy is hers")
	})

	It("hands nothing over twice, however often the account comes and goes", Label("S2.23", "S2.25"), func(ctx context.Context) {
		crm.createThing(ctx, "Opportunity", "pier-lights", `{"title": "Lights for the pier", "assignee": "sam", "stage": "Lead"}`)
		before := crm.things(ctx)
		crm.setStatus(ctx, "sam", v1alpha1.UserDesiredDeactivated)
		crm.waitForCascade(ctx, "user.sam.4")
		after := crm.things(ctx)
		Expect(after.touchedSince(before)).To(ConsistOf("Opportunity/pier-lights"))
		after.expectContent(before.content(`"assignee":"sam"`, `"assignee":"tom"`), "Sam has no team any more")

		crm.setStatus(ctx, "sam", v1alpha1.UserDesiredActive)
		crm.setStatus(ctx, "sam", v1alpha1.UserDesiredDeactivated)
		crm.waitForCascade(ctx, "user.sam.6")
		crm.setStatus(ctx, "sam", v1alpha1.UserDesiredActive)
		Expect(crm.things(ctx).touchedSince(after)).To(BeEmpty())
		Expect(crm.ledger(ctx, "user.sam.6")()).To(Equal([]string{
			"True Done", "subscriptions 0/0", "orders 0/0", "opportunities 0/0", "sales-team 0/0", "projects 1/1",
		}))
		Expect(crm.transitionsOf(ctx, v1alpha1.SubjectMembership, wendysTeam)()).To(
			HaveExactElements("→Active(Declared)", HaveSuffix("→Removed(Held)")))
	})

	It("has the employee added to a team again by hand", Label("S2.26"), func(ctx context.Context) {
		Expect(crm.asJane("delete", "membership", wendysTeam)).To(ContainSubstring("deleted"))
		Expect(crm.jane().Create(ctx, crm.newMembership("sam", "sales-west", withRoles("Seller")))).To(Succeed())
		Eventually(crm.membershipStateOf(ctx, wendysTeam)).Should(Equal(v1alpha1.StateActive))
		Expect(crm.holdsOf(ctx, wendysTeam)()).To(BeEmpty())
	})

	It("keeps a leader's work waiting until somebody else leads, though the access ends on time", func(ctx context.Context) {
		before := crm.things(ctx)
		crm.change(ctx, "wendy", absent("sabbatical", inSeconds(2), inSeconds(3600), v1alpha1.AbsenceDeactivated))
		Eventually(crm.ledger(ctx, "user.wendy.2")).Should(ContainElement("False Leader"))
		Expect(crm.user(ctx, "wendy")()).To(HaveField("Status.Access", v1alpha1.AccessDenied))
		Eventually(crm.userCondition(ctx, "wendy", v1alpha1.ConditionReady)).Should(And(
			HavePrefix("False "), ContainSubstring("User wendy leads sales-west. Name another leader in leaderRef")))
		Expect(crm.things(ctx).touchedSince(before)).To(BeEmpty())

		Expect(editAs(ctx, crm.jane(), crm.organization, "sales-west", ledBy("tom"))).To(Succeed())
		crm.waitForCascade(ctx, "user.wendy.2")
		crm.things(ctx).expectContent(before.content(`"assignee":"wendy"`, `"assignee":"tom"`))
	})

	It("lets a leader go as soon as somebody else leads", Label("S2.4"), func(ctx context.Context) {
		crm.change(ctx, "wendy", func(u *v1alpha1.User) { u.Spec.Absences = nil })
		Eventually(crm.stateOf(ctx, "wendy")).Should(Equal(v1alpha1.StateActive))
		crm.setStatus(ctx, "wendy", v1alpha1.UserDesiredDeactivated)
	})

	Context("where leaders may go", func() {
		BeforeAll(func(ctx context.Context) {
			policy, err := read[v1alpha1.LifecyclePolicy](ctx, crm.organization, "default")()
			Expect(err).NotTo(HaveOccurred())
			policy.ObjectMeta = metav1.ObjectMeta{Name: "leaders-too", Namespace: crm.name}
			policy.Spec.Guards.Leader = v1alpha1.GuardAllow
			Expect(admin.Create(ctx, policy)).To(Succeed())
			for _, name := range []string{"tom", "sam"} {
				crm.editUser(ctx, name, func(u *v1alpha1.User) { u.Spec.PolicyRef.Name = policy.Name })
			}
		})

		It("hands the work of the first team's leader to the next team's (case 9)", Label("S2.14"), func(ctx context.Context) {
			crm.deleteObject("membership", "tom-sales-east")
			crm.editGroup(ctx, "sales-west", ledBy("sam"))
			before := crm.things(ctx)
			crm.setStatus(ctx, "tom", v1alpha1.UserDesiredDeactivated)
			crm.waitForCascade(ctx, "user.tom.2")
			after := crm.things(ctx)
			Expect(after.touchedSince(before)).To(ConsistOf(
				"Opportunity/airport-gates", "Opportunity/museum-tickets", "Opportunity/theatre-seats", "Opportunity/pier-lights",
				"Opportunity/harbour-licences", "Opportunity/ferry-support", "Opportunity/dock-training"))
			after.expectContent(before.content(`"assignee":"tom"`, `"assignee":"sam"`))
		})

		It("hands it to the Owner where no team has a leader left (case 9)", func(ctx context.Context) {
			before := crm.things(ctx)
			crm.setStatus(ctx, "sam", v1alpha1.UserDesiredDeactivated)
			crm.waitForCascade(ctx, "user.sam.8")
			crm.things(ctx).expectContent(before.content(`"assignee":"sam"`, `"assignee":"olivia"`))
		})
	})
})

// cancelled is the JSON of a subscription's plan and date after it was cancelled.
func cancelled(planAndDate string) string {
	return `"cancelReason":"The account is not active any more",` + planAndDate + `,"state":"Cancelled"`
}

// index is the list of users of one kind, with those who have access, or with those who have none.
func (p *profile) index(userType string, access v1alpha1.Access) ([]string, error) {
	return p.names("users.tenure.dev", "spec.userType="+userType+",status.access="+string(access))
}

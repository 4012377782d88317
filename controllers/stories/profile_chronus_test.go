package stories

import (
	"context"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// bulk is one change to each membership that a label or field selector selects, as Jane makes it from a shell. It returns their
// names.
func (p *profile) bulk(selector, patch string) []string {
	GinkgoHelper()
	selected, err := p.asJane("get", "memberships", selector, "--output=name")
	Expect(err).NotTo(HaveOccurred())
	names := strings.Fields(selected)
	Expect(names).NotTo(BeEmpty())
	_, err = p.asJane(append(append([]string{"patch"}, names...), "--type=merge", "--patch="+patch)...)
	Expect(err).NotTo(HaveOccurred())
	return names
}

// statesIn are the states of the memberships of a group, such as "mira Active".
func (p *profile) statesIn(ctx context.Context, group string) func() ([]string, error) {
	return func() ([]string, error) {
		var list v1alpha1.MembershipList
		err := admin.List(ctx, &list, client.InNamespace(p.name), client.MatchingFields{"spec.groupRef.name": group})
		states := []string{}
		for i := range list.Items {
			states = append(states, list.Items[i].Spec.UserRef.Name+" "+string(list.Items[i].Status.State))
		}
		slices.Sort(states)
		return states, err
	}
}

// reasonAndActor of a membership's newest change, as it is recorded.
func (p *profile) reasonAndActor(ctx context.Context, membership string) (reason, actor string) {
	GinkgoHelper()
	m, err := p.membership(ctx, membership)()
	Expect(err).NotTo(HaveOccurred())
	change, err := p.transition(ctx, m.Status.LastTransition.Name)()
	Expect(err).NotTo(HaveOccurred())
	return change.Spec.Reason, change.Spec.Actor.Username
}

func (p *profile) seatsUsed(ctx context.Context) func() (int32, error) {
	return func() (int32, error) {
		settings, err := p.settings(ctx)()
		return settings.Status.SeatsUsed, err
	}
}

func (p *profile) activeMembers(ctx context.Context, group string) func() (int32, error) {
	return func() (int32, error) {
		g, err := p.group(ctx, group)()
		return g.Status.Members.Active, err
	}
}

// The specs follow the guide, and each finds the programs as the one before has left them.
var _ = Describe("The mentoring platform", Ordered, func() {
	var (
		chronus *profile
		before  things
	)

	const (
		view = "view@chronus-mentoring"
		edit = "edit@chronus-mentoring"
	)

	BeforeAll(func(ctx context.Context) {
		chronus = newProfile(ctx, "chronus")
		before = chronus.things(ctx)
	})

	It("deactivates nobody by itself, however idle: that is an administrator's to do, and a licence is taken until then",
		Label("S0.1", "S0.11"), func(ctx context.Context) {
			for _, idle := range []string{"ed", "nora"} {
				user, err := chronus.user(ctx, idle)()
				Expect(err).NotTo(HaveOccurred())
				Expect(user.Status.LastActivityTime.Time).To(BeTemporally("<", time.Now().Add(-3000*time.Hour)))
				Expect(user.Status.NextState).To(BeEmpty(), "nothing is going to happen by itself")
				Expect(chronus.transitionsOf(ctx, v1alpha1.SubjectUser, idle)()).To(Equal([]string{"→Active(Declared)"}))
				Expect(chronus.transitionsOf(ctx, v1alpha1.SubjectMembership, idle+"-self-match")()).To(Equal([]string{"→Active(Declared)"}))
			}
			Eventually(chronus.seatsUsed(ctx)).Should(BeEquivalentTo(6), "Alice, Carol, Dave, Ed, Mira and Nora")
		})

	It("deactivates somebody in one program: the data and the other program stay, and reports show who takes part",
		Label("S0.3", "S0.9", "S0.19", "S0.21", "S0.22", "S0.40", "S0.49", "S0.61", "S0.62", "S0.63"), func(ctx context.Context) {
			Eventually(chronus.grantsOf(ctx, "alice")).Should(Equal([]string{view, view}))
			Eventually(chronus.activeMembers(ctx, "self-match")).Should(BeEquivalentTo(6))

			chronus.try(ctx, "k patch membership alice-self-match")
			Eventually(chronus.membershipStateOf(ctx, "alice-self-match")).Should(Equal(v1alpha1.StateDeactivated))
			Eventually(chronus.grantsOf(ctx, "alice")).Should(Equal([]string{view}))
			Expect(chronus.try(ctx, "k get memberships")).To(And(
				MatchRegexp(`(?m)^alice-self-match\s+alice\s+self-match\s+\["Mentee"\]\s+Deactivated\s+Declared\s`),
				MatchRegexp(`(?m)^alice-cohort-2026\s+alice\s+cohort-2026\s+\["Mentee"\]\s+Active\s`)))
			Expect(chronus.stateOf(ctx, "alice")()).To(Equal(v1alpha1.StateActive))
			Eventually(chronus.user(ctx, "alice")).Should(HaveField("Status.Memberships", v1alpha1.MembershipCounts{Active: 1, Total: 2}))
			Expect(chronus.seatsUsed(ctx)()).To(BeEquivalentTo(6), "she keeps her licence")

			Eventually(chronus.activeMembers(ctx, "self-match")).Should(BeEquivalentTo(5))
			Expect(chronus.names("memberships", "spec.groupRef.name=self-match,status.state=Active")).To(
				ConsistOf("carol-self-match", "dave-self-match", "ed-self-match", "mira-self-match", "nora-self-match"))
			Expect(chronus.things(ctx).touchedSince(before)).To(BeEmpty(), "not even written to")
			Expect(chronus.things(ctx).names()).To(Equal(before.names()), "her answers on the form are all there")

			Expect(chronus.asJane("patch", "membership", "alice-self-match", "--type=merge",
				`--patch={"spec":{"desiredStatus":"Active","reason":null}}`)).To(ContainSubstring("patched"))
			Eventually(chronus.membershipStateOf(ctx, "alice-self-match")).Should(Equal(v1alpha1.StateActive))
			Eventually(chronus.grantsOf(ctx, "alice")).Should(Equal([]string{view, view}))
			Eventually(chronus.activeMembers(ctx, "self-match")).Should(BeEquivalentTo(6))
		})

	It("deactivates everybody whom a selector finds, for one reason, and has them back likewise",
		Label("S0.4", "S0.26", "S0.27", "S0.28", "S0.48"), func(ctx context.Context) {
			chronus.try(ctx, "for m in $(k get memberships --field-selector spec.groupRef.name=cohort-2026")
			Eventually(chronus.statesIn(ctx, "cohort-2026")).Should(Equal([]string{"alice Deactivated", "dave Deactivated", "mira Deactivated"}))
			for _, user := range []string{"alice", "dave", "mira"} {
				Eventually(chronus.whyMember(ctx, user+"-cohort-2026")).Should(Equal([]string{"Deactivated:Hold/cycle"}))
				reason, actor := chronus.reasonAndActor(ctx, user+"-cohort-2026")
				Expect(reason).To(Equal("The cycle is over"))
				Expect(actor).To(Equal("jane@chronus.example"))
				Expect(chronus.membershipStateOf(ctx, user+"-self-match")()).To(Equal(v1alpha1.StateActive), "the selector did not find it")
			}

			_, err := chronus.asJane("annotate", "memberships", "--field-selector=spec.groupRef.name=cohort-2026", "tenure.dev/release=cycle")
			Expect(err).NotTo(HaveOccurred())
			Eventually(chronus.statesIn(ctx, "cohort-2026")).Should(Equal([]string{"alice Active", "dave Active", "mira Active"}))
		})

	It("runs in cohorts that people opt into: everybody leaves, and who comes or returns is in until the next one ends",
		Label("S0.13"), func(ctx context.Context) {
			chronus.bulk("--field-selector=spec.groupRef.name=cohort-2026",
				`{"spec":{"holds":[{"name":"spring","status":"Deactivated","reason":"The cycle is over","release":"Self"}]}}`)
			Eventually(chronus.statesIn(ctx, "cohort-2026")).Should(Equal([]string{"alice Deactivated", "dave Deactivated", "mira Deactivated"}))

			end := inSeconds(4)
			Expect(editAs(ctx, chronus.jane(), chronus.organization, "mira-cohort-2026", releasing[*v1alpha1.Membership]("spring"), membershipExpires(end))).To(Succeed())
			carol := chronus.newMembership("carol", "cohort-2026", withRoles("Mentee"), membershipExpires(end))
			Expect(chronus.jane().Create(ctx, carol)).To(Succeed())
			Eventually(chronus.statesIn(ctx, "cohort-2026")).Should(Equal([]string{"alice Deactivated", "carol Active", "dave Deactivated", "mira Active"}))
			Eventually(chronus.grantsOf(ctx, "carol")).Should(Equal([]string{view, view}))

			Eventually(chronus.statesIn(ctx, "cohort-2026")).Should(Equal([]string{"alice Deactivated", "carol Expired", "dave Deactivated", "mira Expired"}))
			Expect(time.Now()).To(BeTemporally(">=", end))
			Eventually(chronus.grantsOf(ctx, "carol")).Should(Equal([]string{view}), "of the other program")

			_, err := chronus.asJane("annotate", "membership", "dave-cohort-2026", "tenure.dev/release=spring")
			Expect(err).NotTo(HaveOccurred())
			Eventually(chronus.membershipStateOf(ctx, "dave-cohort-2026")).Should(Equal(v1alpha1.StateActive))
		})

	It("lets those go who opt out, and nobody else", Label("S0.14"), func(ctx context.Context) {
		_, err := chronus.asJane("label", "membership", "carol-self-match", "survey=opt-out")
		Expect(err).NotTo(HaveOccurred())
		changed := chronus.bulk("--selector=survey=opt-out", `{"spec":{"desiredStatus":"Deactivated","reason":"Opted out in the survey"}}`)
		Expect(changed).To(Equal([]string{"membership.tenure.dev/carol-self-match"}))
		Eventually(chronus.statesIn(ctx, "self-match")).Should(Equal([]string{
			"alice Active", "carol Deactivated", "dave Active", "ed Active", "mira Active", "nora Active",
		}))
		Eventually(chronus.seatsUsed(ctx)).Should(BeEquivalentTo(5))
	})

	It("finds who is idle and unconnected, and makes their seats free", Label("S0.12", "S0.15"), func(ctx context.Context) {
		months := time.Now().Add(-90 * 24 * time.Hour).UTC().Format(time.RFC3339)
		idle, err := chronus.asJane("get", "users.tenure.dev", `--output=jsonpath={.items[?(@.status.lastActivityTime<"`+months+`")].metadata.name}`)
		Expect(err).NotTo(HaveOccurred())
		connected, err := kubectl("get", "connections", "--namespace=chronus", "--output=jsonpath={.items[*].spec.participants[*].name}")
		Expect(err).NotTo(HaveOccurred())
		unconnected := slices.DeleteFunc(strings.Fields(idle), func(name string) bool { return slices.Contains(strings.Fields(connected), name) })
		Expect(unconnected).To(ConsistOf("ed", "nora"))

		for _, name := range unconnected {
			chronus.bulk("--field-selector=spec.userRef.name="+name, `{"spec":{"desiredStatus":"Deactivated","reason":"Inactive and without a connection"}}`)
		}
		Eventually(chronus.statesIn(ctx, "self-match")).Should(Equal([]string{
			"alice Active", "carol Deactivated", "dave Active", "ed Deactivated", "mira Active", "nora Deactivated",
		}))
		Eventually(chronus.seatsUsed(ctx)).Should(BeEquivalentTo(3))
		Expect(chronus.stateOf(ctx, "ed")()).To(Equal(v1alpha1.StateActive), "the account is not concerned")
	})

	It("has suspension as the only status that shuts somebody out of everything, and asks for the reason of whatever takes access away",
		Label("S0.28", "S0.64"), func(ctx context.Context) {
			Expect(chronus.tryInVain(ctx, "k patch user dave")).To(
				ContainSubstring("policy participants does not let anybody declare Deactivated. It allows Active, Suspended (allowedStatuses)"))
			for _, other := range []string{"OnBreak", "Removed"} {
				_, err := chronus.asJane("patch", "user", "dave", "--type=merge", `--patch={"spec":{"desiredStatus":"`+other+`","reason":"Not in the data feed"}}`)
				Expect(err).To(MatchError(ContainSubstring("does not let anybody declare " + other)))
			}

			const refusal = "policy participants requires a reason for leaving the active states"
			Expect(chronus.tryInVain(ctx, "k patch user dave")).To(ContainSubstring(refusal))
			for _, patch := range []string{`{"spec":{"desiredStatus":"Deactivated"}}`, `{"spec":{"holds":[{"name":"audit","status":"Deactivated"}]}}`} {
				_, err := chronus.asJane("patch", "membership", "dave-self-match", "--type=merge", "--patch="+patch)
				Expect(err).To(MatchError(ContainSubstring(refusal)), patch)
			}
			Expect(chronus.stateOf(ctx, "dave")()).To(Equal(v1alpha1.StateActive))
			Expect(chronus.membershipStateOf(ctx, "dave-self-match")()).To(Equal(v1alpha1.StateActive))
		})

	It("shuts somebody out of every program, keeps all there is, and gives nothing back but by an administrator, program by program",
		Label("S0.12", "S0.19", "S0.23", "S0.40", "S0.58", "S0.59", "S0.60", "S0.64"), func(ctx context.Context) {
			Eventually(chronus.grantsOf(ctx, "dave")).Should(Equal([]string{edit, edit}))
			chronus.try(ctx, "k patch user dave")
			Eventually(chronus.stateOf(ctx, "dave")).Should(Equal(v1alpha1.StateSuspended))
			Eventually(chronus.grantsOf(ctx, "dave")).Should(BeEmpty())
			for _, program := range []string{"self-match", "cohort-2026"} {
				Eventually(chronus.whyMember(ctx, "dave-"+program)).Should(ContainElement("Deactivated:Hold/" + v1alpha1.HoldUserSuspended))
				Eventually(chronus.membershipStateOf(ctx, "dave-"+program)).Should(Equal(v1alpha1.StateDeactivated))
			}
			Eventually(chronus.seatsUsed(ctx)).Should(BeEquivalentTo(2), "Alice and Mira")
			chronus.waitForEffects(ctx, "dave")
			Expect(chronus.try(ctx, "k get memberships,organization,transitions")).To(And(
				MatchRegexp(`(?m)^membership\.tenure\.dev/dave-self-match\s.*\sDeactivated\s+Hold`),
				MatchRegexp(`(?m)^transition\.tenure\.dev/user\.dave\.2\s+dave\s+Active\s+Suspended\s+Declared\s+jane@chronus\.example\s+7/7\s`)))
			Expect(chronus.things(ctx).touchedSince(before)).To(BeEmpty(), "two connections, two requests and a form are kept")

			By("asking for it himself")
			_, err := kubectl("--namespace=chronus", "--as=dave@chronus.example", "annotate", "membership", "dave-self-match", "tenure.dev/release=user-suspended")
			Expect(err).To(MatchError(ContainSubstring("forbidden")))
			_, err = kubectl("--namespace=chronus", "--as=dave@chronus.example", "patch", "user", "dave", "--type=merge", `--patch={"spec":{"desiredStatus":"Active"}}`)
			Expect(err).To(MatchError(ContainSubstring("forbidden")))

			By("lifting it")
			chronus.try(ctx, "k patch user dave")
			Eventually(chronus.stateOf(ctx, "dave")).Should(Equal(v1alpha1.StateActive))
			for _, program := range []string{"self-match", "cohort-2026"} {
				Eventually(chronus.whyMember(ctx, "dave-"+program)).Should(Equal([]string{"Deactivated:Hold/" + v1alpha1.HoldUserSuspended}))
			}
			Consistently(chronus.grantsOf(ctx, "dave")).WithTimeout(time.Second).Should(BeEmpty())
			Expect(chronus.seatsUsed(ctx)()).To(BeEquivalentTo(2))

			By("reactivating one membership")
			chronus.try(ctx, "k annotate membership dave-self-match")
			Eventually(chronus.membershipStateOf(ctx, "dave-self-match")).Should(Equal(v1alpha1.StateActive))
			Eventually(chronus.grantsOf(ctx, "dave")).Should(Equal([]string{edit}))
			Expect(chronus.membershipStateOf(ctx, "dave-cohort-2026")()).To(Equal(v1alpha1.StateDeactivated))
			Eventually(chronus.seatsUsed(ctx)).Should(BeEquivalentTo(3))
			Expect(chronus.things(ctx).touchedSince(before)).To(BeEmpty())
			Expect(chronus.guide).To(BeEmpty(), "every command was tried")
		})
})

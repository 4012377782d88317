package stories

import (
	"context"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"tenure.dev/tenure/api/v1alpha1"
)

// handOver transfers work along every way there is, and lets the first stand in where the user stood.
const handOver = `
serviceAccountName: lifecycle
guards: {leader: Allow, lastRoleHolder: Allow}
effects:
- name: work
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: Transfer, successors: [Successor, TeamLeader, FirstTeamLeader, Manager, Owner]}
- name: teams
  memberships: {groupTypes: [Team], action: Remove}
`

func leads(team string, priority int32) func(*v1alpha1.Group) {
	return func(g *v1alpha1.Group) {
		g.Spec.Type, g.Spec.LeaderRef.Name, g.Spec.Priority = "Team", team, new(priority)
	}
}

func coachedBy(name string) func(*v1alpha1.User) {
	return func(u *v1alpha1.User) { u.Spec.CoachRef.Name = name }
}

var _ = Describe("A succession", func() {
	// createPeople creates active users and waits until they are.
	createPeople := func(ctx context.Context, o *organization, names ...string) {
		GinkgoHelper()
		for _, name := range names {
			o.createUser(ctx, name, wasActive)
		}
		for _, name := range names {
			Eventually(o.stateOf(ctx, name)).Should(Equal(v1alpha1.StateActive))
		}
	}
	deactivate := func(ctx context.Context, o *organization, name string) {
		GinkgoHelper()
		o.editUser(ctx, name, desired(v1alpha1.UserDesiredDeactivated, "Left"))
	}

	It("goes to the leader of the own team, though the membership ends with the same cascade", Label("S2.13", "S2.15", "S2.16"), func(ctx context.Context) {
		o := workingOrganization(ctx, handOver)
		createPeople(ctx, o, "alice", "tom", "fred")
		o.createGroup(ctx, "first", leads("fred", 1))
		o.createGroup(ctx, "north", leads("tom", 9))
		o.enrol(ctx, "alice", v1alpha1.StateActive, "north")
		o.createWork(ctx, "work", `{owner: alice}`)
		deactivate(ctx, o, "alice")
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.work(ctx)()).To(Equal(map[string]string{"work": "{owner: tom}"}))
		Eventually(o.whyMember(ctx, "alice-north")).Should(ContainElement("Removed:Hold/effect-teams"))
	})

	It("goes, without a team, to the leader of the first team; if that is the user, of the next; else to the owner", Label("S2.14"), func(ctx context.Context) {
		o := workingOrganization(ctx, handOver)
		createPeople(ctx, o, "alice", "tom", "fred")
		o.createGroup(ctx, "first", leads("tom", 1))
		o.createGroup(ctx, "second", leads("fred", 2))
		o.createWork(ctx, "of-alice", `{owner: alice}`)
		deactivate(ctx, o, "alice")
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.work(ctx)()).To(Equal(map[string]string{"of-alice": "{owner: tom}"}))

		deactivate(ctx, o, "tom")
		o.waitForCascade(ctx, "user.tom.2")
		Expect(o.work(ctx)()).To(Equal(map[string]string{"of-alice": "{owner: fred}"}))

		deactivate(ctx, o, "fred")
		o.waitForCascade(ctx, "user.fred.2")
		Expect(o.work(ctx)()).To(Equal(map[string]string{"of-alice": "{owner: olivia}"}))
	})

	It("waits while nobody who may receive the work has access, and names them", func(ctx context.Context) {
		o := workingOrganization(ctx, `
serviceAccountName: lifecycle
effects:
- name: work
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: Transfer, successors: [Successor, Manager]}
`)
		o.createUser(ctx, "dan", wasActive, desired(v1alpha1.UserDesiredDeactivated, "Left"))
		o.createUser(ctx, "alice", wasActive, successor("dan"))
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		Eventually(o.stateOf(ctx, "dan")).Should(Equal(v1alpha1.StateDeactivated))
		o.createWork(ctx, "work", `{owner: alice}`)
		Expect(editAs(ctx, o.unasked(ctx), o, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))).To(Succeed())
		Eventually(o.ledger(ctx, "user.alice.2")).Should(ConsistOf("False Retrying",
			"work 0/1: work: nobody who may receive it has access (dan has none; asked: Successor, Manager)"))

		o.createUser(ctx, "bob", wasActive)
		o.editUser(ctx, "alice", successor("bob"))
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.work(ctx)()).To(Equal(map[string]string{"work": "{owner: bob}"}))
	})

	It("leaves nothing with either of two users who hand over to each other at once", func(ctx context.Context) {
		o := workingOrganization(ctx, handOver)
		o.createUser(ctx, "alice", wasActive, successor("bob"))
		o.createUser(ctx, "bob", wasActive, successor("alice"))
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		Eventually(o.stateOf(ctx, "bob")).Should(Equal(v1alpha1.StateActive))
		expected := map[string]string{}
		for i := range 40 {
			o.createWork(ctx, fmt.Sprint("of-alice-", i), `{owner: alice}`)
			o.createWork(ctx, fmt.Sprint("of-bob-", i), `{owner: bob}`)
			expected[fmt.Sprint("of-alice-", i)], expected[fmt.Sprint("of-bob-", i)] = "{owner: olivia}", "{owner: olivia}"
		}
		var both sync.WaitGroup
		for _, name := range []string{"alice", "bob"} {
			both.Go(func() {
				defer GinkgoRecover()
				deactivate(ctx, o, name)
			})
		}
		both.Wait()
		Eventually(o.work(ctx)).Should(Equal(expected))
		o.waitForCascade(ctx, "user.alice.2")
		o.waitForCascade(ctx, "user.bob.2")
	})

	It("goes on to the next where the successor leaves in the middle", func(ctx context.Context) {
		o := workingOrganization(ctx, handOver)
		o.createUser(ctx, "dan", wasActive)
		o.createUser(ctx, "alice", wasActive, successor("dan"))
		Eventually(o.stateOf(ctx, "dan")).Should(Equal(v1alpha1.StateActive))
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		expected := map[string]string{}
		for i := range 100 {
			o.createWork(ctx, fmt.Sprint("work-", i), `{owner: alice}`)
			expected[fmt.Sprint("work-", i)] = "{owner: olivia}"
		}
		deactivate(ctx, o, "alice")
		Eventually(o.work(ctx)).WithPolling(time.Millisecond).Should(ContainElement("{owner: dan}"))
		deactivate(ctx, o, "dan")
		Eventually(o.work(ctx)).Should(Equal(expected))
		o.waitForCascade(ctx, "user.alice.2")
		o.waitForCascade(ctx, "user.dan.2")
	})

	It("lets the owner stand in, visibly for the time being, until somebody else is declared or it is released", Label("S4.7", "S4.8", "S4.9", "S4.10", "S4.11"), func(ctx context.Context) {
		o := workingOrganization(ctx, `
guards: {leader: Allow}
effects:
- name: leads
  relations: {kinds: [Leader, Manager], action: Transfer, successors: [Owner]}
- name: coachees
  relations: {kinds: [Coach], action: Unassign}
`)
		createPeople(ctx, o, "alice", "dan")
		o.createUser(ctx, "lee", wasActive, managedBy("alice"), coachedBy("alice"))
		o.createUser(ctx, "ned", wasActive, managedBy("dan"), coachedBy("alice"))
		Eventually(o.stateOf(ctx, "ned")).Should(Equal(v1alpha1.StateActive))
		o.createGroup(ctx, "team", leads("alice", 1))
		o.createGroup(ctx, "other", leads("dan", 1))
		deactivate(ctx, o, "alice")
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.ledger(ctx, "user.alice.2")()).To(Equal([]string{"True Done", "leads 2/2", "coachees 2/2"}))

		Eventually(o.group(ctx, "team")).Should(And(
			HaveField("Spec.LeaderRef.Name", "alice"),
			HaveField("Spec.Acting", ConsistOf(v1alpha1.Acting{Relation: "Leader", Name: "olivia", For: "alice", Transition: "user.alice.2"})),
			HaveField("Status.Leader", v1alpha1.GroupLeader{Name: "olivia", Active: true, Acting: true}),
		))
		Expect(kubectl("get", "groups.tenure.dev", "team", "-n", o.name, "-o", "wide")).To(MatchRegexp(`LEADER .* ACTING\n|ACTING.*\n`))
		Expect(o.group(ctx, "other")()).To(HaveField("Spec.Acting", BeEmpty()))
		Expect(o.user(ctx, "lee")()).To(HaveField("Spec.Acting", ConsistOf(
			v1alpha1.Acting{Relation: "Manager", Name: "olivia", For: "alice", Transition: "user.alice.2"},
			v1alpha1.Acting{Relation: "Coach", For: "alice", Transition: "user.alice.2"},
		)))
		Expect(o.user(ctx, "ned")()).To(HaveField("Spec.Acting", ConsistOf(v1alpha1.Acting{Relation: "Coach", For: "alice", Transition: "user.alice.2"})))

		By("not given back when the user returns")
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredActive))
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		Expect(o.group(ctx, "team")()).To(HaveField("Status.Leader.Name", "olivia"))

		By("ending where somebody else is declared")
		o.editUser(ctx, "lee", managedBy("dan"))
		Eventually(o.user(ctx, "lee")).Should(HaveField("Spec.Acting", ConsistOf(HaveField("Relation", v1alpha1.RelationCoach))))
		By("or where it is released")
		o.editUser(ctx, "lee", releasing[*v1alpha1.User]("acting-coach"))
		Eventually(o.user(ctx, "lee")).Should(HaveField("Spec.Acting", BeEmpty()))
		o.editGroup(ctx, "team", releasing[*v1alpha1.Group]("acting-leader"))
		Eventually(o.group(ctx, "team")).Should(And(
			HaveField("Spec.Acting", BeEmpty()), HaveField("Annotations", Not(HaveKey("tenure.dev/release"))),
			HaveField("Status.Leader", v1alpha1.GroupLeader{Name: "alice", Active: true}),
		))
	})

	It("waits with the cascade of somebody who leads a group, and not with closing access", func(ctx context.Context) {
		o := workingOrganization(ctx, transferToOwner)
		editObject(ctx, o, "default", func(policy *v1alpha1.LifecyclePolicy) { policy.Spec.Guards.Leader = v1alpha1.GuardRefuse })
		target := o.createProgram(ctx, "mentoring")
		o.createUser(ctx, "alice", wasActive, expires(inSeconds(4)))
		o.enrol(ctx, "alice", v1alpha1.StateActive, "mentoring")
		Eventually(o.mayListPods(ctx, "alice", target)).Should(BeTrue())
		createPeople(ctx, o, "dan")
		o.createGroup(ctx, "team", leads("alice", 1))
		o.createWork(ctx, "work", `{owner: alice}`)
		editObject(ctx, o, "default", func(policy *v1alpha1.LifecyclePolicy) {
			policy.Spec.Effects[0].On = []v1alpha1.State{v1alpha1.StateExpired}
		})

		Eventually(o.userCondition(ctx, "alice", v1alpha1.ConditionReady)).Should(Equal(
			"False Leader: The effects wait: User alice leads team. Name another leader in leaderRef of each, or let the policy's guards.leader be Allow"))
		Expect(o.mayListPods(ctx, "alice", target)()).To(BeFalse())
		Expect(o.work(ctx)()).To(Equal(map[string]string{"work": "{owner: alice}"}))
		Eventually(o.warningsOf(ctx, "User", "alice")).Should(ContainElement(HavePrefix("Leader: user.alice.2: The effects wait")))

		o.editGroup(ctx, "team", leads("dan", 1))
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.work(ctx)()).To(Equal(map[string]string{"work": "{owner: olivia}"}))
	})

	It("waits with the cascade where a role would be left short of holders", Label("S3.25"), func(ctx context.Context) {
		o := workingOrganization(ctx, transferToOwner)
		editObject(ctx, o, "default", func(policy *v1alpha1.LifecyclePolicy) { policy.Spec.Guards.LastRoleHolder = v1alpha1.GuardRefuse })
		o.createGroup(ctx, "room", func(g *v1alpha1.Group) {
			g.Spec.Type, g.Spec.Roles = "Room", []v1alpha1.GroupRole{{Name: "Admin", MinimumActive: new(int32(1))}}
		})
		createPeople(ctx, o, "alice", "bob")
		o.join(ctx, "alice", "room", withRoles("Admin"))
		Eventually(o.membershipStateOf(ctx, "alice-room")).Should(Equal(v1alpha1.StateActive))
		o.createWork(ctx, "work", `{owner: alice}`)
		Expect(editAs(ctx, o.unasked(ctx), o, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))).To(Succeed())
		Eventually(o.userCondition(ctx, "alice", v1alpha1.ConditionReady)).Should(HavePrefix(
			"False LastRoleHolder: The effects wait: without User alice role Admin of group room has fewer than 1 active holders."))
		Expect(o.work(ctx)()).To(Equal(map[string]string{"work": "{owner: alice}"}))

		o.join(ctx, "bob", "room", withRoles("Admin"))
		o.waitForCascade(ctx, "user.alice.2")
	})
})

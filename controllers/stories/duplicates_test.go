package stories

import (
	"context"
	"fmt"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("Of two users with the same", func() {
	DescribeTable("the older wins; the other gets no access, says so, and takes over when the older one goes:",
		func(ctx context.Context, field string, same func(acme *organization, u *v1alpha1.User)) {
			acme := newOrganization(ctx)
			target := acme.newTarget(ctx)
			acme.createGroup(ctx, "mentoring", granting("Mentor", "view", target))
			acme.createUser(ctx, "zoe", wasActive)
			acme.join(ctx, "zoe", "mentoring", withRoles("Mentor"))
			Eventually(acme.mayListPods(ctx, "zoe", target)).Should(BeTrue())
			nextSecond()
			second := func() *v1alpha1.User {
				return acme.newUser("alice", wasActive, func(u *v1alpha1.User) { same(acme, u) })
			}
			Expect(admin.Create(ctx, second())).To(MatchError(MatchRegexp("User zoe has the %s (?i:%s) already: it is of one user of an organization", field, acme.userName("zoe"))))
			Expect(acme.unasked(ctx).Create(ctx, second())).To(Succeed())
			acme.join(ctx, "alice", "mentoring", withRoles("Mentor"))

			says := "User zoe, which is older, has the same " + field + " " + acme.userName("zoe") + ": no access is given to this one. Change or delete one of the two"
			Eventually(acme.userCondition(ctx, "alice", v1alpha1.ConditionReady)).Should(Equal("False Duplicate: " + says))
			Expect(acme.stateOf(ctx, "alice")()).To(Equal(v1alpha1.StatePending))
			Expect(acme.userCondition(ctx, "alice", v1alpha1.ConditionActive)()).To(HavePrefix("False Duplicate: "))
			Eventually(acme.warningsOf(ctx, "User", "alice")).Should(ConsistOf("Duplicate: " + says))
			Eventually(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StatePaused))
			Expect(acme.bindings(ctx, "alice")()).To(BeZero())
			Expect(acme.stateOf(ctx, "zoe")()).To(Equal(v1alpha1.StateActive))
			Expect(acme.userCondition(ctx, "zoe", v1alpha1.ConditionReady)()).To(HavePrefix("True"))
			Expect(acme.mayListPods(ctx, "zoe", target)()).To(BeTrue(), "the older one notices nothing")

			acme.deleteObject("user", "zoe")
			Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
			Eventually(acme.userCondition(ctx, "alice", v1alpha1.ConditionReady)).Should(HavePrefix("True"))
			Eventually(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StateActive))
			Eventually(acme.bindings(ctx, "alice")).Should(Equal(1))
			Expect(acme.bindings(ctx, "zoe")()).To(BeZero())
		},
		Entry("userName", "userName", func(acme *organization, u *v1alpha1.User) { u.Spec.UserName = acme.userName("zoe") }),
		Entry("e-mail, in whatever case it is written", "e-mail", func(acme *organization, u *v1alpha1.User) {
			u.Spec.Email = strings.ToUpper(acme.userName("zoe"))
		}),
	)

	It("e-mail the older one may take another, and both have access", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "zoe", wasActive)
		nextSecond()
		second := acme.newUser("alice", func(u *v1alpha1.User) { u.Spec.Email = acme.userName("zoe") })
		Expect(acme.unasked(ctx).Create(ctx, second)).To(Succeed())
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StatePending))

		acme.editUser(ctx, "zoe", func(u *v1alpha1.User) { u.Spec.Email = "zoe.ang@" + acme.name + ".example" })
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActivated))
		Expect(acme.stateOf(ctx, "zoe")()).To(Equal(v1alpha1.StateActive))
	})

	It("e-mail one who was there before, and takes it later, still goes before a younger one", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "zoe", wasActive)
		nextSecond()
		acme.createUser(ctx, "alice", wasActive)
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))

		take := func(u *v1alpha1.User) { u.Spec.Email = acme.userName("alice") }
		Expect(editAs(ctx, admin, acme, "zoe", take)).To(MatchError(ContainSubstring("User alice has the e-mail " + acme.userName("alice") + " already")))
		Expect(editAs(ctx, acme.unasked(ctx), acme, "zoe", take)).To(Succeed())
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StatePending))
		Expect(acme.stateOf(ctx, "zoe")()).To(Equal(v1alpha1.StateActive))
		Eventually(acme.settings(ctx)).Should(HaveField("Status.Users", v1alpha1.UserCounts{Total: 3, Active: 2, Pending: 1}))
	})

	It("e-mail in different organizations, both have access", func(ctx context.Context) {
		acme, other := newOrganization(ctx), newOrganization(ctx)
		acme.createUser(ctx, "zoe")
		other.createUser(ctx, "zoe", func(u *v1alpha1.User) { u.Spec.Email, u.Spec.UserName = acme.userName("zoe"), acme.userName("zoe") })
		Eventually(acme.stateOf(ctx, "zoe")).Should(Equal(v1alpha1.StateActivated))
		Eventually(other.stateOf(ctx, "zoe")).Should(Equal(v1alpha1.StateActivated))
	})
})

var _ = Describe("Of two memberships of the same user and group", func() {
	It("the older wins; the other gives no access, says so, and takes over when the older one goes", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		nextSecond()
		Expect(admin.Create(ctx, acme.secondMembership())).To(MatchError(ContainSubstring(
			"Membership alice-mentoring is of user alice and group mentoring already. Change that one instead, or delete it first")))
		Expect(acme.unasked(ctx).Create(ctx, acme.secondMembership())).To(Succeed())
		says := "Membership alice-mentoring, which is older, is of the same user and group: this one is not in force. Delete one of the two"
		Eventually(acme.membershipCondition(ctx, "a-second-one", v1alpha1.ConditionReady)).Should(Equal("False Duplicate: " + says))
		Expect(acme.membershipStateOf(ctx, "a-second-one")()).To(Equal(v1alpha1.StatePending))
		Eventually(acme.warningsOf(ctx, "Membership", "a-second-one")).Should(ConsistOf("Duplicate: " + says))
		Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + target}), "that of the older")
		Expect(acme.membershipStateOf(ctx, "alice-mentoring")()).To(Equal(v1alpha1.StateActive))
		Eventually(acme.group(ctx, "mentoring")).Should(HaveField("Status.Members", v1alpha1.MembershipCounts{Active: 1, Total: 2}))

		acme.deleteObject("membership", "alice-mentoring")
		Eventually(acme.membershipStateOf(ctx, "a-second-one")).Should(Equal(v1alpha1.StateActive))
		Eventually(acme.mayListPods(ctx, "alice", target)).Should(BeTrue())
		Eventually(acme.membershipCondition(ctx, "a-second-one", v1alpha1.ConditionReady)).Should(HavePrefix("True"))
	})

	It("one that is Removed does not stand in the way, and one that is Deactivated does", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		nextSecond()
		Expect(acme.unasked(ctx).Create(ctx, acme.secondMembership())).To(Succeed())
		Eventually(acme.membershipStateOf(ctx, "a-second-one")).Should(Equal(v1alpha1.StatePending))

		acme.editMembership(ctx, "alice-mentoring", membershipDesired(v1alpha1.MembershipDesiredDeactivated))
		Eventually(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StateDeactivated))
		Consistently(acme.membershipStateOf(ctx, "a-second-one")).Should(Equal(v1alpha1.StatePending), "that would be a way around it")
		Expect(acme.mayListPods(ctx, "alice", target)()).To(BeFalse())

		acme.editMembership(ctx, "alice-mentoring", membershipDesired(v1alpha1.MembershipDesiredRemoved))
		Eventually(acme.membershipStateOf(ctx, "a-second-one")).Should(Equal(v1alpha1.StateActive))
		Eventually(acme.mayListPods(ctx, "alice", target)).Should(BeTrue())
	})
})

// Admission knows what its cache knows: of two that come at the same moment it may let both in.
var _ = Describe("Of two that are created at the same moment", func() {
	const rounds = 5

	It("with the same userName, one has access, whether or not the other is refused", func(ctx context.Context) {
		acme := newOrganization(ctx)
		for i := range rounds {
			ann, zoe := acme.newUser(fmt.Sprintf("ann-%d", i), wasActive), acme.newUser(fmt.Sprintf("zoe-%d", i), wasActive)
			zoe.Spec.UserName = ann.Spec.UserName
			created := createAtOnce(ctx, ContainSubstring(" has the userName "+ann.Spec.UserName+" already"), ann, zoe)
			Eventually(statesOf(ctx, acme.stateOf, created)).Should(ConsistOf([]v1alpha1.State{v1alpha1.StateActive, v1alpha1.StatePending}[:len(created)]))
		}
	})

	It("for the same user and group, one gives access, whether or not the other is refused", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		for i := range rounds {
			name := fmt.Sprintf("bob-%d", i)
			acme.createUser(ctx, name, wasActive)
			Eventually(acme.stateOf(ctx, name)).Should(Equal(v1alpha1.StateActive))
			one, other := acme.newMembership(name, "mentoring", withRoles("Mentor")), acme.newMembership(name, "mentoring", withRoles("Mentor"))
			other.Name += "-again"
			created := createAtOnce(ctx, ContainSubstring(" is of user "+name+" and group mentoring already"), one, other)
			Eventually(statesOf(ctx, acme.membershipStateOf, created)).Should(ConsistOf([]v1alpha1.State{v1alpha1.StateActive, v1alpha1.StatePending}[:len(created)]))
			Eventually(acme.grantsOf(ctx, name)).Should(Equal([]string{"view@" + target}))
		}
	})
})

// createAtOnce creates objects at the same moment, of which all but one may be refused, and returns the names of the others.
func createAtOnce(ctx context.Context, refused gomegatypes.GomegaMatcher, objects ...client.Object) (created []string) {
	GinkgoHelper()
	errs, start := make([]error, len(objects)), make(chan struct{})
	var all sync.WaitGroup
	for i, object := range objects {
		writer := clientFor(cluster.Admin())
		all.Go(func() {
			<-start
			errs[i] = writer.Create(ctx, object)
		})
	}
	close(start)
	all.Wait()
	for i, object := range objects {
		if errs[i] == nil {
			created = append(created, object.GetName())
			continue
		}
		Expect(errs[i]).To(MatchError(refused))
	}
	Expect(created).NotTo(BeEmpty())
	return created
}

// statesOf are the states of several objects.
func statesOf(ctx context.Context, stateOf func(context.Context, string) func() (v1alpha1.State, error), names []string) func() ([]v1alpha1.State, error) {
	return func() ([]v1alpha1.State, error) {
		states := make([]v1alpha1.State, len(names))
		for i, name := range names {
			var err error
			if states[i], err = stateOf(ctx, name)(); err != nil {
				return nil, err
			}
		}
		return states, nil
	}
}

// secondMembership is Alice's of the mentoring group once more.
func (o *organization) secondMembership() *v1alpha1.Membership {
	return o.newMembership("alice", "mentoring", withRoles("Mentor"), func(m *v1alpha1.Membership) { m.Name = "a-second-one" })
}

// bindings is how many RoleBindings a user has, whatever userName they are for.
func (o *organization) bindings(ctx context.Context, name string) func() (int, error) {
	return func() (int, error) {
		bindings, err := o.bindingsOf(ctx, name)
		return len(bindings), err
	}
}

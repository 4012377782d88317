package stories

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("kubectl delete user", func() {
	It("closes access, ends every membership, leaves a record and lets go",
		Label("S3.17", "S4.39"), func(ctx context.Context) {
			acme, target := newMentoring(ctx)
			acme.editUser(ctx, "alice", func(u *v1alpha1.User) { annotate(u, v1alpha1.AnnotationReason, "Asked for it in writing") })
			alice, err := acme.user(ctx, "alice")()
			Expect(err).NotTo(HaveOccurred())
			Expect(alice.Finalizers).To(ContainElement(v1alpha1.Finalizer))

			acme.deleteObject("user", "alice")
			_, err = acme.user(ctx, "alice")()
			Expect(err).To(MatchError(apierrors.IsNotFound, "IsNotFound"))
			Expect(acme.grantsOf(ctx, "alice")()).To(BeEmpty(), "access is closed before the object is gone")
			Expect(acme.mayListPods(ctx, "alice", target)()).To(BeFalse())
			Expect(acme.holdsOf(ctx, "alice-mentoring")()).To(Equal([]string{v1alpha1.HoldUserRemoved}), "so is every membership")
			Eventually(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StateRemoved))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "alice")()).To(Equal([]string{"→Active(Declared)", "Active→Removed(Deleted)"}))
			record, err := acme.transition(ctx, "user.alice.2")()
			Expect(err).NotTo(HaveOccurred(), "the record outlives its subject")
			Expect(record.Spec.Subject.UID).To(Equal(alice.UID))
			Expect(record.Spec.Reason).To(Equal("Asked for it in writing"))
			Expect(meta.IsStatusConditionTrue(record.Status.Conditions, v1alpha1.ConditionComplete)).To(BeTrue())
			Expect(record.Status.Progress).To(Equal("1/1"))
		})

	It("makes of a new user of the same name somebody else, to whom nothing is linked",
		Label("S3.33"), func(ctx context.Context) {
			acme, target := newMentoring(ctx)
			former, err := acme.user(ctx, "alice")()
			Expect(err).NotTo(HaveOccurred())
			acme.deleteObject("user", "alice")

			acme.createUser(ctx, "alice")
			Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActivated), "nobody has seen this one yet")
			alice, err := acme.user(ctx, "alice")()
			Expect(err).NotTo(HaveOccurred())
			Expect(alice.Annotations[v1alpha1.AnnotationIdentity]).To(And(Equal(string(alice.UID)), Not(Equal(string(former.UID)))))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "alice")()).To(Equal([]string{
				"→Active(Declared)", "Active→Removed(Deleted)", "→Activated(Declared)",
			}), "a history of its own that begins anew")
			Consistently(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StateRemoved))
			Expect(acme.mayListPods(ctx, "alice", target)()).To(BeFalse(), "the e-mail and the user name are the same, the person is not")

			acme.join(ctx, "alice", "mentoring", withRoles("Mentor"), func(m *v1alpha1.Membership) { m.Name = "alice-mentoring-again" })
			Eventually(acme.mayListPods(ctx, "alice", target)).Should(BeTrue())
		})

	It("of a user who is Removed already is recorded too (case 18)", func(ctx context.Context) {
		acme, _ := newMentoring(ctx)
		acme.editUser(ctx, "alice", desired(v1alpha1.UserDesiredRemoved, "Has left for good"))
		Eventually(acme.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StateRemoved))

		acme.deleteObject("user", "alice")
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "alice")()).To(Equal([]string{
			"→Active(Declared)", "Active→Removed(Declared)", "Removed→Removed(Deleted)",
		}))
		Consistently(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, "alice-mentoring")).Should(Equal([]string{
			"→Active(Declared)", "Active→Removed(Held)",
		}))
	})

	It("leaves nothing to be found by those who refer to the user", func(ctx context.Context) {
		acme, _ := newMentoring(ctx)
		acme.createUser(ctx, "carol")
		acme.editUser(ctx, "carol", func(u *v1alpha1.User) { u.Spec.ManagerRef = v1alpha1.Reference{Name: "alice"} })
		acme.editGroup(ctx, "mentoring", ledBy("alice"))
		Eventually(acme.group(ctx, "mentoring")).Should(HaveField("Status.Leader", v1alpha1.GroupLeader{Name: "alice", Active: true}))

		acme.deleteObject("user", "alice")
		Eventually(acme.group(ctx, "mentoring")).Should(HaveField("Status.Leader", v1alpha1.GroupLeader{Name: "alice"}))
		Eventually(acme.groupCondition(ctx, "mentoring", v1alpha1.ConditionReady)).Should(
			Equal("False UnknownReference: The leader, User alice, does not exist: create the user, or name another leader in leaderRef"))
		Consistently(acme.stateOf(ctx, "carol")).Should(Equal(v1alpha1.StateActivated), "a manager who is gone is no reason to lose access")
	})
})

var _ = Describe("kubectl delete membership", func() {
	It("closes access, leaves a record and lets go; the same membership can be given anew", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		acme.deleteObject("membership", "alice-mentoring")
		Expect(acme.grantsOf(ctx, "alice")()).To(BeEmpty(), "access is closed before the object is gone")
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, "alice-mentoring")()).To(Equal([]string{
			"→Active(Declared)", "Active→Removed(Deleted)",
		}))
		Expect(acme.stateOf(ctx, "alice")()).To(Equal(v1alpha1.StateActive))
		Eventually(acme.user(ctx, "alice")).Should(HaveField("Status.Memberships", v1alpha1.MembershipCounts{}))

		acme.join(ctx, "alice", "mentoring", withRoles("Mentor"))
		Eventually(acme.mayListPods(ctx, "alice", target)).Should(BeTrue())
		Eventually(acme.transitionsOf(ctx, v1alpha1.SubjectMembership, "alice-mentoring")).Should(Equal([]string{
			"→Active(Declared)", "Active→Removed(Deleted)", "→Active(Declared)",
		}))
	})
})

var _ = Describe("kubectl delete namespace", func() {
	It("ends an organization within seconds: grants in other namespaces go first, nothing is recorded, nothing stays behind",
		func(ctx context.Context) {
			acme, target := newMentoring(ctx)
			acme.editGroup(ctx, "mentoring", ledBy("alice"))
			acme.createUser(ctx, "kate")
			acme.join(ctx, "kate", "mentoring", withRoles("Mentor"))
			acme.editUser(ctx, "kate", desired(v1alpha1.UserDesiredSuspended, "Broke the rules"))
			Eventually(acme.membershipStateOf(ctx, "kate-mentoring")).Should(Equal(v1alpha1.StateDeactivated))
			records := watchFrom(ctx, &v1alpha1.TransitionList{}, client.Object.GetName, client.InNamespace(acme.name))

			Expect(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: acme.name}})).To(Succeed())
			Eventually(acme.grantsOf(ctx, "alice")).Should(BeEmpty())
			Expect(acme.mayListPods(ctx, "alice", target)()).To(BeFalse())
			Eventually(func() error {
				return admin.Get(ctx, client.ObjectKey{Name: acme.name}, &corev1.Namespace{})
			}).Should(MatchError(apierrors.IsNotFound, "IsNotFound"))
			Expect(records()).NotTo(ContainElement(HavePrefix("ADDED")), "the end of an organization is no change of anybody's state")
		})

	It("of the target takes its grants, and the membership goes on with the others", func(ctx context.Context) {
		acme, target := newMentoring(ctx)
		other := acme.newTarget(ctx)
		acme.editGroup(ctx, "mentoring", granting("Helper", "view", other))
		acme.editMembership(ctx, "alice-mentoring", withRoles("Mentor", "Helper"))
		Eventually(acme.grantsOf(ctx, "alice")).Should(ConsistOf("view@"+target, "view@"+other))

		acme.deleteObject("namespace", target)
		Eventually(acme.membershipCondition(ctx, "alice-mentoring", v1alpha1.ConditionReady)).Should(
			Equal("False GrantRefused: Not granted: ClusterRole view in namespace " + target + ": the namespace does not exist"))
		Expect(acme.grantsOf(ctx, "alice")()).To(Equal([]string{"view@" + other}))
		Expect(acme.membershipStateOf(ctx, "alice-mentoring")()).To(Equal(v1alpha1.StateActive))
	})
})

// ledBy names the leader of a group.
func ledBy(name string) func(*v1alpha1.Group) {
	return func(g *v1alpha1.Group) { g.Spec.LeaderRef = v1alpha1.Reference{Name: name} }
}

// holdsOf are the names of a membership's holds.
func (o *organization) holdsOf(ctx context.Context, name string) func() ([]string, error) {
	return func() ([]string, error) {
		m, err := o.membership(ctx, name)()
		names := []string{}
		for _, hold := range m.Spec.Holds {
			names = append(names, hold.Name)
		}
		return names, err
	}
}

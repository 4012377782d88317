package stories

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/example"
)

// twentyEffects are effects of every action in turn, each on one piece of work: that whose spec.number is its own.
func twentyEffects() string {
	actions := []string{
		`action: Delete`, `action: Transfer, successors: [Successor, Owner]`, `action: Unassign`,
		`action: Patch, patch: {spec: {state: Cancelled}, metadata: {labels: {cancelled: by-policy}}}`,
		`action: Anonymize, fields: [{path: spec.owner, value: Removed User}]`,
	}
	var effects strings.Builder
	for i := range 18 {
		fmt.Fprintf(&effects, `
- name: effect-%d
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: object.spec.number == %d, %s}`, i, i, actions[i%len(actions)])
	}
	return `
serviceAccountName: lifecycle
guards: {leader: Allow}
effects:` + effects.String() + `
- name: leads
  relations: {kinds: [Leader], action: Transfer, successors: [Owner]}
- name: teams
  memberships: {action: Remove}
`
}

var _ = Describe("A cascade of twenty effects", Serial, func() {
	// prepare makes an organization in which alice has one thing of each kind.
	prepare := func(ctx context.Context) *organization {
		GinkgoHelper()
		o := workingOrganization(ctx, twentyEffects())
		o.createUser(ctx, "alice", wasActive)
		o.createGroup(ctx, "team", leads("alice", 1))
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.join(ctx, "alice", "team")
		Eventually(o.membershipStateOf(ctx, "alice-team")).Should(Equal(v1alpha1.StateActive))
		for i := range 18 {
			o.createWork(ctx, fmt.Sprint("work-", i), fmt.Sprintf(`{owner: alice, number: %d, state: Open}`, i))
		}
		return o
	}
	// content is everything that the cascade is about, as it is at its end.
	content := func(ctx context.Context, o *organization) []string {
		GinkgoHelper()
		var lines []string
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(example.Work)
		Expect(admin.List(ctx, list, client.InNamespace(o.name))).To(Succeed())
		for i := range list.Items {
			work := &list.Items[i]
			lines = append(lines, fmt.Sprintf("%s generation %d %s %s", work.GetName(), work.GetGeneration(), inline(work.Object["spec"]), work.GetAnnotations()["tenure.dev/transition"]))
		}
		group, err := o.group(ctx, "team")()
		Expect(err).NotTo(HaveOccurred())
		membership, err := o.membership(ctx, "alice-team")()
		Expect(err).NotTo(HaveOccurred())
		ledger, err := o.ledger(ctx, "user.alice.2")()
		Expect(err).NotTo(HaveOccurred())
		return append(append(lines, fmt.Sprint(group.Spec.Acting, membership.Spec.Holds)), ledger...)
	}

	It("ends the same, whichever effect the operator is killed after", func(ctx context.Context) {
		DeferCleanup(func() { shared.startAgain() })
		undisturbed := prepare(ctx)
		undisturbed.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		undisturbed.waitForCascade(ctx, "user.alice.2")
		expected := content(ctx, undisturbed)
		Expect(expected).To(HaveLen(14 + 1 + 21))

		for position := 1; position <= 20; position++ {
			o := prepare(ctx)
			changed := o.watchCascade(ctx)
			o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
			for range position {
				Eventually(changed).WithPolling(100 * time.Microsecond).Should(Receive())
			}
			shared.kill()
			shared.startAgain()
			o.waitForCascade(ctx, "user.alice.2")
			Expect(content(ctx, o)).To(Equal(expected), "killed after effect %d", position)
			Expect(o.transitionsOf(ctx, v1alpha1.SubjectUser, "alice")()).To(HaveLen(2))
			Expect(kubectl("delete", "namespace", o.name, "--wait=false")).To(ContainSubstring("deleted"))
		}
	}, NodeTimeout(10*time.Minute))
})

// watchCascade tells of each change to what the cascade is about.
func (o *organization) watchCascade(ctx context.Context) <-chan string {
	GinkgoHelper()
	changed := make(chan string, 100)
	work := &unstructured.UnstructuredList{}
	work.SetGroupVersionKind(example.Work)
	for kind, list := range map[string]client.ObjectList{"Work": work, "Group": &v1alpha1.GroupList{}, "Membership": &v1alpha1.MembershipList{}} {
		Expect(admin.List(ctx, list, client.InNamespace(o.name))).To(Succeed())
		changes, err := admin.Watch(ctx, list, client.InNamespace(o.name),
			&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(changes.Stop)
		generations := map[string]int64{}
		go func() {
			for change := range changes.ResultChan() {
				object, ok := change.Object.(client.Object)
				if !ok {
					continue
				}
				name := object.GetName()
				if change.Type == watch.Deleted || object.GetGeneration() > max(generations[name], 1) {
					changed <- kind + " " + name
				}
				generations[name] = object.GetGeneration()
			}
		}()
	}
	return changed
}

var _ = Describe("The work of one user", func() {
	It("holds up nobody else, however much it is", func(ctx context.Context) {
		amount := 1000
		if text := os.Getenv("HEAVY"); text != "" {
			var err error
			amount, err = strconv.Atoi(text)
			Expect(err).NotTo(HaveOccurred())
		}
		o := workingOrganization(ctx, transferToOwner)
		target := o.createProgram(ctx, "mentoring")
		for _, name := range []string{"alice", "bob"} {
			o.createUser(ctx, name, wasActive)
			o.enrol(ctx, name, v1alpha1.StateActive, "mentoring")
			Eventually(o.mayListPods(ctx, name, target)).Should(BeTrue())
		}
		o.createWork(ctx, "of-bob", `{owner: bob}`)
		o.createMuchWork(ctx, amount, `{owner: alice}`)
		Eventually(o.knownWork(ctx)).WithTimeout(time.Minute).Should(Equal(amount + 1))

		began := time.Now()
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		Eventually(o.ledger(ctx, "user.alice.2")).Should(ContainElement(HavePrefix("False Running")))
		closing := time.Now()
		o.editUser(ctx, "bob", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		Eventually(o.mayListPods(ctx, "bob", target)).Should(BeFalse())
		AddReportEntry("another user's access closed after", time.Since(closing))
		o.waitForCascade(ctx, "user.bob.2")
		Expect(o.ledger(ctx, "user.alice.2")()).To(ContainElement(HavePrefix("False Running")), "the small one was done before the large one")

		Eventually(o.ledger(ctx, "user.alice.2")).WithTimeout(10 * time.Minute).Should(Equal([]string{"True Done", fmt.Sprintf("work %d/%d", amount, amount)}))
		AddReportEntry(fmt.Sprintf("%d objects handed over in", amount), time.Since(began))
		Expect(o.work(ctx)()).To(HaveEach("{owner: olivia}"))
	}, NodeTimeout(15*time.Minute))
})

// createMuchWork creates pieces of work, several at a time.
func (o *organization) createMuchWork(ctx context.Context, amount int, spec string) {
	GinkgoHelper()
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() {
			defer GinkgoRecover()
			for i := worker; i < amount; i += 8 {
				o.createWork(ctx, fmt.Sprint("much-", i), spec)
			}
		})
	}
	workers.Wait()
}

// knownWork is how many pieces of work there are.
func (o *organization) knownWork(ctx context.Context) func() (int, error) {
	return func() (int, error) {
		all, err := o.work(ctx)()
		return len(all), err
	}
}

var _ = Describe("The deletion of a user", func() {
	It("closes access at once, waits for effects that cannot be done, and says for which", Label("S4.39", "S4.40"), func(ctx context.Context) {
		o := workingOrganization(ctx, `
serviceAccountName: lifecycle
effects:
- name: work
  "on": [Removed]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: Delete}
`)
		target := o.createProgram(ctx, "mentoring")
		o.createUser(ctx, "alice", wasActive)
		o.enrol(ctx, "alice", v1alpha1.StateActive, "mentoring")
		Eventually(o.mayListPods(ctx, "alice", target)).Should(BeTrue())
		o.createWork(ctx, "of-alice", `{owner: alice}`)
		o.createWork(ctx, "of-bob", `{owner: bob}`)
		o.letLifecycle(ctx, "get", "list", "watch")

		Expect(kubectl("delete", "users.tenure.dev", "alice", "-n", o.name, "--wait=false")).To(ContainSubstring("deleted"))
		Eventually(o.mayListPods(ctx, "alice", target)).Should(BeFalse())
		Eventually(o.userCondition(ctx, "alice", v1alpha1.ConditionReady)).Should(HavePrefix(
			"False DeletionWaiting: Access is closed; the deletion waits for Transition user.alice.2: effect work: of-alice: delete: "))

		o.letLifecycle(ctx, everyRight...)
		Eventually(func() error { _, err := o.user(ctx, "alice")(); return err }).Should(MatchError(ContainSubstring("not found")))
		Expect(o.work(ctx)()).To(Equal(map[string]string{"of-bob": "{owner: bob}"}))
		Expect(o.ledger(ctx, "user.alice.2")()).To(ContainElements("True Done", "work 1/1"))
		Eventually(o.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StateRemoved))
	})

	DescribeTable("does with its records what the policy says", func(ctx context.Context, audit string, expected func(uid string) []string) {
		o := workingOrganization(ctx, `onDelete: {audit: `+audit+`}`)
		user := o.createUser(ctx, "alice", wasActive)
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Alice left"))
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateDeactivated))
		o.deleteObject("users.tenure.dev", "alice")
		Eventually(func() ([]string, error) {
			list := &v1alpha1.TransitionList{}
			err := admin.List(ctx, list, client.InNamespace(o.name))
			found := []string{}
			for _, t := range list.Items {
				if t.Spec.Subject.Name != "olivia" {
					found = append(found, fmt.Sprintf("%s of %s: %s %q", t.Name, t.Spec.Subject.Name, changeIn(&t), t.Spec.Reason))
				}
			}
			return found, err
		}).Should(ConsistOf(expected(string(user.UID))))
	},
		Entry("keep them", "Keep", func(string) []string {
			return []string{`user.alice.1 of alice: →Active(Declared) ""`, `user.alice.2 of alice: Active→Deactivated(Declared) "Alice left"`, `user.alice.3 of alice: Deactivated→Removed(Deleted) ""`}
		}),
		Entry("keep them without the person", "Anonymize", func(uid string) []string {
			name := "removed-" + uid
			return []string{
				fmt.Sprintf(`user.%s.1 of %s: →Active(Declared) ""`, name, name), fmt.Sprintf(`user.%s.2 of %s: Active→Deactivated(Declared) ""`, name, name),
				fmt.Sprintf(`user.%s.3 of %s: Deactivated→Removed(Deleted) ""`, name, name),
			}
		}),
		Entry("delete them", "Delete", func(string) []string { return []string{} }),
	)
})

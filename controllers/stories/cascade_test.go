package stories

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/example"
)

// transferToOwner hands over everything that a user owns.
const transferToOwner = `
serviceAccountName: lifecycle
guards: {leader: Allow, lastRoleHolder: Allow}
effects:
- name: work
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: Transfer, successors: [Successor, Owner]}
`

func successor(name string) func(*v1alpha1.User) {
	return func(u *v1alpha1.User) { u.Spec.SuccessorRef.Name = name }
}

var _ = Describe("A cascade", func() {
	It("does to each object what its effect says, and to nothing else anything", func(ctx context.Context) {
		o := workingOrganization(ctx, example.OneOfEach)
		o.createUser(ctx, "alice", wasActive, successor("dan"))
		o.createUser(ctx, "dan", wasActive)
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		Eventually(o.stateOf(ctx, "dan")).Should(Equal(v1alpha1.StateActive))
		o.createWork(ctx, "goal", `{owner: alice, class: deleted}`)
		o.createWork(ctx, "key-result", `{parent: goal, class: child}`)
		o.createWork(ctx, "other-key-result", `{parent: other-goal, class: child}`)
		o.createWork(ctx, "other-goal", `{owner: dan, class: deleted}`)
		o.createWork(ctx, "opportunity", fmt.Sprintf(`{owner: %q, stage: Won}`, o.userName("alice")))
		o.createWork(ctx, "page", `{editors: [{name: alice, may: write}, {name: dan, may: read}, {name: alice, may: read}]}`)
		o.createWork(ctx, "subscription", fmt.Sprintf(`{payer: %q, state: Active, renewal: monthly}`, o.userName("alice")))
		o.createWork(ctx, "ended", fmt.Sprintf(`{payer: %q, state: Ended, renewal: monthly}`, o.userName("alice")))
		o.createWork(ctx, "thread", `{comments: [{author: alice, text: Hi alice}, {author: dan, text: alice}]}`)
		o.createWork(ctx, "note", `{owner: alice, class: kept}`)
		before, err := o.version(ctx, "note", "other-goal", "other-key-result", "ended")()
		Expect(err).NotTo(HaveOccurred())

		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Sabbatical"))
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.work(ctx)()).To(Equal(map[string]string{
			"other-goal":       "{class: deleted, owner: dan}",
			"other-key-result": "{class: child, parent: other-goal}",
			"opportunity":      "{owner: " + o.userName("dan") + ", stage: Won}",
			"page":             "{editors: [{may: read, name: dan}]}",
			"subscription":     "{payer: " + o.userName("alice") + ", state: Cancelled}",
			"ended":            "{payer: " + o.userName("alice") + ", renewal: monthly, state: Ended}",
			"thread":           "{comments: [{author: Removed User, text: Hi alice}, {author: dan, text: alice}]}",
			"note":             "{class: kept, owner: alice}",
		}))
		Expect(o.version(ctx, "note", "other-goal", "other-key-result", "ended")()).To(Equal(before))
		Expect(o.ledger(ctx, "user.alice.2")()).To(Equal([]string{
			"True Done", "deleted 1/1", "children 1/1", "transferred 1/1", "unassigned 1/1", "patched 1/1", "anonymised 1/1", "kept 1/1",
		}))

		By("saying on each object by which Transition it was changed")
		Expect(o.annotationsOf(ctx, "opportunity")).To(HaveKeyWithValue("tenure.dev/transition", "user.alice.2"))
		Eventually(o.eventsOf(ctx, "User", "alice")).Should(Equal([]string{"Deactivated", "EffectsDone"}))

		By("planning before it acts")
		t, err := o.transition(ctx, "user.alice.2")()
		Expect(err).NotTo(HaveOccurred())
		Expect(t.Spec.Policy.ServiceAccountName).To(Equal("lifecycle"))
		Expect(t.Spec.Plan[2].Successor).To(Equal("dan"))
		Expect(kubectl("get", "transitions", "user.alice.2", "-n", o.name)).To(MatchRegexp(`user.alice.2 +alice +Active +Deactivated +Declared +\S+ +7/7`))
	})

	It("runs once in a departure, whatever states it goes through", Label("S2.23"), func(ctx context.Context) {
		o := workingOrganization(ctx, transferToOwner)
		o.createUser(ctx, "alice", wasActive)
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.createWork(ctx, "first", `{owner: alice}`)

		By("not when the user is suspended")
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredSuspended, "Inquiry"))
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateSuspended))
		By("but when the user is deactivated then")
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		o.waitForCascade(ctx, "user.alice.3")
		Expect(o.work(ctx)()).To(HaveKeyWithValue("first", "{owner: olivia}"))

		By("and not again on the way through another suspension")
		o.createWork(ctx, "second", `{owner: alice}`)
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredSuspended, "Inquiry"))
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateSuspended))
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateDeactivated))
		Expect(o.transition(ctx, "user.alice.5")()).To(HaveField("Spec.Plan", BeEmpty()))

		By("but in the next departure, which takes nothing back before")
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredActive))
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		Expect(o.work(ctx)()).To(Equal(map[string]string{"first": "{owner: olivia}", "second": "{owner: alice}"}))
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		o.waitForCascade(ctx, "user.alice.7")
		Expect(o.work(ctx)()).To(Equal(map[string]string{"first": "{owner: olivia}", "second": "{owner: olivia}"}))
		Expect(o.ledger(ctx, "user.alice.7")()).To(Equal([]string{"True Done", "work 1/1"}))
	})

	It("runs on a deadline that passes", func(ctx context.Context) {
		o := workingOrganization(ctx, `
serviceAccountName: lifecycle
effects:
- name: work
  "on": [Expired]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: Unassign}
`)
		o.createUser(ctx, "alice", wasActive, expires(inSeconds(2)))
		o.createWork(ctx, "work", `{owner: alice}`)
		Eventually(o.work(ctx)).Should(HaveKeyWithValue("work", "{}"))
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.transition(ctx, "user.alice.2")()).To(HaveField("Spec.Actor.Username", v1alpha1.ActorDeadline))
	})

	It("writes a receiver into a list once, where the user stands there twice", func(ctx context.Context) {
		o := workingOrganization(ctx, `
serviceAccountName: lifecycle
effects:
- name: work
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: "spec.watchers[*]"}, action: Transfer, successors: [Owner]}
`)
		o.createUser(ctx, "alice", wasActive)
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.createWork(ctx, "twice", `{watchers: [alice, bob, alice]}`)
		o.createWork(ctx, "both", `{watchers: [alice, olivia]}`)
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated))
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.work(ctx)()).To(Equal(map[string]string{"twice": "{watchers: [olivia, bob]}", "both": "{watchers: [olivia]}"}))
	})

	It("lets two effects change one object, the handing over first", func(ctx context.Context) {
		o := workingOrganization(ctx, `
serviceAccountName: lifecycle
effects:
- name: paused
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: Patch, patch: {spec: {state: Paused}}}
- name: handed-over
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: Transfer, successors: [Owner]}
`)
		o.createUser(ctx, "alice", wasActive)
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.createWork(ctx, "work", `{owner: alice, state: Open}`)
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated))
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.work(ctx)()).To(Equal(map[string]string{"work": "{owner: olivia, state: Paused}"}))
		Expect(o.ledger(ctx, "user.alice.2")()).To(Equal([]string{"True Done", "paused 1/1", "handed-over 1/1"}))
	})

	It("finds the objects of an effect on which another depends, though it is not its turn", func(ctx context.Context) {
		o := workingOrganization(ctx, `
serviceAccountName: lifecycle
effects:
- name: goals
  "on": [Removed]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: Delete}
- name: steps
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.parent, effect: goals}, action: Patch, patch: {spec: {state: Paused}}}
`)
		o.createUser(ctx, "alice", wasActive)
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.createWork(ctx, "goal", `{owner: alice}`)
		o.createWork(ctx, "step", `{parent: goal}`)
		o.createWork(ctx, "other-step", `{parent: other-goal}`)
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated))
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.work(ctx)()).To(Equal(map[string]string{"goal": "{owner: alice}", "step": "{parent: goal, state: Paused}", "other-step": "{parent: other-goal}"}))
	})

	It("stops where the user comes back in the middle, and its ledger says what was done", func(ctx context.Context) {
		o := workingOrganization(ctx, example.OneOfEach)
		o.createUser(ctx, "alice", wasActive)
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.createWork(ctx, "goal", `{owner: alice, class: deleted}`)
		o.createWork(ctx, "key-result", `{parent: goal, class: child}`)
		o.createWork(ctx, "page", `{editors: [{name: alice}]}`)
		o.letLifecycle(ctx, "get", "list", "watch", "patch")
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		Eventually(o.ledger(ctx, "user.alice.2")).Should(ContainElements("False Retrying", "unassigned 1/1", ContainSubstring("children 0/1: key-result: delete: ")))

		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredActive))
		Eventually(o.ledger(ctx, "user.alice.2")).Should(Equal([]string{
			"True Superseded", "deleted 0/1: Stopped: 1 of 1 not done", "children 0/1: Stopped: 1 of 1 not done",
			"transferred 0/0", "unassigned 1/1", "patched 0/0", "anonymised 0/0", "kept 0/0",
		}))
		o.letLifecycle(ctx, everyRight...)
		Eventually(o.userCondition(ctx, "alice", v1alpha1.ConditionReady)).Should(HavePrefix("True Reconciled"))
		Consistently(o.work(ctx)).WithTimeout(2 * time.Second).Should(And(HaveKey("goal"), HaveKey("key-result")))
		Eventually(o.eventsOf(ctx, "User", "alice")).Should(ContainElement("EffectsStopped"))
	})

	It("does not touch what is assigned after the decision, and reports it", func(ctx context.Context) {
		o := workingOrganization(ctx, transferToOwner)
		o.createUser(ctx, "alice", wasActive)
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.createWork(ctx, "early", `{owner: alice}`)
		o.createWork(ctx, "moved", `{owner: alice}`)
		o.letLifecycle(ctx, "get", "list", "watch")
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		Eventually(o.ledger(ctx, "user.alice.2")).Should(ContainElement("False Retrying"))

		By("nor what somebody else has changed since")
		o.createWork(ctx, "late", `{owner: alice}`)
		o.editWork(ctx, "moved", `{owner: bob}`)
		o.letLifecycle(ctx, everyRight...)
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.work(ctx)()).To(Equal(map[string]string{"early": "{owner: olivia}", "moved": "{owner: bob}", "late": "{owner: alice}"}))
		Expect(o.ledger(ctx, "user.alice.2")()).To(Equal([]string{
			"True Done", "work 1/2: 1 changed by somebody else since the decision and left alone; 1 assigned since the decision and not touched",
		}))
	})

	It("goes on by its frozen plan where the policy is changed, and then deleted", func(ctx context.Context) {
		o := workingOrganization(ctx, transferToOwner)
		o.createUser(ctx, "alice", wasActive)
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.createWork(ctx, "work", `{owner: alice}`)
		o.letLifecycle(ctx, "get", "list", "watch")
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		Eventually(o.ledger(ctx, "user.alice.2")).Should(ContainElement("False Retrying"))

		editObject(ctx, o, "default", func(policy *v1alpha1.LifecyclePolicy) {
			policy.Spec.Effects[0].Resources.Action, policy.Spec.Effects[0].Resources.Successors = v1alpha1.ResourceAction(v1alpha1.ActionDelete), nil
		})
		o.deleteObject("lifecyclepolicy", "default")
		o.letLifecycle(ctx, everyRight...)
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.work(ctx)()).To(Equal(map[string]string{"work": "{owner: olivia}"}))
	})

	It("says what its service account may not do, closes access all the same, and goes on when it may", func(ctx context.Context) {
		o := workingOrganization(ctx, example.OneOfEach)
		target := o.createProgram(ctx, "mentoring")
		o.createUser(ctx, "alice", wasActive)
		o.enrol(ctx, "alice", v1alpha1.StateActive, "mentoring")
		Eventually(o.mayListPods(ctx, "alice", target)).Should(BeTrue())
		o.createWork(ctx, "goal", `{owner: alice, class: deleted}`)
		o.createWork(ctx, "page", `{editors: [{name: alice}]}`)
		o.letLifecycle(ctx, "get", "list", "watch", "patch")

		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		Eventually(o.userCondition(ctx, "alice", v1alpha1.ConditionReady)).Should(And(
			HavePrefix("False TransitionRunning: The effects of Transition user.alice.2 are not all done: effect deleted: goal: delete: "),
			ContainSubstring(fmt.Sprintf(`User "system:serviceaccount:%s:lifecycle" cannot delete resource "works"`, o.name)),
		))
		Expect(o.mayListPods(ctx, "alice", target)()).To(BeFalse())
		Expect(o.work(ctx)()).To(HaveKeyWithValue("page", "{editors: []}"))
		Eventually(o.warningsOf(ctx, "User", "alice")).Should(ContainElement(HavePrefix("EffectFailed: user.alice.2: effect deleted: goal: delete: ")))

		o.letLifecycle(ctx, everyRight...)
		o.waitForCascade(ctx, "user.alice.2")
		Eventually(o.userCondition(ctx, "alice", v1alpha1.ConditionReady)).Should(HavePrefix("True Reconciled"))
	})

	It("goes on with everything else where one object's deletion hangs, and says what that waits for", func(ctx context.Context) {
		o := workingOrganization(ctx, example.OneOfEach)
		o.createUser(ctx, "alice", wasActive)
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.createWork(ctx, "hanging", `{owner: alice, class: deleted}`, func(w *unstructured.Unstructured) { w.SetFinalizers([]string{"work.example.com/hangs"}) })
		o.createWork(ctx, "goal", `{owner: alice, class: deleted}`)
		o.createWork(ctx, "page", `{editors: [{name: alice}]}`)
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		Eventually(o.ledger(ctx, "user.alice.2")).Should(ContainElements(
			"False Running", "deleted 1/2: hanging is being deleted and waits for finalizer work.example.com/hangs", "unassigned 1/1"))

		hanging := newWork(o.name, "hanging")
		Expect(admin.Patch(ctx, hanging, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.ledger(ctx, "user.alice.2")()).To(ContainElement("deleted 2/2"))
	})

	It("leaves alone, and names, an object about which the policy's expression says nothing", func(ctx context.Context) {
		o := workingOrganization(ctx, `
serviceAccountName: lifecycle
effects:
- name: work
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: object.spec.stage.name == 'Open', action: Delete}
`)
		o.createUser(ctx, "alice", wasActive)
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.createWork(ctx, "clear", `{owner: alice, stage: {name: Open}}`)
		o.createWork(ctx, "unclear", `{owner: alice}`)
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated))
		Eventually(o.ledger(ctx, "user.alice.2")).Should(ContainElements("False Retrying", And(HavePrefix("work 1/2: unclear: match: "), ContainSubstring("stage"))))
		Expect(o.work(ctx)()).To(Equal(map[string]string{"unclear": "{owner: alice}"}))

		o.editWork(ctx, "unclear", `{owner: alice, stage: {name: Open}}`)
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.work(ctx)()).To(BeEmpty())
	})

	It("tells the owners of what comes from Git where to make its change for good", func(ctx context.Context) {
		o := workingOrganization(ctx, transferToOwner)
		o.createUser(ctx, "alice", wasActive)
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.createWork(ctx, "synced", `{owner: alice}`, func(w *unstructured.Unstructured) {
			w.SetAnnotations(map[string]string{"argocd.argoproj.io/tracking-id": "acme:work"})
		})
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated))
		o.waitForCascade(ctx, "user.alice.2")
		Expect(o.work(ctx)()).To(HaveKeyWithValue("synced", "{owner: olivia}"))
		Eventually(o.warningsOf(ctx, "Work", "synced")).Should(ConsistOf(And(HavePrefix("ManagedElsewhere: "), ContainSubstring("Argo CD"))))
	})
})

// version is what the API server has of pieces of work, byte for byte.
func (o *organization) version(ctx context.Context, names ...string) func() (map[string]any, error) {
	return func() (map[string]any, error) {
		found := map[string]any{}
		for _, name := range names {
			work := newWork(o.name, name)
			if err := admin.Get(ctx, client.ObjectKeyFromObject(work), work); err != nil {
				return nil, err
			}
			found[name] = work.Object
		}
		return found, nil
	}
}

func (o *organization) annotationsOf(ctx context.Context, work string) map[string]string {
	GinkgoHelper()
	object := newWork(o.name, work)
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
	return object.GetAnnotations()
}

// editWork gives a piece of work another spec.
func (o *organization) editWork(ctx context.Context, name, spec string) {
	GinkgoHelper()
	work := newWork(o.name, name)
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(work), work)).To(Succeed())
	o.replaceSpec(work, spec)
	Expect(admin.Update(ctx, work)).To(Succeed())
}

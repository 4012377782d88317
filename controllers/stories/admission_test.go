package stories

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("Who deactivates or suspends", func() {
	It("must have been given the right to; nobody else can, least of all to themselves",
		Label("S0.24"), func(ctx context.Context) {
			acme := newOrganization(ctx)
			acme.createUser(ctx, "alice", wasActive)
			acme.bind(ctx, "tenure-viewer", "vera")
			jane := acme.administrator(ctx, "tenure-admin", "jane")
			for _, status := range []v1alpha1.UserDesiredStatus{v1alpha1.UserDesiredDeactivated, v1alpha1.UserDesiredSuspended} {
				patch := fmt.Sprintf(`{"spec":{"desiredStatus":%q,"reason":"A test"}}`, status)
				for _, name := range []string{"stranger", "vera", acme.userName("alice")} {
					Expect(acme.patchUser(ctx, as(name), "alice", patch)).To(MatchError(And(
						ContainSubstring(fmt.Sprintf("User %q cannot patch resource \"users\"", name)),
						ContainSubstring("in the namespace \""+acme.name+"\""))))
				}
				Expect(acme.stateOf(ctx, "alice")()).NotTo(Equal(v1alpha1.State(status)))

				Expect(acme.patchUser(ctx, jane, "alice", patch)).To(Succeed())
				Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.State(status)))
			}
		})
})

var _ = Describe("The actor of a change", func() {
	It("is in its record, for everybody to see",
		Label("S4.13"), func(ctx context.Context) {
			acme, _ := newMentoring(ctx)
			jane, dave := acme.administrator(ctx, "tenure-admin", "jane"), acme.administrator(ctx, "tenure-power-user", "dave")
			Expect(acme.patchMembership(ctx, dave, "alice-mentoring", `{"spec":{"desiredStatus":"Deactivated"}}`)).To(Succeed())
			Eventually(acme.transition(ctx, "membership.alice-mentoring.2")).Should(And(
				HaveField("Spec.To", v1alpha1.StateDeactivated),
				HaveField("Spec.Actor", v1alpha1.Actor{Username: "dave", Groups: []string{"people", "system:authenticated"}})))

			Expect(acme.patchUser(ctx, jane, "alice", `{"spec":{"desiredStatus":"Deactivated","reason":"Parental leave"}}`)).To(Succeed())
			Eventually(acme.transition(ctx, "user.alice.2")).Should(And(
				HaveField("Spec.To", v1alpha1.StateDeactivated), HaveField("Spec.Reason", "Parental leave"),
				HaveField("Spec.Actor", v1alpha1.Actor{Username: "jane", Groups: []string{"people", "system:authenticated"}})))
			Expect(kubectl("get", "transitions", "--namespace="+acme.name)).To(And(
				MatchRegexp(`(?m)^NAME\s+SUBJECT\s+FROM\s+TO\s+CAUSE\s+BY\s`),
				MatchRegexp(`(?m)^user\.alice\.1\s+alice\s+Active\s+Declared\s+admin\s`),
				MatchRegexp(`(?m)^user\.alice\.2\s+alice\s+Active\s+Deactivated\s+Declared\s+jane\s`),
				MatchRegexp(`(?m)^membership\.alice-mentoring\.2\s+alice-mentoring\s+Active\s+Deactivated\s+Declared\s+dave\s`)))
		})

	It("is written down whatever is changed about the lifecycle, and stays the same when anything else is", func(ctx context.Context) {
		acme := newOrganization(ctx)
		jane, bob := acme.administrator(ctx, "tenure-admin", "jane"), acme.administrator(ctx, "tenure-power-user", "bob")
		acme.createUser(ctx, "alice")
		acme.createGroup(ctx, "mentoring")
		acme.join(ctx, "alice", "mentoring")

		common := []string{
			`{"spec":{"desiredStatus":"Deactivated"}}`, `{"spec":{"reason":"Project is paused"}}`, `{"spec":{"reason":"Project has ended"}}`,
			`{"spec":{"startTime":"2020-01-01T00:00:00Z"}}`, `{"spec":{"expirationTime":"2040-01-01T00:00:00Z"}}`, `{"spec":{"startTime":null}}`,
			`{"spec":{"holds":[{"name":"audit","status":"Deactivated"}]}}`,
			`{"spec":{"holds":[{"name":"audit","status":"Deactivated"},{"name":"second","status":"Deactivated"}]}}`,
			`{"metadata":{"annotations":{"tenure.dev/release":"second"}}}`,
		}
		indifferent := []string{
			`{"metadata":{"labels":{"team":"sales"}}}`, `{"metadata":{"annotations":{"note":"met on Monday"}}}`,
			`{"metadata":{"annotations":{"tenure.dev/on-behalf-of":"eve"}}}`,
		}
		expect := func(object client.Object, patch string, lifecycle bool) {
			By(patch)
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
			before, by, name := actorIn(object).Username, bob, "bob"
			if before == "bob" {
				by, name = jane, "jane"
			}
			if !lifecycle {
				name = before
			}
			Expect(by.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
			Expect(actorIn(object).Username).To(Equal(name))
		}

		user, err := acme.user(ctx, "alice")()
		Expect(err).NotTo(HaveOccurred())
		for _, patch := range append(common, `{"spec":{"absences":[{"name":"summer","startTime":"2030-07-01T00:00:00Z"}]}}`,
			`{"spec":{"absences":[{"name":"summer","startTime":"2030-07-01T00:00:00Z","endTime":"2030-08-01T00:00:00Z"}]}}`, `{"spec":{"absences":null}}`) {
			expect(user, patch, true)
		}
		for _, patch := range append(indifferent, `{"spec":{"displayName":"Alice Ang","role":"Manager","managerRef":{"name":"olivia"}}}`,
			`{"spec":{"attributes":{"department":"Sales"}}}`) {
			expect(user, patch, false)
		}
		membership, err := acme.membership(ctx, "alice-mentoring")()
		Expect(err).NotTo(HaveOccurred())
		for _, patch := range common {
			expect(membership, patch, true)
		}
		for _, patch := range append(indifferent, `{"spec":{"roles":["Mentor"]}}`) {
			expect(membership, patch, false)
		}
	})

	It("cannot be set, changed or taken off by anybody", func(ctx context.Context) {
		acme := newOrganization(ctx)
		mallory := acme.administrator(ctx, "tenure-admin", "mallory")
		forged := fmt.Sprintf(`{"metadata":{"annotations":{%q:"{\"username\":\"olivia\"}"}}}`, v1alpha1.AnnotationActor)

		alice := acme.newUser("alice", wasActive)
		annotate(alice, v1alpha1.AnnotationActor, `{"username":"olivia"}`)
		Expect(mallory.Create(ctx, alice)).To(Succeed())
		Expect(actorIn(alice).Username).To(Equal("mallory"), "created")
		Eventually(acme.transition(ctx, "user.alice.1")).Should(HaveField("Spec.Actor.Username", "mallory"))

		acme.createUser(ctx, "bert")
		for how, patch := range map[string]string{
			"changed":                             forged,
			"taken off":                           fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, v1alpha1.AnnotationActor),
			"taken off with all the others":       `{"metadata":{"annotations":null}}`,
			"replaced by what is no actor at all": fmt.Sprintf(`{"metadata":{"annotations":{%q:""}}}`, v1alpha1.AnnotationActor),
		} {
			Expect(acme.patchUser(ctx, mallory, "bert", patch)).To(Succeed(), how)
			bert, err := acme.user(ctx, "bert")()
			Expect(err).NotTo(HaveOccurred())
			Expect(actorIn(bert).Username).To(Equal("admin"), how)
		}

		Expect(acme.patchUser(ctx, mallory, "bert", `{"spec":{"desiredStatus":"Deactivated"},`+strings.TrimPrefix(forged, "{"))).To(Succeed())
		Eventually(acme.transition(ctx, "user.bert.2")).Should(HaveField("Spec.Actor.Username", "mallory"))
	})

	It("may have any name that the API server lets in", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "alice")
		binding := acme.binding("tenure-power-user", "")
		binding.Subjects = []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "people"}}
		Expect(admin.Create(ctx, binding)).To(Succeed())
		names := map[string]string{
			`quo"te`: `quo"te`, `back\slash\`: `back\slash\`, `\"both\"`: `\"both\"`, `{"username":"olivia"}`: `{"username":"olivia"}`,
			`Zoë 名前 🙂`: `Zoë 名前 🙂`, "a <b> & 'c'": "a <b> & 'c'", "two\u2028lines": "two\u2028lines",
			// What moves the cursor is not shown as it is.
			"two\nlines": "two\uFFFDlines", "bell\a, \v and \b": "bell\uFFFD, \uFFFD and \uFFFD", "\x1b[2Jolivia\x00\x7f": "\uFFFD[2Jolivia\uFFFD\uFFFD",
		}
		for name, shown := range names {
			somebody := as(name, "people", name)
			Eventually(acme.patchUser).WithArguments(ctx, somebody, "alice", fmt.Sprintf(`{"spec":{"reason":%q}}`, "By "+shown)).Should(Succeed())
			alice, err := acme.user(ctx, "alice")()
			Expect(err).NotTo(HaveOccurred())
			Expect(actorIn(alice)).To(And(
				HaveField("Username", shown), HaveField("Groups", ConsistOf("people", shown, "system:authenticated"))))
		}

		Expect(acme.patchUser(ctx, as(`quo"te \ 名`, "people"), "alice", `{"spec":{"desiredStatus":"Deactivated"}}`)).To(Succeed())
		Eventually(acme.transition(ctx, "user.alice.2")).Should(HaveField("Spec.Actor.Username", `quo"te \ 名`))
		Expect(kubectl("get", "transitions", "--namespace="+acme.name)).To(ContainSubstring(`quo"te \ 名`))
	})

	It("is the account that wrote; on whose behalf it says to act is recorded as its claim", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "alice", wasActive)
		sync := acme.administrator(ctx, "tenure-power-user", "system:serviceaccount:argocd:sync")
		Expect(acme.patchUser(ctx, sync, "alice",
			`{"metadata":{"annotations":{"tenure.dev/on-behalf-of":"olivia"}},"spec":{"desiredStatus":"Deactivated"}}`)).To(Succeed())
		Eventually(acme.transition(ctx, "user.alice.2")).Should(HaveField("Spec.Actor", And(
			HaveField("Username", "system:serviceaccount:argocd:sync"), HaveField("OnBehalfOf", "olivia"))))
	})

	It("is named where it is known, and is not taken from an earlier change", func(ctx context.Context) {
		acme, _ := newMentoring(ctx)
		jane := acme.administrator(ctx, "tenure-admin", "jane")
		Expect(acme.patchUser(ctx, jane, "alice", `{"spec":{"desiredStatus":"Suspended"}}`)).To(Succeed())
		Eventually(acme.transition(ctx, "membership.alice-mentoring.2")).Should(And(
			HaveField("Spec.Cause.Name", v1alpha1.HoldUserSuspended), HaveField("Spec.Actor.Username", v1alpha1.ActorUser)))
		Expect(acme.transition(ctx, "user.alice.2")()).To(HaveField("Spec.Actor.Username", "jane"))

		acme.editUser(ctx, "alice", desired(v1alpha1.UserDesiredActive))
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		Expect(acme.patchMembership(ctx, jane, "alice-mentoring", `{"metadata":{"annotations":{"tenure.dev/release":"user-suspended"}}}`)).To(Succeed())
		Eventually(acme.transition(ctx, "membership.alice-mentoring.3")).Should(And(
			HaveField("Spec.Cause.Type", v1alpha1.TransitionReleased), HaveField("Spec.Actor.Username", "jane")))

		acme.deleteObject("membership", "alice-mentoring")
		Expect(acme.transition(ctx, "membership.alice-mentoring.4")()).To(And(
			HaveField("Spec.Cause.Type", v1alpha1.TransitionDeleted), HaveField("Spec.Actor.Username", "admin")))
	})
})

var _ = Describe("A hold", func() {
	DescribeTable("that a file does not know of is not lost to it, in however many syncs, which change nothing at all",
		func(ctx context.Context, first, sync string) {
			acme := newOrganization(ctx)
			acme.administrator(ctx, "tenure-admin", "argo")
			acme.createGroup(ctx, "course")
			file := acme.file("")
			Expect(kubectlWith(file, "--as=argo "+first)).To(ContainSubstring("kate"))
			Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateActive))

			acme.editUser(ctx, "kate", held("security", v1alpha1.UserHoldSuspended))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateSuspended))
			Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateDeactivated), "by the operator's hold")
			acme.waitForEffects(ctx, "kate")
			user, membership := acme.declaredOfKate(ctx)
			for range 2 {
				Expect(kubectlWith(file, "--as=argo "+sync)).To(ContainSubstring("kate"))
				nowUser, nowMembership := acme.declaredOfKate(ctx)
				Expect(nowUser).To(Equal(user))
				Expect(nowMembership).To(Equal(membership))
			}
			Expect(acme.why(ctx, "kate")()).To(ContainElement("Suspended:Hold/security"))
			Expect(acme.whyMember(ctx, "kate-course")()).To(ContainElement("Deactivated:Hold/user-suspended"))

			By("releasing it by name")
			acme.editUser(ctx, "kate", releasing[*v1alpha1.User]("security"))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActivated))
			Expect(kubectlWith(file, "--as=argo "+sync)).To(ContainSubstring("kate"))
			Consistently(acme.stateOf(ctx, "kate")).WithTimeout(often * 10).Should(Equal(v1alpha1.StateActivated))
		},
		Entry("by kubectl apply", "apply --filename=-", "apply --filename=-"),
		Entry("by server-side apply, as Flux does", serverSide, serverSide),
		Entry("by kubectl replace, as Argo CD's Replace does", "create --filename=-", "replace --filename=-"),
	)

	DescribeTable("that the writer has set is not lifted by leaving it out",
		func(ctx context.Context, first, then string) {
			acme := newOrganization(ctx)
			acme.createGroup(ctx, "course")
			Expect(kubectlWith(acme.file("holds: [{name: audit, status: Deactivated, reason: Audit}, {name: second, status: Deactivated}]"), first)).
				To(ContainSubstring("kate"))
			Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateDeactivated))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateDeactivated))
			user, membership := acme.declaredOfKate(ctx)

			for _, file := range []string{acme.file("holds: [{name: second, status: Deactivated}]"), acme.file("")} {
				Expect(kubectlWith(file, strings.ReplaceAll(then, "ACME", acme.name))).To(ContainSubstring("kate"))
				nowUser, nowMembership := acme.declaredOfKate(ctx)
				Expect(nowUser).To(Equal(user))
				Expect(nowMembership).To(Equal(membership))
			}
		},
		Entry("of a file that kubectl applies", "apply --filename=-", "apply --filename=-"),
		Entry("of a file that is applied server-side, which prunes what it owns", serverSide, serverSide),
		Entry("of a file that replaces the object", "create --filename=-", "replace --filename=-"),
		Entry("of the list that a patch brings", "create --filename=-", `patch user kate --namespace=ACME --type=merge --patch={"spec":{"holds":[]}}`),
		Entry("when a patch drops the list", "create --filename=-",
			`patch membership kate-course --namespace=ACME --type=json --patch=[{"op":"remove","path":"/spec/holds"}]`),
	)

	It("is put back beside those that the writer brings instead, and cannot be changed", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "kate", held("audit", v1alpha1.UserHoldDeactivated), held("security", v1alpha1.UserHoldOnBreak))
		before, err := acme.user(ctx, "kate")()
		Expect(err).NotTo(HaveOccurred())
		Expect(acme.patchUser(ctx, admin, "kate", `{"spec":{"holds":[{"name":"new","status":"OnBreak"},{"name":"security","status":"OnBreak","reason":"A test holds it"}]}}`)).
			To(Succeed())
		after, err := acme.user(ctx, "kate")()
		Expect(err).NotTo(HaveOccurred())
		Expect(after.Spec.Holds).To(Equal(append(before.Spec.Holds, v1alpha1.UserHold{
			Name: "new", Status: v1alpha1.UserHoldOnBreak, Release: v1alpha1.ReleaseAdmin,
		})))

		Expect(acme.patchUser(ctx, admin, "kate", `{"spec":{"holds":[{"name":"audit","status":"OnBreak"}]}}`)).To(MatchError(
			ContainSubstring("a hold cannot be changed: release it and set another one")))
	})

	It("is released by name, also by a writer who leaves it out as well", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "kate", held("audit", v1alpha1.UserHoldDeactivated), held("security", v1alpha1.UserHoldDeactivated))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateDeactivated))
		acme.editUser(ctx, "kate", func(u *v1alpha1.User) { u.Spec.Holds = nil }, releasing[*v1alpha1.User]("audit"))
		Eventually(acme.user(ctx, "kate")).Should(HaveField("Spec.Holds", ConsistOf(HaveField("Name", "security"))))
		acme.editUser(ctx, "kate", releasing[*v1alpha1.User]("security"))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActivated))
	})
})

var _ = Describe("A dry run", func() {
	DescribeTable("of what is declared already shows no difference, whoever asks",
		func(ctx context.Context, first, diff string) {
			acme := newOrganization(ctx)
			acme.administrator(ctx, "tenure-admin", "jane")
			acme.administrator(ctx, "tenure-power-user", "argo")
			acme.createGroup(ctx, "course")
			file := acme.file("holds: [{name: audit, status: Deactivated}]")
			Expect(kubectlWith(file, "--as=jane "+first)).To(ContainSubstring("kate"))
			Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateDeactivated))
			acme.editUser(ctx, "kate", held("security", v1alpha1.UserHoldDeactivated))
			Eventually(acme.why(ctx, "kate")).Should(ContainElement("Deactivated:Hold/security"))
			userBefore, membershipBefore := acme.declaredOfKate(ctx)

			Expect(kubectlWith(file, "--as=argo "+diff)).To(BeEmpty())
			changed, err := kubectlWith(acme.file("reason: Another"), "--as=argo "+diff)
			Expect(err).To(HaveOccurred(), "kubectl diff tells a difference with its exit code")
			Expect(changed).To(And(ContainSubstring("+  reason: Another"), ContainSubstring(`"username":"argo"`)))
			user, membership := acme.declaredOfKate(ctx)
			Expect([]any{user, membership}).To(Equal([]any{userBefore, membershipBefore}), "nothing was done")
		},
		Entry("to kubectl diff", "apply --filename=-", "diff --filename=-"),
		Entry("to the server-side diff of Argo CD and Flux", serverSide, "diff --server-side --force-conflicts --field-manager=flux --filename=-"),
	)
})

var _ = Describe("What the operator keeps on an object", func() {
	It("is put back when a file does not know of it, and cannot be replaced", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "kate", wasActive)
		Eventually(acme.user(ctx, "kate")).Should(HaveField("Annotations", HaveKey(v1alpha1.AnnotationFirstActivity)))
		before, err := acme.user(ctx, "kate")()
		Expect(err).NotTo(HaveOccurred())
		jane := acme.administrator(ctx, "tenure-admin", "jane")
		Expect(acme.patchUser(ctx, jane, "kate", `{"metadata":{"annotations":null,"finalizers":null}}`)).To(Succeed())
		after, err := acme.user(ctx, "kate")()
		Expect(err).NotTo(HaveOccurred())
		Expect(after.Finalizers).To(Equal([]string{v1alpha1.Finalizer}))
		for _, name := range []string{v1alpha1.AnnotationIdentity, v1alpha1.AnnotationFirstActivity} {
			Expect(after.Annotations).To(HaveKeyWithValue(name, before.Annotations[name]))
			Expect(acme.patchUser(ctx, jane, "kate", fmt.Sprintf(`{"metadata":{"annotations":{%q:"2020-01-01T00:00:00Z"}}}`, name))).To(And(
				MatchError(apierrors.IsForbidden, "IsForbidden"),
				MatchError(ContainSubstring(name+" belongs to Tenure and can be neither set nor changed"))))
		}
		Expect(acme.patchUser(ctx, jane, "kate", `{"metadata":{"finalizers":["acme.example/archive"]}}`)).To(Succeed())
		Expect(acme.user(ctx, "kate")()).To(HaveField("Finalizers", ConsistOf("acme.example/archive", v1alpha1.Finalizer)))
	})

	It("keeps nobody from ending what is being deleted, where no operator is left to do it", func(ctx context.Context) {
		acme := newNamespace(ctx)
		acme.createUser(ctx, "kate")
		Eventually(acme.user(ctx, "kate")).Should(HaveField("Finalizers", ConsistOf(v1alpha1.Finalizer)))
		shared.stop()
		DeferCleanup(shared.startAgain)
		Expect(kubectl("delete", "user", "kate", "--namespace="+acme.name, "--wait=false")).To(ContainSubstring("deleted"))
		Expect(acme.user(ctx, "kate")()).To(HaveField("DeletionTimestamp", Not(BeNil())))
		Expect(acme.patchUser(ctx, admin, "kate", `{"metadata":{"finalizers":null}}`)).To(Succeed())
		_, err := acme.user(ctx, "kate")()
		Expect(err).To(MatchError(apierrors.IsNotFound, "IsNotFound"))
	})
})

// serverSide is how a tool applies that keeps to what its file says.
const serverSide = "apply --server-side --force-conflicts --field-manager=flux --filename=-"

// administrator gives somebody a ClusterRole in the organization, and returns their client.
func (o *organization) administrator(ctx context.Context, clusterRole, username string) client.Client {
	GinkgoHelper()
	o.bind(ctx, clusterRole, username)
	Eventually(o.allows).WithArguments(ctx, username, "patch memberships").Should(BeTrue())
	return as(username, "people")
}

func (o *organization) patchUser(ctx context.Context, by client.Client, name, patch string) error {
	user := &v1alpha1.User{}
	user.Name, user.Namespace = name, o.name
	return by.Patch(ctx, user, client.RawPatch(types.MergePatchType, []byte(patch)))
}

func (o *organization) patchMembership(ctx context.Context, by client.Client, name, patch string) error {
	membership := &v1alpha1.Membership{}
	membership.Name, membership.Namespace = name, o.name
	return by.Patch(ctx, membership, client.RawPatch(types.MergePatchType, []byte(patch)))
}

// actorIn is the actor that admission has written on an object.
func actorIn(object client.Object) (actor v1alpha1.Actor) {
	GinkgoHelper()
	stamped := object.GetAnnotations()[v1alpha1.AnnotationActor]
	Expect(json.Unmarshal([]byte(stamped), &actor)).To(Succeed(), "%q", stamped)
	return actor
}

// file declares the user Kate and her membership of the group course, both with one more line of spec.
func (o *organization) file(line string) string {
	return fmt.Sprintf(`
apiVersion: tenure.dev/v1alpha1
kind: User
metadata: {name: kate, namespace: %[1]s}
spec:
  userName: %[2]s
  email: %[2]s
  absences:
  - {name: summer, startTime: "2040-07-01T00:00:00Z", endTime: "2040-08-01T00:00:00Z"}
  %[3]s
---
apiVersion: tenure.dev/v1alpha1
kind: Membership
metadata: {name: kate-course, namespace: %[1]s}
spec:
  userRef: {name: kate}
  groupRef: {name: course}
  %[3]s
`, o.name, o.userName("kate"), line)
}

// declaredOfKate are Kate and her membership of the course as far as they are declared: spec, generation and annotations,
// without what kubectl notes for itself.
func (o *organization) declaredOfKate(ctx context.Context) (*v1alpha1.User, *v1alpha1.Membership) {
	GinkgoHelper()
	user, err := o.user(ctx, "kate")()
	Expect(err).NotTo(HaveOccurred())
	membership, err := o.membership(ctx, "kate-course")()
	Expect(err).NotTo(HaveOccurred())
	for _, object := range []client.Object{user, membership} {
		object.SetManagedFields(nil)
		object.SetResourceVersion("")
		delete(object.GetAnnotations(), "kubectl.kubernetes.io/last-applied-configuration")
	}
	user.Status, membership.Status = v1alpha1.UserStatus{}, v1alpha1.MembershipStatus{}
	return user, membership
}

// kubectlWith runs kubectl with a file on its input.
func kubectlWith(file, arguments string) (output string, err error) {
	stdout, stderr, err := cluster.Kubectl(context.Background(), nil, strings.NewReader(file), strings.Fields(arguments)...)
	return stdout + stderr, err
}

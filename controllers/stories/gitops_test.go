package stories

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// What follows is an organization as its Git repository has it. When Dan leaves, somebody stands in for
// him as leader of the course.
const (
	settingsInGit = `
apiVersion: tenure.dev/v1alpha1
kind: Organization
metadata: {name: ACME, namespace: ACME, labels: {team: people}}
spec: {displayName: Acme Ltd, ownerRef: {name: olivia}, defaultPolicyRef: {name: default}}
---
apiVersion: tenure.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: default, namespace: ACME, labels: {team: people}}
spec:
  guards: {leader: Allow, lastRoleHolder: Allow}
  effects:
  - {name: leads, relations: {kinds: [Leader], action: Transfer, successors: [Owner]}}
---
`
	peopleInGit = `
apiVersion: tenure.dev/v1alpha1
kind: User
metadata: {name: olivia, namespace: ACME, labels: {team: people}, annotations: {tenure.dev/last-activity: "2026-01-02T03:04:05Z"}}
spec: {userName: olivia@ACME.example, role: Owner}
---
apiVersion: tenure.dev/v1alpha1
kind: User
metadata: {name: ann, namespace: ACME, labels: {team: people}}
spec: {userName: ann@ACME.example, role: Admin}
---
apiVersion: tenure.dev/v1alpha1
kind: User
metadata: {name: bob, namespace: ACME, labels: {team: people}}
spec: {userName: bob@ACME.example, email: Bob@ACME.example}
---
apiVersion: tenure.dev/v1alpha1
kind: User
metadata: {name: dan, namespace: ACME, labels: {team: people}}
spec: {userName: dan@ACME.example, managerRef: {name: ann}}
---
`
	kateInGit = `
apiVersion: tenure.dev/v1alpha1
kind: User
metadata: {name: kate, namespace: ACME, labels: {team: people}}
spec:
  userName: kate@ACME.example
  expirationTime: "2040-12-31T23:00:00+01:00"
  absences:
  - {name: summer, startTime: "2040-07-01T00:00:00Z", endTime: "2040-08-01T00:00:00Z"}
---
apiVersion: tenure.dev/v1alpha1
kind: Membership
metadata: {name: kate-course, namespace: ACME, labels: {team: people}}
spec: {userRef: {name: kate}, groupRef: {name: course}, roles: [Member]}
---
`
	coursesInGit = `
apiVersion: tenure.dev/v1alpha1
kind: Group
metadata: {name: course, namespace: ACME, labels: {team: people}}
spec: {displayName: Course, type: Course, leaderRef: {name: dan}, roles: [{name: Member}]}
---
apiVersion: tenure.dev/v1alpha1
kind: Membership
metadata: {name: dan-course, namespace: ACME, labels: {team: people}}
spec: {userRef: {name: dan}, groupRef: {name: course}, roles: [Member]}
`
	everythingInGit = settingsInGit + peopleInGit + kateInGit + coursesInGit
)

var _ = Describe("A GitOps tool", func() {
	// keeps: the tool leaves alone what its file does not name, also where a person has declared it.
	DescribeTable("that syncs an organization, again and again", func(ctx context.Context, first, sync string, keeps bool) {
		acme := newRepository(ctx)
		acme.sync(everythingInGit, first)
		for kind, names := range map[string][]string{
			"Organization": {acme.name}, "LifecyclePolicy": {"default"}, "Group": {"course"}, "Membership": {"kate-course", "dan-course"},
			"User": {"olivia", "ann", "bob", "dan", "kate"},
		} {
			for _, name := range names {
				Eventually(acme.health(ctx, kind, name)).Should(HavePrefix("Current"), "%s %s", kind, name)
			}
		}
		acme.settleOwnership(sync, keeps)
		acme.expectNoDrift(ctx, sync)

		By("keeps what people and the operator have added since, and changes nothing")
		Expect(acme.patchUser(ctx, admin, "kate", `{"spec":{"holds":[{"name":"security","status":"Suspended","reason":"Lost laptop"}]}}`)).To(Succeed())
		Expect(acme.patchUser(ctx, admin, "dan", `{"spec":{"holds":[{"name":"leave","status":"Deactivated","reason":"Sabbatical"}]}}`)).To(Succeed())
		states := map[string]v1alpha1.State{"kate": v1alpha1.StateSuspended, "dan": v1alpha1.StateDeactivated, "olivia": v1alpha1.StateActive}
		if keeps {
			Expect(acme.patchUser(ctx, admin, "bob", `{"spec":{"desiredStatus":"Suspended","reason":"Under investigation"}}`)).To(Succeed())
			states["bob"] = v1alpha1.StateSuspended
		}
		for name, state := range states {
			Eventually(acme.stateOf(ctx, name)).Should(Equal(state))
			Eventually(acme.health(ctx, "User", name)).Should(HavePrefix("Current"), "as somebody wants %s to be", name)
		}
		Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateDeactivated))
		Eventually(acme.group(ctx, "course")).Should(HaveField("Status.Leader", v1alpha1.GroupLeader{Name: "olivia", Active: true, Acting: true}))
		acme.settleOwnership(sync, keeps)
		for range 2 {
			acme.expectNoDrift(ctx, sync)
		}

		By("changes what Git changes, and nothing else")
		renamed := strings.ReplaceAll(everythingInGit, "displayName: Course", "displayName: Masterclass")
		acme.sync(renamed, sync)
		Expect(acme.group(ctx, "course")()).To(And(HaveField("Spec.DisplayName", "Masterclass"), HaveField("Spec.Acting", HaveLen(1))))
		for name, state := range states {
			Expect(acme.stateOf(ctx, name)()).To(Equal(state))
		}

		By("does not bring back what was released for all at once")
		acme.release("users", "security,leave")
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActivated))
		acme.release("memberships", v1alpha1.HoldUserSuspended) // While she was suspended it would have come again.
		for range 2 {
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActivated))
			Eventually(acme.stateOf(ctx, "dan")).Should(Equal(v1alpha1.StateActivated))
			Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateActive))
			acme.sync(renamed, sync)
		}
		if keeps {
			Expect(acme.stateOf(ctx, "bob")()).To(Equal(v1alpha1.StateSuspended), "by no hold")
		}
	},
		Entry("by kubectl apply, as Argo CD does", "apply --filename=-", "apply --filename=-", true),
		Entry("by server-side apply, as Flux does", serverSide, serverSide, true),
		Entry("by kubectl replace, as Argo CD does with Replace=true", "create --filename=-", "replace --filename=-", false),
	)

	DescribeTable("that no longer finds a person in Git", func(ctx context.Context, prune func(acme *organization)) {
		acme := newRepository(ctx)
		acme.sync(everythingInGit, "apply --filename=-")
		Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateActive))
		prune(acme)

		Eventually(func() (string, error) {
			return kubectl("get", "users,memberships", "--namespace="+acme.name, "--output=name")
		}).Should(And(
			Not(ContainSubstring("kate")), ContainSubstring("user.tenure.dev/dan\n"), ContainSubstring("membership.tenure.dev/dan-course\n")))
		Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{"→Activated(Declared)", "Activated→Removed(Deleted)"}))
		Eventually(acme.health(ctx, "Organization", acme.name)).Should(HavePrefix("Current"))
		acme.expectNoDriftOf(ctx, settingsInGit+peopleInGit+coursesInGit, "apply --filename=-")
	},
		Entry("prunes what it has applied", func(acme *organization) {
			acme.sync(settingsInGit+peopleInGit+coursesInGit, "apply --filename=- --prune --selector=team=people "+
				"--prune-allowlist=tenure.dev/v1alpha1/User --prune-allowlist=tenure.dev/v1alpha1/Membership")
		}),
		Entry("deletes by name, the user first", func(acme *organization) {
			acme.deleteObject("user", "kate")
			acme.deleteObject("membership", "kate-course")
		}),
	)

	It("that takes over the fields of another and then drops them, drops no hold", func(ctx context.Context) {
		acme := newRepository(ctx)
		acme.sync(everythingInGit, serverSide)
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActivated))
		acme.editUser(ctx, "kate", held("security", v1alpha1.UserHoldSuspended))
		Eventually(acme.membershipStateOf(ctx, "kate-course")).Should(Equal(v1alpha1.StateDeactivated))

		const adopter = "apply --server-side --force-conflicts --field-manager=adopter --filename=-"
		exported, err := kubectl("get", "users,memberships", "kate", "kate-course", "--ignore-not-found", "--namespace="+acme.name, "--output=json")
		Expect(err).NotTo(HaveOccurred())
		for _, object := range objectsIn(exported) {
			object.SetManagedFields(nil)
			object.SetResourceVersion("")
			object.SetUID("")
			adopted, err := json.Marshal(object)
			Expect(err).NotTo(HaveOccurred())
			acme.sync(string(adopted), adopter)
		}
		bare := withoutLines(kateInGit, "expirationTime", "absences", "summer")
		acme.sync(bare, serverSide)
		Expect(acme.user(ctx, "kate")()).To(HaveField("Spec.Absences", HaveLen(1)), "which the adopter has, too")
		for range 2 {
			acme.sync(bare, adopter)
			Expect(acme.user(ctx, "kate")()).To(And(
				HaveField("Spec.Absences", BeEmpty()), HaveField("Spec.Holds", ConsistOf(HaveField("Name", "security")))))
			Expect(acme.membership(ctx, "kate-course")()).To(HaveField("Spec.Holds", ConsistOf(HaveField("Name", v1alpha1.HoldUserSuspended))))
		}
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateSuspended))
		Expect(acme.membershipStateOf(ctx, "kate-course")()).To(Equal(v1alpha1.StateDeactivated))
	})
})

var _ = Describe("The health of an object, as Flux reads it,", func() {
	It("is that of work in progress while a cascade runs, and of a failure while it waits for a person", func(ctx context.Context) {
		o := workingOrganization(ctx, `
serviceAccountName: lifecycle
effects:
- name: work
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: Delete}
`)
		o.createUser(ctx, "alice", wasActive)
		Eventually(o.health(ctx, "User", "alice")).Should(HavePrefix("Current"))
		o.createWork(ctx, "slow", `{owner: alice}`, func(work *unstructured.Unstructured) { work.SetFinalizers([]string{"acme.example/archive"}) })
		o.letLifecycle(ctx, "get", "list", "watch")
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		Eventually(o.health(ctx, "User", "alice")).Should(And(HavePrefix("Failed: Effect work of Transition user.alice.2: slow: delete: "), ContainSubstring("is forbidden")))

		o.letLifecycle(ctx, everyRight...)
		Eventually(o.health(ctx, "User", "alice")).Should(HavePrefix("InProgress: The effects of Transition user.alice.2 are not all done"))
		Expect(o.user(ctx, "alice")()).To(HaveField("Status.Conditions", Not(ContainElement(HaveField("Type", v1alpha1.ConditionStalled)))))
		work := newWork(o.name, "slow")
		Expect(admin.Patch(ctx, work, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		Eventually(o.health(ctx, "User", "alice")).Should(HavePrefix("Current"))
	})

	It("is that of a failure while a policy may not see what it is about", func(ctx context.Context) {
		o := workingOrganization(ctx, transferToOwner)
		Eventually(o.health(ctx, "LifecyclePolicy", "default")).Should(HavePrefix("Current"))
		impersonate := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "impersonate", Namespace: o.name}}
		Expect(admin.Delete(ctx, impersonate)).To(Succeed())
		shared.stop()
		DeferCleanup(shared.startAgain)
		shared.startAgain()
		Eventually(o.health(ctx, "LifecyclePolicy", "default")).Should(HavePrefix("Failed: Service account lifecycle cannot be used"))
	})

	It("is that of a failure while a guard holds an expiry back", func(ctx context.Context) {
		acme := newNamespace(ctx)
		Expect(admin.Create(ctx, &v1alpha1.Organization{
			ObjectMeta: metav1.ObjectMeta{Name: acme.name, Namespace: acme.name},
			Spec:       v1alpha1.OrganizationSpec{OwnerRef: v1alpha1.Reference{Name: "olivia"}},
		})).To(Succeed())
		acme.createUser(ctx, "olivia", role("Owner"), wasActive, expires(inSeconds(2)))
		Eventually(acme.health(ctx, "User", "olivia")).Should(HavePrefix("Current"))
		Eventually(acme.health(ctx, "User", "olivia")).Should(HavePrefix("Failed: Access should have ended on "))

		acme.createUser(ctx, "ann", role("Admin"), wasActive)
		acme.editSettings(ctx, func(o *v1alpha1.Organization) { o.Spec.OwnerRef.Name = "ann" })
		Eventually(acme.stateOf(ctx, "olivia")).Should(Equal(v1alpha1.StateExpired))
		Expect(acme.health(ctx, "User", "olivia")()).To(HavePrefix("Current"))
	})

	It("is that of a failure while a grant is refused", func(ctx context.Context) {
		acme := newOrganization(ctx)
		target := newNamespace(ctx).name
		acme.createGroup(ctx, "course", granting("Member", "view", target))
		acme.createUser(ctx, "kate", wasActive)
		acme.join(ctx, "kate", "course", withRoles("Member"))
		Eventually(acme.health(ctx, "Membership", "kate-course")).Should(And(HavePrefix("Failed: Not granted: "), ContainSubstring(target)))
		_, err := kubectl("annotate", "namespace", target, v1alpha1.AnnotationGrantsFrom+"="+acme.name)
		Expect(err).NotTo(HaveOccurred())
		Eventually(acme.health(ctx, "Membership", "kate-course")).Should(HavePrefix("Current"))
	})
})

// newRepository is a namespace whose organization Argo, who administers it, has in Git.
func newRepository(ctx context.Context) *organization {
	GinkgoHelper()
	o := newNamespace(ctx)
	o.administrator(ctx, "tenure-admin", "argo")
	Eventually(o.allows).WithArguments(ctx, "argo", "use lifecyclepolicies").Should(BeTrue())
	return o
}

// release lifts holds of everybody at once, as Argo.
func (o *organization) release(kind, holds string) {
	GinkgoHelper()
	Expect(kubectl("annotate", kind, "--selector=team=people", "--namespace="+o.name, v1alpha1.AnnotationRelease+"="+holds, "--as=argo")).
		To(ContainSubstring("annotated"))
}

// withoutLines is a file without the lines in which one of the words stands.
func withoutLines(file string, words ...string) string {
	var kept strings.Builder
	for line := range strings.Lines(file) {
		if !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(line, word) }) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// sync runs kubectl as Argo with a file.
func (o *organization) sync(file, arguments string) {
	GinkgoHelper()
	_, err := o.tool(file, arguments)
	Expect(err).NotTo(HaveOccurred())
}

func (o *organization) tool(file, arguments string) (output string, err error) {
	stdout, _, err := cluster.Kubectl(context.Background(), nil, strings.NewReader(strings.ReplaceAll(file, "ACME", o.name)),
		append(strings.Fields(arguments), "--as=argo")...)
	return stdout, err
}

// settleOwnership lets a tool that replaces objects write down that every field is its own now, also those that admission
// puts back: metadata.managedFields, and nothing else, changes once.
func (o *organization) settleOwnership(sync string, keeps bool) {
	GinkgoHelper()
	if !keeps {
		o.sync(everythingInGit, sync)
	}
}

// expectNoDrift syncs what is in Git already, first on a dry run, whose result is what is there, and then for real, which
// writes nothing.
func (o *organization) expectNoDrift(ctx context.Context, sync string) {
	GinkgoHelper()
	o.expectNoDriftOf(ctx, everythingInGit, sync)
}

func (o *organization) expectNoDriftOf(ctx context.Context, file, sync string) {
	GinkgoHelper()
	before := o.atRest(ctx)
	tried, err := o.tool(file, sync+" --dry-run=server --output=json")
	Expect(err).NotTo(HaveOccurred())
	for _, wanted := range objectsIn(tried) {
		live := o.live(ctx, wanted.GetKind(), wanted.GetName())
		Expect(compared(wanted)).To(Equal(compared(live)), "%s %s", wanted.GetKind(), wanted.GetName())
	}
	o.sync(file, sync)
	Expect(o.versions(ctx)).To(Equal(before))
}

// compared is an object as tools compare it.
func compared(object *unstructured.Unstructured) map[string]any {
	object.SetManagedFields(nil)
	unstructured.RemoveNestedField(object.Object, "status")
	return object.Object
}

// objectsIn are the objects that kubectl has printed, one after the other or as a list.
func objectsIn(printed string) (objects []*unstructured.Unstructured) {
	GinkgoHelper()
	for decoder := json.NewDecoder(strings.NewReader(printed)); decoder.More(); {
		object := &unstructured.Unstructured{}
		Expect(decoder.Decode(object)).To(Succeed())
		if !object.IsList() {
			objects = append(objects, object)
			continue
		}
		Expect(object.EachListItem(func(item runtime.Object) error {
			objects = append(objects, item.(*unstructured.Unstructured))
			return nil
		})).To(Succeed())
	}
	Expect(objects).NotTo(BeEmpty())
	return objects
}

func (o *organization) live(ctx context.Context, kind, name string) *unstructured.Unstructured {
	GinkgoHelper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: o.name, Name: name}, object)).To(Succeed())
	return object
}

// health is what Flux makes of an object: a word, and why.
func (o *organization) health(ctx context.Context, kind, name string) func() (string, error) {
	return func() (string, error) {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
		if err := admin.Get(ctx, client.ObjectKey{Namespace: o.name, Name: name}, object); err != nil {
			return "", err
		}
		result, err := status.Compute(object)
		if err != nil {
			return "", err
		}
		return result.Status.String() + ": " + result.Message, nil
	}
}

// atRest waits until the operator has written what it has to, counts too, and returns what versions does.
func (o *organization) atRest(ctx context.Context) (versions map[string]string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		versions = o.versions(ctx)
		g.Consistently(o.versions).WithArguments(ctx).WithTimeout(1500 * time.Millisecond).Should(Equal(versions))
	}).Should(Succeed())
	return versions
}

// versions are the resourceVersions of everything of the organization that is in Git.
func (o *organization) versions(ctx context.Context) map[string]string {
	GinkgoHelper()
	versions := map[string]string{}
	for _, kind := range []string{"Organization", "LifecyclePolicy", "Group", "User", "Membership"} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
		Expect(admin.List(ctx, list, client.InNamespace(o.name))).To(Succeed())
		for i := range list.Items {
			versions[kind+" "+list.Items[i].Name] = list.Items[i].ResourceVersion
		}
	}
	return versions
}

package stories

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("A status that is lost", func() {
	It("comes back as it was, and nothing else happens: no record, no Event, no hold more or less, no access that flickers",
		func(ctx context.Context) {
			acme := newCommunity(ctx)
			shown, declared, told := must(acme.shown(ctx)), must(acme.declared(ctx)), must(acme.told(ctx))
			grants := watchFrom(ctx, &rbacv1.RoleBindingList{}, client.Object.GetName, client.MatchingLabels{v1alpha1.LabelOrganization: acme.name})

			for _, object := range must(acme.everything(ctx)) {
				Expect(admin.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(`{"status":null}`)))).To(Succeed())
			}
			Eventually(acme.shown).WithArguments(ctx).WithPolling(100 * time.Millisecond).Should(BeComparableTo(shown))
			acme.waitUntilAtRest(ctx)
			Expect(acme.shown(ctx)).To(BeComparableTo(shown))
			Expect(acme.declared(ctx)).To(BeComparableTo(declared))
			Expect(acme.told(ctx)).To(BeComparableTo(told))
			Expect(grants()).To(BeEmpty())

			acme.editUser(ctx, "fay", desired(v1alpha1.UserDesiredActive))
			Eventually(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "fay")).Should(Equal([]string{
				"→Active(Declared)", "Active→Suspended(Declared)", "Suspended→Active(Declared)",
			}), "life goes on from there")
		})
})

var _ = Describe("An organization from a backup", func() {
	It("is what it was, with its history, and nothing claims that anything changed; but who comes without the identity is somebody new",
		func(ctx context.Context) {
			acme := newCommunity(ctx)
			shown, declared, backup := must(acme.shown(ctx)), must(acme.declared(ctx)), must(acme.everything(ctx))
			grants := must(acme.grantsOf(ctx, "kate")())

			acme.lose(ctx)
			Expect(acme.grantsOf(ctx, "kate")()).To(BeEmpty())
			acme.restore(ctx, backup, "zoe")

			for _, about := range []map[string]string{shown, declared} {
				delete(about, "User zoe")
			}
			Eventually(acme.shown).WithArguments(ctx).WithPolling(100 * time.Millisecond).Should(containAll(shown))
			acme.waitUntilAtRest(ctx)
			Expect(acme.shown(ctx)).To(containAll(shown))
			Expect(acme.declared(ctx)).To(And(containAll(declared), HaveLen(len(declared)+2)), "but for Zoe and her record")
			Expect(acme.grantsOf(ctx, "kate")()).To(Equal(grants))
			Expect(acme.told(ctx)).NotTo(ContainElement(Or(HavePrefix("User"), HavePrefix("Membership"))))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "zoe")()).To(Equal([]string{"→Activated(Declared)", "→Activated(Declared)"}))

			acme.editUser(ctx, "dan", desired(v1alpha1.UserDesiredActive))
			Eventually(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "dan")).Should(Equal([]string{
				"→Active(Declared)", "Active→Deactivated(Declared)", "Deactivated→Active(Declared)",
			}), "life goes on from there")
		})
})

var _ = Describe("What comes from a backup, with its identity", func() {
	It("is let in for whoever may restore, whatever was declared of it, in whatever order it comes", func(ctx context.Context) {
		acme := newLeftovers(ctx)
		backup := must(acme.everything(ctx))
		organizationLast := append(slices.Clone(backup[1:]), backup[0])
		backwards := slices.Clone(backup)
		slices.Reverse(backwards)
		// Records come before those whom they are of, or else the operator begins new ones.
		slices.SortStableFunc(backwards, func(a, b client.Object) int { return cmp.Compare(rank(a), rank(b)) })
		for _, order := range [][]client.Object{backup, organizationLast, backwards} {
			acme.lose(ctx)
			Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: acme.name}})).To(Succeed())
			velero := acme.restorer(ctx, "velero")
			for _, object := range order {
				Expect(velero.Create(ctx, fromBackup(object))).To(Succeed(), "%T %s", object, object.GetName())
				if user, ok := object.(*v1alpha1.User); ok {
					Eventually(acme.stateOf(ctx, user.Name)).ShouldNot(BeEmpty(), "admission knows whom it could hold against the next")
				}
			}
			Eventually(acme.stateOf(ctx, "bob")).Should(Equal(v1alpha1.StateSuspended))
			Eventually(statesOf(ctx, acme.stateOf, []string{"alice", "twin"})).Should(ConsistOf(v1alpha1.StateActive, v1alpha1.StatePending))
			Eventually(statesOf(ctx, acme.membershipStateOf, []string{"olivia-room", "olivia-room-again"})).Should(ConsistOf(v1alpha1.StateActive, v1alpha1.StatePending))
		}
	})
})

// newCommunity is an organization in which everything has happened already that changes a state, and some things that
// people were warned of.
func newCommunity(ctx context.Context) *organization {
	GinkgoHelper()
	acme := newOrganization(ctx, func(org *v1alpha1.Organization) { org.Spec.Seats = new(int32(1)) })
	acme.createProgram(ctx, "course")
	acme.createProgram(ctx, "team")
	acme.createGroup(ctx, "closed", granting("Member", "view", "default"))
	date := inSeconds(2)
	for name, edits := range map[string][]func(*v1alpha1.User){
		"kate": {wasActive}, "ann": {wasActive}, "bea": {}, "carl": {wasActive}, "dan": {wasActive}, "erin": {expires(date)},
		"fay": {wasActive}, "gus": {wasActive}, "hal": {absent("leave", date, date.Add(time.Hour), v1alpha1.AbsenceDeactivated)},
		"ida": {starts(date.Add(time.Hour))}, "jon": {wasActive}, "kim": {held("audit", v1alpha1.UserHoldDeactivated)},
	} {
		acme.createUser(ctx, name, edits...)
		Eventually(acme.stateOf(ctx, name)).ShouldNot(BeEmpty())
		acme.join(ctx, name, "course", withRoles("Member"))
		acme.join(ctx, name, "team", withRoles("Member"))
	}
	acme.join(ctx, "kate", "closed", withRoles("Member"))
	acme.createUser(ctx, "zoe")
	twin := acme.newUser("twin", func(u *v1alpha1.User) { u.Spec.Email = acme.userName("kate") })
	Expect(acme.unasked(ctx).Create(ctx, twin)).To(Succeed())
	Eventually(acme.stateOf(ctx, "twin")).Should(Equal(v1alpha1.StatePending), "a pass that an edit interrupts tells of no duplicate")
	acme.editUser(ctx, "twin", desired(v1alpha1.UserDesiredActive, "Somebody declares it, as with everybody else"))
	acme.editUser(ctx, "olivia", expires(inSeconds(1)))
	Eventually(acme.grantsOf(ctx, "gus")).Should(HaveLen(2))

	acme.editUser(ctx, "ann", func(u *v1alpha1.User) { delete(u.Annotations, v1alpha1.AnnotationLastActivity) })
	acme.editUser(ctx, "carl", desired(v1alpha1.UserDesiredOnBreak, "Writing a thesis"))
	acme.editUser(ctx, "dan", desired(v1alpha1.UserDesiredDeactivated, "Sabbatical"))
	acme.editMembership(ctx, "bea-team", membershipDesired(v1alpha1.MembershipDesiredDeactivated, "The team is closed"))
	acme.editUser(ctx, "jon", desired(v1alpha1.UserDesiredRemoved, "Left"))
	for _, name := range []string{"fay", "gus"} {
		acme.editUser(ctx, name, desired(v1alpha1.UserDesiredSuspended, "Fraud"))
		Eventually(acme.stateOf(ctx, name)).Should(Equal(v1alpha1.StateSuspended))
		acme.waitForEffects(ctx, name)
	}
	acme.editUser(ctx, "gus", desired(v1alpha1.UserDesiredActive))
	Eventually(acme.stateOf(ctx, "gus")).Should(Equal(v1alpha1.StateActive))
	acme.editMembership(ctx, "gus-course", releasing[*v1alpha1.Membership](v1alpha1.HoldUserSuspended))
	Eventually(acme.grantsOf(ctx, "gus")).Should(HaveLen(1))

	for name, state := range map[string]v1alpha1.State{
		"olivia": v1alpha1.StateActive, "kate": v1alpha1.StateActive, "ann": v1alpha1.StateActive, "bea": v1alpha1.StateActivated,
		"carl": v1alpha1.StateOnBreak, "dan": v1alpha1.StateDeactivated, "erin": v1alpha1.StateExpired, "fay": v1alpha1.StateSuspended,
		"gus": v1alpha1.StateActive, "hal": v1alpha1.StateDeactivated, "ida": v1alpha1.StatePending, "jon": v1alpha1.StateRemoved,
		"kim": v1alpha1.StateDeactivated, "twin": v1alpha1.StatePending, "zoe": v1alpha1.StateActivated,
	} {
		Eventually(acme.stateOf(ctx, name)).Should(Equal(state), name)
		acme.waitForEffects(ctx, name)
	}
	Eventually(acme.warningsOf(ctx, "User", "olivia")).Should(ConsistOf(HavePrefix("Blocked")))
	Eventually(acme.warningsOf(ctx, "User", "twin")).Should(ConsistOf(HavePrefix("Duplicate")))
	Eventually(acme.warningsOf(ctx, "Membership", "kate-closed")).Should(ConsistOf(HavePrefix("GrantRefused")))
	Eventually(acme.warningsOf(ctx, "Organization", acme.name)).Should(ConsistOf(HavePrefix("SeatsExceeded")))
	acme.waitUntilAtRest(ctx)
	return acme
}

// newLeftovers is an organization with what nobody could declare any more: somebody suspended who is a member, a twin, a second
// membership, and more people than there are seats, under a policy that lets nobody be suspended.
func newLeftovers(ctx context.Context) *organization {
	GinkgoHelper()
	acme := newOrganization(ctx)
	acme.createGroup(ctx, "room")
	acme.createUser(ctx, "alice", wasActive)
	acme.createUser(ctx, "bob", wasActive)
	for _, name := range []string{"olivia", "alice", "bob"} {
		acme.join(ctx, name, "room")
		Eventually(acme.membershipStateOf(ctx, name+"-room")).Should(Equal(v1alpha1.StateActive))
	}
	acme.editUser(ctx, "bob", desired(v1alpha1.UserDesiredSuspended, "Fraud"))
	Eventually(acme.stateOf(ctx, "bob")).Should(Equal(v1alpha1.StateSuspended))
	acme.waitForEffects(ctx, "bob")

	unasked := acme.unasked(ctx)
	Expect(unasked.Create(ctx, acme.newUser("twin", wasActive, func(u *v1alpha1.User) { u.Spec.Email = acme.userName("alice") }))).To(Succeed())
	Expect(unasked.Create(ctx, acme.newMembership("olivia", "room", func(m *v1alpha1.Membership) { m.Name = "olivia-room-again" }))).To(Succeed())
	Eventually(acme.stateOf(ctx, "twin")).Should(Equal(v1alpha1.StatePending))
	Eventually(acme.membershipStateOf(ctx, "olivia-room-again")).Should(Equal(v1alpha1.StatePending))
	acme.govern(ctx, `allowedStatuses: [Active, Deactivated]`)
	acme.editSettings(ctx, func(org *v1alpha1.Organization) {
		org.Spec.Seats, org.Spec.SeatEnforcement = new(int32(0)), v1alpha1.SeatRefuse
	})
	return acme
}

// waitUntilAtRest waits until for a second nothing is shown or told that was not before.
func (o *organization) waitUntilAtRest(ctx context.Context) {
	GinkgoHelper()
	var since time.Time
	var shown, told map[string]string
	Eventually(func(g Gomega) {
		shownNow, err := o.shown(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		toldNow, err := o.told(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		if !maps.Equal(shown, shownNow) || !maps.Equal(told, toldNow) {
			since, shown, told = time.Now(), shownNow, toldNow
		}
		g.Expect(time.Since(since)).To(BeNumerically(">", time.Second))
	}).WithPolling(100 * time.Millisecond).Should(Succeed())
}

// everything is what the organization consists of, in an order in which each finds what it refers to.
func (o *organization) everything(ctx context.Context) (objects []client.Object, err error) {
	for _, list := range []client.ObjectList{
		&v1alpha1.OrganizationList{}, &v1alpha1.LifecyclePolicyList{}, &v1alpha1.GroupList{}, &v1alpha1.TransitionList{}, &v1alpha1.UserList{}, &v1alpha1.MembershipList{},
	} {
		err = errors.Join(err, admin.List(ctx, list, client.InNamespace(o.name)), meta.EachListItem(list, func(object runtime.Object) error {
			objects = append(objects, object.(client.Object))
			return nil
		}))
	}
	return objects, err
}

// shown is the status of everything, but for when and for which generation it was written, for what admission notes there for a
// minute, and for since when a membership pauses with its user: that is when the operator saw it, and where the status was
// lost, when it was recorded of the user, which may be in another second.
func (o *organization) shown(ctx context.Context) (map[string]string, error) {
	return o.view(ctx, func(object map[string]any) any {
		status, _ := object["status"].(map[string]any)
		delete(status, "observedGeneration")
		delete(status, "departures")
		conditions, _ := status["conditions"].([]any)
		for _, c := range conditions {
			delete(c.(map[string]any), "observedGeneration")
			delete(c.(map[string]any), "lastTransitionTime")
		}
		if status["state"] == string(v1alpha1.StatePaused) {
			delete(status, "stateTime")
			for _, c := range conditions {
				condition := c.(map[string]any)
				condition["message"] = sinceWhen.ReplaceAllString(condition["message"].(string), "$1 since then")
			}
		}
		return status
	})
}

// sinceWhen is how a condition says since when a membership pauses.
var sinceWhen = regexp.MustCompile(`^(Paused) since \S+ \S+Z`)

// declared is what people, and the operator as one that keeps something on the objects, have written.
func (o *organization) declared(ctx context.Context) (map[string]string, error) {
	return o.view(ctx, func(object map[string]any) any {
		return []any{object["metadata"].(map[string]any)["annotations"], object["spec"]}
	})
}

// view is a part of every object, by kind and name, as people read it.
func (o *organization) view(ctx context.Context, part func(map[string]any) any) (map[string]string, error) {
	objects, err := o.everything(ctx)
	view := map[string]string{}
	for _, object := range objects {
		kind, unknown := admin.GroupVersionKindFor(object)
		content, unconverted := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		text, unmarshalled := yaml.Marshal(part(content))
		err = errors.Join(err, unknown, unconverted, unmarshalled)
		view[kind.Kind+" "+object.GetName()] = string(text)
	}
	return view, err
}

// told are the Events of the organization, and how often each was told.
func (o *organization) told(ctx context.Context) (map[string]string, error) {
	list := &eventsv1.EventList{}
	err := admin.List(ctx, list, client.InNamespace(o.name))
	told := map[string]string{}
	for _, e := range list.Items {
		told[e.Name] = fmt.Sprintf("%s %s: %s: %s (%s)", e.Regarding.Kind, e.Regarding.Name, e.Reason, e.Note, e.ResourceVersion)
	}
	return told, err
}

// lose deletes the organization's namespace with all that is in it, and waits until it is gone.
func (o *organization) lose(ctx context.Context) {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: o.name}}
	Expect(admin.Delete(ctx, namespace)).To(Succeed())
	// The control plane gets to them only after some seconds, and looks again only after some more.
	for _, kind := range []client.Object{&v1alpha1.Membership{}, &v1alpha1.User{}} {
		Expect(admin.DeleteAllOf(ctx, kind, client.InNamespace(o.name))).To(Succeed())
	}
	Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(namespace), namespace) }).Should(
		MatchError(apierrors.IsNotFound, "IsNotFound"))
}

// restore creates the namespace and what was in it, as backup tools do: with labels and annotations, and without status.
// Of some it restores no annotations, hence no identity.
func (o *organization) restore(ctx context.Context, backup []client.Object, strangers ...string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: o.name}})).To(Succeed())
	for _, object := range backup {
		if membership, ok := object.(*v1alpha1.Membership); ok {
			Eventually(o.stateOf(ctx, membership.Spec.UserRef.Name)).ShouldNot(BeEmpty(), "members come when the people are there")
		}
		copied := fromBackup(object)
		if slices.Contains(strangers, object.GetName()) {
			copied.SetAnnotations(nil)
		}
		Expect(admin.Create(ctx, copied)).To(Succeed())
	}
}

// rank puts records before everything else.
func rank(object client.Object) int {
	if _, record := object.(*v1alpha1.Transition); record {
		return 0
	}
	return 1
}

// restorer is a client of a backup tool that may do nothing but create what was there.
func (o *organization) restorer(ctx context.Context, username string) client.Client {
	GinkgoHelper()
	o.allow(ctx, "restorer", username, []string{"organizations", "lifecyclepolicies", "groups", "transitions", "users", "memberships"}, "create", "restore", "assign")
	Eventually(o.allows).WithArguments(ctx, username, "restore users").Should(BeTrue())
	return as(username)
}

// fromBackup is an object as backup tools create it again.
func fromBackup(object client.Object) *unstructured.Unstructured {
	GinkgoHelper()
	content := must(runtime.DefaultUnstructuredConverter.ToUnstructured(object))
	restored := &unstructured.Unstructured{Object: map[string]any{"spec": content["spec"]}}
	restored.SetGroupVersionKind(must(admin.GroupVersionKindFor(object)))
	restored.SetNamespace(object.GetNamespace())
	restored.SetName(object.GetName())
	restored.SetLabels(object.GetLabels())
	restored.SetAnnotations(object.GetAnnotations())
	return restored
}

// must is what something returns that does not fail.
func must[T any](value T, err error) T {
	GinkgoHelper()
	Expect(err).NotTo(HaveOccurred())
	return value
}

// containAll matches a view that has each of these, and may have more.
func containAll(expected map[string]string) gomegatypes.GomegaMatcher {
	return WithTransform(func(actual map[string]string) map[string]string {
		among := maps.Clone(actual)
		maps.DeleteFunc(among, func(object, _ string) bool { _, ok := expected[object]; return !ok })
		return among
	}, BeComparableTo(expected))
}

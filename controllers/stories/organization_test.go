package stories

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// organization is a namespace of its own for one story. Its methods do what a person would do, and ask what a person
// would look at.
type organization struct {
	name string
}

// newOrganization creates a namespace with an Organization and its owner Olivia, and waits until it is ready.
func newOrganization(ctx context.Context, edits ...func(*v1alpha1.Organization)) *organization {
	GinkgoHelper()
	o := newNamespace(ctx)
	org := &v1alpha1.Organization{
		ObjectMeta: metav1.ObjectMeta{Name: o.name, Namespace: o.name},
		Spec:       v1alpha1.OrganizationSpec{DisplayName: "Acme Ltd", OwnerRef: v1alpha1.Reference{Name: "olivia"}},
	}
	for _, edit := range edits {
		edit(org)
	}
	Expect(admin.Create(ctx, org)).To(Succeed())
	o.createUser(ctx, "olivia", role("Owner"), wasActive)
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(org), org)).To(Succeed())
		g.Expect(meta.IsStatusConditionTrue(org.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue(), "%+v", org.Status.Conditions)
	}).Should(Succeed())
	return o
}

// newNamespace creates a namespace without an Organization. It goes with the story.
func newNamespace(ctx context.Context) *organization {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "acme-"}}
	Expect(admin.Create(ctx, ns)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		Expect(client.IgnoreNotFound(admin.Delete(ctx, ns))).To(Succeed())
	})
	return &organization{name: ns.Name}
}

// newTarget creates a namespace in which the organization's groups may grant roles.
func (o *organization) newTarget(ctx context.Context) string {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "target-", Annotations: map[string]string{v1alpha1.AnnotationGrantsFrom: o.name},
	}}
	Expect(admin.Create(ctx, ns)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		Expect(client.IgnoreNotFound(admin.Delete(ctx, ns))).To(Succeed())
	})
	return ns.Name
}

// createUser creates a user. Its userName and e-mail follow from its name and the organization's.
func (o *organization) createUser(ctx context.Context, name string, edits ...func(*v1alpha1.User)) *v1alpha1.User {
	GinkgoHelper()
	user := o.newUser(name, edits...)
	Expect(admin.Create(ctx, user)).To(Succeed())
	return user
}

// newUser is a user that is not created yet.
func (o *organization) newUser(name string, edits ...func(*v1alpha1.User)) *v1alpha1.User {
	user := &v1alpha1.User{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: o.name},
		Spec:       v1alpha1.UserSpec{UserName: o.userName(name), Email: o.userName(name), UserType: "Employee"},
	}
	for _, edit := range edits {
		edit(user)
	}
	return user
}

func (o *organization) userName(name string) string {
	return name + "@" + o.name + ".example"
}

func (o *organization) createGroup(ctx context.Context, name string, edits ...func(*v1alpha1.Group)) *v1alpha1.Group {
	GinkgoHelper()
	group := o.newGroup(name, edits...)
	Expect(admin.Create(ctx, group)).To(Succeed())
	return group
}

// newGroup is a group that is not created yet.
func (o *organization) newGroup(name string, edits ...func(*v1alpha1.Group)) *v1alpha1.Group {
	group := &v1alpha1.Group{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: o.name}, Spec: v1alpha1.GroupSpec{Type: "Program"}}
	for _, edit := range edits {
		edit(group)
	}
	return group
}

// join creates the membership <user>-<group>.
func (o *organization) join(ctx context.Context, user, group string, edits ...func(*v1alpha1.Membership)) *v1alpha1.Membership {
	GinkgoHelper()
	membership := o.newMembership(user, group, edits...)
	Expect(admin.Create(ctx, membership)).To(Succeed())
	return membership
}

// newMembership is a membership that is not created yet.
func (o *organization) newMembership(user, group string, edits ...func(*v1alpha1.Membership)) *v1alpha1.Membership {
	membership := &v1alpha1.Membership{
		ObjectMeta: metav1.ObjectMeta{Name: user + "-" + group, Namespace: o.name},
		Spec:       v1alpha1.MembershipSpec{UserRef: v1alpha1.Reference{Name: user}, GroupRef: v1alpha1.Reference{Name: group}},
	}
	for _, edit := range edits {
		edit(membership)
	}
	return membership
}

// createProgram creates a group whose members may read a namespace of its own, and waits until the operator knows it.
func (o *organization) createProgram(ctx context.Context, name string) (namespace string) {
	GinkgoHelper()
	namespace = o.newTarget(ctx)
	o.createGroup(ctx, name, granting("Member", "view", namespace))
	Eventually(func(g Gomega) {
		group, err := o.group(ctx, name)()
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(group.Status.ObservedGeneration).To(Equal(group.Generation))
	}).Should(Succeed())
	return namespace
}

// enrol makes a user a member of programs and waits until the memberships are in the state that the user's gives them.
func (o *organization) enrol(ctx context.Context, user string, expected v1alpha1.State, programs ...string) {
	GinkgoHelper()
	Eventually(o.stateOf(ctx, user)).ShouldNot(BeEmpty())
	for _, program := range programs {
		o.join(ctx, user, program, withRoles("Member"))
	}
	for _, program := range programs {
		Eventually(o.membershipStateOf(ctx, user+"-"+program)).Should(Equal(expected))
	}
}

// Edits of a user.

func role(name string) func(*v1alpha1.User) {
	return func(u *v1alpha1.User) { u.Spec.Role = name }
}

func desired(status v1alpha1.UserDesiredStatus, reason ...string) func(*v1alpha1.User) {
	return func(u *v1alpha1.User) { u.Spec.DesiredStatus, u.Spec.Reason = status, strings.Join(reason, " ") }
}

func expires(at time.Time) func(*v1alpha1.User) {
	return func(u *v1alpha1.User) { u.Spec.ExpirationTime = metav1.NewTime(at) }
}

func starts(at time.Time) func(*v1alpha1.User) {
	return func(u *v1alpha1.User) { u.Spec.StartTime = metav1.NewTime(at) }
}

func absent(name string, from, to time.Time, status v1alpha1.AbsenceStatus) func(*v1alpha1.User) {
	return func(u *v1alpha1.User) {
		absence := v1alpha1.Absence{Name: name, StartTime: metav1.NewTime(from), Status: status}
		if !to.IsZero() {
			absence.EndTime = metav1.NewTime(to)
		}
		u.Spec.Absences = append(u.Spec.Absences, absence)
	}
}

func held(name string, status v1alpha1.UserHoldStatus) func(*v1alpha1.User) {
	return func(u *v1alpha1.User) {
		u.Spec.Holds = append(u.Spec.Holds, v1alpha1.UserHold{Name: name, Status: status, Reason: "A test holds it"})
	}
}

// wasActive lets an application have seen the user.
func wasActive(u *v1alpha1.User) {
	annotate(u, v1alpha1.AnnotationLastActivity, "2026-01-02T03:04:05Z")
}

// lastActive lets an application report that it saw the user.
func lastActive(at time.Time) func(*v1alpha1.User) {
	return func(u *v1alpha1.User) { annotate(u, v1alpha1.AnnotationLastActivity, at.UTC().Format(time.RFC3339)) }
}

func annotate(object client.Object, name, value string) {
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[name] = value
	object.SetAnnotations(annotations)
}

// Edits of a group and of a membership.

// granting gives the group a role that grants a ClusterRole in namespaces.
func granting(role, clusterRole string, namespaces ...string) func(*v1alpha1.Group) {
	return func(g *v1alpha1.Group) {
		g.Spec.Roles = append(g.Spec.Roles, v1alpha1.GroupRole{Name: role, Grants: []v1alpha1.Grant{{
			RoleRef: v1alpha1.RoleReference{Kind: v1alpha1.RoleKindClusterRole, Name: clusterRole}, Namespaces: namespaces,
		}}})
	}
}

func withRoles(names ...string) func(*v1alpha1.Membership) {
	return func(m *v1alpha1.Membership) { m.Spec.Roles = names }
}

func membershipDesired(status v1alpha1.MembershipDesiredStatus, reason ...string) func(*v1alpha1.Membership) {
	return func(m *v1alpha1.Membership) { m.Spec.DesiredStatus, m.Spec.Reason = status, strings.Join(reason, " ") }
}

func membershipExpires(at time.Time) func(*v1alpha1.Membership) {
	return func(m *v1alpha1.Membership) { m.Spec.ExpirationTime = metav1.NewTime(at) }
}

// releasing lifts holds, of a user or a membership, as an administrator does.
func releasing[P client.Object](holds ...string) func(P) {
	return func(object P) { annotate(object, v1alpha1.AnnotationRelease, strings.Join(holds, ",")) }
}

// deleteObject deletes with kubectl, which waits until the object is gone.
func (o *organization) deleteObject(kind, name string) {
	GinkgoHelper()
	Expect(kubectl("delete", kind, name, "--namespace", o.name, "--timeout="+soon.String())).To(ContainSubstring("deleted"))
}

// editUser changes a user as kubectl edit would: again when somebody else's write came between.
func (o *organization) editUser(ctx context.Context, name string, edits ...func(*v1alpha1.User)) {
	GinkgoHelper()
	editObject(ctx, o, name, edits...)
}

func (o *organization) editMembership(ctx context.Context, name string, edits ...func(*v1alpha1.Membership)) {
	GinkgoHelper()
	editObject(ctx, o, name, edits...)
}

func (o *organization) editGroup(ctx context.Context, name string, edits ...func(*v1alpha1.Group)) {
	GinkgoHelper()
	editObject(ctx, o, name, edits...)
}

func editObject[T any, P interface {
	*T
	client.Object
}](ctx context.Context, o *organization, name string, edits ...func(P)) {
	GinkgoHelper()
	Expect(editAs(ctx, admin, o, name, edits...)).To(Succeed())
}

// editAs changes an object as somebody whom RBAC judges.
func editAs[T any, P interface {
	*T
	client.Object
}](ctx context.Context, by client.Client, o *organization, name string, edits ...func(P)) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		object := P(new(T))
		if err := by.Get(ctx, client.ObjectKey{Namespace: o.name, Name: name}, object); err != nil {
			return err
		}
		for _, edit := range edits {
			edit(object)
		}
		return by.Update(ctx, object)
	})
}

// user reads a user; for use in Eventually.
func (o *organization) user(ctx context.Context, name string) func() (*v1alpha1.User, error) {
	return read[v1alpha1.User](ctx, o, name)
}

func (o *organization) membership(ctx context.Context, name string) func() (*v1alpha1.Membership, error) {
	return read[v1alpha1.Membership](ctx, o, name)
}

func (o *organization) group(ctx context.Context, name string) func() (*v1alpha1.Group, error) {
	return read[v1alpha1.Group](ctx, o, name)
}

func (o *organization) transition(ctx context.Context, name string) func() (*v1alpha1.Transition, error) {
	return read[v1alpha1.Transition](ctx, o, name)
}

func (o *organization) settings(ctx context.Context) func() (*v1alpha1.Organization, error) {
	return read[v1alpha1.Organization](ctx, o, o.name)
}

func read[T any, P interface {
	*T
	client.Object
}](ctx context.Context, o *organization, name string) func() (P, error) {
	return func() (P, error) {
		object := P(new(T))
		return object, admin.Get(ctx, client.ObjectKey{Namespace: o.name, Name: name}, object)
	}
}

// stateOf is a user's state once this generation was processed; for use in Eventually.
func (o *organization) stateOf(ctx context.Context, name string) func() (v1alpha1.State, error) {
	return func() (v1alpha1.State, error) {
		user, err := o.user(ctx, name)()
		return settled(user.Status.State, user.Generation, user.Status.ObservedGeneration, err)
	}
}

// membershipStateOf is a membership's state once this generation was processed.
func (o *organization) membershipStateOf(ctx context.Context, name string) func() (v1alpha1.State, error) {
	return func() (v1alpha1.State, error) {
		m, err := o.membership(ctx, name)()
		return settled(m.Status.State, m.Generation, m.Status.ObservedGeneration, err)
	}
}

func settled(state v1alpha1.State, generation, observed int64, err error) (v1alpha1.State, error) {
	if err == nil && generation != observed {
		err = fmt.Errorf("generation %d is not processed yet, but %d is, with state %s", generation, observed, state)
	}
	return state, err
}

// transitionsOf are the Transitions of a user or membership, oldest first, as from→to(cause).
func (o *organization) transitionsOf(ctx context.Context, kind v1alpha1.SubjectKind, name string) func() ([]string, error) {
	return func() ([]string, error) {
		list := &v1alpha1.TransitionList{}
		err := admin.List(ctx, list, client.InNamespace(o.name), client.MatchingFields{"spec.subject.name": name, "spec.subject.kind": string(kind)})
		slices.SortFunc(list.Items, func(a, b v1alpha1.Transition) int { return number(a.Name) - number(b.Name) })
		var changes []string
		for _, t := range list.Items {
			changes = append(changes, changeIn(&t))
		}
		return changes, err
	}
}

// changeIn is what a Transition records, as from→to(cause).
func changeIn(t *v1alpha1.Transition) string {
	return fmt.Sprintf("%s→%s(%s)", t.Spec.From, t.Spec.To, t.Spec.Cause.Type)
}

func number(name string) (n int) {
	_, _ = fmt.Sscanf(name[strings.LastIndex(name, ".")+1:], "%d", &n)
	return n
}

// grantsOf are the RoleBindings of a user in any namespace, as kind/name@namespace.
func (o *organization) grantsOf(ctx context.Context, name string) func() ([]string, error) {
	return func() ([]string, error) {
		bindings, err := o.bindingsOf(ctx, name)
		grants := []string{}
		for _, b := range bindings {
			for _, subject := range b.Subjects {
				if subject.Kind != rbacv1.UserKind || subject.Name != o.userName(name) {
					err = errors.Join(err, fmt.Errorf("RoleBinding %s/%s names %s %s", b.Namespace, b.Name, subject.Kind, subject.Name))
				}
			}
			grants = append(grants, b.RoleRef.Name+"@"+b.Namespace)
		}
		slices.Sort(grants)
		return grants, err
	}
}

// bindingsOf are the RoleBindings of a user's grants in any namespace.
func (o *organization) bindingsOf(ctx context.Context, name string) ([]rbacv1.RoleBinding, error) {
	list := &rbacv1.RoleBindingList{}
	err := admin.List(ctx, list, client.MatchingLabels{v1alpha1.LabelOrganization: o.name, v1alpha1.LabelUser: name})
	return list.Items, err
}

// mayListPods asks the API server whether a user may list the pods of a namespace.
func (o *organization) mayListPods(ctx context.Context, name, namespace string) func() (bool, error) {
	return func() (bool, error) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               o.userName(name),
			Groups:             []string{"system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "list", Resource: "pods", Namespace: namespace},
		}}
		err := admin.Create(ctx, review)
		return review.Status.Allowed, err
	}
}

// nextChangeOf watches the Transitions of a user. What it returns waits for the next one, and loses no time.
func (o *organization) nextChangeOf(ctx context.Context, name string) func() *v1alpha1.Transition {
	GinkgoHelper()
	list := &v1alpha1.TransitionList{}
	ofUser := client.MatchingFields{"spec.subject.name": name, "spec.subject.kind": string(v1alpha1.SubjectUser)}
	Expect(admin.List(ctx, list, client.InNamespace(o.name), ofUser)).To(Succeed())
	changes, err := admin.Watch(ctx, list, client.InNamespace(o.name), ofUser,
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion}})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(changes.Stop)
	return func() *v1alpha1.Transition {
		GinkgoHelper()
		var next watch.Event
		Eventually(changes.ResultChan()).WithPolling(time.Millisecond).Should(Receive(&next))
		Expect(next.Type).To(Equal(watch.Added))
		return next.Object.(*v1alpha1.Transition)
	}
}

// watchGrants watches the RoleBindings of a user. What it returns tells, oldest first, what has happened to them since
// then, such as "ADDED view@target".
func (o *organization) watchGrants(ctx context.Context, name string) func() []string {
	GinkgoHelper()
	return watchFrom(ctx, &rbacv1.RoleBindingList{}, func(object client.Object) string {
		return object.(*rbacv1.RoleBinding).RoleRef.Name + "@" + object.GetNamespace()
	}, client.MatchingLabels{v1alpha1.LabelOrganization: o.name, v1alpha1.LabelUser: name})
}

// watchFrom watches objects from now on. What it returns tells, oldest first, what has happened to them since then.
func watchFrom(ctx context.Context, list client.ObjectList, name func(client.Object) string, which client.ListOption) func() []string {
	GinkgoHelper()
	Expect(admin.List(ctx, list, which)).To(Succeed())
	changes, err := admin.Watch(ctx, list, which, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(changes.Stop)

	var mu sync.Mutex
	happened := []string{}
	go func() {
		for change := range changes.ResultChan() {
			if object, ok := change.Object.(client.Object); ok {
				mu.Lock()
				happened = append(happened, string(change.Type)+" "+name(object))
				mu.Unlock()
			}
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(happened)
	}
}

// waitForEffects waits until every effect of the user's Transitions is done.
func (o *organization) waitForEffects(ctx context.Context, name string) {
	GinkgoHelper()
	Eventually(o.user(ctx, name)).Should(HaveField("Status.LastTransition.Complete", BeTrue()))
}

// eventsOf are the reasons of the Events about an object, oldest first.
func (o *organization) eventsOf(ctx context.Context, kind, name string) func() ([]string, error) {
	return func() ([]string, error) {
		reasons := []string{}
		events, err := o.eventsAbout(ctx, kind, name)
		for _, e := range events {
			reasons = append(reasons, e.Reason)
		}
		return reasons, err
	}
}

// warningsOf are the Warning Events about an object, oldest first, as reason: text.
func (o *organization) warningsOf(ctx context.Context, kind, name string) func() ([]string, error) {
	return func() ([]string, error) {
		warnings := []string{}
		events, err := o.eventsAbout(ctx, kind, name)
		for _, e := range events {
			if e.Type == corev1.EventTypeWarning {
				warnings = append(warnings, e.Reason+": "+e.Note)
			}
		}
		return warnings, err
	}
}

func (o *organization) eventsAbout(ctx context.Context, kind, name string) ([]eventsv1.Event, error) {
	list := &eventsv1.EventList{}
	err := admin.List(ctx, list, client.InNamespace(o.name))
	slices.SortFunc(list.Items, func(a, b eventsv1.Event) int { return a.EventTime.Compare(b.EventTime.Time) })
	return slices.DeleteFunc(list.Items, func(e eventsv1.Event) bool {
		return e.Regarding.Kind != kind || e.Regarding.Name != name
	}), err
}

// userCondition is what one condition of a user says; for use in Eventually.
func (o *organization) userCondition(ctx context.Context, name, kind string) func() (string, error) {
	return func() (string, error) {
		user, err := o.user(ctx, name)()
		return condition(user.Status.Conditions, kind), err
	}
}

func (o *organization) membershipCondition(ctx context.Context, name, kind string) func() (string, error) {
	return func() (string, error) {
		m, err := o.membership(ctx, name)()
		return condition(m.Status.Conditions, kind), err
	}
}

func (o *organization) groupCondition(ctx context.Context, name, kind string) func() (string, error) {
	return func() (string, error) {
		group, err := o.group(ctx, name)()
		return condition(group.Status.Conditions, kind), err
	}
}

func (o *organization) settingsCondition(ctx context.Context, kind string) func() (string, error) {
	return func() (string, error) {
		settings, err := o.settings(ctx)()
		return condition(settings.Status.Conditions, kind), err
	}
}

// why are the causes of a user's state, once this generation was processed; for use in Eventually.
func (o *organization) why(ctx context.Context, name string) func() ([]string, error) {
	return func() ([]string, error) {
		user, err := o.user(ctx, name)()
		_, err = settled(user.Status.State, user.Generation, user.Status.ObservedGeneration, err)
		return whyOf(user.Status.Causes), err
	}
}

// whyMember are the causes of a membership's state.
func (o *organization) whyMember(ctx context.Context, name string) func() ([]string, error) {
	return func() ([]string, error) {
		m, err := o.membership(ctx, name)()
		_, err = settled(m.Status.State, m.Generation, m.Status.ObservedGeneration, err)
		return whyOf(m.Status.Causes), err
	}
}

// whyOf are causes, in their order, as state:type or state:type/name.
func whyOf(causes []v1alpha1.Cause) []string {
	why := []string{}
	for _, c := range causes {
		text := fmt.Sprintf("%s:%s", c.State, c.Type)
		if c.Name != "" {
			text += "/" + c.Name
		}
		why = append(why, text)
	}
	return why
}

// condition is what one condition says: status, reason and message.
func condition(conditions []metav1.Condition, kind string) string {
	c := meta.FindStatusCondition(conditions, kind)
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

// inSeconds is a whole second, n to n+1 seconds from now.
func inSeconds(n int) time.Time {
	return time.Now().Add(time.Duration(n+1) * time.Second).Truncate(time.Second)
}

// inWords is how people are shown a time: in UTC, with seconds where there are any.
func inWords(at time.Time) string {
	return strings.Replace(at.UTC().Format("2006-01-02 15:04:05Z"), ":00Z", "Z", 1)
}

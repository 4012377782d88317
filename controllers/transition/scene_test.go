package transition

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/skew"
	"tenure.dev/tenure/controllers/internal/targets"
	"tenure.dev/tenure/controllers/internal/worldtest"
)

// The kinds that effects act on in these tests: work, and notes on it.
var (
	workKind = schema.GroupVersionKind{Group: "work.example.com", Version: "v1", Kind: "Work"}
	noteKind = schema.GroupVersionKind{Group: "work.example.com", Version: "v1", Kind: "Note"}
	kinds    = []schema.GroupVersionKind{workKind, noteKind}
)

func resourceOf(kind schema.GroupVersionKind) schema.GroupVersionResource {
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	return resource
}

// scene is an organization that Alice leaves, with what she worked on.
type scene struct {
	*worldtest.World
	*server

	t *testing.T
	r *Reconciler

	// name of the Transition that is looked at.
	name string
}

// server is an API server of work in memory. It knows preconditions, and fails when a test wants it to.
type server struct {
	*dynamicfake.FakeDynamicClient

	version int
	opened  chan struct{} // a watch

	// requests since they were last forgotten, such as "patch a".
	requests []string

	// before happens before a request is answered.
	before func(request string)

	// fail is asked for an error instead of an answer, lose for one after the request was served.
	fail, lose func(request string) error

	// unlisted is why nothing can be listed.
	unlisted error
}

// stage sets the scene: the effects of the policy, and the work, each as "name: spec", with a kind before it unless it is Work.
func stage(t *testing.T, effects string, work ...string) *scene {
	t.Helper()
	policy := &v1alpha1.LifecyclePolicy{ObjectMeta: metav1.ObjectMeta{Name: "employees", Namespace: "acme", Generation: 1}}
	if err := yaml.UnmarshalStrict([]byte("{serviceAccountName: lifecycle, guards: {leader: Allow, lastRoleHolder: Allow}, effects: "+effects+"}"), &policy.Spec); err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, name: "user.alice.2", server: serve(t, work), World: worldtest.New(t,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}},
		&v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: "acme", Namespace: "acme"}, Spec: v1alpha1.OrganizationSpec{
			Roles: []string{"Member"}, OwnerRef: v1alpha1.Reference{Name: "olivia"}, TransitionHistoryLimit: 10, TransitionRetentionSeconds: ptr.To[int32](3600),
			TeamTypes: []string{"Team"}, DefaultPolicyRef: v1alpha1.Reference{Name: "employees"},
		}},
		policy, person("alice"), person("bob"), person("olivia"))}
	s.start()
	return s
}

func person(name string) *v1alpha1.User {
	return &v1alpha1.User{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "acme", Annotations: map[string]string{v1alpha1.AnnotationFirstActivity: "2026-01-01T00:00:00Z"}},
		Spec:       v1alpha1.UserSpec{UserName: name + "@acme.example", Email: name + "@acme.example"},
	}
}

func serve(t *testing.T, work []string) *server {
	t.Helper()
	lists := map[schema.GroupVersionResource]string{}
	for _, kind := range kinds {
		lists[resourceOf(kind)] = kind.Kind + "List"
	}
	s := &server{FakeDynamicClient: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists), opened: make(chan struct{}, 100)}
	for _, text := range work {
		s.add(t, text)
	}
	s.PrependReactor("*", "*", s.answer)
	s.PrependWatchReactor("*", s.watch)
	return s
}

// add creates an object.
func (s *server) add(t *testing.T, text string) {
	t.Helper()
	name, spec, _ := strings.Cut(text, ": ")
	kind := workKind
	if rest, ok := strings.CutPrefix(name, "Note "); ok {
		kind, name = noteKind, rest
	}
	object := &unstructured.Unstructured{}
	content, err := yaml.YAMLToJSON([]byte("{spec: " + spec + "}"))
	if err == nil {
		err = json.Unmarshal(content, &object.Object)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.version++
	object.SetGroupVersionKind(kind)
	object.SetNamespace("acme")
	object.SetName(name)
	object.SetUID(types.UID(fmt.Sprintf("%s-%d", name, s.version)))
	object.SetResourceVersion(strconv.Itoa(s.version))
	if err := s.Tracker().Create(resourceOf(kind), object, "acme"); err != nil {
		t.Fatal(err)
	}
}

// edit changes an object as somebody else does.
func (s *server) edit(name string, change func(*unstructured.Unstructured)) {
	found, err := s.Tracker().Get(resourceOf(workKind), "acme", name)
	if err != nil {
		panic(err) // of a test
	}
	object := found.(*unstructured.Unstructured)
	change(object)
	s.store(workKind.GroupVersion().WithResource("works"), object)
}

func (s *server) store(resource schema.GroupVersionResource, object *unstructured.Unstructured) {
	s.version++
	object.SetResourceVersion(strconv.Itoa(s.version))
	if err := s.Tracker().Update(resource, object, "acme"); err != nil {
		panic(err) // of a test
	}
}

func (s *server) watch(action clienttesting.Action) (bool, watch.Interface, error) {
	options := action.(clienttesting.WatchActionImpl).ListOptions
	if ptr.Deref(options.SendInitialEvents, false) {
		return true, nil, apierrors.NewInvalid(workKind.GroupKind(), "", nil) // as servers answer that cannot
	}
	events, err := s.Tracker().Watch(action.GetResource(), action.GetNamespace(), options)
	s.opened <- struct{}{}
	return true, events, err
}

func (s *server) answer(action clienttesting.Action) (bool, runtime.Object, error) {
	name := ""
	switch a := action.(type) {
	case clienttesting.ListActionImpl:
		return s.unlisted != nil, nil, s.unlisted
	case clienttesting.GetActionImpl:
		name = a.Name
	case clienttesting.PatchActionImpl:
		name = a.Name
	case clienttesting.DeleteActionImpl:
		name = a.Name
	}
	request := action.GetVerb() + " " + name
	s.requests = append(s.requests, request)
	if s.before != nil {
		s.before(request)
	}
	if s.fail != nil {
		if err := s.fail(request); err != nil {
			return true, nil, err
		}
	}
	object, err := s.act(action)
	if err == nil && s.lose != nil {
		err = s.lose(request)
	}
	return true, object, err
}

func (s *server) act(action clienttesting.Action) (runtime.Object, error) {
	switch a := action.(type) {
	case clienttesting.GetActionImpl:
		return s.Tracker().Get(a.GetResource(), "acme", a.Name)
	case clienttesting.PatchActionImpl:
		return s.patch(a)
	case clienttesting.DeleteActionImpl:
		return nil, s.delete(a)
	default:
		return nil, fmt.Errorf("no answer to %s", action.GetVerb())
	}
}

func (s *server) patch(action clienttesting.PatchActionImpl) (runtime.Object, error) {
	found, err := s.Tracker().Get(action.GetResource(), "acme", action.Name)
	if err != nil {
		return nil, err
	}
	object := found.(*unstructured.Unstructured)
	before := object.GetResourceVersion()
	content, _ := object.MarshalJSON()
	content, err = jsonpatch.MergePatch(content, action.Patch)
	if err == nil {
		err = object.UnmarshalJSON(content)
	}
	if err != nil {
		return nil, err
	}
	if object.GetResourceVersion() != before {
		return nil, conflict(action.Name)
	}
	s.store(action.GetResource(), object)
	return object, nil
}

func (s *server) delete(action clienttesting.DeleteActionImpl) error {
	found, err := s.Tracker().Get(action.GetResource(), "acme", action.Name)
	if err != nil {
		return err
	}
	object, preconditions := found.(*unstructured.Unstructured), action.DeleteOptions.Preconditions
	if preconditions == nil || *preconditions.UID != object.GetUID() || *preconditions.ResourceVersion != object.GetResourceVersion() {
		return conflict(action.Name)
	}
	if len(object.GetFinalizers()) > 0 {
		object.SetDeletionTimestamp(new(metav1.NewTime(worldtest.Start)))
		s.store(action.GetResource(), object)
		return nil
	}
	return s.Tracker().Delete(action.GetResource(), "acme", action.Name)
}

func conflict(name string) error {
	return apierrors.NewConflict(resourceOf(workKind).GroupResource(), name, errors.New("it has changed"))
}

func forbidden(name string) error {
	return apierrors.NewForbidden(resourceOf(workKind).GroupResource(), name, errors.New("not allowed"))
}

// on fails the requests that begin so.
func on(prefix string, err error) func(string) error {
	return func(request string) error {
		if strings.HasPrefix(request, prefix) {
			return err
		}
		return nil
	}
}

// start starts an operator, which knows nothing of what an earlier one did.
func (s *scene) start() {
	s.t.Helper()
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range kinds {
		mapper.Add(kind, meta.RESTScopeNamespace)
	}
	sources := targets.NewConnecting(s.t.Context(),
		func(string, string) (dynamic.Interface, error) { return s.server, nil },
		func() (discovery.ServerResourcesInterface, error) { return nil, errors.New("nobody discovers") },
		mapper, clocktesting.NewFakeClock(worldtest.Start))
	s.r = &Reconciler{Client: s.World, Live: s.World, Clock: s.World.Clock, Recorder: s.World.Recorder, Skew: (*skew.Meter)(nil), Sources: sources, slots: newSlots(requests)}
	s.know()
}

// needs are those of the policy.
func (s *scene) needs() map[targets.Source]targets.Needs {
	return cascade.NeedsOf("acme", "lifecycle", s.policy().Spec.Effects)
}

// know waits until the objects of the policy's effects are known, or cannot be.
func (s *scene) know() {
	s.t.Helper()
	news := make(chan struct{}, 100)
	s.r.Sources.OnChange(func(targets.Source) {
		select {
		case news <- struct{}{}:
		default:
		}
	})
	needs := s.needs()
	s.r.Sources.Demand("the test", needs)
	for source, needed := range needs {
		_, err := s.r.Sources.At(source, needed)
		for ; errors.Is(err, targets.ErrSynchronizing); _, err = s.r.Sources.At(source, needed) {
			<-news
		}
	}
	if s.unlisted == nil {
		for range needs {
			<-s.opened // What happens before the watch is open is not told.
		}
	}
}

func (s *scene) policy() *v1alpha1.LifecyclePolicy {
	s.t.Helper()
	policy := &v1alpha1.LifecyclePolicy{}
	s.get(policy, "employees")
	return policy
}

func (s *scene) get(object client.Object, name string) {
	s.t.Helper()
	if err := s.Get(s.t.Context(), client.ObjectKey{Namespace: "acme", Name: name}, object); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) user(name string) *v1alpha1.User {
	s.t.Helper()
	user := &v1alpha1.User{}
	s.get(user, name)
	return user
}

func (s *scene) declare(name string, status v1alpha1.UserDesiredStatus) {
	s.t.Helper()
	user := s.user(name)
	user.Spec.DesiredStatus = status
	if err := s.Client.Update(s.t.Context(), user); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) create(objects ...client.Object) {
	s.t.Helper()
	for _, object := range objects {
		if err := s.World.Create(s.t.Context(), object); err != nil {
			s.t.Fatal(err)
		}
	}
}

// leave deactivates Alice: from here on there is Transition user.alice.2.
func (s *scene) leave(past ...*v1alpha1.Transition) {
	s.t.Helper()
	s.declare("alice", v1alpha1.UserDesiredDeactivated)
	s.record(2, v1alpha1.StateDeactivated, s.plan(v1alpha1.StateDeactivated, past...))
	s.Forget()
}

func (s *scene) plan(to v1alpha1.State, past ...*v1alpha1.Transition) []v1alpha1.PlannedEffect {
	s.t.Helper()
	org, err := observe.OrganizationOf(s.t.Context(), s.World, "acme")
	if err != nil {
		s.t.Fatal(err)
	}
	planner := &cascade.Planner{Reader: s.World, Targets: s.r.Sources}
	plan, err := planner.Plan(s.t.Context(), cascade.Situation{
		Org: org, Policy: observe.Policy{Object: s.policy()}, User: s.user("alice"), Identity: string(s.user("alice").UID), Now: worldtest.Start, Past: past,
		Change: &lifecycle.Change{From: v1alpha1.StateActive, To: to, Cause: v1alpha1.TransitionCause{Type: v1alpha1.TransitionDeclared}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return plan
}

func (s *scene) record(number int, to v1alpha1.State, plan []v1alpha1.PlannedEffect) {
	s.t.Helper()
	uid := s.user("alice").UID
	s.create(&v1alpha1.Transition{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("user.alice.%d", number), Namespace: "acme"},
		Spec: v1alpha1.TransitionSpec{
			Subject: v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: "alice", UID: uid, Identity: string(uid)},
			From:    v1alpha1.StateActive, To: to, Cause: v1alpha1.TransitionCause{Type: v1alpha1.TransitionDeclared}, ObservedTime: metav1.NewTime(worldtest.Start),
			Policy: v1alpha1.PolicySnapshot{Name: "employees", Generation: 1, ServiceAccountName: "lifecycle"}, Plan: plan,
		},
	})
}

func (s *scene) tryPass() (ctrl.Result, error) {
	return s.r.Reconcile(s.t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "acme", Name: s.name}})
}

// pass is one pass of the operator, and what it asked for.
func (s *scene) pass() time.Duration {
	s.t.Helper()
	result, err := s.tryPass()
	if err != nil {
		s.t.Fatal(err)
	}
	return result.RequeueAfter
}

// settle lets the operator work until it asks for no further pass and the watch brings none, because the last one wrote
// nothing; or until it has had so many.
func (s *scene) settle(most int) (passes int) {
	s.t.Helper()
	for passes = 1; passes <= most; passes++ {
		written := len(s.Writes)
		again := s.pass()
		if again == 0 && len(s.Writes) == written {
			return passes
		}
		s.Clock.SetTime(s.Clock.Now().Add(again))
	}
	return passes
}

func (s *scene) transition() *v1alpha1.Transition {
	s.t.Helper()
	transition := &v1alpha1.Transition{}
	s.get(transition, s.name)
	return transition
}

// ledger is what the Transition says, such as "False Retrying", then "work 1/2 failed 1: text".
func (s *scene) ledger() []string {
	s.t.Helper()
	status := s.transition().Status
	complete := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionComplete)
	if complete == nil {
		return nil
	}
	lines := []string{string(complete.Status) + " " + complete.Reason}
	for _, effect := range status.Effects {
		line := fmt.Sprintf("%s %d/%d", effect.Name, effect.Done, effect.Matched)
		if effect.Failed > 0 {
			line += fmt.Sprintf(" failed %d", effect.Failed)
		}
		if effect.Message != "" {
			line += ": " + effect.Message
		}
		lines = append(lines, line)
	}
	return lines
}

func (s *scene) expectLedger(want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.ledger()); diff != "" {
		s.t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

func (s *scene) expectWrites(want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.Writes); diff != "" {
		s.t.Errorf("writes (-want +got):\n%s", diff)
	}
	s.Forget()
}

// expectRequests tells what was asked of the server of work since it was last asked, in any order.
func (s *scene) expectRequests(want ...string) {
	s.t.Helper()
	slices.Sort(s.requests)
	slices.Sort(want)
	if diff := cmp.Diff(want, s.requests); diff != "" {
		s.t.Errorf("requests (-want +got):\n%s", diff)
	}
	s.requests = nil
}

// specs are the objects there are, as "name: spec".
func (s *scene) specs() []string {
	s.t.Helper()
	lines := []string{}
	for _, kind := range kinds {
		list, err := s.Tracker().List(resourceOf(kind), kind, "acme")
		if err != nil {
			s.t.Fatal(err)
		}
		for _, object := range list.(*unstructured.UnstructuredList).Items {
			spec, err := json.Marshal(object.Object["spec"])
			if err != nil {
				s.t.Fatal(err)
			}
			lines = append(lines, object.GetName()+": "+string(spec))
		}
	}
	slices.Sort(lines)
	return lines
}

func (s *scene) expectSpecs(want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), s.specs()); diff != "" {
		s.t.Errorf("objects (-want +got):\n%s", diff)
	}
}

package targets

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	"tenure.dev/tenure/controllers/internal/fieldpath"
)

var (
	taskKind = schema.GroupVersionKind{Group: "work.example.com", Version: "v1", Kind: "Task"}
	source   = Source{Namespace: "acme", Account: "lifecycle", Kind: taskKind}
)

// apiServer serves tasks, of which it may not yet know, or not want to tell.
type apiServer struct {
	discovery.ServerResourcesInterface

	mu      sync.Mutex
	plural  string // empty: it does not have the kind
	cluster bool
	refusal error
	lists   []string
}

func (s *apiServer) set(edit func(*apiServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit(s)
}

// ServerResourcesForGroupVersion implements discovery.ServerResourcesInterface.
func (s *apiServer) ServerResourcesForGroupVersion(version string) (*metav1.APIResourceList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plural == "" {
		return nil, apierrors.NewNotFound(schema.GroupResource{}, version)
	}
	return &metav1.APIResourceList{GroupVersion: version, APIResources: []metav1.APIResource{
		{Name: s.plural + "/status", Kind: "Task", Namespaced: !s.cluster}, {Name: s.plural, Kind: "Task", Namespaced: !s.cluster},
	}}, nil
}

// connect is a client that lists one task of Alice's.
func (s *apiServer) connect(account) (dynamic.Interface, error) {
	client := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		taskKind.GroupVersion().WithResource("tasks"): "TaskList", taskKind.GroupVersion().WithResource("chores"): "TaskList",
	})
	client.PrependReactor("list", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		plural := action.GetResource().Resource
		s.lists = append(s.lists, plural)
		switch {
		case s.refusal != nil:
			return true, nil, s.refusal
		case plural != s.plural:
			return true, nil, apierrors.NewNotFound(schema.GroupResource{Resource: plural}, "")
		}
		task := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"assignee": "alice", "state": "Open"}}}
		task.SetGroupVersionKind(taskKind)
		task.SetNamespace("acme")
		task.SetName("report")
		list := &unstructured.UnstructuredList{Items: []unstructured.Unstructured{*task}}
		list.SetGroupVersionKind(taskKind.GroupVersion().WithKind("TaskList"))
		list.SetResourceVersion("1")
		return true, list, nil
	})
	client.PrependWatchReactor("*", func(action clienttesting.Action) (bool, apiwatch.Interface, error) {
		if first := action.(clienttesting.WatchActionImpl).ListOptions.SendInitialEvents; first != nil && *first {
			return true, nil, apierrors.NewBadRequest("sendInitialEvents is forbidden")
		}
		return true, apiwatch.NewFake(), nil
	})
	return client, nil
}

// world is a registry about an API server, with a clock that stands still.
type world struct {
	*Registry

	t      *testing.T
	server *apiServer
	clock  *clocktesting.FakeClock
	told   chan struct{}
}

func newWorld(t *testing.T, server *apiServer) *world {
	t.Helper()
	c := clocktesting.NewFakeClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	w := &world{t: t, server: server, clock: c, told: make(chan struct{}, 1024)}
	w.Registry = New(t.Context(), &rest.Config{}, meta.NewDefaultRESTMapper(nil), c)
	w.connect = server.connect
	w.discover = func() (discovery.ServerResourcesInterface, error) { return server, nil }
	w.OnChange(func(Source) { w.told <- struct{}{} })
	return w
}

// remember lets the mapper remember the kind under the name tasks.
func (w *world) remember(scope meta.RESTScope) {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(taskKind, scope)
	w.mapper = mapper
}

func needs(t *testing.T, fields ...string) Needs {
	t.Helper()
	var n Needs
	n.AddReference(path(t, "spec.assignee"))
	for _, field := range fields {
		n.AddFields([]fieldpath.Path{path(t, field)}, false)
	}
	return n
}

func path(t *testing.T, text string) fieldpath.Path {
	t.Helper()
	parsed, err := fieldpath.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// until waits until a look is as expected.
func (w *world) until(n Needs, what string, expected func(error) bool) Look {
	w.t.Helper()
	patience, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	for {
		look, err := w.At(source, n)
		if expected(err) {
			return look
		}
		select {
		case <-w.told:
		case <-patience.Done():
			w.t.Fatalf("waited for %s, and got: %v", what, err)
		}
	}
}

func known(err error) bool { return err == nil }

// stepWhenWaitedFor lets time pass as soon as somebody waits for it.
func (w *world) stepWhenWaitedFor(d time.Duration) {
	w.t.Helper()
	for !w.clock.HasWaiters() {
		if w.t.Context().Err() != nil {
			w.t.Fatal("nobody waits")
		}
	}
	w.clock.Step(d)
}

func TestAKindIsFoundWhenItComes(t *testing.T) {
	for name, come := range map[string]func(*world){
		"when somebody tells": func(w *world) { w.Retry(func(s Source) bool { return s.Kind.Group == "work.example.com" }) },
		"by itself":           func(w *world) { w.stepWhenWaitedFor(patience.Duration * 2) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, &apiServer{})
			w.Demand("a policy", map[Source]Needs{source: needs(t)})
			w.until(needs(t), "that it is missing", Missing)
			w.server.set(func(s *apiServer) { s.plural = "tasks" })
			come(w)
			look := w.until(needs(t), "the kind", known)
			if found := look.Referring(path(t, "spec.assignee"), "alice"); len(found) != 1 || found[0].GetName() != "report" {
				t.Errorf("found %v of Alice's", found)
			}
		})
	}
}

func TestAKindIsLookedForAnewWhereItIsNotAsRemembered(t *testing.T) {
	t.Run("renamed", func(t *testing.T) {
		w := newWorld(t, &apiServer{plural: "chores"})
		w.remember(meta.RESTScopeNamespace)
		w.Demand("a policy", map[Source]Needs{source: needs(t)})
		w.until(needs(t), "that it is missing", Missing)
		w.stepWhenWaitedFor(patience.Duration * 2)
		w.until(needs(t), "the kind", known)
		w.server.set(func(s *apiServer) {
			if !slices.Equal(slices.Compact(s.lists), []string{"tasks", "chores"}) {
				t.Errorf("listed %v", s.lists)
			}
		})
		objects, err := w.Objects(source)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := objects.List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Errorf("acts on what is not there: %v", err)
		}
	})
	t.Run("of a namespace by now", func(t *testing.T) {
		w := newWorld(t, &apiServer{plural: "tasks", cluster: true})
		w.remember(meta.RESTScopeRoot)
		w.Demand("a policy", map[Source]Needs{source: needs(t)})
		w.until(needs(t), "that it is of no namespace", func(err error) bool { return errors.Is(err, ErrClusterScoped) })
		w.stepWhenWaitedFor(patience.Duration * 2)
		w.server.set(func(s *apiServer) { s.cluster = false })
		w.Retry(func(Source) bool { return true })
		w.until(needs(t), "the kind", known)
	})
}

func TestARefusalIsTold(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "tasks"}, "", errors.New("no Role says so"))
	w := newWorld(t, &apiServer{plural: "tasks", refusal: forbidden})
	w.remember(meta.RESTScopeNamespace)
	w.Demand("a policy", map[Source]Needs{source: needs(t)})
	w.until(needs(t), "the refusal", apierrors.IsForbidden)
	w.server.set(func(s *apiServer) { s.refusal = nil })
	w.Retry(func(Source) bool { return true })
	w.until(needs(t), "the objects", known)
}

func TestWhatPassesIsTellingOnlyWhenItLasts(t *testing.T) {
	w := newWorld(t, &apiServer{plural: "tasks", refusal: apierrors.NewTooManyRequests("storage is initializing", 30)})
	w.remember(meta.RESTScopeNamespace)
	w.Demand("a policy", map[Source]Needs{source: needs(t)})
	listed := func(times int) {
		t.Helper()
		for enough := false; !enough; {
			if t.Context().Err() != nil {
				t.Fatal("nobody lists")
			}
			w.server.set(func(s *apiServer) { enough = len(s.lists) >= times })
		}
	}
	listed(1)
	if _, err := w.At(source, needs(t)); !errors.Is(err, ErrSynchronizing) {
		t.Fatalf("after a moment: %v", err)
	}
	w.clock.Step(tolerance)
	w.until(needs(t), "that it lasts", apierrors.IsTooManyRequests)
	w.server.set(func(s *apiServer) { s.refusal = nil })
	w.Retry(func(Source) bool { return true })
	w.until(needs(t), "the objects", known)
}

func TestWhatIsKnownStaysKnownWhileMoreIsAskedFor(t *testing.T) {
	w := newWorld(t, &apiServer{plural: "tasks"})
	w.remember(meta.RESTScopeNamespace)
	w.Demand("one", map[Source]Needs{source: needs(t)})
	w.until(needs(t), "the objects", known)

	w.server.set(func(s *apiServer) { s.refusal = apierrors.NewInternalError(errors.New("cannot be converted")) })
	more := needs(t, "spec.state")
	w.Demand("two", map[Source]Needs{source: more})
	w.until(more, "that it fails", apierrors.IsInternalError)
	if _, err := w.At(source, needs(t)); err != nil {
		t.Errorf("what was known is forgotten: %v", err)
	}
	w.server.set(func(s *apiServer) { s.refusal = nil })
	w.Retry(func(Source) bool { return true })
	look := w.until(more, "more of the objects", known)
	if state, _, _ := unstructured.NestedString(look.Referring(path(t, "spec.assignee"), "alice")[0].Object, "spec", "state"); state != "Open" {
		t.Errorf("state is %q", state)
	}
}

func TestASourceIsLetGoWithItsLastOwner(t *testing.T) {
	w := newWorld(t, &apiServer{plural: "tasks"})
	w.remember(meta.RESTScopeNamespace)
	for _, owner := range []string{"one", "two"} {
		w.Demand(owner, map[Source]Needs{source: needs(t)})
	}
	w.until(needs(t), "the objects", known)
	if owners := w.Owners(source); !slices.Equal(owners, []string{"one", "two"}) {
		t.Errorf("owners are %v", owners)
	}
	w.Demand("one", nil)
	if _, err := w.At(source, needs(t)); err != nil {
		t.Errorf("the second owner's is gone: %v", err)
	}
	w.Demand("two", nil)
	if _, err := w.At(source, needs(t)); !errors.Is(err, ErrSynchronizing) || len(w.Owners(source)) > 0 {
		t.Errorf("nobody needs it, and it is kept: %v, %v", err, w.Owners(source))
	}
	if len(w.accounts) > 0 {
		t.Errorf("nobody acts as %v any more, and their clients are kept", w.accounts)
	}
}

func TestAWatchIsToldAtOnceThatTheAPIServerIsBusy(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if user := r.Header.Get("Impersonate-User"); user != "system:serviceaccount:acme:lifecycle" {
			t.Errorf("acts as %q", user)
		}
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(server.Close)
	client, err := connect(&rest.Config{Host: server.URL}, account{namespace: "acme", name: "lifecycle"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	_, err = client.Resource(taskKind.GroupVersion().WithResource("tasks")).Namespace("acme").List(ctx, metav1.ListOptions{})
	if !apierrors.IsTooManyRequests(err) || requests.Load() != 1 {
		t.Errorf("after %d requests: %v", requests.Load(), err)
	}
}

func TestWhichErrorsTell(t *testing.T) {
	nameless := &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: 500, Message: "conversion webhook failed"}}
	for _, err := range []error{
		&meta.NoKindMatchError{}, fmt.Errorf("find kind Task: %w", &meta.NoKindMatchError{}), ErrClusterScoped, nameless,
		apierrors.NewForbidden(schema.GroupResource{}, "", nil), apierrors.NewInternalError(errors.New("broken")),
	} {
		if !telling(err) || passing(err) {
			t.Errorf("%v says nothing", err)
		}
	}
	for _, err := range []error{errors.New("connection refused"), context.DeadlineExceeded} {
		if telling(err) {
			t.Errorf("%v says something", err)
		}
	}
	for _, err := range []error{
		apierrors.NewTooManyRequests("", 1), apierrors.NewServiceUnavailable(""), apierrors.NewTimeoutError("", 1), apierrors.NewResourceExpired(""),
	} {
		if !passing(err) {
			t.Errorf("%v does not pass", err)
		}
	}
}

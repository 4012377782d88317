// Package targets knows the objects that effects act on. A kind is watched while a policy or a running Transition names it,
// as the service account that the policy names, and indexed by the fields that refer to people: nobody lists a kind to look
// for somebody's work.
package targets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"tenure.dev/tenure/controllers/internal/fieldpath"
)

var (
	// ErrSynchronizing says that the objects of a source are being listed for the first time: ask again in a moment.
	ErrSynchronizing = errors.New("its objects are being listed for the first time")

	// ErrSlow is ErrSynchronizing, but for so long already that nobody should wait for it.
	ErrSlow = fmt.Errorf("%w, and it takes long", ErrSynchronizing)

	// ErrClusterScoped says that a kind is not of a namespace.
	ErrClusterScoped = errors.New("the kind is not of a namespace")
)

// longListing is how long a plan waits for objects to be listed for the first time.
const longListing = 15 * time.Second

// Registry watches the sources that somebody demands.
type Registry struct {
	lifetime context.Context //nolint:containedctx // Watches live as long as the operator, not as the pass that starts them.
	mapper   meta.RESTMapper
	clock    clock.Clock
	connect  func(account) (dynamic.Interface, error)
	discover func() (discovery.ServerResourcesInterface, error)

	mu       sync.Mutex
	sources  map[Source]*entry
	demands  map[string][]Source
	places   map[Source]schema.GroupVersionResource
	accounts map[account]dynamic.Interface
	tell     []func(Source)
}

// account is a service account, and whether requests as it are made again by themselves when the API server is busy.
type account struct {
	namespace, name string
	again           bool
}

// entry is a source that is watched. While more is asked of it than is kept, a second watch is filled beside the first. What
// somebody has needed is kept as long as anybody needs anything.
type entry struct {
	owners        map[string]bool
	needs         Needs
	current, next *watch
}

// New makes a registry whose watches end with ctx. It acts as the accounts by impersonating them.
func New(ctx context.Context, config *rest.Config, mapper meta.RESTMapper, c clock.Clock) *Registry {
	r := newRegistry(ctx, mapper, c)
	r.connect = func(a account) (dynamic.Interface, error) { return connect(config, a) }
	r.discover = sync.OnceValues(func() (discovery.ServerResourcesInterface, error) {
		return discovery.NewDiscoveryClientForConfig(config)
	})
	return r
}

// NewConnecting makes a registry that reaches its cluster in its own way: connect acts as a service account of a namespace,
// and discover tells which kinds are served.
func NewConnecting(
	ctx context.Context, connect func(namespace, serviceAccount string) (dynamic.Interface, error),
	discover func() (discovery.ServerResourcesInterface, error), mapper meta.RESTMapper, c clock.Clock,
) *Registry {
	r := newRegistry(ctx, mapper, c)
	r.connect = func(a account) (dynamic.Interface, error) { return connect(a.namespace, a.name) }
	r.discover = discover
	return r
}

func newRegistry(ctx context.Context, mapper meta.RESTMapper, c clock.Clock) *Registry {
	return &Registry{
		lifetime: ctx, mapper: mapper, clock: c,
		sources: map[Source]*entry{}, demands: map[string][]Source{},
		places: map[Source]schema.GroupVersionResource{}, accounts: map[account]dynamic.Interface{},
	}
}

// OnChange adds who is told when a source begins or ceases to be known. It is called before the first demand.
func (r *Registry) OnChange(tell func(Source)) { r.tell = append(r.tell, tell) }

// Demand sets what owner needs, in place of what it needed before. What nobody needs any more is let go.
func (r *Registry) Demand(owner string, needs map[Source]Needs) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, source := range r.demands[owner] {
		if _, still := needs[source]; !still {
			r.release(owner, source)
		}
	}
	delete(r.demands, owner)
	for source, needed := range needs {
		r.demands[owner] = append(r.demands[owner], source)
		r.require(owner, source, needed)
	}
}

func (r *Registry) release(owner string, source Source) {
	e := r.sources[source]
	delete(e.owners, owner)
	if len(e.owners) > 0 {
		return
	}
	delete(r.sources, source)
	delete(r.places, source)
	r.forget(source)
	e.current.stop()
	if e.next != nil {
		e.next.stop()
	}
}

// forget drops the clients of an account of which no source is watched any more.
func (r *Registry) forget(last Source) {
	for source := range r.sources {
		if source.Namespace == last.Namespace && source.Account == last.Account {
			return
		}
	}
	for _, again := range []bool{false, true} {
		delete(r.accounts, account{namespace: last.Namespace, name: last.Account, again: again})
	}
}

func (r *Registry) require(owner string, source Source, needs Needs) {
	e := r.sources[source]
	if e == nil {
		e = &entry{owners: map[string]bool{}}
		r.sources[source] = e
	}
	e.owners[owner] = true
	if e.current != nil && e.needs.cover(needs) {
		return
	}
	e.needs = e.needs.with(needs)
	fresh := r.start(source, e.needs)
	switch {
	case e.current == nil:
		e.current = fresh
	case e.next == nil:
		e.next = fresh
	default:
		e.next.stop()
		e.next = fresh
	}
}

func (r *Registry) start(source Source, needs Needs) *watch {
	return startWatch(r.lifetime, r.clock, needs,
		func(doubt bool) (dynamic.ResourceInterface, error) { return r.find(source, doubt) },
		func() { r.changed(source) })
}

// changed lets a second watch take the first one's place once it is filled.
func (r *Registry) changed(source Source) {
	r.mu.Lock()
	if e := r.sources[source]; e != nil && e.next != nil {
		if synced, _ := e.next.state(); synced {
			e.current.stop()
			e.current, e.next = e.next, nil
		}
	}
	r.mu.Unlock()
	for _, tell := range r.tell {
		tell(source)
	}
}

// Retry makes what fails for the sources that concern picks try again at once.
func (r *Registry) Retry(concern func(Source) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for source, e := range r.sources {
		if !concern(source) {
			continue
		}
		e.current.retry()
		if e.next != nil {
			e.next.retry()
		}
	}
}

// Owners are those who demand a source.
func (r *Registry) Owners(source Source) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.sources[source]
	if e == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(e.owners))
}

// Look is a look at a source's objects. What it returns is the store's own: it must not be changed.
type Look struct{ store *store }

// At looks at a source that is known well enough for needs. The error is ErrSynchronizing, or says why it is not known.
func (r *Registry) At(source Source, needs Needs) (Look, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.sources[source]
	if e == nil {
		return Look{}, ErrSynchronizing
	}
	synced, err := e.current.state()
	if err == nil && synced && e.current.store.needs.cover(needs) {
		return Look{store: e.current.store}, nil
	}
	pending := e.current
	if err == nil && e.next != nil {
		pending = e.next
		_, err = e.next.state()
	}
	switch {
	case err != nil:
		return Look{}, err
	case r.clock.Since(pending.started) > longListing:
		return Look{}, ErrSlow
	default:
		return Look{}, ErrSynchronizing
	}
}

// Referring are the objects with the value at the path.
func (l Look) Referring(path fieldpath.Path, value string) []*unstructured.Unstructured {
	return l.by(byReference, referenceKey(path.String(), value))
}

// OfHash are the objects whose UID has the hash: one, or, very seldom, more.
func (l Look) OfHash(hash uint32) []*unstructured.Unstructured { return l.by(byHash, hashKey(hash)) }

// LinkedTo are the objects from which the user of that identity was taken out.
func (l Look) LinkedTo(identity string) []*unstructured.Unstructured { return l.by(byLink, identity) }

// Has tells whether there is an object of that name.
func (l Look) Has(namespace, name string) bool {
	_, exists, err := l.store.GetByKey(namespace + "/" + name)
	return exists && err == nil
}

// Written lets the look know what was written just now, before the watch tells.
func (l Look) Written(object *unstructured.Unstructured) error {
	if err := l.store.written(object); err != nil {
		return fmt.Errorf("note what was written to %s: %w", object.GetName(), err)
	}
	return nil
}

func (l Look) by(index, key string) []*unstructured.Unstructured {
	found, err := l.store.ByIndex(index, key)
	if err != nil {
		panic("the store lacks its own index " + index) // a programmer's error: every store has every index
	}
	objects := make([]*unstructured.Unstructured, len(found))
	for i := range found {
		objects[i] = found[i].(*unstructured.Unstructured)
	}
	return objects
}

// Objects acts on a source's objects as its account.
func (r *Registry) Objects(source Source) (dynamic.ResourceInterface, error) {
	r.mu.Lock()
	resource, found := r.places[source]
	r.mu.Unlock()
	if !found {
		var err error
		if resource, err = r.remembered(source.Kind); err != nil {
			return nil, err
		}
	}
	return r.as(account{namespace: source.Namespace, name: source.Account, again: true}, resource)
}

// find finds out where a source's objects are, for a watch. The mapper remembers of a kind what it was when it was first asked
// for: in doubt the API server is asked what it is now.
func (r *Registry) find(source Source, doubt bool) (dynamic.ResourceInterface, error) {
	where := r.remembered
	if doubt {
		where = r.served
	}
	resource, err := where(source.Kind)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	if r.sources[source] != nil {
		r.places[source] = resource
	}
	r.mu.Unlock()
	return r.as(account{namespace: source.Namespace, name: source.Account}, resource)
}

func (r *Registry) remembered(kind schema.GroupVersionKind) (schema.GroupVersionResource, error) {
	mapping, err := r.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return schema.GroupVersionResource{}, fmt.Errorf("find kind %s of %s: %w", kind.Kind, kind.GroupVersion(), err)
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return schema.GroupVersionResource{}, ErrClusterScoped
	}
	return mapping.Resource, nil
}

func (r *Registry) served(kind schema.GroupVersionKind) (schema.GroupVersionResource, error) {
	client, err := r.discover()
	if err != nil {
		return schema.GroupVersionResource{}, fmt.Errorf("find kind %s of %s: %w", kind.Kind, kind.GroupVersion(), err)
	}
	list, err := client.ServerResourcesForGroupVersion(kind.GroupVersion().String())
	if err != nil && !apierrors.IsNotFound(err) {
		return schema.GroupVersionResource{}, fmt.Errorf("find kind %s of %s: %w", kind.Kind, kind.GroupVersion(), err)
	}
	if list == nil {
		list = &metav1.APIResourceList{}
	}
	for i := range list.APIResources {
		resource := &list.APIResources[i]
		switch {
		case resource.Kind != kind.Kind || strings.Contains(resource.Name, "/"): // a subresource shows the kind of its owner
		case !resource.Namespaced:
			return schema.GroupVersionResource{}, ErrClusterScoped
		default:
			return kind.GroupVersion().WithResource(resource.Name), nil
		}
	}
	return schema.GroupVersionResource{}, &meta.NoKindMatchError{GroupKind: kind.GroupKind(), SearchedVersions: []string{kind.Version}}
}

// as are the objects of an account's namespace for a client that acts as the account, under its rights and not the operator's.
func (r *Registry) as(a account, resource schema.GroupVersionResource) (dynamic.ResourceInterface, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	client := r.accounts[a]
	if client == nil {
		var err error
		if client, err = r.connect(a); err != nil {
			return nil, fmt.Errorf("act as service account %s: %w", a.name, err)
		}
		r.accounts[a] = client
	}
	return client.Resource(resource).Namespace(a.namespace), nil
}

func connect(config *rest.Config, a account) (dynamic.Interface, error) {
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + a.namespace + ":" + a.name}
	if !a.again {
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return atOnce{next} })
	}
	return dynamic.NewForConfig(config)
}

// atOnce has a request fail where the API server asks to make it again later. Otherwise that would be done ten times over, for
// minutes in which nobody learns that a kind cannot be listed.
type atOnce struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t atOnce) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err //nolint:wrapcheck // As it came: the client looks at the kind of error.
	}
	response.Header.Del("Retry-After")
	return response, nil
}

// Missing tells whether a source is not known because the cluster does not have its kind.
func Missing(err error) bool { return meta.IsNoMatchError(err) || apierrors.IsNotFound(err) }

// passing tells whether an error of the API server's is likely to be over in a moment.
func passing(err error) bool {
	switch apierrors.ReasonForError(err) {
	case metav1.StatusReasonExpired, metav1.StatusReasonGone, metav1.StatusReasonTooManyRequests,
		metav1.StatusReasonTimeout, metav1.StatusReasonServiceUnavailable:
		return true
	default:
		return false
	}
}

// telling tells whether an error says something about the kind or the account, and not only that a connection broke.
func telling(err error) bool {
	_, answered := errors.AsType[*apierrors.StatusError](err)
	return answered || meta.IsNoMatchError(err) || errors.Is(err, ErrClusterScoped)
}

package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/example"
)

// seen is a version of an object as a watch has told of it.
type seen struct {
	revision uint64
	at       time.Time
	gone     bool
	missed   bool // versions before it may not have been told: the watch had to begin anew
	object   client.Object
}

// recorder keeps every version of every object that the watches tell of, since the last quiet point.
type recorder struct {
	mu     sync.Mutex
	tracks map[string]map[client.ObjectKey][]seen
	last   time.Time
}

// Kinds that are watched.
const (
	users         = "User"
	memberships   = "Membership"
	groups        = "Group"
	organizations = "Organization"
	policies      = "LifecyclePolicy"
	transitions   = "Transition"
	bindings      = "RoleBinding"
	works         = "Work"
)

func (w *world) follow(ctx context.Context) {
	w.seen = &recorder{tracks: map[string]map[client.ObjectKey][]seen{}}
	work := &unstructured.UnstructuredList{}
	work.SetGroupVersionKind(example.Work.GroupVersion().WithKind("WorkList"))
	inside := client.InNamespace(namespace)
	var listed sync.WaitGroup
	for kind, list := range map[string]client.ObjectList{
		users: &v1alpha1.UserList{}, memberships: &v1alpha1.MembershipList{}, groups: &v1alpha1.GroupList{}, organizations: &v1alpha1.OrganizationList{},
		policies: &v1alpha1.LifecyclePolicyList{}, transitions: &v1alpha1.TransitionList{}, bindings: &rbacv1.RoleBindingList{}, works: work,
	} {
		options := []client.ListOption{inside}
		if kind == bindings {
			options = []client.ListOption{client.MatchingLabels{v1alpha1.LabelOrganization: namespace}}
		}
		listed.Add(1)
		go w.seen.follow(ctx, w.admin, kind, list, sync.OnceFunc(listed.Done), options...)
	}
	listed.Wait()
}

// follow lists and watches a kind until ctx ends, whatever happens to the API server.
func (r *recorder) follow(ctx context.Context, c client.WithWatch, kind string, list client.ObjectList, listed func(), options ...client.ListOption) {
	for revision := ""; ctx.Err() == nil; {
		if revision == "" {
			if err := c.List(ctx, list, options...); err != nil {
				pause(ctx, 100*time.Millisecond)
				continue
			}
			revision = list.GetResourceVersion()
			r.replace(kind, list)
			listed()
		}
		changes, err := c.Watch(ctx, list, append(options, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: revision, AllowWatchBookmarks: true}})...)
		if err != nil {
			if gone(err) {
				revision = ""
			}
			pause(ctx, 100*time.Millisecond)
			continue
		}
		for change := range changes.ResultChan() {
			object, ok := change.Object.(client.Object)
			if !ok || change.Type == watch.Error {
				if gone(apierrors.FromObject(change.Object)) {
					revision = ""
				}
				break
			}
			if revision = object.GetResourceVersion(); change.Type != watch.Bookmark {
				r.add(kind, object, change.Type == watch.Deleted, false)
			}
		}
		changes.Stop()
	}
}

func gone(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}

// add keeps a version.
func (r *recorder) add(kind string, object client.Object, isGone, missed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tracks[kind] == nil {
		r.tracks[kind] = map[client.ObjectKey][]seen{}
	}
	key, at := client.ObjectKeyFromObject(object), time.Now()
	track := r.tracks[kind][key]
	if n := len(track); n > 0 {
		if track[n-1].revision >= revisionOf(object) && !isGone {
			return
		}
		if sooner := track[n-1].at.Add(time.Millisecond); missed && at.Before(sooner) { // Between two versions there is time.
			at = sooner
		}
	}
	r.last = at
	r.tracks[kind][key] = append(track, seen{revision: revisionOf(object), at: at, gone: isGone, missed: missed, object: object})
}

// replace takes what a list says after versions may have been missed.
func (r *recorder) replace(kind string, list client.ObjectList) {
	there := map[client.ObjectKey]client.Object{}
	_ = meta.EachListItem(list.DeepCopyObject(), func(item runtime.Object) error {
		there[client.ObjectKeyFromObject(item.(client.Object))] = item.(client.Object)
		return nil
	})
	for key, track := range r.of(kind) {
		last := track[len(track)-1]
		if now := there[key]; !last.gone && (now == nil || now.GetUID() != last.object.GetUID()) {
			r.end(kind, last.object)
		}
	}
	for _, object := range there {
		r.add(kind, object, false, true)
	}
}

// end adds how something went of which the end was missed: what has a finalizer was first about to go.
func (r *recorder) end(kind string, object client.Object) {
	if len(object.GetFinalizers()) > 0 && object.GetDeletionTimestamp() == nil {
		object = following(object)
		object.SetDeletionTimestamp(new(metav1.Now()))
		r.add(kind, object, false, true)
	}
	r.add(kind, following(object), true, true)
}

// following is an object at its next version.
func following(object client.Object) client.Object {
	object = object.DeepCopyObject().(client.Object)
	object.SetResourceVersion(strconv.FormatUint(revisionOf(object)+1, 10))
	return object
}

// of are all versions of a kind.
func (r *recorder) of(kind string) map[client.ObjectKey][]seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[client.ObjectKey][]seen{}
	for key, track := range r.tracks[kind] {
		all[key] = slices.Clip(track)
	}
	return all
}

// missed tells whether versions of an object may not have been told since the last quiet point, because a watch had to begin anew:
// then nobody knows from when on what was declared.
func (r *recorder) missed(kind, name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.tracks[kind][client.ObjectKey{Namespace: namespace, Name: name}], func(v seen) bool { return v.missed })
}

// now is the last version of an object that was told of; nil where there is none any more.
func (r *recorder) now(kind, name string) client.Object {
	r.mu.Lock()
	defer r.mu.Unlock()
	track := r.tracks[kind][client.ObjectKey{Namespace: namespace, Name: name}]
	if n := len(track); n > 0 && !track[n-1].gone {
		return track[n-1].object
	}
	return nil
}

// forget drops all versions but the last, and all of what is gone.
func (r *recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, tracks := range r.tracks {
		for key, track := range tracks {
			last := track[len(track)-1]
			if last.gone {
				delete(tracks, key)
				continue
			}
			last.missed = false // From here on everything is told.
			tracks[key] = []seen{last}
		}
	}
}

// restSince is when the last change was told of.
func (r *recorder) restSince() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func revisionOf(object client.Object) uint64 {
	revision, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0
	}
	return revision
}

func recordOf(t *v1alpha1.Transition) record {
	number, _ := strconv.Atoi(t.Name[strings.LastIndex(t.Name, ".")+1:])
	return record{
		number: number, name: t.Name, uid: string(t.Spec.Subject.UID), from: t.Spec.From, to: t.Spec.To, cause: t.Spec.Cause.Type,
		time: t.Spec.Time.Time, observed: t.Spec.ObservedTime.Time, created: t.CreationTimestamp.Time,
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

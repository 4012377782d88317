package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers"
	"tenure.dev/tenure/hack/example"
)

// registry is where the API server keeps objects in etcd.
const registry = "/registry/"

// neverMind is an expiration that does not come while anything is measured.
var neverMind = time.Date(2041, time.March, 7, 11, 22, 33, 0, time.UTC)

// mould is what the API server stores about one user for whom the operator has done everything, from which as many others
// are cast as are wanted. They are put into etcd directly: through the API server a hundred thousand would take an hour.
type mould struct {
	name    string
	records []record
}

// record is one stored object.
type record struct {
	kind  string
	key   string
	value string              // of custom resources: JSON
	bound *rbacv1.RoleBinding // of RoleBindings
	uid   types.UID
}

// Kinds of records.
const (
	users       = "users"
	memberships = "memberships"
	transitions = "transitions"
	bindings    = "rolebindings"
)

// person is one who was cast.
type person struct {
	name     string
	revision int64 // the resourceVersion of everything about them

	// replaced says what stands for what in texts about the mould.
	replaced *strings.Replacer

	uids map[string][]types.UID // by kind
}

func (p person) version() string { return fmt.Sprint(p.revision) }

// newMould creates a user in groups through the API, waits until the operator has nothing more to do about them, and reads
// what is stored.
func (s *scene) newMould(ctx context.Context, name string, expires bool, groups ...string) (*mould, error) {
	user := &v1alpha1.User{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: organization},
		Spec: v1alpha1.UserSpec{
			UserName: name + "@acme.example", Email: name + "@acme.example", DisplayName: "Hand of the Crew", UserType: "Employee",
			Attributes: map[string]v1alpha1.AttributeValue{"department": "Sales", "site": "Bergen"},
		},
	}
	if expires {
		user.Spec.ExpirationTime = metav1.NewTime(neverMind)
	}
	if err := s.admin.Create(ctx, user); err != nil {
		return nil, fmt.Errorf("creating the mould: %w", err)
	}
	for _, group := range groups {
		if err := s.admin.Create(ctx, &v1alpha1.Membership{
			ObjectMeta: metav1.ObjectMeta{Name: name + "-" + group, Namespace: organization},
			Spec: v1alpha1.MembershipSpec{
				UserRef: v1alpha1.Reference{Name: name}, GroupRef: v1alpha1.Reference{Name: group}, Roles: []string{role},
			},
		}); err != nil {
			return nil, fmt.Errorf("creating the mould: %w", err)
		}
	}
	if err := s.eventually(ctx, "the mould to be done", func(ctx context.Context) (bool, error) { return s.done(ctx, name, groups) }); err != nil {
		return nil, err
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	return s.read(ctx, name, groups)
}

// done tells whether a user and its memberships have what they shall have.
func (s *scene) done(ctx context.Context, name string, groups []string) (bool, error) {
	user := &v1alpha1.User{}
	if err := s.admin.Get(ctx, client.ObjectKey{Namespace: organization, Name: name}, user); err != nil {
		return false, fmt.Errorf("looking at the mould: %w", err)
	}
	if int(user.Status.Memberships.Active) != len(groups) || !meta.IsStatusConditionTrue(user.Status.Conditions, v1alpha1.ConditionReady) {
		return false, nil
	}
	for _, group := range groups {
		m := &v1alpha1.Membership{}
		if err := s.admin.Get(ctx, client.ObjectKey{Namespace: organization, Name: name + "-" + group}, m); err != nil {
			return false, fmt.Errorf("looking at the mould: %w", err)
		}
		if m.Status.State != v1alpha1.StateActive || !meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.ConditionReady) {
			return false, nil
		}
	}
	return true, nil
}

// read reads what is stored about a user.
func (s *scene) read(ctx context.Context, name string, groups []string) (*mould, error) {
	m := &mould{name: name}
	custom := func(kind, object string) string {
		return registry + v1alpha1.GroupVersion.Group + "/" + kind + "/" + organization + "/" + object
	}
	keys := [][2]string{{users, custom(users, name)}, {transitions, custom(transitions, "user."+name+".1")}}
	for _, group := range groups {
		keys = append(keys, [2]string{memberships, custom(memberships, name+"-"+group)},
			[2]string{transitions, custom(transitions, "membership."+name+"-"+group+".1")})
	}
	var granted rbacv1.RoleBindingList
	if err := s.admin.List(ctx, &granted, client.InNamespace(target), client.MatchingLabels{v1alpha1.LabelUser: name}); err != nil {
		return nil, fmt.Errorf("looking for what the mould is granted: %w", err)
	}
	if len(granted.Items) != len(groups) {
		return nil, fmt.Errorf("the mould is in %d groups and has %d RoleBindings", len(groups), len(granted.Items))
	}
	for i := range granted.Items {
		keys = append(keys, [2]string{bindings, registry + bindings + "/" + target + "/" + granted.Items[i].Name})
	}
	for _, key := range keys {
		found, err := s.store.Get(ctx, key[1])
		if err != nil {
			return nil, fmt.Errorf("reading %s from etcd: %w", key[1], err)
		}
		if len(found.Kvs) != 1 {
			return nil, fmt.Errorf("reading %s from etcd: it is not there", key[1])
		}
		r, err := decode(key[0], key[1], found.Kvs[0].Value)
		if err != nil {
			return nil, err
		}
		m.records = append(m.records, r)
	}
	return m, nil
}

// stored is how the API server encodes its own kinds.
var stored = func() *protobuf.Serializer {
	scheme := controllers.Scheme()
	return protobuf.NewSerializer(scheme, scheme)
}()

func decode(kind, key string, value []byte) (record, error) {
	r := record{kind: kind, key: key}
	if kind == bindings {
		r.bound = &rbacv1.RoleBinding{}
		if _, _, err := stored.Decode(value, nil, r.bound); err != nil {
			return r, fmt.Errorf("decoding %s: %w", key, err)
		}
		r.bound.SetGroupVersionKind(rbacv1.SchemeGroupVersion.WithKind("RoleBinding"))
		r.uid = r.bound.UID
		return r, nil
	}
	object := &metav1.PartialObjectMetadata{}
	if err := json.Unmarshal(value, object); err != nil {
		return r, fmt.Errorf("decoding %s: %w", key, err)
	}
	r.value, r.uid = string(value), object.UID
	return r, nil
}

// cast makes the records of one more person, who expires at an instant.
func (m *mould) cast(name string, at time.Time, kinds ...string) (person, []clientv3.Op, error) {
	p := person{name: name, uids: map[string][]types.UID{}}
	pairs := []string{m.name, name}
	for i := range m.records {
		uid := uuid.NewUUID()
		kind := m.records[i].kind
		p.uids[kind] = append(p.uids[kind], uid)
		pairs = append(pairs, string(m.records[i].uid), string(uid))
	}
	if !at.IsZero() {
		pairs = append(pairs, neverMind.Format(time.RFC3339), at.UTC().Format(time.RFC3339), inWords(neverMind), inWords(at))
	}
	p.replaced = strings.NewReplacer(pairs...)
	var puts []clientv3.Op
	for i := range m.records {
		r := &m.records[i]
		if len(kinds) > 0 && !slices.Contains(kinds, r.kind) {
			continue
		}
		value := p.replaced.Replace(r.value)
		if r.bound != nil {
			var err error
			if value, err = recast(r.bound, p.replaced); err != nil {
				return p, nil, err
			}
		}
		puts = append(puts, clientv3.OpPut(p.replaced.Replace(r.key), value))
	}
	return p, puts, nil
}

// inWords is how the operator writes an instant for people.
func inWords(at time.Time) string {
	if at.Second() == 0 {
		return at.UTC().Format("2006-01-02 15:04Z")
	}
	return at.UTC().Format("2006-01-02 15:04:05Z")
}

func recast(bound *rbacv1.RoleBinding, replaced *strings.Replacer) (string, error) {
	b := bound.DeepCopy()
	b.Name, b.UID = replaced.Replace(b.Name), types.UID(replaced.Replace(string(b.UID)))
	for key, value := range b.Labels {
		b.Labels[key] = replaced.Replace(value)
	}
	for i := range b.Subjects {
		b.Subjects[i].Name = replaced.Replace(b.Subjects[i].Name)
	}
	return encode(b)
}

func encode(object runtime.Object) (string, error) {
	var encoded bytes.Buffer
	if err := stored.Encode(object, &encoded); err != nil {
		return "", fmt.Errorf("encoding a RoleBinding: %w", err)
	}
	return encoded.String(), nil
}

// nameIn is the name of one of a crowd.
func nameIn(crowd string, i int) string { return fmt.Sprintf("%s-%06d", crowd, i) }

// never is for those who expire never mind when.
func never(int) time.Time { return time.Time{} }

// allAt is for those who all expire at one instant.
func allAt(instant time.Time) func(int) time.Time {
	return func(int) time.Time { return instant }
}

// pour casts a crowd, of which each expires at an instant, and puts it into etcd. The operator must not run: it would see
// people without what belongs to them. Only records of some kinds are put where they are named.
func (s *scene) pour(ctx context.Context, m *mould, crowd string, size int, at func(int) time.Time, kinds ...string) ([]person, error) {
	const operations, writers = 120, 4 // etcd takes 128 operations in one transaction
	together := max(1, operations/len(m.records))
	people := make([]person, size)
	group, writing := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for begin := 0; begin < size; begin += together {
		group.Go(func() error {
			var all []clientv3.Op
			end := min(begin+together, size)
			for i := begin; i < end; i++ {
				p, puts, err := m.cast(nameIn(crowd, i), at(i), kinds...)
				if err != nil {
					return err
				}
				people[i], all = p, append(all, puts...)
			}
			revision, err := s.put(writing, all)
			for i := begin; i < end; i++ {
				people[i].revision = revision
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return people, s.awaitServed(ctx, m.kinds(kinds)...)
}

// kinds are those of the mould, or some of them.
func (m *mould) kinds(some []string) []string {
	if len(some) > 0 {
		return some
	}
	var all []string
	for i := range m.records {
		if !slices.Contains(all, m.records[i].kind) {
			all = append(all, m.records[i].kind)
		}
	}
	return all
}

func (s *scene) put(ctx context.Context, puts []clientv3.Op) (revision int64, err error) {
	done, err := s.store.Txn(ctx).Then(puts...).Commit()
	if err != nil {
		return 0, fmt.Errorf("putting objects into etcd: %w", err)
	}
	return done.Header.Revision, nil
}

// sweep takes a crowd out of etcd, with all that is about them. The operator must not run.
func (s *scene) sweep(ctx context.Context, crowd string) error {
	custom := registry + v1alpha1.GroupVersion.Group + "/"
	for _, prefix := range []string{
		custom + users + "/" + organization + "/" + crowd + "-",
		custom + memberships + "/" + organization + "/" + crowd + "-",
		custom + transitions + "/" + organization + "/user." + crowd + "-",
		custom + transitions + "/" + organization + "/membership." + crowd + "-",
		registry + bindings + "/" + target + "/tenure:" + organization + ":" + crowd + "-",
		registry + example.Work.Group + "/" + worksResource + "/" + organization + "/" + crowd + "-",
		registry + "events/" + organization + "/",
	} {
		if _, err := s.store.Delete(ctx, prefix, clientv3.WithPrefix()); err != nil {
			return fmt.Errorf("clearing %s from etcd: %w", prefix, err)
		}
	}
	return s.awaitServed(ctx, users, memberships, transitions, bindings)
}

// resourceOf is what the API server calls the records of a kind, and where they are.
func resourceOf(kind string) (schema.GroupVersionResource, string) {
	switch kind {
	case bindings:
		return rbacv1.SchemeGroupVersion.WithResource(bindings), target
	case worksResource:
		return schema.GroupVersionResource{Group: example.Work.Group, Version: "v1", Resource: worksResource}, organization
	default:
		return v1alpha1.GroupVersion.WithResource(kind), organization
	}
}

// awaitServed waits until the API server shows what is in etcd by now, to those who ask its cache too.
func (s *scene) awaitServed(ctx context.Context, kinds ...string) error {
	now, err := s.store.Get(ctx, registry, clientv3.WithKeysOnly(), clientv3.WithLimit(1))
	if err != nil {
		return fmt.Errorf("asking etcd for its revision: %w", err)
	}
	for _, kind := range kinds {
		resource, namespace := resourceOf(kind)
		if err := s.eventually(ctx, kind+" to be served", func(ctx context.Context) (bool, error) {
			_, err := s.metadata.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{
				Limit: 1, ResourceVersion: fmt.Sprint(now.Header.Revision), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
			})
			if apierrors.IsNotFound(err) {
				return true, nil
			}
			return err == nil, err
		}); err != nil {
			return err
		}
	}
	return nil
}

// counted is how many objects of a kind are served of a crowd: the population is not trusted, but counted.
func (s *scene) counted(ctx context.Context, kind string) (int, error) {
	resource, namespace := resourceOf(kind)
	list, err := s.metadata.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return 0, fmt.Errorf("counting %s: %w", kind, err)
	}
	count := len(list.Items)
	if list.RemainingItemCount != nil {
		count += int(*list.RemainingItemCount)
	}
	return count, nil
}

// expectServed sees that so many users, and what belongs to them, are served.
func (s *scene) expectServed(ctx context.Context, least map[string]int) error {
	var failures []error
	for kind, n := range least {
		count, err := s.counted(ctx, kind)
		if err == nil && count < n {
			err = fmt.Errorf("%d %s are served instead of %d", count, kind, n)
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// grantee is the user of whose membership in a group a RoleBinding of that name is: tenure:acme:alice-crew:0123456789.
func grantee(binding string) string {
	parts := strings.Split(binding, ":")
	if len(parts) != 4 {
		return ""
	}
	return strings.TrimSuffix(parts[2], "-"+crew)
}

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"tenure.dev/tenure/api/v1alpha1"
)

const storedUser = `{"apiVersion":"tenure.dev/v1alpha1","kind":"User","metadata":{"annotations":{"tenure.dev/identity":"u-1"},"generation":1,` +
	`"name":"mould-000000","namespace":"acme","uid":"u-1"},"spec":{"desiredStatus":"Active","expirationTime":"2041-03-07T11:22:33Z","userName":"mould-000000@acme.example"},` +
	`"status":{"next":"Expired on 2041-03-07 11:22:33Z","state":"Activated"}}`

func someMould(g *WithT) *mould {
	bound := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: target, Name: "tenure:acme:mould-000000-crew:0123456789", UID: "b-1",
			Labels: map[string]string{v1alpha1.LabelUser: "mould-000000"},
		},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "mould-000000@acme.example"}},
	}
	bound.SetGroupVersionKind(rbacv1.SchemeGroupVersion.WithKind("RoleBinding"))
	encoded, err := encode(bound)
	g.Expect(err).NotTo(HaveOccurred())
	user, err := decode(users, registry+"tenure.dev/users/acme/mould-000000", []byte(storedUser))
	g.Expect(err).NotTo(HaveOccurred())
	binding, err := decode(bindings, registry+"rolebindings/"+target+"/"+bound.Name, []byte(encoded))
	g.Expect(err).NotTo(HaveOccurred())
	return &mould{name: "mould-000000", records: []record{user, binding}}
}

func TestCast(t *testing.T) {
	g := NewWithT(t)
	m := someMould(g)
	at := time.Date(2026, time.May, 4, 3, 2, 0, 0, time.UTC)
	p, puts, err := m.cast("storm-000042", at)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(puts).To(HaveLen(2))
	g.Expect(string(puts[0].KeyBytes())).To(Equal("/registry/tenure.dev/users/acme/storm-000042"))
	user := &v1alpha1.User{}
	g.Expect(json.Unmarshal(puts[0].ValueBytes(), user)).To(Succeed())
	g.Expect(user.UID).To(Equal(p.uids[users][0]))
	g.Expect(user.UID).NotTo(BeEquivalentTo("u-1"))
	g.Expect(user.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationIdentity, string(user.UID)))
	g.Expect(user.Spec.UserName).To(Equal("storm-000042@acme.example"))
	g.Expect(user.Spec.ExpirationTime.Time).To(BeTemporally("==", at))
	g.Expect(user.Status.Next).To(Equal("Expired on 2026-05-04 03:02Z"), "as the operator writes it")

	g.Expect(string(puts[1].KeyBytes())).To(Equal("/registry/rolebindings/acme-crew/tenure:acme:storm-000042-crew:0123456789"))
	cast, err := decode(bindings, "", puts[1].ValueBytes())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(cast.bound.Name).To(Equal(bindingOf(m, p)))
	g.Expect(cast.bound.UID).To(Equal(p.uids[bindings][0]))
	g.Expect(cast.bound.Labels).To(HaveKeyWithValue(v1alpha1.LabelUser, "storm-000042"))
	g.Expect(cast.bound.Subjects[0].Name).To(Equal("storm-000042@acme.example"))
	g.Expect(m.records[1].bound.Labels).To(HaveKeyWithValue(v1alpha1.LabelUser, "mould-000000"), "the mould is as it was")

	other, puts, err := m.cast("storm-000043", time.Time{}, users)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(puts).To(HaveLen(1), "of the kinds that are asked for")
	g.Expect(string(puts[0].ValueBytes())).To(ContainSubstring("2041-03-07 11:22:33Z"))
	g.Expect(other.uids[users]).NotTo(Equal(p.uids[users]))
	g.Expect(m.back(p).Replace(string(p.uids[users][0]) + " storm-000042-crew")).To(Equal("u-1 mould-000000-crew"))
	g.Expect(m.kinds(nil)).To(Equal([]string{users, bindings}))
}

func TestLeaving(t *testing.T) {
	g := NewWithT(t)
	leaving, err := someMould(g).leaving()
	g.Expect(err).NotTo(HaveOccurred())
	user := &v1alpha1.User{}
	g.Expect(json.Unmarshal([]byte(leaving.value), user)).To(Succeed())
	g.Expect(user.Spec.DesiredStatus).To(Equal(v1alpha1.UserDesiredDeactivated))
	g.Expect(user.Generation).To(BeEquivalentTo(2))
	g.Expect(leaving.key).To(HaveSuffix("/mould-000000"))
}

func TestNames(t *testing.T) {
	g := NewWithT(t)
	g.Expect(grantee("tenure:acme:storm-000042-crew:0123456789")).To(Equal("storm-000042"))
	g.Expect(grantee("view")).To(BeEmpty())
	g.Expect(isOf("storm")("storm-000042")).To(BeTrue())
	g.Expect(isOf("storm")("storms-000042")).To(BeFalse())
	g.Expect(isOf("storm")("storm")).To(BeFalse())
	g.Expect(nameIn("storm", 42)).To(Equal("storm-000042"))
	g.Expect(pathOf(users, "alice", "status")).To(Equal("/apis/tenure.dev/v1alpha1/namespaces/acme/users/alice/status"))
	g.Expect(pathOf(bindings, "")).To(Equal("/apis/rbac.authorization.k8s.io/v1/namespaces/acme-crew/rolebindings"))
	g.Expect(subjectOf(&metav1.ObjectMeta{Name: "b", Labels: map[string]string{v1alpha1.LabelUser: "alice"}})).To(Equal("alice"))
	g.Expect(subjectOf(&metav1.ObjectMeta{Name: "alice"})).To(Equal("alice"))
	at := nextInstant(0)
	g.Expect(at.Nanosecond()).To(BeZero())
	g.Expect(time.Until(at)).To(BeNumerically(">", 0))
}

func TestStatusIn(t *testing.T) {
	g := NewWithT(t)
	status, err := statusIn([]byte(storedUser))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(status)).To(Equal(`{"status":{"next":"Expired on 2041-03-07 11:22:33Z","state":"Activated"}}`))
}

func TestWorkChange(t *testing.T) {
	g := NewWithT(t)
	m := &mould{name: "mould-000000", records: []record{
		{kind: users, uid: "u-1"},
		{kind: worksResource, uid: "w-1", value: `{"metadata":{"name":"mould-000000-w0","uid":"w-1"},"spec":{"owner":"mould-000000","text":"x"}}`},
	}}
	p, _, err := m.cast("bulk-000001", time.Time{})
	g.Expect(err).NotTo(HaveOccurred())
	now := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "bulk-000001-w0", "annotations": map[string]any{v1alpha1.AnnotationTransition: "user.bulk-000001.2"}},
		"spec":     map[string]any{"owner": "olivia", "text": "x"},
	}}
	change, err := workChange(m.records, 0, m.back(p), now)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(change).To(MatchJSON(`{"metadata":{"annotations":{"tenure.dev/transition":"user.mould-000000.2"}},"spec":{"owner":"olivia"}}`))
}

func TestSights(t *testing.T) {
	g := NewWithT(t)
	g.Expect(closed.shows(watch.Event{Type: watch.Deleted})).To(BeTrue())
	g.Expect(closed.shows(watch.Event{Type: watch.Added})).To(BeFalse())
	g.Expect(sight{kind: users}.shows(watch.Event{Type: watch.Added})).To(BeTrue())
	g.Expect(sight{kind: users}.shows(watch.Event{Type: watch.Modified})).To(BeFalse())
	transition := &v1alpha1.Transition{}
	g.Expect(sight{kind: ledgers}.shows(watch.Event{Type: watch.Added, Object: transition})).To(BeFalse())
	transition.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue}}
	g.Expect(sight{kind: ledgers}.shows(watch.Event{Type: watch.Modified, Object: transition})).To(BeTrue())
}

func TestObserver(t *testing.T) {
	g := NewWithT(t)
	o := &observer{seen: map[string]map[string]time.Time{users: {}, bindings: {}}, changed: make(chan struct{}, 1)}
	began := time.Now()
	for i := range 3 {
		o.note(sight{kind: users, only: isOf("storm")}, nameIn("storm", i))
		o.note(sight{kind: users, only: isOf("storm")}, nameIn("other", i))
	}
	first := o.when(users, "storm-000000")
	o.note(sight{kind: users}, "storm-000000")
	g.Expect(o.when(users, "storm-000000")).To(Equal(first), "what counts is the first time")
	g.Expect(o.count(users)).To(Equal(3))
	g.Expect(o.last(users)).To(Equal(o.when(users, "storm-000002")))
	g.Expect(o.last(bindings)).To(BeZero())
	g.Expect(o.after(users, always(began))).To(HaveLen(3))
	g.Expect(o.awaitAll(t.Context(), time.Millisecond, 3)).To(MatchError(ContainSubstring("rolebindings:0")))
	for i := range 3 {
		o.note(sight{kind: bindings}, nameIn("storm", i))
	}
	g.Expect(o.awaitAll(t.Context(), time.Second, 3)).To(Succeed())
}

func TestServedLateness(t *testing.T) {
	g := NewWithT(t)
	instant := time.Date(2026, time.May, 4, 3, 2, 1, 0, time.UTC)
	line := func(binding string, code int, after time.Duration) string {
		return fmt.Sprintf(`{"objectRef":{"name":%q},"responseStatus":{"code":%d},"stageTimestamp":%q}`+"\n", binding, code, instant.Add(after).Format(time.RFC3339Nano))
	}
	path := filepath.Join(t.TempDir(), "audit.log")
	g.Expect(os.WriteFile(path, []byte(line("tenure:acme:due-000001-crew:1", 200, 20*time.Millisecond)+
		line("tenure:acme:due-000001-crew:1", 404, time.Second)+line("tenure:acme:else-000001-crew:1", 200, time.Second)), 0o600)).To(Succeed())
	late, err := servedLateness(path, map[string]time.Time{"due-000001": instant})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(late).To(Equal([]float64{20}))
}

func TestParallel(t *testing.T) {
	g := NewWithT(t)
	done := make([]bool, 100)
	g.Expect(parallel(len(done), func(i int) error { done[i] = true; return nil })).To(Succeed())
	g.Expect(done).NotTo(ContainElement(false))
	g.Expect(parallel(10, func(i int) error {
		if i%2 == 0 {
			return os.ErrInvalid
		}
		return nil
	})).To(MatchError(ContainSubstring("5 of 10 failed")))
}

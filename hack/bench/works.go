package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/example"
	"tenure.dev/tenure/hack/local"
)

const (
	worksResource = "works"

	// workPolicy deletes, hands over and unassigns.
	workPolicy = `
serviceAccountName: lifecycle
effects:
- name: deleted
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: "object.spec.class == 'note'", action: Delete}
- name: transferred
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: "object.spec.class == 'deal'", action: Transfer, successors: [Owner]}
- name: unassigned
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.assignee}, action: Unassign}
`
)

// works are the five objects of a user: two are deleted, two handed over, and of one the user is unassigned.
var works = []string{
	`{class: note, owner: %s, title: Notes of the meeting, text: "What was said, and by whom, and what is to be done until when."}`,
	`{class: note, owner: %s, title: More notes, text: "What was said, and by whom, and what is to be done until when."}`,
	`{class: deal, owner: %s, title: Forty chairs, stage: Negotiation, amount: 4000, text: "They want them in green, and soon."}`,
	`{class: deal, owner: %s, title: Four tables, stage: Lead, amount: 2000, text: "They want them round."}`,
	`{class: task, assignee: %s, title: Order the chairs, state: Open, text: "Green ones. Ask for the price of delivery."}`,
}

func workOf(name string, i int) string { return fmt.Sprintf("%s-w%d", name, i) }

// setUpWork makes the kind, lets the operator act on it as a service account, and puts the policy into force.
func (s *scene) setUpWork(ctx context.Context) error {
	definition := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(example.WorkDefinition), &definition.Object); err != nil {
		return fmt.Errorf("reading the definition of Work: %w", err)
	}
	binding := func(role string, subject rbacv1.Subject) *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role, Namespace: organization},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role}, Subjects: []rbacv1.Subject{subject},
		}
	}
	for _, object := range []client.Object{
		definition,
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "lifecycle", Namespace: organization}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "lifecycle", Namespace: organization}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{example.Work.Group}, Resources: []string{worksResource}, Verbs: []string{"get", "list", "watch", "patch", "delete"}},
		}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "impersonate", Namespace: organization}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{"lifecycle"}, Verbs: []string{"impersonate"}},
		}},
		binding("lifecycle", rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: "lifecycle", Namespace: organization}),
		binding("impersonate", rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: local.OperatorAccount, Namespace: local.OperatorNamespace}),
	} {
		if err := s.admin.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
		}
	}
	policy := &v1alpha1.LifecyclePolicy{}
	key := client.ObjectKey{Namespace: organization, Name: policyName}
	if err := s.admin.Get(ctx, key, policy); err != nil {
		return fmt.Errorf("reading the policy: %w", err)
	}
	if err := yaml.UnmarshalStrict([]byte(workPolicy), &policy.Spec); err != nil {
		return fmt.Errorf("reading the policy: %w", err)
	}
	if err := s.admin.Update(ctx, policy); err != nil {
		return fmt.Errorf("writing the policy: %w", err)
	}
	return s.eventually(ctx, "the policy to be in force", func(ctx context.Context) (bool, error) {
		err := s.admin.Get(ctx, key, policy)
		return err == nil && policy.Status.ObservedGeneration == policy.Generation &&
			meta.IsStatusConditionTrue(policy.Status.Conditions, v1alpha1.ConditionReady), err
	})
}

// giveWork adds the five objects to a mould.
func (s *scene) giveWork(ctx context.Context, m *mould) error {
	for i, spec := range works {
		work := &unstructured.Unstructured{}
		var content map[string]any
		if err := yaml.Unmarshal(fmt.Appendf(nil, spec, m.name), &content); err != nil {
			return fmt.Errorf("reading a piece of work: %w", err)
		}
		work.Object = map[string]any{"spec": content}
		work.SetGroupVersionKind(example.Work)
		work.SetNamespace(organization)
		work.SetName(workOf(m.name, i))
		if err := s.admin.Create(ctx, work); err != nil {
			return fmt.Errorf("creating a piece of work: %w", err)
		}
		key := registry + example.Work.Group + "/" + worksResource + "/" + organization + "/" + work.GetName()
		found, err := s.store.Get(ctx, key)
		if err != nil || len(found.Kvs) != 1 {
			return fmt.Errorf("reading %s from etcd: %w", key, err)
		}
		r, err := decode(worksResource, key, found.Kvs[0].Value)
		if err != nil {
			return err
		}
		m.records = append(m.records, r)
	}
	return nil
}

// leaving is the user of the mould as they are stored when somebody has just deactivated them.
func (m *mould) leaving() (*record, error) {
	user := m.record(users)
	var object map[string]any
	if err := json.Unmarshal([]byte(user.value), &object); err != nil {
		return nil, fmt.Errorf("deactivating the mould: %w", err)
	}
	spec, metadata := object["spec"].(map[string]any), object["metadata"].(map[string]any)
	spec["desiredStatus"], spec["reason"] = string(v1alpha1.UserDesiredDeactivated), "Left"
	metadata["generation"] = metadata["generation"].(float64) + 1
	encoded, err := json.Marshal(object)
	return &record{kind: users, key: user.key, value: string(encoded)}, err
}

// deactivate deactivates a whole crowd at once. Through the API server it would take longer than what follows from it.
func (s *scene) deactivate(ctx context.Context, m *mould, crowd []person) (at time.Time, err error) {
	user, err := m.leaving()
	if err != nil {
		return at, err
	}
	at = time.Now()
	group, writing := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	for _, p := range crowd {
		group.Go(func() error {
			// Each at a revision of its own, as the API server would: it takes up a watch after the last revision that it has told.
			_, err := s.put(writing, []clientv3.Op{clientv3.OpPut(p.replaced.Replace(user.key), p.replaced.Replace(user.value))})
			return err
		})
	}
	return at, group.Wait()
}

// piece is one piece of work of somebody.
type piece struct {
	name    string
	uid     types.UID
	version string
	class   int // which of works it is like
}

// piecesOf are the five of somebody who was cast.
func piecesOf(p person) []piece {
	var pieces []piece
	for i, uid := range p.uids[worksResource] {
		pieces = append(pieces, piece{name: workOf(p.name, i), uid: uid, version: p.version(), class: i})
	}
	return pieces
}

// heap puts many pieces of work into etcd for one person.
func (s *scene) heap(ctx context.Context, m *mould, p person, size int) ([]piece, error) {
	const together = 100
	var models []*record
	for i := range m.records {
		if m.records[i].kind == worksResource {
			models = append(models, &m.records[i])
		}
	}
	pieces := make([]piece, size)
	for begin := 0; begin < size; begin += together {
		var puts []clientv3.Op
		end := min(begin+together, size)
		for i := begin; i < end; i++ {
			class := i % len(models)
			model := models[class]
			pieces[i] = piece{name: workOf(p.name, i), uid: uuid.NewUUID(), class: class}
			replaced := strings.NewReplacer(workOf(m.name, class), pieces[i].name, m.name, p.name, string(model.uid), string(pieces[i].uid))
			puts = append(puts, clientv3.OpPut(replaced.Replace(model.key), replaced.Replace(model.value)))
		}
		revision, err := s.put(ctx, puts)
		if err != nil {
			return nil, err
		}
		for i := begin; i < end; i++ {
			pieces[i].version = fmt.Sprint(revision)
		}
	}
	return pieces, s.awaitServed(ctx, worksResource)
}

// learnWork takes down how the operator changed the pieces of work of somebody: for each of the five the patch, empty for
// what it deleted.
func (s *scene) learnWork(ctx context.Context, m *mould, p person) ([]string, error) {
	back := m.back(p)
	var changes []string
	for i := range works {
		work := &unstructured.Unstructured{}
		work.SetGroupVersionKind(example.Work)
		err := s.admin.Get(ctx, client.ObjectKey{Namespace: organization, Name: workOf(p.name, i)}, work)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("learning what the operator does to work: %w", err)
		}
		if err != nil {
			changes = append(changes, "")
			continue
		}
		change, err := workChange(m.records, i, back, work)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// workChange is the patch that leads from a piece of work as it was cast to what it is now.
func workChange(records []record, class int, back *strings.Replacer, now *unstructured.Unstructured) (string, error) {
	var models []*record
	for i := range records {
		if records[i].kind == worksResource {
			models = append(models, &records[i])
		}
	}
	encoded, err := json.Marshal(now)
	if err != nil {
		return "", fmt.Errorf("learning what the operator does to work: %w", err)
	}
	before, err := substance([]byte(models[class].value))
	if err != nil {
		return "", err
	}
	after, err := substance([]byte(back.Replace(string(encoded))))
	if err != nil {
		return "", err
	}
	change, err := jsonpatch.CreateMergePatch(before, after)
	if err != nil {
		return "", fmt.Errorf("learning what the operator does to work: %w", err)
	}
	return string(change), nil
}

// substance is what of an object an effect may change.
func substance(object []byte) ([]byte, error) {
	var parts struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations,omitempty"`
		} `json:"metadata"`
		Spec json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(object, &parts); err != nil {
		return nil, fmt.Errorf("reading a piece of work: %w", err)
	}
	return json.Marshal(parts)
}

// finish does with a piece of work what the operator does, in one locked write.
func (s *scene) finish(ctx context.Context, changes []string, p person, w piece) error {
	change := changes[w.class]
	if change == "" {
		return s.asAdmin.remove(ctx, worksResource, w.name, w.uid, w.version)
	}
	locked := strings.Replace(p.replaced.Replace(change), `"metadata":{`, fmt.Sprintf(`"metadata":{"resourceVersion":%q,`, w.version), 1)
	return s.asAdmin.send(ctx, http.MethodPatch, pathOf(worksResource, w.name), merge, locked)
}

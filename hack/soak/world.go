package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/example"
	"tenure.dev/tenure/hack/local"
)

const (
	namespace = "acme"

	// owner and keeper are administrators to whom nothing happens: what has no other successor goes to the owner.
	owner  = "olivia"
	keeper = "ada"

	// ranked is a user of a middle rank who changes others, and is refused where they rank higher.
	ranked = "mia"

	// outsider is no user of the organization: RBAC alone says what they may do.
	outsider = "hank"
)

// world is everything that a soak runs on, and what it has seen of it.
type world struct {
	options options
	out     io.Writer
	cluster *local.Cluster
	admin   client.WithWatch
	as      map[string]client.Client // who writes, by name

	replicas [2]*replica
	seen     *recorder
	model    *model
	faults   faults

	mu     sync.Mutex
	closed bool // no operation begins
	busy   sync.WaitGroup
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
}

// startWorld starts a cluster with two replicas of the operator and a small organization.
func startWorld(ctx context.Context, o options, out io.Writer) (_ *world, err error) {
	root, err := local.RepositoryRoot()
	if err != nil {
		return nil, err
	}
	w := &world{options: o, out: out, as: map[string]client.Client{}}
	w.cluster, err = local.Start(ctx, local.Options{
		Dir:            filepath.Join(o.folder, "controlplane"),
		APIServerFlags: map[string][]string{"event-ttl": {"4h"}},
		Install:        func(ctx context.Context, c *local.Cluster) error { return c.Install(ctx, root+"/config/local") },
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.cluster.Stop())
		}
	}()
	if err := w.makeClients(); err != nil {
		return nil, err
	}
	for i := range w.replicas {
		if w.replicas[i], err = newReplica(ctx, w.cluster, string(rune('a'+i)), o); err != nil {
			return nil, err
		}
	}
	if err := w.awaitHealth(ctx, time.Minute); err != nil {
		return nil, err
	}
	if err := w.furnish(ctx); err != nil {
		return nil, err
	}
	w.follow(ctx)
	return w, nil
}

// makeClients makes the clients: an administrator of the cluster, and people who act as themselves.
func (w *world) makeClients() error {
	scheme, err := newScheme()
	if err != nil {
		return fmt.Errorf("preparing clients: %w", err)
	}
	config := w.cluster.Admin()
	config.WarningHandler = rest.NoWarnings{}
	if w.admin, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("preparing clients: %w", err)
	}
	w.as["admin"] = w.admin
	people := map[string][]string{owner: {"system:masters"}, keeper: {"system:masters"}, ranked: {"system:masters"}, outsider: nil}
	for _, name := range names[:w.options.people] {
		people[name] = []string{"system:masters"} // RBAC lets them; whether they may change themselves is admission's to say.
	}
	for name, memberOf := range people {
		own := rest.CopyConfig(config)
		own.Impersonate = rest.ImpersonationConfig{UserName: userName(name), Groups: append(memberOf, "system:authenticated")}
		if w.as[name], err = client.New(own, client.Options{Scheme: scheme, Mapper: w.admin.RESTMapper()}); err != nil {
			return fmt.Errorf("preparing a client of %s: %w", name, err)
		}
	}
	return nil
}

func userName(name string) string { return name + "@acme.example" }

// rooms are the namespaces in which each group grants a role, by group.
var rooms = map[string]string{"crew": "crew-room", "board": "board-room", "red": "red-room", "blue": "blue-room"}

// teams are the groups that an effect of the policy takes people out of.
var teams = map[string]bool{"red": true, "blue": true}

// granted are the roles that a role in a group grants.
var granted = map[string]string{"Member": "view", "Lead": "edit", "Chair": "view"}

const furniture = `
apiVersion: v1
kind: Namespace
metadata: {name: acme}
---
` + example.WorkDefinition + `---
apiVersion: v1
kind: ServiceAccount
metadata: {name: lifecycle, namespace: acme}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: lifecycle, namespace: acme}
rules:
- {apiGroups: [work.example.com], resources: [works], verbs: [get, list, watch, patch, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: lifecycle, namespace: acme}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: lifecycle}
subjects: [{kind: ServiceAccount, name: lifecycle, namespace: acme}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: impersonate, namespace: acme}
rules:
- {apiGroups: [""], resources: [serviceaccounts], resourceNames: [lifecycle], verbs: [impersonate]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: impersonate, namespace: acme}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: impersonate}
subjects: [{kind: ServiceAccount, name: tenure-controller-manager, namespace: tenure-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: outsider, namespace: acme}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: tenure-power-user}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: hank@acme.example}]
`

// furnish creates the organization, and waits until it is at rest.
func (w *world) furnish(ctx context.Context) error {
	var manifests strings.Builder
	manifests.WriteString(furniture)
	for _, room := range rooms {
		manifests.WriteString("---\napiVersion: v1\nkind: Namespace\nmetadata: {name: " + room + ", annotations: {tenure.dev/grants-from: acme}}\n")
	}
	if err := retried(ctx, func() error {
		_, _, err := w.kubectl(ctx, "", manifests.String(), "apply", "--server-side", "--filename=-")
		return err
	}); err != nil {
		return err
	}
	if _, _, err := w.cluster.Kubectl(ctx, nil, nil, "wait", "--for=condition=Established", "crd/works.work.example.com", "--timeout=30s"); err != nil {
		return err
	}
	organization := &v1alpha1.Organization{
		ObjectMeta: metav1.ObjectMeta{Name: namespace, Namespace: namespace},
		Spec: v1alpha1.OrganizationSpec{
			DisplayName: "Acme Ltd", OwnerRef: v1alpha1.Reference{Name: owner}, DefaultPolicyRef: v1alpha1.Reference{Name: "default"},
		},
	}
	policy, err := policyOf(0)
	if err != nil {
		return err
	}
	objects := []client.Object{organization, policy}
	for name, role := range map[string]string{owner: "Owner", keeper: "Admin", ranked: "Manager"} {
		objects = append(objects, newUser(name, role))
	}
	for group, room := range rooms {
		objects = append(objects, newGroup(group, room))
	}
	for _, object := range objects {
		if err := retried(ctx, func() error { return client.IgnoreAlreadyExists(w.admin.Create(ctx, object)) }); err != nil {
			return fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
		}
	}
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := w.admin.Get(ctx, client.ObjectKeyFromObject(policy), policy)
		return err == nil && len(policy.Status.Conditions) > 0 && policy.Status.Conditions[0].Status == metav1.ConditionTrue, nil
	})
}

// retried tries until it succeeds: the cluster may come to know of what it needs somewhat later.
func retried(ctx context.Context, do func() error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		last = do()
		return last == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}

func newUser(name, role string) *v1alpha1.User {
	return &v1alpha1.User{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: users},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec:       v1alpha1.UserSpec{UserName: userName(name), Email: userName(name), UserType: "Employee", Role: role},
	}
}

func newGroup(name, room string) *v1alpha1.Group {
	group := &v1alpha1.Group{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Spec: v1alpha1.GroupSpec{Type: "Program"}}
	if teams[name] {
		group.Spec.Type = "Team"
	}
	grant := func(role string) []v1alpha1.Grant {
		return []v1alpha1.Grant{{RoleRef: v1alpha1.RoleReference{Kind: v1alpha1.RoleKindClusterRole, Name: granted[role]}, Namespaces: []string{room}}}
	}
	group.Spec.Roles = []v1alpha1.GroupRole{{Name: "Member", Grants: grant("Member")}, {Name: "Lead", Grants: grant("Lead")}}
	if name == "board" {
		group.Spec.Roles = append(group.Spec.Roles, v1alpha1.GroupRole{Name: "Chair", MinimumActive: new(int32(1)), Grants: grant("Chair")})
	}
	return group
}

func newWork(name string) *unstructured.Unstructured {
	work := &unstructured.Unstructured{}
	work.SetGroupVersionKind(example.Work)
	work.SetNamespace(namespace)
	work.SetName(name)
	return work
}

// effects on work, by its type, and in which states of its owner.
const effects = `
serviceAccountName: lifecycle
messages: {suspended: "%s"}
guards: {leader: Allow}
effects:
- name: tasks
  on: [Deactivated]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: object.spec.type == 'task', action: Transfer, successors: [Successor, Manager, Owner]}
- name: files
  on: [Deactivated, Suspended]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: object.spec.type == 'file', action: Unassign}
- name: cards
  on: [Expired, Suspended]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: object.spec.type == 'card', action: Patch, patch: {spec: {archived: "%s"}}}
%s- name: posts
  on: [Removed]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: object.spec.type == 'post', action: Anonymize, fields: [{path: spec.owner, value: Removed User}]}
- name: teams
  on: [Deactivated]
  memberships: {groupTypes: [Team], action: Remove}
- name: leads
  on: [Deactivated, Expired, Suspended]
  relations: {kinds: [Leader], action: Transfer, successors: [Successor, Owner]}
`

const notes = `- name: notes
  on: [Deactivated, Expired]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: object.spec.type == 'note', action: Delete}
`

// policyOf is the policy after so many edits.
func policyOf(edit int) (*v1alpha1.LifecyclePolicy, error) {
	policy := &v1alpha1.LifecyclePolicy{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: namespace}}
	forNotes := notes
	if edit%4 == 3 {
		forNotes = ""
	}
	text := fmt.Sprintf(effects, fmt.Sprintf("Call us (%d)", edit), fmt.Sprintf("by edit %d", edit/2), forNotes)
	if err := yaml.UnmarshalStrict([]byte(text), &policy.Spec); err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	return policy, nil
}

// mayListPods asks the API server.
func (w *world) mayListPods(ctx context.Context, name, room string) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:               userName(name),
		Groups:             []string{"system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "list", Resource: "pods", Namespace: room},
	}}
	err := w.admin.Create(ctx, review)
	return review.Status.Allowed, err
}

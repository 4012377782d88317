package slim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/slim"
)

// What is left of a User is, of some 2,000 bytes (more in a small crowd, which has less in common): the Go struct (904 bytes, for which the runtime gives 1,024), the map of its
// annotations (336, for the identity is another one in each), the conditions (288, and 80 of text with its own dates), its
// names and UID (150), and its place in the store (100).
func TestHeapOfOneObject(t *testing.T) {
	for _, m := range []struct {
		kind  string
		of    func(i int) client.Object
		crowd int
		most  int64
	}{
		{"User", user, 4_000, 2300},
		{"Membership", membership, 1_000, 1950},
		{"Transition without a plan", transition, 1_000, 1100},
		{"Transition with a plan", cascade, 1_000, 3300},
		{"RoleBinding", binding, 1_000, 1200},
	} {
		t.Run(m.kind, func(t *testing.T) {
			sent := make([][]byte, m.crowd)
			for i := range sent {
				var err error
				if sent[i], err = json.Marshal(m.of(i)); err != nil {
					t.Fatal(err)
				}
			}
			kind := reflect.TypeOf(m.of(0))
			before := heapOf(t, sent, cache.TransformStripManagedFields(), nil)
			after := heapOf(t, sent, slim.Transform(), nil)
			indexed := heapOf(t, sent, slim.Transform(), kind)
			t.Logf("%s: %d bytes of heap for each, %d before; its indexes take %d more", m.kind, after, before, indexed-after)
			if after > m.most {
				t.Errorf("%d bytes of heap for each, want at most %d", after, m.most)
			}
			if after > before*9/10 {
				t.Errorf("%d bytes of heap for each, and %d without any of it", after, before)
			}
		})
	}
}

// heapOf is what one object takes in the store of an informer that decoded it, with the indexes of a kind.
func heapOf(t *testing.T, sent [][]byte, transform toolscache.TransformFunc, kind reflect.Type) int64 {
	t.Helper()
	indexers := toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc}
	if err := index.Register(t.Context(), indexesOf{kind: kind, indexers: indexers}); err != nil {
		t.Fatal(err)
	}
	store := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, indexers)
	decoder := serializer.NewCodecFactory(controllers.Scheme()).UniversalDeserializer()
	before := heap()
	for i := range sent {
		object, _, err := decoder.Decode(sent[i], nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := transform(object)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Add(kept); err != nil {
			t.Fatal(err)
		}
	}
	after := heap()
	runtime.KeepAlive(store)
	runtime.KeepAlive(transform)
	return int64(after-before) / int64(len(sent)) //nolint:gosec // bounded
}

// heap is what is in use. The first collection may leave what finalizers hold, and what began while it ran.
func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// indexesOf gives an informer's store the indexes of a kind, as the manager's cache does.
type indexesOf struct {
	kind     reflect.Type
	indexers toolscache.Indexers
}

func (x indexesOf) IndexField(_ context.Context, object client.Object, field string, keys client.IndexerFunc) error {
	if reflect.TypeOf(object) != x.kind {
		return nil
	}
	x.indexers["field:"+field] = func(o any) ([]string, error) {
		var all []string
		for _, key := range keys(o.(client.Object)) {
			all = append(all, o.(client.Object).GetNamespace()+"/"+key, "__all_namespaces/"+key)
		}
		return all, nil
	}
	return nil
}

// imported is when the first of a crowd came; each of the others has a second of its own, and shares no dates.
var imported = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

const administrator = `{"username":"sync@acme.example","groups":["system:serviceaccounts","system:serviceaccounts:acme-sync","system:authenticated"]}`

func meta(kind, name string, i int, second time.Time, annotations, labels map[string]string) metav1.ObjectMeta {
	fields := func(n int) *metav1.FieldsV1 {
		return metav1.NewFieldsV1(`{"f:spec":{` + strings.TrimSuffix(strings.Repeat(`"f:someField":{},`, n), ",") + `}}`)
	}
	return metav1.ObjectMeta{
		Name: name, Namespace: "acme", UID: uid(kind, i), ResourceVersion: fmt.Sprint(1_000_000 + i), Generation: 1,
		CreationTimestamp: metav1.NewTime(second), Annotations: annotations, Labels: labels,
		ManagedFields: []metav1.ManagedFieldsEntry{
			{Manager: "kubectl-client-side-apply", Operation: "Update", APIVersion: "tenure.dev/v1alpha1", FieldsType: "FieldsV1", FieldsV1: fields(10)},
			{Manager: "manager", Operation: "Update", APIVersion: "tenure.dev/v1alpha1", FieldsType: "FieldsV1", FieldsV1: fields(4)},
			{Manager: "manager", Operation: "Update", APIVersion: "tenure.dev/v1alpha1", FieldsType: "FieldsV1", FieldsV1: fields(25), Subresource: "status"},
		},
	}
}

func uid(kind string, i int) types.UID {
	return types.UID(fmt.Sprintf("5f0c3a9e-%04x-4b7d-9c21-%012x", len(kind), i))
}

func conditions(second time.Time, all ...metav1.Condition) []metav1.Condition {
	for i := range all {
		all[i].ObservedGeneration, all[i].LastTransitionTime = 1, metav1.NewTime(second)
	}
	return all
}

var (
	ready      = metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReconciled, Message: "What is declared is in force"}
	notBlocked = metav1.Condition{Type: v1alpha1.ConditionBlocked, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNotBlocked, Message: "No guard stands in the way"}
	resolved   = metav1.Condition{Type: v1alpha1.ConditionResolvedRefs, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonResolved, Message: "User and group exist"}
)

func active(second, end time.Time) metav1.Condition {
	return metav1.Condition{
		Type: v1alpha1.ConditionActive, Status: metav1.ConditionTrue, Reason: "Activated",
		Message: "Activated since " + second.Format("2006-01-02 15:04:05Z") + "; Expired on " + end.Format("2006-01-02 15:04Z"),
	}
}

func user(i int) client.Object {
	second := imported.Add(time.Duration(i) * time.Second)
	name := fmt.Sprintf("user-%06d", i)
	end := imported.AddDate(0, 0, 30+i%300)
	u := &v1alpha1.User{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "User"},
		Spec: v1alpha1.UserSpec{
			UserName: name + "@acme.example", DisplayName: fmt.Sprintf("Kate Kolb %d", i), Email: name + "@acme.example", UserType: "Employee", Role: "Member",
			ManagerRef: v1alpha1.Reference{Name: fmt.Sprintf("user-%06d", i/10)}, DesiredStatus: v1alpha1.UserDesiredActive,
			AllowReactivation: v1alpha1.ReactivateNever, ExpirationTime: metav1.NewTime(end),
		},
	}
	declared, err := json.Marshal(u)
	if err != nil {
		panic(err)
	}
	u.ObjectMeta = meta("User", name, i, second, map[string]string{
		"kubectl.kubernetes.io/last-applied-configuration": string(declared),
		v1alpha1.AnnotationIdentity:                        string(uid("User", i)),
		v1alpha1.AnnotationActor:                           administrator,
	}, nil)
	u.Finalizers = []string{v1alpha1.Finalizer}
	u.Status = v1alpha1.UserStatus{
		Conditions: conditions(second, ready, active(second, end), notBlocked), ObservedGeneration: 1,
		State: v1alpha1.StateActivated, Access: v1alpha1.AccessGranted, StateTime: metav1.NewTime(second),
		NextTransitionTime: metav1.NewTime(end), NextState: v1alpha1.StateExpired, Next: "Expired on " + end.Format("2006-01-02 15:04Z"), Role: "Member",
		LastTransition: v1alpha1.LastTransition{Name: "user." + name + ".1", To: v1alpha1.StateActivated, Time: metav1.NewTime(second), Complete: true},
		Memberships:    v1alpha1.MembershipCounts{Active: 1, Total: 1},
	}
	return u
}

func membership(i int) client.Object {
	second := imported.Add(time.Duration(i) * time.Second)
	name := fmt.Sprintf("user-%06d-sales", i)
	end := imported.AddDate(0, 0, 30+i%300)
	m := &v1alpha1.Membership{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Membership"},
		Spec: v1alpha1.MembershipSpec{
			UserRef: v1alpha1.Reference{Name: fmt.Sprintf("user-%06d", i)}, GroupRef: v1alpha1.Reference{Name: fmt.Sprintf("group-%03d", i%50)},
			Roles: []string{"seller"}, DesiredStatus: v1alpha1.MembershipDesiredActive, ExpirationTime: metav1.NewTime(end),
		},
	}
	declared, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	m.ObjectMeta = meta("Membership", name, i, second, map[string]string{
		"kubectl.kubernetes.io/last-applied-configuration": string(declared),
		v1alpha1.AnnotationIdentity:                        string(uid("Membership", i)),
		v1alpha1.AnnotationActor:                           administrator,
	}, nil)
	m.Finalizers = []string{v1alpha1.Finalizer}
	granted := ready
	granted.Message += "; granted: ClusterRole crm-seller in sales"
	m.Status = v1alpha1.MembershipStatus{
		Conditions: conditions(second, granted, active(second, end), notBlocked, resolved), ObservedGeneration: 1,
		State: v1alpha1.StateActive, Access: v1alpha1.AccessGranted, StateTime: metav1.NewTime(second),
		NextTransitionTime: metav1.NewTime(end), NextState: v1alpha1.StateExpired, Next: "Expired on " + end.Format("2006-01-02 15:04Z"),
		LastTransition: v1alpha1.LastTransition{Name: "membership." + name + ".1", To: v1alpha1.StateActive, Time: metav1.NewTime(second), Complete: true},
	}
	return m
}

func transition(i int) client.Object {
	second := imported.Add(time.Duration(i) * time.Second)
	name := fmt.Sprintf("user-%06d", i)
	return &v1alpha1.Transition{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Transition"},
		ObjectMeta: meta("Transition", "user."+name+".1", i, second, nil, map[string]string{v1alpha1.LabelUser: name}),
		Spec: v1alpha1.TransitionSpec{
			Subject: v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: name, UID: uid("User", i), Identity: string(uid("User", i))},
			To:      v1alpha1.StateActivated, Cause: v1alpha1.TransitionCause{Type: v1alpha1.TransitionDeclared},
			Actor: v1alpha1.Actor{Username: "sync@acme.example", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:acme-sync", "system:authenticated"}},
			Time:  metav1.NewTime(second), ObservedTime: metav1.NewTime(second), Policy: v1alpha1.PolicySnapshot{Name: "employees", Generation: 3, ServiceAccountName: "cascade"},
		},
	}
}

func cascade(i int) client.Object {
	t := transition(i).(*v1alpha1.Transition)
	second := t.Spec.Time.Time
	t.Spec.From, t.Spec.To = v1alpha1.StateActivated, v1alpha1.StateExpired
	t.Annotations = map[string]string{v1alpha1.AnnotationComplete: second.Format(time.RFC3339)}
	for _, kind := range []string{"Opportunity", "Note", "Task"} {
		t.Spec.Plan = append(t.Spec.Plan, v1alpha1.PlannedEffect{
			Effect: kind, Action: v1alpha1.ActionTransfer, Kind: kind, Targets: 2, Successor: "user-000001", Candidates: []string{"user-000001", "user-000002"},
			Frozen: fmt.Sprintf("%011x=", i),
			Definition: v1alpha1.Effect{Name: kind, On: []v1alpha1.State{v1alpha1.StateExpired, v1alpha1.StateDeactivated}, Resources: v1alpha1.ResourcesEffect{
				APIVersion: "crm.example/v1", Kind: kind, Reference: v1alpha1.ResourceReference{FieldPath: "spec.assignee", Value: v1alpha1.ReferenceName},
				Action: "Transfer", Successors: []v1alpha1.Successor{"Successor", "TeamLeader", "Owner"}, Match: "object.spec.stage != 'Won'",
			}},
		})
		t.Status.Effects = append(t.Status.Effects, v1alpha1.EffectProgress{Name: kind, Matched: 2, Done: 2})
	}
	t.Status.Progress = "6/6"
	t.Status.Conditions = conditions(second, metav1.Condition{
		Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDone, Message: "Every effect is done",
	})
	return t
}

func binding(i int) client.Object {
	second := imported.Add(time.Duration(i) * time.Second)
	name := fmt.Sprintf("user-%06d", i)
	b := &rbacv1.RoleBinding{
		TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
		ObjectMeta: meta("RoleBinding", "tenure:acme:"+name+"-sales:0123456789", i, second, nil, map[string]string{
			v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelOrganization: "acme", v1alpha1.LabelMembership: name + "-sales",
			v1alpha1.LabelGroup: fmt.Sprintf("group-%03d", i%50), v1alpha1.LabelUser: name,
		}),
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "crm-seller"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name + "@acme.example"}},
	}
	b.Namespace = "sales"
	return b
}

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"tenure.dev/tenure/api/v1alpha1"
)

// testRun is a plan that is not under way.
func testRun(t *testing.T) *run {
	t.Helper()
	w := testWire(t)
	w.run.counts, w.run.crashing, w.run.ofLife = map[point]int{}, map[int]int{}, map[int]int{}
	return w.run
}

func TestEachWriteIsJudged(t *testing.T) {
	const locked = `"metadata":{"resourceVersion":"7"}`
	for _, c := range []struct {
		name, verb, resource, body, want string
	}{
		{"a deletion by name", verbDelete, "works", `{}`, "by no UID"},
		{"a deletion of what may have changed", verbDelete, "works", `{"preconditions":{"uid":"u"}}`, "by no version"},
		{"a deletion", verbDelete, "works", `{"preconditions":{"uid":"u","resourceVersion":"7"}}`, ""},
		{"the closing of a door", verbDelete, "rolebindings", `{"preconditions":{"uid":"u"}}`, ""},
		{"a list", verbPatch, "users", `{"spec":{"holds":[]}}`, "not locked"},
		{"a list, locked", verbPatch, "users", `{"spec":{"holds":[]},` + locked + `}`, ""},
		{"no list", verbPatch, "users", `{"spec":{"role":"a"}}`, ""},
		{"an update", verbUpdate, "rolebindings", `{}`, "not locked"},
		{"a record before its time", verbCreate, "transitions", `{"spec":{"to":"Active","time":"2999-01-01T00:00:00Z"}}`, "before its time"},
		{"an Event of a change", verbCreate, "events", `{"reason":"Expired","regarding":{"kind":"User","name":"kate"}}`, "no record does"},
		{"another Event", verbCreate, "events", `{"reason":"EffectsDone","regarding":{"kind":"User","name":"kate"}}`, ""},
	} {
		r := testRun(t)
		r.judge(newWire(r, 1), &write{call: call{verb: c.verb, resource: c.resource}, body: []byte(c.body)})
		var said []string
		for _, p := range r.problems {
			said = append(said, p.Sentence)
		}
		if text := strings.Join(said, "\n"); (text == "") != (c.want == "") || !strings.Contains(text, c.want) {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
	}
}

func TestAnEventMayFollowItsRecord(t *testing.T) {
	r := testRun(t)
	w := newWire(r, 1)
	r.judge(w, &write{call: call{verb: verbCreate, resource: "transitions"}, body: []byte(`{"spec":{"subject":{"kind":"User","name":"kate"},"to":"Active","time":"2020-01-01T00:00:00Z"}}`)})
	r.judge(w, &write{call: call{verb: verbCreate, resource: "events"}, body: []byte(`{"reason":"Active","regarding":{"kind":"User","name":"kate"}}`)})
	if len(r.problems) > 0 {
		t.Error(r.problems)
	}
}

func TestAGrantNeedsAFinalizerThatCleansUp(t *testing.T) {
	for _, c := range []struct {
		finalizers []string
		wrong      bool
	}{{nil, true}, {[]string{"tenure.dev/lifecycle"}, false}} {
		r := testRun(t)
		w := newWire(r, 1)
		w.seen.opened("/namespaces/test/memberships? ")
		w.seen.event("/namespaces/test/memberships? ", "ADDED", metadata{Name: "m", Finalizers: c.finalizers})
		r.judge(w, &write{call: call{verb: verbCreate, resource: "rolebindings"}, body: []byte(`{"metadata":{"labels":{"tenure.dev/membership":"m"}}}`)})
		if (len(r.problems) > 0) != c.wrong {
			t.Errorf("with finalizers %v: %v", c.finalizers, r.problems)
		}
	}
}

// A watch delivers to a process before its cache has it, and a pass that begins in between knows nothing of it.
func TestAccessIsClosedBeforeItIsSaid(t *testing.T) {
	const grants = "/namespaces/test/rolebindings? "
	kate := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "test", Name: "kate"}}
	grant := metadata{
		Namespace: "test", Name: "grant", UID: "u", ResourceVersion: "7",
		Labels: map[string]string{v1alpha1.LabelUser: "kate", v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
	}
	delivered := func(s *seen) { s.event(grants, "ADDED", grant) }
	cached := func(s *seen) { s.cached(grant.UID, grant.ResourceVersion) }
	for _, c := range []struct {
		name          string
		before, after []func(*seen)
		wrong         bool
	}{
		{"nobody has told of it", nil, nil, false},
		{"it is in the cache", []func(*seen){delivered, cached}, nil, true},
		{"it is not in the cache yet", []func(*seen){delivered}, nil, false},
		{"it comes into the cache during the pass", []func(*seen){delivered}, []func(*seen){cached}, false},
		{"it is deleted", []func(*seen){delivered, cached}, []func(*seen){func(s *seen) { s.deleted(grant.UID) }}, false},
		{"it is gone by the next list", []func(*seen){delivered, cached}, []func(*seen){func(s *seen) { s.listed(grants, nil) }}, false},
	} {
		r := testRun(t)
		w := newWire(r, 1)
		w.seen.opened(grants)
		for _, happen := range c.before {
			happen(w.seen)
		}
		q := w.queues.make("user", workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		q.Add(kate)
		if _, ended := q.Get(); ended {
			t.Fatal("no pass begins")
		}
		for _, happen := range c.after {
			happen(w.seen)
		}
		r.judge(w, &write{
			call: call{verb: verbPatch, resource: "users", subresource: "status", namespace: "test", name: "kate"}, body: []byte(`{"status":{"access":"Denied"}}`),
		})
		if (len(r.problems) > 0) != c.wrong {
			t.Errorf("%s: %v", c.name, r.problems)
		}
	}
}

func TestWhatDiffersBetweenAnyTwoRunsIsMasked(t *testing.T) {
	outcome := func(role, message string, records int) *outcome {
		return &outcome{
			state:  map[string]map[string]string{"users a/kate": {".spec.role": role, ".status.message": message}},
			digest: map[string]int{"create transitions a/user.kate.1": records},
		}
	}
	ref := referenceOf(scenario{}, outcome("member", "at nine", 1), outcome("member", "at ten", 1))
	var f fault
	if problems := ref.compare(outcome("member", "at eleven", 1), f); len(problems) > 0 {
		t.Errorf("what differs between any two runs is told: %v", problems)
	}
	want := []problem{
		{"O1", `users a/kate: spec.role is "owner" at the end, and without the fault "member"`},
		{"O2", "create transitions a/user.kate.1 happened 2 times, and without the fault 1 times"},
	}
	if diff := cmp.Diff(want, ref.compare(outcome("owner", "", 2), f)); diff != "" {
		t.Error(diff)
	}
}

func TestAGrantMayBeGivenAgainByWhoSawThePast(t *testing.T) {
	const created, deleted = "create rolebindings a/b", "delete rolebindings a/b"
	ref := &reference{digest: map[string]int{created: 1, deleted: 1, "create transitions a/c": 1}}
	for _, c := range []struct {
		name   string
		digest map[string]int
		blind  bool
		want   int
	}{
		{"given again", map[string]int{created: 2, deleted: 2, "create transitions a/c": 1}, true, 0},
		{"given again by who sees", map[string]int{created: 2, deleted: 2, "create transitions a/c": 1}, false, 2},
		{"given again and again", map[string]int{created: 3, deleted: 3, "create transitions a/c": 1}, true, 2},
		{"not given again", map[string]int{created: 1, deleted: 2, "create transitions a/c": 1}, true, 1},
		{"a record", map[string]int{created: 1, deleted: 1, "create transitions a/c": 2, "delete transitions a/c": 1}, true, 2},
	} {
		o := &outcome{state: map[string]map[string]string{}, digest: c.digest}
		if got := ref.compare(o, fault{blind: c.blind}); len(got) != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestTooManyWritesAreTold(t *testing.T) {
	outcome := func(user, group int) *outcome {
		o := &outcome{state: map[string]map[string]string{}}
		for n := range user {
			o.trace = append(o.trace, point{verb: verbPatch, what: "users/status", name: "kate", n: n + 1})
		}
		for n := range group {
			o.trace = append(o.trace, point{verb: verbPatch, what: "groups/status", name: "course", n: n + 1})
		}
		return o
	}
	ref := referenceOf(scenario{}, outcome(3, 1), outcome(4, 1))
	f := fault{writes: 1}
	for _, c := range []struct{ user, group, want int }{{5, 1, 0}, {6, 1, 1}, {2, 1, 0}, {4, 4, 0}, {4, 5, 1}} {
		if got := ref.compare(outcome(c.user, c.group), f); len(got) != c.want {
			t.Errorf("%d and %d writes: %v", c.user, c.group, got)
		}
	}
	noop := outcome(4, 1)
	noop.noops = 1
	if got := ref.compare(noop, f); len(got) != 1 {
		t.Errorf("a write that changes nothing: %v", got)
	}
}

func TestPlansCanBeReplayed(t *testing.T) {
	for _, p := range []plan{
		{scenario: "leave"},
		{scenario: "leave", steps: 2},
		{scenario: "leave", fault: crashAfter, point: point{verb: "create", what: "transitions", name: "user.kate.2", n: 1}},
		{scenario: "leave", steps: 1, fault: "503", point: point{verb: "patch", what: "users/status", name: "kate", n: 3}},
	} {
		got, err := parsePlan(p.String())
		if err != nil || got != p {
			t.Errorf("%s is read as %s (%v)", p, got, err)
		}
	}
	for _, wrong := range []string{"leave/crash-after", "leave/crash-after/patch users", "leave/crash-after/patch users kate", "leave:x"} {
		if _, err := parsePlan(wrong); err == nil {
			t.Errorf("%s is taken for a plan", wrong)
		}
	}
}

func TestEveryWriteMeetsEveryFaultThatConcernsIt(t *testing.T) {
	create, remove := point{verb: verbCreate, what: "transitions", name: "a", n: 1}, point{verb: verbDelete, what: "works", name: "b", n: 1}
	met := map[string]int{}
	for _, p := range plansOf("leave", []point{create, remove, create}, func(string) bool { return true }) {
		met[p.fault]++
	}
	for _, f := range faults() {
		want := 3
		if f.name == "conflict" || f.deletions {
			want = 1
		}
		if met[f.name] != want {
			t.Errorf("%s is planned %d times, want %d", f.name, met[f.name], want)
		}
	}
}

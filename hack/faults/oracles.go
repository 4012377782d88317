package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"tenure.dev/tenure/api/v1alpha1"
)

// O1: the end is the one without the fault.

// kinds are what the end of a plan consists of.
var kinds = []struct {
	path   string
	target bool // of the namespace in which groups grant something
}{
	{path: "/apis/tenure.dev/v1alpha1/namespaces/%s/organizations"},
	{path: "/apis/tenure.dev/v1alpha1/namespaces/%s/users"},
	{path: "/apis/tenure.dev/v1alpha1/namespaces/%s/groups"},
	{path: "/apis/tenure.dev/v1alpha1/namespaces/%s/memberships"},
	{path: "/apis/tenure.dev/v1alpha1/namespaces/%s/lifecyclepolicies"},
	{path: "/apis/tenure.dev/v1alpha1/namespaces/%s/transitions"},
	{path: "/apis/work.example.com/v1/namespaces/%s/works"},
	{path: "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings"},
	{path: "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings", target: true},
}

// state is what is there, object by object and field by field, without what differs between any two runs.
func (r *run) state(ctx context.Context) (map[string]map[string]string, error) {
	var objects []map[string]any
	for _, k := range kinds {
		namespace := r.world.namespace
		if k.target {
			namespace = r.world.target
		}
		path := fmt.Sprintf(k.path, namespace)
		body, err := r.lab.read(ctx, path, "application/json")
		if err != nil {
			return nil, err
		}
		var list struct{ Items []map[string]any }
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		for _, object := range list.Items {
			object["resource"] = path[strings.LastIndexByte(path, '/')+1:]
			objects = append(objects, object)
		}
	}
	n := normalizer{run: r, uids: map[string]string{}, instants: r.instants(objects)}
	for _, object := range objects {
		of := object["metadata"].(map[string]any)
		n.uids[of["uid"].(string)] = fmt.Sprintf("uid of %s %s", object["resource"], of["name"])
	}
	state := map[string]map[string]string{}
	for _, object := range objects {
		if object["resource"] == "transitions" && r.setUp(object["metadata"].(map[string]any)["name"].(string)) {
			delete(object, "spec") // What was set up came about in one way or another, and is not what is tried.
		}
		name, fields := n.object(object)
		state[name] = fields
	}
	return state, nil
}

// setUp tells whether a record was written before the faults could come.
func (r *run) setUp(transition string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.everything, func(w *write) bool {
		return w.verb == verbCreate && w.resource == "transitions" && w.name == transition && w.point.n == 0
	})
}

// instants are the times that people have declared. They are the same in each run, so long after its beginning.
func (r *run) instants(objects []map[string]any) map[string]string {
	instants := map[string]string{}
	for _, object := range objects {
		if object["resource"] == "transitions" {
			continue
		}
		fields := map[string]string{}
		flatten("", object["spec"], fields)
		for _, value := range fields {
			if at, err := time.Parse(time.RFC3339, value); err == nil && at.After(r.world.start) {
				instants[value] = "the beginning and " + at.Sub(r.world.start).String()
			}
		}
	}
	return instants
}

type normalizer struct {
	run      *run
	uids     map[string]string
	instants map[string]string
}

var (
	uidPattern  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	timePattern = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z`)
)

// object is the name and the fields of an object, in words that are the same in each run.
func (n *normalizer) object(object map[string]any) (name string, fields map[string]string) {
	of := object["metadata"].(map[string]any)
	name = n.run.anonymous(fmt.Sprintf("%s %s/%s", object["resource"], of["namespace"], of["name"]))
	generation, _ := of["generation"].(float64)
	for _, always := range []string{"managedFields", "uid", "resourceVersion", "generation", "creationTimestamp"} {
		delete(of, always)
	}
	if annotations, _ := of["annotations"].(map[string]any); annotations != nil {
		delete(annotations, mark)
	}
	raw := map[string]string{}
	flatten("", object, raw)
	fields = map[string]string{}
	for path, value := range raw {
		switch {
		case strings.HasSuffix(path, "observedGeneration"):
			if value == strconv.FormatFloat(generation, 'f', -1, 64) {
				value = "the current one"
			}
		case strings.HasSuffix(path, ".frozen"):
			value = fmt.Sprintf("%d characters", len(value)) // Hashes of UIDs.
		default:
			value = n.text(value)
		}
		fields[n.text(path)] = value
	}
	return name, fields
}

func (n *normalizer) text(text string) string {
	text = uidPattern.ReplaceAllStringFunc(text, func(uid string) string {
		if of, known := n.uids[uid]; known {
			return "<" + of + ">"
		}
		return "<uid>"
	})
	text = timePattern.ReplaceAllStringFunc(text, func(at string) string {
		for instant, words := range n.instants {
			if at == instant || at == inWords(instant) {
				return "<" + words + ">"
			}
		}
		return "<time>"
	})
	return n.run.anonymous(text)
}

// inWords is how the operator writes an instant for people.
func inWords(instant string) string {
	return strings.Replace(strings.TrimSuffix(instant, ":00Z")+map[bool]string{true: "Z"}[strings.HasSuffix(instant, ":00Z")], "T", " ", 1)
}

// flatten writes every leaf of a value under its path.
func flatten(path string, value any, into map[string]string) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			flatten(path+"."+key, inner, into)
		}
	case []any:
		for i, inner := range v {
			flatten(fmt.Sprintf("%s[%d]", path, i), inner, into)
		}
	case nil:
	case string:
		into[path] = v
	case float64:
		into[path] = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		into[path] = fmt.Sprint(v)
	}
}

// reference is how a scenario goes without a fault.
type reference struct {
	scenario scenario
	trace    []point
	state    map[string]map[string]string
	digest   map[string]int
	noops    int

	// counts are how often each object was written.
	counts map[point]int

	// masked are the fields, objects and counts that are not the same in any two runs.
	masked map[string]bool
}

// referenceOf is what two runs without a fault have in common.
func referenceOf(s scenario, one, other *outcome) *reference {
	ref := &reference{
		scenario: s, state: one.state, digest: one.digest, masked: map[string]bool{},
		noops: max(one.noops, other.noops), counts: one.counts(),
	}
	for _, d := range slices.Concat(differences(one.state, other.state, nil), countDifferences(one.digest, other.digest, nil, nil)) {
		ref.masked[d.where] = true
	}
	for p, n := range other.counts() {
		ref.counts[p] = max(ref.counts[p], n)
	}
	for _, p := range one.trace {
		if slices.Contains(other.trace, p) {
			ref.trace = append(ref.trace, p)
		}
	}
	return ref
}

// difference is a place where two runs differ, and how to say so.
type difference struct{ where, sentence string }

func differences(wanted, found map[string]map[string]string, masked map[string]bool) []difference {
	var all []difference
	add := func(where, format string, arguments ...any) {
		if !masked[where] {
			all = append(all, difference{where: where, sentence: fmt.Sprintf(format, arguments...)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		fields, there := found[name]
		if !there {
			add(name, "%s is not there at the end, and without the fault it is", name)
			continue
		}
		for _, path := range slices.Sorted(maps.Keys(wanted[name])) {
			if masked[name] {
				break
			}
			if value, has := fields[path]; !has {
				add(name+path, "%s: %s is missing at the end, and without the fault it is %q", name, path[1:], wanted[name][path])
			} else if value != wanted[name][path] {
				add(name+path, "%s: %s is %q at the end, and without the fault %q", name, path[1:], value, wanted[name][path])
			}
		}
		for _, path := range slices.Sorted(maps.Keys(fields)) {
			if _, has := wanted[name][path]; !has && !masked[name] {
				add(name+path, "%s: %s is %q at the end, and without the fault it is not there", name, path[1:], fields[path])
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if _, has := wanted[name]; !has {
			add(name, "%s is there at the end, and without the fault it is not", name)
		}
	}
	return all
}

// O2: what was created and deleted, object by object, is the same.
func countDifferences(wanted, found, unsure map[string]int, masked map[string]bool) []difference {
	both := map[string]bool{}
	for key := range wanted {
		both[key] = true
	}
	for key := range found {
		both[key] = true
	}
	var all []difference
	for _, key := range slices.Sorted(maps.Keys(both)) {
		if (wanted[key] < found[key] || wanted[key] > found[key]+unsure[key]) && !masked[key] {
			all = append(all, difference{where: key, sentence: fmt.Sprintf("%s happened %d times, and without the fault %d times", key, found[key], wanted[key])})
		}
	}
	return all
}

// digest is how often each object was created and deleted, as the API server says. Of a request that a crash has cut off it may
// say that it failed, and have done it all the same.
func (a *audit) digest(ctx context.Context, r *run) (digest, unsure map[string]int, err error) {
	counts, err := a.verify(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	digest, unsure = map[string]int{}, map[string]int{}
	for key, n := range counts {
		if strings.HasPrefix(key, verbCreate+" ") || strings.HasPrefix(key, verbDelete+" ") {
			digest[r.anonymous(key)] += n
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.everything {
		if w.code == 0 {
			unsure[r.anonymous(w.audited())]++
		}
	}
	return digest, unsure, nil
}

// regranted leaves out of a digest that a grant was taken away and given again. A process that sees the past cuts an access that by
// what it sees nobody should have, and gives it again as soon as it sees the present: the safe side, and the end is the same.
// Deleted without being created again, or the other way round, is told.
func regranted(wanted, found map[string]int) {
	for key, n := range found {
		object, created := strings.CutPrefix(key, verbCreate+" ")
		if gone := verbDelete + " " + object; created && strings.HasPrefix(object, "rolebindings ") && n == wanted[key]+1 && found[gone] == wanted[gone]+1 {
			found[key], found[gone] = wanted[key], wanted[gone]
		}
	}
}

// compare asks the oracles that know how the scenario goes without the fault.
func (ref *reference) compare(o *outcome, f fault) []problem {
	var problems []problem
	if o.state == nil || f.goesOtherwise(&ref.scenario) {
		return nil
	}
	for _, d := range differences(ref.state, o.state, ref.masked) {
		problems = append(problems, problem{Oracle: "O1", Sentence: d.sentence})
	}
	if f.blind {
		regranted(ref.digest, o.digest)
	}
	for _, d := range countDifferences(ref.digest, o.digest, o.unsure, ref.masked) {
		problems = append(problems, problem{Oracle: "O2", Sentence: d.sentence})
	}
	problems = append(problems, ref.compareWrites(o, f)...)
	if o.noops > ref.noops {
		problems = append(problems, problem{Oracle: "O3", Sentence: fmt.Sprintf("%d writes changed nothing, and without the fault %d", o.noops, ref.noops)})
	}
	return problems
}

// compareWrites: a fault costs few writes more. What groups and organizations tell of others is counted apart: how many changes of
// others come into one such write is a matter of milliseconds, in any two runs.
func (ref *reference) compareWrites(o *outcome, f fault) []problem {
	more, tellMore := 0, 0
	var words []string
	for p, n := range o.counts() {
		switch extra := n - ref.counts[p]; {
		case extra <= 0, f.blind && p.what == "rolebindings":
			continue // O2 tells of what regranted does not excuse.
		case tells(p):
			tellMore += extra
		default:
			more += extra
		}
		words = append(words, fmt.Sprintf("%s %s %s: %d, and not %d", p.verb, p.what, p.name, n, ref.counts[p]))
	}
	o.more = more
	excused := ref.excuses(f)
	if more <= excused && tellMore <= excused+mostTold {
		return nil
	}
	slices.Sort(words)
	return []problem{{Oracle: "O3", Sentence: fmt.Sprintf("%d writes more than without the fault, which excuses %d, and %d that tell of others: %s",
		more, excused, tellMore, strings.Join(words, "; "))}}
}

// excuses is how many writes more a fault excuses. A write that is refused is told where it was wanted, and that is taken back. An
// effect that cannot act yet is told in the ledger and by the user: a process that has begun anew lists its objects first.
func (ref *reference) excuses(f fault) int {
	effects := func(p point) bool { return p.what == "transitions/status" }
	if f.refuses || slices.ContainsFunc(slices.Collect(maps.Keys(ref.counts)), effects) {
		return f.writes + told
	}
	return f.writes
}

// told is how many writes it takes to tell that something cannot be done for a moment, and that it is done.
const told = 2

// mostTold is how many writes that tell of others may be more, beside what the fault excuses.
const mostTold = 2

// tells: these count others.
func tells(p point) bool { return p.what == "groups/status" || p.what == "organizations/status" }

// counts are how often each object was written.
func (o *outcome) counts() map[point]int {
	counts := map[point]int{}
	for _, p := range o.trace {
		p.n = 0
		counts[p]++
	}
	return counts
}

// O5: what holds of every write.

// judge judges a write before it is made.
func (r *run) judge(w *wire, x *write) {
	switch {
	case x.verb == verbDelete:
		r.judgeDeletion(x)
	case x.verb == verbPatch, x.verb == verbUpdate:
		r.judgeChange(w, x)
	case x.verb == verbCreate && x.resource == "rolebindings":
		r.judgeGrant(w, x)
	case x.verb == verbCreate && x.resource == "transitions":
		r.judgeRecord(w, x)
	case x.verb == verbCreate && x.resource == "events":
		r.judgeEvent(x)
	}
}

func (r *run) judgeDeletion(x *write) {
	conditions := preconditionsOf(x.body)
	if conditions.UID == "" {
		r.problem("O5", fmt.Sprintf("%s says by no UID which one is meant: another one of that name would go", x.point))
	}
	// An edit that came between must not keep the door open.
	if conditions.ResourceVersion == "" && x.resource != "rolebindings" {
		r.problem("O5", fmt.Sprintf("%s says by no version what was decided about: it may have changed since", x.point))
	}
}

func (r *run) judgeChange(w *wire, x *write) {
	var body any
	if err := json.Unmarshal(x.body, &body); err != nil {
		return
	}
	if headOf(x.body).Metadata.ResourceVersion == "" && (x.verb == verbUpdate || hasList(body)) {
		r.problem("O5", fmt.Sprintf("%s replaces a list and is not locked on a version: what somebody else has added is lost", x.point))
	}
	var status struct {
		Status struct {
			Access v1alpha1.Access `json:"access"`
		} `json:"status"`
	}
	if err := json.Unmarshal(x.body, &status); err == nil && status.Status.Access == v1alpha1.AccessDenied {
		r.judgeAccess(w, x, x.resource, x.name)
	}
}

// judgeAccess: access is closed before anything is written about it. What came into the cache during the pass is the next one's
// business.
func (r *run) judgeAccess(w *wire, x *write, resource, name string) {
	label, controller := v1alpha1.LabelUser, "user"
	if resource == "memberships" {
		label, controller = v1alpha1.LabelMembership, "membership"
	}
	began := w.queues.began(controller, reconcile.Request{NamespacedName: client.ObjectKey{Namespace: x.namespace, Name: name}})
	open := w.seen.find("rolebindings", func(m metadata) bool {
		return m.Labels[label] == name && m.Labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && !m.cached.IsZero() && m.cached.Before(began)
	})
	if len(open) > 0 {
		r.problem("O5", fmt.Sprintf("%s says that access is closed, and RoleBinding %s is there", x.point, open[0].Name))
	}
}

func hasList(value any) bool {
	switch v := value.(type) {
	case []any:
		return true
	case map[string]any:
		for _, inner := range v {
			if hasList(inner) {
				return true
			}
		}
	}
	return false
}

// judgeGrant: a finalizer is there before anything that it has to clean up.
func (r *run) judgeGrant(w *wire, x *write) {
	membership := headOf(x.body).Metadata.Labels[v1alpha1.LabelMembership]
	r.judgeFinalizer(w, x, "memberships", membership)
}

func (r *run) judgeFinalizer(w *wire, x *write, resource, name string) {
	for _, write := range r.written(resource, name) {
		if slices.Contains(write.after.Finalizers, v1alpha1.Finalizer) {
			return
		}
	}
	known := w.seen.find(resource, func(m metadata) bool { return m.Name == name })
	if len(known) > 0 && !slices.Contains(known[0].Finalizers, v1alpha1.Finalizer) {
		r.problem("O5", fmt.Sprintf("%s, and %s %s has no finalizer yet: nobody would clean up", x.point, resource, name))
	}
}

// written are the applied writes to an object.
func (r *run) written(resource, name string) []*write {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*write
	for _, w := range r.everything {
		if w.resource == resource && w.name == name && w.applied() {
			found = append(found, w)
		}
	}
	return found
}

// recorded is a change that was recorded.
type recorded struct{ kind, name, to string }

func (r *run) judgeRecord(w *wire, x *write) {
	var transition v1alpha1.Transition
	if err := json.Unmarshal(x.body, &transition); err != nil {
		r.problem("O5", fmt.Sprintf("%s cannot be read: %v", x.point, err))
		return
	}
	spec := &transition.Spec
	resource := "users"
	if spec.Subject.Kind == v1alpha1.SubjectMembership {
		resource = "memberships"
	}
	r.judgeFinalizer(w, x, resource, spec.Subject.Name)
	// Where the operator's clock was set meanwhile, the pass began by the one or the other.
	if now := later(r.world.clock.Now(), r.world.wall.Now()); spec.Time.After(now) {
		r.problem("O5", fmt.Sprintf("%s comes %s before its time", x.point, spec.Time.Sub(now)))
	}
	switch spec.To {
	case v1alpha1.StateSuspended, v1alpha1.StateDeactivated, v1alpha1.StateExpired, v1alpha1.StateRemoved:
		r.judgeAccess(w, x, resource, spec.Subject.Name)
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, recorded{kind: string(spec.Subject.Kind), name: spec.Subject.Name, to: string(spec.To)})
}

func later(one, other time.Time) time.Time {
	if one.After(other) {
		return one
	}
	return other
}

// states are also the reasons of Events that tell of a change.
var states = []v1alpha1.State{
	v1alpha1.StatePending, v1alpha1.StateActivated, v1alpha1.StateActive, v1alpha1.StateOnBreak, v1alpha1.StateDeactivated,
	v1alpha1.StateExpired, v1alpha1.StateSuspended, v1alpha1.StateRemoved,
}

func (r *run) judgeEvent(x *write) {
	var event struct {
		Reason    string `json:"reason"`
		Regarding struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"regarding"`
	}
	if err := json.Unmarshal(x.body, &event); err != nil || !slices.Contains(states, v1alpha1.State(event.Reason)) {
		return
	}
	r.mu.Lock()
	told := slices.Contains(r.records, recorded{kind: event.Regarding.Kind, name: event.Regarding.Name, to: event.Reason})
	r.mu.Unlock()
	if !told {
		r.problem("O5", fmt.Sprintf("an Event tells that %s %s is %s, and no record does", event.Regarding.Kind, event.Regarding.Name, event.Reason))
	}
}

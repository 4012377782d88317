package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// operationOf is the annotation by which the watch tells which operation made a version.
const operationOf = "soak.tenure.dev/operation"

// Outcomes of an operation.
const (
	accepted = "accepted"
	refused  = "refused"
)

// operation is something that somebody asked for.
type operation struct {
	id, by, subject, what string
	start, end            time.Time
	outcome, why          string
}

func (o *operation) String() string {
	said := fmt.Sprintf("%s %-9s %s by %s: %s %s", o.end.UTC().Format("15:04:05.000"), o.id, o.subject, o.by, o.what, o.outcome)
	if o.why != "" {
		said += ": " + shorten(o.why)
	}
	return said
}

// model is what has been declared, as far as it was accepted, and everything that was asked for.
type model struct {
	mu         sync.Mutex
	operations map[string]*operation
	recent     []*operation
	accounts   map[string]*account
	parts      map[string]*part
	leaders    map[string]string // of groups
	edits      int               // of the policy
	works      map[string]string // last operation by name; empty: deleted
	released   map[string]time.Time
	surprises  []finding

	users map[string]line[account]
	mates map[string]line[part]

	asked, refused int
}

func newModel() *model {
	return &model{
		operations: map[string]*operation{}, accounts: map[string]*account{}, parts: map[string]*part{}, leaders: map[string]string{},
		works: map[string]string{}, released: map[string]time.Time{}, users: map[string]line[account]{}, mates: map[string]line[part]{},
	}
}

// desk is somebody who works on one user, that user's memberships, and some pieces of work, one operation after the other. What
// it does is drawn from its own seed, so that it does not depend on how fast the others are.
type desk struct {
	*world
	name   string
	role   string
	random *rand.Rand
	count  int
	works  []string
}

func (w *world) newDesk(name string, i int) *desk {
	role := "Member"
	switch i % 6 {
	case 4:
		role = "Manager"
	case 5:
		role = "Admin"
	}
	return &desk{world: w, name: name, role: role, random: rand.New(rand.NewPCG(w.options.seed, hash(name)))}
}

func hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return h.Sum64()
}

// work does one thing after the other until ctx ends. While the world is closed, it waits.
func (d *desk) work(ctx context.Context) {
	for ctx.Err() == nil {
		between := time.Duration(d.random.IntN(int(2*d.options.pace/time.Millisecond))) * time.Millisecond
		if d.random.IntN(8) == 0 {
			between = 0
		}
		pause(ctx, between)
		if d.enter() {
			d.one(ctx)
			d.busy.Done()
		} else {
			pause(ctx, 100*time.Millisecond)
		}
	}
}

// enter begins an operation, unless the world is closed.
func (w *world) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.busy.Add(1)
	}
	return !w.closed
}

// close has no operation begin, and returns when all are over. open lets them begin again.
func (w *world) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.busy.Wait()
}

func (w *world) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = false
}

// choice is something that a desk may do, as often as others as its weight says.
type choice struct {
	weight int
	do     func(context.Context)
}

func (d *desk) one(ctx context.Context) {
	declared := d.account()
	if declared == nil {
		d.create(ctx)
		return
	}
	if declared.ending {
		d.lookForEnd(ctx)
		return
	}
	choices := []choice{
		{18, d.desire}, {8, d.expire}, {4, d.start}, {6, d.absent}, {5, d.hold}, {9, d.release}, {3, d.promote}, {3, d.relate},
		{5, d.annotate}, {2, d.remove}, {4, d.reapply}, {3, d.changeOneself}, {3, d.toggleExpired},
		{22, d.join}, {10, d.editMembership}, {9, d.releaseMembership}, {3, d.leave},
		{16, d.createWork}, {8, d.editWork}, {3, d.deleteWork},
	}
	total := 0
	for _, c := range choices {
		total += c.weight
	}
	drawn := d.random.IntN(total)
	for _, c := range choices {
		if drawn -= c.weight; drawn < 0 {
			c.do(ctx)
			return
		}
	}
}

func (d *desk) account() *account {
	d.model.mu.Lock()
	defer d.model.mu.Unlock()
	if a := d.model.accounts[d.name]; a != nil {
		copied := *a
		return &copied
	}
	return nil
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// soon is a whole second some seconds ahead, sometimes far ahead, or past.
func (d *desk) soon(least, most int) time.Time {
	now := time.Now().UTC().Truncate(time.Second)
	switch d.random.IntN(12) {
	case 0:
		return now.Add(100 * time.Hour)
	case 1:
		return now.Add(-time.Hour)
	default:
		return now.Add(time.Duration(least+d.random.IntN(most-least+1)) * time.Second)
	}
}

func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

type object = map[string]any

func (d *desk) patchUser(ctx context.Context, what string, patch object, change func(*account)) bool {
	return d.patchUserAs(ctx, d.requester(), what, patch, change)
}

func (d *desk) patchUserAs(ctx context.Context, by, what string, patch object, change func(*account)) bool {
	return d.write(ctx, by, users, d.name, what, patch, func() {
		if a := d.model.accounts[d.name]; a != nil && change != nil {
			change(a)
		}
	})
}

// requester is who asks for the next thing.
func (d *desk) requester() string {
	return pick(d.random, "admin", "admin", "admin", owner, owner, keeper, ranked, outsider)
}

func (d *desk) desire(ctx context.Context) {
	state := pick[v1alpha1.State](d.random, "Active", "Active", "Active", "Active", "Active", "Active", "Deactivated", "Deactivated", "Deactivated", "Suspended", "OnBreak", "Removed")
	patch := object{"spec": object{"desiredStatus": state, "reason": "It is drawn"}}
	d.patchUser(ctx, string(state), patch, func(a *account) { a.desired = state })
}

func (d *desk) expire(ctx context.Context) {
	at := d.soon(1, 7)
	if d.random.IntN(5) < 2 {
		at = time.Time{}
	}
	d.patchUser(ctx, "expires "+clock(at), object{"spec": object{"expirationTime": stamp(at)}}, func(a *account) { a.expires = at })
}

func (d *desk) start(ctx context.Context) {
	at := d.soon(1, 5)
	if d.random.IntN(2) == 0 {
		at = time.Time{}
	}
	if declared := d.account(); !at.IsZero() && !declared.expires.IsZero() && !declared.expires.After(at) {
		at = time.Time{}
	}
	d.patchUser(ctx, "starts "+clock(at), object{"spec": object{"startTime": stamp(at)}}, func(a *account) { a.starts = at })
}

func (d *desk) absent(ctx context.Context) {
	away := d.account().absences
	if len(away) > 2 || d.random.IntN(3) == 0 {
		away = nil
	} else {
		start := time.Now().UTC().Truncate(time.Second).Add(time.Duration(d.random.IntN(6)-1) * time.Second)
		state := pick(d.random, v1alpha1.StateDeactivated, v1alpha1.StateDeactivated, v1alpha1.StateOnBreak)
		next := absence{name: fmt.Sprintf("leave-%d", d.count), start: start, end: start.Add(time.Duration(1+d.random.IntN(5)) * time.Second), state: state}
		if d.random.IntN(6) == 0 {
			next.end = time.Time{}
		}
		away = append(slices.Clone(away), next)
	}
	list := []object{}
	for _, a := range away {
		entry := object{"name": a.name, "startTime": stamp(a.start), "status": a.state}
		if !a.end.IsZero() {
			entry["endTime"] = stamp(a.end)
		}
		list = append(list, entry)
	}
	d.patchUser(ctx, fmt.Sprintf("%d absences", len(away)), object{"spec": object{"absences": list}}, func(a *account) { a.absences = away })
}

func (d *desk) hold(ctx context.Context) {
	next := hold{fmt.Sprintf("hold-%d", d.count), pick(d.random, v1alpha1.StateDeactivated, v1alpha1.StateSuspended, v1alpha1.StateOnBreak)}
	list := []object{}
	for _, h := range append(slices.Clone(d.account().holds), next) {
		list = append(list, object{"name": h.name, "status": h.state})
	}
	d.patchUser(ctx, "held "+string(next.state)+" by "+next.name, object{"spec": object{"holds": list}}, func(a *account) { a.holds = append(a.holds, next) })
}

func releasing(names []string) object {
	return object{"metadata": object{"annotations": object{v1alpha1.AnnotationRelease: strings.Join(names, ",")}}}
}

func (d *desk) release(ctx context.Context) {
	var names []string
	for _, h := range d.account().holds {
		names = append(names, h.name)
	}
	if len(names) == 0 {
		d.annotate(ctx)
		return
	}
	d.patchUser(ctx, "releases "+strings.Join(names, ","), releasing(names), func(a *account) {
		a.holds = slices.DeleteFunc(slices.Clone(a.holds), func(h hold) bool { return slices.Contains(names, h.name) })
	})
}

func (d *desk) promote(ctx context.Context) {
	role := pick(d.random, "Member", "Manager", "Admin", d.role)
	d.patchUser(ctx, "role "+role, object{"spec": object{"role": role}}, func(a *account) { a.role = role })
}

func (d *desk) relate(ctx context.Context) {
	other := pick(d.random, names[:d.options.people]...)
	field, set := "managerRef", func(a *account) { a.manager = other }
	if d.random.IntN(2) == 0 {
		field, set = "successorRef", func(a *account) { a.successor = other }
	}
	if other == d.name {
		other = owner
	}
	d.patchUser(ctx, field+" "+other, object{"spec": object{field: object{"name": other}}}, set)
}

func (d *desk) annotate(ctx context.Context) {
	if d.random.IntN(2) == 0 {
		d.patchUser(ctx, "labelled", object{"metadata": object{"labels": object{"floor": fmt.Sprint(d.random.IntN(9))}}}, nil)
		return
	}
	at := time.Now().UTC().Truncate(time.Second)
	d.patchUserAs(ctx, "admin", "seen by an application", object{"metadata": object{"annotations": object{v1alpha1.AnnotationLastActivity: stamp(at)}}},
		func(a *account) { a.used = true })
}

// changeOneself must be refused, whoever it is.
func (d *desk) changeOneself(ctx context.Context) {
	state := v1alpha1.StateActive
	if d.account().desired == v1alpha1.StateActive {
		state = v1alpha1.StateDeactivated
	}
	if d.patchUserAs(ctx, d.name, "sets "+string(state)+" on oneself", object{"spec": object{"desiredStatus": state}}, func(a *account) { a.desired = state }) {
		d.surprise(users+"/"+d.name, "changed the status of their own account")
	}
}

// toggleExpired must be refused where the account has been expired for a while.
func (d *desk) toggleExpired(ctx context.Context) {
	declared := d.account()
	state, _ := declared.at(time.Now())
	before, _ := declared.at(time.Now().Add(-2 * time.Second))
	to := v1alpha1.StateActive
	switch declared.desired {
	case v1alpha1.StateActive:
		to = v1alpha1.StateDeactivated
	case v1alpha1.StateDeactivated, v1alpha1.StateOnBreak:
	default:
		d.desire(ctx)
		return
	}
	expired := state == v1alpha1.StateExpired && before == state
	if d.patchUser(ctx, "toggles to "+string(to), object{"spec": object{"desiredStatus": to, "reason": "Toggled"}}, func(a *account) { a.desired = to }) && expired {
		d.surprise(users+"/"+d.name, "was toggled although expired")
	}
}

func (d *desk) surprise(subject, text string) {
	d.model.mu.Lock()
	defer d.model.mu.Unlock()
	d.model.surprises = append(d.model.surprises, finding{wrong, subject, text})
}

func (d *desk) create(ctx context.Context) {
	user := newUser(d.name, d.role)
	if d.random.IntN(3) == 0 {
		user.Spec.ExpirationTime = metav1.NewTime(d.soon(2, 8))
	}
	d.put(ctx, pick(d.random, "admin", owner, keeper), users, d.name, "created", user, func() {
		d.model.accounts[d.name] = &account{desired: v1alpha1.StateActive, role: d.role, expires: user.Spec.ExpirationTime.Time}
	})
}

// lookForEnd sees whether a user who was deleted is gone by now.
func (d *desk) lookForEnd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := d.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: d.name}, &v1alpha1.User{}); !apierrors.IsNotFound(err) {
		return
	}
	d.model.mu.Lock()
	defer d.model.mu.Unlock()
	delete(d.model.accounts, d.name)
}

func (d *desk) remove(ctx context.Context) {
	d.delete(ctx, d.requester(), users, d.name, newUser(d.name, ""), func() { d.model.accounts[d.name].ending = true })
}

// reapply is a GitOps tool that applies the manifest with which it began.
func (d *desk) reapply(ctx context.Context) {
	d.apply(ctx, "admin", users, d.name, "applied again", func() {
		a := d.model.accounts[d.name]
		a.desired, a.role = v1alpha1.StateActive, d.role
	})
}

// Memberships.

func (d *desk) memberships() map[string]part {
	d.model.mu.Lock()
	defer d.model.mu.Unlock()
	own := map[string]part{}
	for group := range rooms {
		if p := d.model.parts[d.name+"-"+group]; p != nil {
			own[group] = *p
		}
	}
	return own
}

func (d *desk) aGroup(own map[string]part) (string, part) {
	sorted := slices.Sorted(maps.Keys(own))
	if len(sorted) == 0 {
		return "", part{}
	}
	group := pick(d.random, sorted...)
	return group, own[group]
}

func (d *desk) join(ctx context.Context) {
	group := pick(d.random, slices.Sorted(maps.Keys(rooms))...)
	name := d.name + "-" + group
	if p, there := d.memberships()[group]; there {
		if p.ending {
			d.lookForEndOf(ctx, name)
			return
		}
		d.editMembership(ctx)
		return
	}
	membership := &v1alpha1.Membership{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: v1alpha1.MembershipSpec{
			UserRef: v1alpha1.Reference{Name: d.name}, GroupRef: v1alpha1.Reference{Name: group}, Roles: d.someRoles(group),
		},
	}
	if d.random.IntN(4) == 0 {
		membership.Spec.ExpirationTime = metav1.NewTime(d.soon(2, 7))
	}
	before, _ := d.account().at(time.Now())
	created := d.put(ctx, d.requester(), memberships, name, "joined as "+strings.Join(membership.Spec.Roles, "+"), membership, func() {
		d.model.parts[name] = &part{user: d.name, group: group, roles: membership.Spec.Roles, desired: v1alpha1.StateActive, expires: membership.Spec.ExpirationTime.Time}
	})
	if after, _ := d.account().at(time.Now()); created && before == v1alpha1.StateSuspended && after == before && d.sureOfUser(2*time.Second) {
		d.surprise(memberships+"/"+name, "was created for a suspended user")
	}
}

// sureOfUser tells whether nothing was declared about the user for a while.
func (d *desk) sureOfUser(since time.Duration) bool {
	d.model.mu.Lock()
	defer d.model.mu.Unlock()
	for _, o := range d.model.recent {
		if o.subject == users+"/"+d.name && time.Since(o.end) < since {
			return false
		}
	}
	return true
}

func (d *desk) someRoles(group string) []string {
	if group == "board" && d.random.IntN(2) == 0 {
		return []string{"Chair"}
	}
	return pick(d.random, []string{"Member"}, []string{"Member"}, []string{"Lead"}, []string{"Member", "Lead"})
}

func (d *desk) lookForEndOf(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := d.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &v1alpha1.Membership{}); !apierrors.IsNotFound(err) {
		return
	}
	d.model.mu.Lock()
	defer d.model.mu.Unlock()
	delete(d.model.parts, name)
}

func (d *desk) editMembership(ctx context.Context) {
	group, p := d.aGroup(d.memberships())
	if group == "" || p.ending {
		d.annotate(ctx)
		return
	}
	name := d.name + "-" + group
	edit := func(what string, patch object, change func(*part)) {
		d.write(ctx, d.requester(), memberships, name, what, patch, func() {
			if p := d.model.parts[name]; p != nil {
				change(p)
			}
		})
	}
	switch d.random.IntN(6) {
	case 0, 1:
		state := pick[v1alpha1.State](d.random, "Active", "Active", "Active", "Deactivated", "Deactivated", "Removed")
		edit(string(state), object{"spec": object{"desiredStatus": state}}, func(p *part) { p.desired = state })
	case 2, 3:
		at := d.soon(1, 6)
		if d.random.IntN(2) == 0 {
			at = time.Time{}
		}
		edit("expires "+clock(at), object{"spec": object{"expirationTime": stamp(at)}}, func(p *part) { p.expires = at })
	case 4:
		roles := d.someRoles(group)
		edit("roles "+strings.Join(roles, "+"), object{"spec": object{"roles": roles}}, func(p *part) { p.roles = roles })
	default:
		next := hold{fmt.Sprintf("hold-%d", d.count), v1alpha1.StateDeactivated}
		list := []object{}
		for _, h := range append(slices.Clone(p.holds), next) {
			list = append(list, object{"name": h.name, "status": h.state})
		}
		edit("held by "+next.name, object{"spec": object{"holds": list}}, func(p *part) { p.holds = append(p.holds, next) })
	}
}

// releaseMembership lifts every hold that is seen, the operator's too.
func (d *desk) releaseMembership(ctx context.Context) {
	group, p := d.aGroup(d.memberships())
	if group == "" || p.ending {
		d.annotate(ctx)
		return
	}
	name := d.name + "-" + group
	seen, there := d.seen.now(memberships, name).(*v1alpha1.Membership)
	if !there || len(seen.Spec.Holds) == 0 {
		d.editMembership(ctx)
		return
	}
	var released []string
	for i := range seen.Spec.Holds {
		released = append(released, seen.Spec.Holds[i].Name)
	}
	d.write(ctx, d.requester(), memberships, name, "releases "+strings.Join(released, ","), releasing(released), func() {
		if p := d.model.parts[name]; p != nil {
			p.holds = slices.DeleteFunc(slices.Clone(p.holds), func(h hold) bool { return slices.Contains(released, h.name) })
			d.model.released[name] = time.Now()
		}
	})
}

func (d *desk) leave(ctx context.Context) {
	group, p := d.aGroup(d.memberships())
	if group == "" || p.ending {
		d.annotate(ctx)
		return
	}
	name := d.name + "-" + group
	membership := &v1alpha1.Membership{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
	d.delete(ctx, d.requester(), memberships, name, membership, func() { d.model.parts[name].ending = true })
}

// Pieces of work.

func (d *desk) createWork(ctx context.Context) {
	if len(d.works) > 12 {
		d.deleteWork(ctx)
		return
	}
	name := fmt.Sprintf("%s-%d", d.name, d.count)
	work := newWork(name)
	work.Object["spec"] = object{"owner": d.name, "type": pick(d.random, "task", "note", "file", "card", "post", "memo"), "title": "new"}
	d.works = append(d.works, name)
	d.put(ctx, "admin", works, name, "created", work, nil)
}

func (d *desk) editWork(ctx context.Context) {
	if len(d.works) == 0 {
		d.createWork(ctx)
		return
	}
	spec := object{"title": fmt.Sprint(d.count)}
	if d.random.IntN(3) == 0 {
		spec = object{"owner": pick(d.random, d.name, d.name, pick(d.random, names[:d.options.people]...))}
	}
	d.write(ctx, "admin", works, pick(d.random, d.works...), fmt.Sprint(spec), object{"spec": spec}, nil)
}

func (d *desk) deleteWork(ctx context.Context) {
	if len(d.works) == 0 {
		return
	}
	i := d.random.IntN(len(d.works))
	name := d.works[i]
	d.works = slices.Delete(d.works, i, i+1)
	d.delete(ctx, "admin", works, name, newWork(name), nil)
}

// The ways to write.

// write patches an object; once in a while with kubectl.
func (d *desk) write(ctx context.Context, by, kind, name, what string, patch object, change func()) bool {
	viaKubectl := d.random.IntN(25) == 0
	return d.attempt(ctx, by, kind, name, what, change, func(ctx context.Context, id string) error {
		merged := object{"metadata": object{"annotations": object{operationOf: id}}}
		merge(merged, patch)
		content, err := json.Marshal(merged)
		if err != nil {
			return fmt.Errorf("encoding a patch: %w", err)
		}
		if viaKubectl {
			_, _, err := d.kubectl(ctx, by, "", "patch", resourceOf[kind], name, "--namespace="+namespace, "--type=merge", "--patch="+string(content))
			return err
		}
		o := blank(kind, name)
		if err := d.as[by].Patch(ctx, o, client.RawPatch(types.MergePatchType, content)); err != nil {
			return err
		}
		d.answered(kind, o, id)
		return nil
	})
}

func (d *desk) put(ctx context.Context, by, kind, name, what string, o client.Object, change func()) bool {
	return d.attempt(ctx, by, kind, name, what, change, func(ctx context.Context, id string) error {
		o.SetAnnotations(map[string]string{operationOf: id})
		if err := d.as[by].Create(ctx, o); err != nil {
			return err
		}
		d.answered(kind, o, id)
		return nil
	})
}

func (d *desk) apply(ctx context.Context, by, kind, name, what string, change func()) bool {
	return d.attempt(ctx, by, kind, name, what, change, func(ctx context.Context, id string) error {
		content, err := json.Marshal(object{
			"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind,
			"metadata": object{"name": name, "namespace": namespace, "annotations": object{operationOf: id}},
			"spec":     object{"userName": userName(name), "email": userName(name), "userType": "Employee", "role": d.role, "desiredStatus": "Active"},
		})
		if err != nil {
			return fmt.Errorf("encoding a manifest: %w", err)
		}
		o := blank(kind, name)
		if err := d.as[by].Patch(ctx, o, client.RawPatch(types.ApplyPatchType, content), client.FieldOwner("gitops"), client.ForceOwnership); err != nil {
			return err
		}
		d.answered(kind, o, id)
		return nil
	})
}

func (d *desk) delete(ctx context.Context, by, kind, name string, o client.Object, change func()) {
	viaKubectl := d.random.IntN(8) == 0
	d.attempt(ctx, by, kind, name, "deleted", change, func(ctx context.Context, _ string) error {
		if viaKubectl {
			_, _, err := d.kubectl(ctx, by, "", "delete", resourceOf[kind], name, "--namespace="+namespace, "--wait=false")
			return err
		}
		return d.as[by].Delete(ctx, o)
	})
}

var resourceOf = map[string]string{users: "users.tenure.dev", memberships: "memberships.tenure.dev", works: "works.work.example.com", groups: "groups.tenure.dev"}

func blank(kind, name string) client.Object {
	meta := metav1.ObjectMeta{Name: name, Namespace: namespace}
	switch kind {
	case users:
		return &v1alpha1.User{ObjectMeta: meta}
	case memberships:
		return &v1alpha1.Membership{ObjectMeta: meta}
	case groups:
		return &v1alpha1.Group{ObjectMeta: meta}
	case policies:
		return &v1alpha1.LifecyclePolicy{ObjectMeta: meta}
	default:
		return newWork(name)
	}
}

func merge(into, from object) {
	for key, value := range from {
		inner, nested := value.(object)
		there, both := into[key].(object)
		if nested && both {
			merge(there, inner)
		} else {
			into[key] = value
		}
	}
}

// attempt asks for something, finds out what came of it, and keeps that in the model.
func (d *desk) attempt(ctx context.Context, by, kind, name, what string, change func(), do func(context.Context, string) error) bool {
	d.count++
	o := &operation{id: fmt.Sprintf("%s-%d", d.name, d.count), by: by, subject: kind + "/" + name, what: what, start: time.Now()}
	patience := time.Duration(4+d.random.IntN(9)) * time.Second
	d.model.mu.Lock()
	d.model.operations[o.id] = o
	d.model.mu.Unlock()

	asking, cancel := context.WithTimeout(ctx, patience)
	err := do(asking, o.id)
	cancel()
	done := err == nil
	if err != nil && !decided(err) {
		if ctx.Err() != nil {
			return false
		}
		done = d.settle(ctx, kind, name, o.id, what == "deleted")
		err = fmt.Errorf("no answer: %w", err)
	}
	d.model.mu.Lock()
	defer d.model.mu.Unlock()
	o.end, o.outcome = time.Now(), accepted
	if err != nil {
		o.why = err.Error()
	}
	d.model.asked++
	if !done {
		o.outcome = refused
		d.model.refused++
	}
	d.model.recent = append(d.model.recent, o)
	if !done {
		return false
	}
	if kind == works {
		if d.model.works[name] = o.id; what == "deleted" {
			delete(d.model.works, name)
		}
	}
	if change != nil {
		change()
	}
	return true
}

// decided tells whether an error says for sure that nothing was written.
func decided(err error) bool {
	said := err.Error()
	for _, words := range []string{"failed calling webhook", "denied the request", "is forbidden", "(Forbidden)", "is invalid", "(NotFound)", "denied request:"} {
		if strings.Contains(said, words) {
			return !strings.Contains(said, "etcdserver")
		}
	}
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsBadRequest(err)
}

// settle finds out, when the API server has answered again for a while, whether an operation was done of which no answer came.
func (d *desk) settle(ctx context.Context, kind, name, id string, deletion bool) bool {
	for ctx.Err() == nil {
		pause(ctx, 2*time.Second)
		o := blank(kind, name)
		asking, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := d.admin.Get(asking, client.ObjectKeyFromObject(o), o)
		cancel()
		switch {
		case d.faults.recently(2 * time.Second):
		case apierrors.IsNotFound(err):
			return deletion
		case err == nil && deletion:
			return o.GetDeletionTimestamp() != nil
		case err == nil:
			return o.GetAnnotations()[operationOf] == id
		}
	}
	return false
}

// answered takes the version that the API server answered with.
func (d *desk) answered(kind string, o client.Object, id string) {
	d.model.mu.Lock()
	defer d.model.mu.Unlock()
	d.model.learn(kind, o, d.model.operations[id].start, time.Now(), false)
}

// learn adds a version of a user or membership to what is known about it.
func (m *model) learn(kind string, o client.Object, earliest, latest time.Time, isGone bool) {
	revision := revisionOf(o)
	switch kind {
	case users:
		v := version[account]{revision: revision, earliest: earliest, latest: latest}
		if !isGone {
			v.value = accountOf(o.(*v1alpha1.User))
		}
		m.users[o.GetName()] = m.users[o.GetName()].put(v)
	case memberships:
		v := version[part]{revision: revision, earliest: earliest, latest: latest}
		if !isGone {
			v.value = partOf(o.(*v1alpha1.Membership))
		}
		m.mates[o.GetName()] = m.mates[o.GetName()].put(v)
	}
}

// kubectl runs kubectl as somebody.
func (w *world) kubectl(ctx context.Context, by, input string, arguments ...string) (stdout, stderr string, err error) {
	switch by {
	case "", "admin":
	default:
		arguments = append(arguments, "--as="+userName(by))
		if by != outsider {
			arguments = append(arguments, "--as-group=system:masters")
		}
	}
	return w.cluster.Kubectl(ctx, nil, strings.NewReader(input), arguments...)
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("15:04:05")
}

func shorten(text string) string {
	if len(text) > 160 {
		return text[:160] + "…"
	}
	return text
}

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// book is what was compared at the last quiet point, from where the next one goes on.
type book struct {
	*world
	since    time.Time
	accounts map[string]record // the last record of each identity
	numbers  map[string]int    // the last number of each name
	all      map[string][]*v1alpha1.Transition
	known    map[string]*v1alpha1.Transition // by UID
	born     map[string]uint64               // the revision at which each began, by UID
	policies map[int64]v1alpha1.LifecyclePolicySpec
	touches  map[string][]touch // by the UID of the object
	outages  []outage
}

// point is what was found at a quiet point.
type point struct {
	findings                    []finding
	subjects, transitions, cuts int
	unjudged                    int // subjects whose way here is not compared, because versions were missed
	worst                       map[string]time.Duration
	took                        time.Duration
	busy                        float64 // how much slower the machine was than one with nothing else to do
}

func (p *point) find(kind, subject, format string, arguments ...any) {
	p.findings = append(p.findings, finding{kind, subject, fmt.Sprintf(format, arguments...)})
}

func newBook(w *world) *book {
	return &book{
		world: w, accounts: map[string]record{}, numbers: map[string]int{}, all: map[string][]*v1alpha1.Transition{},
		known: map[string]*v1alpha1.Transition{}, born: map[string]uint64{}, policies: map[int64]v1alpha1.LifecyclePolicySpec{}, touches: map[string][]touch{},
	}
}

// begin takes what is there at the beginning as right.
func (b *book) begin(ctx context.Context) error {
	for _, name := range []string{owner, keeper, ranked} {
		b.model.accounts[name] = &account{desired: v1alpha1.StateActive, role: map[string]string{owner: "Owner", keeper: "Admin", ranked: "Manager"}[name]}
	}
	if err := b.awaitRest(ctx); err != nil {
		return err
	}
	b.gather(&point{})
	b.turn()
	return nil
}

// stillness is how long nothing must have been written.
const stillness = 2 * time.Second

// awaitRest returns when everything that was declared is worked off, and nobody writes any more.
func (b *book) awaitRest(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		why := b.restless(waiting)
		if why == "" {
			return nil
		}
		pause(waiting, 200*time.Millisecond)
		if waiting.Err() != nil {
			return fmt.Errorf("it does not come to rest within a minute: %s", why)
		}
	}
}

// restless says what is still under way.
func (b *book) restless(ctx context.Context) string {
	if since := time.Since(b.seen.restSince()); since < stillness {
		return "something was written"
	}
	if due := b.soonDue(); due != "" {
		return due
	}
	for kind, list := range map[string]client.ObjectList{users: &v1alpha1.UserList{}, memberships: &v1alpha1.MembershipList{}, groups: &v1alpha1.GroupList{}, transitions: partial("TransitionList")} {
		if err := b.admin.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return err.Error()
		}
		if why := b.behind(kind, list); why != "" {
			return why
		}
	}
	for key, track := range b.seen.of(transitions) {
		last := track[len(track)-1]
		if t := last.object.(*v1alpha1.Transition); !last.gone && !complete(t) && !b.waitsForGuard(t) {
			return "Transition " + key.Name + " is not complete: " + progress(t)
		}
	}
	return ""
}

func partial(kind string) *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	return list
}

// behind says where the watches have not told of everything, or the operator has not processed it.
func (b *book) behind(kind string, list client.ObjectList) (why string) {
	there := 0
	tracks := b.seen.of(kind)
	_ = meta.EachListItem(list, func(item runtime.Object) error {
		o := item.(client.Object)
		there++
		track := tracks[client.ObjectKeyFromObject(o)]
		if len(track) == 0 || track[len(track)-1].revision != revisionOf(o) {
			why = kind + " " + o.GetName() + " has not come through the watch"
		}
		if observed, ok := observedOf(o); ok && observed != o.GetGeneration() {
			why = kind + " " + o.GetName() + " is not processed"
		}
		if kind != transitions && o.GetDeletionTimestamp() != nil && !b.deletionWaits(o) {
			why = kind + " " + o.GetName() + " is being deleted"
		}
		return nil
	})
	for _, track := range tracks {
		if !track[len(track)-1].gone {
			there--
		}
	}
	if there != 0 && why == "" {
		why = "the watch knows other objects of kind " + kind
	}
	return why
}

// deletionWaits tells whether a user's deletion waits for a guard, as it may.
func (b *book) deletionWaits(o client.Object) bool {
	for _, track := range b.seen.of(transitions) {
		last := track[len(track)-1]
		if t := last.object.(*v1alpha1.Transition); !last.gone && t.Spec.Subject.UID == o.GetUID() && b.waitsForGuard(t) {
			return true
		}
	}
	return false
}

func observedOf(o client.Object) (int64, bool) {
	switch o := o.(type) {
	case *v1alpha1.User:
		return o.Status.ObservedGeneration, true
	case *v1alpha1.Membership:
		return o.Status.ObservedGeneration, true
	case *v1alpha1.Group:
		return o.Status.ObservedGeneration, true
	default:
		return 0, false
	}
}

// soonDue says which declared time is just over, or is about to come.
func (b *book) soonDue() string {
	b.model.mu.Lock()
	defer b.model.mu.Unlock()
	now := time.Now()
	for name, a := range b.model.accounts {
		for _, instant := range a.instants() {
			if instant.After(now.Add(-stillness)) && instant.Before(now.Add(10*time.Second)) {
				return name + " has a date"
			}
		}
	}
	for name, p := range b.model.parts {
		if p.expires.After(now.Add(-stillness)) && p.expires.Before(now.Add(10*time.Second)) {
			return name + " has a date"
		}
	}
	return ""
}

// quietPoint waits for rest and compares everything.
func (b *book) quietPoint(ctx context.Context) (*point, error) {
	began := time.Now()
	p := &point{worst: map[string]time.Duration{}}
	if err := b.awaitHealth(ctx, time.Minute); err != nil {
		p.find(wrong, "operator", "%v", err)
		return p, ctx.Err()
	}
	// What is counted is written only now and then, and a watch may be late.
	for range 3 {
		if err := b.compare(ctx, p); err != nil {
			return nil, err
		}
		if len(p.findings) == 0 {
			break
		}
		pause(ctx, 2*stillness)
	}
	p.took = time.Since(began)
	b.turn()
	return p, nil
}

// compare compares everything.
func (b *book) compare(ctx context.Context, p *point) error {
	*p = point{worst: map[string]time.Duration{}}
	if err := b.awaitRest(ctx); err != nil {
		p.find(wrong, "operator", "%v", err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.gather(p)
	now := time.Now()
	b.compareUsers(p, now)
	b.compareMemberships(p, now)
	if err := b.compareGrants(ctx, p, now); err != nil {
		return err
	}
	b.compareCounts(p, now)
	b.compareWork(p)
	if err := b.compareEvents(ctx, p); err != nil {
		return err
	}
	b.model.mu.Lock()
	defer b.model.mu.Unlock()
	p.findings = append(p.findings, b.model.surprises...)
	return nil
}

// gather takes what the watches have told into the lines of the model.
func (b *book) gather(p *point) {
	b.model.mu.Lock()
	defer b.model.mu.Unlock()
	for _, kind := range []string{users, memberships} {
		for _, track := range b.seen.of(kind) {
			before := ""
			for i, v := range track {
				earliest, latest := writtenAt(v), v.at
				id := v.object.GetAnnotations()[operationOf]
				if o := b.model.operations[id]; id != before && o != nil {
					earliest = o.start
					if !o.end.IsZero() && o.end.Before(latest) {
						latest = o.end
					}
				} else if i == 0 {
					earliest = latest
				}
				before = id
				o := v.object
				b.model.learn(kind, o, earliest, latest, v.gone)
			}
		}
	}
	for _, track := range b.seen.of(policies) {
		for _, v := range track {
			b.policies[v.object.GetGeneration()] = v.object.(*v1alpha1.LifecyclePolicy).Spec
		}
	}
	b.takeRecords(p)
}

// writtenAt is when a version was written at the earliest, to the second: the watch may tell of it late.
func writtenAt(v seen) time.Time {
	newest := time.Time{}
	for _, entry := range v.object.GetManagedFields() {
		if entry.Time != nil && entry.Time.After(newest) {
			newest = entry.Time.Time
		}
	}
	if newest.IsZero() || newest.After(v.at) {
		return v.at
	}
	return newest
}

// takeRecords takes the new Transitions, whose numbers must follow one another.
func (b *book) takeRecords(p *point) {
	found := map[string][]*v1alpha1.Transition{}
	for _, track := range b.seen.of(transitions) {
		last := track[len(track)-1]
		t := last.object.(*v1alpha1.Transition)
		subject := string(t.Spec.Subject.Kind) + "/" + t.Spec.Subject.Name
		if last.gone {
			p.find(lost, subject, "record %s has been deleted", t.Name)
		}
		found[subject] = append(found[subject], t)
		b.known[string(t.UID)] = t
		if b.born[string(t.UID)] == 0 {
			b.born[string(t.UID)] = track[0].revision
		}
	}
	for subject, all := range found {
		slices.SortFunc(all, func(x, y *v1alpha1.Transition) int { return recordOf(x).number - recordOf(y).number })
		for i, t := range all {
			if recordOf(t).number != i+1 {
				p.find(lost, subject, "record %d is missing before %s", i+1, t.Name)
				break
			}
		}
		if len(all) < b.numbers[subject] {
			p.find(lost, subject, "there were %d records, and are %d", b.numbers[subject], len(all))
		}
		p.transitions += len(all) - b.numbers[subject]
		b.all[subject] = all
	}
}

// recordsOf are the new records of an identity.
func (b *book) recordsOf(subject, uid string) []record {
	var records []record
	for _, t := range b.all[subject][min(b.numbers[subject], len(b.all[subject])):] {
		if string(t.Spec.Subject.UID) == uid {
			records = append(records, recordOf(t))
		}
	}
	return records
}

// turn begins a new page.
func (b *book) turn() {
	b.model.mu.Lock()
	defer b.model.mu.Unlock()
	b.since = time.Now()
	for subject, all := range b.all {
		b.numbers[subject] = len(all)
		for _, t := range all {
			b.accounts[string(t.Spec.Subject.UID)] = recordOf(t)
		}
	}
	for name, l := range b.model.users {
		b.model.users[name] = lastOf(l)
	}
	for name, l := range b.model.mates {
		b.model.mates[name] = lastOf(l)
	}
	b.model.operations, b.model.surprises = map[string]*operation{}, nil
	if n := len(b.model.recent); n > 4000 {
		b.model.recent = slices.Clone(b.model.recent[n-2000:])
	}
	b.outages = b.faults.forget()
	b.seen.forget()
}

func lastOf[T any](l line[T]) line[T] {
	if len(l) == 0 || l[len(l)-1].value == nil {
		return nil
	}
	return line[T]{l[len(l)-1]}
}

// tell prints what was found: of each subject what happened to it last.
func (b *book) tell(out io.Writer, p *point) {
	fmt.Fprintf(out, "\nDIVERGED. Replay with -seed %d; logs are in %s\n", b.options.seed, b.options.folder)
	for i, f := range p.findings {
		if i == 20 {
			fmt.Fprintf(out, "... and %d more\n", len(p.findings)-i)
			break
		}
		fmt.Fprintf(out, "\n%s: %s: %s\n", f.kind, f.subject, f.text)
		b.tellAbout(out, f.subject)
	}
	for _, o := range b.outages {
		fmt.Fprintf(out, "fault: %s from %s to %s\n", o.kind, o.begin.UTC().Format("15:04:05.000"), o.end.UTC().Format("15:04:05.000"))
	}
}

func (b *book) tellAbout(out io.Writer, subject string) {
	_, name, _ := strings.Cut(subject, "/")
	person, _, _ := strings.Cut(name, "-")
	var about []*operation
	for _, o := range b.model.recent {
		if o.subject == subject || o.subject == users+"/"+person || strings.HasPrefix(o.subject, memberships+"/"+person+"-") && strings.HasPrefix(subject, users) {
			about = append(about, o)
		}
	}
	for _, o := range about[max(0, len(about)-12):] {
		fmt.Fprintf(out, "    %s\n", o)
	}
	for _, s := range []string{subject, users + "/" + person} {
		all := b.all[s]
		for _, t := range all[max(0, len(all)-6):] {
			fmt.Fprintf(out, "    %s %s\n", recordOf(t), progress(t))
		}
		if subject == users+"/"+person {
			break
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

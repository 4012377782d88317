package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// compareUsers compares every user with what is declared, and the records with the way there.
func (b *book) compareUsers(p *point, now time.Time) {
	for _, name := range sortedKeys(b.model.accounts) {
		b.compareUser(p, name, b.model.accounts[name], now)
	}
	for _, name := range sortedKeys(b.model.users) {
		if b.seen.missed(users, name) {
			p.unjudged++
			continue
		}
		for _, uid := range uidsOf(b.model.users[name], func(a *account) string { return a.uid }) {
			b.compareHistory(p, users+"/"+name, uid, b.userPath(name, uid, now))
		}
	}
}

func (b *book) compareUser(p *point, name string, declared *account, now time.Time) {
	p.subjects++
	subject := users + "/" + name
	o, there := b.seen.now(users, name).(*v1alpha1.User)
	if !there {
		if !declared.ending {
			p.find(lost, subject, "the user is gone, and nobody deleted it")
		}
		delete(b.model.accounts, name)
		return
	}
	actual := accountOf(o)
	if diff := declared.differs(actual); diff != "" && !declared.ending {
		p.find(lost, subject, "what was declared is not what is there: %s", diff)
	}
	state, causes := actual.at(now)
	b.compareStatus(p, subject, shown(state), causes, o.Status.State, o.Status.Causes)
	if access := map[bool]v1alpha1.Access{true: v1alpha1.AccessGranted, false: v1alpha1.AccessDenied}[gives(state)]; o.Status.Access != access {
		p.find(wrong, subject, "access is %s and must be %s", o.Status.Access, access)
	}
	at, to := next(actual.instants(), func(t time.Time) v1alpha1.State { s, _ := actual.at(t); return s }, now)
	b.compareNext(p, subject, at, to, o.Status.NextTransitionTime.Time, o.Status.NextState)
	if last := b.lastOf(subject); last != "" && last != o.Status.LastTransition.Name {
		p.find(wrong, subject, "the status names %s as the last record, and the last is %s", o.Status.LastTransition.Name, last)
	}
}

func (b *book) lastOf(subject string) string {
	if all := b.all[subject]; len(all) > 0 {
		return all[len(all)-1].Name
	}
	return ""
}

func (b *book) compareStatus(p *point, subject string, state v1alpha1.State, causes []string, actual v1alpha1.State, found []v1alpha1.Cause) {
	if actual != state {
		p.find(wrong, subject, "state is %s and must be %s (%s)", actual, state, strings.Join(causes, ", "))
		return
	}
	if len(causes) == 0 && len(found) == 0 {
		return
	}
	strongest := ""
	if len(found) > 0 {
		if strongest = string(found[0].Type); found[0].Name != "" {
			strongest += "/" + found[0].Name
		}
	}
	if !slices.Contains(causes, strongest) {
		p.find(wrong, subject, "the strongest cause is %q and must be one of %s", strongest, strings.Join(causes, ", "))
	}
}

func (b *book) compareNext(p *point, subject string, at time.Time, to v1alpha1.State, foundAt time.Time, foundTo v1alpha1.State) {
	if !at.Equal(foundAt) || to != foundTo {
		p.find(wrong, subject, "next is %s at %s and must be %s at %s", foundTo, clock(foundAt), to, clock(at))
	}
}

// differs says what of two declarations is not the same.
func (a *account) differs(actual *account) string {
	var found []string
	compare := func(field string, is, must any) {
		if fmt.Sprint(is) != fmt.Sprint(must) {
			found = append(found, fmt.Sprintf("%s is %v and must be %v", field, is, must))
		}
	}
	compare("desiredStatus", actual.desired, a.desired)
	compare("role", actual.role, a.role)
	compare("manager", actual.manager, a.manager)
	compare("successor", actual.successor, a.successor)
	compare("startTime", clock(actual.starts), clock(a.starts))
	compare("expirationTime", clock(actual.expires), clock(a.expires))
	compare("holds", actual.holds, a.holds)
	compare("activity", actual.used, a.used)
	if len(actual.absences) != len(a.absences) || slices.ContainsFunc(a.absences, func(x absence) bool {
		return !slices.ContainsFunc(actual.absences, func(y absence) bool {
			return x.name == y.name && x.state == y.state && x.start.Equal(y.start) && x.end.Equal(y.end)
		})
	}) {
		found = append(found, fmt.Sprintf("absences are %v and must be %v", actual.absences, a.absences))
	}
	return strings.Join(found, "; ")
}

// uidsOf are the identities that a line is about, oldest first.
func uidsOf[T any](l line[T], uid func(*T) string) []string {
	var uids []string
	for _, v := range l {
		if v.value != nil && !slices.Contains(uids, uid(v.value)) {
			uids = append(uids, uid(v.value))
		}
	}
	return uids
}

// userPath is the way of an identity's state since the last quiet point.
func (b *book) userPath(name, uid string, until time.Time) []stretch {
	l := b.model.users[name]
	at := func(t time.Time) (v1alpha1.State, []time.Time) {
		a := l.at(t)
		if a == nil || a.uid != uid {
			return "", nil
		}
		state, _ := a.at(t)
		return state, a.instants()
	}
	found := staleIn(l, (*account).instants, b.knownBy, func(a *account, t time.Time) v1alpha1.State { s, _ := a.at(t); return s })
	return withStale(b.path(boundariesOf(l, (*account).instants, until), at, until), found)
}

// knownBy is by when the operator knows what was declared at an instant.
func (b *book) knownBy(declaredAt time.Time) time.Time {
	limit, _ := b.faults.limit(declaredAt, declaredAt.Add(2*time.Second), time.Second)
	return limit
}

// path is the way of a state since the last quiet point, as long as there is a subject.
func (b *book) path(boundaries []boundary, at func(time.Time) (v1alpha1.State, []time.Time), until time.Time) []stretch {
	boundaries = slices.DeleteFunc(boundaries, func(x boundary) bool { return !x.at.After(b.since) })
	boundaries = append(boundaries, boundary{at: b.since})
	return slices.DeleteFunc(pathOf(boundaries, at, until), func(s stretch) bool { return s.state == "" })
}

// mateUnwatched tells whether a membership or its user has been out of sight.
func (b *book) mateUnwatched(name string) bool {
	return b.seen.missed(memberships, name) || slices.ContainsFunc(b.model.mates[name], func(v version[part]) bool {
		return v.value != nil && b.seen.missed(users, v.value.user)
	})
}

// compareHistory compares the new records of an identity with the way of its state.
func (b *book) compareHistory(p *point, subject, uid string, path []stretch) {
	before, begun := b.accounts[uid]
	if len(path) == 0 {
		return
	}
	if kind, text := explain(b.recordsOf(subject, uid), path, begun, before, b.faults.hides); kind != "" {
		p.find(kind, subject, "%s", text)
	}
}

func (b *book) compareMemberships(p *point, now time.Time) {
	for _, name := range sortedKeys(b.model.parts) {
		b.compareMembership(p, name, b.model.parts[name], now)
	}
	for _, name := range sortedKeys(b.model.mates) {
		if b.mateUnwatched(name) {
			p.unjudged++
			continue
		}
		for _, uid := range uidsOf(b.model.mates[name], func(m *part) string { return m.uid }) {
			b.compareHistory(p, memberships+"/"+name, uid, b.matePath(name, uid, now))
		}
	}
}

func (b *book) compareMembership(p *point, name string, declared *part, now time.Time) {
	p.subjects++
	subject := memberships + "/" + name
	o, there := b.seen.now(memberships, name).(*v1alpha1.Membership)
	if !there {
		if !declared.ending {
			p.find(lost, subject, "the membership is gone, and nobody deleted it")
		}
		delete(b.model.parts, name)
		return
	}
	actual := partOf(o)
	holds, own := without(actual.holds)
	if actual.desired != declared.desired || !actual.expires.Equal(declared.expires) || fmt.Sprint(actual.roles) != fmt.Sprint(declared.roles) || fmt.Sprint(holds) != fmt.Sprint(declared.holds) {
		p.find(lost, subject, "what was declared is not what is there: %+v and must be %+v", actual, declared)
	}
	user := b.model.users[actual.user].at(now)
	for _, must := range b.mustHold(subject, actual, user, now) {
		if !slices.Contains(own, must) {
			p.find(lost, subject, "the hold %s is not there", must)
		}
	}
	state, causes := actual.at(now, user)
	b.compareStatus(p, subject, shown(state), causes, o.Status.State, o.Status.Causes)
	at, to := next(actual.instants(user), func(t time.Time) v1alpha1.State { s, _ := actual.at(t, user); return s }, now)
	b.compareNext(p, subject, at, to, o.Status.NextTransitionTime.Time, o.Status.NextState)
}

// mustHold are the operator's holds that must be on a membership: of the state that its user is in, and of each that the user
// has been in since the membership was created, unless they were released later.
func (b *book) mustHold(subject string, m *part, user *account, now time.Time) []string {
	var must []string
	if user != nil {
		switch state, _ := user.at(now); state {
		case v1alpha1.StateSuspended:
			must = append(must, userSuspended)
		case v1alpha1.StateRemoved, deleted:
			must = append(must, userRemoved)
		default:
		}
	}
	created := time.Time{}
	_, name, _ := strings.Cut(subject, "/")
	if o := b.seen.now(memberships, name); o != nil {
		created = o.GetCreationTimestamp().Time
	}
	released := b.model.released[name]
	for _, t := range b.all[users+"/"+m.user] {
		if t.CreationTimestamp.Time.Before(created.Add(2*time.Second)) || t.CreationTimestamp.Time.Before(released.Add(2*time.Second)) || t.Spec.From == "" {
			continue
		}
		switch {
		case t.Spec.To == v1alpha1.StateSuspended:
			must = append(must, userSuspended)
		case t.Spec.To == v1alpha1.StateRemoved:
			must = append(must, userRemoved)
		case t.Spec.To == v1alpha1.StateDeactivated && teams[m.group] && done(t) && planned(t, "teams") != nil && !b.removedBefore(name, t.CreationTimestamp.Time):
			must = append(must, teamsEffect)
		}
	}
	return must
}

// removedBefore tells whether a membership may have been Removed at an instant: then no effect concerns it.
func (b *book) removedBefore(name string, at time.Time) bool {
	for _, t := range b.all[memberships+"/"+name] {
		if t.Spec.To == v1alpha1.StateRemoved && t.CreationTimestamp.Time.Before(at.Add(3*time.Second)) {
			return true
		}
	}
	return false
}

// matePath is the way of a membership's state since the last quiet point.
func (b *book) matePath(name, uid string, until time.Time) []stretch {
	l := b.model.mates[name]
	at := func(t time.Time) (v1alpha1.State, []time.Time) {
		m := l.at(t)
		if m == nil || m.uid != uid {
			return "", nil
		}
		user := b.model.users[m.user].at(t)
		state, _ := m.at(t, user)
		return state, m.instants(user)
	}
	found := staleIn(l, func(m *part) []time.Time { return m.instants(nil) }, b.knownBy, func(m *part, t time.Time) v1alpha1.State {
		s, _ := m.at(t, b.model.users[m.user].at(t))
		return s
	})
	for _, v := range l {
		if v.value != nil {
			found = append(found, staleIn(b.model.users[v.value.user], (*account).instants, b.knownBy, func(a *account, t time.Time) v1alpha1.State {
				if m := l.at(t); m != nil {
					s, _ := m.at(t, a)
					return s
				}
				return ""
			})...)
			break
		}
	}
	return withStale(b.path(b.mateBoundaries(name, until), at, until), found)
}

// mateBoundaries are the boundaries of a membership: its own, and its user's.
func (b *book) mateBoundaries(name string, until time.Time) []boundary {
	l := b.model.mates[name]
	boundaries := boundariesOf(l, func(m *part) []time.Time { return m.instants(nil) }, until)
	for _, v := range l {
		if v.value != nil {
			return append(boundaries, boundariesOf(b.model.users[v.value.user], (*account).instants, until)...)
		}
	}
	return boundaries
}

// grant is a RoleBinding that stands for a membership's role.
type grant struct{ membership, room, role string }

// wants tells whether a membership must have a grant at an instant.
func (b *book) wants(g grant, t time.Time) bool {
	m := b.model.mates[g.membership].at(t)
	if m == nil {
		return false
	}
	state, _ := m.at(t, b.model.users[m.user].at(t))
	return state == v1alpha1.StateActive && rooms[m.group] == g.room && slices.ContainsFunc(m.roles, func(r string) bool { return granted[r] == g.role })
}

// compareGrants compares the RoleBindings, and how long they have been there, with what the memberships are entitled to.
func (b *book) compareGrants(ctx context.Context, p *point, now time.Time) error {
	must := map[grant]bool{}
	for name, l := range b.model.mates {
		for _, role := range []string{"view", "edit"} {
			if m := l.at(now); m != nil {
				if g := (grant{name, rooms[m.group], role}); b.wants(g, now) {
					must[g] = true
				}
			}
		}
	}
	for _, track := range b.seen.of(bindings) {
		binding := track[len(track)-1].object.(*rbacv1.RoleBinding)
		g := grant{binding.Labels[v1alpha1.LabelMembership], binding.Namespace, binding.RoleRef.Name}
		b.compareCut(p, g, track, now)
		if track[len(track)-1].gone {
			continue
		}
		if !must[g] {
			p.find(wrong, memberships+"/"+g.membership, "RoleBinding %s/%s is there", binding.Namespace, binding.Name)
		}
		delete(must, g)
		user, _, _ := strings.Cut(g.membership, "-")
		if len(binding.Subjects) != 1 || binding.Subjects[0].Name != userName(user) {
			p.find(wrong, memberships+"/"+g.membership, "RoleBinding %s/%s is of %v", binding.Namespace, binding.Name, binding.Subjects)
		}
	}
	for g := range must {
		p.find(lost, memberships+"/"+g.membership, "the RoleBinding of %s in %s is not there", g.role, g.room)
	}
	return b.compareAnswers(ctx, p, now)
}

// compareCut sees how long a RoleBinding has been there that no longer should have been.
func (b *book) compareCut(p *point, g grant, track []seen, now time.Time) {
	if b.mateUnwatched(g.membership) {
		return
	}
	boundaries := b.mateBoundaries(g.membership, now)
	slices.SortFunc(boundaries, func(x, y boundary) int { return x.at.Compare(y.at) })
	for i, v := range track {
		if v.gone {
			continue
		}
		end := now
		if i+1 < len(track) {
			end = track[i+1].at
		}
		if i+1 < len(track) && track[i+1].missed {
			continue // When it went is not known.
		}
		for _, x := range boundaries {
			if x.at.Before(b.since) || !x.at.Before(end) || x.at.Before(v.at) || b.wants(g, x.at) || !b.wants(g, x.at.Add(-time.Millisecond)) {
				continue
			}
			until := end
			for _, y := range boundaries {
				if y.at.After(x.at) && y.at.Before(until) && b.wants(g, y.at) {
					until = y.at
				}
			}
			p.cuts++
			late := max(0, until.Sub(b.faults.answered(x.at)))
			limit, kind := b.faults.limit(x.at, until, b.options.grace)
			p.worst[kind] = max(p.worst[kind], late)
			p.busy = max(p.busy, b.faults.busyBetween(x.at, until))
			if until.After(limit) {
				p.find(wrong, memberships+"/"+g.membership, "RoleBinding of %s in %s was there until %s, %s after access was to be cut at %s (%s; the limit is %s)",
					g.role, g.room, until.UTC().Format("15:04:05.000"), late.Round(time.Millisecond), x.at.UTC().Format("15:04:05.000"), kind, limit.Sub(x.at).Round(time.Millisecond))
			}
		}
	}
}

// compareAnswers asks the API server about some people whether they may do what their memberships let them.
func (b *book) compareAnswers(ctx context.Context, p *point, now time.Time) error {
	asked := 0
	for _, name := range sortedKeys(b.model.mates) {
		m := b.model.mates[name].at(now)
		if m == nil || hash(fmt.Sprint(name, b.since.Unix()))%8 != 0 {
			continue
		}
		if asked++; asked > 8 {
			return nil
		}
		must := b.wants(grant{name, rooms[m.group], "view"}, now) || b.wants(grant{name, rooms[m.group], "edit"}, now)
		may, err := b.mayListPods(ctx, m.user, rooms[m.group])
		if err != nil {
			return fmt.Errorf("asking what %s may do: %w", m.user, err)
		}
		if may != must {
			p.find(wrong, memberships+"/"+name, "whether the user may list pods in %s is %t and must be %t", rooms[m.group], may, must)
		}
	}
	return nil
}

// compareCounts compares what the Organization and its groups count.
func (b *book) compareCounts(p *point, now time.Time) {
	counts := v1alpha1.UserCounts{}
	seats, admins := int32(0), int32(0)
	for name := range b.model.accounts {
		l := b.model.users[name]
		a := l.at(now)
		if a == nil {
			continue
		}
		state, _ := a.at(now)
		counts.Total++
		*map[v1alpha1.State]*int32{
			v1alpha1.StatePending: &counts.Pending, v1alpha1.StateActivated: &counts.Activated, v1alpha1.StateActive: &counts.Active, v1alpha1.StateOnBreak: &counts.OnBreak,
			v1alpha1.StateDeactivated: &counts.Deactivated, v1alpha1.StateExpired: &counts.Expired, v1alpha1.StateSuspended: &counts.Suspended, v1alpha1.StateRemoved: &counts.Removed,
		}[shown(state)]++
		if gives(state) {
			seats++
			if a.role == "Admin" || a.role == "Owner" {
				admins++
			}
		}
	}
	if o, ok := b.seen.now(organizations, namespace).(*v1alpha1.Organization); !ok || o.Status.Users != counts || o.Status.SeatsUsed != seats || o.Status.Admins.Active != admins {
		p.find(wrong, organizations+"/"+namespace, "counts %+v, %d seats, %d admins and must count %+v, %d seats, %d admins",
			o.Status.Users, o.Status.SeatsUsed, o.Status.Admins.Active, counts, seats, admins)
	}
	for group := range rooms {
		b.compareGroup(p, group, now)
	}
}

func (b *book) compareGroup(p *point, group string, now time.Time) {
	members := v1alpha1.MembershipCounts{}
	for name := range b.model.mates {
		m := b.model.mates[name].at(now)
		if m == nil || m.group != group {
			continue
		}
		members.Total++
		if state, _ := m.at(now, b.model.users[m.user].at(now)); state == v1alpha1.StateActive {
			members.Active++
		}
	}
	o, ok := b.seen.now(groups, group).(*v1alpha1.Group)
	if !ok || o.Status.Members != members {
		p.find(wrong, groups+"/"+group, "counts %+v and must count %+v", o.Status.Members, members)
	}
	if declared := b.model.leaders[group]; ok && o.Spec.LeaderRef.Name != declared {
		p.find(lost, groups+"/"+group, "the leader is %q and must be %q", o.Spec.LeaderRef.Name, declared)
	}
	for _, acting := range o.Spec.Acting {
		if acting.For != o.Spec.LeaderRef.Name || !b.plans(acting.Transition, "leads") {
			p.find(wrong, groups+"/"+group, "%+v stands in, which nothing accounts for", acting)
		}
	}
}

func (b *book) plans(name, effect string) bool {
	for _, t := range b.known {
		if t.Name == name {
			return planned(t, effect) != nil
		}
	}
	return false
}

// compareEvents sees that nothing is told twice: of each subject, no more Events say a state than records lead to it.
func (b *book) compareEvents(ctx context.Context, p *point) error {
	var list eventsv1.EventList
	if err := b.admin.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("listing Events: %w", err)
	}
	told := map[string]int{}
	for i := range list.Items {
		e := &list.Items[i]
		told[e.Regarding.Kind+"/"+e.Regarding.Name+" "+string(e.Regarding.UID)+" "+e.Reason] += max(1, eventCount(e))
	}
	recorded := map[string]int{}
	for subject, all := range b.all {
		for _, t := range all {
			recorded[subject+" "+string(t.Spec.Subject.UID)+" "+string(t.Spec.To)]++
		}
	}
	states := []v1alpha1.State{"Pending", "Activated", "Active", "OnBreak", "Paused", "Deactivated", "Expired", "Suspended", "Removed"}
	for what, times := range told {
		subject, rest, _ := strings.Cut(what, " ")
		_, reason, _ := strings.Cut(rest, " ")
		if slices.Contains(states, v1alpha1.State(reason)) && times > recorded[what] {
			p.find(doubled, subject, "an Event said %s %d times, and %d records do", reason, times, recorded[what])
		}
	}
	return nil
}

func eventCount(e *eventsv1.Event) int {
	if e.Series == nil {
		return 1
	}
	return int(e.Series.Count)
}

package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
)

// The reference model: what the tables of states say about what is declared, row by row, written without the operator's code
// and without a look at what it has made of it.

// deleted stands for the state Removed of what is being deleted, whose end is recorded of its own.
const deleted v1alpha1.State = "Deleted"

// Holds that the operator puts on memberships.
const (
	userSuspended = v1alpha1.HoldUserSuspended
	userRemoved   = v1alpha1.HoldUserRemoved
	teamsEffect   = v1alpha1.HoldOfEffect + "teams"
)

// account is what is declared about a user.
type account struct {
	uid       string
	desired   v1alpha1.State
	role      string
	manager   string
	successor string
	starts    time.Time
	expires   time.Time
	absences  []absence
	holds     []hold
	used      bool // some application has seen the user
	ending    bool // it is being deleted
}

type absence struct {
	name       string
	start, end time.Time
	state      v1alpha1.State
}

type hold struct {
	name  string
	state v1alpha1.State
}

// part is what is declared about a membership.
type part struct {
	uid         string
	user, group string
	roles       []string
	desired     v1alpha1.State
	expires     time.Time
	holds       []hold
	ending      bool
}

// row is a row of a table of states, with the reasons for which it applies.
type row struct {
	state  v1alpha1.State
	causes []string
}

// first is the first row that applies, or what holds otherwise.
func first(rows []row, otherwise v1alpha1.State) (v1alpha1.State, []string) {
	for _, r := range rows {
		if len(r.causes) > 0 {
			return r.state, r.causes
		}
	}
	return otherwise, nil
}

// at is the state of a user at an instant, and the causes that are equally strong.
func (a *account) at(t time.Time) (v1alpha1.State, []string) {
	rows := []row{
		{state: deleted}, {state: v1alpha1.StateRemoved}, {state: v1alpha1.StateSuspended}, {state: v1alpha1.StateExpired},
		{state: v1alpha1.StateDeactivated}, {state: v1alpha1.StatePending}, {state: v1alpha1.StateOnBreak},
	}
	add := func(state v1alpha1.State, cause string) {
		if i := slices.IndexFunc(rows, func(r row) bool { return r.state == state }); i >= 0 {
			rows[i].causes = append(rows[i].causes, cause)
		}
	}
	if a.ending {
		add(deleted, "Deleted")
	}
	add(a.desired, "Declared")
	for _, h := range a.holds {
		add(h.state, "Hold/"+h.name)
	}
	if reached(a.expires, t) {
		add(v1alpha1.StateExpired, "Expired")
	}
	for _, away := range a.absences {
		if reached(away.start, t) && !reached(away.end, t) {
			add(away.state, "Absence/"+away.name)
		}
	}
	if a.starts.After(t) {
		add(v1alpha1.StatePending, "NotStarted")
	}
	otherwise := v1alpha1.StateActivated
	if a.used {
		otherwise = v1alpha1.StateActive
	}
	return first(rows, otherwise)
}

// instants are the times at which the state may change by itself.
func (a *account) instants() []time.Time {
	if a == nil {
		return nil
	}
	all := []time.Time{a.starts, a.expires}
	for _, away := range a.absences {
		all = append(all, away.start, away.end)
	}
	return slices.DeleteFunc(all, time.Time.IsZero)
}

// at is the state of a membership at an instant, whose user is nil where there is none.
func (p *part) at(t time.Time, user *account) (v1alpha1.State, []string) {
	rows := []row{
		{state: deleted}, {state: v1alpha1.StateRemoved}, {state: v1alpha1.StateExpired}, {state: v1alpha1.StateDeactivated},
		{state: v1alpha1.StatePaused}, {state: v1alpha1.StatePending},
	}
	add := func(state v1alpha1.State, cause string) {
		if i := slices.IndexFunc(rows, func(r row) bool { return r.state == state }); i >= 0 {
			rows[i].causes = append(rows[i].causes, cause)
		}
	}
	if p.ending {
		add(deleted, "Deleted")
	}
	add(p.desired, "Declared")
	for _, h := range p.holds {
		add(h.state, "Hold/"+h.name)
	}
	if reached(p.expires, t) {
		add(v1alpha1.StateExpired, "Expired")
	}
	if user == nil {
		add(v1alpha1.StatePending, "UserNotFound/"+p.user)
		return first(rows, v1alpha1.StateActive)
	}
	switch state, _ := user.at(t); state {
	case v1alpha1.StateRemoved, deleted:
		add(v1alpha1.StateRemoved, "Hold/"+userRemoved)
	case v1alpha1.StateSuspended:
		add(v1alpha1.StateDeactivated, "Hold/"+userSuspended)
		add(v1alpha1.StatePaused, "UserSuspended/"+p.user)
	case v1alpha1.StateDeactivated, v1alpha1.StateExpired, v1alpha1.StatePending:
		add(v1alpha1.StatePaused, "User"+string(state)+"/"+p.user)
	default:
	}
	return first(rows, v1alpha1.StateActive)
}

func (p *part) instants(user *account) []time.Time {
	if p == nil {
		return nil
	}
	all := user.instants()
	if !p.expires.IsZero() {
		all = append(all, p.expires)
	}
	return all
}

// shown is a state as the API shows it.
func shown(state v1alpha1.State) v1alpha1.State {
	if state == deleted {
		return v1alpha1.StateRemoved
	}
	return state
}

// kin joins the states between which a change is not recorded.
func kin(state v1alpha1.State) v1alpha1.State {
	if state == v1alpha1.StateActivated || state == v1alpha1.StatePaused {
		return v1alpha1.StateActive
	}
	return state
}

// gives tells whether a state of a user gives access.
func gives(state v1alpha1.State) bool {
	return kin(state) == v1alpha1.StateActive || state == v1alpha1.StateOnBreak
}

func reached(instant, t time.Time) bool { return !instant.IsZero() && !t.Before(instant) }

// next is the first instant after t at which the state differs, and the state then.
func next(instants []time.Time, at func(time.Time) v1alpha1.State, t time.Time) (time.Time, v1alpha1.State) {
	now := at(t)
	for _, instant := range slices.SortedFunc(slices.Values(instants), time.Time.Compare) {
		if then := at(instant); instant.After(t) && then != now {
			return instant, shown(then)
		}
	}
	return time.Time{}, ""
}

// accountOf reads what is declared about a user.
func accountOf(u *v1alpha1.User) *account {
	released := strings.Split(u.Annotations[v1alpha1.AnnotationRelease], ",")
	a := &account{
		uid: string(u.UID), desired: declared(string(u.Spec.DesiredStatus)), role: u.Spec.Role, manager: u.Spec.ManagerRef.Name, successor: u.Spec.SuccessorRef.Name,
		starts: u.Spec.StartTime.Time, expires: u.Spec.ExpirationTime.Time, ending: u.DeletionTimestamp != nil,
		used: u.Annotations[v1alpha1.AnnotationLastActivity] != "" || u.Annotations[v1alpha1.AnnotationFirstActivity] != "",
	}
	for i := range u.Spec.Absences {
		away := &u.Spec.Absences[i]
		a.absences = append(a.absences, absence{away.Name, away.StartTime.Time, away.EndTime.Time, v1alpha1.State(away.Status)})
	}
	for i := range u.Spec.Holds {
		if h := &u.Spec.Holds[i]; !slices.Contains(released, h.Name) {
			a.holds = append(a.holds, hold{h.Name, v1alpha1.State(h.Status)})
		}
	}
	return a
}

// partOf reads what is declared about a membership, and what the operator has put on it.
func partOf(m *v1alpha1.Membership) *part {
	released := strings.Split(m.Annotations[v1alpha1.AnnotationRelease], ",")
	p := &part{
		uid: string(m.UID), user: m.Spec.UserRef.Name, group: m.Spec.GroupRef.Name, roles: slices.Clone(m.Spec.Roles),
		desired: declared(string(m.Spec.DesiredStatus)), expires: m.Spec.ExpirationTime.Time, ending: m.DeletionTimestamp != nil,
	}
	for i := range m.Spec.Holds {
		if h := &m.Spec.Holds[i]; !slices.Contains(released, h.Name) {
			p.holds = append(p.holds, hold{h.Name, v1alpha1.State(h.Status)})
		}
	}
	return p
}

// declared is a desired status as a state; Active says nothing about it.
func declared(desired string) v1alpha1.State {
	return v1alpha1.State(cmp.Or(desired, string(v1alpha1.StateActive)))
}

// without are holds but those that the operator puts there.
func without(holds []hold) (others []hold, own []string) {
	for _, h := range holds {
		if h.name == userSuspended || h.name == userRemoved || strings.HasPrefix(h.name, v1alpha1.HoldOfEffect) {
			own = append(own, h.name)
		} else {
			others = append(others, h)
		}
	}
	return others, own
}

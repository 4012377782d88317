package lifecycle_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

// Users as the guards see them at present. What they declare began at 10 or begins at 90.
func admin(name string, changes ...func(g *lifecycle.Guarded)) lifecycle.Guarded {
	g := lifecycle.Guarded{Name: name, Admin: true, HasAccess: true, User: lifecycle.User{Spec: &v1alpha1.UserSpec{}}}
	for _, change := range changes {
		change(&g)
	}
	return g
}

func owner(g *lifecycle.Guarded)     { g.Owner = true }
func noAdmin(g *lifecycle.Guarded)   { g.Admin = false }
func shutOut(g *lifecycle.Guarded)   { g.HasAccess = false }
func expired(g *lifecycle.Guarded)   { g.User.Spec.ExpirationTime = metaAt(10) }
func expiring(g *lifecycle.Guarded)  { g.User.Spec.ExpirationTime = metaAt(90) }
func suspended(g *lifecycle.Guarded) { g.User.Spec.DesiredStatus = v1alpha1.UserDesiredSuspended }
func deleted(g *lifecycle.Guarded)   { g.User.Deleted = at(10) }
func onBreak(g *lifecycle.Guarded)   { g.User.Spec.DesiredStatus = v1alpha1.UserDesiredOnBreak }
func pending(g *lifecycle.Guarded)   { g.User.Spec.StartTime = metaAt(90) }
func heldOpen(g *lifecycle.Guarded)  { g.User.HeldOpen = at(10) }
func applied(g *lifecycle.Guarded)   { g.User.ExpiredAt = at(10) }
func duplicate(g *lifecycle.Guarded) { g.User.DuplicateOf = "an-older-one" }
func away(second int) func(g *lifecycle.Guarded) {
	return func(g *lifecycle.Guarded) {
		g.User.Spec.Absences = append(g.User.Spec.Absences, v1alpha1.Absence{Name: "away", StartTime: metaAt(second), EndTime: metaAt(90)})
	}
}

func TestHeldOpen(t *testing.T) {
	lastAdmin := func(second int) lifecycle.Verdict {
		return lifecycle.Verdict{HeldOpen: at(second), Reason: v1alpha1.ReasonLastAdmin}
	}
	accountOwner := func(second int) lifecycle.Verdict {
		return lifecycle.Verdict{HeldOpen: at(second), Reason: v1alpha1.ReasonAccountOwner}
	}

	for name, test := range map[string]struct {
		users []lifecycle.Guarded
		want  map[string]lifecycle.Verdict
	}{
		"nobody":                      {},
		"the last admin, not due":     {users: []lifecycle.Guarded{admin("ann", expiring)}},
		"the last admin, expired":     {[]lifecycle.Guarded{admin("ann", expired)}, map[string]lifecycle.Verdict{"ann": lastAdmin(10)}},
		"the last admin, away":        {[]lifecycle.Guarded{admin("ann", away(20))}, map[string]lifecycle.Verdict{"ann": lastAdmin(20)}},
		"the newest deadline counts":  {[]lifecycle.Guarded{admin("ann", expired, away(20), away(5))}, map[string]lifecycle.Verdict{"ann": lastAdmin(20)}},
		"nobody's admin, expired":     {users: []lifecycle.Guarded{admin("ann", noAdmin, expired)}},
		"the owner, expired":          {[]lifecycle.Guarded{admin("ann", owner, noAdmin, expired)}, map[string]lifecycle.Verdict{"ann": accountOwner(10)}},
		"the owner counts as admin":   {[]lifecycle.Guarded{admin("ann", expired), admin("bob", owner, expired)}, map[string]lifecycle.Verdict{"bob": accountOwner(10)}},
		"the owner is no admin":       {[]lifecycle.Guarded{admin("ann", expired), admin("bob", owner, noAdmin, expired)}, map[string]lifecycle.Verdict{"ann": lastAdmin(10), "bob": accountOwner(10)}},
		"another admin stays":         {users: []lifecycle.Guarded{admin("ann", expired), admin("bob")}},
		"another admin is on a break": {users: []lifecycle.Guarded{admin("ann", expired), admin("bob", onBreak)}},
		"another admin appears":       {users: []lifecycle.Guarded{admin("ann", expired, heldOpen), admin("bob", shutOut)}},
		"another admin is suspended":  {[]lifecycle.Guarded{admin("ann", expired), admin("bob", suspended)}, map[string]lifecycle.Verdict{"ann": lastAdmin(10)}},
		"another admin is to come":    {[]lifecycle.Guarded{admin("ann", expired), admin("bob", pending, shutOut)}, map[string]lifecycle.Verdict{"ann": lastAdmin(10)}},
		"another admin is no more":    {[]lifecycle.Guarded{admin("ann", expired), admin("bob", expired, shutOut)}, map[string]lifecycle.Verdict{"ann": lastAdmin(10)}},
		"a user is no admin":          {[]lifecycle.Guarded{admin("ann", expired), admin("bob", noAdmin)}, map[string]lifecycle.Verdict{"ann": lastAdmin(10)}},
		"two at once: first by name":  {[]lifecycle.Guarded{admin("bob", expired), admin("ann", expired)}, map[string]lifecycle.Verdict{"ann": lastAdmin(10)}},
		"two at once: kept already":   {[]lifecycle.Guarded{admin("ann", expired), admin("bob", expired, heldOpen)}, map[string]lifecycle.Verdict{"bob": lastAdmin(10)}},
		"an older verdict is renewed": {[]lifecycle.Guarded{admin("ann", expired, away(20), heldOpen)}, map[string]lifecycle.Verdict{"ann": lastAdmin(20)}},
		"kept while status is lost":   {[]lifecycle.Guarded{admin("ann", expired, heldOpen, shutOut)}, map[string]lifecycle.Verdict{"ann": lastAdmin(10)}},

		"the date was moved": {users: []lifecycle.Guarded{admin("ann", expiring, heldOpen)}},

		"a closed door stays closed":          {users: []lifecycle.Guarded{admin("ann", expired, shutOut)}},
		"an owner's closed door stays closed": {users: []lifecycle.Guarded{admin("ann", owner, expired, shutOut)}},
		"an applied expiration stays":         {users: []lifecycle.Guarded{admin("ann", expired, applied)}},
		"a suspension is not held":            {users: []lifecycle.Guarded{admin("ann", suspended)}},
		"an owner's suspension is not held":   {users: []lifecycle.Guarded{admin("ann", owner, suspended)}},
		"a deletion is not held":              {users: []lifecycle.Guarded{admin("ann", deleted)}},
		"a start that was moved is not held":  {users: []lifecycle.Guarded{admin("ann", pending)}},
		"a duplicate is not held":             {users: []lifecycle.Guarded{admin("ann", duplicate)}},
		"nor with an expiration beside it":    {users: []lifecycle.Guarded{admin("ann", suspended, expired, heldOpen)}},
	} {
		t.Run(name, func(t *testing.T) {
			want := test.want
			if want == nil {
				want = map[string]lifecycle.Verdict{}
			}
			if diff := cmp.Diff(want, lifecycle.HeldOpen(test.users, at(present))); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHeldOpenKeepsTheDoorOpen decides a user with a verdict: automatic departures up to it do not happen, everything
// else does.
func TestHeldOpenKeepsTheDoorOpen(t *testing.T) {
	for name, test := range map[string]struct {
		user  lifecycle.Guarded
		state v1alpha1.State
	}{
		"expired":                        {admin("ann", expired, heldOpen), v1alpha1.StateActivated},
		"away from then on":              {admin("ann", away(10), heldOpen), v1alpha1.StateActivated},
		"away from later on":             {admin("ann", away(11), heldOpen), v1alpha1.StateDeactivated},
		"expired, and on a break":        {admin("ann", expired, onBreak, heldOpen), v1alpha1.StateOnBreak},
		"expired, and suspended":         {admin("ann", expired, suspended, heldOpen), v1alpha1.StateSuspended},
		"expired, and deleted":           {admin("ann", expired, deleted, heldOpen), v1alpha1.StateRemoved},
		"expired, and not started":       {admin("ann", expired, pending, heldOpen), v1alpha1.StatePending},
		"expired before it was held":     {admin("ann", expired, applied, heldOpen), v1alpha1.StateExpired},
		"expired, with an older verdict": {admin("ann", expired, func(g *lifecycle.Guarded) { g.User.HeldOpen = at(9) }), v1alpha1.StateExpired},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lifecycle.DecideUser(test.user.User, at(present)).State; got != test.state {
				t.Errorf("state is %s, want %s", got, test.state)
			}
		})
	}
}

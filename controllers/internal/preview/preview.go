// Package preview says in words what a change will do before it is done: as warnings for whoever makes it, in full for whoever
// asks, and as a digest of what is confirmed. It decides nothing: it tells what admission has observed, decided and planned
// with the operator's own code.
package preview

import (
	"time"

	"tenure.dev/tenure/api/v1alpha1"
)

// Preview is what a change of a user or of a membership will do.
type Preview struct {
	// Kind and Name of the subject.
	Kind v1alpha1.SubjectKind
	Name string

	// Identity tells apart two subjects of the same name.
	Identity string

	// Deleted tells whether the change is a deletion, which of a user ends the account.
	Deleted bool

	// Now is when the change is asked for.
	Now time.Time

	// Before and After are how the state goes by itself from now on, without and with the change, in the order of time. Before
	// is empty for a creation.
	Before, After []Moment

	// Reason that is declared for the change; may be empty.
	Reason string

	// Memberships tells what becomes of a user's memberships; zero for a membership.
	Memberships Memberships

	// Grants is how many RoleBindings a change of access at At takes away or brings.
	Grants int

	// Plan is what the policy makes of the first change of state, as things are now.
	Plan []v1alpha1.PlannedEffect

	// Account is the service account as which effects on resources run.
	Account string

	// At is when that change of state comes: Now, or a declared instant.
	At time.Time

	// Blocked is the guard that would hold an automatic departure open, such as "last administrator"; else empty.
	Blocked string

	// SeatsFreed and SeatsTaken tell whether the change of state frees or takes a seat.
	SeatsFreed, SeatsTaken bool

	// Confirm tells whether the change is yet to be confirmed by its digest.
	Confirm bool

	// Contact is whom the organization names for questions, such as "People team <people@acme.example>"; may be empty.
	Contact string
}

// Moment is an instant from which a state holds.
type Moment struct {
	At    time.Time
	State v1alpha1.State
}

// Memberships count what becomes of those of a user's memberships that are active, or come back.
type Memberships struct {
	Paused, Resumed, Deactivated, Removed int
}

// Changes tells whether the state differs at any instant. That an account ends is a change even where its user is Removed
// already.
func (p *Preview) Changes() bool {
	_, differ := p.course(p.Before).differs(p.course(p.After))
	return differ || p.Deleted
}

// known tells whether it is known how many targets an effect has. Objects that could not be listed are none that are known.
func known(effect *v1alpha1.PlannedEffect) bool {
	return effect.Frozen != "" || effect.Targets > 0 || effect.Definition.Resources.Kind == ""
}

package preview

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
)

// digestLength is how many characters a digest has: few enough to be typed.
const digestLength = 12

// confirmed is what somebody confirms who gives a digest. The reason, the contact and the present instant are not part of it.
type confirmed struct {
	Kind           v1alpha1.SubjectKind
	Name, Identity string
	Deleted        bool
	Before, After  []confirmedMoment
	Memberships    Memberships
	Grants         int
	Account        string
	At             string
	Blocked        string
	Plan           []confirmedEffect
}

// confirmedMoment has no instant where the state holds already, so that the same question gives the same digest later.
type confirmedMoment struct {
	At    string
	State v1alpha1.State
}

// confirmedEffect holds the patch as the bytes that it is.
type confirmedEffect struct {
	v1alpha1.PlannedEffect

	Patch []byte
}

// Digest stands for what the change does. The same question twice gives the same one, and any difference in the plan, in the
// states and in their times another one.
func (p *Preview) Digest() string {
	body, err := json.Marshal(confirmed{
		Kind: p.Kind, Name: p.Name, Identity: p.Identity, Deleted: p.Deleted,
		Before: p.confirmedCourse(p.Before), After: p.confirmedCourse(p.After),
		Memberships: p.Memberships, Grants: p.Grants, Account: p.Account, At: p.confirmedTime(p.At), Blocked: p.Blocked,
		Plan: confirmedPlan(p.Plan),
	})
	if err != nil {
		panic(err) // Texts and numbers can always be written. Were it not so, admission must not let anything through.
	}
	hash := sha256.Sum256(body)
	return hex.EncodeToString(hash[:])[:digestLength]
}

func (p *Preview) confirmedTime(at time.Time) string {
	if !at.After(p.Now) {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// confirmedCourse is one whether or not somebody was there for the first time in the meantime.
func (p *Preview) confirmedCourse(moments []Moment) []confirmedMoment {
	var all []confirmedMoment
	for _, moment := range p.course(moments) {
		state := moment.State
		if state == v1alpha1.StateActivated {
			state = v1alpha1.StateActive
		}
		all = append(all, confirmedMoment{At: p.confirmedTime(moment.At), State: state})
	}
	return all
}

func confirmedPlan(plan []v1alpha1.PlannedEffect) []confirmedEffect {
	all := make([]confirmedEffect, len(plan))
	for i := range plan {
		all[i].PlannedEffect = plan[i]
		if patch := plan[i].Definition.Resources.Patch; patch != nil {
			all[i].Patch, all[i].Definition.Resources.Patch = patch.Raw, nil
		}
	}
	return all
}

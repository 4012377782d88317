package preview

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/summary"
)

// longestPlan is how many bytes the full plan has. All annotations of an object together may have 256 kB.
const longestPlan = 200_000

// document is the full plan as it is written. Definitions of effects are left out: they are the policy's readers' to see.
type document struct {
	Digest      string               `json:"digest"`
	Kind        v1alpha1.SubjectKind `json:"kind"`
	Name        string               `json:"name"`
	Deleted     bool                 `json:"deleted,omitempty"`
	Reason      string               `json:"reason,omitempty"`
	Time        time.Time            `json:"time"`
	Before      []documentMoment     `json:"before,omitempty"`
	After       []documentMoment     `json:"after,omitempty"`
	Blocked     string               `json:"blocked,omitempty"`
	Memberships documentMemberships  `json:"memberships,omitzero"`
	Grants      int                  `json:"grants,omitempty"`
	SeatFreed   bool                 `json:"seatFreed,omitempty"`
	SeatTaken   bool                 `json:"seatTaken,omitempty"`
	Account     string               `json:"serviceAccountName,omitempty"`
	Contact     string               `json:"contact,omitempty"`
	Effects     []json.RawMessage    `json:"effects,omitempty"`
	More        documentMore         `json:"more,omitzero"`
}

type documentMoment struct {
	Time  time.Time      `json:"time"`
	State v1alpha1.State `json:"state"`
}

type documentMemberships struct {
	Paused      int `json:"paused,omitempty"`
	Resumed     int `json:"resumed,omitempty"`
	Deactivated int `json:"deactivated,omitempty"`
	Removed     int `json:"removed,omitempty"`
}

// documentEffect has no targets where their number is not known yet.
type documentEffect struct {
	Effect     string                `json:"effect"`
	Action     v1alpha1.EffectAction `json:"action"`
	Kind       string                `json:"kind,omitempty"`
	Targets    *int32                `json:"targets,omitempty"`
	Successor  string                `json:"successor,omitempty"`
	Candidates []string              `json:"candidates,omitempty"`
}

// documentMore counts the effects for which there was no room.
type documentMore struct {
	Effects int   `json:"effects,omitempty"`
	Targets int64 `json:"targets,omitempty"`
}

// Full is the whole plan as JSON, its effects in the order in which they are worked off. Where it would be too long for an
// annotation, the last effects are counted instead.
func (p *Preview) Full() (string, error) {
	full := p.document()
	head, err := json.Marshal(full)
	if err != nil {
		return "", fmt.Errorf("write the plan: %w", err)
	}
	const roomForMore = 100
	plan, room := lifecycle.InOrder(p.Plan), longestPlan-roomForMore-len(head)
	for i := range plan {
		effect, err := json.Marshal(documentOf(&plan[i]))
		if err != nil {
			return "", fmt.Errorf("write effect %s of the plan: %w", plan[i].Effect, err)
		}
		if room -= len(effect) + 1; room < 0 {
			full.More = moreOf(plan[i:])
			break
		}
		full.Effects = append(full.Effects, effect)
	}
	body, err := json.Marshal(full)
	if err != nil {
		return "", fmt.Errorf("write the plan: %w", err)
	}
	return string(body), nil
}

func (p *Preview) document() document {
	moments := func(moments []Moment) []documentMoment {
		var all []documentMoment
		for _, moment := range p.course(moments) {
			all = append(all, documentMoment{Time: moment.At.UTC(), State: moment.State})
		}
		return all
	}
	return document{
		Digest: p.Digest(), Kind: p.Kind, Name: p.Name, Deleted: p.Deleted, Reason: summary.Short(p.Reason), Time: p.At.UTC(),
		Before: moments(p.Before), After: moments(p.After), Blocked: p.Blocked, Memberships: documentMemberships(p.Memberships),
		Grants: p.Grants, SeatFreed: p.SeatsFreed, SeatTaken: p.SeatsTaken, Account: p.Account, Contact: p.Contact,
	}
}

func documentOf(planned *v1alpha1.PlannedEffect) documentEffect {
	effect := documentEffect{
		Effect: planned.Effect, Action: planned.Action, Kind: planned.Kind,
		Successor: planned.Successor, Candidates: slices.Clone(planned.Candidates),
	}
	if known(planned) {
		effect.Targets = new(planned.Targets)
	}
	return effect
}

func moreOf(rest []v1alpha1.PlannedEffect) documentMore {
	more := documentMore{Effects: len(rest)}
	for i := range rest {
		more.Targets += int64(rest[i].Targets)
	}
	return more
}

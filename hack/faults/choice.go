package main

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// choice is which of all plans are run.
type choice struct {
	limit int    // zero: all
	seed  uint64 // of what is left to chance

	// always are faults of which every plan is run, as far as the limit goes.
	always []string
}

// of chooses plans: those that are always run, then such as spread evenly over scenarios × faults. Which writes they concern is left
// to chance.
func (c choice) of(plans []plan) []plan {
	if c.limit <= 0 || len(plans) <= c.limit {
		return plans
	}
	rest := slices.SortedFunc(slices.Values(plans), func(a, b plan) int { return cmp.Compare(a.String(), b.String()) })
	chance := rand.New(rand.NewPCG(c.seed, 0)) //nolint:gosec // no secret: whoever knows the seed is to choose the same
	chance.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	t := tally{}
	var chosen []plan
	for i := 0; i < len(rest) && len(chosen) < c.limit; {
		if slices.Contains(c.always, rest[i].fault) {
			chosen = append(chosen, t.take(rest[i]))
			rest = slices.Delete(rest, i, i+1)
			continue
		}
		i++
	}
	for len(chosen) < c.limit {
		next := 0
		for i := range rest {
			if slices.Compare(t.of(rest[i]), t.of(rest[next])) < 0 {
				next = i
			}
		}
		chosen = append(chosen, t.take(rest[next]))
		rest = slices.Delete(rest, next, next+1)
	}
	return chosen
}

// tally is how often something was chosen.
type tally map[plan]int

func (t tally) cell(p plan) plan { return plan{scenario: p.scenario, fault: p.fault} }

// of is how much there already is of what a plan is about: least of all comes next.
func (t tally) of(p plan) []int {
	return []int{t[t.cell(p)], t[plan{scenario: p.scenario}] + t[plan{fault: p.fault}]}
}

func (t tally) take(p plan) plan {
	t[t.cell(p)]++
	t[plan{scenario: p.scenario}]++
	t[plan{fault: p.fault}]++
	return p
}

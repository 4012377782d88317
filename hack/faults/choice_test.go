package main

import (
	"slices"
	"strconv"
	"testing"
)

// manyPlans are plans of three scenarios with four faults at ten writes each.
func manyPlans() (plans []plan) {
	for _, scenario := range []string{"leave", "storm", "absence"} {
		for _, fault := range []string{"crash-before", "500", "stale", "zombie"} {
			for n := range 10 {
				plans = append(plans, plan{scenario: scenario, fault: fault, point: point{verb: verbPatch, what: "users", name: "kate" + strconv.Itoa(n), n: 1}})
			}
		}
	}
	return plans
}

func TestTheChoiceIsSpreadOverScenariosAndFaults(t *testing.T) {
	cells := map[plan]int{}
	for _, p := range (choice{limit: 24, seed: 1}).of(manyPlans()) {
		cells[plan{scenario: p.scenario, fault: p.fault}]++
	}
	for cell, n := range cells {
		if n != 2 {
			t.Errorf("%s under %s is chosen %d times, want 2", cell.scenario, cell.fault, n)
		}
	}
	if len(cells) != 12 {
		t.Errorf("%d cells are chosen, want 12", len(cells))
	}
}

func TestAFewPlansTouchEveryScenarioAndEveryFault(t *testing.T) {
	scenarios, faults := map[string]bool{}, map[string]bool{}
	for _, p := range (choice{limit: 4, seed: 1}).of(manyPlans()) {
		scenarios[p.scenario], faults[p.fault] = true, true
	}
	if len(scenarios) != 3 || len(faults) != 4 {
		t.Errorf("%d scenarios and %d faults are chosen, want 3 and 4", len(scenarios), len(faults))
	}
}

func TestSomePlansAreAlwaysChosen(t *testing.T) {
	always := 0
	for _, p := range (choice{limit: 40, seed: 1, always: []string{"crash-before"}}).of(manyPlans()) {
		if p.fault == "crash-before" {
			always++
		}
	}
	if always != 30 {
		t.Errorf("%d plans are chosen that are always, want 30", always)
	}
}

func TestASeedSaysWhatIsChosen(t *testing.T) {
	chosen := func(seed uint64, plans []plan) []plan { return (choice{limit: 20, seed: seed}).of(plans) }
	mirrored := manyPlans()
	slices.Reverse(mirrored)
	if !slices.Equal(chosen(1, manyPlans()), chosen(1, mirrored)) {
		t.Error("the same seed chooses something else")
	}
	if slices.Equal(chosen(1, manyPlans()), chosen(2, manyPlans())) {
		t.Error("another seed chooses the same")
	}
	if got := (choice{}).of(manyPlans()); len(got) != len(manyPlans()) {
		t.Errorf("%d plans are chosen, want all", len(got))
	}
}

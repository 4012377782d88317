package main

import (
	"slices"
	"testing"
)

func TestEveryScenarioSaysHowItMustComeOut(t *testing.T) {
	names := map[string]bool{}
	for _, s := range scenarios() {
		if names[s.name] {
			t.Errorf("two scenarios are called %s", s.name)
		}
		names[s.name] = true
		wanted, err := wantedEnding(s.name)
		if err != nil {
			t.Error(err)
		}
		if !slices.Contains(wanted, "user olivia: Active") {
			t.Errorf("%s: the account owner is not as she must be in the end: %v", s.name, wanted)
		}
	}
	files, err := endings.ReadDir("endings")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(names) {
		t.Errorf("%d endings are written down for %d scenarios", len(files), len(names))
	}
}

func TestAnotherEndingIsTold(t *testing.T) {
	found := otherEnding([]string{"user kate: Active", "user olivia: Active"}, []string{"user kate: Expired", "user olivia: Active"})
	want := []string{"it must come out like this, and has not: user kate: Active", "it must not come out like this: user kate: Expired"}
	if !slices.Equal(found, want) {
		t.Errorf("got %q, want %q", found, want)
	}
}

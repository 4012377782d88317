package main

import (
	"path/filepath"
	"slices"
	"testing"

	"tenure.dev/tenure/hack/local"
)

// Whoever edits the operator learns at once which planted bug has lost its ground.
func TestEveryBugCanBePlanted(t *testing.T) {
	root, err := local.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, b := range bugs() {
		if names[b.name] {
			t.Errorf("two bugs are called %s", b.name)
		}
		names[b.name] = true
		if _, err := b.plant(root, filepath.Join(t.TempDir(), b.name)); err != nil {
			t.Error(err)
		}
		if b.mistake == "" || len(b.trials) == 0 {
			t.Errorf("%s: nothing says what is wrong, or what is run", b.name)
		}
		for _, trial := range b.trials {
			if !hasScenario(trial.scenario) {
				t.Errorf("%s: there is no scenario %s", b.name, trial.scenario)
			}
		}
	}
	if len(names) < 12 {
		t.Errorf("%d bugs are planted, want 12 or more", len(names))
	}
}

// seesBugs sees that what the oracles do not complain about is not because they never do.
func seesBugs(t *testing.T, l *lab, names ...string) {
	t.Helper()
	var chosen []bug
	for _, b := range bugs() {
		if slices.Contains(names, b.name) {
			chosen = append(chosen, b)
		}
	}
	all, err := l.hunt(t.Context(), chosen, t.TempDir(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(names) {
		t.Errorf("%d bugs were planted, want %d", len(all), len(names))
	}
	for _, c := range all {
		if len(c.Oracles) == 0 {
			t.Errorf("not caught: %s", c)
		}
	}
}

func hasScenario(name string) bool {
	for _, s := range scenarios() {
		if s.name == name {
			return true
		}
	}
	return false
}

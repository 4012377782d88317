package main

import (
	"path/filepath"
	"strings"
	"testing"

	"tenure.dev/tenure/hack/local"
)

// A few dozen plans of all, as a first look; `make faults` runs the others.
func TestTheOperatorComesRight(t *testing.T) {
	root, err := local.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	manager := filepath.Join(t.TempDir(), "manager")
	if err := buildManager(t.Context(), manager); err != nil {
		t.Fatal(err)
	}
	quieten()
	l, err := newLab(t.Context(), t.TempDir(), manager)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	o := options{short: true, seed: 1, parallel: 6, report: filepath.Join(root, ".local", "faults-short.json")}
	var told strings.Builder
	c, err := o.campaign(l, &told)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Failures {
		var text strings.Builder
		f.print(&text)
		t.Error(text.String())
	}
	if r.Points < shortLimit || r.Missed > r.Points/10 {
		t.Errorf("%d plans, %d of which went without their fault:\n%s", r.Points, r.Missed, told.String())
	}
	seesBugs(t, l, "early", "at-rest")
}

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
	staysMended(t, l)
	seesBugs(t, l, "early", "at-rest")
}

// failedOnce are plans after which the operator did not come right, before it was mended.
var failedOnce = []string{
	// A read waited for an own write whose event was lost with the watch, as long as nobody changed anything of the kind.
	"membership:3/unobserved/patch memberships/status kate-course#1",
	// Who was suspended by what one watch said was held again, who had been released by what another said.
	"suspend/time-travel/patch memberships/status kate-course#3",
	// An anonymisation that a return had undone ran again where the ledger seen was older than the object.
	"removal/ahead-rolebindings/patch works thread#2",
	// The first record of a new account was numbered after those of its namesake that one watch still had.
	"deletion/ahead-users/create transitions user.kate.1#1",
}

func staysMended(t *testing.T, l *lab) {
	t.Helper()
	for _, name := range failedOnce {
		p, err := parsePlan(name)
		if err != nil {
			t.Fatal(err)
		}
		o, problems, err := l.try(t.Context(), scenarios(), p)
		if err != nil {
			t.Fatal(err)
		}
		if len(problems) > 0 || !o.struck {
			t.Errorf("faults -replay '%s': struck %t, problems %v\n%s", name, o.struck, problems, strings.Join(o.log, "\n"))
		}
	}
}

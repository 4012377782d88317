package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testReport() *report {
	r := &report{Seconds: 61, Seed: 7, Machine: "2 cores"}
	p := plan{scenario: "storm", fault: "500"}
	r.add(&outcome{plan: plan{scenario: "storm"}}, nil)
	r.add(&outcome{plan: p, struck: true, more: 2}, nil)
	r.add(&outcome{plan: p, struck: true, more: 1}, []problem{{Oracle: "O1", Sentence: "it is not so"}})
	r.add(&outcome{plan: plan{scenario: "leave", fault: "503"}}, nil)
	return r
}

func TestATableSaysWhatWasTriedAndWhatFailed(t *testing.T) {
	want := `| Scenario | none | 500 | 503 |
| --- | --- | --- | --- |
| leave |  |  | 1 |
| storm | 1 | 2, **1 failed** |  |

4 plans in 1m1s (seed 7; 2 cores), 1 failed. In 1 the write to fail did not come.
`
	if diff := cmp.Diff(want, testReport().text()); diff != "" {
		t.Error(diff)
	}
}

func TestAReportCanBeReadByMachines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults", "faults.json")
	written := testReport()
	written.Bugs = []caught{{Name: "early", Caught: true, Oracles: []string{"O5"}}}
	if err := written.write(path); err != nil {
		t.Fatal(err)
	}
	read, err := readReport(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(written, read); diff != "" {
		t.Error(diff)
	}
	var raw map[string]any
	if err := readJSON(path, &raw); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"points": 4.0, "failed": 1.0, "seconds": 61.0, "machine": "2 cores"} {
		if raw[name] != want {
			t.Errorf("%s is %v, want %v", name, raw[name], want)
		}
	}
	bugs, err := json.Marshal(raw["bugs"])
	if err != nil || !strings.Contains(string(bugs), `"by":["O5"]`) || !strings.Contains(string(bugs), `"caught":true`) {
		t.Errorf("bugs are %s (%v)", bugs, err)
	}
}

func TestATableSaysWhatCaughtABug(t *testing.T) {
	want := `| Bug | Mistake | Caught by | After |
| --- | --- | --- | --: |
| early | a deadline is taken for past | O1, O5 | 12 s |
| asleep | nobody wakes the operator | **nothing** | 30 s |

2 bugs were planted, 1 of them caught.
`
	said := bugsText([]caught{
		{Name: "early", Mistake: "a deadline is taken for past", Caught: true, Oracles: []string{"O1", "O5"}, Seconds: 12.2},
		{Name: "asleep", Mistake: "nobody wakes the operator", Seconds: 30},
	})
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
}

func TestThereNeedBeNoEarlierReport(t *testing.T) {
	r, err := earlier(filepath.Join(t.TempDir(), "faults.json"))
	if err != nil || r.Points != 0 {
		t.Errorf("an earlier report: %+v, %v", r, err)
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/ginkgo/v2/types"
)

func TestListIsWhole(t *testing.T) {
	c, err := readCatalogue(listed)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, r := range c.requirements {
		counts[r.system()]++
	}
	want := map[string]int{"S0": 68, "S1": 31, "S2": 26, "S3": 36, "S4": 40}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(c.requirements) != 201 || len(c.systems) != 5 {
		t.Errorf("%d requirements of %d systems", len(c.requirements), len(c.systems))
	}
	// Every row is one that is understood.
	if rows := strings.Count(listed, "\n| S"); rows != len(c.requirements) {
		t.Errorf("%d rows, of which %d are understood", rows, len(c.requirements))
	}
}

func TestListWithGap(t *testing.T) {
	for list, want := range map[string]string{
		"## S0: A\n| S0.1 | B | One |\n| S0.3 | B | Three |\n":              "goes on with S0.3 where S0.2 belongs",
		"## S0: A\n| S0.1 | B | One |\n| S0.1 | B | One |\n":                "goes on with S0.1 where S0.2 belongs",
		"| S0.1 | B | One |\n":                                              "goes on with S0.1 where a heading belongs",
		"## S0: A\n| S0.1 | B | One |\n## S1: B\n| S0.2 | B | Two |\n":      "goes on with S0.2 where S1.1 belongs",
		"## S0: A\n| S0.1 | B | One |\n\n## S1: B\n| S1.2 | B | Second |\n": "goes on with S1.2 where S1.1 belongs",
	} {
		if _, err := readCatalogue(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
}

// small is a list with enough to order by.
const small = `## S0: A mentoring platform

| Number | Tag | Requirement |
|---|---|---|
| S0.1 | B | One. |
| S0.2 | K | Two. |

## S1: A learning platform

| Number | Tag | Requirement |
|---|---|---|
| S1.1 | V | Three. |
`

func smallCatalogue(t *testing.T) *catalogue {
	t.Helper()
	c, err := readCatalogue(small)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func spec(state types.SpecState, text string, labels ...string) types.SpecReport {
	return types.SpecReport{
		ContainerHierarchyTexts: []string{"A user"}, ContainerHierarchyLabels: [][]string{nil},
		LeafNodeType: types.NodeTypeIt, LeafNodeText: text, LeafNodeLabels: labels, State: state,
	}
}

func TestWhatProves(t *testing.T) {
	container := spec(types.SpecStatePassed, "comes back")
	container.ContainerHierarchyLabels = [][]string{{"S1.1"}}
	suite := spec(types.SpecStatePassed, "", "S0.1")
	suite.LeafNodeType = types.NodeTypeBeforeSuite
	for name, test := range map[string]struct {
		specs []types.SpecReport
		want  evidence
	}{
		"passed, in whatever order": {
			specs: []types.SpecReport{spec(types.SpecStatePassed, "waits", "S0.1", "slow"), spec(types.SpecStatePassed, "goes", "S0.1", "S0.2")},
			want:  evidence{total: 2, passed: 2, specs: map[string][]string{"S0.1": {"A user goes", "A user waits"}, "S0.2": {"A user goes"}}},
		},
		"the label of a container": {
			specs: []types.SpecReport{container},
			want:  evidence{total: 1, passed: 1, specs: map[string][]string{"S1.1": {"A user comes back"}}},
		},
		"what did not pass proves nothing": {
			specs: []types.SpecReport{
				spec(types.SpecStateFailed, "goes", "S0.1"), spec(types.SpecStatePanicked, "goes", "S0.1"),
				spec(types.SpecStateTimedout, "goes", "S0.1"), spec(types.SpecStateInterrupted, "goes", "S0.1"),
				spec(types.SpecStateSkipped, "goes", "S0.1"), spec(types.SpecStatePending, "goes", "S0.1"),
			},
			want: evidence{total: 6, failed: 4, skipped: 1, specs: map[string][]string{}},
		},
		"what is no spec proves nothing": {specs: []types.SpecReport{suite}, want: evidence{specs: map[string][]string{}}},
		"what passed stays, where another with the label did not": {
			specs: []types.SpecReport{spec(types.SpecStatePassed, "goes", "S0.1"), spec(types.SpecStateFailed, "waits", "S0.1")},
			want:  evidence{total: 2, passed: 1, failed: 1, specs: map[string][]string{"S0.1": {"A user goes"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := smallCatalogue(t).gather([]types.Report{{SpecReports: test.specs}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&test.want, got, cmp.AllowUnexported(evidence{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestMislabelled(t *testing.T) {
	for _, label := range []string{"S9.9", "S0.99", "S0.01", "s0.1", "S0.1.", "S0.1a", "S10.1"} {
		for _, state := range []types.SpecState{types.SpecStatePassed, types.SpecStateSkipped} {
			_, err := smallCatalogue(t).gather([]types.Report{{SpecReports: types.SpecReports{spec(state, "goes", "S0.2", label)}}})
			if want := `no requirement ` + label + `, with which "A user goes" is labelled`; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: got error %v", label, state, err)
			}
		}
	}
	for _, label := range []string{"slow", "S0", "case S0.1", "Serial"} {
		if _, err := smallCatalogue(t).gather([]types.Report{{SpecReports: types.SpecReports{spec(types.SpecStatePassed, "goes", label)}}}); err != nil {
			t.Errorf("%s: %v", label, err)
		}
	}
}

func TestTable(t *testing.T) {
	e := &evidence{total: 9, passed: 5, specs: map[string][]string{"S0.2": {"A user goes", "A user waits | sits"}}, skipped: 3, failed: 1}
	want := "# What is proven\n\n```\n" +
		`S0     1 of   2  A mentoring platform
S1     0 of   1  A learning platform
All    1 of   3  requirements are proven; 5 of 9 specs passed
1 of the specs failed, and prove nothing.
This run was partial: 3 of the specs were skipped, and what they prove is not counted.
` + "```\n" + `
## S0: A mentoring platform

| Number | Tag | Requirement | Proven by |
|---|---|---|---|
| S0.1 | B | One. | **open** |
| S0.2 | K | Two. | A user goes<br>A user waits \| sits |

## S1: A learning platform

| Number | Tag | Requirement | Proven by |
|---|---|---|---|
| S1.1 | V | Three. | **open** |
`
	if diff := cmp.Diff(want, smallCatalogue(t).table(e)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	whole := smallCatalogue(t).totals(&evidence{total: 1, specs: map[string][]string{"S0.2": {"A user goes"}}})
	if strings.Contains(whole, "partial") || strings.Contains(whole, "failed") {
		t.Errorf("a whole run is said to be none:\n%s", whole)
	}
}

// TestRun reads reports as Ginkgo writes them.
func TestRun(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "local")
	var out bytes.Buffer
	if err := run(options{reports: "nowhere", output: folder}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "No spec was run") {
		t.Errorf("without a report:\n%s", &out)
	}
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("without a report, something was written: %v", err)
	}

	out.Reset()
	if err := run(options{reports: "testdata", output: folder}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "All    4 of 201  requirements are proven; 3 of 5 specs passed\n") {
		t.Errorf("totals:\n%s", &out)
	}
	content, err := os.ReadFile(filepath.Join(folder, "requirements.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got result
	if err := json.Unmarshal(content, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"S0.2", "S0.10", "S1.15", "S4.1"}, got.Proven); diff != "" {
		t.Errorf("proven (-want +got)\n%s", diff)
	}
	if len(got.Open) != 197 || got.Total != 201 || !got.Partial || slices.Contains(got.Open, "S0.2") {
		t.Errorf("total %d, open %v, partial %t", got.Total, got.Open, got.Partial)
	}
	if diff := cmp.Diff([]string{"A user goes", "Another suite goes"}, got.Specs["S0.2"]); diff != "" {
		t.Errorf("specs (-want +got)\n%s", diff)
	}

	out.Reset()
	if err := run(options{reports: "testdata", output: folder, table: true}, &out); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(folder, "requirements.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(table), out.String()); diff != "" {
		t.Errorf("the table (-written +printed)\n%s", diff)
	}
}

func TestBrokenReport(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "half.json"), []byte(`[{"SuitePath":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(options{reports: folder, output: folder}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "half.json") {
		t.Errorf("got error %v, want one that names the file", err)
	}
}

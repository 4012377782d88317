package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// report is what came of all plans, as machines read it.
type report struct {
	Points   int       `json:"points"`  // plans tried
	Failed   int       `json:"failed"`  // plans in which an oracle has found something
	Missed   int       `json:"missed"`  // plans whose write did not come, so that nothing went wrong
	Seconds  float64   `json:"seconds"` // all in all
	Parallel int       `json:"parallel"`
	Seed     uint64    `json:"seed"`
	Machine  string    `json:"machine"`
	Cells    []cell    `json:"scenarios"`
	Failures []failure `json:"failures"`
	Bugs     []caught  `json:"bugs,omitempty"`
}

// cell is a scenario under a fault.
type cell struct {
	Scenario string `json:"scenario"`
	Fault    string `json:"fault"`
	Tried    int    `json:"plans"`
	Failed   int    `json:"failed"`

	// More is how many writes more than without the fault there were at most.
	More int `json:"more"`
}

// failure is a plan in which an oracle has found something.
type failure struct {
	Replay   string    `json:"replay"`
	Problems []problem `json:"problems"`
	Again    bool      `json:"again"` // it was run again
	Steady   bool      `json:"steady"`
	Log      string    `json:"log"`
}

// noFault is the column of the runs without a fault.
const noFault = "none"

func (r *report) add(o *outcome, problems []problem) {
	name := o.plan.fault
	if name == "" {
		name = noFault
	}
	r.Points++
	if o.plan.fault != "" && !o.struck {
		r.Missed++
	}
	i := slices.IndexFunc(r.Cells, func(c cell) bool { return c.Scenario == o.plan.scenario && c.Fault == name })
	if i < 0 {
		r.Cells = append(r.Cells, cell{Scenario: o.plan.scenario, Fault: name})
		i = len(r.Cells) - 1
	}
	r.Cells[i].Tried++
	r.Cells[i].More = max(r.Cells[i].More, o.more)
	if len(problems) > 0 {
		r.Failed++
		r.Cells[i].Failed++
	}
}

// table is scenario × fault: plans tried, and of these failed where any did.
func (r *report) table() string {
	columns := []string{noFault}
	for _, f := range slices.Concat(faults(), clockFaults(), outages()) {
		columns = append(columns, f.name)
	}
	rows := map[string]map[string]cell{}
	for _, c := range r.Cells {
		if !slices.Contains(columns, c.Fault) {
			columns = append(columns, c.Fault)
		}
		if rows[c.Scenario] == nil {
			rows[c.Scenario] = map[string]cell{}
		}
		rows[c.Scenario][c.Fault] = c
	}
	columns = slices.DeleteFunc(columns, func(name string) bool {
		return !slices.ContainsFunc(r.Cells, func(c cell) bool { return c.Fault == name })
	})
	var text strings.Builder
	line := func(cells ...string) { fmt.Fprintf(&text, "| %s |\n", strings.Join(cells, " | ")) }
	line(append([]string{"Scenario"}, columns...)...)
	line(slices.Repeat([]string{"---"}, len(columns)+1)...)
	for _, name := range r.scenarios() {
		row := []string{name}
		for _, column := range columns {
			row = append(row, rows[name][column].String())
		}
		line(row...)
	}
	return text.String()
}

func (c cell) String() string {
	switch {
	case c.Tried == 0:
		return ""
	case c.Failed > 0:
		return fmt.Sprintf("%d, **%d failed**", c.Tried, c.Failed)
	default:
		return fmt.Sprint(c.Tried)
	}
}

// scenarios are those that were run, in their own order.
func (r *report) scenarios() []string {
	run := map[string]bool{}
	for _, c := range r.Cells {
		run[c.Scenario] = true
	}
	var names []string
	for _, s := range scenarios() {
		if run[s.name] {
			names = append(names, s.name)
			delete(run, s.name)
		}
	}
	return append(names, slices.Sorted(maps.Keys(run))...)
}

// text is the table and what it says in a sentence.
func (r *report) text() string {
	text := fmt.Sprintf("%s\n%d plans in %s (seed %d; %s), %d failed.", r.table(), r.Points,
		time.Duration(r.Seconds*float64(time.Second)).Round(time.Second), r.Seed, r.Machine, r.Failed)
	if r.Missed > 0 {
		text += fmt.Sprintf(" In %d the write to fail did not come.", r.Missed)
	}
	return text + "\n"
}

// print tells people.
func (r *report) print(out io.Writer) {
	fmt.Fprint(out, r.text())
	for _, f := range r.Failures {
		f.print(out)
	}
}

func (f *failure) print(out io.Writer) {
	words := "fails each time"
	switch {
	case !f.Again:
		words = "was not run again"
	case !f.Steady:
		words = "fails now and then"
	}
	fmt.Fprintf(out, "\nfaults -replay '%s' (%s; %s)\n", f.Replay, words, f.Log)
	for _, p := range f.Problems {
		fmt.Fprintf(out, "  %s %s\n", p.Oracle, p.Sentence)
	}
}

// write writes the report for machines.
func (r *report) write(path string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// keepLog keeps what happened in a plan.
func keepLog(folder string, o *outcome) (string, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("keep the log of %s: %w", o.plan, err)
	}
	lines := []string{o.plan.String()}
	for _, p := range o.problems {
		lines = append(lines, p.Oracle+" "+p.Sentence)
	}
	lines = append(append(lines, ""), o.log...)
	name := strings.Map(func(c rune) rune {
		if strings.ContainsRune("/ :#'", c) {
			return '_'
		}
		return c
	}, o.plan.String())
	path := filepath.Join(folder, name+".log")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("keep the log of %s: %w", o.plan, err)
	}
	return path, nil
}

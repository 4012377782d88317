package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tenure.dev/tenure/hack/readme"
)

// caught is what came of a planted bug.
type caught struct {
	Name    string   `json:"name"`
	Mistake string   `json:"mistake"`
	Caught  bool     `json:"caught"`
	Oracles []string `json:"by"` // which have found something
	Replay  string   `json:"replay,omitempty"`
	Said    string   `json:"said,omitempty"`
	Seconds float64  `json:"seconds"`
}

// hunter plants bugs in the operator, one by one, and sees whether the oracles find something.
type hunter struct {
	lab    *lab
	loan   string
	folder string
	known  map[string][]problem // of each scenario without a bug
}

func (l *lab) hunt(ctx context.Context, bugs []bug, folder string, out io.Writer) ([]caught, error) {
	on, err := l.lend(folder)
	if err != nil {
		return nil, err
	}
	h := &hunter{lab: l, loan: on, folder: folder, known: map[string][]problem{}}
	var all []caught
	for i := range bugs {
		found, err := h.hunt(ctx, &bugs[i])
		if err != nil {
			return all, err
		}
		fmt.Fprintln(out, found)
		all = append(all, found)
	}
	return all, nil
}

func (c caught) String() string {
	by := "NOT CAUGHT"
	if len(c.Oracles) > 0 {
		by = "caught by " + strings.Join(c.Oracles, ", ")
	}
	text := fmt.Sprintf("%s (%s): %s, after %.0f s", c.Name, c.Mistake, by, c.Seconds)
	if c.Said != "" {
		text += fmt.Sprintf("\n  '%s': %s", c.Replay, c.Said)
	}
	return text
}

// hunt runs the plans that are to catch the bug, on the control plane that is lent, until one of them does.
func (h *hunter) hunt(ctx context.Context, b *bug) (caught, error) {
	began, c := time.Now(), caught{Name: b.name, Mistake: b.mistake}
	folder := filepath.Join(h.folder, b.name)
	program, err := b.build(ctx, folder)
	if err != nil {
		return c, err
	}
	defer os.Remove(program)
	for i, t := range b.trials {
		r, err := h.run(ctx, t, program, fmt.Sprintf("%s-%d", b.name, i), filepath.Join(folder, fmt.Sprintf("report-%d.json", i)))
		if err != nil {
			return c, fmt.Errorf("hunt %s: %w", b.name, err)
		}
		for _, f := range r.Failures {
			for _, p := range f.Problems {
				if !slices.Contains(c.Oracles, p.Oracle) {
					c.Oracles = append(c.Oracles, p.Oracle)
				}
				if c.Said == "" {
					c.Replay, c.Said = f.Replay, p.Oracle+" "+p.Sentence
				}
			}
		}
		if len(c.Oracles) > 0 {
			break
		}
	}
	slices.Sort(c.Oracles)
	c.Caught = len(c.Oracles) > 0
	c.Seconds = time.Since(began).Seconds()
	return c, nil
}

// run runs the plans of a trial, until the first one that fails.
func (h *hunter) run(ctx context.Context, t trial, program, name, path string) (*report, error) {
	known, err := h.excused(ctx, t.scenario)
	if err != nil {
		return nil, err
	}
	excuse := filepath.Join(h.folder, t.scenario+".json")
	if err := writeJSON(excuse, known); err != nil {
		return nil, err
	}
	faults := t.faults
	if len(faults) == 0 {
		faults = []string{noFault}
	}
	command := exec.CommandContext(ctx, program, "-borrow="+h.loan, "-excuse="+excuse, "-name="+name, "-once", "-parallel=3",
		"-scenario="+t.scenario, "-fault="+strings.Join(faults, ","), "-report="+path)
	said, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return nil, fmt.Errorf("run scenario %s: %w: %s", t.scenario, err, said)
	}
	return readReport(path)
}

// earlier is the report that an earlier run has left; an empty one where there is none.
func earlier(path string) (*report, error) {
	r, err := readReport(path)
	if errors.Is(err, os.ErrNotExist) {
		return &report{}, nil
	}
	return r, err
}

func readReport(path string) (*report, error) {
	r := &report{}
	return r, readJSON(path, r)
}

func readJSON(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, content any) error {
	said, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(path, said, 0o600); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// excused are the problems that the oracles have with a scenario though no bug is planted: none that a bug makes.
func (h *hunter) excused(ctx context.Context, name string) ([]problem, error) {
	if found, known := h.known[name]; known {
		return found, nil
	}
	s, err := scenarioOf(scenarios(), plan{scenario: name})
	if err != nil {
		return nil, err
	}
	found := []problem{}
	for range 2 {
		o, err := h.lab.do(ctx, plan{scenario: name}, s)
		if err != nil {
			return nil, err
		}
		found = append(found, o.problems...)
	}
	h.known[name] = found
	return found, nil
}

// huntAll plants all bugs, and writes what came of it beside what the report already says.
func huntAll(ctx context.Context, l *lab, o options, folder string, out io.Writer) (missed int, err error) {
	var chosen []bug
	for _, b := range bugs() {
		if o.only == "" || slices.Contains(split(o.only), b.name) {
			chosen = append(chosen, b)
		}
	}
	all, err := l.hunt(ctx, chosen, folder, out)
	if err != nil {
		return 0, err
	}
	for _, c := range all {
		if len(c.Oracles) == 0 {
			missed++
		}
	}
	fmt.Fprintf(out, "%d bugs were planted, %d of them caught\n", len(all), len(all)-missed)
	r, err := earlier(o.report)
	if err != nil {
		return missed, err
	}
	r.Bugs = all
	if o.readme != "" {
		if err := readme.Write(o.readme, bugsSection, bugsText(all)); err != nil {
			return missed, err //nolint:wrapcheck // says what it was about
		}
	}
	return missed, r.write(o.report)
}

// bugsText is the table of the bugs that were planted.
func bugsText(all []caught) string {
	var text strings.Builder
	fmt.Fprintf(&text, "| Bug | Mistake | Caught by | After |\n| --- | --- | --- | --: |\n")
	missed := 0
	for _, c := range all {
		by := strings.Join(c.Oracles, ", ")
		if !c.Caught {
			by = "**nothing**"
			missed++
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %.0f s |\n", c.Name, c.Mistake, by, c.Seconds)
	}
	fmt.Fprintf(&text, "\n%d bugs were planted, %d of them caught.\n", len(all), len(all)-missed)
	return text.String()
}

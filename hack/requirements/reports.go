package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/onsi/ginkgo/v2/types"
)

// evidence is what a run of the tests has shown.
type evidence struct {
	specs                          map[string][]string // the specs that passed, by the requirement that they prove
	total, passed, failed, skipped int
}

// readReports reads Ginkgo's reports in a folder. A folder that is not there holds none.
func readReports(folder string) ([]types.Report, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("looking for reports in %s: %w", folder, err)
	}
	var all []types.Report
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a report: %w", err)
		}
		var reports []types.Report
		if err := json.Unmarshal(content, &reports); err != nil {
			return nil, fmt.Errorf("reading the report %s: %w", file, err)
		}
		all = append(all, reports...)
	}
	return all, nil
}

// gather says what the specs of the reports prove. A label that was meant to be the number of a requirement and is none
// is an error: what its spec proves would be lost.
func (c *catalogue) gather(reports []types.Report) (*evidence, error) {
	e := &evidence{specs: map[string][]string{}}
	var unknown []error
	for _, report := range reports {
		for _, spec := range report.SpecReports.WithLeafNodeType(types.NodeTypeIt) {
			numbers, err := c.numbers(spec)
			if err != nil {
				unknown = append(unknown, err)
			}
			e.add(spec, numbers)
		}
	}
	for _, texts := range e.specs {
		slices.Sort(texts) // specs run in random order
	}
	return e, errors.Join(unknown...)
}

// numbers are the requirements that a spec carries as labels.
func (c *catalogue) numbers(spec types.SpecReport) ([]string, error) {
	var numbers []string
	var unknown []error
	for _, label := range spec.Labels() {
		switch {
		case c.has(label):
			numbers = append(numbers, label)
		case numberPattern.MatchString(label):
			unknown = append(unknown, fmt.Errorf("there is no requirement %s, with which %q is labelled", label, spec.FullText()))
		}
	}
	return numbers, errors.Join(unknown...)
}

func (e *evidence) add(spec types.SpecReport, numbers []string) {
	e.total++
	switch {
	case spec.State.Is(types.SpecStatePassed):
		e.passed++
		for _, number := range numbers {
			e.specs[number] = append(e.specs[number], spec.FullText())
		}
	case spec.State.Is(types.SpecStateFailureStates):
		e.failed++
	case spec.State.Is(types.SpecStateSkipped):
		e.skipped++
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// result is what requirements.json holds.
type result struct {
	Total   int                 `json:"total"`
	Partial bool                `json:"partial"` // specs were skipped: what is open may be proven by them
	Proven  []string            `json:"proven"`
	Open    []string            `json:"open"`
	Specs   map[string][]string `json:"specs"`
}

func (c *catalogue) result(e *evidence) result {
	r := result{Total: len(c.requirements), Partial: e.skipped > 0, Proven: []string{}, Open: []string{}, Specs: e.specs}
	for _, requirement := range c.requirements {
		if len(e.specs[requirement.number]) > 0 {
			r.Proven = append(r.Proven, requirement.number)
		} else {
			r.Open = append(r.Open, requirement.number)
		}
	}
	return r
}

func (r result) encode() ([]byte, error) {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding what is proven: %w", err)
	}
	return append(content, '\n'), nil
}

// totals are a line for each system and one for all, and what keeps them from being the whole truth.
func (c *catalogue) totals(e *evidence) string {
	var text strings.Builder
	proven, all := 0, 0
	for _, system := range c.systems {
		provenHere, here := 0, 0
		for _, r := range c.requirements {
			if r.system() != system.number {
				continue
			}
			here++
			if len(e.specs[r.number]) > 0 {
				provenHere++
			}
		}
		fmt.Fprintf(&text, "%-4s%4d of %3d  %s\n", system.number, provenHere, here, system.name)
		proven, all = proven+provenHere, all+here
	}
	fmt.Fprintf(&text, "%-4s%4d of %3d  requirements are proven; %d of %d specs passed\n", "All", proven, all, e.passed, e.total)
	if e.failed > 0 {
		fmt.Fprintf(&text, "%d of the specs failed, and prove nothing.\n", e.failed)
	}
	if e.skipped > 0 {
		fmt.Fprintf(&text, "This run was partial: %d of the specs were skipped, and what they prove is not counted.\n", e.skipped)
	}
	return text.String()
}

// table is the whole of it, as Markdown.
func (c *catalogue) table(e *evidence) string {
	var text strings.Builder
	fmt.Fprintf(&text, "# What is proven\n\n```\n%s```\n", c.totals(e))
	for _, system := range c.systems {
		fmt.Fprintf(&text, "\n## %s: %s\n\n| Number | Tag | Requirement | Proven by |\n|---|---|---|---|\n", system.number, system.name)
		for _, r := range c.requirements {
			if r.system() == system.number {
				fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", r.number, r.tag, r.text, provenBy(e.specs[r.number]))
			}
		}
	}
	return text.String()
}

// provenBy is the cell with the specs that prove a requirement.
func provenBy(specs []string) string {
	if len(specs) == 0 {
		return "**open**"
	}
	return strings.ReplaceAll(strings.Join(specs, "<br>"), "|", `\|`)
}

package main

import (
	_ "embed" // the list of the requirements
	"fmt"
	"regexp"
	"strings"
)

//go:embed requirements.md
var listed string

var (
	headingPattern = regexp.MustCompile(`^## (S\d+): (.+)$`)
	rowPattern     = regexp.MustCompile(`^\| (S\d+\.\d+) \| ([A-Z]) \| (.+) \|$`)

	// numberPattern is what looks like the number of a requirement, also where somebody mistyped it.
	numberPattern = regexp.MustCompile(`^[sS]\d+\.\d`)
)

// system is a reference system.
type system struct {
	number, name string
}

// requirement is one behaviour of a reference system.
type requirement struct {
	number, tag, text string
}

// system is the number of the reference system that the requirement is of.
func (r requirement) system() string {
	number, _, _ := strings.Cut(r.number, ".")
	return number
}

// catalogue is everything that there is to prove, in the order of its numbers.
type catalogue struct {
	systems      []system
	requirements []requirement
}

// readCatalogue reads the list, and refuses one with a gap: a requirement that went missing would never be open.
func readCatalogue(list string) (*catalogue, error) {
	c := &catalogue{}
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if heading := headingPattern.FindStringSubmatch(line); heading != nil {
			c.systems = append(c.systems, system{number: heading[1], name: heading[2]})
		}
		row := rowPattern.FindStringSubmatch(line)
		if row == nil {
			continue
		}
		next := requirement{number: row[1], tag: row[2], text: row[3]}
		if want := c.nextNumber(); next.number != want {
			return nil, fmt.Errorf("the list of requirements goes on with %s where %s belongs", next.number, want)
		}
		c.requirements = append(c.requirements, next)
	}
	return c, nil
}

// nextNumber is the number of the requirement that the list goes on with.
func (c *catalogue) nextNumber() string {
	if len(c.systems) == 0 {
		return "a heading"
	}
	count, current := 0, c.systems[len(c.systems)-1].number
	for _, r := range c.requirements {
		if r.system() == current {
			count++
		}
	}
	return fmt.Sprintf("%s.%d", current, count+1)
}

func (c *catalogue) has(number string) bool {
	for _, r := range c.requirements {
		if r.number == number {
			return true
		}
	}
	return false
}

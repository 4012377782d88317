package fieldpath

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// marks recognise the elements of an object's lists. A mark is a fingerprint of the element without the fields that are
// overwritten, and says which those are: so it stays the same while they are overwritten one after the other, and can be
// compared by somebody who no longer knows the fields.
type marks struct {
	object map[string]any
	fields []Field
	known  map[string]string
}

const (
	marksLength    = 8
	beforeWithout  = "/"
	betweenWithout = ","
	outOfList      = "!"
)

func marksOf(object map[string]any, fields []Field) marks {
	return marks{object, fields, map[string]string{}}
}

// around is the mark of the innermost element that something at this place lies in; empty if there is none.
func (m marks) around(at place) string {
	element, _ := at.within()
	if element == nil {
		return ""
	}
	if _, done := m.known[element.String()]; !done {
		m.known[element.String()] = mark(element.in(m.object), m.under(element.steps()))
	}
	return m.known[element.String()]
}

// under are the fields inside of an element to which steps lead, seen from there.
func (m marks) under(steps []step) []string {
	var under []string
	for _, field := range m.fields {
		if len(field.Path.steps) > len(steps) && slices.Equal(field.Path.steps[:len(steps)], steps) {
			under = append(under, text(field.Path.steps[len(steps):]))
		}
	}
	slices.Sort(under)
	return slices.Compact(under)
}

// mark recognises an element whatever is at the paths without.
func mark(element any, without []string) string {
	left := (&sight{whole: true}).of(element)
	for _, path := range without {
		takeAway(left, path)
	}
	return fingerprint(left) + beforeWithout + strings.Join(without, betweenWithout)
}

// takeAway deletes what is at a path; for one that ends in a list the list, since elements are taken out, too.
func takeAway(value any, path string) {
	parsed, err := Parse(path)
	if err != nil {
		return
	}
	outer, last := parsed.steps[:len(parsed.steps)-1], parsed.steps[len(parsed.steps)-1]
	walk(value, outer, nil, func(value any, _ place) {
		if holder, ok := value.(map[string]any); ok {
			delete(holder, last.name)
		}
	})
}

// fingerprint relies on JSON sorting the keys of a map.
func fingerprint(value any) string {
	canonical, err := json.Marshal(unordered(value))
	if err != nil { // no JSON can be read that becomes such a value
		canonical = fmt.Appendf(nil, "%T", value)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:marksLength])
}

// unordered is value with the sorted fingerprints of its elements for each list: in an element that is recognised, too,
// the order may change.
func unordered(value any) any {
	switch value := value.(type) {
	case map[string]any:
		fields := make(map[string]any, len(value))
		for field, inside := range value {
			fields[field] = unordered(inside)
		}
		return fields
	case []any:
		elements := make([]string, len(value))
		for i, element := range value {
			elements[i] = fingerprint(element)
		}
		slices.Sort(elements)
		return elements
	}
	return value
}

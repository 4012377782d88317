package fieldpath

import (
	"slices"
	"strconv"
	"strings"
)

// place is where one thing lies in an object: a path that says which element of each list.
type place []spot

// spot goes into a field, and on into one of its elements unless index is noIndex.
type spot struct {
	name  string
	index int
}

const noIndex = -1

// with is the place one spot further on. Places share no memory: walk keeps several that begin alike.
func (p place) with(s spot) place {
	return append(slices.Clip(p), s)
}

func (p place) String() string {
	parts := make([]string, len(p))
	for i, s := range p {
		parts[i] = s.name
		if s.index != noIndex {
			parts[i] += "[" + strconv.Itoa(s.index) + "]"
		}
	}
	return strings.Join(parts, ".")
}

// parsePlace reads what String writes.
func parsePlace(written string) (at place, ok bool) {
	for part := range strings.SplitSeq(written, ".") {
		field, index, list := strings.Cut(part, "[")
		s := spot{field, noIndex}
		if digits, closed := strings.CutSuffix(index, "]"); list {
			i, err := strconv.ParseUint(digits, 10, 31)
			if err != nil || !closed {
				return nil, false
			}
			s.index = int(i)
		}
		if !name.MatchString(field) {
			return nil, false
		}
		at = append(at, s)
	}
	return at, true
}

// steps are those of the path on which the place lies.
func (p place) steps() []step {
	steps := make([]step, len(p))
	for i, s := range p {
		steps[i] = step{s.name, s.index != noIndex}
	}
	return steps
}

// within splits the place behind the innermost list element that something at this place lies in. A string that is an
// element itself lies in the element around its list.
func (p place) within() (element, rest place) {
	for i := len(p) - 2; i >= 0; i-- {
		if p[i].index != noIndex {
			return p[:i+1], p[i+1:]
		}
	}
	return nil, p
}

// isElement tells whether an element of a list is at the place, rather than a field.
func (p place) isElement() bool {
	return len(p) > 0 && p[len(p)-1].index != noIndex
}

// in is what is at the place; nil if nothing is.
func (p place) in(value any) any {
	for _, s := range p {
		fields, _ := value.(map[string]any)
		value = fields[s.name]
		if s.index == noIndex {
			continue
		}
		elements, _ := value.([]any)
		if s.index >= len(elements) {
			return nil
		}
		value = elements[s.index]
	}
	return value
}

// holder is the map whose field, or a list in whose field, has what is at the place. Nil where there is none.
func (p place) holder(object map[string]any) (holder map[string]any, field string) {
	if len(p) == 0 {
		return nil, ""
	}
	holder, _ = p[:len(p)-1].in(object).(map[string]any)
	return holder, p[len(p)-1].name
}

// write puts a string at the place, which is there.
func (p place) write(object map[string]any, value string) {
	holder, field := p.holder(object)
	if !p.isElement() {
		holder[field] = value
		return
	}
	holder[field].([]any)[p[len(p)-1].index] = value
}

// insert puts a string into the list at the place, and moves on what is there; at the end of a list that became shorter.
func (p place) insert(object map[string]any, value string) {
	holder, field := p.holder(object)
	elements, _ := holder[field].([]any)
	holder[field] = slices.Insert(slices.Clone(elements), min(p[len(p)-1].index, len(elements)), any(value))
}

// takeOut takes out what is at the place.
func (p place) takeOut(object map[string]any) {
	holder, field := p.holder(object)
	if !p.isElement() {
		delete(holder, field)
		return
	}
	elements, i := holder[field].([]any), p[len(p)-1].index
	holder[field] = slices.Delete(slices.Clone(elements), i, i+1)
}

// listHolds tells whether a string is in the list in which the place is.
func (p place) listHolds(object map[string]any, value string) bool {
	holder, field := p.holder(object)
	elements, _ := holder[field].([]any)
	return slices.Contains(elements, any(value))
}

// goesWith tells whether something around the place is among the places that are taken out.
func (p place) goesWith(takenOut map[string]bool) bool {
	for i, s := range p {
		around := slices.Clone(p[:i+1])
		if i+1 < len(p) && takenOut[around.String()] {
			return true
		}
		if around[i].index = noIndex; s.index != noIndex && takenOut[around.String()] {
			return true
		}
	}
	return false
}

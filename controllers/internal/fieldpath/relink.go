package fieldpath

import (
	"slices"
	"strings"
)

// Relink undoes Anonymize. The field of a link is looked for where it was; if another element is there by now, in the one
// element of such lists that is recognised. holds tells whether a field still holds what was written over it: current is
// empty for one that was taken out and is not there. value gives what a word of the caller's stands for now. A link whose
// field is not found, does not hold that, or has no value, is lost.
func Relink(object map[string]any, links []Link, holds func(link Link, current string) bool, value func(was string) (string, bool)) (changed bool, lost []Link) {
	r := relinking{object, holds, map[string]map[string][]place{}, map[string]bool{}}
	var writes, inserts []write
	for _, link := range links {
		w, ok := r.find(link)
		if ok {
			w.value, ok = value(link.Was)
		}
		switch {
		case !ok || w.insert && w.at.listHolds(object, w.value):
			lost = append(lost, link)
		case w.insert:
			inserts = append(inserts, w)
		default:
			r.taken[w.at.String()] = true
			writes = append(writes, w)
		}
	}
	for _, w := range writes {
		w.at.write(object, w.value)
	}
	// In the order in which they were taken out, each finds the index that it had.
	for _, w := range inserts {
		w.at.insert(object, w.value)
	}
	return len(writes)+len(inserts) > 0, lost
}

// write is what Relink does for one link, after it has looked at all of them.
type write struct {
	at     place
	insert bool
	value  string
}

type relinking struct {
	object map[string]any
	holds  func(link Link, current string) bool

	// marked are the elements of the lists at a path by their marks, for each path and what the marks are without.
	marked map[string]map[string][]place

	// taken are the places that already have a link.
	taken map[string]bool
}

func (r relinking) find(link Link) (w write, ok bool) {
	at, ok := parsePlace(link.Path)
	if !ok {
		return write{}, false
	}
	marked, insert := strings.CutSuffix(link.Element, outOfList)
	element, rest := at.within()
	if (element == nil) != (marked == "") || insert && !at.isElement() {
		return write{}, false
	}
	if element != nil {
		if element, ok = r.element(element, marked); !ok {
			return write{}, false
		}
	}
	w = write{at: slices.Concat(element, rest), insert: insert}
	switch {
	case insert:
		return w, r.listTakes(link, w.at)
	case at.isElement():
		return w, r.elementHolds(link, w.at)
	default:
		return w, r.fieldHolds(link, w.at)
	}
}

// element is the place of the element with the mark: where it was, or the only one of all lists at the path.
func (r relinking) element(was place, marked string) (at place, ok bool) {
	_, without, _ := strings.Cut(marked, beforeWithout)
	places := r.elements(was.steps(), without)[marked]
	if slices.ContainsFunc(places, func(p place) bool { return slices.Equal(p, was) }) {
		return was, true
	}
	if len(places) != 1 {
		return nil, false
	}
	return places[0], true
}

func (r relinking) elements(steps []step, without string) map[string][]place {
	key := text(steps) + beforeWithout + without
	if r.marked[key] == nil {
		r.marked[key] = map[string][]place{}
		walk(r.object, steps, nil, func(value any, at place) {
			m := mark(value, strings.Split(without, betweenWithout))
			r.marked[key][m] = append(r.marked[key][m], at)
		})
	}
	return r.marked[key]
}

func (r relinking) fieldHolds(link Link, at place) bool {
	holder, field := at.holder(r.object)
	value, there := holder[field]
	current, isString := value.(string)
	return holder != nil && there == isString && !r.taken[at.String()] && r.holds(link, current)
}

// elementHolds looks at one index only. Of a string that is an element itself nothing is left to recognise it by: elsewhere
// in the list may be what was written over another person.
func (r relinking) elementHolds(link Link, at place) bool {
	holder, field := at.holder(r.object)
	elements, _ := holder[field].([]any)
	i := at[len(at)-1].index
	if i >= len(elements) {
		return false
	}
	current, isString := elements[i].(string)
	return isString && !r.taken[at.String()] && r.holds(link, current)
}

// listTakes tells whether there can be a list at the place: some kinds leave out one that is empty.
func (r relinking) listTakes(link Link, at place) bool {
	holder, field := at.holder(r.object)
	value, there := holder[field]
	_, isList := value.([]any)
	return holder != nil && there == isList && r.holds(link, "")
}

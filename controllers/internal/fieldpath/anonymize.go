package fieldpath

import "slices"

// Field is a field that Anonymize overwrites.
type Field struct {
	Path Path

	// Value that is written instead. Nil: the field is taken out, and an element of a list out of its list.
	Value *string
}

// takesOut tells whether the field is taken out. An empty element of a list would name nobody either, but keep a place.
func (f Field) takesOut() bool {
	return f.Value == nil || *f.Value == "" && f.Path.steps[len(f.Path.steps)-1].list
}

// Link remembers one field that was overwritten, for the way back.
type Link struct {
	// Path is where the field is, with the index in each list: spec.comments[2].author.
	Path string

	// Element is by what the innermost list element in which the field lies is recognised when the order changed; empty
	// where it lies in none. A string that is itself an element lies in the one around its list, and ! behind that says
	// that it was taken out.
	Element string

	// Was is the caller's word for what the field held; empty if it cannot be restored.
	Was string
}

// leaf is a field of an object that is about to be overwritten.
type leaf struct {
	Field
	at  place
	old any
}

// Anonymize overwrites the fields that name a person, whom reference and is recognise:
//   - in lists that a field shares with reference, only in the elements in which reference names the person;
//   - in further lists, only strings that name the person themselves;
//   - elsewhere what there is, and a field that is missing stays so. What is taken out may have any type; a value is
//     written over strings only.
//
// All of this is decided before anything is overwritten, and of two fields with one path the first counts. was gives the
// caller's word for a string that is overwritten; it is not asked for anything else.
func Anonymize(object map[string]any, reference Path, fields []Field, is func(string) bool, was func(string) string) (links []Link, changed bool) {
	leaves := leavesOf(object, reference, fields, is)
	marks := marksOf(object, fields)
	for _, l := range leaves {
		link := Link{Path: l.at.String(), Element: marks.around(l.at)}
		if l.takesOut() && l.at.isElement() {
			link.Element += outOfList
		}
		if old, ok := l.old.(string); ok {
			link.Was = was(old)
		}
		links = append(links, link)
	}
	overwrite(object, leaves)
	return links, len(leaves) > 0
}

// overwrite takes elements out of lists last and from the back: that moves none that is still to be done.
func overwrite(object map[string]any, leaves []leaf) {
	for _, l := range leaves {
		switch {
		case l.takesOut() && l.at.isElement():
		case l.takesOut():
			l.at.takeOut(object)
		default:
			l.at.write(object, *l.Value)
		}
	}
	for _, l := range slices.Backward(leaves) {
		if l.takesOut() && l.at.isElement() {
			l.at.takeOut(object)
		}
	}
}

// leavesOf are the leaves that are to be overwritten: each once, and none that goes away with what it is part of.
func leavesOf(object map[string]any, reference Path, fields []Field, is func(string) bool) []leaf {
	var leaves []leaf
	seen, takenOut := map[string]bool{}, map[string]bool{}
	for _, field := range fields {
		if seen[field.Path.String()] || len(field.Path.steps) == 0 {
			continue
		}
		seen[field.Path.String()] = true
		field.each(object, reference, is, func(old any, at place) {
			if s, ok := old.(string); !field.takesOut() && (!ok || s == *field.Value) {
				return
			}
			takenOut[at.String()] = field.takesOut()
			leaves = append(leaves, leaf{field, at, old})
		})
	}
	return slices.DeleteFunc(leaves, func(l leaf) bool { return l.at.goesWith(takenOut) })
}

// each visits what the field names of the person.
func (f Field) each(object map[string]any, reference Path, is func(string) bool, visit func(old any, at place)) {
	shared := f.Path.shares(reference)
	own := slices.ContainsFunc(f.Path.steps[shared:], func(s step) bool { return s.list })
	walk(object, f.Path.steps[:shared], nil, func(element any, at place) {
		if shared > 0 && !names(element, reference.steps[shared:], is) {
			return
		}
		walk(element, f.Path.steps[shared:], at, func(old any, at place) {
			if s, ok := old.(string); own && (!ok || !is(s)) {
				return
			}
			visit(old, at)
		})
	})
}

// shares counts the steps up to the innermost list that both paths go through.
func (p Path) shares(other Path) (shared int) {
	for i, s := range p.steps {
		if i >= len(other.steps) || s != other.steps[i] {
			break
		}
		if s.list {
			shared = i + 1
		}
	}
	return shared
}

// names tells whether one of the strings to which steps lead is what is looked for.
func names(value any, steps []step, is func(string) bool) (found bool) {
	walk(value, steps, nil, func(value any, _ place) {
		s, ok := value.(string)
		found = found || ok && is(s)
	})
	return found
}

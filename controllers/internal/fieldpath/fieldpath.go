// Package fieldpath reads and changes what lies at a path of an object of any kind: names of fields joined by dots, through
// lists as in spec.editors[*].name. An object that is not shaped as the path says is left as it is: Tenure does not know
// the schema of what refers to its users.
package fieldpath

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// throughList is what a path has behind the name of a list whose elements it goes through.
const throughList = "[*]"

// name is what the schema of a LifecyclePolicy takes for one, too.
var name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// Path leads to fields of an object. It does not change.
type Path struct {
	steps []step
}

// step goes into a field of a map, and on into each of its elements if that field is a list to go through.
type step struct {
	name string
	list bool
}

// Parse reads a path such as spec.assignee or spec.editors[*].name.
func Parse(text string) (Path, error) {
	var steps []step
	for part := range strings.SplitSeq(text, ".") {
		field, list := strings.CutSuffix(part, throughList)
		if !name.MatchString(field) {
			return Path{}, fmt.Errorf("field path %q: %q must be the name of a field, with [*] behind it for a list", text, part)
		}
		steps = append(steps, step{field, list})
	}
	return Path{steps}, nil
}

// String is the path as it is written.
func (p Path) String() string {
	return text(p.steps)
}

// ThroughLists tells whether the path goes through a list.
func (p Path) ThroughLists() bool {
	return slices.ContainsFunc(p.steps, func(s step) bool { return s.list })
}

func text(steps []step) string {
	parts := make([]string, len(steps))
	for i, s := range steps {
		parts[i] = s.name
		if s.list {
			parts[i] += throughList
		}
	}
	return strings.Join(parts, ".")
}

// innermost splits the path at the innermost list that it goes through: outer leads to what has the list, inner goes on
// in one of its elements and through no further list. Without a list all of the path but its last step is outer.
func (p Path) innermost() (outer []step, last step, inner []step) {
	if len(p.steps) == 0 {
		return nil, step{}, nil
	}
	i := len(p.steps) - 1
	for at, s := range slices.Backward(p.steps) {
		if s.list {
			i = at
			break
		}
	}
	return p.steps[:i], p.steps[i], p.steps[i+1:]
}

// Values are the strings at the path, in order and each of them once.
func (p Path) Values(object map[string]any) []string {
	var values []string
	seen := map[string]bool{}
	walk(object, p.steps, nil, func(value any, _ place) {
		if s, ok := value.(string); ok && !seen[s] {
			seen[s] = true
			values = append(values, s)
		}
	})
	return values
}

// Replace writes to over every string at the path for which is holds. A list in which to stands already, or stands now,
// does not get it once more: the element is dropped instead.
func (p Path) Replace(object map[string]any, is func(string) bool, to string) (changed bool) {
	return p.change(object, func(holder map[string]any, field, old string) bool {
		if old == to || !is(old) {
			return false
		}
		holder[field] = to
		return true
	}, func(elements []any, inner []step) []any {
		return replaced(elements, inner, is, to)
	})
}

// replaced are the elements of a list with to where is holds, or nil where nothing changes.
func replaced(elements []any, inner []step, is func(string) bool, to string) []any {
	there, changed := slices.ContainsFunc(elements, func(element any) bool {
		s, ok := stringAt(element, inner)
		return ok && s == to
	}), false
	kept := make([]any, 0, len(elements))
	for _, element := range elements {
		s, ok := stringAt(element, inner)
		if !ok || s == to || !is(s) {
			kept = append(kept, element)
			continue
		}
		changed = true
		if !there {
			there = true
			kept = append(kept, withString(element, inner, to))
		}
	}
	if !changed {
		return nil
	}
	return kept
}

// Remove takes out every string at the path for which is holds: a field of its own from what it is a field of, and in a
// list the element of the innermost one. A list from which everything is taken stays as an empty one.
func (p Path) Remove(object map[string]any, is func(string) bool) (changed bool) {
	return p.change(object, func(holder map[string]any, field, old string) bool {
		if !is(old) {
			return false
		}
		delete(holder, field)
		return true
	}, func(elements []any, inner []step) []any {
		kept := slices.DeleteFunc(slices.Clone(elements), func(element any) bool {
			s, ok := stringAt(element, inner)
			return ok && is(s)
		})
		if len(kept) == len(elements) {
			return nil
		}
		return kept
	})
}

// change lets scalar change a string that is in no list, and tell whether it did, and list say what becomes of the elements
// of an innermost list: nil leaves them.
func (p Path) change(object map[string]any, scalar func(holder map[string]any, field, old string) bool, list func(elements []any, inner []step) []any) (changed bool) {
	outer, last, inner := p.innermost()
	walk(object, outer, nil, func(value any, _ place) {
		holder, _ := value.(map[string]any)
		switch held := holder[last.name].(type) {
		case string:
			if !last.list && scalar(holder, last.name, held) {
				changed = true
			}
		case []any:
			if !last.list {
				return
			}
			if elements := list(held, inner); elements != nil {
				holder[last.name] = elements
				changed = true
			}
		}
	})
	return changed
}

// stringAt is the string to which steps without lists lead.
func stringAt(value any, steps []step) (found string, ok bool) {
	walk(value, steps, nil, func(value any, _ place) {
		found, ok = value.(string)
	})
	return found, ok
}

// withString is value with another string where stringAt found one.
func withString(value any, steps []step, to string) any {
	if len(steps) == 0 {
		return to
	}
	outer, last := steps[:len(steps)-1], steps[len(steps)-1]
	walk(value, outer, nil, func(value any, _ place) {
		if holder, ok := value.(map[string]any); ok && holder != nil {
			holder[last.name] = to
		}
	})
	return value
}

// walk visits in order whatever steps lead to, with the place where it is. at is the place of value itself.
func walk(value any, steps []step, at place, visit func(value any, at place)) {
	if len(steps) == 0 {
		visit(value, at)
		return
	}
	fields, _ := value.(map[string]any)
	child, there := fields[steps[0].name]
	if !there {
		return
	}
	if !steps[0].list {
		walk(child, steps[1:], at.with(spot{steps[0].name, noIndex}), visit)
		return
	}
	elements, _ := child.([]any)
	for i, element := range elements {
		walk(element, steps[1:], at.with(spot{steps[0].name, i}), visit)
	}
}

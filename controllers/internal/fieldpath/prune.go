package fieldpath

import "reflect"

// Prune is a new object with only what lies at the paths and under them. Lists along a path keep their length and order.
// Where something else is in the way of a path, an empty value of its kind stands for it: so who reads along the paths
// finds the same in both objects, an absence and a wrong type too.
func Prune(object map[string]any, keep []Path) map[string]any {
	kept := &sight{}
	for _, path := range keep {
		kept.add(path.steps)
	}
	pruned, _ := kept.of(object).(map[string]any)
	if pruned == nil {
		return map[string]any{}
	}
	return pruned
}

// sight is what paths see of a value: all of it, some of its fields if it is a map, and something of each of its elements
// if it is a list.
type sight struct {
	whole    bool
	fields   map[string]*sight
	elements *sight
}

func (s *sight) add(steps []step) {
	for _, next := range steps {
		if s.fields == nil {
			s.fields = map[string]*sight{}
		}
		if s.fields[next.name] == nil {
			s.fields[next.name] = &sight{}
		}
		s = s.fields[next.name]
		if !next.list {
			continue
		}
		if s.elements == nil {
			s.elements = &sight{}
		}
		s = s.elements
	}
	s.whole = true
}

// of is a copy of what is seen of value.
func (s *sight) of(value any) any {
	switch value := value.(type) {
	case map[string]any:
		return s.ofMap(value)
	case []any:
		return s.ofList(value)
	case nil:
		return nil
	default:
		if s.whole {
			return value
		}
		return reflect.Zero(reflect.TypeOf(value)).Interface()
	}
}

func (s *sight) ofMap(fields map[string]any) any {
	seen := map[string]any{}
	for field, value := range fields {
		if s.whole {
			seen[field] = s.of(value)
		} else if under := s.fields[field]; under != nil {
			seen[field] = under.of(value)
		}
	}
	return seen
}

func (s *sight) ofList(elements []any) any {
	under := s.elements
	if s.whole {
		under = s
	}
	if under == nil {
		return []any{}
	}
	seen := make([]any, len(elements))
	for i, element := range elements {
		seen[i] = under.of(element)
	}
	return seen
}

package targets

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"tenure.dev/tenure/controllers/internal/fieldpath"
)

// Source is where objects come from: one kind in one organization, seen as a service account of the organization's.
type Source struct {
	Namespace string
	Account   string
	Kind      schema.GroupVersionKind
}

// Needs is what of each object is kept in memory. The zero Needs keep the name alone.
type Needs struct {
	references map[string]fieldpath.Path
	fields     map[string]fieldpath.Path
	whole      bool
}

// AddReference asks for an index on the values at path.
func (n *Needs) AddReference(path fieldpath.Path) {
	if n.references == nil {
		n.references = map[string]fieldpath.Path{}
	}
	n.references[path.String()] = path
}

// AddFields asks for fields to be kept, or, with whole, for all of the object.
func (n *Needs) AddFields(paths []fieldpath.Path, whole bool) {
	if n.fields == nil {
		n.fields = map[string]fieldpath.Path{}
	}
	for _, path := range paths {
		n.fields[path.String()] = path
	}
	n.whole = n.whole || whole
}

// Add asks for what other asks for as well.
func (n *Needs) Add(other Needs) {
	for _, path := range other.references {
		n.AddReference(path)
	}
	n.AddFields(slices.Collect(maps.Values(other.fields)), other.whole)
}

// with is what n and other need together. A store may still use n, which is left as it is.
func (n *Needs) with(other Needs) Needs {
	var both Needs
	both.Add(*n)
	both.Add(other)
	return both
}

// cover tells whether what is kept for n is enough for other.
func (n *Needs) cover(other Needs) bool {
	for path := range other.references {
		if _, ok := n.references[path]; !ok {
			return false
		}
	}
	for path := range other.fields {
		if _, ok := n.fields[path]; !ok && !n.whole {
			return false
		}
	}
	return n.whole || !other.whole
}

// kept are all paths that are kept.
func (n *Needs) kept() []fieldpath.Path {
	return append(slices.Collect(maps.Values(n.references)), slices.Collect(maps.Values(n.fields))...)
}

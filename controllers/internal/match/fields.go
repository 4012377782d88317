package match

import (
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"tenure.dev/tenure/controllers/internal/fieldpath"
)

// fieldsOf are the paths of object that an expression reads.
func fieldsOf(expression ast.Expr) (paths []fieldpath.Path, whole bool) {
	r := &reading{}
	r.visit(expression, nil)
	if r.whole {
		return nil, true
	}
	return r.paths(), false
}

// reading collects what of object is read.
type reading struct {
	// values are paths whose values are looked at. Of presences only has() wants to know.
	values, presences []string
	whole             bool
}

// visit looks for object in an expression, in which the shadows name something else.
func (r *reading) visit(e ast.Expr, shadows []string) {
	if chain, presence, ok := chainOf(e); ok && isObject(chain[0], shadows) {
		r.add(chain[1:], presence)
		return
	}
	switch e.Kind() {
	case ast.SelectKind:
		r.visit(e.AsSelect().Operand(), shadows)
	case ast.CallKind:
		if e.AsCall().IsMemberFunction() {
			r.visit(e.AsCall().Target(), shadows)
		}
		r.visitAll(e.AsCall().Args(), shadows)
	case ast.ListKind:
		r.visitAll(e.AsList().Elements(), shadows)
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			r.visit(entry.AsMapEntry().Key(), shadows)
			r.visit(entry.AsMapEntry().Value(), shadows)
		}
	case ast.StructKind:
		for _, field := range e.AsStruct().Fields() {
			r.visit(field.AsStructField().Value(), shadows)
		}
	case ast.ComprehensionKind:
		r.visitComprehension(e.AsComprehension(), shadows)
	default: // a literal, or a variable that chainOf has seen
	}
}

func (r *reading) visitAll(expressions []ast.Expr, shadows []string) {
	for _, e := range expressions {
		r.visit(e, shadows)
	}
}

// visitComprehension knows where the variables of a comprehension are those: in its steps, and the one that collects also
// in its result.
func (r *reading) visitComprehension(c ast.ComprehensionExpr, shadows []string) {
	r.visitAll([]ast.Expr{c.IterRange(), c.AccuInit()}, shadows)
	inResult := append(slices.Clip(shadows), c.AccuVar())
	inSteps := append(slices.Clip(inResult), c.IterVar(), c.IterVar2())
	r.visitAll([]ast.Expr{c.LoopCondition(), c.LoopStep()}, inSteps)
	r.visit(c.Result(), inResult)
}

// chainOf is a variable and the fields that are selected from it one after the other, and whether the expression asks only
// for the presence of the last.
func chainOf(e ast.Expr) (chain []string, presence, ok bool) {
	presence = e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly()
	for {
		if e.Kind() == ast.IdentKind {
			chain = append(chain, e.AsIdent())
			slices.Reverse(chain)
			return chain, presence, true
		}
		from, field, ok := selection(e)
		if !ok {
			return nil, false, false
		}
		e, chain = from, append(chain, field)
	}
}

// selection is what object.field and object.?field select from.
func selection(e ast.Expr) (from ast.Expr, field string, ok bool) {
	switch {
	case e.Kind() == ast.SelectKind:
		return e.AsSelect().Operand(), e.AsSelect().FieldName(), true
	case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.OptSelect && len(e.AsCall().Args()) == 2:
		from, selected := e.AsCall().Args()[0], e.AsCall().Args()[1]
		if selected.Kind() != ast.LiteralKind {
			return nil, "", false
		}
		name, ok := selected.AsLiteral().(types.String)
		return from, string(name), ok
	}
	return nil, "", false
}

// isObject knows that a dot before a name passes by all shadows.
func isObject(variable string, shadows []string) bool {
	return variable == "."+objectVariable || variable == objectVariable && !slices.Contains(shadows, variable)
}

func (r *reading) add(fields []string, presence bool) {
	// What no path can lead to is read with all that is around it.
	for i, field := range fields {
		if _, err := fieldpath.Parse(field); err != nil || strings.ContainsAny(field, ".[") {
			fields, presence = fields[:i], false
			break
		}
	}
	switch at := strings.Join(fields, "."); {
	case len(fields) == 0:
		r.whole = true
	case presence:
		r.presences = append(r.presences, at)
	default:
		r.values = append(r.values, at)
	}
}

// paths leaves out what lies inside of another path, and a presence that can be seen on the way of another path.
func (r *reading) paths() []fieldpath.Path {
	all := slices.DeleteFunc(slices.Clone(r.presences), func(presence string) bool {
		return slices.ContainsFunc(slices.Concat(r.values, r.presences), func(other string) bool { return inside(other, presence) })
	})
	all = slices.DeleteFunc(append(all, r.values...), func(path string) bool {
		return slices.ContainsFunc(r.values, func(other string) bool { return inside(path, other) })
	})
	slices.Sort(all)
	var paths []fieldpath.Path
	for _, at := range slices.Compact(all) {
		if path, err := fieldpath.Parse(at); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

func inside(path, other string) bool {
	return strings.HasPrefix(path, other+".")
}

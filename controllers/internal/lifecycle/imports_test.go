package lifecycle_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowedImports is everything that the pure core may know. No client, no context, no clock, no logger.
var allowedImports = []string{
	"cmp",
	"slices",
	"strings",
	"time",
	"k8s.io/apimachinery/pkg/apis/meta/v1",
	"tenure.dev/tenure/api/v1alpha1",
}

// clockReads are what package time offers beside values and arithmetic.
var clockReads = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Sleep", "Local", "LoadLocation"}

func TestThePureCoreIsPure(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		read++
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			if path, err := strconv.Unquote(spec.Path.Value); err != nil || !slices.Contains(allowedImports, path) {
				t.Errorf("%s imports %s, which is not on the list of the pure core", name, spec.Path.Value)
			}
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if selector, ok := node.(*ast.SelectorExpr); ok && readsClock(selector) {
				t.Errorf("%s uses time.%s: the time is an argument", name, selector.Sel.Name)
			}
			return true
		})
	}
	if read == 0 {
		t.Error("no file of the pure core was found")
	}
}

func readsClock(s *ast.SelectorExpr) bool {
	pkg, ok := s.X.(*ast.Ident)
	return ok && pkg.Name == "time" && slices.Contains(clockReads, s.Sel.Name)
}

// Package match evaluates the CEL expression by which an effect narrows the objects that it acts on.
package match

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/utils/lru"

	"tenure.dev/tenure/controllers/internal/fieldpath"
)

// What an expression speaks of.
const (
	objectVariable = "object"
	userVariable   = "user"
)

// Program is a compiled expression. It may be used by several goroutines at once.
type Program struct {
	program cel.Program
	source  *ast.SourceInfo
	paths   []fieldpath.Path
	whole   bool
}

// compiledPrograms are more than the policies of a cluster have expressions, as a rule.
const compiledPrograms = 1024

// compiled are the programs by their expressions. An expression that several compile at once is compiled one time.
var compiled = struct {
	sync.Mutex
	programs *lru.Cache
}{programs: lru.New(compiledPrograms)}

// Compile reads an expression. Its errors say what is wrong with it, and where, on one line.
func Compile(expression string) (*Program, error) {
	compiled.Lock()
	defer compiled.Unlock()
	if known, ok := compiled.programs.Get(expression); ok {
		return known.(*Program), nil
	}
	program, err := compile(expression)
	if err != nil {
		return nil, err
	}
	compiled.programs.Add(expression, program)
	return program, nil
}

func compile(expression string) (*Program, error) {
	env, err := language()
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(expression)
	if err := asOneError(issues); err != nil {
		return nil, err
	}
	if result := checked.OutputType(); !result.IsExactType(cel.BoolType) && !result.IsExactType(cel.DynType) {
		return nil, mustBeBool(result.String())
	}
	program, err := env.Program(checked)
	if err != nil {
		return nil, fmt.Errorf("plan the evaluation: %w", err)
	}
	paths, whole := fieldsOf(checked.NativeRep().Expr())
	return &Program{program, checked.NativeRep().SourceInfo(), paths, whole}, nil
}

// mostCost is what one evaluation may cost, in CEL's units: some ten milliseconds. Kubernetes allows fifty times as much, for one
// object; a plan asks about all of a person's, while an administrator waits.
const mostCost = 20_000

// language is that of Kubernetes' own expressions, with its limits but for the cost. A stored policy must be readable, whatever version
// wrote it.
var language = sync.OnceValues(func() (*cel.Env, error) {
	base := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
	extended, err := base.Extend(environment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0),
		EnvOptions:        []cel.EnvOption{cel.Variable(objectVariable, cel.DynType), cel.Variable(userVariable, cel.DynType)},
		ProgramOptions:    []cel.ProgramOption{cel.InterruptCheckFrequency(celconfig.CheckFrequency), cel.CostLimit(mostCost)},
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the language of match: %w", err)
	}
	return extended.Env(environment.StoredExpressions)
})

// Matches tells whether the expression is true of an object and a user. An error says what of the expression does not go
// with them, or wraps that of ctx.
func (p *Program) Matches(ctx context.Context, object, user map[string]any) (bool, error) {
	if ctx.Err() != nil {
		return false, fmt.Errorf("was not evaluated: %w", ctx.Err())
	}
	result, _, err := p.program.ContextEval(ctx, map[string]any{objectVariable: object, userVariable: user})
	if err != nil {
		return false, p.inWords(ctx, err)
	}
	matches, ok := result.(types.Bool)
	if !ok {
		return false, mustBeBool(result.Type().TypeName())
	}
	return bool(matches), nil
}

// Fields are the paths of object that the expression reads, none of them inside of another; or it reads the whole object.
func (p *Program) Fields() (paths []fieldpath.Path, whole bool) {
	return p.paths, p.whole
}

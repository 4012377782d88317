package match

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"

	"tenure.dev/tenure/controllers/internal/summary"
)

// How CEL begins what it says of a field that is not there, and of types that do not go together.
const (
	noSuchKey      = "no such key: "
	noSuchOverload = "no such overload"
)

// notInContainer is what CEL puts behind a name that it does not know: of its containers people here know nothing.
const notInContainer = " (in container '')"

func mustBeBool(kind string) error {
	return fmt.Errorf("must be true or false, not %s", kind)
}

// mostIssues is how many mistakes of an expression are told at once.
const mostIssues = 3

// longestIssue is how many characters of a mistake are told: a name is repeated in it, however long it is.
const longestIssue = 300

// asOneError has what is wrong with an expression on one line.
func asOneError(issues *cel.Issues) error {
	var words []string
	for _, issue := range issues.Errors() {
		message := strings.ReplaceAll(issue.Message, notInContainer, "")
		words = append(words, position(issue.Location)+summary.ShortTo(strings.Join(strings.Fields(message), " "), longestIssue))
	}
	switch more := len(words) - mostIssues; {
	case words == nil:
		return nil
	case more > 0:
		return fmt.Errorf("%s; and %d more", strings.Join(words[:mostIssues], "; "), more)
	default:
		return errors.New(strings.Join(words, "; "))
	}
}

// position counts from one, as editors do; CEL counts columns from zero, and has none where nothing is written.
func position(at common.Location) string {
	if at.Line() < 1 {
		return ""
	}
	return fmt.Sprintf("line %d, column %d: ", at.Line(), max(at.Column(), 0)+1)
}

// inWords says why an evaluation failed.
func (p *Program) inWords(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("was not evaluated to its end: %w", ctx.Err())
	}
	if cancelled, ok := errors.AsType[interpreter.EvalCancelledError](err); ok && cancelled.Cause == interpreter.CostLimitExceeded {
		return errors.New("costs too much to evaluate: it goes through lists that are too long, or through lists in lists")
	}
	where := ""
	if failed, ok := errors.AsType[*types.Err](err); ok {
		where = position(p.source.GetStartLocation(failed.NodeID()))
	}
	return errors.New(where + reason(err))
}

func reason(err error) string {
	message := strings.Join(strings.Fields(err.Error()), " ")
	if field, ok := strings.CutPrefix(message, noSuchKey); ok {
		return fmt.Sprintf("there is no field %q: has() asks whether there is one", field)
	}
	if function, ok := strings.CutPrefix(message, noSuchOverload); ok {
		return "wrong type" + forFunction(strings.TrimPrefix(function, ": "))
	}
	return message
}

func forFunction(name string) string {
	if operator, ok := operators.FindReverse(name); ok {
		name = operator
	}
	if name == "" {
		return ""
	}
	return " for " + name
}

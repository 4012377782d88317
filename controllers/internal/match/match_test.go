package match_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/controllers/internal/fieldpath"
	"tenure.dev/tenure/controllers/internal/match"
)

func compile(t rapid.TB, expression string) *match.Program {
	t.Helper()
	program, err := match.Compile(expression)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return program
}

func object(t rapid.TB, text string) map[string]any {
	t.Helper()
	var read map[string]any
	if err := yaml.Unmarshal([]byte(text), &read); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return read
}

const (
	deal = `{metadata: {name: big, labels: {crm/stage: x}}, spec: {stage: Won, amount: 5, size: 10Gi, tags: [a, b], lines: [{sku: x, count: 1}, {sku: z, count: 2}]}}`
	user = `{metadata: {name: alice}, spec: {email: alice@example.com, userType: Employee}}`
)

func TestMatches(t *testing.T) {
	for expression, want := range map[string]bool{
		"true":                        true,
		"object.spec.stage != 'Won'":  false,
		"object.spec.amount > 4":      true,
		"has(object.spec.closed)":     false,
		"!has(object.spec.closed)":    true,
		"has(object.status.phase)":    false,
		"'b' in object.spec.tags":     true,
		"object.spec.tags[0] == 'a'":  true,
		"size(object.spec.tags) == 2": true,
		"object.spec.tags.isSorted()": true,
		"object.spec.lines.exists(l, l.sku == 'z' && l.count == 2)":            true,
		"object.spec.lines.all(object, object.count < 2)":                      false,
		"object.spec.stage.lowerAscii().startsWith('w')":                       true,
		"object.spec.stage.matches('^W[a-z]+$')":                               true,
		"'abc-12'.find('[0-9]+') == '12'":                                      true,
		"quantity(object.spec.size).isGreaterThan(quantity('1Gi'))":            true,
		"object.metadata.labels['crm/stage'] == 'x'":                           true,
		"object.?spec.?closed.orValue('no') == 'no'":                           true,
		"user.spec.userType == 'Employee' && user.spec.email != ''":            true,
		"object.metadata.name + '@' == user.metadata.name":                     false,
		"has(object.spec.stage) || object.nothing.at.all":                      true,
		"object.spec.lines.map(l, l.sku).exists_one(s, s == 'x')":              true,
		"dyn(object.spec.stage == 'Won')":                                      true,
		"url('https://a.example/x').getHost() == 'a.example'":                  true,
		"duration('1h') > duration('59m') && ip('10.0.0.1').isGlobalUnicast()": true,
	} {
		t.Run(expression, func(t *testing.T) {
			document := object(t, deal)
			document["status"] = map[string]any{}
			got, err := compile(t, expression).Matches(t.Context(), document, object(t, user))
			if err != nil || got != want {
				t.Errorf("got %t, %v", got, err)
			}
		})
	}
}

func TestCompileSaysWhatIsWrong(t *testing.T) {
	for expression, want := range map[string]string{
		"'yes'":                            "must be true or false, not string",
		"[1]":                              "must be true or false, not list(int)",
		"size(object.spec.tags)":           "must be true or false, not int",
		"objekt.spec == 1":                 "line 1, column 1: undeclared reference to 'objekt'",
		"true &&\n  1 + 'a' == 2":          "line 2, column 5: found no matching overload for '_+_' applied to '(int, string)'",
		"object.spec.stage.matches('[')":   "line 1, column 27: invalid matches argument",
		"a || b":                           "line 1, column 1: undeclared reference to 'a'; line 1, column 6: undeclared reference to 'b'",
		"object.":                          "line 1, column 8: Syntax error: no viable alternative at input '.'",
		strings.Repeat("x", 400):           "line 1, column 1: undeclared reference to '" + strings.Repeat("x", 274) + "…",
		"authorizer == 1":                  "line 1, column 1: undeclared reference to 'authorizer'",
		"object.spec.lines.exists('l', 1)": "line 1, column 26: argument must be a simple name",
	} {
		t.Run(expression, func(t *testing.T) {
			if _, err := match.Compile(expression); err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
	for _, expression := range []string{"", " ", "\x00", "ä", strings.Repeat("(", 1000), strings.Repeat("!", 4096), "object\n.\n", `"`} {
		if _, err := match.Compile(expression); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v", expression, err)
		}
	}
}

func TestMatchesSaysWhatIsWrong(t *testing.T) {
	for expression, want := range map[string]string{
		"object.spec.closed == 'x'":              `line 1, column 12: there is no field "closed": has() asks whether there is one`,
		"has(object.status.phase)":               `line 1, column 4: there is no field "status": has() asks whether there is one`,
		"user.spec.manager == 'x'":               `line 1, column 10: there is no field "manager": has() asks whether there is one`,
		"object.spec.tags > 5":                   "line 1, column 18: wrong type for >",
		"object.spec.stage + 5 == 6":             "line 1, column 19: wrong type",
		"object.spec.amount.startsWith('a')":     "line 1, column 30: wrong type",
		"object.spec.stage ? true : false":       "line 1, column 19: wrong type",
		"object.spec.tags[7] == 'a'":             "line 1, column 17: index out of bounds: 7",
		"object.spec.amount / 0 == 1":            "line 1, column 20: division by zero",
		"object.spec.stage":                      "must be true or false, not string",
		"object":                                 "must be true or false, not map",
		"object.spec.tags.x == 1":                "line 1, column 17: unsupported index type 'string' in list",
		"object.spec.stage.matches(user.spec.x)": "line 1, column 36: there is no field \"x\": has() asks whether there is one",
	} {
		t.Run(expression, func(t *testing.T) {
			document := object(t, deal)
			document["spec"].(map[string]any)["amount"] = int64(5)
			got, err := compile(t, expression).Matches(t.Context(), document, object(t, user))
			if err == nil || err.Error() != want || got {
				t.Errorf("got %t, %v, want %s", got, err, want)
			}
		})
	}
}

// manyLists is an object with a list, and an expression that goes through it again and again.
func manyLists() (expression string, list map[string]any) {
	elements := make([]any, 400)
	for i := range elements {
		elements[i] = int64(i)
	}
	return "object.l.all(a, object.l.all(b, object.l.all(c, object.l.all(d, a + b + c + d >= 0))))", map[string]any{"l": elements}
}

func TestCostIsLimited(t *testing.T) {
	_, list := manyLists()
	if got, err := compile(t, "object.l.all(a, a >= 0)").Matches(t.Context(), list, nil); err != nil || !got {
		t.Errorf("one look at each of 400: %t, %v", got, err)
	}
	_, err := compile(t, "object.l.all(a, object.l.all(b, a + b >= 0))").Matches(t.Context(), list, nil)
	if want := "costs too much to evaluate: it goes through lists that are too long, or through lists in lists"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestFewMistakesAreToldAtOnce(t *testing.T) {
	_, err := match.Compile("a && b && c && d && e")
	if err == nil || strings.Count(err.Error(), "undeclared") != 3 || !strings.HasSuffix(err.Error(), "; and 2 more") {
		t.Errorf("got %v", err)
	}
}

// cancelledLater is a context that is cancelled when CEL looks at it for the first time.
type cancelledLater struct {
	context.Context //nolint:containedctx // it is one
	cancel          context.CancelFunc
}

func (c cancelledLater) Done() <-chan struct{} {
	c.cancel()
	return c.Context.Done()
}

func TestEvaluationIsInterrupted(t *testing.T) {
	expression, list := manyLists()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := compile(t, expression).Matches(cancelledLater{ctx, cancel}, list, nil)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "to its end") {
		t.Errorf("got %v", err)
	}
	if _, err = compile(t, "true").Matches(ctx, list, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("after it was cancelled: %v", err)
	}
}

func TestMatchesDoesNotPanic(t *testing.T) {
	odd := []map[string]any{
		nil, {}, {"spec": nil}, {"spec": "x"}, {"spec": []any{nil}}, {"spec": map[string]any(nil)}, {"spec": struct{}{}}, {"spec": func() {}}, {"spec": make(chan int)},
		{"spec": map[string]any{"a": []any(nil), "b": 3, "c": int8(3)}},
	}
	for _, expression := range []string{
		"object.spec", "object.spec.a == 1", "object.spec == user.spec", "object == user", "object.spec.exists(x, x == 1)", "string(object.spec) == 'x'",
		"object.spec.map(x, x).size() == 1", "has(object.spec.a) && has(user.spec.b)", "type(object.spec) == int", "object.spec in user.spec",
	} {
		for _, a := range odd {
			for _, b := range odd {
				if matches, err := compile(t, expression).Matches(t.Context(), a, b); err != nil && matches {
					t.Errorf("%s: %t, %v", expression, matches, err)
				}
			}
		}
	}
}

func TestCompiledOnce(t *testing.T) {
	const expression = "object.spec.compiledOnce == 1"
	var wait sync.WaitGroup
	programs := make([]*match.Program, 8)
	for i := range programs {
		wait.Go(func() { programs[i], _ = match.Compile(expression) })
	}
	wait.Wait()
	for _, program := range programs {
		if program == nil || program != programs[0] {
			t.Fatalf("compiled more than once: %v", programs)
		}
	}
}

func TestMatchesConcurrently(t *testing.T) {
	program := compile(t, "object.l.exists(x, x == object.n)")
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for n := range int64(50) {
				matches, err := program.Matches(t.Context(), map[string]any{"l": []any{int64(i)}, "n": n}, nil)
				if err != nil || matches != (n == int64(i)) {
					t.Errorf("%d in [%d]: %t, %v", n, i, matches, err)
				}
			}
		})
	}
	wait.Wait()
}

func TestFields(t *testing.T) {
	const whole = "all of it"
	for expression, want := range map[string]string{
		"true":                                                         "",
		"user.object.spec == 1":                                        "",
		"object.spec.stage != 'Won'":                                   "spec.stage",
		"has(object.spec.x)":                                           "spec.x",
		"has(object.spec) && has(object.spec.x)":                       "spec.x",
		"has(object.spec) && object.spec.x == 1":                       "spec.x",
		"has(object.spec.x) && object.spec == user":                    "spec",
		"object.spec.x == 1 && object.spec.xy == 2":                    "spec.x spec.xy",
		"object.spec.x == 1 || object.spec.x == 2":                     "spec.x",
		"object.spec.x.y == 1 || object.spec.x == 2":                   "spec.x",
		"object.spec.tags[0] == 'a'":                                   "spec.tags",
		"object.spec.lines[0].sku == 'a'":                              "spec.lines",
		"object.spec.list.exists(i, i.a == 'b')":                       "spec.list",
		"object.metadata.labels['a/b'] == 'c'":                         "metadata.labels",
		"size(object.spec.tags) == 1":                                  "spec.tags",
		"object.spec.stage.startsWith('a')":                            "spec.stage",
		"{'a': object.a}.a == [object.b][0]":                           "a b",
		"{object.a: 1} == user":                                        "a",
		"object.?spec.?x.orValue(1) == 1":                              "spec.x",
		"object.?spec.x.orValue(1) == 1":                               "spec.x",
		"object.a ? object.b : object.c":                               "a b c",
		"object.`a-b` == 1":                                            "a-b",
		"object.spec.`a.b` == 1":                                       "spec",
		"has(object.spec.`a/b`)":                                       "spec",
		"has(object.spec.`a/b`) && object.spec.x == 1":                 "spec",
		"object.`a.b` == 1":                                            whole,
		"object['spec'] == 1":                                          whole,
		"object[?'spec'].orValue(1) == 1":                              whole,
		"object == user":                                               whole,
		"'spec' in object":                                             whole,
		"size(object) == 1":                                            whole,
		"object.all(k, k != 'spec')":                                   whole,
		"[object].exists(o, o.spec == 1)":                              whole,
		"object.l.exists(object, object == 1)":                         "l",
		"object.l.exists(object, object.x.all(y, y == 1))":             "l",
		"object.l.exists(object, .object.x == 1)":                      "l x",
		"object.l.exists(o, object.x == o)":                            "l x",
		"object.l.exists(object, true) && object.z == 1":               "l z",
		"user.l.exists(object, object.x.exists(y, object.y == y))":     "",
		"user.l.exists(object, true) && object.z == 1":                 "z",
		"user.l.exists(o, o.object.z == 1)":                            "",
		"object.l.all(i, object, object.x == i)":                       "l",
		"object.?spec.optMap(object, object.x).orValue(1) == object.y": "spec y",
		"object.m.transformMap(k, object, object.x == object.x) == {}": "m",
		"object.l.filter(x, x.a > object.b).map(x, x.c) == [object.d]": "b d l",
	} {
		t.Run(expression, func(t *testing.T) {
			paths, all := compile(t, expression).Fields()
			got := strings.Trim(fmt.Sprint(paths), "[]")
			if all {
				got = whole + got
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

var (
	names  = rapid.SampledFrom([]string{"a", "b", "c"})
	leaves = rapid.OneOf(rapid.SampledFrom([]any{"x", "z", "", nil, true, false, 1.5}), rapid.Int64Range(0, 2).AsAny())
)

func values(depth int) *rapid.Generator[any] {
	if depth == 0 {
		return leaves
	}
	list := rapid.Map(rapid.SliceOfN(values(depth-1), 0, 3), func(elements []any) any { return elements })
	return rapid.OneOf(leaves, list, objects(depth-1).AsAny(), objects(depth-1).AsAny())
}

// objects have most of the fields, so that much is found in them.
func objects(depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		fields := map[string]any{}
		for _, name := range []string{"a", "b", "c"} {
			if rapid.IntRange(0, 9).Draw(t, "there") > 0 {
				fields[name] = values(depth).Draw(t, name)
			}
		}
		return fields
	})
}

// terms are expressions in which the variables stand for something; depth bounds how far they go.
func terms(depth int, variables ...string) *rapid.Generator[string] {
	chain := rapid.Custom(func(t *rapid.T) string {
		term := rapid.SampledFrom(variables).Draw(t, "variable")
		atLeast := 1
		if term == "i" {
			atLeast = 0
		}
		for range rapid.IntRange(atLeast, 2).Draw(t, "length") {
			term += "." + names.Draw(t, "field")
		}
		return term
	})
	if depth == 0 {
		return rapid.OneOf(chain, rapid.SampledFrom([]string{"dyn(1)", "dyn('x')", "dyn(null)", "dyn(true)"}))
	}
	inside := terms(depth-1, variables...)
	within := terms(depth-1, append([]string{"i"}, variables...)...)
	shadowed := terms(depth-1, append([]string{".object"}, variables...)...)
	with := func(format string, parts ...*rapid.Generator[string]) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			drawn := make([]any, len(parts))
			for i, part := range parts {
				drawn[i] = part.Draw(t, "part")
			}
			return fmt.Sprintf(format, drawn...)
		})
	}
	return rapid.OneOf(chain,
		with("dyn(dyn(%s) == dyn(%s))", inside, inside), with("dyn(dyn(%s) && dyn(%s))", inside, inside), with("dyn(dyn(%s) || !dyn(%s))", inside, inside),
		with("dyn(has(%s.%s))", chain, names), with("dyn(%s)[0]", inside), with("dyn(%s)['a']", inside), with("dyn(size(dyn(%s)))", inside),
		with("dyn(dyn(%s).exists(i, dyn(%s)))", inside, within), with("dyn(dyn(%s).all(object, dyn(%s)))", inside, shadowed),
		with("dyn(dyn(%s).map(i, dyn(%s)))", inside, within), with("(dyn(%s) ? dyn(%s) : dyn(%s))", inside, inside, inside), with("dyn(%s in dyn(%s))", inside, inside),
		with("object.?%s.?%s.orValue(dyn(%s))", names, names, inside), with("object.?%s.optMap(object, dyn(%s)).orValue(dyn(1))", names, shadowed),
	)
}

// TestFieldsAreEnough: what is not among the fields has no say in the result, and none in what goes wrong.
func TestFieldsAreEnough(t *testing.T) {
	results := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		either := terms(rapid.IntRange(0, 2).Draw(t, "depth"), "object", "object", "user")
		expression := fmt.Sprintf("dyn(%s) == dyn(%s)", either.Draw(t, "left"), either.Draw(t, "right"))
		program := compile(t, expression)
		fields, whole := program.Fields()
		if whole {
			t.Fatalf("%s reads the whole object", expression)
		}
		person := objects(1).Draw(t, "user")
		for range 10 {
			full := objects(2).Draw(t, "object")
			pruned := fieldpath.Prune(full, fields)
			want, wantErr := program.Matches(t.Context(), full, person)
			got, gotErr := program.Matches(t.Context(), pruned, person)
			if got != want || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				t.Fatalf("%s of %v: %t, %v\nof %v: %t, %v", expression, full, want, wantErr, pruned, got, gotErr)
			}
			results[fmt.Sprintf("%t, fails %t, pruned %t", got, gotErr != nil, !cmp.Equal(full, pruned))]++
		}
	})
	for _, result := range []string{"true, fails false, pruned true", "false, fails false, pruned true", "false, fails true, pruned true"} {
		if results[result] == 0 {
			t.Errorf("never seen: %s, only %v", result, results)
		}
	}
	t.Log(results)
}

func TestCompileDoesNotPanic(t *testing.T) {
	parts := rapid.SampledFrom(strings.Split("object user . ( ) [ ] { } ' \" ? : && || ! - 1 1u 1.5 a has size exists map in null true \\ \n , ä \x00 ` optMap e9 0x", " "))
	rapid.Check(t, func(t *rapid.T) {
		expression := strings.Join(rapid.SliceOfN(parts, 0, 12).Draw(t, "parts"), "")
		if program, err := match.Compile(expression); err == nil {
			_, _ = program.Matches(t.Context(), nil, nil)
		} else if strings.Contains(err.Error(), "\n") {
			t.Fatalf("more than a line: %v", err)
		}
	})
}

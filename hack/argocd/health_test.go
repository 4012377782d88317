// Package argocd tries the health checks of config/argocd in the Lua that Argo CD runs them in. It is a module of its own
// because nothing else needs that.
package argocd

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"
)

const prefix = "resource.customizations.health.tenure.dev_"

// checks are the scripts by kind.
func checks(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../config/argocd/argocd-cm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var patch struct{ Data map[string]string }
	if err := yaml.UnmarshalStrict(text, &patch); err != nil {
		t.Fatal(err)
	}
	scripts := map[string]string{}
	for key, script := range patch.Data {
		scripts[strings.TrimPrefix(key, prefix)] = script
	}
	return scripts
}

func TestEveryKindThatGitHoldsHasACheck(t *testing.T) {
	want := []string{"Group", "LifecyclePolicy", "Membership", "Organization", "User"}
	if got := slices.Sorted(maps.Keys(checks(t))); !slices.Equal(got, want) {
		t.Errorf("checks of %v, want %v", got, want)
	}
}

func TestHealth(t *testing.T) {
	tests := map[string]struct{ object, want string }{
		"just created": {`{metadata: {generation: 1}}`, "Progressing: Tenure has not seen this version yet"},
		"changed": {`{metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [
			{type: Ready, status: "True", message: In force}]}}`, "Progressing: Tenure has not seen this version yet"},
		"in force, or suspended as declared": {`{metadata: {generation: 2}, status: {state: Suspended, observedGeneration: 2, conditions: [
			{type: Ready, status: "True", message: In force}, {type: Active, status: "False", message: Suspended}, {type: Blocked, status: "False"}]}}`,
			"Healthy: In force"},
		"a cascade runs": {`{metadata: {generation: 2}, status: {observedGeneration: 2, conditions: [
			{type: Ready, status: "False", message: Effects are not all done}]}}`, "Progressing: Effects are not all done"},
		"a guard blocks": {`{metadata: {generation: 2}, status: {observedGeneration: 2, conditions: [
			{type: Ready, status: "False", message: Held open}, {type: Blocked, status: "True", message: Last administrator},
			{type: Stalled, status: "True", message: Last administrator}]}}`, "Degraded: Last administrator"},
		"no conditions": {`{metadata: {generation: 2}, status: {observedGeneration: 2}}`, "Progressing: Tenure has not seen this version yet"},
	}
	for kind, script := range checks(t) {
		for name, test := range tests {
			if got := health(t, script, test.object); got != test.want {
				t.Errorf("%s, %s: %q, want %q", kind, name, got, test.want)
			}
		}
	}
}

// health runs a check as Argo CD does: the object is the global obj, and the check returns a table.
func health(t *testing.T, script, object string) string {
	t.Helper()
	var content map[string]any
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(object, "\t", " ")), &content); err != nil {
		t.Fatal(err)
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	state.Push(state.NewFunction(lua.OpenBase))
	state.Call(0, 0)
	state.SetGlobal("obj", value(state, content))
	if err := state.DoString(script); err != nil {
		t.Fatal(err)
	}
	answer, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the check returned %s", state.Get(-1))
	}
	return answer.RawGetString("status").String() + ": " + answer.RawGetString("message").String()
}

func value(state *lua.LState, from any) lua.LValue {
	switch v := from.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, element := range v {
			table.RawSetString(key, value(state, element))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, element := range v {
			table.Append(value(state, element))
		}
		return table
	case float64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	default:
		return lua.LNil
	}
}

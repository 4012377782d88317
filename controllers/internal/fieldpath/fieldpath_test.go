package fieldpath_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/controllers/internal/fieldpath"
)

func object(t rapid.TB, text string) map[string]any {
	t.Helper()
	var read map[string]any
	if err := yaml.Unmarshal([]byte(text), &read); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return read
}

func path(t rapid.TB, text string) fieldpath.Path {
	t.Helper()
	parsed, err := fieldpath.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func isAlice(s string) bool { return s == "alice" }

func TestParse(t *testing.T) {
	for _, text := range []string{
		"spec", "spec.assignee", "spec.editors[*].name", "spec.watchers[*]", "spec.sections[*].comments[*].author", "_a.b-c.D9[*]",
	} {
		t.Run(text, func(t *testing.T) {
			if got := path(t, text).String(); got != text {
				t.Errorf("reads back as %q", got)
			}
		})
	}
	for _, text := range []string{
		"", ".", "spec.", ".spec", "spec..a", "spec[0]", "spec[*][*]", "[*]", "spec[*]a", "spec.9", "spec.a b", "spec.['a']", "spec.a\n", "spec.ä",
	} {
		t.Run("not "+text, func(t *testing.T) {
			if got, err := fieldpath.Parse(text); err == nil {
				t.Errorf("is read as %q", got)
			}
		})
	}
	_, err := fieldpath.Parse("spec.list[0].name")
	if want := `field path "spec.list[0].name": "list[0]" must be the name of a field, with [*] behind it for a list`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestValues(t *testing.T) {
	for name, test := range map[string]struct {
		path, object string
		want         []string
	}{
		"a field":                   {"spec.assignee", `spec: {assignee: alice}`, []string{"alice"}},
		"a field of elements":       {"spec.editors[*].name", `spec: {editors: [{name: bob}, {name: alice}]}`, []string{"bob", "alice"}},
		"elements":                  {"spec.watchers[*]", `spec: {watchers: [bob, alice]}`, []string{"bob", "alice"}},
		"lists in lists":            {"s[*].c[*].a", `s: [{c: [{a: x}, {a: q}]}, {c: []}, {c: [{a: z}]}]`, []string{"x", "q", "z"}},
		"each once":                 {"w[*]", `w: [bob, alice, bob]`, []string{"bob", "alice"}},
		"an empty string":           {"a", `a: ""`, []string{""}},
		"nothing":                   {"spec.assignee", `spec: {}`, nil},
		"no object":                 {"spec.assignee", `null`, nil},
		"no string":                 {"w[*]", `w: [1, null, true, {a: b}, [c], d]`, []string{"d"}},
		"a list where none is":      {"w[*]", `w: bob`, nil},
		"none where a list is":      {"w", `w: [bob]`, nil},
		"a string where a map is":   {"spec.assignee", `spec: alice`, nil},
		"elements that are odd":     {"e[*].name", `e: [bob, null, {name: alice}, {name: 7}, []]`, []string{"alice"}},
		"a list where a field is":   {"e.name", `e: [{name: alice}]`, nil},
		"a field where elements go": {"e[*].name", `e: {name: alice}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, path(t, test.path).Values(object(t, test.object))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReplace(t *testing.T) {
	for name, test := range map[string]struct{ path, object, want string }{
		"a field":                  {"spec.assignee", `spec: {assignee: alice, a: alice}`, `spec: {assignee: bob, a: alice}`},
		"of somebody else":         {"spec.assignee", `spec: {assignee: carol}`, `spec: {assignee: carol}`},
		"a missing field":          {"spec.assignee", `spec: {}`, `spec: {}`},
		"a field of elements":      {"e[*].name", `e: [{name: carol}, {name: alice, r: 1}]`, `e: [{name: carol}, {name: bob, r: 1}]`},
		"an element":               {"w[*]", `w: [carol, alice]`, `w: [carol, bob]`},
		"the user twice":           {"w[*]", `w: [alice, carol, alice]`, `w: [bob, carol]`},
		"the successor before":     {"w[*]", `w: [bob, alice]`, `w: [bob]`},
		"the successor behind":     {"w[*]", `w: [alice, carol, bob]`, `w: [carol, bob]`},
		"both as fields":           {"e[*].name", `e: [{name: alice, r: 1}, {name: bob, r: 2}]`, `e: [{name: bob, r: 2}]`},
		"a successor who is twice": {"w[*]", `w: [bob, bob, alice]`, `w: [bob, bob]`},
		"a successor elsewhere":    {"s[*].w[*]", `s: [{w: [bob]}, {w: [alice]}]`, `s: [{w: [bob]}, {w: [bob]}]`},
		"a field deep in elements": {"s[*].o.name", `s: [{o: {name: alice}}, {o: {name: alice}}, {o: 1}]`, `s: [{o: {name: bob}}, {o: 1}]`},
		"odd shapes":               {"e[*].name", `e: [alice, {name: [alice]}, {name: {name: alice}}, null]`, `e: [alice, {name: [alice]}, {name: {name: alice}}, null]`},
		"no object":                {"spec.assignee", `null`, `null`},
	} {
		t.Run(name, func(t *testing.T) {
			got := object(t, test.object)
			if changed := path(t, test.path).Replace(got, isAlice, "bob"); changed != (test.object != test.want) {
				t.Errorf("changed: %t", changed)
			}
			if diff := cmp.Diff(object(t, test.want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRemove(t *testing.T) {
	for name, test := range map[string]struct{ path, object, want string }{
		"a field":                  {"spec.assignee", `spec: {assignee: alice, a: alice}`, `spec: {a: alice}`},
		"of somebody else":         {"spec.assignee", `spec: {assignee: carol}`, `spec: {assignee: carol}`},
		"a field of elements":      {"e[*].name", `e: [{name: carol}, {name: alice, r: 1}]`, `e: [{name: carol}]`},
		"elements":                 {"w[*]", `w: [alice, carol, alice]`, `w: [carol]`},
		"all elements":             {"w[*]", `w: [alice]`, `w: []`},
		"a field deep in elements": {"s[*].o.name", `s: [{o: {name: alice}}, {o: {name: bob}}]`, `s: [{o: {name: bob}}]`},
		"lists in lists":           {"s[*].c[*].a", `s: [{c: [{a: alice}]}, {c: [{a: bob}, {a: alice}]}]`, `s: [{c: []}, {c: [{a: bob}]}]`},
		"odd shapes":               {"e[*].name", `e: [alice, {name: [alice]}, null]`, `e: [alice, {name: [alice]}, null]`},
		"no object":                {"spec.assignee", `null`, `null`},
	} {
		t.Run(name, func(t *testing.T) {
			got := object(t, test.object)
			if changed := path(t, test.path).Remove(got, isAlice); changed != (test.object != test.want) {
				t.Errorf("changed: %t", changed)
			}
			if diff := cmp.Diff(object(t, test.want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPrune(t *testing.T) {
	for name, test := range map[string]struct {
		keep         []string
		object, want string
	}{
		"nothing":                  {nil, `a: 1`, `{}`},
		"a field":                  {[]string{"spec.a"}, `{spec: {a: 1, b: 2}, c: 3}`, `spec: {a: 1}`},
		"a subtree":                {[]string{"spec"}, `{spec: {a: 1, b: [2]}, c: 3}`, `spec: {a: 1, b: [2]}`},
		"a list as a subtree":      {[]string{"l"}, `l: [{a: 1}, b]`, `l: [{a: 1}, b]`},
		"a field of elements":      {[]string{"l[*].a"}, `l: [{a: 1, b: 2}, {b: 3}]`, `l: [{a: 1}, {}]`},
		"elements":                 {[]string{"l[*]"}, `l: [a, {b: 3}]`, `l: [a, {b: 3}]`},
		"two in one":               {[]string{"s.a", "s.l[*].b", "s.l[*].c.d"}, `s: {a: 1, l: [{b: 1, c: {d: 2, e: 3}, f: 4}], g: 5}`, `s: {a: 1, l: [{b: 1, c: {d: 2}}]}`},
		"one inside the other":     {[]string{"s.a", "s"}, `s: {a: 1, b: 2}`, `s: {a: 1, b: 2}`},
		"a missing field":          {[]string{"spec.a", "status.b"}, `spec: {b: 2}`, `spec: {}`},
		"null":                     {[]string{"spec.a"}, `spec: null`, `spec: null`},
		"a string in the way":      {[]string{"spec.a"}, `spec: secret`, `spec: ""`},
		"a number in the way":      {[]string{"spec.a"}, `spec: 42`, `spec: 0`},
		"a list in the way":        {[]string{"spec.a"}, `spec: [{a: secret}]`, `spec: []`},
		"a map in the way":         {[]string{"spec[*].a"}, `spec: {a: secret}`, `spec: {}`},
		"odd elements":             {[]string{"l[*].a"}, `l: [secret, [secret], null, {a: 1}]`, `l: ["", [], null, {a: 1}]`},
		"no object":                {[]string{"spec"}, `null`, `{}`},
		"a field and its elements": {[]string{"l.a", "l[*].b"}, `l: [{a: 1, b: 2}]`, `l: [{b: 2}]`},
	} {
		t.Run(name, func(t *testing.T) {
			var keep []fieldpath.Path
			for _, text := range test.keep {
				keep = append(keep, path(t, text))
			}
			if diff := cmp.Diff(object(t, test.want), fieldpath.Prune(object(t, test.object), keep)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestZeroPath is a path that nobody parsed.
func TestZeroPath(t *testing.T) {
	var zero fieldpath.Path
	got := object(t, `a: alice`)
	if zero.String() != "" || zero.Values(got) != nil || zero.Replace(got, isAlice, "bob") || zero.Remove(got, isAlice) {
		t.Error("it leads somewhere")
	}
	if links, changed := fieldpath.Anonymize(got, zero, []fieldpath.Field{{}}, isAlice, word); links != nil || changed {
		t.Error("it is a field")
	}
	if diff := cmp.Diff(object(t, `a: alice`), got); diff != "" {
		t.Error(diff)
	}
}

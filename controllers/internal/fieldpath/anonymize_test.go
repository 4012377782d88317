package fieldpath_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"tenure.dev/tenure/controllers/internal/fieldpath"
)

// word and restored are the caller's words and what they stand for.
func word(old string) string { return "was " + old }

func restored(was string) (string, bool) { return strings.CutPrefix(was, "was ") }

// fields are read from lines such as "spec.author = Removed User", or "spec.author" for one that is taken out.
func fields(t rapid.TB, lines ...string) []fieldpath.Field {
	t.Helper()
	var read []fieldpath.Field
	for _, line := range lines {
		at, value, written := strings.Cut(line, " = ")
		field := fieldpath.Field{Path: path(t, at)}
		if written {
			field.Value = &value
		}
		read = append(read, field)
	}
	return read
}

var index = regexp.MustCompile(`\[\d+\]`)

// heldBy says that a link's field still holds what was written over it.
func heldBy(fields []fieldpath.Field) func(fieldpath.Link, string) bool {
	return func(link fieldpath.Link, current string) bool {
		for _, field := range fields {
			if field.Path.String() == index.ReplaceAllString(link.Path, "[*]") {
				return current == ptr.Deref(field.Value, "")
			}
		}
		return false
	}
}

type anonymizing struct {
	reference    string
	fields       []string
	object, want string

	// links are the places that changed.
	links []string
}

var anonymizings = map[string]anonymizing{
	"the reference": {"spec.author", []string{"spec.author = gone"},
		`spec: {author: alice, a: alice}`, `spec: {author: gone, a: alice}`, []string{"spec.author"}},
	"another field": {"spec.author", []string{"spec.email = gone"},
		`spec: {author: alice, email: a@b.c}`, `spec: {author: alice, email: gone}`, []string{"spec.email"}},
	"without a list whatever the reference is": {"spec.author", []string{"spec.email = gone"},
		`spec: {author: bob, email: b}`, `spec: {author: bob, email: gone}`, []string{"spec.email"}},
	"a list far inside": {"a.b.c.w[*]", []string{"a.b.c.w[*] = gone"},
		`a: {b: {c: {w: [alice, bob, alice]}}}`, `a: {b: {c: {w: [gone, bob, gone]}}}`, []string{"a.b.c.w[0]", "a.b.c.w[2]"}},
	"a missing field": {"spec.author", []string{"spec.email = gone", "status.email"}, `spec: {author: alice}`, `spec: {author: alice}`, nil},
	"taken out":       {"spec.author", []string{"spec.author"}, `spec: {author: alice, a: 1}`, `spec: {a: 1}`, []string{"spec.author"}},
	"held already":    {"spec.author", []string{"spec.author = gone"}, `spec: {author: gone}`, `spec: {author: gone}`, nil},
	"in a list only where the reference matches": {"c[*].author", []string{"c[*].author = gone", "c[*].email"},
		`c: [{author: bob, email: b}, {author: alice, email: a}, {email: c}, odd]`, `c: [{author: bob, email: b}, {author: gone}, {email: c}, odd]`,
		[]string{"c[1].author", "c[1].email"}},
	"the reference is overwritten before the other field": {"c[*].author", []string{"c[*].author = gone", "c[*].email = none"},
		`c: [{author: alice, email: a}]`, `c: [{author: gone, email: none}]`, []string{"c[0].author", "c[0].email"}},
	"a list that the reference does not go through": {"spec.author", []string{"c[*].author = gone"},
		`{spec: {author: alice}, c: [{author: bob}, {author: alice}, {author: alice}]}`,
		`{spec: {author: alice}, c: [{author: bob}, {author: gone}, {author: gone}]}`, []string{"c[1].author", "c[2].author"}},
	"a further list inside": {"s[*].owner", []string{"s[*].w[*] = gone"},
		`s: [{owner: alice, w: [bob, alice]}, {owner: bob, w: [alice]}]`, `s: [{owner: alice, w: [bob, gone]}, {owner: bob, w: [alice]}]`,
		[]string{"s[0].w[1]"}},
	"the reference goes further": {"s[*].c[*].author", []string{"s[*].title = gone"},
		`s: [{title: x, c: [{author: bob}, {author: alice}]}, {title: q, c: [{author: bob}]}]`,
		`s: [{title: gone, c: [{author: bob}, {author: alice}]}, {title: q, c: [{author: bob}]}]`, []string{"s[0].title"}},
	"outside of the reference's list": {"c[*].author", []string{"owner = gone"},
		`{owner: x, c: [{author: alice}]}`, `{owner: gone, c: [{author: alice}]}`, []string{"owner"}},
	"strings in a list":            {"w[*]", []string{"w[*] = gone"}, `w: [bob, alice, alice]`, `w: [bob, gone, gone]`, []string{"w[1]", "w[2]"}},
	"strings taken out of a list":  {"w[*]", []string{"w[*]"}, `w: [alice, bob, alice, alice]`, `w: [bob]`, []string{"w[0]", "w[2]", "w[3]"}},
	"nothing is left of a list":    {"w[*]", []string{"w[*]"}, `w: [alice]`, `w: []`, []string{"w[0]"}},
	"an empty value in a list":     {"w[*]", []string{"w[*] = "}, `w: [alice, bob]`, `w: [bob]`, []string{"w[0]"}},
	"one field twice":              {"a", []string{"a = gone", "a = away"}, `a: alice`, `a: gone`, []string{"a"}},
	"a value is not for a map":     {"a", []string{"b = gone", "c = gone"}, `{a: alice, b: {c: 1}, c: 5}`, `{a: alice, b: {c: 1}, c: 5}`, nil},
	"a subtree and what is in it":  {"a", []string{"b.c = gone", "b", "l[*]", "l"}, `{a: alice, b: {c: x}, l: [alice]}`, `{a: alice}`, []string{"b", "l"}},
	"elements and what is in them": {"l[*].name", []string{"l[*].name = gone", "l[*]"}, `l: [{name: bob}, {name: alice}]`, `l: [{name: bob}]`, []string{"l[1]"}},
}

func TestAnonymize(t *testing.T) {
	for name, test := range anonymizings {
		t.Run(name, func(t *testing.T) {
			got := object(t, test.object)
			links, changed := fieldpath.Anonymize(got, path(t, test.reference), fields(t, test.fields...), isAlice, word)
			if diff := cmp.Diff(object(t, test.want), got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.links, places(links)); diff != "" || changed != (test.links != nil) {
				t.Errorf("changed: %t%s", changed, diff)
			}
		})
	}
}

func places(links []fieldpath.Link) []string {
	var at []string
	for _, link := range links {
		at = append(at, link.Path)
	}
	return at
}

func TestLinks(t *testing.T) {
	got := object(t, `{a: alice, b: {deep: 1}, c: [{author: alice, id: 1}], s: [{id: 2, w: [alice]}]}`)
	links, _ := fieldpath.Anonymize(got, path(t, "a"), fields(t, "a = gone", "b", "c[*].author = gone", "s[*].w[*]"), isAlice, word)
	for i := range links {
		if fingerprint, without, marked := strings.Cut(links[i].Element, "/"); marked {
			if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(fingerprint) {
				t.Errorf("fingerprint is %q", fingerprint)
			}
			links[i].Element = "/" + without
		}
	}
	if diff := cmp.Diff([]fieldpath.Link{
		{Path: "a", Was: "was alice"},
		{Path: "b"},
		{Path: "c[0].author", Element: "/author", Was: "was alice"},
		{Path: "s[0].w[0]", Element: "/w[*]!", Was: "was alice"},
	}, links); diff != "" {
		t.Error(diff)
	}
}

func TestRelink(t *testing.T) {
	comments := []string{"c[*].author = gone", "c[*].email"}
	for name, test := range map[string]struct {
		reference    string
		fields       []string
		object       string
		meanwhile    string
		want         string
		lost         []string
		withoutValue bool
	}{
		"as it was left": {"c[*].author", comments, `c: [{author: alice, email: a, t: x}, {author: bob}]`,
			`c: [{author: gone, t: x}, {author: bob}]`, `c: [{author: alice, email: a, t: x}, {author: bob}]`, nil, false},
		"in another order": {"c[*].author", comments, `c: [{author: alice, email: a, t: x}, {author: bob, t: q}, {author: alice, t: z}]`,
			`c: [{author: gone, t: z}, {author: bob, t: q}, {author: gone, t: x}]`,
			`c: [{author: alice, t: z}, {author: bob, t: q}, {author: alice, email: a, t: x}]`, nil, false},
		"something before it": {"c[*].author", comments, `c: [{author: alice, t: x}]`,
			`c: [{author: gone, t: new}, {author: gone, t: x}]`, `c: [{author: gone, t: new}, {author: alice, t: x}]`, nil, false},
		"in another list": {"s[*].c[*].author", []string{"s[*].c[*].author = gone"}, `s: [{c: [{author: alice, t: x}]}, {c: []}]`,
			`s: [{c: []}, {c: [{author: gone, t: x}]}]`, `s: [{c: []}, {c: [{author: alice, t: x}]}]`, nil, false},
		"the element changed": {"c[*].author", comments, `c: [{author: alice, t: x}]`,
			`c: [{author: gone, t: edited}]`, `c: [{author: gone, t: edited}]`, []string{"c[0].author"}, false},
		"two elements alike": {"c[*].author", comments, `c: [{author: alice, t: x}]`,
			`c: [1, {author: gone, t: x}, {author: gone, t: x}]`, `c: [1, {author: gone, t: x}, {author: gone, t: x}]`, []string{"c[0].author"}, false},
		"two alike as they were": {"c[*].author", comments, `c: [{author: alice, t: x}, {author: alice, t: x}]`,
			`c: [{author: gone, t: x}, {author: gone, t: x}]`, `c: [{author: alice, t: x}, {author: alice, t: x}]`, nil, false},
		"one left of two alike": {"c[*].author", comments, `c: [{author: alice, t: x}, {author: alice, t: x}]`,
			`c: [{author: gone, t: x}]`, `c: [{author: alice, t: x}]`, []string{"c[1].author"}, false},
		"the other field was changed": {"c[*].author", comments, `c: [{author: alice, email: a, t: x}]`,
			`c: [{author: gone, email: new, t: x}]`, `c: [{author: alice, email: new, t: x}]`, []string{"c[0].email"}, false},
		"a field holds something else": {"a", []string{"a = gone"}, `a: alice`, `a: bob`, `a: bob`, []string{"a"}, false},
		"a field is no string":         {"a", []string{"a = gone"}, `a: alice`, `a: [gone]`, `a: [gone]`, []string{"a"}, false},
		"a field that is null":         {"a", []string{"a"}, `a: alice`, `a: null`, `a: null`, []string{"a"}, false},
		"a field is gone":              {"s.a", []string{"s.a = gone"}, `s: {a: alice}`, `s: {}`, `s: {}`, []string{"s.a"}, false},
		"what it was in is gone":       {"s.a", []string{"s.a"}, `s: {a: alice}`, `{}`, `{}`, []string{"s.a"}, false},
		"what it was in is a string":   {"s.a", []string{"s.a"}, `s: {a: alice}`, `s: x`, `s: x`, []string{"s.a"}, false},
		"no value":                     {"a", []string{"a = gone"}, `a: alice`, `a: gone`, `a: gone`, []string{"a"}, true},
		"a subtree that was taken out": {"a", []string{"b"}, `{a: alice, b: {c: 1}}`, `a: alice`, `a: alice`, []string{"b"}, false},
		"a string in a list":           {"w[*]", []string{"w[*] = gone"}, `w: [alice, bob]`, `w: [gone, bob]`, `w: [alice, bob]`, nil, false},
		"a string that moved":          {"w[*]", []string{"w[*] = gone"}, `w: [alice, bob]`, `w: [bob, gone]`, `w: [bob, gone]`, []string{"w[0]"}, false},
		"taken out of a list":          {"w[*]", []string{"w[*]"}, `w: [alice, bob, alice]`, `w: [bob]`, `w: [alice, bob, alice]`, nil, false},
		"a list that became shorter":   {"w[*]", []string{"w[*]"}, `w: [bob, carol, alice]`, `w: [bob]`, `w: [bob, alice]`, nil, false},
		"a list that is left out":      {"w[*]", []string{"w[*]"}, `w: [alice]`, `{}`, `w: [alice]`, nil, false},
		"a list that is none any more": {"w[*]", []string{"w[*]"}, `w: [alice]`, `w: x`, `w: x`, []string{"w[0]"}, false},
		"what a list was in is gone":   {"s.w[*]", []string{"s.w[*]"}, `s: {w: [alice]}`, `{}`, `{}`, []string{"s.w[0]"}, false},
		"put back by somebody else":    {"w[*]", []string{"w[*]"}, `w: [alice, bob]`, `w: [bob, alice]`, `w: [bob, alice]`, []string{"w[0]"}, false},
		"a list in an element that moved": {"s[*].w[*]", []string{"s[*].w[*]"}, `s: [{w: [alice, bob], t: x}, {w: [], t: q}]`,
			`s: [{w: [], t: q}, {w: [bob], t: x}]`, `s: [{w: [], t: q}, {w: [alice, bob], t: x}]`, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			fields := fields(t, test.fields...)
			links, _ := fieldpath.Anonymize(object(t, test.object), path(t, test.reference), fields, isAlice, word)
			got := object(t, test.meanwhile)
			changed, lost := fieldpath.Relink(got, links, heldBy(fields), func(was string) (string, bool) {
				value, ok := restored(was)
				return value, ok && !test.withoutValue
			})
			if diff := cmp.Diff(object(t, test.want), got); diff != "" || changed != (test.want != test.meanwhile) {
				t.Errorf("changed: %t%s", changed, diff)
			}
			if diff := cmp.Diff(test.lost, places(lost)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRelinkAfterAnotherPerson: who is anonymised later in the same element does not make the first unrecognisable.
func TestRelinkAfterAnotherPerson(t *testing.T) {
	fields := fields(t, "c[*].author = gone", "c[*].reviewer = gone")
	got := object(t, `c: [{author: alice, reviewer: bob, t: x}]`)
	links, _ := fieldpath.Anonymize(got, path(t, "c[*].author"), fields[:1], isAlice, word)
	both := object(t, `c: [{author: alice, reviewer: bob, t: x}]`)
	linksOfBoth, _ := fieldpath.Anonymize(both, path(t, "c[*].author"), fields, isAlice, word)
	if links[0].Element == linksOfBoth[0].Element {
		t.Error("the fingerprint is the same with and without a further field")
	}
	both["c"].([]any)[0].(map[string]any)["reviewer"] = "dave"
	if _, lost := fieldpath.Relink(both, linksOfBoth[:1], heldBy(fields), restored); lost != nil {
		t.Errorf("lost: %v", lost)
	}
}

func TestRelinkOfOddLinks(t *testing.T) {
	links := []fieldpath.Link{
		{}, {Path: "a", Element: "x"}, {Path: "a[0].b"}, {Path: "a[99999999999].b", Element: "x"}, {Path: "a[-1]"}, {Path: "a[0"}, {Path: "a[0]b"},
		{Path: "a[*]"}, {Path: "l[0].a", Element: "x/y/z"}, {Path: "l[0].a", Element: "/[[,"}, {Path: "l[0].a[7]", Element: ""}, {Path: "a[0].b[0]", Element: "/"},
		{Path: "s[0]"}, {Path: "s.t"}, {Path: "l[3]"}, {Path: "s[0]", Element: "!"}, {Path: "a", Element: "!"}, {Path: "l[0]", Element: "!!"},
	}
	for _, text := range []string{`null`, `{a: 1, l: [{a: x}], s: t}`} {
		got := object(t, text)
		changed, lost := fieldpath.Relink(got, links, func(_ fieldpath.Link, current string) bool { return current != "" }, func(string) (string, bool) { return "alice", true })
		if changed || len(lost) != len(links) {
			t.Errorf("changed %t, lost %v of %v", changed, lost, links)
		}
		if diff := cmp.Diff(object(t, text), got); diff != "" {
			t.Error(diff)
		}
	}
}

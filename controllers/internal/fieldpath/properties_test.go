package fieldpath_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	"tenure.dev/tenure/controllers/internal/fieldpath"
)

var (
	names   = rapid.SampledFrom([]string{"a", "b", "c"})
	strs    = rapid.SampledFrom([]string{"alice", "alice", "alice@x", "bob", "carol", "gone", ""})
	scalars = rapid.OneOf(strs.AsAny(), rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Int64Range(-3, 3).AsAny(), rapid.Float64Range(0, 1).AsAny())
	objects = rapid.Map(values(4), func(value any) map[string]any {
		fields, _ := value.(map[string]any)
		return fields
	})
	// steps make many paths that lead somewhere, and many that do not.
	steps = rapid.Custom(func(t *rapid.T) string {
		return names.Draw(t, "name") + rapid.SampledFrom([]string{"", "[*]"}).Draw(t, "list")
	})
	paths = rapid.Map(rapid.SliceOfN(steps, 1, 4), func(steps []string) fieldpath.Path {
		parsed, err := fieldpath.Parse(strings.Join(steps, "."))
		if err != nil {
			panic(err)
		}
		return parsed
	})
	anonymized = rapid.Custom(func(t *rapid.T) fieldpath.Field {
		return fieldpath.Field{Path: paths.Draw(t, "path"), Value: rapid.Ptr(rapid.SampledFrom([]string{"gone", "away"}), true).Draw(t, "value")}
	})
)

// values are of any kind, and maps at the outside.
func values(depth int) *rapid.Generator[any] {
	inside := scalars
	if depth > 1 {
		list := rapid.Map(rapid.SliceOfN(values(depth-1), 0, 3), func(elements []any) any { return elements })
		inside = rapid.OneOf(scalars, values(depth-1), values(depth-1), list, rapid.Map(rapid.SliceOfN(strs, 0, 4), asList))
	}
	return rapid.MapOfN(names, inside, 0, 3).AsAny()
}

// asList is a list as JSON has them.
func asList(strs []string) any {
	elements := make([]any, len(strs))
	for i, s := range strs {
		elements[i] = s
	}
	return elements
}

// person are two names of one person.
func person(s string) bool { return s == "alice" || s == "alice@x" }

// flat is every leaf of an object by its place: a model that knows nothing of paths.
func flat(value any) map[string]any {
	leaves := map[string]any{}
	flatten(leaves, "", value)
	return leaves
}

func flatten(leaves map[string]any, at string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for field, inside := range value {
			flatten(leaves, strings.TrimPrefix(at+"."+field, "."), inside)
		}
	case []any:
		for i, element := range value {
			flatten(leaves, fmt.Sprintf("%s[%d]", at, i), element)
		}
	default:
		leaves[at] = value
	}
}

func pathOf(at string) string { return index.ReplaceAllString(at, "[*]") }

func TestValuesAreTheLeavesAtThePath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		object, path := objects.Draw(t, "object"), paths.Draw(t, "path")
		want := map[string]bool{}
		for at, leaf := range flat(object) {
			if s, ok := leaf.(string); ok && pathOf(at) == path.String() {
				want[s] = true
			}
		}
		got := path.Values(object)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(slices.Values(got))); diff != "" {
			t.Fatal(diff)
		}
	})
}

// without is Remove, written differently: it builds a new value.
func without(value any, steps []string, is func(string) bool) any {
	fields, ok := value.(map[string]any)
	if !ok {
		return value
	}
	built := maps.Clone(fields)
	field, list := strings.CutSuffix(steps[0], "[*]")
	child, there := fields[field]
	switch elements, isList := child.([]any); {
	case !there || list && !isList:
	case list && !strings.Contains(strings.Join(steps[1:], "."), "[*]"):
		kept := []any{}
		for _, element := range elements {
			if s, ok := flat(element)[strings.Join(steps[1:], ".")].(string); !ok || !is(s) {
				kept = append(kept, element)
			}
		}
		built[field] = kept
	case list:
		kept := []any{}
		for _, element := range elements {
			kept = append(kept, without(element, steps[1:], is))
		}
		built[field] = kept
	case len(steps) > 1:
		built[field] = without(child, steps[1:], is)
	default:
		if s, ok := child.(string); ok && is(s) {
			delete(built, field)
		}
	}
	return built
}

func TestRemoveTakesOutNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, path := objects.Draw(t, "object"), paths.Draw(t, "path")
		after := runtime.DeepCopyJSON(before)
		changed := path.Remove(after, person)
		if diff := cmp.Diff(without(before, strings.Split(path.String(), "."), person), any(after)); diff != "" {
			t.Fatal(diff)
		}
		if changed == cmp.Equal(before, after) {
			t.Fatalf("changed: %t", changed)
		}
		if slices.ContainsFunc(path.Values(after), person) {
			t.Fatal("it is still there")
		}
	})
}

func TestReplaceTouchesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, path := objects.Draw(t, "object"), paths.Draw(t, "path")
		after := runtime.DeepCopyJSON(before)
		changed := path.Replace(after, person, "bob")

		both := func(s string) bool { return person(s) || s == "bob" }
		at := strings.Split(path.String(), ".")
		if diff := cmp.Diff(without(before, at, both), without(after, at, both)); diff != "" {
			t.Fatalf("besides: %s", diff)
		}
		want := map[string]bool{}
		for _, s := range path.Values(before) {
			want[map[bool]string{true: "bob", false: s}[person(s)]] = true
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(slices.Values(path.Values(after)))); diff != "" {
			t.Fatal(diff)
		}
		if changed == cmp.Equal(before, after) {
			t.Fatalf("changed: %t", changed)
		}
		if path.Replace(after, person, "bob") {
			t.Fatal("a second time changes something")
		}
	})
}

// TestReplaceLeavesOne: a list has the successor once, unless it had more before.
func TestReplaceLeavesOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := asList(rapid.SliceOfN(strs, 0, 6).Draw(t, "list")).([]any)
		object := map[string]any{"w": list}
		count := func() (n int) {
			for _, element := range object["w"].([]any) {
				if element == "bob" {
					n++
				}
			}
			return n
		}
		before := count()
		if path(t, "w[*]").Replace(object, person, "bob") && count() != max(before, 1) {
			t.Fatalf("bob is there %d times, and was %d times", count(), before)
		}
	})
}

func TestPruneKeepsWhatIsUnderThePaths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		object, keep := objects.Draw(t, "object"), rapid.SliceOfN(paths, 0, 3).Draw(t, "keep")
		before := runtime.DeepCopyJSON(object)
		pruned := fieldpath.Prune(object, keep)
		kept, all := flat(pruned), flat(object)
		for at, leaf := range all {
			if under(at, keep) && !cmp.Equal(kept[at], leaf) {
				t.Fatalf("%s is %v and was %v", at, kept[at], leaf)
			}
		}
		for at, leaf := range kept {
			if !under(at, keep) && leaf != nil && leaf != "" && leaf != false && leaf != int64(0) && leaf != float64(0) {
				t.Fatalf("%s is %v, and not to be kept", at, leaf)
			}
		}
		for _, path := range keep {
			if diff := cmp.Diff(path.Values(object), path.Values(pruned)); diff != "" {
				t.Fatalf("%s: %s", path, diff)
			}
		}
		if diff := cmp.Diff(pruned, fieldpath.Prune(pruned, keep)); diff != "" {
			t.Fatal(diff)
		}
		spoil(pruned)
		if diff := cmp.Diff(before, object); diff != "" {
			t.Fatalf("shared with the copy: %s", diff)
		}
	})
}

// under tells whether a leaf lies at or under one of the paths.
func under(at string, keep []fieldpath.Path) bool {
	return slices.ContainsFunc(keep, func(path fieldpath.Path) bool {
		rest, ok := strings.CutPrefix(pathOf(at), path.String())
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// spoil writes into every map and list.
func spoil(value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, inside := range value {
			spoil(inside)
		}
		value["spoilt"] = true
	case []any:
		for i, element := range value {
			spoil(element)
			value[i] = "spoilt"
		}
	}
}

func TestAnonymizeAndRelink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, reference := objects.Draw(t, "object"), paths.Draw(t, "reference")
		fields := rapid.SliceOfN(anonymized, 1, 3).Draw(t, "fields")
		if rapid.Bool().Draw(t, "with the reference") {
			fields[0].Path = reference
		}
		after := runtime.DeepCopyJSON(before)
		links, changed := fieldpath.Anonymize(after, reference, fields, person, word)
		if changed != (len(links) > 0) || changed == cmp.Equal(before, after) {
			t.Fatalf("changed: %t, links %v", changed, links)
		}
		checkOnlyLinked(t, before, after, links)

		if slices.ContainsFunc(links, func(link fieldpath.Link) bool { return link.Was == "" }) {
			fieldpath.Relink(after, links, heldBy(fields), restored)
			return // what was no string does not come back
		}
		if relinked, lost := fieldpath.Relink(after, links, heldBy(fields), restored); relinked != changed || lost != nil {
			t.Fatalf("relinked: %t, lost %v of %v", relinked, lost, links)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatal(diff)
		}
		if slices.ContainsFunc(links, func(link fieldpath.Link) bool { return link.Was == word("") }) {
			return // to be there and empty is for holds the same as to be taken out
		}
		if again, lost := fieldpath.Relink(after, links, heldBy(fields), restored); again || len(lost) != len(links) {
			t.Fatalf("a second time: changed %t, lost %v of %v", again, lost, links)
		}
	})
}

// checkOnlyLinked holds all leaves against each other that no link is about, and that no element taken out has moved.
func checkOnlyLinked(t *rapid.T, before, after map[string]any, links []fieldpath.Link) {
	linked := func(at string, _ any) bool {
		return slices.ContainsFunc(links, func(link fieldpath.Link) bool {
			list := strings.LastIndex(link.Path, "[")
			return at == link.Path || strings.HasPrefix(at, link.Path+".") || strings.HasPrefix(at, link.Path+"[") ||
				strings.HasSuffix(link.Path, "]") && strings.HasPrefix(at, link.Path[:list+1])
		})
	}
	was, is := flat(before), flat(after)
	maps.DeleteFunc(was, linked)
	maps.DeleteFunc(is, linked)
	if diff := cmp.Diff(was, is); diff != "" {
		t.Fatalf("besides %v: %s", links, diff)
	}
}

// documents have lists in lists whose elements can be told apart.
var documents = rapid.Custom(func(t *rapid.T) map[string]any {
	id := int64(0)
	next := func() int64 { id++; return id }
	sections := []any{}
	for range rapid.IntRange(0, 3).Draw(t, "sections") {
		comments := []any{}
		for range rapid.IntRange(0, 4).Draw(t, "comments") {
			comment := map[string]any{"id": next(), "author": strs.Draw(t, "author")}
			if rapid.Bool().Draw(t, "has email") {
				comment["email"] = strs.Draw(t, "email")
			}
			comments = append(comments, comment)
		}
		sections = append(sections, map[string]any{
			"id": next(), "owner": map[string]any{"name": strs.Draw(t, "owner")}, "comments": comments,
			"watchers": asList(rapid.SliceOfNDistinct(strs, 0, 3, rapid.ID[string]).Draw(t, "watchers")),
		})
	}
	return map[string]any{"sections": sections, "owner": strs.Draw(t, "owner")}
})

// reordered is a document in another order, and its watchers as they were: those are strings with nothing else to them.
func reordered(value any, order func([]any) []any) any {
	switch value := value.(type) {
	case map[string]any:
		built := map[string]any{}
		for field, inside := range value {
			built[field] = inside
			if field != "watchers" {
				built[field] = reordered(inside, order)
			}
		}
		return built
	case []any:
		built := make([]any, len(value))
		for i, element := range value {
			built[i] = reordered(element, order)
		}
		return order(built)
	}
	return value
}

func byID(elements []any) []any {
	slices.SortFunc(elements, func(a, b any) int {
		return int(a.(map[string]any)["id"].(int64) - b.(map[string]any)["id"].(int64))
	})
	return elements
}

func TestRelinkAfterShuffling(t *testing.T) {
	const comments, owners = "sections[*].comments[*].", "sections[*].owner.name"
	rapid.Check(t, func(t *rapid.T) {
		before := documents.Draw(t, "document")
		reference := path(t, rapid.SampledFrom([]string{comments + "author", owners, "owner"}).Draw(t, "reference"))
		fields := slices.DeleteFunc(fields(t, comments+"author = gone", comments+"email", owners+" = away", "sections[*].watchers[*]", "owner = nobody"),
			func(fieldpath.Field) bool { return rapid.IntRange(0, 3).Draw(t, "leave out") == 0 })

		after := runtime.DeepCopyJSON(before)
		links, changed := fieldpath.Anonymize(after, reference, fields, person, word)
		shuffled := reordered(after, func(elements []any) []any {
			return append([]any{}, rapid.Permutation(elements).Draw(t, "order")...)
		}).(map[string]any)
		links = rapid.Permutation(links).Draw(t, "links")
		slices.SortStableFunc(links, func(a, b fieldpath.Link) int { // strings go back into a list in their order
			return strings.Compare(a.Path, b.Path)
		})
		relinked, lost := fieldpath.Relink(shuffled, links, heldBy(fields), restored)
		if relinked != changed || lost != nil {
			t.Fatalf("relinked: %t, lost %v of %v", relinked, lost, links)
		}
		if diff := cmp.Diff(any(before), reordered(shuffled, byID)); diff != "" {
			// A section has its number after those of its comments, and so the order of both is that of before.
			t.Fatal(diff)
		}
	})
}

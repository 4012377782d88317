package v1alpha1_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// limit is what the schema asks of one field of the spec.
type limit struct {
	path string

	// asks names the constraints. Together those of a kind are all that its schema has.
	asks []string

	// good are values that the field takes, bad those that it does not, with the message.
	good []any
	bad  []bad
}

type bad struct {
	value any
	want  string
}

// absent, as a value, takes the field out.
type absent struct{}

const maxInt32 = 1<<31 - 1

// required is a limit for a field that must be there.
func required(l limit) limit {
	l.asks = append(l.asks, "required")
	l.bad = append(l.bad, bad{absent{}, "Required value"})
	return l
}

func needed(path string) limit { return required(limit{path: path}) }

// text has from one character to a number of them, which repeating x gives.
func text(path string, most int) limit { return textLike(path, 1, most, strings.Repeat("x", most)) }

// textLike is text of which x repeated is no example.
func textLike(path string, least, most int, longest string) limit {
	return limit{
		path: path,
		asks: []string{fmt.Sprint("minLength=", least), fmt.Sprint("maxLength=", most)},
		good: []any{longest},
		bad: []bad{
			{"", fmt.Sprintf("should be at least %d chars long", least)},
			{longest + "x", fmt.Sprintf("Too long: may not be more than %d bytes", most)},
			{int64(1), "must be of type string"},
		},
	}
}

func name(path string) limit      { return text(path, 63) }
func reference(path string) limit { return required(name(path + ".name")) }

// word is one of these.
func word(path string, words ...string) limit {
	l := limit{path: path, asks: []string{"enum=" + strings.Join(words, "|")}}
	for _, w := range words {
		l.good = append(l.good, w)
	}
	for _, wrong := range []string{"Nonsense", "", strings.ToLower(words[0])} {
		l.bad = append(l.bad, bad{wrong, fmt.Sprintf("Unsupported value: %q: supported values: %q", wrong, words[0])})
	}
	return l
}

// number is from least to most.
func number(path string, least, most int64) limit {
	l := limit{
		path: path, asks: []string{"format=int32", fmt.Sprint("minimum=", least)},
		good: []any{least, most},
		bad: []bad{
			{least - 1, fmt.Sprintf("should be greater than or equal to %d", least)},
			{"1", "must be of type integer"},
			{1.5, "must be of type int32"},
		},
	}
	if most == maxInt32 {
		l.bad = append(l.bad, bad{most + 1, "must be of type integer with format int32"})
	} else {
		l.asks = append(l.asks, fmt.Sprint("maximum=", most))
		l.bad = append(l.bad, bad{most + 1, fmt.Sprintf("should be less than or equal to %d", most)})
	}
	return l
}

// list has from least to most items.
func list(path string, least, most int, item func(i int) any) limit {
	items := func(n int) []any {
		values := make([]any, n)
		for i := range values {
			values[i] = item(i)
		}
		return values
	}
	l := limit{
		path: path, asks: []string{fmt.Sprint("maxItems=", most)},
		good: []any{items(most)},
		bad: []bad{
			{items(most + 1), fmt.Sprintf("Too many: %d: must have at most %d item", most+1, most)},
			{object{}, "must be of type array"},
		},
	}
	if least > 0 {
		l.asks = append(l.asks, fmt.Sprint("minItems=", least))
		l.bad = append(l.bad, bad{[]any{}, fmt.Sprintf("should have at least %d items", least)})
	} else {
		l.good = append(l.good, []any{})
	}
	return l
}

func anyName(i int) any { return fmt.Sprint("n", i) }

// names is a list of up to 32 names, each only once.
func names(path string, least int) []limit {
	l := list(path, least, 32, anyName)
	l.asks = append(l.asks, "set")
	l.bad = append(l.bad, bad{[]any{"twice", "twice"}, `Duplicate value: "twice"`})
	return []limit{l, name(path + "[0]")}
}

// words is a list of some of these, each only once.
func words(path string, least int, choice ...string) []limit {
	l := list(path, least, len(choice), func(i int) any { return choice[i%len(choice)] })
	l.asks = append(l.asks, "set")
	l.bad = append(l.bad, bad{[]any{choice[0], choice[0]}, fmt.Sprintf("Duplicate value: %q", choice[0])})
	return []limit{l, word(path+"[0]", choice...)}
}

// keyed is a list whose items have a name that only one of them has. The example has an item.
func keyed(t *testing.T, kind, path string, most int) limit {
	t.Helper()
	l := list(path, 0, most, func(i int) any {
		first := get(example(t, kind), path+"[0]").(object)
		first["name"] = fmt.Sprint("n", i)
		return first
	})
	l.asks = append(l.asks, "map=name")
	twice := []any{get(example(t, kind), path+"[0]"), get(example(t, kind), path+"[0]")}
	l.bad = append(l.bad, bad{twice, `Duplicate value: {"name":"`})
	return l
}

// instant is a time in whole seconds.
func instant(path string) limit {
	return limit{
		path: path,
		asks: []string{"format=date-time", "pattern"},
		good: []any{"2027-02-01T08:00:00Z", "2027-02-01T10:00:00+02:00", "2027-01-31T20:30:00-11:30", "2999-12-31T23:59:59Z"},
		bad: []bad{
			{"2026-12-01T08:00:00.5Z", "must be a time in whole seconds with its zone, such as 2026-12-01T08:00:00Z"},
			{"2026-12-01T08:00:00.000Z", "should match"},
			{"2026-12-01t08:00:00z", "must be a time in whole seconds with its zone, such as 2026-12-01T08:00:00Z"},
			{"2026-12-01T08:00:00+99:00", "must be a time in whole seconds with its zone, such as 2026-12-01T08:00:00Z"},
			{"2026-12-01T08:00:00", "must be of type date-time"},
			{"2026-12-01", "must be of type date-time"},
			{"2026-02-30T08:00:00Z", "must be of type date-time"},
			{"2026-12-01T24:00:00Z", "must be of type date-time"},
			{"2026-12-01T08:00:60Z", "must be of type date-time"},
			{"0001-01-01T00:00:00Z", "should match"}, // Go takes it for none at all
			{"", "must be of type date-time"},
			{int64(1), "must be of type date-time"},
		},
	}
}

// written is a time that the operator writes.
func written(path string) limit {
	return limit{
		path: path, asks: []string{"format=date-time", "pattern"},
		good: []any{"2026-12-01T08:00:00Z", "2026-12-01T08:00:00.5+02:00", "9999-12-31T23:59:59Z"},
		bad: []bad{
			{"2026-12-01", "must be of type date-time"},
			// What Go cannot read would keep the operator from reading any object of the kind.
			{"2026-12-01t08:00:00z", "should match"},
			{"2026-12-01T08:00:00+99:00", "should match"},
			{[]any{}, "must be a time"},
		},
	}
}

// filled is an object that defaults fill when it is empty.
func filled(path string) limit {
	return limit{path: path, asks: []string{"minProperties=1"}, good: []any{object{}}}
}

// notEmpty is an object that says nothing when it is empty.
func notEmpty(path string) limit {
	return limit{
		path: path, asks: []string{"minProperties=1"},
		bad: []bad{{object{}, "should have at least 1 properties"}},
	}
}

func limitsOf(t *testing.T, kind string) []limit {
	t.Helper()
	states := []string{"Pending", "Activated", "Active", "OnBreak", "Paused", "Deactivated", "Expired", "Suspended", "Removed"}
	email := strings.Repeat("x", 64) + "@" + strings.Repeat("y", 189)
	path := strings.Repeat("abcdefghi.", 25) + "xyz"
	acting := func(most int, relations ...string) []limit {
		l := list("spec.acting", 0, most, func(i int) any {
			return object{"relation": []string{"Manager", "Coach", "Leader"}[i%3], "for": "dave"}
		})
		l.asks = append(l.asks, "map=relation")
		l.good = []any{[]any{}}
		return []limit{
			l, required(word("spec.acting[0].relation", "Manager", "Coach", "Leader")).taking(relations...),
			name("spec.acting[0].name"), required(name("spec.acting[0].for")), text("spec.acting[0].transition", 253),
		}
	}
	holds := func(statuses ...string) []limit {
		return []limit{
			keyed(t, kind, "spec.holds", 32),
			required(name("spec.holds[0].name")), required(word("spec.holds[0].status", statuses...)),
			text("spec.holds[0].reason", 1024), text("spec.holds[0].source", 253), instant("spec.holds[0].startTime"),
			word("spec.holds[0].release", "Admin", "Self"),
		}
	}
	successors := func(path string) []limit {
		choice := []string{"Successor", "TeamLeader", "FirstTeamLeader", "Manager", "Coach", "Owner"}
		return []limit{
			list(path, 1, 8, func(i int) any { return choice[i%len(choice)] }),
			word(path+"[0]", choice...),
		}
	}

	switch kind {
	case "Organization":
		return slices.Concat(
			[]limit{
				text("spec.displayName", 253), reference("spec.ownerRef"), reference("spec.defaultPolicyRef"),
				list("spec.roles", 1, 32, anyName).alone(), name("spec.roles[0]"),
			},
			[]limit{names("spec.adminRoles", 1)[0].alone(), name("spec.adminRoles[0]").alone()}, names("spec.teamTypes", 1),
			[]limit{
				number("spec.seats", 0, maxInt32), word("spec.seatCounting", "ActiveUsers", "UsersWithActiveMembership"),
				word("spec.seatEnforcement", "Report", "Refuse"),
				notEmpty("spec.contact"), text("spec.contact.name", 253), textLike("spec.contact.email", 3, 254, email),
				number("spec.transitionHistoryLimit", 1, 10000), number("spec.transitionRetentionSeconds", 0, maxInt32),
			},
		)

	case "User":
		return slices.Concat(
			[]limit{
				required(text("spec.userName", 253)), text("spec.displayName", 253), textLike("spec.email", 3, 254, email),
				name("spec.userType"), name("spec.role"),
				reference("spec.managerRef"), reference("spec.coachRef"), reference("spec.successorRef"), reference("spec.policyRef"),
				{
					path: "spec.attributes", asks: []string{"maxProperties=64"},
					good: []any{attributes(64, 63), object{}},
					bad: []bad{
						{attributes(65, 63), "Too many: 65: must have at most 64 items"},
						{attributes(1, 64), "the name of an attribute must have 1 to 63 characters"},
						{object{"": "x"}, "the name of an attribute must have 1 to 63 characters"},
						{object{"department": int64(1)}, "must be of type string"},
						{object{"department": object{"name": "Sales"}}, "must be of type string"},
					},
				},
				{
					path: "spec.attributes{department}", asks: []string{"maxLength=1024"},
					good: []any{"", strings.Repeat("x", 1024)},
					bad:  []bad{{strings.Repeat("x", 1025), "Too long: may not be more than 1024 bytes"}},
				},
				word("spec.desiredStatus", "Active", "OnBreak", "Deactivated", "Suspended", "Removed"),
				text("spec.reason", 1024), instant("spec.startTime"), instant("spec.expirationTime"),
				keyed(t, kind, "spec.absences", 32),
				required(name("spec.absences[0].name")), required(instant("spec.absences[0].startTime")),
				instant("spec.absences[0].endTime"), word("spec.absences[0].status", "OnBreak", "Deactivated"),
				text("spec.absences[0].reason", 1024),
				word("spec.allowReactivation", "Never", "OnPurchase"),
			},
			holds("OnBreak", "Deactivated", "Suspended"),
			acting(3, "Manager", "Coach"),
		)

	case "Group":
		return slices.Concat(
			[]limit{
				text("spec.displayName", 253), name("spec.type"), reference("spec.leaderRef"),
				number("spec.priority", -1000000, 1000000),
				keyed(t, kind, "spec.roles", 32), required(name("spec.roles[0].name")),
				number("spec.roles[0].minimumActive", 0, 100000),
				list("spec.roles[0].grants", 0, 16, func(int) any { return get(example(t, kind), "spec.roles[0].grants[0]") }),
				needed("spec.roles[0].grants[0].roleRef"), word("spec.roles[0].grants[0].roleRef.kind", "ClusterRole", "Role"),
				required(text("spec.roles[0].grants[0].roleRef.name", 253)),
				needed("spec.roles[0].grants[0].namespaces"),
			},
			names("spec.roles[0].grants[0].namespaces", 1),
			acting(1, "Leader"),
		)

	case "Membership":
		return slices.Concat(
			[]limit{
				needed("spec.userRef"), reference("spec.userRef"), needed("spec.groupRef"), reference("spec.groupRef"),
				word("spec.desiredStatus", "Active", "Deactivated", "Removed"), text("spec.reason", 1024),
				instant("spec.startTime"), instant("spec.expirationTime"),
			},
			names("spec.roles", 0), holds("Deactivated", "Removed"),
		)

	case "LifecyclePolicy":
		transfer, patch, anonymize := "spec.effects[0]", "spec.effects[3]", "spec.effects[4]"
		memberships, relations, unquoted := "spec.effects[5].memberships", "spec.effects[6].relations", "spec.effects[6]"
		return slices.Concat(
			[]limit{text("spec.serviceAccountName", 253)},
			words("spec.allowedStatuses", 1, "Active", "OnBreak", "Deactivated", "Suspended", "Removed"),
			words("spec.selfService", 0, "Leave", "Delete", "Break", "Release"),
			[]limit{
				filled("spec.onDelete"), word("spec.onDelete.audit", "Keep", "Anonymize", "Delete"),
				filled("spec.guards"), word("spec.guards.confirmation", "Required", "Optional"),
				word("spec.guards.reason", "Required", "Optional"), word("spec.guards.higherRole", "Refuse", "Allow"),
				word("spec.guards.leader", "Refuse", "Allow"), word("spec.guards.lastRoleHolder", "Refuse", "Allow"),
				filled("spec.suspension"), word("spec.suspension.memberships", "Deactivate", "Pause"),
				notEmpty("spec.messages"), text("spec.messages.pending", 1024), text("spec.messages.deactivated", 1024),
				text("spec.messages.expired", 1024), text("spec.messages.suspended", 1024), text("spec.messages.removed", 1024),

				keyed(t, kind, "spec.effects", 64), required(name(transfer + ".name")),
				list(transfer+".on", 1, 8, func(i int) any { return slices.Concat(states[:4], states[5:], states[4:5])[i%9] }).
					also("set", bad{[]any{"Removed", "Removed"}, `Duplicate value: "Removed"`}),
				word(transfer+".on[0]", states...).taking(slices.Concat(states[:4], states[5:])...),
				list(unquoted+".true", 1, 8, func(i int) any { return slices.Concat(states[:4], states[5:], states[4:5])[i%9] }).
					also("set", bad{[]any{"Removed", "Removed"}, `Duplicate value: "Removed"`}),
				word(unquoted+".true[0]", states...).taking(slices.Concat(states[:4], states[5:])...),

				needed(transfer + ".resources.apiVersion"), text(transfer+".resources.apiVersion", 253),
				needed(transfer + ".resources.kind"), name(transfer + ".resources.kind"),
				needed(transfer + ".resources.reference"), required(textLike(transfer+".resources.reference.fieldPath", 1, 253, path)),
				word(transfer+".resources.reference.value", "Name", "UserName", "Email", "UID"),
				textLike("spec.effects[2].resources.reference.effect", 1, 63, strings.Repeat("x", 63)).taking("objectives"),
				text(transfer+".resources.match", 4096),
				required(word(transfer+".resources.action", "Keep", "Delete", "Transfer", "Unassign", "Patch", "Anonymize")),
				{
					path: patch + ".resources.patch", asks: []string{"anything"},
					good: []any{object{}, object{"spec": object{"a": nil, "b": []any{int64(1), "x"}}}},
					bad:  []bad{{"x", "must be of type object"}, {[]any{}, "must be of type object"}},
				},
				list(anonymize+".resources.fields", 1, 32, func(int) any { return object{"path": "spec.author"} }),
				required(textLike(anonymize+".resources.fields[0].path", 1, 253, path)),
				text(anonymize+".resources.fields[0].value", 1024), word(anonymize+".resources.fields[0].onReturn", "Keep", "Relink"),

				required(word(memberships+".action", "Keep", "Deactivate", "Remove")),
				needed(relations + ".kinds"), required(word(relations+".action", "Transfer", "Unassign")),
			},
			names(transfer+".userTypes", 1),
			successors(transfer+".resources.successors"),
			names(memberships+".groupTypes", 1), names(memberships+".roles", 0),
			words(relations+".kinds", 1, "Manager", "Coach", "Leader"),
			successors(relations+".successors"),
		)

	case "Transition":
		return []limit{
			needed("spec.subject"), required(word("spec.subject.kind", "User", "Membership")), required(name("spec.subject.name")),
			required(text("spec.subject.uid", 64)), text("spec.subject.identity", 64),
			word("spec.from", states...), required(word("spec.to", states...)),
			needed("spec.cause"), required(word("spec.cause.type", "Declared", "Started", "Expired", "AbsenceStarted", "AbsenceEnded",
				"Held", "Released", "UserStateChanged", "Deleted")), name("spec.cause.name"),
			text("spec.reason", 1024),
			required(text("spec.actor.username", 1024)),
			list("spec.actor.groups", 0, 256, anyName), text("spec.actor.groups[0]", 1024), text("spec.actor.onBehalfOf", 1024),
			required(written("spec.time")), required(written("spec.observedTime")),
			required(name("spec.policy.name")), text("spec.policy.serviceAccountName", 253),
			{
				path: "spec.policy.generation", asks: []string{"format=int64", "minimum=1"},
				good: []any{int64(1), int64(maxInt32 + 1)},
				bad:  []bad{{int64(0), "should be greater than or equal to 1"}},
			},
			list("spec.plan", 0, 128, func(i int) any {
				return object{"effect": fmt.Sprint("n", i), "action": "Keep", "targets": int64(0)}
			}),
			required(name("spec.plan[0].effect")),
			required(word("spec.plan[0].action", "Keep", "Delete", "Transfer", "Unassign", "Patch", "Anonymize", "Deactivate", "Remove", "Relink", "Unlink")),
			name("spec.plan[0].kind"), number("spec.plan[0].targets", 0, maxInt32), name("spec.plan[0].successor"),
			list("spec.plan[0].candidates", 0, 32, anyName), name("spec.plan[0].candidates[0]"), text("spec.plan[0].frozen", 700000),
		}
	}
	return nil
}

// alone drops the good values: other fields speak of this one.
func (l limit) alone() limit {
	l.good = nil
	return l
}

// taking narrows the good values to these: rules refuse others.
func (l limit) taking(good ...string) limit {
	l.good = nil
	for _, value := range good {
		l.good = append(l.good, value)
	}
	return l
}

func (l limit) also(ask string, refused bad) limit {
	l.asks, l.bad = append(l.asks, ask), append(l.bad, refused)
	return l
}

func attributes(n, length int) object {
	values := object{}
	for i := range n {
		values[fmt.Sprintf("%0*d", length, i)] = "x"
	}
	return values
}

// Every limit of the full example, from both sides.
func TestLimits(t *testing.T) {
	for _, kind := range kinds {
		c := crdOf(t, kind)
		for _, l := range limitsOf(t, kind) {
			t.Run(kind+" "+l.path, func(t *testing.T) {
				for _, value := range l.good {
					obj := example(t, kind)
					set(obj, l.path, value)
					_, unknown, errs := c.create(obj)
					if len(unknown) > 0 {
						t.Fatalf("unknown fields %v", unknown)
					}
					for _, message := range messages(errs) {
						if strings.HasPrefix(message, fieldPath(l.path)) {
							t.Errorf("%s is refused: %s", short(value), message)
						}
					}
				}
				for _, b := range l.bad {
					obj := example(t, kind)
					set(obj, l.path, b.value)
					_, _, errs := c.create(obj)
					if !slices.ContainsFunc(messages(errs), func(message string) bool {
						return strings.Contains(message, fieldPath(l.path)) && strings.Contains(message, b.want)
					}) {
						t.Errorf("%s: no error says %q, but %q", short(b.value), b.want, messages(errs))
					}
				}
			})
		}
	}
}

// The table above names every constraint of every field of a spec, and the schema has no other.
func TestLimitsAreAll(t *testing.T) {
	for _, kind := range kinds {
		want := map[string][]string{}
		for _, l := range limitsOf(t, kind) {
			path := generic(l.path)
			for _, ask := range l.asks {
				if !slices.Contains(want[path], ask) {
					want[path] = append(want[path], ask)
				}
			}
			slices.Sort(want[path])
		}
		got := map[string][]string{}
		crdOf(t, kind).walk(func(path string, schema *apiextensionsv1.JSONSchemaProps) {
			// An effect in a plan is the policy's.
			if !strings.HasPrefix(path, "spec.") || strings.HasPrefix(path, "spec.plan[].definition") {
				return
			}
			got[path] = append(got[path], asks(schema)...)
			for _, name := range schema.Required {
				got[path+"."+name] = append(got[path+"."+name], "required")
			}
		})
		spec := crdOf(t, kind).version.Schema.OpenAPIV3Schema.Properties["spec"]
		for _, name := range spec.Required {
			got["spec."+name] = append(got["spec."+name], "required")
		}
		for path, constraints := range got {
			slices.Sort(constraints)
			if len(constraints) == 0 {
				delete(got, path)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-table +schema):\n%s", kind, diff)
		}
	}
}

// asks are the constraints of a field.
func asks(schema *apiextensionsv1.JSONSchemaProps) []string {
	var found []string
	for name, value := range map[string]*int64{
		"minLength": schema.MinLength, "maxLength": schema.MaxLength, "minItems": schema.MinItems, "maxItems": schema.MaxItems,
		"minProperties": schema.MinProperties, "maxProperties": schema.MaxProperties,
	} {
		if value != nil {
			found = append(found, fmt.Sprintf("%s=%d", name, *value))
		}
	}
	for name, value := range map[string]*float64{"minimum": schema.Minimum, "maximum": schema.Maximum} {
		if value != nil {
			found = append(found, fmt.Sprintf("%s=%d", name, int64(*value)))
		}
	}
	if len(schema.Enum) > 0 {
		var words []string
		for _, value := range schema.Enum {
			unquoted, err := strconv.Unquote(string(value.Raw))
			if err != nil {
				unquoted = string(value.Raw)
			}
			words = append(words, unquoted)
		}
		found = append(found, "enum="+strings.Join(words, "|"))
	}
	if schema.Format != "" {
		found = append(found, "format="+schema.Format)
	}
	if schema.Pattern != "" {
		found = append(found, "pattern")
	}
	if schema.XPreserveUnknownFields != nil {
		found = append(found, "anything")
	}
	if schema.XListType != nil && *schema.XListType != "atomic" {
		found = append(found, strings.Join(append([]string{*schema.XListType}, schema.XListMapKeys...), "="))
	}
	return found
}

// The paths of the table: `spec.absences[0].name`, `spec.attributes{department}`.

// steps are the keys and positions on the way to a field.
func steps(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]{}", r) })
}

// generic is the path of the field in the schema.
func generic(path string) string {
	var out strings.Builder
	for i, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '[' || r == '{' }) {
		if i > 0 {
			closing := strings.IndexAny(step, "]}")
			out.WriteString(map[byte]string{']': "[]", '}': "{}"}[step[closing]])
			step = step[closing+1:]
		}
		out.WriteString(step)
	}
	return out.String()
}

// fieldPath is the path as messages have it.
func fieldPath(path string) string {
	return strings.NewReplacer("{", ".", "}", "").Replace(path)
}

// get is the value at a path.
func get(obj object, path string) any {
	var value any = obj
	for _, step := range steps(path) {
		switch v := value.(type) {
		case object:
			value = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// set puts a value at a path, whose parents exist or are objects, or takes it out.
func set(obj object, path string, value any) {
	way := steps(path)
	var parent any = obj
	for _, step := range way[:len(way)-1] {
		switch v := parent.(type) {
		case object:
			if v[step] == nil {
				v[step] = object{}
			}
			parent = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil {
				panic(err)
			}
			parent = v[i]
		}
	}
	last := way[len(way)-1]
	switch v := parent.(type) {
	case object:
		if value == (absent{}) {
			delete(v, last)
			return
		}
		v[last] = runtime.DeepCopyJSONValue(value)
	case []any:
		i, err := strconv.Atoi(last)
		if err != nil {
			panic(err)
		}
		v[i] = runtime.DeepCopyJSONValue(value)
	}
}

// short is a value as a message of the test shows it.
func short(value any) string {
	s := fmt.Sprintf("%#v", value)
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return s
}

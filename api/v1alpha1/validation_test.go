package v1alpha1_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
)

// What a writer meets: what is filled in, what is refused and with which words.

// The examples of the design are accepted as they are written, and stay what they were when they are written again.
func TestExamples(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			c, full := crdOf(t, kind), example(t, kind)

			created, unknown, errs := c.create(full)
			if len(unknown) > 0 {
				t.Errorf("unknown fields %v", unknown)
			}
			checkRefused(t, errs, nil)
			if diff := cmp.Diff(full["spec"], created["spec"]); diff != "" {
				t.Errorf("defaults change what is written out (-written +stored):\n%s", diff)
			}
			if status, ok := created["status"]; ok {
				t.Errorf("a new object has the status %v", status)
			}

			withStatus, errs := c.updateStatus(created, full["status"])
			checkRefused(t, errs, nil)
			if diff := cmp.Diff(full, withStatus); diff != "" {
				t.Errorf("status (-written +stored):\n%s", diff)
			}

			again, errs := c.update(withStatus, full)
			checkRefused(t, errs, nil)
			if diff := cmp.Diff(withStatus, again); diff != "" {
				t.Errorf("written twice (-first +second):\n%s", diff)
			}
		})
	}
}

// The least that is accepted of each kind, and what is filled in.
func TestDefaults(t *testing.T) {
	tests := []struct {
		name, kind, fields, want string
	}{
		{
			name: "an organization", kind: "Organization",
			want: `{roles: [Guest, Member, Manager, Admin, Owner], adminRoles: [Admin, Owner], teamTypes: [Team], seatCounting: ActiveUsers,
				seatEnforcement: Report, transitionHistoryLimit: 10, transitionRetentionSeconds: 31536000}`,
		},
		{
			name: "a user without anything, an e-mail neither", kind: "User",
			want: `{userName: alice@acme.example, desiredStatus: Active, allowReactivation: Never}`,
		},
		{
			name: "a user's absence and hold", kind: "User",
			fields: `absences: [{name: a, startTime: 2026-12-01T08:00:00Z}], holds: [{name: h, status: Suspended}]`,
			want: `{userName: alice@acme.example, desiredStatus: Active, allowReactivation: Never,
				absences: [{name: a, startTime: 2026-12-01T08:00:00Z, status: Deactivated}],
				holds: [{name: h, status: Suspended, release: Admin}]}`,
		},
		{name: "a group", kind: "Group", want: `{priority: 0}`},
		{
			name: "a group's grant", kind: "Group", fields: `roles: [{name: Mentor, grants: [{roleRef: {name: view}, namespaces: [mentoring]}]}]`,
			want: `{priority: 0, roles: [{name: Mentor, grants: [{roleRef: {kind: ClusterRole, name: view}, namespaces: [mentoring]}]}]}`,
		},
		{
			name: "a membership and its hold", kind: "Membership", fields: `holds: [{name: h, status: Removed}]`,
			want: `{userRef: {name: alice}, groupRef: {name: mentoring-2026}, desiredStatus: Active,
				holds: [{name: h, status: Removed, release: Admin}]}`,
		},
		{name: "a policy", kind: "LifecyclePolicy", want: `{}`},
		{
			name: "a policy's choices", kind: "LifecyclePolicy", fields: `guards: {}, suspension: {}, onDelete: {}`,
			want: `{guards: {confirmation: Optional, reason: Optional, higherRole: Refuse, leader: Refuse, lastRoleHolder: Refuse},
				suspension: {memberships: Deactivate}, onDelete: {audit: Keep}}`,
		},
		{
			name: "a policy's effects", kind: "LifecyclePolicy",
			fields: `serviceAccountName: lifecycle, effects: [
				{name: documents, resources: {apiVersion: v1, kind: ConfigMap, reference: {fieldPath: data.author}, action: Anonymize, fields: [{path: data.author}]}},
				{name: teams, "on": [Removed], memberships: {action: Remove}}]`,
			want: `{serviceAccountName: lifecycle, effects: [
				{name: documents, resources: {apiVersion: v1, kind: ConfigMap, reference: {fieldPath: data.author, value: Name},
					action: Anonymize, fields: [{path: data.author, onReturn: Keep}]}},
				{name: teams, "on": [Removed], memberships: {action: Remove}}]}`,
		},
		{
			name: "a transition", kind: "Transition", fields: `plan: [{effect: teams, action: Remove, targets: 0}]`,
			want: `{subject: {kind: User, name: alice, uid: 7d1e6a0c}, to: Activated, cause: {type: Declared},
				time: 2026-12-10T08:00:00Z, observedTime: 2026-12-10T08:00:01Z, plan: [{effect: teams, action: Remove, targets: 0}]}`,
		},
		{
			name: "null is as if left out", kind: "User", fields: `email: null, desiredStatus: null, absences: null, startTime: null`,
			want: `{userName: alice@acme.example, desiredStatus: Active, allowReactivation: Never}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			created, unknown, errs := crdOf(t, test.kind).create(with(t, test.kind, test.fields))
			if len(unknown) > 0 {
				t.Errorf("unknown fields %v", unknown)
			}
			checkRefused(t, errs, nil)
			if diff := cmp.Diff(any(parse(t, test.want)), created["spec"]); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
		})
	}
}

// A spec without which nothing can be known must be there; one that may be empty may be left out, as Go leaves it out.
func TestSpecLeftOut(t *testing.T) {
	for _, kind := range kinds {
		obj := with(t, kind, "")
		delete(obj, "spec")
		created, _, errs := crdOf(t, kind).create(obj)
		if minimal[kind] != "{}" {
			checkRefused(t, errs, []string{"spec: Required value"})
			continue
		}
		checkRefused(t, errs, nil)
		empty, _, _ := crdOf(t, kind).create(with(t, kind, ""))
		if diff := cmp.Diff(empty, created); diff != "" {
			t.Errorf("%s: an empty spec is not the same as none (-empty +none):\n%s", kind, diff)
		}
	}
}

// What a kind does not know is dropped, and kubectl refuses it by name.
func TestUnknownFields(t *testing.T) {
	tests := []struct{ kind, fields, want string }{
		{"User", `manager: bob`, "spec.manager"},
		{"User", `managerRef: {name: bob, namespace: other}`, "spec.managerRef.namespace"},
		{"Membership", `attributes: {a: b}`, "spec.attributes"},
		{"Group", `roles: [{name: Mentor, max: 3}]`, "spec.roles[0].max"},
	}
	for _, test := range tests {
		_, unknown, _ := crdOf(t, test.kind).create(with(t, test.kind, test.fields))
		if diff := cmp.Diff([]string{test.want}, unknown); diff != "" {
			t.Errorf("%s with %s (-want +got):\n%s", test.kind, test.fields, diff)
		}
	}

	// A merge patch is kept as it is: its nulls mean something.
	patch := `{spec: {state: Cancelled, renewals: null, nested: {list: [1, {a: null}]}}}`
	created, unknown, errs := crdOf(t, "LifecyclePolicy").create(with(t, "LifecyclePolicy", `serviceAccountName: lifecycle, effects: [{name: subscriptions,
		resources: {apiVersion: v1, kind: ConfigMap, reference: {fieldPath: data.user}, action: Patch, patch: `+patch+`}}]`))
	checkRefused(t, errs, nil)
	if len(unknown) > 0 {
		t.Errorf("unknown fields %v", unknown)
	}
	if diff := cmp.Diff(any(parse(t, patch)), get(created, "spec.effects[0].resources.patch")); diff != "" {
		t.Errorf("patch (-want +got):\n%s", diff)
	}
}

const (
	overlap   = "spec.absences: Invalid value: two absences overlap and have different status: end one before the other starts, or give both the same status"
	fixedHold = "Invalid value: a hold cannot be changed: release it and set another one"
	reserved  = "userName must not start with system: (reserved for Kubernetes' own accounts)"
	holdName  = "the name of a hold must not contain commas or white space: tenure.dev/release lists holds separated by commas"
	notEmail  = "must be an e-mail address, such as alice@acme.example"
	spaces    = "userName must not start or end with white space, nor hold tabs or line breaks"
)

// What is accepted and refused beyond the limits of single fields, on creation.
func TestCreation(t *testing.T) {
	resources := func(fields string) string {
		return `serviceAccountName: lifecycle, effects: [{name: e, resources: {apiVersion: v1, kind: ConfigMap, reference: {fieldPath: data.user}, ` + fields + `}}]`
	}
	relations := func(fields string) string {
		return `effects: [{name: e, relations: {kinds: [Leader], ` + fields + `}}]`
	}
	tests := []struct {
		name, kind, fields string
		want               []string
	}{
		// The bad input that the product must withstand.
		{name: "a role that no organization has", kind: "User", fields: `role: Emperor`},
		{name: "a membership to nowhere", kind: "Membership", fields: `groupRef: {name: atlantis}, userRef: {name: nobody}`},
		{name: "upper case, dots and a colon in userName", kind: "User", fields: `userName: "oidc:Alice.Ang@ACME.example"`},
		{name: "blanks within a userName", kind: "User", fields: `userName: CN=Alice Ang/O=Acme`},
		{name: "userName of 250 characters", kind: "User", fields: `userName: ` + strings.Repeat("a", 250)},
		{
			name: "userName of 400 characters", kind: "User", fields: `userName: ` + strings.Repeat("a", 400),
			want: []string{"spec.userName: Too long: may not be more than 253 bytes"},
		},
		{
			name: "e-mail of 400 characters", kind: "User", fields: `email: ` + strings.Repeat("a", 386) + "@acme.example.",
			want: []string{"spec.email: Too long: may not be more than 254 bytes"},
		},
		{
			name: "expiry before start", kind: "User", fields: `startTime: 2026-12-01T08:00:00Z, expirationTime: 2026-11-01T08:00:00Z`,
			want: []string{"spec.expirationTime: Invalid value: expirationTime must be after startTime: the account would expire before it begins"},
		},
		{
			name: "expiry at the start, in another zone", kind: "User", fields: `startTime: 2026-12-01T08:00:00Z, expirationTime: 2026-12-01T10:00:00+02:00`,
			want: []string{"spec.expirationTime: Invalid value: expirationTime must be after startTime: the account would expire before it begins"},
		},
		{name: "expiry a second after the start", kind: "User", fields: `startTime: 2026-12-01T08:00:00Z, expirationTime: 2026-12-01T08:00:01Z`},
		{name: "expiry without a start", kind: "User", fields: `expirationTime: 2026-12-01T08:00:00Z`},
		{name: "start without an expiry", kind: "User", fields: `startTime: 2026-12-01T08:00:00Z`},
		{
			name: "expiry before start", kind: "Membership", fields: `startTime: 2026-12-01T08:00:00Z, expirationTime: 2026-12-01T08:00:00Z`,
			want: []string{"spec.expirationTime: Invalid value: expirationTime must be after startTime: the membership would expire before it begins"},
		},
		{name: "expiry a second after the start", kind: "Membership", fields: `startTime: 2026-12-01T08:00:00Z, expirationTime: 2026-12-01T08:00:01Z`},

		// Kubernetes' own accounts.
		{name: "a userName of Kubernetes", kind: "User", fields: `userName: "system:admin"`, want: []string{"spec.userName: Invalid value: \"system:admin\": " + reserved}},
		{name: "in upper case", kind: "User", fields: `userName: "SYSTEM:masters"`, want: []string{reserved}},
		{name: "in mixed case", kind: "User", fields: `userName: "sysTem:serviceaccount:acme:bot"`, want: []string{reserved}},
		{name: "the prefix alone", kind: "User", fields: `userName: "system:"`, want: []string{reserved}},
		{name: "with white space before it", kind: "User", fields: `userName: " system:admin"`, want: []string{spaces}},
		{name: "system without a colon", kind: "User", fields: `userName: system`},
		{name: "system: later in the name", kind: "User", fields: `userName: "oidc:system:admin"`},
		{name: "a tab in userName", kind: "User", fields: `userName: "alice\tang"`, want: []string{spaces}},
		{name: "a line break at the end of userName", kind: "User", fields: `userName: "alice\n"`, want: []string{spaces}},
		{name: "white space alone as userName", kind: "User", fields: `userName: "  "`, want: []string{spaces}},

		// E-mail.
		{name: "an address", kind: "User", fields: `email: Alice.Ang+hr@acme.example`},
		{name: "an address with letters of many languages", kind: "User", fields: `email: åsa@bücher.example`},
		{name: "no @", kind: "User", fields: `email: alice.acme.example`, want: []string{`spec.email: Invalid value: "alice.acme.example": ` + notEmail}},
		{name: "two @", kind: "User", fields: `email: alice@acme@example`, want: []string{notEmail}},
		{name: "a display name", kind: "User", fields: `email: "Alice <alice@acme.example>"`, want: []string{notEmail}},
		{name: "a line break", kind: "User", fields: `email: "alice@acme.example\n"`, want: []string{notEmail}},
		{name: "an empty e-mail", kind: "User", fields: `email: ""`, want: []string{"spec.email in body should be at least 3 chars long", notEmail}},
		{
			name: "a contact's e-mail", kind: "Organization", fields: `contact: {email: people}`,
			want: []string{`spec.contact.email: Invalid value: "people": must be an e-mail address, such as people@acme.example`},
		},
		{name: "a contact's e-mail", kind: "Organization", fields: `contact: {email: people@acme.example}`},

		// Absences.
		{
			name: "an absence that ends before it starts", kind: "User", fields: `absences: [{name: a, startTime: 2026-12-02T08:00:00Z, endTime: 2026-12-01T08:00:00Z}]`,
			want: []string{"spec.absences[0].endTime: Invalid value: endTime must be after startTime"},
		},
		{
			name: "an absence that ends as it starts", kind: "User", fields: `absences: [{name: a, startTime: 2026-12-02T08:00:00Z, endTime: 2026-12-02T08:00:00Z}]`,
			want: []string{"spec.absences[0].endTime: Invalid value: endTime must be after startTime"},
		},
		{name: "an absence of a second", kind: "User", fields: `absences: [{name: a, startTime: 2026-12-02T08:00:00Z, endTime: 2026-12-02T08:00:01Z}]`},
		{
			name: "overlapping with different status", kind: "User", want: []string{overlap},
			fields: `absences: [{name: a, startTime: 2026-12-01T08:00:00Z, endTime: 2026-12-10T08:00:01Z, status: OnBreak},
				{name: b, startTime: 2026-12-10T08:00:00Z, endTime: 2026-12-20T08:00:00Z, status: Deactivated}]`,
		},
		{
			name: "overlapping, the later one first", kind: "User", want: []string{overlap},
			fields: `absences: [{name: b, startTime: 2026-12-09T08:00:00Z, endTime: 2026-12-20T08:00:00Z},
				{name: a, startTime: 2026-12-01T08:00:00Z, endTime: 2026-12-10T08:00:00Z, status: OnBreak}]`,
		},
		{
			name: "one within the other with different status", kind: "User", want: []string{overlap},
			fields: `absences: [{name: a, startTime: 2026-12-01T08:00:00Z, endTime: 2026-12-30T08:00:00Z, status: OnBreak},
				{name: b, startTime: 2026-12-09T08:00:00Z, endTime: 2026-12-20T08:00:00Z}]`,
		},
		{
			name: "overlapping with the same status, one by default", kind: "User",
			fields: `absences: [{name: a, startTime: 2026-12-01T08:00:00Z, endTime: 2026-12-15T08:00:00Z, status: Deactivated},
				{name: b, startTime: 2026-12-10T08:00:00Z, endTime: 2026-12-20T08:00:00Z}]`,
		},
		{
			name: "touching with different status, across zones", kind: "User",
			fields: `absences: [{name: a, startTime: 2026-12-01T08:00:00Z, endTime: 2026-12-10T08:00:00Z, status: OnBreak},
				{name: b, startTime: 2026-12-10T10:00:00+02:00, endTime: 2026-12-20T08:00:00Z, status: Deactivated}]`,
		},
		{
			name: "without an end, before one with different status", kind: "User", want: []string{overlap},
			fields: `absences: [{name: a, startTime: 2026-12-01T08:00:00Z, status: OnBreak},
				{name: b, startTime: 2027-12-10T08:00:00Z, endTime: 2027-12-20T08:00:00Z, status: Deactivated}]`,
		},
		{
			name: "without an end, after one with different status", kind: "User",
			fields: `absences: [{name: a, startTime: 2026-12-20T08:00:00Z, status: OnBreak},
				{name: b, startTime: 2026-12-10T08:00:00Z, endTime: 2026-12-20T08:00:00Z, status: Deactivated}]`,
		},
		{
			name: "two without an end and with different status", kind: "User", want: []string{overlap},
			fields: `absences: [{name: a, startTime: 2026-12-20T08:00:00Z, status: OnBreak}, {name: b, startTime: 2026-12-10T08:00:00Z}]`,
		},
		{
			name: "two without an end and with the same status", kind: "User",
			fields: `absences: [{name: a, startTime: 2026-12-20T08:00:00Z}, {name: b, startTime: 2026-12-10T08:00:00Z}]`,
		},

		// Holds.
		{name: "a comma in the name of a hold", kind: "User", fields: `holds: [{name: "a,b", status: Suspended}]`, want: []string{`spec.holds[0].name: Invalid value: "a,b": ` + holdName}},
		{name: "a blank in the name of a hold", kind: "Membership", fields: `holds: [{name: "a ", status: Removed}]`, want: []string{holdName}},
		{name: "a hold of one kind on the other", kind: "Membership", fields: `holds: [{name: a, status: Suspended}]`, want: []string{`Unsupported value: "Suspended": supported values: "Deactivated", "Removed"`}},

		// Stand-ins.
		{name: "stand-ins for manager and coach", kind: "User", fields: `acting: [{relation: Manager, name: o, for: b}, {relation: Coach, for: b}]`},
		{
			name: "a stand-in for the leader of a user", kind: "User", fields: `acting: [{relation: Leader, name: o, for: b}]`,
			want: []string{"spec.acting: Invalid value: acting on a User stands in for Manager or Coach; Leader belongs to a Group"},
		},
		{
			name: "two for the same relation", kind: "User", fields: `acting: [{relation: Manager, name: o, for: b}, {relation: Manager, name: p, for: b}]`,
			want: []string{`spec.acting[1]: Duplicate value: {"relation":"Manager"}`},
		},
		{name: "a stand-in for the leader", kind: "Group", fields: `acting: [{relation: Leader, name: o, for: b}]`},
		{
			name: "a stand-in for the manager of a group", kind: "Group", fields: `acting: [{relation: Manager, name: o, for: b}]`,
			want: []string{"spec.acting: Invalid value: acting on a Group stands in for the Leader; Manager and Coach belong to a User"},
		},

		// Roles of an organization.
		{name: "roles of its own", kind: "Organization", fields: `roles: [Junior, Senior, Partner], adminRoles: [Partner]`},
		{
			name: "roles without the default admin roles", kind: "Organization", fields: `roles: [Junior, Senior, Partner]`,
			want: []string{"spec.adminRoles: Invalid value: every one of adminRoles must also be listed in roles (adminRoles are Admin and Owner when left out)"},
		},
		{
			name: "a role twice", kind: "Organization", fields: `roles: [Admin, Owner, Admin]`,
			want: []string{"spec.roles: Invalid value: roles must not list a role twice"},
		},

		// Effects.
		{name: "no effects and no account", kind: "LifecyclePolicy", fields: `effects: []`},
		{name: "effects without resources and no account", kind: "LifecyclePolicy", fields: relations(`action: Unassign`)},
		{
			name: "effects on resources and no account", kind: "LifecyclePolicy", fields: strings.TrimPrefix(resources(`action: Keep`), "serviceAccountName: lifecycle, "),
			want: []string{"spec.serviceAccountName: Invalid value: effects on resources run as a service account of the namespace: name one in serviceAccountName"},
		},
		{
			name: "an effect on nothing", kind: "LifecyclePolicy", fields: `effects: [{name: e}]`,
			want: []string{"spec.effects[0]: Invalid value: give exactly one of resources, memberships and relations"},
		},
		{
			name: "an effect on two things", kind: "LifecyclePolicy", fields: `effects: [{name: e, memberships: {action: Keep}, relations: {kinds: [Coach], action: Unassign}}]`,
			want: []string{"spec.effects[0]: Invalid value: give exactly one of resources, memberships and relations"},
		},
		{
			name: "an effect on users being paused", kind: "LifecyclePolicy", fields: `effects: [{name: e, "on": [Expired, Paused], memberships: {action: Keep}}]`,
			want: []string{"spec.effects[0].on: Invalid value: a user is never Paused: only memberships are"},
		},
		{
			name: "an effect whose name does not fit into a list", kind: "LifecyclePolicy", fields: `effects: [{name: "a,b", memberships: {action: Keep}}, {name: "unlink:Note", memberships: {action: Keep}}]`,
			want: []string{
				`spec.effects[0].name: Invalid value: "a,b": the name of an effect must not contain commas, colons or white space`,
				`spec.effects[1].name: Invalid value: "unlink:Note": the name of an effect must not contain commas, colons or white space`,
			},
		},
		{
			name: "an effect with a name of the operator's own", kind: "LifecyclePolicy", fields: `effects: [{name: user-removed, memberships: {action: Keep}}]`,
			want: []string{`spec.effects[0].name: Invalid value: "user-removed": effects of this name are the operator's own: choose another one`},
		},
		// YAML reads a bare on as true, which is taken for what was meant.
		{name: "an effect on states, without quotes", kind: "LifecyclePolicy", fields: `effects: [{name: e, on: [Removed], memberships: {action: Keep}}]`},
		{
			name: "an effect on users being paused, without quotes", kind: "LifecyclePolicy", fields: `effects: [{name: e, on: [Expired, Paused], memberships: {action: Keep}}]`,
			want: []string{"spec.effects[0].true: Invalid value: a user is never Paused: only memberships are"},
		},
		{
			name: "an effect on states twice", kind: "LifecyclePolicy", fields: `effects: [{name: e, "on": [Expired], on: [Removed], memberships: {action: Keep}}]`,
			want: []string{"spec.effects[0].on: Invalid value: give on once, with or without quotes"},
		},
		{name: "Keep", kind: "LifecyclePolicy", fields: resources(`action: Keep`)},
		{name: "Unassign", kind: "LifecyclePolicy", fields: resources(`action: Unassign`)},
		{name: "Transfer", kind: "LifecyclePolicy", fields: resources(`action: Transfer, successors: [Owner]`)},
		{
			name: "Transfer to nobody", kind: "LifecyclePolicy", fields: resources(`action: Transfer`),
			want: []string{"spec.effects[0].resources.successors: Invalid value: action Transfer needs successors, and no other action takes them"},
		},
		{
			name: "Delete with successors", kind: "LifecyclePolicy", fields: resources(`action: Delete, successors: [Owner]`),
			want: []string{"spec.effects[0].resources.successors: Invalid value: action Transfer needs successors, and no other action takes them"},
		},
		{
			name: "Patch without one", kind: "LifecyclePolicy", fields: resources(`action: Patch`),
			want: []string{"spec.effects[0].resources.patch: Invalid value: action Patch needs patch, and no other action takes one"},
		},
		{
			name: "Delete with a patch", kind: "LifecyclePolicy", fields: resources(`action: Delete, patch: {spec: {}}`),
			want: []string{"spec.effects[0].resources.patch: Invalid value: action Patch needs patch, and no other action takes one"},
		},
		{
			name: "Anonymize without fields", kind: "LifecyclePolicy", fields: resources(`action: Anonymize`),
			want: []string{"spec.effects[0].resources.fields: Invalid value: action Anonymize needs fields, and no other action takes them"},
		},
		{
			name: "Keep with fields", kind: "LifecyclePolicy", fields: resources(`action: Keep, fields: [{path: spec.author}]`),
			want: []string{"spec.effects[0].resources.fields: Invalid value: action Anonymize needs fields, and no other action takes them"},
		},
		{name: "Transfer of relations", kind: "LifecyclePolicy", fields: relations(`action: Transfer, successors: [Owner]`)},
		{
			name: "Transfer of relations to nobody", kind: "LifecyclePolicy", fields: relations(`action: Transfer`),
			want: []string{"spec.effects[0].relations.successors: Invalid value: action Transfer needs successors, and no other action takes them"},
		},
		{
			name: "Unassign of relations with successors", kind: "LifecyclePolicy", fields: relations(`action: Unassign, successors: [Owner]`),
			want: []string{"spec.effects[0].relations.successors: Invalid value: action Transfer needs successors, and no other action takes them"},
		},
		{
			name: "no path", kind: "LifecyclePolicy", fields: resources(`action: Anonymize, fields: [{path: "spec..author"}, {path: "{.spec}"}, {path: "spec.a[0]"}]`),
			want: []string{
				`spec.effects[0].resources.fields[0].path: Invalid value: "spec..author": must be a path of field names such as spec.author or spec.comments[*].author`,
				`spec.effects[0].resources.fields[1].path`, `spec.effects[0].resources.fields[2].path`,
			},
		},
		{
			name: "no path of a reference", kind: "LifecyclePolicy", fields: `serviceAccountName: lifecycle, effects: [{name: e, resources: {apiVersion: v1, kind: ConfigMap, reference: {fieldPath: .spec.assignee}, action: Keep}}]`,
			want: []string{`spec.effects[0].resources.reference.fieldPath: Invalid value: ".spec.assignee": must be a path of field names such as spec.assignee or spec.editors[*].name`},
		},
		{
			name: "a transfer of what belongs to objects", kind: "LifecyclePolicy", fields: `serviceAccountName: lifecycle, effects: [
				{name: a, resources: {apiVersion: v1, kind: ConfigMap, reference: {fieldPath: data.user}, action: Keep}},
				{name: b, resources: {apiVersion: v1, kind: Secret, reference: {fieldPath: data.a, effect: a}, action: Transfer, successors: [Owner]}}]`,
			want: []string{"spec.effects[1].resources.action: Invalid value: action Transfer writes a person into the reference, and this one holds the name of an object: use another action"},
		},
		{
			name: "an effect that builds on a later one", kind: "LifecyclePolicy", fields: `serviceAccountName: lifecycle, effects: [
				{name: a, resources: {apiVersion: v1, kind: ConfigMap, reference: {fieldPath: data.x, effect: b}, action: Keep}},
				{name: b, resources: {apiVersion: v1, kind: ConfigMap, reference: {fieldPath: data.y}, action: Keep}}]`,
			want: []string{"spec.effects: Invalid value: reference.effect must name an effect on resources that comes earlier in the list"},
		},
		{
			name: "an effect that builds on itself", kind: "LifecyclePolicy", fields: `serviceAccountName: lifecycle, effects: [
				{name: a, resources: {apiVersion: v1, kind: ConfigMap, reference: {fieldPath: data.x, effect: a}, action: Keep}}]`,
			want: []string{"spec.effects: Invalid value: reference.effect must name an effect on resources that comes earlier in the list"},
		},
		{
			name: "an effect that builds on memberships", kind: "LifecyclePolicy", fields: `serviceAccountName: lifecycle, effects: [
				{name: a, memberships: {action: Keep}},
				{name: b, resources: {apiVersion: v1, kind: ConfigMap, reference: {fieldPath: data.x, effect: a}, action: Keep}}]`,
			want: []string{"spec.effects: Invalid value: reference.effect must name an effect on resources that comes earlier in the list"},
		},
	}
	for _, test := range tests {
		t.Run(test.kind+" "+test.name, func(t *testing.T) {
			_, unknown, errs := crdOf(t, test.kind).create(with(t, test.kind, test.fields))
			if len(unknown) > 0 {
				t.Errorf("unknown fields %v", unknown)
			}
			checkRefused(t, errs, test.want)
		})
	}
}

// A name becomes part of labels and of other objects' names.
func TestNames(t *testing.T) {
	for _, kind := range kinds {
		for _, length := range []int{1, 63, 64, 250} {
			obj := with(t, kind, "")
			set(obj, "metadata.name", strings.Repeat("a", length))
			_, _, errs := crdOf(t, kind).create(obj)
			if length <= 63 || kind == "Transition" { // which is named after its subject
				checkRefused(t, errs, nil)
				continue
			}
			checkRefused(t, errs, []string{"metadata.name must have at most 63 characters: choose a shorter one"})
		}
	}
}

// What an existing object may become.
func TestChanges(t *testing.T) {
	const (
		fixedUserName = "spec.userName: Invalid value: \"alice@other.example\": userName cannot be changed: grants and history are bound to it. Create another User for another account"
		fixedRecord   = "spec: Invalid value: a Transition is a record of what happened and cannot be changed"
		hold          = `holds: [{name: inactivity, status: Deactivated, reason: Idle, source: rule, startTime: 2026-12-01T08:00:00Z, release: Admin}]`
		plan          = `plan: [{effect: e, action: Patch, kind: ConfigMap, targets: 1, definition: {name: e, "on": [Deactivated], resources:
			{apiVersion: v1, kind: ConfigMap, reference: {fieldPath: data.user, value: Name}, action: Patch, patch: {data: {user: none}}}}}]`
	)
	tests := []struct {
		name, kind, before, after string
		want                      []string
	}{
		{name: "userName", kind: "User", after: `userName: alice@other.example`, want: []string{fixedUserName}},
		{name: "userName in case only", kind: "User", after: `userName: Alice@acme.example`, want: []string{"userName cannot be changed"}},
		{name: "everything else", kind: "User", before: `email: a@b.example, role: Admin`, after: `email: c@d.example, displayName: A, managerRef: {name: bob}, desiredStatus: Removed`},
		{
			name: "dates that now contradict each other", kind: "User", before: `startTime: 2026-12-01T08:00:00Z, expirationTime: 2026-12-02T08:00:00Z`,
			after: `startTime: 2026-12-03T08:00:00Z, expirationTime: 2026-12-02T08:00:00Z`, want: []string{"expirationTime must be after startTime"},
		},
		{
			name: "userRef", kind: "Membership", after: `userRef: {name: bob}`,
			want: []string{"spec.userRef: Invalid value: userRef cannot be changed: create a Membership for the other user, and delete or remove this one"},
		},
		{
			name: "groupRef", kind: "Membership", after: `groupRef: {name: sales}`,
			want: []string{"spec.groupRef: Invalid value: groupRef cannot be changed: create a Membership for the other group, and delete or remove this one"},
		},
		{name: "everything else", kind: "Membership", before: `roles: [Mentor]`, after: `roles: [Mentee, Mentor], desiredStatus: Deactivated, expirationTime: 2026-12-02T08:00:00Z`},

		{name: "the status of a hold", kind: "User", before: hold, after: strings.Replace(hold, "Deactivated", "OnBreak", 1), want: []string{"spec.holds[0]: " + fixedHold}},
		{name: "the reason of a hold", kind: "User", before: hold, after: strings.Replace(hold, "Idle", "Active", 1), want: []string{fixedHold}},
		{name: "the reason of a hold taken out", kind: "User", before: hold, after: strings.Replace(hold, "reason: Idle, ", "", 1), want: []string{fixedHold}},
		{name: "the source of a hold", kind: "User", before: hold, after: strings.Replace(hold, "source: rule", "source: other", 1), want: []string{fixedHold}},
		{name: "the time of a hold", kind: "User", before: hold, after: strings.Replace(hold, "12-01", "12-02", 1), want: []string{fixedHold}},
		{name: "who may release a hold", kind: "User", before: hold, after: strings.Replace(hold, "Admin", "Self", 1), want: []string{fixedHold}},
		{name: "a hold beside one that stays, which now comes second", kind: "User", before: hold, after: strings.Replace(hold, "[", "[{name: first, status: Suspended}, ", 1)},
		{
			name: "a hold that now comes second", kind: "User", before: hold,
			after: strings.NewReplacer("[", "[{name: first, status: Suspended}, ", "Idle", "Active").Replace(hold), want: []string{"spec.holds[1]: " + fixedHold},
		},
		{name: "a default of a hold written out", kind: "User", before: `holds: [{name: a, status: OnBreak}]`, after: `holds: [{name: a, status: OnBreak, release: Admin}]`},
		{
			name: "the status of a hold", kind: "Membership", before: `holds: [{name: user-suspended, status: Deactivated}]`,
			after: `holds: [{name: user-suspended, status: Removed}]`, want: []string{"spec.holds[0]: " + fixedHold},
		},
		{
			name: "the reason of a hold", kind: "Membership", before: `holds: [{name: user-suspended, status: Deactivated}]`,
			after: `holds: [{name: user-suspended, status: Deactivated, reason: Another}]`, want: []string{"spec.holds[0]: " + fixedHold},
		},

		{name: "nothing", kind: "Transition", before: plan, after: plan},
		{name: "the state", kind: "Transition", after: `to: Active`, want: []string{fixedRecord}},
		{name: "the reason added", kind: "Transition", after: `reason: Another`, want: []string{fixedRecord}},
		{name: "the reason taken out", kind: "Transition", before: `reason: Leave`, want: []string{fixedRecord}},
		{name: "the actor's groups", kind: "Transition", before: `actor: {username: a, groups: [b]}`, after: `actor: {username: a, groups: [c]}`, want: []string{fixedRecord}},
		{name: "the plan taken out", kind: "Transition", before: plan, want: []string{fixedRecord}},
		{name: "the successor in the plan", kind: "Transition", before: plan, after: strings.Replace(plan, "targets", "successor: bob, targets", 1), want: []string{fixedRecord}},
		{name: "what the plan writes", kind: "Transition", before: plan, after: strings.Replace(plan, "user: none", "user: jane", 1), want: []string{fixedRecord}},
		{name: "where the plan writes", kind: "Transition", before: plan, after: strings.Replace(plan, "user: none", "owner: none", 1), want: []string{fixedRecord}},
		{name: "more that the plan writes", kind: "Transition", before: plan, after: strings.Replace(plan, "patch: {", "patch: {kind: X, ", 1), want: []string{fixedRecord}},

		{name: "everything", kind: "Group", before: `leaderRef: {name: a}, roles: [{name: Mentor, minimumActive: 1}]`, after: `leaderRef: {name: b}, roles: [{name: Mentor, minimumActive: 2}], priority: 3`},
		{name: "everything", kind: "Organization", before: `seats: 1`, after: `seats: 0, ownerRef: {name: bob}, roles: [Admin], adminRoles: [Admin]`},
		{name: "everything", kind: "LifecyclePolicy", before: `effects: [{name: a, memberships: {action: Keep}}]`, after: `effects: [{name: a, relations: {kinds: [Coach], action: Unassign}}]`},
	}
	for _, test := range tests {
		t.Run(test.kind+" "+test.name, func(t *testing.T) {
			c := crdOf(t, test.kind)
			before, _, errs := c.create(with(t, test.kind, test.before))
			checkRefused(t, errs, nil)
			_, errs = c.update(before, with(t, test.kind, test.after))
			checkRefused(t, errs, test.want)
		})
	}
}

// The words of a status are as bounded as those of a spec: a program that reads them meets no others.
func TestStatus(t *testing.T) {
	tests := []struct {
		kind, path string
		value      any
		want       string
	}{
		{"User", "status.state", "Idle", `status.state: Unsupported value: "Idle": supported values: "Pending", "Activated", "Active", "OnBreak", "Paused", "Deactivated", "Expired", "Suspended", "Removed"`},
		{"User", "status.access", "Maybe", `status.access: Unsupported value: "Maybe": supported values: "Granted", "Denied"`},
		{"User", "status.nextState", "Idle", `status.nextState: Unsupported value: "Idle"`},
		{"User", "status.causes[0].type", "Mood", `status.causes[0].type: Unsupported value: "Mood": supported values: "Declared", "Deleted", "Hold", "Expired", "Absence", "NotStarted", "Duplicate", "UserSuspended", "UserDeactivated", "UserExpired", "UserPending", "UserNotFound", "GroupNotFound"`},
		{"User", "status.causes[0].state", absent{}, `status.causes[0].state: Required value`},
		{"User", "status.lastTransition.name", absent{}, `status.lastTransition.name: Required value`},
		{"User", "status.lastTransition.complete", absent{}, `status.lastTransition.complete: Required value`},
		{"User", "status.stateTime", "yesterday", `stateTime in body must be of type date-time`},
		{"User", "status.conditions[0].status", "Perhaps", `status.conditions[0].status: Unsupported value: "Perhaps"`},
		{"User", "status.conditions[1].type", "Ready", `status.conditions[1]: Duplicate value: {"type":"Ready"}`},
		{"Membership", "status.state", "Idle", `status.state: Unsupported value: "Idle"`},
		{"Group", "status.members.active", "1", `members.active in body must be of type integer`},
		{"Organization", "status.seatsUsed", "1", `seatsUsed in body must be of type integer`},
		{"Transition", "status.effects[0].done", int64(-1), `effects[0].done in body should be greater than or equal to 0`},
		{"Transition", "status.effects[1].name", "opportunities", `status.effects[1]: Duplicate value: {"name":"opportunities"}`},
	}
	for _, test := range tests {
		t.Run(test.kind+" "+test.path, func(t *testing.T) {
			c, full := crdOf(t, test.kind), example(t, test.kind)
			created, _, errs := c.create(full)
			checkRefused(t, errs, nil)
			set(full, test.path, test.value)
			_, errs = c.updateStatus(created, full["status"])
			if got := strings.Join(messages(errs), "\n"); !strings.Contains(got, test.want) {
				t.Errorf(" got %s\nwant %s", got, test.want)
			}
		})
	}

	// A status that a backup or a migration writes may be empty, and a status is no way around what a spec may be.
	for _, kind := range kinds {
		c := crdOf(t, kind)
		created, _, _ := c.create(with(t, kind, ""))
		_, errs := c.updateStatus(created, object{})
		checkRefused(t, errs, nil)
	}
}

// Every time that the schema lets through is one that Go reads, and reads as the same instant: a single object that a
// client cannot decode would stop it from seeing any.
func TestTimesAreRead(t *testing.T) {
	c := crdOf(t, "User")
	accepted, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		// Each part is as it should be nine times of ten.
		part := func(label, good string, odd ...string) string {
			if rapid.IntRange(0, 9).Draw(rt, label+" is odd") < 9 {
				return rapid.StringMatching(good).Draw(rt, label)
			}
			return rapid.SampledFrom(odd).Draw(rt, label)
		}
		text := part("year", "[12][0-9]{3}", "0000", "0001", "0999", "9999", "10000") +
			part("month", "-(0[1-9]|1[0-2])", "-00", "-13", "") +
			part("day", "-(0[1-9]|1[0-9]|2[0-8])", "-00", "-29", "-30", "-31", "-32") +
			part("separator", "T", "t", " ", "") +
			part("hour", "([01][0-9]|2[0-3])", "24", "99") +
			part("minute", ":[0-5][0-9]", ":60", "") +
			part("second", ":[0-5][0-9]", ":60", "") +
			part("fraction", "", ".5", ".000", ".0000001", ",5") +
			part("zone", "Z|[+-]0[0-9]:[0-5][0-9]", "z", "", "+14:00", "+19:59", "+24:00", "-99:00", "+05:60", "+0200", "Z\n")

		obj := runtime.DeepCopyJSON(map[string]any{
			"apiVersion": "tenure.dev/v1alpha1", "kind": "User", "metadata": object{"name": "alice"},
			"spec": object{"userName": "alice", "startTime": text},
		})
		_, _, errs := c.create(obj)
		if len(errs) > 0 {
			refused++
			return
		}
		accepted++

		encoded, err := json.Marshal(text)
		if err != nil {
			rt.Fatal(err)
		}
		var read metav1.Time
		if err := json.Unmarshal(encoded, &read); err != nil {
			rt.Fatalf("%q is accepted, and Go cannot read it: %v", text, err)
		}
		if read.IsZero() {
			rt.Fatalf("%q is accepted, and Go takes it for none", text)
		}
		written, err := json.Marshal(read)
		if err != nil {
			rt.Fatal(err)
		}
		var again metav1.Time
		if err := json.Unmarshal(written, &again); err != nil {
			rt.Fatalf("%q is written as %s, which Go cannot read: %v", text, written, err)
		}
		if !again.Time.Equal(read.Time) || read.Time.Nanosecond() != 0 {
			rt.Fatalf("%q became %s", text, written)
		}
		set(obj, "spec.startTime", again.Time.Format(time.RFC3339))
		if _, _, errs := c.create(obj); len(errs) > 0 {
			rt.Fatalf("what Go writes of %q is refused: %v", text, messages(errs))
		}
	})
	if accepted == 0 || refused == 0 {
		t.Errorf("%d times were accepted and %d refused", accepted, refused)
	}
}

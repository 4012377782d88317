package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everyRule has each way in which an effect can be declared.
const everyRule = `# What comes before the first document is none.
---
apiVersion: tenure.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: employees}
spec:
  effects:
  - name: opportunities
    userTypes: [Employee, External]
    resources:
      apiVersion: crm.example.com/v1
      kind: Opportunity
      reference: {fieldPath: spec.assignee}
      match: object.spec.stage != 'Won' || object.spec.open
      action: Transfer
      successors: [Successor, TeamLeader, FirstTeamLeader, Manager, Coach, Owner]
  - name: objectives
    "on": [Deactivated, Removed]
    resources: {apiVersion: v1, kind: Objective, reference: {fieldPath: spec.owner, value: Email}, action: Delete}
  - name: key-results
    resources: {apiVersion: v1, kind: KeyResult, reference: {fieldPath: spec.objective, effect: objectives}, action: Delete}
  - name: editors
    resources: {apiVersion: v1, kind: Content, reference: {fieldPath: "spec.editors[*].name", value: UID}, action: Unassign}
  - name: subscriptions
    resources:
      apiVersion: v1
      kind: Subscription
      reference: {fieldPath: spec.user, value: UserName}
      action: Patch
      patch: {spec: {status: Cancelled}}
  - name: messages
    "on": [Removed]
    resources:
      apiVersion: v1
      kind: Message
      reference: {fieldPath: spec.author}
      action: Anonymize
      fields:
      - {path: spec.author, value: Removed User, onReturn: Relink}
      - {path: spec.picture}
  - name: notes
    resources: {apiVersion: v1, kind: Note, reference: {fieldPath: spec.user}, action: Keep}
  - name: rooms
    memberships: {action: Keep}
  - name: teams
    memberships: {groupTypes: [Team, Squad], roles: [Lead], action: Remove}
  - name: programs
    memberships: {groupTypes: [Program], action: Deactivate}
  - name: leads
    relations: {kinds: [Leader, Manager], action: Transfer, successors: [Owner]}
  - name: coachees
    relations: {kinds: [Coach], action: Unassign}
---
apiVersion: tenure.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: guests}
`

const everyTable = `
Policy ` + "`employees`" + `:

| Class of thing | On | What happens |
|---|---|---|
| **opportunities**: Opportunity whose ` + "`spec.assignee` is the user's name, if `object.spec.stage != 'Won' \\|\\| object.spec.open`" + ` | Deactivated of Employee, External | goes to the declared successor, else the leader of the user's first team, else the leader of the organization's first team, else the line manager, else the coach, else the account Owner |
| **objectives**: Objective whose ` + "`spec.owner`" + ` is the user's e-mail address | Deactivated, Removed | is deleted |
| **key-results**: KeyResult whose ` + "`spec.objective`" + ` names one of **objectives** | Deactivated | is deleted |
| **editors**: Content whose ` + "`spec.editors[*].name`" + ` is the user's UID | Deactivated | stays, without the user in ` + "`spec.editors[*].name`" + ` |
| **subscriptions**: Subscription whose ` + "`spec.user`" + ` is the user's userName | Deactivated | is patched: ` + "`{\"spec\":{\"status\":\"Cancelled\"}}`" + ` |
| **messages**: Message whose ` + "`spec.author`" + ` is the user's name | Removed | stays, anonymous: ` + "`spec.author` becomes Removed User, until the same account returns; `spec.picture` is taken out" + ` |
| **notes**: Note whose ` + "`spec.user`" + ` is the user's name | Deactivated | stays as it is |
| **rooms**: memberships | Deactivated | paused as long as the user has no access, then as before |
| **teams**: memberships in groups of type Team or Squad as Lead | Deactivated | removed; to be given anew |
| **programs**: memberships in groups of type Program | Deactivated | deactivated, until somebody gives it back |
| **leads**: groups that the user leads, people whose manager the user is | Deactivated | the account Owner stands in, until somebody else is declared |
| **coachees**: people whose coach the user is | Deactivated | nobody stands in |

Policy ` + "`guests`" + ` has no effects.

`

func TestTables(t *testing.T) {
	policies, err := readPolicies([]byte(everyRule))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(everyTable, tables(policies)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPoliciesThatCannotBeRead(t *testing.T) {
	for manifest, want := range map[string]string{
		"kind: User\n":          "holds a User",
		"metadata: {name: a}\n": "holds a ",
		"kind: LifecyclePolicy\nspec: {efects: []}\n": "efects",
		"kind: LifecyclePolicy\nkind: User\n":         "decoding",
	} {
		if _, err := readPolicies([]byte(manifest)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
}

// profile is a folder with one profile, whose README is given.
func profile(t *testing.T, readme string) (folder, path string) {
	t.Helper()
	folder = t.TempDir()
	path = filepath.Join(folder, "club", readmeFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{path: readme, filepath.Join(folder, "club", policyFile): everyRule} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder, path
}

func TestUpdate(t *testing.T) {
	const before, after = "# Club\n\n<!-- table: from 20-policy.yaml -->\n", "<!-- /table -->\n\nThe end.\n"
	folder, path := profile(t, before+"\nan old table\n"+after)
	if err := run(folder, true); err == nil || !strings.Contains(err.Error(), "club/README.md is not what 20-policy.yaml says") {
		t.Errorf("verifying an old table: %v", err)
	}
	for range 2 { // a second time changes nothing
		if err := run(folder, false); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before+everyTable+after, string(content)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	if err := run(folder, true); err != nil {
		t.Errorf("verifying a new table: %v", err)
	}
}

func TestMarkers(t *testing.T) {
	const begin, end = tableBegin, tableEnd + "\n"
	for _, readme := range []string{"", begin, end, end + begin, begin + end + end, begin + end + begin + end} {
		folder, path := profile(t, readme)
		if err := run(folder, false); err == nil || !strings.Contains(err.Error(), "must be there once") {
			t.Errorf("%q: got error %v", readme, err)
		}
		if content, err := os.ReadFile(path); err != nil || string(content) != readme {
			t.Errorf("%q became %q, %v", readme, content, err)
		}
	}
}

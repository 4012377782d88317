package preview_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/preview"
)

func TestWarnings(t *testing.T) {
	for name, test := range map[string]struct {
		preview preview.Preview
		want    []string
	}{
		"deactivated": {
			preview: of(from(active), from(deactivated), planned(
				to("bob", effect("work", v1alpha1.ActionTransfer, 12, "Work")), effect("tasks", v1alpha1.ActionDelete, 5, "Task"),
			), func(p *preview.Preview) {
				p.Memberships, p.Grants, p.SeatsFreed, p.Reason = preview.Memberships{Paused: 3}, 5, true, "Parental leave"
			}),
			want: []string{
				"alice: Active to Deactivated at once; access ends; 3 memberships pause; 5 RoleBindings go; 2 effects on 17 objects",
				"alice: frees a seat; reason: Parental leave",
				"alice: cannot be undone: 5 Task deleted",
				"alice: work: Transfer 12 Work to bob",
				"alice: tasks: Delete 5 Task",
				"alice: told: Events on User alice; receives and is not told: bob; contact: People team <people@acme.example>",
			},
		},
		"one of each": {
			preview: of(from(active), from(suspended), planned(teams(1), relations("leads", v1alpha1.ActionUnassign, 1)), func(p *preview.Preview) {
				p.Memberships, p.Grants = preview.Memberships{Paused: 1, Deactivated: 1, Removed: 1}, 1
			}),
			want: []string{
				"alice: Active to Suspended at once; access ends; 1 membership pauses, 1 becomes Deactivated, 1 becomes Removed",
				"alice: 1 RoleBinding goes; 2 effects on 2 objects",
				"alice: leads: Unassign 1 Leader/Manager relation",
				"alice: teams: Remove 1 Membership",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"reactivated": {
			preview: of(from(suspended), from(active), func(p *preview.Preview) { p.Memberships.Resumed, p.Grants, p.SeatsTaken = 2, 3, true }),
			want: []string{
				"alice: Suspended to Active at once; access comes back; 2 memberships come back; 3 RoleBindings come; takes a seat",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"on break": {
			preview: of(from(active), from(onBreak)),
			want: []string{
				"alice: Active to OnBreak at once; access stays",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"suspended while away": {
			preview: of(from(deactivated, on(january, active)), from(suspended)),
			want: []string{
				"alice: Deactivated to Suspended at once; no access, as before",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"brought forward": {
			preview: of(from(pending, on(january, activated)), from(activated), func(p *preview.Preview) { p.Contact = "" }),
			want: []string{
				"alice: Pending to Activated at once; access begins",
				"alice: told: Events on User alice",
			},
		},
		"created": {
			preview: of(nil, from(activated, on(june, expired)), func(p *preview.Preview) { p.SeatsTaken = true }),
			want: []string{
				"alice: created Activated; access begins; takes a seat",
				"alice: then: Expired on 2027-06-30 22:00Z",
			},
		},
		"created for later": {
			preview: of(nil, from(pending, on(january, activated), on(june, expired))),
			want: []string{
				"alice: created Pending; no access",
				"alice: then: Activated on 2027-01-10 08:00Z, Expired on 2027-06-30 22:00Z",
			},
		},
		"away, now and later": {
			preview: of(from(active, on(june, expired)), from(deactivated, on(january, active), on(june, expired))),
			want: []string{
				"alice: Active to Deactivated at once; access ends",
				"alice: then: Active on 2027-01-10 08:00Z, Expired on 2027-06-30 22:00Z",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"expires": {
			preview: of(from(active), from(active, on(june, expired)), planned(to("bob", effect("work", v1alpha1.ActionTransfer, 1, "Work"))), func(p *preview.Preview) {
				p.At, p.Memberships, p.Grants, p.SeatsFreed = june, preview.Memberships{Paused: 2}, 4, true
			}),
			want: []string{
				"alice: Expired on 2027-06-30 22:00Z instead of never; access ends then; as things are now: 2 memberships pause",
				"alice: 4 RoleBindings go; 1 effect on 1 object; frees a seat",
				"alice: work: Transfer 1 Work to bob",
				"alice: told: Events on User alice; receives and is not told: bob; contact: People team <people@acme.example>",
			},
		},
		"expires later": {
			preview: of(from(active, on(june, expired)), from(active, on(later, expired)), func(p *preview.Preview) { p.At = later }),
			want: []string{
				"alice: Expired on 2027-12-31 22:00Z instead of 2027-06-30 22:00Z; access ends then",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"never expires": {
			preview: of(from(active, on(june, expired)), from(active)),
			want: []string{
				"alice: no longer Expired on 2027-06-30 22:00Z: stays Active",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"never comes": {
			preview: of(from(pending, on(june, activated)), from(pending)),
			want: []string{
				"alice: no longer Activated on 2027-06-30 22:00Z: stays Pending",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"away first": {
			preview: of(from(active, on(june, expired)), from(active, on(january, onBreak), on(june, expired))),
			want: []string{
				"alice: OnBreak on 2027-01-10 08:00Z; access stays",
				"alice: then: Expired on 2027-06-30 22:00Z",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"not away": {
			preview: of(from(active, on(january, deactivated), on(june, active)), from(active)),
			want: []string{
				"alice: no longer Deactivated on 2027-01-10 08:00Z: stays Active",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"not away, and expires": {
			preview: of(from(active, on(january, deactivated), on(june, expired)), from(active, on(june, expired))),
			want: []string{
				"alice: no longer Deactivated on 2027-01-10 08:00Z: stays Active",
				"alice: then: Expired on 2027-06-30 22:00Z",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"expires instead": {
			preview: of(from(active, on(june, deactivated)), from(active, on(june, expired))),
			want: []string{
				"alice: Expired instead of Deactivated on 2027-06-30 22:00Z; access ends then",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"expires before": {
			preview: of(from(active, on(june, deactivated)), from(active, on(january, expired))),
			want: []string{
				"alice: Expired on 2027-01-10 08:00Z instead of Deactivated on 2027-06-30 22:00Z; access ends then",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"comes back sooner": {
			preview: of(from(deactivated, on(june, active)), from(deactivated, on(january.Add(5*time.Second), active))),
			want: []string{
				"alice: Active on 2027-01-10 08:00:05Z instead of 2027-06-30 22:00Z; access comes back then",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"held back": {
			preview: of(from(active), from(active, on(june, expired)), planned(teams(2)), func(p *preview.Preview) {
				p.At, p.Blocked = june, "last administrator"
			}),
			want: []string{
				"alice: Expired on 2027-06-30 22:00Z instead of never; but a guard holds this back: last administrator",
				"alice: as things are now: 1 effect on 2 objects",
				"alice: teams: Remove 2 Membership",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"removed": {
			preview: of(from(active), from(removed), planned(
				relinked(effect("pages", v1alpha1.ActionAnonymize, 7, "Page")), effect("comments", v1alpha1.ActionAnonymize, 2, "Comment"),
				effect("notes", v1alpha1.ActionAnonymize, 3, "Comment"),
			)),
			want: []string{
				"alice: Active to Removed at once; access ends; 3 effects on 12 objects",
				"alice: cannot be undone: 5 Comment anonymized",
				"alice: pages: Anonymize 7 Page",
				"alice: comments: Anonymize 2 Comment",
				"alice: notes: Anonymize 3 Comment",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"deleted": {
			preview: of(from(active), from(removed), deletion, planned(
				relinked(effect("pages", v1alpha1.ActionAnonymize, 7, "Page")), effect("unlink:Note.work.example.com", v1alpha1.ActionUnlink, 2, "Note"),
			)),
			want: []string{
				"alice: Active to Removed (deleted) at once; access ends; 2 effects on 9 objects",
				"alice: cannot be undone: the account ends, 7 Page anonymized, 2 Note unlinked",
				"alice: pages: Anonymize 7 Page",
				"alice: unlink:Note.work.example.com: Unlink 2 Note",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"deleted when removed": {
			preview: of(from(removed), from(removed), deletion),
			want: []string{
				"alice: Removed, and deleted at once; no access, as before",
				"alice: cannot be undone: the account ends",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"not known": {
			preview: of(from(active), from(deactivated), planned(
				notKnown(effect("tasks", v1alpha1.ActionDelete, 0, "Task")), to("bob", notKnown(effect("work", v1alpha1.ActionTransfer, 0, "Work"))),
			)),
			want: []string{
				"alice: Active to Deactivated at once; access ends; 2 effects on a number of objects not known yet",
				"alice: cannot be undone: Task deleted (a number not known yet)",
				"alice: work: Transfer Work (a number not known yet) to bob",
				"alice: tasks: Delete Task (a number not known yet)",
				"alice: told: Events on User alice; receives and is not told: bob; contact: People team <people@acme.example>",
			},
		},
		"partly known": {
			preview: of(from(active), from(deactivated), planned(
				notKnown(effect("tasks", v1alpha1.ActionDelete, 0, "Task")), effect("old-tasks", v1alpha1.ActionDelete, 4, "Task"),
			)),
			want: []string{
				"alice: Active to Deactivated at once; access ends; 2 effects on 4 objects and a number not known yet",
				"alice: cannot be undone: 4 Task deleted (and a number not known yet)",
				"alice: tasks: Delete Task (a number not known yet)",
				"alice: old-tasks: Delete 4 Task",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"kept, and nothing found": {
			preview: of(from(active), from(deactivated), planned(
				effect("files", v1alpha1.ActionKeep, 30, "File"), effect("deals", v1alpha1.ActionDelete, 0, "Deal"), effect("tasks", v1alpha1.ActionPatch, 1, "Task"),
			)),
			want: []string{
				"alice: Active to Deactivated at once; access ends; 1 effect on 1 object; 30 objects are kept",
				"alice: tasks: Patch 1 Task",
				"alice: files: Keep 30 File",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"nobody receives": {
			preview: of(from(active), from(deactivated), planned(
				effect("tasks", v1alpha1.ActionDelete, 2, "Task"), among(effect("work", v1alpha1.ActionTransfer, 3, "Work"), "dan", "eve"), among(effect("deals", v1alpha1.ActionTransfer, 1, "Deal")),
			)),
			want: []string{
				"alice: Active to Deactivated at once; access ends; 3 effects on 6 objects",
				"alice: cannot be undone: 2 Task deleted",
				"alice: work: Transfer 3 Work to nobody: dan, eve have no access",
				"alice: deals: Transfer 1 Deal to nobody: Successor, Manager lead to no other user",
				"alice: tasks: Delete 2 Task",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"many": {
			preview: of(from(active), from(deactivated, on(january, active), on(june, expired)), planned(many(20)...)),
			want: []string{
				"alice: Active to Deactivated at once; access ends; 20 effects on 210 objects",
				"alice: cannot be undone: 13 Task deleted, 15 Page deleted, 17 Note deleted, 19 Deal deleted, 21 Lead deleted, and 6 more",
				"alice: task-a: Delete 1 Task",
				"alice: page-b: Delete 2 Page",
				"alice: note-c: Delete 3 Note",
				"alice: deal-d: Delete 4 Deal",
				"alice: lead-e: Delete 5 Lead",
				"alice: and 15 more on 195 objects; all: dry run with tenure.dev/preview: full",
				"alice: then: Active on 2027-01-10 08:00Z, Expired on 2027-06-30 22:00Z",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"many changes to come": {
			preview: of(from(active), from(deactivated, comings(12)...)),
			want: []string{
				"alice: Active to Deactivated at once; access ends",
				"alice: then: Active on 2027-01-10 08:00Z, Deactivated on 2027-02-10 08:00Z, Active on 2027-03-10 08:00Z, and 9 more",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"membership deactivated": {
			preview: of(from(active), from(deactivated), membership, func(p *preview.Preview) { p.Grants = 2 }),
			want: []string{
				"alice-mentoring: Active to Deactivated at once; 2 RoleBindings go",
			},
		},
		"membership resumed": {
			preview: of(from(deactivated), from(active, on(june, expired)), membership, func(p *preview.Preview) { p.Grants = 1 }),
			want: []string{
				"alice-mentoring: Deactivated to Active at once; 1 RoleBinding comes",
				"alice-mentoring: then: Expired on 2027-06-30 22:00Z",
			},
		},
		"membership deleted": {
			preview: of(from(active), from(removed), membership, deletion, func(p *preview.Preview) { p.Grants = 2 }),
			want: []string{
				"alice-mentoring: Active to Removed (deleted) at once; 2 RoleBindings go",
			},
		},
		"membership of somebody away": {
			preview: of(nil, from(paused, on(january, active)), membership),
			want: []string{
				"alice-mentoring: created Paused",
				"alice-mentoring: then: Active on 2027-01-10 08:00Z",
			},
		},
		"more than can be frozen": {
			preview: of(from(active), from(deactivated), planned(frozenNot(effect("tasks", v1alpha1.ActionDelete, 200_000, "Task")))),
			want: []string{
				"alice: Active to Deactivated at once; access ends; 1 effect on 200000 objects",
				"alice: cannot be undone: 200000 Task deleted",
				"alice: tasks: Delete 200000 Task",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"the operator's own": {
			preview: of(from(active), from(suspended), planned(
				v1alpha1.PlannedEffect{Effect: v1alpha1.HoldUserSuspended, Action: v1alpha1.ActionDeactivate, Kind: "Membership"},
			)),
			want: []string{
				"alice: Active to Suspended at once; access ends",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"many receive": {
			preview: of(from(active), from(deactivated), planned(
				to("bob", effect("work", v1alpha1.ActionTransfer, 1, "Work")), to("bob", effect("deals", v1alpha1.ActionTransfer, 2, "Deal")),
				to("carol", effect("leads", v1alpha1.ActionTransfer, 3, "Lead")), to("dan", effect("notes", v1alpha1.ActionTransfer, 4, "Note")),
				to("eve", effect("pages", v1alpha1.ActionTransfer, 5, "Page")),
			)),
			want: []string{
				"alice: Active to Deactivated at once; access ends; 5 effects on 15 objects",
				"alice: work: Transfer 1 Work to bob",
				"alice: deals: Transfer 2 Deal to bob",
				"alice: leads: Transfer 3 Lead to carol",
				"alice: notes: Transfer 4 Note to dan",
				"alice: pages: Transfer 5 Page to eve",
				"alice: told: Events on User alice; receive and are not told: bob, carol, dan and 1 more",
				"alice: contact: People team <people@acme.example>",
			},
		},
		"one who cannot receive": {
			preview: of(from(active), from(deactivated), planned(
				effect("tasks", v1alpha1.ActionDelete, 2, "Task"), among(effect("work", v1alpha1.ActionTransfer, 3, "Work"), "dan"),
				onlyOwner(relations("leads", v1alpha1.ActionTransfer, 2)),
			)),
			want: []string{
				"alice: Active to Deactivated at once; access ends; 3 effects on 7 objects",
				"alice: cannot be undone: 2 Task deleted",
				"alice: work: Transfer 3 Work to nobody: dan has no access",
				"alice: leads: Transfer 2 Leader/Manager relations to nobody: Owner leads to no other user",
				"alice: tasks: Delete 2 Task",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"anonymised before a removal": {
			preview: of(from(active), from(deactivated), planned(relinked(effect("pages", v1alpha1.ActionAnonymize, 7, "Page")))),
			want: []string{
				"alice: Active to Deactivated at once; access ends; 1 effect on 7 objects",
				"alice: cannot be undone: 7 Page anonymized",
				"alice: pages: Anonymize 7 Page",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"many, not all known": {
			preview: of(from(active), from(deactivated), planned(append(many(8), notKnown(effect("logs", v1alpha1.ActionUnassign, 0, "Log")))...)),
			want: []string{
				"alice: Active to Deactivated at once; access ends; 9 effects on 36 objects and a number not known yet",
				"alice: cannot be undone: 1 Task deleted, 2 Page deleted, 3 Note deleted, 4 Deal deleted, 5 Lead deleted, and 3 more",
				"alice: task-a: Delete 1 Task",
				"alice: page-b: Delete 2 Page",
				"alice: note-c: Delete 3 Note",
				"alice: deal-d: Delete 4 Deal",
				"alice: lead-e: Delete 5 Lead",
				"alice: folder-f: Delete 6 Folder",
				"alice: and 3 more on 15 objects or more; all: dry run with tenure.dev/preview: full",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			},
		},
		"everything at once": {
			preview: everything(),
			want: []string{
				"User alice-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx:",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: Active to Suspended at once; but a guard holds this back: last administrator",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: 1100 memberships pause, 1300 become Deactivated, 1400 become Removed, 1200 come...",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: 1500 RoleBindings go; and 5 more",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: cannot be undone: 1 Task deleted, 2 Page deleted, 3 Note deleted, and 1 more",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: and 6 more on 45 objects or more; all: dry run with tenure.dev/preview: full",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: then: Active on 2027-01-10 08:00Z, Deactivated on 2027-02-10 08:00Z, and 6 more",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: told: Events on User alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: receives and is not told: bob-xxxxxxxxxxxxxxxxxxxxxxxxxxxxx...",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: contact: People team, People team, People team, People team, People team...",
			},
		},
		"everything at once, to be confirmed": {
			preview: confirmed(everything()),
			want: []string{
				"User alice-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx:",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: Active to Suspended at once; but a guard holds this back: last administrator",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: 1100 memberships pause, 1300 become Deactivated, 1400 become Removed, 1200 come...",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: 1500 RoleBindings go; and 5 more",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: cannot be undone: 1 Task deleted, 2 Page deleted, 3 Note deleted, and 1 more",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: and 6 more on 45 objects or more; all: dry run with tenure.dev/preview: full",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: then: Active on 2027-01-10 08:00Z, Deactivated on 2027-02-10 08:00Z, and 6 more",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: told: Events on User alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: receives and is not told: bob-xxxxxxxxxxxxxxxxxxxxxxxxxxxxx...; and 1 more",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: confirm it with tenure.dev/confirm=d3c73122af83",
			},
		},
		"to be confirmed": {
			preview: confirmed(of(from(active), from(deactivated))),
			want: []string{
				"alice: Active to Deactivated at once; access ends",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
				"alice: confirm it with tenure.dev/confirm=3078a45d33ba",
			},
		},
		"deletion to be confirmed": {
			preview: confirmed(of(from(active), from(removed), deletion)),
			want: []string{
				"alice: Active to Removed (deleted) at once; access ends",
				"alice: cannot be undone: the account ends",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
				"alice: confirm it with tenure.dev/confirm=76a658063506",
			},
		},
		"nothing to be confirmed": {
			preview: confirmed(of(from(active), from(active))),
		},
		"strange texts": {
			preview: of(from(active), from(deactivated), planned(effect("työ", v1alpha1.ActionDelete, 1, "Work")), func(p *preview.Preview) {
				p.Reason, p.Contact = "gone\nfishing\u202e =?utf-8?q?=0A?=\x00", "Zoë \"the\\ boss\" <zoë@acme.example>\xff\u200b"
			}),
			want: []string{
				"alice: Active to Deactivated at once; access ends; 1 effect on 1 object; reason: gone fishing = ?utf-8?q?=0A?=",
				"alice: cannot be undone: 1 Work deleted",
				"alice: työ: Delete 1 Work",
				"alice: told: Events on User alice; contact: Zoë \"the\\ boss\" <zoë@acme.example>",
			},
		},
		"long names": {
			preview: of(from(active), from(deactivated), planned(
				to(long("successor", 63), effect(long("effect", 63), v1alpha1.ActionTransfer, 2_000_000_000, long("Kind", 63))),
			), func(p *preview.Preview) {
				p.Name, p.Reason, p.Contact = long("alice", 63), strings.Repeat("because it is so ", 60), long("People", 253)+" <people@acme.example>"
			}),
			want: []string{
				"User alice-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx:",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: Active to Deactivated at once; access ends; 1 effect on 2000000000 objects",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: reason: because it is so because it is so because it is so...",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: effect-xxxxxxxx...: Transfer 2000000000 Kind-xxxxxxxxxx... to successor-xxxxx...",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: told: Events on User alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: receives and is not told: successor-xxxxxxxxxxxxxxxxxxxxxxx...",
				"alice-xxxxxxxxxxxxxxxxxxxxxxxxxxx...: contact: People-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.preview.Warnings()
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("warnings (-want +got):\n%s\nas one: %q", diff, got)
			}
		})
	}
}

// everything that a preview can tell, all of it long.
func everything() preview.Preview {
	return of(from(active), from(suspended, comings(8)...), planned(append(many(3),
		to(long("bob", 63), effect("work", v1alpha1.ActionTransfer, 9, "Work")), effect("files", v1alpha1.ActionKeep, 30, "File"),
		notKnown(effect("logs", v1alpha1.ActionDelete, 0, "Log")),
	)...), func(p *preview.Preview) {
		p.Name, p.Blocked, p.Reason, p.Contact = long("alice", 63), "last administrator", strings.Repeat("because it is so ", 60), strings.Repeat("People team, ", 20)
		p.Memberships, p.Grants = preview.Memberships{Paused: 1100, Resumed: 1200, Deactivated: 1300, Removed: 1400}, 1500
		p.SeatsFreed, p.SeatsTaken = true, true
	})
}

func confirmed(p preview.Preview) preview.Preview {
	p.Confirm = true
	return p
}

// frozenNot is an effect with more targets than a plan can tell apart.
func frozenNot(e v1alpha1.PlannedEffect) v1alpha1.PlannedEffect {
	e.Frozen = ""
	return e
}

func onlyOwner(e v1alpha1.PlannedEffect) v1alpha1.PlannedEffect {
	e.Definition.Relations.Successors = []v1alpha1.Successor{v1alpha1.SuccessorOwner}
	return e
}

// many effects, of several kinds.
func many(n int) []v1alpha1.PlannedEffect {
	kinds := []string{"Task", "Page", "Note", "Deal", "Lead", "Folder", "Campaign", "Contract", "Opportunity", "Appointment", "Subscription"}
	plan := make([]v1alpha1.PlannedEffect, n)
	for i := range plan {
		kind := kinds[i%len(kinds)]
		plan[i] = effect(strings.ToLower(kind)+"-"+string(rune('a'+i)), v1alpha1.ActionDelete, int32(i+1), kind) //nolint:gosec // small
	}
	return plan
}

// comings are absences, one after the other.
func comings(n int) []preview.Moment {
	var all []preview.Moment
	for i := range n {
		all = append(all, on(january.AddDate(0, i, 0), []v1alpha1.State{active, deactivated}[i%2]))
	}
	return all
}

func long(name string, length int) string {
	return name + "-" + strings.Repeat("x", length-len(name)-1)
}

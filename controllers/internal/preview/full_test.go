package preview_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/preview"
)

func TestFull(t *testing.T) {
	p := confirmable()
	p.Plan = append(p.Plan, notKnown(effect("pages", v1alpha1.ActionAnonymize, 0, "Page")), effect("files", v1alpha1.ActionKeep, 0, "File"))
	p.Plan[0], p.Plan[1] = p.Plan[1], p.Plan[0] // and worked off in the other order
	p.SeatsFreed = true
	want := strings.ReplaceAll(`{
  "digest": "DIGEST",
  "kind": "User",
  "name": "alice",
  "reason": "Parental leave",
  "time": "2026-12-01T09:30:15Z",
  "before": [
    {
      "time": "2026-12-01T09:30:15Z",
      "state": "Active"
    },
    {
      "time": "2027-06-30T22:00:00Z",
      "state": "Expired"
    }
  ],
  "after": [
    {
      "time": "2026-12-01T09:30:15Z",
      "state": "Deactivated"
    },
    {
      "time": "2027-01-10T08:00:00Z",
      "state": "Active"
    }
  ],
  "memberships": {
    "paused": 1
  },
  "grants": 2,
  "seatFreed": true,
  "serviceAccountName": "lifecycle",
  "contact": "People team \u003cpeople@acme.example\u003e",
  "effects": [
    {
      "effect": "work",
      "action": "Transfer",
      "kind": "Work",
      "targets": 12,
      "successor": "bob",
      "candidates": [
        "bob",
        "carol"
      ]
    },
    {
      "effect": "tasks",
      "action": "Patch",
      "kind": "Task",
      "targets": 5
    },
    {
      "effect": "pages",
      "action": "Anonymize",
      "kind": "Page"
    },
    {
      "effect": "files",
      "action": "Keep",
      "kind": "File",
      "targets": 0
    }
  ]
}`, "DIGEST", p.Digest())
	got := &bytes.Buffer{}
	if err := json.Indent(got, []byte(full(t, &p)), "", "  "); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

// TestFullIsBounded writes the longest plans there may be, and longer ones.
func TestFullIsBounded(t *testing.T) {
	for name, test := range map[string]struct {
		effects, candidates int
		letter              string
		cut                 bool
	}{
		"short":        {effects: 128, candidates: 1, letter: "x"},
		"long":         {effects: 128, candidates: 32, letter: "x", cut: true},
		"not ASCII":    {effects: 128, candidates: 32, letter: "ö", cut: true},
		"escaped":      {effects: 128, candidates: 32, letter: "<", cut: true},
		"far too many": {effects: 5000, candidates: 32, letter: "x", cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := of(from(active), from(deactivated), func(p *preview.Preview) {
				p.Reason, p.Contact = strings.Repeat(test.letter, 200_000), strings.Repeat(test.letter, 500)
			})
			for i := range test.effects {
				e := effect(fmt.Sprintf("%s-%d", strings.Repeat(test.letter, 58), i), v1alpha1.ActionTransfer, 3, strings.Repeat(test.letter, 63))
				for range test.candidates {
					e.Candidates = append(e.Candidates, strings.Repeat(test.letter, 63))
				}
				p.Plan = append(p.Plan, e)
			}

			body := full(t, &p)
			if len(body) > 200_000 || test.cut && len(body) < 180_000 {
				t.Errorf("got %d bytes, want up to 200 kB, and little less where not all has room", len(body))
			}
			var written struct {
				Effects []struct{ Targets int }
				More    struct{ Effects, Targets int }
			}
			if err := json.Unmarshal([]byte(body), &written); err != nil {
				t.Fatal(err)
			}
			if cut := written.More.Effects > 0; cut != test.cut {
				t.Errorf("%d effects are only counted, want some: %t", written.More.Effects, test.cut)
			}
			if len(written.Effects)+written.More.Effects != test.effects || 3*len(written.Effects)+written.More.Targets != 3*test.effects {
				t.Errorf("%d effects, and %d more on %d, are not %d effects", len(written.Effects), written.More.Effects, written.More.Targets, test.effects)
			}
		})
	}
}

func full(t *testing.T, p *preview.Preview) string {
	t.Helper()
	body, err := p.Full()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

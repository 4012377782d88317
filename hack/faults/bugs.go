package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"tenure.dev/tenure/hack/local"
)

// bug is a mistake that somebody might make in the operator: the harness is put to the test with each.
type bug struct {
	name string

	// mistake is what is wrong, for the report.
	mistake string

	edits []sourceEdit

	// trials are the plans that are run with the mistake, at least one of which must fail.
	trials []trial
}

// sourceEdit replaces what occurs exactly once in a file of the repository.
type sourceEdit struct{ file, old, new string }

// trial is a scenario under some faults; under none where it leaves them out.
type trial struct {
	scenario string
	faults   []string
}

// bugs are the planted ones, no two of a kind.
func bugs() []bug {
	return []bug{
		{
			name: "unrecorded", mistake: "a status is written before its record, and makes the next pass believe that there is one",
			edits: []sourceEdit{
				{userController, recordUser + persistUser, "	if p.newest() != nil {\n" + persistUser + "	}\n" + recordUser + persistUser},
				{"controllers/user/observe.go", "	status := &p.user.Status\n", "	status := &p.user.Status\n	defer func() {\n		if status.State == p.decision.State {\n			p.outcome.Change = nil\n		}\n	}()\n"},
			},
			trials: []trial{{"suspend", []string{"crash-after"}}},
		},
		{
			name: "access-last", mistake: "a user's access is closed after everything is written about it",
			edits: []sourceEdit{
				{userController, "	if err := p.closeAccess(ctx); err != nil {\n		return ctrl.Result{}, err\n	}\n", ""},
				{userController, "	if err := p.finishDeletion(ctx);", "	if err := p.closeAccess(ctx); err != nil {\n		return ctrl.Result{}, err\n	}\n	if err := p.finishDeletion(ctx);"},
			},
			trials: []trial{{"suspend", []string{"500"}}},
		},
		{
			name: "finalizer-first", mistake: "a membership is let go of before its end is recorded",
			edits:  []sourceEdit{{membershipController, decideMembership, decideMembership + "	if !p.membership.DeletionTimestamp.IsZero() {\n		return ctrl.Result{}, p.finishDeletion(ctx)\n	}\n"}},
			trials: []trial{{"membership", nil}},
		},
		{
			name: "no-finalizer", mistake: "grants are given before the membership has its finalizer",
			edits:  []sourceEdit{{membershipController, stampMembership, "	if err := p.giveGrants(ctx); err != nil {\n		return ctrl.Result{}, err\n	}\n" + stampMembership}},
			trials: []trial{{"membership", nil}},
		},
		{
			name: "by-name", mistake: "an effect deletes whatever has the object's name by then",
			edits: []sourceEdit{
				{resources, "		Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}, PropagationPolicy: &background,", "		PropagationPolicy: &background,"},
				{resources, "	uid, version, background := live.GetUID(), live.GetResourceVersion(), metav1.DeletePropagationBackground", "	background := metav1.DeletePropagationBackground"},
			},
			trials: []trial{{"policy", nil}},
		},
		{
			name: "unlocked", mistake: "a list is patched without a look at what somebody else made of it",
			edits:  []sourceEdit{{writes, "client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})", "client.MergeFrom(before)"}},
			trials: []trial{{"suspend", nil}},
		},
		{
			name: "early", mistake: "a deadline is taken for past before it is",
			edits: []sourceEdit{
				{"controllers/internal/lifecycle/decision.go", "!now.Before(deadline)", "!now.Add(20 * time.Minute).Before(deadline)"},
				{wakes, "deadline.Sub(c.Now())", "deadline.Sub(c.Now())-20*time.Minute"},
			},
			trials: []trial{{"storm", nil}},
		},
		{
			name: "asleep", mistake: "nobody wakes the operator when a deadline comes",
			edits:  []sourceEdit{{wakes, "	if deadline.IsZero() {\n", "	if deadline.IsZero() || !deadline.Before(c.Now().Add(-longest)) {\n"}},
			trials: []trial{{"storm", nil}},
		},
		{
			name: "numbered-anew", mistake: "a change that a pass recorded which was interrupted is recorded again, under the next number",
			edits: []sourceEdit{{history, created, "	if apierrors.IsAlreadyExists(err) {\n		h.last++\n		return h.Record(ctx, writer, live, entry)\n	}\n" + created},
				{history, "	for {\n		next :=", "	for false {\n		next :="}},
			trials: []trial{{"suspend", []string{"stale"}}},
		},
		{
			name: "told-first", mistake: "an Event tells of a change that is not recorded yet",
			edits: []sourceEdit{
				{"controllers/user/apply.go", "	plan, err := p.plan(ctx)\n", "	summary.Normal(p.Recorder, p.user, string(p.outcome.Change.To), \"changed\")\n	plan, err := p.plan(ctx)\n"},
				{"controllers/user/apply.go", "	\"tenure.dev/tenure/controllers/internal/write\"\n", "	\"tenure.dev/tenure/controllers/internal/summary\"\n	\"tenure.dev/tenure/controllers/internal/write\"\n"},
			},
			trials: []trial{{"suspend", []string{"crash-before", "500"}}},
		},
		{
			name: "at-rest", mistake: "a status is written though nothing in it has changed",
			edits:  []sourceEdit{{writes, "	if equality.Semantic.DeepEqual(before, after) {\n		return false, nil\n	}\n", ""}},
			trials: []trial{{"suspend", nil}},
		},
		{
			name: "not-frozen", mistake: "an effect does what the policy says by now, not what it said at the decision",
			edits:  []sourceEdit{{"controllers/transition/work.go", runEffect, byNow + runEffect}},
			trials: []trial{{"policy", nil}},
		},
		{
			name: "given-up", mistake: "a grant that could not be taken away is forgotten",
			edits:  []sourceEdit{{"controllers/internal/grants/doors.go", "		return fmt.Errorf(\"delete RoleBinding %s/%s: %w\", binding.Namespace, binding.Name, err)\n", "		_ = fmt.Sprint(err)\n"}},
			trials: []trial{{"regrant", []string{"500"}}},
		},
		{
			name: "conflict-lost", mistake: "a pass that met somebody else's write is not made again",
			edits:  []sourceEdit{{wakes, "		return ctrl.Result{RequeueAfter: settle}, nil\n", "		return ctrl.Result{}, nil\n"}},
			trials: []trial{{"leader", []string{"conflict"}}},
		},
		{
			name: "unwatched", mistake: "memberships are not looked at when their user changes",
			edits:  []sourceEdit{{"controllers/membership/setup.go", "		Watches(&v1alpha1.User{}, watch.When(decisive, r.ofUser)).\n", ""}},
			trials: []trial{{"storm", nil}},
		},
		{
			name: "one-identity", mistake: "whoever has the name of somebody before goes on with their history",
			edits:  []sourceEdit{{history, "		if transition.Spec.Subject.Identity != s.Identity() {\n			return\n		}\n", ""}},
			trials: []trial{{"rehire", nil}},
		},
		{
			name: "effects-first", mistake: "a ledger says that effects are done before they are",
			edits:  []sourceEdit{{"controllers/transition/work.go", "	if err := p.act(ctx); err != nil {\n		return ctrl.Result{}, err\n	}\n	p.summarize()\n", doneFirst}},
			trials: []trial{{"cascade", []string{"crash-before", "crash-after"}}},
		},
		{
			name: "gone-first", mistake: "a deleted user is let go of before the effects of the deletion are done",
			edits:  []sourceEdit{{"controllers/user/apply.go", "	if p.user.DeletionTimestamp.IsZero() || p.running() {\n", "	if p.user.DeletionTimestamp.IsZero() {\n"}},
			trials: []trial{{"deletion", []string{"crash-before", "crash-after"}}},
		},
	}
}

// Files with more than one mistake.
const (
	userController       = "controllers/user/controller.go"
	membershipController = "controllers/membership/controller.go"
	resources            = "controllers/transition/resources.go"
	writes               = "controllers/internal/write/write.go"
	wakes                = "controllers/internal/wake/wake.go"
	history              = "controllers/internal/history/history.go"
)

// Parts of the passes, whose order is what many of the mistakes are about.
const (
	recordUser = `	if err := p.record(ctx); errors.Is(err, targets.ErrSynchronizing) {
		return ctrl.Result{RequeueAfter: moment}, nil
	} else if err != nil {
		return ctrl.Result{}, err
	}
`
	persistUser = `	if err := p.persist(ctx); err != nil {
		return ctrl.Result{}, err
	}
`
	decideMembership = `	p.decide()
`
	stampMembership = `	if err := p.stamp(ctx); err != nil {
		return ctrl.Result{}, err
	}
`
	created = `	if err == nil {
		return transition, nil
	}
`
	runEffect = `		step, err := p.run(ctx, &planned, end)
`
	byNow = `		if p.policy.Object != nil {
			for _, effect := range p.policy.Object.Spec.Effects {
				if effect.Name == planned.Effect && effect.Resources.Kind != "" {
					planned.Definition, planned.Action = effect, v1alpha1.EffectAction(effect.Resources.Action)
				}
			}
		}
`
	doneFirst = `	kept := p.transition.DeepCopy()
	p.recall()
	p.summarize()
	if err := p.writeLedger(ctx); err != nil {
		return ctrl.Result{}, err
	}
	p.transition, p.condition, p.progress = kept, metav1.Condition{}, map[string]v1alpha1.EffectProgress{}
	if err := p.act(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if true {
		return ctrl.Result{RequeueAfter: p.again}, nil
	}
	p.summarize()
`
)

var errNotOnce = errors.New("does not occur exactly once")

// plant writes the edited files into a folder, with what `go build -overlay` reads, and returns the path of that.
func (b *bug) plant(root, folder string) (overlay string, err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("plant %s: %w", b.name, err)
	}
	edited := map[string][]byte{}
	for _, edit := range b.edits {
		source := filepath.Join(root, edit.file)
		content := edited[source]
		if content == nil {
			if content, err = os.ReadFile(source); err != nil {
				return "", fmt.Errorf("plant %s: %w", b.name, err)
			}
		}
		if bytes.Count(content, []byte(edit.old)) != 1 {
			return "", fmt.Errorf("plant %s: in %s, %q %w", b.name, edit.file, edit.old, errNotOnce)
		}
		edited[source] = bytes.Replace(content, []byte(edit.old), []byte(edit.new), 1)
	}
	replace := map[string]string{}
	for source, content := range edited {
		replacement := filepath.Join(folder, strings.ReplaceAll(strings.TrimPrefix(source, root+"/"), "/", "_"))
		if err := os.WriteFile(replacement, content, 0o600); err != nil {
			return "", fmt.Errorf("plant %s: %w", b.name, err)
		}
		replace[source] = replacement
	}
	said, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("plant %s: %w", b.name, err)
	}
	overlay = filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(overlay, said, 0o600); err != nil {
		return "", fmt.Errorf("plant %s: %w", b.name, err)
	}
	return overlay, nil
}

// build builds this program with the mistake in it.
func (b *bug) build(ctx context.Context, folder string) (program string, err error) {
	root, err := local.RepositoryRoot()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", b.name, err)
	}
	overlay, err := b.plant(root, folder)
	if err != nil {
		return "", err
	}
	program = filepath.Join(folder, "mistaken")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-overlay="+overlay, "-o", program, "./hack/faults")
	command.Dir = root
	if said, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", b.name, err, said)
	}
	return program, nil
}

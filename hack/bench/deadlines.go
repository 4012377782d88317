package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"gonum.org/v1/plot/plotter"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/local"
)

const latenessBar = 100.0 // milliseconds

// auditPolicy has the API server note when it deletes RoleBindings, and nothing else.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [delete]
  resources: [{group: rbac.authorization.k8s.io, resources: [rolebindings]}]
- level: None
`

// deadlines measures P3.
func (b *bench) deadlines(ctx context.Context) (measures []measure, err error) {
	folder, err := os.MkdirTemp("", "tenure-audit-")
	if err != nil {
		return nil, fmt.Errorf("preparing an audit log: %w", err)
	}
	defer os.RemoveAll(folder)
	policy, audit := filepath.Join(folder, "policy.yaml"), filepath.Join(folder, "audit.log")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, fmt.Errorf("preparing an audit log: %w", err)
	}
	s, err := newScene(ctx, b, local.Options{APIServerFlags: map[string][]string{
		"audit-policy-file": {policy}, "audit-log-path": {audit}, "audit-log-mode": {"blocking"},
	}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	mould, err := s.newMould(ctx, nameIn("mould", 0), true, crew)
	if err != nil {
		return nil, err
	}
	return b.try(ctx, "P3", func() (measure, error) { return s.deadlinesOf(ctx, mould, audit) }), nil
}

// deadlinesOf takes the rounds.
func (s *scene) deadlinesOf(ctx context.Context, mould *mould, audit string) (measure, error) {
	size := s.sizes.deadlines
	var rounds []round
	var all plotter.XYs
	early := 0
	for i := range s.sizes.rounds {
		var late lateness
		var at plotter.XYs
		if err := s.inTime(func() (err error) {
			s.crowds++
			late, at, err = s.deadlinesOnce(ctx, mould, audit, fmt.Sprintf("due%d", s.crowds), size)
			return err
		}); err != nil {
			return measure{}, err
		}
		for _, l := range late.seen {
			if l < 0 {
				early++
			}
		}
		for _, l := range late.served {
			if l < 0 {
				early++
			}
		}
		all = at
		r := round{Ratio: quantile(late.seen, .99), Operator: late.effort, Figures: map[string]float64{
			"medianMilliseconds": median(late.seen), "p99Milliseconds": quantile(late.seen, .99), "maximumMilliseconds": quantile(late.seen, 1),
			"minimumMilliseconds": quantile(late.seen, 0), "auditMedianMilliseconds": median(late.served), "auditP99Milliseconds": quantile(late.served, .99),
		}}
		rounds = append(rounds, r)
		s.say("P3 round %d: lateness median %.0f ms, p99 %.0f ms, most %.0f ms; by the API server's own time %.0f, %.0f ms", i+1,
			median(late.seen), r.Ratio, quantile(late.seen, 1), median(late.served), quantile(late.served, .99))
	}
	m := of("P3", size, size, "ms", latenessBar, rounds)
	for _, name := range []string{"medianMilliseconds", "p99Milliseconds", "maximumMilliseconds", "auditP99Milliseconds"} {
		var values []float64
		for _, r := range rounds {
			values = append(values, r.Figures[name])
		}
		m.Figures[name] = median(values)
	}
	m.Figures["early"] = float64(early)
	m.require(early == 0, "%d were closed early", early)
	m.remark("Declared times have whole seconds, so that about %.0f users are due together. Until a watch has told that the grant is gone; "+
		"by the time of the API server itself p99 is %.0f ms", float64(size)/s.sizes.spread.Seconds(), m.Figures["auditP99Milliseconds"])
	return m, draw(filepath.Join(s.output, plotsFolder, "deadlines.png"),
		fmt.Sprintf("%s single deadlines within %.0f s", thousands(size), s.sizes.spread.Seconds()), "seconds", "lateness of closed access in ms", nil,
		curve{name: "operator", color: operatorColor, at: all, dots: true})
}

// lateness of some users, in milliseconds: as a watch has seen it, and as the API server has noted it.
type lateness struct {
	seen, served []float64
	effort       *effort
}

// deadlinesOnce has each of a crowd expire at a time of its own, and waits for all of them.
func (s *scene) deadlinesOnce(ctx context.Context, mould *mould, audit, crowd string, size int) (late lateness, at plotter.XYs, err error) {
	s.stop()
	first := nextInstant(s.lead(size))
	due, places := map[string]time.Time{}, rand.Perm(size)
	for i, place := range places {
		due[nameIn(crowd, i)] = first.Add(s.sizes.spread * time.Duration(place) / time.Duration(size)).Truncate(time.Second)
	}
	if _, err := s.pour(ctx, mould, crowd, size, func(i int) time.Time { return due[nameIn(crowd, i)] }); err != nil {
		return late, nil, err
	}
	if _, err := s.startBefore(ctx, first, size, size); err != nil {
		return late, nil, err
	}
	sights := entering(v1alpha1.StateExpired)
	for i := range sights {
		sights[i].only = isOf(crowd)
	}
	o, err := s.observe(ctx, sights...)
	if err != nil {
		return late, nil, err
	}
	defer o.end()
	before, err := s.look(ctx)
	if err != nil {
		return late, nil, err
	}
	if time.Now().After(first) {
		return late, nil, errLate
	}
	if err := o.awaitAll(ctx, time.Until(first)+s.sizes.spread+grace(size), size); err != nil {
		return late, nil, err
	}
	if late.effort, err = s.effortSince(ctx, before); err != nil {
		return late, nil, err
	}
	for name, instant := range due {
		seconds := o.when(bindings, name).Sub(instant).Seconds()
		late.seen = append(late.seen, 1000*seconds)
		at = append(at, plotter.XY{X: instant.Sub(first).Seconds(), Y: 1000 * seconds})
	}
	late.served, err = servedLateness(audit, due)
	return late, at, err
}

// servedLateness reads from the audit log when the RoleBindings of some users were deleted, in milliseconds after they were
// due.
func servedLateness(audit string, due map[string]time.Time) ([]float64, error) {
	file, err := os.Open(audit)
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	defer file.Close()
	var milliseconds []float64
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct {
			ObjectRef      struct{ Name string }
			ResponseStatus struct{ Code int }
			StageTimestamp time.Time
		}
		if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		if instant, known := due[grantee(entry.ObjectRef.Name)]; known && entry.ResponseStatus.Code/100 == 2 {
			milliseconds = append(milliseconds, 1000*entry.StageTimestamp.Sub(instant).Seconds())
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	return milliseconds, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/local"
)

const (
	cascadeBar = 1.3
	otherBar   = 1.0 // seconds
)

// cascades measures P4 and P5.
func (b *bench) cascades(ctx context.Context) (measures []measure, err error) {
	s, err := newScene(ctx, b, local.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	if err := s.setUpWork(ctx); err != nil {
		return nil, err
	}
	mould, err := s.newMould(ctx, nameIn("mould", 0), false, crew)
	if err != nil {
		return nil, err
	}
	if err := s.giveWork(ctx, mould); err != nil {
		return nil, err
	}
	measures = b.try(ctx, "P4", func() (measure, error) { return s.bulk(ctx, mould) })
	return append(measures, b.try(ctx, "P5", func() (measure, error) { return s.heavyUser(ctx, mould) })...), nil
}

// cascade is what came of one.
type cascade struct {
	effort  effort
	learned *script
	changes []string
	other   float64 // seconds until another user's access was closed
	asking  float64 // seconds that the request took
}

// departures are what one looks out for in a cascade.
func departures(crowd string) []sight {
	sights := append(entering(v1alpha1.StateDeactivated), sight{kind: ledgers, selector: "spec.to=" + string(v1alpha1.StateDeactivated)})
	for i := range sights {
		sights[i].only = isOf(crowd)
	}
	return sights
}

// bulk measures P4.
func (s *scene) bulk(ctx context.Context, mould *mould) (measure, error) {
	var rounds []round
	var latest *cascade
	size := s.sizes.cascade
	for i := range s.sizes.rounds {
		var byBare *effort
		var byOperator *cascade
		err := turns(i, func() (err error) {
			byOperator, err = s.operatorBulk(ctx, mould, size)
			latest = byOperator
			return err
		}, func() (err error) {
			if latest == nil {
				return errors.New("nothing was learned from the operator")
			}
			byBare, err = s.bareBulk(ctx, mould, latest, size)
			return err
		})
		if err != nil {
			return measure{}, err
		}
		rounds = append(rounds, round{Ratio: byOperator.effort.Seconds / byBare.Seconds, Operator: &byOperator.effort, Bare: byBare})
		s.say("P4 round %d: operator %.1f s, bare client %.1f s: %.2f ×; writes per user %.2f, bare %.2f", i+1,
			byOperator.effort.Seconds, byBare.Seconds, rounds[i].Ratio, byOperator.effort.Writes/float64(size), byBare.Writes/float64(size))
	}
	m := of("P4", size, size, "×", cascadeBar, rounds)
	m.remark("Until every ledger is complete. Each user has five objects: the bare client makes five writes to them, four about the user and one to the ledger. The operator also makes %.2f Events per user, and the bare client as many",
		m.EventsPerUser)
	return m, nil
}

func (s *scene) operatorBulk(ctx context.Context, mould *mould, size int) (*cascade, error) {
	s.stop()
	crowd, err := s.pour(ctx, mould, "bulk", size, never)
	if err != nil {
		return nil, err
	}
	if _, err := s.startSettled(ctx, size, size); err != nil {
		return nil, err
	}
	result, err := s.watched(ctx, "bulk", size, grace(3*size), func() (time.Time, error) { return s.deactivate(ctx, mould, crowd) })
	if err != nil {
		return nil, err
	}
	if result.learned, err = s.learn(ctx, mould, crowd[0]); err != nil {
		return nil, err
	}
	if result.changes, err = s.learnWork(ctx, mould, crowd[0]); err != nil {
		return nil, err
	}
	s.stop()
	return result, s.sweep(ctx, "bulk")
}

// watched does something by which a crowd loses its access, and measures until everything has followed from it.
func (s *scene) watched(ctx context.Context, crowd string, size int, within time.Duration, do func() (time.Time, error)) (*cascade, error) {
	o, err := s.observe(ctx, departures(crowd)...)
	if err != nil {
		return nil, err
	}
	defer o.end()
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	before, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	at, err := do()
	if err != nil {
		return nil, err
	}
	if err := o.awaitAll(ctx, within, size); err != nil {
		return nil, err
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	spent, err := s.effortSince(ctx, before)
	if err != nil {
		return nil, err
	}
	spent.Seconds = o.last().Sub(at).Seconds()
	return &cascade{effort: *spent}, nil
}

func (s *scene) bareBulk(ctx context.Context, mould *mould, learned *cascade, size int) (*effort, error) {
	s.stop()
	crowd, err := s.pour(ctx, mould, "bare", size, never)
	if err != nil {
		return nil, err
	}
	result, err := s.watched(ctx, "bare", size, grace(3*size), func() (time.Time, error) {
		events := learned.effort.Events / float64(size)
		return s.departAll(ctx, learned.learned, crowd, events, func(p person) error {
			failures := []error{s.depart(ctx, mould, learned.learned, p)}
			for _, w := range piecesOf(p) {
				failures = append(failures, s.finish(ctx, learned.changes, p, w))
			}
			return errors.Join(append(failures, s.closeLedger(ctx, learned.learned, p))...)
		})
	})
	if err != nil {
		return nil, err
	}
	return &result.effort, s.sweep(ctx, "bare")
}

// closeLedger writes that all effects are done.
func (s *scene) closeLedger(ctx context.Context, learned *script, p person) error {
	path := pathOf(transitions, "user."+p.name+".2", "status")
	return s.asOperator.send(ctx, http.MethodPatch, path, merge, "{"+p.replaced.Replace(learned.ledger)+"}")
}

// heavyUser measures P5.
func (s *scene) heavyUser(ctx context.Context, mould *mould) (measure, error) {
	var rounds []round
	var others []float64
	var latest *cascade
	size := s.sizes.heavy
	for i := range s.sizes.rounds {
		var byBare *effort
		var byOperator *cascade
		err := turns(i, func() (err error) {
			byOperator, err = s.operatorHeavy(ctx, mould, size)
			latest = byOperator
			return err
		}, func() (err error) {
			if latest == nil {
				return errors.New("nothing was learned from the operator")
			}
			byBare, err = s.bareHeavy(ctx, mould, latest, size)
			return err
		})
		if err != nil {
			return measure{}, err
		}
		others = append(others, byOperator.other)
		rounds = append(rounds, round{
			Ratio: byOperator.effort.Seconds / byBare.Seconds, Operator: &byOperator.effort, Bare: byBare,
			Figures: map[string]float64{"otherSeconds": byOperator.other, "requestSeconds": byOperator.asking},
		})
		s.say("P5 round %d: operator %.1f s, bare client %.1f s: %.2f ×; the request took %.1f s; the other user's access was closed after %.0f ms", i+1,
			byOperator.effort.Seconds, byBare.Seconds, rounds[i].Ratio, byOperator.asking, 1000*byOperator.other)
	}
	m := of("P5", size, size, "×", cascadeBar, rounds)
	m.Figures["otherSeconds"] = quantile(others, 1)
	m.require(m.Figures["otherSeconds"] <= otherBar, "The other user's access was closed after %.2f s", m.Figures["otherSeconds"])
	m.remark("From the answer to the request that deactivates the user until the ledger is complete. Another user who is deactivated right after has no access %.0f ms after that was sent, at most; writes are per object",
		1000*m.Figures["otherSeconds"])
	return m, nil
}

// prepareHeavy puts a person with much work into etcd.
func (s *scene) prepareHeavy(ctx context.Context, mould *mould, crowd string, size int) (person, []piece, error) {
	s.stop()
	people, err := s.pour(ctx, mould, crowd, 1, never, users, memberships, transitions, bindings)
	if err != nil {
		return person{}, nil, err
	}
	pieces, err := s.heap(ctx, mould, people[0], size)
	return people[0], pieces, err
}

func (s *scene) operatorHeavy(ctx context.Context, mould *mould, size int) (*cascade, error) {
	p, _, err := s.prepareHeavy(ctx, mould, "heavy", size)
	if err != nil {
		return nil, err
	}
	if _, err := s.pour(ctx, mould, "light", 1, never); err != nil {
		return nil, err
	}
	if _, err := s.startSettled(ctx, 2, 2); err != nil {
		return nil, err
	}
	if err := s.cluster.AwaitWebhooks(ctx); err != nil {
		return nil, err
	}
	other, err := s.observe(ctx, sight{kind: bindings, goes: true, only: isOf("light")})
	if err != nil {
		return nil, err
	}
	defer other.end()
	var asking float64
	var otherSent time.Time
	result, err := s.watched(ctx, "heavy", 1, grace(size), func() (time.Time, error) {
		sent := time.Now()
		if err := s.leave(ctx, p.name); err != nil {
			return sent, err
		}
		at := time.Now()
		asking, otherSent = at.Sub(sent).Seconds(), at
		return at, s.leave(ctx, nameIn("light", 0))
	})
	if err != nil {
		return nil, err
	}
	result.asking, result.other = asking, math.Inf(1)
	if closed := other.when(bindings, nameIn("light", 0)); !closed.IsZero() {
		result.other = closed.Sub(otherSent).Seconds()
	}
	if result.learned, err = s.learn(ctx, mould, p); err != nil {
		return nil, err
	}
	if result.changes, err = s.learnWork(ctx, mould, p); err != nil {
		return nil, err
	}
	s.stop()
	return result, errors.Join(s.sweep(ctx, "heavy"), s.sweep(ctx, "light"))
}

// leave deactivates somebody by hand.
func (s *scene) leave(ctx context.Context, name string) error {
	return s.asAdmin.send(ctx, http.MethodPatch, pathOf(users, name), merge, `{"spec":{"desiredStatus":"Deactivated","reason":"Left"}}`)
}

func (s *scene) bareHeavy(ctx context.Context, mould *mould, learned *cascade, size int) (*effort, error) {
	p, pieces, err := s.prepareHeavy(ctx, mould, "bare", size)
	if err != nil {
		return nil, err
	}
	result, err := s.watched(ctx, "bare", 1, grace(size), func() (time.Time, error) {
		at := time.Now()
		return at, errors.Join(
			s.depart(ctx, mould, learned.learned, p),
			parallel(size, func(i int) error { return s.finish(ctx, learned.changes, p, pieces[i]) }),
			s.closeLedger(ctx, learned.learned, p),
		)
	})
	if err != nil {
		return nil, fmt.Errorf("the bare client: %w", err)
	}
	return &result.effort, s.sweep(ctx, "bare")
}

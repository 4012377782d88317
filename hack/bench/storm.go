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
	stormBar       = 1.3
	stormWritesBar = 4.0
	urgentBar      = 1.0 // seconds

	// graceFor and graceEach are how long a storm may take: an hour's wait for what does not come helps nobody.
	graceFor  = 20 * time.Second
	graceEach = 40 * time.Millisecond
)

// lookAhead is how long before an instant the last look is taken at what was used before: on a busy machine that takes a
// while itself.
const lookAhead = 1500 * time.Millisecond

// storm is what came of one storm.
type storm struct {
	effort  effort
	access  float64   // seconds until the last grant was gone
	closed  []float64 // for each user, until the grant was gone
	told    []float64 // and until the status said so
	urgent  []float64 // seconds from the request of a suspension by hand until the access was closed
	learned *script
	events  float64 // per user
}

// storms measures P1, P2 and P12.
func (b *bench) storms(ctx context.Context) (measures []measure, err error) {
	s, err := newScene(ctx, b, local.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	mould, err := s.newMould(ctx, nameIn("mould", 0), true, crew)
	if err != nil {
		return nil, err
	}
	still, err := s.newMould(ctx, nameIn("still", 0), false, crew)
	if err != nil {
		return nil, err
	}
	for i, size := range b.sizes.storms {
		bystanders := 0
		if i == len(b.sizes.storms)-1 && b.wanted("P12") {
			bystanders = b.sizes.bystanders
		}
		measures = append(measures, s.stormsOf(ctx, mould, still, size, bystanders)...)
	}
	return measures, nil
}

// stormsOf takes the rounds of one size.
func (s *scene) stormsOf(ctx context.Context, mould, still *mould, size, bystanders int) []measure {
	var whole, access, urgent []round
	var latest *storm
	var plot stormPlot
	for i := range s.sizes.rounds {
		var byOperator, byBare *storm
		var bareAccess *effort
		var bareClosed []float64
		err := turns(i, func() (err error) {
			byOperator, err = s.operatorStorm(ctx, mould, still, size, bystanders)
			latest = byOperator
			return err
		}, func() (err error) {
			if latest == nil {
				return errors.New("nothing was learned from the operator")
			}
			if byBare, err = s.bareStorm(ctx, mould, latest, size); err != nil || !s.wanted("P2") {
				return err
			}
			bareAccess, bareClosed, err = s.bareClosing(ctx, mould, size)
			return err
		})
		if err != nil {
			measures := []measure{failed("P1", size, err), failed("P2", size, err)}
			if bystanders > 0 {
				measures = append(measures, failed("P12", size, err))
			}
			return measures
		}
		r := round{Ratio: byOperator.effort.Seconds / byBare.effort.Seconds, Operator: &byOperator.effort, Bare: &byBare.effort}
		whole = append(whole, r)
		if bareAccess != nil {
			closing := byOperator.effort
			closing.Seconds = byOperator.access
			access = append(access, round{Ratio: closing.Seconds / bareAccess.Seconds, Operator: &closing, Bare: bareAccess})
		}
		if len(byOperator.urgent) > 0 {
			urgent = append(urgent, round{Ratio: quantile(byOperator.urgent, 1), Figures: map[string]float64{"median": median(byOperator.urgent)}})
		}
		s.say("P1 %s users, round %d: operator %.1f s (grants gone after %.1f s), bare client %.1f s: %.2f ×; writes per user %.2f, operator CPU %.1f ms, API server %.1f ms (bare %.1f ms)",
			thousands(size), i+1, byOperator.effort.Seconds, byOperator.access, byBare.effort.Seconds, r.Ratio, r.Operator.Writes/float64(size),
			1000*r.Operator.OperatorCPU/float64(size), 1000*r.Operator.APIServerCPU/float64(size), 1000*r.Bare.APIServerCPU/float64(size))
		plot = stormPlot{size: size, operatorClosed: byOperator.closed, operatorTold: byOperator.told, bareTold: byBare.told, bareClosed: bareClosed}
	}
	if err := plot.save(s.output); err != nil {
		s.say("%v", err)
	}
	return stormMeasures(size, whole, access, urgent)
}

func stormMeasures(size int, whole, access, urgent []round) []measure {
	p1 := of("P1", size, size, "×", stormBar, whole)
	p1.require(p1.WritesPerUser <= stormWritesBar+0.05, "%.2f writes per user instead of %.0f", p1.WritesPerUser, stormWritesBar)
	var refused []float64
	for _, r := range whole {
		refused = append(refused, r.Operator.Requests[refusedRequests]/float64(size))
	}
	p1.Figures["refusedPerUser"] = median(refused)
	p1.remark("%.2f of the writes per user are refused, because another worker was faster", p1.Figures["refusedPerUser"])
	p1.remark("The operator also makes %.2f Events per user, and the bare client as many", p1.EventsPerUser)
	measures := []measure{p1}
	if len(access) > 0 {
		measures = append(measures, of("P2", size, size, "×", stormBar, access))
	}
	if len(urgent) > 0 {
		p12 := of("P12", size, size, "s", urgentBar, urgent)
		p12.remark("The longest of several in each storm, from when the suspension was sent until the grant was gone")
		measures = append(measures, p12)
	}
	return measures
}

// grace is how long a storm of a size may take.
func grace(size int) time.Duration {
	return graceFor + time.Duration(size)*graceEach
}

// lead is how long before its instant a storm is made: the time to put everybody into etcd and to start the operator.
func (s *scene) lead(size int) time.Duration {
	const users = 700 // in a second
	return time.Duration(s.slowness * float64(8*time.Second+time.Duration(size)*time.Second/users))
}

// nextInstant is an instant that declared times can have, not earlier than so long from now.
func nextInstant(after time.Duration) time.Time {
	return time.Now().Add(after).Truncate(time.Second).Add(time.Second)
}

// operatorStorm has a crowd expire in one second, under the operator.
func (s *scene) operatorStorm(ctx context.Context, mould, still *mould, size, bystanders int) (result *storm, err error) {
	err = s.inTime(func() (err error) {
		result, err = s.tryStorm(ctx, mould, still, size, bystanders)
		return err
	})
	return result, err
}

func (s *scene) tryStorm(ctx context.Context, mould, still *mould, size, bystanders int) (*storm, error) {
	s.stop()
	if err := errors.Join(s.sweep(ctx, "storm"), s.sweep(ctx, "urgent")); err != nil {
		return nil, err
	}
	at := nextInstant(s.lead(size))
	crowd, err := s.pour(ctx, mould, "storm", size, allAt(at))
	if err != nil {
		return nil, err
	}
	if bystanders > 0 {
		if _, err := s.pour(ctx, still, "urgent", bystanders, never); err != nil {
			return nil, err
		}
	}
	if _, err := s.startBefore(ctx, at, size, size); err != nil {
		return nil, err
	}
	result, err := s.weather(ctx, at, "storm", size, bystanders)
	if err != nil {
		return nil, err
	}
	if result.learned, err = s.learn(ctx, mould, crowd[0]); err != nil {
		return nil, err
	}
	s.stop()
	return result, errors.Join(s.sweep(ctx, "storm"), s.sweep(ctx, "urgent"))
}

// weather waits for a storm, and until it is over.
func (s *scene) weather(ctx context.Context, at time.Time, crowd string, size, bystanders int) (*storm, error) {
	o, err := s.observe(ctx, sightsOf(crowd)...)
	if err != nil {
		return nil, err
	}
	defer o.end()
	others, err := s.observe(ctx, sight{kind: bindings, goes: true, only: isOf("urgent")})
	if err != nil {
		return nil, err
	}
	defer others.end()
	if time.Until(at) < lookAhead {
		return nil, errLate
	}
	if err := pause(ctx, at.Add(-lookAhead)); err != nil {
		return nil, err
	}
	before, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	if time.Now().After(at) {
		return nil, errLate
	}
	suspended := make(chan []float64, 1)
	running, finished := context.WithCancel(ctx)
	defer finished()
	go func() { suspended <- s.suspend(running, o, others, at, size, bystanders) }()
	if err := o.awaitAll(ctx, time.Until(at)+grace(size), size); err != nil {
		return nil, err
	}
	result := &storm{
		access: o.last(bindings).Sub(at).Seconds(), closed: o.after(bindings, always(at)), told: o.after(users, always(at)),
		urgent: <-suspended,
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	spent, err := s.effortSince(ctx, before)
	if err != nil {
		return nil, err
	}
	result.effort = *spent
	result.effort.Seconds = o.last().Sub(at).Seconds()
	result.events = spent.Events / float64(size)
	if early := quantile(result.closed, 0); early < 0 {
		return nil, fmt.Errorf("access was closed %.3f s before its time", -early)
	}
	return result, nil
}

// sightsOf are the departures of a crowd that expires.
func sightsOf(crowd string) []sight {
	sights := entering(v1alpha1.StateExpired)
	for i := range sights {
		sights[i].only = isOf(crowd)
	}
	return sights
}

// isOf tells whether somebody is of a crowd.
func isOf(crowd string) func(string) bool {
	return func(name string) bool { return len(name) > len(crowd) && name[:len(crowd)+1] == crowd+"-" }
}

// suspend suspends bystanders by hand, each at another point of the storm, and measures until their access is closed.
func (s *scene) suspend(ctx context.Context, storm, others *observer, at time.Time, size, bystanders int) []float64 {
	var seconds []float64
	for i := range bystanders {
		share := float64(i+1) / float64(bystanders+1)
		if storm.await(ctx, time.Until(at)+grace(size), "the middle of the storm", func() bool {
			return storm.count(users) >= int(share*float64(size))
		}) != nil {
			return seconds
		}
		name := nameIn("urgent", i)
		sent := time.Now()
		if err := s.asAdmin.send(ctx, http.MethodPatch, pathOf(users, name), merge,
			`{"spec":{"desiredStatus":"Suspended","reason":"Inquiry"}}`); err != nil {
			s.say("P12: %v", err)
			return append(seconds, math.Inf(1))
		}
		answered := time.Now()
		if others.await(ctx, grace(size), "the access of somebody who was suspended to be closed", func() bool {
			return !others.when(bindings, name).IsZero()
		}) != nil {
			return append(seconds, math.Inf(1))
		}
		seconds = append(seconds, others.when(bindings, name).Sub(sent).Seconds())
		s.say("P12 suspended in the middle: answered after %.0f ms, access closed after %.0f ms",
			1000*answered.Sub(sent).Seconds(), 1000*seconds[len(seconds)-1])
	}
	return seconds
}

// bareStorm has the bare client do for a crowd what the operator does in a storm.
func (s *scene) bareStorm(ctx context.Context, mould *mould, learned *storm, size int) (*storm, error) {
	s.stop()
	crowd, err := s.pour(ctx, mould, "bare", size, never)
	if err != nil {
		return nil, err
	}
	result, err := s.bareWeather(ctx, mould, learned, crowd)
	return result, errors.Join(err, s.sweep(ctx, "bare"))
}

// bareWeather has a crowd lose its access by the bare client.
func (s *scene) bareWeather(ctx context.Context, mould *mould, learned *storm, crowd []person) (*storm, error) {
	o, err := s.observe(ctx, sightsOf("bare")...)
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
	at, err := s.departAll(ctx, learned.learned, crowd, learned.events, func(p person) error {
		return s.depart(ctx, mould, learned.learned, p)
	})
	if err != nil {
		return nil, err
	}
	if err := o.awaitAll(ctx, grace(len(crowd)), len(crowd)); err != nil {
		return nil, err
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	spent, err := s.effortSince(ctx, before)
	if err != nil {
		return nil, err
	}
	result := &storm{effort: *spent, told: o.after(users, always(at)), closed: o.after(bindings, always(at)), access: o.last(bindings).Sub(at).Seconds()}
	result.effort.Seconds = o.last().Sub(at).Seconds()
	return result, nil
}

// bareClosing has the bare client take away the grants of a crowd, and nothing else.
func (s *scene) bareClosing(ctx context.Context, mould *mould, size int) (*effort, []float64, error) {
	crowd, err := s.pour(ctx, mould, "bare", size, never, bindings)
	if err != nil {
		return nil, nil, err
	}
	o, err := s.observe(ctx, sight{kind: bindings, goes: true, only: isOf("bare")})
	if err != nil {
		return nil, nil, err
	}
	defer o.end()
	if err := s.settle(ctx); err != nil {
		return nil, nil, err
	}
	before, err := s.look(ctx)
	if err != nil {
		return nil, nil, err
	}
	at := time.Now()
	if err := parallel(size, func(i int) error { return s.close(ctx, mould, crowd[i]) }); err != nil {
		return nil, nil, err
	}
	if err := o.awaitAll(ctx, grace(size), size); err != nil {
		return nil, nil, err
	}
	spent, err := s.effortSince(ctx, before)
	if err != nil {
		return nil, nil, err
	}
	spent.Seconds = o.last().Sub(at).Seconds()
	return spent, o.after(bindings, always(at)), s.sweep(ctx, "bare")
}

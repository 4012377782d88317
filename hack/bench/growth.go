package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"tenure.dev/tenure/hack/local"
)

const (
	growthBar = 1.2
	startBar  = 1.3
	heapBar   = 1.5         // kB per User
	memoryBar = 450.0 * mib // of all
	mib       = 1 << 20
)

// present is what was measured with so many users there.
type present struct {
	size           int
	operator, bare []effort // of those who expire

	// Of the operator's starts, where they count.
	starts, informers []effort
	resident, most    []float64
	heap, lone        float64
	synced            synced
}

// growth measures P9; with the most users, P7 and P8 on the way.
func (b *bench) growth(ctx context.Context) (measures []measure, err error) {
	s, err := newScene(ctx, b, local.Options{Environment: thrifty()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	mould, err := s.newMould(ctx, nameIn("mould", 0), true, crew)
	if err != nil {
		return nil, err
	}
	s.stop()
	there := 0
	var all []present
	for i, size := range b.sizes.present {
		last := i == len(b.sizes.present)-1
		standing := max(size-b.sizes.expiring, 0)
		began := time.Now()
		if _, err := s.pour(ctx, mould, fmt.Sprintf("stand%d", size), standing-there, never); err != nil {
			return nil, err
		}
		if there = standing; !last && !b.wanted("P9") {
			continue
		}
		s.say("%s users are there, put into etcd in %.0f s", thousands(standing), time.Since(began).Seconds())
		if err := s.expectServed(ctx, map[string]int{users: there, memberships: there, bindings: there, transitions: 2 * there}); err != nil {
			return nil, err
		}
		p, err := s.costs(ctx, mould, size, there, last)
		if err != nil {
			return nil, err
		}
		all = append(all, *p)
	}
	last := &all[len(all)-1]
	if b.wanted("P9") {
		measures = append(measures, s.growthMeasure(all))
	}
	return append(measures, startMeasure(last), memoryMeasure(last, s.sizes.lone)), nil
}

// thrifty has the API server collect its garbage before the machine is full: with 100,000 users it holds half a million objects, and
// waiting for as much garbage again would leave no room for the operator.
func thrifty() map[string][]string {
	const share = 0.62
	return map[string][]string{local.APIServer: {fmt.Sprintf("GOMEMLIMIT=%.0fMiB", share*thisMachine().Memory*1024)}}
}

// costs takes the rounds with so many others present. Starts count where they are to be compared with bare informers.
func (s *scene) costs(ctx context.Context, mould *mould, size, standing int, starts bool) (*present, error) {
	p := &present{size: size}
	expiring := s.sizes.expiring
	for i := range s.sizes.rounds {
		var now *storm
		var start *effort
		if err := s.inTime(func() (err error) {
			now, start, err = s.smallStorm(ctx, mould, expiring, standing)
			return err
		}); err != nil {
			return nil, err
		}
		if err := p.started(s, start); err != nil {
			return nil, err
		}
		if starts && i == s.sizes.rounds-1 {
			if err := s.weigh(ctx, mould, p); err != nil {
				return nil, err
			}
		}
		s.stop()
		if err := errors.Join(s.sweep(ctx, "grow"), s.sweep(ctx, "lone")); err != nil {
			return nil, err
		}
		bare, err := s.bareStorm(ctx, mould, now, expiring)
		if err != nil {
			return nil, err
		}
		p.operator, p.bare = append(p.operator, now.effort), append(p.bare, bare.effort)
		s.say("P9 %s users, round %d: %.2f ms per user, bare client %.2f ms; operator CPU %.1f ms", thousands(size), i+1,
			1000*now.effort.Seconds/float64(expiring), 1000*bare.effort.Seconds/float64(expiring), 1000*now.effort.OperatorCPU/float64(expiring))
		if starts {
			informers, err := s.timedInformers(ctx, p)
			if err != nil {
				return nil, err
			}
			s.say("P7 round %d: the operator starts in %.1f s, with %.1f s of CPU; bare informers in %.1f s, with %.1f s", i+1,
				start.Seconds, start.OperatorCPU, informers.Seconds, informers.OperatorCPU)
		}
	}
	return p, nil
}

// smallStorm has some users expire while many others are there.
func (s *scene) smallStorm(ctx context.Context, mould *mould, expiring, standing int) (*storm, *effort, error) {
	const crowd = "grow"
	s.stop()
	if err := s.sweep(ctx, crowd); err != nil {
		return nil, nil, err
	}
	more := s.slowness * float64(standing) / startsAtLeast
	at := nextInstant(s.lead(expiring) + time.Duration(more*float64(time.Second)))
	people, err := s.pour(ctx, mould, crowd, expiring, allAt(at))
	if err != nil {
		return nil, nil, err
	}
	start, err := s.startBefore(ctx, at, standing+expiring, standing+expiring)
	if err != nil {
		return nil, nil, err
	}
	now, err := s.weather(ctx, at, crowd, expiring, 0)
	if err != nil {
		return nil, nil, err
	}
	now.learned, err = s.learn(ctx, mould, people[0])
	return now, start, err
}

// startsAtLeast is how many users in a second the operator knows when it starts, at the very least.
const startsAtLeast = 200

// started keeps what a start took, in time and memory.
func (p *present) started(s *scene, start *effort) error {
	resident, most, err := memoryOf(s.operator.pid())
	p.starts, p.resident, p.most = append(p.starts, *start), append(p.resident, resident), append(p.most, most)
	return err
}

// perUser is the median of what a user costs, in milliseconds.
func perUser(efforts []effort, size int, cost func(*effort) float64) float64 {
	var values []float64
	for i := range efforts {
		values = append(values, 1000*cost(&efforts[i])/float64(size))
	}
	return median(values)
}

// growthMeasure compares the cost per user with many users present to that with few. As everywhere the cost is what the
// operator takes over what the bare client takes: the API server has more to do with many, too.
func (s *scene) growthMeasure(all []present) measure {
	seconds := func(e *effort) float64 { return e.Seconds }
	figures := map[string]float64{}
	var operatorTime, bareTime, operatorCPU plotter.XYs
	var rounds []round
	first, last := all[0], all[len(all)-1]
	for _, p := range all {
		size := float64(p.size)
		here := fmt.Sprint(p.size)
		figures["operatorMillisecondsAt"+here] = perUser(p.operator, s.sizes.expiring, seconds)
		figures["bareMillisecondsAt"+here] = perUser(p.bare, s.sizes.expiring, seconds)
		figures["operatorCPUAt"+here] = perUser(p.operator, s.sizes.expiring, func(e *effort) float64 { return e.OperatorCPU })
		figures["apiserverCPUAt"+here] = perUser(p.operator, s.sizes.expiring, func(e *effort) float64 { return e.APIServerCPU })
		operatorTime = append(operatorTime, plotter.XY{X: size, Y: figures["operatorMillisecondsAt"+here]})
		bareTime = append(bareTime, plotter.XY{X: size, Y: figures["bareMillisecondsAt"+here]})
		operatorCPU = append(operatorCPU, plotter.XY{X: size, Y: figures["operatorCPUAt"+here]})
	}
	for i := range last.operator {
		few := first.operator[i].Seconds / first.bare[i].Seconds
		many := last.operator[i].Seconds / last.bare[i].Seconds
		rounds = append(rounds, round{Ratio: many / few, Operator: &last.operator[i], Bare: &last.bare[i]})
	}
	m := of("P9", last.size, s.sizes.expiring, "×", growthBar, rounds)
	m.Figures = figures
	plain := operatorTime[len(operatorTime)-1].Y / operatorTime[0].Y
	m.Figures["operatorGrowth"], m.Figures["bareGrowth"] = plain, bareTime[len(bareTime)-1].Y/bareTime[0].Y
	m.remark("%s of the users expire. The cost per user is the time over that of the bare client; in time alone it grows by %.2f × from %s to %s users, that of the bare client by %.2f ×",
		thousands(s.sizes.expiring), plain, thousands(first.size), thousands(last.size), m.Figures["bareGrowth"])
	if err := draw(filepath.Join(s.output, plotsFolder, "growth.png"), fmt.Sprintf("%s users expire while many are there", thousands(s.sizes.expiring)),
		"users present", "milliseconds per user who expires", func(p *plot.Plot) {
			p.Y.Min = 0
			p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		},
		curve{name: "operator", color: operatorColor, at: operatorTime},
		curve{name: "bare client", color: bareColor, at: bareTime},
		curve{name: "operator, CPU", color: operatorLightColor, at: operatorCPU},
	); err != nil {
		s.say("%v", err)
	}
	return m
}

// startMeasure is P7.
func startMeasure(p *present) measure {
	var rounds []round
	counts := 0.0
	for i := range p.starts {
		rounds = append(rounds, round{Ratio: p.starts[i].Seconds / p.informers[i].Seconds, Operator: &p.starts[i], Bare: &p.informers[i]})
		counts = max(counts, p.starts[i].Summaries)
	}
	m := of("P7", p.size, p.size, "×", startBar, rounds)
	m.remark("From the start of the process until it is ready and has looked at every user and membership, of which each has one, with a grant and two Transitions. Nothing is written about anybody; "+
		"%.0f times at most were counts written of groups and organizations, to which people were added past the API server", counts)
	return m
}

// memoryMeasure is P8.
func memoryMeasure(p *present, lone int) measure {
	m := of("P8", p.size, p.size, "kB per User", heapBar, []round{{Ratio: p.lone / 1000}})
	resident, most := median(p.resident), median(p.most)
	m.Figures = map[string]float64{
		"heapBytes": p.heap, "rssBytes": resident, "mostRSSBytes": most, "heapPerUserWithAllKilobytes": p.heap / float64(p.size) / 1000,
		"informersHeapBytes": p.synced.Heap, "informersRSSBytes": p.synced.RSS,
	}
	m.require(resident <= memoryBar, "RSS is %.0f MiB instead of %.0f", resident/mib, memoryBar/mib)
	m.remark("What %s more users without anything else add to the heap, indexes and deadlines included. With membership, grant and two Transitions a user takes %.1f kB; all together are %.0f MiB of heap, "+
		"RSS %.0f MiB after the start (most %.0f MiB). Bare informers have %.0f MiB of heap, RSS %.0f MiB", thousands(lone),
		m.Figures["heapPerUserWithAllKilobytes"], p.heap/mib, resident/mib, most/mib, p.synced.Heap/mib, p.synced.RSS/mib)
	return m
}

// timedInformers starts the bare counterpart and waits until it has all objects.
func (s *scene) timedInformers(ctx context.Context, p *present) (*effort, error) {
	s.stop()
	server, err := cpuOf(s.cluster.PID(local.APIServer))
	if err != nil {
		return nil, err
	}
	command, err := s.informersProcess(ctx)
	if err != nil {
		return nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting bare informers: %w", err)
	}
	began := time.Now()
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting bare informers: %w", err)
	}
	lines := bufio.NewScanner(output)
	said := lines.Scan()
	seconds := time.Since(began).Seconds()
	after, err := cpuOf(s.cluster.PID(local.APIServer))
	if said && lines.Scan() {
		err = errors.Join(err, json.Unmarshal(lines.Bytes(), &p.synced))
	}
	if err := errors.Join(err, lines.Err(), command.Wait()); err != nil {
		return nil, fmt.Errorf("waiting for bare informers: %w", err)
	}
	p.informers = append(p.informers, effort{Seconds: seconds, OperatorCPU: p.synced.CPU, APIServerCPU: after - server})
	return &p.informers[len(p.informers)-1], nil
}

// weigh finds what the operator's heap holds, and what users alone add to it: their status names a Transition, so that they
// bring nothing else with them.
func (s *scene) weigh(ctx context.Context, mould *mould, p *present) (err error) {
	if p.heap, err = s.liveHeap(ctx); err != nil {
		return err
	}
	if _, err := s.pour(ctx, mould, "lone", s.sizes.lone, never, users); err != nil {
		return err
	}
	if err := errors.Join(s.awaitIdle(ctx), s.settle(ctx), s.awaitIdle(ctx)); err != nil {
		return err
	}
	more, err := s.liveHeap(ctx)
	p.lone = (more - p.heap) / float64(s.sizes.lone)
	return err
}

// liveHeap is what the operator's heap holds, without garbage. A collection comes when enough has been allocated, and being
// asked for metrics allocates.
func (s *scene) liveHeap(ctx context.Context) (float64, error) {
	const collections = 3 // the last of them began after what is asked about was there
	begun := -1.0
	for {
		said, err := s.operator.said(ctx)
		if err != nil {
			return 0, err
		}
		cycles := total(said, "go_gc_cycles_total_gc_cycles_total")
		if begun < 0 {
			begun = cycles
		}
		if cycles >= begun+collections {
			return total(said, "go_gc_heap_live_bytes"), nil
		}
	}
}

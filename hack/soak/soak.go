package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// names of the people of the organization, as many as are asked for.
var names = []string{
	"alice", "bob", "carol", "dan", "erin", "frank", "grace", "heidi", "ivan", "judy", "kate", "leo", "mona", "nina", "otto", "peggy",
	"quinn", "rupert", "sybil", "trent", "uma", "victor", "wendy", "xavier", "yara", "zoe", "amir", "bella", "chen", "dora", "emil", "fay",
}

// summary is what came of a soak.
type summary struct {
	Minutes     float64            `json:"minutes"`
	Operations  int                `json:"operations"`
	Refused     int                `json:"refused"`
	Faults      int                `json:"faults"`
	QuietPoints int                `json:"quietPoints"`
	Subjects    int                `json:"subjects"`
	Unjudged    int                `json:"unjudged"` // of the subjects, whose way was not compared: a watch had missed something
	Transitions int                `json:"transitions"`
	Cuts        int                `json:"cuts"`
	Diverged    int                `json:"diverged"`
	Lost        int                `json:"lost"`
	Doubled     int                `json:"doubled"`
	WorstCut    float64            `json:"worstCutSeconds"`
	Worst       map[string]float64 `json:"worstCutSecondsByKind"`
	Busy        float64            `json:"busiest"` // how much slower the machine was at times, by its other work too
	Seed        uint64             `json:"seed"`
	Settings    string             `json:"settings"`

	lease time.Duration
}

func (s *summary) words() string {
	var said strings.Builder
	fmt.Fprintf(&said, "\n%.1f minutes, seed %d, %s: %d operations (%d refused), %d faults, %d quiet points.\n"+
		"Diverged %d, lost %d, doubled %d, of %d subjects compared (%d by their end alone) and %d changes recorded.\n\n",
		s.Minutes, s.Seed, s.Settings, s.Operations, s.Refused, s.Faults, s.QuietPoints, s.Diverged, s.Lost, s.Doubled, s.Subjects, s.Unjudged, s.Transitions)
	said.WriteString("| Access is cut after | at the latest | R4 |\n|---|--:|--:|\n")
	for _, kind := range []string{clean, handover, killed, stopped, alone, standby, webhooksAway, apiAway, several} {
		worst, ok := s.Worst[kind]
		if !ok {
			continue
		}
		bar := ""
		if limit, ok := bars(s.lease)[kind]; ok {
			bar = fmt.Sprintf("≤ %s", limit)
		}
		fmt.Fprintf(&said, "| %s | %.2f s | %s |\n", kind, worst, bar)
	}
	return said.String()
}

// soak runs until its time is over, or something is found.
func soak(ctx context.Context, o options, out io.Writer) (s *summary, err error) {
	o.people = min(o.people, len(names))
	fmt.Fprintf(out, "Seed %d. Starting a control plane and two replicas\n", o.seed)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := startWorld(ctx, o, out)
	if err != nil {
		return nil, err
	}
	defer func() {
		cancel()
		err = errors.Join(err, w.cluster.Stop())
	}()
	w.model = newModel()
	b := newBook(w)
	s = &summary{Seed: o.seed, Worst: map[string]float64{}, lease: o.lease, Settings: fmt.Sprintf("%d people, lease %s", o.people, o.lease)}

	go w.probe(ctx)
	var desks sync.WaitGroup
	defer desks.Wait()
	defer cancel()
	w.closed = true
	for i, name := range names[:o.people] {
		desks.Go(func() { w.newDesk(name, i).work(ctx) })
	}
	board := &desk{world: w, name: "boardroom", random: rand.New(rand.NewPCG(o.seed, hash("boardroom")))}
	desks.Go(func() { board.attend(ctx) })
	ended := make(chan error, 1)
	go func() {
		ended <- w.cluster.Wait(ctx)
		cancel()
	}()

	random := rand.New(rand.NewPCG(o.seed, hash("faults")))
	began := time.Now()
	if err := b.begin(ctx); err != nil {
		return nil, errors.Join(err, why(ctx, ended))
	}
	for time.Since(began) < o.duration {
		w.open()
		disturbed, over := context.WithTimeout(ctx, o.epoch)
		if o.calm {
			pause(disturbed, o.epoch)
		} else {
			w.disturb(disturbed, random)
		}
		over()
		w.heal()
		w.close()
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), why(ctx, ended))
		}
		point, err := b.quietPoint(ctx)
		if err != nil {
			return nil, errors.Join(err, why(ctx, ended))
		}
		s.add(point, w)
		s.Minutes = time.Since(began).Minutes()
		fmt.Fprintln(out, s.line(point))
		if len(point.findings) > 0 {
			b.tell(out, point)
			if !o.goOn {
				return s, errDiverged
			}
		}
	}
	if s.Diverged+s.Lost+s.Doubled > 0 {
		return s, errDiverged
	}
	return s, nil
}

// why is what ended a soak before its time, where it was a program of the cluster.
func why(ctx context.Context, ended <-chan error) error {
	if ctx.Err() == nil {
		return nil
	}
	return <-ended
}

// attend is the work of the boardroom, while the world is open.
func (d *desk) attend(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, time.Duration(500+d.random.IntN(4000))*time.Millisecond)
		if d.enter() {
			d.boardroom(ctx)
			d.busy.Done()
		}
	}
}

func (s *summary) add(p *point, w *world) {
	w.model.mu.Lock()
	s.Operations, s.Refused = w.model.asked, w.model.refused
	w.model.mu.Unlock()
	s.Faults = w.faults.count
	s.QuietPoints++
	s.Subjects += p.subjects
	s.Unjudged += p.unjudged
	s.Transitions += p.transitions
	s.Cuts += p.cuts
	s.Busy = max(s.Busy, p.busy)
	for kind, worst := range p.worst {
		s.Worst[kind] = max(s.Worst[kind], worst.Seconds())
		if kind != apiAway { // of which the figures are there beside
			s.WorstCut = max(s.WorstCut, worst.Seconds())
		}
	}
	for _, f := range p.findings {
		switch f.kind {
		case lost:
			s.Lost++
		case doubled:
			s.Doubled++
		default:
			s.Diverged++
		}
	}
}

func (s *summary) line(p *point) string {
	worst, kind := time.Duration(0), clean
	for k, d := range p.worst {
		if d > worst {
			worst, kind = d, k
		}
	}
	return fmt.Sprintf("%s  quiet point %d after %s: %d operations, %d refused, %d faults; %d subjects, %d changes and %d cuts compared, latest cut %.2f s (%s, machine %.1f times slower)",
		time.Now().UTC().Format("15:04:05"), s.QuietPoints, p.took.Round(100*time.Millisecond), s.Operations, s.Refused, s.Faults, p.subjects, p.transitions, p.cuts, worst.Seconds(), kind, p.busy)
}

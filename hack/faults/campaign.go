package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// campaign is a lot of plans.
type campaign struct {
	lab       *lab
	scenarios []scenario
	parallel  int
	faults    []string // empty: all
	choice    choice
	outages   *lab      // where plans run that concern everybody, one by one; nil: none of them do
	once      bool      // the first failure is enough
	excused   []problem // which the operator has without a mistake, too
	logs      string    // where the logs of failed plans go
	out       io.Writer

	mu     sync.Mutex
	report report
	failed []*outcome
}

const (
	// mostMinimised is how many failures are looked at again.
	mostMinimised = 12

	// tellEach is after how many plans each the campaign tells how far it has come.
	tellEach = 100
)

func (c *campaign) run(ctx context.Context) (*report, error) {
	began := time.Now()
	var mu sync.Mutex
	var plans, alone []plan
	if err := c.each(ctx, c.scenarios, func(s scenario) error {
		ref, outcomes, err := c.lab.referenceOf(ctx, plan{scenario: s.name}, s)
		if err != nil {
			return err
		}
		for _, o := range outcomes {
			if err := c.take(o, o.problems); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		plans = append(plans, plansOf(s.name, ref.trace, c.wanted)...)
		alone = append(alone, outagePlans(s.name, ref.trace, c.wanted)...)
		return nil
	}); err != nil {
		return nil, err
	}
	if c.outages == nil {
		alone = nil
	} else {
		c.outages.learn(c.lab)
	}
	chosen := c.choice.of(plans)
	fmt.Fprintf(c.out, "%d plans of %d (-seed %d), and %d that run alone\n", len(chosen), len(plans), c.choice.seed, len(alone))
	var failures [2]error
	var both sync.WaitGroup
	both.Go(func() { failures[0] = c.tryAll(ctx, c.parallel, chosen) })
	// What is out of order for all plans there mostly waits.
	both.Go(func() { failures[1] = c.tryAll(ctx, 1, alone) })
	both.Wait()
	if err := errors.Join(failures[:]...); err != nil {
		return nil, err
	}
	c.report.Seconds, c.report.Parallel, c.report.Seed, c.report.Machine = time.Since(began).Seconds(), c.parallel, c.choice.seed, machine()
	return &c.report, c.lookAgain(ctx)
}

// enough tells whether nothing more is asked for.
func (c *campaign) enough() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.once && len(c.failed) > 0
}

func (c *campaign) tryAll(ctx context.Context, parallel int, plans []plan) error {
	return each(ctx, parallel, plans, func(p plan) error {
		if c.enough() {
			return nil
		}
		return c.try(ctx, p)
	})
}

func (c *campaign) wanted(fault string) bool {
	return len(c.faults) == 0 || slices.Contains(c.faults, fault)
}

func (c *campaign) each(ctx context.Context, all []scenario, do func(scenario) error) error {
	return each(ctx, c.parallel, all, do)
}

// labOf is where a plan runs.
func (c *campaign) labOf(p plan) *lab {
	if f, err := faultNamed(p.fault); err == nil && f.alone && c.outages != nil {
		return c.outages
	}
	return c.lab
}

// try runs a plan and asks the oracles.
func (c *campaign) try(ctx context.Context, p plan) error {
	o, problems, err := c.labOf(p).try(ctx, c.scenarios, p)
	if err != nil {
		return err
	}
	return c.take(o, problems)
}

// try runs a plan and asks the oracles.
func (l *lab) try(ctx context.Context, all []scenario, p plan) (*outcome, []problem, error) {
	s, err := scenarioOf(all, p)
	if err != nil {
		return nil, nil, err
	}
	ref, _, err := l.referenceOf(ctx, p, s)
	if err != nil {
		return nil, nil, err
	}
	o, err := l.do(ctx, p, s)
	if err != nil {
		return nil, nil, err
	}
	if p.fault == "" {
		return o, o.problems, nil
	}
	f, err := faultNamed(p.fault)
	if err != nil {
		return nil, nil, err
	}
	return o, append(o.problems, ref.compare(o, f)...), nil
}

// take counts a plan, and keeps the log of one that has failed.
func (c *campaign) take(o *outcome, problems []problem) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	problems = slices.DeleteFunc(problems, func(p problem) bool { return slices.Contains(c.excused, p) })
	c.report.add(o, problems)
	if c.report.Points%tellEach == 0 {
		fmt.Fprintf(c.out, "%d plans, %d failed\n", c.report.Points, c.report.Failed)
	}
	if len(problems) == 0 {
		o.log = nil
		return nil
	}
	o.problems = problems
	if c.once && len(c.failed) > 0 {
		return nil // What fails beside the first has not been asked for.
	}
	c.failed = append(c.failed, o)
	fmt.Fprintf(c.out, "failed: %s: %s %s\n", o.plan, problems[0].Oracle, problems[0].Sentence)
	o.kept, err = keepLog(c.logs, o)
	o.log = nil
	return err
}

// lookAgain runs failed plans again, to see whether they fail each time and with less, and keeps their logs.
func (c *campaign) lookAgain(ctx context.Context) error {
	slices.SortFunc(c.failed, func(a, b *outcome) int { return slices.Compare([]byte(a.plan.String()), []byte(b.plan.String())) })
	for i, o := range c.failed {
		f := failure{Replay: o.plan.String(), Problems: o.problems, Log: o.kept}
		if i < mostMinimised && o.plan.fault != "" && !c.once {
			smallest, steady, err := c.minimise(ctx, o.plan)
			if err != nil {
				return err
			}
			f.Replay, f.Steady, f.Again = smallest.String(), steady, true
		}
		c.report.Failures = append(c.report.Failures, f)
	}
	return nil
}

// minimise finds a plan with fewer steps or a simpler fault that fails too, and tells whether the plan fails each time.
func (c *campaign) minimise(ctx context.Context, p plan) (smallest plan, steady bool, err error) {
	if steady, err = c.fails(ctx, p); err != nil || !steady {
		return p, false, err
	}
	s, err := scenarioOf(c.scenarios, p)
	if err != nil {
		return p, false, err
	}
	var simpler []plan
	for n := 1; n < len(s.steps); n++ {
		fewer := p
		fewer.steps = n
		simpler = append(simpler, fewer)
	}
	if p.fault == crashTwice || p.fault == crashLater {
		once := p
		once.fault = crashAfter
		simpler = append(simpler, once)
	}
	for _, candidate := range simpler {
		fails, err := c.fails(ctx, candidate)
		if err != nil {
			return p, false, err
		}
		if fails {
			return candidate, true, nil
		}
	}
	return p, true, nil
}

func (c *campaign) fails(ctx context.Context, p plan) (bool, error) {
	o, problems, err := c.labOf(p).try(ctx, c.scenarios, p)
	if err != nil {
		return false, err
	}
	return o.struck && len(problems) > 0, nil
}

// each does something for each of many, several at a time, until one fails.
func each[T any](ctx context.Context, parallel int, all []T, do func(T) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work := make(chan T)
	failures := make(chan error, parallel)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for one := range work {
				if err := do(one); err != nil {
					failures <- err
					cancel()
					return
				}
			}
		})
	}
feeding:
	for _, one := range all {
		select {
		case work <- one:
		case <-ctx.Done():
			break feeding
		}
	}
	close(work)
	workers.Wait()
	close(failures)
	var failure error
	for err := range failures {
		failure = errors.Join(failure, err)
	}
	return errors.Join(failure, context.Cause(ctx))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tenure.dev/tenure/hack/local"
)

// bench is one run of this program.
type bench struct {
	options
	sizes  sizes
	root   string
	result result
	began  time.Time

	// pending are measures that go on while others are taken: what the operator does at rest takes minutes to see, and
	// nothing of the machine.
	pending []func() ([]measure, error)

	mutex sync.Mutex // of out
	out   io.Writer
}

// group is measures that share a cluster.
type group struct {
	name string
	ids  []string
	run  func(*bench, context.Context) ([]measure, error)
}

// groups in the order in which they run.
var groups = []group{
	{"rest, admission and policies", []string{"P6", "P10", "P11"}, (*bench).quiet},
	{"single deadlines", []string{"P3"}, (*bench).deadlines},
	{"storms", []string{"P1", "P2", "P12"}, (*bench).storms},
	{"cascades", []string{"P4", "P5"}, (*bench).cascades},
	{"growth, start and memory", []string{"P9", "P7", "P8"}, (*bench).growth},
}

// run takes all measures that are wanted, and writes what came of them after each group: an interrupted run is not lost.
func run(ctx context.Context, o options, out io.Writer) error {
	root, err := local.RepositoryRoot()
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("going to the repository: %w", err)
	}
	if o.operator, err = keepProgram(o.operator); err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(o.operator))
	if err := os.MkdirAll(filepath.Join(o.output, plotsFolder), 0o755); err != nil {
		return fmt.Errorf("preparing the folder of results: %w", err)
	}
	b := &bench{options: o, sizes: sizesFor(o), root: root, began: time.Now(), out: out, result: result{Machine: thisMachine()}}
	if len(o.only) > 0 {
		if err := b.result.takeOver(o.output, func(m measure) bool { return !b.wanted(m.ID) }); err != nil {
			return err
		}
	}
	for _, group := range groups {
		if !b.wanted(group.ids...) {
			continue
		}
		b.say("%s", group.name)
		measures, err := group.run(b, ctx)
		if ctx.Err() != nil {
			break
		}
		if err := b.keep(group, measures, err); err != nil {
			return err
		}
	}
	for _, wait := range b.pending {
		measures, err := wait()
		if err := b.keep(group{}, measures, err); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted; what was measured before is in %s", o.output)
	}
	fmt.Fprintf(out, "\n%s\n", b.result.table())
	return b.publish()
}

// keepProgram copies a program to a folder of its own: who builds it again meanwhile must not change what is measured.
func keepProgram(path string) (string, error) {
	folder, err := os.MkdirTemp("", "tenure-bench-")
	if err != nil {
		return "", fmt.Errorf("preparing a folder for the operator: %w", err)
	}
	kept := filepath.Join(folder, filepath.Base(path))
	err = copyFile(path, kept)
	if err == nil {
		err = os.Chmod(kept, 0o700)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("taking the operator (`make build` builds it): %w", err), os.RemoveAll(folder))
	}
	return kept, nil
}

// wanted tells whether any of some measures is to be taken.
func (b *bench) wanted(ids ...string) bool {
	return len(b.only) == 0 || slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(b.only, id) })
}

// keep adds what came of a group to the result. A measure of which nothing is known because the group failed is not ok.
func (b *bench) keep(g group, measures []measure, failure error) error {
	known := func(id string) bool {
		return slices.ContainsFunc(measures, func(m measure) bool { return m.ID == id })
	}
	for _, id := range g.ids {
		// What is pending comes later.
		if !known(id) && failure != nil {
			measures = append(measures, failed(id, 0, failure))
		}
	}
	for _, m := range measures {
		if b.wanted(m.ID) {
			b.result.add(m)
			b.say("%s", m.line())
		}
	}
	return b.result.write(b.output)
}

// try takes one measure. That it fails is its result, and the next ones are taken all the same.
func (b *bench) try(ctx context.Context, id string, take func() (measure, error)) []measure {
	if !b.wanted(id) || ctx.Err() != nil {
		return nil
	}
	m, err := take()
	if err != nil {
		return []measure{failed(id, 0, err)}
	}
	return []measure{m}
}

// say tells how far the run is.
func (b *bench) say(format string, arguments ...any) {
	elapsed := time.Since(b.began).Round(time.Second)
	b.mutex.Lock()
	defer b.mutex.Unlock()
	fmt.Fprintf(b.out, "%3d:%02d  %s\n", int(elapsed.Minutes()), int(elapsed.Seconds())%60, fmt.Sprintf(format, arguments...))
}

// turns says for a round which of the two goes first, so that neither always has the warmer caches.
func turns(round int, operator, bare func() error) error {
	if round%2 == 1 {
		operator, bare = bare, operator
	}
	return errors.Join(operator(), bare())
}

// Command bench measures the operator: what `make bench` runs. Speed is measured as a ratio to a bare client, which makes
// the least writes that the same outcome needs, eight at a time and without a limit of its own, against the same API server
// in the same run. Machines differ; the ratio hardly does.
//
// It leaves bench.json, bench.md and plots in the folder .local, and what it measures goes on when a part of it fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// informersCommand is the argument by which this program starts itself as the bare counterpart of an operator that starts.
const informersCommand = "informers"

type options struct {
	only      []string
	rounds    int
	quick     bool
	sizeLimit int
	rest      time.Duration
	operator  string
	output    string
	readme    string
}

func main() {
	klog.SetLogger(logr.Discard())
	log.SetLogger(logr.Discard())
	if err := runAs(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// runAs is what the arguments ask for.
func runAs(arguments []string) error {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if len(arguments) == 2 && arguments[0] == informersCommand {
		return runInformers(ctx, arguments[1], os.Stdout)
	}
	o, err := readOptions(arguments)
	if err != nil {
		return err
	}
	return run(ctx, o, os.Stdout)
}

func readOptions(arguments []string) (options, error) {
	o := options{}
	only := ""
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&only, "only", "", "measures to take, such as P1,P3; all when left out")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds of each measure; the median counts")
	flags.BoolVar(&o.quick, "quick", false, "small sizes and one round: to see that everything works")
	flags.IntVar(&o.sizeLimit, "size-limit", 0, "most users of any measure; 0 for no limit")
	flags.DurationVar(&o.rest, "rest", 10*time.Minute, "how long the operator is watched at rest")
	flags.StringVar(&o.operator, "operator", "bin/manager", "the operator")
	flags.StringVar(&o.output, "output", ".local", "folder for bench.json, bench.md and plots")
	flags.StringVar(&o.readme, "readme", "", "file whose section \"bench\" becomes the table; the plots go beside this program then")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %s", flags.Arg(0))
	}
	if o.rounds < 1 || o.sizeLimit < 0 || o.rest <= 0 {
		return o, errors.New("-rounds and -rest must be positive, and -size-limit not negative")
	}
	for id := range strings.SplitSeq(only, ",") {
		if id = strings.ToUpper(strings.TrimSpace(id)); id != "" {
			o.only = append(o.only, id)
		}
	}
	for _, id := range o.only {
		if !slices.ContainsFunc(groups, func(g group) bool { return slices.Contains(g.ids, id) }) {
			return o, fmt.Errorf("-only names %s, which is no measure", id)
		}
	}
	return o, nil
}

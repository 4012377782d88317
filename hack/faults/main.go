// Command faults puts the operator through everything that can go wrong, on a real API server and etcd: it runs scenarios, has
// each write of the operator fail in each way, and asks oracles whether the operator has come right all the same.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"tenure.dev/tenure/hack/readme"
)

// options are what the command line says.
type options struct {
	scenarios, faults, replay string
	parallel, limit           int
	seed                      uint64
	short, all, bugs, once    bool
	borrow, name, only        string
	excuse                    string
	readme, report, manager   string
}

// Where the tables go in a Markdown file.
const (
	readmeSection = "faults"
	bugsSection   = "bugs"
)

const (
	// wholeLimit is how many plans are a whole run, the outages left aside, and shortLimit a short one.
	wholeLimit = 1000
	shortLimit = 36
)

func main() {
	var o options
	flag.StringVar(&o.scenarios, "scenario", "", "Names of scenarios, with commas between them; all when left out.")
	flag.StringVar(&o.faults, "fault", "", "Names of faults, with commas between them; all when left out.")
	flag.StringVar(&o.replay, "replay", "", "One plan, as a failure is told.")
	flag.IntVar(&o.parallel, "parallel", 6, "How many plans run at the same time.")
	flag.IntVar(&o.limit, "limit", 0, "How many plans are run at most, spread over all. Default: so many that every write crashes before and after, and more.")
	flag.Uint64Var(&o.seed, "seed", 0, "What is left to chance in the choice of plans; 0 means another choice each time.")
	flag.BoolVar(&o.all, "all", false, "Run every fault at every write. It takes most of an hour.")
	flag.BoolVar(&o.short, "short", false, "Run a few dozen plans.")
	flag.BoolVar(&o.bugs, "bugs", false, "Plant bugs in the operator, one by one, and see that each is caught.")
	flag.StringVar(&o.only, "bug", "", "Names of bugs to plant, with commas between them; all when left out.")
	flag.BoolVar(&o.once, "once", false, "Stop at the first plan that fails.")
	flag.StringVar(&o.borrow, "borrow", "", "A control plane that another process of this program lends.")
	flag.StringVar(&o.excuse, "excuse", "", "A file with problems that are no news.")
	flag.StringVar(&o.name, "name", "plan", "How the namespaces of plans are called.")
	flag.StringVar(&o.readme, "readme", "", "Write the table into this Markdown file, too.")
	flag.StringVar(&o.report, "report", ".local/faults.json", "Where the report for machines goes.")
	flag.StringVar(&o.manager, "manager", "bin/manager", "The operator that answers the API server.")
	flag.Parse()

	quieten()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	failed, err := perform(ctx, o, os.Stdout)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(2)
	case failed > 0:
		os.Exit(1)
	}
}

// quieten keeps what libraries say about the faults to themselves. The plans' own logs have what counts.
func quieten() {
	// Frames of watches can be read only where lists are lists.
	_ = os.Setenv("KUBE_FEATURE_WatchListClient", "false")
	if place, err := time.LoadLocation(zone); err == nil {
		time.Local = place //nolint:gosmopolitan // The operator must not mind where it runs.
	}
	klog.SetLogger(logr.Discard())
	ctrl.SetLogger(logr.Discard())
}

func perform(ctx context.Context, o options, out io.Writer) (failed int, err error) {
	folder, err := os.MkdirTemp("", "tenure-faults-")
	if err != nil {
		return 0, fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(folder)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	l, err := o.lab(ctx, folder)
	if err != nil {
		return 0, err
	}
	defer l.close()
	fmt.Fprintf(out, "The control plane is up after %s\n", time.Since(began).Round(100*time.Millisecond))
	if o.bugs || o.only != "" {
		return huntAll(ctx, l, o, folder, out)
	}
	if o.replay != "" {
		return replay(ctx, l, o, out)
	}
	c, err := o.campaign(l, out)
	if err != nil {
		return 0, err
	}
	if o.outages() {
		if c.outages, err = newLab(ctx, filepath.Join(folder, "outages"), o.manager); err != nil {
			return 0, err
		}
		defer c.outages.close()
	}
	report, err := c.run(ctx)
	if err != nil {
		return 0, err
	}
	report.print(out)
	if o.readme != "" {
		if err := readme.Write(o.readme, readmeSection, report.text()); err != nil {
			return report.Failed, err //nolint:wrapcheck // says what it was about
		}
	}
	before, err := earlier(o.report)
	if err != nil {
		return report.Failed, err
	}
	report.Bugs = before.Bugs
	return report.Failed, report.write(o.report)
}

// lab is the control plane that is lent, or one that is started.
func (o *options) lab(ctx context.Context, folder string) (*lab, error) {
	if o.borrow != "" {
		return borrowLab(ctx, o.borrow, o.name)
	}
	return newLab(ctx, folder, o.manager)
}

func (o *options) campaign(l *lab, out io.Writer) (*campaign, error) {
	c := &campaign{
		lab: l, once: o.once, parallel: o.parallel, choice: o.choice(),
		out: out, logs: filepath.Join(filepath.Dir(o.report), "faults"),
	}
	for _, name := range split(o.faults) {
		if _, err := faultNamed(name); err != nil && name != noFault {
			return nil, err
		}
		c.faults = append(c.faults, name)
	}
	if o.excuse != "" {
		if err := readJSON(o.excuse, &c.excused); err != nil {
			return nil, err
		}
	}
	c.scenarios = scenarios()
	if o.scenarios == "" {
		return c, nil
	}
	c.scenarios = nil
	for _, name := range split(o.scenarios) {
		s, err := scenarioOf(scenarios(), plan{scenario: name})
		if err != nil {
			return nil, err
		}
		c.scenarios = append(c.scenarios, s)
	}
	return c, nil
}

// outages tells whether there is to be a control plane of which parts end and stop. A borrowed one is not for that.
func (o *options) outages() bool {
	if o.short || o.limit > 0 || o.borrow != "" {
		return false
	}
	return o.faults == "" || slices.ContainsFunc(outages(), func(f fault) bool { return slices.Contains(split(o.faults), f.name) })
}

// choice is which plans are run. Who names scenarios or faults gets all of them.
func (o *options) choice() choice {
	c := choice{limit: o.limit, seed: o.seed}
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	switch {
	case c.limit > 0:
	case o.short:
		c.limit = shortLimit
	case !o.all && o.scenarios == "" && o.faults == "":
		c.limit, c.always = wholeLimit, []string{crashBefore, crashAfter}
	}
	return c
}

func split(names string) []string {
	if names == "" {
		return nil
	}
	return strings.Split(names, ",")
}

// replay runs one plan, and tells everything about it.
func replay(ctx context.Context, l *lab, o options, out io.Writer) (failed int, err error) {
	p, err := parsePlan(o.replay)
	if err != nil {
		return 0, err
	}
	outcome, problems, err := l.try(ctx, scenarios(), p)
	if err != nil {
		return 0, err
	}
	if f, err := faultNamed(p.fault); err == nil {
		fmt.Fprintf(out, "At %s: %s.\n", p.point, f.about)
	}
	fmt.Fprintln(out, strings.Join(outcome.log, "\n"))
	if p.fault != "" && !outcome.struck {
		fmt.Fprintln(out, "The write did not come: nothing went wrong.")
	}
	for _, found := range problems {
		fmt.Fprintf(out, "%s %s\n", found.Oracle, found.Sentence)
	}
	fmt.Fprintf(out, "%s: %d writes, %d problems, %s\n", p, outcome.writes, len(problems), outcome.took.Round(time.Millisecond))
	return len(problems), nil
}

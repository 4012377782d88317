// Command soak lets many people work on a small organization for as long as one likes, while everything that can go wrong
// does: replicas of the operator are killed, told to end and stopped where they are, kube-apiserver and etcd go away, webhooks
// are not answered. Again and again all comes to rest, and the cluster must contain exactly what a reference model says, which
// knows the tables of the documentation and nothing of the operator.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"tenure.dev/tenure/hack/local"
	"tenure.dev/tenure/hack/readme"
)

type options struct {
	duration time.Duration
	epoch    time.Duration
	seed     uint64
	people   int
	pace     time.Duration
	lease    time.Duration
	grace    time.Duration
	calm     bool
	goOn     bool
	operator string
	folder   string
	readme   string
}

func (o *options) bind(flags *flag.FlagSet) {
	minutes := func(text string) error {
		n, err := time.ParseDuration(text + "m")
		o.duration = n
		return err
	}
	o.duration = time.Hour
	flags.Func("minutes", "how long (default 60)", minutes)
	flags.DurationVar(&o.epoch, "every", 20*time.Second, "how long people work between two quiet points")
	flags.Uint64Var(&o.seed, "seed", seedOf(time.Now()), "what everything is drawn from")
	flags.IntVar(&o.people, "people", 24, "how many people")
	flags.DurationVar(&o.pace, "pace", 1500*time.Millisecond, "how long each waits between two operations, on average")
	flags.DurationVar(&o.lease, "lease", 5*time.Second, "how long a standby waits for a leader that is silent")
	flags.DurationVar(&o.grace, "grace", time.Second, "how late access may be cut")
	flags.BoolVar(&o.calm, "calm", false, "no faults")
	flags.BoolVar(&o.goOn, "keep-going", false, "go on after something was found, from what is there")
	flags.StringVar(&o.operator, "operator", "bin/manager", "the operator")
	flags.StringVar(&o.readme, "readme", "", "Markdown file that the summary goes into")
}

// seedOf is the date as a seed, such as 20261122.
func seedOf(t time.Time) uint64 {
	return uint64(t.Year()*10000 + int(t.Month())*100 + t.Day()) //nolint:gosec // years are positive
}

func main() {
	var o options
	o.bind(flag.CommandLine)
	flag.Parse()
	klog.SetLogger(logr.Discard())
	log.SetLogger(logr.Discard())
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o, os.Stdout)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

var errDiverged = errors.New("the cluster does not contain what it must")

func run(ctx context.Context, o options, out io.Writer) (err error) {
	root, err := local.RepositoryRoot()
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("going to the repository: %w", err)
	}
	o.folder = filepath.Join(root, ".local", "soak")
	if err := os.MkdirAll(o.folder, 0o755); err != nil {
		return fmt.Errorf("making a folder for logs: %w", err)
	}
	release, err := claim(filepath.Join(o.folder, "lock"))
	if err != nil {
		return err
	}
	defer release()
	s, err := soak(ctx, o, out)
	if s == nil {
		return err
	}
	fmt.Fprint(out, s.words())
	content, failure := json.MarshalIndent(s, "", "  ")
	if failure == nil {
		failure = os.WriteFile(filepath.Join(root, ".local", "soak.json"), append(content, '\n'), 0o600)
	}
	if failure == nil && o.readme != "" && err == nil {
		failure = readme.Write(o.readme, "soak", s.words())
	}
	return errors.Join(err, failure)
}

// claim keeps a second soak out of the folder.
func claim(path string) (release func(), err error) {
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("claiming %s: %w", path, err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another soak is running here (%s): %w", path, err), lock.Close())
	}
	return func() { _ = lock.Close() }, nil
}

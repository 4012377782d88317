// Command run is what `make run` starts: a control plane on this machine, the operator under the roles that an installation
// gives it, and the samples or a profile. Then it shows what happens, until it is interrupted, and leaves nothing running.
//
// For scripts, the folder .local holds: ready (there while everything is up and the samples are applied), kubeconfig (an
// administrator's), operator.kubeconfig, operator.log, operator.pid and, under controlplane, the logs of the control plane.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"tenure.dev/tenure/hack/local"
	"tenure.dev/tenure/hack/run/samples"
)

const (
	noSamples      = "none"
	defaultSamples = "config/samples"
)

type options struct {
	samples  string
	profile  string
	port     int
	config   string
	operator string
}

func main() {
	options, err := readOptions(os.Args[1:])
	if err == nil {
		// Everything that concerns the reader is told by this program; what the client libraries say does not.
		klog.SetLogger(logr.Discard())
		log.SetLogger(logr.Discard())
		err = run(options, os.Stdout)
	}
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "\nmake run: %v\n", err)
		os.Exit(1)
	}
}

func readOptions(arguments []string) (options, error) {
	var o options
	port := 0
	if text := os.Getenv("PORT"); text != "" {
		var err error
		if port, err = strconv.Atoi(text); err != nil {
			return o, fmt.Errorf("PORT must be a number: %w", err)
		}
	}
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.StringVar(&o.samples, "samples", os.Getenv("SAMPLES"),
		"folder of the manifests to apply, or none ($SAMPLES); "+defaultSamples+" where nothing else is said")
	flags.StringVar(&o.profile, "profile", os.Getenv("PROFILE"), "profile of "+profilesFolder+" to apply instead ($PROFILE)")
	flags.IntVar(&o.port, "port", port, "port of the API server, 0 for a free one ($PORT)")
	flags.StringVar(&o.config, "config", "config/local", "kustomization that installs the operator")
	flags.StringVar(&o.operator, "operator", "bin/manager", "the operator")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if o.port < 0 || o.port > 65535 {
		return o, fmt.Errorf("PORT must be between 1 and 65535, not %d", o.port)
	}
	if o.profile != "" && o.samples != "" {
		return o, errors.New("PROFILE and SAMPLES both say what to apply: choose one")
	}
	if o.profile == "" {
		o.samples = cmp.Or(o.samples, defaultSamples)
	}
	return o, nil
}

// run starts everything, shows what happens until it is told to end, and ends everything.
func run(options options, out io.Writer) (err error) {
	root, err := local.RepositoryRoot()
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("going to the repository: %w", err)
	}
	if err := options.check(); err != nil {
		return err
	}
	state, err := claimState(filepath.Join(root, ".local"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.release()) }()

	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup does
		signals = append(signals, syscall.SIGHUP)
	}
	asked, cancel := signal.NotifyContext(context.Background(), signals...)
	defer cancel()
	ctx, fail := context.WithCancelCause(asked)
	defer fail(nil)
	go func() {
		<-ctx.Done()
		cancel() // a second Ctrl-C ends this program at once, and the reaper the rest
	}()
	go endUnattended(ctx, fail)

	s := &session{options: options, state: state, out: out, fail: fail}
	err = s.run(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
		if errors.Is(err, context.Cause(asked)) {
			err = nil
			fmt.Fprintln(out, "\nEverything has ended.")
		}
	}
	return errors.Join(err, s.left)
}

func (o options) check() error {
	if _, err := os.Stat(o.operator); err != nil {
		return fmt.Errorf("the operator is not built (`make build` does it): %w", err)
	}
	if _, err := os.Stat(o.config); err != nil {
		return fmt.Errorf("there is nothing to install: %w", err)
	}
	if o.profile != "" {
		return checkProfile(profilesFolder, o.profile)
	}
	if o.samples == noSamples {
		return nil
	}
	if _, err := os.Stat(o.samples); err != nil {
		return fmt.Errorf("there are no samples (SAMPLES=none goes without): %w", err)
	}
	return nil
}

// endUnattended ends the session when the make that started it has been killed, or when its terminal is gone: make then
// waits for it and passes no signal on.
func endUnattended(ctx context.Context, fail context.CancelCauseFunc) {
	parent, fromMake := os.Getppid(), os.Getenv("MAKELEVEL") != ""
	for {
		if fromMake && os.Getppid() != parent {
			fail(errors.New("make has been killed"))
		}
		if _, err := os.Stdout.Write(nil); err != nil {
			fail(fmt.Errorf("the terminal is gone: %w", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// session is one run, from the first process to the last.
type session struct {
	options  options
	state    *state
	out      io.Writer
	progress progress
	cluster  *local.Cluster
	operator *operator
	feed     *feed

	fail context.CancelCauseFunc // ends the session
	left error                   // what could not be ended
}

func (s *session) run(ctx context.Context) (err error) {
	s.progress = progress{out: s.out}
	defer func() { s.progress.end(err) }()

	s.progress.begin("Starting etcd and kube-apiserver")
	s.cluster, err = local.Start(ctx, local.Options{
		Dir:       s.state.path("controlplane"),
		Port:      s.options.port,
		Install:   s.install,
		Ephemeral: []string{s.state.path(readyFile), s.state.path(operatorPIDFile)},
	})
	if err != nil {
		return err
	}
	defer func() { s.left = s.cluster.Stop() }()

	if s.feed, err = startFeed(ctx, s.cluster.Admin(), s.out); err != nil {
		return err
	}
	s.progress.begin("Starting the operator")
	if err := s.startOperator(ctx); err != nil {
		return err
	}
	defer s.operator.stop()

	if err := s.apply(ctx); err != nil {
		return err
	}
	if err := s.state.write(readyFile, "ready\n"); err != nil {
		return err
	}
	defer s.state.remove(readyFile)
	s.progress.end(nil)
	s.invite()
	s.feed.open()
	return s.cluster.Wait(ctx)
}

// install brings into the cluster what an installation would, the operator itself excepted.
func (s *session) install(ctx context.Context, cluster *local.Cluster) error {
	if err := local.WriteKubeconfig(s.state.path("kubeconfig"), cluster.Admin(), ""); err != nil {
		return err
	}
	s.progress.begin("Installing CRDs, roles and admission policies")
	if err := cluster.Install(ctx, s.options.config); err != nil {
		return err
	}
	s.progress.begin("Starting kube-controller-manager")
	return nil
}

// apply applies what there is to look at.
func (s *session) apply(ctx context.Context) error {
	switch {
	case s.options.profile != "":
		return s.applyProfile(ctx)
	case s.options.samples != noSamples:
		return s.applySamples(ctx, s.options.samples)
	default:
		return nil
	}
}

// applySamples applies a folder of manifests, with their dates relative to now.
func (s *session) applySamples(ctx context.Context, folder string) error {
	s.progress.begin("Applying " + folder)
	dated := s.state.path("samples")
	if err := os.RemoveAll(dated); err != nil {
		return fmt.Errorf("deleting the samples of an earlier run: %w", err)
	}
	if err := samples.Copy(folder, dated, time.Now()); err != nil {
		return err
	}
	source := "--filename=" + dated
	if _, err := os.Stat(filepath.Join(dated, "kustomization.yaml")); err == nil {
		source = "--kustomize=" + dated
	}
	_, _, err := s.cluster.Kubectl(ctx, nil, nil, "apply", "--server-side", source)
	return err
}

// invite says what one can do now.
func (s *session) invite() {
	fmt.Fprintf(s.out, `
Look around from another terminal, in this folder%s:

  export KUBECONFIG=%s
  bin/kubectl get users %s -w

The operator's log is %s, its metrics are at http://%s/metrics. Ctrl-C ends everything.

`, s.options.guide(), shellWord(s.state.path("kubeconfig")), s.options.scope(), s.state.relative(operatorLogFile), s.operator.Metrics)
}

// scope is where kubectl finds the people.
func (o options) scope() string {
	switch {
	case o.profile != "":
		return "-n " + o.profile
	case filepath.Clean(o.samples) == defaultSamples:
		return "-n acme"
	default:
		return "-A"
	}
}

// guide is where it is written what a profile has to show.
func (o options) guide() string {
	if o.profile == "" {
		return ""
	}
	return "; what to try is in " + filepath.Join(profileFolder(o.profile), "README.md")
}

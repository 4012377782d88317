// Package local runs a Kubernetes control plane on this machine, for `make run` and for the stories that the tests tell
// on a real API server: etcd and kube-apiserver by controller-runtime's envtest, and kube-controller-manager beside them,
// so that owners' dependants are collected, namespaces go away, and aggregated roles fill, as on any cluster.
//
// Everything listens on loopback alone. Whatever ends the program that started it, SIGKILL included, ends the control
// plane too.
package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	loopback = "127.0.0.1"
	// startTimeout is far above the two seconds that a start takes: two cores may be busy with other test suites.
	startTimeout = time.Minute

	certificates = "certificates"
	data         = "data"
	launchers    = "launchers"
	discovery    = "discovery"
)

// Options say what a cluster is made of. The zero value is a cluster for a test.
type Options struct {
	// AssetsDir holds the programs of the control plane. Default: $KUBEBUILDER_ASSETS, else bin/ of the repository.
	// kube-controller-manager and kubectl come from the repository's bin/ where the folder has none.
	AssetsDir string
	// Dir receives data, certificates and logs, of which the data goes with the cluster; what an earlier one left there
	// is deleted. Default: a temporary folder, all of which goes.
	Dir string
	// Port is where the API server listens. Default: a free one.
	Port int
	// APIServerFlags are added to the flags of kube-apiserver, by name without dashes, and replace those of that name.
	APIServerFlags map[string][]string
	// Environment is added to that of etcd and kube-apiserver, as in "GOMEMLIMIT=8GiB", by name of the program.
	Environment map[string][]string
	// Install is called when the API server answers and before kube-controller-manager runs. CRDs belong here: the
	// garbage collector looks for new kinds only every 30 seconds, so that dependants of a kind that is installed later
	// would stay for so long.
	Install func(context.Context, *Cluster) error
	// Ephemeral are files that must not outlive the cluster, not even where it ends by SIGKILL.
	Ephemeral []string
}

// Cluster is a running control plane.
type Cluster struct {
	options   Options
	directory string
	programs  map[string]string
	plane     *envtest.ControlPlane
	processes *processes
	gate      *Gate
	admin     *rest.Config
	stop      func() error

	mutex      sync.Mutex
	restarting map[string]bool // programs whose end is meant
}

// Start starts a control plane and returns when it works. What it has started is ended again when it fails, when ctx
// ends before it is up, and when it panics.
func Start(ctx context.Context, options Options) (_ *Cluster, err error) {
	programs, err := findPrograms(options.AssetsDir)
	if err != nil {
		return nil, err
	}
	if err := checkPort(ctx, options.Port); err != nil {
		return nil, err
	}
	directory, err := prepareDirectory(options.Dir)
	if err != nil {
		return nil, err
	}
	remove := append([]string{filepath.Join(directory, data)}, options.Ephemeral...)
	if options.Dir == "" {
		remove = append(remove, directory)
	}
	processes, err := newProcesses(directory, remove)
	if err != nil {
		return nil, err
	}

	gate, err := newGate(ctx)
	if err != nil {
		return nil, errors.Join(err, processes.end())
	}

	c := &Cluster{
		options: options, directory: directory, programs: programs, processes: processes, gate: gate, restarting: map[string]bool{},
	}
	c.stop = sync.OnceValue(func() error {
		failure := errors.Join(c.processes.end(), c.gate.close())
		for _, path := range remove {
			failure = errors.Join(failure, os.RemoveAll(path))
		}
		return failure
	})
	started := false
	defer func() {
		if !started {
			err = errors.Join(err, c.Stop())
		}
	}()

	if err := c.startStore(ctx); err != nil {
		return nil, err
	}
	if err := c.startAPIServer(ctx); err != nil {
		return nil, err
	}
	if options.Install != nil {
		if err := options.Install(ctx, c); err != nil {
			return nil, err
		}
	}
	if err := c.startControllerManager(ctx); err != nil {
		return nil, err
	}
	started = true
	return c, nil
}

// Stop ends every program of the cluster and returns when they are gone, within a moment. It may be called again.
func (c *Cluster) Stop() error {
	return c.stop()
}

// Admin is the configuration of an administrator whom nothing is refused, and who may act as anybody else.
func (c *Cluster) Admin() *rest.Config {
	return rest.CopyConfig(c.admin)
}

// LogPath is the file with what a program of the cluster has said.
func (c *Cluster) LogPath(name string) string {
	return c.processes.logPath(name)
}

// PID is the process id of a program of the cluster, which leads a process group of its own; zero when it does not run.
func (c *Cluster) PID(name string) int {
	if pid := c.processes.pid(name); running(pid) {
		return pid
	}
	return 0
}

// Command prepares a program of the caller's own that belongs to the cluster: it ends with it at the latest.
func (c *Cluster) Command(name, program string, arguments ...string) (*exec.Cmd, error) {
	return c.processes.command(name, program, arguments...)
}

// Wait returns an error when a program of the control plane has ended by itself, or nil when ctx ends.
func (c *Cluster) Wait(ctx context.Context) error {
	for {
		for _, name := range []string{Etcd, APIServer, ControllerManager} {
			if c.gone(name) && ctx.Err() == nil {
				return fmt.Errorf("%s has ended; %s", name, Tail(c.LogPath(name)))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (c *Cluster) startStore(ctx context.Context) error {
	log, err := c.processes.createLog(Etcd)
	if err != nil {
		return err
	}
	defer log.Close()
	launcher, err := c.processes.launcher(Etcd, c.programs[Etcd], c.options.Environment[Etcd]...)
	if err != nil {
		return err
	}
	// envtest adds --unsafe-no-fsync: nothing here is to survive the machine.
	etcd := &envtest.Etcd{
		Path: launcher, DataDir: filepath.Join(c.directory, data), Out: log, Err: log, StartTimeout: startTimeout,
	}
	etcd.Configure().Set("log-level", "warn")
	c.plane = &envtest.ControlPlane{Etcd: etcd, KubectlPath: c.programs[kubectl]}
	return c.await(ctx, Etcd, etcd.Start)
}

func (c *Cluster) startAPIServer(ctx context.Context) error {
	log, err := c.processes.createLog(APIServer)
	if err != nil {
		return err
	}
	defer log.Close()
	launcher, err := c.processes.launcher(APIServer, c.programs[APIServer], c.options.Environment[APIServer]...)
	if err != nil {
		return err
	}
	// The folder of certificates is set because otherwise a restart would mint new ones.
	server := &envtest.APIServer{
		Path: launcher, CertDir: filepath.Join(c.directory, certificates), EtcdURL: c.plane.Etcd.URL,
		Out: log, Err: log, StartTimeout: startTimeout,
	}
	if c.options.Port != 0 {
		server.SecureServing.ListenAddr = envtest.ListenAddr{Address: loopback, Port: strconv.Itoa(c.options.Port)}
	}
	server.Configure().
		// envtest turns ServiceAccount off for want of a controller manager. Here is one: what admission does by
		// default, it does.
		Disable("disable-admission-plugins").
		// Without these the server looks for an address to publish in the `kubernetes` Service, and does not start
		// on a machine without a network.
		Set("advertise-address", loopback).
		Set("endpoint-reconciler-type", "none").
		Set("profiling", "false")
	for flag, values := range c.options.APIServerFlags {
		server.Configure().Set(flag, values...)
	}
	c.plane.APIServer = server
	if err := c.await(ctx, APIServer, server.Start); err != nil {
		return err
	}
	c.admin, err = c.User("admin", "system:masters")
	return err
}

// await runs start, which envtest gives no way to end early: its program is killed when ctx ends.
func (c *Cluster) await(ctx context.Context, name string, start func() error) error {
	result := make(chan error, 1)
	go func() { result <- start() }()
	for {
		select {
		case err := <-result:
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("starting %s: %w; %s", name, err, Tail(c.LogPath(name)))
			}
			return ctx.Err()
		case <-ctx.Done():
			_ = c.processes.kill(name)
			time.Sleep(pollInterval)
		}
	}
}

// prepareDirectory returns the folder of the cluster, without what an earlier one has left there. Its process ids stay: a
// reaper may still be at work on them.
func prepareDirectory(chosen string) (string, error) {
	directory, err := filepath.Abs(chosen)
	if chosen == "" {
		directory, err = os.MkdirTemp("", "tenure-cluster-")
	}
	if err != nil {
		return "", fmt.Errorf("creating a folder for the cluster: %w", err)
	}
	for _, name := range []string{certificates, data, launchers, discovery} {
		if err := os.RemoveAll(filepath.Join(directory, name)); err != nil {
			return "", fmt.Errorf("deleting what an earlier cluster has left: %w", err)
		}
	}
	for _, name := range []string{certificates, launchers} {
		if err := os.MkdirAll(filepath.Join(directory, name), 0o700); err != nil {
			return "", fmt.Errorf("creating a folder for the cluster: %w", err)
		}
	}
	return directory, nil
}

// checkPort tells early and plainly what kube-apiserver would say late and at length.
func checkPort(ctx context.Context, port int) error {
	if port == 0 {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("the API server cannot listen on port %d: %w", port, err)
	}
	return listener.Close()
}

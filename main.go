// Command manager is the Tenure operator: it drives the access of users and members to what their resources declare.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"tenure.dev/tenure/controllers"
)

// options are what the command line says.
type options struct {
	metricsAddress  string
	metricsInsecure bool
	probeAddress    string
	leaderElection  bool
	electionNS      string
	leaseDuration   time.Duration
	workers         int
	log             zap.Options
}

func (o *options) bind(flags *flag.FlagSet) {
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "Address of the metrics endpoint; 0 turns it off.")
	flags.BoolVar(&o.metricsInsecure, "metrics-insecure", false, "Serve metrics over HTTP to anyone, instead of over HTTPS to those whom the API server lets.")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address of the health probes; 0 turns them off.")
	flags.BoolVar(&o.leaderElection, "leader-elect", false, "Let one of several replicas act.")
	flags.StringVar(&o.electionNS, "leader-election-namespace", "", "Namespace of the lease; the operator's own when left out.")
	flags.DurationVar(&o.leaseDuration, "leader-election-lease-duration", 10*time.Second, "How long a standby waits for a leader that is silent.")
	flags.IntVar(&o.workers, "workers", 8, "Objects of one kind that are reconciled at the same time.")
	o.log.BindFlags(flags)
}

func main() {
	var o options
	o.bind(flag.CommandLine)
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&o.log)))

	if err := run(ctrl.SetupSignalHandler(), o); err != nil {
		fmt.Fprintln(os.Stderr, "tenure:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	// Priority and fairness on the API server keep the order; a second limit here would only make deadlines late.
	config.QPS = -1

	metrics := server.Options{BindAddress: o.metricsAddress}
	if !o.metricsInsecure {
		metrics.SecureServing = true
		metrics.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	// A standby looks at the lease every 1 to 2.2 periods: it may learn of the last renewal that late, and as late again
	// that the lease has run out. So it takes over within the lease and another third of it.
	renewDeadline, retryPeriod := o.leaseDuration*7/10, o.leaseDuration/15
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        controllers.Scheme(),
		Cache:                         controllers.CacheOptions(),
		Client:                        controllers.ClientOptions(),
		Metrics:                       metrics,
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElection,
		LeaderElectionID:              "tenure",
		LeaderElectionNamespace:       o.electionNS,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &o.leaseDuration,
		RenewDeadline:                 &renewDeadline,
		RetryPeriod:                   &retryPeriod,
	})
	if err != nil {
		return fmt.Errorf("make the manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("add the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("caches", synced(mgr.GetCache())); err != nil {
		return fmt.Errorf("add the readiness check: %w", err)
	}
	if err := controllers.Setup(ctx, mgr, controllers.Options{Clock: clock.RealClock{}, Workers: o.workers}); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// synced says that a replica is ready when it knows the cluster: it can then act at once, or take over.
func synced(c cache.Cache) healthz.Checker {
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), 100*time.Millisecond)
		defer cancel()
		if !c.WaitForCacheSync(ctx) {
			return errors.New("the caches are not filled yet")
		}
		return nil
	}
}

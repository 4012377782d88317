// Command manager is the Tenure operator: it drives the access of users and members to what their resources declare.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	kubeconfig "sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"tenure.dev/tenure/controllers"
	"tenure.dev/tenure/controllers/serving"
)

// noAddress is what turns an endpoint off.
const noAddress = "0"

// options are what the command line says.
type options struct {
	metricsAddress  string
	metricsInsecure bool
	probeAddress    string
	profileAddress  string
	leaderElection  bool
	electionNS      string
	leaseDuration   time.Duration
	namespace       string
	webhookNames    string
	webhooks        serving.Options
	workers         int
	log             zap.Options
}

func (o *options) bind(flags *flag.FlagSet) {
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", noAddress, "Address of the metrics endpoint; 0 turns it off.")
	flags.BoolVar(&o.metricsInsecure, "metrics-insecure", false, "Serve metrics over HTTP to anyone, instead of over HTTPS to those whom the API server lets.")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address of the health probes; 0 turns them off.")
	flags.StringVar(&o.profileAddress, "pprof-bind-address", noAddress, "Address of Go's profiles, for who looks for where time and memory go; 0 turns them off.")
	flags.BoolVar(&o.leaderElection, "leader-elect", false, "Let one of several replicas act.")
	flags.StringVar(&o.electionNS, "leader-election-namespace", "", "Namespace of the lease; --namespace when left out.")
	flags.DurationVar(&o.leaseDuration, "leader-election-lease-duration", 10*time.Second, "How long a standby waits for a leader that is silent.")
	flags.StringVar(&o.namespace, "namespace", "", "Namespace of the operator; its pod's, or the kubeconfig's, when left out.")
	flags.StringVar(&o.webhooks.Address, "webhook-bind-address", ":9443", "Address of the admission webhooks; 0 turns them off.")
	flags.StringVar(&o.webhookNames, "webhook-dns-names", "tenure-webhook.tenure-system.svc",
		"Names, with commas between them, by which the API server calls the webhooks.")
	flags.StringVar(&o.webhooks.CertDir, "webhook-cert-dir", "",
		"Folder with tls.crt and tls.key, which somebody else renews; the operator makes a certificate and has the API server trust it when left out.")
	// Nobody but the API server trusts the authority, and a new one is a moment at which several must agree. Who wants one, as
	// where the key has leaked, deletes the Secret.
	flags.DurationVar(&o.webhooks.AuthorityDuration, "webhook-ca-duration", 10*365*24*time.Hour,
		"How long the webhooks' own certificate authority is valid; it is replaced when two thirds are over.")
	flags.DurationVar(&o.webhooks.CertificateDuration, "webhook-cert-duration", 7*24*time.Hour,
		"How long the webhooks' own certificate is valid; it is replaced when two thirds are over.")
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
	if o.namespace == "" {
		if o.namespace, err = ownNamespace(); err != nil {
			return err
		}
	}
	skew := controllers.MeasureSkew(config, clock.RealClock{})
	settings := o.manager()
	webhooks, err := o.serve(config, &settings)
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, settings)
	if err != nil {
		return fmt.Errorf("make the manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("add the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("caches", synced(mgr.GetCache())); err != nil {
		return fmt.Errorf("add the readiness check: %w", err)
	}
	if err := controllers.Setup(ctx, mgr, controllers.Options{Clock: clock.RealClock{}, Skew: skew, Workers: o.workers, Admission: o.webhooks.Address != "0"}); err != nil {
		return err
	}
	if webhooks != nil {
		if err := webhooks.SetupWithManager(mgr); err != nil {
			return err
		}
	}
	return mgr.Start(ctx)
}

// ownNamespace is where the operator lives: in a cluster its pod's, elsewhere the kubeconfig's.
func ownNamespace() (string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = flag.Lookup(kubeconfig.KubeconfigFlagName).Value.String()
	namespace, _, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).Namespace()
	if err != nil {
		return "", fmt.Errorf("find the namespace of the operator: %w", err)
	}
	return namespace, nil
}

// manager is what the manager is to be like, webhooks left aside.
func (o *options) manager() ctrl.Options {
	metrics := server.Options{BindAddress: o.metricsAddress}
	if !o.metricsInsecure {
		metrics.SecureServing = true
		metrics.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	// A standby looks at the lease every 1 to 2.2 periods: it may learn of the last renewal that late, and as late again
	// that the lease has run out. So it takes over within the lease and another third of it.
	renewDeadline, retryPeriod := o.leaseDuration*7/10, o.leaseDuration/15
	return ctrl.Options{
		Scheme:                        controllers.Scheme(),
		Cache:                         controllers.CacheOptions(),
		Client:                        controllers.ClientOptions(),
		Metrics:                       metrics,
		HealthProbeBindAddress:        o.probeAddress,
		PprofBindAddress:              o.profileAddress,
		LeaderElection:                o.leaderElection,
		LeaderElectionID:              "tenure",
		LeaderElectionNamespace:       cmp.Or(o.electionNS, o.namespace),
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &o.leaseDuration,
		RenewDeadline:                 &renewDeadline,
		RetryPeriod:                   &retryPeriod,
	}
}

// serve has the manager serve webhooks; nil where it is to serve none.
func (o *options) serve(config *rest.Config, settings *ctrl.Options) (*serving.Server, error) {
	if o.webhooks.Address == noAddress {
		return nil, nil
	}
	o.webhooks.Namespace, o.webhooks.Clock = o.namespace, clock.RealClock{}
	o.webhooks.DNSNames = strings.Split(o.webhookNames, ",")
	webhooks, err := serving.New(config, o.webhooks)
	if err != nil {
		return nil, err
	}
	settings.WebhookServer, settings.Cache = webhooks, webhooks.Watch(settings.Cache)
	return webhooks, nil
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

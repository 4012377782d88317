package skew

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	ctrl "sigs.k8s.io/controller-runtime"
)

const (
	// versionPath is what everybody may read and what costs the API server least.
	versionPath = "/version"

	// interval is how often to see whether the API server has to be asked.
	interval = 2 * time.Second

	// stale is how old what is known may become. At rest the API server is asked for nothing, and answers nothing.
	stale = 30 * time.Second

	// askTimeout is how long an answer may take. Later it would tell nothing.
	askTimeout = 5 * time.Second
)

// SetupWithManager has a manager see to it that there are answers to look at.
func (m *Meter) SetupWithManager(mgr ctrl.Manager) error {
	client, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("prepare to ask the API server for the time: %w", err)
	}
	ask := func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		_ = client.RESTClient().Get().AbsPath(versionPath).Do(ctx).Error() // A refusal has a date as well.
	}
	if err := mgr.Add(keeper{meter: m, ask: ask}); err != nil {
		return fmt.Errorf("add the measurement of the clock: %w", err)
	}
	return nil
}

// keeper keeps what a meter knows up to date.
type keeper struct {
	meter *Meter
	ask   func(context.Context)
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: who takes over acts at once and must know.
func (keeper) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (k keeper) Start(ctx context.Context) error {
	wait.UntilWithContext(ctx, k.keep, interval)
	return nil
}

// keep asks where the clock is off, to learn when it is right again, and where nothing was heard for long.
func (k keeper) keep(ctx context.Context) {
	if _, off := k.meter.Off(); off || k.meter.age() > stale {
		k.ask(ctx)
	}
}

// age of what is known.
func (m *Meter) age() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.Since(m.at)
}

package local

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Who the operator is in a cluster.
const (
	OperatorNamespace = "tenure-system"
	OperatorAccount   = "tenure-controller-manager"
	OperatorUser      = "system:serviceaccount:" + OperatorNamespace + ":" + OperatorAccount
)

// probeTimeout is for what is answered at once.
const probeTimeout = 5 * time.Second

// Operator returns the configuration of the operator: it may do what config/rbac allows, and nothing else.
func (c *Cluster) Operator() (*rest.Config, error) {
	return c.User(OperatorUser, "system:serviceaccounts", "system:serviceaccounts:"+OperatorNamespace)
}

// Replica is where a replica of the operator answers, as a process beside a cluster.
type Replica struct {
	// Probe, Metrics and Webhooks are addresses on loopback.
	Probe, Metrics, Webhooks string
}

// NewReplica finds addresses where nobody listens yet.
func NewReplica(ctx context.Context) (Replica, error) {
	var r Replica
	var found []net.Listener
	defer func() { // When there are all of them, lest one is found twice.
		for _, listener := range found {
			_ = listener.Close()
		}
	}()
	for _, address := range []*string{&r.Probe, &r.Metrics, &r.Webhooks} {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return r, fmt.Errorf("looking for a free port: %w", err)
		}
		found = append(found, listener)
		*address = listener.Addr().String()
	}
	return r, nil
}

// Arguments are those of the operator's program, with flags more; where one is there twice, the last counts.
func (r Replica) Arguments(kubeconfig string, flags ...string) []string {
	return append([]string{
		"--kubeconfig=" + kubeconfig,
		"--health-probe-bind-address=" + r.Probe,
		"--metrics-bind-address=" + r.Metrics,
		"--webhook-bind-address=" + r.Webhooks, "--webhook-dns-names=localhost",
	}, flags...)
}

// Ready asks the readiness probe. The error says why the replica is not ready.
func (r Replica) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Probe+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("asking whether the operator is ready: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking whether the operator is ready: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the operator is not ready: %s", response.Status)
	}
	return nil
}

// StandBy makes a lease of which nobody lets go, and returns the flags of a replica that waits for it: it never gets to act, and
// answers the API server all the same.
func StandBy(ctx context.Context, admin client.Client) (flags []string, err error) {
	const nobody = "nobody"
	now := &metav1.MicroTime{Time: time.Now()}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: nobody}},
		&coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: "tenure", Namespace: nobody},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity: new(nobody), LeaseDurationSeconds: new(int32(math.MaxInt32)), AcquireTime: now, RenewTime: now,
			},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "standby", Namespace: nobody},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: OperatorUser}},
		},
	} {
		if err := admin.Create(ctx, object); client.IgnoreAlreadyExists(err) != nil {
			return nil, fmt.Errorf("occupying the lease of a replica that stands by: %w", err)
		}
	}
	return []string{"--leader-elect", "--leader-election-namespace=" + nobody}, nil
}

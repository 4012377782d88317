package stories

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/hack/local"
)

// Who the operator is in a cluster.
const (
	operatorNamespace = "tenure-system"
	operatorUser      = "system:serviceaccount:tenure-system:tenure-controller-manager"
)

// operator is one replica of the operator as a process.
type operator struct {
	name      string
	arguments []string
	command   *exec.Cmd
	ended     chan struct{}
	probe     string
	metrics   string
	webhooks  string
	log       string
}

// startOperator starts a replica under the RBAC of config/rbac. What it says goes to a log that is shown when the story
// fails.
func startOperator(name string, flags ...string) *operator {
	GinkgoHelper()
	config, err := cluster.User(operatorUser, "system:serviceaccounts", "system:serviceaccounts:"+operatorNamespace)
	Expect(err).NotTo(HaveOccurred())
	directory := GinkgoT().TempDir()
	kubeconfig := filepath.Join(directory, "kubeconfig")
	Expect(local.WriteKubeconfig(kubeconfig, config, operatorNamespace)).To(Succeed())

	o := &operator{name: name, probe: freeAddress(), metrics: freeAddress(), webhooks: freeAddress(), log: filepath.Join(directory, "log")}
	o.arguments = append([]string{
		"--kubeconfig=" + kubeconfig,
		"--health-probe-bind-address=" + o.probe,
		"--metrics-bind-address=" + o.metrics,
		"--webhook-bind-address=" + o.webhooks,
		"--webhook-dns-names=localhost",
	}, flags...)
	o.start()
	DeferCleanup(func() {
		o.stop()
		said, err := os.ReadFile(o.log)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(said)).NotTo(ContainSubstring("DATA RACE"), "the race detector has found something")
		if CurrentSpecReport().Failed() {
			AddReportEntry("log of "+name, string(said))
		}
	})
	return o
}

// standingBy are the flags of a replica that never gets to act, because nobody lets go of the lease: it answers the API
// server, and that is all.
func standingBy(ctx context.Context) []string {
	GinkgoHelper()
	const namespace = "nobody"
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: "tenure", Namespace: namespace},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity: new("nobody"), LeaseDurationSeconds: new(int32(math.MaxInt32)),
				AcquireTime: &metav1.MicroTime{Time: time.Now()}, RenewTime: &metav1.MicroTime{Time: time.Now()},
			},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "standby", Namespace: namespace},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: operatorUser}},
		},
	}
	for _, object := range objects {
		Expect(client.IgnoreAlreadyExists(admin.Create(ctx, object))).To(Succeed())
	}
	return []string{"--leader-elect", "--leader-election-namespace=" + namespace}
}

// answer has the replica answer the API server too, in turn with the others, until the story ends.
func (o *operator) answer() {
	cluster.Webhooks().Serve(o.webhooks)
	DeferCleanup(o.withdraw)
}

// withdraw has the replica answer no more, and returns when the API server has found another.
func (o *operator) withdraw(ctx context.Context) {
	GinkgoHelper()
	cluster.Webhooks().Withdraw(o.webhooks)
	Expect(cluster.AwaitWebhooks(ctx)).To(Succeed())
}

// silence has nobody answer the API server, until the story ends.
func silence() {
	cluster.Webhooks().Withdraw(answering.webhooks)
	DeferCleanup(func(ctx context.Context) {
		cluster.Webhooks().Serve(answering.webhooks)
		Expect(cluster.AwaitWebhooks(ctx)).To(Succeed())
	})
}

// start starts the replica; again, when it has ended, as a Deployment would.
func (o *operator) start() {
	GinkgoHelper()
	command, err := cluster.Command(o.name, operatorProgram, o.arguments...)
	Expect(err).NotTo(HaveOccurred())
	log, err := os.OpenFile(o.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	Expect(err).NotTo(HaveOccurred())
	command.Stdout, command.Stderr = log, log
	Expect(command.Start()).To(Succeed())
	ended := make(chan struct{})
	o.command, o.ended = command, ended
	go func() {
		defer close(ended)
		defer log.Close()
		_ = command.Wait()
	}()
}

// startAgain starts the replica if it has ended, and waits until it knows the cluster.
func (o *operator) startAgain() {
	GinkgoHelper()
	select {
	case <-o.ended:
		o.start()
	default:
	}
	Eventually(o.ready).Should(Succeed())
}

func freeAddress() string {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer listener.Close()
	return listener.Addr().String()
}

// ready asks the readiness probe.
func (o *operator) ready() error {
	response, err := http.Get("http://" + o.probe + "/readyz")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("readiness: %s", response.Status)
	}
	return nil
}

// stop ends the replica as a kubelet would, in time for it to hand over.
func (o *operator) stop() {
	_ = o.command.Process.Signal(syscall.SIGTERM)
	<-o.ended
}

// kill ends the replica as a node does that loses power.
func (o *operator) kill() {
	_ = o.command.Process.Kill()
	<-o.ended
}

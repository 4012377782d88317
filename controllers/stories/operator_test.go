package stories

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"tenure.dev/tenure/hack/local"
)

// Who the operator is in a cluster.
const (
	operatorNamespace = local.OperatorNamespace
	operatorUser      = local.OperatorUser
)

// operator is one replica of the operator as a process.
type operator struct {
	local.Replica

	name      string
	arguments []string
	command   *exec.Cmd
	ended     chan struct{}
	log       string
}

// startOperator starts a replica under the RBAC of config/rbac. What it says goes to a log that is shown when the story
// fails.
func startOperator(name string, flags ...string) *operator {
	GinkgoHelper()
	config, err := cluster.Operator()
	Expect(err).NotTo(HaveOccurred())
	replica, err := local.NewReplica(context.Background())
	Expect(err).NotTo(HaveOccurred())
	directory := GinkgoT().TempDir()
	kubeconfig := filepath.Join(directory, "kubeconfig")
	Expect(local.WriteKubeconfig(kubeconfig, config, operatorNamespace)).To(Succeed())

	o := &operator{Replica: replica, name: name, log: filepath.Join(directory, "log")}
	o.arguments = o.Arguments(kubeconfig, flags...)
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

// answer has the replica answer the API server too, in turn with the others, until the story ends.
func (o *operator) answer() {
	cluster.Webhooks().Serve(o.Webhooks)
	DeferCleanup(o.withdraw)
}

// withdraw has the replica answer no more, and returns when the API server has found another.
func (o *operator) withdraw(ctx context.Context) {
	GinkgoHelper()
	cluster.Webhooks().Withdraw(o.Webhooks)
	Expect(cluster.AwaitWebhooks(ctx)).To(Succeed())
}

// silence has nobody answer the API server, until the story ends.
func silence() {
	cluster.Webhooks().Withdraw(answering.Webhooks)
	DeferCleanup(func(ctx context.Context) {
		cluster.Webhooks().Serve(answering.Webhooks)
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
	Eventually(o.Ready).WithContext(context.Background()).Should(Succeed())
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

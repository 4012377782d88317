package stories

import (
	"fmt"
	"net"
	"net/http"
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

	o := &operator{name: name, probe: freeAddress(), metrics: freeAddress(), log: filepath.Join(directory, "log")}
	o.arguments = append([]string{
		"--kubeconfig=" + kubeconfig,
		"--health-probe-bind-address=" + o.probe,
		"--metrics-bind-address=" + o.metrics,
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

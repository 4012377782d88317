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
	command *exec.Cmd
	ended   chan struct{}
	probe   string
	metrics string
	log     string
}

// startOperator starts a replica under the RBAC of config/rbac. Several replicas elect a leader. What each says goes to
// a log that is shown when the story fails.
func startOperator(name string, flags ...string) *operator {
	GinkgoHelper()
	config, err := cluster.User(operatorUser, "system:serviceaccounts", "system:serviceaccounts:"+operatorNamespace)
	Expect(err).NotTo(HaveOccurred())
	directory := GinkgoT().TempDir()
	kubeconfig := filepath.Join(directory, "kubeconfig")
	Expect(local.WriteKubeconfig(kubeconfig, config, operatorNamespace)).To(Succeed())

	o := &operator{probe: freeAddress(), metrics: freeAddress(), log: filepath.Join(directory, "log"), ended: make(chan struct{})}
	o.command, err = cluster.Command(name, operatorProgram, append([]string{
		"--kubeconfig=" + kubeconfig,
		"--health-probe-bind-address=" + o.probe,
		"--metrics-bind-address=" + o.metrics,
		"--leader-elect", "--leader-election-namespace=" + operatorNamespace, "--leader-election-lease-duration=5s",
	}, flags...)...)
	Expect(err).NotTo(HaveOccurred())
	log, err := os.Create(o.log)
	Expect(err).NotTo(HaveOccurred())
	o.command.Stdout, o.command.Stderr = log, log
	Expect(o.command.Start()).To(Succeed())
	go func() {
		defer close(o.ended)
		defer log.Close()
		_ = o.command.Wait()
	}()
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

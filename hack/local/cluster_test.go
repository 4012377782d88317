package local

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestCluster sees a cluster do what one without its controllers would not, and leave nothing behind.
func TestCluster(t *testing.T) {
	g := NewWithT(t)
	ctx := t.Context()
	flags := map[string][]string{"event-ttl": {"10m"}}
	cluster, err := Start(ctx, Options{APIServerFlags: flags})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(cluster.Stop()).To(Succeed()) })
	admin, err := client.New(cluster.Admin(), client.Options{})
	g.Expect(err).NotTo(HaveOccurred())

	commandLine, err := os.ReadFile("/proc/" + strconv.Itoa(cluster.PID(APIServer)) + "/cmdline")
	if err == nil { // where there is a /proc
		g.Expect(strings.Split(string(commandLine), "\x00")).To(ContainElement("--event-ttl=10m"))
	}

	acme := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}
	g.Expect(admin.Create(ctx, acme)).To(Succeed())

	t.Run("collects dependants", func(t *testing.T) {
		g := NewWithT(t)
		owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner", Namespace: "acme"}}
		g.Expect(admin.Create(ctx, owner)).To(Succeed())
		dependant := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Name: "dependant", Namespace: "acme",
			OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID},
			},
		}}
		g.Expect(admin.Create(ctx, dependant)).To(Succeed())
		g.Expect(admin.Delete(ctx, owner)).To(Succeed())
		g.Eventually(found(ctx, admin, dependant), "20s", "50ms").Should(BeFalse())
	})

	t.Run("fills aggregated roles", func(t *testing.T) {
		g := NewWithT(t)
		rule := rbacv1.PolicyRule{APIGroups: []string{"tenure.dev"}, Resources: []string{"users"}, Verbs: []string{"get"}}
		g.Expect(admin.Create(ctx, &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{
				Name: "see-users", Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-view": "true"},
			},
			Rules: []rbacv1.PolicyRule{rule},
		})).To(Succeed())
		g.Eventually(func(g Gomega) {
			view := &rbacv1.ClusterRole{}
			g.Expect(admin.Get(ctx, client.ObjectKey{Name: "view"}, view)).To(Succeed())
			g.Expect(view.Rules).To(ContainElement(rule))
		}, "10s", "50ms").Should(Succeed())
	})

	t.Run("knows users by their certificate, under RBAC", func(t *testing.T) {
		g := NewWithT(t)
		config, err := cluster.User("jane@acme.example", "people")
		g.Expect(err).NotTo(HaveOccurred())
		jane, err := client.New(config, client.Options{})
		g.Expect(err).NotTo(HaveOccurred())
		err = jane.List(ctx, &corev1.SecretList{}, client.InNamespace("acme"))
		g.Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)

		said, _, err := cluster.Kubectl(ctx, config, nil, "auth", "whoami", "-o=jsonpath={.status.userInfo.groups}")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(said).To(Equal(`["people","system:authenticated"]`))
	})

	t.Run("runs kubectl, also as somebody else", func(t *testing.T) {
		g := NewWithT(t)
		manifest := strings.NewReader("{apiVersion: v1, kind: ConfigMap, metadata: {name: sent}}")
		said, _, err := cluster.Kubectl(ctx, nil, manifest, "apply", "--server-side", "-n=acme", "-f=-")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(said).To(Equal("configmap/sent serverside-applied\n"))
		_, _, err = cluster.Kubectl(ctx, nil, nil, "get", "configmaps", "-n=acme", "--as=jane@acme.example")
		g.Expect(err).To(MatchError(ContainSubstring(`User "jane@acme.example" cannot list resource "configmaps"`)))
	})

	t.Run("deletes a namespace with what is in it", func(t *testing.T) {
		g := NewWithT(t)
		g.Expect(admin.Delete(ctx, acme)).To(Succeed())
		g.Eventually(found(ctx, admin, acme), "30s", "100ms").Should(BeFalse())
	})

	t.Run("leaves nothing behind", func(t *testing.T) {
		g := NewWithT(t)
		sleeper, err := cluster.Command("sleeper", "/bin/sleep", "600")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(sleeper.Start()).To(Succeed())
		go func() { _ = sleeper.Wait() }()
		g.Eventually(func() int { return cluster.PID("sleeper") }).Should(Equal(sleeper.Process.Pid))

		pids := []int{sleeper.Process.Pid, cluster.processes.reaper.Process.Pid}
		for _, name := range []string{Etcd, APIServer, ControllerManager} {
			g.Expect(cluster.PID(name)).NotTo(BeZero(), name)
			pids = append(pids, cluster.PID(name))
		}
		watch, err := client.NewWithWatch(cluster.Admin(), client.Options{})
		g.Expect(err).NotTo(HaveOccurred())
		open, err := watch.Watch(ctx, &corev1.ConfigMapList{})
		g.Expect(err).NotTo(HaveOccurred())
		defer open.Stop()

		stopped := make(chan error, 1)
		go func() { stopped <- cluster.Stop() }()
		g.Eventually(stopped, "3s").Should(Receive(BeNil()))
		g.Expect(slices.DeleteFunc(pids, func(pid int) bool { return !running(pid) })).To(BeEmpty())
		g.Expect(cluster.directory).NotTo(BeAnExistingFile())
		g.Expect(cluster.Stop()).To(Succeed())
	})
}

func found(ctx context.Context, reader client.Reader, object client.Object) func() (bool, error) {
	return func() (bool, error) {
		err := reader.Get(ctx, client.ObjectKeyFromObject(object), object)
		return err == nil, client.IgnoreNotFound(err)
	}
}

// TestStartThatFails sees the reason and the last words of the program, and nothing left of the others.
func TestStartThatFails(t *testing.T) {
	g := NewWithT(t)
	directory := t.TempDir()
	_, err := Start(t.Context(), Options{Dir: directory, APIServerFlags: map[string][]string{"authorization-mode": {"Nonsense"}}})
	g.Expect(err).To(MatchError(And(
		ContainSubstring("starting kube-apiserver"),
		ContainSubstring(`authorization-mode \"Nonsense\" is not a valid mode`),
	)))
	g.Expect(filepath.Glob(filepath.Join(directory, "pids-*"))).To(BeEmpty())
}

// TestStartThatIsGivenUp sees that a context which ends does not have to wait for a start to finish.
func TestStartThatIsGivenUp(t *testing.T) {
	g := NewWithT(t)
	ctx, cancel := context.WithCancel(t.Context())
	directory := t.TempDir()
	go func() {
		for {
			if _, err := os.Stat(filepath.Join(directory, APIServer+".log")); err == nil {
				break
			}
			time.Sleep(pollInterval)
		}
		cancel()
	}()
	_, err := Start(ctx, Options{Dir: directory})
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(filepath.Glob(filepath.Join(directory, "pids-*"))).To(BeEmpty())
}

func TestPortTaken(t *testing.T) {
	g := NewWithT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	_, err = Start(t.Context(), Options{Port: port})
	g.Expect(err).To(MatchError(ContainSubstring(fmt.Sprintf("cannot listen on port %d", port))))
}

// TestStarterKilled plays the starter of a cluster in another process, kills it with SIGKILL, and sees its programs end.
func TestStarterKilled(t *testing.T) {
	if directory := os.Getenv("TENURE_TEST_CLUSTER_DIR"); directory != "" {
		_, err := Start(t.Context(), Options{Dir: directory, Ephemeral: []string{filepath.Join(directory, "ready")}})
		if err == nil {
			err = os.WriteFile(filepath.Join(directory, "ready"), nil, 0o600)
		}
		fmt.Println("started:", err)
		select {}
	}

	g := NewWithT(t)
	directory := t.TempDir()
	starter := exec.Command(os.Args[0], "-test.run=^TestStarterKilled$")
	starter.Env = append(os.Environ(), "TENURE_TEST_CLUSTER_DIR="+directory)
	g.Expect(starter.Start()).To(Succeed())
	ready := filepath.Join(directory, "ready")
	g.Eventually(ready, "60s", "50ms").Should(BeAnExistingFile())
	ids, err := filepath.Glob(filepath.Join(directory, "pids-*"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ids).To(HaveLen(1))
	left := &processes{ids: ids[0]}
	pids := map[string]int{}
	for _, name := range left.names() {
		pids[name] = left.pid(name)
	}
	g.Expect(pids).To(And(HaveKey(Etcd), HaveKey(APIServer), HaveKey(ControllerManager)))

	g.Expect(starter.Process.Kill()).To(Succeed())
	_ = starter.Wait()
	for name, pid := range pids {
		g.Eventually(func() bool { return running(pid) }, "3s", "10ms").Should(BeFalse(), name)
	}
	g.Eventually(ready).ShouldNot(BeAnExistingFile())
	g.Eventually(ids[0]).ShouldNot(BeADirectory())
}

func TestLauncher(t *testing.T) {
	g := NewWithT(t)
	directory := t.TempDir()
	p := &processes{directory: directory, ids: directory}
	g.Expect(os.Mkdir(filepath.Join(directory, launchers), 0o700)).To(Succeed())
	launcher, err := p.launcher("env", "/usr/bin/env", "GOMEMLIMIT=8GiB", "WORDS=it's two")
	g.Expect(err).NotTo(HaveOccurred())
	said, err := exec.Command(launcher).Output()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(strings.Split(string(said), "\n")).To(ContainElements("GOMEMLIMIT=8GiB", "WORDS=it's two"))
	g.Expect(p.pid("env")).NotTo(BeZero())
}

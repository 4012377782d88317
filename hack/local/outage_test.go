package local

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestOutages sees a cluster go away for a while, and come back as it was.
func TestOutages(t *testing.T) {
	g := NewWithT(t)
	ctx := t.Context()
	cluster, err := Start(ctx, Options{})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(cluster.Stop()).To(Succeed()) })
	admin, err := client.New(cluster.Admin(), client.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept", Namespace: "default"}}
	g.Expect(admin.Create(ctx, kept)).To(Succeed())
	ask := func() error {
		asking, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return admin.Get(asking, client.ObjectKeyFromObject(kept), &corev1.ConfigMap{})
	}
	write := func() error {
		asking, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return admin.Update(asking, kept.DeepCopy(), client.DryRunAll)
	}
	ended := make(chan error, 1)
	go func() { ended <- cluster.Wait(ctx) }()

	for _, name := range []string{Etcd, APIServer} {
		t.Run(name+" stops where it is", func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(cluster.Pause(name)).To(Succeed())
			g.Eventually(write, "10s").Should(MatchError(ContainSubstring("deadline")), "once it has finished what it was about")
			g.Expect(cluster.Resume(name)).To(Succeed())
			g.Eventually(write, "10s", "50ms").Should(Succeed())
		})

		t.Run(name+" is started again", func(t *testing.T) {
			g := NewWithT(t)
			before := cluster.PID(name)
			g.Expect(cluster.Restart(ctx, name)).To(Succeed())
			g.Expect(cluster.PID(name)).NotTo(Or(BeZero(), Equal(before)))
			g.Expect(ask()).To(Succeed(), "what was there is there, and who was let in is")
			g.Expect(write()).To(Succeed())
			_, _, err := cluster.Kubectl(ctx, nil, nil, "get", "namespaces")
			g.Expect(err).NotTo(HaveOccurred())
		})
	}
	g.Consistently(ended, "1s").ShouldNot(Receive(), "nothing has ended by itself")

	g.Expect(cluster.Restart(ctx, ControllerManager)).To(MatchError(ContainSubstring("only etcd and kube-apiserver can be")))
	g.Expect(cluster.Pause("nobody")).To(MatchError(ContainSubstring("nobody: it does not run")))
	g.Expect(cluster.processes.kill(Etcd)).To(Succeed())
	g.Eventually(ended, "5s").Should(Receive(MatchError(ContainSubstring("etcd has ended"))))
}

// Package stories holds the acceptance tests: what people and machines do to an organization, and what they see, on a
// real API server with the operator as its own process under its own RBAC. A spec carries the numbers of the
// requirements that it proves as labels.
package stories

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/controllers"
	"tenure.dev/tenure/hack/local"
)

const (
	// soon is how long a person would wait for what happens at once, on a busy machine.
	soon = 20 * time.Second

	// often is how often to look.
	often = 20 * time.Millisecond
)

var (
	cluster *local.Cluster

	// admin is a client that nothing is refused.
	admin client.WithWatch

	// operatorProgram is the operator, built with the race detector.
	operatorProgram string

	// shared is the operator that all stories run under which do not start their own.
	shared *operator

	// answering is a replica that stands by and answers the API server, so that people can write also while a story has
	// done away with the operator that acts.
	answering *operator
)

func TestStories(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(soon)
	SetDefaultEventuallyPollingInterval(often)
	SetDefaultConsistentlyPollingInterval(often)
	_, reporter := GinkgoConfiguration()
	if folder := os.Getenv("TENURE_REPORTS"); folder != "" {
		reporter.JSONReport = filepath.Join(folder, "stories.json")
	}
	RunSpecs(t, "Stories", reporter)
}

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	operatorProgram, err = gexec.Build("tenure.dev/tenure", "-race")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(gexec.CleanupBuildArtifacts)

	cluster, err = local.Start(ctx, local.Options{Install: install})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cluster.Stop()).To(Succeed()) })
	admin = clientFor(cluster.Admin())

	answering = startOperator("answering", must(local.StandBy(ctx, admin))...)
	cluster.Webhooks().Serve(answering.Webhooks)
	shared = startOperator("operator")
	DeferCleanup(func() { shared.stop() })
	Eventually(shared.Ready).WithContext(ctx).Should(Succeed())
	Eventually(answering.Ready).WithContext(ctx).Should(Succeed())
	Expect(cluster.AwaitWebhooks(ctx)).To(Succeed())
}, NodeTimeout(10*time.Minute))

// install puts onto the cluster what a platform team would, but for what needs nodes.
func install(ctx context.Context, c *local.Cluster) error {
	root, err := local.RepositoryRoot()
	if err != nil {
		return err
	}
	return c.Install(ctx, root+"/config/local")
}

func clientFor(config *rest.Config) client.WithWatch {
	GinkgoHelper()
	config.WarningHandler = rest.NoWarnings{} // Stories look at warnings through kubectl, as a person does.
	c, err := client.NewWithWatch(config, client.Options{Scheme: controllers.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// as is a client that acts as somebody whom RBAC judges.
func as(username string, groups ...string) client.Client {
	GinkgoHelper()
	config, err := cluster.User(username, groups...)
	Expect(err).NotTo(HaveOccurred())
	return clientFor(config)
}

// kubectl runs kubectl as the administrator and returns what a person would read, on both outputs.
func kubectl(arguments ...string) (output string, err error) {
	stdout, stderr, err := cluster.Kubectl(context.Background(), nil, nil, arguments...)
	if err != nil {
		return stdout + stderr, err
	}
	return stdout + stderr, nil
}

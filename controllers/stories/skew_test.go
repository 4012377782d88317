package stories

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/local"
)

// skewedCluster is the cluster as the operator sees it whose clock is off: every answer comes as it is, but for its date.
type skewedCluster struct {
	url string

	// behind is how far the operator's clock is behind, in nanoseconds.
	behind atomic.Int64
}

// newSkewedCluster serves the cluster to whoever asks on loopback, under the operator's own rights.
func newSkewedCluster() *skewedCluster {
	GinkgoHelper()
	config, err := cluster.Operator()
	Expect(err).NotTo(HaveOccurred())
	transport, err := rest.TransportFor(config)
	Expect(err).NotTo(HaveOccurred())
	there, err := url.Parse(config.Host)
	Expect(err).NotTo(HaveOccurred())

	c := &skewedCluster{}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Transport:      transport,
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(there) },
		ModifyResponse: c.shift,
	})
	DeferCleanup(func() {
		server.CloseClientConnections() // Watches would not end by themselves.
		server.Close()
	})
	c.url = server.URL
	return c
}

func (c *skewedCluster) shift(response *http.Response) error {
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return err
	}
	response.Header.Set("Date", date.Add(time.Duration(c.behind.Load())).UTC().Format(http.TimeFormat))
	return nil
}

// kubeconfig is a file by which an operator finds the cluster.
func (c *skewedCluster) kubeconfig() string {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(local.WriteKubeconfig(path, &rest.Config{Host: c.url}, operatorNamespace)).To(Succeed())
	return path
}

// deleteAndTransfer has an effect that destroys and one that does not.
const deleteAndTransfer = `
serviceAccountName: lifecycle
guards: {leader: Allow, lastRoleHolder: Allow}
effects:
- name: drafts
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.author}, action: Delete}
- name: work
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: Transfer, successors: [Owner]}
`

var _ = Describe("An operator whose clock is off", Serial, func() {
	It("closes access at once, destroys nothing and says why, and goes on when the clock is right", Label("R5"), func(ctx context.Context) {
		shared.stop()
		DeferCleanup(shared.startAgain)
		seen := newSkewedCluster()
		skewed := startOperator("skewed", "--kubeconfig="+seen.kubeconfig(), "--metrics-insecure")
		Eventually(skewed.Ready).WithContext(ctx).Should(Succeed())

		o := workingOrganization(ctx, deleteAndTransfer)
		o.createUser(ctx, "alice", wasActive)
		namespace := o.createProgram(ctx, "mentoring")
		o.enrol(ctx, "alice", v1alpha1.StateActive, "mentoring")
		Eventually(o.grantsOf(ctx, "alice")).Should(Equal([]string{"view@" + namespace}))
		o.createWork(ctx, "draft", `{author: alice}`)
		o.createWork(ctx, "page", `{owner: alice}`)
		Expect(skewed.says("tenure_clock_skew_seconds")()).To(BeNumerically("~", 0, 9))

		By("closing access")
		seen.behind.Store(int64(time.Hour))
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredSuspended, "Inquiry"))
		Eventually(o.grantsOf(ctx, "alice")).Should(BeEmpty())
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateSuspended))
		Eventually(o.membershipStateOf(ctx, "alice-mentoring")).Should(Equal(v1alpha1.StateDeactivated))

		By("handing over, and deleting nothing")
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateDeactivated))
		Eventually(o.ledger(ctx, "user.alice.3")).Should(Equal([]string{
			"False ClockSkewed", "drafts 0/1: Waits until the operator's clock is right", "work 1/1",
		}))
		Consistently(o.work(ctx)).WithTimeout(5 * time.Second).Should(Equal(map[string]string{"draft": "{author: alice}", "page": "{owner: olivia}"}))

		By("saying why")
		why := ContainSubstring("waits: the operator's clock is ")
		Eventually(o.saysOfAlice(ctx, v1alpha1.ConditionReady)).Should(And(HavePrefix("False ClockSkewed: "), why, MatchRegexp(`(59m5\d|1h0m\d)s behind the API server's`)))
		Expect(o.saysOfAlice(ctx, v1alpha1.ConditionStalled)()).To(And(HavePrefix("True ClockSkewed: "), why))
		Expect(skewed.says("tenure_clock_skew_seconds")()).To(BeNumerically("~", -3600, 9))

		By("going on")
		seen.behind.Store(0)
		o.waitForCascade(ctx, "user.alice.3")
		Expect(o.work(ctx)()).To(Equal(map[string]string{"page": "{owner: olivia}"}))
		Eventually(o.saysOfAlice(ctx, v1alpha1.ConditionReady)).Should(HavePrefix("True "))
		Expect(o.saysOfAlice(ctx, v1alpha1.ConditionStalled)()).To(BeEmpty())
	})
})

// saysOfAlice is a condition of Alice's; empty where there is none.
func (o *organization) saysOfAlice(ctx context.Context, kind string) func() (string, error) {
	return func() (string, error) {
		alice, err := o.user(ctx, "alice")()
		return condition(alice.Status.Conditions, kind), err
	}
}

// says is what a metric without labels says.
func (o *operator) says(metric string) func() (float64, error) {
	return func() (float64, error) {
		response, err := http.Get("http://" + o.Metrics + "/metrics")
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return 0, err
		}
		_, after, found := strings.Cut(string(text), "\n"+metric+" ")
		if !found {
			return 0, fmt.Errorf("there is no metric %s", metric)
		}
		value, _, _ := strings.Cut(after, "\n")
		return strconv.ParseFloat(value, 64)
	}
}

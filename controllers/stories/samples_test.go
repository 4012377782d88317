package stories

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/hack/run/samples"
)

var _ = Describe("The samples", func() {
	It("show every state, and two minutes later what has happened by itself", func() {
		DeferCleanup(func(ctx context.Context) {
			for _, name := range []string{"acme", "sales", "mentoring"} {
				Expect(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
			}
		})

		Expect(applySamples(time.Now())).NotTo(MatchRegexp("(?m)^Warning"))
		Eventually(columns).WithArguments("users", "acme", "{.metadata.name} {.status.state}").Should(ConsistOf(
			"olivia Active", "bob Active", "alice Active", "carol Activated", "dave Active", "erin Pending", "frank OnBreak",
			"grace Deactivated", "heidi Deactivated", "ivan Deactivated", "judy Expired", "kate Active",
			"mallory Suspended", "nick Suspended", "peggy Removed",
		))
		Eventually(columns).WithArguments("memberships", "acme", "{.metadata.name} {.status.state}").Should(ConsistOf(
			"alice-sales-north Active", "carol-sales-north Active", "kate-sales-north Active", "heidi-sales-north Paused",
			"erin-sales-north Paused", "mallory-sales-north Deactivated",
			"bob-support Active", "ivan-support Paused", "judy-support Paused", "peggy-support Removed",
			"dave-mentoring Active", "alice-mentoring Active", "carol-mentoring Active", "frank-mentoring Active",
			"grace-mentoring Paused", "nick-mentoring Paused",
			"kate-apollo Active",
			"olivia-atrium Active", "alice-atrium Pending", "bob-atrium Deactivated", "frank-atrium Expired", "dave-atrium Removed",
		))
		Eventually(columns).WithArguments("rolebindings", "sales", "{.roleRef.name} {.subjects[*].name}").Should(ConsistOf(
			"edit alice@acme.example", "view carol@acme.example", "view kate@contractors.example",
		))
		Eventually(columns).WithArguments("groups", "acme", `{.metadata.name} {.status.conditions[?(@.type=="Staffed")].status}`).Should(
			HaveEach(HaveSuffix(" True")))

		// The same hold of another date is another hold, which the first one must make room for.
		releaseIvan := func() {
			GinkgoHelper()
			Expect(kubectl("annotate", "users.tenure.dev", "ivan", "--namespace=acme", "tenure.dev/release=inactivity", "--as=jane@acme.example")).
				To(HavePrefix("user.tenure.dev/ivan annotated\nWarning: ivan: Deactivated to Active at once; access comes back"))
			Eventually(columns).WithArguments("users", "acme", "{.metadata.name} {.status.state}").Should(ContainElement("ivan Active"))
		}

		By("waiting for Kate's date, as nobody ends by hand the access of somebody who leads a group")
		releaseIvan()
		applySamples(time.Now().Add(-28 * time.Second))
		Eventually(columns).WithArguments("users", "acme", "{.metadata.name} {.status.state}").Should(ContainElements("kate Expired", "erin Pending"))

		releaseIvan()
		Expect(applySamples(time.Now().Add(-2 * time.Minute))).To(MatchRegexp("(?m)^Warning: carol-mentoring: Active to Expired at once"))
		Eventually(columns).WithArguments("users", "acme", "{.metadata.name} {.status.state}").Should(ContainElements(
			"kate Expired", "erin Activated", "heidi Active",
		))
		Eventually(columns).WithArguments("memberships", "acme", "{.metadata.name} {.status.state}").Should(ContainElements(
			"kate-sales-north Paused", "kate-apollo Paused", "erin-sales-north Active", "heidi-sales-north Active", "carol-mentoring Expired",
		))
		Eventually(columns).WithArguments("rolebindings", "sales", "{.roleRef.name} {.subjects[*].name}").Should(ConsistOf(
			"edit alice@acme.example", "view carol@acme.example", "view erin@acme.example", "view heidi@acme.example",
		))
		Eventually(columns).WithArguments("groups", "acme", `{.metadata.name} {.status.conditions[?(@.type=="Staffed")].status}`).Should(
			ContainElement("apollo False"))
	})
})

// applySamples applies the samples as `make run` does, with their dates relative to now, and returns what is printed.
func applySamples(now time.Time) string {
	GinkgoHelper()
	dated := GinkgoT().TempDir()
	Expect(samples.Copy(fromRoot("config/samples"), dated, now)).To(Succeed())
	applied, err := kubectl("apply", "--server-side", "--kustomize="+dated)
	Expect(err).NotTo(HaveOccurred())
	return applied
}

// columns are a line for each object of a namespace, of what a JSONPath template picks.
func columns(kind, namespace, template string) ([]string, error) {
	printed, err := kubectl("get", kind, "--namespace="+namespace, "--output=jsonpath={range .items[*]}"+template+`{"\n"}{end}`)
	return strings.Split(strings.TrimSpace(printed), "\n"), err
}

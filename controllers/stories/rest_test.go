package stories

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// expectRest starts the operator anew and sees that it looks at everybody and writes nothing, neither at the start nor
// while one watches.
func (c *crowd) expectRest(ctx context.Context, watched time.Duration) {
	GinkgoHelper()
	Eventually(terminating).WithArguments(ctx).WithTimeout(15*soon).Should(BeEmpty(), "what earlier stories have left is being cleared away")
	token := c.metricsReader(ctx)
	shared.stop()
	DeferCleanup(shared.startAgain)
	versions, written := c.versions(ctx), must(writes())
	shared.startAgain()
	for controller, objects := range map[string]int{
		"organization": 1, "group": 1, "user": c.size + 1, "membership": c.size, "transition": 2*c.size + 1,
	} {
		c.eventually(func() (float64, error) {
			metrics, err := shared.scrape(ctx, token)
			return total(metrics, "controller_runtime_reconcile_total", `controller="`+controller+`"`), err
		}, BeNumerically(">=", objects))
	}
	Consistently(writes).WithTimeout(watched).WithPolling(watched / 5).Should(BeComparableTo(written))
	Expect(c.versions(ctx)).To(BeComparableTo(versions))
}

// versions are the resourceVersions of everything that the operator may write for the crowd.
func (c *crowd) versions(ctx context.Context) map[string]string {
	GinkgoHelper()
	versions := map[string]string{}
	for _, kind := range []schema.GroupVersionKind{
		v1alpha1.GroupVersion.WithKind("Organization"), v1alpha1.GroupVersion.WithKind("User"), v1alpha1.GroupVersion.WithKind("Group"),
		v1alpha1.GroupVersion.WithKind("Membership"), v1alpha1.GroupVersion.WithKind("Transition"),
		v1alpha1.GroupVersion.WithKind("LifecyclePolicy"),
		rbacv1.SchemeGroupVersion.WithKind("RoleBinding"), eventsv1.SchemeGroupVersion.WithKind("Event"),
	} {
		for _, namespace := range []string{c.name, c.target} {
			list := &metav1.PartialObjectMetadataList{}
			list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
			Expect(admin.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
			for i := range list.Items {
				versions[fmt.Sprintf("%s %s/%s", kind.Kind, namespace, list.Items[i].Name)] = list.Items[i].ResourceVersion
			}
		}
	}
	return versions
}

// terminating are the namespaces that are going, with what is still in them.
func terminating(ctx context.Context) ([]string, error) {
	var list corev1.NamespaceList
	err := admin.List(ctx, &list)
	going := []string{}
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			continue
		}
		line := list.Items[i].Name
		for _, condition := range list.Items[i].Status.Conditions {
			if condition.Status == corev1.ConditionTrue {
				line += fmt.Sprintf(" %s: %s", condition.Type, condition.Message)
			}
		}
		going = append(going, line)
	}
	return going, err
}

var requestPattern = regexp.MustCompile(
	`(?m)^apiserver_request_total\{.*group="(.*?)",resource="(.*?)",.*subresource="(.*?)",verb="(.*?)".*\} (\S+)$`)

// writes counts the requests by which anybody has changed anything that the operator may write, as the API server itself
// counts them. Leases, which whoever is alive renews, are left out.
func writes() (map[string]float64, error) {
	metrics, err := kubectl("get", "--raw", "/metrics")
	counts := map[string]float64{}
	for _, found := range requestPattern.FindAllStringSubmatch(metrics, -1) {
		group, resource, subresource, verb := found[1], found[2], found[3], found[4]
		if slices.Contains([]string{"GET", "LIST", "WATCH"}, verb) ||
			group != v1alpha1.GroupVersion.Group && !slices.Contains([]string{"rolebindings", "events"}, resource) {
			continue
		}
		n, failed := strconv.ParseFloat(found[5], 64)
		err = errors.Join(err, failed)
		counts[strings.Join([]string{verb, group, resource, subresource}, " ")] += n
	}
	return counts, err
}

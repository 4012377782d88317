package stories

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/local"
)

var _ = Describe("Installation", func() {
	It("is accepted by the API server as a whole, tried and for real", func() {
		everything := "--kustomize=" + fromRoot("config/default")
		tried, err := kubectl("apply", "--dry-run=server", "--server-side", everything)
		Expect(err).NotTo(HaveOccurred())

		DeferCleanup(func(ctx context.Context) {
			// What serves pods: config/local, on which the stories run, goes without; and webhooks call the gate instead.
			_, err := kubectl("delete", "--namespace="+operatorNamespace, "--selector=app.kubernetes.io/name=tenure",
				"deployment,service,poddisruptionbudget,networkpolicy,validatingwebhookconfiguration,mutatingwebhookconfiguration")
			Expect(err).NotTo(HaveOccurred())
			Expect(install(ctx, cluster)).To(Succeed())
			Expect(cluster.AwaitWebhooks(ctx)).To(Succeed())
		})
		applied, err := kubectl("apply", "--server-side", everything)
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.ReplaceAll(tried, " (server dry run)", "")).To(Equal(applied))
		Expect(applied).NotTo(ContainSubstring("Warning"), "of pod security, of what is deprecated")
		for _, object := range []string{
			"namespace/tenure-system",
			"serviceaccount/tenure-controller-manager",
			"deployment.apps/tenure-controller-manager",
			"service/tenure-controller-manager-metrics",
			"service/tenure-webhook",
			"poddisruptionbudget.policy/tenure-controller-manager",
			"networkpolicy.networking.k8s.io/tenure-controller-manager",
			"customresourcedefinition.apiextensions.k8s.io/users.tenure.dev",
			"validatingadmissionpolicybinding.admissionregistration.k8s.io/tenure-group-grants",
			"validatingwebhookconfiguration.admissionregistration.k8s.io/tenure",
			"mutatingwebhookconfiguration.admissionregistration.k8s.io/tenure",
		} {
			Expect(applied).To(ContainSubstring(object + " serverside-applied\n"))
		}
	})

	It("runs two replicas in pods that a restricted namespace takes", func(ctx context.Context) {
		printed, err := kubectl("apply", "--dry-run=server", "--server-side", "--output=json", "--filename="+fromRoot("config/manager/manager.yaml"))
		Expect(err).NotTo(HaveOccurred())
		var deployment appsv1.Deployment
		Expect(json.Unmarshal([]byte(printed), &deployment)).To(Succeed())
		Expect(deployment.Spec.Replicas).To(HaveValue(BeEquivalentTo(2)))

		pod := func() *corev1.Pod {
			template := deployment.Spec.Template.DeepCopy()
			template.Namespace, template.Name = operatorNamespace, "tried"
			return &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
		}
		Expect(admin.Create(ctx, pod(), client.DryRunAll)).To(Succeed())
		careless := pod()
		careless.Spec.Containers[0].SecurityContext = nil
		Expect(admin.Create(ctx, careless, client.DryRunAll)).To(MatchError(ContainSubstring(`violates PodSecurity "restricted:latest"`)))
	})

	DescribeTable("brings roles, and adds them to the cluster's own", func(ctx context.Context, role string, may, mayNot []string) {
		acme := newNamespace(ctx)
		jane := role + "-jane@acme.example"
		acme.bind(ctx, role, jane)
		for _, act := range may {
			Eventually(acme.allows).WithArguments(ctx, jane, act).Should(BeTrue(), "%s may %s", role, act)
		}
		for _, act := range mayNot {
			Expect(acme.allows(ctx, jane, act)).To(BeFalse(), "%s may not %s", role, act)
		}
	},
		Entry("view: sees everything", "view", mayView, mayNotView),
		Entry("edit: administers people and groups", "edit", slices.Concat(mayView, mayEdit), mayNotEdit),
		Entry("admin: administers the organization", "admin", slices.Concat(mayView, mayEdit, mayAdminister), mayNotAdminister),
		Entry("to tenure-viewer: sees everything", "tenure-viewer", mayView, append([]string{"get pods."}, mayNotView...)),
		Entry("to tenure-power-user: administers people and groups",
			"tenure-power-user", slices.Concat(mayView, mayEdit), append([]string{"get pods."}, mayNotEdit...)),
		Entry("to tenure-admin: administers the organization",
			"tenure-admin", slices.Concat(mayView, mayEdit, mayAdminister), append([]string{"get pods.", "impersonate serviceaccounts."}, mayNotAdminister...)),
	)

	It("lets a platform add to its roles, and to those above with them", func(ctx context.Context) {
		acme := newNamespace(ctx)
		for _, role := range []string{"tenure-viewer", "tenure-power-user", "tenure-admin"} {
			acme.bind(ctx, role, role)
		}
		added := &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: acme.name, Labels: map[string]string{"tenure.dev/aggregate-to-power-user": "true"}},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"crm.example.com"}, Resources: []string{"opportunities"}, Verbs: []string{"get"}}},
		}
		Expect(admin.Create(ctx, added)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(admin.Delete(ctx, added)).To(Succeed()) })
		for _, role := range []string{"tenure-power-user", "tenure-admin"} {
			Eventually(acme.allows).WithArguments(ctx, role, "get opportunities.crm.example.com").Should(BeTrue(), role)
		}
		Expect(acme.allows(ctx, "tenure-viewer", "get opportunities.crm.example.com")).To(BeFalse())
	})

	It("gives the operator no more rights than it needs", func(ctx context.Context) {
		acme := newOrganization(ctx)
		for _, act := range []string{
			"patch users", "patch users/status", "create transitions", "create rolebindings.rbac.authorization.k8s.io",
			"bind clusterroles.rbac.authorization.k8s.io view", "create events.events.k8s.io",
		} {
			Expect(acme.allows(ctx, operatorUser, act)).To(BeTrue(), "the operator may %s", act)
		}
		for _, act := range []string{
			"get secrets.", "list configmaps.", "get pods.", "create pods.", "create pods/exec.", "create serviceaccounts/token.", "update namespaces.",
			"create users", "delete users", "create memberships", "update organizations", "update lifecyclepolicies", "update transitions",
			"impersonate users.", "impersonate groups.", "impersonate serviceaccounts.",
			"create clusterrolebindings.rbac.authorization.k8s.io", "create clusterroles.rbac.authorization.k8s.io",
			"create roles.rbac.authorization.k8s.io", "escalate clusterroles.rbac.authorization.k8s.io view",
			"bind clusterroles.rbac.authorization.k8s.io cluster-admin", "bind clusterroles.rbac.authorization.k8s.io admin",
			"get leases.coordination.k8s.io tenure",
		} {
			Expect(acme.allows(ctx, operatorUser, act)).To(BeFalse(), "the operator may not %s", act)
		}

		operator := as(operatorUser)
		Expect(operator.Create(ctx, acme.binding("view", "jane@acme.example"))).To(Succeed())
		Expect(operator.Create(ctx, acme.binding("cluster-admin", "jane@acme.example"))).To(Satisfy(apierrors.IsForbidden))
	})

	It("serves metrics to those alone whom the API server lets", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "kate", expires(inSeconds(1)))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateExpired))

		_, err := shared.scrape(ctx, "")
		Expect(err).To(MatchError("401 Unauthorized"))
		_, err = shared.scrape(ctx, acme.token(ctx, "stranger"))
		Expect(err).To(MatchError("403 Forbidden"))
		reader := acme.metricsReader(ctx)
		Eventually(func(g Gomega) {
			metrics, err := shared.scrape(ctx, reader)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(total(metrics, "tenure_users", `organization="`+acme.name+`"`, `state="Expired"`)).To(BeEquivalentTo(1))
			g.Expect(total(metrics, "tenure_deadline_lateness_seconds_count", `kind="User"`)).To(BeNumerically(">", 0))
			g.Expect(total(metrics, "tenure_transitions_total", `kind="User"`, `to="Expired"`, `cause="Expired"`)).To(BeNumerically(">", 0))
		}).Should(Succeed())
	})
})

var _ = Describe("Uninstallation", func() {
	It("ends with nothing that hinders or stays granted: first the operator with all that judges changes, then the kinds", func(ctx context.Context) {
		installed := startInstalled(ctx)
		everything := clientFor(installed.Admin())
		granted := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "kate", Namespace: "acme", Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		}
		ours := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "ours", Namespace: "acme"}, RoleRef: granted.RoleRef}
		kate := &v1alpha1.User{
			ObjectMeta: metav1.ObjectMeta{Name: "kate", Namespace: "acme", Finalizers: []string{"acme.example/archive", v1alpha1.Finalizer}},
			Spec:       v1alpha1.UserSpec{UserName: "kate@acme.example"},
		}
		membership := &v1alpha1.Membership{
			ObjectMeta: metav1.ObjectMeta{Name: "kate-course", Namespace: "acme", Finalizers: []string{v1alpha1.Finalizer}},
			Spec:       v1alpha1.MembershipSpec{UserRef: v1alpha1.Reference{Name: "kate"}, GroupRef: v1alpha1.Reference{Name: "course"}},
		}
		for _, object := range []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}, granted, ours, kate, membership} {
			Eventually(func() error { return everything.Create(ctx, object) }).Should(Succeed())
		}
		_, _, err := installed.Kubectl(ctx, nil, nil, "apply", "--server-side", "--kustomize="+fromRoot("config/default"))
		Expect(err).NotTo(HaveOccurred())

		Expect(makeFor(ctx, installed, "uninstall")).To(MatchError(ContainSubstring("run 'make undeploy' first")))
		Expect(makeFor(ctx, installed, "undeploy")).To(Succeed())
		left, _, err := installed.Kubectl(ctx, nil, nil, "get", "namespaces,clusterroles,clusterrolebindings,validatingwebhookconfigurations,mutatingwebhookconfigurations,"+
			"validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,mutatingadmissionpolicybindings", "--output=name")
		Expect(err).NotTo(HaveOccurred())
		Expect(left).NotTo(ContainSubstring("tenure"))
		Expect(everything.Get(ctx, client.ObjectKeyFromObject(granted), granted)).To(Succeed(), "what is granted stays")
		Eventually(func() error {
			return everything.Patch(ctx, kate, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"displayName":"Kate"}}`)))
		}).Should(Succeed(), "nobody has to answer any more")

		By("leaving it to others to let go of what they hold")
		uninstalled := make(chan error, 1)
		go func() {
			defer GinkgoRecover()
			uninstalled <- makeFor(ctx, installed, "uninstall")
		}()
		Eventually(func() ([]string, error) {
			err := everything.Get(ctx, client.ObjectKeyFromObject(kate), kate)
			return kate.Finalizers, err
		}).Should(ConsistOf("acme.example/archive"))
		Eventually(func() error {
			return everything.Patch(ctx, kate, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))
		}).Should(Succeed())
		Eventually(uninstalled).WithTimeout(3 * soon).Should(Receive(Succeed()))
		Expect(everything.List(ctx, &v1alpha1.UserList{})).To(MatchError(apierrors.IsNotFound, "IsNotFound"))
		Expect(everything.Get(ctx, client.ObjectKeyFromObject(granted), granted)).To(MatchError(apierrors.IsNotFound, "IsNotFound"))
		Expect(everything.Get(ctx, client.ObjectKeyFromObject(ours), ours)).To(Succeed())
	})

	It("of an organization is that of its namespace, whatever is under way in it", func(ctx context.Context) {
		o := workingOrganization(ctx, transferToOwner)
		target := o.createProgram(ctx, "course")
		o.createUser(ctx, "ann", role("Admin"), wasActive)
		o.createUser(ctx, "alice", wasActive)
		o.createUser(ctx, "kate", held("security", v1alpha1.UserHoldSuspended))
		o.enrol(ctx, "ann", v1alpha1.StateActive, "course")
		Eventually(o.mayListPods(ctx, "ann", target)).Should(BeTrue())
		o.createWork(ctx, "work", `{owner: alice}`)
		o.letLifecycle(ctx, "get", "list", "watch")
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		Eventually(o.ledger(ctx, "user.alice.2")).Should(ContainElement("False Retrying"))

		By("taking leave of people one by one, with what the policy asks for")
		o.deleteObject("user", "kate")

		By("and of the rest, the last administrator and the account owner, at once")
		o.deleteObject("namespace", o.name)
		Expect(o.mayListPods(ctx, "ann", target)()).To(BeFalse())
	})
})

// startInstalled starts a cluster of its own that has the kinds, for what would end the other stories.
func startInstalled(ctx context.Context) *local.Cluster {
	GinkgoHelper()
	started, err := local.Start(ctx, local.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(started.Stop()).To(Succeed()) })
	Expect(makeFor(ctx, started, "install")).To(Succeed())
	_, _, err = started.Kubectl(ctx, nil, nil, "wait", "--for=condition=Established", "customresourcedefinitions", "--all", "--timeout="+soon.String())
	Expect(err).NotTo(HaveOccurred())
	return started
}

// makeFor runs make as the administrator of a cluster.
func makeFor(ctx context.Context, c *local.Cluster, target string) error {
	GinkgoHelper()
	kubeconfig := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(local.WriteKubeconfig(kubeconfig, c.Admin(), "")).To(Succeed())
	kubectl := fromRoot("bin/kubectl")
	if given := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"); filepath.IsAbs(given) {
		if _, err := os.Stat(given); err == nil {
			kubectl = given
		}
	}
	command := exec.CommandContext(ctx, "make", "--directory="+fromRoot(""), "KUBECTL="+kubectl, target)
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	said, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("make %s: %w: %s", target, err, said)
	}
	return nil
}

// What people may do by their role, which includes the one before, and what not.
var (
	mayView = []string{
		"get users", "list users", "watch users", "get organizations", "get groups", "get memberships", "get lifecyclepolicies", "get transitions",
	}
	mayNotView = []string{"create users", "patch users", "delete users", "assign groups", "deactivate users", "update users/status", "create transitions"}

	mayEdit = []string{
		"create users", "patch users", "delete users", "create groups", "update memberships", "delete memberships", "assign groups",
		"deactivate users", "reactivate users", "release users",
		"deactivate memberships", "reactivate memberships", "release memberships", "remove memberships",
	}
	mayNotEdit = []string{
		"update organizations", "create lifecyclepolicies", "use lifecyclepolicies", "suspend users", "remove users", "restore users", "report users",
		"restore memberships", "update users/status", "create transitions", "delete transitions",
	}

	mayAdminister = []string{
		"update organizations", "create lifecyclepolicies", "use lifecyclepolicies", "suspend users", "remove users", "restore users", "report users",
		"restore memberships",
	}
	mayNotAdminister = []string{
		"update users/status", "update organizations/status", "create transitions", "update transitions", "delete transitions",
	}
)

func fromRoot(path string) string {
	GinkgoHelper()
	root, err := local.RepositoryRoot()
	Expect(err).NotTo(HaveOccurred())
	return root + "/" + path
}

// binding gives somebody a ClusterRole in the organization.
func (o *organization) binding(clusterRole, username string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "people-" + clusterRole, Namespace: o.name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: username}},
	}
}

func (o *organization) bind(ctx context.Context, clusterRole, username string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, o.binding(clusterRole, username))).To(Succeed())
}

// allows asks the API server whether somebody may do something in the organization: a verb, a resource (of tenure.dev,
// where it names no group), and perhaps a name.
func (o *organization) allows(ctx context.Context, username, act string) (bool, error) {
	words := append(strings.Fields(act), "")
	resource, group, named := strings.Cut(words[1], ".")
	if !named {
		group = v1alpha1.GroupVersion.Group
	}
	resource, subresource, _ := strings.Cut(resource, "/")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: username, Groups: []string{"system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: o.name, Verb: words[0], Group: group, Resource: resource, Subresource: subresource, Name: words[2],
		},
	}}
	err := admin.Create(ctx, review)
	return review.Status.Allowed, err
}

// token is what a new ServiceAccount of the organization shows to prove itself.
func (o *organization) token(ctx context.Context, name string) string {
	GinkgoHelper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: o.name}}
	Expect(admin.Create(ctx, account)).To(Succeed())
	request := &authenticationv1.TokenRequest{}
	Expect(admin.SubResource("token").Create(ctx, account, request)).To(Succeed())
	return request.Status.Token
}

// metricsReader is the token of an account of the organization that may read the operator's metrics.
func (o *organization) metricsReader(ctx context.Context) string {
	GinkgoHelper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: o.name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tenure-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: o.name, Name: "prometheus"}},
	}
	Expect(admin.Create(ctx, binding)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(admin.Delete(ctx, binding)).To(Succeed()) })
	return o.token(ctx, "prometheus")
}

// scrape reads the replica's metrics, as Prometheus would.
func (o *operator) scrape(ctx context.Context, token string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+o.Metrics+"/metrics", http.NoBody)
	if err != nil {
		return "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	scraper := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // the replica signs its certificate itself
	}}
	response, err := scraper.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", errors.New(response.Status)
	}
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// total adds up the samples of a metric that carry all of the labels.
func total(metrics, name string, labels ...string) (sum float64) {
	pattern := regexp.MustCompile(`(?m)^` + name + `\{(.*)\} (\S+)$`)
	for _, sample := range pattern.FindAllStringSubmatch(metrics, -1) {
		n, err := strconv.ParseFloat(sample[2], 64)
		if err != nil || slices.ContainsFunc(labels, func(label string) bool { return !strings.Contains(sample[1], label) }) {
			continue
		}
		sum += n
	}
	return sum
}

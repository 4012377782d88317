package stories

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/local"
)

var _ = Describe("Webhooks", Serial, func() {
	It("hold up what people write while nobody answers, and nothing else", func(ctx context.Context) {
		acme := newOrganization(ctx)
		leaving := newOrganization(ctx)
		leaving.createUser(ctx, "jane", wasActive)
		acme.createUser(ctx, "kate", expires(inSeconds(3)))
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActivated))
		silence()

		jane := &v1alpha1.User{
			ObjectMeta: metav1.ObjectMeta{Name: "jane", Namespace: acme.name},
			Spec:       v1alpha1.UserSpec{UserName: "jane@acme.example", Email: "jane@acme.example"},
		}
		Expect(admin.Create(ctx, jane)).To(MatchError(ContainSubstring(`failed calling webhook "users.tenure.dev"`)))
		Expect(acme.patchUser(ctx, admin, "kate", `{"spec":{"expirationTime":null}}`)).NotTo(Succeed())
		By("but not what says nothing about access, nor other kinds")
		Expect(acme.patchUser(ctx, admin, "kate", `{"metadata":{"labels":{"floor":"3"}}}`)).To(Succeed())
		Expect(admin.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "any", Namespace: acme.name}})).To(Succeed())
		By("nor a deadline")
		Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateExpired))
		By("nor the end of a namespace")
		Expect(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: leaving.name}})).To(Succeed())
		Eventually(func() error {
			return admin.Get(ctx, client.ObjectKey{Name: leaving.name}, &corev1.Namespace{})
		}).Should(Satisfy(apierrors.IsNotFound))
	})

	It("are answered by any replica: one that acts, and one that stands by", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "kate")
		shared.answer()
		DeferCleanup(cluster.Webhooks().Serve, answering.Webhooks)
		answering.withdraw(ctx)
		acme.createUser(ctx, "lee")
	})

	It("are trusted also when their authority is lost: a new one is known before anybody serves under it", func(ctx context.Context) {
		acme := newOrganization(ctx)
		shared.answer()
		former := authority(ctx)
		Expect(admin.Delete(ctx, authoritySecret())).To(Succeed())
		Eventually(func() *x509.Certificate { return authority(ctx) }).ShouldNot(Or(BeNil(), Equal(former)))
		current := authority(ctx)
		Eventually(func() bool {
			trusted := bundle(ctx)
			for _, replica := range []*operator{shared, answering} {
				_, err := replica.certificate(ctx, trusted...)
				Expect(err).NotTo(HaveOccurred(), replica.name)
			}
			Expect(acme.patchUser(ctx, admin, "olivia", `{"spec":{"displayName":"`+time.Now().String()+`"}}`)).To(Succeed())
			return shared.servesUnder(ctx, current) && answering.servesUnder(ctx, current)
		}).Should(BeTrue())
		Expect(bundle(ctx)).To(HaveLen(2))
		Expect(bundle(ctx)).To(ContainElements(former, current))
	})

	It("are trusted again when somebody writes their configuration anew, and left alone when it is applied again", func(ctx context.Context) {
		before := configuration(ctx)
		Expect(install(ctx, cluster)).To(Succeed())
		Expect(configuration(ctx).ResourceVersion).To(Equal(before.ResourceVersion))

		trusted := bundle(ctx)
		remove := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`))
		Expect(admin.Patch(ctx, configuration(ctx), remove)).To(Succeed())
		Eventually(func() []*x509.Certificate { return bundle(ctx) }).Should(ContainElement(trusted[len(trusted)-1]))
		Expect(cluster.AwaitWebhooks(ctx)).To(Succeed())
	})

	It("are served under a certificate that is replaced in time", func(ctx context.Context) {
		brief := startOperator("brief", append(must(local.StandBy(ctx, admin)), "--webhook-cert-duration=6s")...)
		Eventually(brief.Ready).WithContext(ctx).Should(Succeed())
		now := func() (*x509.Certificate, error) { return brief.certificate(ctx, bundle(ctx)...) }
		first := must(now())
		Expect(first.NotAfter.Sub(first.NotBefore)).To(Equal(6 * time.Second))
		// Two thirds of it later, and not merely once more at the start.
		Eventually(now).Should(HaveField("NotBefore", BeTemporally(">=", first.NotBefore.Add(3*time.Second))))
		Expect(time.Now()).To(BeTemporally("<", first.NotAfter))
	})

	It("are served under a certificate that somebody else makes, where they do", func(ctx context.Context) {
		made, key, err := cert.GenerateSelfSignedCertKey("localhost", nil, nil)
		Expect(err).NotTo(HaveOccurred())
		directory := GinkgoT().TempDir()
		Expect(os.WriteFile(directory+"/tls.crt", made, 0o600)).To(Succeed())
		Expect(os.WriteFile(directory+"/tls.key", key, 0o600)).To(Succeed())
		before := configuration(ctx)

		replica := startOperator("certified", append(must(local.StandBy(ctx, admin)), "--webhook-cert-dir="+directory)...)
		Eventually(replica.Ready).WithContext(ctx).Should(Succeed())
		Expect(replica.certificate(ctx, certificates(made)...)).To(Equal(certificates(made)[0]))
		Expect(configuration(ctx).ResourceVersion).To(Equal(before.ResourceVersion))
	})

	It("get their certificate from cert-manager in the kustomization for it", func() {
		rendered, err := kubectl("kustomize", fromRoot("config/certmanager"))
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Count(rendered, "cert-manager.io/inject-ca-from: tenure-system/tenure-webhook\n")).To(Equal(2))
		Expect(rendered).To(And(
			ContainSubstring("- --webhook-cert-dir=/certificates\n"), ContainSubstring("- mountPath: /certificates\n"),
			ContainSubstring("kind: Certificate\n"), ContainSubstring("secretName: tenure-webhook-certificate\n"),
			Not(ContainSubstring("tenure-webhook-ca")),
		))
	})
})

// configuration is what the API server knows about whom to ask.
func configuration(ctx context.Context) *admissionregistrationv1.ValidatingWebhookConfiguration {
	GinkgoHelper()
	found := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: "tenure"}, found)).To(Succeed())
	return found
}

// bundle are the authorities that the API server trusts when it asks about users.
func bundle(ctx context.Context) []*x509.Certificate {
	GinkgoHelper()
	return certificates(configuration(ctx).Webhooks[0].ClientConfig.CABundle)
}

func authoritySecret() *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "tenure-webhook-ca", Namespace: operatorNamespace}}
}

// authority is what replicas sign their certificates with; nil while there is none.
func authority(ctx context.Context) *x509.Certificate {
	GinkgoHelper()
	secret := authoritySecret()
	Expect(client.IgnoreNotFound(admin.Get(ctx, client.ObjectKeyFromObject(secret), secret))).To(Succeed())
	for _, found := range certificates(secret.Data[corev1.TLSCertKey]) {
		return found
	}
	return nil
}

func certificates(content []byte) []*x509.Certificate {
	GinkgoHelper()
	if len(content) == 0 {
		return nil
	}
	found, err := cert.ParseCertsPEM(content)
	Expect(err).NotTo(HaveOccurred())
	return found
}

// certificate is what a new caller of the replica's webhooks is shown. It must be for localhost, and of one of these
// authorities.
func (o *operator) certificate(ctx context.Context, authorities ...*x509.Certificate) (*x509.Certificate, error) {
	trusted := x509.NewCertPool()
	for _, a := range authorities {
		trusted.AddCert(a)
	}
	dialer := &tls.Dialer{Config: &tls.Config{ServerName: "localhost", RootCAs: trusted}}
	connection, err := dialer.DialContext(ctx, "tcp", o.Webhooks)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return connection.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// servesUnder says whether the replica's certificate is of an authority.
func (o *operator) servesUnder(ctx context.Context, authority *x509.Certificate) bool {
	_, err := o.certificate(ctx, authority)
	return err == nil
}

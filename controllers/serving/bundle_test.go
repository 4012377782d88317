package serving

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/cert-manager/cert-manager/pkg/server/tls/authority"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// signer is an authority with its key.
type signer struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// newAuthority makes an authority that is valid for some more time.
func newAuthority(t *testing.T, valid time.Duration) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: secretName}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(valid), KeyUsage: x509.KeyUsageCertSign,
	}
	made, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(made)
	if err != nil {
		t.Fatal(err)
	}
	return signer{Certificate: certificate, key: key}
}

// sign makes a certificate of the authority.
func (s signer) sign(t *testing.T) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now, NotAfter: now.Add(time.Hour)}
	made, err := x509.CreateCertificate(rand.Reader, template, s.Certificate, s.key.Public(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(made)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func encode(authorities ...signer) (bundle []byte) {
	for _, a := range authorities {
		bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Raw})...)
	}
	return bundle
}

func TestMerge(t *testing.T) {
	day := 24 * time.Hour
	current, former, earlier, first, expired := newAuthority(t, 9*day), newAuthority(t, 5*day), newAuthority(t, 4*day), newAuthority(t, 3*day), newAuthority(t, -time.Second)
	for name, c := range map[string]struct{ before, after []byte }{
		"none before":                       {nil, encode(current)},
		"already there":                     {encode(current), encode(current)},
		"one before, which is still served": {encode(former), encode(former, current)},
		"a late replica changes no order":   {encode(current, former), encode(current, former)},
		"an expired one goes":               {encode(expired, former), encode(former, current)},
		"the oldest of many goes":           {encode(first, earlier, former), encode(earlier, former, current)},
		"what is no certificate goes":       {append([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), encode(former)...), encode(former, current)},
		"a placeholder goes":                {[]byte("\n"), encode(current)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := merge(c.before, current.Certificate, now); !bytes.Equal(got, c.after) {
				t.Errorf("got %d certificates: %s", len(parse(got)), got)
			}
		})
	}
}

// world is an API server with what a bundler reads and writes.
type world struct {
	*bundler
	client.Client
	patches   int
	announced []*x509.Certificate
}

func newWorld(objects ...client.Object) *world {
	w := &world{}
	w.Client = fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objects...).
		WithInterceptorFuncs(interceptor.Funcs{
			Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
				w.patches++
				return c.Patch(ctx, object, patch, options...)
			},
		}).Build()
	w.bundler = &bundler{
		Client: w.Client, namespace: "tenure-system", clock: testingclock.NewFakePassiveClock(now), missed: map[string]bool{},
		announce: func(c *x509.Certificate) { w.announced = append(w.announced, c) },
	}
	return w
}

func secretOf(a signer) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: secretName, Namespace: "tenure-system"},
		Data:       map[string][]byte{corev1.TLSCertKey: encode(a)},
	}
}

func validating(bundles ...[]byte) *admissionregistrationv1.ValidatingWebhookConfiguration {
	c := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: configurationName}}
	for i, bundle := range bundles {
		c.Webhooks = append(c.Webhooks, admissionregistrationv1.ValidatingWebhook{
			Name: string(rune('a'+i)) + ".tenure.dev", TimeoutSeconds: new(int32(7)), ClientConfig: admissionregistrationv1.WebhookClientConfig{CABundle: bundle},
		})
	}
	return c
}

func mutating(bundle []byte) *admissionregistrationv1.MutatingWebhookConfiguration {
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: configurationName},
		Webhooks:   []admissionregistrationv1.MutatingWebhook{{Name: "a.tenure.dev", ClientConfig: admissionregistrationv1.WebhookClientConfig{CABundle: bundle}}},
	}
}

func TestReconcile(t *testing.T) {
	g := NewWithT(t)
	current, former := newAuthority(t, time.Hour), newAuthority(t, time.Hour)
	w := newWorld(secretOf(current), validating(nil, encode(former)), mutating(nil))
	g.Expect(w.Reconcile(t.Context(), ctrl.Request{})).To(Equal(ctrl.Result{}))

	found := validating()
	g.Expect(w.Client.Get(t.Context(), client.ObjectKeyFromObject(found), found)).To(Succeed())
	g.Expect(found.Webhooks).To(HaveExactElements(
		And(HaveField("ClientConfig.CABundle", encode(current)), HaveField("TimeoutSeconds", HaveValue(BeEquivalentTo(7)))),
		HaveField("ClientConfig.CABundle", encode(former, current)),
	))
	other := mutating(nil)
	g.Expect(w.Client.Get(t.Context(), client.ObjectKeyFromObject(other), other)).To(Succeed())
	g.Expect(other.Webhooks).To(HaveExactElements(HaveField("ClientConfig.CABundle", encode(current))))
	g.Expect(w.announced).To(HaveExactElements(current.Certificate))

	g.Expect(w.patches).To(Equal(2))
	g.Expect(w.Reconcile(t.Context(), ctrl.Request{})).To(Equal(ctrl.Result{}))
	g.Expect(w.patches).To(Equal(2), "nothing is written at rest")
}

func TestReconcileWithoutConfigurations(t *testing.T) {
	g := NewWithT(t)
	current := newAuthority(t, time.Hour)
	w := newWorld(secretOf(current))
	g.Expect(w.Reconcile(t.Context(), ctrl.Request{})).To(Equal(ctrl.Result{}))
	g.Expect(w.announced).To(HaveExactElements(current.Certificate), "nobody calls, so nobody mistrusts")
}

func TestReconcileWithoutAuthority(t *testing.T) {
	g := NewWithT(t)
	for _, w := range []*world{newWorld(validating(nil)), newWorld(validating(nil), &corev1.Secret{ObjectMeta: secretOf(newAuthority(t, 0)).ObjectMeta})} {
		g.Expect(w.Reconcile(t.Context(), ctrl.Request{})).To(Equal(ctrl.Result{}))
		g.Expect(w.announced).To(BeEmpty())
	}
}

func TestReconcileThatFails(t *testing.T) {
	resource := schema.GroupResource{Group: admissionregistrationv1.GroupName, Resource: "validatingwebhookconfigurations"}
	broken := errors.New("broken")
	for name, c := range map[string]struct{ failure, returned error }{
		"another replica was first": {apierrors.NewConflict(resource, configurationName, errors.New("newer")), nil},
		"it has just been deleted":  {apierrors.NewNotFound(resource, configurationName), nil},
		"anything else":             {broken, broken},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(secretOf(newAuthority(t, time.Hour)), validating(nil))
			w.bundler.Client = interceptor.NewClient(w.Client.(client.WithWatch), interceptor.Funcs{
				Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
					return c.failure
				},
			})
			_, err := w.Reconcile(t.Context(), ctrl.Request{})
			g.Expect(errors.Is(err, c.returned)).To(BeTrue(), "%v", err)
			g.Expect(w.announced).To(BeEmpty(), "the API server does not know it yet")
		})
	}
}

func TestAnnounced(t *testing.T) {
	g := NewWithT(t)
	clock := testingclock.NewFakePassiveClock(now)
	var served *x509.Certificate
	a := &announced{DynamicAuthority: &authority.DynamicAuthority{}, clock: clock, serving: func() *x509.Certificate { return served }}
	former, current := newAuthority(t, time.Hour), newAuthority(t, time.Hour)

	g.Expect(a.trusted(former.sign(t))).To(BeFalse(), "nobody knows the authority")
	a.announce(former.Certificate)
	g.Expect(a.trusted(former.sign(t))).To(BeTrue(), "there is nothing else to serve under")

	served = former.sign(t)
	g.Expect(a.trusted(former.sign(t))).To(BeTrue(), "who accepts the one, accepts the other")
	a.announce(current.Certificate)
	g.Expect(a.trusted(current.sign(t))).To(BeFalse(), "some API server may not know it yet")
	clock.SetTime(now.Add(settling))
	a.announce(current.Certificate)
	g.Expect(a.trusted(current.sign(t))).To(BeTrue())
	g.Expect(a.trusted(former.sign(t))).To(BeTrue())
}

func TestSplit(t *testing.T) {
	g := NewWithT(t)
	host, port, err := split(":9443")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect([]any{host, port}).To(Equal([]any{"", 9443}))
	for _, address := range []string{"", "9443", ":0", ":70000", "localhost:https"} {
		_, _, err := split(address)
		g.Expect(err).To(MatchError(ContainSubstring("read the address of the webhooks")), address)
	}
}

package serving

import (
	"context"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"github.com/cert-manager/cert-manager/pkg/server/tls"
	"github.com/cert-manager/cert-manager/pkg/server/tls/authority"
	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"tenure.dev/tenure/api/v1alpha1"
)

const (
	// secretName is the Secret with the authority that all replicas share. Each of them signs its own certificate with it,
	// whose key never leaves the process.
	secretName = "tenure-webhook-ca"

	// settling is how long API servers are given to learn of a new authority before anybody serves under it. There may be
	// several, and each is told by its own watch.
	settling = 2 * time.Second

	// retryInterval is how soon a certificate is asked for again: a new installation waits so long at most.
	retryInterval = 250 * time.Millisecond
)

// certificate is what the webhooks are served under.
type certificate struct {
	source    *tls.DynamicSource
	authority *announced
}

func newCertificate(config *rest.Config, options Options) *certificate {
	signer := &announced{
		clock: options.Clock,
		DynamicAuthority: &authority.DynamicAuthority{
			RESTConfig:      config,
			SecretNamespace: options.Namespace,
			SecretName:      secretName,
			SecretLabels:    map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
			CommonName:      secretName,
			CADuration:      options.AuthorityDuration,
			LeafDuration:    options.CertificateDuration,
		},
	}
	source := &tls.DynamicSource{DNSNames: options.DNSNames, Authority: signer, RetryInterval: retryInterval}
	signer.serving = func() *x509.Certificate {
		served, err := source.GetCertificate(nil)
		if err != nil {
			return nil
		}
		return served.Leaf
	}
	return &certificate{source: source, authority: signer}
}

// Start keeps the certificate, until ctx ends.
func (c *certificate) Start(ctx context.Context) error {
	if err := c.source.Start(logr.NewContext(ctx, ctrl.Log.WithName("serving"))); err != nil {
		return fmt.Errorf("keep the certificate of the webhooks: %w", err)
	}
	return nil
}

// NeedLeaderElection says that a standby answers the API server too.
func (c *certificate) NeedLeaderElection() bool {
	return false
}

// announced is an authority that signs nothing which API servers would not trust yet. Whoever asks for a certificate asks
// again, and serves under the former one meanwhile.
type announced struct {
	*authority.DynamicAuthority
	clock   clock.PassiveClock
	serving func() *x509.Certificate // nil where there is none yet

	mutex sync.Mutex
	known []announcement
}

// announcement is since when the API server has known an authority.
type announcement struct {
	authority *x509.Certificate
	since     time.Time
}

// announce says that the API server has been told of an authority.
func (a *announced) announce(ca *x509.Certificate) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	for _, k := range a.known {
		if k.authority.Equal(ca) {
			return
		}
	}
	a.known = append(a.known, announcement{authority: ca, since: a.clock.Now()})
}

// Sign signs a certificate.
func (a *announced) Sign(template *x509.Certificate) (*x509.Certificate, error) {
	signed, err := a.DynamicAuthority.Sign(template)
	if err != nil {
		return nil, err
	}
	if !a.trusted(signed) {
		return nil, authority.ErrCertificateNotAvailable
	}
	return signed, nil
}

// trusted says whether API servers accept a certificate. They need time to settle where it takes the place of one of another
// authority.
func (a *announced) trusted(signed *x509.Certificate) bool {
	served := a.serving()
	a.mutex.Lock()
	defer a.mutex.Unlock()
	for _, k := range a.known {
		if signed.CheckSignatureFrom(k.authority) == nil {
			return served == nil || served.CheckSignatureFrom(k.authority) == nil || a.clock.Since(k.since) >= settling
		}
	}
	return false
}

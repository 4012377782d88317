// Package serving lets the API server call the operator's webhooks: it serves them under a certificate that it makes
// itself, and tells the API server whose certificates to trust. Or it serves them under a certificate that somebody else
// makes and vouches for.
package serving

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// Options say where webhooks are served, and under which certificate.
type Options struct {
	// Address is where to listen: a host, which may be left out, and a port.
	Address string

	// DNSNames are the names by which API servers call. The certificate is for them.
	DNSNames []string

	// Namespace holds the Secret of the certificate authority.
	Namespace string

	// CertDir has tls.crt and tls.key of a certificate that somebody else makes, renews, and has API servers trust. Then
	// there is no authority, and the webhook configurations are left alone.
	CertDir string

	// AuthorityDuration is how long a new authority is valid, and CertificateDuration a certificate. Each is replaced
	// when two thirds of it are over.
	AuthorityDuration, CertificateDuration time.Duration

	// Clock says which authorities are still valid, and how long API servers have known of them.
	Clock clock.PassiveClock
}

// Server serves webhooks.
type Server struct {
	webhook.Server
	options     Options
	certificate *certificate // nil where somebody else makes it
}

// New prepares a server; SetupWithManager has it served.
func New(config *rest.Config, options Options) (*Server, error) {
	host, port, err := split(options.Address)
	if err != nil {
		return nil, err
	}
	s := &Server{options: options}
	if options.CertDir == "" {
		s.certificate = newCertificate(config, options)
	}
	s.Server = webhook.NewServer(webhook.Options{Host: host, Port: port, CertDir: options.CertDir, TLSOpts: []func(*tls.Config){s.secure}})
	return s, nil
}

// secure sets how connections are made.
func (s *Server) secure(settings *tls.Config) {
	// An API server opens one connection of HTTP/2, and all it asks would go to one replica, or be lost with it.
	settings.NextProtos = []string{"http/1.1"}
	if s.certificate != nil {
		settings.GetCertificate = s.certificate.source.GetCertificate
	}
}

func split(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("read the address of the webhooks: %w", err)
	}
	if port, err = strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("read the address of the webhooks: %q is not a port", text)
	}
	return host, port, nil
}

// SetupWithManager adds to a manager, whose webhook server this is, what keeps the certificate, and has the manager ready
// only when webhooks are served under one that API servers trust.
func (s *Server) SetupWithManager(mgr ctrl.Manager) error {
	if err := mgr.AddReadyzCheck("webhooks", s.ready(s.StartedChecker())); err != nil {
		return fmt.Errorf("add the readiness check of the webhooks: %w", err)
	}
	if s.certificate == nil {
		return nil
	}
	if err := mgr.Add(s.certificate); err != nil {
		return fmt.Errorf("add the certificate of the webhooks: %w", err)
	}
	b := &bundler{
		Client: mgr.GetClient(), namespace: s.options.Namespace, clock: s.options.Clock, announce: s.certificate.authority.announce,
	}
	return b.setupWithManager(mgr)
}

// ready says whether an API server that calls is answered. A certificate of the operator's own is there only after API servers
// were told of its authority.
func (s *Server) ready(started healthz.Checker) healthz.Checker {
	return func(request *http.Request) error {
		if s.certificate != nil && !s.certificate.source.Healthy() {
			return errors.New("there is no certificate yet that API servers trust")
		}
		return started(request)
	}
}

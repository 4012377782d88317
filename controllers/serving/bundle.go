package serving

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// configurationName is what both webhook configurations are called.
	configurationName = "tenure"

	// remembered is how many authorities a bundle has at most: one is in force, and a rotation may follow another. It must
	// not grow for ever.
	remembered = 3

	certificateBlock = "CERTIFICATE"
)

// Watch limits what a cache keeps of these kinds to the very objects that are looked at.
func (s *Server) Watch(options cache.Options) cache.Options {
	named := func(name string) fields.Selector { return fields.OneTermEqualSelector("metadata.name", name) }
	options.ByObject = maps.Clone(options.ByObject)
	maps.Insert(options.ByObject, maps.All(map[client.Object]cache.ByObject{
		&corev1.Secret{}: {
			Namespaces: map[string]cache.Config{s.options.Namespace: {FieldSelector: named(secretName)}},
		},
		&admissionregistrationv1.ValidatingWebhookConfiguration{}: {Field: named(configurationName)},
		&admissionregistrationv1.MutatingWebhookConfiguration{}:   {Field: named(configurationName)},
	}))
	return options
}

// bundler writes into the webhook configurations which authorities the API server trusts: at the start, when there is a new
// one, and when somebody has written the configurations anew.
type bundler struct {
	client.Client
	namespace string
	clock     clock.PassiveClock
	announce  func(*x509.Certificate)
	missed    map[string]bool // configurations of which it was said that there are none
}

// setupWithManager runs the bundler on every replica: each waits for the bundle before it serves, and they would all write
// the same.
func (b *bundler) setupWithManager(mgr ctrl.Manager) error {
	b.missed = map[string]bool{}
	everything := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: configurationName}}}
	})
	if err := ctrl.NewControllerManagedBy(mgr).
		Named("webhook-ca").
		Watches(&corev1.Secret{}, everything).
		Watches(&admissionregistrationv1.ValidatingWebhookConfiguration{}, everything).
		Watches(&admissionregistrationv1.MutatingWebhookConfiguration{}, everything).
		WithOptions(controller.Options{NeedLeaderElection: new(false)}).
		Complete(b); err != nil {
		return fmt.Errorf("set up the certificate authority of the webhooks: %w", err)
	}
	return nil
}

// Reconcile brings the authority in force into both configurations.
func (b *bundler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	current, err := b.inForce(ctx)
	if err != nil || current == nil {
		return ctrl.Result{}, err
	}
	for _, configuration := range []client.Object{&admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfiguration{}} {
		written, err := b.write(ctx, configuration, current)
		if err != nil || !written {
			return ctrl.Result{}, err
		}
	}
	b.announce(current)
	return ctrl.Result{}, nil
}

// inForce is the authority that certificates are signed with; nil while there is none.
func (b *bundler) inForce(ctx context.Context) (*x509.Certificate, error) {
	secret := &corev1.Secret{}
	if err := b.Get(ctx, client.ObjectKey{Namespace: b.namespace, Name: secretName}, secret); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the certificate authority of the webhooks: %w", err)
	}
	// What is not a certificate is replaced by whoever keeps the authority, and then looked at again.
	for _, authority := range parse(secret.Data[corev1.TLSCertKey]) {
		return authority, nil
	}
	return nil, nil
}

// write has a configuration trust the authority, and says whether it does. A write that another replica was ahead of comes
// back with what that has written.
func (b *bundler) write(ctx context.Context, configuration client.Object, authority *x509.Certificate) (bool, error) {
	kind := fmt.Sprintf("%T", configuration)
	if err := b.Get(ctx, client.ObjectKey{Name: configurationName}, configuration); err != nil {
		if !apierrors.IsNotFound(err) {
			return false, fmt.Errorf("read the webhook configuration: %w", err)
		}
		if !b.missed[kind] {
			b.missed[kind] = true
			log.FromContext(ctx).Info("There is no webhook configuration; nothing calls these webhooks", "type", kind, "name", configurationName)
		}
		return true, nil
	}
	before := configuration.DeepCopyObject().(client.Object)
	changed := false
	for _, bundle := range bundles(configuration) {
		wanted := merge(*bundle, authority, b.clock.Now())
		changed = changed || !bytes.Equal(*bundle, wanted)
		*bundle = wanted
	}
	if !changed {
		return true, nil
	}
	err := b.Patch(ctx, configuration, client.StrategicMergeFrom(before, client.MergeFromWithOptimisticLock{}))
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("write the certificate authority into the webhook configuration: %w", err)
	default:
		return true, nil
	}
}

// bundles are the places for authorities in a webhook configuration.
func bundles(configuration client.Object) (places []*[]byte) {
	switch c := configuration.(type) {
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		for i := range c.Webhooks {
			places = append(places, &c.Webhooks[i].ClientConfig.CABundle)
		}
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		for i := range c.Webhooks {
			places = append(places, &c.Webhooks[i].ClientConfig.CABundle)
		}
	}
	return places
}

// merge adds the authority in force to a bundle. Those before it stay while they are valid: another replica may serve under
// one of them for a moment more. The order stays too, so that replicas of which one is late do not undo each other's.
func merge(bundle []byte, current *x509.Certificate, now time.Time) []byte {
	kept := slices.DeleteFunc(parse(bundle), func(c *x509.Certificate) bool { return now.After(c.NotAfter) })
	if !slices.ContainsFunc(kept, current.Equal) {
		kept = append(kept[max(0, len(kept)-remembered+1):], current)
	}
	var merged []byte
	for _, c := range kept {
		merged = append(merged, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.Raw})...)
	}
	return merged
}

// parse reads the certificates of a bundle. What is not one is left out.
func parse(bundle []byte) (certificates []*x509.Certificate) {
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != certificateBlock {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			certificates = append(certificates, c)
		}
	}
	return certificates
}

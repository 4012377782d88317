package local

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// Install applies a kustomization that installs Tenure, such as config/local, and returns when its kinds and admission
// policies are in force. The API server comes to know them one by one, within seconds; until it knows all, it refuses what
// the policies would change, or takes what they would refuse. Webhooks call the gate, and come last: from then on people
// write only where an operator serves, which AwaitWebhooks waits for.
func (c *Cluster) Install(ctx context.Context, kustomization string) error {
	manifests, _, err := c.Kubectl(ctx, nil, nil, "kustomize", kustomization)
	if err != nil {
		return err
	}
	others, webhooks, err := c.throughGate(manifests)
	if err != nil {
		return err
	}
	if err := c.apply(ctx, others); err != nil {
		return err
	}
	if _, _, err := c.Kubectl(ctx, nil, nil, "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"); err != nil {
		return err
	}
	admin, err := tenureClient(c.admin)
	if err != nil {
		return err
	}
	last := errors.New("no answer")
	if err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		last = policiesInForce(ctx, admin)
		return last == nil, nil
	}); err != nil {
		return fmt.Errorf("waiting for the admission policies of %s: %w; %w", kustomization, err, last)
	}
	if webhooks == "" {
		return nil
	}
	return c.apply(ctx, webhooks)
}

func (c *Cluster) apply(ctx context.Context, manifests string) error {
	_, _, err := c.Kubectl(ctx, nil, strings.NewReader(manifests), "apply", "--server-side", "--filename=-")
	return err
}

// tenureClient knows Tenure's kinds.
func tenureClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("preparing to look at the installation: %w", err)
	}
	admin, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("preparing to look at the installation: %w", err)
	}
	return admin, nil
}

// policiesInForce tries, without leaving anything behind, what one policy changes and another one refuses.
func policiesInForce(ctx context.Context, admin client.Client) error {
	user := probe()
	if err := admin.Create(ctx, user, client.DryRunAll); err != nil {
		return fmt.Errorf("trying to create a User: %w", err)
	}
	if user.Annotations[v1alpha1.AnnotationActor] == "" {
		return errors.New("who creates a User is not written down")
	}
	misnamed := &v1alpha1.Organization{
		ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: metav1.NamespaceDefault},
		Spec:       v1alpha1.OrganizationSpec{DisplayName: "Probe"},
	}
	err := admin.Create(ctx, misnamed, client.DryRunAll)
	switch {
	case err == nil:
		return errors.New("an Organization that is not named as its namespace is not refused")
	case !apierrors.IsForbidden(err):
		return fmt.Errorf("trying to create an Organization: %w", err)
	default:
		return nil
	}
}

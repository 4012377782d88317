package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// Install applies a kustomization that installs Tenure, such as config/local, and returns when it is in force. The API
// server comes to know new kinds and new admission policies one by one, within seconds; until it knows both, it refuses
// what the policies would change, or takes what they would refuse.
func (c *Cluster) Install(ctx context.Context, kustomization string) error {
	if _, _, err := c.Kubectl(ctx, nil, nil, "apply", "--server-side", "-k", kustomization); err != nil {
		return err
	}
	if _, _, err := c.Kubectl(ctx, nil, nil, "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("preparing to look at the installation: %w", err)
	}
	admin, err := client.New(c.admin, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("preparing to look at the installation: %w", err)
	}
	last := errors.New("no answer")
	if err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		last = policiesInForce(ctx, admin)
		return last == nil, nil
	}); err != nil {
		return fmt.Errorf("waiting for the admission policies of %s: %w; %w", kustomization, err, last)
	}
	return nil
}

// policiesInForce tries, without leaving anything behind, what one policy changes and another one refuses.
func policiesInForce(ctx context.Context, admin client.Client) error {
	user := &v1alpha1.User{
		ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: metav1.NamespaceDefault},
		Spec:       v1alpha1.UserSpec{UserName: "probe@tenure.dev", Email: "probe@tenure.dev"},
	}
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

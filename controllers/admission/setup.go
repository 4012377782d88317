// Package admission answers the API server's questions about what somebody is about to change: it refuses what the guards
// forbid, on every path to it, and tells beforehand what a change will do, from the same code that then does it.
//
// Every replica answers. What two of them must not decide at the same time goes through the Organization (see departures.go).
package admission

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/util/cache"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	webhook "sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/observe"
)

// Guards are what requests are held against.
type Guards struct {
	client.Client

	// Live reads from the API server, past the cache.
	Live client.Reader

	// Planner plans what the policy's effects would do.
	Planner *cascade.Planner

	// Reviews ask what RBAC allows.
	Reviews authorizationclient.SubjectAccessReviewInterface

	Clock clock.Clock

	// known are rights to all objects of a namespace that somebody had a moment ago.
	known *cache.LRUExpireCache
}

// SetupWithManager serves the webhooks from the manager's server, on every replica.
func (g *Guards) SetupWithManager(mgr ctrl.Manager) error {
	g.known = cache.NewLRUExpireCacheWithClock(mostRemembered, g.Clock)
	err := errors.Join(
		ctrl.NewWebhookManagedBy(mgr, &v1alpha1.User{}).WithValidator(judgeOf(g, observeUser)).Complete(),
		ctrl.NewWebhookManagedBy(mgr, &v1alpha1.Membership{}).WithValidator(judgeOf(g, observeMembership)).Complete(),
		ctrl.NewWebhookManagedBy(mgr, &v1alpha1.Group{}).WithValidator(judge[*v1alpha1.Group](g.judgeGroup)).Complete(),
		ctrl.NewWebhookManagedBy(mgr, &v1alpha1.Organization{}).WithValidator(judge[*v1alpha1.Organization](g.judgeOrganization)).Complete(),
		ctrl.NewWebhookManagedBy(mgr, &v1alpha1.LifecyclePolicy{}).WithValidator(judge[*v1alpha1.LifecyclePolicy](g.judgePolicy)).Complete(),
	)
	if err != nil {
		return fmt.Errorf("serve the webhooks: %w", err)
	}
	g.servePlans(mgr)
	return nil
}

// scene is where a request happens: who asks, and the organization that it is about.
type scene struct {
	*Guards
	by  requester
	org observe.Organization
}

func (g *Guards) scene(ctx context.Context) (*scene, error) {
	request, err := webhook.RequestFromContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	org, err := observe.OrganizationOf(ctx, g, request.Namespace)
	return &scene{Guards: g, by: requesterOf(request), org: org}, err
}

package targets

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/clock"
)

// NewConnecting makes a registry that reaches its cluster in its own way: connect acts as a service account of a namespace,
// and discover tells which kinds are served.
func NewConnecting(
	ctx context.Context, connect func(namespace, serviceAccount string) (dynamic.Interface, error),
	discover func() (discovery.ServerResourcesInterface, error), mapper meta.RESTMapper, c clock.Clock,
) *Registry {
	return &Registry{
		lifetime: ctx, mapper: mapper, clock: c,
		connect:  func(a account) (dynamic.Interface, error) { return connect(a.namespace, a.name) },
		discover: discover,
		sources:  map[Source]*entry{}, demands: map[string][]Source{}, accounts: map[account]dynamic.Interface{},
		tell: func(Source) {},
	}
}

package grants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/controllers/internal/metrics"
)

// memory is for how long a RoleBinding that was deleted is remembered: longer than the cache takes to see it go.
const memory = 10 * time.Second

// Doors close grants. The passes of a user and of each of its memberships want the same ones closed at the same instant, and
// look at a cache that is somewhat behind: of all of them, one request is made.
type Doors struct {
	writer  client.Writer
	closing singleflight.Group
	closed  *cache.Expiring
}

// NewDoors are doors that a writer closes.
func NewDoors(writer client.Writer, c clock.Clock) *Doors {
	return &Doors{writer: writer, closed: cache.NewExpiringWithClock(c)}
}

// Close takes away those of the bindings that are there which are not wanted. It returns when all of them are gone, whoever
// deleted them.
func (d *Doors) Close(ctx context.Context, there []rbacv1.RoleBinding, wanted []*rbacv1.RoleBinding) error {
	var failed []error
	for i := range there {
		binding := &there[i]
		if slices.ContainsFunc(wanted, func(w *rbacv1.RoleBinding) bool { return same(w, binding) && w.RoleRef == binding.RoleRef }) {
			continue
		}
		if err := d.close(ctx, binding); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func (d *Doors) close(ctx context.Context, binding *rbacv1.RoleBinding) error {
	_, err, _ := d.closing.Do(string(binding.UID), func() (any, error) {
		if d.knowsClosed(binding.UID) {
			return nil, nil
		}
		return nil, d.remove(ctx, binding)
	})
	return err //nolint:wrapcheck // It is this package's own.
}

func (d *Doors) remove(ctx context.Context, binding *rbacv1.RoleBinding) error {
	// The UID alone: an edit that came between must not keep the door open.
	err := d.writer.Delete(ctx, binding, client.Preconditions{UID: &binding.UID})
	switch {
	case err == nil:
		metrics.GrantChanged(metrics.GrantDeleted)
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		// Gone, or another one of that name: whoever sees that one decides about it.
	default:
		return fmt.Errorf("delete RoleBinding %s/%s: %w", binding.Namespace, binding.Name, err)
	}
	d.closed.Set(binding.UID, true, memory)
	return nil
}

func (d *Doors) knowsClosed(uid types.UID) bool {
	_, known := d.closed.Get(uid)
	return known
}

package stories

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("A crowd", Serial, Ordered, func() {
	var crew *crowd

	BeforeAll(func(ctx context.Context) { crew = newCrowd(ctx, fromEnvironment("STORM", 1000)) })

	It("expires in the same second: each one once, with one record, and none is lost (case 15)",
		Label("S1.15", "S1.29"), func(ctx context.Context) {
			before := crew.records(ctx)
			at := crew.expire(ctx)
			crew.eventually(crew.states(ctx), Equal(map[v1alpha1.State]int{v1alpha1.StateExpired: crew.size}))
			AddReportEntry("seconds from the instant until the last was expired", time.Since(at).Seconds())

			crew.expectExpiredOnce(ctx, at, before)
		})

	It("expires once each, though the operator is killed in the middle of it",
		Label("S1.15", "S1.29"), func(ctx context.Context) {
			crew.prolong(ctx)
			before := crew.records(ctx)
			at := crew.expire(ctx)
			Eventually(crew.states(ctx)).WithTimeout(2*soon).Should(HaveKeyWithValue(v1alpha1.StateExpired, BeNumerically(">", 0)))
			shared.kill()
			Expect(crew.states(ctx)()).To(HaveKeyWithValue(v1alpha1.StateActivated, BeNumerically(">", 0)), "killed in the middle")
			shared.start()
			crew.eventually(crew.states(ctx), Equal(map[v1alpha1.State]int{v1alpha1.StateExpired: crew.size}))

			crew.expectExpiredOnce(ctx, at, before)
		})
})

// crowd is a group of many people in one organization. Each of them has real access in one namespace.
type crowd struct {
	*organization
	size   int
	target string
}

// newCrowd creates a crowd and waits until everybody has access.
func newCrowd(ctx context.Context, size int) *crowd {
	GinkgoHelper()
	acme := newOrganization(ctx)
	c := &crowd{organization: acme, size: size, target: acme.newTarget(ctx)}
	acme.createGroup(ctx, "crew", granting("Hand", "view", c.target))
	c.each(func(name string) {
		acme.createUser(ctx, name, func(u *v1alpha1.User) { u.Spec.UserType = "Hand" })
		acme.join(ctx, name, "crew", withRoles("Hand"))
	})
	c.expectAccess(ctx)
	return c
}

// each does something about everybody, for as many at a time as the API server serves.
func (c *crowd) each(do func(name string)) {
	GinkgoHelper()
	workqueue.ParallelizeUntil(context.Background(), 16, c.size, func(i int) {
		defer GinkgoRecover()
		do(fmt.Sprintf("hand-%05d", i))
	})
}

// eventually waits for what takes longer the larger the crowd is.
func (c *crowd) eventually(actual any, matcher types.GomegaMatcher) {
	GinkgoHelper()
	Eventually(actual).WithTimeout(soon + time.Duration(c.size)*50*time.Millisecond).WithPolling(250 * time.Millisecond).Should(matcher)
}

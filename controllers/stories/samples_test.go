package stories

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/run/samples"
)

var _ = Describe("The samples", func() {
	It("show every state, and what happens in the first minutes", func(ctx context.Context) {
		acme := &organization{name: "acme"}
		DeferCleanup(func(ctx context.Context) {
			for _, name := range []string{"acme", "sales", "mentoring"} {
				namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
				Expect(client.IgnoreNotFound(admin.Delete(ctx, namespace))).To(Succeed())
			}
		})
		applySamples(time.Now())
		Eventually(acme.statesOf(ctx, &v1alpha1.UserList{})).Should(Equal(map[string]v1alpha1.State{
			"olivia":  v1alpha1.StateActive,
			"bob":     v1alpha1.StateActive,
			"alice":   v1alpha1.StateActive,
			"carol":   v1alpha1.StateActivated,
			"dave":    v1alpha1.StateActive,
			"erin":    v1alpha1.StatePending,
			"frank":   v1alpha1.StateOnBreak,
			"grace":   v1alpha1.StateDeactivated,
			"heidi":   v1alpha1.StateDeactivated,
			"ivan":    v1alpha1.StateDeactivated,
			"judy":    v1alpha1.StateExpired,
			"kate":    v1alpha1.StateActive,
			"mallory": v1alpha1.StateSuspended,
			"nick":    v1alpha1.StateSuspended,
			"peggy":   v1alpha1.StateRemoved,
		}))
		Eventually(acme.statesOf(ctx, &v1alpha1.MembershipList{})).Should(And(
			HaveKeyWithValue("alice-sales-north", v1alpha1.StateActive),
			...
	})
})

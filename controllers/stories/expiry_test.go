package stories

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("Expiry", func() {
	It("ends access at the declared instant, and gives back the state before when the date is moved (case 1)",
		Label("S1.15", "S1.17", "S1.21", "S1.22", "S1.29", "S1.31"), func(ctx context.Context) {
			acme := newOrganization(ctx)
			date := inSeconds(2)
			acme.createUser(ctx, "kate", expires(date), wasActive)
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))

			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateExpired))
			kate, err := acme.user(ctx, "kate")()
			Expect(err).NotTo(HaveOccurred())
			Expect(time.Now()).To(BeTemporally(">=", date), "not a moment too early")
			Expect(kate.Status.StateTime.Time).To(BeTemporally("==", date), "the declared instant")
			Expect(kate.Status.Access).To(Equal(v1alpha1.AccessDenied))
			Expect(kate.Spec.UserName).To(Equal(acme.userName("kate")), "nothing of the person is lost")

			acme.editUser(ctx, "kate", expires(inSeconds(3600)))
			Eventually(acme.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
			Expect(acme.transitionsOf(ctx, v1alpha1.SubjectUser, "kate")()).To(Equal([]string{
				"→Active(Declared)", "Active→Expired(Expired)", "Expired→Active(Declared)",
			}))
		})
})

package stories

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("The learning platform", Ordered, func() {
	var (
		docebo *profile
		before things
	)

	const view = "view@docebo-academy"

	row := func(name string) (string, error) { return docebo.asJane("get", "user", name, "--no-headers") }

	BeforeAll(func(ctx context.Context) {
		docebo = newProfile(ctx, "docebo")
		docebo.guide = wholeCommands(docebo.guide)
		before = docebo.things(ctx)
	})

	AfterEach(func(ctx context.Context) {
		Expect(docebo.things(ctx).touchedSince(before)).To(BeEmpty(), "whatever the status, no data is written to")
		Expect(docebo.things(ctx).names()).To(Equal(before.names()), "or erased")
	})

	It("turns the mark from green to grey at once, and back with one more press",
		Label("S1.1", "S1.9", "S1.11", "S1.12", "S1.13", "S1.14", "S1.25"), func(ctx context.Context) {
			Eventually(docebo.grantsOf(ctx, "alice")).Should(Equal([]string{view}))
			docebo.try(ctx, "k patch user alice")
			Eventually(docebo.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateDeactivated))
			Expect(row("alice")).To(MatchRegexp(`^alice\s+Deactivated\s+Declared\s`))
			Eventually(docebo.grantsOf(ctx, "alice")).Should(BeEmpty())
			Eventually(docebo.membershipStateOf(ctx, "alice-sales")).Should(Equal(v1alpha1.StatePaused))
			docebo.waitForEffects(ctx, "alice")
			record, err := docebo.transition(ctx, "user.alice.2")()
			Expect(err).NotTo(HaveOccurred())
			Expect(record.Status.Progress).To(Equal("5/5"), "her branch, two enrolments, a certificate and an asset are kept")

			Expect(docebo.asJane("patch", "user", "alice", "--type=merge", `--patch={"spec":{"desiredStatus":"Active"}}`)).To(ContainSubstring("patched"))
			Eventually(docebo.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
			Eventually(docebo.grantsOf(ctx, "alice")).Should(Equal([]string{view}))
		})

	It("has its statuses managed by Superadmins", Label("S1.2"), func(ctx context.Context) {
		sam := func(patch string) (string, error) {
			return kubectl("--namespace=docebo", "--as=sam@docebo.example", "patch", "user", "paul", "--type=merge", "--patch="+patch)
		}
		Expect(sam(`{"spec":{"desiredStatus":"Deactivated"}}`)).To(ContainSubstring("patched"))
		Eventually(docebo.stateOf(ctx, "paul")).Should(Equal(v1alpha1.StateDeactivated))
		record, err := docebo.transition(ctx, "user.paul.2")()
		Expect(err).NotTo(HaveOccurred())
		Expect(record.Spec.Actor.Username).To(Equal("sam@docebo.example"))
		Expect(sam(`{"spec":{"desiredStatus":"Active"}}`)).To(ContainSubstring("patched"))
		Eventually(docebo.stateOf(ctx, "paul")).Should(Equal(v1alpha1.StateActive))

		_, err = kubectl("--namespace=docebo", "--as=kim@docebo.example", "patch", "user", "alice", "--type=merge", `--patch={"spec":{"desiredStatus":"Deactivated"}}`)
		Expect(err).To(MatchError(ContainSubstring("forbidden")), "a learner is none")
	})

	It("ends access on the date that was set, not before it is confirmed, and gives back the status before when the date is moved",
		Label("S1.15", "S1.17", "S1.18", "S1.21", "S1.22", "S1.29", "S1.30"), func(ctx context.Context) {
			Eventually(docebo.grantsOf(ctx, "tess")).Should(Equal([]string{view}))
			tess, err := docebo.user(ctx, "tess")()
			Expect(err).NotTo(HaveOccurred())
			date := inSeconds(3600)
			chosen := `--patch={"spec":{"expirationTime":"` + date.UTC().Format(time.RFC3339) + `"}}`
			Expect(docebo.asJane("patch", "user", "tess", "--type=merge", "--dry-run=server", chosen)).To(ContainSubstring("patched"))
			Expect(docebo.user(ctx, "tess")()).To(HaveField("Spec.ExpirationTime.Time", BeTemporally("==", tess.Spec.ExpirationTime.Time)))
			Expect(docebo.asJane("patch", "user", "tess", "--type=merge", chosen)).To(ContainSubstring("patched"))
			Eventually(row).WithArguments("tess").Should(MatchRegexp(`^tess\s+Active\s+Expired on ` + inWords(date)))

			docebo.try(ctx, "k patch user tess")
			Eventually(docebo.stateOf(ctx, "tess")).Should(Equal(v1alpha1.StateExpired))
			Expect(row("tess")).To(MatchRegexp(`^tess\s+Expired\s+Expired\s`))
			Eventually(docebo.grantsOf(ctx, "tess")).Should(BeEmpty())
			docebo.waitForEffects(ctx, "tess")

			docebo.try(ctx, "k patch user tess")
			Eventually(docebo.stateOf(ctx, "tess")).Should(Equal(v1alpha1.StateActive))
			Eventually(docebo.grantsOf(ctx, "tess")).Should(Equal([]string{view}))
		})

	It("shows who has access and has not looked at anything yet, until they do", Label("S1.4", "S1.6", "S1.8"), func(ctx context.Context) {
		Eventually(docebo.grantsOf(ctx, "leo")).Should(Equal([]string{view}))
		Expect(row("leo")).To(MatchRegexp(`^leo\s+Activated\s`))
		docebo.try(ctx, "k annotate user leo")
		Eventually(row).WithArguments("leo").Should(MatchRegexp(`^leo\s+Active\s`))
		Expect(docebo.grantsOf(ctx, "leo")()).To(Equal([]string{view}))
		Expect(docebo.transitionsOf(ctx, v1alpha1.SubjectUser, "leo")()).To(Equal([]string{"→Activated(Declared)"}), "nobody changed anything")
	})

	It("deactivates many at once, by their rows or from a file, and activates them likewise", Label("S1.26", "S1.27"), func(ctx context.Context) {
		set := func(status v1alpha1.UserDesiredStatus) string {
			return `--patch={"spec":{"desiredStatus":"` + string(status) + `"}}`
		}
		_, err := docebo.asJane("patch", "user", "kim", "ines", "--type=merge", set(v1alpha1.UserDesiredDeactivated))
		Expect(err).NotTo(HaveOccurred())
		for _, name := range []string{"kim", "ines"} {
			Eventually(docebo.stateOf(ctx, name)).Should(Equal(v1alpha1.StateDeactivated))
		}
		_, err = docebo.asJane("patch", "user", "kim", "ines", "--type=merge", set(v1alpha1.UserDesiredActive))
		Expect(err).NotTo(HaveOccurred())
		for _, name := range []string{"kim", "ines"} {
			Eventually(docebo.stateOf(ctx, name)).Should(Equal(v1alpha1.StateActive))
		}

		By("a file")
		file := filepath.Join(GinkgoT().TempDir(), "leavers.csv")
		Expect(os.WriteFile(file, []byte("kim,Kim Kowalski\ntess,Tess Taylor\n"), 0o600)).To(Succeed())
		docebo.guide[0] = strings.Replace(docebo.guide[0], "leavers.csv", file, 1)
		docebo.try(ctx, "for name in $(cut -d, -f1 "+file+")")
		for name, expected := range map[string]v1alpha1.State{
			"kim": v1alpha1.StateDeactivated, "tess": v1alpha1.StateDeactivated, "ines": v1alpha1.StateActive, "alice": v1alpha1.StateActive,
		} {
			Eventually(docebo.stateOf(ctx, name)).Should(Equal(expected), name)
		}
	})
})

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
	set := func(status v1alpha1.UserDesiredStatus) string {
		return `--patch={"spec":{"desiredStatus":"` + string(status) + `"}}`
	}
	// press is a press on the mark in somebody's row.
	press := func(by, name string, status v1alpha1.UserDesiredStatus) (string, error) {
		return kubectl("--namespace=docebo", "--as="+by+"@docebo.example", "patch", "user", name, "--type=merge", set(status))
	}

	BeforeAll(func(ctx context.Context) {
		docebo = newProfile(ctx, "docebo")
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
		Expect(press("sam", "paul", v1alpha1.UserDesiredDeactivated)).To(ContainSubstring("patched"))
		Eventually(docebo.stateOf(ctx, "paul")).Should(Equal(v1alpha1.StateDeactivated))
		record, err := docebo.transition(ctx, "user.paul.2")()
		Expect(err).NotTo(HaveOccurred())
		Expect(record.Spec.Actor.Username).To(Equal("sam@docebo.example"))
		Expect(press("sam", "paul", v1alpha1.UserDesiredActive)).To(ContainSubstring("patched"))
		Eventually(docebo.stateOf(ctx, "paul")).Should(Equal(v1alpha1.StateActive))

		_, err = press("kim", "alice", v1alpha1.UserDesiredDeactivated)
		Expect(err).To(MatchError(ContainSubstring("forbidden")), "a learner is none")
	})

	It("has four statuses, and no other can be declared", Label("S1.3"), func(ctx context.Context) {
		Expect(columns("users.tenure.dev", "docebo", "{.status.state}")).To(HaveEach(BeElementOf("Active", "Activated")), "see below for Deactivated and Expired")
		for _, other := range []v1alpha1.UserDesiredStatus{v1alpha1.UserDesiredOnBreak, v1alpha1.UserDesiredSuspended, v1alpha1.UserDesiredRemoved} {
			_, err := press("sam", "kim", other)
			Expect(err).To(MatchError(ContainSubstring("policy learners does not let anybody declare " + string(other) + ". It allows Active, Deactivated (allowedStatuses)")))
		}
		Expect(docebo.jane().Create(ctx, docebo.newUser("max", desired(v1alpha1.UserDesiredSuspended)))).To(
			MatchError(ContainSubstring("does not let anybody declare Suspended")))
		Expect(docebo.stateOf(ctx, "kim")()).To(Equal(v1alpha1.StateActive))
	})

	It("ends access on the date that was set, not before it is confirmed, and gives back the status before when the date is moved, which is the only way",
		Label("S1.15", "S1.17", "S1.18", "S1.19", "S1.20", "S1.21", "S1.22", "S1.29", "S1.30"), func(ctx context.Context) {
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

			const refusal = "until spec.expirationTime is moved into the future or removed"
			Expect(docebo.tryInVain(ctx, "k patch user tess")).To(And(ContainSubstring("tess is Expired since "), ContainSubstring(refusal)))
			for _, by := range []string{"olivia", "sam", "paul"} {
				_, err := press(by, "tess", v1alpha1.UserDesiredDeactivated)
				Expect(err).To(MatchError(ContainSubstring(refusal)), by)
			}
			Expect(docebo.user(ctx, "tess")()).To(HaveField("Spec.DesiredStatus", v1alpha1.UserDesiredActive))
			Expect(docebo.stateOf(ctx, "tess")()).To(Equal(v1alpha1.StateExpired))

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

	It("lets a Power User change statuses, but not those of a Superadmin, and nobody their own", Label("S1.28"), func(ctx context.Context) {
		docebo.try(ctx, "paul patch user kim")
		Eventually(docebo.stateOf(ctx, "kim")).Should(Equal(v1alpha1.StateDeactivated))
		Expect(press("paul", "kim", v1alpha1.UserDesiredActive)).To(ContainSubstring("patched"))
		Eventually(docebo.stateOf(ctx, "kim")).Should(Equal(v1alpha1.StateActive))

		Expect(docebo.tryInVain(ctx, "paul patch user sam")).To(ContainSubstring("sam has the role Superadmin, which ranks above yours (PowerUser)"))
		const own = "you cannot change the status of your own account"
		Expect(docebo.tryInVain(ctx, "paul patch user paul")).To(ContainSubstring(own))
		for _, name := range []string{"olivia", "sam"} {
			_, err := press(name, name, v1alpha1.UserDesiredDeactivated)
			Expect(err).To(MatchError(ContainSubstring(own)), name)
		}
		Expect(press("olivia", "paul", v1alpha1.UserDesiredDeactivated)).To(ContainSubstring("patched"))
		_, err := press("paul", "paul", v1alpha1.UserDesiredActive)
		Expect(err).To(MatchError(ContainSubstring(own)), "nor back")
		Expect(press("olivia", "paul", v1alpha1.UserDesiredActive)).To(ContainSubstring("patched"))
		Eventually(docebo.stateOf(ctx, "paul")).Should(Equal(v1alpha1.StateActive))
	})

	It("deactivates many at once, by their rows or from a file, and activates them likewise", Label("S1.26", "S1.27"), func(ctx context.Context) {
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
		Expect(docebo.guide).To(BeEmpty(), "every command was tried")
	})
})

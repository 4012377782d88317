package stories

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// Changes that people make to a User.
const (
	deactivates = `{"spec":{"desiredStatus":"Deactivated","reason":"A test"}}`
	suspends    = `{"spec":{"desiredStatus":"Suspended","reason":"A test"}}`
	removes     = `{"spec":{"desiredStatus":"Removed","reason":"A test"}}`
	reactivates = `{"spec":{"desiredStatus":"Active","reason":null}}`
)

var _ = Describe("One's own account", func() {
	It("is nobody's own to change, either way", Label("S1.28"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		jane := acme.colleague(ctx, "jane", "tenure-admin", role("Admin"))
		acme.createUser(ctx, "alice")
		for _, patch := range []string{
			deactivates, suspends, removes, `{"spec":{"desiredStatus":"OnBreak"}}`, `{"spec":{"role":"Owner"}}`, `{"spec":{"role":"Member"}}`,
			`{"spec":{"expirationTime":"2040-01-01T00:00:00Z"}}`, `{"spec":{"startTime":"2040-01-01T00:00:00Z"}}`,
			`{"spec":{"absences":[{"name":"summer","startTime":"2040-07-01T00:00:00Z"}]}}`, `{"spec":{"holds":[{"name":"audit","status":"Deactivated"}]}}`,
		} {
			Expect(acme.patchUser(ctx, jane, "jane", patch)).To(MatchError(ContainSubstring("you cannot change the status of your own account")), patch)
		}
		Expect(jane.Delete(ctx, acme.newUser("jane"))).To(MatchError(ContainSubstring("you cannot change the status of your own account")))
		Expect(acme.patchUser(ctx, jane, "jane", `{"spec":{"displayName":"Jane Doe"}}`)).To(Succeed())
		Expect(acme.patchUser(ctx, jane, "alice", deactivates)).To(Succeed(), "somebody else's")

		acme.editUser(ctx, "jane", desired(v1alpha1.UserDesiredDeactivated, "On leave"))
		Expect(acme.patchUser(ctx, jane, "jane", reactivates)).To(MatchError(ContainSubstring("you cannot change the status of your own account")))
	})

	It("is left to people as far as the policy's selfService says", Label("S3.22", "S3.7"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.govern(ctx, `selfService: [Leave, Delete, Break]`)
		acme.createGroup(ctx, "room")
		acme.allow(ctx, "self", "mia", []string{"users", "memberships"}, "get", "patch", "delete")
		mia := acme.colleague(ctx, "mia", "self")
		acme.join(ctx, "mia", "room", withRoles("Member"))
		Eventually(acme.membershipStateOf(ctx, "mia-room")).Should(Equal(v1alpha1.StateActive))

		Expect(acme.patchUser(ctx, mia, "mia", `{"spec":{"desiredStatus":"OnBreak"}}`)).To(Succeed())
		Eventually(acme.stateOf(ctx, "mia")).Should(Equal(v1alpha1.StateOnBreak))
		Expect(acme.patchUser(ctx, mia, "mia", `{"spec":{"desiredStatus":"Active"}}`)).To(Succeed())
		Expect(acme.patchUser(ctx, mia, "mia", deactivates)).To(MatchError(ContainSubstring("beyond what the policy's selfService lists (Leave, Delete, Break)")))
		Expect(acme.patchMembership(ctx, mia, "mia-room", `{"spec":{"roles":["Admin"]}}`)).To(MatchError(
			Or(ContainSubstring("your own membership"), ContainSubstring("may not assign anybody"))))

		Expect(acme.patchMembership(ctx, mia, "mia-room", `{"spec":{"desiredStatus":"Removed"}}`)).To(Succeed())
		Eventually(acme.membershipStateOf(ctx, "mia-room")).Should(Equal(v1alpha1.StateRemoved))
		Expect(mia.Delete(ctx, acme.newUser("mia"))).To(Succeed())
		Eventually(func() error { _, err := acme.user(ctx, "mia")(); return err }).Should(MatchError(ContainSubstring("not found")))
		Eventually(acme.transition(ctx, "user.mia.4")).Should(And(
			HaveField("Spec.Cause.Type", v1alpha1.TransitionDeleted), HaveField("Spec.Actor.Username", acme.userName("mia"))))
	})
})

var _ = Describe("Somebody of higher rank", func() {
	It("cannot be changed, and nobody gives a role above their own", Label("S2.3"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		mark := acme.colleague(ctx, "mark", "tenure-admin", role("Manager"))
		acme.createUser(ctx, "ann", role("Admin"))
		acme.createUser(ctx, "mona", role("Manager"))
		Expect(acme.patchUser(ctx, mark, "ann", deactivates)).To(MatchError(ContainSubstring("ann has the role Admin, which ranks above yours (Manager)")))
		Expect(mark.Delete(ctx, acme.newUser("ann"))).To(MatchError(ContainSubstring("ranks above yours")))
		Expect(acme.patchUser(ctx, mark, "mona", `{"spec":{"role":"Admin"}}`)).To(MatchError(ContainSubstring("nobody gives a role above their own")))
		Expect(mark.Create(ctx, acme.newUser("eve", role("Owner")))).To(MatchError(ContainSubstring("nobody gives a role above their own")))
		Expect(acme.patchUser(ctx, mark, "mona", deactivates)).To(Succeed(), "of the same rank")
		Expect(acme.patchUser(ctx, mark, "ann", `{"spec":{"displayName":"Ann"}}`)).To(Succeed(), "nothing about the lifecycle")

		acme.govern(ctx, `guards: {higherRole: Allow}`)
		Eventually(acme.tries(ctx, mark, "ann", deactivates)).Should(Succeed())
		stranger := acme.judged(ctx, "tenure-admin", "stranger")
		Expect(acme.patchUser(ctx, stranger, "ann", deactivates)).To(Succeed(), "RBAC alone judges who is no user")
	})
})

var _ = Describe("The leader of a group", func() {
	It("stays until somebody else leads it", Label("S2.4"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.govern(ctx, `guards: {leader: Refuse}`)
		acme.createUser(ctx, "dave", wasActive)
		acme.createUser(ctx, "alice", wasActive)
		for _, team := range []string{"north", "south"} {
			acme.createGroup(ctx, team, ledBy("dave"))
		}
		for _, patch := range []string{deactivates, suspends, removes, `{"spec":{"holds":[{"name":"audit","status":"Deactivated"}]}}`} {
			Eventually(acme.tries(ctx, admin, "dave", patch)).Should(MatchError(ContainSubstring("dave leads north, south. Name another leader in spec.leaderRef of each first")))
		}
		expectRefused("delete", "users.tenure.dev", "dave", "-n", acme.name)
		Expect(acme.patchUser(ctx, admin, "dave", `{"spec":{"desiredStatus":"OnBreak"}}`)).To(Succeed(), "does not leave the active states")

		acme.editGroup(ctx, "north", func(g *v1alpha1.Group) { g.Spec.LeaderRef.Name = "alice" })
		Eventually(acme.tries(ctx, admin, "dave", deactivates)).Should(MatchError(ContainSubstring("dave leads south.")))
		acme.editGroup(ctx, "south", func(g *v1alpha1.Group) { g.Spec.LeaderRef.Name = "alice" })
		Eventually(acme.tries(ctx, admin, "dave", deactivates)).Should(Succeed())
		Expect(acme.patchUser(ctx, admin, "dave", deactivates)).To(Succeed())
	})

	It("hands over where the policy says so, but to nobody without access (case 8)", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.govern(ctx, `
guards: {leader: Allow}
effects:
- {name: teams, relations: {kinds: [Leader], action: Transfer, successors: [Successor]}}
`)
		acme.createUser(ctx, "carol", wasActive)
		acme.createUser(ctx, "dave", wasActive, successor("carol"))
		acme.createGroup(ctx, "north", ledBy("dave"))
		acme.editUser(ctx, "carol", desired(v1alpha1.UserDesiredDeactivated, "Left"))
		Eventually(acme.stateOf(ctx, "carol")).Should(Equal(v1alpha1.StateDeactivated))
		Eventually(acme.tries(ctx, admin, "dave", deactivates)).Should(MatchError(ContainSubstring(
			"effect teams would hand over 1 Leader, and carol, who would receive it, has no access (guard successor)")))
		acme.editUser(ctx, "carol", desired(v1alpha1.UserDesiredActive))
		Eventually(acme.tries(ctx, admin, "dave", deactivates)).Should(Succeed())
		Expect(acme.patchUser(ctx, admin, "dave", deactivates)).To(Succeed())
		Eventually(acme.group(ctx, "north")).Should(HaveField("Status.Leader.Name", "carol"))
	})
})

var _ = Describe("Somebody who is Expired", func() {
	It("has the date as the only way back, whoever toggles", Label("S1.19", "S1.20", "S1.21"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		power := acme.judged(ctx, "tenure-power-user", "pat")
		full := acme.judged(ctx, "tenure-admin", "sue")
		acme.createUser(ctx, "tess", wasActive, expires(inSeconds(0)))
		Eventually(acme.stateOf(ctx, "tess")).Should(Equal(v1alpha1.StateExpired))
		for _, by := range []client.Client{power, full, admin} {
			for _, patch := range []string{deactivates, `{"spec":{"desiredStatus":"OnBreak"}}`, `{"spec":{"desiredStatus":"Deactivated","expirationTime":"2020-01-01T00:00:00Z"}}`} {
				Expect(acme.patchUser(ctx, by, "tess", patch)).To(MatchError(And(
					ContainSubstring("tess is Expired since "), ContainSubstring("until spec.expirationTime is moved into the future or removed"))), patch)
			}
		}
		Expect(acme.patchUser(ctx, power, "tess", `{"spec":{"displayName":"Tess"}}`)).To(Succeed())
		Expect(acme.patchUser(ctx, full, "tess", suspends)).To(Succeed(), "may be suspended")
		Expect(acme.patchUser(ctx, full, "tess", reactivates)).To(Succeed())
		Eventually(acme.stateOf(ctx, "tess")).Should(Equal(v1alpha1.StateExpired))

		Expect(acme.patchUser(ctx, power, "tess", `{"spec":{"desiredStatus":"Deactivated","expirationTime":"2040-01-01T00:00:00Z"}}`)).To(Succeed(), "both in one request")
		Eventually(acme.stateOf(ctx, "tess")).Should(Equal(v1alpha1.StateDeactivated))
	})
})

var _ = Describe("A policy", func() {
	It("says which statuses people may declare", Label("S1.3"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.govern(ctx, `allowedStatuses: [Active, Deactivated]`)
		acme.createUser(ctx, "alice", wasActive)
		for _, status := range []string{"Suspended", "OnBreak", "Removed"} {
			Eventually(acme.tries(ctx, admin, "alice", fmt.Sprintf(`{"spec":{"desiredStatus":%q}}`, status))).Should(MatchError(
				ContainSubstring("policy default does not let anybody declare " + status + ". It allows Active, Deactivated")))
		}
		Expect(admin.Create(ctx, acme.newUser("bob", desired(v1alpha1.UserDesiredSuspended)))).To(MatchError(ContainSubstring("does not let anybody declare Suspended")))
		for patch, status := range map[string]string{
			`{"spec":{"absences":[{"name":"leave","startTime":"2040-01-01T00:00:00Z","status":"OnBreak"}]}}`: "OnBreak",
			`{"spec":{"holds":[{"name":"audit","status":"Suspended"}]}}`:                                     "Suspended",
		} {
			Expect(acme.patchUser(ctx, admin, "alice", patch)).To(MatchError(ContainSubstring("does not let anybody declare " + status)))
		}
		Expect(acme.patchUser(ctx, admin, "alice", deactivates)).To(Succeed())
	})

	It("says that whoever takes access away says why", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.govern(ctx, `guards: {reason: Required}`)
		acme.createUser(ctx, "alice", wasActive)
		Eventually(acme.tries(ctx, admin, "alice", `{"spec":{"desiredStatus":"Deactivated"}}`)).Should(MatchError(ContainSubstring("policy default requires a reason")))
		Expect(acme.patchUser(ctx, admin, "alice", `{"spec":{"holds":[{"name":"audit","status":"Deactivated"}]}}`)).To(MatchError(ContainSubstring("requires a reason")))
		Expect(acme.patchUser(ctx, admin, "alice", `{"spec":{"desiredStatus":"OnBreak"}}`)).To(Succeed())
		expectRefused("delete", "users.tenure.dev", "alice", "-n", acme.name, "--dry-run=server")
		Expect(acme.patchUser(ctx, admin, "alice", `{"metadata":{"annotations":{"tenure.dev/reason":"Left the company"}}}`)).To(Succeed())
		Expect(kubectl("delete", "users.tenure.dev", "alice", "-n", acme.name)).To(ContainSubstring("deleted"))
		Eventually(acme.transition(ctx, "user.alice.3")).Should(And(HaveField("Spec.Reason", "Left the company"), HaveField("Spec.Actor.Username", "admin")))
	})

	It("says that a change is confirmed by the digest of what it does, both ways", Label("S2.5", "S2.21"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.govern(ctx, `guards: {confirmation: Required}`)
		acme.createUser(ctx, "alice", wasActive)
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		for _, step := range []struct {
			patch string
			state v1alpha1.State
		}{{`"desiredStatus":"Deactivated"`, v1alpha1.StateDeactivated}, {`"desiredStatus":"Active"`, v1alpha1.StateActive}} {
			plain := fmt.Sprintf(`{"spec":{%s}}`, step.patch)
			Expect(acme.tries(ctx, admin, "alice", plain)()).To(Succeed(), "a preview")
			var digest string
			Eventually(func() error {
				err := acme.patchUser(ctx, admin, "alice", plain)
				digest = between(fmt.Sprint(err), v1alpha1.AnnotationConfirm+"=", "\"")
				return err
			}).Should(MatchError(ContainSubstring("policy default requires a confirmation of what this change does")))
			Expect(warned(acme.do(`patch user alice `+plain, "--dry-run=server"))).To(ContainElement("alice: confirm it with tenure.dev/confirm=" + digest))
			confirmed := fmt.Sprintf(`{"metadata":{"annotations":{%q:%%q}},"spec":{%s}}`, v1alpha1.AnnotationConfirm, step.patch)
			Expect(acme.patchUser(ctx, admin, "alice", fmt.Sprintf(confirmed, "0123456789ab"))).To(MatchError(ContainSubstring("is not what was confirmed (0123456789ab)")))
			Expect(acme.patchUser(ctx, admin, "alice", fmt.Sprintf(confirmed, digest))).To(Succeed())
			Eventually(acme.stateOf(ctx, "alice")).Should(Equal(step.state))
			Eventually(func() (map[string]string, error) {
				alice, err := acme.user(ctx, "alice")()
				return alice.GetAnnotations(), err
			}).ShouldNot(HaveKey(v1alpha1.AnnotationConfirm), "consumed")
		}
	})

	It("says that a deletion is confirmed by an annotation that comes before it", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.govern(ctx, `guards: {confirmation: Required}`)
		acme.createUser(ctx, "alice", wasActive)
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		var digest string
		Eventually(func() string {
			asked := strings.Join(warned(acme.do(`delete user alice`, "--dry-run=server")), "\n")
			digest = between(asked, "alice: confirm it with tenure.dev/confirm=", "\n")
			return digest
		}).ShouldNot(BeEmpty())
		confirm := func(digest string) error {
			return acme.patchUser(ctx, admin, "alice", fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationConfirm, digest))
		}
		refusal := func() string { return expectRefused("delete", "users.tenure.dev", "alice", "-n", acme.name) }
		Expect(refusal()).To(ContainSubstring("requires a confirmation of what this change does (see the warnings): repeat it with the annotation tenure.dev/confirm=" + digest))

		Expect(confirm("0123456789ab")).To(Succeed())
		Expect(refusal()).To(ContainSubstring("is not what was confirmed (0123456789ab), or no longer"))
		Expect(warned(acme.do(`delete user alice`, "--dry-run=server"))).To(ContainElement(HaveSuffix("="+digest)), "a preview")
		Expect(confirm(digest)).To(Succeed())
		Consistently(acme.user(ctx, "alice"), "1s").Should(HaveField("Annotations", HaveKeyWithValue(v1alpha1.AnnotationConfirm, digest)), "kept until then")
		Expect(warned(acme.do(`delete user alice`))).NotTo(ContainElement(ContainSubstring("confirm it")))
		Eventually(acme.transition(ctx, "user.alice.2")).Should(HaveField("Spec.Cause.Type", v1alpha1.TransitionDeleted))
	})

	It("with an expression that cannot be read is refused", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.setUpLifecycle(ctx)
		policy := acme.policyOf(`
serviceAccountName: lifecycle
effects:
- {name: work, resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: "object.spec.(", action: Delete}}
`)
		Expect(admin.Create(ctx, policy)).To(MatchError(ContainSubstring("spec.effects[0]: effect work: ")))
	})
})

var _ = Describe("Somebody who must not be missing", func() {
	It("is the account owner, who hands over first", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "ann", role("Admin"), wasActive)
		Eventually(acme.stateOf(ctx, "ann")).Should(Equal(v1alpha1.StateActive))
		for _, patch := range []string{deactivates, suspends, removes, `{"spec":{"expirationTime":"2020-01-01T00:00:00Z"}}`} {
			Expect(acme.patchUser(ctx, admin, "olivia", patch)).To(MatchError(ContainSubstring("olivia is the account owner of organization " + acme.name)))
		}
		expectRefused("delete", "users.tenure.dev", "olivia", "-n", acme.name)
		acme.editSettings(ctx, func(o *v1alpha1.Organization) { o.Spec.OwnerRef.Name = "ann" })
		Eventually(acme.tries(ctx, admin, "olivia", deactivates)).Should(Succeed())
	})

	It("is the last administrator, by whatever way (case 13)", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.leaveToAnn(ctx)
		acme.createUser(ctx, "ben", role("Admin"), desired(v1alpha1.UserDesiredDeactivated))
		for _, patch := range []string{
			deactivates, suspends, removes, `{"spec":{"role":"Manager"}}`, `{"spec":{"expirationTime":"2020-01-01T00:00:00Z"}}`,
			`{"spec":{"startTime":"2040-01-01T00:00:00Z"}}`, `{"spec":{"absences":[{"name":"leave","startTime":"2020-01-01T00:00:00Z","status":"Deactivated"}]}}`,
			`{"spec":{"holds":[{"name":"audit","status":"Suspended"}]}}`,
		} {
			Expect(acme.patchUser(ctx, admin, "ann", patch)).To(MatchError(ContainSubstring(
				"ann is the last active administrator of organization "+acme.name+"; ben has no access")), patch)
		}
		expectRefused("delete", "users.tenure.dev", "ann", "-n", acme.name)
		expectRefused("delete", "users.tenure.dev", "--all", "-n", acme.name, "--dry-run=server")
		Expect(admin.DeleteAllOf(ctx, &v1alpha1.User{}, client.InNamespace(acme.name), client.MatchingFields{"spec.email": acme.userName("ann")})).
			To(MatchError(ContainSubstring("ann is the last active administrator")))
		Expect(editAs(ctx, admin, acme, acme.name, func(o *v1alpha1.Organization) { o.Spec.AdminRoles = []string{"Owner"} })).
			To(MatchError(ContainSubstring("organization " + acme.name + " would have no administrator")))
		expectRefused("delete", "organization", acme.name, "-n", acme.name)

		acme.editUser(ctx, "ben", desired(v1alpha1.UserDesiredActive))
		Expect(acme.patchUser(ctx, admin, "ann", deactivates)).To(Succeed())
	})

	It("is the last active holder of a group's role", Label("S3.25"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "alice", wasActive)
		acme.createUser(ctx, "bob", wasActive)
		acme.createGroup(ctx, "room", func(g *v1alpha1.Group) {
			g.Spec.Roles = []v1alpha1.GroupRole{{Name: "Admin", MinimumActive: new(int32(1))}, {Name: "Reader"}}
		})
		acme.join(ctx, "alice", "room", withRoles("Admin"))
		acme.join(ctx, "bob", "room", withRoles("Reader"))
		Eventually(acme.membershipStateOf(ctx, "alice-room")).Should(Equal(v1alpha1.StateActive))
		refusal := ContainSubstring("without %s group room has 0 active Admin and needs 1", "alice")
		for _, patch := range []string{deactivates, suspends, removes} {
			Expect(acme.patchUser(ctx, admin, "alice", patch)).To(MatchError(refusal), patch)
		}
		for _, patch := range []string{
			`{"spec":{"desiredStatus":"Deactivated"}}`, `{"spec":{"desiredStatus":"Removed"}}`, `{"spec":{"roles":["Reader"]}}`,
			`{"spec":{"expirationTime":"2020-01-01T00:00:00Z"}}`, `{"spec":{"holds":[{"name":"audit","status":"Deactivated"}]}}`,
		} {
			Expect(acme.patchMembership(ctx, admin, "alice-room", patch)).To(MatchError(ContainSubstring("group room has 0 active Admin and needs 1")), patch)
		}
		Expect(admin.Delete(ctx, acme.newMembership("alice", "room"))).To(MatchError(ContainSubstring("group room has 0 active Admin")))

		Expect(acme.patchMembership(ctx, admin, "bob-room", `{"spec":{"roles":["Admin"]}}`)).To(Succeed())
		Expect(acme.patchUser(ctx, admin, "alice", deactivates)).To(Succeed())
		Expect(acme.patchMembership(ctx, admin, "bob-room", `{"spec":{"roles":[]}}`)).To(MatchError(ContainSubstring("alice has no access")))
	})

	It("may leave where the policy says so, of which others are told all the same", func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createGroup(ctx, "room", func(g *v1alpha1.Group) {
			g.Spec.Roles = []v1alpha1.GroupRole{{Name: "Admin", MinimumActive: new(int32(1))}}
		})
		acme.govern(ctx, `guards: {lastRoleHolder: Allow}`)
		acme.createUser(ctx, "alice", wasActive)
		acme.join(ctx, "alice", "room", withRoles("Admin"))
		Eventually(acme.membershipStateOf(ctx, "alice-room")).Should(Equal(v1alpha1.StateActive))
		Eventually(acme.tries(ctx, admin, "alice", deactivates)).Should(Succeed())
		Expect(acme.settings(ctx)()).To(HaveField("Status.Departures", BeEmpty()), "of a dry run")
		Expect(acme.patchUser(ctx, admin, "alice", deactivates)).To(Succeed())
		Expect(acme.settings(ctx)()).To(HaveField("Status.Departures", ConsistOf(
			And(HaveField("Kind", v1alpha1.SubjectUser), HaveField("Name", "alice")))))
	})
})

var _ = Describe("A suspended user", func() {
	It("neither opts back in, nor is invited, nor comes back by itself: an administrator lifts it", Label("S0.65"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.govern(ctx, `selfService: [Leave, Break, Release]`)
		acme.createGroup(ctx, "room")
		acme.allow(ctx, "self", "alice", []string{"users", "memberships"}, "get", "create", "patch", "reactivate")
		alice := acme.colleague(ctx, "alice", "self")
		acme.editUser(ctx, "alice", desired(v1alpha1.UserDesiredSuspended, "Investigation"), absent("leave", inSeconds(-60), inSeconds(2), v1alpha1.AbsenceDeactivated))
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateSuspended))

		Expect(acme.patchUser(ctx, alice, "alice", reactivates)).To(MatchError(ContainSubstring("you cannot change the status of your own account")))
		Eventually(func() error { return admin.Create(ctx, acme.newMembership("alice", "room"), client.DryRunAll) }).Should(
			MatchError(ContainSubstring("alice is Suspended: there is no new membership")))
		Eventually(acme.why(ctx, "alice")).Should(Equal([]string{"Suspended:Declared"}), "the leave is over")
		Expect(acme.stateOf(ctx, "alice")()).To(Equal(v1alpha1.StateSuspended))

		Expect(acme.patchUser(ctx, admin, "alice", reactivates)).To(Succeed())
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
	})
})

var _ = Describe("Somebody who is deactivated by a hold", func() {
	It("comes back without an administrator where it says so, and not otherwise", Label("S0.5", "S0.20"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.allow(ctx, "self", "mia", []string{"users"}, "get", "patch")
		mia := acme.colleague(ctx, "mia", "self")
		for _, release := range []v1alpha1.HoldRelease{v1alpha1.ReleaseAdmin, v1alpha1.ReleaseSelf} {
			name := "cycle-" + strings.ToLower(string(release))
			acme.editUser(ctx, "mia", func(u *v1alpha1.User) {
				u.Spec.Holds = append(u.Spec.Holds, v1alpha1.UserHold{Name: name, Status: v1alpha1.UserHoldDeactivated, Reason: "The cycle is over", Release: release})
			})
			Eventually(acme.stateOf(ctx, "mia")).Should(Equal(v1alpha1.StateDeactivated))
			lift := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationRelease, name)
			if release == v1alpha1.ReleaseAdmin {
				Expect(acme.patchUser(ctx, mia, "mia", lift)).To(MatchError(ContainSubstring(`may not release "` + name + `"`)))
				Expect(acme.patchUser(ctx, admin, "mia", lift)).To(Succeed())
			} else {
				Expect(acme.patchUser(ctx, mia, "mia", lift)).To(Succeed())
			}
			Eventually(acme.stateOf(ctx, "mia")).Should(Equal(v1alpha1.StateActive))
		}
	})
})

var _ = Describe("The verbs of RBAC", func() {
	It("give a delegated administrator exactly what was granted", Label("S2.9"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "alice", wasActive)
		acme.allow(ctx, "editor", "ed", []string{"users"}, "get", "patch", "delete", "create")
		ed := acme.judged(ctx, "", "ed")
		for patch, verb := range map[string]string{
			deactivates: "deactivate", suspends: "suspend", removes: "remove",
			`{"spec":{"expirationTime":"2040-01-01T00:00:00Z"}}`:                                       "deactivate",
			`{"spec":{"holds":[{"name":"audit","status":"Suspended"}]}}`:                               "suspend",
			`{"spec":{"absences":[{"name":"leave","startTime":"2040-01-01T00:00:00Z"}]}}`:              "deactivate",
			`{"metadata":{"annotations":{"tenure.dev/release":"audit"}}}`:                              "release",
			`{"spec":{"desiredStatus":"Deactivated","holds":[{"name":"audit","status":"Suspended"}]}}`: "suspend",
		} {
			Expect(acme.patchUser(ctx, ed, "alice", patch)).To(MatchError(ContainSubstring(`"`+verb+`"`)), patch)
		}
		Expect(ed.Delete(ctx, acme.newUser("alice"))).To(MatchError(ContainSubstring(`the verb "remove" on users.tenure.dev "alice"`)))
		Expect(acme.patchUser(ctx, ed, "alice", `{"spec":{"desiredStatus":"OnBreak"}}`)).To(Succeed(), "takes nothing away")

		acme.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "For ever"))
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateDeactivated))
		Expect(acme.patchUser(ctx, ed, "alice", reactivates)).To(MatchError(ContainSubstring(`the verb "reactivate"`)))
		acme.deleteObject("users.tenure.dev", "alice")
		Eventually(func() error { return ed.Create(ctx, acme.newUser("alice"), client.DryRunAll) }).Should(
			MatchError(ContainSubstring(`the verb "reactivate"`)), "created again")

		acme.allow(ctx, "reactivator", "ed", []string{"users"}, "reactivate")
		Eventually(func() error { return ed.Create(ctx, acme.newUser("alice")) }).Should(Succeed())
	})
})

var _ = Describe("A deletion", func() {
	It("is recorded with who asked for it, and on whose behalf they say", func(ctx context.Context) {
		acme := newOrganization(ctx)
		sync := acme.judged(ctx, "tenure-admin", "system:serviceaccount:flux-system:kustomize-controller")
		acme.createUser(ctx, "alice", wasActive, func(u *v1alpha1.User) { annotate(u, v1alpha1.AnnotationOnBehalfOf, "jane") })
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		Expect(acme.patchUser(ctx, sync, "alice", fmt.Sprintf(`{"metadata":{"annotations":{%q:"{}"}}}`, v1alpha1.AnnotationDeletedBy))).To(
			MatchError(ContainSubstring("tenure.dev/deleted-by belongs to Tenure")))
		Expect(sync.Delete(ctx, acme.newUser("alice"), client.DryRunAll)).To(Succeed())
		Expect(acme.user(ctx, "alice")()).To(HaveField("Annotations", Not(HaveKey(v1alpha1.AnnotationDeletedBy))))
		Expect(sync.Delete(ctx, acme.newUser("alice"))).To(Succeed())
		Eventually(acme.transition(ctx, "user.alice.2")).Should(HaveField("Spec.Actor", And(
			HaveField("Username", "system:serviceaccount:flux-system:kustomize-controller"), HaveField("OnBehalfOf", "jane"))))
	})
})

// govern gives the organization a policy, and waits until it is in force.
func (o *organization) govern(ctx context.Context, spec string) {
	GinkgoHelper()
	Expect(client.IgnoreAlreadyExists(admin.Create(ctx, o.policyOf(spec)))).To(Succeed())
	editObject(ctx, o, "default", func(p *v1alpha1.LifecyclePolicy) { p.Spec = o.policyOf(spec).Spec })
	o.editSettings(ctx, func(org *v1alpha1.Organization) { org.Spec.DefaultPolicyRef.Name = "default" })
	o.waitForPolicy(ctx)
}

// judged is a client of somebody with a ClusterRole, or what they were allowed before, in the organization.
func (o *organization) judged(ctx context.Context, clusterRole, username string) client.Client {
	GinkgoHelper()
	if clusterRole != "" {
		binding := o.binding(clusterRole, username)
		binding.Name, binding.GenerateName = "", "judged-"
		Expect(admin.Create(ctx, binding)).To(Succeed())
	}
	Eventually(o.allows).WithArguments(ctx, username, "patch users").Should(BeTrue())
	return as(username)
}

// colleague is a client of somebody who is a user of the organization. The role is a ClusterRole, or a Role that allow made.
func (o *organization) colleague(ctx context.Context, name, role string, edits ...func(*v1alpha1.User)) client.Client {
	GinkgoHelper()
	o.createUser(ctx, name, append(edits, wasActive)...)
	Eventually(o.user(ctx, name)).Should(HaveField("Status.Access", v1alpha1.AccessGranted))
	if role == "self" {
		role = ""
	}
	return o.judged(ctx, role, o.userName(name))
}

// allow lets somebody do something by a Role of the organization. A name without @ is a user's of the organization, or not.
func (o *organization) allow(ctx context.Context, name, who string, resources []string, verbs ...string) {
	GinkgoHelper()
	username := who
	if name == "self" {
		username = o.userName(who)
	}
	at := metav1.ObjectMeta{Name: name, Namespace: o.name}
	Expect(admin.Create(ctx, &rbacv1.Role{ObjectMeta: at, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"tenure.dev"}, Resources: resources, Verbs: verbs}}})).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: at,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: username}},
	})).To(Succeed())
}

// tries sends a patch of a user as a dry run.
func (o *organization) tries(ctx context.Context, by client.Client, name, patch string) func() error {
	return func() error {
		user := &v1alpha1.User{}
		user.Name, user.Namespace = name, o.name
		return by.Patch(ctx, user, client.RawPatch(types.MergePatchType, []byte(patch)), client.DryRunAll)
	}
}

// between is the part of a text that follows one mark, up to another or the end.
func between(text, from, to string) string {
	_, rest, _ := strings.Cut(text, from)
	part, _, _ := strings.Cut(rest, to)
	return part
}

// expectRefused has kubectl do what is refused, and returns what a person reads.
func expectRefused(arguments ...string) string {
	GinkgoHelper()
	said, err := kubectl(arguments...)
	Expect(err).To(HaveOccurred(), said)
	Expect(said).To(ContainSubstring("denied the request"))
	return said
}

// unasked is a client about which no webhook and no policy is asked: what it does is what came through at the same moment as
// something else, or was there before there were guards.
func (o *organization) unasked(ctx context.Context) client.Client {
	GinkgoHelper()
	binding := o.binding("tenure-admin", operatorUser)
	binding.Name, binding.GenerateName = "", "unasked-"
	Expect(admin.Create(ctx, binding)).To(Succeed())
	Eventually(o.allows).WithArguments(ctx, operatorUser, "delete users").Should(BeTrue())
	return as(operatorUser, "system:serviceaccounts", "system:serviceaccounts:"+operatorNamespace)
}

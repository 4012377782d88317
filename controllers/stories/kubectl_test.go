package stories

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("kubectl", func() {
	It("explains every field of every kind", func() {
		for _, kind := range []string{"organization", "user", "group", "membership", "lifecyclepolicy", "transition"} {
			for _, part := range []string{"", ".spec", ".status"} {
				explained, err := kubectl("explain", kind+part)
				Expect(err).NotTo(HaveOccurred())
				Expect(explained).To(And(
					HavePrefix("GROUP:      tenure.dev\n"), ContainSubstring("VERSION:    v1alpha1\n"),
					Not(ContainSubstring("<empty>")), Not(ContainSubstring("<no description>"))), kind+part)
			}
		}
		Expect(kubectl("explain", "user.spec.absences")).To(And(
			MatchRegexp(`absences are planned times away. Those that overlap must have the same\s+status\.`),
			MatchRegexp(`(?m)^  startTime\t<string> -required-\n +startTime is the first instant of the absence, in whole seconds\.$`),
			MatchRegexp(`(?m)^  endTime\t<string>\n +endTime is the first instant after the absence`),
			MatchRegexp(`(?m)^  status\t<string>\n  enum: OnBreak, Deactivated\n`),
		))
		Expect(kubectl("explain", "user.status.state")).To(MatchRegexp(`ENUM:\s+Pending\s+Activated\s+Active\s+OnBreak\s`))
	})

	Context("in an organization with all kinds of people", Ordered, ContinueOnFailure, func() {
		var club *organization

		BeforeAll(func(ctx context.Context) { club = newClub(ctx) })

		It("shows everything at once", func() {
			all, err := kubectl("get", "tenure", "--namespace="+club.name)
			Expect(err).NotTo(HaveOccurred())
			for _, object := range []string{
				"organization.tenure.dev/" + club.name, "user.tenure.dev/kate", "group.tenure.dev/chess", "membership.tenure.dev/alice-chess",
				"lifecyclepolicy.tenure.dev/guests", "transition.tenure.dev/user.kate.1",
			} {
				Expect(all).To(ContainSubstring("\n" + object + " "))
			}
		})

		const (
			userColumns = "NAME STATE CAUSE NEXT ROLE AGE"
			userWide    = "NAME STATE CAUSE NEXT ROLE EMAIL TYPE LASTACTIVITY AGE"
		)
		DescribeTable("prints first what one looks for:",
			func(kind, columns, wide, row string) {
				lines := func(flags ...string) []string {
					GinkgoHelper()
					printed, err := kubectl(append([]string{"get", kind, "--namespace=" + club.name}, flags...)...)
					Expect(err).NotTo(HaveOccurred())
					var lines []string
					for line := range strings.Lines(printed) {
						lines = append(lines, strings.Join(strings.Fields(line), " "))
					}
					return lines
				}
				row = strings.ReplaceAll(row, "CLUB", club.name)
				printed := lines()
				Expect(printed[0]).To(Equal(columns))
				Expect(printed[1:]).To(ContainElement(MatchRegexp("^" + row + ` \S+$`)))
				Expect(lines("--output=wide")[0]).To(Equal(wide))
			},
			Entry("of a user who has access", Label("S1.5", "S1.24"), "users", userColumns, userWide, "alice Active Manager"),
			Entry("of a user who has never used the access", Label("S1.7", "S1.24"), "users", userColumns, userWide, "carol Activated Guest"),
			Entry("of a user who is deactivated", Label("S1.13", "S1.24"), "users", userColumns, userWide, "grace Deactivated Declared Guest"),
			Entry("of a user who comes back", Label("S1.24"), "users", userColumns, userWide,
				"heidi Deactivated Absence Active on 2040-01-10 08:00Z Guest"),
			Entry("of a user whose time is over", Label("S1.18", "S1.24"), "users", userColumns, userWide, "kate Expired Expired Guest"),
			Entry("of a membership", "memberships",
				"NAME USER GROUP ROLES STATE CAUSE NEXT AGE", "NAME USER GROUP ROLES STATE CAUSE NEXT READY AGE",
				`kate-chess kate chess \["Member"\] Paused UserExpired`),
			Entry("of a group", "groups", "NAME TYPE LEADER ACTIVE TOTAL AGE", "NAME TYPE LEADER ACTIVE TOTAL ACTING STAFFED AGE", "chess Room alice 1 2"),
			Entry("of an organization", Label("S0.25"), "organizations",
				"NAME USERS ACTIVE SEATS LIMIT READY AGE", "NAME USERS ACTIVE SEATS LIMIT READY MESSAGE AGE", "CLUB 6 2 3 10 True"),
			Entry("of a policy", "lifecyclepolicies", "NAME SUSPENSION ACCOUNT READY AGE", "NAME SUSPENSION ACCOUNT READY AGE", "guests Pause True"),
			Entry("of a record", "transitions",
				"NAME SUBJECT FROM TO CAUSE BY EFFECTS AGE", "NAME SUBJECT FROM TO CAUSE BY EFFECTS REASON TIME AGE",
				`user\.kate\.2 kate Active Expired Expired `+v1alpha1.ActorDeadline),
		)

		DescribeTable("finds", func(kind, selector string, expected ...string) {
			printed, err := kubectl("get", kind, "--namespace="+club.name, "--field-selector="+selector, "--output=name")
			Expect(err).NotTo(HaveOccurred())
			var found []string
			for line := range strings.Lines(printed) {
				_, name, _ := strings.Cut(strings.TrimSpace(line), "/")
				found = append(found, name)
			}
			Expect(found).To(ConsistOf(expected))
		},
			Entry("who is deactivated", Label("S3.34"), "users", "status.state=Deactivated", "grace", "heidi"),
			Entry("who is active", Label("S0.25"), "users", "status.state=Active", "alice", "olivia"),
			Entry("who has access", Label("S1.5", "S1.7"), "users", "status.access=Granted", "alice", "carol", "olivia"),
			Entry("who has none", "users", "status.access=Denied", "grace", "heidi", "kate"),
			Entry("customers", Label("S2.18"), "users", "spec.userType=Customer", "kate"),
			Entry("employees", Label("S2.18"), "users", "spec.userType=Employee", "alice", "carol", "grace", "heidi", "olivia"),
			Entry("who has the lowest rank, and access", "users", "status.role=Guest,status.access=Granted", "carol"),
			Entry("a person by e-mail", "users", "spec.email=kate@clients.example", "kate"),
			Entry("the memberships of a person", "memberships", "spec.userRef.name=alice", "alice-chess"),
			Entry("the members of a group", "memberships", "spec.groupRef.name=chess", "alice-chess", "kate-chess"),
			Entry("the memberships that are in force", "memberships", "status.state=Active,status.access=Granted", "alice-chess"),
			Entry("the memberships that wait", "memberships", "status.state=Paused,status.access=Denied", "kate-chess"),
		)

		It("takes short names, and full ones", func() {
			for kind, name := range map[string]string{
				"tuser": "kate", "tgroup": "chess", "user": "kate", "users.tenure.dev": "kate", "groups.v1alpha1.tenure.dev": "chess",
			} {
				Expect(kubectl("get", kind, name, "--namespace="+club.name)).To(ContainSubstring("\n"+name+" "), kind)
			}
		})

		It("acts as somebody else, with no more rights than theirs", func(ctx context.Context) {
			jane := func(arguments ...string) (string, error) {
				return kubectl(append(arguments, "--namespace="+club.name, "--as=jane@acme.example")...)
			}
			_, err := jane("get", "users")
			Expect(err).To(MatchError(ContainSubstring(`User "jane@acme.example" cannot list resource "users" in API group "tenure.dev"`)))
			club.bind(ctx, "view", "jane@acme.example")
			Eventually(jane).WithArguments("get", "user", "kate").Should(ContainSubstring("Expired"))
			_, err = jane("delete", "user", "kate")
			Expect(err).To(MatchError(ContainSubstring(`cannot delete resource "users"`)))
		})
	})

	It("describes a user with conditions and Events", Label("S3.14", "S4.15"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "alice", wasActive)
		Eventually(acme.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		acme.editUser(ctx, "alice", desired(v1alpha1.UserDesiredDeactivated, "Parental leave"))
		Eventually(kubectl).WithArguments("describe", "user", "alice", "--namespace="+acme.name).Should(And(
			MatchRegexp(`(?m)^ +Message: +Deactivated since .*: declared in desiredStatus \(Parental leave\)\n.*\n +Reason: +Declared\n +Status: +False\n +Type: +Active$`),
			MatchRegexp(`(?m)^ +Message: +What is declared is in force\n.*\n +Reason: +Reconciled\n +Status: +True\n +Type: +Ready$`),
			MatchRegexp(`(?m)^  State: +Deactivated$`),
			MatchRegexp(`(?m)^  Normal +Deactivated +\S+ +tenure +Active → Deactivated: declared in desiredStatus \(Parental leave\), by admin$`),
		))
	})

	It("waits for what a script waits for", func(ctx context.Context) {
		acme := newOrganization(ctx)
		wait := func(arguments ...string) (string, error) {
			return kubectl(append([]string{"wait", "--namespace=" + acme.name, "--timeout=" + soon.String()}, arguments...)...)
		}
		acme.createUser(ctx, "kate", expires(inSeconds(3)))
		Expect(wait("user/kate", "--for=condition=Ready")).To(Equal("user.tenure.dev/kate condition met\n"))
		Expect(wait("user/kate", "--for=condition=Active")).To(Equal("user.tenure.dev/kate condition met\n"))
		Expect(wait("user/kate", "--for=jsonpath={.status.state}=Expired")).To(Equal("user.tenure.dev/kate condition met\n"))
		Expect(wait("user/kate", "--for=condition=Active=false")).To(Equal("user.tenure.dev/kate condition met\n"))
		Expect(wait("user/kate", "--for=condition=Ready")).To(Equal("user.tenure.dev/kate condition met\n"), "properly expired")

		_, err := kubectl("patch", "user", "olivia", "--namespace="+acme.name, "--type=merge", `--patch={"spec":{"displayName":"Olivia"}}`)
		Expect(err).NotTo(HaveOccurred())
		Expect(wait("user/olivia", "--for=jsonpath={.status.observedGeneration}=2")).To(Equal("user.tenure.dev/olivia condition met\n"))
		Expect(kubectl("delete", "user", "kate", "--namespace="+acme.name, "--wait=false")).To(ContainSubstring("deleted"))
		Expect(wait("user/kate", "--for=delete")).To(BeElementOf("user.tenure.dev/kate condition met\n", ""))
	})

	It("activates those who are found deactivated", Label("S3.34"), func(ctx context.Context) {
		acme := newOrganization(ctx)
		acme.createUser(ctx, "grace", desired(v1alpha1.UserDesiredDeactivated, "Lent to a subsidiary"))
		Eventually(acme.stateOf(ctx, "grace")).Should(Equal(v1alpha1.StateDeactivated))
		Expect(kubectl("patch", "user", "grace", "--namespace="+acme.name, "--type=merge", `--patch={"spec":{"desiredStatus":"Active"}}`)).
			To(HavePrefix("user.tenure.dev/grace patched\nWarning: grace: Deactivated to Activated at once; access comes back"))
		Eventually(acme.stateOf(ctx, "grace")).Should(Equal(v1alpha1.StateActivated))
		Expect(kubectl("get", "users", "--namespace="+acme.name, "--field-selector=status.state=Deactivated")).To(HavePrefix("No resources found"))
	})

	DescribeTable("applies a file again and again, and finds no difference", func(ctx context.Context, flags ...string) {
		acme := newOrganization(ctx)
		file := strings.ReplaceAll(`
apiVersion: tenure.dev/v1alpha1
kind: User
metadata: {name: kate, namespace: NAMESPACE}
spec:
  userName: kate@clients.example
  expirationTime: "2040-12-31T23:00:00+01:00"
  absences:
  - {name: leave, startTime: "2026-01-01T00:00:00Z", endTime: "2040-01-10T08:00:00Z"}
---
apiVersion: tenure.dev/v1alpha1
kind: Group
metadata: {name: chess, namespace: NAMESPACE}
spec: {roles: [{name: Player}]}
---
apiVersion: tenure.dev/v1alpha1
kind: Membership
metadata: {name: kate-chess, namespace: NAMESPACE}
spec: {userRef: {name: kate}, groupRef: {name: chess}, roles: [Player]}
`, "NAMESPACE", acme.name)
		apply := func(verb string) (string, error) {
			return kubectlWith(file, verb+" --filename=- "+strings.Join(flags, " "))
		}
		_, err := apply("apply")
		Expect(err).NotTo(HaveOccurred())
		Eventually(acme.membershipStateOf(ctx, "kate-chess")).Should(Equal(v1alpha1.StatePaused))
		Expect(apply("diff")).To(BeEmpty(), "what the operator keeps on the objects is no difference")
		before, err := acme.user(ctx, "kate")()
		Expect(err).NotTo(HaveOccurred())
		_, err = apply("apply")
		Expect(err).NotTo(HaveOccurred())
		Expect(acme.user(ctx, "kate")()).To(HaveField("Generation", before.Generation))
	},
		Entry("as kubectl does"),
		Entry("on the server's side", "--server-side"),
	)
})

// newClub is an organization with people in most states, a group and a policy, as it is when all is settled.
func newClub(ctx context.Context) *organization {
	GinkgoHelper()
	club := newOrganization(ctx, func(o *v1alpha1.Organization) { o.Spec.Seats = ptr.To[int32](10) })
	Expect(admin.Create(ctx, &v1alpha1.LifecyclePolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "guests", Namespace: club.name},
		Spec:       v1alpha1.LifecyclePolicySpec{Suspension: v1alpha1.Suspension{Memberships: v1alpha1.SuspensionPause}},
	})).To(Succeed())
	club.createGroup(ctx, "chess", ledBy("alice"), func(g *v1alpha1.Group) {
		g.Spec.Type, g.Spec.Roles = "Room", []v1alpha1.GroupRole{{Name: "Member"}}
	})
	club.createUser(ctx, "alice", role("Manager"), wasActive)
	club.createUser(ctx, "carol")
	club.createUser(ctx, "grace", desired(v1alpha1.UserDesiredDeactivated, "Lent to a subsidiary"))
	club.createUser(ctx, "heidi", wasActive, absent("leave", inSeconds(-60), time.Date(2040, 1, 10, 8, 0, 0, 0, time.UTC), v1alpha1.AbsenceDeactivated))
	club.createUser(ctx, "kate", wasActive, func(u *v1alpha1.User) { u.Spec.UserType, u.Spec.Email = "Customer", "kate@clients.example" })
	Eventually(club.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
	club.editUser(ctx, "kate", expires(inSeconds(0)))
	club.enrol(ctx, "alice", v1alpha1.StateActive, "chess")
	club.enrol(ctx, "kate", v1alpha1.StatePaused, "chess")
	Eventually(club.group(ctx, "chess")).Should(HaveField("Status.Members", v1alpha1.MembershipCounts{Active: 1, Total: 2}))
	Eventually(club.settings(ctx)).Should(HaveField("Status.Users", v1alpha1.UserCounts{
		Total: 6, Activated: 1, Active: 2, Deactivated: 2, Expired: 1,
	}))
	return club
}

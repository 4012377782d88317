package stories

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"

	"tenure.dev/tenure/api/v1alpha1"
)

var _ = Describe("A file with a mistake", Ordered, ContinueOnFailure, func() {
	var (
		acme   *organization
		course string
	)

	BeforeAll(func(ctx context.Context) {
		acme = newOrganization(ctx)
		acme.createGroup(ctx, "chess")
		course = acme.createProgram(ctx, "course")
		acme.createUser(ctx, "alice")
		acme.createUser(ctx, "held", held("review", v1alpha1.UserHoldDeactivated))
		acme.join(ctx, "alice", "chess")
		Eventually(acme.membershipStateOf(ctx, "alice-chess")).Should(Equal(v1alpha1.StateActive))
	})

	DescribeTable("is refused, and the message says what to do:",
		func(kind, name, spec, message string) {
			_, err := kubectlWith(acme.declare(kind, name, spec), "apply --filename=-")
			Expect(err).To(MatchError(ContainSubstring(strings.ReplaceAll(message, "ACME", acme.name))))
		},
		Entry("a user who expires before they begin", "User", "kate",
			`{userName: kate, startTime: "2030-02-01T00:00:00Z", expirationTime: "2030-01-01T00:00:00Z"}`,
			"spec.expirationTime: Invalid value: expirationTime must be after startTime: the account would expire before it begins"),
		Entry("an absence that ends before it begins", "User", "kate",
			`{userName: kate, absences: [{name: leave, startTime: "2030-02-01T00:00:00Z", endTime: "2030-01-01T00:00:00Z"}]}`,
			"spec.absences[0].endTime: Invalid value: endTime must be after startTime"),
		Entry("two absences that overlap and differ", "User", "kate",
			`{userName: kate, absences: [{name: a, startTime: "2030-01-01T00:00:00Z", endTime: "2030-03-01T00:00:00Z", status: OnBreak},
			{name: b, startTime: "2030-02-01T00:00:00Z", endTime: "2030-04-01T00:00:00Z", status: Deactivated}]}`,
			"two absences overlap and have different status: end one before the other starts, or give both the same status"),
		Entry("two absences of one name", "User", "kate",
			`{userName: kate, absences: [{name: a, startTime: "2030-01-01T00:00:00Z", endTime: "2030-03-01T00:00:00Z"},
			{name: a, startTime: "2031-01-01T00:00:00Z", endTime: "2031-03-01T00:00:00Z"}]}`,
			`spec.absences[1]: Duplicate value: {"name":"a"}`),
		Entry("a time that is none", "User", "kate", `{userName: kate, expirationTime: tomorrow}`, "spec.expirationTime"),
		Entry("a time with fractions of a second", "User", "kate", `{userName: kate, expirationTime: "2030-01-01T00:00:00.5Z"}`, "spec.expirationTime"),
		Entry("a time without its zone", "User", "kate", `{userName: kate, expirationTime: "2030-01-01T00:00:00"}`, "spec.expirationTime"),
		Entry("a status that there is not", "User", "kate", `{userName: kate, desiredStatus: Disabled}`,
			`spec.desiredStatus: Unsupported value: "Disabled": supported values: "Active", "OnBreak", "Deactivated", "Suspended", "Removed"`),
		Entry("a field that there is not", "User", "kate", `{userName: kate, expires: "2030-01-01T00:00:00Z"}`, `unknown field "spec.expires"`),
		Entry("an e-mail of 400 characters", "User", "kate", `{userName: kate, email: `+strings.Repeat("k", 395)+`@a.bc}`,
			"spec.email: Too long: may not be more than 254"),
		Entry("an e-mail that is none", "User", "kate", `{userName: kate, email: kate}`, "must be an e-mail address, such as alice@acme.example"),
		Entry("a user whose name has 250 characters", "User", strings.Repeat("k", 250), `{userName: kate}`,
			"metadata.name must have at most 63 characters: choose a shorter one"),
		Entry("a user without userName", "User", "kate", `{displayName: Kate}`, "spec.userName: Required value"),
		Entry("a userName of Kubernetes' own", "User", "kate", `{userName: "system:admin"}`,
			"userName must not start with system: (reserved for Kubernetes' own accounts)"),
		Entry("somebody else's userName", "User", "twin", `{userName: alice@ACME.example}`,
			"User alice has the userName alice@ACME.example already: it is of one user of an organization. Correct it, or change that user instead"),
		Entry("somebody else's e-mail", "User", "twin", `{userName: twin, email: ALICE@ACME.example}`,
			"User alice has the e-mail ALICE@ACME.example already: it is of one user of an organization. Correct it, or change that user instead"),
		Entry("another userName for the same user", "User", "alice", `{userName: somebody-else}`,
			"userName cannot be changed: grants and history are bound to it. Create another User for another account"),
		Entry("a hold that is changed", "User", "held", `{userName: held@ACME.example, holds: [{name: review, status: Suspended}]}`,
			"a hold cannot be changed: release it and set another one"),
		Entry("another user for the same membership", "Membership", "alice-chess", `{userRef: {name: bob}, groupRef: {name: chess}}`,
			"userRef cannot be changed: create a Membership for the other user, and delete or remove this one"),
		Entry("another group for the same membership", "Membership", "alice-chess", `{userRef: {name: alice}, groupRef: {name: go}}`,
			"groupRef cannot be changed: create a Membership for the other group, and delete or remove this one"),
		Entry("a membership of nobody", "Membership", "nobody-chess", `{groupRef: {name: chess}}`, "spec.userRef: Required value"),
		Entry("a second membership of the same pair", "Membership", "again-alice-chess", `{userRef: {name: alice}, groupRef: {name: chess}}`,
			"Membership alice-chess is of user alice and group chess already. Change that one instead, or delete it first"),
		Entry("a negative minimum", "Group", "go", `{roles: [{name: Player, minimumActive: -1}]}`, "spec.roles[0].minimumActive: Invalid value: -1"),
		Entry("a grant in no namespace", "Group", "go", `{roles: [{name: Player, grants: [{roleRef: {name: view}, namespaces: []}]}]}`,
			"spec.roles[0].grants[0].namespaces"),
		Entry("an administrator's role that is no role", "Organization", "ACME", `{roles: [Guest, Owner], adminRoles: [Admin, Owner]}`,
			"every one of adminRoles must also be listed in roles (adminRoles are Admin and Owner when left out)"),
		Entry("an Organization of another name than its namespace", "Organization", "globex", `{displayName: Globex}`,
			"an Organization is named as its namespace, of which it holds the settings: call this one"),
	)

	DescribeTable("is taken, the object says what is wrong, and everything else goes on:",
		func(ctx context.Context, kind, name, spec, condition string) {
			Expect(kubectlWith(acme.declare(kind, name, spec), "apply --filename=-")).To(ContainSubstring("created"))
			Eventually(acme.conditionsOf).WithArguments(kind, name).Should(ContainElement(strings.ReplaceAll(condition, "ACME", acme.name)))

			newcomer := "after-" + name
			acme.createUser(ctx, newcomer)
			Eventually(acme.stateOf(ctx, newcomer)).Should(Equal(v1alpha1.StateActivated))
			Expect(acme.membershipStateOf(ctx, "alice-chess")()).To(Equal(v1alpha1.StateActive))
		},
		Entry("a role that the organization does not have", "User", "janitor", `{userName: janitor, role: Janitor}`,
			"Ready False UnknownRole: Role Janitor is not one of the organization's roles (Guest, Member, Manager, Admin, Owner); the user counts as Guest"),
		Entry("a policy that there is not", "User", "unruly", `{userName: unruly, policyRef: {name: nowhere}}`,
			"Ready False PolicyNotFound: LifecyclePolicy nowhere does not exist; the defaults apply until it does"),
		Entry("a membership of nobody", "Membership", "nobody-chess", `{userRef: {name: nobody}, groupRef: {name: chess}}`,
			"ResolvedRefs False UserNotFound: User nobody does not exist; the membership begins when it does"),
		Entry("a membership to nowhere", "Membership", "alice-nowhere", `{userRef: {name: alice}, groupRef: {name: nowhere}}`,
			"ResolvedRefs False GroupNotFound: Group nowhere does not exist; the membership begins when it does"),
		Entry("a role that the group does not have", "Membership", "held-chess", `{userRef: {name: olivia}, groupRef: {name: chess}, roles: [Queen]}`,
			"Ready False UnknownGroupRole: Group chess has no role Queen; the other roles are in force"),
		Entry("a leader who does not exist", "Group", "go", `{leaderRef: {name: nobody}}`,
			"Ready False UnknownReference: The leader, User nobody, does not exist: create the user, or name another leader in leaderRef"),
	)

	DescribeTable("is not what it looks like: access is given, to exactly that name:",
		func(ctx context.Context, name, spec, userName string) {
			Expect(kubectlWith(acme.declare("User", name, spec), "apply --filename=-")).To(ContainSubstring("created"))
			Eventually(acme.conditionsOf).WithArguments("User", name).Should(ContainElement("Ready True Reconciled: What is declared is in force"))
			acme.enrol(ctx, name, v1alpha1.StateActive, "course")
			Eventually(acme.bindingsOf).WithArguments(ctx, name).Should(HaveExactElements(
				HaveField("Subjects", HaveExactElements(rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: userName}))))
			Expect(kubectl("auth", "can-i", "list", "pods", "--namespace="+course, "--as="+userName)).To(Equal("yes\n"))
		},
		Entry("a user without e-mail", "quiet", `{userName: quiet}`, "quiet"),
		Entry("a userName of 250 characters", "long", `{userName: `+strings.Repeat("k", 250)+`}`, strings.Repeat("k", 250)),
		Entry("a userName with upper case, dots and a colon", "dotted", `{userName: "oidc:Kate.Kowalska@Clients.Example"}`,
			"oidc:Kate.Kowalska@Clients.Example"),
	)
})

// declare is a file with one object of the organization, whose name ACME stands for.
func (o *organization) declare(kind, name, spec string) string {
	return strings.ReplaceAll(fmt.Sprintf("{apiVersion: tenure.dev/v1alpha1, kind: %s, metadata: {name: %s, namespace: ACME}, spec: %s}", kind, name, spec),
		"ACME", o.name)
}

// conditionsOf are the conditions of an object, as kubectl shows them.
func (o *organization) conditionsOf(kind, name string) ([]string, error) {
	printed, err := kubectl("get", kind, name, "--namespace="+o.name,
		`--output=jsonpath={range .status.conditions[*]}{.type} {.status} {.reason}: {.message}{"\n"}{end}`)
	return strings.Split(printed, "\n"), err
}

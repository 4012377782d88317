package stories

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"tenure.dev/tenure/api/v1alpha1"
)

// severalNames has effects that find the person in different places of one object: two by the same reference, one in a list, and
// one whose expression most objects have nothing for.
const severalNames = `
serviceAccountName: lifecycle
guards: {leader: Allow, lastRoleHolder: Allow}
effects:
- name: comments
  "on": [Removed]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: "spec.comments[*].by"}, action: Anonymize, fields: [{path: "spec.comments[*].by", value: Removed User, onReturn: Relink}]}
- name: authors
  "on": [Removed]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.author}, action: Anonymize, fields: [{path: spec.author, value: Removed User, onReturn: Relink}]}
- name: names
  "on": [Removed]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.author}, action: Anonymize, fields: [{path: spec.name, value: Removed User, onReturn: Relink}]}
- name: owners
  "on": [Removed]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: object.spec.public, action: Anonymize, fields: [{path: spec.owner, value: Removed User}]}
`

var _ = Describe("The end of an account", func() {
	DescribeTable("takes the person out wherever an effect finds them, and nobody else", func(ctx context.Context, removedBefore bool) {
		o := workingOrganization(ctx, severalNames)
		o.createUser(ctx, "alice", wasActive)
		Eventually(o.stateOf(ctx, "alice")).Should(Equal(v1alpha1.StateActive))
		o.createWork(ctx, "hers", `{author: alice, name: Alice Ang, comments: [{by: dan}, {by: alice}]}`)
		o.createWork(ctx, "his", `{author: dan, name: Dan Dorn, comments: [{by: dan}, {by: alice}]}`)
		if removedBefore {
			o.editUser(ctx, "alice", desired(v1alpha1.UserDesiredRemoved, "Has left"))
			o.waitForCascade(ctx, "user.alice.2")
		}
		o.deleteObject("user", "alice")
		Expect(o.work(ctx)()).To(Equal(map[string]string{
			"hers": "{author: Removed User, comments: [{by: dan}, {by: Removed User}], name: Removed User}",
			"his":  "{author: dan, comments: [{by: dan}, {by: Removed User}], name: Dan Dorn}",
		}))
		for _, name := range []string{"hers", "his"} {
			Expect(o.annotationsOf(ctx, name)).NotTo(Or(HaveKey(v1alpha1.AnnotationUserUID), HaveKey(v1alpha1.AnnotationAnonymized)), name)
			Expect(kubectl("get", "works", name, "-n", o.name, "-o", "yaml", "--show-managed-fields")).NotTo(ContainSubstring("alice"))
		}
	},
		Entry("of somebody who is there until then", false),
		Entry("of somebody who was removed before", true),
	)
})

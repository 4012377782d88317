// Package example is what an application keeps about people, for tests and benchmarks of effects: kinds of which the operator
// knows nothing.
package example

import "k8s.io/apimachinery/pkg/runtime/schema"

// Work is whatever the application keeps about people's work.
var Work = schema.GroupVersionKind{Group: "work.example.com", Version: "v1", Kind: "Work"}

// WorkDefinition is the CustomResourceDefinition of Work. Its spec may hold anything.
const WorkDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: works.work.example.com}
spec:
  group: work.example.com
  scope: Namespaced
  names: {kind: Work, plural: works, singular: work}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
`

// OneOfEach is the spec of a LifecyclePolicy with an effect of each action on work, told apart by spec.class. More effects may
// be added at its end.
const OneOfEach = `
serviceAccountName: lifecycle
guards: {leader: Allow, lastRoleHolder: Allow}
effects:
- name: deleted
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: "object.spec.class == 'deleted'", action: Delete}
- name: children
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.parent, effect: deleted}, action: Delete}
- name: transferred
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner, value: UserName}, action: Transfer, successors: [Successor, Owner]}
- name: unassigned
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: "spec.editors[*].name"}, action: Unassign}
- name: patched
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.payer, value: Email}, match: "object.spec.state == 'Active'", action: Patch, patch: {spec: {state: Cancelled, renewal: null}}}
- name: anonymised
  resources:
    apiVersion: work.example.com/v1
    kind: Work
    reference: {fieldPath: "spec.comments[*].author"}
    action: Anonymize
    fields: [{path: "spec.comments[*].author", value: Removed User}]
- name: kept
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: "object.spec.class == 'kept'", action: Keep}
`

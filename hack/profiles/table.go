package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/api/v1alpha1"
)

// readPolicies reads the LifecyclePolicies of a file. Nothing else may be in it, and no field that a policy does not have.
func readPolicies(manifests []byte) ([]v1alpha1.LifecyclePolicy, error) {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests)))
	var policies []v1alpha1.LifecyclePolicy
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return policies, nil
		}
		if err != nil {
			return nil, fmt.Errorf("splitting the documents: %w", err)
		}
		if content, err := yaml.YAMLToJSON(document); err == nil && string(content) == "null" {
			continue // comments before the first document
		}
		var policy v1alpha1.LifecyclePolicy
		if err := yaml.UnmarshalStrict(document, &policy); err != nil {
			return nil, fmt.Errorf("decoding a LifecyclePolicy: %w", err)
		}
		if policy.Kind != "LifecyclePolicy" {
			return nil, fmt.Errorf("is for LifecyclePolicies, and holds a %s", policy.Kind)
		}
		policies = append(policies, policy)
	}
}

// tables are what the policies do, one table for each.
func tables(policies []v1alpha1.LifecyclePolicy) string {
	var text strings.Builder
	for i := range policies {
		effects := policies[i].Spec.Effects
		if len(effects) == 0 {
			fmt.Fprintf(&text, "\nPolicy `%s` has no effects.\n", policies[i].Name)
			continue
		}
		fmt.Fprintf(&text, "\nPolicy `%s`:\n\n| Class of thing | On | What happens |\n|---|---|---|\n", policies[i].Name)
		for j := range effects {
			fmt.Fprintf(&text, "| **%s**: %s | %s | %s |\n",
				effects[j].Name, cell(class(&effects[j])), cell(states(&effects[j])), cell(outcome(&effects[j])))
		}
	}
	return text.String() + "\n"
}

// cell is text as a cell of a Markdown table takes it.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

func states(effect *v1alpha1.Effect) string {
	on := names(effect.States(), ", ")
	if len(effect.UserTypes) > 0 {
		on += " of " + names(effect.UserTypes, ", ")
	}
	return on
}

// class is what an effect is about.
func class(effect *v1alpha1.Effect) string {
	switch {
	case effect.Resources.Kind != "":
		return resourceClass(&effect.Resources)
	case effect.Memberships.Action != "":
		return membershipClass(&effect.Memberships)
	default:
		return relationClass(&effect.Relations)
	}
}

func resourceClass(resources *v1alpha1.ResourcesEffect) string {
	text := resources.Kind + " whose `" + resources.Reference.FieldPath + "` "
	if resources.Reference.Effect != "" {
		text += "names one of **" + resources.Reference.Effect + "**"
	} else {
		text += "is the user's " + referenceValue(resources.Reference.Value)
	}
	if resources.Match != "" {
		text += ", if `" + resources.Match + "`"
	}
	return text
}

func referenceValue(value v1alpha1.ReferenceValue) string {
	switch value {
	case v1alpha1.ReferenceUserName:
		return "userName"
	case v1alpha1.ReferenceEmail:
		return "e-mail address"
	case v1alpha1.ReferenceUID:
		return "UID"
	default:
		return "name"
	}
}

func membershipClass(memberships *v1alpha1.MembershipsEffect) string {
	text := "memberships"
	if len(memberships.GroupTypes) > 0 {
		text += " in groups of type " + names(memberships.GroupTypes, " or ")
	}
	if len(memberships.Roles) > 0 {
		text += " as " + names(memberships.Roles, " or ")
	}
	return text
}

func relationClass(relations *v1alpha1.RelationsEffect) string {
	var texts []string
	for _, kind := range relations.Kinds {
		if kind == v1alpha1.RelationLeader {
			texts = append(texts, "groups that the user leads")
		} else {
			texts = append(texts, "people whose "+strings.ToLower(string(kind))+" the user is")
		}
	}
	return strings.Join(texts, ", ")
}

// outcome is what an effect does to each thing of its class.
func outcome(effect *v1alpha1.Effect) string {
	switch {
	case effect.Resources.Kind != "":
		return resourceOutcome(&effect.Resources)
	case effect.Memberships.Action != "":
		return membershipOutcome(effect.Memberships.Action)
	case effect.Relations.Action == v1alpha1.RelationAction(v1alpha1.ActionTransfer):
		return successors(effect.Relations.Successors) + " stands in, until somebody else is declared"
	default:
		return "nobody stands in"
	}
}

func resourceOutcome(resources *v1alpha1.ResourcesEffect) string {
	switch v1alpha1.EffectAction(resources.Action) {
	case v1alpha1.ActionKeep:
		return "stays as it is"
	case v1alpha1.ActionDelete:
		return "is deleted"
	case v1alpha1.ActionTransfer:
		return "goes to " + successors(resources.Successors)
	case v1alpha1.ActionUnassign:
		return "stays, without the user in `" + resources.Reference.FieldPath + "`"
	case v1alpha1.ActionPatch:
		return "is patched: `" + string(resources.Patch.Raw) + "`"
	case v1alpha1.ActionAnonymize:
		return "stays, anonymous: " + anonymized(resources.Fields)
	default:
		return string(resources.Action)
	}
}

func anonymized(fields []v1alpha1.AnonymizeField) string {
	var texts []string
	for _, field := range fields {
		text := "`" + field.Path + "` is taken out"
		if field.Value != "" {
			text = "`" + field.Path + "` becomes " + field.Value
		}
		if field.OnReturn == v1alpha1.OnReturnRelink {
			text += ", until the same account returns"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

func membershipOutcome(action v1alpha1.MembershipAction) string {
	switch v1alpha1.EffectAction(action) {
	case v1alpha1.ActionKeep:
		return "paused as long as the user has no access, then as before"
	case v1alpha1.ActionDeactivate:
		return "deactivated, until somebody gives it back"
	case v1alpha1.ActionRemove:
		return "removed; to be given anew"
	default:
		return string(action)
	}
}

var successorTexts = map[v1alpha1.Successor]string{
	v1alpha1.SuccessorDeclared:        "the declared successor",
	v1alpha1.SuccessorTeamLeader:      "the leader of the user's first team",
	v1alpha1.SuccessorFirstTeamLeader: "the leader of the organization's first team",
	v1alpha1.SuccessorManager:         "the line manager",
	v1alpha1.SuccessorCoach:           "the coach",
	v1alpha1.SuccessorOwner:           "the account Owner",
}

// successors are who receives something, in the order in which they are tried.
func successors(order []v1alpha1.Successor) string {
	var texts []string
	for _, successor := range order {
		texts = append(texts, successorTexts[successor])
	}
	return strings.Join(texts, ", else ")
}

// names joins words of any type.
func names[T ~string](words []T, separator string) string {
	var texts []string
	for _, word := range words {
		texts = append(texts, string(word))
	}
	return strings.Join(texts, separator)
}

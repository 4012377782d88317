package lifecyclepolicy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/summary"
	"tenure.dev/tenure/controllers/internal/targets"
)

var customResourceDefinitions = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// gravity orders what may be wrong with a policy: what only somebody can mend comes first.
var gravity = []string{
	v1alpha1.ReasonInvalidMatch, v1alpha1.ReasonInvalidKind, v1alpha1.ReasonForbidden, v1alpha1.ReasonKindNotFound,
	v1alpha1.ReasonWatchFailed, v1alpha1.ReasonSynchronizing,
}

// problem is why an effect could not act now.
type problem struct {
	reason, message string

	// passing: it is over in a moment, or becomes another one.
	passing bool
}

// ready says whether every effect could act now, and whether that may be another one in a moment, because objects are being listed
// for the first time.
func (r *Reconciler) ready(policy *v1alpha1.LifecyclePolicy) (condition metav1.Condition, listing bool) {
	var problems []problem
	for i := range policy.Spec.Effects {
		effect := &policy.Spec.Effects[i]
		if effect.Resources.Kind == "" {
			continue
		}
		if found := r.problemOf(policy, effect); found.reason != "" && !slices.Contains(problems, found) {
			problems = append(problems, found)
		}
	}
	if len(problems) == 0 {
		return summary.Condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReconciled, "What is declared is in force"), false
	}
	listing = slices.ContainsFunc(problems, func(p problem) bool { return p.passing })
	slices.SortStableFunc(problems, func(a, b problem) int { return slices.Index(gravity, a.reason) - slices.Index(gravity, b.reason) })
	messages := make([]string, len(problems))
	for i := range problems {
		messages[i] = problems[i].message
	}
	return summary.Condition(v1alpha1.ConditionReady, false, problems[0].reason, strings.Join(messages, "; ")), listing
}

func (r *Reconciler) problemOf(policy *v1alpha1.LifecyclePolicy, effect *v1alpha1.Effect) problem {
	resources, err := cascade.NewResources(policy.Namespace, policy.Spec.ServiceAccountName, effect)
	switch {
	case errors.Is(err, cascade.ErrInvalidMatch):
		return problem{reason: v1alpha1.ReasonInvalidMatch, message: err.Error()}
	case err != nil:
		return problem{reason: v1alpha1.ReasonInvalidKind, message: err.Error()}
	}
	kind := effect.Resources.Kind + " of " + effect.Resources.APIVersion
	_, err = r.Sources.At(resources.Source, resources.Needs)
	switch {
	case err == nil:
		return problem{}
	case errors.Is(err, targets.ErrSynchronizing):
		return problem{
			reason: v1alpha1.ReasonSynchronizing, message: "The objects of kind " + kind + " are being listed",
			passing: !errors.Is(err, targets.ErrSlow),
		}
	case errors.Is(err, targets.ErrClusterScoped):
		return problem{reason: v1alpha1.ReasonInvalidKind, message: "Kind " + kind + " is not of a namespace: effects act on objects of the organization's namespace alone"}
	case targets.Missing(err):
		return problem{reason: v1alpha1.ReasonKindNotFound, message: "The cluster has no kind " + kind + "; it is picked up when it appears"}
	case apierrors.IsForbidden(err):
		return problem{reason: v1alpha1.ReasonForbidden, message: fmt.Sprintf("Service account %s cannot be used to list and watch kind %s: %v", policy.Spec.ServiceAccountName, kind, err)}
	default:
		return problem{reason: v1alpha1.ReasonWatchFailed, message: fmt.Sprintf("The objects of kind %s cannot be listed: %v", kind, err)}
	}
}

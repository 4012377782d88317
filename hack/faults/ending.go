package main

import (
	"context"
	"embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/example"
)

//go:embed endings/*.txt
var endings embed.FS

// wantedEnding is how a scenario must come out.
func wantedEnding(scenario string) ([]string, error) {
	content, err := endings.ReadFile("endings/" + scenario + ".txt")
	if err != nil {
		return nil, fmt.Errorf("read how %s must come out: %w", scenario, err)
	}
	return slices.Sorted(slices.Values(strings.Split(strings.TrimSpace(string(content)), "\n"))), nil
}

// otherEnding says in which way a scenario has not come out as it must.
func otherEnding(wanted, found []string) []string {
	var sentences []string
	for _, line := range wanted {
		if !slices.Contains(found, line) {
			sentences = append(sentences, "it must come out like this, and has not: "+line)
		}
	}
	for _, line := range found {
		if !slices.Contains(wanted, line) {
			sentences = append(sentences, "it must not come out like this: "+line)
		}
	}
	return sentences
}

// judgeEnding judges how the scenario has come out, by what is written down about it: O1 without a run to compare with. A run
// of fewer steps comes out in its own way.
func (r *run) judgeEnding(ctx context.Context) error {
	if r.plan.steps > 0 {
		return nil
	}
	wanted, err := wantedEnding(r.scenario.name)
	if err != nil {
		return err
	}
	found, err := r.world.ending(ctx)
	if err != nil {
		return err
	}
	for _, sentence := range otherEnding(wanted, found) {
		r.problem("O1", sentence)
	}
	return nil
}

// ending is what a person would look at in the end, a line for each thing, in order. A scenario says how it must come out: a
// mistake that every run makes would else be the same in all of them.
func (w *world) ending(ctx context.Context) ([]string, error) {
	var lines []string
	for _, look := range []func(context.Context) ([]string, error){w.users, w.groups, w.memberships, w.grants, w.transitions, w.works} {
		more, err := look(ctx)
		if err != nil {
			return nil, fmt.Errorf("look at how it came out: %w", err)
		}
		lines = append(lines, more...)
	}
	slices.Sort(lines)
	return lines, nil
}

func (w *world) users(ctx context.Context) (lines []string, err error) {
	var list v1alpha1.UserList
	err = w.people.List(ctx, &list, client.InNamespace(w.namespace))
	for i := range list.Items {
		u := &list.Items[i]
		lines = append(lines, fmt.Sprintf("user %s: %s%s%s", u.Name, u.Status.State, unready(u), standing(u.Spec.Acting)))
	}
	return lines, err
}

func (w *world) groups(ctx context.Context) (lines []string, err error) {
	var list v1alpha1.GroupList
	err = w.people.List(ctx, &list, client.InNamespace(w.namespace))
	for i := range list.Items {
		g := &list.Items[i]
		lines = append(lines, fmt.Sprintf("group %s: %d of %d active, led by %q%s",
			g.Name, g.Status.Members.Active, g.Status.Members.Total, g.Status.Leader.Name, standing(g.Spec.Acting)))
	}
	return lines, err
}

func standing(acting []v1alpha1.Acting) string {
	var words []string
	for _, a := range acting {
		words = append(words, fmt.Sprintf(", %s stands in as %s for %s", a.Name, a.Relation, a.For))
	}
	return strings.Join(words, "")
}

// unready says why a user is not as declared; empty where it is.
func unready(u *v1alpha1.User) string {
	ready := meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Reason == v1alpha1.ReasonReconciled {
		return ""
	}
	return " " + ready.Reason
}

func (w *world) memberships(ctx context.Context) (lines []string, err error) {
	var list v1alpha1.MembershipList
	err = w.people.List(ctx, &list, client.InNamespace(w.namespace))
	for i := range list.Items {
		m := &list.Items[i]
		words := []string{"membership", m.Name + ":", string(m.Status.State)}
		for _, hold := range m.Spec.Holds {
			words = append(words, hold.Name)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines, err
}

func (w *world) grants(ctx context.Context) (lines []string, err error) {
	var list rbacv1.RoleBindingList
	err = w.people.List(ctx, &list, client.InNamespace(w.target))
	for i := range list.Items {
		b := &list.Items[i]
		words := []string{"grant", b.Labels[v1alpha1.LabelMembership] + ":", b.RoleRef.Name}
		for _, subject := range b.Subjects {
			words = append(words, strings.TrimSuffix(subject.Name, "@"+w.namespace+".example"))
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines, err
}

func (w *world) transitions(ctx context.Context) (lines []string, err error) {
	var list v1alpha1.TransitionList
	err = w.people.List(ctx, &list, client.InNamespace(w.namespace))
	for i := range list.Items {
		t := &list.Items[i]
		line := fmt.Sprintf("transition %s: %s→%s by %s", anyUID.ReplaceAllString(t.Name, "UID"), t.Spec.From, t.Spec.To, t.Spec.Cause.Type)
		if automatic(t.Spec.Cause.Type) {
			line += " at " + t.Spec.Time.Sub(w.start).String()
		}
		if complete := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionComplete); complete != nil {
			line += fmt.Sprintf(" %s %s", complete.Reason, t.Status.Progress)
		}
		lines = append(lines, line)
	}
	return lines, err
}

// automatic tells whether a change comes at a declared time.
func automatic(cause v1alpha1.TransitionCauseType) bool {
	switch cause {
	case v1alpha1.TransitionStarted, v1alpha1.TransitionExpired, v1alpha1.TransitionAbsenceStarted, v1alpha1.TransitionAbsenceEnded:
		return true
	default:
		return false
	}
}

var anyUID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

func (w *world) works(ctx context.Context) (lines []string, err error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(example.Work)
	err = w.people.List(ctx, list, client.InNamespace(w.namespace))
	for i := range list.Items {
		said := strings.ReplaceAll(inline(list.Items[i].Object["spec"]), "@"+w.namespace+".example", "@DOMAIN")
		lines = append(lines, fmt.Sprintf("work %s: %s", list.Items[i].GetName(), said))
	}
	return lines, err
}

// inline is a value as YAML in one line, keys in order.
func inline(value any) string {
	switch v := value.(type) {
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, key+": "+inline(v[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		var parts []string
		for _, element := range v {
			parts = append(parts, inline(element))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

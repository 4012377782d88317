// Package history reads and writes Transitions: the record of a subject's changes of state, which is also what makes
// each change happen once. A Transition's name counts the subject's changes, so that of two writers one succeeds.
package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/metrics"
	"tenure.dev/tenure/controllers/internal/summary"
)

// Subject is whose history it is.
type Subject struct {
	Kind   v1alpha1.SubjectKind
	Object client.Object
}

// longestIdentity is how many characters a Transition holds of an identity.
const longestIdentity = 64

// Identity is what the history belongs to: the annotation that survives a backup, or the UID of an object that has
// none yet, or one that is none of Tenure's making.
func (s Subject) Identity() string {
	if identity := s.Object.GetAnnotations()[v1alpha1.AnnotationIdentity]; identity != "" && len(identity) <= longestIdentity {
		return identity
	}
	return string(s.Object.GetUID())
}

// History is what is known about a subject's changes.
type History struct {
	// Newest Transition of the subject's identity; nil when there is none.
	Newest *v1alpha1.Transition

	// Running are the Transitions of the identity whose effects are not all done, oldest first.
	Running []*v1alpha1.Transition

	// All are the Transitions of the identity, newest first.
	All []*v1alpha1.Transition

	// last is the highest number in use for the subject's name, of whatever identity.
	last int

	// shown is the name that the subject's status gives to its newest Transition.
	shown string
}

// Of reads a subject's history. Where the status already names a Transition that the cache does not have yet, the
// status is right.
func Of(ctx context.Context, reader client.Reader, s Subject, recorded v1alpha1.LastTransition, causes []v1alpha1.Cause) (History, error) {
	all, err := index.TransitionsOf(ctx, reader, s.Object.GetNamespace(), s.Kind, s.Object.GetName())
	if err != nil {
		return History{}, err
	}
	history, newest := History{shown: recorded.Name}, 0
	take := func(transition *v1alpha1.Transition) {
		number := Number(transition.Name)
		history.last = max(history.last, number)
		if transition.Spec.Subject.Identity != s.Identity() {
			return
		}
		history.All = append(history.All, transition)
		if number > newest {
			newest, history.Newest = number, transition
		}
		if !Complete(transition) {
			history.Running = append(history.Running, transition)
		}
	}
	for i := range all {
		take(&all[i])
	}
	// A look-up may be behind what this process has just written itself. A read by name is not.
	for {
		next := &v1alpha1.Transition{}
		err := reader.Get(ctx, client.ObjectKey{Namespace: s.Object.GetNamespace(), Name: nameOf(s, history.last+1)}, next)
		if apierrors.IsNotFound(err) {
			break
		}
		if err != nil {
			return History{}, fmt.Errorf("read the newest Transition of %s %s: %w", s.Kind, s.Object.GetName(), err)
		}
		take(next)
	}
	if number := Number(recorded.Name); number > newest {
		history.last = max(history.last, number)
		history.Newest = fromStatus(s, recorded, causes)
		history.All = append(history.All, history.Newest)
		if !recorded.Complete {
			history.Running = append(history.Running, history.Newest)
		}
	}
	slices.SortFunc(history.All, func(a, b *v1alpha1.Transition) int { return Number(b.Name) - Number(a.Name) })
	return history, nil
}

// Confirm reads those Transitions of the departure that goes on past the cache whose ledgers are not complete: one that is behind
// would have effects run again that are done.
func (h History) Confirm(ctx context.Context, live client.Reader) error {
	for i, t := range lifecycle.Departure(h.All) {
		if fromStatus := t.UID == ""; Accounted(t) && !fromStatus {
			continue
		}
		confirmed := &v1alpha1.Transition{}
		err := live.Get(ctx, client.ObjectKeyFromObject(t), confirmed)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the ledger of Transition %s: %w", t.Name, err)
		}
		h.All[i] = confirmed
	}
	return nil
}

// AccessSince is since when, by the history of a user, its access is as it was recorded last, and which access that is.
// Empty where there is no history.
func AccessSince(ctx context.Context, reader client.Reader, user *v1alpha1.User) (since time.Time, access v1alpha1.Access, err error) {
	s := Subject{Kind: v1alpha1.SubjectUser, Object: user}
	all, err := index.TransitionsOf(ctx, reader, user.Namespace, s.Kind, user.Name)
	if err != nil {
		return time.Time{}, "", err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(t v1alpha1.Transition) bool { return t.Spec.Subject.Identity != s.Identity() })
	slices.SortFunc(all, func(a, b v1alpha1.Transition) int { return Number(b.Name) - Number(a.Name) })
	for _, transition := range all {
		recorded := lifecycle.AccessOf(transition.Spec.To)
		if access != "" && access != recorded {
			break
		}
		since, access = transition.Spec.Time.Time, recorded
	}
	return since, access, nil
}

// fromStatus is as much of a Transition as the subject's status tells.
func fromStatus(s Subject, recorded v1alpha1.LastTransition, causes []v1alpha1.Cause) *v1alpha1.Transition {
	transition := &v1alpha1.Transition{
		ObjectMeta: metav1.ObjectMeta{Name: recorded.Name, Namespace: s.Object.GetNamespace()},
		Spec:       v1alpha1.TransitionSpec{From: recorded.From, To: recorded.To, Time: recorded.Time},
	}
	if len(causes) > 0 && causes[0].Type == v1alpha1.CauseDeleted {
		transition.Spec.Cause.Type = v1alpha1.TransitionDeleted
	}
	return transition
}

// nameOf is the name of a subject's Transition of that number.
func nameOf(s Subject, number int) string {
	return fmt.Sprintf("%s.%s.%d", strings.ToLower(string(s.Kind)), s.Object.GetName(), number)
}

// Number is the count in a Transition's name: 3 of user.alice.3. Zero where there is none.
func Number(name string) int {
	number, err := strconv.Atoi(name[strings.LastIndexByte(name, '.')+1:])
	if err != nil {
		return 0
	}
	return number
}

// Complete tells whether every effect of a Transition is done. Where the status was lost, the annotation tells.
func Complete(t *v1alpha1.Transition) bool {
	return Accounted(t) || t.Annotations[v1alpha1.AnnotationComplete] != ""
}

// Accounted tells whether the ledger of a Transition is complete. One with an empty plan is complete as created.
func Accounted(t *v1alpha1.Transition) bool {
	return len(t.Spec.Plan) == 0 || meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionComplete)
}

// HoldsPending tells whether a Transition of a user has yet to put holds on the user's memberships: what was suspended must
// not be granted again because the suspension was lifted before its holds landed. A history that is behind the user's status
// does not know, and then it has.
func HoldsPending(ctx context.Context, reader client.Reader, user *v1alpha1.User) (bool, error) {
	s := Subject{Kind: v1alpha1.SubjectUser, Object: user}
	all, err := index.TransitionsOf(ctx, reader, user.Namespace, s.Kind, user.Name)
	if err != nil {
		return true, err
	}
	newest := 0
	for i := range all {
		newest = max(newest, Number(all[i].Name))
		if all[i].Spec.Subject.Identity == s.Identity() && !Complete(&all[i]) && holdsPending(&all[i]) {
			return true, nil
		}
	}
	return newest < Number(user.Status.LastTransition.Name) && !user.Status.LastTransition.Complete, nil
}

func holdsPending(t *v1alpha1.Transition) bool {
	for i := range t.Spec.Plan {
		planned := &t.Spec.Plan[i]
		if planned.Action != v1alpha1.ActionDeactivate && planned.Action != v1alpha1.ActionRemove {
			continue
		}
		landed := slices.ContainsFunc(t.Status.Effects, func(p v1alpha1.EffectProgress) bool {
			return p.Name == planned.Effect && p.Done == p.Matched
		})
		if !landed {
			return true
		}
	}
	return false
}

// Entry is a change of state that is about to be recorded.
type Entry struct {
	Subject Subject
	Change  *lifecycle.Change
	Policy  v1alpha1.PolicySnapshot
	Plan    []v1alpha1.PlannedEffect
	Now     time.Time
}

// Record writes the entry as the subject's next Transition. If that was written before, by a pass that was interrupted,
// it returns what was written then; if something else took its number, or the subject is not as it was read, the caller's view
// is stale and a conflict is returned.
func (h History) Record(ctx context.Context, writer client.Client, live client.Reader, entry Entry) (*v1alpha1.Transition, error) {
	if err := h.confirmSubject(ctx, live, entry.Subject); err != nil {
		return nil, err
	}
	if err := h.confirmOthers(ctx, live, entry.Subject); err != nil {
		return nil, err
	}
	transition := h.transition(entry)
	err := writer.Create(ctx, transition)
	if err == nil {
		return transition, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("record Transition %s: %w", transition.Name, err)
	}
	existing := &v1alpha1.Transition{}
	if err := live.Get(ctx, client.ObjectKeyFromObject(transition), existing); err != nil {
		return nil, fmt.Errorf("read Transition %s, which exists already: %w", transition.Name, err)
	}
	if existing.Spec.Subject != transition.Spec.Subject || existing.Spec.To != transition.Spec.To || existing.Spec.From != transition.Spec.From {
		return nil, apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("transitions").GroupResource(), transition.Name,
			fmt.Errorf("it records another change, to %s; the cache is behind", existing.Spec.To))
	}
	return existing, nil
}

// confirmSubject asks the API server whether a subject is as it was read whose status does not know its newest Transition. An
// operator that was killed before it wrote the status leaves it so; but after a restart the first list of the subjects may also
// be older than the first list of the Transitions, and what is declared there was overtaken by them.
func (h History) confirmSubject(ctx context.Context, live client.Reader, s Subject) error {
	if h.Newest == nil || Number(h.Newest.Name) <= Number(h.shown) {
		return nil
	}
	var confirmed client.Object = &v1alpha1.User{}
	if s.Kind == v1alpha1.SubjectMembership {
		confirmed = &v1alpha1.Membership{}
	}
	err := live.Get(ctx, client.ObjectKeyFromObject(s.Object), confirmed)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read %s %s past the cache: %w", s.Kind, s.Object.GetName(), err)
	}
	if err == nil && confirmed.GetResourceVersion() == s.Object.GetResourceVersion() {
		return nil
	}
	return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("transitions").GroupResource(), h.Newest.Name,
		fmt.Errorf("it is newer than what is known about %s %s; the cache is behind", s.Kind, s.Object.GetName()))
}

// confirmOthers asks the API server, before the first record of a subject, whether those are there that the cache has of somebody
// before of the same name: they may have been erased, or lost the name, and the first would not be the first by its number.
func (h History) confirmOthers(ctx context.Context, live client.Reader, s Subject) error {
	if h.Newest != nil || h.last == 0 {
		return nil
	}
	key := client.ObjectKey{Namespace: s.Object.GetNamespace(), Name: nameOf(s, h.last)}
	err := live.Get(ctx, key, &v1alpha1.Transition{})
	if apierrors.IsNotFound(err) {
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("transitions").GroupResource(), key.Name,
			errors.New("it is no more; the cache is behind"))
	}
	if err != nil {
		return fmt.Errorf("read Transition %s past the cache: %w", key.Name, err)
	}
	return nil
}

func (h History) transition(entry Entry) *v1alpha1.Transition {
	object, kind := entry.Subject.Object, entry.Subject.Kind
	label := v1alpha1.LabelUser
	if kind == v1alpha1.SubjectMembership {
		label = v1alpha1.LabelMembership
	}
	return &v1alpha1.Transition{
		ObjectMeta: metav1.ObjectMeta{
			Name:      nameOf(entry.Subject, h.last+1),
			Namespace: object.GetNamespace(),
			Labels:    map[string]string{label: object.GetName()},
		},
		Spec: v1alpha1.TransitionSpec{
			Subject:      v1alpha1.Subject{Kind: kind, Name: object.GetName(), UID: object.GetUID(), Identity: entry.Subject.Identity()},
			From:         entry.Change.From,
			To:           entry.Change.To,
			Cause:        entry.Change.Cause,
			Reason:       reason(entry),
			Actor:        actor(entry),
			Time:         metav1.NewTime(entry.Change.Time),
			ObservedTime: metav1.NewTime(entry.Now),
			Policy:       entry.Policy,
			Plan:         entry.Plan,
		},
	}
}

func reason(entry Entry) string {
	if given := entry.Subject.Object.GetAnnotations()[v1alpha1.AnnotationReason]; entry.Change.Cause.Type == v1alpha1.TransitionDeleted && given != "" {
		return summary.Short(given)
	}
	return entry.Change.Reason
}

// mostGroups is how many of an actor's groups a Transition holds.
const mostGroups = 256

// Stamp is an actor as annotations name one.
func Stamp(actor v1alpha1.Actor) (string, error) {
	actor.Groups = actor.Groups[:min(len(actor.Groups), mostGroups)]
	said, err := json.Marshal(actor)
	if err != nil {
		return "", fmt.Errorf("write down who did it: %w", err)
	}
	return string(said), nil
}

// actor is who did it, as admission stamped it, or the system actor of what happens by itself. Nobody is named where
// neither is known.
func actor(entry Entry) v1alpha1.Actor {
	cause, stamp := entry.Change.Cause, v1alpha1.AnnotationActor
	switch {
	case entry.Change.Automatic():
		return v1alpha1.Actor{Username: v1alpha1.ActorDeadline}
	case cause.Type == v1alpha1.TransitionUserStateChanged,
		cause.Type == v1alpha1.TransitionHeld && ownHold(cause.Name):
		return v1alpha1.Actor{Username: v1alpha1.ActorUser}
	case cause.Type == v1alpha1.TransitionDeleted:
		stamp = v1alpha1.AnnotationDeletedBy
	}
	annotations := entry.Subject.Object.GetAnnotations()
	var stamped v1alpha1.Actor
	if err := json.Unmarshal([]byte(annotations[stamp]), &stamped); err != nil || stamped.Username == "" {
		return v1alpha1.Actor{}
	}
	stamped.Username = summary.Short(stamped.Username)
	stamped.Groups = slices.DeleteFunc(stamped.Groups, func(group string) bool { return group == "" })
	stamped.Groups = stamped.Groups[:min(len(stamped.Groups), mostGroups)]
	for i, group := range stamped.Groups {
		stamped.Groups[i] = summary.Short(group)
	}
	stamped.OnBehalfOf = summary.Short(annotations[v1alpha1.AnnotationOnBehalfOf])
	return stamped
}

// ownHold tells whether a hold of that name is set by the operator alone.
func ownHold(name string) bool {
	return name == v1alpha1.HoldUserSuspended || name == v1alpha1.HoldUserRemoved || strings.HasPrefix(name, v1alpha1.HoldOfEffect)
}

// Summary is what a subject's status says about its newest Transition.
func Summary(t *v1alpha1.Transition, running bool) v1alpha1.LastTransition {
	return v1alpha1.LastTransition{Name: t.Name, From: t.Spec.From, To: t.Spec.To, Time: t.Spec.Time, Complete: !running}
}

// News is the Transition that a status which has just been written shows for the first time, and that is a change: not
// the first decision about a subject, nor what a status that was lost shows again. A pass that recorded a Transition and
// was interrupted leaves the news to the next one. Nil when there is none.
func News(was, is v1alpha1.LastTransition, newest *v1alpha1.Transition) *v1alpha1.Transition {
	if was.Name == "" || was.Name == is.Name || is.From == "" || newest == nil || newest.Name != is.Name {
		return nil
	}
	return newest
}

// Note tells the log and Prometheus about news.
func Note(ctx context.Context, t *v1alpha1.Transition, now time.Time) {
	metrics.Change(&t.Spec, now)
	log.FromContext(ctx).Info("State changed", "transition", t.Name, "from", t.Spec.From, "to", t.Spec.To,
		"cause", t.Spec.Cause.Type, "time", t.Spec.Time, "actor", t.Spec.Actor.Username)
}

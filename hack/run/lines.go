package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"tenure.dev/tenure/api/v1alpha1"
)

// mood says whether something gives or takes, and gives the line its colour.
type mood int

const (
	neutral mood = iota
	good
	waiting
	bad
)

// line is one thing that happened.
type line struct {
	at      time.Time
	topic   string
	subject string
	what    string
	why     string
	mood    mood
}

// style is how lines look: with colours on a terminal, without them in a file.
type style struct{ colour bool }

// styleFor follows https://no-color.org.
func styleFor(out io.Writer) style {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return style{}
	}
	info, err := file.Stat()
	return style{colour: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

var colours = map[mood]string{good: "32", waiting: "33", bad: "31"}

// render lays a line out in columns.
func (s style) render(l line) string {
	what := fmt.Sprintf("%-25s", l.what)
	if l.subject == "" {
		what = l.what
	}
	if code := colours[l.mood]; code != "" && s.colour {
		what = "\x1b[" + code + "m" + what + "\x1b[0m"
	}
	at := l.at.Format(time.TimeOnly)
	if s.colour {
		at = "\x1b[2m" + at + "\x1b[0m"
	}
	text := fmt.Sprintf("%s  %-10s  ", at, l.topic)
	if l.subject != "" {
		text += fmt.Sprintf("%-26s  ", l.subject)
	}
	return strings.TrimRight(text+what+"  "+strings.ReplaceAll(l.why, "\n", " "), " ")
}

func moodOf(state v1alpha1.State) mood {
	switch state {
	case v1alpha1.StateActive, v1alpha1.StateActivated:
		return good
	case v1alpha1.StateOnBreak, v1alpha1.StatePending, v1alpha1.StatePaused:
		return waiting
	case v1alpha1.StateDeactivated, v1alpha1.StateExpired,
		v1alpha1.StateSuspended, v1alpha1.StateRemoved:
		return bad
	default:
		return neutral
	}
}

// changeLine tells a change of state from what is known of it: the Transition, the status, or both.
func changeLine(c *change, t *v1alpha1.Transition, now time.Time) line {
	var l line
	var from, to v1alpha1.State
	var reasons []string
	if t != nil {
		from, to = t.Spec.From, t.Spec.To
		l.topic = strings.ToLower(string(t.Spec.Subject.Kind))
		l.subject = t.Namespace + "/" + t.Spec.Subject.Name
		reasons = append(reasons, transitionReason(t))
	} else {
		from, to = c.from, c.is.state
		l.topic, l.subject = c.is.kind, c.is.namespace+"/"+c.is.name
		reasons = append(reasons, causeReason(c.is.causes))
		if len(c.is.causes) == 0 && c.is.user != "" {
			reasons = append(reasons, "with "+c.is.user)
		}
	}
	if c != nil && c.is.state == to && !c.is.nextTime.IsZero() {
		reasons = append(reasons, fmt.Sprintf("until %s, then %s", moment(c.is.nextTime, now), c.is.nextState))
	}
	l.at, l.mood = now, moodOf(to)
	l.what = string(to)
	if from != "" {
		l.what = fmt.Sprintf("%s → %s", from, to)
	}
	l.why = joined(reasons)
	return l
}

// transitionReason says in words why a Transition took place.
func transitionReason(t *v1alpha1.Transition) string {
	cause := t.Spec.Cause
	var text string
	switch cause.Type {
	case v1alpha1.TransitionDeclared:
		text = "declared"
		if t.Spec.From == "" {
			text = ""
		}
	case v1alpha1.TransitionStarted:
		text = "the start time came"
	case v1alpha1.TransitionExpired:
		text = "the expiration time came"
	case v1alpha1.TransitionAbsenceStarted:
		text = "the absence " + cause.Name + " began"
	case v1alpha1.TransitionAbsenceEnded:
		text = "the absence " + cause.Name + " ended"
	case v1alpha1.TransitionHeld:
		text = "held by " + cause.Name
	case v1alpha1.TransitionReleased:
		text = "the hold " + cause.Name + " was released"
	case v1alpha1.TransitionUserStateChanged:
		text = "with " + nonEmpty(cause.Name, "its user")
	case v1alpha1.TransitionDeleted:
		text = "deleted"
	default:
		text = string(cause.Type)
	}
	if who := t.Spec.Actor.Username; text != "" && who != "" && !strings.HasPrefix(who, "system:tenure:") {
		text += " by " + who
	}
	if t.Spec.Reason != "" {
		return strings.TrimPrefix(text+": "+t.Spec.Reason, ": ")
	}
	return text
}

// causeReason says in words why a state holds: its strongest cause.
func causeReason(causes []v1alpha1.Cause) string {
	if len(causes) == 0 {
		return ""
	}
	cause := causes[0]
	var text string
	switch cause.Type {
	case v1alpha1.CauseDeclared:
		text = "declared"
	case v1alpha1.CauseExpired:
		text = "the expiration time came"
	case v1alpha1.CauseHold:
		text = "held by " + cause.Name
	case v1alpha1.CauseAbsence:
		text = "the absence " + cause.Name
	case v1alpha1.CauseUserSuspended, v1alpha1.CauseUserDeactivated, v1alpha1.CauseUserExpired,
		v1alpha1.CauseUserPending:
		state := strings.TrimPrefix(string(cause.Type), "User")
		text = fmt.Sprintf("%s is %s", nonEmpty(cause.Name, "the user"), state)
	default:
		text = strings.TrimSpace(string(cause.Type) + " " + cause.Name)
	}
	if cause.Reason != "" {
		text += ": " + cause.Reason
	}
	return text
}

// moment is an instant as one reads it on the clock on the wall: with its date only where it is not today's.
func moment(instant, now time.Time) string {
	local := instant.In(now.Location())
	if local.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return local.Format(time.TimeOnly)
	}
	return local.Format("2006-01-02 15:04")
}

// grantLine tells that a role was given or taken.
func grantLine(binding *rbacv1.RoleBinding, given bool, now time.Time) line {
	l := line{at: now, topic: "grant", mood: good, subject: binding.Name}
	if membership := binding.Labels[v1alpha1.LabelMembership]; membership != "" {
		l.subject = binding.Labels[v1alpha1.LabelOrganization] + "/" + membership
	}
	sign := "+"
	if !given {
		sign, l.mood = "-", bad
	}
	l.what = fmt.Sprintf("%s %s in %s", sign, binding.RoleRef.Name, binding.Namespace)
	var names []string
	for _, subject := range binding.Subjects {
		names = append(names, subject.Name)
	}
	l.why = strings.Join(names, ", ")
	return l
}

// warningLine tells a Warning Event.
func warningLine(event *corev1.Event, now time.Time) line {
	return line{
		at: now, topic: "warning", mood: bad,
		subject: event.InvolvedObject.Namespace + "/" + event.InvolvedObject.Name,
		what:    event.Reason, why: event.Message,
	}
}

func joined(parts []string) string {
	var present []string
	for _, part := range parts {
		if part != "" {
			present = append(present, part)
		}
	}
	return strings.Join(present, "; ")
}

func nonEmpty(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// Package summary writes conditions and Event texts: the words in which the operator tells people what holds and why.
package summary

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

// longestMessage is how many bytes of text a condition gets: less than the API server takes, and more than people read.
const longestMessage = 4096

// longestText is how many characters the API takes of a name, a reason or a message of its own.
const longestText = 1024

// Short shortens a text to what the API takes.
func Short(text string) string { return ShortTo(text, longestText) }

// ShortTo shortens a text to so many characters.
func ShortTo(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// Listed names the first few of many.
func Listed(names []string, most int) string {
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// Condition is a condition that is true or not.
func Condition(kind string, holds bool, reason, message string) metav1.Condition {
	status := metav1.ConditionFalse
	if holds {
		status = metav1.ConditionTrue
	}
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: cut(message, longestMessage)}
}

// Active is the condition that tells whether access is in force. Its reason is the strongest cause, or the state where
// nothing stands in the way.
func Active(d lifecycle.Decision, since time.Time) metav1.Condition {
	reason := string(d.State)
	if cause := d.Strongest(); cause != nil {
		reason = string(cause.Type)
	}
	message := fmt.Sprintf("%s since %s", d.State, lifecycle.InWords(since))
	if cause := d.Strongest(); cause != nil {
		message += ": " + Why(*cause)
	}
	if next := lifecycle.NextInWords(d.NextState, d.Next); next != "" {
		message += "; " + next
	}
	return Condition(v1alpha1.ConditionActive, d.Access() == v1alpha1.AccessGranted, reason, message)
}

// Why says what a cause is, in words.
func Why(c v1alpha1.Cause) string {
	var why string
	switch c.Type {
	case v1alpha1.CauseDeclared:
		why = "declared in desiredStatus"
	case v1alpha1.CauseDeleted:
		why = "being deleted"
	case v1alpha1.CauseHold:
		why = "hold " + c.Name
	case v1alpha1.CauseExpired:
		why = "expirationTime " + lifecycle.InWords(c.Time.Time) + " is reached"
	case v1alpha1.CauseAbsence:
		why = "absence " + c.Name
	case v1alpha1.CauseNotStarted:
		why = "startTime is not reached"
	case v1alpha1.CauseDuplicate:
		why = "duplicate of " + c.Name
	case v1alpha1.CauseUserSuspended:
		why = "User " + c.Name + " is suspended"
	case v1alpha1.CauseUserDeactivated:
		why = "User " + c.Name + " is deactivated"
	case v1alpha1.CauseUserExpired:
		why = "User " + c.Name + " is expired"
	case v1alpha1.CauseUserPending:
		why = "User " + c.Name + " is pending"
	case v1alpha1.CauseUserNotFound:
		why = "User " + c.Name + " does not exist"
	case v1alpha1.CauseGroupNotFound:
		why = "Group " + c.Name + " does not exist"
	default:
		why = string(c.Type)
	}
	if c.Reason != "" {
		why += " (" + c.Reason + ")"
	}
	return why
}

// Changed says what a change of state was, for an Event: "Active → Expired: expirationTime 2026-12-01 22:00Z is
// reached".
func Changed(change *v1alpha1.TransitionSpec, d lifecycle.Decision) string {
	text := fmt.Sprintf("%s → %s", change.From, change.To)
	if cause := d.Strongest(); cause != nil {
		text += ": " + Why(*cause)
	} else {
		text += ": " + ended(change.Cause)
	}
	if by := change.Actor.Username; by != "" && by != v1alpha1.ActorDeadline && by != v1alpha1.ActorUser {
		text += ", by " + by
	}
	if next := lifecycle.NextInWords(d.NextState, d.Next); next != "" {
		text += "; " + next
	}
	return text
}

func ended(c v1alpha1.TransitionCause) string {
	switch c.Type {
	case v1alpha1.TransitionStarted:
		return "startTime is reached"
	case v1alpha1.TransitionAbsenceEnded:
		return "absence " + c.Name + " is over"
	case v1alpha1.TransitionReleased:
		return "hold " + c.Name + " was released"
	case v1alpha1.TransitionUserStateChanged:
		return "what was missing is there"
	default:
		return "declared"
	}
}

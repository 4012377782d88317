package lifecycle

import (
	"time"

	"tenure.dev/tenure/api/v1alpha1"
)

// NextInWords says what happens next by itself, and when: "Active on 2027-01-10 08:00Z". Seconds are shown where there
// are any. Empty when nothing is scheduled.
func NextInWords(state v1alpha1.State, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return string(state) + " on " + InWords(at)
}

// InWords writes an instant for people, in UTC, with seconds where there are any.
func InWords(at time.Time) string {
	layout := "2006-01-02 15:04Z"
	if at.Second() != 0 {
		layout = "2006-01-02 15:04:05Z"
	}
	return at.UTC().Format(layout)
}

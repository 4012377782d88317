package lifecycle_test

import (
	"testing"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

func TestNextInWords(t *testing.T) {
	morning := time.Date(2027, time.January, 10, 8, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		state v1alpha1.State
		at    time.Time
		want  string
	}{
		"whole minutes":        {v1alpha1.StateActive, morning, "Active on 2027-01-10 08:00Z"},
		"seconds":              {v1alpha1.StateExpired, morning.Add(5 * time.Second), "Expired on 2027-01-10 08:00:05Z"},
		"in UTC":               {v1alpha1.StateOnBreak, morning.In(time.FixedZone("Auckland", 13*3600)), "OnBreak on 2027-01-10 08:00Z"},
		"nothing is scheduled": {"", time.Time{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lifecycle.NextInWords(test.state, test.at); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

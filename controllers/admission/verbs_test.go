package admission

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

var now = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func later(hours int) metav1.Time { return metav1.NewTime(now.Add(time.Duration(hours) * time.Hour)) }

func courseOfUser(edits ...func(*v1alpha1.UserSpec)) course {
	spec := &v1alpha1.UserSpec{DesiredStatus: v1alpha1.UserDesiredActive}
	for _, edit := range edits {
		edit(spec)
	}
	return courseOf(func(t time.Time) lifecycle.Decision { return lifecycle.DecideUser(lifecycle.User{Spec: spec}, t) }, now)
}

func TestVerbs(t *testing.T) {
	status := func(s v1alpha1.UserDesiredStatus) func(*v1alpha1.UserSpec) {
		return func(u *v1alpha1.UserSpec) { u.DesiredStatus = s }
	}
	expires := func(at metav1.Time) func(*v1alpha1.UserSpec) {
		return func(u *v1alpha1.UserSpec) { u.ExpirationTime = at }
	}
	starts := func(at metav1.Time) func(*v1alpha1.UserSpec) { return func(u *v1alpha1.UserSpec) { u.StartTime = at } }
	absent := func(from, to metav1.Time, status v1alpha1.AbsenceStatus) func(*v1alpha1.UserSpec) {
		return func(u *v1alpha1.UserSpec) {
			u.Absences = []v1alpha1.Absence{{Name: "leave", StartTime: from, EndTime: to, Status: status}}
		}
	}
	type edits = []func(*v1alpha1.UserSpec)
	for name, c := range map[string]struct {
		was, is edits
		want    []string
	}{
		"nothing":                      {nil, nil, nil},
		"deactivated":                  {nil, edits{status("Deactivated")}, []string{"deactivate"}},
		"suspended":                    {nil, edits{status("Suspended")}, []string{"suspend"}},
		"removed":                      {edits{status("Suspended")}, edits{status("Removed")}, []string{"remove"}},
		"back":                         {edits{status("Suspended")}, nil, []string{"reactivate"}},
		"from suspended to less":       {edits{status("Suspended")}, edits{status("Deactivated")}, []string{"reactivate"}},
		"on a break":                   {nil, edits{status("OnBreak")}, nil},
		"back from a break":            {edits{status("OnBreak")}, nil, nil},
		"will expire":                  {nil, edits{expires(later(5))}, []string{"deactivate"}},
		"will expire later":            {edits{expires(later(5))}, edits{expires(later(9))}, []string{"reactivate"}},
		"will expire sooner":           {edits{expires(later(9))}, edits{expires(later(5))}, []string{"deactivate"}},
		"never expires":                {edits{expires(later(-9))}, nil, []string{"reactivate"}},
		"starts later":                 {nil, edits{starts(later(5))}, []string{"deactivate"}},
		"starts sooner":                {edits{starts(later(5))}, nil, []string{"reactivate"}},
		"a leave to come":              {nil, edits{absent(later(5), later(9), "Deactivated")}, []string{"deactivate"}},
		"a leave that is moved":        {edits{absent(later(5), later(9), "Deactivated")}, edits{absent(later(6), later(10), "Deactivated")}, []string{"deactivate", "reactivate"}},
		"a break to come":              {nil, edits{absent(later(5), later(9), "OnBreak")}, nil},
		"hidden by what is stronger":   {edits{expires(later(-9))}, edits{expires(later(-9)), absent(later(5), later(9), "Deactivated")}, nil},
		"expired while deactivated":    {edits{status("Deactivated")}, edits{status("Deactivated"), expires(later(-1))}, []string{"deactivate"}},
		"a date moved while suspended": {edits{status("Suspended"), expires(later(-1))}, edits{status("Suspended"), expires(later(5))}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			needed := verbs{}
			needed.forCourses(courseOfUser(c.was...), courseOfUser(c.is...))
			if diff := cmp.Diff(c.want, needed.sorted()); diff != "" {
				t.Errorf("verbs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCourse(t *testing.T) {
	c := courseOfUser(func(u *v1alpha1.UserSpec) {
		u.StartTime, u.ExpirationTime = later(1), later(9)
		u.Absences = []v1alpha1.Absence{{Name: "leave", StartTime: later(3), EndTime: later(5), Status: v1alpha1.AbsenceDeactivated}}
	})
	want := course{
		{now, v1alpha1.StatePending}, {later(1).Time, v1alpha1.StateActivated}, {later(3).Time, v1alpha1.StateDeactivated},
		{later(5).Time, v1alpha1.StateActivated}, {later(9).Time, v1alpha1.StateExpired},
	}
	if diff := cmp.Diff(want, c, cmp.AllowUnexported(moment{})); diff != "" {
		t.Fatalf("course (-want +got):\n%s", diff)
	}
	if got := c.at(later(4).Time); got != v1alpha1.StateDeactivated {
		t.Errorf("in the middle of the leave: %s", got)
	}
	if got := begin(c, c, now); !got.Equal(now) {
		t.Errorf("two that never differ begin to at %s", got)
	}
}

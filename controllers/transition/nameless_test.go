package transition

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/worldtest"
)

func TestNamelessRecordIsLeftToWhoWritesIt(t *testing.T) {
	s := stage(t, "["+effect("work", "Delete")+"]", "a: {owner: alice}")
	s.leave()
	named := s.transition()
	uid := named.Spec.Subject.UID
	nameless := &v1alpha1.Transition{Spec: *named.Spec.DeepCopy()}
	nameless.Namespace = "acme"
	nameless.Spec.Subject.Name = "removed-" + strings.ToLower(string(uid))
	nameless.Name = "user." + nameless.Spec.Subject.Name + ".2"
	nameless.Spec.ObservedTime = metav1.NewTime(worldtest.Start)
	s.create(nameless)
	s.Forget()

	s.name = nameless.Name
	if again := s.pass(); again != 0 {
		t.Errorf("next pass after %s, want none", again)
	}
	s.expectWrites()
}

package main

import (
	"testing"

	. "github.com/onsi/gomega"

	"tenure.dev/tenure/api/v1alpha1"
)

// TestTouched sees what an effect has left as it was, and what somebody else had changed before.
func TestTouched(t *testing.T) {
	g := NewWithT(t)
	version := func(operation, effects string) seen {
		work := newWork("kate-1")
		work.SetAnnotations(map[string]string{operationOf: operation, v1alpha1.AnnotationEffects: effects})
		return seen{object: work}
	}
	was := newWork("kate-1")
	was.SetAnnotations(map[string]string{operationOf: "kate-1"})

	g.Expect(touched(was, nil, "t", "cards")).To(BeFalse())
	g.Expect(touched(was, []seen{version("kate-1", "other:cards")}, "t", "cards")).To(BeFalse())
	g.Expect(touched(was, []seen{version("kate-1", "t:cards")}, "t", "cards")).To(BeTrue())
	g.Expect(touched(was, []seen{version("kate-2", "")}, "t", "cards")).To(BeTrue(), "somebody else was faster")
	g.Expect(touched(was, []seen{{missed: true}}, "t", "cards")).To(BeTrue(), "nobody knows")
}

package observe

import (
	"strings"

	"tenure.dev/tenure/api/v1alpha1"
)

// Released are the names of the holds that the release annotation asks to release.
func Released(annotations map[string]string) []string {
	var names []string
	for name := range strings.SplitSeq(annotations[v1alpha1.AnnotationRelease], ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

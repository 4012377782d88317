package targets

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// Owner is by what name an object of a kind demands what it needs.
func Owner(kind string, key client.ObjectKey) string { return kind + " " + key.String() }

// roomForChanges is how many changes wait to be taken. Where more come at once, an owner that waits for one looks again by
// itself.
const roomForChanges = 1024

// Changes tells of the objects of a kind that demand a source, when that begins or ceases to be known. It is called before the
// first demand.
func (r *Registry) Changes(kind string) <-chan event.GenericEvent {
	changes := make(chan event.GenericEvent, roomForChanges)
	r.OnChange(func(changed Source) {
		for _, owner := range r.Owners(changed) {
			key, ours := strings.CutPrefix(owner, kind+" ")
			if !ours {
				continue
			}
			namespace, name, _ := strings.Cut(key, "/")
			select {
			case changes <- event.GenericEvent{Object: &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}}:
			default:
			}
		}
	})
	return changes
}

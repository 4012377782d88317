package cascade_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"tenure.dev/tenure/controllers/internal/cascade"
	"tenure.dev/tenure/controllers/internal/targets"
)

var noteKind = schema.GroupVersionKind{Group: "notes.example.com", Version: "v1", Kind: "Note"}

// serve is an API server that has these notes and no news about them. It sends its first list as a stream, as API servers do by
// now.
func serve(t *testing.T, notes ...*unstructured.Unstructured) *rest.Config {
	t.Helper()
	var events []byte
	send := func(kind apiwatch.EventType, object *unstructured.Unstructured) {
		object.SetResourceVersion("1")
		event, err := json.Marshal(map[string]any{"type": kind, "object": object.Object})
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, event...)
	}
	for _, note := range notes {
		send(apiwatch.Added, note.DeepCopy())
	}
	end := &unstructured.Unstructured{}
	end.SetGroupVersionKind(noteKind)
	end.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	send(apiwatch.Bookmark, end)

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/apis/notes.example.com/v1/namespaces/acme/notes" || r.URL.Query().Get("sendInitialEvents") != "true" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(events)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

// registry watches these notes.
func registry(t *testing.T, notes ...*unstructured.Unstructured) *targets.Registry {
	t.Helper()
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(noteKind, meta.RESTScopeNamespace)
	return targets.New(t.Context(), serve(t, notes...), mapper, clock.RealClock{})
}

// look waits until the notes are known as the effect needs it.
func look(t *testing.T, r *targets.Registry, effect *cascade.Resources) targets.Look {
	t.Helper()
	known := make(chan struct{}, 1)
	r.OnChange(func(targets.Source) {
		select {
		case known <- struct{}{}:
		default:
		}
	})
	r.Demand("the test", map[targets.Source]targets.Needs{effect.Source: effect.Needs})
	for {
		found, err := r.At(effect.Source, effect.Needs)
		if err == nil {
			return found
		}
		if !errors.Is(err, targets.ErrSynchronizing) {
			t.Fatal(err)
		}
		select {
		case <-known:
		case <-t.Context().Done():
			t.Fatal("the notes were not listed")
		}
	}
}

package cascade_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

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

// known is what a registry knows of the notes, by and by.
type known struct {
	*targets.Registry

	news chan struct{}
}

// registry watches these notes as soon as somebody demands it.
func registry(t *testing.T, notes ...*unstructured.Unstructured) known {
	t.Helper()
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(noteKind, meta.RESTScopeNamespace)
	k := known{targets.New(t.Context(), serve(t, notes...), mapper, clock.RealClock{}), make(chan struct{}, 1)}
	k.OnChange(func(targets.Source) {
		select {
		case k.news <- struct{}{}:
		default:
		}
	})
	return k
}

// wait asks until the answer is another than that objects are being listed.
func (k known) wait(t *testing.T, ask func() error) {
	t.Helper()
	patience, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := ask()
		if err == nil {
			return
		}
		if !errors.Is(err, targets.ErrSynchronizing) {
			t.Fatal(err)
		}
		select {
		case <-k.news:
		case <-patience.Done():
			t.Fatal("the notes were not listed")
		}
	}
}

// look at the notes, which somebody has demanded as the effect needs it.
func (k known) look(t *testing.T, effect *cascade.Resources) (found targets.Look) {
	t.Helper()
	k.wait(t, func() (err error) {
		found, err = k.At(effect.Source, effect.Needs)
		return err
	})
	return found
}

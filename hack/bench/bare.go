package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// concurrency is how many requests the bare client makes at the same time: as many as the operator has workers for a kind.
const concurrency = 8

// bare speaks to the API server without a client library between: it sends what it is given, and reads no answer but
// whether it was taken. Nothing does the same with less.
type bare struct {
	host string
	http *http.Client
}

func newBare(config *rest.Config) (*bare, error) {
	connection, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a bare client: %w", err)
	}
	return &bare{host: strings.TrimSuffix(config.Host, "/"), http: connection}, nil
}

// Content types of requests.
const (
	plain = "application/json"
	merge = "application/merge-patch+json"
)

func (b *bare) send(ctx context.Context, method, path, content, body string) error {
	request, err := http.NewRequestWithContext(ctx, method, b.host+path, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Content-Type", content)
	request.Header.Set("Accept", plain)
	response, err := b.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 512))
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, shortly(string(said)))
	}
	_, err = io.Copy(io.Discard, response.Body) // or the connection could not be used again
	return err
}

// Paths of the API.
func pathOf(kind, name string, sub ...string) string {
	resource, namespace := resourceOf(kind)
	path := []string{"/apis", resource.Group, resource.Version, "namespaces", namespace, resource.Resource}
	if name != "" {
		path = append(path, name)
	}
	return strings.Join(append(path, sub...), "/")
}

// remove deletes an object that is still what one knows.
func (b *bare) remove(ctx context.Context, kind, name string, uid types.UID, version string) error {
	body := fmt.Sprintf(`{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":%q,"resourceVersion":%q}}`, uid, version)
	return b.send(ctx, http.MethodDelete, pathOf(kind, name), plain, body)
}

// patch changes an object that is still what one knows, of which content is the rest: `"status":{...}`.
func (b *bare) patch(ctx context.Context, path, version, content string) error {
	return b.send(ctx, http.MethodPatch, path, merge, fmt.Sprintf(`{"metadata":{"resourceVersion":%q},%s}`, version, content))
}

// parallel does something for each of so many, eight at a time.
func parallel(size int, do func(i int) error) error {
	next := make(chan int)
	var mutex sync.Mutex
	var failures []error
	var workers sync.WaitGroup
	for range concurrency {
		workers.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					mutex.Lock()
					failures = append(failures, err)
					mutex.Unlock()
				}
			}
		})
	}
	for i := range size {
		next <- i
	}
	close(next)
	workers.Wait()
	if len(failures) > 0 {
		return fmt.Errorf("%d of %d failed, such as: %w", len(failures), size, failures[0])
	}
	return nil
}

// script is what the operator wrote about one user, word for word. The bare client writes the same about others.
type script struct {
	transition, user, membership, ledger string
	events                               []string
}

// learn takes down what the operator wrote about somebody who was cast and has lost their access since.
func (s *scene) learn(ctx context.Context, m *mould, p person) (*script, error) {
	learned := &script{}
	back := m.back(p)
	transition := &v1alpha1.Transition{}
	if err := s.admin.Get(ctx, client.ObjectKey{Namespace: organization, Name: "user." + p.name + ".2"}, transition); err != nil {
		return nil, fmt.Errorf("learning what the operator writes: %w", err)
	}
	ledger := transition.Status
	transition.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Transition"))
	transition.ObjectMeta = metav1.ObjectMeta{Name: transition.Name, Namespace: transition.Namespace, Labels: transition.Labels}
	transition.Status = v1alpha1.TransitionStatus{}
	created, err := json.Marshal(transition)
	if err != nil {
		return nil, fmt.Errorf("learning what the operator writes: %w", err)
	}
	learned.transition = back.Replace(string(created))
	if len(transition.Spec.Plan) > 0 {
		said, err := json.Marshal(ledger)
		if err != nil {
			return nil, fmt.Errorf("learning what the operator writes: %w", err)
		}
		learned.ledger = back.Replace(`"status":` + string(said))
	}
	user, membership := &v1alpha1.User{}, &v1alpha1.Membership{}
	if learned.user, err = s.statusChange(ctx, m, back, users, p.name, user); err != nil {
		return nil, err
	}
	if learned.membership, err = s.statusChange(ctx, m, back, memberships, p.name+"-"+crew, membership); err != nil {
		return nil, err
	}
	learned.events, err = s.told(ctx, back, p)
	return learned, err
}

// back turns what is said about somebody into what is said about the mould.
func (m *mould) back(p person) *strings.Replacer {
	pairs := []string{p.name, m.name}
	for i := range m.records {
		pairs = append(pairs, p.replaced.Replace(string(m.records[i].uid)), string(m.records[i].uid))
	}
	return strings.NewReplacer(pairs...)
}

// statusChange is the patch that leads from the status that a person was cast with to the one that is there now.
func (s *scene) statusChange(ctx context.Context, m *mould, back *strings.Replacer, kind, name string, now client.Object) (string, error) {
	if err := s.admin.Get(ctx, client.ObjectKey{Namespace: organization, Name: name}, now); err != nil {
		return "", fmt.Errorf("learning what the operator writes: %w", err)
	}
	encoded, err := json.Marshal(now)
	if err != nil {
		return "", fmt.Errorf("learning what the operator writes: %w", err)
	}
	before, err := statusIn([]byte(m.record(kind).value))
	if err != nil {
		return "", err
	}
	after, err := statusIn([]byte(back.Replace(string(encoded))))
	if err != nil {
		return "", err
	}
	change, err := jsonpatch.CreateMergePatch(before, after)
	if err != nil {
		return "", fmt.Errorf("learning what the operator writes: %w", err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(change), "{"), "}"), nil
}

func (m *mould) record(kind string) *record {
	for i := range m.records {
		if m.records[i].kind == kind {
			return &m.records[i]
		}
	}
	return &record{}
}

// statusIn is an object with nothing but its status.
func statusIn(object []byte) ([]byte, error) {
	var parts struct {
		Status json.RawMessage `json:"status"`
	}
	if err := json.Unmarshal(object, &parts); err != nil {
		return nil, fmt.Errorf("reading a status: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, parts.Status); err != nil {
		return nil, fmt.Errorf("reading a status: %w", err)
	}
	return []byte(`{"status":` + compact.String() + `}`), nil
}

// told are the Events about somebody.
func (s *scene) told(ctx context.Context, back *strings.Replacer, p person) (told []string, err error) {
	var list eventsv1.EventList
	if err := s.admin.List(ctx, &list, client.InNamespace(organization)); err != nil {
		return nil, fmt.Errorf("learning what the operator tells: %w", err)
	}
	for i := range list.Items {
		event := &list.Items[i]
		if event.Regarding.Name != p.name {
			continue
		}
		event.ObjectMeta = metav1.ObjectMeta{Name: event.Name, Namespace: event.Namespace}
		event.SetGroupVersionKind(eventsv1.SchemeGroupVersion.WithKind("Event"))
		encoded, err := json.Marshal(event)
		if err != nil {
			return nil, fmt.Errorf("learning what the operator tells: %w", err)
		}
		told = append(told, back.Replace(string(encoded)))
	}
	return told, nil
}

// bindingOf is the name of the RoleBinding of somebody's membership.
func bindingOf(m *mould, p person) string {
	return p.replaced.Replace(m.record(bindings).bound.Name)
}

// close takes away what somebody is granted.
func (s *scene) close(ctx context.Context, m *mould, p person) error {
	return s.asOperator.remove(ctx, bindings, bindingOf(m, p), p.uids[bindings][0], p.version())
}

// depart makes the least writes by which somebody loses their access: the grant goes, and the Transition and both statuses
// tell.
func (s *scene) depart(ctx context.Context, m *mould, learned *script, p person) error {
	return errors.Join(
		s.close(ctx, m, p),
		s.asOperator.send(ctx, http.MethodPost, pathOf(transitions, ""), plain, p.replaced.Replace(learned.transition)),
		s.asOperator.patch(ctx, pathOf(users, p.name, "status"), p.version(), p.replaced.Replace(learned.user)),
		s.asOperator.patch(ctx, pathOf(memberships, p.name+"-"+crew, "status"), p.version(), p.replaced.Replace(learned.membership)),
	)
}

// announce makes the Events that the operator makes beside its writes, one after the other as it does, so many for each of
// those who are told of through the channel.
func (s *scene) announce(ctx context.Context, learned *script, each float64, done <-chan person) error {
	const path = "/apis/events.k8s.io/v1/namespaces/" + organization + "/events"
	var failures []error
	owed := 0.0
	for p := range done {
		owed += each
		for _, event := range learned.events {
			if owed < 1 {
				break
			}
			owed--
			failures = append(failures, s.asOperator.send(ctx, http.MethodPost, path, plain, p.replaced.Replace(event)))
		}
	}
	return errors.Join(failures...)
}

// departAll has everybody of a crowd leave, and makes so many Events for each. It returns when that began.
func (s *scene) departAll(ctx context.Context, learned *script, crowd []person, events float64, leave func(person) error) (time.Time, error) {
	done := make(chan person, len(crowd))
	announced := make(chan error, 1)
	go func() { announced <- s.announce(ctx, learned, events, done) }()
	began := time.Now()
	err := parallel(len(crowd), func(i int) error {
		err := leave(crowd[i])
		done <- crowd[i]
		return err
	})
	close(done)
	return began, errors.Join(err, <-announced)
}

package targets

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/fieldpath"
)

// Names of a store's indexes.
const (
	byReference = "reference"
	byHash      = "hash"
	byLink      = "link"
)

// keptAnnotations are what effects wrote on objects and read again.
var keptAnnotations = []string{v1alpha1.AnnotationTransition, v1alpha1.AnnotationEffects, v1alpha1.AnnotationUserUID}

// store holds the objects of one source, without what nobody needs.
type store struct {
	cache.Indexer

	needs    Needs
	replaced func()

	mu sync.Mutex // orders what the watch tells and what was written
}

// A reflector that streams its first list strips each object as it comes.
var _ cache.TransformingStore = &store{}

func newStore(needs Needs, replaced func()) *store {
	s := &store{needs: needs, replaced: replaced}
	s.Indexer = cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{
		byReference: s.referenceKeys,
		byHash: func(object any) ([]string, error) {
			return []string{hashKey(Hash(object.(*unstructured.Unstructured).GetUID()))}, nil
		},
		byLink: func(object any) ([]string, error) { return Links(object.(*unstructured.Unstructured)), nil },
	})
	return s
}

func (s *store) referenceKeys(object any) ([]string, error) {
	var keys []string
	for name, path := range s.needs.references {
		for _, value := range path.Values(object.(*unstructured.Unstructured).Object) {
			keys = append(keys, referenceKey(name, value))
		}
	}
	return keys, nil
}

func referenceKey(path, value string) string { return path + "=" + value }
func hashKey(hash uint32) string             { return strconv.FormatUint(uint64(hash), 16) }

// Hash is what a frozen plan keeps of an object's UID.
func Hash(uid types.UID) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(uid))
	return h.Sum32()
}

// Links are the identities of the users that were taken out of an object.
func Links(object metav1.Object) []string {
	links := object.GetAnnotations()[v1alpha1.AnnotationUserUID]
	if links == "" {
		return nil
	}
	return strings.Split(links, ",")
}

// Add implements cache.Store.
func (s *store) Add(object any) error { return s.put(object, s.Indexer.Add) }

// Update implements cache.Store.
func (s *store) Update(object any) error { return s.put(object, s.Indexer.Update) }

func (s *store) put(object any, put func(any) error) error {
	stripped, err := s.strip(object)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return put(stripped)
}

// written takes in what was written just now, unless the watch was faster. Who plans in the meantime sees it.
func (s *store) written(object *unstructured.Unstructured) error {
	stripped, err := s.strip(object)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known, exists, err := s.Get(stripped)
	if err != nil || !exists {
		return err
	}
	order, err := resourceversion.CompareResourceVersion(known.(*unstructured.Unstructured).GetResourceVersion(), object.GetResourceVersion())
	if err != nil || order >= 0 {
		return err
	}
	return s.Indexer.Update(stripped)
}

// Delete implements cache.Store.
func (s *store) Delete(object any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Indexer.Delete(object)
}

// Replace implements cache.Store.
func (s *store) Replace(objects []any, resourceVersion string) error {
	for i := range objects {
		stripped, err := s.strip(objects[i])
		if err != nil {
			return err
		}
		objects[i] = stripped
	}
	s.mu.Lock()
	err := s.Indexer.Replace(objects, resourceVersion)
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("replace what is known: %w", err)
	}
	s.replaced()
	return nil
}

// Transformer implements cache.TransformingStore.
func (s *store) Transformer() cache.TransformFunc { return s.strip }

// strip keeps of an object what is needed: a hundred thousand whole ones would fill the memory.
func (s *store) strip(object any) (any, error) {
	whole, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("%T is not what was listed", object)
	}
	content := whole.Object
	if s.needs.whole {
		unstructured.RemoveNestedField(content, "metadata", "managedFields")
	} else {
		content = fieldpath.Prune(content, s.needs.kept())
	}
	stripped := &unstructured.Unstructured{Object: content}
	stripped.SetAPIVersion(whole.GetAPIVersion())
	stripped.SetKind(whole.GetKind())
	stripped.SetNamespace(whole.GetNamespace())
	stripped.SetName(whole.GetName())
	stripped.SetUID(whole.GetUID())
	stripped.SetResourceVersion(whole.GetResourceVersion())
	if s.needs.whole {
		return stripped, nil
	}
	annotations := stripped.GetAnnotations()
	for _, name := range keptAnnotations {
		if value, ok := whole.GetAnnotations()[name]; ok {
			if annotations == nil {
				annotations = map[string]string{}
			}
			annotations[name] = value
		}
	}
	stripped.SetAnnotations(annotations)
	return stripped, nil
}

package slim

import (
	"hash/maphash"
	"maps"
	"reflect"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/api/v1alpha1"
)

const (
	// places is how many values of a sort are remembered. There are fewer words in use; and objects that have a whole list in
	// common were written in the same second, or come one after the other.
	places = 1024

	// longest is how many bytes a remembered word has at most: longer texts are seldom the same, and would be kept for
	// nobody's sake.
	longest = 512
)

// memory is what objects of a kind have had in common lately. It never grows: of two values with the same place it forgets the
// older one, and what is common is soon there again. What is remembered belongs to objects of the cache, which nobody changes.
type memory struct {
	mu   sync.Mutex
	seed maphash.Seed

	words       [places]string
	lists       [places][]string
	conditions  [places][]metav1.Condition
	causes      [places][]v1alpha1.Cause
	annotations [places]map[string]string
	attributes  [places]map[string]v1alpha1.AttributeValue
	effects     [places]*v1alpha1.Effect
}

func newMemory() *memory { return &memory{seed: maphash.MakeSeed()} }

// share puts in the place of what an object holds what is remembered, where that is the same, and gives lists the length that
// they have: decoding leaves room behind them.
func (m *memory) share(object reflect.Value) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.visit(object)
}

func (m *memory) visit(value reflect.Value) {
	switch part := value.Addr().Interface().(type) {
	case *metav1.Time, *metav1.FieldsV1:
		return
	case *v1alpha1.Effect:
		shareEffect(m, part)
		return
	case *map[string]string:
		shareMap(m, &m.annotations, part)
		return
	case *map[string]v1alpha1.AttributeValue:
		shareMap(m, &m.attributes, part)
		return
	}
	switch value.Kind() { // Everything else holds no text.
	case reflect.String:
		value.SetString(m.word(value.String()))
	case reflect.Struct:
		for _, field := range value.Fields() {
			m.visit(field)
		}
	case reflect.Slice:
		for i := range value.Len() {
			m.visit(value.Index(i))
		}
		m.shareList(value)
	}
}

func (m *memory) word(text string) string {
	if text == "" || len(text) > longest {
		return text
	}
	known := &m.words[maphash.String(m.seed, text)%places]
	if *known != text {
		*known = text
	}
	return *known
}

func (m *memory) shareList(value reflect.Value) {
	switch list := value.Addr().Interface().(type) {
	case *[]string:
		shareList(m, &m.lists, list)
	case *[]metav1.Condition:
		shareList(m, &m.conditions, list)
	case *[]v1alpha1.Cause:
		shareList(m, &m.causes, list)
	default:
		if value.Len() < value.Cap() {
			exact := reflect.MakeSlice(value.Type(), value.Len(), value.Len())
			reflect.Copy(exact, value)
			value.Set(exact)
		}
	}
}

func shareList[T comparable](m *memory, all *[places][]T, list *[]T) {
	if len(*list) == 0 {
		return
	}
	var hash maphash.Hash
	hash.SetSeed(m.seed)
	for _, element := range *list {
		maphash.WriteComparable(&hash, element)
	}
	known := &all[hash.Sum64()%places]
	if !slices.Equal(*known, *list) {
		exact := make([]T, len(*list))
		copy(exact, *list)
		*known = exact
	}
	*list = *known
}

func shareMap[V ~string](m *memory, all *[places]map[string]V, entries *map[string]V) {
	if len(*entries) == 0 {
		return
	}
	var sum uint64
	for key, value := range *entries {
		sum += maphash.Comparable(m.seed, [2]string{key, string(value)})
	}
	known := &all[sum%places]
	if !maps.Equal(*known, *entries) {
		exact := make(map[string]V, len(*entries))
		for key, value := range *entries {
			exact[m.word(key)] = V(m.word(string(value)))
		}
		*known = exact
	}
	*entries = *known
}

func shareEffect(m *memory, effect *v1alpha1.Effect) {
	if effect.Name == "" {
		return
	}
	known := &m.effects[maphash.Comparable(m.seed, [3]string{effect.Name, effect.Resources.Kind, effect.Resources.Match})%places]
	if *known == nil || !reflect.DeepEqual(**known, *effect) {
		*known = new(*effect)
	}
	*effect = **known
}

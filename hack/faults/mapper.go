package main

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// mapperWithMemory remembers where kinds are. Every request asks, and hundreds of processes share it.
type mapperWithMemory struct {
	meta.RESTMapper

	known sync.Map
}

// RESTMapping implements meta.RESTMapper.
func (m *mapperWithMemory) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	key := fmt.Sprint(kind, versions)
	if mapping, known := m.known.Load(key); known {
		return mapping.(*meta.RESTMapping), nil
	}
	mapping, err := m.RESTMapper.RESTMapping(kind, versions...)
	if err != nil {
		return nil, err //nolint:wrapcheck // as it came
	}
	m.known.Store(key, mapping)
	return mapping, nil
}

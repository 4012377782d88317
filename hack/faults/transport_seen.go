package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// seen is what a process was told about objects: what it has listed, and what its watches have delivered.
type seen struct {
	activity *atomic.Int64

	mu      sync.Mutex
	lists   map[string]map[string]metadata // of a source, by namespace and name: a list that a watch may follow
	sources map[string]*view
	gone    map[string]bool      // UIDs of what the process knows to be gone
	stored  map[string]time.Time // when the cache had them, by UID and version
}

// view is what a watch makes known.
type view struct {
	open    int
	objects map[string]metadata
}

func newSeen(activity *atomic.Int64) *seen {
	return &seen{activity: activity, lists: map[string]map[string]metadata{}, sources: map[string]*view{}, gone: map[string]bool{}, stored: map[string]time.Time{}}
}

func (s *seen) listed(source string, items []metadata) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.activity.Add(1)
	list := make(map[string]metadata, len(items))
	for i := range items {
		list[items[i].key()] = items[i]
	}
	if v := s.sources[source]; v != nil {
		for key, object := range v.objects {
			if list[key].UID != object.UID {
				s.gone[object.UID] = true
			}
		}
	}
	s.lists[source] = list
}

func (s *seen) opened(source string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.activity.Add(1)
	if s.sources[source] == nil {
		s.sources[source] = &view{objects: map[string]metadata{}}
	}
	v := s.sources[source]
	v.open++
	if list, fresh := s.lists[source]; fresh {
		v.objects = list
		delete(s.lists, source)
	}
}

// closed is the end of a watch. One that the process has not ended itself is missed until it is there again.
func (s *seen) closed(source string, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.activity.Add(1)
	v := s.sources[source]
	if v.open--; v.open <= 0 && !lost {
		delete(s.sources, source)
	}
}

// Kinds of events.
const bookmarkEvent, errorEvent, deletedEvent = "BOOKMARK", "ERROR", "DELETED"

func (s *seen) event(source, kind string, object metadata) {
	if kind == bookmarkEvent || kind == errorEvent {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.activity.Add(1)
	v := s.sources[source]
	if v == nil {
		return
	}
	if kind == deletedEvent {
		delete(v.objects, object.key())
		return
	}
	v.objects[object.key()] = object
}

// deleted notes that the process has learned that an object is gone, which its watch may not have told yet.
func (s *seen) deleted(uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone[uid] = true
}

// cached notes that the process's cache has a version of an object, which it comes to have a moment after it was delivered.
func (s *seen) cached(uid, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored[uid+"@"+version] = time.Now()
}

// open are the sources that are watched, and those that are not for the moment.
func (s *seen) open() (watched []string, missed []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, v := range s.sources {
		if v.open > 0 {
			watched = append(watched, name)
		} else {
			missed = append(missed, name)
		}
	}
	slices.Sort(watched)
	return watched, missed
}

// differs says in which way what was delivered is not what there is.
func (s *seen) differs(source string, items []metadata) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.sources[source]
	if v == nil {
		return nil
	}
	if len(items) != len(v.objects) {
		return fmt.Errorf("%s: %d objects are known, %d are there", source, len(v.objects), len(items))
	}
	for i := range items {
		if known := v.objects[items[i].key()]; known.ResourceVersion != items[i].ResourceVersion || known.UID != items[i].UID {
			return fmt.Errorf("%s: %s is known at version %s, and is at %s", source, items[i].key(), known.ResourceVersion, items[i].ResourceVersion)
		}
	}
	return nil
}

// find are the objects of a resource that the process knows to be there, and that match.
func (s *seen) find(resource string, match func(metadata) bool) []metadata {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []metadata
	for source, v := range s.sources {
		path, _, _ := strings.Cut(source, "?")
		if !strings.HasSuffix(path, "/"+resource) {
			continue
		}
		for _, object := range v.objects {
			object.cached = s.stored[object.UID+"@"+object.ResourceVersion]
			if !s.gone[object.UID] && match(object) {
				found = append(found, object)
			}
		}
	}
	return found
}

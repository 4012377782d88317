// Package informer makes informers that say how far they have got, even when no event says so.
package informer

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
)

// often is how often an informer looks how far it has got. As long, at the most, may a read wait for a write whose event was lost.
const often = time.Second

// New makes an informer for a cache whose reads wait until it has the reader's own writes, as cache.Options.NewInformer does.
//
// Such a read waits for an event of the resource version that was written, or of a later one. Where a watch is lost and the objects
// are listed anew, there may be none: what was written is gone by then, the list does not have it, and its deletion is told with
// the version that was known before. The read, and the worker that reads, would wait until anything of the kind is changed; in an
// organization at rest that may be days. What a list or bookmark says is therefore told to those who wait, too.
func New(source toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	return &informer{SharedIndexInformer: toolscache.NewSharedIndexInformer(source, example, resync, indexers)}
}

type informer struct {
	toolscache.SharedIndexInformer

	mu      sync.Mutex
	waiting []toolscache.ResourceEventHandler
	told    string // the version that all of them know of
}

// AddEventHandler implements toolscache.SharedIndexInformer.
func (i *informer) AddEventHandler(handler toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	registration, err := i.SharedIndexInformer.AddEventHandler(handler)
	if _, waits := handler.(interface {
		WaitForList(ctx context.Context) error
	}); waits && err == nil {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.waiting, i.told = append(i.waiting, handler), ""
	}
	return registration, err
}

// RunWithContext implements toolscache.SharedIndexInformer.
func (i *informer) RunWithContext(ctx context.Context) {
	go wait.UntilWithContext(ctx, i.tell, often)
	i.SharedIndexInformer.RunWithContext(ctx)
}

// tell tells those who wait for a version which one the store has.
func (i *informer) tell(context.Context) {
	i.mu.Lock()
	defer i.mu.Unlock()
	version := i.GetIndexer().LastStoreSyncResourceVersion()
	if version == i.told {
		return
	}
	for _, handler := range i.waiting {
		handler.OnUpdate(nil, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}})
	}
	i.told = version
}

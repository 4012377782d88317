package informer_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"tenure.dev/tenure/controllers/internal/informer"
)

// reader is a handler that waits for versions, as that of a client does whose reads wait for its own writes.
type reader struct {
	toolscache.ResourceEventHandlerFuncs
	versions chan string
}

func (reader) WaitForList(context.Context) error { return nil }

func newReader() *reader {
	r := &reader{versions: make(chan string, 100)}
	tell := func(object any) { r.versions <- object.(metav1.Object).GetResourceVersion() }
	r.AddFunc, r.UpdateFunc = tell, func(_, object any) { tell(object) }
	r.DeleteFunc = func(object any) { tell(object.(toolscache.DeletedFinalStateUnknown).Obj) }
	return r
}

func TestWhatTheListDoesNotHaveAnyMoreIsWaitedForNoLonger(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(time.Minute)
	lists, watches := make(chan *corev1.NamespaceList, 2), make(chan *watch.FakeWatcher, 2)
	i := informer.New(&toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
			select {
			case list := <-lists:
				return list, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
		WatchFuncWithContext: func(_ context.Context, options metav1.ListOptions) (watch.Interface, error) {
			if options.SendInitialEvents != nil {
				return nil, apierrors.NewMethodNotSupported(corev1.Resource("namespaces"), "watch a list")
			}
			w := watch.NewFake()
			watches <- w
			return w, nil
		},
	}, &corev1.Namespace{}, 0, toolscache.Indexers{})
	first := newReader()
	_, err := i.AddEventHandler(first)
	g.Expect(err).NotTo(HaveOccurred())
	go i.RunWithContext(t.Context())

	lists <- &corev1.NamespaceList{
		ListMeta: metav1.ListMeta{ResourceVersion: "5"},
		Items:    []corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "acme", ResourceVersion: "3"}}},
	}
	watching := <-watches
	g.Eventually(first.versions).Should(Receive(Equal("5")))

	late := newReader()
	_, err = i.AddEventHandler(late)
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(late.versions).Should(Receive(Equal("5")), "who comes late, too")

	// It is changed to version 7 by who reads, and deleted with version 8; nobody tells, and the next list is of version 9.
	lists <- &corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}}
	watching.Error(&apierrors.NewResourceExpired("too old").ErrStatus)
	g.Eventually(first.versions).Should(Receive(Equal("9")))
	g.Eventually(late.versions).Should(Receive(Equal("9")))

	watching = <-watches
	watching.Action(watch.Bookmark, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "12"}})
	g.Eventually(first.versions).Should(Receive(Equal("12")), "a bookmark says so, too")
	g.Consistently(first.versions, 1500*time.Millisecond).ShouldNot(Receive(), "once")
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers"
)

// synced is what the bare counterpart of a starting operator says when it has all objects.
type synced struct {
	Heap float64 `json:"heap"` // bytes in use after a collection
	CPU  float64 `json:"cpu"`  // seconds until then
	RSS  float64 `json:"rss"`
}

// runInformers keeps the same objects in memory as the operator does, with the same selectors and transforms, and nothing
// else: no index, no decision. When it has them all it says so, and ends.
func runInformers(ctx context.Context, kubeconfig string, out io.Writer) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading %s: %w", kubeconfig, err)
	}
	config.QPS = -1
	options := controllers.CacheOptions()
	options.Scheme = controllers.Scheme()
	all, err := cache.New(config, options)
	if err != nil {
		return fmt.Errorf("making informers: %w", err)
	}
	definitions := &metav1.PartialObjectMetadata{}
	definitions.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- all.Start(ctx) }()
	for _, kind := range []client.Object{
		&v1alpha1.Organization{}, &v1alpha1.User{}, &v1alpha1.Group{}, &v1alpha1.Membership{}, &v1alpha1.LifecyclePolicy{},
		&v1alpha1.Transition{}, &rbacv1.RoleBinding{}, &corev1.Namespace{}, definitions,
	} {
		if _, err := all.GetInformer(ctx, kind, cache.BlockUntilSynced(false)); err != nil {
			return fmt.Errorf("making an informer: %w", err)
		}
	}
	if !all.WaitForCacheSync(ctx) {
		return fmt.Errorf("waiting for the informers: %w", <-ended)
	}
	var is synced
	if is.CPU, err = cpuOf(os.Getpid()); err != nil {
		return err
	}
	if is.RSS, _, err = memoryOf(os.Getpid()); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, "synced"); err != nil {
		return fmt.Errorf("saying that all is there: %w", err)
	}
	runtime.GC()
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	is.Heap = float64(heap.HeapAlloc)
	runtime.KeepAlive(all)
	return json.NewEncoder(out).Encode(is) //nolint:wrapcheck // to a pipe, of which the reader sees the end
}

// informersProcess is this program as the bare counterpart of a starting operator.
func (s *scene) informersProcess(ctx context.Context) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	command := exec.CommandContext(ctx, program, informersCommand, s.kubeconfig)
	command.Stderr = os.Stderr
	return command, nil
}

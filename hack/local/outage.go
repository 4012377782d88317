package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

// Pause stops a program of the cluster, or of the caller's own, where it is: its connections stay, and nobody is answered. What
// it is about when the signal is sent it may still finish.
func (c *Cluster) Pause(name string) error {
	return c.signal(name, syscall.SIGSTOP)
}

// Resume has a program go on that was paused. It does nothing to one that was not.
func (c *Cluster) Resume(name string) error {
	return c.signal(name, syscall.SIGCONT)
}

func (c *Cluster) signal(name string, signal syscall.Signal) error {
	pid := c.PID(name)
	if pid == 0 {
		return fmt.Errorf("sending %s to %s: it does not run", signal, name)
	}
	if err := syscall.Kill(-pid, signal); err != nil {
		return fmt.Errorf("sending %s to %s: %w", signal, name, err)
	}
	return nil
}

// Restart ends Etcd or APIServer as a loss of power would, starts it again with the same data, port and certificates, and
// returns when the API server is ready. Whoever was let in before still is.
func (c *Cluster) Restart(ctx context.Context, name string) error {
	starts := map[string]func() error{Etcd: c.plane.Etcd.Start, APIServer: c.plane.APIServer.Start}
	start := starts[name]
	if start == nil {
		return fmt.Errorf("restarting %s: only %s and %s can be", name, Etcd, APIServer)
	}
	if err := c.leave(name); err != nil {
		return err
	}
	defer c.comeBack(name)
	if err := c.processes.kill(name); err != nil {
		return err
	}
	log, err := os.OpenFile(c.LogPath(name), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer log.Close()
	switch name {
	case Etcd:
		c.plane.Etcd.Out, c.plane.Etcd.Err = log, log
	case APIServer:
		c.plane.APIServer.Out, c.plane.APIServer.Err = log, log
	}
	if err := c.await(ctx, name, start); err != nil {
		return err
	}
	return c.awaitReady(ctx)
}

// leave has Wait overlook that a program is gone, until it has come back.
func (c *Cluster) leave(name string) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.restarting[name] {
		return fmt.Errorf("restarting %s: somebody does already", name)
	}
	c.restarting[name] = true
	return nil
}

func (c *Cluster) comeBack(name string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.restarting, name)
}

// gone says whether a program has ended by itself. Under the lock, lest a restart begins between the two questions.
func (c *Cluster) gone(name string) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return !c.restarting[name] && c.PID(name) == 0
}

// awaitReady returns when the API server is ready, and reaches its store.
func (c *Cluster) awaitReady(ctx context.Context) error {
	admin, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return fmt.Errorf("preparing to ask %s: %w", APIServer, err)
	}
	last := errors.New("no answer")
	if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, last = admin.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(asking)
		return last == nil, nil
	}); err != nil {
		return fmt.Errorf("waiting for %s: %w; %w", APIServer, err, last)
	}
	return nil
}

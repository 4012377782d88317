package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// controllers are those whose work an operator or its user can notice. The others concern Pods and nodes.
var controllers = []string{
	"clusterrole-aggregation-controller",
	"garbage-collector-controller",
	"namespace-controller",
	"root-ca-certificate-publisher-controller",
	"serviceaccount-controller",
	"validatingadmissionpolicy-status-controller",
}

// startControllerManager starts kube-controller-manager and waits for its first deeds.
func (c *Cluster) startControllerManager(ctx context.Context) error {
	identity, err := c.User("system:kube-controller-manager")
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(c.directory, certificates, ControllerManager+".kubeconfig")
	if err := WriteKubeconfig(kubeconfig, identity, ""); err != nil {
		return err
	}
	authority := filepath.Join(c.directory, certificates, "ca.crt")
	if err := os.WriteFile(authority, identity.CAData, 0o600); err != nil {
		return fmt.Errorf("writing the certificate authority of the API server: %w", err)
	}

	command, err := c.processes.command(ControllerManager, c.programs[ControllerManager],
		"--kubeconfig="+kubeconfig,
		"--controllers="+strings.Join(controllers, ","),
		// Each controller acts as the service account that it has everywhere: admission policies see who it is.
		"--use-service-account-credentials",
		"--root-ca-file="+authority,
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=-1",
		"--profiling=false",
	)
	if err != nil {
		return err
	}
	log, err := c.processes.createLog(ControllerManager)
	if err != nil {
		return err
	}
	defer log.Close()
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", ControllerManager, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()

	reader, err := client.New(c.admin, client.Options{})
	if err != nil {
		return fmt.Errorf("preparing to watch %s: %w", ControllerManager, err)
	}
	waiting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := firstDeeds(waiting, reader)
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s has ended; %s", ControllerManager, Tail(c.LogPath(ControllerManager)))
		case <-waiting.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%s does nothing within %s (%w); %s",
				ControllerManager, startTimeout, err, Tail(c.LogPath(ControllerManager)))
		case <-time.After(pollInterval):
		}
	}
}

// firstDeeds is nil when the default namespace has what the controllers put into every namespace.
func firstDeeds(ctx context.Context, reader client.Reader) error {
	account := types.NamespacedName{Namespace: corev1.NamespaceDefault, Name: "default"}
	if err := reader.Get(ctx, account, &corev1.ServiceAccount{}); err != nil {
		return err
	}
	authority := types.NamespacedName{Namespace: corev1.NamespaceDefault, Name: "kube-root-ca.crt"}
	return reader.Get(ctx, authority, &corev1.ConfigMap{})
}

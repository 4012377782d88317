package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// User returns the configuration of somebody whom a client certificate names, in these groups and, as everybody,
// in system:authenticated. The client does not throttle itself.
func (c *Cluster) User(name string, groups ...string) (*rest.Config, error) {
	user, err := c.plane.AddUser(envtest.User{Name: name, Groups: groups}, &rest.Config{QPS: -1})
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate for %s: %w", name, err)
	}
	return user.Config(), nil
}

// WriteKubeconfig writes the configuration to a file whose context is set to a namespace. A reader finds the old file or
// the new one, never half of it.
func WriteKubeconfig(path string, config *rest.Config, namespace string) error {
	const name = "tenure-local"
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters[name] = &clientcmdapi.Cluster{
		Server: strings.TrimSuffix(config.Host, "/"), CertificateAuthorityData: config.CAData,
	}
	kubeconfig.AuthInfos[name] = &clientcmdapi.AuthInfo{
		ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken,
		Impersonate: config.Impersonate.UserName, ImpersonateGroups: config.Impersonate.Groups,
		ImpersonateUID: config.Impersonate.UID, ImpersonateUserExtra: config.Impersonate.Extra,
	}
	kubeconfig.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name, Namespace: namespace}
	kubeconfig.CurrentContext = name
	content, err := clientcmd.Write(*kubeconfig)
	if err != nil {
		return fmt.Errorf("encoding the kubeconfig %s: %w", path, err)
	}
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing the kubeconfig %s: %w", path, err)
	}
	return nil
}

// Kubectl runs kubectl with the given configuration, the administrator's by default, and an input, which may be nil.
func (c *Cluster) Kubectl(
	ctx context.Context, config *rest.Config, input io.Reader, arguments ...string,
) (stdout, stderr string, err error) {
	if config == nil {
		config = c.admin
	}
	directory, err := os.MkdirTemp(filepath.Join(c.directory, certificates), "kubectl-")
	if err != nil {
		return "", "", fmt.Errorf("preparing to run kubectl: %w", err)
	}
	defer os.RemoveAll(directory)
	kubeconfig := filepath.Join(directory, "kubeconfig")
	if err := WriteKubeconfig(kubeconfig, config, ""); err != nil {
		return "", "", err
	}

	command := exec.CommandContext(ctx, c.programs[kubectl], append([]string{
		"--kubeconfig=" + kubeconfig,
		// The cache goes by host and port: the usual one could hold what another cluster had on this port.
		"--cache-dir=" + filepath.Join(c.directory, discovery),
	}, arguments...)...)
	command.Env = append(os.Environ(), "KUBERC=off") // whatever the user has made of kubectl for themselves
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Stdin = input
	var out, failure bytes.Buffer
	command.Stdout, command.Stderr = &out, &failure
	err = command.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		said := strings.TrimSpace(failure.String())
		err = fmt.Errorf("kubectl %s: %w", strings.Join(arguments, " "), errors.Join(err, errors.New(said)))
	}
	return out.String(), failure.String(), err
}

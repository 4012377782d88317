package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"

	"tenure.dev/tenure/hack/local"
)

// loan is what another process of this program needs to make its plans on the same control plane: a bug is planted by a build of
// its own, and a control plane for each would take longer than all of their plans.
type loan struct {
	Admin    string `json:"admin"`    // kubeconfig
	Operator string `json:"operator"` // kubeconfig
	Audit    string `json:"audit"`    // log
}

// lend writes down how to reach the control plane.
func (l *lab) lend(folder string) (path string, err error) {
	on := loan{Admin: filepath.Join(folder, "admin"), Operator: filepath.Join(folder, "operator"), Audit: l.audit.path}
	if err := local.WriteKubeconfig(on.Admin, l.cluster.Admin(), local.OperatorNamespace); err != nil {
		return "", fmt.Errorf("lend the control plane: %w", err)
	}
	if err := local.WriteKubeconfig(on.Operator, l.operator, local.OperatorNamespace); err != nil {
		return "", fmt.Errorf("lend the control plane: %w", err)
	}
	path = filepath.Join(folder, "loan.json")
	return path, writeJSON(path, on)
}

// borrowLab is a lab on the control plane of somebody else. Its worlds begin with a name of their own.
func borrowLab(ctx context.Context, path, name string) (*lab, error) {
	var on loan
	if err := readJSON(path, &on); err != nil {
		return nil, fmt.Errorf("borrow a control plane: %w", err)
	}
	admin, err := clientcmd.BuildConfigFromFlags("", on.Admin)
	if err != nil {
		return nil, fmt.Errorf("borrow a control plane: %w", err)
	}
	operator, err := clientcmd.BuildConfigFromFlags("", on.Operator)
	if err != nil {
		return nil, fmt.Errorf("borrow a control plane: %w", err)
	}
	operator.QPS = -1
	l := emptyLab(name + "-")
	l.operator = operator
	return l, errors.Join(l.connect(admin), l.audit.follow(ctx, on.Audit))
}

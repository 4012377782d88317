package local

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// The programs of a control plane.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	kubectl           = "kubectl"
)

// assetsVariable is what the tools around controller-runtime call the folder with the programs of a control plane.
const assetsVariable = "KUBEBUILDER_ASSETS"

var modulePattern = regexp.MustCompile(`(?m)^module tenure\.dev/tenure$`)

// RepositoryRoot finds the folder of this repository, from the working directory upwards: tests run in the folder of
// their package, commands in the root.
func RepositoryRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for directory := start; ; directory = filepath.Dir(directory) {
		module, err := os.ReadFile(filepath.Join(directory, "go.mod"))
		if err == nil && modulePattern.Match(module) {
			return directory, nil
		}
		if directory == filepath.Dir(directory) {
			return "", fmt.Errorf("finding the repository: no go.mod of tenure.dev/tenure in %s or above it", start)
		}
	}
}

// findPrograms locates every program in directory, or in the folder that the environment names, or in the repository's
// own bin. The archives that KUBEBUILDER_ASSETS usually points to have no kube-controller-manager, so that what they
// lack comes from the repository.
func findPrograms(directory string) (map[string]string, error) {
	root, rootErr := RepositoryRoot()
	built := filepath.Join(root, "bin")
	if directory == "" {
		directory = os.Getenv(assetsVariable)
	}
	if directory == "" {
		if rootErr != nil {
			return nil, rootErr
		}
		directory = built
	}

	programs := map[string]string{}
	var missing []string
	for _, name := range []string{Etcd, APIServer, ControllerManager, kubectl} {
		program, err := filepath.Abs(filepath.Join(directory, name))
		if err != nil {
			return nil, fmt.Errorf("locating %s: %w", name, err)
		}
		if !executable(program) && rootErr == nil && (name == ControllerManager || name == kubectl) {
			program = filepath.Join(built, name)
		}
		if !executable(program) {
			missing = append(missing, name)
		}
		programs[name] = program
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s does not have %s; `make controlplane` builds them, for use without %s",
			directory, strings.Join(missing, ", "), assetsVariable)
	}
	return programs, nil
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

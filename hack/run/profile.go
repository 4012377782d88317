package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	profilesFolder = "config/profiles"

	// servedTimeout is how long an API server may take to serve a new kind.
	servedTimeout = time.Minute
)

// profileFolder holds the manifests of a profile. They live in the namespace of the same name.
func profileFolder(name string) string {
	return filepath.Join(profilesFolder, name)
}

// checkProfile refuses a profile that there is not, and says which there are.
func checkProfile(folder, name string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("looking for profiles: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	if !slices.Contains(names, name) {
		return fmt.Errorf("there is no profile %q in %s; there are: %s", name, folder, strings.Join(names, ", "))
	}
	return nil
}

// applyProfile applies the kinds of a profile, and when they can be used, the rest of it.
func (s *session) applyProfile(ctx context.Context) error {
	folder := profileFolder(s.options.profile)
	s.progress.begin("Applying " + filepath.Join(folder, "crds"))
	applied, _, err := s.cluster.Kubectl(ctx, nil, nil, "apply", "--server-side", "-k", filepath.Join(folder, "crds"), "--output=name")
	if err != nil {
		return err
	}
	definitions := strings.Fields(applied)
	if _, _, err := s.cluster.Kubectl(ctx, nil, nil, append([]string{
		"wait", "--for=condition=Established", "--timeout=" + servedTimeout.String(),
	}, definitions...)...); err != nil {
		return err
	}
	if err := s.awaitServed(ctx, definitions); err != nil {
		return err
	}
	return s.applySamples(ctx, folder)
}

// awaitServed waits until kubectl finds new kinds. An established definition is not served at once: the API server tells
// of its kinds somewhat later.
func (s *session) awaitServed(ctx context.Context, definitions []string) error {
	var kinds []string
	for _, definition := range definitions {
		_, name, _ := strings.Cut(definition, "/")
		kinds = append(kinds, name)
	}
	last := errors.New("no answer")
	if err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, servedTimeout, true, func(ctx context.Context) (bool, error) {
		_, _, last = s.cluster.Kubectl(ctx, nil, nil, "get", strings.Join(kinds, ","), "--all-namespaces")
		return last == nil, nil
	}); err != nil {
		return fmt.Errorf("waiting for the kinds of the profile: %w; %w", err, last)
	}
	return nil
}

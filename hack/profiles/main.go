// Command profiles keeps the tables in config/profiles/*/README.md as the policies beside them: what happens to which class
// of things in which state. With -verify it changes nothing, and fails where a table says something else.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

const (
	policyFile = "20-policy.yaml"
	readmeFile = "README.md"

	tableBegin = "<!-- table: from " + policyFile + " -->\n"
	tableEnd   = "<!-- /table -->"
)

func main() {
	folder := flag.String("profiles", "config/profiles", "folder with a folder for each profile")
	verify := flag.Bool("verify", false, "change nothing, and fail where a table is not what its policy says")
	flag.Parse()
	if err := run(*folder, *verify); err != nil {
		fmt.Fprintf(os.Stderr, "profiles: %v\n", err)
		os.Exit(1)
	}
}

func run(folder string, verify bool) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("looking for profiles: %w", err)
	}
	var failed []error
	for _, entry := range entries {
		if entry.IsDir() {
			failed = append(failed, update(filepath.Join(folder, entry.Name()), verify))
		}
	}
	return errors.Join(failed...)
}

// update writes the tables of one profile into its README, or only looks whether they are there.
func update(profile string, verify bool) error {
	manifests, err := os.ReadFile(filepath.Join(profile, policyFile))
	if err != nil {
		return fmt.Errorf("reading the policy of a profile: %w", err)
	}
	policies, err := readPolicies(manifests)
	if err != nil {
		return fmt.Errorf("reading %s: %w", filepath.Join(profile, policyFile), err)
	}
	path := filepath.Join(profile, readmeFile)
	readme, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading what is said of a profile: %w", err)
	}
	updated, err := replaceTables(readme, tables(policies))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	switch {
	case bytes.Equal(readme, updated):
		return nil
	case verify:
		return fmt.Errorf("the table in %s is not what %s says: run `make generate`", path, policyFile)
	}
	if err := os.WriteFile(path, updated, 0o644); err != nil {
		return fmt.Errorf("writing the table of a profile: %w", err)
	}
	return nil
}

// replaceTables puts the tables between the markers, of which there must be one pair.
func replaceTables(readme []byte, tables string) ([]byte, error) {
	before, rest, begun := bytes.Cut(readme, []byte(tableBegin))
	_, after, ended := bytes.Cut(rest, []byte(tableEnd))
	if !begun || !ended || bytes.Contains(after, []byte(tableEnd)) || bytes.Contains(after, []byte(tableBegin)) {
		return nil, fmt.Errorf("the table belongs between the lines %q and %q, which must be there once", tableBegin[:len(tableBegin)-1], tableEnd)
	}
	return bytes.Join([][]byte{before, []byte(tableBegin), []byte(tables), []byte(tableEnd), after}, nil), nil
}

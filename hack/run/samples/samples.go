// Package samples reads manifests whose dates are relative to now, so that their stories happen while one looks on.
//
// A line that holds a time and ends in a comment such as
//
//	expirationTime: "2030-01-01T00:00:00Z" # now+30s
//
// stands for the instant 30 seconds after loading. The comment is an ordinary one, so that `kubectl apply` takes the same
// file and the date that is written in it.
package samples

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

var (
	relativePattern = regexp.MustCompile(`#\s*now([+-]\S*)?\s*$`)
	timePattern     = regexp.MustCompile(`\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:\d{2})`)
)

// Date returns the manifest with every relative date made absolute, in whole seconds, as the API wants them. All else stays
// as it is, byte for byte.
func Date(manifest []byte, now time.Time) ([]byte, error) {
	lines := bytes.SplitAfter(manifest, []byte("\n"))
	for i, line := range lines {
		comment := relativePattern.FindSubmatchIndex(line)
		if comment == nil {
			continue
		}
		var offset time.Duration
		if comment[2] >= 0 {
			var err error
			if offset, err = time.ParseDuration(string(line[comment[2]:comment[3]])); err != nil {
				return nil, fmt.Errorf("line %d: after \"now\" belongs a duration such as +30s or -72h: %w", i+1, err)
			}
		}
		times := timePattern.FindAllIndex(line[:comment[0]], -1)
		if len(times) != 1 {
			return nil, fmt.Errorf("line %d: a date relative to now needs one time on its line, here are %d", i+1, len(times))
		}
		start, end := times[0][0], times[0][1]
		date := now.Add(offset).UTC().Truncate(time.Second).Format(time.RFC3339)
		lines[i] = bytes.Join([][]byte{line[:start], []byte(date), line[end:]}, nil)
	}
	return bytes.Join(lines, nil), nil
}

// Copy copies a folder of manifests, dated, into a new folder. Its kustomization, if there is one, goes with them.
func Copy(source, target string, now time.Time) error {
	return filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("reading the samples: %w", err)
		}
		relative, err := filepath.Rel(source, path)
		if err != nil {
			return fmt.Errorf("reading the samples: %w", err)
		}
		copied := filepath.Join(target, relative)
		if entry.IsDir() {
			return os.MkdirAll(copied, 0o755)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading the samples: %w", err)
		}
		if extension := filepath.Ext(path); extension == ".yaml" || extension == ".yml" {
			if content, err = Date(content, now); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		return os.WriteFile(copied, content, 0o644)
	})
}

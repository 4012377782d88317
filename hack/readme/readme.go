// Package readme keeps parts of a README that programs write, such as the table of a measurement, beside those that people
// write.
package readme

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Write replaces what stands between the lines "<!-- section -->" and "<!-- /section -->" of a file. The lines stay, and
// everything around them. Content that is there already is not written again.
func Write(path, section, content string) error {
	before, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading where section %s goes: %w", section, err)
	}
	after, err := replace(string(before), section, content)
	if err != nil {
		return fmt.Errorf("writing section %s of %s: %w", section, path, err)
	}
	if after == string(before) {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("writing section %s of %s: %w", section, path, err)
	}
	if err := os.WriteFile(path, []byte(after), info.Mode().Perm()); err != nil {
		return fmt.Errorf("writing section %s: %w", section, err)
	}
	return nil
}

func replace(text, section, content string) (string, error) {
	lines := strings.SplitAfter(text, "\n")
	begin, err := find(lines, "<!-- "+section+" -->")
	if err != nil {
		return "", err
	}
	end, err := find(lines, "<!-- /"+section+" -->")
	if err != nil {
		return "", err
	}
	if end < begin {
		return "", errors.New("its end stands before its beginning")
	}
	// Markdown takes what follows a comment without a blank line for a part of it.
	inside := "\n"
	if content = strings.Trim(content, "\n"); content != "" {
		inside = "\n" + content + "\n\n"
	}
	return strings.Join(lines[:begin+1], "") + inside + strings.Join(lines[end:], ""), nil
}

// find is where a marker stands, alone in its line. Twice would leave open which one is meant.
func find(lines []string, marker string) (int, error) {
	at := -1
	for i, line := range lines {
		if strings.TrimSpace(line) != marker {
			continue
		}
		if at >= 0 {
			return 0, fmt.Errorf("the line %s stands there more than once", marker)
		}
		at = i
	}
	if at < 0 {
		return 0, fmt.Errorf("there is no line %s", marker)
	}
	return at, nil
}

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Files of the state that scripts rely on.
const (
	readyFile       = "ready"
	operatorPIDFile = "operator.pid"
	operatorLogFile = "operator.log"
)

// state is the folder in which a run keeps what it writes, and that only one run at a time may have.
type state struct {
	directory string
	lock      *os.File
}

// claimState takes the folder, or says who has it. What a run that crashed has left there does not matter: a lock ends with
// the process that holds it.
func claimState(directory string) (*state, error) {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, fmt.Errorf("creating the folder of the run: %w", err)
	}
	path := filepath.Join(directory, "lock")
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the run: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		_ = lock.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		return nil, fmt.Errorf("another `make run` is at work in this checkout (process %s): end it first",
			strings.TrimSpace(string(holder)))
	}
	s := &state{directory: directory, lock: lock}
	s.remove(readyFile)
	s.remove(operatorPIDFile)
	if err := lock.Truncate(0); err != nil {
		return nil, fmt.Errorf("writing the lock of the run: %w", err)
	}
	if _, err := fmt.Fprintln(lock, os.Getpid()); err != nil {
		return nil, fmt.Errorf("writing the lock of the run: %w", err)
	}
	return s, nil
}

func (s *state) release() error {
	s.remove(readyFile)
	s.remove(operatorPIDFile)
	return s.lock.Close()
}

func (s *state) path(name string) string {
	return filepath.Join(s.directory, name)
}

// relative is the path from the root of the repository, for people.
func (s *state) relative(name string) string {
	return filepath.Join(filepath.Base(s.directory), name)
}

// write replaces a file as a whole: a script that looks for it never finds half of it.
func (s *state) write(name, content string) error {
	path := s.path(name)
	if err := os.WriteFile(path+".new", []byte(content), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func (s *state) remove(name string) {
	_ = os.Remove(s.path(name))
}

// shellWord quotes text for pasting into a shell, where it needs it.
func shellWord(text string) string {
	if !strings.ContainsAny(text, " \t'\"\\$`&|;<>()*?[]{}!#~") {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

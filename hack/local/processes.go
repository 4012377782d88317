package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	pollInterval = 10 * time.Millisecond
	killTimeout  = 5 * time.Second
	logTailLines = 15
	logTailBytes = 4096
)

// launchScript starts a program, after what is exported to it, and leaves its process id in a file: envtest keeps the ids to itself, and only by id can a
// program be ended at once. Without the file it does not start, so that removing the folder of ids ends all starting.
// The call with --help is envtest asking for flags, not the program itself.
const launchScript = `#!/bin/sh
[ "$1" = --help ] || echo $$ >%s || exit
%sexec %s "$@"
`

// reapScript ends what is left when the program at the other end of the pipe has ended in whatever way, SIGKILL included:
// the input ends with it. Several passes, because a program may just be starting, its id not yet written.
const reapScript = `
read -r line
ids=$1
shift
for pass in 1 2 3 4 5; do
	for file in "$ids"/*; do
		[ -s "$file" ] && { kill -s KILL -- "-$(cat "$file")"; rm -f -- "$file"; }
	done
	rmdir -- "$ids" && break
	sleep 1
done
rm -rf -- "$ids" "$@"
`

// processes are the running programs of one cluster, each in a process group of its own (a Ctrl-C in the terminal must
// not reach them before their turn) whose id stands in a file named after the program.
type processes struct {
	directory string // its launchers and logs
	ids       string // one file per program; unique, lest the reaper of an earlier run meets the programs of this one
	reaper    *exec.Cmd
	alive     io.Closer // the end of the pipe that closes with this process
}

// newProcesses prepares directory for launchers and logs, and starts the reaper, which also deletes the files and folders
// in remove.
func newProcesses(directory string, remove []string) (*processes, error) {
	ids, err := os.MkdirTemp(directory, "pids-")
	if err != nil {
		return nil, fmt.Errorf("preparing for process ids: %w", err)
	}
	reaper := exec.Command("/bin/sh", append([]string{"-c", reapScript, "reaper", ids}, remove...)...)
	reaper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := reaper.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("preparing the reaper: %w", err)
	}
	if err := reaper.Start(); err != nil {
		return nil, fmt.Errorf("starting the reaper: %w", err)
	}
	return &processes{directory: directory, ids: ids, reaper: reaper, alive: alive}, nil
}

// launcher writes a script that runs program under name, with more in its environment, and returns its path.
func (p *processes) launcher(name, program string, environment ...string) (string, error) {
	path := filepath.Join(p.directory, launchers, name)
	var exports strings.Builder
	for _, variable := range environment {
		fmt.Fprintf(&exports, "export %s\n", shellQuote(variable))
	}
	script := fmt.Sprintf(launchScript, shellQuote(filepath.Join(p.ids, name)), exports.String(), shellQuote(program))
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		return "", fmt.Errorf("writing the launcher of %s: %w", name, err)
	}
	return path, nil
}

// command prepares a program of this cluster that envtest does not start.
func (p *processes) command(name, program string, arguments ...string) (*exec.Cmd, error) {
	launcher, err := p.launcher(name, program)
	if err != nil {
		return nil, err
	}
	command := exec.Command(launcher, arguments...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return command, nil
}

func (p *processes) logPath(name string) string {
	return filepath.Join(p.directory, name+".log")
}

func (p *processes) createLog(name string) (*os.File, error) {
	log, err := os.Create(p.logPath(name))
	if err != nil {
		return nil, fmt.Errorf("creating the log of %s: %w", name, err)
	}
	return log, nil
}

// Tail is the end of a log, for an error message: the log itself may be in a folder that goes with the cluster.
func Tail(path string) string {
	content, err := os.ReadFile(path)
	if err != nil || len(bytes.TrimSpace(content)) == 0 {
		return fmt.Sprintf("it has logged nothing (%s)", path)
	}
	lines := strings.Split(strings.TrimSpace(string(content[max(0, len(content)-logTailBytes):])), "\n")
	lines = lines[max(0, len(lines)-logTailLines):]
	return fmt.Sprintf("the end of its log %s:\n  %s", path, strings.Join(lines, "\n  "))
}

// pid is the process id of a program, zero when it was never started or has been ended by kill.
func (p *processes) pid(name string) int {
	content, err := os.ReadFile(filepath.Join(p.ids, name))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0
	}
	return pid
}

// names lists the programs started so far.
func (p *processes) names() []string {
	entries, _ := os.ReadDir(p.ids)
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// running says whether any process of the group is left.
func running(pid int) bool {
	return pid > 0 && !errors.Is(syscall.Kill(-pid, 0), syscall.ESRCH)
}

// kill ends a program with SIGKILL and waits until it is gone. Nothing here deserves a gentler end: the data is thrown
// away, and an API server asked politely waits up to a minute for its watches.
func (p *processes) kill(name string) error {
	pid := p.pid(name)
	if pid == 0 {
		return nil
	}
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("ending %s (process %d): %w", name, pid, err)
	}
	for waited := time.Duration(0); running(pid); waited += pollInterval {
		if waited > killTimeout {
			return fmt.Errorf("%s (process %d) is still there %s after SIGKILL", name, pid, killTimeout)
		}
		time.Sleep(pollInterval)
	}
	if err := os.Remove(filepath.Join(p.ids, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forgetting %s: %w", name, err)
	}
	return nil
}

// end kills every program, last the reaper. It is done when the folder of ids could be removed, hence was empty: whatever
// was just starting has been met as well, and nothing starts from then on.
func (p *processes) end() error {
	var failure error
	for waited := time.Duration(0); ; waited += pollInterval {
		failure = nil
		for _, name := range p.names() {
			failure = errors.Join(failure, p.kill(name))
		}
		if err := os.Remove(p.ids); err == nil || errors.Is(err, os.ErrNotExist) {
			break
		}
		if failure != nil || waited > killTimeout {
			failure = errors.Join(failure, os.RemoveAll(p.ids))
			break
		}
		time.Sleep(pollInterval)
	}
	_ = p.reaper.Process.Kill()
	_ = p.reaper.Wait()
	_ = p.alive.Close()
	return failure
}

func shellQuote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

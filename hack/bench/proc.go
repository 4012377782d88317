package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// ticks in a second, in which /proc counts CPU: 100 on every Linux that Go runs on.
const ticks = 100

// cpuOf is how many seconds of CPU a process has used, in user and in system mode.
func cpuOf(pid int) (float64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time of process %d: %w", pid, err)
	}
	return parseStat(string(content))
}

// parseStat reads the CPU time from /proc/PID/stat. The name of the program, in parentheses, may hold anything.
func parseStat(content string) (float64, error) {
	const user, system = 11, 12 // counted from behind the name
	fields := strings.Fields(content[strings.LastIndexByte(content, ')')+1:])
	if len(fields) <= system {
		return 0, errors.New("reading the CPU time of a process: too few fields")
	}
	sum := 0.0
	for _, field := range []int{user, system} {
		n, err := strconv.ParseFloat(fields[field], 64)
		if err != nil {
			return 0, fmt.Errorf("reading the CPU time of a process: %w", err)
		}
		sum += n
	}
	return sum / ticks, nil
}

// memoryOf is how many bytes of memory a process has now, and had at most.
func memoryOf(pid int) (resident, most float64, err error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	if resident, err = kilobytes(string(content), "VmRSS"); err != nil {
		return 0, 0, err
	}
	most, err = kilobytes(string(content), "VmHWM")
	return resident, most, err
}

// kilobytes reads a line such as "VmRSS:  1234 kB", in bytes.
func kilobytes(content, name string) (float64, error) {
	for line := range strings.Lines(content) {
		rest, found := strings.CutPrefix(line, name+":")
		if !found {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
		if err != nil {
			return 0, fmt.Errorf("reading %s: %w", name, err)
		}
		return n * 1024, nil
	}
	return 0, fmt.Errorf("reading %s: there is no such line", name)
}

// machine is where the measures were taken.
type machine struct {
	CPU        string  `json:"cpu,omitempty"`
	Cores      int     `json:"cores"`
	Memory     float64 `json:"memory"` // GiB
	Go         string  `json:"go"`
	Kubernetes string  `json:"kubernetes,omitempty"`
	Store      string  `json:"etcd,omitempty"`
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: strings.TrimPrefix(runtime.Version(), "go")}
	if content, err := os.ReadFile("/proc/meminfo"); err == nil {
		if total, err := kilobytes(string(content), "MemTotal"); err == nil {
			m.Memory = float64(int(total/(1<<30)*10+0.5)) / 10
		}
	}
	if content, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(content)) {
			if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}

// words describe the machine in a sentence.
func (m machine) words() string {
	text := fmt.Sprintf("%d cores", m.Cores)
	if m.CPU != "" {
		text += " (" + m.CPU + ")"
	}
	text += fmt.Sprintf(", %.0f GiB, Go %s", m.Memory, m.Go)
	if m.Kubernetes != "" {
		text += fmt.Sprintf(", kube-apiserver %s, etcd %s without fsync", strings.TrimPrefix(m.Kubernetes, "v"), m.Store)
	}
	return text
}

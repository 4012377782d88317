package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
)

func TestRestartDelay(t *testing.T) {
	var delays []time.Duration
	for _, crashes := range []int{0, 1, 2, 3, 4, 7, 1000} {
		delays = append(delays, restartDelay(crashes))
	}
	want := []time.Duration{0, 0, time.Second, 2 * time.Second, 4 * time.Second, 30 * time.Second, 30 * time.Second}
	if diff := cmp.Diff(want, delays); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// keep runs a shell script in the operator's place.
func keep(t *testing.T, script string) (*operator, *state, func() string) {
	t.Helper()
	state, err := claimState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	reports := make(chan string, 100)
	o := &operator{
		command: func() (*exec.Cmd, error) { return exec.Command("/bin/sh", "-c", script), nil },
		state:   state,
		report:  func(format string, arguments ...any) { reports <- fmt.Sprintf(format, arguments...) },
		ended:   make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.cancel = cancel
	go func() {
		defer close(o.ended)
		if err := o.keepRunning(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(o.stop)
	return o, state, func() string { return <-reports }
}

func TestOperatorKilledIsStartedAgain(t *testing.T) {
	g := NewWithT(t)
	o, state, report := keep(t, "exec sleep 600")
	pid := func() int {
		content, _ := os.ReadFile(state.path(operatorPIDFile))
		number, _ := strconv.Atoi(strings.TrimSpace(string(content)))
		return number
	}
	killed := 0
	for range 4 { // at once each time: it is not the operator that crashes
		g.Eventually(pid, "2s", "5ms").ShouldNot(Or(BeZero(), Equal(killed)))
		killed = pid()
		g.Expect(syscall.Kill(killed, syscall.SIGKILL)).To(Succeed())
		g.Expect(report()).To(Equal("ended (signal: killed), is started again"))
	}
	g.Eventually(pid, "2s", "5ms").ShouldNot(Or(BeZero(), Equal(killed)))
	last := pid()
	o.stop()
	g.Expect(syscall.Kill(last, 0)).To(MatchError(syscall.ESRCH))
	g.Expect(pid()).To(BeZero())
}

func TestOperatorThatCrashesIsGivenTime(t *testing.T) {
	g := NewWithT(t)
	o, _, report := keep(t, "exit 3")
	g.Expect(report()).To(Equal("ended (exit status 3), is started again"))
	g.Expect(report()).To(Equal("ended (exit status 3) again, is started in 1s"))
	g.Expect(o.crashes.Load()).To(BeEquivalentTo(2))
}

func TestOneRunAtATime(t *testing.T) {
	g := NewWithT(t)
	directory := t.TempDir()
	first, err := claimState(directory)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = claimState(directory)
	g.Expect(err).To(MatchError(ContainSubstring(
		fmt.Sprintf("another `make run` is at work in this checkout (process %d)", os.Getpid()))))

	g.Expect(first.write(readyFile, "ready\n")).To(Succeed())
	g.Expect(first.release()).To(Succeed())
	g.Expect(first.path(readyFile)).NotTo(BeAnExistingFile())

	g.Expect(os.WriteFile(first.path(readyFile), nil, 0o600)).To(Succeed()) // as a crash would leave it
	second, err := claimState(directory)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(second.path(readyFile)).NotTo(BeAnExistingFile())
	g.Expect(second.release()).To(Succeed())
}

func TestShellWord(t *testing.T) {
	for text, want := range map[string]string{"/a/b": "/a/b", "/my files/b": "'/my files/b'", "it's": `'it'\''s'`} {
		if diff := cmp.Diff(want, shellWord(text)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

package main

import (
	"os"
	"testing"

	. "github.com/onsi/gomega"
)

func TestProcesses(t *testing.T) {
	g := NewWithT(t)
	cpu, err := parseStat("4711 (a (strange) name) S 1 4711 4711 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 8 0 100 1 2 3")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(cpu).To(Equal(3.0))
	_, err = parseStat("4711 (name) S 1")
	g.Expect(err).To(HaveOccurred())

	bytes, err := kilobytes("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t    1024 kB\n", "VmRSS")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(bytes).To(Equal(float64(1 << 20)))
	_, err = kilobytes("Name:\tx\n", "VmRSS")
	g.Expect(err).To(HaveOccurred())

	if _, err := os.Stat("/proc/self/stat"); err == nil { // where there is a /proc
		own, err := cpuOf(os.Getpid())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(own).To(BeNumerically(">=", 0))
		resident, most, err := memoryOf(os.Getpid())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(resident).To(BeNumerically(">", 0))
		g.Expect(most).To(BeNumerically(">=", resident))
	}
}

func TestMachine(t *testing.T) {
	g := NewWithT(t)
	m := machine{CPU: "Abacus", Cores: 2, Memory: 23.4, Go: "1.26.0"}
	g.Expect(m.words()).To(Equal("2 cores (Abacus), 23 GiB, Go 1.26.0"))
	m.Kubernetes, m.Store = "v1.36.3", "3.6.8"
	g.Expect(m.words()).To(HaveSuffix("Go 1.26.0, kube-apiserver 1.36.3, etcd 3.6.8 without fsync"))
	g.Expect(thisMachine().Cores).To(BeNumerically(">", 0))
}

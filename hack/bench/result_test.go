package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func rounds(ratios ...float64) []round {
	var all []round
	for i, ratio := range ratios {
		all = append(all, round{Ratio: ratio, Operator: &effort{Writes: float64(400 + i), OperatorCPU: 0.3, APIServerCPU: 0.8}})
	}
	return all
}

func TestMeasure(t *testing.T) {
	g := NewWithT(t)
	m := of("P1", 100, 100, "×", 1.3, rounds(1.9, 1.1, 1.2))
	g.Expect(m.Ratio).To(Equal(1.2))
	g.Expect(m.OK).To(BeTrue())
	g.Expect(m.WritesPerUser).To(Equal(4.01))
	g.Expect(m.OperatorCPU).To(BeNumerically("~", 3, 1e-9))
	g.Expect(m.line()).To(Equal("P1 Expiry storm, 100: 1.20 ×, bar 1.30 ×: ok"))
	m.require(true, "this holds")
	g.Expect(m.OK).To(BeTrue())
	m.require(false, "%d writes", 5)
	g.Expect(m.OK).To(BeFalse())
	m.remark("More")
	g.Expect(m.Note).To(Equal("5 writes. More"))

	g.Expect(of("P1", 100, 100, "×", 1.3, rounds(1.31)).OK).To(BeFalse())
	g.Expect(of("P8", 100, 1, "kB", 2, []round{{Ratio: 1}}).WritesPerUser).To(BeZero(), "of which nothing is known")
	bad := failed("P2", 100, errors.New("no\ncluster"))
	g.Expect(bad.OK).To(BeFalse())
	g.Expect(bad.Note).To(Equal("Not measured: no cluster"))
	g.Expect(of("P1", 1, 1, "×", 1.3, nil).OK).To(BeFalse(), "what was not measured is not ok")
}

func TestTable(t *testing.T) {
	g := NewWithT(t)
	slow := of("P3", 1000, 1000, "ms", 100, rounds(333))
	slow.remark("About a watch")
	r := result{Machine: machine{Cores: 2, Go: "1.26"}, Measures: []measure{of("P1", 10000, 100, "×", 1.3, rounds(1.2)), slow, failed("P7", 5, errors.New("why"))}}
	lines := strings.Split(r.table(), "\n")
	g.Expect(lines[2]).To(Equal("| P1 | Expiry storm | 10,000 | 1.20 × | ≤ 1.30 × | ✓ | 1 | 4.00 | 3.0 ms | 8.0 ms |"))
	g.Expect(lines[3]).To(HavePrefix("| P3 | Lateness of single deadlines, p99 | 1,000 | 333 ms | ≤ 100 ms | ✗ | 1 |"))
	g.Expect(lines[4]).To(Equal("| P7 | Start | | | | ✗ | | | | |"))
	for _, line := range lines[:5] {
		g.Expect(strings.Count(line, "|")).To(Equal(11), line)
	}
	g.Expect(r.table()).To(ContainSubstring("\n- P3, 1,000: About a watch.\n"))
	g.Expect(r.table()).To(ContainSubstring("Measured on 2 cores"))

	folder := t.TempDir()
	g.Expect(r.write(folder)).To(Succeed())
	content, err := os.ReadFile(filepath.Join(folder, resultName))
	g.Expect(err).NotTo(HaveOccurred())
	var read result
	g.Expect(json.Unmarshal(content, &read)).To(Succeed())
	g.Expect(read.Measures[0].ID).To(Equal("P1"))
	g.Expect(read.Measures[0].Rounds).To(HaveLen(1))
	for _, name := range []string{"id", "name", "size", "ratio", "bar", "ok", "unit", "writesPerUser", "operatorCPU", "apiserverCPU", "rounds"} {
		g.Expect(string(content)).To(ContainSubstring(`"` + name + `":`))
	}
}

func TestKeep(t *testing.T) {
	g := NewWithT(t)
	b := &bench{options: options{output: t.TempDir(), only: []string{"P1", "P2"}}, out: io.Discard}
	storms := group{"storms", []string{"P1", "P2", "P12"}, nil}
	g.Expect(b.keep(storms, []measure{of("P1", 1, 1, "×", 1, rounds(1))}, errors.New("broke"))).To(Succeed())
	g.Expect(b.result.Measures).To(HaveLen(2), "P12 is not wanted")
	g.Expect(b.result.Measures[0].OK).To(BeTrue(), "what was measured before it broke stays")
	g.Expect(b.result.Measures[1].Note).To(Equal("Not measured: broke"))
}

func TestThousands(t *testing.T) {
	g := NewWithT(t)
	for n, text := range map[int]string{0: "0", 999: "999", 1000: "1,000", 100000: "100,000", 1234567: "1,234,567"} {
		g.Expect(thousands(n)).To(Equal(text))
	}
}

func TestOptions(t *testing.T) {
	g := NewWithT(t)
	o, err := readOptions([]string{"-only", "p1, P12", "-rounds", "5"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(o.only).To(Equal([]string{"P1", "P12"}))
	g.Expect(o.rounds).To(Equal(5))
	for _, arguments := range [][]string{{"-only", "P13"}, {"-rounds", "0"}, {"-rest", "0s"}, {"all"}} {
		_, err := readOptions(arguments)
		g.Expect(err).To(HaveOccurred(), strings.Join(arguments, " "))
	}
	b := &bench{options: o}
	g.Expect(b.wanted("P2", "P12")).To(BeTrue())
	g.Expect(b.wanted("P2")).To(BeFalse())
	g.Expect((&bench{}).wanted("P2")).To(BeTrue(), "all, where nothing else is said")
	for _, group := range groups {
		for _, id := range group.ids {
			g.Expect(names).To(HaveKey(id))
		}
	}
}

func TestTurns(t *testing.T) {
	g := NewWithT(t)
	order := ""
	operator, bare := func() error { order += "o"; return nil }, func() error { order += "b"; return nil }
	for i := range 3 {
		g.Expect(turns(i, operator, bare)).To(Succeed())
	}
	g.Expect(order).To(Equal("obboob"))
}

func TestWhatIsNotMeasuredAgainStays(t *testing.T) {
	g := NewWithT(t)
	folder := t.TempDir()
	here := machine{Cores: 2, Go: "1.26", Kubernetes: "v1.36.3"}
	earlier := result{Machine: here}
	for _, id := range []string{"P10", "P2", "P1"} {
		earlier.add(of(id, 100, 100, "×", 1.3, rounds(1.2)))
	}
	g.Expect(earlier.write(folder)).To(Succeed())

	now := result{Machine: machine{Cores: 2, Go: "1.26"}}
	g.Expect(now.takeOver(folder, func(m measure) bool { return m.ID != "P2" })).To(Succeed())
	now.add(of("P2", 50, 50, "×", 1.3, rounds(1.1)))
	var ids []string
	for _, m := range now.Measures {
		ids = append(ids, m.ID)
	}
	g.Expect(ids).To(Equal([]string{"P1", "P2", "P10"}))

	elsewhere := result{Machine: machine{Cores: 8, Go: "1.26"}}
	g.Expect(elsewhere.takeOver(folder, func(measure) bool { return true })).To(Succeed())
	g.Expect(elsewhere.Measures).To(BeEmpty())
	g.Expect(elsewhere.takeOver(t.TempDir(), func(measure) bool { return true })).To(Succeed())
}

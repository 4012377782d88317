package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tenure.dev/tenure/hack/readme"
)

// Where results are, in the folder for them and in the repository.
const (
	resultName   = "bench.json"
	tableName    = "bench.md"
	plotsFolder  = "bench"
	published    = "hack/bench/plots"
	benchSection = "bench"
)

// result is what bench.json holds.
type result struct {
	Machine  machine   `json:"machine"`
	Measures []measure `json:"measures"`
}

// measure is one figure that is held to a bar.
type measure struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Size int    `json:"size"`

	// Ratio is the figure: the median of the rounds, in Unit. Most are ratios to a bare client. It must not exceed Bar.
	Ratio float64 `json:"ratio"`
	Unit  string  `json:"unit"`
	Bar   float64 `json:"bar"`
	OK    bool    `json:"ok"`

	// WritesPerUser are the requests with which the operator changed anything, Events apart, per user (or what Size counts).
	WritesPerUser float64 `json:"writesPerUser"`
	EventsPerUser float64 `json:"eventsPerUser"`

	// OperatorCPU, APIServerCPU and StoreCPU are milliseconds per user; of what the operator does at rest, per second.
	OperatorCPU  float64 `json:"operatorCPU"`
	APIServerCPU float64 `json:"apiserverCPU"`
	StoreCPU     float64 `json:"etcdCPU"`

	Rounds []round `json:"rounds"`

	// Figures are others that the measure gave, by name.
	Figures map[string]float64 `json:"figures,omitempty"`

	Note string `json:"note,omitempty"`
}

// round is one comparison of the operator with a bare client.
type round struct {
	Ratio    float64            `json:"ratio"`
	Operator *effort            `json:"operator,omitempty"`
	Bare     *effort            `json:"bare,omitempty"`
	Figures  map[string]float64 `json:"figures,omitempty"`
}

// failed is a measure that could not be taken.
func failed(id string, size int, why error) measure {
	return measure{ID: id, Size: size, Name: names[id], Unit: "×", Rounds: []round{}, Note: "Not measured: " + shortly(why.Error())}
}

// names of the measures.
var names = map[string]string{
	"P1":  "Expiry storm",
	"P2":  "Access closed in the storm",
	"P3":  "Lateness of single deadlines, p99",
	"P4":  "Bulk cascade",
	"P5":  "One heavy user",
	"P6":  "At rest, CPU",
	"P7":  "Start",
	"P8":  "Memory",
	"P9":  "Growth of the cost per user",
	"P10": "Admission",
	"P11": "Policy edit",
	"P12": "Urgent among many",
}

// of makes a measure from its rounds: the figure and the costs per unit are medians.
func of(id string, size, units int, unit string, bar float64, rounds []round) measure {
	m := measure{ID: id, Name: names[id], Size: size, Unit: unit, Bar: bar, Rounds: rounds, Figures: map[string]float64{}}
	each := func(value func(round) float64) float64 {
		var values []float64
		for _, r := range rounds {
			if v := value(r); !math.IsNaN(v) {
				values = append(values, v)
			}
		}
		return median(values)
	}
	m.Ratio = each(func(r round) float64 { return r.Ratio })
	per := func(value func(*effort) float64) float64 {
		of := each(func(r round) float64 {
			if r.Operator == nil {
				return math.NaN()
			}
			return value(r.Operator)
		}) / float64(units)
		if math.IsNaN(of) {
			return 0
		}
		return of
	}
	m.WritesPerUser = per(func(e *effort) float64 { return e.Writes })
	m.EventsPerUser = per(func(e *effort) float64 { return e.Events })
	m.OperatorCPU = per(func(e *effort) float64 { return 1000 * e.OperatorCPU })
	m.APIServerCPU = per(func(e *effort) float64 { return 1000 * e.APIServerCPU })
	m.StoreCPU = per(func(e *effort) float64 { return 1000 * e.StoreCPU })
	m.OK = m.Ratio <= bar
	return m
}

// require makes a measure not ok where something else that it asks for does not hold, and says what.
func (m *measure) require(holds bool, format string, arguments ...any) {
	if !holds {
		m.OK = false
		m.remark(format, arguments...)
	}
}

// remark adds to the note.
func (m *measure) remark(format string, arguments ...any) {
	if m.Note != "" {
		m.Note += ". "
	}
	m.Note += fmt.Sprintf(format, arguments...)
}

// line is a measure in one line.
func (m *measure) line() string {
	if len(m.Rounds) == 0 {
		return fmt.Sprintf("%s %s: %s", m.ID, m.Name, m.Note)
	}
	return fmt.Sprintf("%s %s, %s: %s, bar %s: %s", m.ID, m.Name, thousands(m.Size), m.figure(m.Ratio), m.figure(m.Bar), m.verdict())
}

func (m *measure) verdict() string {
	if m.OK {
		return "ok"
	}
	return "not ok"
}

// figure writes a value of the measure with its unit.
func (m *measure) figure(value float64) string {
	text := fmt.Sprintf("%.2f", value)
	if math.Abs(value) >= 100 {
		text = fmt.Sprintf("%.0f", value)
	}
	if m.Unit == "×" {
		return text + " ×"
	}
	return text + " " + m.Unit
}

// table is the result as Markdown.
func (r result) table() string {
	var text strings.Builder
	fmt.Fprintf(&text, "| | Measure | Size | Figure | Bar | | Rounds | Writes | Operator CPU | API server CPU |\n|---|---|--:|--:|--:|---|--:|--:|--:|--:|\n")
	for i := range r.Measures {
		m := &r.Measures[i]
		if len(m.Rounds) == 0 {
			fmt.Fprintf(&text, "| %s | %s | | | | ✗ | | | | |\n", m.ID, m.Name)
			continue
		}
		mark := "✓"
		if !m.OK {
			mark = "✗"
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s | ≤ %s | %s | %d | %.2f | %.1f ms | %.1f ms |\n",
			m.ID, m.Name, thousands(m.Size), m.figure(m.Ratio), m.figure(m.Bar), mark, len(m.Rounds), m.WritesPerUser, m.OperatorCPU, m.APIServerCPU)
	}
	fmt.Fprintf(&text, "\n× is the time of the operator over that of a bare client which makes the least writes for the same outcome. "+
		"Writes (Events apart) and CPU are per user, of P5 per object, of P6 per second, of P7, P8 and P10 per user present or write. Measured on %s.\n", r.Machine.words())
	for _, m := range r.Measures {
		if m.Note != "" {
			fmt.Fprintf(&text, "\n- %s, %s: %s.", m.ID, thousands(m.Size), strings.TrimSuffix(m.Note, "."))
		}
	}
	return text.String() + "\n"
}

// add takes in a measure, in its place.
func (r *result) add(m measure) {
	r.Measures = append(r.Measures, m)
	slices.SortStableFunc(r.Measures, func(a, b measure) int {
		return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Size, b.Size))
	})
}

// takeOver takes from an earlier result of this machine what is not measured again.
func (r *result) takeOver(folder string, stays func(measure) bool) error {
	encoded, err := os.ReadFile(filepath.Join(folder, resultName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var earlier result
	if err == nil {
		err = json.Unmarshal(encoded, &earlier)
	}
	if err != nil {
		return fmt.Errorf("reading the earlier result: %w", err)
	}
	earlier.Machine.Kubernetes, earlier.Machine.Store = "", "" // They are not known before something is measured.
	for _, m := range earlier.Measures {
		if earlier.Machine == r.Machine && stays(m) {
			r.add(m)
		}
	}
	return nil
}

func (r result) write(folder string) error {
	encoded, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	for name, content := range map[string][]byte{resultName: append(encoded, '\n'), tableName: []byte("# What was measured\n\n" + r.table())} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	}
	return nil
}

// publish puts the table into a file and the plots beside this program, where that is asked for.
func (b *bench) publish() error {
	if b.readme == "" {
		return nil
	}
	if err := readme.Write(b.readme, benchSection, b.result.table()); err != nil {
		return err
	}
	plots, err := filepath.Glob(filepath.Join(b.output, plotsFolder, "*.png"))
	if err != nil {
		return fmt.Errorf("finding the plots: %w", err)
	}
	if err := os.MkdirAll(published, 0o755); err != nil {
		return fmt.Errorf("publishing the plots: %w", err)
	}
	for _, plot := range plots {
		if err := copyFile(plot, filepath.Join(published, filepath.Base(plot))); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copying: %w", err)
	}
	defer source.Close()
	target, err := os.Create(to)
	if err != nil {
		return fmt.Errorf("copying: %w", err)
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return fmt.Errorf("copying %s: %w", from, err)
	}
	if err := target.Close(); err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}
	return nil
}

// thousands writes a number as people read it: 10,000.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

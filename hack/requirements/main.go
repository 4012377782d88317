// Command requirements says which of the 201 requirements the tests have proven. It reads the reports that Ginkgo left in a
// folder; a spec that passed proves the requirements whose numbers it carries as labels.
//
// It leaves requirements.json, for scripts, and requirements.md, the whole table, and prints how many are proven.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

type options struct {
	reports, output string
	table           bool
}

func main() {
	var o options
	flag.StringVar(&o.reports, "reports", ".local/reports", "folder with Ginkgo's reports")
	flag.StringVar(&o.output, "output", ".local", "folder to write requirements.json and requirements.md into")
	flag.BoolVar(&o.table, "table", false, "print the whole table")
	flag.Parse()
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "requirements: %v\n", err)
		os.Exit(1)
	}
}

// run writes what the reports prove. Without a report, what an earlier run proved is left alone.
func run(o options, out io.Writer) error {
	catalogue, err := readCatalogue(listed)
	if err != nil {
		return err
	}
	reports, err := readReports(o.reports)
	if err != nil {
		return err
	}
	if len(reports) == 0 {
		fmt.Fprintln(out, "No spec was run: nothing new is known of the requirements.")
		return nil
	}
	evidence, mislabelled := catalogue.gather(reports)
	if err := write(o.output, catalogue, evidence); err != nil {
		return errors.Join(mislabelled, err)
	}
	if o.table {
		fmt.Fprint(out, catalogue.table(evidence))
	} else {
		fmt.Fprint(out, catalogue.totals(evidence))
	}
	return mislabelled
}

func write(folder string, catalogue *catalogue, evidence *evidence) error {
	encoded, err := catalogue.result(evidence).encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("writing what is proven: %w", err)
	}
	for name, content := range map[string][]byte{"requirements.json": encoded, "requirements.md": []byte(catalogue.table(evidence))} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return fmt.Errorf("writing what is proven: %w", err)
		}
	}
	return nil
}

package main

import (
	"fmt"
	"io"
	"time"
)

// progress shows one line per step: what is done while it is done, and then how long it took.
type progress struct {
	out     io.Writer
	open    bool
	started time.Time
}

func (p *progress) begin(step string) {
	p.end(nil)
	fmt.Fprintf(p.out, "%-48s", step)
	p.open, p.started = true, time.Now()
}

func (p *progress) end(err error) {
	if !p.open {
		return
	}
	p.open = false
	if err != nil {
		fmt.Fprintln(p.out)
		return
	}
	fmt.Fprintf(p.out, "%5.1f s\n", time.Since(p.started).Seconds())
}

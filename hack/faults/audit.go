package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"tenure.dev/tenure/hack/local"
)

// auditPolicy has the API server write down what the operator changes.
const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["` + local.OperatorUser + `"]
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// auditPatience is how late the audit log may tell.
const auditPatience = 5 * time.Second

// audit is what the API server says that was written: the harness's own view of it may be wrong.
type audit struct {
	path string

	mu      sync.Mutex
	entries map[string][]auditEntry // by the user agent's first two parts: of a world
}

type auditEntry struct {
	Verb      string `json:"verb"`
	UserAgent string `json:"userAgent"`
	URI       string `json:"requestURI"`
	Object    struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	Response struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// follow reads the log until ctx ends.
func (a *audit) follow(ctx context.Context, path string) error {
	a.path = path
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the audit log: %w", err)
	}
	go func() {
		defer file.Close()
		lines := bufio.NewReader(file)
		var half string
		for ctx.Err() == nil {
			line, err := lines.ReadString('\n')
			half += line
			if errors.Is(err, io.EOF) {
				time.Sleep(20 * time.Millisecond)
				continue
			}
			if err != nil {
				return
			}
			a.add(half)
			half = ""
		}
	}()
	return nil
}

func (a *audit) add(line string) {
	var entry auditEntry
	if err := json.Unmarshal([]byte(line), &entry); err != nil || !strings.HasPrefix(entry.UserAgent, "faults/") {
		return
	}
	if strings.Contains(entry.URI, "dryRun=") || strings.HasSuffix(entry.Object.Resource, "accessreviews") || entry.Object.Resource == "events" || entry.Object.Resource == "leases" {
		return
	}
	world := entry.UserAgent[:strings.LastIndexByte(entry.UserAgent, '/')]
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.entries == nil {
		a.entries = map[string][]auditEntry{}
	}
	a.entries[world] = append(a.entries[world], entry)
}

// of counts the writes of a world that were applied, by what they were.
func (a *audit) of(world string) map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	counts := map[string]int{}
	for i := range a.entries["faults/"+world] {
		e := &a.entries["faults/"+world][i]
		if e.Response.Code < 200 || e.Response.Code >= 300 {
			continue
		}
		what := e.Object.Resource
		if e.Object.Subresource != "" {
			what += "/" + e.Object.Subresource
		}
		counts[fmt.Sprintf("%s %s %s/%s", e.Verb, what, e.Object.Namespace, e.Object.Name)]++
	}
	return counts
}

// verify compares what the API server has written down with what the wires have let through, once the one has caught up with
// the other. A request that was cut off may have been applied or not.
func (a *audit) verify(ctx context.Context, r *run) (map[string]int, error) {
	deadline := time.Now().Add(auditPatience)
	for {
		counts := a.of(r.world.namespace)
		difference := r.unlike(counts)
		if difference == "" {
			return counts, nil
		}
		if time.Now().After(deadline) {
			r.problem("audit", difference)
			return counts, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the audit log: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// unlike says in what the API server's record differs from the harness's.
func (r *run) unlike(counts map[string]int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	certain, possible := map[string]int{}, map[string]int{}
	for _, w := range r.everything {
		key := w.audited()
		if w.applied() {
			certain[key]++
		}
		if w.applied() || w.code == 0 {
			possible[key]++
		}
	}
	for key, n := range certain {
		if counts[key] < n {
			return fmt.Sprintf("the API server knows of %d × %s, and the harness of %d", counts[key], key, n)
		}
	}
	for key, n := range counts {
		if n > possible[key] {
			return fmt.Sprintf("the API server knows of %d × %s, and the harness of %d at most", n, key, possible[key])
		}
	}
	return ""
}

// audited is what the API server's record says about a call.
func (c call) audited() string {
	return fmt.Sprintf("%s %s %s/%s", c.verb, c.what(), c.namespace, c.name)
}

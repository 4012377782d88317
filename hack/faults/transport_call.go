package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// call is what a request asks the API server for.
type call struct {
	verb                 string
	group, resource      string
	subresource          string
	namespace, name      string
	path, account, agent string
	dryRun               bool
}

// Verbs of calls.
const (
	verbGet    = "get"
	verbList   = "list"
	verbWatch  = "watch"
	verbCreate = "create"
	verbUpdate = "update"
	verbPatch  = "patch"
	verbDelete = "delete"
)

// callOf reads a request as the API server does. What is not about a resource, such as discovery, has none.
func callOf(request *http.Request) call {
	c := call{
		path: request.URL.Path, account: request.Header.Get("Impersonate-User"), agent: request.UserAgent(),
		dryRun: request.URL.Query().Has("dryRun"),
	}
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		c.group, parts = parts[1], parts[3:]
	default:
		return c
	}
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		c.namespace, parts = parts[1], parts[2:]
	}
	parts = append(parts, "", "")
	c.resource, c.name, c.subresource = parts[0], parts[1], parts[2]
	c.verb = verbOf(request, c.name)
	return c
}

func verbOf(request *http.Request, name string) string {
	switch request.Method {
	case http.MethodPost:
		return verbCreate
	case http.MethodPut:
		return verbUpdate
	case http.MethodPatch:
		return verbPatch
	case http.MethodDelete:
		return verbDelete
	}
	switch watches, _ := strconv.ParseBool(request.URL.Query().Get("watch")); {
	case watches:
		return verbWatch
	case name == "":
		return verbList
	default:
		return verbGet
	}
}

// asynchronous are resources whose writes nobody waits for, or that change nothing.
var asynchronous = []string{"events", "leases"}

// writes tells whether the call is a write that counts.
func (c call) writes() bool {
	return c.changes() && !slices.Contains(asynchronous, c.resource)
}

// changes tells whether the call changes anything at all.
func (c call) changes() bool {
	switch c.verb {
	case verbCreate, verbUpdate, verbPatch, verbDelete:
		return !c.dryRun && !strings.HasSuffix(c.resource, "accessreviews")
	default:
		return false
	}
}

// what names the kind of object, as people do for kubectl.
func (c call) what() string {
	if c.subresource != "" {
		return c.resource + "/" + c.subresource
	}
	return c.resource
}

// source names what a list or a watch is about: the same for a list and the watch that follows it.
func source(u *url.URL, account string) string {
	query := url.Values{}
	for _, selector := range []string{"labelSelector", "fieldSelector"} {
		if value := u.Query().Get(selector); value != "" {
			query.Set(selector, value)
		}
	}
	return u.Path + "?" + query.Encode() + " " + account
}

// point is a write that a process does, in words that are the same in each run of a scenario: the world's own names are
// taken out. Where a process does the same more than once, they are counted.
type point struct {
	verb, what, name string
	n                int
}

func (p point) String() string { return fmt.Sprintf("%s %s %s#%d", p.verb, p.what, p.name, p.n) }

// parsePoint reads what String writes.
func parsePoint(text string) (point, error) {
	words := strings.Fields(text)
	if len(words) != 3 {
		return point{}, fmt.Errorf("read the write %q: it is not as in 'create transitions user.kate.2#1'", text)
	}
	name, count, found := strings.Cut(words[2], "#")
	n, err := strconv.Atoi(count)
	if !found || err != nil {
		return point{}, fmt.Errorf("read the write %q: it does not say which one (#1)", text)
	}
	return point{verb: words[0], what: words[1], name: name, n: n}, nil
}

// head is as much of an object as the harness looks at.
type head struct {
	Kind     string   `json:"kind"`
	Metadata metadata `json:"metadata"`
}

type metadata struct {
	Namespace         string            `json:"namespace"`
	Name              string            `json:"name"`
	UID               string            `json:"uid"`
	ResourceVersion   string            `json:"resourceVersion"`
	DeletionTimestamp string            `json:"deletionTimestamp"`
	Finalizers        []string          `json:"finalizers"`
	Labels            map[string]string `json:"labels"`

	// cached is when the process's cache had it at the latest; zero: it may not have it yet.
	cached time.Time
}

func (m metadata) key() string { return m.Namespace + "/" + m.Name }

// headOf reads an object; what is none is empty.
func headOf(body []byte) head {
	var h head
	if err := json.Unmarshal(body, &h); err != nil {
		return head{}
	}
	return h
}

// itemsOf reads a list.
func itemsOf(body []byte) (items []metadata, version string, err error) {
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Items []head `json:"items"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, "", fmt.Errorf("read a list: %w", err)
	}
	for i := range list.Items {
		items = append(items, list.Items[i].Metadata)
	}
	return items, list.Metadata.ResourceVersion, nil
}

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tenure.dev/tenure/api/v1alpha1"
)

// series is one line of what a program says about itself to Prometheus.
type series struct {
	labels map[string]string
	value  float64
}

var labelPattern = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)

// readSeries picks the lines of one metric.
func readSeries(text, name string) []series {
	var found []series
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		at := strings.LastIndexByte(rest, ' ')
		value, err := strconv.ParseFloat(rest[at+1:], 64)
		if err != nil {
			continue // such as one with a time behind it: none of those that are asked for
		}
		s := series{labels: map[string]string{}, value: value}
		for _, label := range labelPattern.FindAllStringSubmatch(rest[:at], -1) {
			s.labels[label[1]] = label[2]
		}
		found = append(found, s)
	}
	return found
}

// total adds up one metric over all series with these labels.
func total(text, name string, labels ...string) float64 {
	sum := 0.0
	for _, s := range readSeries(text, name) {
		if s.has(labels) {
			sum += s.value
		}
	}
	return sum
}

// has tells whether a series has labels, given as names and values in turn.
func (s series) has(labels []string) bool {
	for i := 0; i+1 < len(labels); i += 2 {
		if s.labels[labels[i]] != labels[i+1] {
			return false
		}
	}
	return true
}

// histogram adds up a histogram over all series with these labels.
func histogram(text, name string, labels ...string) []bucket {
	counts := map[float64]float64{}
	for _, s := range readSeries(text, name+"_bucket") {
		if most, err := strconv.ParseFloat(s.labels["le"], 64); err == nil && s.has(labels) {
			counts[most] += s.value
		}
	}
	var buckets []bucket
	for _, most := range slices.Sorted(maps.Keys(counts)) {
		buckets = append(buckets, bucket{most: most, count: counts[most]})
	}
	return buckets
}

// since is what came into a histogram between two looks at it.
func since(before, after []bucket) []bucket {
	grown := slices.Clone(after)
	for i := range grown {
		for _, b := range before {
			if b.most == grown[i].most || math.IsInf(b.most, 1) && math.IsInf(grown[i].most, 1) {
				grown[i].count -= b.count
			}
		}
	}
	return grown
}

// requests are requests by which somebody has changed something, by what they were, such as "PATCH users/status".
type requests map[string]float64

// refusedRequests is the key of those that the API server did not do.
const refusedRequests = "refused"

// readRequests counts what the operator may write, as the API server counts it itself. Leases are left out.
func readRequests(text string) requests {
	counts := requests{}
	for _, s := range readSeries(text, "apiserver_request_total") {
		if slices.Contains([]string{"GET", "LIST", "WATCH", "CONNECT", "WATCHLIST"}, s.labels["verb"]) || s.labels["dry_run"] != "" {
			continue
		}
		resource := s.labels["resource"]
		if group := s.labels["group"]; group != v1alpha1.GroupVersion.Group && !slices.Contains([]string{"rolebindings", "events", worksResource}, resource) {
			continue
		}
		if sub := s.labels["subresource"]; sub != "" {
			resource += "/" + sub
		}
		counts[s.labels["verb"]+" "+resource] += s.value
		if !strings.HasPrefix(s.labels["code"], "2") {
			counts[refusedRequests] += s.value
		}
	}
	return counts
}

// minus is what came after an earlier count.
func (r requests) minus(earlier requests) requests {
	grown := requests{}
	for what, count := range r {
		if more := count - earlier[what]; more != 0 {
			grown[what] = more
		}
	}
	return grown
}

// touching adds up those that concern people, Events apart.
func (r requests) touching() float64 {
	return r.sum(func(resource string) bool { return !summary(resource) && resource != "events" })
}

// summaries adds up those by which groups and organizations tell how many people they have, and policies whether they are
// in force.
func (r requests) summaries() float64 { return r.sum(summary) }

func summary(resource string) bool {
	return slices.Contains([]string{"groups/status", "organizations/status", "lifecyclepolicies/status"}, resource)
}

func (r requests) events() float64 {
	return r.sum(func(resource string) bool { return resource == "events" })
}

func (r requests) sum(counts func(resource string) bool) float64 {
	sum := 0.0
	for what, count := range r {
		if _, resource, found := strings.Cut(what, " "); found && counts(resource) {
			sum += count
		}
	}
	return sum
}

func (r requests) String() string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(r)) {
		parts = append(parts, fmt.Sprintf("%s %.0f", what, r[what]))
	}
	return strings.Join(parts, ", ")
}

// fetch reads a page.
func fetch(ctx context.Context, from *http.Client, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", url, err)
	}
	response, err := from.Do(request)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", url, err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("reading %s: %s", url, response.Status)
	}
	return string(content), nil
}

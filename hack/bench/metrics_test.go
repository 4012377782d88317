package main

import (
	"math"
	"testing"

	. "github.com/onsi/gomega"
)

const page = `# HELP apiserver_request_total Counter of apiserver requests
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="tenure.dev",resource="users",scope="resource",subresource="status",verb="PATCH",version="v1alpha1"} 12
apiserver_request_total{code="409",component="apiserver",dry_run="",group="tenure.dev",resource="users",scope="resource",subresource="status",verb="PATCH",version="v1alpha1"} 3
apiserver_request_total{code="201",component="apiserver",dry_run="All",group="tenure.dev",resource="users",scope="resource",subresource="",verb="POST",version="v1alpha1"} 7
apiserver_request_total{code="201",component="apiserver",dry_run="",group="tenure.dev",resource="transitions",scope="resource",subresource="",verb="POST",version="v1alpha1"} 5
apiserver_request_total{code="200",component="apiserver",dry_run="",group="tenure.dev",resource="groups",scope="resource",subresource="status",verb="PATCH",version="v1alpha1"} 2
apiserver_request_total{code="200",component="apiserver",dry_run="",group="tenure.dev",resource="users",scope="cluster",subresource="",verb="LIST",version="v1alpha1"} 100
apiserver_request_total{code="201",component="apiserver",dry_run="",group="events.k8s.io",resource="events",scope="resource",subresource="",verb="POST",version="v1"} 4
apiserver_request_total{code="200",component="apiserver",dry_run="",group="rbac.authorization.k8s.io",resource="rolebindings",scope="resource",subresource="",verb="DELETE",version="v1"} 6
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 50
apiserver_request_total_other{verb="PATCH"} 9
go_gc_heap_live_bytes 1.5e+06
lat_bucket{name="a",le="0.025"} 3
lat_bucket{name="a",le="+Inf"} 4
lat_bucket{name="b",le="0.025"} 10
lat_bucket{name="b",le="+Inf"} 10
quoted{reason="a \"b\", c=\"d\""} 1
`

func TestRequests(t *testing.T) {
	g := NewWithT(t)
	counts := readRequests(page)
	g.Expect(counts).To(Equal(requests{
		"PATCH users/status": 15, "POST transitions": 5, "PATCH groups/status": 2, "POST events": 4, "DELETE rolebindings": 6, refusedRequests: 3,
	}))
	g.Expect(counts.touching()).To(Equal(26.0))
	g.Expect(counts.summaries()).To(Equal(2.0))
	g.Expect(counts.events()).To(Equal(4.0))
	g.Expect(counts.minus(requests{"PATCH users/status": 10, "POST transitions": 5, "PATCH groups/status": 2, "POST events": 4, refusedRequests: 3})).
		To(Equal(requests{"PATCH users/status": 5, "DELETE rolebindings": 6}))
	g.Expect(requests{"POST b": 2, "PATCH a": 1}.String()).To(Equal("PATCH a 1, POST b 2"))
}

func TestSeries(t *testing.T) {
	g := NewWithT(t)
	g.Expect(total(page, "go_gc_heap_live_bytes")).To(Equal(1.5e6))
	g.Expect(total(page, "apiserver_request_total", "verb", "LIST")).To(Equal(100.0))
	g.Expect(total(page, "apiserver_request")).To(BeZero(), "a name that another one begins with")
	g.Expect(readSeries(page, "quoted")[0].labels).To(HaveKeyWithValue("reason", `a \"b\", c=\"d\"`))
	before := histogram(page, "lat", "name", "a")
	g.Expect(before).To(Equal([]bucket{{0.025, 3}, {math.Inf(1), 4}}))
	g.Expect(since(before, histogram(page, "lat"))).To(Equal([]bucket{{0.025, 10}, {math.Inf(1), 10}}))
	g.Expect(looked(`controller_runtime_reconcile_total{controller="user",result="success"} 3`+"\n"+
		`controller_runtime_reconcile_total{controller="user",result="requeue_after"} 4`, "user")).To(Equal(7))
	g.Expect(idle(`workqueue_depth{name="user",priority="0"} 0` + "\n" + `controller_runtime_active_workers{controller="user"} 1`)).To(BeFalse())
	g.Expect(idle(`workqueue_depth{name="user",priority="0"} 0`)).To(BeTrue())
}

// Package metrics holds the operator's own Prometheus metrics. What controller-runtime counts already (reconciles,
// errors, queues) is not counted again.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/lifecycle"
)

var (
	users = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tenure_users",
		Help: "Users of an organization by state.",
	}, []string{"organization", "state"})

	lateness = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "tenure_deadline_lateness_seconds",
		Help:    "Time from a declared instant until its change of state was in force and recorded.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600},
	}, []string{"kind"})

	transitions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tenure_transitions_total",
		Help: "Changes of state by kind of subject, state entered and cause.",
	}, []string{"kind", "to", "cause"})

	blocked = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tenure_blocked",
		Help: "Users of an organization whose departure a guard holds back.",
	}, []string{"organization"})

	grantChanges = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tenure_grant_changes_total",
		Help: "RoleBindings made, put right and taken away.",
	}, []string{"operation"})

	cascades = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tenure_cascades",
		Help: "Transitions of an organization whose effects are not all done, by the reason of their Complete condition.",
	}, []string{"organization", "reason"})

	effectObjects = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tenure_effect_objects_total",
		Help: "Objects on which effects acted, by action and outcome.",
	}, []string{"action", "outcome"})

	clockSkew = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tenure_clock_skew_seconds",
		Help: "How far the operator's clock is ahead of the API server's; less than zero: behind.",
	})
)

func init() {
	metrics.Registry.MustRegister(users, lateness, transitions, blocked, grantChanges, cascades, effectObjects, clockSkew)
}

// Users says how many users of an organization are in a state.
func Users(organization string, state v1alpha1.State, count int32) {
	users.WithLabelValues(organization, string(state)).Set(float64(count))
}

// Blocked says how many departures of an organization a guard holds back.
func Blocked(organization string, count int) {
	blocked.WithLabelValues(organization).Set(float64(count))
}

// Forget drops what was said about an organization.
func Forget(organization string) {
	users.DeletePartialMatch(prometheus.Labels{"organization": organization})
	blocked.DeleteLabelValues(organization)
}

// Change counts a change of state that was recorded, and how late it was where a declared time brought it.
func Change(t *v1alpha1.TransitionSpec, now time.Time) {
	transitions.WithLabelValues(string(t.Subject.Kind), string(t.To), string(t.Cause.Type)).Inc()
	if change := (lifecycle.Change{From: t.From, Cause: t.Cause}); change.Automatic() && !change.Baseline() {
		lateness.WithLabelValues(string(t.Subject.Kind)).Observe(max(0, now.Sub(t.Time.Time).Seconds()))
	}
}

// Operations on RoleBindings.
const (
	GrantCreated = "create"
	GrantUpdated = "update"
	GrantDeleted = "delete"
)

// GrantChanged counts an operation on a RoleBinding.
func GrantChanged(operation string) {
	grantChanges.WithLabelValues(operation).Inc()
}

// Cascades counts a Transition in or out of those whose effects are not all done for a reason. An empty reason is none.
func Cascades(organization, before, now string) {
	if before == now {
		return
	}
	if before != "" {
		cascades.WithLabelValues(organization, before).Dec()
	}
	if now != "" {
		cascades.WithLabelValues(organization, now).Inc()
	}
}

// Outcomes of an effect on one object.
const (
	EffectDone    = "done"
	EffectLeft    = "left"
	EffectWaiting = "waiting"
	EffectFailed  = "failed"
)

// EffectActed counts what came of an effect on one object.
func EffectActed(action v1alpha1.EffectAction, outcome string) {
	effectObjects.WithLabelValues(string(action), outcome).Inc()
}

// ClockSkew says how far the operator's clock is ahead of the API server's.
func ClockSkew(ahead time.Duration) {
	clockSkew.Set(ahead.Seconds())
}

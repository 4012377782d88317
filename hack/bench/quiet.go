package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/hack/local"
)

const (
	restBar       = 0.5 // percent of a core
	policyBar     = 10  // seconds
	admissionBar  = 1.3
	webhookBar    = 0.025 // seconds: a bound of the API server's own histogram
	pacedEach     = 20 * time.Millisecond
	webhookShare  = 0.99
	webhookMetric = "apiserver_admission_webhook_admission_duration_seconds"
)

// quiet measures P10 and P11, and then leaves the operator alone for P6 while others are measured: what it does then
// takes minutes to see, and nearly nothing of the machine.
func (b *bench) quiet(ctx context.Context) (measures []measure, err error) {
	s, err := newScene(ctx, b, local.Options{})
	if err != nil {
		return nil, err
	}
	leave := false
	defer func() {
		if !leave {
			err = errors.Join(err, s.end())
		}
	}()
	mould, err := s.newMould(ctx, nameIn("mould", 0), true, crew, club)
	if err != nil {
		return nil, err
	}
	s.stop()
	size := s.sizes.rest
	if _, err := s.pour(ctx, mould, "rest", size, never); err != nil {
		return nil, err
	}
	if _, err := s.startSettled(ctx, size, 2*size); err != nil {
		return nil, err
	}
	if err := s.expectServed(ctx, map[string]int{users: size, memberships: 2 * size, bindings: 2 * size, transitions: 3 * size}); err != nil {
		return nil, err
	}
	measures = append(measures, b.try(ctx, "P11", func() (measure, error) { return s.policyEdits(ctx) })...)
	measures = append(measures, b.try(ctx, "P10", func() (measure, error) { return s.admission(ctx) })...)
	if !b.wanted("P6") {
		return measures, nil
	}
	wait, err := s.rest(ctx)
	if err != nil {
		return append(measures, failed("P6", size, err)), nil
	}
	leave = true
	b.pending = append(b.pending, func() ([]measure, error) {
		measures := b.try(ctx, "P6", wait)
		return measures, s.end()
	})
	return measures, nil
}

// rest begins to watch an operator that has nothing to do. What is returned waits for the end.
func (s *scene) rest(ctx context.Context) (func() (measure, error), error) {
	if err := errors.Join(s.awaitIdle(ctx), s.settle(ctx)); err != nil {
		return nil, err
	}
	before, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	s.say("P6: the operator is watched at rest for %s, while others are measured", s.sizes.restFor)
	type end struct {
		spent *effort
		err   error
	}
	over := make(chan end, 1)
	go func() {
		if err := pause(ctx, began.Add(s.sizes.restFor)); err != nil {
			over <- end{nil, err}
			return
		}
		spent, err := s.effortSince(ctx, before)
		if err == nil {
			spent.Seconds = time.Since(began).Seconds()
		}
		over <- end{spent, err}
	}()
	return func() (measure, error) {
		e := <-over
		if e.err != nil {
			return measure{}, e.err
		}
		percent := 100 * e.spent.OperatorCPU / e.spent.Seconds
		m := of("P6", s.sizes.rest, 1, "% of a core", restBar, []round{{Ratio: percent, Operator: e.spent}})
		for _, of := range []*float64{&m.WritesPerUser, &m.EventsPerUser, &m.OperatorCPU, &m.APIServerCPU, &m.StoreCPU} {
			*of /= e.spent.Seconds
		}
		written := e.spent.Writes + e.spent.Summaries + e.spent.Events
		m.Figures["writes"], m.Figures["seconds"] = written, e.spent.Seconds
		m.require(written == 0, "There were %.0f writes (%s)", written, e.spent.Requests)
		m.remark("With %s memberships, for %.0f s; other measures were taken meanwhile, in clusters of their own", thousands(2*s.sizes.rest), e.spent.Seconds)
		return m, nil
	}, nil
}

// policyEdits measures P11: how long it takes until everybody under a policy was looked at who is not changed by its edit.
func (s *scene) policyEdits(ctx context.Context) (measure, error) {
	var rounds []round
	size := s.sizes.rest
	touched := 0.0
	for i := range s.sizes.rounds {
		said, err := s.operator.said(ctx)
		if err != nil {
			return measure{}, err
		}
		already := looked(said, "user")
		before, err := s.look(ctx)
		if err != nil {
			return measure{}, err
		}
		began := time.Now()
		path := fmt.Sprintf("/apis/tenure.dev/v1alpha1/namespaces/%s/lifecyclepolicies/%s", organization, policyName)
		if err := s.asAdmin.send(ctx, http.MethodPatch, path, merge, fmt.Sprintf(`{"spec":{"messages":{"expired":"Ask your manager, %d."}}}`, i)); err != nil {
			return measure{}, err
		}
		var done time.Time
		if err := s.eventually(ctx, "everybody to be looked at", func(ctx context.Context) (bool, error) {
			said, err := s.operator.said(ctx)
			done = time.Now()
			return err == nil && looked(said, "user") >= already+size && idle(said), err
		}); err != nil {
			return measure{}, err
		}
		if err := s.settle(ctx); err != nil {
			return measure{}, err
		}
		spent, err := s.effortSince(ctx, before)
		if err != nil {
			return measure{}, err
		}
		spent.Seconds = done.Sub(began).Seconds()
		for what, count := range spent.Requests {
			if strings.Contains(what, users) || strings.Contains(what, memberships) || strings.Contains(what, transitions) {
				touched += count
			}
		}
		rounds = append(rounds, round{Ratio: spent.Seconds, Operator: spent})
		s.say("P11 round %d: %.1f s, %s", i+1, spent.Seconds, spent.Requests)
	}
	m := of("P11", size, size, "s", policyBar, rounds)
	m.Figures["writesToUsers"] = touched
	m.require(touched == 0, "There were %.0f writes about users", touched)
	m.remark("From the edit of a message until the operator has looked at every user again and is idle; the writes are the edit and the policy's own status")
	return m, nil
}

// configurations are what makes the API server ask the operator.
type configurations struct {
	validating admissionregistrationv1.ValidatingWebhookConfiguration
	mutating   admissionregistrationv1.MutatingWebhookConfiguration
}

// admission measures P10, with an operator that stands by: it answers the API server and does nothing else, so that what is
// written has no consequences for which both would pay.
func (s *scene) admission(ctx context.Context) (measure, error) {
	s.stop()
	flags, err := s.standingBy(ctx)
	if err != nil {
		return measure{}, err
	}
	if err := s.start(ctx, flags...); err != nil {
		return measure{}, err
	}
	if err := s.cluster.AwaitWebhooks(ctx); err != nil {
		return measure{}, err
	}
	m, err := s.admissionRounds(ctx)
	s.stop()
	return m, errors.Join(err, s.start(ctx), s.cluster.AwaitWebhooks(ctx))
}

func (s *scene) admissionRounds(ctx context.Context) (measure, error) {
	var c configurations
	key := client.ObjectKey{Name: "tenure"}
	if err := errors.Join(s.admin.Get(ctx, key, &c.validating), s.admin.Get(ctx, key, &c.mutating)); err != nil {
		return measure{}, fmt.Errorf("reading who is asked: %w", err)
	}
	var rounds []round
	size := s.sizes.writes
	for i := range s.sizes.rounds {
		var with, without *effort
		err := turns(i, func() (err error) {
			with, err = s.writes(ctx, size, fmt.Sprintf("with %d", i))
			return err
		}, func() (err error) {
			if err := s.askNobody(ctx, &c); err != nil {
				return err
			}
			without, err = s.writes(ctx, size, fmt.Sprintf("without %d", i))
			return errors.Join(err, s.askAgain(ctx, &c))
		})
		if err != nil {
			return measure{}, err
		}
		rounds = append(rounds, round{Ratio: with.Seconds / without.Seconds, Operator: with, Bare: without})
		s.say("P10 round %d: %d writes take %.1f s with the webhooks and %.1f s without: %.2f ×", i+1, size, with.Seconds, without.Seconds, rounds[i].Ratio)
	}
	m := of("P10", size, size, "×", admissionBar, rounds)
	err := s.pacedWrites(ctx, &m)
	return m, err
}

// writes turns users to OnBreak and back, eight at a time, as an administrator.
func (s *scene) writes(ctx context.Context, size int, reason string) (*effort, error) {
	before, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := parallel(size, func(i int) error { return s.write(ctx, i, reason) }); err != nil {
		return nil, err
	}
	seconds := time.Since(began).Seconds()
	spent, err := s.effortSince(ctx, before)
	if err != nil {
		return nil, err
	}
	spent.Seconds = seconds
	return spent, nil
}

// write changes what is declared about somebody's lifecycle.
func (s *scene) write(ctx context.Context, i int, reason string) error {
	return s.asAdmin.send(ctx, http.MethodPatch, pathOf(users, nameIn("rest", i%s.sizes.rest)), merge,
		fmt.Sprintf(`{"spec":{"desiredStatus":"OnBreak","reason":%q}}`, reason))
}

// pacedWrites adds how fast the webhooks answer at 50 writes in a second.
func (s *scene) pacedWrites(ctx context.Context, m *measure) error {
	said, err := s.said(ctx)
	if err != nil {
		return err
	}
	before := histogram(said, webhookMetric, "name", "users.tenure.dev")
	count := int(s.sizes.paced / pacedEach)
	durations, failures := make([]float64, count), make([]error, count)
	var underWay sync.WaitGroup
	begin := time.Now()
	for i := range count {
		if err := pause(ctx, begin.Add(time.Duration(i)*pacedEach)); err != nil {
			return err
		}
		underWay.Go(func() {
			sent := time.Now()
			failures[i] = s.write(ctx, i, fmt.Sprintf("paced %d", i))
			durations[i] = 1000 * time.Since(sent).Seconds()
		})
	}
	underWay.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	if said, err = s.said(ctx); err != nil {
		return err
	}
	asked := since(before, histogram(said, webhookMetric, "name", "users.tenure.dev"))
	m.Figures["webhookP99Milliseconds"] = 1000 * quantileOf(asked, webhookShare)
	m.Figures["webhookMedianMilliseconds"] = 1000 * quantileOf(asked, .5)
	m.Figures["webhookWithinBar"] = shareWithin(asked, webhookBar)
	m.Figures["writeP99Milliseconds"] = quantile(durations, webhookShare)
	m.Figures["writeMedianMilliseconds"] = median(durations)
	m.require(m.Figures["webhookWithinBar"] >= webhookShare, "%.1f %% of the answers took at most %.0f ms", 100*m.Figures["webhookWithinBar"], 1000*webhookBar)
	m.remark("At 50 writes a second the webhook answers within %.0f ms in %.1f %% of the cases, and a whole write takes %.0f ms (median) to %.0f ms (p99). "+
		"The admission policies are in force in both cases; the operator stands by, so that nothing follows from the writes",
		1000*webhookBar, 100*m.Figures["webhookWithinBar"], m.Figures["writeMedianMilliseconds"], m.Figures["writeP99Milliseconds"])
	return nil
}

// askNobody takes the webhook configurations out, and waits until the API server knows.
func (s *scene) askNobody(ctx context.Context, c *configurations) error {
	if err := errors.Join(s.admin.Delete(ctx, c.validating.DeepCopy()), s.admin.Delete(ctx, c.mutating.DeepCopy())); err != nil {
		return fmt.Errorf("taking the webhooks out: %w", err)
	}
	return s.eventually(ctx, "nobody to be asked", func(ctx context.Context) (bool, error) {
		before, err := s.asked(ctx)
		if err != nil {
			return false, err
		}
		for i := range 3 { // one that was not asked may have been lucky
			if err := s.write(ctx, i, "probe "+time.Now().Format(time.RFC3339Nano)); err != nil {
				return false, err
			}
		}
		after, err := s.asked(ctx)
		return err == nil && after == before, err
	})
}

// asked is how often the webhooks for users were called.
func (s *scene) asked(ctx context.Context) (float64, error) {
	said, err := s.said(ctx)
	return total(said, "apiserver_admission_webhook_request_total", "name", "users.tenure.dev"), err
}

// askAgain puts the webhook configurations back, and waits until they are in force.
func (s *scene) askAgain(ctx context.Context, c *configurations) error {
	anew := func(m metav1.ObjectMeta) metav1.ObjectMeta { return metav1.ObjectMeta{Name: m.Name, Labels: m.Labels} }
	validating, mutating := c.validating.DeepCopy(), c.mutating.DeepCopy()
	validating.ObjectMeta, mutating.ObjectMeta = anew(validating.ObjectMeta), anew(mutating.ObjectMeta)
	if err := errors.Join(s.admin.Create(ctx, validating), s.admin.Create(ctx, mutating)); err != nil {
		return fmt.Errorf("putting the webhooks back: %w", err)
	}
	return s.cluster.AwaitWebhooks(ctx)
}

// standingBy are the flags of an operator that never gets to act, because nobody lets go of the lease.
func (s *scene) standingBy(ctx context.Context) ([]string, error) {
	const namespace, nobody = "nobody", "nobody"
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: "tenure", Namespace: namespace},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity: new(nobody), LeaseDurationSeconds: new(int32(math.MaxInt32)),
				AcquireTime: &metav1.MicroTime{Time: time.Now()}, RenewTime: &metav1.MicroTime{Time: time.Now()},
			},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "standby", Namespace: namespace},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: local.OperatorUser}},
		},
	} {
		if err := client.IgnoreAlreadyExists(s.admin.Create(ctx, object)); err != nil {
			return nil, fmt.Errorf("preparing to stand by: %w", err)
		}
	}
	return slices.Clone([]string{"--leader-elect", "--leader-election-namespace=" + namespace}), nil
}

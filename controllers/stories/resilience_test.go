package stories

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// First of all: what it counts is of everybody, and other stories leave much behind that is still being cleared away.
var _ = Describe("A crowd", Serial, Ordered, SpecPriority(1), func() {
	var crew *crowd

	BeforeAll(func(ctx context.Context) { crew = newCrowd(ctx, fromEnvironment("STORM", 1000)) })

	It("is left alone at rest, also by an operator that starts anew", func(ctx context.Context) {
		crew.expectRest(ctx, time.Duration(fromEnvironment("REST_SECONDS", 15))*time.Second)
	})

	It("expires in one second: everybody once, and nobody is lost, although the operator is killed again and again meanwhile (case 15)",
		Label("S1.15", "S1.29"), func(ctx context.Context) {
			before := crew.history(ctx)
			at := crew.expire(ctx, 0)
			for left := crew.size; left > crew.size/2; {
				crew.eventually(crew.granted(ctx), BeNumerically("<", left))
				shared.kill()
				left = must(crew.granted(ctx)())
				Expect(left).To(BeNumerically(">", 0), "the middle of it")
				shared.startAgain()
			}
			crew.eventually(crew.some(ctx, "!=Expired"), BeEmpty())
			AddReportEntry("seconds from the instant until everybody was expired", time.Since(at(0)).Seconds())
			crew.expectExpiredOnce(ctx, at, before)
		})
})

var _ = Describe("Two replicas", Serial, func() {
	const lease = 5 * time.Second
	var leader *operator

	BeforeEach(func(ctx context.Context) {
		shared.stop()
		DeferCleanup(shared.startAgain)
		election := []string{"--leader-elect", "--leader-election-namespace=" + operatorNamespace, "--leader-election-lease-duration=" + lease.String()}
		before := must(leaderNow(ctx))
		leader = startOperator("leader", election...)
		Eventually(leaderNow).WithArguments(ctx).Should(And(Not(BeEmpty()), Not(Equal(before))))
		standby := startOperator("standby", election...)
		Eventually(standby.Ready).WithContext(ctx).Should(Succeed())
	})

	DescribeTable("nobody is lost and nobody is dealt with twice", func(ctx context.Context, end func(*operator), within time.Duration) {
		crew := newCrowd(ctx, 80)
		before := crew.history(ctx)
		// The leader ends in the middle of the first half; the second half is due when nobody leads.
		at := crew.expire(ctx, 2*time.Second)
		Eventually(crew.granted(ctx)).Should(BeNumerically("<", crew.size))
		first := must(leaderNow(ctx))
		end(leader)
		ended := time.Now()
		Eventually(func(g Gomega) {
			g.Expect(leaderNow(ctx)).NotTo(Equal(first))
			g.Expect(crew.granted(ctx)()).To(BeNumerically("<", crew.size/2))
		}).WithTimeout(within).Should(Succeed())
		AddReportEntry("seconds until the standby went on", time.Since(ended).Seconds())
		crew.eventually(crew.some(ctx, "!=Expired"), BeEmpty())
		crew.expectExpiredOnce(ctx, at, before)
	},
		Entry("when the leader is killed: the standby goes on within the time of the lease and 3 seconds", Label("S1.15", "S1.29"),
			(*operator).kill, lease+3*time.Second),
		Entry("when the leader is told to end: the standby goes on within 3 seconds", Label("S1.15", "S1.29"),
			(*operator).stop, 3*time.Second),
	)
})

// leaderNow is the replica that holds the lease; empty when none does.
func leaderNow(ctx context.Context) (string, error) {
	lease := &coordinationv1.Lease{}
	err := admin.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: "tenure"}, lease)
	return ptr.Deref(lease.Spec.HolderIdentity, ""), client.IgnoreNotFound(err)
}

// crowd is a group of many people. Each of them has real access in one namespace.
type crowd struct {
	*organization
	size   int
	target string
}

// crowdType is the userType by which one finds the crowd among the organization's users.
const crowdType = "Hand"

// newCrowd creates a crowd and waits until everybody has access.
func newCrowd(ctx context.Context, size int) *crowd {
	GinkgoHelper()
	acme := newOrganization(ctx)
	c := &crowd{organization: acme, size: size, target: acme.newTarget(ctx)}
	acme.createGroup(ctx, "crew", granting("Hand", "view", c.target))
	c.each(func(name string) {
		acme.createUser(ctx, name, func(u *v1alpha1.User) { u.Spec.UserType = crowdType })
		acme.join(ctx, name, "crew", withRoles("Hand"))
	})
	DeferCleanup(c.clearAway)
	c.expectAccess(ctx)
	return c
}

// clearAway ends the crowd before another story begins, in which the operator would still be busy with it.
func (c *crowd) clearAway(ctx context.Context) {
	Expect(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.name}})).To(Succeed())
	for _, list := range []client.ObjectList{&v1alpha1.UserList{}, &v1alpha1.MembershipList{}} {
		c.eventually(func() (int, error) {
			err := admin.List(ctx, list, client.InNamespace(c.name), client.Limit(1))
			return meta.LenList(list), err
		}, BeZero())
	}
}

// each does something about everybody, for as many at a time as the API server serves.
func (c *crowd) each(do func(name string)) {
	GinkgoHelper()
	workqueue.ParallelizeUntil(context.Background(), 16, c.size, func(i int) {
		defer GinkgoRecover()
		do(fmt.Sprintf("hand-%05d", i))
	})
}

// eventually waits for what takes the longer the larger the crowd is.
func (c *crowd) eventually(actual any, matcher types.GomegaMatcher) {
	GinkgoHelper()
	Eventually(actual).WithTimeout(soon + time.Duration(c.size)*100*time.Millisecond).WithPolling(25 * often).Should(matcher)
}

// expire lets everybody expire at one instant, the second half so much later, and tells when each is to. It leaves the API
// server time to be told of all of them.
func (c *crowd) expire(ctx context.Context, later time.Duration) (at func(i int) time.Time) {
	GinkgoHelper()
	first := inSeconds(1 + c.size/200)
	at = func(i int) time.Time {
		if i < c.size/2 {
			return first
		}
		return first.Add(later)
	}
	c.each(func(name string) {
		patch := `{"spec":{"expirationTime":"` + at(handOf(name)).UTC().Format(time.RFC3339) + `"}}`
		Expect(c.patchUser(ctx, admin, name, patch)).To(Succeed())
	})
	return at
}

// handOf is which one of the crowd it is.
func handOf(name string) (i int) {
	GinkgoHelper()
	Expect(fmt.Sscanf(name, "hand-%d", &i)).To(Equal(1))
	return i
}

// expectAccess waits until everybody has access, and everything that counts them says so.
func (c *crowd) expectAccess(ctx context.Context) {
	GinkgoHelper()
	c.eventually(c.some(ctx, "!=Activated"), BeEmpty())
	c.expectCounts(ctx, v1alpha1.UserCounts{Total: int32(c.size) + 1, Active: 1, Activated: int32(c.size)}, c.size)
	c.eventually(c.granted(ctx), Equal(c.size))
}

// expectCounts waits for what the organization says about its users, and the group about its members.
func (c *crowd) expectCounts(ctx context.Context, users v1alpha1.UserCounts, active int) {
	GinkgoHelper()
	c.eventually(c.settings(ctx), HaveField("Status.Users", users))
	c.eventually(c.group(ctx, "crew"), HaveField("Status.Members", v1alpha1.MembershipCounts{Active: int32(active), Total: int32(c.size)}))
}

// expectExpiredOnce looks at everybody after they have expired, each when it was to: no access is left, and there is one record
// more of each user than before, which says so, none of a membership, and one Event more at most.
func (c *crowd) expectExpiredOnce(ctx context.Context, due func(i int) time.Time, before history) {
	GinkgoHelper()
	Expect(c.granted(ctx)()).To(BeZero())
	c.expectCounts(ctx, v1alpha1.UserCounts{Total: int32(c.size) + 1, Active: 1, Expired: int32(c.size)}, 0)

	var users v1alpha1.UserList
	Expect(admin.List(ctx, &users, client.InNamespace(c.name), client.MatchingFields{"spec.userType": crowdType})).To(Succeed())
	after := c.history(ctx)
	wrong := []string{}
	for i := range users.Items {
		user := &users.Items[i]
		at := due(handOf(user.Name))
		if user.Status.Access != v1alpha1.AccessDenied || !user.Status.StateTime.Time.Equal(at) {
			wrong = append(wrong, fmt.Sprintf("%s has access %s since %s", user.Name, user.Status.Access, user.Status.StateTime))
		}
		was, is := before.records[user.Name], after.records[user.Name]
		if len(is) != len(was)+1 || changeIn(is[len(is)-1]) != "Activated→Expired(Expired)" ||
			!is[len(is)-1].Spec.Time.Time.Equal(at) || is[len(is)-1].Spec.ObservedTime.Time.Before(at) {
			wrong = append(wrong, fmt.Sprintf("%s had %d records and has %d", user.Name, len(was), len(is)))
		}
		if n := after.announced[user.Name] - before.announced[user.Name]; n > 1 {
			wrong = append(wrong, fmt.Sprintf("%s was told of %d times", user.Name, n))
		}
	}
	Expect(wrong).To(BeEmpty())
	Expect(after.ofMemberships).To(Equal(before.ofMemberships), "pausing is in the user's own record")
}

// some is one of the crowd whose state is such as a field selector says, or nobody.
func (c *crowd) some(ctx context.Context, state string) func() ([]string, error) {
	return func() ([]string, error) {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("UserList"))
		selector, err := fields.ParseSelector("spec.userType=" + crowdType + ",status.state" + state)
		if err != nil {
			return nil, err
		}
		err = admin.List(ctx, list, client.InNamespace(c.name), client.MatchingFieldsSelector{Selector: selector}, client.Limit(1))
		names := []string{}
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		return names, err
	}
}

// granted counts the RoleBindings of everybody.
func (c *crowd) granted(ctx context.Context) func() (int, error) {
	return func() (int, error) {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(rbacv1.SchemeGroupVersion.WithKind("RoleBindingList"))
		err := admin.List(ctx, list, client.InNamespace(c.target), client.MatchingLabels{v1alpha1.LabelOrganization: c.name})
		return len(list.Items), err
	}
}

// announced counts for each user how often an Event told that they are expired.
func (c *crowd) announced(ctx context.Context) func() (map[string]int, error) {
	return func() (map[string]int, error) {
		var list eventsv1.EventList
		err := admin.List(ctx, &list, client.InNamespace(c.name))
		times := map[string]int{}
		for i := range list.Items {
			if e := &list.Items[i]; e.Reason == string(v1alpha1.StateExpired) && e.Regarding.Kind == string(v1alpha1.SubjectUser) {
				times[e.Regarding.Name]++
				if e.Series != nil {
					times[e.Regarding.Name] += int(e.Series.Count) - 1
				}
			}
		}
		return times, err
	}
}

// history is what the cluster keeps about the changes of a crowd.
type history struct {
	// records of each user, oldest first.
	records map[string][]*v1alpha1.Transition

	// ofMemberships counts the records of memberships.
	ofMemberships int

	// announced counts for each user how often an Event told that they are expired.
	announced map[string]int
}

func (c *crowd) history(ctx context.Context) history {
	GinkgoHelper()
	h := history{records: map[string][]*v1alpha1.Transition{}}
	var transitions v1alpha1.TransitionList
	Expect(admin.List(ctx, &transitions, client.InNamespace(c.name))).To(Succeed())
	slices.SortFunc(transitions.Items, func(a, b v1alpha1.Transition) int { return number(a.Name) - number(b.Name) })
	for i := range transitions.Items {
		switch record := &transitions.Items[i]; record.Spec.Subject.Kind {
		case v1alpha1.SubjectUser:
			h.records[record.Spec.Subject.Name] = append(h.records[record.Spec.Subject.Name], record)
		case v1alpha1.SubjectMembership:
			h.ofMemberships++
		}
	}
	var err error
	h.announced, err = c.announced(ctx)()
	Expect(err).NotTo(HaveOccurred())
	return h
}

// fromEnvironment is a size that one may choose when running the stories by hand.
func fromEnvironment(name string, otherwise int) int {
	GinkgoHelper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	Expect(err).NotTo(HaveOccurred(), name)
	return n
}

package stories

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// exit is a way to leave, and the way back.
type exit struct {
	leave func(ctx context.Context, by client.Client, name string) error
	back  func(ctx context.Context, name string)
}

var _ = Describe("Two who leave at the same moment", Serial, func() {
	It("and are the last administrators: one stays, whatever way they go, whichever replica is asked", func(ctx context.Context) {
		shared.answer()
		acme := newOrganization(ctx)
		acme.leaveToAnn(ctx)
		acme.createUser(ctx, "zoe", role("Admin"), wasActive)
		exits := []exit{
			acme.userExit(deactivates, reactivates), acme.userExit(suspends, reactivates), acme.userExit(removes, reactivates),
			acme.userExit(`{"spec":{"expirationTime":"2020-01-01T00:00:00Z"}}`, `{"spec":{"expirationTime":null}}`),
			acme.userExit(`{"spec":{"startTime":"2040-01-01T00:00:00Z"}}`, `{"spec":{"startTime":null}}`),
			acme.userExit(`{"spec":{"absences":[{"name":"leave","startTime":"2020-01-01T00:00:00Z"}]}}`, `{"spec":{"absences":null}}`),
			acme.userExit(`{"spec":{"role":"Manager"}}`, `{"spec":{"role":"Admin"}}`),
			acme.userExit(`{"spec":{"holds":[{"name":"audit","status":"Suspended"}]}}`, `{"metadata":{"annotations":{"tenure.dev/release":"audit"}}}`),
			acme.endOfUser(role("Admin"), wasActive),
		}
		compete(ctx, fromEnvironment("ROUNDS", 2), exits, [2]string{"ann", "zoe"}, ContainSubstring("is the last active administrator of organization "+acme.name))
		Expect(acme.settings(ctx)()).To(HaveField("Status.Departures", Not(BeEmpty())))
	}, NodeTimeout(15*time.Minute))

	It("and are the last holders of a group's role: one stays", func(ctx context.Context) {
		shared.answer()
		acme := newOrganization(ctx)
		acme.createGroup(ctx, "room", func(g *v1alpha1.Group) {
			g.Spec.Roles = []v1alpha1.GroupRole{{Name: "Admin", MinimumActive: new(int32(1))}, {Name: "Reader"}}
		})
		for _, name := range []string{"alice", "bob"} {
			acme.createUser(ctx, name, wasActive)
			acme.join(ctx, name, "room", withRoles("Admin"))
			Eventually(acme.membershipStateOf(ctx, name+"-room")).Should(Equal(v1alpha1.StateActive))
		}
		exits := []exit{
			acme.userExit(deactivates, reactivates),
			acme.userExit(`{"spec":{"expirationTime":"2020-01-01T00:00:00Z"}}`, `{"spec":{"expirationTime":null}}`),
			acme.membershipExit(`{"spec":{"desiredStatus":"Deactivated"}}`, `{"spec":{"desiredStatus":"Active"}}`),
			acme.membershipExit(`{"spec":{"roles":["Reader"]}}`, `{"spec":{"roles":["Admin"]}}`),
			acme.membershipExit(`{"spec":{"expirationTime":"2020-01-01T00:00:00Z"}}`, `{"spec":{"expirationTime":null}}`),
			acme.endOfMembership(),
		}
		compete(ctx, fromEnvironment("ROUNDS", 2), exits, [2]string{"alice", "bob"}, ContainSubstring("group room has 0 active Admin and needs 1"))
	}, NodeTimeout(15*time.Minute))
})

// compete has two people leave at the same moment, in every combination of ways, so many times over.
func compete(ctx context.Context, times int, exits []exit, names [2]string, refused gomegatypes.GomegaMatcher) {
	GinkgoHelper()
	writers := [2]client.Client{clientFor(cluster.Admin()), clientFor(cluster.Admin())}
	rounds, began := 0, time.Now()
	for range times {
		for i, first := range exits {
			for j, second := range exits {
				ways, start := [2]exit{first, second}, make(chan struct{})
				var errs [2]error
				var both sync.WaitGroup
				for k := range ways {
					both.Go(func() {
						<-start
						errs[k] = ways[k].leave(ctx, writers[k], names[k])
					})
				}
				close(start)
				both.Wait()
				round := fmt.Sprintf("round %d, ways %d and %d: %v, %v", rounds, i, j, errs[0], errs[1])
				Expect(errs[:]).To(ConsistOf(BeNil(), MatchError(refused)), round)
				left := slices.Index(errs[:], nil)
				ways[left].back(ctx, names[left])
				rounds++
			}
		}
	}
	AddReportEntry(fmt.Sprintf("%d rounds in", rounds), time.Since(began))
}

func (o *organization) userExit(leave, back string) exit {
	return exit{
		leave: func(ctx context.Context, by client.Client, name string) error {
			return o.patchUser(ctx, by, name, leave)
		},
		back: func(ctx context.Context, name string) {
			GinkgoHelper()
			Expect(o.patchUser(ctx, admin, name, back)).To(Succeed())
			Eventually(o.user(ctx, name)).Should(HaveField("Spec.Holds", BeEmpty()))
		},
	}
}

func (o *organization) endOfUser(edits ...func(*v1alpha1.User)) exit {
	return exit{
		leave: func(ctx context.Context, by client.Client, name string) error { return by.Delete(ctx, o.newUser(name)) },
		back: func(ctx context.Context, name string) {
			GinkgoHelper()
			Eventually(func() error { return admin.Create(ctx, o.newUser(name, edits...)) }).Should(Succeed())
		},
	}
}

func (o *organization) membershipExit(leave, back string) exit {
	patch := func(ctx context.Context, by client.Client, name, patch string) error {
		return by.Patch(ctx, o.newMembership(name, "room"), client.RawPatch(types.MergePatchType, []byte(patch)))
	}
	return exit{
		leave: func(ctx context.Context, by client.Client, name string) error { return patch(ctx, by, name, leave) },
		back: func(ctx context.Context, name string) {
			GinkgoHelper()
			Expect(patch(ctx, admin, name, back)).To(Succeed())
		},
	}
}

func (o *organization) endOfMembership() exit {
	return exit{
		leave: func(ctx context.Context, by client.Client, name string) error {
			return by.Delete(ctx, o.newMembership(name, "room"))
		},
		back: func(ctx context.Context, name string) {
			GinkgoHelper()
			Eventually(func() error { return admin.Create(ctx, o.newMembership(name, "room", withRoles("Admin"))) }).Should(Succeed())
		},
	}
}

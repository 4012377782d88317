package stories

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/example"
)

// consequences has effects that differ in what they leave behind: some can be undone, some cannot, and some leave everything as it is.
const consequences = `
serviceAccountName: lifecycle
effects:
- name: deals
  "on": [Deactivated, Removed]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: "object.spec.class == 'deal'", action: Transfer, successors: [Successor, Owner]}
- name: tasks
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: "object.spec.class == 'task'", action: Delete}
- name: pages
  "on": [Removed]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.author}, action: Anonymize, fields: [{path: spec.author, value: Removed User, onReturn: Relink}]}
- name: notes
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: "object.spec.class == 'note'", action: Keep}
`

var _ = Describe("A preview", func() {
	Context("as whoever makes the change reads it", Ordered, ContinueOnFailure, func() {
		var acme *organization

		BeforeAll(func(ctx context.Context) { acme = newFirm(ctx) })

		// A dry run changes nothing: each of these finds the organization as it was.
		DescribeTable("says what a change will do that",
			func(line string, warnings ...string) {
				Expect(warned(acme.do(line, "--dry-run=server"))).To(Equal(warnings))
			},
			Entry("deactivates a user", `patch user alice `+deactivates,
				"alice: Active to Deactivated at once; access ends; 1 membership pauses; 1 RoleBinding goes; 2 effects on 5 objects",
				"alice: 1 object is kept; frees a seat; reason: A test",
				"alice: cannot be undone: 2 Work deleted",
				"alice: deals: Transfer 3 Work to dan",
				"alice: tasks: Delete 2 Work",
				"alice: notes: Keep 1 Work",
				"alice: told: Events on User alice; receives and is not told: dan; contact: People team <people@acme.example>",
			),
			Entry("suspends a user", `patch user alice `+suspends,
				"alice: Active to Suspended at once; access ends; 1 membership becomes Deactivated; 1 RoleBinding goes",
				"alice: 1 effect on 1 object; frees a seat; reason: A test",
				"alice: user-suspended: Deactivate 1 Membership",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			),
			Entry("removes a user, who may be linked again", `patch user alice `+removes,
				"alice: Active to Removed at once; access ends; 1 membership becomes Removed; 1 RoleBinding goes; 3 effects on 6 objects",
				"alice: frees a seat; reason: A test",
				"alice: deals: Transfer 3 Work to dan",
				"alice: pages: Anonymize 2 Work",
				"alice: user-removed: Remove 1 Membership",
				"alice: told: Events on User alice; receives and is not told: dan; contact: People team <people@acme.example>",
			),
			Entry("deletes a user, who may not", `delete user alice`,
				"alice: Active to Removed (deleted) at once; access ends; 1 membership becomes Removed; 1 RoleBinding goes",
				"alice: 3 effects on 6 objects; frees a seat",
				"alice: cannot be undone: the account ends, 2 Work anonymized",
				"alice: deals: Transfer 3 Work to dan",
				"alice: pages: Anonymize 2 Work",
				"alice: user-removed: Remove 1 Membership",
				"alice: told: Events on User alice; receives and is not told: dan; contact: People team <people@acme.example>",
			),
			Entry("reactivates a user", `patch user grace `+reactivates,
				"grace: Deactivated to Active at once; access comes back; takes a seat",
				"grace: told: Events on User grace; contact: People team <people@acme.example>",
			),
			Entry("gives a user a break", `patch user alice {"spec":{"desiredStatus":"OnBreak"}}`,
				"alice: Active to OnBreak at once; access stays",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			),
			Entry("sets a date", `patch user alice {"spec":{"expirationTime":"2040-01-01T00:00:00Z"}}`,
				"alice: Expired on 2040-01-01 00:00Z instead of never; access ends then; as things are now: 1 membership pauses",
				"alice: 1 RoleBinding goes; frees a seat",
				"alice: told: Events on User alice; contact: People team <people@acme.example>",
			),
			Entry("plans an absence", `patch user alice {"spec":{"absences":[{"name":"leave","startTime":"2040-01-10T08:00:00Z","endTime":"2040-06-01T00:00:00Z","reason":"Sabbatical"}]}}`,
				"alice: Deactivated on 2040-01-10 08:00Z instead of never; access ends then; as things are now: 1 membership pauses",
				"alice: 1 RoleBinding goes; 2 effects on 5 objects; 1 object is kept; frees a seat; reason: Sabbatical",
				"alice: cannot be undone: 2 Work deleted",
				"alice: deals: Transfer 3 Work to dan",
				"alice: tasks: Delete 2 Work",
				"alice: notes: Keep 1 Work",
				"alice: then: Active on 2040-06-01 00:00Z",
				"alice: told: Events on User alice; receives and is not told: dan; contact: People team <people@acme.example>",
			),
			Entry("sets a date for the last administrator, whom a guard holds back", `patch user ann {"spec":{"expirationTime":"2040-01-01T00:00:00Z"}}`,
				"ann: Expired on 2040-01-01 00:00Z instead of never; but a guard holds this back: last administrator",
				"ann: as things are now: frees a seat",
				"ann: told: Events on User ann; contact: People team <people@acme.example>",
			),
			Entry("plans an absence of the account owner, whom a guard holds back too", `patch user olivia {"spec":{"absences":[{"name":"leave","startTime":"2040-01-10T08:00:00Z"}]}}`,
				"olivia: Deactivated on 2040-01-10 08:00Z instead of never; but a guard holds this back: account owner",
				"olivia: as things are now: frees a seat",
				"olivia: told: Events on User olivia; contact: People team <people@acme.example>",
			),
			Entry("deactivates a membership", `patch membership alice-course {"spec":{"desiredStatus":"Deactivated"}}`,
				"alice-course: Active to Deactivated at once; 1 RoleBinding goes",
			),
			Entry("sets the date of a membership", `patch membership alice-course {"spec":{"expirationTime":"2040-01-01T00:00:00Z"}}`,
				"alice-course: Expired on 2040-01-01 00:00Z instead of never; as things are now: 1 RoleBinding goes",
			),
			Entry("deletes a membership", `delete membership alice-course`,
				"alice-course: Active to Removed (deleted) at once; 1 RoleBinding goes",
			),
			Entry("changes no state: nothing", `patch user alice {"spec":{"displayName":"Alice"}}`),
			Entry("holds back who is not there anyway: nothing", `patch user grace {"spec":{"holds":[{"name":"audit","status":"Deactivated"}]}}`),
			Entry("changes a membership otherwise: nothing", `patch membership alice-course {"metadata":{"labels":{"seen":"yes"}}}`),
		)

		It("tells of each object in a file, and of a creation only whoever asks", func() {
			file := []string{
				acme.declare("User", "alice", `{userName: `+acme.userName("alice")+`, desiredStatus: OnBreak}`),
				acme.declare("User", "dan", `{userName: `+acme.userName("dan")+`, desiredStatus: OnBreak}`),
				acme.declare("User", "eve", `{userName: `+acme.userName("eve")+`}`),
			}
			Expect(warned(kubectlWith(strings.Join(file, "\n---\n"), "apply --server-side --force-conflicts --dry-run=server --filename=-"))).To(ContainElements(
				"alice: Active to OnBreak at once; access stays", "dan: Active to OnBreak at once; access stays",
				"eve: created Activated; access begins; takes a seat"))
			Expect(warned(kubectlWith(acme.declare("User", "fay", `{userName: `+acme.userName("fay")+`}`), "apply --server-side --filename=-"))).To(BeEmpty())
		})

		It("tells in an editor too, once the change is made", func() {
			GinkgoT().Setenv("KUBE_EDITOR", "sed -i /desiredStatus:/s/Active/OnBreak/")
			Expect(warned(acme.do("edit user dan"))).To(HaveExactElements("dan: Active to OnBreak at once; access stays", HavePrefix("dan: told: ")))
			Expect(warned(acme.do(`patch user dan {"spec":{"desiredStatus":"Active"}}`))).To(HaveExactElements("dan: OnBreak to Active at once; access stays", HavePrefix("dan: told: ")))
		})

		It("comes in full where it is asked for, and is never kept", func(ctx context.Context) {
			const line = `patch user alice {"metadata":{"annotations":{"tenure.dev/preview":"full"}},"spec":{"desiredStatus":"Deactivated","reason":"Left"}}`
			printed, err := acme.do(line, "--dry-run=server", "--output=json")
			Expect(err).NotTo(HaveOccurred())
			plan := planIn(objectsIn(between(printed, "", "Warning: "))[0])
			Expect(plan.Effects).To(Equal([]foretoldEffect{
				{Effect: "deals", Action: v1alpha1.ActionTransfer, Kind: "Work", Targets: 3, Successor: "dan"},
				{Effect: "tasks", Action: v1alpha1.ActionDelete, Kind: "Work", Targets: 2},
				{Effect: "notes", Action: v1alpha1.ActionKeep, Kind: "Work", Targets: 1},
			}))
			Expect(plan.After).To(ConsistOf(HaveField("State", v1alpha1.StateDeactivated)))
			Expect(plan.Digest).To(HaveLen(12))

			By("writing for real")
			both := fmt.Sprintf(`{"metadata":{"annotations":{%q:"full",%q:"{}"}},"spec":{"displayName":"A"}}`, v1alpha1.AnnotationPreview, v1alpha1.AnnotationPlan)
			kept := HaveField("Annotations", Or(HaveKey(v1alpha1.AnnotationPreview), HaveKey(v1alpha1.AnnotationPlan)))
			Expect(acme.patchUser(ctx, admin, "alice", both)).To(Succeed())
			Expect(acme.user(ctx, "alice")()).NotTo(kept)
			Expect(acme.user(ctx, "alice")()).To(HaveField("Spec.DisplayName", "A"))
			Expect(acme.patchMembership(ctx, admin, "alice-course", strings.Replace(both, `"displayName":"A"`, `"reason":"A"`, 1))).To(Succeed())
			Expect(acme.membership(ctx, "alice-course")()).NotTo(kept)
			acme.createUser(ctx, "gus", func(u *v1alpha1.User) {
				annotate(u, v1alpha1.AnnotationPreview, v1alpha1.PreviewFull)
				annotate(u, v1alpha1.AnnotationPlan, "{}")
			})
			Expect(acme.user(ctx, "gus")()).NotTo(kept)
		})
	})

	It("has at most ten lines of 120 characters, whatever the policy does and whoever it is about", func(ctx context.Context) {
		var effects strings.Builder
		for i := range 30 {
			fmt.Fprintf(&effects, `
- name: %s
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, match: object.spec.number == %d, action: Delete}`, fmt.Sprint("effect-", i, "-", strings.Repeat("x", i)), i)
		}
		o := workingOrganization(ctx, "serviceAccountName: lifecycle\neffects:"+effects.String(), func(o *v1alpha1.Organization) {
			o.Spec.Contact = v1alpha1.Contact{Name: strings.Repeat("People team ", 20), Email: "people@acme.example"}
		})
		name := strings.Repeat("alice-", 10) + "ang"
		o.createUser(ctx, name, wasActive)
		Eventually(o.stateOf(ctx, name)).Should(Equal(v1alpha1.StateActive))
		for i := range 30 {
			o.createWork(ctx, fmt.Sprint("work-", i), fmt.Sprintf(`{owner: %s, number: %d}`, name, i))
		}
		const change = `{"spec":{"desiredStatus":"Deactivated","reason":"because it has to be so, and for no other reason than that, as far as anybody can tell now"}}`
		Eventually(o.plan).WithArguments(ctx, name, change).Should(HaveField("Effects", And(HaveLen(30), HaveEach(HaveField("Targets", int32(1))))))
		warnings := warned(o.do("patch user "+name+" "+change, "--dry-run=server"))
		Expect(warnings).To(And(HaveLen(10), HaveEach(WithTransform(func(line string) int { return len(line) }, BeNumerically("<=", 120)))))
		Expect(warnings).To(ContainElement(ContainSubstring("30 effects on 30 objects")))
		Expect(warnings).To(ContainElement(MatchRegexp(`and \d+ more on \d+ objects; all: dry run with tenure.dev/preview: full`)))
	})

	It("leaves no trace of a dry run, not even of the departure of the last but one administrator", func(ctx context.Context) {
		o := workingOrganization(ctx, consequences)
		o.createProgram(ctx, "course")
		o.createUser(ctx, "ann", role("Admin"), wasActive)
		o.enrol(ctx, "ann", v1alpha1.StateActive, "course")
		o.createWork(ctx, "task", `{owner: ann, class: task}`)
		Eventually(o.plan).WithArguments(ctx, "ann", deactivates).Should(HaveField("Effects", ContainElement(HaveField("Targets", int32(1)))))
		o.waitUntilAtRest(ctx)
		before, err := o.everyVersion(ctx)
		Expect(err).NotTo(HaveOccurred())
		for _, line := range []string{
			`patch user ann ` + deactivates, `patch user ann ` + suspends, `patch user ann ` + removes, `delete user ann`,
			`patch user ann {"metadata":{"annotations":{"tenure.dev/preview":"full"}},"spec":{"role":"Member"}}`,
			`patch user ann {"spec":{"expirationTime":"2020-01-01T00:00:00Z"}}`,
			`patch membership ann-course {"spec":{"desiredStatus":"Removed"}}`, `delete membership ann-course`,
		} {
			warned(o.do(line, "--dry-run=server"))
		}
		Expect(admin.Create(ctx, o.newUser("eve"), client.DryRunAll)).To(Succeed())
		Consistently(o.everyVersion).WithArguments(ctx).WithTimeout(time.Second).Should(Equal(before))

		warned(o.do(`patch user ann ` + deactivates))
		Expect(o.settings(ctx)()).To(HaveField("Status.Departures", ConsistOf(HaveField("Name", "ann"))), "as it is for real")
	})
})

var _ = Describe("A storm of changes that are refused", func() {
	It("harms nobody else", func(ctx context.Context) {
		const clients, each = 5, 40
		stormy, calm := newOrganization(ctx), newOrganization(ctx)
		reader := calm.metricsReader(ctx)
		stormy.govern(ctx, `guards: {leader: Refuse}`)
		stormy.createUser(ctx, "dave", wasActive)
		stormy.createGroup(ctx, "north", ledBy("dave"))
		calm.createUser(ctx, "kate", wasActive)
		calm.createUser(ctx, "eve", wasActive)
		Eventually(calm.stateOf(ctx, "eve")).Should(Equal(v1alpha1.StateActive))
		Eventually(calm.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateActive))
		Eventually(stormy.tries(ctx, admin, "dave", deactivates)).Should(MatchError(ContainSubstring("dave leads north")))
		jane := calm.judged(ctx, "tenure-admin", "jane")
		var angry []client.Client
		for i := range clients {
			angry = append(angry, stormy.judged(ctx, "tenure-admin", fmt.Sprint("angry-", i)))
		}

		date := inSeconds(1)
		calm.editUser(ctx, "eve", expires(date))
		var storm sync.WaitGroup
		var asked, refused atomic.Int32
		for i := range clients * each {
			storm.Go(func() {
				for first := true; first || time.Now().Before(date); first = false {
					err := stormy.patchUser(ctx, angry[i%clients], "dave", deactivates)
					if asked.Add(1); err != nil && strings.Contains(err.Error(), "dave leads north") {
						refused.Add(1)
					}
				}
			})
		}
		began := time.Now()
		Expect(calm.patchUser(ctx, jane, "kate", deactivates)).To(Succeed())
		AddReportEntry("somebody else's change in", time.Since(began))
		Eventually(calm.stateOf(ctx, "kate")).Should(Equal(v1alpha1.StateDeactivated))
		Eventually(calm.stateOf(ctx, "eve")).Should(Equal(v1alpha1.StateExpired))
		Expect(calm.transition(ctx, "user.eve.2")()).To(HaveField("Spec.ObservedTime.Time", BeTemporally("~", date, time.Second)))
		storm.Wait()
		AddReportEntry("changes refused", refused.Load())
		Expect(refused.Load()).To(And(BeNumerically(">=", clients*each), Equal(asked.Load())), "each with the guard's words, and none for want of an answer")
		Expect(stormy.stateOf(ctx, "dave")()).To(Equal(v1alpha1.StateActive))

		metrics, err := answering.scrape(ctx, reader)
		Expect(err).NotTo(HaveOccurred())
		AddReportEntry("bytes in use", gauge(metrics, "go_memstats_heap_inuse_bytes"))
		Expect(gauge(metrics, "go_memstats_heap_inuse_bytes")).To(And(BeNumerically(">", 1<<20), BeNumerically("<", 128<<20)))
	})
})

var _ = Describe("What is previewed", func() {
	for number := range fromEnvironment("WORLDS", 12) {
		It(fmt.Sprintf("is what is done, or refused, in random world %d", number), func(ctx context.Context) {
			w := newWorld(ctx, number)
			AddReportEntry("world", w.String())
			said, refusal := w.foretell(ctx)
			err := w.patchUser(ctx, admin, "alice", w.change)
			if refusal != nil {
				AddReportEntry("refused", refusal.Error())
				Expect(err).To(MatchError(refusal.Error()))
				Expect(w.user(ctx, "alice")()).To(HaveField("Generation", w.before.Generation))
				return
			}
			Expect(err).NotTo(HaveOccurred())
			Eventually(w.stateOf(ctx, "alice")).Should(Equal(said.After[0].State))
			if len(said.Effects) == 0 {
				Expect(w.newest(ctx).Spec.Plan).To(BeEmpty())
				return
			}
			if slices.ContainsFunc(said.Effects, foretoldEffect.stuck) { // Who is away already may go further: no guard asks for successors.
				Eventually(w.ledger(ctx, w.newest(ctx).Name)).Should(ContainElement("False Retrying"))
				return
			}
			Eventually(w.ledger(ctx, w.newest(ctx).Name)).Should(ContainElement("True Done"), "%+v", said.Effects)
			w.expectDone(ctx, said)
		})
	}
})

// world is an organization of which chance has decided who is there, who works on what, what the policy does, and what happens
// to alice.
type world struct {
	*organization
	chance  *rand.Rand
	effects []randomEffect
	policy  []string
	leader  string // what the policy says about leaders who leave
	start   string
	change  string
	before  *v1alpha1.User
}

// randomEffect is an effect on work of a class of its own.
type randomEffect struct {
	name, class, field, value string
	action                    v1alpha1.EffectAction
	least                     int // of spec.size
}

// newWorld makes the same world from the same seed.
func newWorld(ctx context.Context, number int) *world {
	GinkgoHelper()
	w := &world{chance: rand.New(rand.NewPCG(uint64(GinkgoRandomSeed()), uint64(number)))}
	w.inventPolicy()
	w.organization = workingOrganization(ctx, strings.Join(w.policy, "\n"))
	w.people(ctx)
	w.labour(ctx)
	w.change = one(w.chance,
		deactivates, deactivates, deactivates, deactivates, suspends, removes, reactivates, `{"spec":{"desiredStatus":"OnBreak"}}`, `{"spec":{"holds":[{"name":"audit","status":"Deactivated"}]}}`,
		`{"spec":{"holds":[{"name":"audit","status":"Suspended"}]}}`, `{"spec":{"expirationTime":"2020-01-01T00:00:00Z"}}`,
		`{"spec":{"startTime":"2040-01-01T00:00:00Z"}}`, `{"spec":{"absences":[{"name":"leave","startTime":"2020-01-01T00:00:00Z"}]}}`,
	)
	Eventually(w.stateOf(ctx, "alice")).ShouldNot(BeEmpty())
	w.waitForEffects(ctx, "alice")
	var err error
	w.before, err = w.user(ctx, "alice")()
	Expect(err).NotTo(HaveOccurred())
	return w
}

// String is what one needs to understand what happened in it.
func (w *world) String() string {
	return strings.Join(w.policy, "\n") + "\nalice: " + w.start + ", then " + w.change
}

// one of several things.
func one[T any](chance *rand.Rand, of ...T) T { return of[chance.IntN(len(of))] }

// some of several things, at least one, in any order.
func some[T any](chance *rand.Rand, of ...T) []T {
	of = slices.Clone(of)
	chance.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	return of[:1+chance.IntN(len(of))]
}

// inventPolicy makes up to six effects on work, and perhaps one on memberships and one on relations. Effects do not compete for
// the same work, but that a Patch may follow a Transfer.
func (w *world) inventPolicy() {
	w.leader = one(w.chance, "Allow", "Allow", "Refuse")
	w.policy = []string{
		"serviceAccountName: lifecycle", "guards: {leader: " + w.leader + "}",
		"suspension: {memberships: " + one(w.chance, "Deactivate", "Pause") + "}", "effects:",
	}
	for i := range 1 + w.chance.IntN(6) {
		e := randomEffect{
			name: fmt.Sprint("effect-", i), class: fmt.Sprint("class-", i), least: w.chance.IntN(3),
			field:  one(w.chance, "spec.owner", "spec.editors[*].name"),
			value:  one(w.chance, "Name", "UserName", "Email"),
			action: one(w.chance, v1alpha1.ActionDelete, v1alpha1.ActionTransfer, v1alpha1.ActionTransfer, v1alpha1.ActionUnassign, v1alpha1.ActionPatch, v1alpha1.ActionAnonymize, v1alpha1.ActionKeep),
		}
		on := w.states()
		w.add(e, on)
		if e.action == v1alpha1.ActionTransfer && w.chance.IntN(2) == 0 {
			e.name, e.action = e.name+"-too", v1alpha1.ActionPatch
			w.add(e, on)
		}
	}
	if w.chance.IntN(2) == 0 {
		w.policy = append(w.policy, fmt.Sprintf(`- {name: groups, "on": [%s], memberships: {%saction: %s}}`,
			w.states(), one(w.chance, "", "groupTypes: [Team], "), one(w.chance, "Keep", "Deactivate", "Remove")))
	}
	if w.chance.IntN(2) == 0 { // Nobody becomes their own manager or coach: the owner, who has none, can always stand in.
		w.policy = append(w.policy, fmt.Sprintf(`- {name: relations, "on": [%s], relations: {kinds: [%s], %s}}`,
			w.states(), strings.Join(some(w.chance, "Leader", "Manager", "Coach"), ", "), one(w.chance, "action: Unassign", "action: Transfer, successors: [Successor, TeamLeader, Owner]", "action: Transfer, successors: [Owner]")))
	}
}

func (w *world) states() string {
	on := some(w.chance, "Deactivated", "Suspended", "Removed", "Expired", "Pending")
	if !slices.Contains(on, "Deactivated") && w.chance.IntN(3) > 0 {
		on = append(on, "Deactivated") // the commonest departure
	}
	return strings.Join(on, ", ")
}

func (w *world) successors() string {
	return "successors: [" + strings.Join(append(some(w.chance, "Successor", "Manager", "Coach", "TeamLeader"), one(w.chance, nil, []string{"Owner"})...), ", ") + "]"
}

func (w *world) add(e randomEffect, on string) {
	details := map[v1alpha1.EffectAction]string{
		v1alpha1.ActionTransfer:  ", " + w.successors(),
		v1alpha1.ActionPatch:     ", patch: {spec: {state: Paused}}",
		v1alpha1.ActionAnonymize: fmt.Sprintf(", fields: [{path: %q, value: Removed User}]", e.field),
	}[e.action]
	w.effects = append(w.effects, e)
	w.policy = append(w.policy, fmt.Sprintf(`- name: %s
  "on": [%s]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: %q, value: %s}, match: object.spec.class == '%s' && object.spec.size >= %d, action: %s%s}`,
		e.name, on, e.field, e.value, e.class, e.least, e.action, details))
}

// people are alice in some state, and those who may receive her work, some of whom are away.
func (w *world) people(ctx context.Context) {
	GinkgoHelper()
	for _, name := range []string{"bob", "carol"} {
		edits := []func(*v1alpha1.User){wasActive}
		if w.chance.IntN(2) == 0 {
			edits = append(edits, desired(v1alpha1.UserDesiredDeactivated, "Left"))
		}
		if w.chance.IntN(2) == 0 {
			edits = append(edits, func(u *v1alpha1.User) { u.Spec.ManagerRef.Name = "alice" })
		}
		w.createUser(ctx, name, edits...)
	}
	starts := map[string]func(*v1alpha1.User){
		"Active": wasActive, "Activated": func(*v1alpha1.User) {}, "OnBreak": desired(v1alpha1.UserDesiredOnBreak),
		"Deactivated": desired(v1alpha1.UserDesiredDeactivated, "Left"), "Suspended": desired(v1alpha1.UserDesiredSuspended, "Fraud"),
		"Removed": desired(v1alpha1.UserDesiredRemoved, "Left"), "Held": held("inquiry", v1alpha1.UserHoldDeactivated), "Expired": expires(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)),
	}
	w.start = one(w.chance, "Active", "Active", "Active", "Active", "Activated", "OnBreak", "Deactivated", "Suspended", "Held", "Expired", "Removed")
	leaders := []string{"bob", "carol", "alice"}
	if w.leader == "Refuse" && !slices.Contains([]string{"Active", "Activated", "OnBreak"}, w.start) {
		leaders = leaders[:2] // A cascade that waits for somebody to take over from one who is away already would wait here for ever.
	}
	w.createUser(ctx, "alice", starts[w.start], func(u *v1alpha1.User) {
		u.Spec.SuccessorRef.Name = one(w.chance, "", "bob", "carol")
		u.Spec.ManagerRef.Name, u.Spec.CoachRef.Name = one(w.chance, "bob", "carol"), one(w.chance, "", "bob")
	})
	for i := range w.chance.IntN(4) {
		group := fmt.Sprint("group-", i)
		w.createGroup(ctx, group, ledBy(one(w.chance, leaders...)), func(g *v1alpha1.Group) { g.Spec.Type = one(w.chance, "Team", "Room") })
		if w.start != "Suspended" && w.chance.IntN(3) > 0 {
			w.join(ctx, "alice", group)
		}
	}
}

// labour is what people work on.
func (w *world) labour(ctx context.Context) {
	GinkgoHelper()
	for _, e := range w.effects {
		for i := range 1 + w.chance.IntN(6) {
			name, size := one(w.chance, "alice", "alice", "alice", "bob", "carol"), w.chance.IntN(4)
			spec := fmt.Sprintf(`{class: %s, size: %d, state: Open, owner: %q}`, e.class, size, w.called(name, e.value))
			if e.field != "spec.owner" {
				spec = fmt.Sprintf(`{class: %s, size: %d, state: Open, editors: [{name: someone}, {name: %q}]}`, e.class, size, w.called(name, e.value))
			}
			w.createWork(ctx, fmt.Sprintf("%s-%d", e.name, i), spec)
		}
	}
}

// called is what a reference to a user holds.
func (w *world) called(name, value string) string {
	if value == "Name" {
		return name
	}
	return w.userName(name)
}

// having counts the work that an effect is about and that refers to a user.
func (w *world) having(ctx context.Context, effect, user string) (count int32) {
	GinkgoHelper()
	e := w.effects[slices.IndexFunc(w.effects, func(e randomEffect) bool { return e.name == effect })]
	all, err := w.work(ctx)()
	Expect(err).NotTo(HaveOccurred())
	for _, spec := range all {
		size := 0
		_, _ = fmt.Sscanf(between(spec, "size: ", ","), "%d", &size)
		name := regexp.MustCompile(`(owner|name): ` + regexp.QuoteMeta(w.called(user, e.value)) + `[,}]`)
		if strings.Contains(spec, "class: "+e.class+",") && size >= e.least && name.MatchString(spec) {
			count++
		}
	}
	return count
}

// foretell previews the change once everything that there is is known to who answers.
func (w *world) foretell(ctx context.Context) (said *foretold, refusal error) {
	GinkgoHelper()
	ask := func() string {
		said, refusal = w.plan(ctx, "alice", w.change)
		if refusal != nil {
			return refusal.Error()
		}
		return said.Digest
	}
	Eventually(func(g Gomega) {
		answer := ask()
		for _, e := range said.Effects {
			if strings.HasPrefix(e.Effect, "effect-") {
				g.Expect(e.Targets).To(Equal(w.having(ctx, e.Effect, "alice")), e.Effect)
			}
		}
		g.Consistently(ask).WithTimeout(200 * time.Millisecond).Should(Equal(answer))
	}).Should(Succeed())
	return said, refusal
}

// newest is the last Transition of alice.
func (w *world) newest(ctx context.Context) *v1alpha1.Transition {
	GinkgoHelper()
	alice, err := w.user(ctx, "alice")()
	Expect(err).NotTo(HaveOccurred())
	newest, err := w.transition(ctx, alice.Status.LastTransition.Name)()
	Expect(err).NotTo(HaveOccurred())
	return newest
}

// expectDone compares what was done with what was foretold: on record, in the ledger, and on the objects.
func (w *world) expectDone(ctx context.Context, said *foretold) {
	GinkgoHelper()
	record := w.newest(ctx)
	Expect(record.Name).NotTo(Equal(w.before.Status.LastTransition.Name))
	var planned, done []foretoldEffect
	for _, p := range record.Spec.Plan {
		planned = append(planned, foretoldEffect{Effect: p.Effect, Action: p.Action, Kind: p.Kind, Targets: p.Targets, Successor: p.Successor})
	}
	Expect(planned).To(ConsistOf(said.Effects))
	for i, e := range record.Status.Effects {
		Expect(e.Message).To(BeEmpty(), e.Name)
		Expect(e.Matched).To(Equal(e.Done), e.Name)
		planned[i].Targets = e.Done
		done = append(done, planned[i])
	}
	Expect(done).To(ConsistOf(said.Effects))
	for _, e := range said.Effects {
		if e.Action == v1alpha1.ActionTransfer && e.Kind == example.Work.Kind {
			Expect(w.having(ctx, e.Effect, "alice")).To(BeZero(), e.Effect)
			Expect(w.changedBy(ctx, record.UID, e.Effect, e.Successor)).To(Equal(e.Targets), e.Effect)
		}
	}
}

// changedBy counts the work that an effect has given to somebody.
func (w *world) changedBy(ctx context.Context, transition types.UID, effect, to string) (count int32) {
	GinkgoHelper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(example.Work)
	Expect(admin.List(ctx, list, client.InNamespace(w.name))).To(Succeed())
	for i := range list.Items {
		uid, effects, _ := strings.Cut(list.Items[i].GetAnnotations()[v1alpha1.AnnotationEffects], ":")
		mine := uid == string(transition) && slices.Contains(strings.Split(effects, ","), effect)
		if mine && strings.Contains(inline(list.Items[i].Object["spec"]), ": "+to) {
			count++
		}
	}
	return count
}

// foretold is what a dry run says in full.
type foretold struct {
	Digest  string
	After   []struct{ State v1alpha1.State }
	Effects []foretoldEffect
}

type foretoldEffect struct {
	Effect    string
	Action    v1alpha1.EffectAction
	Kind      string
	Targets   int32
	Successor string
}

// stuck tells whether nobody can receive what the effect hands over.
func (e foretoldEffect) stuck() bool {
	return e.Action == v1alpha1.ActionTransfer && e.Successor == "" && e.Targets > 0
}

// plan is what a patch of a user would do.
func (o *organization) plan(ctx context.Context, name, patch string) (*foretold, error) {
	GinkgoHelper()
	var content map[string]any
	Expect(json.Unmarshal([]byte(patch), &content)).To(Succeed())
	Expect(unstructured.SetNestedField(content, v1alpha1.PreviewFull, "metadata", "annotations", v1alpha1.AnnotationPreview)).To(Succeed())
	body, err := json.Marshal(content)
	Expect(err).NotTo(HaveOccurred())
	user := &v1alpha1.User{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: o.name}}
	if err := admin.Patch(ctx, user, client.RawPatch(types.MergePatchType, body), client.DryRunAll); err != nil {
		return &foretold{}, err
	}
	return planIn(user), nil
}

// planIn reads the full plan in the answer to a dry run.
func planIn(object client.Object) *foretold {
	GinkgoHelper()
	said := &foretold{}
	Expect(json.Unmarshal([]byte(object.GetAnnotations()[v1alpha1.AnnotationPlan]), said)).To(Succeed())
	return said
}

// newFirm is an organization in which alice has work and a membership with a grant, grace is deactivated, and ann is the only
// administrator.
func newFirm(ctx context.Context) *organization {
	GinkgoHelper()
	o := workingOrganization(ctx, consequences, func(o *v1alpha1.Organization) {
		o.Spec.Contact = v1alpha1.Contact{Name: "People team", Email: "people@acme.example"}
	})
	o.createProgram(ctx, "course")
	o.leaveToAnn(ctx)
	o.createUser(ctx, "dan", wasActive)
	o.createUser(ctx, "alice", wasActive, successor("dan"))
	o.createUser(ctx, "grace", wasActive, desired(v1alpha1.UserDesiredDeactivated, "Lent to a subsidiary"))
	for i := range 3 {
		o.createWork(ctx, fmt.Sprint("deal-", i), `{owner: alice, class: deal}`)
	}
	for i := range 2 {
		o.createWork(ctx, fmt.Sprint("task-", i), `{owner: alice, class: task}`)
		o.createWork(ctx, fmt.Sprint("page-", i), `{author: alice}`)
	}
	o.createWork(ctx, "note", `{owner: alice, class: note}`)
	Eventually(o.stateOf(ctx, "grace")).Should(Equal(v1alpha1.StateDeactivated))
	o.enrol(ctx, "alice", v1alpha1.StateActive, "course")
	o.waitUntilAtRest(ctx)
	return o
}

// do has kubectl do in the organization what a line says. The patch of a patch is the rest of the line.
func (o *organization) do(line string, flags ...string) (output string, err error) {
	words := strings.SplitN(line, " ", 4)
	arguments := append([]string{words[0], words[1] + "s.tenure.dev", words[2], "--namespace=" + o.name}, flags...)
	if len(words) == 4 {
		arguments = append(arguments, "--type=merge", "--patch="+words[3])
	}
	return kubectl(arguments...)
}

// warned are the warnings in what kubectl has printed.
func warned(printed string, err error) []string {
	GinkgoHelper()
	Expect(err).NotTo(HaveOccurred(), printed)
	warnings := []string{}
	for line := range strings.Lines(printed) {
		if text, is := strings.CutPrefix(strings.TrimRight(line, "\n"), "Warning: "); is {
			warnings = append(warnings, text)
		}
	}
	return warnings
}

// everyVersion are the resourceVersions of all that a change of a user might touch.
func (o *organization) everyVersion(ctx context.Context) (map[string]string, error) {
	kinds := []schema.GroupVersionKind{example.Work, eventsv1.SchemeGroupVersion.WithKind("Event")}
	for _, kind := range []string{"Organization", "LifecyclePolicy", "Group", "User", "Membership", "Transition"} {
		kinds = append(kinds, v1alpha1.GroupVersion.WithKind(kind))
	}
	versions := map[string]string{}
	for _, kind := range kinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind)
		if err := admin.List(ctx, list, client.InNamespace(o.name)); err != nil {
			return nil, err
		}
		for i := range list.Items {
			versions[kind.Kind+" "+list.Items[i].Name] = list.Items[i].ResourceVersion
		}
	}
	bindings, err := o.bindingsOf(ctx, "ann")
	for i := range bindings {
		versions["RoleBinding "+bindings[i].Name] = bindings[i].ResourceVersion
	}
	return versions, err
}

// gauge is the value of a metric without labels.
func gauge(metrics, name string) float64 {
	GinkgoHelper()
	sample := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(metrics)
	Expect(sample).To(HaveLen(2), name)
	value, err := strconv.ParseFloat(sample[1], 64)
	Expect(err).NotTo(HaveOccurred())
	return value
}

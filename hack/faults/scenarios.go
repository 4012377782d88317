package main

import (
	"context"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/example"
)

// scenario is something that happens in an organization.
type scenario struct {
	name string

	// setup is how the organization came about. It is neither traced nor faulted; steps are.
	setup, steps []step

	// times is how it depends on what time it is.
	times times
}

type times int

const (
	// untimed: nothing is due at any time.
	untimed times = iota

	// latched: what has become due stays so, even where the clock is set back: expiries.
	latched

	// passing: what has become due is no more where the clock is set back: beginnings, absences.
	passing
)

// step is what people do at one time, or time that passes. After each step the plan waits until the operator is quiet.
type step struct {
	name    string
	do      func(ctx context.Context, w *world) error
	advance time.Duration
}

const (
	hour = time.Hour

	// almost is short of the hour at which something is due, and theRest brings more than that hour.
	almost  = 50 * time.Minute
	theRest = 15 * time.Minute
)

// scenarios are what plans are made of. In none of them does it depend on who comes first what becomes of it: a run without
// a fault always ends the same.
func scenarios() []scenario {
	return []scenario{
		onboardScenario(), leaveAndReturnScenario(), suspendAndLiftScenario(), expiryStormScenario(), everyActionScenario(), removalScenario(), deletionScenario(), rehireScenario(),
		policyUnderWayScenario(), leaderChangesScenario(), leaderGuardScenario(), lastAdminScenario(), absenceScenario(), regrantScenario(), tamperingScenario(), membershipsScenario(),
	}
}

// course grants its members something.
func course() act { return createGroup("course", granting("view")) }

func onboardScenario() scenario {
	return scenario{
		name: "onboard", times: passing,
		setup: []step{does("an organization", organization(""), course())},
		steps: []step{
			does("kate is hired from the next hour on", createUser("kate", neverActive, starts(hour)), join("kate", "course")),
			passes("it is not time yet", almost),
			passes("her time has come", theRest),
			does("she is seen", editUser("kate", wasSeen)),
		},
	}
}

// handOver hands over what a user owns.
const handOver = `
serviceAccountName: lifecycle
guards: {leader: Allow, lastRoleHolder: Allow}
effects:
- name: work
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: Transfer, successors: [Successor, Owner]}
`

func leaveAndReturnScenario() scenario {
	return scenario{
		name: "leave",
		setup: []step{does("a member with work", organization(handOver), course(), createUser("kate"), join("kate", "course"),
			createWork("report", "{owner: kate}"), createWork("slides", "{owner: kate}"), createWork("other", "{owner: dan}"))},
		steps: []step{
			does("kate leaves", editUser("kate", desired(v1alpha1.UserDesiredDeactivated))),
			does("kate returns", editUser("kate", desired(v1alpha1.UserDesiredActive))),
		},
	}
}

func suspendAndLiftScenario() scenario {
	return scenario{
		name: "suspend",
		setup: []step{does("a member of two groups, of one no longer", organization(""), course(), createGroup("library", granting("edit")),
			createUser("kate"), join("kate", "course"), join("kate", "library", membershipDesired(v1alpha1.MembershipDesiredDeactivated)))},
		steps: []step{
			does("kate is suspended", editUser("kate", desired(v1alpha1.UserDesiredSuspended))),
			does("the suspension is lifted", editUser("kate", desired(v1alpha1.UserDesiredActive))),
			does("her membership is released", editMembership("kate-course", releasing(v1alpha1.HoldUserSuspended))),
		},
	}
}

func expiryStormScenario() scenario {
	return scenario{
		name: "storm", times: latched,
		setup: []step{does("three members until the next hour", organization(""), course(),
			createUser("ann", expires(hour)), createUser("ben", expires(hour)), createUser("kate", expires(hour)),
			join("ann", "course"), join("ben", "course"), join("kate", "course"))},
		steps: []step{
			passes("it is not time yet", almost),
			passes("all expire", theRest),
			does("one is extended", editUser("kate", expires(4*hour))),
		},
	}
}

// everyEffect has an effect of each action on work, and others on memberships and on relations.
const everyEffect = example.OneOfEach + `- name: teams
  memberships: {groupTypes: [Team], action: Remove}
- name: relations
  relations: {kinds: [Leader, Manager], action: Transfer, successors: [Successor, Owner]}
`

func everyActionScenario() scenario {
	return scenario{
		name: "cascade",
		setup: []step{does("a user with something of everything", organization(everyEffect), createGroup("sales", team, granting("view"), ledBy("kate")),
			createUser("dan"), createUser("kate", succeededBy("dan")), createUser("ann", managedBy("kate")), join("kate", "sales"),
			createWork("goal", "{owner: kate, class: deleted}"),
			createWork("key-result", "{parent: goal, class: child}"),
			createWork("opportunity", "{owner: kate@DOMAIN, stage: Won}"),
			createWork("page", "{editors: [{name: kate, may: write}, {name: dan, may: read}]}"),
			createWork("subscription", "{payer: kate@DOMAIN, state: Active, renewal: monthly}"),
			createWork("thread", "{comments: [{author: kate, text: Hi}, {author: dan, text: kate}]}"),
			createWork("note", "{owner: kate, class: kept}"),
			createWork("other-goal", "{owner: dan, class: deleted}"))},
		steps: []step{does("kate leaves", editUser("kate", desired(v1alpha1.UserDesiredDeactivated)))},
	}
}

// takeOut takes a removed user out of what they wrote, and puts them back in when they return.
const takeOut = `
serviceAccountName: lifecycle
guards: {leader: Allow, lastRoleHolder: Allow}
onDelete: {audit: Anonymize}
effects:
- name: comments
  "on": [Removed]
  resources:
    apiVersion: work.example.com/v1
    kind: Work
    reference: {fieldPath: "spec.comments[*].author"}
    action: Anonymize
    fields: [{path: "spec.comments[*].author", value: Removed User, onReturn: Relink}]
`

func author(policy string) []step {
	return []step{does("a member who wrote something", organization(policy), course(), createUser("kate"), join("kate", "course"),
		createWork("thread", "{comments: [{author: kate, text: Hi}, {author: dan, text: kate}]}"))}
}

func removalScenario() scenario {
	return scenario{
		name: "removal", setup: author(takeOut),
		steps: []step{
			does("kate is removed", editUser("kate", desired(v1alpha1.UserDesiredRemoved))),
			does("kate comes back", editUser("kate", desired(v1alpha1.UserDesiredActive))),
		},
	}
}

func deletionScenario() scenario {
	return scenario{
		name: "deletion", setup: author(takeOut),
		steps: []step{
			does("kate's account is deleted", deleteUser("kate")),
			does("somebody else of that name is hired", createUser("kate", neverActive)),
		},
	}
}

// rehireScenario keeps the records of the account that ended: the next one of that name goes on counting, and is somebody else.
func rehireScenario() scenario {
	return scenario{
		name:  "rehire",
		setup: []step{does("a member", organization(""), course(), createUser("kate"), join("kate", "course"))},
		steps: []step{
			does("kate's account is deleted", deleteUser("kate")),
			does("somebody else of that name is hired", createUser("kate", neverActive)),
		},
	}
}

// discard deletes what a user owns.
const discard = `
serviceAccountName: lifecycle
guards: {leader: Allow, lastRoleHolder: Allow}
effects:
- name: work
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: Delete}
`

// policyUnderWayScenario changes the policy while a cascade goes on, which waits for the finalizer of somebody else. While it waits,
// the operator looks again every few seconds, and later at longest every thirty: that writes nothing and never ends.
func policyUnderWayScenario() scenario {
	return scenario{
		name: "policy",
		setup: []step{does("two users with work", organization(discard), createUser("kate"), createUser("ben"),
			createWork("report", "{owner: kate}", archived), createWork("slides", "{owner: kate}"), createWork("sheet", "{owner: ben}"))},
		steps: []step{
			does("kate leaves", editUser("kate", desired(v1alpha1.UserDesiredDeactivated))),
			does("work is handed over from now on", editPolicy(func(_ *world, p *v1alpha1.LifecyclePolicy) {
				effect := &p.Spec.Effects[0].Resources
				effect.Action, effect.Successors = v1alpha1.ResourceAction(v1alpha1.ActionTransfer), []v1alpha1.Successor{v1alpha1.SuccessorOwner}
			})),
			does("ben leaves", editUser("ben", desired(v1alpha1.UserDesiredDeactivated))),
			does("kate's work is archived", editWork("report", letGo)),
		},
	}
}

// standIn lets the account owner stand in where a user leads.
const standIn = `
guards: {leader: Allow, lastRoleHolder: Allow}
effects:
- name: leads
  relations: {kinds: [Leader, Manager], action: Transfer, successors: [Owner]}
`

func leaderChangesScenario() scenario {
	return scenario{
		name: "leader",
		setup: []step{does("a leader and her team", organization(standIn), createUser("kate"), createUser("ann", managedBy("kate")), createUser("dan"),
			createGroup("sales", team, granting("view"), ledBy("kate")), join("kate", "sales"))},
		steps: []step{
			does("kate leaves", editUser("kate", desired(v1alpha1.UserDesiredDeactivated))),
			does("dan leads", editGroup("sales", ledBy("dan"))),
			does("dan manages ann", editUser("ann", managedBy("dan"))),
		},
	}
}

// leaderWaits has the cascade of somebody who expires wait until nobody is led by them.
const leaderWaits = `
serviceAccountName: lifecycle
effects:
- name: work
  "on": [Expired]
  resources: {apiVersion: work.example.com/v1, kind: Work, reference: {fieldPath: spec.owner}, action: Transfer, successors: [TeamLeader, Owner]}
`

func leaderGuardScenario() scenario {
	return scenario{
		name: "guard", times: latched,
		setup: []step{does("a leader until the next hour", organization(leaderWaits), createUser("dan"), createUser("kate", expires(hour)),
			createGroup("sales", team, granting("view"), ledBy("kate")), join("kate", "sales"), join("dan", "sales"), createWork("report", "{owner: kate}"))},
		steps: []step{
			passes("she expires and still leads", hour+theRest),
			does("dan leads", editGroup("sales", ledBy("dan"))),
		},
	}
}

func lastAdminScenario() scenario {
	return scenario{
		name: "admin", times: latched,
		setup: []step{does("one administrator until the next hour",
			organization("", func(org *v1alpha1.Organization) { org.Spec.AdminRoles = []string{"Admin"} }),
			course(), createUser("kate", role("Admin"), expires(hour)), createUser("dan"), join("kate", "course"))},
		steps: []step{
			passes("she would expire", hour+theRest),
			does("dan becomes one", editUser("dan", role("Admin"))),
		},
	}
}

func absenceScenario() scenario {
	return scenario{
		name: "absence", times: passing,
		setup: []step{does("a member who will be away", organization(handOver), course(), createUser("kate"), join("kate", "course"),
			createWork("report", "{owner: kate}"))},
		steps: []step{
			does("her leave is planned", editUser("kate", absent(hour, 3*hour, v1alpha1.AbsenceDeactivated))),
			passes("it is not time yet", almost),
			passes("her leave begins", theRest),
			passes("her leave ends", 2*hour),
		},
	}
}

func regrantScenario() scenario {
	return scenario{
		name: "regrant",
		setup: []step{does("two members", organization(""), course(), createUser("kate"), createUser("ben"),
			join("kate", "course"), join("ben", "course"))},
		steps: []step{
			does("the course grants something else", editGroup("course", granting("edit"))),
			does("the namespace shuts", editTarget(shut)),
			does("the namespace opens", editTarget(opened)),
		},
	}
}

func tamperingScenario() scenario {
	return scenario{
		name: "tampering",
		setup: []step{does("two members", organization(""), course(), createUser("kate"), createUser("ben"),
			join("kate", "course"), join("ben", "course"))},
		steps: []step{
			does("somebody deletes a grant", eachGrant("kate-course", deleteBinding)),
			does("somebody gives a grant to somebody else", eachGrant("ben-course", giveToMallory)),
		},
	}
}

func membershipsScenario() scenario {
	return scenario{
		name: "membership", times: latched,
		setup: []step{does("three members", organization(""), course(), createUser("ann"), createUser("ben"), createUser("kate"),
			join("ann", "course", membershipExpires(hour)), join("ben", "course"), join("kate", "course"))},
		steps: []step{
			passes("the first one's time is over", hour+theRest),
			does("the second one is taken out", editMembership("ben-course", membershipDesired(v1alpha1.MembershipDesiredRemoved))),
			does("the third one's is deleted", deleteMembership("kate-course")),
			does("the third one joins again", join("kate", "course")),
		},
	}
}

package admission

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/index"
	"tenure.dev/tenure/controllers/internal/lifecycle"
	"tenure.dev/tenure/controllers/internal/observe"
	"tenure.dev/tenure/controllers/internal/summary"
)

// longestRequest is how long the API server works on one request: so long a change that was let pass may still be made.
// Nobody relies on a holder whose access ends within it.
const longestRequest = time.Minute

// mostDepartures is how many the Organization's status holds.
const mostDepartures = 256

// contention is how often, and how soon, to try again where several departures of an organization come at the same moment.
var contention = wait.Backoff{Duration: 5 * time.Millisecond, Factor: 1.5, Jitter: 0.5, Steps: 20, Cap: 200 * time.Millisecond}

// post is what must not be left without enough active holders: the organization's administration, or a role of a group.
type post struct {
	// group and role; both empty for the administration.
	group, role string

	// least number of active holders that must remain.
	least int
}

// departure is a change by which a subject gives up posts.
type departure struct {
	kind   v1alpha1.SubjectKind
	object client.Object // before the change

	// left are the posts that it gives up at once, leaving those that it gives up before another request may be over.
	left, leaving []post

	// allowed tells whether the policy lets the posts be left. Others are told of it all the same, as far as there is room: they
	// must not rely on who leaves.
	allowed bool
}

// letPass refuses a departure that leaves a post without enough holders, and else writes it into the Organization before it
// lets it pass. The write succeeds only on the version of the Organization that was read before the holders were: of two
// departures at the same moment, the second one sees the first.
func (s *scene) letPass(ctx context.Context, d departure, now time.Time) error {
	if len(d.left)+len(d.leaving) == 0 {
		return nil
	}
	err := retry.OnError(contention, apierrors.IsConflict, func() error {
		org := &v1alpha1.Organization{}
		key := client.ObjectKey{Namespace: d.object.GetNamespace(), Name: d.object.GetNamespace()}
		if err := s.Live.Get(ctx, key, org); err != nil {
			return client.IgnoreNotFound(err)
		}
		if !d.allowed {
			if err := s.enoughRemain(ctx, org, d, now); err != nil {
				return err
			}
		}
		if s.by.dryRun {
			return nil
		}
		return s.write(ctx, org, d, now)
	})
	switch {
	case apierrors.IsConflict(err) && d.allowed:
		return nil
	case apierrors.IsConflict(err):
		return refuse("too many departures of organization %s come at the same moment; try again", d.object.GetNamespace())
	default:
		return err
	}
}

func (s *scene) enoughRemain(ctx context.Context, org *v1alpha1.Organization, d departure, now time.Time) error {
	for _, p := range d.left {
		remain := holders{scene: s, org: observe.Organization{Object: org}, except: d, now: now}
		if err := remain.count(ctx, p); err != nil {
			return err
		}
		if remain.found < p.least {
			return remain.refusal(p)
		}
	}
	return nil
}

// write adds a departure to the Organization's status, and drops those whose requests are over.
func (s *scene) write(ctx context.Context, org *v1alpha1.Organization, d departure, now time.Time) error {
	after := org.DeepCopy()
	after.Status.Departures = slices.DeleteFunc(after.Status.Departures, func(other v1alpha1.Departure) bool {
		return over(other, now) || other.Kind == d.kind && other.Name == d.object.GetName()
	})
	switch full := len(after.Status.Departures) >= mostDepartures; {
	case full && d.allowed:
		return nil
	case full:
		return refuse("too many departures of organization %s are under way; try again in a minute", org.Name)
	}
	after.Status.Departures = append(after.Status.Departures, v1alpha1.Departure{
		Kind: d.kind, Name: d.object.GetName(), ResourceVersion: d.object.GetResourceVersion(), Time: metav1.NewTime(now),
	})
	if err := s.Status().Patch(ctx, after, client.MergeFromWithOptions(org, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("note the departure of %s %s: %w", d.kind, d.object.GetName(), err)
	}
	return nil
}

func over(d v1alpha1.Departure, now time.Time) bool { return now.Sub(d.Time.Time) > longestRequest }

// underWay tells whether a change was let pass that may yet be made on this version of an object.
func underWay(org *v1alpha1.Organization, kind v1alpha1.SubjectKind, object client.Object, now time.Time) bool {
	return slices.ContainsFunc(org.Status.Departures, func(d v1alpha1.Departure) bool {
		return d.Kind == kind && d.Name == object.GetName() && d.ResourceVersion == object.GetResourceVersion() && !over(d, now)
	})
}

// holders counts, live, the active holders of a post, but for one who departs.
type holders struct {
	*scene
	org    observe.Organization
	except departure
	now    time.Time

	found    int
	leaving  []string // who holds the post and is about to leave it
	inactive []string // who would hold it with access
}

func (h *holders) count(ctx context.Context, p post) error {
	if p.group == "" {
		return h.countAdmins(ctx, p)
	}
	return h.countMembers(ctx, p)
}

func (h *holders) countAdmins(ctx context.Context, p post) error {
	for _, role := range h.org.DeclaredAdminRoles() {
		if h.found >= p.least {
			return nil
		}
		var admins v1alpha1.UserList
		if err := h.Live.List(ctx, &admins, client.InNamespace(h.org.Object.Namespace), client.MatchingFields{"spec.role": role}); err != nil {
			return fmt.Errorf("list the users with the role %q: %w", role, err)
		}
		for i := range admins.Items {
			user := &admins.Items[i]
			if h.found >= p.least || h.departs(v1alpha1.SubjectUser, user) || !h.org.Admin(user) {
				continue
			}
			active, err := h.active(ctx, user)
			if err != nil {
				return err
			}
			h.add(active, user.Name)
		}
	}
	return nil
}

// countMembers asks first the members that the cache knows, and then, before it is found that there are not enough, the API
// server for all of them.
func (h *holders) countMembers(ctx context.Context, p post) error {
	known, err := index.MembershipsOfGroup(ctx, h, h.org.Object.Namespace, p.group)
	if err != nil {
		return err
	}
	asked := map[string]bool{}
	for i := range known {
		if h.found >= p.least {
			return nil
		}
		if !slices.Contains(known[i].Spec.Roles, p.role) {
			continue
		}
		live := &v1alpha1.Membership{}
		if err := h.Live.Get(ctx, client.ObjectKeyFromObject(&known[i]), live); err != nil {
			if apierrors.IsNotFound(err) {
				continue
			}
			return fmt.Errorf("read Membership %s: %w", known[i].Name, err)
		}
		asked[live.Name] = true
		if err := h.member(ctx, live, p); err != nil {
			return err
		}
	}
	if h.found >= p.least {
		return nil
	}
	var all v1alpha1.MembershipList
	if err := h.Live.List(ctx, &all, client.InNamespace(h.org.Object.Namespace), client.MatchingFields{"spec.groupRef.name": p.group}); err != nil {
		return fmt.Errorf("list the memberships of Group %s: %w", p.group, err)
	}
	for i := range all.Items {
		if h.found >= p.least {
			return nil
		}
		if asked[all.Items[i].Name] {
			continue
		}
		if err := h.member(ctx, &all.Items[i], p); err != nil {
			return err
		}
	}
	return nil
}

func (h *holders) member(ctx context.Context, m *v1alpha1.Membership, p post) error {
	if !slices.Contains(m.Spec.Roles, p.role) || h.departs(v1alpha1.SubjectMembership, m) {
		return nil
	}
	user, err := observe.Get[v1alpha1.User](ctx, h.Live, m.Namespace, m.Spec.UserRef.Name)
	if err != nil || user == nil || h.departs(v1alpha1.SubjectUser, user) {
		return err
	}
	active, err := h.active(ctx, user)
	if err != nil {
		return err
	}
	if active {
		// The group and its members' ages are not what is raced for.
		input, err := observe.MembershipOf(ctx, h, m, &lifecycle.User{Spec: &v1alpha1.UserSpec{}}, v1alpha1.SuspensionPause)
		if err != nil {
			return err
		}
		active = h.throughout(func(t time.Time) v1alpha1.Access { return lifecycle.DecideMembership(input, t).Access() })
	}
	h.add(active, user.Name)
	return nil
}

// departs tells whether a holder is the one that departs, or was let pass a moment ago.
func (h *holders) departs(kind v1alpha1.SubjectKind, object client.Object) bool {
	if h.except.kind == kind && h.except.object.GetName() == object.GetName() {
		return true
	}
	if underWay(h.org.Object, kind, object, h.now) {
		h.leaving = append(h.leaving, object.GetName())
		return true
	}
	return false
}

func (h *holders) active(ctx context.Context, user *v1alpha1.User) (bool, error) {
	seen, err := observe.UserDeclared(ctx, h, user)
	if err != nil {
		return false, err
	}
	seen.Input.HeldOpen = time.Time{}
	return h.throughout(func(t time.Time) v1alpha1.Access { return lifecycle.DecideUser(seen.Input, t).Access() }), nil
}

// throughout tells whether access is there now and still when another request may be over.
func (h *holders) throughout(access func(time.Time) v1alpha1.Access) bool {
	return access(h.now) == v1alpha1.AccessGranted && access(h.now.Add(longestRequest)) == v1alpha1.AccessGranted
}

func (h *holders) add(active bool, name string) {
	if active {
		h.found++
	} else {
		h.inactive = append(h.inactive, name)
	}
}

// refusal says what would be missing, who cannot be relied on, and what to do.
func (h *holders) refusal(p post) error {
	name, why := h.except.object.GetName(), ""
	slices.Sort(h.leaving)
	slices.Sort(h.inactive)
	if len(h.leaving) > 0 {
		why += "; " + summary.Listed(h.leaving, mostNamed) + " is being changed at this moment"
	}
	if len(h.inactive) > 0 {
		why += "; " + summary.Listed(h.inactive, mostNamed) + " has no access, or not for longer than a minute"
	}
	if p.group == "" {
		return refuse("%s is the last active administrator of organization %s%s. Give one of the roles %s to another active user first",
			name, h.org.Object.Name, why, summary.Listed(h.org.Spec().AdminRoles, mostNamed))
	}
	return refuse("without %s group %s has %d active %s and needs %d (guard lastRoleHolder)%s. Give the role to another active member first, or let the policy's guards.lastRoleHolder be Allow",
		name, p.group, h.found, p.role, p.least, why)
}

// Package grants turns the grants of a group's roles into RoleBindings: which there should be, and how the cluster gets
// there. Taking away never waits for giving.
package grants

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/controllers/internal/metrics"
)

// Of are the RoleBindings that stand for an active membership: one for each grant of each of its roles, and namespace.
// Two roles that grant the same share one.
func Of(m *v1alpha1.Membership, group *v1alpha1.Group, user *v1alpha1.User) []*rbacv1.RoleBinding {
	wanted := map[string]*rbacv1.RoleBinding{}
	for i := range group.Spec.Roles {
		role := &group.Spec.Roles[i]
		if !slices.Contains(m.Spec.Roles, role.Name) {
			continue
		}
		for _, grant := range role.Grants {
			for _, namespace := range grant.Namespaces {
				binding := bindingFor(m, user, grant.RoleRef, namespace)
				wanted[binding.Namespace+"/"+binding.Name] = binding
			}
		}
	}
	return slices.SortedFunc(maps.Values(wanted), compare)
}

func bindingFor(m *v1alpha1.Membership, user *v1alpha1.User, role v1alpha1.RoleReference, namespace string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace,
			Name:      name(m, role),
			Labels: map[string]string{
				v1alpha1.LabelManagedBy:    v1alpha1.ManagedBy,
				v1alpha1.LabelOrganization: m.Namespace,
				v1alpha1.LabelMembership:   m.Name,
				v1alpha1.LabelGroup:        m.Spec.GroupRef.Name,
				v1alpha1.LabelUser:         m.Spec.UserRef.Name,
			},
		},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: string(role.Kind), Name: role.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user.Spec.UserName}},
	}
}

// name is the same for the same membership and role, and differs for any other: organization and membership are told
// apart by a character that neither can hold.
func name(m *v1alpha1.Membership, role v1alpha1.RoleReference) string {
	sum := sha256.Sum256([]byte(string(role.Kind) + "/" + role.Name))
	return fmt.Sprintf("tenure:%s:%s:%s", m.Namespace, m.Name, hex.EncodeToString(sum[:5]))
}

// Refusal is a RoleBinding that could not be made, and what somebody has to do about it.
type Refusal struct {
	Binding *rbacv1.RoleBinding
	Why     string
}

func (r Refusal) String() string {
	return fmt.Sprintf("%s %s in namespace %s: %s", r.Binding.RoleRef.Kind, r.Binding.RoleRef.Name, r.Binding.Namespace, r.Why)
}

// Given is what Give did.
type Given struct {
	Created  []*rbacv1.RoleBinding
	Repaired []*rbacv1.RoleBinding
	Refused  []Refusal
}

// Give makes the bindings that are wanted and missing, and puts right those that somebody edited. What the cluster
// refuses is returned as refusals; what may succeed when tried again at once, as an error too.
func Give(ctx context.Context, writer client.Client, live client.Reader, there []rbacv1.RoleBinding, wanted []*rbacv1.RoleBinding) (Given, error) {
	var given Given
	var failed []error
	for _, binding := range wanted {
		existing := find(there, binding)
		if existing != nil && matches(existing, binding) {
			continue
		}
		var err error
		if existing != nil {
			err = given.repair(ctx, writer, existing, binding)
		} else {
			err = given.create(ctx, writer, live, binding)
		}
		switch {
		case err == nil:
		case overtaken(err, binding):
			// Somebody else is at it. The next pass sees what they have made of it.
			failed = append(failed, apierrors.NewConflict(rbacv1.Resource("rolebindings"), binding.Name, err))
		default:
			why, final := refusal(err)
			given.Refused = append(given.Refused, Refusal{Binding: binding, Why: why})
			if !final {
				failed = append(failed, fmt.Errorf("RoleBinding %s/%s: %w", binding.Namespace, binding.Name, err))
			}
		}
	}
	return given, errors.Join(failed...)
}

// overtaken tells whether a RoleBinding came, went or changed between a look at it and a write.
func overtaken(err error, binding *rbacv1.RoleBinding) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || missing(err).Name == binding.Name
}

// refusal says why the cluster takes no binding; final tells that this stays so until somebody does something about it.
func refusal(err error) (why string, final bool) {
	switch {
	case missing(err).Kind == "namespaces":
		return "the namespace does not exist", true
	case apierrors.IsNotFound(err):
		return "the role does not exist", true
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), escalation):
		return "the operator may not bind this role; the ClusterRole tenure-grantable must list it", true
	default:
		return err.Error(), apierrors.IsForbidden(err) || apierrors.IsInvalid(err)
	}
}

// escalation is how the API server says that whoever binds a role has neither its rights nor the right to bind it.
const escalation = "attempting to grant RBAC permissions not currently held"

// missing tells what the API server has not found: the namespace, the role, or the RoleBinding itself. Of a role it says that
// a RoleBinding of that name is missing.
func missing(err error) metav1.StatusDetails {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return metav1.StatusDetails{}
	}
	return *status.Status().Details
}

func (g *Given) create(ctx context.Context, writer client.Client, live client.Reader, binding *rbacv1.RoleBinding) error {
	// Create fills in what it is given; the wanted one is compared again later.
	err := writer.Create(ctx, binding.DeepCopy())
	if apierrors.IsAlreadyExists(err) {
		// It is there, and either has not come through the watch yet or lost the labels by which it is watched.
		existing := &rbacv1.RoleBinding{}
		if err := live.Get(ctx, client.ObjectKeyFromObject(binding), existing); err != nil {
			return err
		}
		if matches(existing, binding) {
			return nil
		}
		return g.repair(ctx, writer, existing, binding)
	}
	if err == nil {
		g.Created = append(g.Created, binding)
		metrics.GrantChanged(metrics.GrantCreated)
	}
	return err
}

func (g *Given) repair(ctx context.Context, writer client.Client, existing, binding *rbacv1.RoleBinding) error {
	if existing.RoleRef != binding.RoleRef {
		// A RoleBinding's role cannot be changed.
		if err := writer.Delete(ctx, existing, client.Preconditions{UID: &existing.UID}); client.IgnoreNotFound(err) != nil {
			return err
		}
		if err := writer.Create(ctx, binding.DeepCopy()); err != nil {
			return err
		}
	} else {
		repaired := existing.DeepCopy()
		if repaired.Labels == nil {
			repaired.Labels = map[string]string{}
		}
		maps.Copy(repaired.Labels, binding.Labels)
		repaired.Subjects = binding.Subjects
		if err := writer.Update(ctx, repaired); err != nil {
			return err
		}
	}
	g.Repaired = append(g.Repaired, binding)
	metrics.GrantChanged(metrics.GrantUpdated)
	return nil
}

func find(there []rbacv1.RoleBinding, binding *rbacv1.RoleBinding) *rbacv1.RoleBinding {
	for i := range there {
		if same(&there[i], binding) {
			return &there[i]
		}
	}
	return nil
}

func same(a, b *rbacv1.RoleBinding) bool {
	return a.Namespace == b.Namespace && a.Name == b.Name
}

// matches tells whether a binding is as it is wanted. Labels and annotations of others are theirs.
func matches(existing, wanted *rbacv1.RoleBinding) bool {
	for key, value := range wanted.Labels {
		if existing.Labels[key] != value {
			return false
		}
	}
	return existing.RoleRef == wanted.RoleRef && slices.Equal(existing.Subjects, wanted.Subjects)
}

// compare orders bindings of one membership as people look for them.
func compare(a, b *rbacv1.RoleBinding) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.RoleRef.Kind, b.RoleRef.Kind), cmp.Compare(a.RoleRef.Name, b.RoleRef.Name))
}

package main

import (
	"context"
	"fmt"
	"math"
	"net"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// nobody has a lease, in a namespace of that name, and never lets go of it.
const nobody = "nobody"

func (l *lab) occupyLease(ctx context.Context) error {
	now := &metav1.MicroTime{Time: time.Now()}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: nobody}},
		&coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: "tenure", Namespace: nobody},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity: new(nobody), LeaseDurationSeconds: new(int32(math.MaxInt32)), AcquireTime: now, RenewTime: now,
			},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "standby", Namespace: nobody},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: operatorUser}},
		},
	} {
		if err := l.people.Create(ctx, object); client.IgnoreAlreadyExists(err) != nil {
			return fmt.Errorf("occupy the lease of a replica that stands by: %w", err)
		}
	}
	return nil
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

package grants_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/controllers/internal/grants"
)

// remover notes deletions, and answers each when the test says what.
type remover struct {
	client.Writer

	asked   []types.UID
	answers chan error
}

func (r *remover) Delete(_ context.Context, object client.Object, options ...client.DeleteOption) error {
	if deletion := (&client.DeleteOptions{}).ApplyOptions(options); deletion.Preconditions == nil || *deletion.Preconditions.UID != object.GetUID() {
		return errors.New("a deletion of whatever has that name")
	}
	r.asked = append(r.asked, object.GetUID())
	return <-r.answers
}

func bindings(uids ...types.UID) []rbacv1.RoleBinding {
	var all []rbacv1.RoleBinding
	for _, uid := range uids {
		all = append(all, rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "sales", Name: "kate-north", UID: uid}})
	}
	return all
}

func TestSeveralWhoCloseADoorMakeOneRequestAndAllWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &remover{answers: make(chan error)}
		doors := grants.NewDoors(api, clock.RealClock{})
		returned := make(chan error, 3)
		for range 2 {
			go func() {
				returned <- doors.Close(t.Context(), bindings("first"), nil)
			}()
		}
		synctest.Wait()
		if len(returned) > 0 {
			t.Fatal("somebody takes the door for closed before it is")
		}
		api.answers <- nil
		synctest.Wait()
		if len(returned) != 2 || <-returned != nil || <-returned != nil {
			t.Fatal("not both have seen it closed")
		}

		// A cache that is behind still has it, and a new one of that name is another door.
		api.answers = make(chan error, 1)
		api.answers <- apierrors.NewNotFound(rbacv1.Resource("rolebindings"), "kate-north")
		if err := doors.Close(t.Context(), bindings("first", "second"), nil); err != nil {
			t.Error(err)
		}
		if want := []types.UID{"first", "second"}; !slices.Equal(api.asked, want) {
			t.Errorf("asked to delete %q, want %q", api.asked, want)
		}
	})
}

func TestDoorThatDoesNotCloseIsTriedAgain(t *testing.T) {
	api := &remover{answers: make(chan error, 3)}
	doors := grants.NewDoors(api, clock.RealClock{})
	api.answers <- apierrors.NewTimeoutError("busy", 1)
	api.answers <- nil
	if err := doors.Close(t.Context(), bindings("first", "second"), nil); !apierrors.IsTimeout(err) {
		t.Errorf("closed them although one request was not answered: %v", err)
	}
	api.answers <- nil
	if err := doors.Close(t.Context(), bindings("first", "second"), nil); err != nil {
		t.Error(err)
	}
	if want := []types.UID{"first", "second", "first"}; !slices.Equal(api.asked, want) {
		t.Errorf("asked to delete %q, want %q", api.asked, want)
	}
}

func TestWantedDoorsStayOpen(t *testing.T) {
	doors := grants.NewDoors(&remover{}, clock.RealClock{})
	wanted := bindings("whatever")
	if err := doors.Close(t.Context(), bindings("first"), []*rbacv1.RoleBinding{&wanted[0]}); err != nil {
		t.Error(err) // The remover would have waited for an answer.
	}
}

package main

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
)

// TestWhatWasMissed has a user go while nobody watches, and come again.
func TestWhatWasMissed(t *testing.T) {
	g := NewWithT(t)
	kate := func(uid, revision string) v1alpha1.User {
		return v1alpha1.User{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "kate", UID: types.UID(uid), ResourceVersion: revision, Finalizers: []string{v1alpha1.Finalizer},
		}}
	}
	r := &recorder{tracks: map[string]map[client.ObjectKey][]seen{}}
	first := kate("first", "7")
	r.add(users, &first, false, false)
	r.replace(users, &v1alpha1.UserList{Items: []v1alpha1.User{kate("second", "20")}})

	track := r.of(users)[client.ObjectKeyFromObject(&first)]
	g.Expect(track).To(HaveLen(4), "was there, was about to go, was gone, is there again")
	g.Expect(track[1].object.GetDeletionTimestamp()).NotTo(BeNil())
	g.Expect(track[1].gone).To(BeFalse())
	g.Expect(track[2].gone).To(BeTrue())
	g.Expect(track[3].object.GetUID()).To(BeEquivalentTo("second"))

	g.Expect(r.missed(users, "kate")).To(BeTrue())
	m := newModel()
	for _, v := range track {
		m.learn(users, v.object, v.at.Add(-time.Minute), v.at, v.gone)
	}
	line := m.users["kate"]
	g.Expect(line).To(HaveLen(4))
	ending := line.at(track[1].at)
	g.Expect(ending).NotTo(BeNil())
	g.Expect(ending.ending).To(BeTrue())
	g.Expect(line.at(track[2].at)).To(BeNil())
	g.Expect(uidsOf(line, func(a *account) string { return a.uid })).To(Equal([]string{"first", "second"}))

	r.forget()
	g.Expect(r.missed(users, "kate")).To(BeFalse(), "since the quiet point everything is told")
}

package cascade_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"tenure.dev/tenure/controllers/internal/cascade"
)

// frozenAs is how the API says that targets are kept: for each four bytes of a hash of its UID, sorted, in base64.
func frozenAs(uids ...types.UID) string {
	var hashes []string
	for _, uid := range uids {
		h := fnv.New32a()
		_, _ = h.Write([]byte(uid))
		hashes = append(hashes, string(binary.BigEndian.AppendUint32(nil, h.Sum32())))
	}
	slices.Sort(hashes)
	return base64.StdEncoding.EncodeToString([]byte(strings.Join(hashes, "")))
}

func ofUID(uid types.UID) metav1.Object { return &metav1.ObjectMeta{UID: uid} }

func TestThaw(t *testing.T) {
	uids := rapid.SliceOfNDistinct(rapid.Map(rapid.Int(), func(n int) types.UID { return types.UID(fmt.Sprintf("uid-%d", n)) }), 1, 200, rapid.ID)
	rapid.Check(t, func(t *rapid.T) {
		all := uids.Draw(t, "uids")
		targets, others := all[:(len(all)+1)/2], all[(len(all)+1)/2:]
		frozen, known, err := cascade.Thaw(frozenAs(targets...))
		if err != nil || !known || len(frozen) != len(targets) {
			t.Fatalf("%d targets become %d (known: %t, %v)", len(targets), len(frozen), known, err)
		}
		for _, uid := range targets {
			if !frozen.Has(ofUID(uid)) {
				t.Fatalf("%s is not among the targets", uid)
			}
		}
		for _, uid := range others {
			// Of two UIDs with one hash nobody can tell one from the other.
			if same := frozenAs(uid); frozen.Has(ofUID(uid)) && !slices.ContainsFunc(targets, func(o types.UID) bool { return frozenAs(o) == same }) {
				t.Fatalf("%s is among the targets", uid)
			}
		}
	})
}

func TestThawNothing(t *testing.T) {
	for name, test := range map[string]struct {
		encoded string
		known   bool
		want    string // in the error
	}{
		"there were none":     {encoded: "none", known: true},
		"they were not known": {},
		"no base64":           {encoded: "?", want: "the frozen targets cannot be read: illegal base64 data at input byte 0"},
		"half a target":       {encoded: "AAAA", want: "the frozen targets cannot be read: 3 bytes are no multiple of 4"},
	} {
		t.Run(name, func(t *testing.T) {
			frozen, known, err := cascade.Thaw(test.encoded)
			if len(frozen) > 0 || known != test.known || (err == nil) != (test.want == "") {
				t.Errorf("got %v (known: %t, %v)", frozen, known, err)
			}
			if err != nil {
				if diff := cmp.Diff(test.want, err.Error()); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
			}
			if frozen.Has(ofUID("any")) {
				t.Error("something is among no targets")
			}
		})
	}
}

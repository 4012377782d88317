package cascade

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenure.dev/tenure/controllers/internal/targets"
)

const (
	// nothing is how a plan says that there were no targets, which is not the same as that they are not known.
	nothing = "none"

	// mostFrozen is how many targets a plan tells apart: etcd takes no larger object. The effects beyond it act on what refers
	// to the user when they run.
	mostFrozen = 130_000
)

// Frozen are the hashes of the targets of a plan, sorted.
type Frozen []uint32

// freeze keeps the objects' hashes.
func freeze[T metav1.Object](objects []T) Frozen {
	frozen := make(Frozen, len(objects))
	for i := range objects {
		frozen[i] = targets.Hash(objects[i].GetUID())
	}
	slices.Sort(frozen)
	return frozen
}

func (f Frozen) encode() string {
	if len(f) == 0 {
		return nothing
	}
	bytes := make([]byte, 0, 4*len(f))
	for _, hash := range f {
		bytes = binary.BigEndian.AppendUint32(bytes, hash)
	}
	return base64.StdEncoding.EncodeToString(bytes)
}

// Thaw reads the targets of a plan. Not known: they could not be listed at the decision.
func Thaw(encoded string) (frozen Frozen, known bool, err error) {
	switch encoded {
	case "":
		return nil, false, nil
	case nothing:
		return nil, true, nil
	}
	bytes, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, false, fmt.Errorf("the frozen targets cannot be read: %w", err)
	}
	if len(bytes)%4 != 0 {
		return nil, false, fmt.Errorf("the frozen targets cannot be read: %d bytes are no multiple of 4", len(bytes))
	}
	for ; len(bytes) > 0; bytes = bytes[4:] {
		frozen = append(frozen, binary.BigEndian.Uint32(bytes))
	}
	return frozen, true, nil
}

// Has tells whether an object is one of the targets.
func (f Frozen) Has(object metav1.Object) bool {
	_, found := slices.BinarySearch(f, targets.Hash(object.GetUID()))
	return found
}

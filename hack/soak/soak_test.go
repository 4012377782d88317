package main

import (
	"flag"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/onsi/gomega/gexec"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

var seed = flag.Uint64("seed", seedOf(time.Now()), "what the short soak is drawn from")

// lines writes what a soak says into the log of a test.
type lines struct{ *testing.T }

func (l lines) Write(said []byte) (int, error) {
	l.Logf("%s", said)
	return len(said), nil
}

// TestShortSoak lets people work for a minute. The command does for longer.
func TestShortSoak(t *testing.T) {
	log.SetLogger(logr.Discard())
	operator, err := gexec.Build("tenure.dev/tenure", "-race")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gexec.CleanupBuildArtifacts)
	o := options{
		duration: 50 * time.Second, epoch: 12 * time.Second, seed: *seed, people: 12, pace: time.Second, lease: 5 * time.Second, grace: time.Second,
		operator: operator, folder: t.TempDir(),
	}
	s, err := soak(t.Context(), o, lines{t})
	if err != nil {
		t.Fatalf("%v; try again with -seed %d", err, *seed)
	}
	if s.QuietPoints < 2 || s.Operations == 0 || s.Transitions == 0 || s.Cuts == 0 {
		t.Errorf("too little has happened: %+v", s)
	}
}

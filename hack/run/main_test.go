package main

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestWhatToApply(t *testing.T) {
	for name, test := range map[string]struct {
		samples, profile string // of the environment
		arguments        []string
		want             options
		scope, guide     string
		err              string
	}{
		"nothing said": {want: options{samples: "config/samples"}, scope: "-n acme"},
		"none":         {samples: "none", want: options{samples: "none"}, scope: "-A"},
		"others":       {arguments: []string{"-samples=/mine"}, want: options{samples: "/mine"}, scope: "-A"},
		"a profile": {
			profile: "docebo", want: options{profile: "docebo"},
			scope: "-n docebo", guide: "; what to try is in config/profiles/docebo/README.md",
		},
		"a flag before the environment": {
			profile: "docebo", arguments: []string{"-profile=chronus"}, want: options{profile: "chronus"},
			scope: "-n chronus", guide: "; what to try is in config/profiles/chronus/README.md",
		},
		"both":                          {profile: "docebo", samples: "none", err: "choose one"},
		"one of each, flag and setting": {profile: "docebo", arguments: []string{"-samples=/mine"}, err: "choose one"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			t.Setenv("SAMPLES", test.samples)
			t.Setenv("PROFILE", test.profile)
			t.Setenv("PORT", "")
			got, err := readOptions(test.arguments)
			if test.err != "" {
				g.Expect(err).To(MatchError(ContainSubstring(test.err)))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(options{samples: got.samples, profile: got.profile}).To(Equal(test.want))
			g.Expect(got.scope()).To(Equal(test.scope))
			g.Expect(got.guide()).To(Equal(test.guide))
		})
	}
}

func TestUnknownProfile(t *testing.T) {
	g := NewWithT(t)
	folder := t.TempDir()
	for _, name := range []string{"crm", "docebo"} {
		g.Expect(os.Mkdir(filepath.Join(folder, name), 0o755)).To(Succeed())
	}
	g.Expect(os.WriteFile(filepath.Join(folder, "README.md"), nil, 0o600)).To(Succeed())
	g.Expect(checkProfile(folder, "crm")).To(Succeed())
	for _, name := range []string{"acme", "README.md", "../docebo", ".", "crm/"} {
		g.Expect(checkProfile(folder, name)).To(MatchError(And(
			ContainSubstring("there is no profile"), HaveSuffix("there are: crm, docebo"))))
	}
	g.Expect(checkProfile(filepath.Join(folder, "nowhere"), "crm")).To(MatchError(ContainSubstring("looking for profiles")))
}

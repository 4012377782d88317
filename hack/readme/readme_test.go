package readme

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

const page = "# Tenure\n\n<!-- speed -->\nold\n\ntable\n<!-- /speed -->\n\n<!-- other -->\nstays\n<!-- /other -->\n"

func TestWrite(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "README.md")
	g.Expect(os.WriteFile(path, []byte(page), 0o600)).To(Succeed())

	g.Expect(Write(path, "speed", "| a |\n|---|\n| 1 |\n")).To(Succeed())
	once := read(g, path)
	g.Expect(once).To(Equal("# Tenure\n\n<!-- speed -->\n\n| a |\n|---|\n| 1 |\n\n<!-- /speed -->\n\n<!-- other -->\nstays\n<!-- /other -->\n"))

	g.Expect(Write(path, "speed", "| a |\n|---|\n| 1 |\n")).To(Succeed())
	g.Expect(read(g, path)).To(Equal(once), "the same content again changes nothing")

	g.Expect(Write(path, "speed", "")).To(Succeed())
	g.Expect(read(g, path)).To(HavePrefix("# Tenure\n\n<!-- speed -->\n\n<!-- /speed -->\n\n<!-- other -->\n"))

	info, err := os.Stat(path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)))
}

func TestWriteRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, why string }{
		"nothing to replace":  {"# Tenure\n", "there is no line <!-- speed -->"},
		"no end":              {"<!-- speed -->\n", "there is no line <!-- /speed -->"},
		"the wrong way round": {"<!-- /speed -->\n<!-- speed -->\n", "its end stands before its beginning"},
		"twice":               {"<!-- speed -->\n<!-- /speed -->\n<!-- speed -->\n<!-- /speed -->\n", "more than once"},
		"within a line":       {"see <!-- speed --> here\n<!-- /speed -->\n", "there is no line <!-- speed -->"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			path := filepath.Join(t.TempDir(), "README.md")
			g.Expect(os.WriteFile(path, []byte(test.text), 0o600)).To(Succeed())
			g.Expect(Write(path, "speed", "new")).To(MatchError(ContainSubstring(test.why)))
			g.Expect(read(g, path)).To(Equal(test.text), "the file is as it was")
		})
	}
	NewWithT(t).Expect(Write(filepath.Join(t.TempDir(), "none.md"), "speed", "new")).To(MatchError(os.ErrNotExist))
}

func read(g *WithT, path string) string {
	content, err := os.ReadFile(path)
	g.Expect(err).NotTo(HaveOccurred())
	return string(content)
}

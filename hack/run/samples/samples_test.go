package samples

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 11, 21, 13, 0, 0, 999_999_999, time.FixedZone("CET", 3600))

func TestDate(t *testing.T) {
	for name, test := range map[string]struct{ manifest, want, err string }{
		"later": {
			manifest: "expirationTime: 2030-01-01T00:00:00Z # now+30s\n",
			want:     "expirationTime: 2026-11-21T12:00:30Z # now+30s\n",
		},
		"earlier": {
			manifest: "  startTime: 2030-01-01T00:00:00Z # now-72h\n",
			want:     "  startTime: 2026-11-18T12:00:00Z # now-72h\n",
		},
		"now itself": {
			manifest: "startTime: 2030-01-01T00:00:00Z #now",
			want:     "startTime: 2026-11-21T12:00:00Z #now",
		},
		"quoted, in a list, with an offset, with carriage returns": {
			manifest: "a: 1\r\n- endTime: \"2030-01-01T00:00:00+02:00\"   # now+1h30m  \r\nb: 2\r\n",
			want:     "a: 1\r\n- endTime: \"2026-11-21T13:30:00Z\"   # now+1h30m  \r\nb: 2\r\n",
		},
		"several documents, and nothing else touched": {
			manifest: "# now and then\na: 2030-01-01T00:00:00Z\n---\n{b: '2030-01-01T00:00:00Z', c: now+30s} # now+1s\n---\n\n",
			want:     "# now and then\na: 2030-01-01T00:00:00Z\n---\n{b: '2026-11-21T12:00:01Z', c: now+30s} # now+1s\n---\n\n",
		},
		"empty":          {},
		"not a duration": {manifest: "a: 1\nb: 2030-01-01T00:00:00Z # now+3d\n", err: "line 2: after \"now\" belongs a duration"},
		"no time":        {manifest: "a: 1 # now+3s\n", err: "line 1: a date relative to now needs one time on its line, here are 0"},
		"more than one time": {
			manifest: "{a: 2030-01-01T00:00:00Z, b: 2030-01-01T00:00:00Z} # now+3s\n", err: "here are 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Date([]byte(test.manifest), now)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("got error %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestCopy(t *testing.T) {
	source, target := t.TempDir(), filepath.Join(t.TempDir(), "new")
	files := map[string]string{
		"kustomization.yaml": "resources: [people/erin.yaml]\n",
		"people/erin.yaml":   "expirationTime: 2030-01-01T00:00:00Z # now+30s\n",
		"README.md":          "A date such as 2030-01-01T00:00:00Z # now+30s\n",
	}
	for name, content := range files {
		path := filepath.Join(source, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := Copy(source, target, now); err != nil {
		t.Fatal(err)
	}
	files["people/erin.yaml"] = "expirationTime: 2026-11-21T12:00:30Z # now+30s\n"
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(target, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}

	if err := os.WriteFile(filepath.Join(source, "bad.yaml"), []byte("a: 1 # now+3s\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Copy(source, target, now); err == nil || !strings.Contains(err.Error(), "bad.yaml: line 1:") {
		t.Errorf("got error %v, want one that names the file and the line", err)
	}
	if err := Copy(filepath.Join(source, "nowhere"), target, now); err == nil {
		t.Error("a folder that does not exist gives no error")
	}
}

// Command golangci-lint is golangci-lint with kube-api-linter compiled in: what `golangci-lint custom` would generate,
// without cloning a repository at build time.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	"github.com/golangci/golangci-lint/v2/pkg/exitcodes"
	_ "sigs.k8s.io/kube-api-linter" // registers the plugin "kubeapilinter"
)

func main() {
	info := commands.BuildInfo{GoVersion: runtime.Version(), Version: version(), Commit: "unknown", Date: "unknown"}
	if err := commands.Execute(info); err != nil {
		fmt.Fprintf(os.Stderr, "golangci-lint: %v\n", err)
		os.Exit(exitcodes.Failure)
	}
}

// version names both modules, because golangci-lint keys its cache of results by this string: results of an older
// plugin must not be taken for those of a newer one.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
	}
	var linter, plugin string
	for _, dep := range info.Deps {
		switch dep.Path {
		case "github.com/golangci/golangci-lint/v2":
			linter = strings.TrimPrefix(dep.Version, "v")
		case "sigs.k8s.io/kube-api-linter":
			plugin = dep.Version
		}
	}
	return linter + "-kal." + plugin
}

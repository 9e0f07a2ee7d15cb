// Reads dashboards by the types that Grafana publishes of them: every field has to be known there, of
// the right kind, and none that is required may be missing. Prints what is wrong; ends with 1 then.
package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// What a variable stands at is chosen where the dashboard is imported.
var chosenThere = regexp.MustCompile(`^templating\.list\[\d+\]\.current\.(text|value): required field is missing`)

func wrong(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return []string{err.Error()}
	}
	var read dashboard.Dashboard
	var all []string
	if err := read.UnmarshalJSONStrict(text); err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			if !chosenThere.MatchString(line) {
				all = append(all, line)
			}
		}
	}
	if err := read.Validate(); err != nil {
		all = append(all, err.Error())
	}
	if read.Uid == nil || len(read.Panels) == 0 {
		all = append(all, "a dashboard that imports has a uid and panels")
	}
	return all
}

func main() {
	// Options and queries of each kind of panel are read by their own types.
	plugins.RegisterDefaultPlugins()
	failed := false
	for _, path := range os.Args[1:] {
		all := wrong(path)
		for _, one := range all {
			fmt.Printf("%s: %s\n", path, one)
		}
		failed = failed || len(all) > 0
	}
	if failed {
		os.Exit(1)
	}
}

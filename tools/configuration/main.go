// Command configuration writes docs/configuration.md, the reference of all settings, from
// the settings themselves.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/agora-ml/agora/train"
)

const head = `# Settings of agora train

Made from the code by ` + "`make docs`" + `; do not edit.

Each setting is a flag of ` + "`agora train`" + ` and ` + "`agora plan`" +
	`, and a line of a YAML file under the same name:

` + "```yaml" + `
# run.yaml
model: models/llama
data: [mine.jsonl, more.jsonl.gz]
out: my-adapter
lr: 0.001
targets: [q_proj, v_proj]
` + "```" + `

` + "```sh" + `
agora train run.yaml --steps 1000
` + "```" + `

Flags win over the file, and the file over the defaults. A flag takes a list as words parted by
commas, or given several times. A name that is not below is an error, with its line. What a run
has used stands in its folder, in config.yaml.

With ` + "`--resume`" + ` the settings come from that file, and the column resume says which may be given anew:

- fixed: none other than the run began with, for its bits depend on it;
- noted: another value is taken, and metrics.jsonl and the checkpoints say after which step;
- movable: another place may be named, where the same must lie: a checkpoint knows the sizes and SHA-256 sums
  of the files (of weights over 64 MiB: of the first 16 MiB, and of 256 blocks evenly over the rest);
- free: no number depends on it.

So may the flags that are no settings: --device, --threads, --memory-limit, --json.
`

func main() {
	if _, err := os.Stdout.WriteString(reference()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// reference is the document.
func reference() string {
	var b strings.Builder
	b.WriteString(head)
	defaults := train.Defaults()
	group := ""
	for _, s := range defaults.Settings() {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n## %s\n\n| setting | kind | default | takes | resume | meaning "+
				"|\n|---|---|---|---|---|---|\n", group)
		}
		value, takes := s.String(), s.Bounds()
		if value != "" {
			value = "`" + value + "`"
		}
		if s.Unit != "" {
			takes += " " + s.Unit
		}
		meaning := s.Meaning
		if slices.ContainsFunc(s.Choices, func(c train.Choice) bool { return c.Meaning != "" }) {
			meaning = s.Help()
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", s.Name, s.Type(), value, takes, s.Resume, meaning)
	}
	return b.String()
}

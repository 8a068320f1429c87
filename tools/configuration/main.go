// Command configuration writes docs/configuration.md, the reference of all settings, from
// the settings themselves.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/agora-ml/agora/train"
)

const head = `# Settings of agora train

Made from the code by ` + "`make docs`" + `; do not edit.

Each setting is a flag of ` + "`agora train`" + ` and ` + "`agora plan`" + `, and a line of a YAML file under the same name:

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

With ` + "`--resume`" + ` the settings come from that file. Those that change no number may be given anew:
out, loaders, save-every, keep. So may the flags that are no settings: --device, --threads,
--memory-limit, --json. model, from-scratch, tokenizer and data may name other places, where
the same must lie: a checkpoint knows the sizes and SHA-256 sums of the files (of weights over
64 MiB: of the first 16 MiB, and of 256 blocks evenly over the rest). lr and scale-lr may change
as well; metrics.jsonl and the checkpoints say after which step they did.
`

func main() {
	var b strings.Builder
	b.WriteString(head)
	defaults := train.Defaults()
	group := ""
	for _, s := range defaults.Settings() {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n## %s\n\n| setting | kind | default | meaning |\n|---|---|---|---|\n", group)
		}
		value := s.String()
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Name, s.Type(), value, s.Help)
	}
	if _, err := os.Stdout.WriteString(b.String()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

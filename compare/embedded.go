package compare

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
)

//go:embed experiments/*.yaml
var experiments embed.FS

// Scales names the experiments that are built in.
func Scales() []string { return []string{"small", "default", "full", "full-sums"} }

// Scale gives a built-in experiment.
func Scale(name string) (Experiment, error) {
	text, err := ScaleText(name)
	if err != nil {
		return Experiment{}, err
	}
	return parse(name+".yaml", text)
}

// ScaleText is the file of a built-in experiment, to begin one's own with.
func ScaleText(name string) ([]byte, error) {
	if !slices.Contains(Scales(), name) {
		return nil, fmt.Errorf("scale %.40q: want one of %s", name, strings.Join(Scales(), ", "))
	}
	return experiments.ReadFile(path.Join("experiments", name+".yaml"))
}

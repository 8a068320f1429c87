package multilora

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/agora-ml/agora/nn"
)

// slot is a place of a model where a linear layer stands or stood.
type slot struct {
	name  string
	layer *nn.Layer
	base  *nn.Linear
}

// find gives the slots that a configuration targets, in the model's order.
func find(model any, targets []string) ([]slot, error) {
	var found []slot
	var names []string
	matched := make([]bool, len(targets))
	for name, layer := range nn.Layers(model) {
		base, ok := (*layer).(*nn.Linear)
		if _, adapted := (*layer).(*Linear); adapted {
			return nil, fmt.Errorf("multilora: layer %s has an adapter already: Detach it first", name)
		}
		if !ok {
			continue
		}
		names = append(names, name)
		hit := false
		for i, target := range targets {
			ok, err := matches(target, name)
			if err != nil {
				return nil, fmt.Errorf("multilora: field targets: %q: %w", target, err)
			}
			matched[i] = matched[i] || ok
			hit = hit || ok
		}
		if hit {
			found = append(found, slot{name, layer, base})
		}
	}
	if i := slices.Index(matched, false); i >= 0 {
		return nil, fmt.Errorf("multilora: field targets: %q matches no linear layer of the model, which has %s", targets[i], lastParts(names))
	}
	return found, nil
}

func matches(target, name string) (bool, error) {
	switch {
	case target == AllLinear:
		return true, nil
	case strings.ContainsAny(target, `*?[\`):
		return path.Match(target, name)
	}
	return name == target || strings.HasSuffix(name, "."+target), nil
}

// lastParts lists the different last parts of names in their order.
func lastParts(names []string) string {
	var parts []string
	for _, name := range names {
		if part := name[strings.LastIndex(name, ".")+1:]; !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

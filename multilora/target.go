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

// linears gives the slots of a model that hold linear layers, in the model's order.
func linears(model any) ([]slot, error) {
	var all []slot
	for name, layer := range nn.Layers(model) {
		switch l := (*layer).(type) {
		case *nn.Linear:
			all = append(all, slot{name, layer, l})
		case *Linear, *rowsLinear:
			return nil, fmt.Errorf("multilora: layer %s has an adapter already: Detach it first", name)
		}
	}
	return all, nil
}

// find gives the slots that targets choose, in the model's order.
func find(all []slot, targets []string) ([]slot, error) {
	var found []slot
	matched := make([]bool, len(targets))
	for _, s := range all {
		hit := false
		for i, target := range targets {
			ok, err := matches(target, s.name)
			if err != nil {
				return nil, fmt.Errorf("multilora: field targets: %q: %w", target, err)
			}
			matched[i] = matched[i] || ok
			hit = hit || ok
		}
		if hit {
			found = append(found, s)
		}
	}
	if i := slices.Index(matched, false); i >= 0 {
		return nil, fmt.Errorf("multilora: field targets: %q matches no linear layer of the model, which has %s", targets[i], lastParts(all))
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

// lastPart is what stands behind the last dot of a name.
func lastPart(name string) string { return name[strings.LastIndex(name, ".")+1:] }

// lastParts lists the different last parts of slots' names in their order.
func lastParts(slots []slot) string {
	var parts []string
	for _, s := range slots {
		if part := lastPart(s.name); !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// targetsOf are the shortest targets that choose exactly these of a model's slots: the
// last part of their names where they are all that have it, else whole names. They mean
// the same in Config.Targets and in PEFT's target_modules.
func targetsOf(chosen, all []slot) []string {
	count := func(slots []slot, part string) (n int) {
		for _, s := range slots {
			if lastPart(s.name) == part {
				n++
			}
		}
		return n
	}
	var targets []string
	for _, s := range chosen {
		target := lastPart(s.name)
		if count(chosen, target) != count(all, target) {
			target = s.name
		}
		if !slices.Contains(targets, target) {
			targets = append(targets, target)
		}
	}
	return targets
}

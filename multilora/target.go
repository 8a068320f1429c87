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
func linears(model Model) ([]slot, error) {
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

// otherModules are the names of what has parameters in a model and is none of its linear
// layers: norms, the embedding, and the head, also where its weight is the embedding's.
func otherModules(model Model, linears []slot) (names []string) {
	known := map[string]bool{}
	for _, s := range linears {
		known[s.name] = true
	}
	for name := range nn.Params(model) {
		if module := moduleOf(name); !known[module] {
			known[module] = true
			names = append(names, module)
		}
	}
	if tiedHead(model) != nil {
		names = append(names, headModule)
	}
	return names
}

// find gives the slots that targets choose, in the model's order. others are names that no
// target may mean alone.
func find(all []slot, others, targets []string) ([]slot, error) {
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
		for _, name := range others {
			if ok, _ := matches(targets[i], name); ok {
				return nil, fmt.Errorf("multilora: field targets: %q: %s: want linear layers of the model, which "+
					"has %s",
					targets[i], notALayer(name), lastParts(namesOf(all)))
			}
		}
		return nil, fmt.Errorf("multilora: field targets: %q matches no linear layer of the model, which has %s",
			targets[i], lastParts(namesOf(all)))
	}
	return found, nil
}

func matches(target, name string) (bool, error) {
	switch {
	case target == AllLinear:
		return true, nil
	case isPattern(target):
		return path.Match(target, name)
	}
	return endsIn(name, target), nil
}

// isPattern tells a pattern of whole names from the last parts of some.
func isPattern(s string) bool { return strings.ContainsAny(s, `*?[\`) }

// endsIn reports whether the last parts of a name are these.
func endsIn(name, parts string) bool { return name == parts || strings.HasSuffix(name, "."+parts) }

// lastPart is what stands behind the last dot of a name.
func lastPart(name string) string { return name[strings.LastIndex(name, ".")+1:] }

// lastParts lists the different last parts of names in their order.
func lastParts(names []string) string {
	var parts []string
	for _, name := range names {
		if part := lastPart(name); !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func namesOf(slots []slot) []string {
	var names []string
	for _, s := range slots {
		names = append(names, s.name)
	}
	return names
}

// shortest are the shortest ends of names that choose exactly these of all: the last part
// where every name that ends so, at a dot or not, is among them, else whole names. They
// mean the same in Config and in PEFT's target_modules and modules_to_save.
func shortest(chosen, all []string) []string {
	count := func(names []string, end string) (n int) {
		for _, name := range names {
			if strings.HasSuffix(name, end) {
				n++
			}
		}
		return n
	}
	var ends []string
	for _, name := range chosen {
		end := lastPart(name)
		if count(chosen, end) != count(all, end) {
			end = name
		}
		if !slices.Contains(ends, end) {
			ends = append(ends, end)
		}
	}
	return ends
}

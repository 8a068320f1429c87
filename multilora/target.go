package multilora

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/agora-ml/agora/nn"
)

// otherModules are the names of what has parameters in a model and no slot: norms.
func otherModules(model Model, slots []slot) (names []string) {
	known := map[string]bool{}
	for _, s := range slots {
		known[s.name] = true
	}
	for name := range nn.Params(model) {
		if module := moduleOf(name); !known[module] {
			known[module] = true
			names = append(names, module)
		}
	}
	return names
}

// find gives the slots that targets choose, in the model's order. others are names that no
// target may mean alone. tied: lm_head means the embedding, whose weight is the head's as well.
func find(all []slot, others, targets []string, tied bool) ([]slot, error) {
	var found []slot
	matched := make([]bool, len(targets))
	for _, s := range all {
		hit := false
		for i, target := range targets {
			ok, err := matches(target, s)
			if err != nil {
				return nil, fmt.Errorf("multilora: field targets: %q: %w", target, err)
			}
			ok = ok || tied && s.name == embeddingModule && target == headModule
			matched[i] = matched[i] || ok
			hit = hit || ok
		}
		if hit {
			found = append(found, s)
		}
	}
	if i := slices.Index(matched, false); i >= 0 {
		for _, s := range all {
			if ok, _ := path.Match(targets[i], s.name); ok { // and is no linear layer
				return nil, fmt.Errorf("multilora: field targets: %q: want the embedding and the head by their names, "+
					"got a pattern of %s", targets[i], s.name)
			}
		}
		for _, name := range others {
			if endsIn(name, targets[i]) {
				return nil, fmt.Errorf("multilora: field targets: %q: %s: want layers of the model, which "+
					"has %s",
					targets[i], notALayer(name), lastParts(namesOf(all)))
			}
		}
		return nil, fmt.Errorf("multilora: field targets: %q matches no layer of the model, which has %s",
			targets[i], lastParts(namesOf(all)))
	}
	return found, nil
}

// matches tells whether a target chooses a slot: the embedding and the head by their names only.
func matches(target string, s slot) (bool, error) {
	switch {
	case target == AllLinear:
		return s.layer != nil && !isOfExpert(s.name), nil
	case isPattern(target):
		ok, err := path.Match(target, s.name)
		return ok && s.layer != nil, err
	}
	return endsIn(s.name, target), nil
}

// isOfExpert reports whether a layer belongs to an expert of a mixture (nn.MoE). A mixture has thousands of such
// layers: they are adapted where they are named.
func isOfExpert(name string) bool { return strings.Contains(name, ".experts.") }

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

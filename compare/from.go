package compare

import (
	"fmt"
	"slices"

	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
)

// checkFrom checks a method that begins with the adapters of another row.
func (m Method) checkFrom() error {
	of := "method " + m.Method
	switch {
	case m.Modules != 0 || m.Alpha != 0 || len(m.Targets) > 0 || m.ScaleLR != 0 || m.BRate != 0 || m.Alone != 0:
		return bad(of, "no modules, alpha, targets, scale-lr, lora-plus and alone: it has those of from", "them")
	case m.Method == scales && (m.Merge != "" || m.Density != 0 || m.Rank != 0):
		return bad(of, "no merge, density and rank", "them")
	case m.Method == scales && m.Scaling != "" && !slices.Contains(multilora.Scalings(), multilora.Scaling(m.Scaling)):
		return bad("scaling", fmt.Sprintf("one of %v", multilora.Scalings()), m.Scaling)
	case m.Method == merged && m.Scaling != "":
		return bad(of, "no scaling", m.Scaling)
	case m.Method == merged && !slices.Contains(multilora.CombineMethods(), m.Merge):
		return bad("merge", fmt.Sprintf("one of %v", multilora.CombineMethods()), fmt.Sprintf("%q", m.Merge))
	case m.Density < 0 || m.Density > 1:
		return bad("density", "above 0 and up to 1", m.Density)
	case m.Rank < 0:
		return bad("rank", "at least 1", m.Rank)
	}
	return nil
}

// checkRows checks what methods want of other rows of the table.
func (e *Experiment) checkRows() error {
	for _, m := range e.Methods {
		if m.Alone > 0 && e.aloneSteps(m, e.Train.Steps[0]) <= e.Train.Warmup {
			return bad("methods: "+m.Name+": alone", fmt.Sprintf("more than %d steps of warmup a task", e.Train.Warmup),
				e.aloneSteps(m, e.Train.Steps[0]))
		}
		k, err := m.kind()
		if err != nil || !k.from {
			continue
		}
		of, ok := e.method(m.From)
		if !ok || of.Alone == 0 {
			return bad("methods: "+m.Name+": from", "the name of a method with alone", fmt.Sprintf("%q", m.From))
		}
		if m.Deciding && !of.Deciding {
			return bad("methods: "+m.Name+": deciding", "false, as that of "+m.From+" is", true)
		}
	}
	return nil
}

// startFrom makes a model ready for a trial that begins with the adapters of another. Nothing is
// trainable where they are merged.
func (x *runner) startFrom(model *llama.Model, t Trial) (*multilora.Adapter, *optim.Trainable, error) {
	paths := x.experiment.adapters(x.store, *t.From)
	if t.Method.Method == scales {
		scaling := multilora.Scaling(t.Method.Scaling)
		if scaling == "" {
			scaling = multilora.ScalingScalar
		}
		a, err := multilora.AttachBranches(model, paths, scaling, multilora.Options{})
		if err != nil {
			return nil, nil, err
		}
		if err := a.TrainScalings(); err != nil {
			return nil, nil, err
		}
		trainable, err := optim.Gather(model.Device(), model)
		return a, trainable, err
	}
	var parts []*multilora.Adapter
	for _, path := range paths {
		a, err := multilora.Load(model, path, multilora.Options{})
		if err != nil {
			return nil, nil, err
		}
		a.Detach()
		parts = append(parts, a)
	}
	a, _, err := multilora.Combine(parts, multilora.CombineOptions{
		Method: t.Method.Merge, Weights: slices.Repeat([]float64{t.LR}, len(parts)), Density: t.Method.Density,
		Rank: t.Method.Rank, Seed: t.Seed,
	})
	if err != nil {
		return nil, nil, err
	}
	return a, nil, a.Attach()
}

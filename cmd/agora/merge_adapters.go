package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/multilora"
)

// mergedAdapters is what merge-adapters --json prints.
type mergedAdapters struct {
	Out      string                  `json:"out"`
	Method   multilora.CombineMethod `json:"method"`
	Adapters []string                `json:"adapters"`
	Weights  []float64               `json:"weights,omitempty"` // none: all 1
	Layers   []multilora.Combined    `json:"layers"`
}

type mergeAdaptersFlags struct {
	model, out, method string
	weights            []string
	options            multilora.CombineOptions
	force, asJSON      bool
	device             deviceFlags
}

func mergeAdaptersCommand() *cobra.Command {
	var f mergeAdaptersFlags
	c := &cobra.Command{
		Use:   "merge-adapters --model DIR ADAPTER... --out DIR",
		Short: "Make one adapter of several",
		Long: `Merge adapters of one model into one LoRA. What each changes in a layer is taken with
its weight; ranks, methods and layers may differ, and MultiLoRA's modules count with their
scalings. Methods:

  cat          the weighted sum, exactly: ranks add up (task arithmetic)
  svd          the weighted sum, cut to --rank
  linear       A and B summed by themselves, as PEFT's linear: not the sum of the changes
  ties         the largest --density of each, elected signs, their mean (TIES-Merging)
  dare-linear  a random --density of each, divided by it, summed (DARE)
  dare-ties    a random --density of each, divided by it, then as ties

ties, dare-linear and dare-ties work on whole matrices and cut the result to --rank; what
that loses is reported. Sizes above 768 are cut by iterating on a subspace.`,
		Example: "  agora merge-adapters --model models/llama french code --weights 1,0.5 --out both\n" +
			"  agora merge-adapters --model models/llama a b c --method ties --density 0.2 --rank 16 --out merged",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, adapters []string) error {
			if err := need("model", f.model, "out", f.out); err != nil {
				return err
			}
			r, err := f.run(c, adapters)
			if err != nil {
				return err
			}
			if f.asJSON {
				return printJSON(c.OutOrStdout(), r)
			}
			return r.print(c)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.model, "model", "", "folder of the base model")
	fl.StringVar(&f.out, "out", "", "new folder for the adapter")
	fl.StringVar(&f.method, "method", string(multilora.CombineCat), "cat, svd, linear, ties, dare-linear or dare-ties")
	fl.StringSliceVar(&f.weights, "weights", nil, "a number for each adapter (default: all 1)")
	fl.IntVar(&f.options.Rank, "rank", 0, "rank of the result; 0: the largest of the adapters")
	fl.Float64Var(&f.options.Density, "density", 0,
		"part of each change that ties and dare keep; 0: 0.2 for ties, else 0.5")
	fl.Uint64Var(&f.options.Seed, "seed", 0, "of what dare drops")
	fl.BoolVar(&f.force, "force", false, "use adapters although the model is not the one that they were made for")
	fl.BoolVar(&f.asJSON, "json", false, "print the report as JSON")
	f.device.register(c)
	return c
}

func (f *mergeAdaptersFlags) run(c *cobra.Command, paths []string) (*mergedAdapters, error) {
	if err := f.parse(len(paths)); err != nil {
		return nil, err
	}
	if err := checkOutFolder(f.out); err != nil {
		return nil, err
	}
	d, err := f.device.open()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	m, err := loadExactly(c, d, f.model) // the model's numbers tell whether it is the adapters'
	if err != nil {
		return nil, err
	}
	var adapters []*multilora.Adapter
	for _, path := range paths {
		a, err := multilora.Open(m, path, multilora.Options{AnyBase: f.force})
		if err != nil {
			return nil, err
		}
		noteMatch(c, a)
		a.Detach()
		adapters = append(adapters, a)
	}
	combined, layers, err := multilora.Combine(adapters, f.options)
	if err != nil {
		return nil, err
	}
	r := &mergedAdapters{f.out, f.options.Method, paths, f.options.Weights, layers}
	return r, writeFolder(f.out, combined.Save)
}

// parse reads the flags that are words and lists.
func (f *mergeAdaptersFlags) parse(adapters int) error {
	f.options.Method = multilora.CombineMethod(strings.ReplaceAll(f.method, "_", "-"))
	if n := len(f.weights); n > 0 && n != adapters {
		return fmt.Errorf("--weights: want a number for each of %d adapters, got %d", adapters, n)
	}
	for _, w := range f.weights {
		v, err := strconv.ParseFloat(strings.TrimSpace(w), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("--weights: want finite numbers, got %.40q", w)
		}
		f.options.Weights = append(f.options.Weights, v)
	}
	return nil
}

func (r *mergedAdapters) print(c *cobra.Command) error {
	rank, worst := 0, multilora.Combined{}
	for _, l := range r.Layers {
		rank = max(rank, l.Rank)
		if l.Lost > worst.Lost {
			worst = l
		}
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s: %d adapters by %s, rank %d on %d layers\n",
		printable.Name(r.Out), len(r.Adapters), r.Method, rank, len(r.Layers))
	if err == nil && worst.Lost > 0 {
		_, err = fmt.Fprintf(c.OutOrStdout(), "cutting to the rank loses up to %.2g %% of a layer's change (%s)\n",
			100*worst.Lost, worst.Layer)
	}
	return err
}

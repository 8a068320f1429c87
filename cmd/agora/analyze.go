package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/picture"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/spectrum"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/train"
)

// analysis is what analyze --json prints.
type analysis struct {
	Model string        `json:"model"`
	Runs  []analyzedRun `json:"runs"`
	// Similarities compare each adapter with each full update, layer by layer.
	Similarities []similarity `json:"similarities,omitempty"`
}

type analyzedRun struct {
	Name   string          `json:"name"`
	Path   string          `json:"path"`
	Method string          `json:"method"` // full, or the adapter's
	Layers []analyzedLayer `json:"layers"`
	// TooLarge names layers that full tuning changed and whose update is not decomposed: see
	// spectrum.LargestFull.
	TooLarge []string `json:"too_large,omitempty"`

	updates []spectrum.Update
}

type analyzedLayer struct {
	Layer         string          `json:"layer"`
	Shape         [2]int          `json:"shape"`
	Norm          float64         `json:"norm"`               // |ΔW|
	Relative      float64         `json:"relative,omitempty"` // |ΔW| / |W|; none of a quantized weight
	EffectiveRank float64         `json:"effective_rank"`
	Energy        map[int]float64 `json:"energy"` // share of |ΔW|² in the largest 1, 2, 4, …
	// StartShare is |s B0 A0|² / |ΔW|²: what MultiLoRA's random start contributes by itself. None
	// where the start is not known.
	StartShare *float64  `json:"start_share,omitempty"`
	Singular   []float64 `json:"singular_values"`
}

type similarity struct {
	Run   string      `json:"run"`
	Full  string      `json:"full"`
	Layer string      `json:"layer"`
	Phi   [][]float64 `json:"phi"` // [i-1][j-1]
}

type analyzeFlags struct {
	model, out               string
	layers                   []string
	directions               int
	force, overwrite, asJSON bool
	device                   deviceFlags
}

func analyzeCommand() *cobra.Command {
	var f analyzeFlags
	c := &cobra.Command{
		Use:   "analyze --model DIR RUN_OR_ADAPTER...",
		Short: "Show what fine-tuning has changed: singular values, energy, shared directions",
		Long: fmt.Sprintf(`Decompose the update that each run or adapter makes to the layers of its base model:
singular values, the share of the largest in it, how many count (effective rank), what
MultiLoRA's random start contributes by itself. A folder of a model is full tuning's, with
--model its base; adapters are then compared with it: phi(i, j) is how much of the space of
an adapter's first i directions lies in that of the full update's first j (2106.09685, 7.2).

Means over layers are printed, everything with --json. --out draws histograms and spectra of
all runs in one picture. Adapters take seconds at any size; of full updates, layers whose
smaller side is above %d are left out.`, spectrum.LargestFull),
		Example: "  agora analyze --model models/llama lora multilora full --out spectra.png\n" +
			"  agora analyze --model models/llama my-adapter --layers q_proj,k_proj --json",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, paths []string) error {
			if err := need("model", f.model); err != nil {
				return err
			}
			return f.run(c, paths)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.model, "model", "", "folder of the base model")
	fl.StringSliceVar(&f.layers, "layers", nil, "last parts of names of layers to look at (default: all)")
	fl.IntVar(&f.directions, "directions", 32, "of how many directions phi is computed at most")
	fl.StringVar(&f.out, "out", "", "picture to write: a .png, .svg or .pdf file")
	fl.BoolVar(&f.overwrite, "overwrite", false, "replace a picture that is there")
	fl.BoolVar(&f.force, "force", false, "use adapters although the model is not the one that they were made for")
	fl.BoolVar(&f.asJSON, "json", false, "print everything as JSON")
	f.device.register(c)
	return c
}

func (f *analyzeFlags) run(c *cobra.Command, paths []string) error {
	format := ""
	if f.out != "" {
		var err error
		if format, err = picture.Format(f.out); err != nil {
			return err
		}
		if err := (outFile{"out", f.out, f.overwrite, orOverwrite}).check(append(paths, f.model)...); err != nil {
			return err
		}
	}
	a, err := f.analyze(c, paths)
	if err != nil {
		return err
	}
	if f.out != "" {
		if err := atomicfile.WriteFile(f.out, func(w io.Writer) error { return a.draw(w, format) }); err != nil {
			return err
		}
	}
	if f.asJSON {
		return printJSON(c.OutOrStdout(), a)
	}
	return a.print(c.OutOrStdout())
}

func (f *analyzeFlags) analyze(c *cobra.Command, paths []string) (*analysis, error) {
	d, err := f.device.open()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	base, err := loadExactly(c, d, f.model)
	if err != nil {
		return nil, err
	}
	a := &analysis{Model: f.model}
	for i, path := range paths {
		r := analyzedRun{Name: runName(paths, i), Path: path}
		if isModel(path) {
			err = f.tuned(c, d, base, &r)
		} else {
			err = f.adapter(c, base, &r)
		}
		if err != nil {
			return nil, err
		}
		if len(r.Layers) == 0 {
			return nil, fmt.Errorf("%s: want layers to look at, got none of %v", path, f.layers)
		}
		slices.SortStableFunc(r.Layers, func(x, y analyzedLayer) int {
			return cmp.Compare(place(x.Layer), place(y.Layer))
		})
		a.Runs = append(a.Runs, r)
	}
	return a, a.compare(f.directions)
}

// runName is the last part of a path, or the whole path where that of another is the same.
func runName(paths []string, i int) string {
	last := func(path string) string {
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
		return filepath.Base(path)
	}
	for k, other := range paths {
		if k != i && last(other) == last(paths[i]) {
			return paths[i]
		}
	}
	return last(paths[i])
}

// isModel tells a folder of a whole model from one of an adapter.
func isModel(path string) bool {
	return multilora.FilesIn(path) == nil && regular.Exists(filepath.Join(path, llama.ConfigFile))
}

// place orders layers as the paper does: keys and values first.
func place(layer string) int {
	switch kindOf(layer) {
	case "k_proj":
		return 0
	case "v_proj":
		return 1
	}
	return 2
}

// kindOf is the last part of a layer's name.
func kindOf(layer string) string { return layer[strings.LastIndex(layer, ".")+1:] }

func (f *analyzeFlags) keeps(layer string) bool {
	return len(f.layers) == 0 || slices.ContainsFunc(f.layers, func(end string) bool {
		return layer == end || strings.HasSuffix(layer, "."+end)
	})
}

func (f *analyzeFlags) adapter(c *cobra.Command, base *llama.Model, r *analyzedRun) error {
	a, err := multilora.Open(base, r.Path, multilora.Options{AnyBase: f.force})
	if err != nil {
		return err
	}
	defer a.Detach()
	noteMatch(c, a)
	r.Method = string(a.Config().Method)
	if r.updates, err = spectrum.OfAdapter(c.Context(), a, f.keeps); err != nil {
		return err
	}
	if err := r.describe(c.Context(), base); err != nil {
		return err
	}
	seed, known := startOf(r.Path)
	if !known || a.Config().Method != multilora.MethodMultiLoRA {
		return nil
	}
	for i := range r.Layers {
		share, err := a.StartShare(r.Layers[i].Layer, seed)
		if err == nil { // a change of zero has none
			r.Layers[i].StartShare = &share
		}
	}
	return nil
}

// startOf is the seed of the modules that a run, or that of a checkpoint, began with.
func startOf(dir string) (seed uint64, known bool) {
	path := filepath.Join(dir, train.ConfigFile)
	if !regular.Exists(path) && filepath.Base(filepath.Dir(dir)) == train.CheckpointsFolder {
		path = filepath.Join(dir, "..", "..", train.ConfigFile)
	}
	if !regular.Exists(path) {
		return 0, false
	}
	cfg := train.Defaults()
	if err := cfg.Read(path); err != nil || cfg.FromAdapter != "" {
		return 0, false
	}
	return cfg.Seed, true
}

func (f *analyzeFlags) tuned(c *cobra.Command, d *tensor.Device, base *llama.Model, r *analyzedRun) error {
	scope := d.Scope()
	defer scope.Close()
	m, err := loadExactly(c, d, r.Path)
	if err != nil {
		return err
	}
	r.Method = string(train.MethodFull)
	if r.updates, r.TooLarge, err = spectrum.OfTuned(c.Context(), base, m, f.keeps); err != nil {
		return fmt.Errorf("%s: %w", r.Path, err)
	}
	return r.describe(c.Context(), base)
}

// describe turns updates into layers.
func (r *analyzedRun) describe(ctx context.Context, base *llama.Model) error {
	weights := map[string]*nn.Param{}
	for name, p := range nn.Params(base) {
		weights[name] = p
	}
	for _, u := range r.updates {
		if err := ctx.Err(); err != nil {
			return err
		}
		l := analyzedLayer{
			Layer: u.Layer, Shape: [2]int{u.Rows, u.Columns}, Norm: u.Norm(),
			EffectiveRank: u.EffectiveRank(), Energy: map[int]float64{}, Singular: u.Singular,
		}
		for k := 1; k < 2*len(u.Singular); k *= 2 {
			l.Energy[min(k, len(u.Singular))] = u.Energy(k)
		}
		if w := weights[u.Layer+".weight"]; w != nil && w.Value.DType().IsFloat() {
			values, err := w.Value.Float64s()
			if err != nil {
				return err
			}
			square := 0.0
			for _, v := range values {
				square += v * v
			}
			if square > 0 {
				l.Relative = l.Norm / math.Sqrt(square)
			}
		}
		r.Layers = append(r.Layers, l)
	}
	return nil
}

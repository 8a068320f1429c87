package main

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
)

// mergeReport is what merge --json prints. Its logit difference is that between the model
// with its adapter and the merged model as it was saved.
type mergeReport struct {
	Out   string `json:"out"`
	DType string `json:"dtype"`
	// Base says how the model compares with the adapter's own.
	Base        multilora.Match `json:"base,omitempty"`
	ProbeTokens int             `json:"probe_tokens"` // over which logits were compared
	multilora.MergeReport
}

type mergeFlags struct {
	model, out, dtype string
	adapter           adapterFlag
	device            deviceFlags
	asJSON            bool
}

func mergeCommand() *cobra.Command {
	var f mergeFlags
	c := &cobra.Command{
		Use:   "merge --model DIR --adapter PATH --out DIR",
		Short: "Put an adapter into the model's weights",
		Long: `Add an adapter to the weights of its model and save the result as a folder of
its own, which needs no adapter and which other programs read. What rounding to a 16-bit
type costs is measured on a few tokens and reported.`,
		Example: "  agora merge --model models/llama --adapter my-adapter --out my-model --dtype bf16",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need("model", f.model, "adapter", f.adapter.path, "out", f.out); err != nil {
				return err
			}
			r, err := f.run(c)
			if err != nil {
				return err
			}
			if f.asJSON {
				return printJSON(c.OutOrStdout(), r)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %d layers merged, weights in %s\nlargest difference of a "+
				"logit  %.3g (over %d tokens, whose largest logit is %.3g)\n",
				printable.Name(r.Out), len(r.Layers), r.DType, r.LogitDifference, r.ProbeTokens, r.LargestLogit)
			return err
		},
	}
	c.Flags().StringVar(&f.model, "model", "", "folder of the model")
	f.adapter.register(c)
	c.Flags().StringVar(&f.out, "out", "", "new folder for the merged model")
	c.Flags().StringVar(&f.dtype, "dtype", "", "storage of the merged weights: f32, bf16 or f16 (default: that of "+
		"the model)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print the report as JSON")
	f.device.register(c)
	return c
}

func (f *mergeFlags) run(c *cobra.Command) (*mergeReport, error) {
	if err := checkOutFolder(f.out); err != nil {
		return nil, err
	}
	var m merger
	var err error
	if m.loaded, m.saved, err = mergeTypes(f.model, f.dtype, tensor.F32, tensor.BF16, tensor.F16); err != nil {
		return nil, err
	}
	d, err := f.device.open()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	m.command, m.device, m.eos, m.report = c, d, f.adapter.endOf(c, f.model), &mergeReport{Out: f.out, DType: m.saved.String()}
	return m.report, writeFolder(f.out, func(dir string) error {
		if err := m.save(f, dir); err != nil {
			return err
		}
		if err := m.compare(dir); err != nil {
			return err
		}
		if err := copyBesideWeights(c, f.model, dir); err != nil || m.eos < 0 {
			return err
		}
		return tokenizer.CopyGeneration(f.model, dir, m.eos)
	})
}

// merger merges one model.
type merger struct {
	command       *cobra.Command
	device        *tensor.Device
	loaded, saved tensor.DType // loaded is wide enough that only saving rounds
	eos           int32        // see adapterFlag.endOf
	before        []float32    // logits of the probe with the adapter beside the weights
	report        *mergeReport
}

// mergeTypes chooses the types that a model is loaded and saved in: saved is dtype, one
// of those allowed, or that of the model where it is empty.
func mergeTypes(model, dtype string, allowed ...tensor.DType) (loaded, saved tensor.DType, err error) {
	stored, err := storedType(model)
	if err != nil {
		return 0, 0, err
	}
	if saved = stored; dtype != "" {
		if saved, err = parseDType("dtype", dtype, allowed...); err != nil {
			return 0, 0, err
		}
	}
	if saved != stored || isPacked(model) { // only saving rounds
		return tensor.F32, saved, nil
	}
	return stored, saved, nil
}

// isPacked reports whether a model is a folder whose matrices are quantized.
func isPacked(model string) bool {
	c, err := llama.ReadConfig(model)
	return err == nil && c.Packing() != ""
}

// storedType is the type in which a folder holds a model's weights: that of its
// embedding. It is f32 for what is wider, and for a GGUF file.
func storedType(model string) (dt tensor.DType, err error) {
	if isFile(model) {
		return tensor.F32, nil
	}
	file, err := safetensors.OpenModel(model)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	embedding, err := file.Tensor("model.embed_tokens.weight")
	if err != nil {
		return 0, err
	}
	switch embedding.DType {
	case safetensors.F16:
		return tensor.F16, nil
	case safetensors.BF16:
		return tensor.BF16, nil
	}
	return tensor.F32, nil
}

// save merges and saves the model.
func (m *merger) save(f *mergeFlags, dir string) error {
	scope := m.device.Scope() // the model goes before it is loaded again
	defer scope.Close()
	model, err := loadModel(m.command, m.device, f.model, llama.LoadOptions{DType: m.loaded})
	if err != nil {
		return err
	}
	var adapter *multilora.Adapter
	if f.adapter.given() { // export may go without
		if adapter, err = f.adapter.open(m.command, model); err != nil {
			return err
		}
		m.report.Base = adapter.Match()
	}
	if m.before, err = m.probe(model); err != nil {
		return err
	}
	if firstNotFinite(m.before) >= 0 {
		return noNumbers(model)
	}
	if adapter != nil {
		if m.report.Layers, err = adapter.Merge(); err != nil {
			return err
		}
	}
	if m.eos >= 0 {
		model.Config.EndBy(m.eos)
	}
	return model.SaveAs(dir, m.saved)
}

// compare loads what was saved and compares its logits.
func (m *merger) compare(dir string) error {
	scope := m.device.Scope()
	defer scope.Close()
	model, err := loadModel(m.command, m.device, dir, llama.LoadOptions{DType: m.loaded})
	if err != nil {
		return err
	}
	after, err := m.probe(model)
	if err != nil {
		return err
	}
	for i, v := range m.before {
		m.report.LargestLogit = max(m.report.LargestLogit, math.Abs(float64(v)))
		m.report.LogitDifference = max(m.report.LogitDifference, math.Abs(float64(v)-float64(after[i])))
	}
	switch {
	case firstNotFinite(after) < 0:
		return nil
	case m.saved == m.loaded:
		return fmt.Errorf("the merged model in %s gives logits that are no numbers", m.saved)
	}
	return fmt.Errorf("the merged model in %s gives logits that are no numbers: choose a wider --dtype", m.saved)
}

// noNumbers says why a model with its adapter gives no numbers, before anything is rounded.
func noNumbers(model *llama.Model) error {
	for name, p := range nn.Params(model) {
		values, err := p.Value.Float32s()
		if err != nil {
			return err
		}
		if i := firstNotFinite(values); i >= 0 {
			return fmt.Errorf("the model gives logits that are no numbers: tensor %s: want finite numbers, got %v at element %d",
				printable.Name(name), values[i], i)
		}
	}
	return errors.New("the model with its adapter gives logits that are no numbers: they are too large on the way")
}

// firstNotFinite is where the first number stands that is infinite or none, or -1.
func firstNotFinite(values []float32) int {
	return slices.IndexFunc(values, func(x float32) bool { return !(math.Abs(float64(x)) <= math.MaxFloat32) })
}

// copyBesideWeights copies the tokenizer and what else belongs to the model. A GGUF file may
// have a vocabulary that is not known here: a folder is worth having without it.
func copyBesideWeights(c *cobra.Command, from, to string) error {
	if isFile(from) {
		if _, err := tokenizer.Load(from); err != nil {
			fmt.Fprintf(c.ErrOrStderr(), "warning: the folder gets no tokenizer: %s\n", printable.Name(err.Error()))
			return tokenizer.CopyGeneration(from, to, -1)
		}
	}
	return tokenizer.CopyBesideWeights(from, to)
}

// probe computes the logits of some tokens from all over the vocabulary.
func (m *merger) probe(model *llama.Model) ([]float32, error) {
	const most = 64
	ids := make([]int32, min(most, model.Config.Vocab, model.Config.MaxPositions))
	for i := range ids {
		ids[i] = int32(i * model.Config.Vocab / len(ids))
	}
	m.report.ProbeTokens = len(ids)
	scope := m.device.Scope()
	defer scope.Close()
	return model.Logits(llama.Batch{Rows: 1, IDs: ids}).Tensor().Float32s()
}

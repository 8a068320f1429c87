package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/train"
)

// autoDType is the --dtype of llama.LoadOptions.AsStored.
const autoDType = "auto"

// modelFlags are the flags of every command that runs a model.
type modelFlags struct {
	model     string
	adapter   adapterFlag
	tokenizer string
	eosToken  string
	dtype     string
	compute   string
	offload   string
	device    deviceFlags
}

func (f *modelFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.model, "model", "", "folder of the model (config.json, model.safetensors, tokenizer), or "+
		"GGUF file")
	f.adapter.register(c)
	c.Flags().StringVar(&f.tokenizer, "tokenizer", "", "folder or file of the tokenizer (default: the model's folder)")
	c.Flags().StringVar(&f.eosToken, "eos-token", "",
		"token that ends a text, as the vocabulary spells it (default: what the adapter was trained with, if "+
			"that was told, else what the tokenizer's files name, else the model's)")
	c.Flags().StringVar(&f.dtype, "dtype", autoDType, "storage of weights and activations: f32, bf16 or f16; of weights "+
		"alone: q8, q4, q4_k or nf4; auto: --compute-dtype, and of a quantized model the weights as its files have them")
	c.Flags().StringVar(&f.compute, "compute-dtype", "",
		"storage of activations with --dtype q8, q4, q4_k or nf4 (default: f32) or auto (default: bf16 on a GPU that multiplies "+
			"matrices of it, f16 on one that does so of that alone, else f32): f32, bf16 or f16")
	c.Flags().StringVar(&f.offload, "offload", train.OffloadNothing, "what is not in the device's memory until it is used: "+
		"none, or weights: these stay in the model's file where it has them in --dtype's type, so that the model may be larger "+
		"than the memory; a GPU has two blocks at a time")
	f.device.register(c)
}

// base is a model on its device, with its adapter if it has one.
type base struct {
	*llama.Model
	adapter *multilora.Adapter
	device  *tensor.Device
}

func (f *modelFlags) open(c *cobra.Command) (b *base, err error) {
	storage, err := f.storage()
	if err != nil {
		return nil, err
	}
	d, err := f.device.open()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	b = &base{device: d}
	if storage.AsStored && f.compute == "" {
		var why string
		if storage.ComputeDType, why = train.AutoDType(d, f.model); why != "" {
			fmt.Fprintf(c.ErrOrStderr(), "--dtype auto: %s (--compute-dtype decides otherwise)\n", why)
		}
	}
	if b.Model, err = loadModel(c, d, f.model, storage); err != nil {
		return nil, err
	}
	if types := b.Stored(); storage.AsStored && slices.ContainsFunc(types, tensor.DType.IsQuantized) {
		fmt.Fprintf(c.ErrOrStderr(), "weights as the model has them: %s (--dtype f32 widens them)\n", strings.Trim(fmt.Sprint(types), "[]"))
	}
	if f.adapter.given() {
		b.adapter, err = f.adapter.open(c, b.Model)
	}
	return b, err
}

// storage reads --dtype, --offload and --compute-dtype.
func (f *modelFlags) storage() (o llama.LoadOptions, err error) {
	if o.AsStored = f.dtype == autoDType; !o.AsStored {
		o.DType, err = parseDType("dtype", f.dtype, tensor.WeightTypes()...)
	}
	switch f.offload {
	case "", train.OffloadNothing:
	case train.OffloadWeights:
		o.Offload = true
	default:
		return o, fmt.Errorf("--offload %q: want %s or %s", f.offload, train.OffloadNothing, train.OffloadWeights)
	}
	if err != nil || f.compute == "" {
		return o, err
	}
	o.ComputeDType, err = parseDType("compute-dtype", f.compute, tensor.F32, tensor.BF16, tensor.F16)
	if err == nil && !o.DType.IsQuantized() && !o.AsStored && o.ComputeDType != o.DType {
		err = fmt.Errorf("--compute-dtype: want %[1]s with --dtype %[1]s (another is for --dtype q8, q4, q4_k or nf4), got %[2]s", o.DType, o.ComputeDType)
	}
	return o, err
}

// loadModel loads a model, with a bar on a terminal.
func loadModel(c *cobra.Command, d *tensor.Device, path string, o llama.LoadOptions) (*llama.Model, error) {
	if isTerminal(c.ErrOrStderr()) {
		bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(ourOwn(c.ErrOrStderr())),
			progressbar.OptionSetDescription("loading"),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetRenderBlankState(false),
			progressbar.OptionThrottle(100*time.Millisecond))
		defer func() { _ = bar.Finish() }() // cosmetic
		o.Progress = func(done, tensors int) {
			bar.ChangeMax(tensors)
			_ = bar.Set(done) // cosmetic
		}
	}
	return llama.Load(c.Context(), d, path, o)
}

// loadTokenizer reads the tokenizer that belongs to the model.
func (f *modelFlags) loadTokenizer() (tokenizer.Tokenizer, error) {
	o := tokenizer.Options{Model: f.model, EOS: f.eosToken}
	named := ""
	if o.EOS == "" {
		o.EOS, named = f.adapter.eosToken()
	}
	tok, err := tokenizer.LoadFor(cmp.Or(f.tokenizer, f.model), o)
	if err != nil && named != "" {
		err = fmt.Errorf("%s: %w", named, err)
	}
	return tok, err
}

// isFile reports whether a path names a file, and no folder.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func (b *base) close() { b.device.Close() }

// need returns an error for the first flag of names and values that was not given.
func need(namesAndValues ...string) error {
	for i := 0; i < len(namesAndValues); i += 2 {
		if namesAndValues[i+1] == "" {
			return fmt.Errorf("--%s is missing", namesAndValues[i])
		}
	}
	return nil
}

// parseDType reads a flag's type, which must be one of these.
func parseDType(flag, name string, allowed ...tensor.DType) (tensor.DType, error) {
	dt, err := tensor.ParseDType(name)
	if err != nil || !slices.Contains(allowed, dt) {
		return 0, fmt.Errorf("--%s %q: want one of %v", flag, name, allowed)
	}
	return dt, nil
}

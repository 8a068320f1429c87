package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tokenizer"
)

type exportFlags struct {
	adapterFlags
	to     string
	merged bool
	dtype  string

	overwrite bool
}

// file is what --to gguf writes.
func (f *exportFlags) file() outFile { return outFile{"out", f.out, f.overwrite, orOverwrite} }

func exportCommand() *cobra.Command {
	var f exportFlags
	c := &cobra.Command{
		Use:   "export --model DIR --adapter PATH --to peft|gguf|safetensors|ollama --out PATH [--merged]",
		Short: "Write an adapter, or the merged model, for other programs",
		Long: `Write an adapter for other programs. MultiLoRA becomes one ordinary LoRA that computes
the same.

  --to peft                  a folder that PEFT loads, with the model's tokenizer and chat template
  --to gguf                  a file that llama.cpp loads with --lora
  --to safetensors           a folder of Agora's own form
  --to gguf --merged         the model with the adapter in its weights, for llama.cpp
  --to safetensors --merged  the same as a Hugging Face folder (see agora merge)
  --to ollama                a folder with the merged model and a Modelfile, for ollama create

With --merged and --to ollama the adapter may be left out: the model alone is written.`,
		Example: "  agora export --model models/llama --adapter my-adapter --to peft --out peft-adapter\n" +
			"  agora export --model models/llama --adapter my-adapter --merged --to gguf --dtype q8 --out " +
			"my-model.gguf",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need("model", f.model, "to", f.to, "out", f.out); err != nil {
				return err
			}
			r, err := f.run(c)
			if err != nil {
				return err
			}
			r.Form = f.to
			return f.print(c, r)
		},
	}
	f.register(c)
	c.Flags().StringVar(&f.to, "to", "", "form: peft, gguf, safetensors or ollama")
	c.Flags().StringVar(&f.out, "out", "", "new folder, or file for gguf")
	c.Flags().BoolVar(&f.overwrite, "overwrite", false,
		"replace a file that is there (--to gguf); never the model or the adapter")
	c.Flags().BoolVar(&f.merged, "merged", false, "write the model with the adapter in its weights")
	c.Flags().StringVar(&f.dtype, "dtype", "", "storage of a merged model's weights: f32, bf16, f16, for gguf also "+
		"q8, q4 or q4_k (default: that of the model)")
	return c
}

func (f *exportFlags) run(c *cobra.Command) (*converted, error) {
	if f.to == "ollama" {
		return f.exportOllama(c)
	}
	if !f.merged {
		return f.exportAdapter(c)
	}
	switch f.to {
	case "safetensors":
		merge := mergeFlags{model: f.model, adapter: f.adapter, out: f.out, dtype: f.dtype, device: f.device}
		r, err := merge.run(c)
		if err != nil {
			return nil, err
		}
		return &converted{Out: f.out, DType: r.DType, Base: r.Base}, nil
	case "gguf":
		return f.exportModelGGUF(c)
	}
	return nil, fmt.Errorf("--to %q: want gguf, safetensors or ollama with --merged", f.to)
}

func (f *exportFlags) exportAdapter(c *cobra.Command) (*converted, error) {
	if err := need("adapter", f.adapter.path); err != nil {
		return nil, err
	}
	if f.dtype != "" {
		return nil, errors.New("--dtype: want it with --merged only; adapters are written in f32")
	}
	var warnings []string
	save := map[string]func(*llama.Model, *multilora.Adapter) error{
		"peft": func(m *llama.Model, a *multilora.Adapter) error {
			if limit := a.PEFTLimits(); limit != "" {
				warnings = append(warnings, "PEFT beside transformers 5 does not take this adapter of experts, older ones do: "+
					limit)
			}
			return writeFolder(f.out, func(dir string) error {
				if err := a.SavePEFT(dir); err != nil {
					return err
				}
				if err := copyBesideWeights(c, f.model, dir); err != nil { // who serves it looks for the chat template there
					return err
				}
				if eos := f.adapter.endOf(c, f.model); eos >= 0 {
					return copyGeneration(f.model, dir, eos, m.Config)
				}
				return nil
			})
		},
		"gguf": func(m *llama.Model, a *multilora.Adapter) error { return a.SaveGGUF(f.out, m.Config) },
		"safetensors": func(_ *llama.Model, a *multilora.Adapter) error {
			folded, err := a.Fold()
			if err != nil {
				return err
			}
			return writeFolder(f.out, folded.Save)
		},
	}[f.to]
	if save == nil {
		return nil, fmt.Errorf("--to %q: want peft, gguf, safetensors or ollama", f.to)
	}
	check := checkOutFolder
	if f.to == "gguf" {
		check = func(string) error { return f.file().check(f.model, f.adapter.path) }
	}
	if err := check(f.out); err != nil {
		return nil, err
	}
	r, err := f.load(c, save)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
	}
	r.Warnings = warnings
	if r.Method == string(multilora.MethodMultiLoRA) { // other programs do not know it
		r.Method = string(multilora.MethodLoRA)
	}
	return r, nil
}

// copyGeneration copies how a model generates, with an adapter's eos among what ends a text. Where the model has no
// generation_config.json one is made of its configuration, which does not come along.
func copyGeneration(model, to string, eos int32, config llama.Config) error {
	if err := tokenizer.CopyGeneration(model, to, eos); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(to, "generation_config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return tokenizer.WriteGeneration(to, config.BOS, inFront(eos, config.EOS))
	}
	return err
}

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// converted is what import --json and export --json print.
type converted struct {
	Out    string   `json:"out"`
	Form   string   `json:"form"`             // agora, peft, gguf, safetensors or ollama
	Method string   `json:"method,omitempty"` // of an adapter: as it is in Agora
	Rank   int      `json:"rank,omitempty"`   // of an adapter: of a layer's modules together
	Layers []string `json:"layers,omitempty"` // of an adapter: those it changes
	// Base says how the model compares with the adapter's own.
	Base  multilora.Match `json:"base,omitempty"`
	DType string          `json:"dtype,omitempty"` // of a model
	// Warnings are what llama.cpp, or PEFT, will read otherwise.
	Warnings []string `json:"warnings,omitempty"`
}

// adapterFlags are the flags of commands that read an adapter and write something.
type adapterFlags struct {
	model, out string
	adapter    adapterFlag
	device     deviceFlags
	asJSON     bool
}

func (f *adapterFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.model, "model", "", "folder of the base model")
	f.adapter.register(c)
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	f.device.register(c)
}

// load attaches the adapter to its model and lets save write it.
func (f *adapterFlags) load(c *cobra.Command, save func(*llama.Model, *multilora.Adapter) error) (*converted, error) {
	d, err := f.device.open()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	m, err := loadExactly(c, d, f.model) // the model's numbers tell whether it is the adapter's
	if err != nil {
		return nil, err
	}
	a, err := f.adapter.open(c, m)
	if err == nil && len(a.Extra()) > 0 && m.DType() != tensor.F32 { // they have the model's storage type
		if m, err = loadModel(c, d, f.model, llama.LoadOptions{DType: tensor.F32}); err == nil {
			a, err = multilora.Open(m, f.adapter.path, f.adapter.options())
		}
	}
	if err != nil {
		return nil, err
	}
	config := a.Config()
	return &converted{Out: f.out, Method: string(config.Method), Rank: config.TotalRank(), Layers: a.Layers(),
		Base: a.Match()}, save(m, a)
}

// loadExactly loads a model in a type that does not round it.
func loadExactly(c *cobra.Command, d *tensor.Device, path string) (*llama.Model, error) {
	dt, err := exactType(path)
	if err != nil {
		return nil, err
	}
	return loadModel(c, d, path, llama.LoadOptions{DType: dt})
}

// exactType is a type that a model can be loaded in without rounding, and that takes little
// more memory than its files.
func exactType(model string) (dt tensor.DType, err error) {
	switch {
	case isPacked(model):
		return tensor.Q8, nil // its blocks, and whatever is beside them, stay as they are
	case !isFile(model):
		return storedType(model)
	}
	file, err := gguf.Open(model)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	embedding, err := file.Tensor("token_embd.weight")
	if err != nil {
		return 0, err
	}
	switch embedding.Type {
	case gguf.F16:
		return tensor.F16, nil
	case gguf.BF16:
		return tensor.BF16, nil
	}
	for _, t := range file.Tensors() {
		if len(t.Shape) > 1 && !t.Type.IsQuantized() {
			return tensor.F32, nil
		}
	}
	return tensor.Q8, nil // smaller blocks stay as they are
}

func (f *adapterFlags) print(c *cobra.Command, r *converted) error {
	if f.asJSON {
		return printJSON(c.OutOrStdout(), r)
	}
	if r.Layers == nil {
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s: a model in form %s, weights in %s\n", printable.Name(r.Out),
			r.Form, r.DType)
		return err
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s: an adapter in form %s, %s of rank %d on %d layers\n",
		printable.Name(r.Out), r.Form, r.Method, r.Rank, len(r.Layers))
	return err
}

func importCommand() *cobra.Command {
	var f adapterFlags
	c := &cobra.Command{
		Use:   "import --model DIR --adapter PATH --out DIR",
		Short: "Turn another program's adapter into one of Agora's form",
		Long: `Read an adapter of PEFT (a folder) or llama.cpp (a GGUF file), check it against its
model and save it as a folder of Agora's own form. Other commands read all forms as they
are; import is for keeping one.`,
		Example: "  agora import --model models/llama --adapter peft-adapter --out my-adapter",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need("model", f.model, "adapter", f.adapter.path, "out", f.out); err != nil {
				return err
			}
			if err := checkOutFolder(f.out); err != nil {
				return err
			}
			r, err := f.load(c, func(_ *llama.Model, a *multilora.Adapter) error { return writeFolder(f.out, a.Save) })
			if err != nil {
				return err
			}
			r.Form = "agora"
			return f.print(c, r)
		},
	}
	f.register(c)
	c.Flags().StringVar(&f.out, "out", "", "new folder for the adapter")
	return c
}

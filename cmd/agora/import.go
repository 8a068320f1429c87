package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// converted is what import --json and export --json print.
type converted struct {
	Out    string   `json:"out"`
	Form   string   `json:"form"`             // agora, peft, gguf or safetensors
	Method string   `json:"method,omitempty"` // of an adapter: as it is in Agora
	Rank   int      `json:"rank,omitempty"`   // of an adapter: of a layer's modules together
	Layers []string `json:"layers,omitempty"` // of an adapter: those it changes
	DType  string   `json:"dtype,omitempty"`  // of a model
}

// adapterFlags are the flags of commands that read an adapter and write something.
type adapterFlags struct {
	model, adapter, out string
	device              deviceFlags
	asJSON              bool
}

func (f *adapterFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.model, "model", "", "folder of the base model")
	c.Flags().StringVar(&f.adapter, "adapter", "", "adapter: a folder of Agora or PEFT, or a GGUF file")
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
	m, a, err := f.open(c, d, tensor.BF16) // of the model only names and shapes matter
	if err == nil && len(a.Extra()) > 0 {  // which have the model's storage type
		m, a, err = f.open(c, d, tensor.F32)
	}
	if err != nil {
		return nil, err
	}
	config := a.Config()
	return &converted{Out: f.out, Method: string(config.Method), Rank: config.TotalRank(), Layers: a.Layers()}, save(m, a)
}

// open loads the model and attaches the adapter.
func (f *adapterFlags) open(c *cobra.Command, d *tensor.Device, dt tensor.DType) (*llama.Model, *multilora.Adapter, error) {
	m, err := loadModel(c, d, f.model, llama.LoadOptions{DType: dt})
	if err != nil {
		return nil, nil, err
	}
	a, err := multilora.Open(m, f.adapter)
	return m, a, err
}

func (f *adapterFlags) print(c *cobra.Command, r *converted) error {
	if f.asJSON {
		return printJSON(c.OutOrStdout(), r)
	}
	if r.Layers == nil {
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s: a model in form %s, weights in %s\n", r.Out, r.Form, r.DType)
		return err
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s: an adapter in form %s, %s of rank %d on %d layers\n", r.Out, r.Form, r.Method, r.Rank, len(r.Layers))
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
			if err := need("model", f.model, "adapter", f.adapter, "out", f.out); err != nil {
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

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// randomModel is what bench model --json prints.
type randomModel struct {
	Out   string `json:"out"`
	Model string `json:"model"` // its shape's name
	DType string `json:"dtype"`
	Bytes int64  `json:"bytes"` // of the file
}

func benchModelCommand() *cobra.Command {
	var shape, dtype, out string
	var seed uint64
	var asJSON bool
	c := &cobra.Command{
		Use:   "model --shape NAME --out FILE",
		Short: "Write a model of random numbers, for a whole run to be tried with",
		Long: `Writes a GGUF file with a model of some shape whose weights are random, a tensor at a time: it may be larger than
the memory. agora train and all other commands take it as any model, with the --tokenizer of another, which may
have fewer words. It is there to measure with: what it learns from is noise.`,
		Example: "  agora bench model --shape llama-7b --dtype q4 --out 7b.gguf\n" +
			"  agora train --model 7b.gguf --tokenizer models/llama --dtype q4 --offload weights --data rows.jsonl --out run",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need("shape", shape, "out", out); err != nil {
				return err
			}
			name, config, err := bench.ReadShape(shape)
			if err != nil {
				return fmt.Errorf("--shape: %w", err)
			}
			dt, err := tensor.ParseDType(dtype)
			if err != nil {
				return fmt.Errorf("--dtype: %w", err)
			}
			if err := (outFile{flag: "out", path: out}).check(); err != nil {
				return err
			}
			if err := llama.NewGGUF(c.Context(), out, config, llama.GGUFOptions{DType: dt}, seed); err != nil {
				return err
			}
			file, err := os.Stat(out)
			if err != nil {
				return err
			}
			r := randomModel{out, name, dt.String(), file.Size()}
			if asJSON {
				return printJSON(c.OutOrStdout(), r)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: random weights of %s in %s, %.2f GB\n", printable.Name(r.Out),
				printable.Name(r.Model), r.DType, 1e-9*float64(r.Bytes))
			return err
		},
	}
	c.Flags().StringVar(&shape, "shape", "", "the model: a name, a config.json or a folder")
	c.Flags().StringVar(&dtype, "dtype", "f32", "storage of the matrices: f32, bf16, f16, q8, q4 or q4_k")
	c.Flags().StringVar(&out, "out", "", "the new file")
	c.Flags().Uint64Var(&seed, "seed", 0, "of the numbers")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/internal/printable"
)

// inspection is what inspect --json prints.
type inspection struct {
	Path       string         `json:"path"`
	Kind       string         `json:"kind"`  // model, adapter, safetensors or gguf
	About      map[string]any `json:"about"` // what configuration and metadata say
	Tensors    []tensorInfo   `json:"tensors"`
	Parameters int            `json:"parameters"`                  // elements of all tensors
	Active     int            `json:"active_parameters,omitempty"` // of these, what computes a token of a mixture of experts
	Bytes      int            `json:"bytes"`                       // of all tensors in the file
	Memory     *memoryNeed    `json:"memory,omitempty"`            // of a model

	// Of a model, and of a GGUF file that is one:
	Storage []stored       `json:"storage,omitempty"` // types of the weights, the one with the most bytes first
	Trains  []string       `json:"trains,omitempty"`  // what --targets names
	Exports []exportAnswer `json:"exports,omitempty"` // of agora export
}

// stored is how much of a model is in one type.
type stored struct {
	DType string `json:"dtype"`
	Bytes int    `json:"bytes"`
}

// exportAnswer says whether a model is exported in a form, and if not why.
type exportAnswer struct {
	To      string `json:"to"` // safetensors, gguf or ollama
	Refused string `json:"refused,omitempty"`
}

type tensorInfo struct {
	Name       string `json:"name"`
	DType      string `json:"dtype"`
	Shape      []int  `json:"shape"`
	Parameters int    `json:"parameters"`
	Bytes      int    `json:"bytes"`
}

// memoryNeed is what running a model needs, in bytes, for each --dtype.
type memoryNeed struct {
	WeightsF32    int `json:"weights_f32"`
	Weights16     int `json:"weights_bf16_f16"`
	CacheTokenF32 int `json:"kv_cache_per_token_f32"` // keys and values of one token, generating
	CacheToken16  int `json:"kv_cache_per_token_bf16_f16"`
}

func inspectCommand() *cobra.Command {
	var model, adapter string
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect PATH",
		Short: "Show what a model, an adapter or a file of tensors holds",
		Long: `Show the tensors, shapes, types, parameters and memory of a model's folder, an
adapter's folder (Agora's or PEFT's), or a .safetensors or .gguf file. A model is
checked as it would be before loading, with every reason of its configuration if it
is refused; what adapters train in it, and what it is exported to, is said.`,
		Example: "  agora inspect models/llama\n  agora inspect my-adapter --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			for _, path := range []string{model, adapter} {
				if path != "" {
					args = append(args, path)
				}
			}
			if len(args) != 1 {
				return fmt.Errorf("want one folder or file to inspect, got %d", len(args))
			}
			i, err := inspect(c.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), i)
			}
			return i.print(c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&model, "model", "", "the PATH of a model, spelled as for other commands")
	c.Flags().StringVar(&adapter, "adapter", "", "the PATH of an adapter, spelled as for other commands")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (i *inspection) add(t tensorInfo) {
	i.Tensors = append(i.Tensors, t)
	i.Parameters += t.Parameters
	i.Bytes += t.Bytes
}

func (i *inspection) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, t := range withoutExperts(i.Tensors) {
		fmt.Fprintf(table, "%s\t%s\t%v\n", printable.Name(t.Name), t.DType, t.Shape)
	}
	fmt.Fprintf(table, "\n%s\t%s\n", i.Kind, printable.Name(i.Path))
	for _, key := range slices.Sorted(maps.Keys(i.About)) {
		switch v := i.About[key].(type) {
		case nil:
		case []string: // each in a line
			for _, s := range v {
				fmt.Fprintf(table, "%s\t%.300s\n", printable.Name(key), printable.Name(s))
			}
		default:
			fmt.Fprintf(table, "%s\t%.200s\n", printable.Name(key), printable.Name(fmt.Sprint(v)))
		}
	}
	fmt.Fprintf(table, "parameters\t%d in %d tensors\n", i.Parameters, len(i.Tensors))
	if i.Active > 0 {
		fmt.Fprintf(table, "for a token\t%d of them\n", i.Active)
	}
	fmt.Fprintf(table, "stored\t%s\n", byteString(i.Bytes))
	for n, s := range i.Storage {
		name := ""
		if n == 0 {
			name = "storage"
		}
		fmt.Fprintf(table, "%s\t%s %s\n", name, s.DType, byteString(s.Bytes))
	}
	if len(i.Trains) > 0 {
		more := ""
		if i.Active > 0 {
			more = " (experts where --targets names them, all-linear leaves them out)"
		}
		fmt.Fprintf(table, "adapters on\t%s%s\n", printable.Name(strings.Join(i.Trains, ", ")), more)
	}
	for _, e := range i.Exports {
		answer := "yes"
		if e.Refused != "" {
			answer = "no: " + printable.Name(e.Refused)
		}
		fmt.Fprintf(table, "export --to %s\t%.400s\n", e.To, answer)
	}
	if m := i.Memory; m != nil {
		fmt.Fprintf(table, "memory, f32\t%s, and %s a token of the text while generating\n", byteString(m.WeightsF32),
			byteString(m.CacheTokenF32))
		fmt.Fprintf(table, "memory, bf16 or f16\t%s, and %s a token\n", byteString(m.Weights16),
			byteString(m.CacheToken16))
	}
	return table.Flush()
}

// withoutExperts leaves of the tensors that a mixture's experts have alike one, with * for their number.
func withoutExperts(all []tensorInfo) (list []tensorInfo) {
	seen := map[string]bool{}
	for _, t := range all {
		layer, rest, ok := strings.Cut(t.Name, ".experts.")
		_, part, numbered := strings.Cut(rest, ".")
		if ok && numbered {
			t.Name = layer + ".experts.*." + part
			if kind := fmt.Sprint(t.Name, t.DType, t.Shape); seen[kind] {
				continue
			} else {
				seen[kind] = true
			}
		}
		list = append(list, t)
	}
	return list
}

// byteString is a size as people read it.
func byteString(n int) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if float64(n) >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

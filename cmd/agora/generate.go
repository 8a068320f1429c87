package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
)

// generation is what generate --json prints.
type generation struct {
	Text string  `json:"text"` // prompt and continuation
	IDs  []int32 `json:"ids"`  // of both, BOS included
}

type generateFlags struct {
	model, adapter      string
	prompt              string
	instruction, input  string
	greedy              bool
	dtype               string
	options             llama.GenerateOptions
	asJSON, ignoreEOS   bool
	device              deviceFlags
	promptIsInstruction bool
}

func generateCommand() *cobra.Command {
	var f generateFlags
	c := &cobra.Command{
		Use:   "generate --model DIR [--adapter DIR] (--prompt TEXT | --instruction TEXT)",
		Short: "Continue a text, or answer an instruction",
		Example: "  agora generate --model models/llama --prompt \"Once upon a time\" --greedy\n" +
			"  agora generate --model models/llama --adapter my-adapter --instruction \"Name three colours.\"",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f.promptIsInstruction = c.Flags().Changed("instruction")
			if f.promptIsInstruction == c.Flags().Changed("prompt") {
				return errors.New("want either --prompt or --instruction")
			}
			return f.run(c)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.model, "model", "", "folder of the model (config.json, model.safetensors, tokenizer.model)")
	fl.StringVar(&f.adapter, "adapter", "", "folder of an adapter that agora train has saved")
	fl.StringVar(&f.prompt, "prompt", "", "text to continue; may be empty")
	fl.StringVar(&f.instruction, "instruction", "", "instruction to answer, put into Alpaca's prompt")
	fl.StringVar(&f.input, "input", "", "further input for --instruction")
	fl.IntVar(&f.options.MaxTokens, "max-tokens", 256, "new tokens at most")
	fl.BoolVar(&f.greedy, "greedy", false, "always the most likely token (the same as --temperature 0)")
	fl.Float32Var(&f.options.Temperature, "temperature", 0.8, "divides the logits before drawing")
	fl.IntVar(&f.options.TopK, "top-k", 0, "draw from the K most likely tokens; 0: from all")
	fl.Float32Var(&f.options.TopP, "top-p", 0, "draw from the most likely tokens of this probability together; 0: from all")
	fl.Uint64Var(&f.options.Seed, "seed", 0, "of the random numbers")
	fl.BoolVar(&f.ignoreEOS, "ignore-eos", false, "go on past the end of the text")
	fl.StringVar(&f.dtype, "dtype", "f32", "storage of weights and activations: f32, bf16 or f16")
	fl.BoolVar(&f.asJSON, "json", false, "print text and ids as JSON")
	f.device.register(c)
	return c
}

func (f *generateFlags) run(c *cobra.Command) error {
	if f.model == "" {
		return errors.New("--model is missing")
	}
	if f.options.MaxTokens < 1 {
		return fmt.Errorf("--max-tokens %d: want at least 1", f.options.MaxTokens)
	}
	if f.greedy {
		f.options.Temperature = 0
	}
	dt, err := tensor.ParseDType(f.dtype)
	if err != nil {
		return fmt.Errorf("--dtype: %w", err)
	}
	tok, err := tokenizer.Load(f.model)
	if err != nil {
		return err
	}
	d, err := f.device.open()
	if err != nil {
		return err
	}
	defer d.Close()
	m, err := llama.Load(d, f.model, llama.LoadOptions{DType: dt})
	if err != nil {
		return err
	}
	if f.adapter != "" {
		if _, err := multilora.Load(m, f.adapter); err != nil {
			return err
		}
	}
	if !f.ignoreEOS {
		f.options.StopIDs = m.Config.EOS
	}
	text := f.prompt
	if f.promptIsInstruction {
		text = data.AlpacaPrompt(f.instruction, f.input)
	}
	return f.generate(c, m, tok, text)
}

func (f *generateFlags) generate(c *cobra.Command, m *llama.Model, tok tokenizer.Tokenizer, text string) error {
	var ids []int32
	if bos, ok := tok.BOS(); ok {
		ids = append(ids, bos)
	}
	ids = append(ids, tok.Encode(text)...)
	out := c.OutOrStdout()
	stream := io.Writer(out)
	if f.asJSON {
		stream = io.Discard
	}
	decoder := tokenizer.NewDecoder(tok)
	if f.promptIsInstruction {
		for _, id := range ids { // the answer alone is shown
			decoder.Push(id)
		}
	} else {
		for _, id := range ids {
			fmt.Fprint(stream, decoder.Push(id))
		}
	}
	for id, err := range m.Generate(c.Context(), ids, f.options) {
		if err != nil {
			if c.Context().Err() != nil { // Ctrl-C: what there is, is shown
				break
			}
			return err
		}
		ids = append(ids, id)
		fmt.Fprint(stream, decoder.Push(id))
	}
	fmt.Fprintln(stream, decoder.Flush())
	if f.asJSON {
		return printJSON(out, generation{Text: tok.Decode(ids), IDs: ids})
	}
	return nil
}

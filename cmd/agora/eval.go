package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/eval"
	"github.com/agora-ml/agora/internal/stream"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tokenizer"
)

// evaluation is what eval --json prints.
type evaluation struct {
	Task string `json:"task"`
	eval.Perplexity
	Spelled string `json:"special_token_spelled,omitempty"` // the first that the text spells
	// MatmulPrecision is how the device computed products of f32.
	MatmulPrecision cpu.Precision `json:"matmul_precision"`
	Seconds         float64       `json:"seconds"`
}

type evalFlags struct {
	modelFlags
	taskFlags
	task    string // as --tasks was spelled once
	text    string
	window  int
	special string
	logits  bool
	asJSON  bool
}

func evalCommand() *cobra.Command {
	var f evalFlags
	c := &cobra.Command{
		Use:   "eval --model DIR [--adapter PATH] --tasks NAMES --task-data DIR",
		Short: "Measure how well a model does tasks, or predicts a text",
		Long: `Measure how well a model does tasks, or predicts a text.

mmlu, boolq, multirc, rte, wic: questions with choices; the likeliest choice counts.
gsm8k: word problems; the number at the end of what the model writes counts. Prompts and
measures are lm-evaluation-harness's (docs/evaluation.md). Beside each score stands its
standard error, and what somebody scores who always gives the most frequent answer.

perplexity: how well it predicts a text. The number is the mean negative log-likelihood
of a token in nats (nll) and e to that power. The text is read in windows of the model's
length, each starting with BOS.`,
		Example: "  agora eval --model models/llama --adapter my-adapter --tasks boolq,rte --task-data data\n" +
			"  agora eval --model models/llama --adapters base,one,two --tasks all --task-data data --examples " +
			"examples.jsonl\n" +
			"  agora eval --model models/llama --adapter my-adapter --tasks perplexity --text book.txt",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	c.Flags().StringVar(&f.task, "task", "", "the same as --tasks")
	_ = c.Flags().MarkHidden("task") // there is such a flag
	f.registerTasks(c)
	c.Flags().StringVar(&f.text, "text", "", "file of text")
	c.Flags().IntVar(&f.window, "window", 0, "tokens of a window, BOS included; 0: the model's length")
	c.Flags().BoolVar(&f.logits, "logits", false, "print the ids of --text, BOS in front, and the logits behind "+
		"each of them, as JSON")
	c.Flags().StringVar(&f.special, "special-tokens", "text",
		"special tokens that the text spells: text (letters) or parse (the tokens)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	f.register(c)
	f.device.registerRound(c)
	return c
}

func (f *evalFlags) run(c *cobra.Command) error {
	if f.task != "" {
		if len(f.tasks) > 0 {
			return fmt.Errorf("--task is --tasks: want one of them, got both")
		}
		f.tasks = strings.Split(f.task, ",")
	}
	if err := tokenizer.SpecialTokens(f.special).Validate(); err != nil {
		return fmt.Errorf("--%w", err)
	}
	switch {
	case f.logits && len(f.tasks) == 0:
		return f.printLogits(c)
	case len(f.tasks) == 0:
		return fmt.Errorf("--tasks is missing")
	case f.logits:
		return fmt.Errorf("--logits: want it without --tasks, got both")
	case f.namesTasks() && c.Flags().Changed("special-tokens"):
		return fmt.Errorf("--special-tokens: want it with --text, got --tasks %s", strings.Join(f.tasks, ","))
	case f.namesTasks():
		return f.runTasks(c)
	}
	special := tokenizer.SpecialTokens(f.special)
	text, tok, spelled, err := f.readText(c)
	if err != nil {
		return err
	}
	b, err := f.open(c)
	if err != nil {
		return err
	}
	defer b.close()
	start, shown := time.Now(), time.Now()
	p, err := eval.MeasurePerplexity(c.Context(), b.Model, tok, text,
		eval.TextOptions{Window: f.window, SpecialTokens: special, Progress: func(done, windows int) {
			if time.Since(shown) > 5*time.Second {
				shown = time.Now()
				fmt.Fprintf(c.ErrOrStderr(), "window %d/%d\n", done, windows)
			}
		}})
	if err != nil {
		return fmt.Errorf("%s: %w", f.text, err)
	}
	result := evaluation{Task: "perplexity", Perplexity: p, Spelled: spelled,
		MatmulPrecision: device.MatmulPrecision(b.Model.Device()), Seconds: time.Since(start).Seconds()}
	if f.asJSON {
		return printJSON(c.OutOrStdout(), result)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "nll         %.5f nats a token\nperplexity  %.4f\ncounted     %d tokens "+
		"in %d windows\n",
		p.NLL, p.Perplexity, p.Counted, p.Windows)
	return err
}

// readText reads --text and the tokenizer, and says what of the two may surprise.
func (f *evalFlags) readText(c *cobra.Command) (text string, tok tokenizer.Tokenizer, spelled string, err error) {
	if err := need("model", f.model, "text", f.text); err != nil {
		return "", nil, "", err
	}
	content, err := stream.Read(c.Context(), f.text, maxText)
	if err != nil {
		return "", nil, "", fmt.Errorf("--text: %w", err)
	}
	if tok, err = f.loadTokenizer(); err != nil {
		return "", nil, "", err
	}
	if _, _, err := embeddings(c.ErrOrStderr(), f.model, tok); err != nil {
		return "", nil, "", err
	}
	spelled = noteSpecial(c.ErrOrStderr(), f.text, tok, string(content), tokenizer.SpecialTokens(f.special))
	return string(content), tok, spelled, nil
}

// printLogits prints what the model makes of the beginning of a text, for whoever checks it
// against another program.
func (f *evalFlags) printLogits(c *cobra.Command) error {
	text, tok, _, err := f.readText(c)
	if err != nil {
		return err
	}
	b, err := f.open(c)
	if err != nil {
		return err
	}
	defer b.close()
	most := cmp.Or(f.window, b.Config.MaxPositions)
	if most > b.Config.Context() {
		return fmt.Errorf("--window %d: want at most the model's %d positions", most, b.Config.Context())
	}
	ids := encodeWithBOS(tok, text, tokenizer.SpecialTokens(f.special))
	if len(ids) > most {
		fmt.Fprintf(c.ErrOrStderr(), "note: the logits are those of the first %d tokens of %d (--window)\n", most, len(ids))
		ids = ids[:most]
	}
	batch := llama.NewBatch([][]int32{ids}, nil)
	if err := b.Config.CheckBatch(batch); err != nil {
		return fmt.Errorf("%s: %w", f.text, err)
	}
	all, err := b.Logits(batch).Tensor().Float32s()
	if err != nil {
		return err
	}
	out := struct {
		IDs    []int32     `json:"ids"`
		Logits [][]float32 `json:"logits"` // [ids, vocabulary]
	}{IDs: ids}
	for row := range slices.Chunk(all, b.Config.Vocab) {
		if i := slices.IndexFunc(row, func(f float32) bool { return f-f != 0 }); i >= 0 {
			return fmt.Errorf("%s: the logit of token %d behind token %d of the text is %v: the model's weights or the storage "+
				"type are broken", f.model, i, len(out.Logits), row[i])
		}
		out.Logits = append(out.Logits, row)
	}
	return json.NewEncoder(c.OutOrStdout()).Encode(out)
}

package main

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/train"
)

func dataCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "data",
		Short: "Look at the data of a run",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(previewCommand())
	return c
}

type previewFlags struct {
	settings settingFlags
	rows     int
	asJSON   bool
}

func previewCommand() *cobra.Command {
	var f previewFlags
	c := &cobra.Command{
		Use:   "preview [CONFIG.yaml] --model DIR --data FILE",
		Short: "Show rows as the model sees them, and what becomes of all of them",
		Long: `Show the first rows of the data as the model sees them: their tokens as text, with special
tokens, and which of them count in the loss. Then the totals: rows, sequences, what is cut,
split and dropped, tokens and lengths, the fields of the rows and what became of each, and how
many groups of sequences held-out rows are chosen from. The settings are those of agora train, as flags or in
its YAML file. No weights are read.

The rows are in the order of the files; with --seed, or with --pack, which puts several into
one row, in that of training.`,
		Example: "  agora data preview --model models/llama --data alpaca_data.json\n" +
			"  agora data preview --tokenizer models/llama --data chats.jsonl,book.txt --template chatml --pack\n" +
			"  agora data preview run.yaml --rows 1 --json",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			cfg, err := f.settings.config(c, files, false)
			if err != nil {
				return err
			}
			return f.run(c, cfg)
		},
	}
	f.settings.register(c, train.ForSequences)
	c.Flags().IntVar(&f.rows, "rows", 3, "rows to show")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print ids, pieces, what counts and the totals as JSON")
	return c
}

func (f *previewFlags) run(c *cobra.Command, cfg train.Config) error {
	switch {
	case cfg.Model == "" && cfg.Tokenizer == "":
		return errors.New("--model is missing (or --tokenizer)")
	case len(cfg.Data) == 0:
		return errors.New("--data is missing")
	}
	model := modelFlags{model: cfg.Model, tokenizer: cfg.Tokenizer, eosToken: cfg.EOSToken}
	tok, err := model.loadTokenizer()
	if err != nil {
		return err
	}
	vocabulary, known, err := embeddings(c.ErrOrStderr(), cmp.Or(cfg.Model, cfg.FromScratch), tok)
	if err != nil {
		return err
	}
	seqs, counts, read, err := sequencesOf(c.Context(), &model, cfg, tok)
	if err != nil {
		return err
	}
	if known {
		if err := data.CheckIDs(tok, seqs, vocabulary); err != nil {
			return err
		}
	}
	p := preview{Rows: []previewRow{}, Fields: read.Fields, PassedOver: read.PassedOver, others: read.PassedOverNote(),
		Totals: previewTotals{Counts: counts, Lengths: lengthsOf(seqs)}}
	_, p.Totals.Groups = data.Groups(seqs)
	seqs, held := data.SplitHeldOut(seqs)
	p.Totals.HeldOut = len(held)
	p.note = counts.Spelled.Note(tokenizer.SpecialTokens(cfg.SpecialTokens))
	shuffled := data.LoaderOptions{Rows: max(f.rows, 1), Seed: cfg.Seed, Mixture: cfg.TaskMixture()}
	shuffled.Pack = cfg.PackedTokens()
	if len(seqs) > 0 {
		epoch, err := data.FirstEpoch(seqs, shuffled)
		if err != nil {
			return err
		}
		first := data.Collate(seqs[:min(f.rows, len(seqs))])
		if cfg.Pack || c.Flags().Changed("seed") {
			loader, err := data.NewLoader(seqs, shuffled)
			if err != nil {
				return err
			}
			defer loader.Close()
			first = loader.Next()
		}
		p.show(tok, first, min(f.rows, epoch.Rows), cfg.Pack)
		if cfg.Pack {
			p.Totals.Packed = &epoch
		}
	}
	if f.asJSON {
		return printJSON(c.OutOrStdout(), p)
	}
	return p.print(c.OutOrStdout())
}

// sequencesOf reads and tokenizes all rows.
func sequencesOf(ctx context.Context, model *modelFlags, cfg train.Config,
	tok tokenizer.Tokenizer) (seqs []data.Sequence, counts data.Counts, read train.Rows, err error) {
	for _, s := range cfg.Settings() {
		if err := s.Check(); err != nil {
			return nil, counts, read, err
		}
	}
	o := data.TokenizeOptions{MaxTokens: cfg.MaxTokens, Loss: data.Loss(cfg.Loss),
		Truncate:      data.Truncate(cfg.Truncate),
		SpecialTokens: tokenizer.SpecialTokens(cfg.SpecialTokens)}
	if read, err = cfg.ReadRows(ctx); err != nil {
		return nil, counts, read, err
	}
	rows := read.Rows
	if slices.ContainsFunc(rows, data.Row.IsChat) || cfg.Template != "" {
		if o.Template, err = model.chatTemplate(cfg.Template, cfg.TemplateDate, tok); err != nil {
			return nil, counts, read, err
		}
	}
	seqs, counts, err = data.Tokenize(ctx, tok, rows, o)
	counts.Bad = read.Bad
	return seqs, counts, read, err
}

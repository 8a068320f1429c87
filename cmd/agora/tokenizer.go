package main

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/tokenizer/learn"
)

// learnedVocabulary is what tokenizer train --json prints.
type learnedVocabulary struct {
	Out            string  `json:"out"`
	Vocabulary     int     `json:"vocabulary"`
	Characters     int     `json:"characters"`       // bytes of the texts
	Tokens         int     `json:"tokens"`           // of the texts in this vocabulary
	BytesPerToken  float64 `json:"bytes_per_token"`  // how well it fits them
	LongestPiece   string  `json:"longest_piece"`    // of the merges
	CoveredByBytes int     `json:"tokens_of_a_byte"` // of the tokens, what has no piece
}

func tokenizerCommand() *cobra.Command {
	c := &cobra.Command{Use: "tokenizer", Short: "Make a tokenizer for a new model", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(tokenizerTrainCommand())
	return c
}

func tokenizerTrainCommand() *cobra.Command {
	var files, ignore []string
	var format, out string
	var o learn.Options
	var asJSON bool
	c := &cobra.Command{
		Use:   "train --data FILES --vocab N --out FOLDER",
		Short: "Make a SentencePiece BPE vocabulary of texts",
		Long: `Make a SentencePiece BPE vocabulary, as LLaMA 1 and 2 have one, of all texts in files: documents
and rows of any form. FOLDER then holds tokenizer.model and tokenizer_config.json, for --tokenizer.
The same texts give the same vocabulary. What has no piece becomes bytes.`,
		Example: "  agora tokenizer train --data book.txt,alpaca_data.json --vocab 4096 --out tokenizer\n" +
			"  agora train --from-scratch config.json --tokenizer tokenizer --data book.txt --out model",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return need("data", "")
			}
			if err := need("out", out); err != nil {
				return err
			}
			if err := checkOutFolder(out); err != nil {
				return err
			}
			if o.Coverage <= 0 || o.Coverage > 1 {
				return fmt.Errorf("--coverage %v: want above 0, at most 1", o.Coverage)
			}
			rows, _, err := data.Read(c.Context(), files, data.ReadOptions{Format: data.Format(format), Ignore: ignore})
			if err != nil {
				return err
			}
			v, err := learn.BPE(textsOf(rows), o)
			if err != nil {
				return fmt.Errorf("--vocab: %w", err)
			}
			err = writeFolder(out, func(dir string) error {
				const config = `{"tokenizer_class": "LlamaTokenizer", "add_bos_token": true, "add_eos_token": false, "legacy": true, ` +
					`"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "clean_up_tokenization_spaces": false}` + "\n"
				if err := v.Save(filepath.Join(dir, tokenizer.ModelFile)); err != nil {
					return err
				}
				return os.WriteFile(filepath.Join(dir, tokenizer.ConfigFile), []byte(config), 0o666)
			})
			if err != nil {
				return err
			}
			report, err := fit(v, rows)
			if err != nil {
				return err
			}
			report.Out = out
			if asJSON {
				return printJSON(c.OutOrStdout(), report)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %d pieces; %.3f bytes a token over the texts, %.2f %% of the "+
				"tokens are single bytes\n",
				out, report.Vocabulary, report.BytesPerToken,
				100*float64(report.CoveredByBytes)/float64(max(1, report.Tokens)))
			return err
		},
	}
	fl := c.Flags()
	fl.StringSliceVar(&files, "data", nil, "files of text or rows, as for agora train")
	fl.StringVar(&format, "format", "auto", "form of the rows, as for agora train")
	fl.StringSliceVar(&ignore, "ignore-fields", nil, "fields of rows to pass over")
	fl.StringVar(&out, "out", "", "new folder for the tokenizer")
	fl.IntVar(&o.Vocabulary, "vocab", 4096, "pieces in all: 3 controls, 256 bytes, merges and characters")
	fl.Float64Var(&o.Coverage, "coverage", 0.99995, "share of the characters that get a piece of their own")
	fl.IntVar(&o.MaxPiece, "max-piece", 16, "characters of a piece at most")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// textsOf are all texts of rows.
func textsOf(rows []data.Row) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, r := range rows {
			texts := []string{r.Text, r.Prompt, r.Answer}
			for _, m := range r.Messages {
				texts = append(texts, m.Content)
			}
			for _, text := range texts {
				if text != "" && !yield(text) {
					return
				}
			}
		}
	}
}

// fit tells how well a vocabulary fits the texts it was made of.
func fit(v tokenizer.Vocabulary, rows []data.Row) (learnedVocabulary, error) {
	tok, err := tokenizer.NewSentencePiece(v)
	if err != nil {
		return learnedVocabulary{}, err
	}
	r := learnedVocabulary{Vocabulary: len(v.Pieces)}
	for i, p := range v.Pieces {
		if v.Types[i] == 1 && len(p) > len(r.LongestPiece) {
			r.LongestPiece = p
		}
	}
	for text := range textsOf(rows) {
		r.Characters += len(text)
		ids := tok.Encode(text)
		r.Tokens += len(ids)
		for _, id := range ids {
			if v.Types[id] == 6 {
				r.CoveredByBytes++
			}
		}
	}
	r.BytesPerToken = float64(r.Characters) / float64(max(1, r.Tokens))
	return r, nil
}

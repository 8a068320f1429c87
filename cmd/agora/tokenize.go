package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/internal/stream"
	"github.com/agora-ml/agora/tokenizer"
)

// tokens is what tokenize --json prints.
type tokens struct {
	IDs    []int32  `json:"ids"`
	Pieces []string `json:"pieces"` // the ids' names in the vocabulary
	Text   string   `json:"text"`   // what the ids decode to
}

// maxText is the most bytes of a text that a command reads whole.
const maxText = 1 << 30

type tokenizeFlags struct {
	model, text, file, decode string
	special                   string
	bos, asJSON               bool
}

func tokenizeCommand() *cobra.Command {
	var f tokenizeFlags
	c := &cobra.Command{
		Use:   "tokenize --model PATH (--text TEXT | --file FILE | --decode IDS)",
		Short: "Turn text into token ids, or ids into text",
		Example: "  agora tokenize --model models/llama --text \"Once upon a time\"\n" +
			"  agora tokenize --model models/llama --decode \"1 403 407\"",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			given := 0
			for _, name := range []string{"text", "file", "decode"} {
				if c.Flags().Changed(name) {
					given++
				}
			}
			if given != 1 {
				return errors.New("want one of --text, --file and --decode")
			}
			return f.run(c)
		},
	}
	c.Flags().StringVar(&f.model, "model", "", "folder of the model, or file of its tokenizer")
	c.Flags().StringVar(&f.text, "text", "", "text to encode")
	c.Flags().StringVar(&f.file, "file", "", "file of text to encode")
	c.Flags().StringVar(&f.decode, "decode", "", "ids to decode, separated by spaces or commas")
	c.Flags().StringVar(&f.special, "special-tokens", "text",
		"special tokens that the text spells: text (letters) or parse (the tokens)")
	c.Flags().BoolVar(&f.bos, "bos", false, "begin with the token that begins a text")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print ids, pieces and text as JSON")
	return c
}

func (f *tokenizeFlags) run(c *cobra.Command) error {
	if err := need("model", f.model); err != nil {
		return err
	}
	if err := tokenizer.SpecialTokens(f.special).Validate(); err != nil {
		return fmt.Errorf("--%w", err)
	}
	tok, err := tokenizer.Load(f.model)
	if err != nil {
		return err
	}
	vocabulary, known, err := embeddings(c.ErrOrStderr(), f.model, tok)
	if err != nil {
		return err
	}
	ids, err := f.ids(c, tok)
	if err != nil {
		return err
	}
	if known {
		if err := tokenizer.CheckIDs(tok, ids, vocabulary); err != nil {
			return err
		}
	}
	t := tokens{IDs: ids, Pieces: []string{}, Text: tok.Decode(ids)}
	for _, id := range ids {
		t.Pieces = append(t.Pieces, tok.Piece(id))
	}
	if f.asJSON {
		return printJSON(c.OutOrStdout(), t)
	}
	if c.Flags().Changed("decode") {
		_, err = fmt.Fprintln(forText(c.OutOrStdout()), t.Text)
		return err
	}
	for i, id := range ids {
		if _, err := fmt.Fprintf(c.OutOrStdout(), "%d\t%q\n", id, t.Pieces[i]); err != nil {
			return err
		}
	}
	return nil
}

// ids are those to decode, or those of the text.
func (f *tokenizeFlags) ids(c *cobra.Command, tok tokenizer.Tokenizer) ([]int32, error) {
	if c.Flags().Changed("decode") {
		return parseIDs(f.decode, tok.VocabSize())
	}
	text := f.text
	if f.file != "" {
		b, err := stream.Read(c.Context(), f.file, maxText)
		if err != nil {
			return nil, fmt.Errorf("--file: %w", err)
		}
		text = string(b)
	}
	ids := []int32{}
	if bos, ok := tok.BOS(); f.bos && ok {
		ids = append(ids, bos)
	} else if f.bos {
		return nil, fmt.Errorf("--bos: the tokenizer of %s has no token that begins a text", f.model)
	}
	special := tokenizer.SpecialTokens(f.special)
	of, begins, _ := tokenizer.EncodeText(tok, text, special)
	if begins { // one is enough
		ids = ids[:0]
	}
	noteSpecial(c.ErrOrStderr(), "the text", tok, text, special)
	return append(ids, of...), nil
}

func parseIDs(list string, vocab int) ([]int32, error) {
	ids := []int32{}
	for field := range strings.FieldsFuncSeq(list, func(r rune) bool { return strings.ContainsRune(" ,[]\n\t", r) }) {
		id, err := strconv.ParseInt(field, 10, 32)
		if err != nil || id < 0 || int(id) >= vocab {
			return nil, fmt.Errorf("--decode: token id %.20q: want a number from 0 to %d", field, vocab-1)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tokenizer"
)

// embeddings compares a tokenizer with a model's vocabulary and gives the size of that;
// not ok where there is no model, but a tokenizer's file or folder alone. What can be said
// of the two is said on out.
func embeddings(out io.Writer, model string, tok tokenizer.Tokenizer) (n int, ok bool, err error) {
	if model == "" || isFile(model) && !gguf.IsFile(model) {
		return 0, false, nil
	}
	shape, err := llama.ReadConfig(model)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		fmt.Fprintf(out, "warning: ids are not compared with the model's vocabulary: %v\n", err)
		return 0, false, nil
	}
	warning, err := tokenizer.CheckFits(tok, shape.Vocab)
	if err != nil {
		return 0, false, fmt.Errorf("the tokenizer does not fit %s: %w", model, err)
	}
	if warning != "" {
		fmt.Fprintln(out, warning)
	}
	return shape.Vocab, true, nil
}

// noteSpecial gives the first special token that a text spells, and says so on out if it is
// read as letters.
func noteSpecial(out io.Writer, what string, tok tokenizer.Tokenizer, text string,
	special tokenizer.SpecialTokens) string {
	spelling, ok := tokenizer.SpelledSpecial(tok, text)
	if ok && special != tokenizer.SpecialParse {
		fmt.Fprintf(out, "%s spells special tokens such as %s in plain text: they are read as letters; "+
			"--special-tokens parse reads them as tokens\n", what, spelling)
	}
	return spelling
}

// encodeWithBOS is BOS and a text, which may spell it itself.
func encodeWithBOS(tok tokenizer.Tokenizer, text string, special tokenizer.SpecialTokens) []int32 {
	ids, begins, _ := tokenizer.EncodeText(tok, text, special)
	if bos, ok := tok.BOS(); ok && !begins {
		ids = append([]int32{bos}, ids...)
	}
	return ids
}

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tokenizer"
)

// writer lets a model write, and shows the text as it comes.
type writer struct {
	model   *llama.Model
	tok     tokenizer.Tokenizer
	options llama.GenerateOptions
	stops   []string
	out     io.Writer
}

// written is one text of a model.
type written struct {
	prompt, answer string
	ids            []int32 // of both
}

// write continues ids until the text ends, or until ctx does: what there is then, is no
// error. A text that cannot be shown is one. showPrompt says that the prompt is a part of what the reader wants to see.
func (w *writer) write(ctx context.Context, ids []int32, showPrompt bool) (written, error) {
	var prompt, answer strings.Builder
	decoder := tokenizer.NewDecoder(w.tok)
	for _, id := range ids {
		prompt.WriteString(decoder.Push(id))
	}
	if showPrompt {
		if _, err := fmt.Fprint(w.out, prompt.String()); err != nil {
			return written{}, err
		}
	}
	ids = slices.Clone(ids)
	show := func(text string) error {
		answer.WriteString(text)
		_, err := fmt.Fprint(w.out, text)
		return err
	}
	stopper, stopped := tokenizer.NewStopper(decoder, w.stops...), false
	for id, err := range w.model.Generate(ctx, ids, w.options) {
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return written{}, err
		}
		var text string
		ids = append(ids, id)
		text, stopped = stopper.Push(id)
		if err := show(text); err != nil {
			return written{}, err
		}
		if stopped {
			break
		}
	}
	if !stopped {
		if err := show(stopper.Flush()); err != nil {
			return written{}, err
		}
	}
	return written{prompt.String(), answer.String(), ids}, nil
}

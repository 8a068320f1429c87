package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// turnEnds are special tokens that end an answer in some forms, whether or not the
// model's folder calls them EOS.
var turnEnds = []string{"<|eot_id|>", "<|im_end|>"}

// chatTemplate is how the model is told a conversation: the form that --template names,
// or what the folder of its tokenizer says, at a date, which is now if none is given.
func (f *modelFlags) chatTemplate(name, date string, tok tokenizer.Tokenizer) (*chat.Template, error) {
	now := time.Now()
	if date != "" {
		var err error
		if now, err = chat.ParseDate(date); err != nil {
			return nil, fmt.Errorf("--template-date: %w", err)
		}
	}
	if name != "" {
		t, err := chat.Named(name, tok)
		if err != nil {
			return nil, fmt.Errorf("--template: %w", err)
		}
		return t, nil
	}
	dir := f.model
	if f.tokenizer != "" {
		dir = f.tokenizer
		if isFile(dir) && !gguf.IsFile(dir) {
			dir = filepath.Dir(dir)
		}
	}
	t, err := chat.Load(dir, tok)
	if err != nil {
		return nil, err
	}
	return t.At(now), nil
}

// textEnds are the ids that end a text: those that the model names, and the one that training
// with this tokenizer teaches.
func textEnds(eos []int32, tok tokenizer.Tokenizer) []int32 {
	ends := slices.Clone(eos)
	if id, ok := tok.EOS(); ok && !slices.Contains(ends, id) {
		ends = append(ends, id)
	}
	return ends
}

// answerEnds are the ids that end an answer: those that end a text, and a turn of a form that
// the vocabulary knows.
func answerEnds(eos []int32, tok tokenizer.Tokenizer) []int32 {
	ends := slices.Clone(eos)
	if special, ok := tok.(tokenizer.PartEncoder); ok {
		for _, name := range turnEnds {
			if id, ok := special.Special(name); ok && !slices.Contains(ends, id) {
				ends = append(ends, id)
			}
		}
	}
	return ends
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// exportModelGGUF writes the model, with the adapter in its weights if there is one, as
// one file.
func (f *exportFlags) exportModelGGUF(c *cobra.Command) (*converted, error) {
	if err := f.file().check(f.model, f.adapter.path); err != nil {
		return nil, err
	}
	loaded, saved, err := mergeTypes(f.model, f.dtype, llama.GGUFTypes()...)
	if err != nil {
		return nil, err
	}
	config, err := llama.ReadConfig(f.model)
	if err == nil {
		err = config.LlamaCppError()
	}
	if err != nil {
		return nil, err
	}
	words, turnEnds, warnings, err := ggufWords(f.model, config)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
	}
	d, err := f.device.open()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	m, err := loadModel(c, d, f.model, llama.LoadOptions{DType: loaded})
	if err != nil {
		return nil, err
	}
	r := &converted{Out: f.out, DType: saved.String(), Warnings: warnings}
	if f.adapter.given() {
		a, err := f.adapter.open(c, m)
		if err != nil {
			return nil, err
		}
		r.Base = a.Match()
		if _, err := a.Merge(); err != nil {
			return nil, err
		}
		if eos := f.adapter.endOf(c, f.model); eos >= 0 {
			m.Config.EndBy(eos)
		}
	}
	about, err := ggufAbout(f.model)
	if err != nil {
		return nil, err
	}
	if err := m.SaveGGUF(f.out, llama.GGUFOptions{DType: saved, Tokenizer: append(about, words...),
		TurnEnds: turnEnds}); err != nil {
		return nil, err
	}
	return r, nil
}

// ggufWords are the keys of the tokenizer and of the chat template in a model's folder or GGUF
// file, and the ids by which the template ends an answer.
func ggufWords(model string, c llama.Config) (keys []gguf.KeyValue, turnEnds []int32, warnings []string, err error) {
	keys, warnings, err = tokenizer.GGUFMetadata(model, c.Vocab)
	if err != nil || isFile(model) {
		return keys, nil, warnings, err
	}
	source, err := chat.Source(model)
	if err != nil || source == "" {
		return keys, nil, warnings, err
	}
	keys = append(keys, gguf.KeyValue{Key: "tokenizer.chat_template", Value: source})
	tok, err := tokenizer.Load(model)
	if err != nil {
		return nil, nil, nil, err
	}
	if template, err := chat.Load(model, tok); err == nil { // another program may render what this one cannot
		turnEnds = template.TurnEnds()
	}
	return keys, turnEnds, warnings, nil
}

package main

import (
	"fmt"
	"slices"
	"strings"

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
	r, without, err := f.writeModelGGUF(c, f.adapter.endOf(c, f.model))
	if err != nil || len(without) == 0 {
		return r, err
	}
	w := fmt.Sprintf("GGUF has two keys for what ends a text: the file does not say that %s does", idList(without))
	fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
	r.Warnings = append(r.Warnings, w)
	return r, nil
}

// idList are token ids in words.
func idList(list []int32) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ", "), "[]")
}

// writeModelGGUF writes the model, in which the adapter's eos (-1: none) ends a text before all others do. It returns the ids that
// do so, too, and for which the file has no key.
func (f *exportFlags) writeModelGGUF(c *cobra.Command, eos int32) (r *converted, without []int32, err error) {
	loaded, saved, err := mergeTypes(f.model, f.dtype, llama.GGUFTypes()...)
	if err != nil {
		return nil, nil, err
	}
	config, err := llama.ReadConfig(f.model)
	if err == nil {
		err = config.LlamaCppError()
	}
	if err != nil {
		return nil, nil, err
	}
	words, turnEnds, warnings, err := ggufWords(f.model, config)
	if err != nil {
		return nil, nil, err
	}
	for _, w := range warnings {
		fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
	}
	d, err := f.device.open()
	if err != nil {
		return nil, nil, err
	}
	defer d.Close()
	m, err := loadModel(c, d, f.model, llama.LoadOptions{DType: loaded})
	if err != nil {
		return nil, nil, err
	}
	r = &converted{Out: f.out, DType: saved.String(), Warnings: warnings}
	if f.adapter.given() {
		a, err := f.adapter.open(c, m)
		if err != nil {
			return nil, nil, err
		}
		r.Base = a.Match()
		if _, err := a.Merge(); err != nil {
			return nil, nil, err
		}
	}
	if eos >= 0 {
		m.Config.EOS, turnEnds = inFront(eos, m.Config.EOS), inFront(eos, turnEnds)
		words = slices.DeleteFunc(words, func(kv gguf.KeyValue) bool { return kv.Key == ggufEOT }) // of a GGUF file; among EOS, too
	}
	about, err := ggufAbout(f.model)
	if err != nil {
		return nil, nil, err
	}
	o := llama.GGUFOptions{DType: saved, Tokenizer: append(about, words...), TurnEnds: turnEnds}
	return r, m.Config.EndsNotInGGUF(o), m.SaveGGUF(f.out, o)
}

const ggufEOT = "tokenizer.ggml.eot_token_id"

// inFront are ids that begin with one, which may have stood elsewhere among them.
func inFront(id int32, ids []int32) []int32 {
	return append([]int32{id}, slices.DeleteFunc(slices.Clone(ids), func(other int32) bool { return other == id })...)
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

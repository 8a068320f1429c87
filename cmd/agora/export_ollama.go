package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/strictjson"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/tokenizer/chat"
)

const (
	ollamaModel = "model.gguf"
	modelfile   = "Modelfile"
)

// exportOllama writes a folder with the merged model as a GGUF file and a Modelfile, from which
// `ollama create` makes a model.
func (f *exportFlags) exportOllama(c *cobra.Command) (*converted, error) {
	if err := checkOutFolder(f.out); err != nil {
		return nil, err
	}
	text, warning, err := ollamaModelfile(f.model, f.adapter.endOf(c, f.model))
	if err != nil {
		return nil, err
	}
	var r *converted
	err = writeFolder(f.out, func(dir string) error {
		file := *f
		file.out = filepath.Join(dir, ollamaModel)
		if r, err = file.exportModelGGUF(c); err != nil {
			return err
		}
		return atomicfile.WriteFile(filepath.Join(dir, modelfile), func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	r.Out = f.out
	if warning != "" {
		fmt.Fprintln(c.ErrOrStderr(), "warning:", warning)
		r.Warnings = append(r.Warnings, warning)
	}
	return r, nil
}

// ollamaModelfile is the Modelfile of a model: its chat template as Ollama writes them, the tokens, eos (-1: none) among them, that
// end an answer, and how the model's own files want it sampled. The warning says why it has no template.
func ollamaModelfile(model string, eos int32) (text, warning string, err error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "FROM ./%s\n", ollamaModel)
	tok, err := tokenizer.Load(model)
	if err != nil {
		return "", "", err
	}
	stops := map[int32]bool{}
	template, err := chat.Load(model, tok)
	if err == nil {
		bos := ""
		if id, ok := tok.BOS(); ok {
			bos = tok.Piece(id)
		}
		var form string
		if form, err = template.GoTemplate(bos); err == nil && strings.Contains(form, `"""`) {
			err = errors.New(`it has three quotes in a row`)
		}
		if err == nil {
			fmt.Fprintf(&b, "TEMPLATE \"\"\"%s\"\"\"\n", form)
		}
		for _, id := range template.TurnEnds() {
			stops[id] = true
			fmt.Fprintf(&b, "PARAMETER stop %s\n", strconv.Quote(tok.Piece(id)))
		}
	}
	if err != nil {
		warning = fmt.Sprintf("%s has no TEMPLATE: %v; Ollama takes the template that it knows to be like the one in the"+
			" GGUF file, if there is one", modelfile, err)
	}
	stop := func(id int32) {
		if !stops[id] {
			stops[id] = true
			fmt.Fprintf(&b, "PARAMETER stop %s\n", strconv.Quote(tok.Piece(id)))
		}
	}
	if eos >= 0 {
		stop(eos)
	}
	if id, ok := tok.EOS(); ok {
		stop(id)
	}
	if isFile(model) { // a GGUF file says nothing of sampling
		return b.String(), warning, nil
	}
	sampling, err := ollamaSampling(filepath.Join(model, "generation_config.json"))
	return b.String() + sampling, warning, err
}

// ollamaSampling are the PARAMETER lines for what a generation_config.json says of sampling.
func ollamaSampling(path string) (string, error) {
	text, err := regular.Read(path, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var g struct {
		Temperature *float64 `json:"temperature"`
		TopP        *float64 `json:"top_p"`
		TopK        *float64 `json:"top_k"`
		Repetition  *float64 `json:"repetition_penalty"`
		Sample      *bool    `json:"do_sample"`
	}
	if err := strictjson.Unmarshal(text, &g); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if g.Sample != nil && !*g.Sample {
		g.Temperature, g.TopP, g.TopK = new(float64), nil, nil
	}
	var b strings.Builder
	for _, p := range []struct {
		name  string
		value *float64
	}{
		{"temperature", g.Temperature}, {"top_p", g.TopP}, {"top_k", g.TopK}, {"repeat_penalty", g.Repetition},
	} {
		if p.value != nil && !math.IsNaN(*p.value) {
			fmt.Fprintf(&b, "PARAMETER %s %v\n", p.name, *p.value)
		}
	}
	return b.String(), nil
}

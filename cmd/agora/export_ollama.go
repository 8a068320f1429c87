package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/strictjson"
	"github.com/agora-ml/agora/nn/llama"
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
	eos := f.adapter.endOf(c, f.model)
	text, warning, err := ollamaModelfile(f.model, eos)
	if err != nil {
		return nil, err
	}
	var r *converted
	err = writeFolder(f.out, func(dir string) error {
		file := *f
		file.out = filepath.Join(dir, ollamaModel)
		if r, _, err = file.writeModelGGUF(c, eos); err != nil { // whatever it has no key for is a stop in the Modelfile
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

// ollamaModelfile is the Modelfile of a model: its chat template as Ollama writes them, all tokens, eos (-1: none) among them, that
// end an answer, and how the model's own files want it sampled. The warning says why it has no template.
func ollamaModelfile(model string, eos int32) (text, warning string, err error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "FROM ./%s\n", ollamaModel)
	tok, err := tokenizer.Load(model)
	if err != nil {
		return "", "", err
	}
	config, err := llama.ReadConfig(model)
	if err != nil {
		return "", "", err
	}
	stops := map[int32]bool{}
	stop := func(id int32) {
		if text := stopText(tok, id); !stops[id] && text != "" {
			stops[id] = true
			fmt.Fprintf(&b, "PARAMETER stop %s\n", ollamaQuoted(text))
		}
	}
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
			stop(id)
		}
	}
	if err != nil {
		warning = fmt.Sprintf("%s has no TEMPLATE: %v; Ollama takes the template that it knows to be like the one in the"+
			" GGUF file, if there is one", modelfile, err)
	}
	if eos >= 0 {
		stop(eos)
	}
	if id, ok := tok.EOS(); ok {
		stop(id)
	}
	for _, id := range config.EOS {
		stop(id)
	}
	if isFile(model) { // a GGUF file says nothing of sampling
		return b.String(), warning, nil
	}
	sampling, err := ollamaSampling(filepath.Join(model, "generation_config.json"))
	return b.String() + sampling, warning, err
}

// stopText is how a token stands in the text that Ollama looks for stops in: a control token by its name, a plain one as it is
// decoded behind others. It is "" for a part of a character, and for what the vocabulary has not.
func stopText(tok tokenizer.Tokenizer, id int32) string {
	text, _ := tok.Append(nil, id, false)
	switch name := tok.Piece(id); {
	case name == "" || len(text) == 0: // outside the vocabulary, or a control token
		return name
	case !utf8.Valid(text):
		return ""
	}
	return string(text)
}

// ollamaQuoted is a text as a value in a Modelfile, whose quotes know no escapes.
func ollamaQuoted(text string) string {
	quotes := `"`
	if strings.ContainsAny(text, "\"\r\n") {
		quotes = `"""`
	}
	return quotes + text + quotes
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

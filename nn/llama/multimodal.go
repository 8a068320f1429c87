package llama

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agora-ml/agora/encoding/safetensors"
)

// A folder of a model that reads images, too, holds its language model under text_config and under
// names of its own. That part alone is read; what is saved is a folder of the language model.

// multimodal are the models whose text part is of a family here, with what model_type means where
// text_config does not say it.
var multimodal = map[string]string{"gemma3": "gemma3_text", "mistral3": "mistral"}

// textPart is the fields of the language model: f itself, unless it is one of several parts.
func (f *fields) textPart() *fields {
	kind := f.str("model_type", "")
	missing, known := multimodal[kind]
	if !known {
		return f
	}
	o := f.object("text_config")
	if o == nil {
		f.fail("text_config", "the language model of a "+kind, "none")
		return f
	}
	if !o.has("model_type") {
		o.values["model_type"] = fmt.Appendf(nil, "%q", missing)
	}
	for _, name := range []string{
		"bos_token_id", "eos_token_id", "tie_word_embeddings", "torch_dtype", "dtype", mergedField,
	} {
		if !o.has(name) && f.has(name) {
			o.values[name] = f.values[name]
		}
	}
	if f.has("quantization_config") {
		o.values["quantization_config"] = f.values["quantization_config"]
	}
	return o
}

// textNames are how folders of several parts name the tensors of the language model: each prefix
// there, and what it is here. The rest is of other parts.
var textNames = [][][2]string{
	{{"language_model.model.", "model."}, {"language_model.lm_head.", "lm_head."}},
	{{"model.language_model.", "model."}, {"lm_head.", "lm_head."}},
}

// textFolder is a source that is the language model's part of a folder.
type textFolder struct {
	folder
	names map[string]string // the file's by ours
}

func (f *textFolder) Names() []string { return slices.Sorted(maps.Keys(f.names)) }

func (f *textFolder) Has(name string) bool { return f.names[name] != "" }

func (f *textFolder) Info(name string) (info, error) { return f.folder.Info(f.names[name]) }

func (f *textFolder) Tensor(ctx context.Context, name string) (stored, error) {
	return f.folder.Tensor(ctx, f.names[name])
}

// openFolder opens the safetensors of a folder.
func openFolder(path string) (source, error) {
	file, err := safetensors.OpenModel(path)
	if err != nil {
		return nil, err
	}
	all := folder{file}
	for _, prefixes := range textNames {
		if !file.Has(prefixes[0][0] + "embed_tokens.weight") {
			continue
		}
		text := &textFolder{folder: all, names: map[string]string{}}
		for _, name := range file.Names() {
			for _, p := range prefixes {
				if rest, ok := strings.CutPrefix(name, p[0]); ok {
					text.names[p[1]+rest] = name
				}
			}
		}
		return text, nil
	}
	return all, nil
}

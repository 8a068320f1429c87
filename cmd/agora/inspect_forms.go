package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/strictjson"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
)

// inspect looks at what path is: a folder by the files it holds, a file by its first bytes.
func inspect(ctx context.Context, path string) (*inspection, error) {
	info, err := regular.Stat(path)
	if err != nil {
		return nil, err
	}
	i := &inspection{Path: path, About: map[string]any{}, Tensors: []tensorInfo{}}
	if !info.IsDir() {
		if gguf.IsFile(path) {
			return i, i.gguf(path)
		}
		i.Kind = "safetensors"
		return i, i.safetensors(safetensors.Open(path))
	}
	for _, form := range []struct {
		file string
		read func(dir string) error
	}{{multilora.InfoFile, i.ownAdapter}, {multilora.PEFTConfigFile, i.peftAdapter},
		{llama.ConfigFile, func(dir string) error { return i.model(ctx, dir) }}} {
		if regular.Exists(filepath.Join(path, form.file)) {
			return i, form.read(path)
		}
	}
	return nil, fmt.Errorf("%s: want a folder with %s, %s or %s, got none of them", path, llama.ConfigFile,
		multilora.InfoFile, multilora.PEFTConfigFile)
}

// maxAbout is more bytes than any adapter_config.json has.
const maxAbout = 1 << 20

// safetensors takes in an open file, or the error of opening it.
func (i *inspection) safetensors(f *safetensors.File, err error) error {
	if err != nil {
		return err
	}
	defer f.Close()
	for key, value := range f.Metadata() {
		i.About[key] = value
	}
	for _, name := range f.Names() {
		t, err := f.Tensor(name)
		if err != nil {
			return err
		}
		i.add(tensorInfo{name, string(t.DType), t.Shape, t.Len(), len(t.Data)})
	}
	return nil
}

func (i *inspection) gguf(path string) error {
	i.Kind = "gguf"
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, m := range f.Metadata() {
		if v := reflect.ValueOf(m.Value); v.Kind() == reflect.Slice { // vocabularies are long
			i.About[m.Key] = fmt.Sprintf("%d values, %T", v.Len(), m.Value)
			continue
		}
		i.About[m.Key] = m.Value
	}
	for _, t := range f.Tensors() {
		i.add(tensorInfo{t.Name, t.Type.String(), t.Shape, t.Len(), len(t.Data)})
	}
	if c, err := llama.ReadConfig(path); err == nil { // else it is an adapter, or of a family that is shown only
		i.uses(path, c)
	}
	return nil
}

// uses says of a model how it is stored, what adapters train in it, and what it is exported to.
func (i *inspection) uses(path string, c llama.Config) {
	bytes := map[string]int{}
	for _, t := range i.Tensors {
		bytes[t.DType] += t.Bytes
	}
	i.stores(bytes)
	i.counts(c)
	i.Trains = c.Projections()
	_, _, tokens := tokenizer.GGUFMetadata(path, c.Vocab)
	refused := ""
	if err := errors.Join(c.GGUFError(), tokens); err != nil {
		refused = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	i.Exports = []exportAnswer{{To: "safetensors"}, {"gguf", refused}, {"ollama", refused}}
}

func (i *inspection) ownAdapter(dir string) error {
	i.Kind = "adapter"
	info, err := multilora.ReadInfo(dir)
	if err != nil {
		return err
	}
	if err := i.safetensors(safetensors.Open(filepath.Join(dir, multilora.TensorFile))); err != nil {
		return err
	}
	clear(i.About) // the file repeats the configuration
	if f := info.Fingerprint; f != nil {
		i.About["base_digest"], i.About["base_tensors"] = f.Digest(), len(f.Tensors)
	}
	text, err := json.Marshal(info)
	if err != nil {
		return err
	}
	i.About["form"] = "agora"
	return json.Unmarshal(text, &i.About)
}

func (i *inspection) peftAdapter(dir string) error {
	i.Kind = "adapter"
	_, tensors, closeFile, err := multilora.PEFTTensors(dir)
	if err != nil {
		return err
	}
	defer closeFile() // read only
	for _, t := range tensors {
		i.add(tensorInfo{t.Name, string(t.DType), t.Shape, t.Len(), len(t.Data)})
	}
	path := filepath.Join(dir, multilora.PEFTConfigFile)
	text, err := regular.Read(path, maxAbout)
	if err != nil {
		return err
	}
	if err := strictjson.Unmarshal(text, &i.About); err != nil || i.About == nil {
		return fmt.Errorf("%s: want a JSON object: %w", path, cmp.Or(err, errors.New("got null")))
	}
	i.About["form"] = "peft"
	if reasons := multilora.UnsupportedPEFT(text); len(reasons) > 0 {
		i.About["not_supported"] = reasons[:min(len(reasons), 50)]
	}
	return nil
}

func (i *inspection) model(ctx context.Context, dir string) error {
	i.Kind = "model"
	if refused := llama.Refusals(ctx, dir); refused != nil {
		return errors.Join(refused...)
	}
	c, err := llama.ReadConfig(dir)
	if err != nil {
		return err
	}
	if err := i.safetensors(safetensors.OpenModel(dir)); err != nil {
		return err
	}
	i.About = map[string]any{
		"model_type": c.ModelType, "vocab_size": c.Vocab, "hidden_size": c.Hidden, "intermediate_size": c.Intermediate,
		"num_hidden_layers": c.Layers, "num_attention_heads": c.Heads, "num_key_value_heads": c.KVHeads,
		"head_dim":                c.HeadDim,
		"max_position_embeddings": c.MaxPositions, "tie_word_embeddings": c.Tied, "bos_token_id": c.BOS,
		"eos_token_id": c.EOS,
	}
	if m := c.Mixture; m != nil {
		i.About["num_experts"], i.About["num_experts_per_tok"] = m.Experts, m.Chosen
		i.About["moe_intermediate_size"] = m.Intermediate
	}
	i.uses(dir, c)
	if c.Packing() != "" {
		if err := i.packed(ctx, dir, c); err != nil {
			return err
		}
	}
	cache := 2 * c.Layers * c.KVHeads * c.HeadDim // keys and values
	i.Memory = &memoryNeed{WeightsF32: 4 * i.Parameters, Weights16: 2 * i.Parameters, CacheTokenF32: 4 * cache,
		CacheToken16: 2 * cache}
	return nil
}

// packed says what the weights of a folder are whose matrices are packed: Agora's blocks of them, where the folder
// has several tensors for each.
func (i *inspection) packed(ctx context.Context, dir string, c llama.Config) error {
	d := device.Meta(device.Options{})
	defer d.Close()
	m, err := llama.BlankFrom(ctx, d, dir, llama.LoadOptions{DType: tensor.Q8}) // in which they stay as they are
	if err != nil {
		return err
	}
	i.About["quantization"] = c.Packing()
	i.Parameters = 0
	bytes := map[string]int{}
	for _, p := range nn.Params(m) {
		i.Parameters += p.Value.Numel()
		bytes[strings.ToUpper(p.Value.DType().String())] += p.Value.Bytes()
	}
	i.stores(bytes)
	i.counts(c)
	return nil
}

// counts says how many of a mixture's parameters compute a token.
func (i *inspection) counts(c llama.Config) {
	if idle := c.IdleParameters(); idle > 0 {
		i.Active = i.Parameters - idle
	}
}

// stores says how many bytes of the weights are in each type.
func (i *inspection) stores(bytes map[string]int) {
	i.Storage = nil
	for dtype, n := range bytes {
		i.Storage = append(i.Storage, stored{dtype, n})
	}
	slices.SortFunc(i.Storage, func(a, b stored) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.DType, b.DType))
	})
}

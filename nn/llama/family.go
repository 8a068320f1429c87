package llama

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/agora-ml/agora/encoding/gguf"
)

// family is one family of models: everything in which it differs from the others. Each has
// a file, named as its model_type, that registers it; docs/add-a-model.md adds one.
type family struct {
	modelType string   // model_type in config.json
	class     string   // of transformers, architectures in config.json
	missing   defaults // for fields that a config.json does not have
	windows   bool     // layers may see a window of positions alone

	leavesF16     bool // Config.FitsF16
	mixture       bool // blocks have a Mixture
	partialRotary bool // partial_rotary_factor counts

	hiddenAct  string  // the activation's name in config.json; "": silu
	normOffset float32 // added to the weights of norms

	// read reads the fields of config.json that not all families have, and write puts them
	// into one, over those that were read. nil: there are none.
	read  func(f *fields, c *Config)
	write func(c *Config, out map[string]any) error

	// rope reads the rotary settings; nil: those of rope_parameters, the same in all layers.
	rope func(f *fields, c *Config)

	// block changes a block as LLaMA has it to one of the family; nil: nothing differs.
	block func(b *builder, block *Block)

	gguf ggufForm
}

// defaults is what transformers 5.12 takes for fields that a config.json of a family does not
// have. BOS and EOS are no such fields here: a token that nobody names begins or ends nothing.
type defaults struct {
	vocab, hidden, intermediate, layers, heads int
	kvHeads                                    int // 0: as many as heads
	headDim                                    int // 0: hidden / heads
	positions                                  int
	theta, eps                                 float64 // 0: 10,000 and 1e-6
	tied                                       bool
}

// ggufForm is a family as llama.cpp keeps it in a GGUF file.
type ggufForm struct {
	architecture string      // llama.cpp's name, which families may share
	interleaved  bool        // rows of queries and keys are in another order (see Interleave)
	tensors      [][2]string // parts of a block that others do not have, or name otherwise: GGUF's name, Hugging Face's
	experts      [][2]string // tensors of all experts of a block in one: GGUF's name, and Hugging Face's with * for a number
	shiftedNorms bool        // the weights of norms are stored with normOffset added
	yarnBetas    bool        // llama.cpp reads YaRN's betas: of its bounds, and of queries that grow with their position

	// is reports whether a file of the architecture is one of this family; nil: whenever it
	// is of no other.
	is func(k *ggufKeys) bool
	// read adds the fields of config.json that not all families have to those that all have,
	// and write the keys of the file, whose prefix is the architecture's. nil: there are none.
	read  func(k *ggufKeys, config map[string]any)
	write func(c *Config, prefix string) ([]gguf.KeyValue, error)
	// differs returns why llama.cpp computes a model otherwise, nil if it does not.
	differs func(c *Config) error
}

// families are all families by their model_type.
var families []*family

// register adds a family. It is called by the init of the family's file.
func register(f *family) {
	at, taken := slices.BinarySearchFunc(families, f.modelType, func(f *family, name string) int {
		return strings.Compare(f.modelType, name)
	})
	if taken {
		panic("llama: two families of the model_type " + f.modelType)
	}
	families = slices.Insert(families, at, f)
}

// The activations that families have.
const (
	silu     = "silu"
	geluTanh = "gelu_pytorch_tanh"
)

// FitsF16 reports whether the activations of the family's released models stay within f16's range, whose largest number is
// 65504. Those of Gemma 2 and 3 do not (https://github.com/huggingface/transformers/issues/36822).
func (c Config) FitsF16() bool {
	f := familyOf(c.ModelType)
	return f == nil || !f.leavesF16
}

func (f *family) activation() string { return cmp.Or(f.hiddenAct, silu) }

// familyOf returns the family of a model_type, nil if there is none.
func familyOf(modelType string) *family {
	for _, f := range families {
		if f.modelType == modelType {
			return f
		}
	}
	return nil
}

// family returns the model's family, or an error that names all.
func (c *Config) family() (*family, error) {
	if f := familyOf(c.ModelType); f != nil {
		return f, nil
	}
	return nil, &Error{Field: "model_type", Want: oneOf(modelTypes()), Got: fmt.Sprintf("%q", c.ModelType)}
}

// modelTypes are the names of all families.
func modelTypes() (names []string) {
	for _, f := range families {
		names = append(names, f.modelType)
	}
	return names
}

// oneOf writes `"a", "b" or "c"`.
func oneOf(names []string) string {
	var b strings.Builder
	for i, name := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", name)
	}
	return b.String()
}

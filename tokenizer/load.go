package tokenizer

import (
	"bytes"
	"fmt"
	"path/filepath"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/regular"
)

// Names of a tokenizer's files in a model's folder.
const (
	JSONFile  = "tokenizer.json"
	ModelFile = "tokenizer.model" // of SentencePiece, or LLaMA 3's ranks
)

// maxFile bounds what Load reads; the largest known has 35 MB.
const maxFile = 256 << 20

// Load reads the tokenizer of a model's folder, or one file of any kind, which is
// recognized by its content: also the one in a GGUF model.
//
// In a folder tokenizer.json comes before tokenizer.model. The folder's other files add to
// them what was added later, and say how texts begin and end:
//
//   - Added tokens: added_tokens_decoder of tokenizer_config.json, or added_tokens.json, and
//     the special tokens that files give names to; with the ids and flags that transformers
//     gives them. Files that contradict each other are an error.
//   - BOS: where tokenizer_config.json has add_bos_token, it decides; else BOS is what
//     tokenizer.json's post-processor puts in front, or a tokenizer.model's own.
//   - EOS: eos_token of tokenizer_config.json, else of special_tokens_map.json, else the
//     first eos_token_id of generation_config.json, else of config.json, else the
//     tokenizer's own.
//   - Beside SentencePiece's tokenizer.model, legacy false says that of several texts with
//     special tokens between them only the first begins with a space, as in transformers.
//     Where it is not said, each does, as in LLaMA's own reader.
func Load(path string) (Tokenizer, error) { return LoadFor(path, Options{}) }

// Options are what else may say how a text ends.
type Options struct {
	// Model is the folder, the GGUF file or the config.json of the model that the tokenizer is
	// for, if that is elsewhere: the EOS that it names is that of a tokenizer whose own files
	// name none.
	Model string
	// EOS is the spelling of a token, which then is EOS whatever the files say.
	EOS string
}

// LoadFor is Load for a model.
func LoadFor(path string, o Options) (Tokenizer, error) {
	if o.EOS != "" {
		o.Model = "" // which is not asked then
	}
	t, err := read(path, o)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if o.EOS != "" {
		id, ok := t.find(o.EOS)
		if !ok {
			return nil, fmt.Errorf("tokenizer: %s: EOS: want a token of the vocabulary, got %.40q", path, o.EOS)
		}
		bos, ok := t.BOS()
		if !ok {
			bos = -1
		}
		t.setEnds(bos, id)
	}
	return t, nil
}

func read(path string, o Options) (loaded, error) {
	info, err := regular.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		var t loaded
		if gguf.IsFile(path) {
			t, err = loadGGUF(path)
		} else {
			t, err = loadFile(path, nil)
		}
		if err != nil {
			return nil, err
		}
		var own []*Config
		if gguf.IsFile(path) {
			c, err := ggufEnds(path)
			if err != nil {
				return nil, err
			}
			own = []*Config{c}
		}
		return t, endAsModel(t, path, own, o.Model)
	}
	files, err := readConfigs(path, ConfigFile, SpecialTokensFile, generationConfig, modelConfig)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{JSONFile, ModelFile} {
		file := filepath.Join(path, name)
		if !regular.Exists(file) {
			continue
		}
		added, err := readAdded(path, files)
		if err != nil {
			return nil, err
		}
		t, err := loadFile(file, added)
		if err != nil {
			return nil, err
		}
		if sp, ok := t.(*SentencePiece); ok {
			sp.setSpaces(files)
		}
		if err := readEnds(files, t); err != nil {
			return nil, err
		}
		return t, endAsModel(t, path, files, o.Model)
	}
	return nil, fmt.Errorf("%s: want %s or %s, got neither", path, JSONFile, ModelFile)
}

// loadFile reads a tokenizer and adds the tokens of the files beside it.
func loadFile(path string, added *addedFiles) (loaded, error) {
	b, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	t, err := parseAny(b, added)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func parseAny(b []byte, added *addedFiles) (loaded, error) {
	switch {
	case bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n\ufeff"), []byte{'{'}):
		return certain(readJSON(b, added))
	case isTiktoken(b):
		return certain(parseTiktoken(b, added))
	}
	return certain(parseSentencePiece(b, added))
}

// certain keeps a nil pointer from becoming a tokenizer.
func certain[T loaded](t T, err error) (loaded, error) {
	if err != nil {
		return nil, err
	}
	return t, nil
}

func readBounded(path string) ([]byte, error) {
	return regular.Read(path, maxFile)
}
